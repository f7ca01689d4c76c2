//! `otf inspect`, with every listing and with its page, on every Delta and Iceberg table of `$OTF_GOLDEN`: it ends with 0, or says by its kind
//! of error why the table cannot be read. Those tables are listed in `inspect_golden.txt`; `OTF_BLESS=1` writes the list anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::golden::{Moved, folder, tables};

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/inspect_golden.txt");

#[expect(clippy::disallowed_methods, reason = "the list is written anew where the environment asks for it")]
fn blessed() -> bool {
    std::env::var("OTF_BLESS").is_ok()
}

fn has_metadata(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder.join("metadata")).into_iter().flatten();
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".metadata.json"))
}

#[test]
fn every_golden_table_that_can_be_read_is_described() {
    let Some(golden) = folder() else { return eprintln!("OTF_GOLDEN is not set: no golden tables were read") };
    let delta = tables(&golden.join("delta"), &|folder| folder.join("_delta_log").is_dir());
    let iceberg = tables(&golden.join("iceberg"), &has_metadata);
    let (mut unread, mut described) = (String::new(), 0);
    let scratch = tempfile::tempdir().unwrap();
    for (table, format) in delta.into_iter().map(|table| (table, "delta")).chain(iceberg.into_iter().map(|table| (table, "iceberg"))) {
        let name = table.strip_prefix(&golden).unwrap().to_string_lossy().to_string();
        match kind(&table, format, scratch.path()) {
            None => described += 1,
            Some(kind) => unread.push_str(&format!("{name}: {kind}\n")),
        }
    }
    if blessed() {
        std::fs::write(LIST, &unread).unwrap();
    }
    assert_eq!(unread, std::fs::read_to_string(LIST).unwrap());
    assert!(described > 200, "{described}");
}

/// Inspects `table` where it lies; the kind of error, if there is one.
fn kind(table: &Path, format: &str, scratch: &Path) -> Option<String> {
    let page: PathBuf = scratch.join("page.html");
    let moved = Moved::new(table);
    let place = moved.home().map_or_else(|| table.to_str().unwrap().to_string(), ToString::to_string);
    let mut command = Command::new(env!("CARGO_BIN_EXE_otf"));
    command.args(["inspect", &place, "--table-format", format, "--output", "json", "--html"]).arg(&page).current_dir(scratch).env_clear();
    command.args(["--history", "--files", "--partitions", "--refs", "--properties"]);
    if moved.home().is_some() {
        command.args(["--map-location", &format!("{place}={}", table.display())]);
    }
    let output = command.output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}: {output:?}", table.display()));
    if output.status.code() == Some(0) {
        assert!(found["health"]["score"].as_u64().is_some_and(|score| score <= 100), "{}", table.display());
        assert!(std::fs::read_to_string(&page).unwrap().ends_with("</html>\n"));
        std::fs::remove_file(&page).unwrap();
        return None;
    }
    assert_eq!(output.status.code(), Some(3), "{}: {found}", table.display());
    assert!(!page.exists());
    Some(found["error"]["kind"].as_str().unwrap().to_string())
}
