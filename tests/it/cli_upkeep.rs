//! The built binary restores, names versions and writes manifests anew: exit statuses and documents as the command line promises them (P5, P8, P9).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{document, otf, status};
use crate::support::golden::copy;

/// Copies of fixtures, and the options by which the tool finds them where they are.
struct Tables {
    folder: tempfile::TempDir,
    moved: String,
}

impl Tables {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        for (name, fixture) in [("ice", "iceberg_v2_posdeletes"), ("delta", "delta_plain")] {
            copy(&fixtures.join(fixture), &folder.path().join(name));
        }
        let moved = "/tmp/otf-fixtures/0000000000000000/db/iceberg_v2_posdeletes=./ice".to_string();
        Self { folder, moved }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// Runs the tool; the document must come with this exit status.
    fn run(&self, expected: i32, words: &[&str]) -> Value {
        let output = otf(&self.path(), &[words, &["--map-location", &self.moved, "--output", "json"]].concat());
        assert_eq!(status(&output), expected, "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
        document(&output)
    }

    /// What the tool says to people.
    fn told(&self, words: &[&str]) -> String {
        let output = otf(&self.path(), &[words, &["--map-location", &self.moved]].concat());
        String::from_utf8(output.stdout).unwrap()
    }

    fn metadata_files(&self) -> usize {
        std::fs::read_dir(self.path().join("ice/metadata")).unwrap().count()
    }
}

/// The keys of a document, in its order.
fn keys(document: &Value) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

const KEYS: [&str; 13] = [
    "command",
    "table",
    "format",
    "operation_id",
    "outcome",
    "base_version",
    "versions",
    "before",
    "after",
    "plan",
    "report",
    "elapsed_ms",
    "peak_memory_bytes",
];

#[test]
fn a_tag_is_made_at_once_and_goes_only_where_somebody_agreed() {
    let tables = Tables::new();
    let made = tables.run(0, &["tag", "ice", "create", "eod", "--retain", "30d"]);
    assert_eq!(keys(&made), KEYS);
    let version = made["base_version"].as_str().unwrap();
    assert_eq!((&made["command"], &made["outcome"], &made["versions"]), (&json!("tag"), &json!("landed"), &json!([])));
    let plan = json!({"action": "create", "kind": "tag", "name": "eod", "from": null, "to": version, "max_ref_age_ms": 2_592_000_000_i64});
    assert_eq!((&made["plan"], &made["report"]), (&plan, &json!({"leftovers_removed": 0})));
    assert_eq!(made["before"], made["after"]);
    assert_eq!(tables.run(0, &["tag", "ice", "create", "eod"])["outcome"], "nothing-to-do");
    let listed = tables.run(0, &["tag", "ice", "list"]);
    assert_eq!((&listed["tags"][0]["name"], &listed["tags"][0]["version"]), (&json!("eod"), &json!(version)));
    assert!(tables.told(&["tag", "ice", "list"]).contains(" 30d"));
    assert_eq!(tables.run(0, &["query", "SELECT count(*) AS n FROM 'ice' VERSION AS OF 'eod'"])["n"], 45);
    let files = tables.metadata_files();
    assert_eq!(tables.run(0, &["tag", "ice", "drop", "eod"])["outcome"], "planned");
    assert_eq!(tables.run(0, &["tag", "ice", "drop", "eod", "--yes", "--dry-run"])["outcome"], "planned");
    assert!(tables.told(&["tag", "ice", "drop", "eod"]).ends_with("add --yes to carry this plan out\n"));
    assert_eq!(tables.metadata_files(), files);
    assert_eq!(tables.run(0, &["tag", "ice", "drop", "eod", "--yes"])["outcome"], "landed");
    assert_eq!(tables.run(0, &["tag", "ice", "drop", "eod", "--yes"])["outcome"], "nothing-to-do");
}

#[test]
fn what_cannot_be_named_is_said_with_the_status_of_its_kind() {
    let tables = Tables::new();
    let kind = |status: i32, words: &[&str]| tables.run(status, words)["error"]["kind"].clone();
    assert_eq!(kind(3, &["tag", "delta", "create", "x"]), "unsupported");
    assert_eq!(kind(3, &["tag", "ice", "create", "x", "--at", "77"]), "not-found");
    assert_eq!(kind(3, &["branch", "ice", "replace", "nobody", "--yes"]), "not-found");
    assert_eq!(kind(4, &["branch", "ice", "drop", "main", "--yes"]), "refused");
    assert_eq!(kind(2, &["tag", "ice", "create", "x", "--at", "2026-01-01T00:00:00"]), "usage");
    assert_eq!(kind(2, &["tag", "ice", "create", "x", "--retain", "soon"]), "usage");
    assert_eq!(kind(2, &["branch", "ice", "create", "x", "--min-snapshots-to-keep", "0"]), "usage");
    assert_eq!(kind(2, &["tag", "ice"]), "usage");
    assert_eq!(kind(3, &["restore", "ice", "--to", "77"]), "not-found");
    assert_eq!(kind(2, &["restore", "ice"]), "usage");
    assert_eq!(kind(2, &["manifests", "ice", "--target-size", "1KiB"]), "usage");
    assert_eq!(kind(2, &["manifests", "delta", "--spec-id", "0"]), "usage");
    let state = "ice/metadata/v3.metadata.json";
    for words in [&["tag", state, "create", "x"][..], &["restore", state, "--to", "77", "--yes"], &["manifests", state, "--yes"]] {
        assert_eq!(kind(4, words), "refused", "{words:?}");
    }
}

#[test]
fn a_branch_is_made_moved_forward_and_listed() {
    let tables = Tables::new();
    let history = tables.run(0, &["inspect", "ice", "--history"]);
    let first = history["history"][0]["version"].as_str().unwrap().to_string();
    tables.run(0, &["branch", "ice", "create", "audit", "--at", &first, "--max-snapshot-age", "2d", "--min-snapshots-to-keep", "3"]);
    assert_eq!(tables.run(0, &["query", "SELECT count(*) AS n FROM 'ice#audit'"])["n"], 60);
    let done = tables.run(0, &["branch", "ice", "fast-forward", "audit", "--to", "main"]);
    assert_eq!((&done["outcome"], &done["plan"]["from"]), (&json!("landed"), &json!(first)));
    assert_eq!(tables.run(4, &["branch", "ice", "fast-forward", "main", "--to", &first])["error"]["kind"], "refused");
    let listed = tables.run(0, &["branch", "ice", "list"]);
    let entries = listed["branches"].as_array().unwrap();
    assert_eq!(entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect::<Vec<_>>(), ["audit", "main"]);
    assert_eq!((&entries[0]["max_snapshot_age_ms"], &entries[0]["min_snapshots_to_keep"]), (&json!(172_800_000), &json!(3)));
}

#[test]
fn a_version_is_restored_where_somebody_agreed_and_both_formats_say_the_same_of_it() {
    let tables = Tables::new();
    let first = tables.run(0, &["inspect", "ice", "--history"])["history"][0]["version"].as_str().unwrap().to_string();
    for (table, to, rows) in [("ice", first.as_str(), [45, 60]), ("delta", "1", [60, 30])] {
        let planned = tables.run(0, &["restore", table, "--to", to]);
        assert_eq!(
            (&planned["outcome"], &planned["before"]["rows"], &planned["plan"]["result"]["rows"]),
            (&json!("planned"), &json!(rows[0]), &json!(rows[1]))
        );
        assert!(planned.get("after").is_none() && planned.get("report").is_none());
        let done = tables.run(0, &["restore", table, "--to", to, "--yes", "--verify"]);
        assert_eq!((&done["outcome"], &done["after"]), (&json!("landed"), &planned["plan"]["result"]), "{done}");
        assert_eq!(done["report"]["files_checked"], done["plan"]["result"]["files"]);
        assert_eq!(done["versions"].as_array().unwrap().len(), usize::from(table == "delta"));
        assert_eq!(tables.run(0, &["restore", table, "--to", to, "--yes"])["outcome"], "nothing-to-do");
        assert!(tables.told(&["restore", table, "--to", to]).ends_with("nothing to do\n"));
    }
}

#[test]
fn manifests_are_written_anew_and_a_delta_log_gets_its_checkpoint() {
    let tables = Tables::new();
    let done = tables.run(0, &["manifests", "ice", "--rewrite-all", "--yes"]);
    assert_eq!((&done["outcome"], &done["before"], done["versions"].as_array().unwrap().len()), (&json!("landed"), &done["after"], 1));
    let report = &done["report"];
    assert_eq!((&report["lists_removed"], &report["lists_added"], &report["lists_kept"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(tables.run(0, &["manifests", "ice", "--yes"])["outcome"], "nothing-to-do");
    let planned = tables.run(0, &["manifests", "delta"]);
    assert_eq!((&planned["outcome"], &planned["plan"]["groups"][0]["why"]), (&json!("planned"), &json!("no-checkpoint")));
    let done = tables.run(0, &["manifests", "delta", "--yes"]);
    assert_eq!((&done["outcome"], &done["versions"], &done["report"]["lists_added"]), (&json!("landed"), &json!([]), &json!(1)));
    assert!(tables.path().join("delta/_delta_log/00000000000000000002.checkpoint.parquet").exists());
    assert_eq!(tables.run(0, &["manifests", "delta", "--yes"])["outcome"], "nothing-to-do");
}

#[test]
fn a_file_that_was_gone_already_does_not_count_as_deleted_and_no_folder_of_notes_is_left() {
    let tables = Tables::new();
    let data = tables.path().join("ice/data");
    let old: Vec<PathBuf> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    let before = |verb: &str| tables.run(0, &[verb, "ice", "--dry-run"])["before"].clone();
    assert_eq!(before("orphans"), before("compact"), "counted with its deletes");
    tables.run(0, &["compact", "ice", "--rewrite-all", "--yes"]);
    assert_eq!(before("orphans"), before("compact"), "counted on the way");
    std::fs::remove_file(old.iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap()).unwrap();
    let age = ["--older-than", "0s", "--unsafe-retention"];
    let sum = |kinds: &Value| kinds.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    let planned = tables.run(0, &[&["expire", "ice", "--dry-run"], age.as_slice()].concat());
    let done = tables.run(0, &[&["expire", "ice", "--yes"], age.as_slice()].concat());
    let report = &done["report"];
    assert_eq!((&done["outcome"], &report["already_gone"]), (&json!("landed"), &json!(1)), "{done}");
    assert_eq!(sum(&report["deleted"]) + 1, sum(&planned["plan"]["delete"]));
    assert!(report["bytes_freed"].as_u64() < planned["plan"]["bytes"].as_u64() && report.get("bytes_noncurrent").is_none());
    assert!(!tables.path().join("ice/_otf").exists());
}
