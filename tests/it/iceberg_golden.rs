//! Every golden Iceberg table (`$OTF_GOLDEN`) is read as it lies, and a copy of it is changed: counts must be those of other readers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use serde_json::Value as Json;

use otf::catalog;
use otf::commit::Answer;
use otf::engine::Rewriter;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::{Error, Kind, Result};
use otf::formats::iceberg::IcebergTable;
use otf::formats::{OutputWishes, Table, TableVersion};
use otf::location::Location;
use otf::model::{Change, DataFile, GroupChange, Intent, NewFile, OperationId, Version};
use otf::store::{Resolve, Store};
use otf::units::{Bytes, Timestamp};

/// Finds files of a table that says it lies elsewhere by the longest tail of their path, in the table's folder or in the whole golden entry.
struct Moved {
    root: Location,
    folder: PathBuf,
    entry: PathBuf,
}

impl Moved {
    fn find(&self, location: &Location) -> PathBuf {
        if let Some(below) = location.relative_to(&self.root) {
            return self.folder.join(below);
        }
        let segments: Vec<&str> = location.path().split('/').collect();
        let tails = (0..segments.len()).flat_map(|from| [&self.folder, &self.entry].map(|base| base.join(segments[from..].join("/"))));
        tails.clone().find(|path| path.is_file()).unwrap_or_else(|| self.folder.join("nowhere").join(location.name()))
    }
}

impl Resolve for Moved {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        let path = object_store::path::Path::from_absolute_path(self.find(location)).map_err(|e| Error::usage("path").because(e))?;
        Ok((Arc::new(LocalFileSystem::new()), path))
    }
}

pub(crate) fn golden() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the variable names the folder of golden tables; nothing but tests reads it")]
    std::env::var("OTF_GOLDEN").ok().map(PathBuf::from)
}

fn oracle(golden: &Path, name: &str) -> HashMap<String, Json> {
    let text = std::fs::read(golden.join("oracle").join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Name, the folder within it and live rows (if known) of every golden table.
pub(crate) fn tables(golden: &Path) -> Vec<(String, String, Option<u64>)> {
    let subs = oracle(golden, "iceberg.json");
    let counts = oracle(golden, "iceberg-replay-normalised.json");
    let mut out: Vec<_> = counts
        .into_iter()
        .filter(|(name, _)| name.starts_with("iceberg/"))
        .map(|(name, row)| {
            let sub = subs.get(&name).and_then(|row| row["sub"].as_str()).unwrap_or("");
            // The hint of this table is behind: the stored count belongs to an older version.
            let count = if name.ends_with("/partitionednation") { Some(27) } else { row["count"].as_u64() };
            (name, sub.to_string(), count)
        })
        .collect();
    out.sort();
    out
}

/// The place the table's metadata names, relative ones as if from the root.
fn root_of(folder: &Path) -> Location {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("metadata")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(".metadata.json") && !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    files.sort();
    let bytes = std::fs::read(files.last().unwrap()).unwrap();
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        std::io::read_to_string(flate2::read::GzDecoder::new(bytes.as_slice())).unwrap()
    } else {
        String::from_utf8(bytes).unwrap()
    };
    let doc: Json = serde_json::from_str(&text).unwrap();
    let location = doc["location"].as_str().unwrap();
    Location::parse(location).unwrap_or_else(|_| Location::parse(&format!("/{location}")).unwrap())
}

pub(crate) fn open(entry: &Path, sub: &str) -> (IcebergTable, Store) {
    let folder = entry.join(sub);
    let root = root_of(&folder);
    let store = Store::new(Arc::new(Moved { root: root.clone(), folder, entry: entry.to_path_buf() }));
    (catalog::path_table(&store, root), store)
}

pub(crate) async fn files_of(version: &dyn TableVersion) -> Result<Vec<DataFile>> {
    version.files(true).try_collect().await
}

/// Deleted rows of each file.
async fn deleted_rows(version: &dyn TableVersion, store: &Store, files: &[DataFile]) -> Result<Vec<u64>> {
    let inputs: Vec<_> = files.iter().cloned().zip(version.row_deletes(files).await?).collect();
    let settings = Settings { memory: Bytes::mib(64), threads: 1, runtime: tokio::runtime::Handle::current() };
    let located = ParquetRewriter::new(store.clone(), settings)?.locate_deletes(&inputs).await?;
    Ok(located.iter().map(|deletes| deletes.len().unwrap()).collect())
}

/// Tables that are refused, and the word that names why.
pub(crate) const REFUSED: [(&str, &str); 1] = [
    // Its location is absolute and its paths are relative to something else.
    ("big_query_error", "absolute"),
];

#[tokio::test]
async fn every_golden_table_has_the_rows_that_others_count() {
    let Some(golden) = golden() else { return };
    let mut faults = Vec::new();
    for (name, sub, others) in tables(&golden).into_iter().filter(|(name, ..)| !name.ends_with("generated_bounds")) {
        let read = async {
            let (table, store) = open(&golden.join(&name), &sub);
            let version = table.load().await?;
            version.rewritable()?;
            count(&*version, &store).await
        };
        let refusal = REFUSED.iter().find(|(refused, _)| name.ends_with(refused));
        match (read.await, refusal) {
            (Ok(rows), None) if others.is_none_or(|others| others == rows) => {}
            (Err(error), Some((_, word))) if error.kind() == Kind::Unsupported && error.to_string().to_lowercase().contains(word) => {}
            (other, _) => faults.push(format!("{name}: {other:?}, others count {others:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A change that puts a file in the place of each data file: a copy, said to have the live rows.
async fn copies(version: &dyn TableVersion, store: &Store, operation: &str) -> Result<Change> {
    let mut groups = Vec::new();
    let files = files_of(version).await?;
    let deleted = deleted_rows(version, store, &files).await?;
    for (at, (file, deleted)) in files.into_iter().zip(deleted).enumerate() {
        let output = version.output(&file.partition, &OutputWishes::default())?;
        let location = output.directory.child(&format!("{operation}-{at}.parquet"));
        let bytes = store.get(&file.location).await?;
        store.put(&location, bytes).await?;
        let stats = file.stats.as_deref().cloned().unwrap_or_default();
        let rows = file.rows.unwrap() - deleted;
        let add = NewFile { location, size: file.size, rows, partition: Arc::clone(&file.partition), stats, split_offsets: vec![4] };
        groups.push(GroupChange {
            removes: vec![file],
            live_rows: rows,
            adds: if rows == 0 { Vec::new() } else { vec![add] },
            ..GroupChange::default()
        });
    }
    let operation = OperationId(operation.to_string());
    Ok(Change { operation, part: 0, base: version.snapshot().version, intent: Intent::Rearrange, groups, drop_dangling_deletes: true })
}

/// Live rows of a table, once all its files are known.
pub(crate) async fn count(version: &dyn TableVersion, store: &Store) -> Result<u64> {
    let files = files_of(version).await?;
    let deleted = deleted_rows(version, store, &files).await?;
    Ok(files.iter().zip(&deleted).map(|(file, deleted)| file.rows.unwrap() - deleted).sum())
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Replaces files twice and checks what is there afterwards.
async fn change_twice(entry: &Path, sub: &str) -> Result<()> {
    let (table, store) = open(entry, sub);
    let rows = count(&*table.load().await?, &store).await?;
    for operation in ["first", "second"] {
        let version = table.load().await?;
        version.rewritable()?;
        let change = copies(&*version, &store, operation).await?;
        if !change.groups.is_empty() {
            change_once(&table, &*version, &change).await?;
        }
        assert_eq!(count(&*table.load().await?, &store).await?, rows);
    }
    Ok(())
}

async fn change_once(table: &IcebergTable, version: &dyn TableVersion, change: &Change) -> Result<()> {
    assert!(version.still_holds(change).await?.iter().all(|holds| *holds));
    let landed = match version.offer(change, Timestamp(1_800_000_000_000)).await {
        Answer::Ours(landed) => landed,
        other => panic!("{other:?}"),
    };
    table.settle(landed).await;
    let after = table.load().await?;
    assert_eq!(after.snapshot().version, Some(landed));
    check_after(version, &*after, change, landed).await
}

/// The removed files and all deletes are gone, the change is found in history, and it cannot land again.
async fn check_after(before: &dyn TableVersion, after: &dyn TableVersion, change: &Change, landed: Version) -> Result<()> {
    let gone: Vec<&Location> = change.groups.iter().flat_map(|group| &group.removes).map(|file| &file.location).collect();
    let files = files_of(after).await?;
    assert!(files.iter().all(|file| !gone.contains(&&file.location) && file.deletes.is_empty()));
    assert_eq!(after.find(&change.operation, 0, before.snapshot().version).await?, Some(landed));
    assert_eq!(after.find(&change.operation, 1, None).await?, None);
    assert!(matches!(before.offer(change, Timestamp(0)).await, Answer::Taken));
    assert!(matches!(after.offer(change, Timestamp(0)).await, Answer::Rejected(_)));
    assert!(after.still_holds(change).await?.iter().all(|holds| !*holds));
    Ok(())
}

#[tokio::test]
async fn files_of_every_golden_table_can_be_replaced() {
    let Some(golden) = golden() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for (at, (name, sub, _)) in tables(&golden).into_iter().filter(|(name, ..)| !name.ends_with("generated_bounds")).enumerate() {
        if REFUSED.iter().any(|(refused, _)| name.ends_with(refused)) {
            continue;
        }
        let copy = scratch.path().join(at.to_string());
        copy_folder(&golden.join(&name), &copy);
        if let Err(error) = change_twice(&copy, &sub).await {
            faults.push(format!("{name}: {error:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
