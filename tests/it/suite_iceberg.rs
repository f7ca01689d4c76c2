//! Cases of Iceberg's own suite for `rewrite_data_files`, by their numbers in `docs/tests/peer-suites.md`. Those that other tests hold are named
//! there.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::error::Kind;
use otf::model::DataFile;
use otf::model::predicate::Predicate;
use otf::ops::compact::plan::Leave;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};
use otf::units::Bytes;
use serde_json::Value as Json;

use crate::marks::mark;
use crate::support::iceberg_table::{File, PLAIN, Recipe, unparted, write};
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, over, runtime};

type Table = Arc<dyn ObjectStore>;

const PARTED: Recipe = Recipe { parted_by: &["a", "b"], ..PLAIN };

/// Two files of three rows in each of four partitions.
async fn parted() -> Original {
    let partitions = [["1", "foo"], ["1", "bar"], ["2", "foo"], ["2", "bar"]];
    let files = (0..8_usize).zip((0..).step_by(3)).map(|(n, first)| File { partition: partitions[n / 2].to_vec(), ids: first..first + 3 });
    write(&PARTED, &files.collect::<Vec<_>>()).await
}

fn everything() -> Options {
    Options { rewrite_all: true, max_concurrent_groups: Some(1), ..Options::default() }
}

/// No file is too small or too large.
fn any_size() -> Options {
    Options { min_file_size: Some(Bytes(1)), ..Options::default() }
}

async fn compacted(original: &Original, table: &Table, options: &Options) -> Finished {
    original.compact(table, 1, "an-operation", options).await.unwrap()
}

async fn filter(original: &Original, table: &Table, text: &str) -> Option<Predicate> {
    let version = original.open(&over(table)).await.unwrap().load().await.unwrap();
    Some(otf::cli::filter::parse(text, &version.snapshot().schema).unwrap())
}

async fn files(original: &Original, table: &Table) -> Vec<DataFile> {
    let version = original.open(&over(table)).await.unwrap().load().await.unwrap();
    version.files(false).try_collect().await.unwrap()
}

/// What is done ends with the same rows, and leaves no file that nothing names.
async fn rows_unchanged(original: &Original, table: &Table) {
    assert_eq!(original.read(table).await, original.rows);
    let now = objects(table, &original.root).await;
    let named = original.named(&now).await;
    let strays: Vec<&String> = now.keys().filter(|key| !named.contains(*key) && !original.objects.contains_key(*key)).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

async fn nothing_changed(original: &Original, table: &Table, finished: &Finished) {
    assert_eq!((finished.outcome, finished.versions.len()), (Outcome::NothingToDo, 0));
    assert_eq!(objects(table, &original.root).await, original.objects);
}

#[test]
fn iceberg_suite_2_four_small_files_become_one_and_their_bytes_are_told() {
    runtime().block_on(async {
        let original = write(&PLAIN, &unparted(&[5, 5, 5, 5])).await;
        let table = original.lay_out().await;
        let sizes: u64 = original.objects.iter().filter(|(key, _)| key.starts_with("data/")).map(|(_, bytes)| bytes.len() as u64).sum();
        let done = compacted(&original, &table, &Options { min_input_files: Some(4), ..Options::default() }).await;
        assert_eq!((done.report.files_removed, done.report.files_added, done.report.bytes_removed), (4, 1, Bytes(sizes)));
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_3_each_partition_gets_one_file() {
    runtime().block_on(async {
        let original = parted().await;
        let table = original.lay_out().await;
        let done = compacted(&original, &table, &Options { min_input_files: Some(2), ..Options::default() }).await;
        assert_eq!((done.report.files_removed, done.report.files_added), (8, 4));
        let partitions: BTreeSet<String> = files(&original, &table).await.iter().map(|file| file.partition.display()).collect();
        assert_eq!(partitions.into_iter().collect::<Vec<_>>(), ["a=1/b=bar", "a=1/b=foo", "a=2/b=bar", "a=2/b=foo"]);
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_4_files_outside_a_filter_on_partitions_keep_their_paths() {
    runtime().block_on(async {
        let original = parted().await;
        let table = original.lay_out().await;
        let before = original.live_files(&table).await;
        let chosen = filter(&original, &table, "a = '1' AND b LIKE 'foo%'").await;
        let done = compacted(&original, &table, &Options { filter: chosen, min_input_files: Some(2), ..Options::default() }).await;
        assert_eq!((done.report.files_removed, done.report.files_added, done.plan.left[0].files), (2, 1, 6));
        let after = original.live_files(&table).await;
        assert_eq!(before.iter().filter(|name| after.contains(name)).count(), 6);
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_7_files_without_a_live_row_go_with_their_deletes() {
    runtime().block_on(async {
        for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            let mut expected = original.rows.clone();
            mark(&original, &table, "everything-in-two", |file, _| file < 2, &mut expected).await;
            let done = compacted(&original, &table, &Options { delete_ratio: Some(0.8), ..any_size() }).await;
            assert_eq!((done.outcome, done.report.files_removed, done.report.files_added), (Outcome::Landed, 2, 0), "{fixture}");
            assert_eq!((done.after.files, done.after.rows, done.after.delete_files), (1, expected.len() as u64, 1), "{fixture}");
            assert_eq!(original.read(&table).await, expected, "{fixture}");
        }
    });
}

#[test]
fn iceberg_suite_8_and_9_a_share_of_deleted_rows_decides_whatever_the_sizes() {
    runtime().block_on(async {
        for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            let options = Options { delete_ratio: Some(0.4), ..any_size() };
            // A quarter of the rows is deleted, of no file much more.
            let done = compacted(&original, &table, &options).await;
            nothing_changed(&original, &table, &done).await;
            let mut expected = original.rows.clone();
            mark(&original, &table, "half-and-more", |_, position| position % 2 == 1, &mut expected).await;
            let done = compacted(&original, &table, &options).await;
            assert_eq!((done.outcome, done.report.files_removed, done.after.delete_files), (Outcome::Landed, 3, 0), "{fixture}");
            assert_eq!(original.read(&table).await, expected, "{fixture}");
        }
    });
}

#[test]
fn iceberg_suite_10_a_number_of_delete_files_decides() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let table = original.lay_out().await;
        let mut expected = original.rows.clone();
        mark(&original, &table, "one-more-for-two-files", |file, position| file > 0 && position < 5, &mut expected).await;
        let of_first = files(&original, &table).await[0].clone();
        assert_eq!(of_first.deletes.len(), 1);
        let options = Options { delete_file_threshold: Some(2), delete_ratio: Some(1.0), ..any_size() };
        let done = compacted(&original, &table, &options).await;
        assert_eq!((done.report.files_removed, done.report.files_added, done.after.delete_files), (2, 1, 1));
        assert!(files(&original, &table).await.iter().any(|file| file.id() == of_first.id()));
        assert_eq!(original.read(&table).await, expected);
    });
}

#[test]
fn iceberg_suite_17_a_version_1_table_keeps_sequence_number_0() {
    runtime().block_on(async {
        let original = Original::iceberg_whole("iceberg_v1").await;
        let table = original.lay_out().await;
        assert_eq!(compacted(&original, &table, &everything()).await.after.files, 1);
        let now = objects(&table, &original.root).await;
        let metadata: Json = serde_json::from_slice(&now["metadata/v3.metadata.json"]).unwrap();
        assert_eq!(metadata["format-version"], 1);
        assert!(metadata["last-sequence-number"].as_i64().is_none_or(|number| number == 0));
        for snapshot in metadata["snapshots"].as_array().unwrap() {
            assert!(snapshot["sequence-number"].as_i64().is_none_or(|number| number == 0), "{snapshot}");
        }
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_18_a_filter_chooses_whole_files_and_loses_no_row() {
    runtime().block_on(async {
        let original = write(&PLAIN, &unparted(&[5, 5, 5, 5])).await;
        let table = original.lay_out().await;
        let before = original.live_files(&table).await;
        let options = Options { filter: filter(&original, &table, "id >= 3 AND id < 7").await, ..everything() };
        let done = compacted(&original, &table, &options).await;
        assert_eq!((done.report.files_removed, done.report.files_added), (2, 1));
        assert_eq!(original.live_files(&table).await.iter().filter(|name| before.contains(name)).count(), 2);
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_22_to_24_groups_and_snapshots_are_as_many_as_were_asked_for() {
    runtime().block_on(async {
        let original = write(&PLAIN, &unparted(&[5; 20])).await;
        let largest = original.objects.iter().filter(|(key, _)| key.starts_with("data/")).map(|(_, bytes)| bytes.len() as u64).max();
        for (allowed, made) in [(Some(10), 10), (None, 1), (Some(3), 3), (Some(99), 10)] {
            let table = original.lay_out().await;
            let max_group_size = largest.map(|size| Bytes(size * 2));
            let options = Options { max_group_size, partial_progress: allowed, min_input_files: Some(2), ..Options::default() };
            let done = compacted(&original, &table, &options).await;
            assert_eq!((done.report.groups_done, done.versions.len(), done.report.files_added), (10, made, 10), "{allowed:?}");
            assert!(done.plan.groups.iter().all(|group| group.files == 2));
            rows_unchanged(&original, &table).await;
        }
    });
}

#[test]
fn iceberg_suite_30_what_landed_before_a_failing_commit_stays_and_the_rest_is_told() {
    runtime().block_on(async {
        let original = parted().await;
        let options = Options { partial_progress: Some(4), ..everything() };
        let rehearsal = Faults::none();
        compacted(&original, &rehearsal.over(original.lay_out().await), &options).await;
        let is_claim = |call: &otf::store::faulty::Call| call.operation == "claim" && call.key.ends_with(".metadata.json");
        let calls = rehearsal.calls();
        let claims: Vec<usize> = (0..calls.len()).filter(|at| is_claim(&calls[*at])).collect();
        assert_eq!(claims.len(), 4);
        let table = original.lay_out().await;
        let faults = Faults::at(claims[2] as u64 + 1, Fault::KillBefore);
        let struck = original.compact(&faults.over(Arc::clone(&table)), 1, "an-operation", &options).await;
        assert!(struck.is_err() || struck.unwrap().outcome == Outcome::Partial);
        assert_eq!(original.read(&table).await, original.rows);
        assert_eq!(files(&original, &table).await.len(), 6, "two groups of four have landed");
        // The next run finds the files of the commit that failed, and finishes.
        let done =
            original.compact(&table, 2, "another-operation", &Options { min_input_files: Some(2), ..Options::default() }).await.unwrap();
        assert_eq!((done.outcome, done.after.files), (Outcome::Landed, 4));
        rows_unchanged(&original, &table).await;
    });
}

/// Runs the binary with these options; status and kind of error.
fn refused(words: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    crate::support::golden::copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &folder.path().join("t"));
    let words = [&["compact", "t", "--yes", "--output", "json"], words].concat();
    let output =
        Command::new(env!("CARGO_BIN_EXE_otf")).args(&words).current_dir(folder.path()).env_clear().env("HOME", folder.path()).output();
    let output = output.unwrap();
    let document: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert_eq!(std::fs::read_dir(folder.path().join("t/_delta_log")).unwrap().count(), log_entries(), "{words:?} wrote");
    (output.status.code().unwrap(), document["error"]["kind"].as_str().unwrap_or_default().to_string())
}

fn log_entries() -> usize {
    std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain/_delta_log")).unwrap().count()
}

#[test]
fn iceberg_suite_33_numbers_below_one_and_unknown_options_are_refused_before_any_work() {
    for option in [
        "partial-progress.max-commits=0",
        "partial-progress.max-commits=-1",
        "max-concurrent-file-group-rewrites=0",
        "max-concurrent-file-group-rewrites=-5",
        "min-input-files=0",
        "foobarity=-5",
        "rewrite-job-order=foo",
    ] {
        assert_eq!(refused(&["--option", option]), (2, "usage".into()), "{option}");
    }
    for flag in ["--partial-progress=0", "--max-concurrent-groups=0", "--min-input-files=0", "--delete-ratio=0", "--delete-ratio=1.1"] {
        assert_eq!(refused(&[flag]), (2, "usage".into()), "{flag}");
    }
}

#[test]
fn iceberg_suite_31_and_34_to_42_what_this_version_lacks_is_refused_by_name() {
    for words in [
        &["--option", "partial-progress.max-failed-commits=0"][..],
        &["--option", "max-file-group-input-files=2"],
        &["--strategy", "sort"],
        &["--strategy", "sort", "--order-by", "id DESC"],
        &["--strategy", "zorder", "--columns", "id"],
        &["--strategy", "hilbert", "--columns", "id"],
        &["--strategy", "binpack", "--order-by", "id"],
    ] {
        let (status, kind) = refused(words);
        assert!([(2, "usage"), (3, "unsupported")].contains(&(status, kind.as_str())), "{words:?}: {status} {kind}");
    }
}

#[test]
fn iceberg_suite_46_a_compacted_file_keeps_its_sequence_number_when_the_table_is_upgraded() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let table = original.lay_out().await;
        assert_eq!(compacted(&original, &table, &everything()).await.outcome, Outcome::Landed);
        rivals::commit(&original, &table, Deed::Rules).await;
        rivals::commit(&original, &table, Deed::Append).await;
        let compact = files(&original, &table).await.into_iter().find(|file| file.path().contains("an-operation")).unwrap();
        // The rows came with the first snapshot; their deletes with the second.
        assert_eq!(compact.lineage.as_ref().map(|lineage| lineage.sequence), Some(1));
    });
}

#[test]
fn iceberg_suite_48_a_filter_that_no_row_passes_makes_no_snapshot_and_one_that_all_pass_is_none() {
    runtime().block_on(async {
        let original = write(&PLAIN, &unparted(&[5; 4])).await;
        let table = original.lay_out().await;
        let never = Options { filter: filter(&original, &table, "id < 0").await, ..everything() };
        let done = compacted(&original, &table, &never).await;
        assert_eq!(done.plan.left[0].why, Leave::FilteredOut);
        nothing_changed(&original, &table, &done).await;
        let always = Options { filter: filter(&original, &table, "id >= 0 OR id IS NULL").await, ..everything() };
        assert_eq!(compacted(&original, &table, &always).await.report.files_removed, 4);
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_49_and_51_odd_names_are_found_in_any_case_and_kept() {
    runtime().block_on(async {
        let recipe = Recipe { names: ["The Id", "a.b c"], parted_by: &["pQ"], ..PLAIN };
        let file = |n: i64| File { partition: vec!["x y/ü%"], ids: n * 4..n * 4 + 4 };
        let original = write(&recipe, &[file(0), file(1), file(2)]).await;
        let table = original.lay_out().await;
        let version = original.open(&over(&table)).await.unwrap().load().await.unwrap();
        let wrong = otf::cli::filter::parse("nothing < 8", &version.snapshot().schema).unwrap_err();
        assert_eq!(wrong.kind(), Kind::Usage);
        let options = Options { filter: filter(&original, &table, "\"The Id\" < 8 AND PQ = 'x y/ü%'").await, ..everything() };
        let done = compacted(&original, &table, &options).await;
        assert_eq!((done.report.files_removed, done.report.files_added), (2, 1));
        rows_unchanged(&original, &table).await;
    });
}

#[test]
fn iceberg_suite_52_a_branch_without_a_name_is_none() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::golden::copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &folder.path().join("t"));
    for reference in ["t#", "t# "] {
        let words = ["compact", reference, "--rewrite-all", "--yes", "--output", "json"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_otf")).args(words).current_dir(folder.path()).env_clear().env("HOME", folder.path()).output();
        assert_eq!(output.unwrap().status.code(), Some(3), "{reference}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("t/_delta_log")).unwrap().count(), log_entries());
}
