//! Position-delete files in Parquet (Iceberg spec, "Position Delete Files").

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
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
use crate::error::{Error, Result};
use crate::location::Location;
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
/// `Corrupt` if it cannot be read, `NotFound` if it is missing, `Unsupported` if it is no Parquet file; those of `visit`.
pub(crate) async fn read(store: &Store, file: &DeleteFile, mut visit: impl FnMut(&str, u64) -> Result<()> + Send) -> Result<()> {
    let place = &file.location;
    if file.format != "parquet" {
        return Err(Error::unsupported(format!("position-delete files in {} are not understood", file.format)).about("file", place));
    }
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
        visit_batch(&batch, path_at, position_at, &mut visit).map_err(|e| e.about("delete_file", place))?;
    }
    Ok(())
}

/// The top-level column with `id`, or else with `name`.
fn root(schema: &SchemaDescriptor, id: i32, name: &str) -> Option<usize> {
    let fields = schema.root_schema().get_fields();
    let by_id = fields.iter().position(|f| f.get_basic_info().has_id() && f.get_basic_info().id() == id);
    by_id.or_else(|| fields.iter().position(|f| f.name() == name))
}

fn visit_batch(batch: &RecordBatch, path_at: usize, position_at: usize, visit: &mut impl FnMut(&str, u64) -> Result<()>) -> Result<()> {
    let other = |e: arrow_schema::ArrowError| Error::corrupt("a column of a position-delete file has another type").because(e);
    let paths = cast(batch.column(path_at), &DataType::Utf8).map_err(other)?;
    let positions = cast(batch.column(position_at), &DataType::Int64).map_err(other)?;
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
