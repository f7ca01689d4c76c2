//! Marking rows as deleted.

use std::sync::Arc;

use roaring::RoaringTreemap;
use serde_json::json;

use super::commits::{current_document, landed, names_in_metadata};
use super::{Fixture, Row, files, place};
use crate::commit::Answer;
use crate::error::Kind;
use crate::formats::iceberg::avro::Datum;
use crate::formats::iceberg::manifest::Status;
use crate::formats::iceberg::manifest_list::Content;
use crate::formats::iceberg::{IcebergTable, deletes, positions};
use crate::formats::{Table, TableVersion};
use crate::model::{Change, DeleteKind, GroupChange, Intent, Marked, OperationId, RowDeletes};
use crate::units::Timestamp;

/// Marks rows of the files called so.
async fn marking(version: &dyn TableVersion, operation: &str, rows: &[(&str, &[u64])]) -> Change {
    let all = files(version).await;
    let mark = |(name, positions): &(&str, &[u64])| {
        let file = all.iter().find(|file| file.location.name() == *name).unwrap().clone();
        Marked { file, deleted: Arc::new(positions.iter().copied().collect()) }
    };
    let groups = vec![GroupChange { marks: rows.iter().map(mark).collect(), ..GroupChange::default() }];
    let base = version.snapshot().version;
    Change { operation: OperationId(operation.into()), part: 0, base, intent: Intent::DeleteRows, groups, drop_dangling_deletes: false }
}

/// Deleted positions of every file, by its name.
async fn deleted(table: &IcebergTable) -> Vec<(String, Vec<u64>)> {
    let version = table.load().await.unwrap();
    let all = files(&*version).await;
    let deletes = version.row_deletes(&all).await.unwrap();
    let positions = |deletes: &RowDeletes| match deletes {
        RowDeletes::None => Vec::new(),
        RowDeletes::Positions(positions) => positions.iter().collect(),
        RowDeletes::Values(_) => panic!("nothing is deleted by value"),
    };
    all.iter().zip(&deletes).map(|(file, deletes)| (file.location.name().to_string(), positions(deletes))).collect()
}

fn rows(expected: &[(&str, &[u64])]) -> Vec<(String, Vec<u64>)> {
    expected.iter().map(|(name, positions)| ((*name).to_string(), positions.to_vec())).collect()
}

#[tokio::test]
async fn marked_rows_are_deleted_and_a_second_deletion_adds_to_the_first() {
    for version in [2, 3] {
        let (table, store) =
            Fixture { version, manifests: version, first_row_id: (version > 2).then_some(100), ..Fixture::default() }.build().await;
        let base = table.load().await.unwrap();
        landed(&*base, &marking(&*base, "one", &[("a", &[0, 9]), ("c", &[3])]).await).await;
        assert_eq!(deleted(&table).await, rows(&[("a", &[0, 9]), ("b", &[]), ("c", &[3])]));
        let second = table.load().await.unwrap();
        landed(&*second, &marking(&*second, "two", &[("a", &[0, 4, 9])]).await).await;
        assert_eq!(deleted(&table).await, rows(&[("a", &[0, 4, 9]), ("b", &[]), ("c", &[3])]));
        let kinds: Vec<Vec<(DeleteKind, Option<u64>)>> = files(&*table.load().await.unwrap())
            .await
            .iter()
            .map(|file| file.deletes.iter().map(|delete| (delete.kind, delete.rows)).collect())
            .collect();
        let (vector, file) = (DeleteKind::Vector, DeleteKind::Positions);
        let wanted = if version > 2 {
            vec![vec![(vector, Some(3))], vec![], vec![(vector, Some(1))]]
        } else {
            vec![vec![(file, Some(1)), (file, Some(2))], vec![], vec![(file, Some(1))]]
        };
        assert_eq!(kinds, wanted);
        let doc = current_document(&table, &store).await;
        let summary = |at: usize| {
            let mut summary = doc["snapshots"][at]["summary"].clone();
            let members = summary.as_object_mut().unwrap();
            members.retain(|key, _| !key.contains("size") && !key.starts_with("otf") && !key.starts_with("engine"));
            summary
        };
        let totals = |files: &str, positions: &str| {
            json!({"operation": "delete", "changed-partition-count": "1", "total-records": "19", "total-data-files": "3",
                "total-delete-files": files, "total-position-deletes": positions, "total-equality-deletes": "0"})
        };
        let with = |mut summary: serde_json::Value, members: &[(&str, &str)]| {
            members.iter().for_each(|(key, value)| summary[*key] = json!(value));
            summary
        };
        let kind = if version > 2 { "added-dvs" } else { "added-position-delete-files" };
        let first = with(totals("2", "3"), &[("added-delete-files", "2"), (kind, "2"), ("added-position-deletes", "3")]);
        // The fixture's own summary knows no total of equality deletes.
        let mut found = summary(1);
        found["total-equality-deletes"] = json!("0");
        found["total-position-deletes"] = json!("3");
        assert_eq!(found, first);
        let replaced = [("removed-delete-files", "1"), ("removed-dvs", "1"), ("removed-position-deletes", "2")];
        let mut found = summary(2);
        found["total-equality-deletes"] = json!("0");
        found["total-position-deletes"] = json!("4");
        let second = if version > 2 {
            with(
                totals("2", "4"),
                &[("added-delete-files", "1"), (kind, "1"), ("added-position-deletes", "3"), replaced[0], replaced[1], replaced[2]],
            )
        } else {
            with(totals("3", "4"), &[("added-delete-files", "1"), (kind, "1"), ("added-position-deletes", "1")])
        };
        assert_eq!(found, second);
    }
}

#[tokio::test]
async fn entries_and_files_are_what_the_specification_asks_for() {
    for version in [2, 3] {
        let (table, _) = Fixture { version, manifests: version, ..Fixture::default() }.build().await;
        let base = table.load().await.unwrap();
        landed(&*base, &marking(&*base, "one", &[("c", &[3, 1])]).await).await;
        let after = table.version().await.unwrap();
        let manifests = after.scan.manifests().await.unwrap();
        let ours = manifests.iter().find(|manifest| manifest.content == Content::Deletes).unwrap();
        assert_eq!(
            (ours.sequence, ours.min_sequence, ours.files, ours.rows),
            (4, 4, [Some(1), Some(0), Some(0)], [Some(2), Some(0), Some(0)])
        );
        let reader = after.scan.open(ours).await.unwrap();
        let columns = reader.columns.clone();
        let entry = reader.map(|entry| entry.unwrap()).next().unwrap();
        assert_eq!((entry.status, entry.sequence, entry.file_sequence), (Status::Added, 4, Some(4)));
        assert_eq!((entry.referenced.as_deref(), entry.records), (Some("/t/data/c"), 2));
        let bound = |name: &str, id: i32| {
            columns.pairs(&entry, name).into_iter().find(|(of, _)| *of == id).and_then(|(_, value)| value.as_bytes()).map(<[u8]>::to_vec)
        };
        if version == 2 {
            assert_eq!((entry.format.as_str(), entry.blob), ("parquet", None));
            for (name, position) in [("lower_bounds", 1u64), ("upper_bounds", 3)] {
                assert_eq!(bound(name, deletes::PATH_COLUMN), Some(b"/t/data/c".to_vec()));
                assert_eq!(bound(name, deletes::POSITION_COLUMN), Some(position.to_le_bytes().to_vec()));
            }
            let index = after.scan.deletes().await.unwrap();
            let mut rows = Vec::new();
            positions::read(&after.scan.store, &index.files()[0], |path, position| {
                rows.push((path.to_string(), position));
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(rows, [("/t/data/c".to_string(), 1), ("/t/data/c".to_string(), 3)]);
        } else {
            assert_eq!((entry.format.as_str(), entry.blob.map(|(offset, _)| offset)), ("puffin", Some(4)));
            assert!(columns.file_field(&entry, "lower_bounds").is_none_or(Datum::is_null));
        }
    }
}

#[tokio::test]
async fn a_deletion_that_another_one_overtook_is_a_conflict_and_leaves_nothing() {
    let (plain, _) = Fixture::default().build().await;
    let change = marking(&*plain.load().await.unwrap(), "one", &[("a", &[1]), ("c", &[2])]).await;
    let deleted = Fixture { deletes: vec![Row(1, 1, "/t/data/pos", 4, 1)], ..Fixture::default() };
    let gone = Fixture { data: vec![Row(1, 0, "/t/data/a", 3, 10)], ..Fixture::default() };
    for fixture in [deleted, gone] {
        let (table, store) = fixture.build().await;
        let version = table.load().await.unwrap();
        let names = names_in_metadata(&store).await;
        assert_eq!(version.still_holds(&change).await.unwrap(), [false]);
        let Answer::Rejected(error) = version.offer(&change, Timestamp(0)).await else { panic!("it must not land") };
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(names_in_metadata(&store).await, names);
        assert!(store.list_all(&place("/t/data")).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn tables_of_the_first_version_and_rows_that_are_not_there_are_refused() {
    let (table, _) = Fixture { version: 1, manifests: 1, ..Fixture::default() }.build().await;
    let version = table.load().await.unwrap();
    let Answer::Rejected(error) = version.offer(&marking(&*version, "one", &[("a", &[1])]).await, Timestamp(0)).await else { panic!() };
    assert_eq!(error.kind(), Kind::Unsupported);
    let (table, _) = Fixture::default().build().await;
    let version = table.load().await.unwrap();
    for rows in [&[10u64] as &[u64], &[]] {
        let Answer::Rejected(error) = version.offer(&marking(&*version, "one", &[("a", rows)]).await, Timestamp(0)).await else { panic!() };
        assert_eq!(error.kind(), Kind::Bug);
    }
}

#[tokio::test]
async fn a_vector_takes_the_positions_over_that_its_file_had_before_the_table_was_upgraded() {
    let (table, store) = Fixture::default().build().await;
    let base = table.load().await.unwrap();
    landed(&*base, &marking(&*base, "one", &[("a", &[0, 9]), ("b", &[1])]).await).await;
    let file = table.pointer().current().await.unwrap();
    let mut doc = current_document(&table, &store).await;
    doc["format-version"] = 3.into();
    doc["next-row-id"] = 0.into();
    store.put(&file, doc.to_string().into_bytes().into()).await.unwrap();
    let upgraded = table.load().await.unwrap();
    landed(&*upgraded, &marking(&*upgraded, "two", &[("a", &[0, 5, 9])]).await).await;
    assert_eq!(deleted(&table).await, rows(&[("a", &[0, 5, 9]), ("b", &[1]), ("c", &[])]));
    let after = table.version().await.unwrap();
    let index = after.scan.deletes().await.unwrap();
    let mut left: Vec<_> =
        index.files().iter().map(|file| (file.reference.kind, file.target.clone().unwrap().name().to_string())).collect();
    left.sort();
    assert_eq!(left, [(DeleteKind::Vector, "a".to_string()), (DeleteKind::Positions, "b".to_string())]);
}

#[test]
fn many_positions_fill_several_batches() {
    let positions: RoaringTreemap = (0..200_000u64).filter(|position| position % 3 != 0).collect();
    let bytes = super::super::delete_files::position_file("/t/é", &positions).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
    let mut found = RoaringTreemap::new();
    for batch in reader {
        let batch = batch.unwrap();
        let paths = arrow_array::cast::AsArray::as_string::<i32>(batch.column(0));
        assert!(paths.iter().all(|path| path == Some("/t/é")));
        let rows = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(batch.column(1));
        found.extend(rows.values().iter().map(|position| u64::try_from(*position).unwrap()));
    }
    assert_eq!(found, positions);
}
