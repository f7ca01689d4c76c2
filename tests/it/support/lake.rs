//! Delta tables written by hand in memory, and queries over them.

use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use otf::engine::scan::FileScanner;
use otf::engine::sql::{DataFusionSql, Explained, Settings};
use otf::error::Result;
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::ops::query::{self, Tables, statement::Request};
use otf::store::Store;
use otf::store::counting::Count;
use otf::units::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};

use super::OneStore;

/// Tables in memory, by their absolute paths.
pub(crate) struct Lake {
    store: Store,
    /// What was asked of storage.
    pub(crate) count: Count,
    /// Remarks of queries.
    pub(crate) remarks: Mutex<Vec<String>>,
}

impl Lake {
    pub(crate) fn new() -> Self {
        let count = Count::new();
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let objects = count.over(memory);
        Self { store: Store::new(Arc::new(OneStore(objects))), count, remarks: Mutex::default() }
    }

    /// Puts an object.
    pub(crate) async fn put(&self, path: &str, bytes: impl Into<bytes::Bytes>) {
        self.store.put(&Location::parse(path).unwrap(), bytes.into()).await.unwrap();
    }

    /// Commits `actions` as `version` of the table at `root`.
    pub(crate) async fn commit(&self, root: &str, version: u64, actions: &[Json]) {
        let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
        self.put(&format!("{root}/_delta_log/{version:020}.json"), lines.into_bytes()).await;
    }

    /// Writes version 0 of a table with these columns (names and Delta types) and features.
    pub(crate) async fn create(&self, root: &str, columns: &[(&str, &str)], features: &[&str]) {
        self.commit(root, 0, &head(columns, features, &json!({}))).await;
    }

    /// Writes a data file; returns its `add`.
    pub(crate) async fn file(&self, root: &str, name: &str, batch: &RecordBatch, properties: WriterProperties, stats: &Json) -> Json {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        self.stored(root, name, writer.into_inner().unwrap(), stats).await
    }

    /// Puts a data file; returns its `add`.
    pub(crate) async fn stored(&self, root: &str, name: &str, bytes: Vec<u8>, stats: &Json) -> Json {
        let add = json!({"add": {"path": name, "partitionValues": {}, "size": bytes.len(), "modificationTime": 0, "dataChange": true,
            "stats": stats.to_string()}});
        self.put(&format!("{root}/{name}"), bytes).await;
        add
    }

    fn engine(&self) -> DataFusionSql {
        let scanner = Arc::new(FileScanner::new(self.store.clone(), Bytes::mib(32), tokio::runtime::Handle::current()));
        DataFusionSql::new(Settings { memory: Bytes::mib(64), threads: 2, temp_dir: std::env::temp_dir() }, scanner)
    }

    /// The rows of a query, each as text.
    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<String>> {
        let request = Request { sql, named: &[], as_of: None, zone: None };
        let answer = query::run(&request, self, &self.engine()).await?;
        let batches: Vec<RecordBatch> = answer.rows.try_collect().await?;
        Ok(batches.iter().flat_map(lines).collect())
    }

    /// The rows of a query that succeeds.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        self.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// What a query would read.
    pub(crate) async fn explain(&self, sql: &str) -> Explained {
        query::explain(&Request { sql, named: &[], as_of: None, zone: None }, self, &self.engine()).await.unwrap()
    }
}

/// The actions of a table's first version.
pub(crate) fn head(columns: &[(&str, &str)], features: &[&str], configuration: &Json) -> [Json; 2] {
    let fields: Vec<Json> = columns.iter().map(|(name, ty)| json!({"name": name, "type": ty, "nullable": true, "metadata": {}})).collect();
    let schema = json!({"type": "struct", "fields": fields});
    let reader: Vec<&&str> = features.iter().filter(|name| **name != "inCommitTimestamp").collect();
    [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": features}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(),
            "partitionColumns": [], "configuration": configuration, "createdTime": 0}}),
    ]
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

#[async_trait]
impl Tables for Lake {
    async fn open(&self, reference: &str) -> Result<Box<dyn Table>> {
        Ok(Box::new(DeltaTable::new(self.store.clone(), Location::parse(reference)?)))
    }

    fn remark(&self, _reference: &str, remark: &str) {
        self.remarks.lock().unwrap().push(remark.to_string());
    }
}
