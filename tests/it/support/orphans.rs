//! Tables with orphans, and runs over them.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::catalog;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::Result;
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::OperationId;
use otf::ops::Parts;
use otf::ops::orphans::plan::{Equal, OnMismatch, Why};
use otf::ops::orphans::run::{execute, plan};
use otf::ops::orphans::{Finished, OLDER_THAN_MS, Options, PlanDocument};
use otf::units::Bytes;
use otf::wiring::neighbours::TablesAt;
use serde_json::{Value as Json, json};
use tokio::runtime::Handle;

use super::aged::{Aged, DAY};
use super::workbench::{Original, over};
use super::{Alone, NOON, Remarks, TestClock};

/// What a user asks for who gives no options.
pub(crate) fn defaults() -> Options {
    Options {
        older_than_ms: OLDER_THAN_MS,
        unsafe_retention: false,
        location: None,
        inventory: None,
        quarantine: None,
        on_mismatch: OnMismatch::default(),
        equal: Equal::default(),
        shown: 1000,
        temp: place("/tmp/otf-temporary"),
    }
}

pub(crate) fn place(text: &str) -> Location {
    Location::parse(text).unwrap()
}

/// A table in storage whose files are ten days old unless planted otherwise.
pub(crate) struct Bed {
    pub(crate) root: Location,
    pub(crate) memory: Arc<dyn ObjectStore>,
    pub(crate) aged: Arc<Aged>,
    is_delta: bool,
}

impl Bed {
    /// The table of `original`.
    pub(crate) async fn of(original: &Original, is_delta: bool) -> Self {
        let memory = original.lay_out().await;
        Self { root: original.root.clone(), aged: Aged::new(Arc::clone(&memory)), memory, is_delta }
    }

    /// The Iceberg table at `root` in `objects`.
    pub(crate) fn on(objects: &Arc<dyn ObjectStore>, root: Location) -> Self {
        Self { root, memory: Arc::clone(objects), aged: Aged::new(Arc::clone(objects)), is_delta: false }
    }

    /// An Iceberg table without a snapshot at `root`, whose metadata names `held` as statistics, under these properties.
    pub(crate) async fn naming(root: &str, held: &[&str], properties: &Json) -> Self {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let bed = Self { root: place(root), aged: Aged::new(Arc::clone(&memory)), memory, is_delta: false };
        bed.put(&bed.key("metadata/v1.metadata.json"), document(root, held, properties).to_string().into_bytes()).await;
        bed
    }

    /// A Delta table at `root` of these commits.
    pub(crate) async fn with_log(root: &str, commits: &[Vec<Json>]) -> Self {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let bed = Self { root: place(root), aged: Aged::new(Arc::clone(&memory)), memory, is_delta: true };
        for (version, actions) in commits.iter().enumerate() {
            bed.commit(version, actions).await;
        }
        bed
    }

    /// Commits `actions` to a Delta table's log as `version`.
    pub(crate) async fn commit(&self, version: usize, actions: &[Json]) {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        self.put(&self.key(&format!("_delta_log/{version:020}.json")), text.into_bytes()).await;
    }

    pub(crate) fn key(&self, below: &str) -> String {
        self.root.child(below).path().to_string()
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.memory.put(&Path::parse(key).unwrap(), PutPayload::from(bytes)).await.unwrap();
    }

    /// A file of seven bytes at `below` the root, this many days old.
    pub(crate) async fn plant(&self, below: &str, days: i64) {
        self.plant_at(&self.key(below), days).await;
    }

    /// A file of seven bytes, this many days old.
    pub(crate) async fn plant_at(&self, key: &str, days: i64) {
        self.put(key, b"rubbish".to_vec()).await;
        self.aged.set(key, NOON - days * DAY);
    }

    /// Every key in storage.
    pub(crate) async fn keys(&self) -> BTreeSet<String> {
        let listed: Vec<_> = self.memory.list(None).try_collect().await.unwrap();
        listed.into_iter().map(|meta| meta.location.to_string()).collect()
    }

    fn table(&self, store: &otf::store::Store) -> Box<dyn Table> {
        if self.is_delta {
            Box::new(DeltaTable::new(store.clone(), self.root.clone()))
        } else {
            Box::new(catalog::path_table(store, self.root.clone()))
        }
    }

    /// A run as `operation` over `objects`, which are this bed's storage under whatever a test lays over it.
    pub(crate) async fn run_over(&self, objects: &Arc<dyn ObjectStore>, operation: &str, options: &Options) -> Result<Finished> {
        let store = over(objects);
        let table = self.table(&store);
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(7));
        let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
        execute(&*table, &OperationId(operation.into()), options, &TablesAt { store: &store }, parts).await
    }

    /// A run that deletes.
    pub(crate) async fn run(&self, options: &Options) -> Result<Finished> {
        let aged: Arc<dyn ObjectStore> = Arc::<Aged>::clone(&self.aged);
        self.run_over(&aged, "an-operation", options).await
    }

    /// A run that only looks.
    pub(crate) async fn look(&self, options: &Options) -> Result<PlanDocument> {
        let aged: Arc<dyn ObjectStore> = Arc::<Aged>::clone(&self.aged);
        let store = over(&aged);
        let table = self.table(&store);
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(7));
        let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
        let survey = plan(&*table, &OperationId("a-look".into()), options, &TablesAt { store: &store }, parts).await?;
        let document = survey.plan.clone();
        survey.clear().await;
        Ok(document)
    }

    /// Brings back what was set aside at `from`.
    pub(crate) async fn restore(&self, from: &str, agreed: bool) -> Result<Finished> {
        let store = over(&self.memory);
        let table = self.table(&store);
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(7));
        let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
        otf::ops::orphans::restore::restore(&*table, &place(from), 1000, agreed, parts).await
    }

    /// Runs and asserts that exactly `expected` (below the root) are gone, that looking first said so, and that nothing is left to do.
    pub(crate) async fn deletes(&self, options: &Options, expected: &[&str]) -> Finished {
        let keys: Vec<String> = expected.iter().map(|below| self.key(below)).collect();
        self.deletes_at(options, &keys).await
    }

    /// As [`Self::deletes`], by keys.
    pub(crate) async fn deletes_at(&self, options: &Options, expected: &[String]) -> Finished {
        let before = self.keys().await;
        let looked = self.look(options).await.unwrap();
        assert_eq!(self.keys().await, before, "looking changed something");
        let named: BTreeSet<String> = looked.files.iter().map(|file| place(file).path().to_string()).collect();
        let done = self.run(options).await.unwrap();
        let after = self.keys().await;
        let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
        assert_eq!(gone, expected.iter().cloned().collect::<BTreeSet<_>>());
        assert_eq!(named, gone, "the plan named others");
        assert!(after.is_subset(&before), "files were added");
        assert_eq!((done.report.deleted, done.report.failed), (gone.len() as u64, 0));
        let again = self.run(options).await.unwrap();
        assert_eq!((again.report.found, again.outcome.as_str()), (0, "nothing-to-do"));
        done
    }
}

/// How many files stay for the reason `why`.
pub(crate) fn stay(done: &Finished, why: Why) -> u64 {
    done.report.skipped.iter().find(|skipped| skipped.why == why).map_or(0, |skipped| skipped.count)
}

/// Iceberg metadata of a table without a snapshot.
pub(crate) fn document(root: &str, held: &[&str], properties: &Json) -> Json {
    let statistics: Vec<Json> = held
        .iter()
        .map(|path| json!({"snapshot-id": 1, "statistics-path": path, "file-size-in-bytes": 7, "file-footer-size-in-bytes": 1, "blob-metadata": []}))
        .collect();
    json!({"format-version": 2, "table-uuid": "00000000-0000-4000-8000-000000000001", "location": root, "last-sequence-number": 0,
        "last-updated-ms": 1, "last-column-id": 1, "current-schema-id": 0,
        "schemas": [{"schema-id": 0, "type": "struct", "fields": [{"id": 1, "name": "a", "required": false, "type": "long"}]}],
        "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
        "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}], "properties": properties,
        "current-snapshot-id": -1, "snapshots": [], "statistics": statistics})
}
