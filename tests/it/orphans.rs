//! `orphans` as a whole: quarantine, inventories, links, crashes, races, and random tables against an oracle of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Kind;
use otf::ops::document::Outcome;
use otf::ops::orphans::Options;
use otf::ops::orphans::plan::Why;
use otf::store::faulty::{Call, Fault, Faults};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::support::aged::Aged;
use crate::support::orphans::{Bed, defaults, place, stay};
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, runtime};

const STRAYS: [&str; 3] = ["data/stray-1.parquet", "data/p=2/stray-2.parquet", "metadata/stray-m0.avro"];

async fn with_strays(original: &Original) -> Bed {
    let bed = Bed::of(original, false).await;
    for stray in STRAYS {
        bed.plant(stray, 10).await;
    }
    bed
}

fn with_quarantine(folder: &str) -> Options {
    Options { quarantine: Some(place(folder)), ..defaults() }
}

#[test]
fn what_is_set_aside_can_be_brought_back_byte_for_byte() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let bed = with_strays(&original).await;
        let before = bed.keys().await;
        let done = bed.run(&with_quarantine("/aside")).await.unwrap();
        assert_eq!((done.outcome, done.report.deleted, done.report.bytes_freed.0), (Outcome::Landed, 3, 21));
        assert_eq!(done.report.quarantine.as_deref(), Some("file:///aside/an-operation"));
        let after = bed.keys().await;
        assert!(STRAYS.iter().all(|stray| !after.contains(&bed.key(stray))));
        assert_eq!(after.iter().filter(|key| key.starts_with("aside/an-operation/files/")).count(), 3);

        let looked = bed.restore("/aside", false).await.unwrap();
        assert_eq!((looked.outcome, looked.plan.found, bed.keys().await == after), (Outcome::Planned, 3, true));
        let back = bed.restore("/aside", true).await.unwrap();
        assert_eq!((back.outcome, back.report.restored, back.plan.bytes.0), (Outcome::Landed, 3, 21));
        assert_eq!(bed.keys().await, before);
        assert_eq!(objects(&bed.memory, &original.root).await["data/stray-1.parquet"], b"rubbish"[..]);
        assert_eq!(bed.restore("/aside", true).await.unwrap().outcome, Outcome::NothingToDo, "nothing is left there");
    });
}

#[test]
fn a_file_that_is_there_again_is_not_replaced_by_the_one_that_was_set_aside() {
    runtime().block_on(async {
        let bed = with_strays(&Original::iceberg("iceberg_v2_posdeletes").await).await;
        bed.run(&with_quarantine("/aside")).await.unwrap();
        bed.put(&bed.key(STRAYS[0]), b"new".to_vec()).await;
        let back = bed.restore("/aside", true).await.unwrap();
        assert_eq!((back.outcome, back.report.restored, back.report.failed), (Outcome::Partial, 2, 1));
        let now = objects(&bed.memory, &bed.root).await;
        assert_eq!(now[STRAYS[0]], b"new"[..]);
        assert!(bed.keys().await.contains(&format!("aside/an-operation/files/{}", bed.key(STRAYS[0]))));
    });
}

#[test]
fn a_quarantine_where_it_would_be_found_again_is_refused() {
    runtime().block_on(async {
        let bed = with_strays(&Original::iceberg("iceberg_v2_posdeletes").await).await;
        let within = format!("{}/aside", bed.root);
        assert_eq!(bed.run(&with_quarantine(&within)).await.unwrap_err().kind(), Kind::Refused);
        let hidden = format!("{}/_aside", bed.root);
        assert_eq!(bed.run(&with_quarantine(&hidden)).await.unwrap().report.deleted, 3);
        assert_eq!(bed.run(&defaults()).await.unwrap().report.found, 0);
    });
}

/// A list of moved files is a file anybody could have written.
#[test]
fn a_forged_list_leads_nowhere() {
    runtime().block_on(async {
        let bed = with_strays(&Original::iceberg("iceberg_v2_posdeletes").await).await;
        bed.put("secret", b"x".to_vec()).await;
        let root = &bed.root;
        for (from, to) in
            [("/elsewhere/f".to_string(), "/aside/f"), (format!("{root}/data/f"), "/secret"), (format!("{root}/../f"), "/aside/f")]
        {
            let line = json!({"from": from, "to": to, "size": 1}).to_string();
            bed.put("aside/op/moved-00000.json", line.into_bytes()).await;
            bed.put("aside/f", b"x".to_vec()).await;
            let before = bed.keys().await;
            let back = bed.restore("/aside", true).await.unwrap();
            assert_eq!((back.report.restored, bed.keys().await == before), (0, true), "{from} {to}");
        }
    });
}

#[test]
fn an_inventory_takes_the_place_of_a_listing_and_is_looked_over_before_anything_goes() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let bed = with_strays(&original).await;
        bed.plant("data/not-listed", 10).await;
        bed.plant("data/rewritten", 0).await;
        let mut lines = vec!["key,size,last_modified".to_string()];
        let live = original.objects.keys().cloned().chain(STRAYS.map(str::to_string));
        let listed = live.chain(["data/rewritten", "data/gone", "data/_hidden"].map(str::to_string));
        lines.extend(listed.map(|name| format!("file:///{},7,2025-12-01T00:00:00Z", bed.key(&name))));
        lines.push("/elsewhere/f,7,2025-12-01T00:00:00Z".into());
        lines.push(format!("/{},7,", bed.key("data/of-no-age")));
        bed.put("inventory.csv", lines.join("\n").into_bytes()).await;
        let options = Options { inventory: Some(place("/inventory.csv")), ..defaults() };
        let done = bed.deletes(&options, &STRAYS).await;
        let reasons = [Why::Outside, Why::Hidden, Why::Meanwhile, Why::UnknownAge].map(|why| stay(&done, why));
        assert_eq!(reasons, [1, 1, 2, 1]);
        assert_eq!(original.read(&bed.memory).await, original.rows);
        // A list may leave out what tells of another table.
        let inner = crate::support::orphans::document(&format!("{}/inner", bed.root), &[], &json!({}));
        bed.put(&bed.key("inner/metadata/v1.metadata.json"), inner.to_string().into_bytes()).await;
        bed.plant("inner/data/f", 10).await;
        bed.put("inventory.csv", format!("key,last_modified\n/{},2025-12-01T00:00:00Z", bed.key("inner/data/f")).into_bytes()).await;
        assert_eq!(bed.run(&options).await.unwrap().report.found, 0);
    });
}

/// Files of runs that have not ended are those runs' business, dead or alive; a dead one's are cleaned up as such.
#[test]
fn files_of_runs_of_otf_are_left_to_them() {
    runtime().block_on(async {
        let bed = with_strays(&Original::iceberg("iceberg_v2_posdeletes").await).await;
        let operation = "0a1b2c3d-0000-4000-8000-000000000000";
        let note = json!({"operation": operation, "part": 0, "owner": {"host": "here", "process": 7, "started": 1}, "announced_ms": 0,
            "folders": [format!("{}/data", bed.root)]});
        bed.put(&bed.key("_otf/note.json"), note.to_string().into_bytes()).await;
        bed.plant(&format!("data/part-00000-{operation}-p0.parquet"), 10).await;
        let done = bed.deletes(&defaults(), &STRAYS).await;
        assert_eq!(stay(&done, Why::UnfinishedRun), 1);
        bed.put(&bed.key("_otf/note.json"), note.to_string().replace("\"process\":7", "\"process\":8").into_bytes()).await;
        let done = bed.run(&defaults()).await.unwrap();
        assert_eq!((done.report.leftovers_removed, done.report.found), (1, 0));
        assert!(!bed.keys().await.iter().any(|key| key.contains(operation)));
    });
}

fn links_of(folder: &std::path::Path) -> std::path::PathBuf {
    let table = folder.join("t");
    for inner in ["metadata", "data/real", "elsewhere"] {
        std::fs::create_dir_all(table.join(inner)).unwrap();
    }
    std::fs::create_dir_all(folder.join("outside")).unwrap();
    table
}

/// The same file by two names, one through a link: whichever of them the metadata has, the file stays.
#[test]
fn files_reached_through_links_stay() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        let table = links_of(&home);
        std::os::unix::fs::symlink(table.join("data/real"), table.join("data/link")).unwrap();
        std::os::unix::fs::symlink(home.join("outside"), table.join("data/out")).unwrap();
        let root = table.to_str().unwrap();
        let held = [format!("{root}/data/link/by-link"), format!("{root}/data/real/by-name")];
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let document = crate::support::orphans::document(root, &held, &json!({}));
        std::fs::write(table.join("metadata/v1.metadata.json"), document.to_string()).unwrap();
        let files = ["data/real/by-link", "data/real/by-name", "data/real/stray", "data/out/theirs"];
        for file in files {
            std::fs::write(table.join(file), "rubbish").unwrap();
        }
        let disk: Arc<dyn ObjectStore> = Arc::new(otf::store::local::LocalDisk);
        let bed = Bed::on(&disk, place(root));
        let aged: Arc<dyn ObjectStore> = Arc::<Aged>::clone(&bed.aged);
        let done = bed.run_over(&aged, "an-operation", &defaults()).await.unwrap();
        // Reached through a link: the file that metadata calls by its other name, the stray, and the file of others.
        assert_eq!((done.report.deleted, stay(&done, Why::Link)), (1, 3));
        let left: Vec<bool> = files.iter().map(|file| table.join(file).exists()).collect();
        assert_eq!(left, [true, true, false, true]);
    });
}

/// Struck at every storage call in every way: nothing live is touched, and the next run finishes.
#[test]
fn a_run_struck_at_any_call_touches_nothing_live_and_the_next_one_finishes() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        for quarantine in [false, true] {
            let options = if quarantine { with_quarantine("/aside") } else { defaults() };
            for fault in [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer, Fault::Fail] {
                let mut call = 0;
                loop {
                    call += 1;
                    let bed = with_strays(&original).await;
                    let faults = Faults::at(call, fault);
                    let aged: Arc<dyn ObjectStore> = Arc::<Aged>::clone(&bed.aged);
                    let outcome = bed.run_over(&faults.over(aged), "struck", &options).await;
                    if !faults.all_happened() {
                        assert_eq!(outcome.unwrap().outcome, Outcome::Landed);
                        break;
                    }
                    nothing_live_is_touched(&original, &bed, &format!("{fault:?} at call {call}")).await;
                    let done = bed.run(&options).await.unwrap();
                    assert!(matches!(done.outcome, Outcome::Landed | Outcome::NothingToDo), "{fault:?} at call {call}");
                    let now = bed.keys().await;
                    let left: Vec<&&str> = STRAYS.iter().filter(|stray| now.contains(&bed.key(stray))).collect();
                    assert!(left.is_empty(), "{fault:?} at call {call}: {left:?}");
                    nothing_live_is_touched(&original, &bed, &format!("after {fault:?} at call {call}")).await;
                    if quarantine {
                        bed.restore("/aside", true).await.unwrap();
                        let now = bed.keys().await;
                        assert!(STRAYS.iter().all(|stray| now.contains(&bed.key(stray))), "{fault:?} at call {call}: not brought back");
                    }
                }
                assert!(call > 20, "{call}");
            }
        }
    });
}

async fn nothing_live_is_touched(original: &Original, bed: &Bed, case: &str) {
    let now = objects(&bed.memory, &original.root).await;
    for (name, bytes) in &original.objects {
        assert!(now.get(name) == Some(bytes), "{case}: {name} is gone or changed");
    }
}

/// Another writer commits an old file while the run is held at each of its calls: committed files stay.
#[test]
fn a_file_that_is_committed_while_the_run_is_under_way_stays() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let calls = {
            let bed = with_strays(&original).await;
            let (faults, aged): (_, Arc<dyn ObjectStore>) = (Faults::none(), Arc::<Aged>::clone(&bed.aged));
            bed.run_over(&faults.over(aged), "an-operation", &defaults()).await.unwrap();
            faults.calls()
        };
        let first_delete = calls.iter().position(|call| call.operation == "delete").unwrap();
        // Until the newest version is looked for, for the last time before deleting, a commit is seen.
        let looks = |call: &Call| call.operation == "list" && call.key.ends_with("/metadata");
        let reread = calls[..first_delete].iter().rposition(looks).unwrap() + 1;
        for call in 1..=reread {
            let bed = with_strays(&original).await;
            let name = "metadata/v3.metadata.json";
            let mut next: Json = serde_json::from_slice(&original.objects[name]).unwrap();
            next["statistics"] = json!([{"snapshot-id": 1, "statistics-path": format!("{}/{}", bed.root, STRAYS[0]), "file-size-in-bytes": 7,
                "file-footer-size-in-bytes": 1, "blob-metadata": []}]);
            next["metadata-log"].as_array_mut().unwrap().push(json!({"timestamp-ms": 1, "metadata-file": format!("{}/{name}", bed.root)}));
            let faults = Faults::at(call as u64, Fault::Hold);
            let held: Arc<dyn ObjectStore> = faults.over(Arc::<Aged>::clone(&bed.aged));
            let run = async { bed.run_over(&held, "an-operation", &defaults()).await };
            let rival = async {
                faults.until_held().await;
                bed.put(&bed.key("metadata/v4.metadata.json"), next.to_string().into_bytes()).await;
                faults.release();
            };
            let (done, ()) = futures::join!(run, rival);
            done.unwrap();
            let now = bed.keys().await;
            let there: Vec<bool> = STRAYS.iter().map(|stray| now.contains(&bed.key(stray))).collect();
            assert_eq!(there, [true, false, false], "committed before call {call}: {:?}", calls.get(call - 1));
        }
    });
}

#[derive(Debug, Clone)]
struct Stray {
    below: String,
    days: i64,
}

fn stray() -> impl Strategy<Value = Stray> {
    let names = prop::sample::select(vec!["f", "_f", ".f", "a b", "ü", "50%", "x%20y", "part-0.parquet"]);
    let folders = prop::sample::select(vec!["", "data/", "data/p=1/", "metadata/", "data/_tmp/", "data/.h/x/", "x/y/z/"]);
    (folders, names, 0..1000u32, 0..20i64).prop_map(|(folder, name, n, days)| Stray { below: format!("{folder}{name}{n}"), days })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop::sample::select(vec![Deed::Append, Deed::Append, Deed::RemoveFile, Deed::Overwrite, Deed::Update])
}

/// What an oracle that reads JSON and Avro by itself says: everything that the newest metadata does not lead to, old and not hidden.
#[test]
fn exactly_what_an_independent_reader_finds_unreachable_is_deleted() {
    let mut runner = TestRunner::new(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() });
    let strategy = (prop::collection::vec(deed(), 0..4), prop::collection::vec(stray(), 0..12), any::<bool>());
    let original = runtime().block_on(Original::iceberg("iceberg_v2_posdeletes"));
    let test = |(deeds, strays, forgets): (Vec<Deed>, Vec<Stray>, bool)| {
        runtime().block_on(async {
            let bed = Bed::of(&original, false).await;
            for deed in deeds {
                rivals::commit(&original, &bed.memory, deed).await;
            }
            let now = objects(&bed.memory, &original.root).await;
            let newest = (1..).take_while(|n| now.contains_key(&format!("metadata/v{n}.metadata.json"))).last().unwrap();
            let newest = format!("metadata/v{newest}.metadata.json");
            if forgets {
                // All but the newest snapshot are forgotten, by a tool that deletes nothing.
                let mut doc: Json = serde_json::from_slice(&now[&newest]).unwrap();
                let current = doc["current-snapshot-id"].clone();
                doc["snapshots"].as_array_mut().unwrap().retain(|snapshot| snapshot["snapshot-id"] == current);
                doc["snapshot-log"] = json!([]);
                doc["metadata-log"] = json!([]);
                bed.put(&bed.key(&newest), doc.to_string().into_bytes()).await;
            }
            for stray in &strays {
                bed.plant(&stray.below, stray.days).await;
            }
            let now = objects(&bed.memory, &original.root).await;
            let home = original.root.path();
            let mut named = crate::support::references::named_from(&now, &newest, home);
            // The hint names version 3: readers walk from there.
            let walked =
                |name: &&String| name.strip_prefix("metadata/v").is_some_and(|rest| rest >= "3" && rest.ends_with(".metadata.json"));
            named.extend(now.keys().filter(walked).cloned());
            named.insert("metadata/version-hint.text".into());
            let hidden = |name: &str| {
                let below = name.strip_prefix("data/").or_else(|| name.strip_prefix("metadata/")).unwrap_or(name);
                below.split('/').any(|part| part.starts_with(['_', '.']))
            };
            let ages: BTreeMap<&str, i64> = strays.iter().map(|stray| (stray.below.as_str(), stray.days)).collect();
            let young = |name: &str| ages.get(name).is_some_and(|days| *days <= 3);
            let expected: Vec<&str> =
                now.keys().map(String::as_str).filter(|name| !named.contains(*name) && !hidden(name) && !young(name)).collect();
            bed.deletes(&defaults(), &expected).await;
        });
        Ok(())
    };
    runner.run(&strategy, test).unwrap();
}
