//! The demo's rows: TPC-H tables, written as a stream would leave them, a small Parquet file at a time.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, Int64Type};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes as Buffer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tpchgen::generators::{LineItemGenerator, OrderGenerator};
use tpchgen_arrow::{LineItemArrow, OrderArrow};

use crate::error::{Error, Result};
use crate::formats::FormatName;
use crate::location::Location;
use crate::store::Store;

/// TPC-H's scale factor: 600,000 line items and 150,000 orders.
const SCALE: f64 = 0.1;

/// What a demo table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// TPC-H `lineitem`.
    LineItems,
    /// TPC-H `orders`.
    Orders,
}

type Batches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, arrow_schema::ArrowError>> + Send>;

impl Content {
    /// The columns.
    pub(super) fn columns(self) -> Vec<Column> {
        let schema = match self {
            Self::LineItems => LineItemArrow::schema_ref(),
            Self::Orders => OrderArrow::schema_ref(),
        };
        let column = |(field, id): (&Arc<Field>, i32)| Column { id, name: field.name().clone(), ty: field.data_type().clone() };
        schema.fields().iter().zip(1..).map(column).collect()
    }

    /// The rows, in batches that make about 300 small files.
    pub(super) fn batches(self) -> Batches {
        match self {
            Self::LineItems => Box::new(LineItemArrow::new(LineItemGenerator::new(SCALE, 1, 1)).with_batch_size(2_000)),
            Self::Orders => Box::new(OrderArrow::new(OrderGenerator::new(SCALE, 1, 1)).with_batch_size(500)),
        }
    }
}

/// A column of a demo table. None holds nulls.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Its field id, from 1.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its type: one of long, int, decimal, string and date.
    pub ty: DataType,
}

impl Column {
    /// The type's name as `format` spells it.
    pub(super) fn type_name(&self, format: FormatName) -> Result<String> {
        Ok(match (&self.ty, format) {
            (DataType::Int64, _) => "long".to_string(),
            (DataType::Int32, FormatName::Iceberg) => "int".to_string(),
            (DataType::Int32, FormatName::Delta) => "integer".to_string(),
            (DataType::Date32, _) => "date".to_string(),
            (DataType::Utf8View, _) => "string".to_string(),
            (DataType::Decimal128(precision, scale), FormatName::Iceberg) => format!("decimal({precision}, {scale})"),
            (DataType::Decimal128(precision, scale), FormatName::Delta) => format!("decimal({precision},{scale})"),
            _ => return Err(Error::bug("a demo column has an unexpected type").about("column", &self.name)),
        })
    }
}

/// The least and greatest value of a column in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    /// Of a long column.
    Long(i64, i64),
    /// Of an int column.
    Int(i32, i32),
    /// Of a date column, in days since 1970-01-01.
    Date(i32, i32),
}

/// A file that was written.
#[derive(Debug, Clone)]
pub(super) struct DemoFile {
    /// Where.
    pub location: Location,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// Column ids and bounds, where columns have them.
    pub bounds: Vec<(i32, Bounds)>,
}

/// Writes `batch` as one file at `location`.
///
/// # Errors
///
/// As [`Store::put`].
pub(super) async fn write(store: &Store, location: Location, columns: &[Column], batch: &RecordBatch) -> Result<DemoFile> {
    let bytes = encoded(columns, batch)?;
    let size = bytes.len() as u64;
    store.put(&location, bytes).await?;
    let bounds = columns.iter().zip(batch.columns()).filter_map(|(column, values)| Some((column.id, bounds(values)?))).collect();
    Ok(DemoFile { location, size, rows: batch.num_rows() as u64, bounds })
}

/// Field ids go along: Iceberg finds columns by them, Delta does not mind.
fn encoded(columns: &[Column], batch: &RecordBatch) -> Result<Buffer> {
    let broken = |error: parquet::errors::ParquetError| Error::bug("a demo file cannot be encoded").because(error);
    let field = |column: &Column| {
        let id = ("PARQUET:field_id".to_string(), column.id.to_string());
        Field::new(&column.name, column.ty.clone(), false).with_metadata([id].into())
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
        .map_err(|error| Error::bug("a demo batch does not fit its schema").because(error))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(broken)?;
    writer.write(&batch).map_err(broken)?;
    Ok(writer.into_inner().map_err(broken)?.into())
}

fn bounds(values: &arrow_array::ArrayRef) -> Option<Bounds> {
    match values.data_type() {
        DataType::Int64 => ends(values.as_primitive::<Int64Type>().values()).map(|(least, most)| Bounds::Long(least, most)),
        DataType::Int32 => ends(values.as_primitive::<Int32Type>().values()).map(|(least, most)| Bounds::Int(least, most)),
        DataType::Date32 => ends(values.as_primitive::<Date32Type>().values()).map(|(least, most)| Bounds::Date(least, most)),
        _ => None,
    }
}

fn ends<T: Copy + Ord>(values: &[T]) -> Option<(T, T)> {
    Some((*values.iter().min()?, *values.iter().max()?))
}
