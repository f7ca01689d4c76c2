//! Cases of Delta's own suites for `VACUUM`, retention and old versions (Spark's and delta-rs'), by their numbers in `docs/tests/peer-suites.md`.
//! Those that other tests hold are named there.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use object_store::ObjectStore;
use otf::model::Version;
use otf::ops::document::Outcome;
use otf::ops::expire;
use otf::ops::expire::plan::Wishes;
use otf::ops::orphans::Options;
use otf::ops::orphans::plan::Why;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};

use crate::cli::{document, otf, status};
use crate::support::aged::Aged;
use crate::support::expiry::{everything, expire_table};
use crate::support::golden::copy;
use crate::support::lake::Lake;
use crate::support::orphans::{Bed, defaults, place, stay};
use crate::support::workbench::{Original, objects, over, runtime};

/// The actions of a table's first version, partitioned by these text columns.
pub(crate) fn head(parted_by: &[&str], configuration: &Json) -> Vec<Json> {
    let column = |name: &&str| json!({"name": name, "type": "string", "nullable": true, "metadata": {}});
    let columns: Vec<Json> = ["v"].iter().chain(parted_by).map(column).collect();
    let schema = json!({"type": "struct", "fields": columns}).to_string();
    vec![
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
            "partitionColumns": parted_by, "configuration": configuration, "createdTime": 0}}),
    ]
}

/// An `add` of a file, whose folders are its partition.
pub(crate) fn add(path: &str) -> Json {
    let values: serde_json::Map<String, Json> =
        path.split('/').filter_map(|part| part.split_once('=')).map(|(key, value)| (key.to_string(), value.into())).collect();
    json!({"add": {"path": path, "partitionValues": values, "size": 7, "modificationTime": 0, "dataChange": true,
        "stats": "{\"numRecords\":1}"}})
}

fn remove(path: &str, time: i64) -> Json {
    json!({"remove": {"path": path, "deletionTimestamp": time, "dataChange": true, "extendedFileMetadata": false}})
}

/// A copy of a fixture as the folder `t`.
fn fixture(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name), &folder.path().join("t"));
    folder
}

fn entries(folder: &Path) -> usize {
    let below = |entry: std::fs::DirEntry| if entry.path().is_dir() { entries(&entry.path()) + 1 } else { 1 };
    std::fs::read_dir(folder).unwrap().map(|entry| below(entry.unwrap())).sum()
}

#[test]
fn delta_suite_183_what_is_no_table_is_refused_and_nothing_is_deleted_or_made() {
    let folder = fixture("delta_partitioned_odd_names");
    std::fs::create_dir_all(folder.path().join("plain/data")).unwrap();
    std::fs::write(folder.path().join("plain/data/f.parquet"), "x").unwrap();
    let inner = std::fs::read_dir(folder.path().join("t")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let partition = format!("t/{}", inner.into_iter().find(|name| name.contains('=')).unwrap());
    let before = entries(folder.path());
    for verb in ["orphans", "expire"] {
        for place in ["plain", "plain/data", &partition, "nothing"] {
            let words = [verb, place, "--older-than", "0s", "--unsafe-retention", "--yes", "--output", "json"];
            let output = otf(folder.path(), &words);
            assert_eq!((status(&output), &document(&output)["error"]["kind"]), (3, &json!("not-found")), "{words:?}");
            assert_eq!(entries(folder.path()), before, "{words:?}");
        }
    }
}

#[test]
fn delta_suite_184_and_202_hidden_files_and_the_log_stay_and_foreign_names_go() {
    runtime().block_on(async {
        let bed = Bed::with_log("/w/t", &[head(&[], &json!({})), vec![add("live")]]).await;
        let hidden = ["_hidden_dir/f", "_hidden_dir/x/f", ".hidden", "x/.hidden", ".gitkeep", "_delta_log/stray", "_delta_log/.tmp/f"];
        for below in hidden.iter().chain(&["live", "README.md", "x/foreign.txt"]) {
            bed.plant(below, 10).await;
        }
        let done = bed.deletes(&defaults(), &["README.md", "x/foreign.txt"]).await;
        assert_eq!(stay(&done, Why::Hidden), hidden.len() as u64);
    });
}

#[test]
fn delta_suite_185_and_201_folders_of_partitions_are_searched_at_every_level_whatever_they_are_called() {
    runtime().block_on(async {
        let bed = Bed::with_log("/w/t", &[head(&["_p", "q"], &json!({})), vec![add("_p=1/q=a/live")]]).await;
        let strays = ["_p=1/q=a/stray", "_p=1/q=b/stray", "_p=2/q=a/stray", "_p=__HIVE_DEFAULT_PARTITION__/q=a/stray", "_p=1/stray"];
        for below in strays.iter().chain(&["_p=1/q=a/live", "_other=1/f"]) {
            bed.plant(below, 10).await;
        }
        bed.deletes(&defaults(), &strays).await;
    });
}

#[test]
fn delta_suite_186_and_200_what_is_not_committed_stays_while_young_and_what_was_removed_lately_is_no_orphan() {
    runtime().block_on(async {
        let lately = crate::support::NOON - 86_400_000;
        let commits = [head(&[], &json!({})), vec![add("live"), add("removed")], vec![remove("removed", lately)], vec![add("another")]];
        let bed = Bed::with_log("/w/t", &commits).await;
        for (below, days) in [("live", 10), ("removed", 10), ("another", 10), ("uncommitted", 2), ("left-behind", 4)] {
            bed.plant(below, days).await;
        }
        let done = bed.deletes(&defaults(), &["left-behind"]).await;
        assert_eq!(stay(&done, Why::Young), 1);
        bed.deletes(&Options { older_than_ms: 86_400_000, ..defaults() }, &["uncommitted"]).await;
    });
}

#[test]
fn delta_suite_188_the_tables_folder_stays_and_so_do_folders_that_have_become_empty() {
    let folder = fixture("delta_plain");
    std::fs::create_dir_all(folder.path().join("t/x/y")).unwrap();
    std::fs::write(folder.path().join("t/x/y/stray.parquet"), "x").unwrap();
    let words = ["orphans", "t", "--older-than", "0s", "--unsafe-retention", "--yes", "--output", "json"];
    for deleted in [1, 0] {
        let done = document(&otf(folder.path(), &words));
        assert_eq!(done["report"]["deleted"], json!(deleted), "{done}");
        // A writer that found its folder there may be about to write into it.
        assert!(folder.path().join("t/x/y").is_dir());
    }
}

/// An expiry of everything but the newest version, or what `wishes` say.
async fn expired(original: &Original, table: &Arc<dyn ObjectStore>, wishes: Wishes) -> expire::Finished {
    // Its commits are ten days old.
    let aged: Arc<dyn ObjectStore> = Aged::new(Arc::clone(table));
    let opened = original.open(&over(&aged)).await.unwrap();
    let options = expire::Options { wishes, ..everything() };
    expire_table(&*opened, &aged, (1, "0c1d8dd9-8b2e-4b23-a1b1-a2f2b0e5a001"), &options).await.unwrap().0
}

/// The table of [`Original::delta`] with further commits.
async fn with_commits(commits: &[Vec<Json>]) -> (Original, Arc<dyn ObjectStore>) {
    let original = Original::delta("/t", 4).await;
    let table = original.lay_out().await;
    for (actions, version) in commits.iter().zip(5..) {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        original.put_new(&table, &format!("_delta_log/{version:020}.json"), text.into_bytes()).await;
    }
    (original, table)
}

#[test]
fn delta_suite_189_files_outside_the_tables_folder_are_never_deleted() {
    runtime().block_on(async {
        let elsewhere = "file:///source/p=a/theirs.parquet";
        let (original, table) = with_commits(&[vec![add(elsewhere)], vec![remove(elsewhere, 1), remove("p=b/file-1.parquet", 1)]]).await;
        over(&table).put(&place("/source/p=a/theirs.parquet"), b"theirs".to_vec().into()).await.unwrap();
        let rows = original.read(&table).await;
        let done = expired(&original, &table, everything().wishes).await;
        assert_eq!((done.outcome, done.report.left.len(), done.report.left[0].files), (Outcome::Landed, 1, 1));
        assert!(over(&table).head(&place("/source/p=a/theirs.parquet")).await.is_ok());
        assert!(!objects(&table, &original.root).await.contains_key("p=b/file-1.parquet"));
        assert_eq!(original.read(&table).await, rows);
    });
}

#[test]
fn delta_suite_191_and_194_ages_below_nothing_and_no_age_at_all_are_refused_with_vectors_or_without() {
    for name in ["delta_plain", "delta_dv"] {
        let folder = fixture(name);
        let before = entries(folder.path());
        for (words, expected) in [
            (&["expire", "t", "--older-than", "0s"][..], 4),
            (&["orphans", "t", "--older-than", "0s"], 4),
            (&["orphans", "t", "--older-than=-7d", "--unsafe-retention"], 2),
            (&["expire", "t", "--older-than=-7d", "--unsafe-retention"], 2),
        ] {
            assert_eq!(status(&otf(folder.path(), &[words, &["--yes"]].concat())), expected, "{name}: {words:?}");
            assert_eq!(entries(folder.path()), before, "{name}: {words:?}");
        }
    }
}

#[test]
fn delta_suite_199_the_files_of_a_version_that_is_to_be_kept_stay_however_old_they_are() {
    runtime().block_on(async {
        let commits = [vec![remove("p=b/file-1.parquet", 1)], vec![remove("p=a/file-2.parquet", 1)], vec![add("p=a/new")]];
        let (original, table) = with_commits(&commits).await;
        let pinned = Wishes { pins: [Version(5)].into(), ..everything().wishes };
        let done = expired(&original, &table, pinned).await;
        assert_eq!((done.outcome, done.report.expired.join(",")), (Outcome::Landed, "0,1,2,3,4".into()));
        let left = objects(&table, &original.root).await;
        let data: Vec<&str> = left.keys().map(String::as_str).filter(|name| name.ends_with(".parquet") && !name.starts_with('_')).collect();
        assert_eq!(data, ["p=a/file-0.parquet", "p=a/file-2.parquet", "p=b/file-3.parquet"]);
    });
}

/// Runs a query in `folder`: the exit status and the document, or the first row.
fn query(folder: &Path, sql: &str) -> (i32, Json) {
    let output = otf(folder, &["query", sql, "--output", "json"]);
    let first = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let whole = serde_json::from_slice(&output.stdout).or_else(|_| serde_json::from_slice(first));
    (status(&output), whole.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout))))
}

#[test]
fn delta_suite_207_and_208_a_time_is_the_commit_before_it_and_version_and_time_at_once_are_none() {
    let folder = fixture("delta_plain");
    let set = |version: usize, secs: u64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
        let file = std::fs::File::options().append(true).open(folder.path().join(format!("t/_delta_log/{version:020}.json")));
        file.unwrap().set_modified(time).unwrap();
    };
    (0..3).for_each(|version| set(version, 1_767_225_600 + 3_600 * version as u64));
    let count = |state: &str| query(folder.path(), &format!("SELECT count(*) AS n FROM 't' {state}")).1["n"].clone();
    let versions = [0, 1, 2].map(|version| count(&format!("VERSION AS OF {version}")));
    assert!(versions[0] != versions[1] && versions[1] != versions[2], "{versions:?}");
    for (time, version) in [("00:00:00", 0), ("00:59:59", 0), ("01:00:00", 1), ("01:30:00", 1), ("02:00:00", 2), ("23:00:00", 2)] {
        assert_eq!(count(&format!("TIMESTAMP AS OF '2026-01-01T{time}Z'")), versions[version], "{time}");
    }
    let (exit, before) = query(folder.path(), "SELECT * FROM 't' TIMESTAMP AS OF '2025-12-31T23:59:59Z'");
    assert_eq!((exit, &before["error"]["kind"]), (3, &json!("not-found")), "{before}");
    assert!(before.to_string().contains("2026-01-01T00:00:00"), "the first time there is: {before}");
    for both in ["VERSION AS OF 1 TIMESTAMP AS OF '2026-01-01T00:00:00Z'", "TIMESTAMP AS OF '2026-01-01T00:00:00Z' VERSION AS OF 1"] {
        assert_eq!(query(folder.path(), &format!("SELECT * FROM 't' {both}")).0, 2, "{both}");
    }
    let words = ["restore", "t", "--to", "1", "--to", "2026-01-01T00:00:00Z", "--yes"];
    assert_eq!(status(&otf(folder.path(), &words)), 2);
}

#[test]
fn delta_suite_209_and_210_each_version_is_read_under_its_own_columns_also_side_by_side() {
    runtime().block_on(async {
        let lake = Lake::new();
        lake.create("/t", &[("id", "long")], &[]).await;
        let ids = |ids: Vec<i64>| RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids)) as ArrayRef)]).unwrap();
        let stats = json!({"numRecords": 2});
        let add = lake.file("/t", "a", &ids(vec![1, 2]), WriterProperties::default(), &stats).await;
        lake.commit("/t", 1, &[add]).await;
        // Another column and another partitioning; every file is replaced.
        let mut newer = crate::support::lake::head(&[("id", "long"), ("v", "string"), ("p", "string")], &[], &json!({}))[1].clone();
        newer["metaData"]["partitionColumns"] = json!(["p"]);
        let mut add = lake.file("/t", "p=x/b", &ids(vec![3, 4]), WriterProperties::default(), &stats).await;
        add["add"]["partitionValues"] = json!({"p": "x"});
        lake.commit("/t", 2, &[newer, remove("a", 1), add]).await;
        assert_eq!(lake.rows("SELECT * FROM '/t' VERSION AS OF 1 ORDER BY id").await, ["1", "2"]);
        assert_eq!(lake.rows("SELECT * FROM '/t' VERSION AS OF 2 ORDER BY id").await, ["3|null|x", "4|null|x"]);
        let sides = "SELECT a.id, b.id, b.p FROM '/t' VERSION AS OF 1 a JOIN '/t' b ON b.id = a.id + 2 ORDER BY 1";
        assert_eq!(lake.rows(sides).await, ["1|3|x", "2|4|x"]);
    });
}

#[test]
fn delta_suite_215_a_version_whose_files_are_gone_is_read_whole_or_not_at_all() {
    let folder = fixture("delta_plain");
    let sql = "SELECT id FROM 't' VERSION AS OF 1";
    let (exit, first) = query(folder.path(), sql);
    assert!(exit == 0 && first["id"].is_i64(), "{first}");
    let parquet = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "parquet");
    let mut files: Vec<_> =
        std::fs::read_dir(folder.path().join("t")).unwrap().map(|entry| entry.unwrap().path()).filter(parquet).collect();
    files.sort();
    let log = std::fs::read_to_string(folder.path().join("t/_delta_log/00000000000000000001.json")).unwrap();
    let gone = files.into_iter().find(|file| log.contains(file.file_name().unwrap().to_str().unwrap())).unwrap();
    std::fs::remove_file(&gone).unwrap();
    let output = otf(folder.path(), &["query", "SELECT count(*) AS n FROM (SELECT v FROM 't' VERSION AS OF 1)", "--output", "json"]);
    let error = &document(&output)["error"];
    assert_eq!(status(&output), 3, "{error}");
    assert!(error.to_string().contains(gone.file_name().unwrap().to_str().unwrap()), "{error}");
}
