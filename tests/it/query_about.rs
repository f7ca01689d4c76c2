//! Tables about tables: `$history`, `$snapshots`, `$files`, `$partitions`, `$refs`, `$manifests`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn otf(words: &[&str]) -> Output {
    let folder = fixtures();
    Command::new(env!("CARGO_BIN_EXE_otf")).arg("query").args(words).current_dir(&folder).env_clear().env("HOME", &folder).output().unwrap()
}

fn rows(sql: &str, more: &[&str]) -> Vec<Json> {
    let output = otf(&[&[sql, "--output", "json"], more].concat());
    assert!(output.status.success(), "{sql}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn row(sql: &str) -> String {
    let rows = rows(sql, &[]);
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].to_string()
}

fn refusal(sql: &str) -> (i32, String) {
    let output = otf(&[sql, "--output", "json"]);
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), document["error"]["kind"].as_str().unwrap().to_string())
}

/// Fixtures of Iceberg are read where their metadata says that they lie.
fn moved(name: &str) -> [String; 2] {
    let text = std::fs::read_dir(fixtures().join(name).join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    let file = text.filter(|path| path.to_string_lossy().ends_with(".metadata.json")).max().unwrap();
    let metadata: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    ["--map-location".into(), format!("{}={}", metadata["location"].as_str().unwrap(), fixtures().join(name).display())]
}

fn iceberg(name: &str, sql: &str) -> Vec<Json> {
    let moved = moved(name);
    rows(sql, &[&moved[0], &moved[1]])
}

#[test]
fn history_and_snapshots_of_a_delta_table_are_the_versions_of_its_log() {
    let history = rows("SELECT version, operation FROM './delta_dv$history' ORDER BY version", &[]);
    let versions: Vec<i64> = history.iter().map(|row| row["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [0, 1, 2]);
    assert_eq!(history[2]["operation"], "DELETE");
    let snapshots = row("SELECT count(*) AS n, min(parent_id) AS a, max(snapshot_id) AS b FROM \"./delta_dv$snapshots\"");
    assert_eq!(snapshots, "{\"n\":3,\"a\":0,\"b\":2}");
    // A state that is meant for every table says nothing of a table about all versions; a clause of its own is refused.
    assert_eq!(rows("SELECT * FROM './delta_dv$history'", &["--as-of", "1"]).len(), 3);
    assert_eq!(refusal("SELECT * FROM './delta_dv$history' VERSION AS OF 1"), (2, "usage".into()));
}

#[test]
fn files_are_those_of_the_version_that_is_asked_for() {
    let deletes = |clause: &str| {
        let sum = "sum(record_count) AS rows, sum(deleted_record_count) AS deleted, max(delete_files) AS most";
        row(&format!("SELECT {sum} FROM './delta_dv$files' {clause}"))
    };
    assert_eq!(deletes("VERSION AS OF 1"), "{\"rows\":60,\"deleted\":0,\"most\":0}");
    assert_eq!(deletes(""), "{\"rows\":60,\"deleted\":15,\"most\":1}");
    let named = ["--table", "t=./delta_dv", "--as-of", "1"];
    assert_eq!(rows("SELECT sum(deleted_record_count) AS n FROM \"t$files\"", &named)[0]["n"], 0);
    let bounds = rows("SELECT readable_metrics['id'] AS m FROM './delta_plain$files' ORDER BY file_path", &[]);
    assert!(bounds.iter().any(|row| row["m"]["lower_bound"] == "0" && row["m"]["null_value_count"] == 0), "{bounds:?}");
    let joined = "SELECT count(*) AS n FROM './delta_dv$files' f JOIN './delta_dv$files' VERSION AS OF 1 g ON f.file_path = g.file_path";
    assert_eq!(row(joined), "{\"n\":3}");
}

#[test]
fn partitions_sum_up_their_files_and_null_is_a_partition() {
    let sql = "SELECT partition['p'] AS p, record_count, file_count FROM './delta_partitioned_odd_names$partitions' ORDER BY p NULLS LAST";
    let found = rows(sql, &[]);
    let names: Vec<&Json> = found.iter().map(|row| &row["p"]).collect();
    assert_eq!(names, ["50%", "a b", "x+y#?&", "ü/ö=😀"].map(Json::from).iter().chain([&Json::Null]).collect::<Vec<_>>());
    assert_eq!((&found[1]["record_count"], &found[1]["file_count"]), (&Json::from(8), &Json::from(2)));
}

#[test]
fn snapshots_references_manifests_and_files_of_an_iceberg_table_are_told() {
    let name = "iceberg_v3_dv";
    let snapshots = iceberg(name, &format!("SELECT snapshot_id, parent_id, operation FROM './{name}$snapshots' ORDER BY committed_at"));
    let history = iceberg(name, &format!("SELECT snapshot_id, is_current_ancestor FROM './{name}$history' ORDER BY made_current_at"));
    assert_eq!(snapshots.len(), history.len());
    assert_eq!(snapshots.last().unwrap()["snapshot_id"], history.last().unwrap()["snapshot_id"]);
    assert!(history.iter().all(|row| row["is_current_ancestor"] == true));
    let refs = iceberg(name, &format!("SELECT name, type, snapshot_id FROM './{name}$refs'"));
    assert_eq!((refs.len(), &refs[0]["name"], &refs[0]["type"]), (1, &Json::from("main"), &Json::from("BRANCH")));
    assert_eq!(refs[0]["snapshot_id"], history.last().unwrap()["snapshot_id"]);
    let manifests = iceberg(
        name,
        &format!(
            "SELECT content, sum(added_data_files_count + existing_data_files_count) AS n FROM './{name}$manifests' GROUP BY content ORDER BY content"
        ),
    );
    let files = iceberg(name, &format!("SELECT count(*) AS n FROM './{name}$files'"));
    assert_eq!((manifests.len(), &manifests[0]["n"]), (2, &files[0]["n"]));
    // An earlier snapshot has only the manifests it was made with.
    let first = &snapshots[0]["snapshot_id"];
    let before = iceberg(name, &format!("SELECT count(*) AS n FROM './{name}$manifests' VERSION AS OF {first}"));
    let now = iceberg(name, &format!("SELECT count(*) AS n FROM './{name}$manifests'"));
    assert!(before[0]["n"].as_i64() < now[0]["n"].as_i64(), "{before:?} {now:?}");
}

#[test]
fn what_a_format_does_not_have_is_refused_by_name() {
    assert_eq!(refusal("SELECT * FROM './delta_plain$refs'"), (3, "unsupported".into()));
    assert_eq!(refusal("SELECT * FROM './delta_plain$manifests'"), (3, "unsupported".into()));
    assert_eq!(refusal("SELECT * FROM './nothing$files'"), (3, "not-found".into()));
    assert_eq!(refusal("SELECT * FROM './delta_plain$columns'"), (3, "not-found".into()));
}

#[test]
fn show_and_explain_speak_of_the_same_tables() {
    let columns = rows("SHOW COLUMNS FROM './delta_dv$history'", &[]);
    let names: Vec<&Json> = columns.iter().map(|row| &row["column_name"]).collect();
    assert_eq!(names, ["version", "timestamp", "operation", "operation_metrics"].map(Json::from).iter().collect::<Vec<_>>());
    let document = otf(&["SELECT id FROM './delta_partitioned_odd_names' WHERE p = 'a b'", "--explain", "--output", "json"]);
    let document: Json = serde_json::from_slice(&document.stdout).unwrap();
    let files = &document["tables"][0]["files"];
    assert_eq!((&document["outcome"], &files["read"]["files"]), (&Json::from("planned"), &Json::from(2)));
    assert!(files["skipped"]["partition"]["files"].as_u64() > Some(0) && files["skipped_files"].as_array().unwrap().len() > 1);
    let text = String::from_utf8(otf(&["SELECT id FROM './delta_plain' WHERE id < 3", "--explain"]).stdout).unwrap();
    assert!(text.contains("files skipped by statistics") && text.contains("ScanFiles:"), "{text}");
    assert_eq!(otf(&["SELECT 1", "--explain", "--output", "csv"]).status.code(), Some(2));
}
