//! Tables in memory, read as the tool reads them.

use std::cell::RefCell;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::engine::scan::{FileScan, FileScanner, Scanner};
use otf::error::{Error, Kind, Result};
use otf::formats::{OutputWishes, Table, TableVersion};
use otf::location::Location;
use otf::model::{DataFile, Reach, RowDeletes};
use otf::store::{Resolve, Store};
use otf::units::Bytes as Size;
use tokio::runtime::{Builder, Handle, Runtime};

/// Objects by name.
pub(super) type Objects = Vec<(String, Bytes)>;
/// Opens a table.
pub(super) type Open = fn(&Store, Location) -> Box<dyn Table>;

/// Data files that are looked at with their deletes: more of them would only be slower.
const MOST_FILES: usize = 4;
/// One input in so many is read whole, whatever its target is about.
const WHOLE: u32 = 16;
/// What reading a file may use.
pub(super) const MEMORY: Size = Size(16 << 20);

struct OneStore(Arc<InMemory>);

impl Resolve for OneStore {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::parse(location.path()).map_err(|e| Error::usage("no such name").because(e))?;
        Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, path))
    }
}

/// How far a table is read: what a target is about, and not again what its input cannot change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What metadata says without lists of files.
    Head,
    /// Data files and their deletes.
    Deletes,
    /// The rows of a file that has deletes, too.
    Rows,
    /// Everything but rows, with history and what fsck looks at.
    Whole,
}

impl Depth {
    /// This depth, and the whole table for some inputs, always the same ones.
    pub(super) fn for_most(self, data: &[u8]) -> Self {
        if crc32fast::hash(data).is_multiple_of(WHOLE) { Self::Whole } else { self }
    }
}

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().max_blocking_threads(4).build().unwrap());
}

/// Runs `work` on this thread, over a store with `objects` at `root`.
pub(super) fn with_store<W: AsyncFnOnce(Store, Location)>(root: &str, objects: Objects, work: W) {
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let memory = InMemory::new();
            let root = Location::parse(root).unwrap();
            for (name, bytes) in objects {
                // A name that no object can have is none.
                let Ok(path) = Path::parse(root.child(&name).path()) else { continue };
                memory.put(&path, PutPayload::from_bytes(bytes)).await.unwrap();
            }
            work(Store::new(Arc::new(OneStore(Arc::new(memory)))), root).await;
        });
    });
}

/// What `result` holds. An error is an answer like any other, but for one that blames the tool itself: a panic that was caught, a broken rule.
pub(crate) fn sound<T>(result: Result<T>) -> Option<T> {
    assert!(!result.as_ref().is_err_and(|error| error.kind() == Kind::Bug), "{:?}", result.err());
    result.ok()
}

/// Reads what a table of these objects has.
pub(super) fn read(root: &str, objects: Objects, depth: Depth, open: Open) {
    with_store(root, objects, async |store, root| {
        let Some(version) = sound(open(&store, root).load().await) else { return };
        let version = &*version;
        sound(version.rewritable());
        sound(version.retention());
        drop((version.references(), version.timeline(), version.defaults(), version.state_id()));
        match depth {
            Depth::Head => {
                sound(version.reading());
                sound(version.output(&Arc::default(), &OutputWishes::default()));
            }
            Depth::Deletes => drop(deleted(version).await),
            Depth::Rows => {
                if let Some((file, deletes)) = deleted(version).await {
                    rows(&store, version, &file, deletes).await;
                }
            }
            Depth::Whole => {
                drop(deleted(version).await);
                past(version).await;
            }
        }
    });
}

/// A file with its deletes, after those of others were read.
async fn deleted(version: &dyn TableVersion) -> Option<(DataFile, RowDeletes)> {
    let files = files(version).await;
    for file in &files {
        sound(version.output(&file.partition, &OutputWishes::default()));
    }
    let deletes = sound(version.row_deletes(&files).await)?;
    files.into_iter().zip(deletes).find(|(_, deletes)| !matches!(deletes, RowDeletes::None))
}

/// History, and what fsck looks at.
async fn past(version: &dyn TableVersion) {
    sound(version.bookkeeping().await);
    sound(version.history().try_for_each(async |_| Ok(())).await);
    sound(version.holdings().try_for_each(async |_| Ok(())).await);
    sound(version.check(Reach::EveryVersion, &mut |_| {}).await);
}

/// Some files, those with deletes first.
async fn files(version: &dyn TableVersion) -> Vec<DataFile> {
    let mut files = Vec::new();
    let mut stream = version.files(true);
    while let Some(file) = stream.next().await {
        match sound(file) {
            Some(file) if files.len() < MOST_FILES || !file.deletes.is_empty() => files.push(file),
            _ => {}
        }
    }
    files.sort_by_key(|file| file.deletes.is_empty());
    files.truncate(MOST_FILES);
    files
}

async fn rows(store: &Store, version: &dyn TableVersion, file: &DataFile, deletes: RowDeletes) {
    let (Some(reading), Some(constants)) = (sound(version.reading()), sound(version.constants(&file.partition))) else { return };
    let scan =
        FileScan { file: file.clone(), deletes, schema: Arc::new(reading.schema), matching: reading.matching, constants, filter: None };
    read_rows(store, scan).await;
}

/// Reads the rows of a file.
pub(super) async fn read_rows(store: &Store, scan: FileScan) {
    let scanner = FileScanner::new(store.clone(), MEMORY, Handle::current());
    sound(scanner.scan(scan).try_for_each(async |_| Ok(())).await);
}

/// The folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    let mut folders = FsPath::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("fixtures"));
    folders.find(|folder| folder.is_dir()).unwrap()
}

/// The objects of a fixture's `folders`, read once.
pub(super) fn fixture(name: &'static str, folders: &[&str]) -> Objects {
    thread_local! {
        static KNOWN: RefCell<Vec<(&'static str, Objects)>> = const { RefCell::new(Vec::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some((_, objects)) = known.iter().find(|(known, _)| *known == name) {
            return objects.clone();
        }
        let mut objects = Vec::new();
        for folder in folders {
            for entry in std::fs::read_dir(fixtures().join(name).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
                    objects.push((name, Bytes::from(std::fs::read(&path).unwrap())));
                }
            }
        }
        known.push((name, objects.clone()));
        objects
    })
}

/// `objects` with the first whose name begins with `part` replaced.
pub(super) fn replaced(mut objects: Objects, part: &str, data: impl Into<Bytes>) -> Objects {
    let found = objects.iter_mut().find(|(name, _)| name.starts_with(part)).unwrap();
    found.1 = data.into();
    objects
}
