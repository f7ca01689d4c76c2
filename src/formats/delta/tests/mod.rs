//! Tests on small tables made here and on other engines' tables.

mod checkpoint_stats;
mod checkpoints;
mod commits;
mod compactions;
mod compat;
mod golden;
mod histories;
mod marks;
mod past;
mod past_log;
mod reading;
mod restores;
mod travel;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use serde_json::{Value as Json, json};

use super::lines::Action;
use super::log::Listing;
use super::replay::Keep;
use super::{DeltaTable, DeltaVersion, reach};
use crate::error::Result;
use crate::formats::{Table, TableVersion};
use crate::location::Location;
use crate::model::{Change, DataFile, FileStats, GroupChange, Holding, Intent, NewFile, OperationId, RowDeletes};
use crate::store::{Resolve, Store};
use crate::units::Bytes;

/// Local files, by names as they are.
struct Local(Arc<LocalFileSystem>);

impl Resolve for Local {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Key)> {
        let key = Key::parse(location.path()).map_err(|e| crate::error::Error::usage("no such name").because(e))?;
        Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, key))
    }
}

fn store() -> Store {
    Store::new(Arc::new(Local(Arc::new(LocalFileSystem::new()))))
}

fn table(root: &Path) -> DeltaTable {
    DeltaTable::new(store(), Location::parse(root.to_str().unwrap()).unwrap())
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn all_files(version: &dyn TableVersion) -> Result<Vec<DataFile>> {
    version.files(true).try_collect().await
}

/// Live rows, where the log says how many rows every file has.
async fn live_rows(version: &dyn TableVersion) -> Result<Option<u64>> {
    let files = all_files(version).await?;
    let deletes = version.row_deletes(&files).await?;
    let deleted: u64 = deletes.iter().map(|deletes| deletes.len().unwrap()).sum();
    let rows: Option<u64> = files.iter().map(|file| file.rows).sum();
    Ok(rows.map(|rows| rows - deleted))
}

/// A table made of log lines.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new(commits: &[Vec<Json>]) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(made.log("")).unwrap();
        for (version, actions) in commits.iter().enumerate() {
            made.commit(version, actions);
        }
        made
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.root().join("_delta_log").join(name)
    }

    fn commit_path(&self, version: usize) -> PathBuf {
        self.log(&format!("{version:020}.json"))
    }

    fn commit(&self, version: usize, actions: &[Json]) {
        let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
        std::fs::write(self.commit_path(version), lines).unwrap();
    }

    fn read_commit(&self, version: usize) -> Vec<Json> {
        let text = std::fs::read_to_string(self.commit_path(version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn load(&self) -> Result<Arc<dyn TableVersion>> {
        block(table(self.root()).load())
    }

    /// Makes every file of the table that a commit names.
    fn lay_files(&self) -> Result<()> {
        block(async {
            let table = table(self.root());
            let (state, listing) = table.state(None, Keep::Live).await?;
            let version = table.version(state, &listing)?;
            let root = version.root().clone();
            let mut lay = |_: &Action, file: Holding| {
                if file.location.is_below(&root) {
                    let path = Path::new("/").join(file.location.path());
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, "").unwrap();
                }
            };
            for commit in Listing::read(table.store(), &root, None).await?.commits_from(0) {
                reach::each_of_commit(&version, commit, &mut lay).await?;
            }
            Ok(())
        })
    }

    /// Spellings of the live files, sorted.
    fn paths(&self) -> Vec<String> {
        let version = self.load().unwrap();
        let mut paths: Vec<_> = block(all_files(&*version)).unwrap().iter().map(|file| file.path().to_string()).collect();
        paths.sort();
        paths
    }
}

fn protocol(reader: &[&str], writer: &[&str]) -> Json {
    json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": writer}})
}

fn plain_protocol() -> Json {
    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
}

fn metadata(partition_columns: &[&str], configuration: &Json) -> Json {
    let column = |name: &str, ty: &str| json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
    let schema = json!({"type": "struct", "fields": [column("p", "string"), column("n", "integer")]}).to_string();
    json!({"metaData": {"id": "m", "name": "a table", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
        "partitionColumns": partition_columns, "configuration": configuration, "createdTime": 7}})
}

fn add(path: &str) -> Json {
    json!({"add": {"path": path, "partitionValues": {}, "size": 10, "modificationTime": 1, "dataChange": true,
        "stats": "{\"numRecords\":5,\"minValues\":{\"n\":1},\"maxValues\":{\"n\":3},\"nullCount\":{\"n\":0}}"}})
}

fn with(mut action: Json, kind: &str, key: &str, value: Json) -> Json {
    action[kind][key] = value;
    action
}

fn remove(path: &str) -> Json {
    json!({"remove": {"path": path, "deletionTimestamp": 1000, "dataChange": true}})
}

fn info(timestamp: i64) -> Json {
    json!({"commitInfo": {"timestamp": timestamp, "operation": "WRITE"}})
}

/// Replaces `removes` by one file of as many rows.
fn change(version: &dyn TableVersion, removes: Vec<DataFile>, rows: u64) -> Change {
    let partition = Arc::clone(&removes[0].partition);
    let directory = version.output(&partition, &crate::formats::OutputWishes::default()).unwrap().directory;
    let location = directory.child("new file.parquet");
    let added = NewFile { location, size: Bytes(20), rows, partition, stats: FileStats::default(), split_offsets: vec![4] };
    Change {
        operation: OperationId("op".into()),
        part: 0,
        base: version.snapshot().version,
        intent: Intent::Rearrange,
        groups: vec![GroupChange { removes, live_rows: rows, adds: vec![added], ..GroupChange::default() }],
        drop_dangling_deletes: false,
    }
}
