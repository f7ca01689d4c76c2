//! `$files`: the live data files of a version.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, MapBuilder, StringBuilder, StructBuilder};
use arrow_schema::{DataType, Fields, SchemaRef};
use futures::TryStreamExt;

use super::cells::{self, Texts, column};
use super::rows::{BATCH, To};
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::model::{DataFile, Field, FileStats, Primitive, Schema, Type};

/// The column that needs the files' statistics.
pub(super) const STATISTICS: &str = "readable_metrics";

/// Statistics that one batch holds at most, about: files of wide tables make smaller batches.
const MOST_STATISTICS: usize = 64 << 10;

fn metrics() -> Fields {
    let counts = ["column_size", "value_count", "null_value_count", "nan_value_count"].map(|name| column(name, DataType::Int64));
    let bounds = ["lower_bound", "upper_bound"].map(|name| column(name, DataType::Utf8));
    counts.into_iter().chain(bounds).collect()
}

pub(super) fn schema() -> SchemaRef {
    cells::schema(vec![
        ("content", DataType::Int32),
        ("file_path", DataType::Utf8),
        ("file_format", DataType::Utf8),
        ("spec_id", DataType::Int32),
        ("partition", cells::texts()),
        ("record_count", DataType::Int64),
        ("file_size_in_bytes", DataType::Int64),
        ("delete_files", DataType::Int32),
        ("deleted_record_count", DataType::Int64),
        ("first_row_id", DataType::Int64),
        ("data_sequence_number", DataType::Int64),
        (STATISTICS, cells::map_of(DataType::Struct(metrics()))),
    ])
}

/// The rows of `$files`.
pub(super) async fn files(version: Arc<dyn TableVersion>, schema: SchemaRef, with_stats: bool, to: To) -> Result<()> {
    let names = Names::of(&version.snapshot().schema);
    let mut files = version.files(with_stats);
    let mut columns = Columns::new();
    while let Some(file) = files.try_next().await? {
        columns.push(&file, &names)?;
        if (columns.rows >= BATCH || columns.statistics >= MOST_STATISTICS) && !to.send(columns.take(&schema)?).await {
            return Ok(());
        }
    }
    if columns.rows > 0 {
        to.send(columns.take(&schema)?).await;
    }
    Ok(())
}

/// Columns of single values by id: their dotted names and types.
struct Names(HashMap<i32, (String, Primitive)>);

impl Names {
    fn of(schema: &Schema) -> Self {
        let mut names = HashMap::new();
        for field in &schema.fields {
            collect(field, &field.name, &mut names);
        }
        Self(names)
    }
}

fn collect(field: &Field, name: &str, names: &mut HashMap<i32, (String, Primitive)>) {
    if let Type::Primitive(ty) = field.ty {
        names.insert(field.id, (name.to_string(), ty));
    }
    for child in field.children() {
        collect(child, &format!("{name}.{}", child.name), names);
    }
}

type Metrics = MapBuilder<StringBuilder, StructBuilder>;

struct Columns {
    rows: usize,
    statistics: usize,
    paths: StringBuilder,
    formats: StringBuilder,
    specs: Int32Builder,
    partitions: Texts,
    records: Int64Builder,
    sizes: Int64Builder,
    deletes: Int32Builder,
    deleted: Int64Builder,
    row_ids: Int64Builder,
    sequences: Int64Builder,
    metrics: Metrics,
}

impl Columns {
    fn new() -> Self {
        Self {
            rows: 0,
            statistics: 0,
            paths: StringBuilder::new(),
            formats: StringBuilder::new(),
            specs: Int32Builder::new(),
            partitions: cells::texts_builder(),
            records: Int64Builder::new(),
            sizes: Int64Builder::new(),
            deletes: Int32Builder::new(),
            deleted: Int64Builder::new(),
            row_ids: Int64Builder::new(),
            sequences: Int64Builder::new(),
            metrics: MapBuilder::new(Some(cells::map_names()), StringBuilder::new(), StructBuilder::from_fields(metrics(), 0)),
        }
    }

    fn push(&mut self, file: &DataFile, names: &Names) -> Result<()> {
        self.rows += 1;
        self.paths.append_value(file.path());
        self.formats.append_value(file.format.as_str().to_ascii_uppercase());
        self.specs.append_value(file.partition.spec_id);
        let fields = file.partition.fields.iter();
        cells::append(&mut self.partitions, fields.map(|f| (f.name.as_str(), f.value.as_ref().map(|_| f.text.as_str()))))?;
        self.records.append_option(file.rows.map(cells::count));
        self.sizes.append_value(cells::count(file.size.0));
        self.deletes.append_value(i32::try_from(file.deletes.len()).unwrap_or(i32::MAX));
        // Known where every delete counts rows of this file alone.
        let deleted: Option<u64> = file.deletes.iter().map(|delete| delete.rows).sum();
        self.deleted.append_option(deleted.map(cells::count));
        self.row_ids.append_option(file.lineage.as_ref().and_then(|lineage| lineage.first_row_id));
        self.sequences.append_option(file.lineage.as_ref().map(|lineage| lineage.sequence));
        self.push_metrics(file.stats.as_deref(), names)
    }

    fn push_metrics(&mut self, stats: Option<&FileStats>, names: &Names) -> Result<()> {
        for (id, known) in stats.iter().flat_map(|stats| &stats.columns) {
            let Some((name, ty)) = names.0.get(id) else { continue };
            self.statistics += 1;
            self.metrics.keys().append_value(name);
            let values = self.metrics.values();
            let counts = [known.size, known.value_count, known.null_count, known.nan_count];
            for (at, count) in counts.into_iter().enumerate() {
                let builder = values.field_builder::<Int64Builder>(at).ok_or_else(strange)?;
                builder.append_option(count.map(cells::count));
            }
            for (at, bound) in [&known.lower, &known.upper].into_iter().enumerate() {
                let builder = values.field_builder::<StringBuilder>(4 + at).ok_or_else(strange)?;
                builder.append_option(bound.as_ref().map(|bound| cells::shown(bound, *ty)));
            }
            values.append(true);
        }
        self.metrics.append(stats.is_some()).map_err(|_| strange())
    }

    fn take(&mut self, schema: &SchemaRef) -> Result<arrow_array::RecordBatch> {
        let mut all = std::mem::replace(self, Self::new());
        let content = arrow_array::Int32Array::from(vec![0; all.rows]);
        let columns = vec![
            Arc::new(content) as _,
            Arc::new(all.paths.finish()) as _,
            Arc::new(all.formats.finish()) as _,
            Arc::new(all.specs.finish()) as _,
            Arc::new(all.partitions.finish()) as _,
            Arc::new(all.records.finish()) as _,
            Arc::new(all.sizes.finish()) as _,
            Arc::new(all.deletes.finish()) as _,
            Arc::new(all.deleted.finish()) as _,
            Arc::new(all.row_ids.finish()) as _,
            Arc::new(all.sequences.finish()) as _,
            Arc::new(all.metrics.finish()) as _,
        ];
        cells::batch(schema, columns)
    }
}

fn strange() -> Error {
    Error::bug("statistics do not fit their columns")
}
