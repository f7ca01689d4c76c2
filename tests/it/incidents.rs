//! Incidents of other tools and cases of their suites, by name: each would lose, double or bring back rows. `docs/tests/` lists them all, with the
//! tests that hold them wherever they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::model::DataFile;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

use crate::support::delta_table::inline_vector;
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, over, runtime};

fn everything() -> Options {
    Options { rewrite_all: true, max_concurrent_groups: Some(1), ..Options::default() }
}

async fn compacted(original: &Original, table: &Arc<dyn ObjectStore>, options: &Options) -> Finished {
    original.compact(table, 1, "an-operation", options).await.unwrap()
}

/// The actions of the commits from `version` on.
async fn actions(original: &Original, table: &Arc<dyn ObjectStore>, version: usize) -> Vec<Json> {
    let now = objects(table, &original.root).await;
    let commits = now.iter().filter(|(name, _)| name.starts_with("_delta_log/") && name.ends_with(".json")).skip(version);
    let lines = commits.flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()));
    lines.collect()
}

fn of_kind(actions: &[Json], kind: &str) -> Vec<Json> {
    actions.iter().filter_map(|action| action.get(kind).cloned()).collect()
}

/// Partition and id of every row, read from the files themselves.
async fn ids(original: &Original, table: &Arc<dyn ObjectStore>) -> Vec<String> {
    let store = over(table);
    let version = original.open(&store).await.unwrap().load().await.unwrap();
    let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
    let mut found = Vec::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(store.get(&file.location).await.unwrap()).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let ids = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(batch.column(0)).clone();
            found.extend(ids.values().iter().map(|id| format!("{} {id}", file.partition.display())));
        }
    }
    found.sort();
    found
}

#[test]
fn delta_rs_1_6_6_a_remove_repeats_an_odd_path_and_nothing_is_doubled() {
    runtime().block_on(async {
        let original = Original::delta_fixture("delta_partitioned_odd_names").await;
        let table = original.lay_out().await;
        let (before, added) = (ids(&original, &table).await, of_kind(&actions(&original, &table, 0).await, "add"));
        assert_eq!(before.len(), 40);
        assert_eq!(compacted(&original, &table, &everything()).await.outcome, Outcome::Landed);
        assert_eq!(ids(&original, &table).await, before);
        let path = |action: &Json| action["path"].as_str().unwrap().to_string();
        let removed: BTreeSet<String> = of_kind(&actions(&original, &table, 0).await, "remove").iter().map(path).collect();
        assert_eq!(removed, added.iter().map(path).collect());
    });
}

#[test]
fn trino_31253_a_remove_carries_the_vector_of_the_file_it_removes() {
    runtime().block_on(async {
        let original = Original::delta("/t", 6).await;
        let table = original.lay_out().await;
        compacted(&original, &table, &everything()).await;
        let vectors = |actions: Vec<Json>| -> BTreeSet<(String, String)> {
            actions.iter().map(|action| (action["path"].to_string(), action["deletionVector"].to_string())).collect()
        };
        let all = actions(&original, &table, 0).await;
        let added = of_kind(&all, "add").into_iter().filter(|add| add["dataChange"] == true).collect();
        assert_eq!(vectors(of_kind(&all, "remove")), vectors(added));
    });
}

#[test]
fn delta_rs_3047_compacting_after_a_checkpoint_doubles_no_row() {
    runtime().block_on(async {
        let original = Original::delta("/t", 2).await;
        let table = original.lay_out().await;
        for round in 1..=6 {
            rivals::commit(&original, &table, Deed::Append).await;
            let rows = original.read(&table).await;
            assert_eq!(rows.len(), original.rows.len() + 2 * round);
            assert_eq!(compacted(&original, &table, &everything()).await.outcome, Outcome::Landed);
            assert_eq!(original.read(&table).await, rows);
        }
        let checkpoints = objects(&table, &original.root).await.keys().filter(|name| name.ends_with(".checkpoint.parquet")).count();
        assert!(checkpoints >= 2, "{checkpoints}");
    });
}

#[test]
fn delta_rs_2347_a_column_added_since_is_null_in_old_rows() {
    runtime().block_on(async {
        for original in [Original::delta("/t", 4).await, Original::iceberg("iceberg_v2_posdeletes").await] {
            let table = original.lay_out().await;
            rivals::commit(&original, &table, Deed::Schema).await;
            compacted(&original, &table, &everything()).await;
            assert_eq!(original.read(&table).await, original.rows);
            for name in original.live_files(&table).await {
                let bytes = objects(&table, &original.root).await[&name].clone();
                for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                    let batch = batch.unwrap();
                    assert_eq!(batch.column_by_name("added").unwrap().null_count(), batch.num_rows());
                }
            }
        }
    });
}

#[test]
fn clickhouse_114194_a_stale_version_hint_hides_no_commit() {
    runtime().block_on(async {
        for hint in ["1", "2", "77", "nonsense", ""] {
            let mut original = Original::iceberg("iceberg_v2_posdeletes").await;
            original.objects.insert("metadata/version-hint.text".into(), hint.as_bytes().to_vec().into());
            let table = original.lay_out().await;
            assert_eq!(original.read(&table).await, original.rows, "hint {hint}");
            assert_eq!(compacted(&original, &table, &everything()).await.outcome, Outcome::Landed);
            assert_eq!(original.read(&table).await, original.rows, "hint {hint}");
            let now = objects(&table, &original.root).await;
            assert!(now.contains_key("metadata/v4.metadata.json") && !now.contains_key("metadata/v5.metadata.json"));
        }
    });
}

#[test]
fn nimtable_162_no_delete_is_left_that_applies_to_nothing() {
    runtime().block_on(async {
        for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            let finished = compacted(&original, &table, &everything()).await;
            assert_eq!((finished.before.delete_files, finished.after.delete_files, finished.report.delete_files_removed), (3, 0, 3));
            let now = objects(&table, &original.root).await;
            let metadata: Json = serde_json::from_slice(&now["metadata/v4.metadata.json"]).unwrap();
            let summary = &metadata["snapshots"].as_array().unwrap().last().unwrap()["summary"];
            assert_eq!((&summary["total-delete-files"], &summary["total-position-deletes"]), (&json!("0"), &json!("0")));
        }
    });
}

#[test]
fn olake_1162_every_row_keeps_its_id() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v3_dv").await;
        assert!(original.rows.iter().all(|row| row.contains("Some(")));
        let table = original.lay_out().await;
        assert_eq!(compacted(&original, &table, &everything()).await.after.files, 1);
        assert_eq!(original.read(&table).await, original.rows);
    });
}

#[test]
fn amoro_3294_a_second_run_finds_nothing_to_do() {
    runtime().block_on(async {
        let options = Options { min_input_files: Some(2), ..Options::default() };
        let all =
            [Original::delta("/t", 6).await, Original::iceberg("iceberg_v3_dv").await, Original::iceberg_in_sql("iceberg_v3_dv").await];
        for original in all {
            let table = original.lay_out().await;
            assert_eq!(compacted(&original, &table, &options).await.outcome, Outcome::Landed);
            let before = objects(&table, &original.root).await;
            let again = compacted(&original, &table, &options).await;
            assert_eq!((again.outcome, again.versions.len(), again.report.files_added), (Outcome::NothingToDo, 0, 0));
            assert_eq!(objects(&table, &original.root).await, before);
        }
    });
}

#[test]
fn iceberg_suite_1_a_table_without_a_snapshot_stays_without_one() {
    runtime().block_on(async {
        let mut original = Original::delta("/t", 1).await;
        original.objects.retain(|name, _| name.ends_with("00000.json"));
        let table = original.lay_out().await;
        let finished = compacted(&original, &table, &everything()).await;
        assert_eq!((finished.outcome, finished.before.files), (Outcome::NothingToDo, 0));
        assert_eq!(objects(&table, &original.root).await, original.objects);

        let original = Original::iceberg_without_a_snapshot("iceberg_v1").await;
        let table = original.lay_out().await;
        let finished = compacted(&original, &table, &everything()).await;
        assert_eq!((finished.outcome, finished.base_version), (Outcome::NothingToDo, None));
        assert_eq!(objects(&table, &original.root).await, original.objects);
    });
}

#[test]
fn iceberg_suite_15_a_partition_without_a_live_row_becomes_no_file() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let table = original.lay_out().await;
        let live = of_kind(&actions(&original, &table, 0).await, "add").into_iter().filter(|add| add["partitionValues"]["p"] == "a");
        let mut lines = String::new();
        for add in live {
            let mut marked = add.clone();
            marked["deletionVector"] = inline_vector(&[0, 1, 2, 3, 4]);
            let mut removed = json!({"path": add["path"], "deletionTimestamp": 0, "dataChange": true});
            if let Some(vector) = add.get("deletionVector") {
                removed["deletionVector"] = vector.clone();
            }
            lines += &format!("{}\n{}\n", json!({"remove": removed}), json!({"add": marked}));
        }
        original.put_new(&table, "_delta_log/00000000000000000005.json", lines).await;
        let rows = original.read(&table).await;
        let finished = compacted(&original, &table, &everything()).await;
        assert_eq!((finished.outcome, finished.report.files_removed, finished.report.files_added), (Outcome::Landed, 4, 1));
        assert_eq!(original.read(&table).await, rows);
        assert!(original.live_files(&table).await.iter().all(|name| name.starts_with("p=b/")));
    });
}

#[test]
fn iceberg_suite_22_to_32_a_run_makes_as_many_versions_as_it_was_allowed() {
    runtime().block_on(async {
        for (allowed, made) in [(None, 1), (Some(1), 1), (Some(2), 2), (Some(10), 2)] {
            let original = Original::delta("/t", 6).await;
            let table = original.lay_out().await;
            let finished = compacted(&original, &table, &Options { partial_progress: allowed, ..everything() }).await;
            assert_eq!((finished.versions.len(), finished.report.groups_done), (made, 2), "{allowed:?}");
            assert_eq!(original.read(&table).await, original.rows);
        }
    });
}

#[test]
fn iceberg_suite_29_a_group_that_fails_fails_alone_and_leaves_nothing() {
    runtime().block_on(async {
        let mut original = Original::delta("/t", 4).await;
        let damaged = original.objects["p=a/file-2.parquet"].slice(0..20);
        original.objects.insert("p=a/file-2.parquet".into(), damaged);
        let table = original.lay_out().await;
        let finished = compacted(&original, &table, &everything()).await;
        assert_eq!((finished.outcome, finished.versions.len(), finished.report.groups_failed.len()), (Outcome::Partial, 1, 1));
        let files = ["p=a/file-0.parquet", "p=a/file-2.parquet", "p=b/part-00001-an-operation-p0-00000.parquet"];
        assert_eq!(original.live_files(&table).await, files);
        let now = objects(&table, &original.root).await;
        assert_eq!(now.keys().cloned().collect::<BTreeSet<_>>(), original.named(&now).await);
    });
}

#[test]
fn delta_suite_166_to_182_a_commit_says_what_it_did_and_changes_no_data() {
    runtime().block_on(async {
        let original = Original::delta("/t", 6).await;
        let table = original.lay_out().await;
        let finished = compacted(&original, &table, &everything()).await;
        let commit = actions(&original, &table, 7).await;
        let (added, removed) = (of_kind(&commit, "add"), of_kind(&commit, "remove"));
        assert!(added.iter().chain(&removed).all(|action| action["dataChange"] == false));
        assert_eq!((added.len() as u64, removed.len() as u64), (finished.report.files_added, finished.report.files_removed));
        let info = &of_kind(&commit, "commitInfo")[0];
        let sizes = |actions: &[Json]| actions.iter().map(|action| action["size"].as_u64().unwrap()).sum::<u64>().to_string();
        let metrics = &info["operationMetrics"];
        assert_eq!((&info["operation"], &info["readVersion"], &info["txnId"]), (&json!("OPTIMIZE"), &json!(6), &json!("an-operation-0")));
        let wanted = json!(["2", "6", sizes(&added), sizes(&removed), "2"]);
        let told =
            ["numAddedFiles", "numRemovedFiles", "numAddedBytes", "numRemovedBytes", "numDeletionVectorsRemoved"].map(|key| &metrics[key]);
        assert_eq!(json!(told), wanted);
    });
}
