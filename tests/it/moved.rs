//! Copied tables, whose metadata names another place than where they lie, and branches: through the built binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Where the fixture's metadata says that it lies.
const HOME: &str = "/tmp/otf-fixtures/0000000000000000/db/iceberg_v2_posdeletes";

/// Runs the binary in `folder`; its exit status and document.
pub(crate) fn otf(folder: &Path, words: &[&str]) -> (i32, Value) {
    let words = [words, &["--output", "json"]].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_otf")).args(&words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"));
    (output.status.code().unwrap(), document)
}

/// A copy of the fixture: 60 rows, then 45 after a delete.
fn copied(folder: &Path) -> PathBuf {
    copy_of("iceberg_v2_posdeletes", folder)
}

/// A copy of `fixture` as `copy` in `folder`.
pub(crate) fn copy_of(fixture: &str, folder: &Path) -> PathBuf {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture), folder.join("copy"));
    for part in ["data", "metadata"] {
        std::fs::create_dir_all(to.join(part)).unwrap();
        for entry in std::fs::read_dir(from.join(part)).unwrap() {
            let entry = entry.unwrap();
            std::fs::write(to.join(part).join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    to
}

fn metadata(table: &Path, number: u32) -> Value {
    serde_json::from_slice(&std::fs::read(table.join(format!("metadata/v{number}.metadata.json"))).unwrap()).unwrap()
}

#[test]
fn a_copied_table_is_changed_through_a_mapping_and_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, table) = (folder.path(), copied(folder.path()));
    let (status, refused) = otf(folder, &["compact", "copy", "--rewrite-all", "--yes"]);
    assert_eq!((status, &refused["error"]["kind"]), (4, &json!("refused")));
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--map-location"));
    let mapping = format!("{HOME}=./copy");
    let (status, done) = otf(folder, &["compact", "copy", "--rewrite-all", "--yes", "--map-location", &mapping]);
    assert_eq!((status, &done["outcome"], &done["after"]["rows"]), (0, &json!("landed"), &json!(45)), "{done}");
    assert_eq!(done["table"], json!(format!("file://{HOME}")), "the table is called what its metadata calls it");
    let (before, after) = (metadata(&table, 3), metadata(&table, 4));
    assert!(after["snapshots"][2]["manifest-list"].as_str().unwrap().starts_with(before["location"].as_str().unwrap()));
    assert_eq!(after["location"], before["location"]);
    assert!(!Path::new(HOME).exists(), "nothing is written where the table does not lie");
    // Moved on, it is still whole.
    std::fs::rename(&table, folder.join("again")).unwrap();
    for reference in ["again", HOME] {
        let (status, seen) = otf(folder, &["inspect", reference, "--map-location", &format!("{HOME}=./again")]);
        assert_eq!((status, &seen["totals"]["rows"], &seen["totals"]["delete_files"]), (0, &json!(45), &json!(0)));
    }
}

#[test]
fn mappings_that_contradict_each_other_or_reach_into_a_catalog_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("otf.toml"), "[catalog.lake]\ntype = \"path\"\nwarehouse = \"/w\"\n").unwrap();
    for (words, status) in [
        (&["inspect", "t", "--map-location", "/a=/b", "--map-location", "/a=/c"][..], 2),
        (&["inspect", "t", "--map-location", "nothing"], 2),
        (&["inspect", "lake.db.t", "--map-location", "/a=/b"], 4),
    ] {
        assert_eq!(otf(folder, words).0, status, "{words:?}");
    }
}

#[test]
fn a_branch_is_compacted_alone_and_a_tag_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, table) = (folder.path(), copied(folder.path()));
    let mut document = metadata(&table, 3);
    let (first, second) = (document["snapshots"][0]["snapshot-id"].clone(), document["snapshots"][1]["snapshot-id"].clone());
    document["refs"]["dev"] = json!({"type": "branch", "snapshot-id": first});
    document["refs"]["v1"] = json!({"type": "tag", "snapshot-id": first});
    std::fs::write(table.join("metadata/v3.metadata.json"), document.to_string()).unwrap();
    let mapping = format!("{HOME}=./copy");
    let run = |words: &[&str]| otf(folder, &[words, &["--map-location", &mapping]].concat());
    let (_, seen) = run(&["inspect", "copy#dev", "--refs"]);
    let listed = |name: &str, kind: &str, version: &Value| json!({"name": name, "type": kind, "version": version.to_string()});
    let told = |one: &Value| json!({"name": one["name"], "type": one["type"], "version": one["version"]});
    let refs: Vec<Value> = seen["refs"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(json!(refs), json!([listed("dev", "branch", &first), listed("main", "branch", &second), listed("v1", "tag", &first)]));
    assert_eq!((&seen["reference"], &seen["totals"]["rows"], &seen["version"]), (&json!("dev"), &json!(60), &json!(first.to_string())));
    let (status, done) = run(&["compact", "copy#dev", "--rewrite-all", "--yes"]);
    assert_eq!((status, &done["outcome"], &done["after"]["rows"]), (0, &json!("landed"), &json!(60)), "{done}");
    let after = metadata(&table, 4);
    assert_eq!((&after["refs"]["main"]["snapshot-id"], &after["current-snapshot-id"]), (&second, &second));
    assert_eq!(after["refs"]["v1"], document["refs"]["v1"]);
    assert_eq!(json!(after["refs"]["dev"]["snapshot-id"].to_string()), done["versions"][0]);
    for (reference, rows) in [("copy", 45), ("copy#main", 45), ("copy#dev", 60), ("copy#v1", 60)] {
        assert_eq!(run(&["inspect", reference]).1["totals"]["rows"], json!(rows), "{reference}");
    }
    let (status, tag) = run(&["compact", "copy#v1", "--rewrite-all", "--yes"]);
    assert_eq!((status, &tag["error"]["context"]["tag"]), (4, &json!("v1")));
    let (status, unknown) = run(&["inspect", "copy#nothing"]);
    assert_eq!((status, &unknown["error"]["hint"]), (3, &json!("it has: dev, main, v1")));
}
