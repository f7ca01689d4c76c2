//! Halves of files that a killed process leaves on a local disk go when it is certain that nobody writes them any more, and not before (P2).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use object_store::ObjectStore;
use otf::model::digest;
use otf::ops::compact::Options;
use otf::store::local::LocalDisk;
use serde_json::json;

use crate::support::NOON;
use crate::support::workbench::{Original, runtime};

const HOUR: u64 = 60 * 60 * 1000;

fn write(path: &Path, bytes: &[u8], age_ms: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    let modified = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOON).unwrap() - age_ms);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Compacts a table on disk beside these files; says which of them are still there, and how many files were reported as removed.
fn kept(files: &[(&str, &[u8], u64)]) -> (Vec<String>, u64) {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("t");
        let disk: Arc<dyn ObjectStore> = Arc::new(LocalDisk);
        let original = Original::delta(root.to_str().unwrap(), 4).await;
        original.lay_out_on(&disk).await;
        for (name, bytes, age_ms) in files {
            write(&root.join(name), bytes, *age_ms);
        }
        let finished = original.compact(&disk, 1, "an-operation", &Options { rewrite_all: true, ..Options::default() }).await.unwrap();
        assert_eq!(original.read(&disk).await, original.rows);
        let kept: Vec<String> = files.iter().filter(|(name, ..)| root.join(name).exists()).map(|(name, ..)| (*name).to_string()).collect();
        // The folder of notes goes with the last of them.
        assert_eq!(root.join("_otf").exists(), kept.iter().any(|name| name.starts_with("_otf/")), "{kept:?}");
        (kept, finished.report.leftovers_removed)
    })
}

fn note(process: u32, host: &str) -> Vec<u8> {
    let owner = json!({"host": host, "process": process, "started": 1});
    json!({"operation": "old-operation", "part": 0, "owner": owner, "announced_ms": 0, "folders": []}).to_string().into_bytes()
}

#[test]
fn what_a_dead_process_was_writing_in_the_log_goes_and_what_another_writes_stays() {
    let (dead, commit) = ("_otf/old-operation-p0.json", "_delta_log/.00000000000000000009.json.4242-0.unfinished");
    let checkpoint = "_delta_log/.00000000000000000003.checkpoint.parquet.4242-7.unfinished";
    let of_another = "_delta_log/.00000000000000000009.json.4243-0.unfinished";
    let text = note(4242, "here");
    let found = kept(&[(dead, &text, HOUR), (commit, b"{", HOUR), (checkpoint, b"PAR1", HOUR), (of_another, b"{", HOUR)]);
    assert_eq!(found, (vec![of_another.to_string()], 2));
}

#[test]
fn what_a_process_of_another_machine_may_be_writing_stays() {
    let (elsewhere, commit) = ("_otf/old-operation-p0.json", "_delta_log/.00000000000000000009.json.4242-0.unfinished");
    let text = note(4242, "elsewhere");
    assert_eq!(kept(&[(elsewhere, &text, HOUR), (commit, b"{", HOUR)]), (vec![elsewhere.to_string(), commit.to_string()], 0));
    // Its note is past its lease; whose the half of a file is remains unknown.
    assert_eq!(kept(&[(elsewhere, &text, 25 * HOUR), (commit, b"{", 25 * HOUR)]), (vec![commit.to_string()], 0));
}

#[test]
fn half_a_note_of_a_dead_process_of_this_machine_goes_at_once() {
    let here = digest(&["here"]).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    let elsewhere = digest(&["elsewhere"]).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    let half = |machine: &str, process: u32| format!("_otf/.old-operation-p0.{machine}-{process}-1.json.{process}-0.unfinished");
    let (dead, other) = (half(&here, 4242), half(&elsewhere, 4242));
    // Cut short by the longest name there may be: whose it is cannot be told.
    let cut = format!("_otf/.{}.4242-0.unfinished", "x".repeat(200));
    assert_eq!(kept(&[(&dead, b"{", 0), (&other, b"{", 0), (&cut, b"{", 0)]), (vec![other.clone(), cut.clone()], 1));
}

#[test]
fn half_a_note_goes_when_nobody_can_be_writing_it_any_more() {
    let (old, young) = ("_otf/.old-operation-p0.json.4242-0.unfinished", "_otf/.new-operation-p0.json.4243-0.unfinished");
    assert_eq!(kept(&[(old, b"{", 25 * HOUR), (young, b"{", HOUR)]), (vec![young.to_string()], 1));
}
