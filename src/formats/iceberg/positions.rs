//! Position-delete files (Iceberg spec, "Position Delete Files").

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use bytes::Bytes as Buffer;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;

use super::deletes::{DeleteFile, PATH_COLUMN, POSITION_COLUMN};
use crate::decode;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::FileFormat;
use crate::store::Store;

struct StoreReader {
    store: Store,
    place: Location,
    size: u64,
}

impl AsyncFileReader for StoreReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Buffer>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        async move { store.get_range(&place, range).await.map_err(|e| ParquetError::External(Box::new(e))) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            ParquetMetaDataReader::new().load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

fn wrong(error: ParquetError, place: &Location) -> Error {
    let other = match error {
        ParquetError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => return *own,
            Err(inner) => ParquetError::External(inner),
        },
        other => other,
    };
    Error::corrupt("a position-delete file cannot be read").about("file", place).because(other)
}

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
    // The decoder may panic on damaged bytes: that is damage too.
    let read = AssertUnwindSafe(read_parquet(store, place, &mut visit)).catch_unwind().await;
    read.unwrap_or_else(|_| Err(Error::corrupt("a position-delete file cannot be read").about("file", place)))
}

async fn read_parquet(store: &Store, place: &Location, visit: &mut (impl FnMut(&str, u64) -> Result<()> + Send)) -> Result<()> {
    let source = StoreReader { store: store.clone(), place: place.clone(), size: store.head(place).await?.size };
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(source, options).await.map_err(|e| wrong(e, place))?;
    let schema = builder.parquet_schema();
    let missing = || Error::corrupt("a position-delete file lacks a column").about("file", place);
    let path = root(schema, PATH_COLUMN, "file_path").ok_or_else(missing)?;
    let position = root(schema, POSITION_COLUMN, "pos").ok_or_else(missing)?;
    let mask = ProjectionMask::roots(schema, [path, position]);
    let mut batches = builder.with_projection(mask).build().map_err(|e| wrong(e, place))?;
    let (path_at, position_at) = (usize::from(path > position), usize::from(position > path));
    while let Some(batch) = batches.try_next().await.map_err(|e| wrong(e, place))? {
        visit_batch(&batch, path_at, position_at, visit).map_err(|e| e.about("delete_file", place))?;
    }
    Ok(())
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

fn visit_batch(batch: &RecordBatch, path_at: usize, position_at: usize, visit: &mut impl FnMut(&str, u64) -> Result<()>) -> Result<()> {
    visit_columns(batch.column(path_at), batch.column(position_at), visit)
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
