//! Counting, on versions made for it.

use async_trait::async_trait;
use std::sync::Arc;

use super::*;
use crate::engine::{RewriteTask, Rewritten};
use crate::error::Error;
use crate::location::Location;
use crate::model::{DeleteKind, DeleteRef, FileFormat, FileStats, Partition, PartitionField, Value};
use crate::ops::inspect::fixed::Fixed;

/// An engine that knows footers of 40 rows.
struct Footers;

#[async_trait]
impl Rewriter for Footers {
    async fn rewrite(&self, _task: RewriteTask) -> Result<Rewritten> {
        Err(Error::bug("not asked"))
    }
    async fn stored_rows(&self, _file: &DataFile) -> Result<u64> {
        Ok(40)
    }
}

fn delete(key: &str, rows: Option<u64>) -> DeleteRef {
    DeleteRef { kind: DeleteKind::Positions, key: key.into(), rows }
}

fn file(number: usize, region: &str, size: u64, rows: Option<u64>, deletes: &[DeleteRef]) -> DataFile {
    let field = PartitionField { name: "region".into(), value: None, text: region.into() };
    DataFile {
        rows,
        partition: Arc::new(Partition { spec_id: 0, fields: vec![field], constants: Vec::new() }),
        deletes: deletes.into(),
        ..DataFile::bare(Location::parse(&format!("/t/{number}")).unwrap(), FileFormat::Parquet, Bytes(size))
    }
}

async fn census(files: Vec<DataFile>, deleted: Option<u64>) -> Census {
    gather(&Fixed { files, deleted, ..Fixed::default() }, &Footers, Bytes(1000)).await.unwrap()
}

#[tokio::test]
async fn rows_come_from_metadata_then_from_footers_and_delete_files() {
    let files = vec![
        file(0, "eu", 10, Some(100), &[]),
        file(1, "eu", 10, Some(100), &[delete("vector", Some(7))]),
        file(2, "eu", 10, None, &[]),
        file(3, "eu", 10, Some(100), &[delete("shared", None)]),
        file(4, "eu", 10, Some(100), &[delete("shared", None), delete("more", Some(1))]),
    ];
    let census = census(files, Some(5)).await;
    assert_eq!((census.stored_rows, census.totals.rows), (440, 440 - 7 - 5 - 5));
    assert_eq!((census.totals.files, census.totals.bytes, census.totals.delete_files), (5, Bytes(50), 3));
    assert_eq!((census.files_with_deletes, census.rows_uncertain), (3, None));
}

#[tokio::test]
async fn deletes_that_cannot_be_applied_leave_the_row_count_uncertain() {
    let census = census(vec![file(0, "eu", 10, Some(100), &[delete("values", None)])], None).await;
    assert_eq!((census.totals.rows, census.rows_uncertain.as_deref()), (100, Some("deletes by value")));
}

#[tokio::test]
async fn only_partitions_that_a_compaction_would_touch_count_as_joinable() {
    let mut files: Vec<DataFile> = (0..5).map(|n| file(n, "eu", 10, Some(1), &[])).collect();
    files.extend((5..9).map(|n| file(n, "us", 10, Some(1), &[])));
    files.extend((9..11).map(|n| file(n, "asia", 600, Some(1), &[])));
    files.push(file(11, "asia", 800, Some(1), &[]));
    let census = census(files, Some(0)).await;
    assert_eq!(census.joinable_files, 5 + 2);
    let names: Vec<(&str, u64)> =
        top(&census.partitions, Order::SmallFiles, 2).into_iter().map(|(name, p)| (name, p.small_files)).collect();
    assert_eq!(names, [("region=eu", 5), ("region=us", 4)]);
    assert_eq!(census.sizes[0].files, 12);
}

#[tokio::test]
async fn partitions_count_their_own_rows_and_deletes() {
    let files = vec![
        file(0, "eu", 10, Some(100), &[delete("vector", Some(7))]),
        file(1, "us", 20, Some(50), &[]),
        file(2, "us", 30, None, &[delete("shared", None)]),
    ];
    let census = census(files, Some(5)).await;
    let told: Vec<_> = census.partitions.values().map(|p| (p.files, p.stored_rows, p.deleted_rows, p.deleted_per_mille())).collect();
    assert_eq!(told, [(1, 100, 7, 70), (2, 90, 5, 55)]);
    let order = |order| top(&census.partitions, order, 2).into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(order(Order::Deleted), ["region=eu", "region=us"]);
    assert_eq!(order(Order::Files), ["region=us", "region=eu"]);
    assert_eq!(order(Order::Bytes), ["region=us", "region=eu"]);
}

#[tokio::test]
async fn sizes_are_counted_by_powers_of_two_without_empty_ends() {
    let files = [0, 1, 3, 9, 15].map(|size| file(usize::try_from(size).unwrap(), "eu", size, Some(1), &[]));
    let told: Vec<_> =
        census(files.to_vec(), None).await.histogram.iter().map(|c| (c.from.0, c.below.map(|b| b.0), c.files, c.bytes.0)).collect();
    assert_eq!(told, [(0, Some(1), 1, 0), (1, Some(2), 1, 1), (2, Some(4), 1, 3), (4, Some(8), 0, 0), (8, Some(16), 2, 24)]);
    let largest = census(vec![file(0, "eu", u64::MAX, Some(1), &[])], None).await.histogram;
    assert_eq!(largest.iter().map(|c| (c.from.0, c.below)).collect::<Vec<_>>(), [(1 << 63, None)]);
}

#[tokio::test]
async fn files_without_bounds_have_no_statistics() {
    let stats = |column: ColumnStats| Some(Box::new(FileStats { columns: [(1, column)].into() }));
    let with = |number, stats| DataFile { stats, ..file(number, "eu", 10, Some(1), &[]) };
    let files = vec![
        with(0, None),
        with(1, stats(ColumnStats::default())),
        with(2, stats(ColumnStats { upper: Some(Value::Int(1)), ..ColumnStats::default() })),
        with(3, stats(ColumnStats { value_count: Some(2), null_count: Some(2), ..ColumnStats::default() })),
        file(4, "eu", 10, Some(0), &[]),
    ];
    let census = census(files, None).await;
    assert_eq!((census.sampled_files, census.without_statistics), (5, 2));
}

#[tokio::test]
async fn files_that_a_rewrite_would_move_are_of_an_old_spec() {
    let mut old = file(0, "eu", 10, Some(1), &[]);
    old.partition = Arc::new(Partition { spec_id: 1, ..Partition::default() });
    let files = vec![old.clone(), old, file(1, "eu", 10, Some(1), &[])];
    let version = Fixed { files, old_spec: Some(1), ..Fixed::default() };
    assert_eq!(gather(&version, &Footers, Bytes(1000)).await.unwrap().old_spec_files, 2);
}

#[tokio::test]
async fn names_of_partitions_are_cut_off_and_stay_apart() {
    let long = |end: &str| format!("{}{end}", "ü".repeat(20_000));
    let files = [long("a"), long("b"), long("b")].map(|region| file(0, &region, 10, Some(1), &[]));
    let partitions = census(files.to_vec(), None).await.partitions;
    let mut counts: Vec<u64> = partitions.values().map(|partition| partition.files).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
    assert!(partitions.keys().all(|name| name.len() < MAX_NAME + 30 && name.starts_with("region=ü")));
}
