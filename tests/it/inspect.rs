//! `otf inspect` on every committed fixture: its text and its document are those in `inspect_snapshots`. `OTF_BLESS=1` writes them anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::golden::copy;

/// Where the metadata of Iceberg fixtures says that they lie.
const HOME: &str = "/tmp/otf-fixtures/0000000000000000/db";
const EVERYTHING: [&str; 4] = ["--history", "--files", "--partitions", "--properties"];

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// Runs the binary in `folder`; it must end with `status`.
fn otf(folder: &Path, status: i32, words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_otf")).args(words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{words:?}: {output:?}");
    output
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// Every fixture, copied into `folder`: names and whether they are Delta tables. Snapshots of copies never grow old.
fn fixtures(folder: &Path) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let is_delta = path.join("_delta_log").is_dir();
        if !is_delta && !path.join("metadata").is_dir() {
            continue;
        }
        copy(&path, &folder.join(&name));
        if !is_delta {
            keep_for_ever(&folder.join(&name));
        }
        found.push((name, is_delta));
    }
    found.sort();
    assert!(found.len() >= 12, "{found:?}");
    found
}

fn keep_for_ever(table: &Path) {
    let files = std::fs::read_dir(table.join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.to_str().unwrap().ends_with(".metadata.json")).max().unwrap();
    let mut metadata: Value = serde_json::from_slice(&std::fs::read(&newest).unwrap()).unwrap();
    metadata["properties"]["history.expire.max-snapshot-age-ms"] = json!((i64::MAX / 2).to_string());
    std::fs::write(&newest, metadata.to_string()).unwrap();
}

/// The words that inspect `name` at a place that is the same everywhere.
fn at_home(name: &str, is_delta: bool, words: &[&str]) -> Vec<String> {
    let (table, mapping) =
        if is_delta { (format!("/tables/{name}"), "/tables=.".to_string()) } else { (format!("{HOME}/{name}"), format!("{HOME}=.")) };
    let all = ["inspect", &table, "--map-location", &mapping].into_iter().chain(words.iter().copied());
    all.map(str::to_string).collect()
}

fn inspected(folder: &Path, (name, is_delta): &(String, bool), words: &[&str]) -> Output {
    let words = at_home(name, *is_delta, words);
    otf(folder, 0, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `text` with times replaced: Delta versions are as old as the copy of their commits.
fn timeless(text: &str) -> String {
    let is_time = |word: &str| word.len() == 24 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    let line = |line: &str| {
        let replaced = line.split(' ').map(|word| if is_time(word) { "(the time of the commit)" } else { word });
        replaced.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[expect(clippy::disallowed_methods, reason = "snapshots are written anew where the environment asks for it")]
fn blessed() -> bool {
    std::env::var("OTF_BLESS").is_ok()
}

/// Holds `found` against the snapshot `file`.
fn same(file: &str, found: &str) {
    let file = root("tests/it/inspect_snapshots").join(file);
    if blessed() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, found).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, known, "{} is stale: OTF_BLESS=1 cargo test --test it inspect", file.display());
}

#[test]
fn the_text_of_every_fixture_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures(folder.path()) {
        let output = inspected(folder.path(), &fixture, &EVERYTHING);
        let (start, rest) = stdout(&output).split_once("\n  took ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        let (before, history) = rest.split_once("\n             version  ").unwrap();
        let history = if fixture.1 { timeless(history) } else { history.to_string() };
        same(&format!("{}.txt", fixture.0), &format!("{start}\n{before}\n             version  {history}"));
    }
}

#[test]
fn the_document_of_every_fixture_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures(folder.path()) {
        let output = inspected(folder.path(), &fixture, &[&EVERYTHING[..], &["--refs", "--output", "json"]].concat());
        let mut found = document(&output);
        for varying in ["elapsed_ms", "peak_memory_bytes"] {
            assert!(found[varying].is_u64());
            found[varying] = json!(0);
        }
        for entry in found["history"].as_array_mut().unwrap().iter_mut().filter(|_| fixture.1) {
            entry["time"] = json!("(the time of the commit)");
        }
        same(&format!("{}.json", fixture.0), &format!("{found:#}\n"));
    }
}

#[test]
fn a_page_is_written_beside_the_document_and_replaces_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let fixtures = fixtures(folder);
    for fixture in &fixtures {
        let output = inspected(folder, fixture, &["--html", "page.html", "--output", "json"]);
        let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
        let found = document(&output);
        assert!(found["html"].as_str().unwrap().ends_with("/page.html"));
        assert!(page.contains(&format!("aria-label=\"score {} of 100\"", found["health"]["score"])), "{}", fixture.0);
        assert!(page.contains(&fixture.0) && page.ends_with("</html>\n") && !page.contains("<script"));
    }
    let dry = inspected(folder, &fixtures[0], &["--html", "other.html", "--dry-run", "--output", "json"]);
    assert!(!folder.join("other.html").exists() && document(&dry).get("html").is_none());
    let names = |end: &str| {
        std::fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(end)).count()
    };
    assert_eq!((names(".html"), names(".part")), (1, 0));
    let words = at_home(&fixtures[0].0, fixtures[0].1, &["--html", "none/page.html", "--output", "json"]);
    let refused = otf(folder, 2, &words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(document(&refused)["error"]["kind"], "usage");
}

#[test]
fn the_document_is_json_whatever_partitions_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("t/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let name = "a\u{7f}b\u{85}c\u{1b}\n";
    let column = |name: &str| json!({"name": name, "type": "string", "nullable": true, "metadata": {}});
    let schema = json!({"type": "struct", "fields": [column("v"), column("p")]}).to_string();
    let lines = [
        json!({"commitInfo": {"timestamp": 1, "operation": name}}),
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
            "partitionColumns": ["p"], "configuration": {}, "createdTime": 0}}),
        json!({"add": {"path": "f.parquet", "partitionValues": {"p": name}, "size": 700, "modificationTime": 1, "dataChange": true,
            "stats": "{\"numRecords\":1}"}}),
    ];
    std::fs::write(log.join("00000000000000000000.json"), lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let found = document(&otf(folder.path(), 0, &["inspect", "t", "--history", "--files", "--partitions", "--output", "json"]));
    assert_eq!(found["history"][0]["operation"], name);
    assert_eq!(found["files"][0]["partition"], format!("p={name}"), "{found}");
}

#[test]
fn branches_and_tags_are_told_with_their_age_and_their_rules() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy(&root("fixtures/iceberg_v2_posdeletes"), &folder.join("iceberg_v2_posdeletes"));
    let file = folder.join("iceberg_v2_posdeletes/metadata/v3.metadata.json");
    let mut metadata: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let first = metadata["snapshots"][0]["snapshot-id"].clone();
    metadata["snapshots"][0]["timestamp-ms"] = json!(1_000);
    metadata["refs"]["v\u{1b}[1"] = json!({"type": "tag", "snapshot-id": first, "max-ref-age-ms": 86_400_000});
    metadata["refs"]["main"]["min-snapshots-to-keep"] = json!(3);
    std::fs::write(&file, metadata.to_string()).unwrap();
    let fixture = ("iceberg_v2_posdeletes".to_string(), false);
    let found = document(&inspected(folder, &fixture, &["--refs", "--output", "json"]));
    let tag = &found["refs"][1];
    assert_eq!(
        (&tag["type"], &tag["time"], &tag["max_ref_age_ms"]),
        (&json!("tag"), &json!("1970-01-01T00:00:01.000Z"), &json!(86_400_000))
    );
    assert_eq!((&found["refs"][0]["name"], &found["refs"][0]["min_snapshots_to_keep"]), (&json!("main"), &json!(3)));
    let text = inspected(folder, &fixture, &["--refs", "--history"]);
    let lines: Vec<&str> = stdout(&text).lines().filter(|line| line.contains(r"v\u{1b}[1")).collect();
    assert!(lines.len() == 2 && lines[0].contains("years") && lines[0].contains("itself 1 day"), "{lines:?}");
    assert!(!stdout(&text).contains('\u{1b}'), "a name does not reach the terminal");
}
