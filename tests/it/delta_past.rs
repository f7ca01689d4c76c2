//! Delta tables are made what they were, and forget what they were, struck at every storage call: whatever happens, the rows are those of one
//! version or the other, what stays can be rebuilt, and the next run brings the table where it was to go (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use otf::commit::State;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::Result;
use otf::formats::delta::DeltaTable;
use otf::formats::{Table, TableVersion};
use otf::model::{At, DataFile, OperationId, Upkeep, UpkeepKind, Version};
use otf::ops::document::Outcome;
use otf::ops::expire::plan::{Cutoff, Wishes};
use otf::ops::expire::{self, Finished, Options};
use otf::ops::land::Patience;
use otf::ops::land_upkeep::{Decide, UpkeepLanding, land_upkeep};
use otf::ops::{Clock, Parts};
use otf::store::Store;
use otf::store::faulty::{Fault, Faults};
use otf::units::{Bytes, Timestamp};
use tokio::runtime::Handle;

use crate::support::workbench::{Original, objects, over, rows, runtime};
use crate::support::{Alone, Remarks};

const MISHAPS: [Fault; 4] = [Fault::KillBefore, Fault::KillAfter, Fault::LoseAnswer, Fault::Fail];

/// A clock long after every file was written: commits here have no other time. It is later in another process.
struct Later(u32);

#[async_trait]
impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp(4_102_444_800_000 + i64::from(self.0))
    }

    async fn wait_ms(&self, _ms: u64) {}
}

/// Decides to restore a version unless its files are the live ones.
struct Restoring<'a> {
    table: &'a dyn Table,
    operation: OperationId,
    to: Version,
}

#[async_trait]
impl Decide for Restoring<'_> {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        let old = self.table.load_at(&At::Version(self.to)).await?;
        if live(version).await? == live(&*old).await? {
            return Ok(None);
        }
        Ok(Some(Upkeep { operation: self.operation.clone(), part: 0, kind: UpkeepKind::Restore(self.to) }))
    }
}

async fn live(version: &dyn TableVersion) -> Result<BTreeSet<String>> {
    let files: Vec<DataFile> = version.files(false).try_collect().await?;
    Ok(files.iter().map(|file| format!("{:?}", file.id())).collect())
}

/// Runs `what` with the parts of process `process` over `store`.
async fn with_parts<T>(store: &Store, process: u32, what: impl AsyncFnOnce(Parts<'_>) -> T) -> T {
    let settings = Settings { memory: Bytes::mib(64), threads: 1, runtime: Handle::current() };
    let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
    let (clock, progress, processes) = (Later(process), Remarks::default(), Alone(process));
    what(Parts { store, engine: &engine, clock: &clock, progress: &progress, processes: &processes }).await
}

async fn restore(original: &Original, objects: &Arc<dyn ObjectStore>, operation: &str, to: i64) -> Result<UpkeepLanding> {
    let store = over(objects);
    let table = DeltaTable::new(store.clone(), original.root.clone());
    let base = table.load().await?;
    let decide = Restoring { table: &table, operation: OperationId(operation.into()), to: Version(to) };
    let patience = Patience::from(base.defaults());
    Ok(with_parts(&store, 0, async |parts| land_upkeep(&table, base, &decide, patience, parts).await).await)
}

async fn newest(original: &Original, objects: &Arc<dyn ObjectStore>) -> i64 {
    let table = DeltaTable::new(over(objects), original.root.clone());
    table.load().await.unwrap().snapshot().version.unwrap().0
}

/// The rows of `version`.
async fn rows_at(original: &Original, objects: &Arc<dyn ObjectStore>, version: i64) -> Result<Vec<String>> {
    struct Old(DeltaTable, Version);
    #[async_trait]
    impl Table for Old {
        fn format(&self) -> otf::formats::FormatName {
            self.0.format()
        }
        fn location(&self) -> &otf::location::Location {
            self.0.location()
        }
        async fn load(&self) -> Result<Arc<dyn TableVersion>> {
            self.0.load_at(&At::Version(self.1)).await
        }
        async fn load_at(&self, at: &At) -> Result<Arc<dyn TableVersion>> {
            self.0.load_at(at).await
        }
        async fn settle(&self, _version: Version) -> Vec<otf::error::Error> {
            Vec::new()
        }
    }
    let store = over(objects);
    rows(&Old(DeltaTable::new(store.clone(), original.root.clone()), Version(version)), &store).await
}

/// A table whose newest version, 5, is what it was at version 2; at version 4 it had two more files.
async fn restored_once() -> (Original, Arc<dyn ObjectStore>) {
    let original = Original::delta("/t", 4).await;
    let objects = original.lay_out().await;
    let landing = restore(&original, &objects, "first-operation", 2).await.unwrap();
    assert_eq!(landing.end, State::Landed(Version(5)), "{landing:?}");
    (original, objects)
}

async fn copy(original: &Original, from: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    let copy: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = over(&copy);
    for (name, bytes) in objects(from, &original.root).await {
        store.put(&original.root.child(&name), bytes).await.unwrap();
    }
    copy
}

#[test]
fn a_restore_that_is_struck_at_any_call_is_all_or_nothing_and_the_next_one_finishes() {
    runtime().block_on(async {
        let (original, before) = restored_once().await;
        let (old, new) = (rows_at(&original, &before, 5).await.unwrap(), rows_at(&original, &before, 4).await.unwrap());
        assert!(old.len() < new.len());
        for mishap in MISHAPS {
            for call in 1.. {
                let table = copy(&original, &before).await;
                let faults = Faults::at(call, mishap);
                let landing = restore(&original, &faults.over(Arc::clone(&table)), "struck-operation", 4).await;
                let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| faults.calls().get(at).cloned()) else {
                    assert!(call > 15, "{call}");
                    break;
                };
                let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
                let landed = newest(&original, &table).await == 6;
                assert_eq!(original.read(&table).await, if landed { new.clone() } else { old.clone() }, "{case}");
                if let (Ok(landing), false) = (landing, faults.is_dead()) {
                    match landing.end {
                        State::Landed(version) => assert!(landed && version == Version(6), "{case}: {landing:?}"),
                        State::Lost => assert!(!landed, "{case}: {landing:?}"),
                        State::Unknown => assert!(landing.error.is_some(), "{case}"),
                        other => panic!("{case}: {other:?}"),
                    }
                }
                let again = restore(&original, &table, "second-operation", 4).await.unwrap();
                assert_eq!(again.end, State::Landed(Version(6)), "{case}");
                assert_eq!(again.offered.is_none(), landed, "{case}: done once");
                assert_eq!((original.read(&table).await, newest(&original, &table).await), (new.clone(), 6), "{case}");
            }
        }
    });
}

async fn expire(original: &Original, objects: &Arc<dyn ObjectStore>, process: u32, retain: u64) -> Result<Finished> {
    let store = over(objects);
    let table = DeltaTable::new(store.clone(), original.root.clone());
    let wishes = Wishes { older_than: Some(Cutoff::Age(0)), retain_last: Some(retain), unsafe_retention: true, ..Wishes::default() };
    let options = Options { wishes, metadata_only: false, clean_metadata: false, files_named: 100 };
    let operation = OperationId(format!("0c1d8dd9-8b2e-4b23-a1b1-a2f2b0e5a{process:03}"));
    with_parts(&store, process, async |parts| expire::run::execute(&table, &operation, &options, parts).await).await
}

/// Keys of everything but notes, sorted.
async fn keys(original: &Original, table: &Arc<dyn ObjectStore>) -> Vec<String> {
    objects(table, &original.root).await.into_keys().collect()
}

#[test]
fn an_expiry_of_a_log_that_is_struck_at_any_call_keeps_what_stays_and_the_next_one_finishes() {
    runtime().block_on(async {
        let (original, before) = restored_once().await;
        let whole = copy(&original, &before).await;
        let done = expire(&original, &whole, 1, 2).await.unwrap();
        assert_eq!((done.outcome, done.report.expired.join(",")), (Outcome::Landed, "0,1,2,3".into()), "{done:?}");
        let expected = keys(&original, &whole).await;
        let log = |name: &str| format!("_delta_log/{name}");
        let mut wanted: Vec<String> =
            ["00000000000000000004.checkpoint.parquet", "00000000000000000004.json", "00000000000000000005.json", "_last_checkpoint"]
                .map(log)
                .into();
        wanted.extend((0..4).map(|n| format!("p={}/file-{n}.parquet", if n % 2 == 0 { "a" } else { "b" })));
        wanted.push("_otf/emptied.state".into());
        wanted.sort();
        assert_eq!(expected, wanted, "every file is live in version 4");
        let kept = [rows_at(&original, &before, 4).await.unwrap(), rows_at(&original, &before, 5).await.unwrap()];
        let rehearsal = Faults::none();
        expire(&original, &rehearsal.over(copy(&original, &before).await), 1, 2).await.unwrap();
        let is_reading = |operation: &str| matches!(operation, "get" | "head" | "ranges" | "list");
        // Every call that changes something, and some of the others.
        let calls = (1..).zip(rehearsal.calls()).filter(|(call, known)| !is_reading(known.operation) || call % 11 == 0);
        let calls: Vec<u64> = calls.map(|(call, _)| call).collect();
        assert!(calls.len() > 20, "{calls:?}");
        // To die after a call is to die before the next.
        for mishap in [Fault::KillBefore, Fault::LoseAnswer, Fault::Fail] {
            for call in calls.iter().copied() {
                let table = copy(&original, &before).await;
                let faults = Faults::at(call, mishap);
                drop(expire(&original, &faults.over(Arc::clone(&table)), 1, 2).await);
                let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| faults.calls().get(at).cloned()) else { continue };
                let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
                for (version, rows) in (4..).zip(&kept) {
                    assert_eq!(&rows_at(&original, &table, version).await.unwrap_or_else(|e| panic!("{case}: {e:?}")), rows, "{case}");
                }
                let second = expire(&original, &table, 2, 2).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
                assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
                assert_eq!(keys(&original, &table).await, expected, "{case}");
                for (version, rows) in (4..).zip(&kept) {
                    assert_eq!(&rows_at(&original, &table, version).await.unwrap(), rows, "{case}");
                }
                let third = expire(&original, &table, 3, 2).await.unwrap();
                assert_eq!(third.outcome, Outcome::NothingToDo, "{case}");
            }
        }
    });
}

/// With one version kept, the files that only older ones had are gone, too.
#[test]
fn files_that_only_forgotten_versions_had_are_deleted() {
    runtime().block_on(async {
        let (original, table) = restored_once().await;
        let rows = original.read(&table).await;
        let done = expire(&original, &table, 1, 1).await.unwrap();
        assert_eq!(done.outcome, Outcome::Landed);
        assert_eq!(original.read(&table).await, rows);
        let left = keys(&original, &table).await;
        let expected = [
            "_delta_log/00000000000000000005.checkpoint.parquet",
            "_delta_log/00000000000000000005.json",
            "_delta_log/_last_checkpoint",
            "_otf/emptied.state",
            "p=a/file-0.parquet",
            "p=b/file-1.parquet",
        ];
        assert_eq!(left, expected);
    });
}
