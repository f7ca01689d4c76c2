//! Iceberg tables that the `iceberg` crate commits: in the partitions and with the files that a test asks for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, NestedField, PrimitiveType, Schema, Struct, Transform,
    Type, UnboundPartitionSpec,
};
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, TableCreation};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::bridge;
use super::workbench::Original;

/// Where the table lies.
const ROOT: &str = "/w/db/t";

/// A data file: its partition, one value for each column of the spec, and the ids of its rows.
pub(crate) struct File {
    pub(crate) partition: Vec<&'static str>,
    pub(crate) ids: Range<i64>,
}

/// What a table looks like.
pub(crate) struct Recipe {
    /// The names of its first two columns, a number and a text.
    pub(crate) names: [&'static str; 2],
    /// Text columns that it is partitioned by.
    pub(crate) parted_by: &'static [&'static str],
    /// The text of the row with an id.
    pub(crate) text: fn(i64) -> String,
}

/// A plain unpartitioned table.
pub(crate) const PLAIN: Recipe = Recipe { names: ["id", "v"], parted_by: &[], text: |id| format!("v{id}") };

/// Files of so many rows each in one unpartitioned table.
pub(crate) fn unparted(sizes: &[i64]) -> Vec<File> {
    let mut next = 0;
    let file = |rows: &i64| {
        next += rows;
        File { partition: Vec::new(), ids: next - rows..next }
    };
    sizes.iter().map(file).collect()
}

/// The table with `files`, all added by one commit.
pub(crate) async fn write(recipe: &Recipe, files: &[File]) -> Original {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let warehouse = HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_string(), "file:///w".to_string())]);
    let catalog = MemoryCatalogBuilder::default().with_storage_factory(bridge::factory(&objects)).load("c", warehouse).await.unwrap();
    let namespace = NamespaceIdent::new("db".into());
    catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
    let table = catalog.create_table(&namespace, creation(recipe)).await.unwrap();
    let mut added = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let bytes = parquet(recipe, file);
        let place = format!("{ROOT}/data/file-{number}.parquet");
        added.push(data_file(&place, file, bytes.len() as u64));
        objects.put(&Path::parse(place).unwrap(), PutPayload::from(bytes)).await.unwrap();
    }
    let transaction = Transaction::new(&table);
    let transaction = transaction.fast_append().add_data_files(added).apply(transaction).unwrap();
    transaction.commit(&catalog).await.unwrap();
    Original::found(&objects, ROOT, false).await
}

fn creation(recipe: &Recipe) -> TableCreation {
    let columns = recipe.names.iter().chain(recipe.parted_by).zip(1..);
    let field = |(name, id): (&&str, i32)| {
        let ty = if id == 1 { PrimitiveType::Long } else { PrimitiveType::String };
        Arc::new(NestedField::optional(id, *name, Type::Primitive(ty)))
    };
    let schema = Schema::builder().with_fields(columns.map(field)).build().unwrap();
    let mut spec = UnboundPartitionSpec::builder().with_spec_id(0);
    for (name, id) in recipe.parted_by.iter().zip(3..) {
        spec = spec.add_partition_field(id, *name, Transform::Identity).unwrap();
    }
    TableCreation::builder().name("t".into()).schema(schema).partition_spec(spec.build()).build()
}

fn data_file(place: &str, file: &File, size: u64) -> DataFile {
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("file://{place}"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter(file.partition.iter().map(|value| Some(Literal::string(value)))))
        .partition_spec_id(0)
        .record_count((file.ids.end - file.ids.start).unsigned_abs())
        .file_size_in_bytes(size)
        .value_counts([(1, (file.ids.end - file.ids.start).unsigned_abs())].into())
        .null_value_counts([(1, 0)].into())
        .lower_bounds([(1, Datum::long(file.ids.start))].into())
        .upper_bounds([(1, Datum::long(file.ids.end - 1))].into())
        .build()
        .unwrap()
}

fn parquet(recipe: &Recipe, file: &File) -> Vec<u8> {
    let names = recipe.names.iter().chain(recipe.parted_by).zip(1..);
    let field = |(name, id): (&&str, i32)| {
        let ty = if id == 1 { DataType::Int64 } else { DataType::Utf8 };
        Field::new(*name, ty, true).with_metadata([("PARQUET:field_id".to_string(), id.to_string())].into())
    };
    let schema = ArrowSchema::new(names.map(field).collect::<Vec<_>>());
    let rows = usize::try_from(file.ids.end - file.ids.start).unwrap();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(file.ids.clone())),
        Arc::new(StringArray::from_iter_values(file.ids.clone().map(recipe.text))),
    ];
    columns.extend(file.partition.iter().map(|value| Arc::new(StringArray::from(vec![*value; rows])) as ArrayRef));
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    // As the tool's own files, so that sizes can be compared.
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}
