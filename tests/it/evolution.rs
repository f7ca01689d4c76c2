//! Partition evolution: a table that Spark wrote under three specs, one after the other, and deleted rows from (`fixtures/iceberg_v2_specs`).

use std::collections::BTreeMap;

use futures::TryStreamExt;
use otf::formats::OutputWishes;
use otf::model::{DataFile, SpecChoice};
use otf::ops::compact::Options;
use otf::ops::document::Outcome;

use crate::support::workbench::{Original, over, runtime};

fn everything(spec: SpecChoice) -> Options {
    Options { rewrite_all: true, output: OutputWishes { spec, ..OutputWishes::default() }, ..Options::default() }
}

/// Id and text of a row, and the partition it is in.
fn parted(rows: &[String]) -> BTreeMap<String, String> {
    let part = |row: &String| {
        let parts: Vec<&str> = row.split(" | ").collect();
        (parts[1].to_string(), parts[0].to_string())
    };
    rows.iter().map(part).collect()
}

fn id_of(row: &str) -> i64 {
    row.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn rows_move_to_the_partitions_of_the_current_spec_as_spark_computes_them() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_specs").await;
        let objects = original.lay_out().await;
        let done = original.compact(&objects, 1, "first-operation", &everything(SpecChoice::Current)).await.unwrap();
        assert_eq!(done.outcome, Outcome::Landed);
        let (before, after) = (parted(&original.rows), parted(&original.read(&objects).await));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (row, partition) in &after {
            let (bucket, day) = partition.split_once("/at_day=").unwrap();
            assert_eq!(day, ["1969-12-31", "1970-01-01", "1970-01-02"][usize::try_from(id_of(row) / 24).unwrap()], "{row}");
            // From row 20 on Spark had computed the bucket itself.
            let was = &before[row];
            assert!(id_of(row) < 20 || was.split('/').next() == Some(bucket), "{row}: {was} became {partition}");
        }
        let again = original.compact(&objects, 1, "second-operation", &Options::default()).await.unwrap();
        assert_eq!(again.outcome, Outcome::NothingToDo);
    });
}

#[test]
fn files_keep_their_specs_or_take_another_where_that_is_asked_for() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_specs").await;
        for (choice, specs) in [(SpecChoice::Own, vec![0, 1, 2]), (SpecChoice::Id(1), vec![1]), (SpecChoice::Id(0), vec![0])] {
            let objects = original.lay_out().await;
            original.compact(&objects, 1, "first-operation", &everything(choice)).await.unwrap();
            let version = original.open(&over(&objects)).load().await.unwrap();
            let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
            let mut found: Vec<i32> = files.iter().map(|file| file.partition.spec_id).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, specs, "{choice:?}");
            assert!(files.iter().all(|file| file.deletes.is_empty()), "{choice:?}");
            if choice == SpecChoice::Id(0) {
                assert_eq!(files.len(), 1, "one partition is one group");
            }
            assert_eq!(
                parted(&original.read(&objects).await).into_keys().collect::<Vec<_>>(),
                parted(&original.rows).into_keys().collect::<Vec<_>>()
            );
        }
        let unknown = original.compact(&original.lay_out().await, 1, "first-operation", &everything(SpecChoice::Id(9))).await.unwrap_err();
        assert_eq!((unknown.kind(), unknown.next_step()), (otf::error::Kind::Usage, "it has: 0, 1, 2"));
    });
}
