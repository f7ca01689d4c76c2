//! The three ends of a commit at each kind of catalog: an answer that is lost, a commit that fails without saying whether it was made, and one
//! that is made long after everybody has given up. Unknown deletes nothing, and the next run finds out (P1, P2).

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use object_store::ObjectStore;
use otf::catalog::PathPointer;
use otf::engine::RewritePath;
use otf::error::{Error, Kind, Result};
use otf::formats::OutputWishes;
use otf::formats::iceberg::{IcebergTable, NewMetadata, Pointer, Swap};
use otf::location::Location;
use otf::ops::compact::plan::Leave;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};
use otf::units::Bytes;
use serde_json::Value as Json;

use crate::support::workbench::{Objects, Original, objects, over, runtime};

const OPERATION: &str = "first-operation";

fn options() -> Options {
    Options { min_input_files: Some(2), max_concurrent_groups: Some(1), ..Options::default() }
}

/// A table in each kind of place that decides which commit is the next.
async fn each_kind() -> [Original; 3] {
    let sql = Original::iceberg_in_sql("iceberg_v2_posdeletes").await;
    [Original::delta("/t", 6).await, Original::iceberg("iceberg_v2_posdeletes").await, sql]
}

/// Nothing that was there is gone.
fn nothing_is_deleted(before: &Objects, after: &Objects) {
    let gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert_eq!(gone, Vec::<&String>::new());
}

/// Another process, with nothing in its way.
async fn next_run(original: &Original, table: &Arc<dyn ObjectStore>) -> Finished {
    let finished = original.compact(table, 2, "second-operation", &options()).await.unwrap();
    assert_eq!(original.read(table).await, original.rows);
    let now = objects(table, &original.root).await;
    let named = original.named(&now).await;
    let strays: Vec<&String> = now.keys().filter(|name| !named.contains(*name)).collect();
    assert_eq!(strays, Vec::<&String>::new());
    finished
}

/// An unknown end as the user is told of it: a document that says so, and why.
fn is_unknown(finished: &Finished) {
    assert_eq!((finished.outcome, finished.outcome.exit_status(), finished.versions.len()), (Outcome::Unknown, 75, 0));
    let error = finished.error.as_ref().unwrap();
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "the outcome of the commit is unknown; nothing was deleted"));
    assert_eq!(finished.after, finished.before);
}

/// The call that claims the version, among those of a run that nobody disturbs.
async fn claim_call(original: &Original) -> u64 {
    let rehearsal = Faults::none();
    original.compact(&rehearsal.over(original.lay_out().await), 1, OPERATION, &options()).await.unwrap();
    let is_claim = |key: &str| key.contains("/_delta_log/") || key.ends_with(".metadata.json");
    rehearsal.calls().iter().position(|call| call.operation == "claim" && is_claim(&call.key)).unwrap() as u64 + 1
}

/// What a catalog does with the swap it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Catalog {
    /// Makes it and does not answer.
    Mute,
    /// Does nothing and does not answer.
    Deaf,
    /// Says that another was first.
    Busy,
}

/// A catalog in front of another.
struct Odd {
    inner: Arc<dyn Pointer>,
    does: Catalog,
    asked: Arc<Mutex<u32>>,
}

#[async_trait]
impl Pointer for Odd {
    async fn current(&self) -> Result<Location> {
        self.inner.current().await
    }

    async fn swap(&self, base: &Location, new: &NewMetadata) -> Swap {
        *self.asked.lock().unwrap() += 1;
        match self.does {
            Catalog::Mute => drop(self.inner.swap(base, new).await),
            Catalog::Deaf => {}
            Catalog::Busy => return Swap::Taken,
        }
        Swap::Unknown(Error::unavailable("the connection was closed"))
    }
}

/// Compacts through an odd catalog; also says how often it was asked.
async fn compact_through(original: &Original, table: &Arc<dyn ObjectStore>, does: Catalog) -> (Finished, u32) {
    let store = over(table);
    let inner: Arc<dyn Pointer> = match &original.catalog {
        Some(row) => row.pointer(&store).await,
        None => Arc::new(PathPointer::new(store.clone(), original.root.clone())),
    };
    let asked = Arc::new(Mutex::new(0));
    let odd = IcebergTable::new(store.clone(), original.root.clone(), Arc::new(Odd { inner, does, asked: Arc::clone(&asked) }));
    let finished = Original::compact_table(&odd, &store, (1, OPERATION), &options(), |engine| engine).await.unwrap();
    let asked = *asked.lock().unwrap();
    (finished, asked)
}

#[test]
fn a_commit_whose_answer_is_lost_has_landed_once() {
    runtime().block_on(async {
        for original in each_kind().await {
            let call = claim_call(&original).await;
            let table = original.lay_out().await;
            let finished = if original.catalog.is_some() {
                compact_through(&original, &table, Catalog::Mute).await.0
            } else {
                let faults = Faults::at(call, Fault::LoseAnswer);
                original.compact(&faults.over(Arc::clone(&table)), 1, OPERATION, &options()).await.unwrap()
            };
            assert_eq!((finished.outcome, finished.versions.len()), (Outcome::Landed, 1), "{finished:?}");
            assert_eq!(next_run(&original, &table).await.outcome, Outcome::NothingToDo);
        }
    });
}

#[test]
fn a_commit_that_fails_without_an_answer_is_unknown_and_the_next_run_makes_it() {
    runtime().block_on(async {
        for original in each_kind().await {
            let call = claim_call(&original).await;
            let table = original.lay_out().await;
            let finished = if original.catalog.is_some() {
                compact_through(&original, &table, Catalog::Deaf).await.0
            } else {
                let faults = Faults::at(call, Fault::Fail);
                original.compact(&faults.over(Arc::clone(&table)), 1, OPERATION, &options()).await.unwrap()
            };
            is_unknown(&finished);
            let left = objects(&table, &original.root).await;
            nothing_is_deleted(&original.objects, &left);
            assert!(left.keys().any(|name| name.starts_with("_otf/")) && left.keys().any(|name| name.contains(OPERATION)));
            let second = next_run(&original, &table).await;
            assert_eq!(second.outcome, Outcome::Landed);
            assert!(second.report.leftovers_removed > 0);
        }
    });
}

/// The request is still under way when its sender gives up, and arrives later.
#[test]
fn a_commit_that_arrives_after_everybody_gave_up_keeps_its_files() {
    runtime().block_on(async {
        for original in each_kind().await {
            let call = claim_call(&original).await;
            // The same run without a fault gives the claim that arrives late.
            let twin = original.lay_out().await;
            original.compact(&twin, 1, OPERATION, &options()).await.unwrap();
            let made = objects(&twin, &original.root).await;
            let landed = match &original.catalog {
                Some(row) => row.current().await,
                None => String::new(),
            };
            let table = original.lay_out().await;
            let faults = if original.catalog.is_some() { Faults::none() } else { Faults::at(call, Fault::Fail) };
            if let Some(row) = &original.catalog {
                row.fail_commits().await;
            }
            let finished = original.compact(&faults.over(Arc::clone(&table)), 1, OPERATION, &options()).await.unwrap();
            is_unknown(&finished);
            let left = objects(&table, &original.root).await;
            if let Some(row) = &original.catalog {
                row.let_commits_through().await;
                row.set(&original.root.child("metadata").child(&landed).to_string()).await;
            } else {
                let claim = made.keys().find(|name| name.ends_with(".json") && !left.contains_key(*name)).unwrap();
                original.put_new(&table, claim, made[claim].clone()).await;
            }
            let second = next_run(&original, &table).await;
            assert_eq!((second.outcome, second.report.leftovers_removed), (Outcome::NothingToDo, 0));
            let kept: Vec<&String> = left.keys().filter(|name| !name.starts_with("_otf/")).collect();
            let after = objects(&table, &original.root).await;
            assert!(kept.iter().all(|name| after.contains_key(*name)));
        }
    });
}

/// A database may turn a transaction down at its very end.
#[test]
fn a_transaction_that_fails_when_it_is_committed_is_unknown_and_the_row_stays() {
    runtime().block_on(async {
        let original = Original::iceberg_in_sql("iceberg_v2_posdeletes").await;
        let table = original.lay_out().await;
        let row = original.catalog.as_ref().unwrap();
        row.fail_commits().await;
        is_unknown(&original.compact(&table, 1, OPERATION, &options()).await.unwrap());
        assert_eq!(row.current().await, "v3.metadata.json");
        row.let_commits_through().await;
        assert_eq!(next_run(&original, &table).await.outcome, Outcome::Landed);
    });
}

/// Attempts are those of the table's own property; after the last one everything that was written goes.
#[test]
fn a_table_says_how_often_a_lost_commit_is_tried_again() {
    for (retries, attempts) in [(None, 5), (Some("2"), 3), (Some("0"), 1)] {
        runtime().block_on(async {
            let mut original = Original::iceberg("iceberg_v2_posdeletes").await;
            let mut metadata: Json = serde_json::from_slice(&original.objects["metadata/v3.metadata.json"]).unwrap();
            if let Some(retries) = retries {
                metadata["properties"]["commit.retry.num-retries"] = retries.into();
            }
            original.objects.insert("metadata/v3.metadata.json".into(), metadata.to_string().into());
            let table = original.lay_out().await;
            let (finished, asked) = compact_through(&original, &table, Catalog::Busy).await;
            assert_eq!((finished.outcome, asked), (Outcome::Lost, attempts));
            assert_eq!(finished.error.unwrap().kind(), Kind::Conflict);
            assert_eq!(objects(&table, &original.root).await, original.objects);
        });
    }
}

/// Our snapshot lands, its answer is lost, and another writer expires it while it rewrites the manifests: history cannot tell any more. What it
/// refers to must stay.
#[test]
fn a_commit_that_was_expired_before_we_could_ask_is_unknown_and_its_files_stay() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let faults = Faults::at(claim_call(&original).await, Fault::HoldAndLoseAnswer);
        let table = original.lay_out().await;
        let held = faults.over(Arc::clone(&table));
        let asked = options();
        let ours = original.compact(&held, 1, OPERATION, &asked);
        let theirs = async {
            faults.until_held().await;
            expire_all_but_a_new_one(&original, &table).await;
            faults.release();
        };
        let (finished, ()) = futures::future::join(ours, theirs).await;
        is_unknown(&finished.unwrap());
        assert_eq!(original.read(&table).await, original.rows);
        let before = objects(&table, &original.root).await;
        let second = original.compact(&table, 2, "second-operation", &options()).await.unwrap();
        assert_eq!(second.outcome, Outcome::NothingToDo);
        assert_eq!(original.read(&table).await, original.rows);
        let after = objects(&table, &original.root).await;
        let data = |objects: &Objects| objects.keys().filter(|name| name.starts_with("data/")).count();
        assert_eq!(data(&before), data(&after));
    });
}

/// Our snapshot lands, its answer is lost, and another writer rolls the table back: it was made all the same, and can still be read.
#[test]
fn a_commit_that_was_rolled_back_before_we_could_ask_has_landed_and_its_files_stay() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let faults = Faults::at(claim_call(&original).await, Fault::HoldAndLoseAnswer);
        let (table, asked) = (original.lay_out().await, options());
        let held = faults.over(Arc::clone(&table));
        let ours = original.compact(&held, 1, OPERATION, &asked);
        let theirs = async {
            faults.until_held().await;
            let now = objects(&table, &original.root).await;
            let mut metadata: Json = serde_json::from_slice(&now["metadata/v4.metadata.json"]).unwrap();
            let base = metadata["snapshots"][1]["snapshot-id"].clone();
            metadata["refs"]["main"]["snapshot-id"] = base.clone();
            metadata["current-snapshot-id"] = base;
            original.put_new(&table, "metadata/v5.metadata.json", metadata.to_string().into_bytes()).await;
            faults.release();
        };
        let finished = futures::future::join(ours, theirs).await.0.unwrap();
        assert_eq!((finished.outcome, finished.versions.len()), (Outcome::Landed, 1));
        assert_eq!(original.read(&table).await, original.rows);
        let now = objects(&table, &original.root).await;
        assert_eq!(now.keys().filter(|name| name.starts_with("data/") && name.contains(OPERATION)).count(), 1);
    });
}

/// A snapshot like the current one, with a manifest list of its own, and no other.
async fn expire_all_but_a_new_one(original: &Original, table: &Arc<dyn ObjectStore>) {
    let now = objects(table, &original.root).await;
    let mut metadata: Json = serde_json::from_slice(&now["metadata/v4.metadata.json"]).unwrap();
    let mut next = metadata["snapshots"].as_array().unwrap().last().unwrap().clone();
    let list = next["manifest-list"].as_str().unwrap().to_string();
    let name = list.rsplit('/').next().unwrap();
    original.put_new(table, "metadata/snap-77.avro", now[&format!("metadata/{name}")].clone()).await;
    original.remove(table, &format!("metadata/{name}")).await;
    next["manifest-list"] = list.replace(name, "snap-77.avro").into();
    next["snapshot-id"] = 77.into();
    next["summary"] = serde_json::json!({"operation": "replace"});
    metadata["snapshots"] = serde_json::json!([next]);
    metadata["current-snapshot-id"] = 77.into();
    metadata["refs"]["main"]["snapshot-id"] = 77.into();
    metadata["snapshot-log"] = serde_json::json!([]);
    original.put_new(table, "metadata/v5.metadata.json", metadata.to_string().into_bytes()).await;
}

/// The clock of the workbench lies behind the fixtures' own times.
#[test]
fn times_in_iceberg_metadata_never_go_back() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v3_dv").await;
        let table = original.lay_out().await;
        original.compact(&table, 1, OPERATION, &options()).await.unwrap();
        let now = objects(&table, &original.root).await;
        let read = |name: &str| -> Json { serde_json::from_slice(&now[&format!("metadata/{name}.metadata.json")]).unwrap() };
        let (before, after) = (read("v3"), read("v4"));
        assert!(before["last-updated-ms"].as_i64().unwrap() > crate::support::NOON + 1_000_000);
        assert!(after["last-updated-ms"].as_i64() >= before["last-updated-ms"].as_i64());
        for log in ["snapshot-log", "metadata-log", "snapshots"] {
            let times: Vec<i64> = after[log].as_array().unwrap().iter().map(|entry| entry["timestamp-ms"].as_i64().unwrap()).collect();
            assert!(times.is_sorted() && times.len() == before[log].as_array().unwrap().len() + 1, "{log}: {times:?}");
        }
    });
}

/// Files of one row group each that are above the largest size: whatever the path is, a run never makes the same file again.
#[test]
fn a_file_that_copying_cannot_split_is_left_and_named_and_encoded_where_the_path_is_free() {
    runtime().block_on(async {
        let original = Original::delta("/t", 6).await;
        let tiny = |path| {
            let output = OutputWishes { target_file_size: Some(Bytes(100)), ..OutputWishes::default() };
            Options { path, output, min_file_size: Some(Bytes(1)), max_file_size: Some(Bytes(101)), ..options() }
        };
        let objects = original.lay_out().await;
        // Deleted rows have to go, which copying does not do: afterwards there are none.
        let whole = original.compact(&objects, 1, OPERATION, &Options { rewrite_all: true, ..options() }).await.unwrap();
        let done = original.compact(&objects, 1, "second-operation", &tiny(RewritePath::Copy)).await.unwrap();
        let left: Vec<(Leave, u64)> = done.plan.left.iter().map(|left| (left.why, left.files)).collect();
        assert_eq!((done.outcome, left), (Outcome::NothingToDo, vec![(Leave::RowGroupTooLarge, whole.after.files)]));
        let done = original.compact(&objects, 1, "third-operation", &tiny(RewritePath::Auto)).await.unwrap();
        assert_eq!((done.outcome, done.report.row_groups.copied), (Outcome::Landed, 0));
        assert!(done.report.row_groups.encoded > 0);
        assert_eq!(original.read(&objects).await, original.rows);
    });
}
