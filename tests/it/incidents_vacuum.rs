//! Incidents of vacuum and of orphan removal that need a writer beside them, a Delta log or the command line, by name.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Kind;
use otf::ops::orphans::Options;
use otf::ops::orphans::plan::Why;
use otf::store::faulty::{Fault, Faults};
use serde_json::json;

use crate::cli::{document, otf, status};
use crate::suite_vacuum::{add, head};
use crate::support::aged::Aged;
use crate::support::golden::copy;
use crate::support::orphans::{Bed, defaults, stay};
use crate::support::workbench::runtime;

/// A table of two versions, with files that nothing refers to (yet).
async fn with_strays() -> Bed {
    let bed = Bed::with_log("/w/t", &[head(&["p"], &json!({})), vec![add("p=a/live")]]).await;
    for (below, days) in [("p=a/live", 10), ("p=a/slow", 10), ("p=b/stray", 10), ("p=b/in-flight", 2)] {
        bed.plant(below, days).await;
    }
    bed
}

/// delta-rs PR #3835, delta #133: the files of a job that takes longer than the retention were deleted before it committed them.
#[test]
fn vacuum_longwriter_a_file_that_is_committed_late_stays() {
    runtime().block_on(async {
        let calls = {
            let bed = with_strays().await;
            let (faults, aged): (_, Arc<dyn ObjectStore>) = (Faults::none(), Arc::<Aged>::clone(&bed.aged));
            let done = bed.run_over(&faults.over(aged), "an-operation", &defaults()).await.unwrap();
            assert_eq!((done.report.deleted, stay(&done, Why::Young)), (2, 1), "uncommitted, and older than what was asked for");
            faults.calls()
        };
        let first_delete = calls.iter().position(|call| call.operation == "delete").unwrap();
        // Until the newest version is looked for, for the last time before deleting, a commit is seen.
        let reread = calls[..first_delete].iter().rposition(|call| call.operation == "list" && call.key.ends_with("_delta_log")).unwrap();
        // That listing itself is made as soon as it is asked for.
        for call in 1..=reread {
            let bed = with_strays().await;
            let faults = Faults::at(call as u64, Fault::Hold);
            let held: Arc<dyn ObjectStore> = faults.over(Arc::<Aged>::clone(&bed.aged));
            let run = async { bed.run_over(&held, "an-operation", &defaults()).await };
            let writer = async {
                faults.until_held().await;
                bed.commit(2, &[add("p=a/slow")]).await;
                faults.release();
            };
            let (done, ()) = futures::join!(run, writer);
            done.unwrap();
            let now = bed.keys().await;
            let there = ["p=a/live", "p=a/slow", "p=b/in-flight", "p=b/stray"].map(|below| now.contains(&bed.key(below)));
            assert_eq!(there, [true, true, true, false], "committed before call {call}: {:?}", calls.get(call - 1));
        }
    });
}

/// The same: a retention shorter than jobs take has to be asked for by name.
#[test]
fn vacuum_longwriter_a_retention_shorter_than_jobs_take_is_refused() {
    let folder = delta_plain();
    for (words, kind) in [
        (&["orphans", "t", "--older-than", "23h"][..], "refused"),
        (&["expire", "t", "--older-than", "167h"], "refused"),
        (&["expire", "t", "--older-than", "0s"], "refused"),
    ] {
        let output = otf(folder.path(), &[words, &["--yes", "--output", "json"]].concat());
        let error = &document(&output)["error"];
        assert_eq!((status(&output), &error["kind"]), (4, &json!(kind)), "{words:?}");
        assert!(error["hint"].as_str().unwrap().contains("--unsafe-retention"), "{error}");
    }
}

fn delta_plain() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &folder.path().join("t"));
    let stray = folder.path().join("t/stray.parquet");
    std::fs::write(&stray, "rubbish").unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    std::fs::File::options().append(true).open(&stray).unwrap().set_modified(old).unwrap();
    folder
}

/// delta-rs #3911, #663: whether a run deletes or only looks surprised users. Here it looks, says so, and deletes where somebody agreed.
#[test]
fn vacuum_default() {
    let folder = delta_plain();
    let entries = || {
        let mut names: Vec<_> = std::fs::read_dir(folder.path().join("t")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();
    for words in [&["orphans", "t"][..], &["expire", "./t", "--older-than", "0s", "--unsafe-retention"], &["orphans", "./x/../t"]] {
        let output = otf(folder.path(), words);
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!((status(&output), entries() == before), (0, true), "{words:?}: {said}");
        assert!(said.ends_with("; add --yes to carry this plan out\n"), "{words:?}: {said}");
        let dry = otf(folder.path(), &[words, &["--yes", "--dry-run", "--output", "json"]].concat());
        assert_eq!((&document(&dry)["outcome"], entries() == before), (&json!("planned"), true), "{words:?}");
    }
    let done = document(&otf(folder.path(), &["orphans", "t", "--yes", "--output", "json"]));
    assert_eq!((&done["outcome"], &done["report"]["deleted"]), (&json!("landed"), &json!(1)));
    assert_eq!(entries().len(), before.len() - 1);
}

/// ClickHouse PR #120306: a Delta table may forbid it too.
#[test]
fn gc_disabled_in_a_delta_table() {
    runtime().block_on(async {
        let bed = Bed::with_log("/w/t", &[head(&[], &json!({"gc.enabled": "false"})), vec![add("live")]]).await;
        bed.plant("stray", 10).await;
        for options in [defaults(), Options { unsafe_retention: true, older_than_ms: 0, ..defaults() }] {
            let error = bed.run(&options).await.unwrap_err();
            assert!(error.kind() == Kind::Refused && error.to_string().contains("gc.enabled"), "{error}");
        }
        assert!(bed.keys().await.contains("w/t/stray"));
    });
}
