//! Position-delete files (Iceberg spec, "Position Delete Files").

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use bytes::Bytes as Buffer;
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;

use super::deletes::{DeleteFile, PATH_COLUMN, POSITION_COLUMN};
use crate::decode;
use crate::error::{Error, Result};
use crate::formats::parquet_file::ParquetFile;
use crate::model::FileFormat;
use crate::store::Store;

/// Reads every (path, position) of `file`, batch by batch.
///
/// # Errors
///
/// `Corrupt` if it cannot be read, `NotFound` if it is missing, `Unsupported` for a format that is not known; those of `visit`.
pub(crate) async fn read(store: &Store, file: &DeleteFile, mut visit: impl FnMut(&str, u64) -> Result<()> + Send) -> Result<()> {
    let place = &file.location;
    match file.format.as_str() {
        "parquet" => {}
        "orc" => return decoded(&store.get(place).await?, FileFormat::Orc, &mut visit).map_err(|e| e.about("delete_file", place)),
        "avro" => return decoded(&store.get(place).await?, FileFormat::Avro, &mut visit).map_err(|e| e.about("delete_file", place)),
        other => return Err(Error::unsupported(format!("position-delete files in {other} are not understood")).about("file", place)),
    }
    let size = store.head(place).await?.size;
    let parquet = ParquetFile::open(store, (place, size), "a position-delete file cannot be read").await?;
    let schema = parquet.metadata().parquet_schema();
    let missing = || Error::corrupt("a position-delete file lacks a column").about("file", place);
    let path = root(schema, PATH_COLUMN, "file_path").ok_or_else(missing)?;
    let position = root(schema, POSITION_COLUMN, "pos").ok_or_else(missing)?;
    let mask = ProjectionMask::roots(schema, [path, position]);
    let (path_at, position_at) = (usize::from(path > position), usize::from(position > path));
    let mut each = |batch: &RecordBatch| {
        visit_columns(batch.column(path_at), batch.column(position_at), &mut visit).map_err(|e| e.about("delete_file", place))
    };
    parquet.read(&mask, &mut each).await
}

/// Visits the rows of `file`, which is ORC or Avro.
fn decoded(file: &Buffer, format: FileFormat, visit: &mut impl FnMut(&str, u64) -> Result<()>) -> Result<()> {
    let wanted = [(PATH_COLUMN, "file_path"), (POSITION_COLUMN, "pos")];
    decode::columns_by_id(file, format, &wanted, &mut |columns, _| match columns {
        [Some(paths), Some(positions)] => visit_columns(paths, positions, visit),
        _ => Err(Error::corrupt("a position-delete file lacks a column")),
    })
}

/// The top-level column with `id`, or else with `name`.
fn root(schema: &SchemaDescriptor, id: i32, name: &str) -> Option<usize> {
    let fields = schema.root_schema().get_fields();
    let by_id = fields.iter().position(|f| f.get_basic_info().has_id() && f.get_basic_info().id() == id);
    by_id.or_else(|| fields.iter().position(|f| f.name() == name))
}

fn visit_columns(paths: &ArrayRef, positions: &ArrayRef, visit: &mut impl FnMut(&str, u64) -> Result<()>) -> Result<()> {
    let other = |e: arrow_schema::ArrowError| Error::corrupt("a column of a position-delete file has another type").because(e);
    let paths = cast(paths, &DataType::Utf8).map_err(other)?;
    let positions = cast(positions, &DataType::Int64).map_err(other)?;
    let (Some(paths), Some(positions)) = (paths.as_any().downcast_ref::<StringArray>(), positions.as_any().downcast_ref::<Int64Array>())
    else {
        return Err(Error::bug("a cast gave another type"));
    };
    for (path, position) in paths.iter().zip(positions) {
        let position = position.and_then(|position| u64::try_from(position).ok());
        let (Some(path), Some(position)) = (path, position) else {
            return Err(Error::corrupt("a position delete without a path or with a negative position"));
        };
        visit(path, position)?;
    }
    Ok(())
}
