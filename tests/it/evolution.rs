//! Partition evolution: a table that Spark wrote under three specs, one after the other, and deleted rows from (`fixtures/iceberg_v2_specs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use otf::formats::OutputWishes;
use otf::model::{DataFile, SpecChoice};
use otf::ops::compact::Options;
use otf::ops::compact::plan::Leave;
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};
use serde_json::Value as Json;

use crate::support::references;
use crate::support::workbench::{Original, objects, over, runtime};

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
            let version = original.open(&over(&objects)).await.unwrap().load().await.unwrap();
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

#[test]
fn files_of_a_spec_with_an_unknown_transform_are_left_alone_and_the_others_are_rewritten() {
    runtime().block_on(async {
        let mut original = Original::iceberg("iceberg_v2_specs").await;
        let name = "metadata/v7.metadata.json";
        let mut document: Json = serde_json::from_slice(&original.objects[name]).unwrap();
        // As a newer writer might have partitioned it: the values in the manifests stay what they are.
        document["partition-specs"][1]["fields"][0]["transform"] = "zorder[4]".into();
        original.objects.insert(name.into(), document.to_string().into());
        let objects = original.lay_out().await;
        let done = original.compact(&objects, 1, "first-operation", &everything(SpecChoice::Current)).await.unwrap();
        assert_eq!(done.outcome, Outcome::Landed);
        let left: Vec<(Leave, u64)> = done.plan.left.iter().map(|left| (left.why, left.files)).collect();
        assert_eq!(left, [(Leave::UnknownSpec, 4)]);
        let untouched =
            |rows: &[String]| parted(rows).into_iter().filter(|(row, _)| (20..40).contains(&id_of(row))).collect::<BTreeMap<_, _>>();
        let after = original.read(&objects).await;
        assert_eq!(untouched(&after), untouched(&original.rows));
        assert_eq!(parted(&after).into_keys().collect::<Vec<_>>(), parted(&original.rows).into_keys().collect::<Vec<_>>());
        let version = original.open(&over(&objects)).await.unwrap().load().await.unwrap();
        let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
        assert_eq!(files.iter().filter(|file| file.partition.spec_id == 1).count(), 4);
        assert!(files.iter().all(|file| file.partition.spec_id > 0));
    });
}

#[test]
fn a_move_survives_a_kill_at_any_call_and_the_next_run_leaves_nothing_behind() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_specs").await;
        // The files of the two older specs, which are one group.
        let options = Options { min_input_files: Some(3), ..Options::default() };
        let rows: Vec<String> = parted(&original.rows).into_keys().collect();
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            for call in 1.. {
                let table = original.lay_out().await;
                let faults = Faults::at(call, fault);
                let struck = original.compact(&faults.over(Arc::clone(&table)), 1, "struck-operation", &options).await;
                if !faults.is_dead() {
                    assert_eq!(struck.unwrap().outcome, Outcome::Landed);
                    assert!(call > 20, "{call} calls cannot be all");
                    break;
                }
                assert_eq!(parted(&original.read(&table).await).into_keys().collect::<Vec<_>>(), rows, "{fault:?} at {call}");
                original.compact(&table, 2, "second-operation", &options).await.unwrap();
                assert_eq!(parted(&original.read(&table).await).into_keys().collect::<Vec<_>>(), rows, "{fault:?} at {call}, next run");
                let now = objects(&table, &original.root).await;
                let named = references::named(&now, original.root.path());
                let strays: Vec<&String> = now.keys().filter(|key| !named.contains(*key)).collect();
                assert!(strays.is_empty(), "{fault:?} at {call}: {strays:?}");
            }
        }
    });
}
