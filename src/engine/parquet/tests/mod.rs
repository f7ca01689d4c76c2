//! Rewrites of small files, compared by content.

mod by_value;
mod calendar;
mod copy;
mod encode;
mod fixtures;
mod foreign;
mod golden;
mod inputs;
mod route;
mod shapes;
mod types;

use std::path::Path as FsPath;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, memory::InMemory};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::{ParquetRewriter, Settings};
use crate::engine::{RewritePath, RewriteTask, Rewriter, Rewritten};
use crate::error::Result;
use crate::location::Location;
use crate::model::{
    Codec, DataFile, Field, FieldMatching, FileFormat, NewFile, OutputSpec, Partition, Primitive, RowDeletes, Schema, Tolerated, Type,
};
use crate::store::{Resolve, Store};
use crate::units::Bytes;

/// Local files by their paths; everything else in memory.
struct Local(Arc<dyn ObjectStore>, Arc<dyn ObjectStore>);

impl Resolve for Local {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let store = if location.scheme() == "file" { &self.0 } else { &self.1 };
        Ok((Arc::clone(store), Path::parse(location.path()).unwrap()))
    }
}

/// A folder with a rewriter over it.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    pub(super) rewriter: ParquetRewriter,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_memory(Bytes::mib(256))
    }

    pub(super) fn with_memory(memory: Bytes) -> Self {
        let store = Store::new(Arc::new(Local(Arc::new(LocalFileSystem::new()), Arc::new(InMemory::new()))));
        let settings = Settings { memory, threads: 2, runtime: tokio::runtime::Handle::current() };
        Self { folder: tempfile::tempdir().unwrap(), rewriter: ParquetRewriter::new(store, settings).unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and describes it as a table would.
    pub(super) fn file(&self, name: &str, batch: &RecordBatch, properties: Option<WriterProperties>) -> DataFile {
        let path = self.path(name);
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), properties).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        data_file(&path)
    }

    pub(super) fn output(&self, fields: Vec<Field>) -> OutputSpec {
        output(self.folder.path(), fields)
    }

    pub(super) async fn rewrite(&self, inputs: Vec<(DataFile, RowDeletes)>, output: OutputSpec, path: RewritePath) -> Result<Rewritten> {
        self.rewriter.rewrite(RewriteTask { inputs, output, name_stem: "new".into(), path }).await
    }

    /// Encodes `inputs` and reads the result back as one batch.
    pub(super) async fn encoded(&self, inputs: Vec<(DataFile, RowDeletes)>, output: OutputSpec) -> (RecordBatch, Rewritten) {
        let done = self.rewrite(inputs, output, RewritePath::Encode).await.unwrap();
        (read(&done.files), done)
    }

    /// Names of the new files that exist.
    pub(super) fn new_files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("new")).collect()
    }
}

pub(super) fn data_file(path: &FsPath) -> DataFile {
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    DataFile::bare(location, FileFormat::Parquet, Bytes(std::fs::metadata(path).unwrap().len()))
}

pub(super) fn output(folder: &FsPath, fields: Vec<Field>) -> OutputSpec {
    OutputSpec {
        directory: Location::parse(folder.to_str().unwrap()).unwrap(),
        partition: Arc::new(Partition::default()),
        routing: None,
        schema: Schema { fields },
        field_ids: true,
        tolerated: Tolerated { int96: true, shredded: false },
        calendars: false,
        matching: FieldMatching::PhysicalNames,
        row_ids: None,
        codec: Codec::Zstd(1),
        target_file_size: Bytes::mib(128),
        row_group_size: Bytes::mib(16),
        page_size: Bytes::mib(1),
        dictionary_size: Bytes::mib(1),
        bloom_filters: Vec::new(),
        metadata: vec![("made-for".into(), "tests".into())],
    }
}

/// A column that may be null.
pub(super) fn field(id: i32, name: &str, ty: Type) -> Field {
    Field { id, name: name.into(), physical: name.into(), required: false, ty, initial_default: None }
}

pub(super) fn leaf(id: i32, name: &str, ty: Primitive) -> Field {
    field(id, name, Type::Primitive(ty))
}

pub(super) fn required(field: Field) -> Field {
    Field { required: true, ..field }
}

pub(super) fn local(location: &Location) -> String {
    format!("/{}", location.path())
}

/// All rows of `files`.
pub(super) fn read(files: &[NewFile]) -> RecordBatch {
    let mut batches = Vec::new();
    let mut schema = None;
    for file in files {
        let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(local(&file.location)).unwrap()).unwrap();
        schema = Some(builder.schema().clone());
        let read: Vec<RecordBatch> = builder.build().unwrap().map(|b| b.unwrap()).collect();
        assert_eq!(read.iter().map(|b| b.num_rows() as u64).sum::<u64>(), file.rows);
        batches.extend(read);
    }
    arrow_select::concat::concat_batches(&schema.unwrap(), &batches).unwrap()
}

pub(super) fn footer(location: &Location) -> ParquetMetaData {
    let bytes = bytes::Bytes::from(std::fs::read(local(location)).unwrap());
    ParquetMetaDataReader::new()
        .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Optional)
        .parse_and_finish(&bytes)
        .unwrap()
}

pub(super) fn positions(rows: impl IntoIterator<Item = u64>) -> RowDeletes {
    RowDeletes::Positions(Arc::new(rows.into_iter().collect()))
}

/// A batch whose columns may be null.
pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

pub(super) fn longs(batch: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    let array = batch.column(column);
    arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(array).iter().collect()
}

pub(super) fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    let array = arrow_cast::cast(batch.column(column), &arrow_schema::DataType::Utf8).unwrap();
    let array = arrow_array::cast::AsArray::as_string::<i32>(&array);
    (0..array.len()).map(|i| array.is_valid(i).then(|| array.value(i).to_string())).collect()
}
