//! Delta tables with a past, written by hand: versions made when in-commit timestamps say, and what an oracle makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::error::Result;
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::Version;
use otf::ops::expire::{Finished, Options};
use serde_json::{Value as Json, json};

use super::expiry::expire_table;
use super::timeline::DAY;
use super::workbench::{objects, over};
use super::{NOON, delta_table};

pub(crate) const ROOT: &str = "/t";

/// One version: when it was made, and what its commit does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) time: i64,
    pub(crate) adds: Vec<String>,
    /// Files that go, each with what its removal says of when that was.
    pub(crate) removes: Vec<(String, i64)>,
    pub(crate) changes: Vec<String>,
}

/// A table and how it came to be.
#[derive(Debug, Clone)]
pub(crate) struct DeltaHistory {
    pub(crate) configuration: Json,
    pub(crate) versions: Vec<Made>,
    files: usize,
}

impl DeltaHistory {
    /// A table without files, made so many days ago.
    pub(crate) fn new(configuration: Json, days: i64) -> Self {
        let first = Made { time: NOON - days * DAY, ..Made::default() };
        Self { configuration, versions: vec![first], files: 0 }
    }

    /// A commit so many days ago that takes `gone` away and brings one file more; with `changes`, change data too. Returns the new file.
    pub(crate) fn commit(&mut self, days: i64, gone: &[&str], changes: bool) -> String {
        self.files += 1;
        let (number, time) = (self.files, NOON - days * DAY);
        let name = format!("file-{number}.parquet");
        let removes = gone.iter().map(|name| ((*name).to_string(), time)).collect();
        let changes = changes.then(|| format!("_change_data/cdc-{number}.parquet")).into_iter().collect();
        self.versions.push(Made { time, adds: vec![name.clone()], removes, changes });
        name
    }

    /// The number of the newest version.
    pub(crate) fn latest(&self) -> usize {
        self.versions.len() - 1
    }

    /// The live files of `version`.
    pub(crate) fn live(&self, version: usize) -> BTreeSet<String> {
        let mut live = BTreeSet::new();
        for made in &self.versions[..=version] {
            for (name, _) in &made.removes {
                live.remove(name);
            }
            live.extend(made.adds.iter().cloned());
        }
        live
    }

    /// Every file of rows or changes there ever was.
    pub(crate) fn all_files(&self) -> BTreeSet<String> {
        self.versions.iter().flat_map(|made| made.adds.iter().chain(&made.changes).cloned()).collect()
    }

    /// The oldest version that `age` or a count of `last` keeps: one that was replaced by then goes.
    pub(crate) fn oldest_kept(&self, age: i64, last: usize) -> usize {
        let latest = self.latest();
        let goes = |version: &usize| version + last <= latest && self.versions[version + 1].time < NOON - age;
        (0..latest).take_while(goes).count()
    }

    /// The files that stay where versions from `whole` on keep theirs and removals since `cutoff` are too young.
    pub(crate) fn files_kept(&self, whole: usize, cutoff: i64) -> BTreeSet<String> {
        let mut kept: BTreeSet<String> = (whole..=self.latest()).flat_map(|version| self.live(version)).collect();
        kept.extend(self.versions[whole + 1..].iter().flat_map(|made| made.changes.iter().chain(&made.adds).cloned()));
        let mut newest_word = BTreeMap::new();
        for (name, time) in self.versions[..=whole].iter().flat_map(|made| &made.removes) {
            newest_word.insert(name.clone(), *time);
        }
        kept.extend(newest_word.into_iter().filter(|(_, time)| *time >= cutoff).map(|(name, _)| name));
        kept
    }

    /// The table in memory, with a checkpoint at every version that its interval asks for.
    pub(crate) async fn lay_out(&self) -> Arc<dyn ObjectStore> {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for name in self.all_files() {
            put(&memory, &name, delta_table::parquet_of(&[(1, name.clone())])).await;
        }
        for version in 0..=self.latest() {
            self.lay_commit(&memory, version).await;
            let failed = delta(&memory).settle(Version(i64::try_from(version).unwrap())).await;
            assert!(failed.is_empty(), "{failed:?}");
        }
        memory
    }

    /// Writes the commit `version` alone.
    pub(crate) async fn lay_commit(&self, memory: &Arc<dyn ObjectStore>, version: usize) {
        put(memory, &format!("_delta_log/{version:020}.json"), self.text(version).into_bytes()).await;
    }

    fn text(&self, version: usize) -> String {
        let made = &self.versions[version];
        let mut lines = vec![json!({"commitInfo": {"inCommitTimestamp": made.time, "timestamp": made.time, "operation": "WRITE"}})];
        if version == 0 {
            let mut configuration = json!({"delta.enableInCommitTimestamps": "true"});
            configuration.as_object_mut().unwrap().extend(self.configuration.as_object().unwrap().clone());
            let column = |name: &str, ty: &str| json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
            let schema = json!({"type": "struct", "fields": [column("id", "long"), column("name", "string")]}).to_string();
            let features = json!(["inCommitTimestamp", "changeDataFeed"]);
            lines.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}}));
            lines.push(json!({"metaData": {"id": "table", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
                "partitionColumns": [], "configuration": configuration, "createdTime": 0}}));
        }
        let stats = json!({"numRecords": 1}).to_string();
        lines.extend(made.adds.iter().map(|name| {
            json!({"add": {"path": name, "partitionValues": {}, "size": 700, "modificationTime": made.time, "dataChange": true, "stats": stats}})
        }));
        lines.extend(made.removes.iter().map(|(name, time)| {
            json!({"remove": {"path": name, "deletionTimestamp": time, "dataChange": true, "extendedFileMetadata": true,
                "partitionValues": {}, "size": 700}})
        }));
        let cdc = |name: &String| json!({"cdc": {"path": name, "partitionValues": {}, "size": 5, "dataChange": false}});
        lines.extend(made.changes.iter().map(cdc));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

async fn put(memory: &Arc<dyn ObjectStore>, name: &str, bytes: Vec<u8>) {
    memory.put(&Path::parse(format!("{ROOT}/{name}")).unwrap(), PutPayload::from(bytes)).await.unwrap();
}

/// The table as the tool opens it.
pub(crate) fn delta(objects: &Arc<dyn ObjectStore>) -> DeltaTable {
    DeltaTable::new(over(objects), Location::parse(ROOT).unwrap())
}

/// Expires versions of it, in this process as this operation.
pub(crate) async fn expire_delta(objects: &Arc<dyn ObjectStore>, process: u32, operation: &str, options: &Options) -> Result<Finished> {
    expire_table(&delta(objects), objects, (process, operation), options).await.map(|(finished, _)| finished)
}

/// Keys below the root: files of rows and changes, and others.
pub(crate) async fn keys(store: &Arc<dyn ObjectStore>) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = objects(store, &Location::parse(ROOT).unwrap()).await.into_keys();
    all.partition(|name| name.starts_with("file-") || name.starts_with("_change_data/"))
}
