//! Small tables that can be laid out again and again, compacted over any store, and read back independently of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FsPath;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes as Buffer;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::catalog;
use otf::engine::Rewriter;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::Result;
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::{DataFile, OperationId, RowDeletes};
use otf::ops::Parts;
use otf::ops::compact::{Finished, Options, run};
use otf::store::Store;
use otf::store::local::LocalDisk;
use otf::units::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value as Json;
use tokio::runtime::{Builder, Handle, Runtime};

use super::sql::CatalogRow;
use super::{Alone, OneStore, Remarks, TestClock, delta_table, references};

/// Objects by their key below the table's root.
pub(crate) type Objects = BTreeMap<String, Buffer>;

/// A runtime as the tool has one.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A table as it is before anything happens to it.
pub(crate) struct Original {
    pub(crate) root: Location,
    pub(crate) objects: Objects,
    /// Its live rows, as [`rows`] gives them.
    pub(crate) rows: Vec<String>,
    is_delta: bool,
    /// The catalog that knows where its metadata is, if its folder does not tell.
    pub(crate) catalog: Option<CatalogRow>,
}

impl Original {
    /// The Delta table of [`delta_table::write`] at `root`.
    pub(crate) async fn delta(root: &str, files: usize) -> Self {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Self::delta_on(&memory, root, files).await
    }

    /// The same, already laid out on `memory`.
    pub(crate) async fn delta_on(memory: &Arc<dyn ObjectStore>, root: &str, files: usize) -> Self {
        let (store, root) = (over(memory), Location::parse(root).unwrap());
        let live = delta_table::write(&store, &root, files).await;
        let partition = |id: i64| if id / 10 % 2 == 0 { "p=a" } else { "p=b" };
        let mut rows: Vec<String> = live.iter().map(|(id, name)| line(partition(*id), *id, name, None)).collect();
        rows.sort();
        let original = Self { objects: objects(memory, &root).await, root, rows, is_delta: true, catalog: None };
        assert_eq!(original.read(memory).await, original.rows);
        original
    }

    /// An Iceberg table of `fixtures/`, where its metadata says that it lies: 60 rows less those whose id divides by 4.
    pub(crate) async fn iceberg(fixture: &str) -> Self {
        let mut original = Self::fixture(fixture);
        original.rows = original.read(&original.lay_out().await).await;
        let expected = (0..60).filter(|id| id % 4 != 0).map(|id| (id, format!("v{id}")));
        original.assert_holds(expected);
        original
    }

    /// The same table in an SQL catalog.
    pub(crate) async fn iceberg_in_sql(fixture: &str) -> Self {
        let mut original = Self::iceberg(fixture).await;
        original.objects.remove("metadata/version-hint.text").unwrap();
        original.catalog = Some(CatalogRow::new(&original.root.child("metadata").child("v3.metadata.json")).await);
        original
    }

    /// The same table before its rows were deleted: the metadata file that the delete made is not there.
    pub(crate) async fn iceberg_before_its_delete(fixture: &str) -> Self {
        let mut original = Self::fixture(fixture);
        original.objects.remove("metadata/v3.metadata.json").unwrap();
        original.objects.insert("metadata/version-hint.text".into(), Buffer::from_static(b"2"));
        original.rows = original.read(&original.lay_out().await).await;
        original.assert_holds((0..60).map(|id| (id, format!("v{id}"))));
        original
    }

    /// A Delta table of `fixtures/`.
    pub(crate) async fn delta_fixture(fixture: &str) -> Self {
        let folder = FsPath::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        let disk: Arc<dyn ObjectStore> = Arc::new(LocalDisk);
        let objects = objects(&disk, &Location::parse(folder.to_str().unwrap()).unwrap()).await;
        Self { root: Location::parse("/t").unwrap(), objects, rows: Vec::new(), is_delta: true, catalog: None }
    }

    /// A table that somebody has laid out on `store`.
    pub(crate) async fn found(store: &Arc<dyn ObjectStore>, root: &str, is_delta: bool) -> Self {
        let root = Location::parse(root).unwrap();
        let mut original = Self { objects: objects(store, &root).await, root, rows: Vec::new(), is_delta, catalog: None };
        original.rows = original.read(store).await;
        original
    }

    /// An Iceberg table of `fixtures/` with all its rows.
    pub(crate) async fn iceberg_whole(fixture: &str) -> Self {
        let mut original = Self::fixture(fixture);
        original.rows = original.read(&original.lay_out().await).await;
        original
    }

    /// An Iceberg table of `fixtures/` as it was made, before its first row.
    pub(crate) async fn iceberg_without_a_snapshot(fixture: &str) -> Self {
        let mut original = Self::fixture(fixture);
        original.objects.retain(|name, _| name == "metadata/v1.metadata.json");
        original
    }

    /// The bytes of a file of a fixture.
    pub(crate) fn fixture_file(fixture: &str, name: &str) -> Buffer {
        let folder = FsPath::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        std::fs::read(folder.join(name)).unwrap().into()
    }

    fn fixture(fixture: &str) -> Self {
        let folder = FsPath::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        let mut objects = Objects::new();
        let mut folders = vec![folder.clone()];
        while let Some(inner) = folders.pop() {
            for entry in std::fs::read_dir(inner).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_string();
                objects.insert(name, std::fs::read(&path).unwrap().into());
            }
        }
        let root = Location::parse(&format!("/tmp/otf-fixtures/0000000000000000/db/{fixture}")).unwrap();
        Self { root, objects, rows: Vec::new(), is_delta: false, catalog: None }
    }

    fn assert_holds(&self, expected: impl Iterator<Item = (i64, String)>) {
        let mut expected: Vec<String> = expected.map(|(id, text)| format!("{id:05} {text}")).collect();
        expected.sort();
        let mut found: Vec<String> = self.rows.iter().map(|row| row.split(" | ").nth(1).unwrap().to_string()).collect();
        found.sort();
        assert_eq!(found, expected);
    }

    /// A copy in memory; a catalog knows the last copy only.
    pub(crate) async fn lay_out(&self) -> Arc<dyn ObjectStore> {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        self.lay_out_on(&memory).await;
        memory
    }

    /// A copy on `store`.
    pub(crate) async fn lay_out_on(&self, store: &Arc<dyn ObjectStore>) {
        for (name, bytes) in &self.objects {
            store.put(&self.key(name), PutPayload::from_bytes(bytes.clone())).await.unwrap();
        }
        if let Some(row) = &self.catalog {
            row.reset().await;
        }
    }

    /// Adds an object as another writer would: there must be none of that name.
    pub(crate) async fn put_new(&self, objects: &Arc<dyn ObjectStore>, name: &str, bytes: impl Into<Buffer>) {
        let put = over(objects).put_if_absent(&self.root.child(name), bytes.into()).await.unwrap();
        assert_eq!(put, otf::store::Put::Created, "{name}");
    }

    /// Removes an object as another tool would.
    pub(crate) async fn remove(&self, objects: &Arc<dyn ObjectStore>, name: &str) {
        objects.delete(&self.key(name)).await.unwrap();
    }

    fn key(&self, name: &str) -> Path {
        Path::parse(self.root.child(name).path()).unwrap()
    }

    /// The table as the tool opens it.
    pub(crate) async fn open(&self, store: &Store) -> Result<Box<dyn Table>> {
        match &self.catalog {
            Some(row) => row.open(store).await,
            None if self.is_delta => Ok(Box::new(DeltaTable::new(store.clone(), self.root.clone()))),
            None => Ok(Box::new(catalog::path_table(store, self.root.clone()))),
        }
    }

    /// How many versions the copy in `objects` has.
    pub(crate) async fn versions(&self, objects: &Objects) -> usize {
        match &self.catalog {
            Some(row) => snapshots(&objects[&format!("metadata/{}", row.current().await)]),
            None => objects.keys().filter(|name| !name.starts_with("_otf/") && name.ends_with(".json")).count(),
        }
    }

    /// How many commits the copy in `objects` has more than at first, those that make no version included.
    pub(crate) async fn versions_and_states(&self, objects: &Objects) -> usize {
        let states = |objects: &Objects| objects.keys().filter(|name| !name.starts_with("_otf/") && name.ends_with(".json")).count();
        match &self.catalog {
            Some(row) => usize::from(row.current().await != "v3.metadata.json"),
            None => states(objects) - states(&self.objects),
        }
    }

    /// How many versions it has before anything happens to it.
    pub(crate) fn versions_at_first(&self) -> usize {
        let is_version = |name: &&String| name.ends_with(".json");
        match &self.catalog {
            Some(_) => snapshots(&self.objects["metadata/v3.metadata.json"]),
            None => self.objects.keys().filter(is_version).count(),
        }
    }

    /// The keys of `objects` that a version of the table names, and of its metadata.
    pub(crate) async fn named(&self, objects: &Objects) -> BTreeSet<String> {
        match &self.catalog {
            Some(row) => references::named_from(objects, &format!("metadata/{}", row.current().await), self.root.path()),
            None => references::named(objects, self.root.path()),
        }
    }

    /// The live rows of the copy in `objects`.
    pub(crate) async fn read(&self, objects: &Arc<dyn ObjectStore>) -> Vec<String> {
        let store = over(objects);
        rows(&*self.open(&store).await.unwrap(), &store).await.unwrap()
    }

    /// Every row of `file`, deleted or not, in file order, as [`rows`] gives them.
    pub(crate) async fn rows_at(&self, store: &Store, file: &DataFile) -> Vec<String> {
        let mut rows = Vec::new();
        rows_of(file, &RowDeletes::None, store.get(&file.location).await.unwrap(), &mut rows);
        rows
    }

    /// The keys of its live files in `objects`, sorted.
    pub(crate) async fn live_files(&self, objects: &Arc<dyn ObjectStore>) -> Vec<String> {
        let version = self.open(&over(objects)).await.unwrap().load().await.unwrap();
        let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
        let mut names: Vec<String> = files.iter().map(|file| file.location.relative_to(&self.root).unwrap().to_string()).collect();
        names.sort();
        names
    }

    /// Compacts the copy in `objects` as `operation`, in the process with this id.
    pub(crate) async fn compact(
        &self,
        objects: &Arc<dyn ObjectStore>,
        process: u32,
        operation: &str,
        options: &Options,
    ) -> Result<Finished> {
        self.compact_with(objects, process, operation, options, |engine| engine).await
    }

    /// As [`Self::compact`], with another engine put before the usual one.
    pub(crate) async fn compact_with(
        &self,
        objects: &Arc<dyn ObjectStore>,
        process: u32,
        operation: &str,
        options: &Options,
        wrap: impl FnOnce(Box<dyn Rewriter>) -> Box<dyn Rewriter>,
    ) -> Result<Finished> {
        let store = over(objects);
        let table = self.open(&store).await?;
        Self::compact_table(&*table, &store, (process, operation), options, wrap).await
    }

    /// Compacts `table`, which lies in `store`, in this process as this operation.
    pub(crate) async fn compact_table(
        table: &dyn Table,
        store: &Store,
        (process, operation): (u32, &str),
        options: &Options,
        wrap: impl FnOnce(Box<dyn Rewriter>) -> Box<dyn Rewriter>,
    ) -> Result<Finished> {
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = wrap(Box::new(ParquetRewriter::new(store.clone(), settings).unwrap()));
        let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(process));
        let parts = Parts { store, engine: &*engine, clock: &clock, progress: &progress, processes: &processes };
        run::execute(table, &OperationId(operation.into()), options, parts).await
    }
}

fn snapshots(metadata: &Buffer) -> usize {
    let metadata: Json = serde_json::from_slice(metadata).unwrap();
    metadata["snapshots"].as_array().unwrap().len()
}

/// The store that finds everything in `objects`.
pub(crate) fn over(objects: &Arc<dyn ObjectStore>) -> Store {
    Store::new(Arc::new(OneStore(Arc::clone(objects))))
}

/// Everything below `root`.
pub(crate) async fn objects(store: &Arc<dyn ObjectStore>, root: &Location) -> Objects {
    let prefix = Path::parse(root.path()).unwrap();
    let listed: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
    let mut found = Objects::new();
    for meta in listed {
        let name = meta.location.as_ref().strip_prefix(prefix.as_ref()).unwrap().trim_start_matches('/').to_string();
        found.insert(name, store.get(&meta.location).await.unwrap().bytes().await.unwrap());
    }
    found
}

/// The live rows of the newest version, sorted: partition, id, text and the row id where the table keeps them.
pub(crate) async fn rows(table: &dyn Table, store: &Store) -> Result<Vec<String>> {
    let version = table.load().await?;
    let files: Vec<DataFile> = version.files(false).try_collect().await?;
    let deletes = version.row_deletes(&files).await?;
    let mut rows = Vec::new();
    for (file, deletes) in files.iter().zip(&deletes) {
        rows_of(file, deletes, store.get(&file.location).await?, &mut rows);
    }
    rows.sort();
    Ok(rows)
}

fn rows_of(file: &DataFile, deletes: &RowDeletes, bytes: Buffer, rows: &mut Vec<String>) {
    let partition = file.partition.display();
    let first_row_id = file.lineage.as_ref().and_then(|lineage| lineage.first_row_id);
    let mut position = 0u64;
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let (ids, texts) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        let stored = batch.column_by_name("_row_id").map(AsArray::as_primitive::<Int64Type>);
        for at in 0..batch.num_rows() {
            let inherited = first_row_id.map(|first| first + i64::try_from(position).unwrap());
            let row_id = stored.filter(|stored| stored.is_valid(at)).map(|stored| stored.value(at)).or(inherited);
            let deleted = matches!(deletes, RowDeletes::Positions(positions) if positions.contains(position));
            if !deleted {
                rows.push(line(&partition, ids.value(at), texts.value(at), row_id));
            }
            position += 1;
        }
    }
    assert_eq!(file.rows, Some(position), "{}", file.path());
}

/// A row as [`rows`] gives it.
pub(crate) fn line(partition: &str, id: i64, text: &str, row_id: Option<i64>) -> String {
    format!("{partition} | {id:05} {text} | {row_id:?}")
}
