//! Inventories in Parquet and ORC.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::columns::{Columns, Row, is_known};
use super::lacking;
use crate::engine::lists;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::FileFormat;
use crate::store::Store;
use crate::units::Timestamp;

/// A file being read.
pub(super) struct Rows {
    place: Location,
    batches: BoxStream<'static, Result<RecordBatch>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn open(store: &Store, place: &Location, format: FileFormat) -> Self {
        Self { place: place.clone(), batches: lists::read(store.clone(), place.clone(), format, is_known) }
    }

    /// Some rows; `None` at the end.
    ///
    /// # Errors
    ///
    /// `Usage` if columns are missing or of kinds that cannot be what their names say; those of reading the file.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let Some(batch) = self.batches.try_next().await? else { return Ok(None) };
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = Columns::named(&names).ok_or_else(|| lacking(&self.place))?.literal();
        let times = batch.columns().get(columns.modified).map(times).transpose().map_err(|e| e.about("file", &self.place))?.flatten();
        let text = |(at, column): (usize, &ArrayRef)| match times {
            Some(_) if at == columns.modified => Ok(StringArray::new_null(column.len())),
            _ => texts(column).map_err(|e| e.about("file", &self.place)),
        };
        let texts: Vec<StringArray> = batch.columns().iter().enumerate().map(text).collect::<Result<_>>()?;
        let row = |at: usize| {
            let text = |column: &StringArray| if column.is_valid(at) { column.value(at).to_string() } else { String::new() };
            let fields: Vec<String> = texts.iter().map(text).collect();
            let mut row = columns.row(&fields).ok_or_else(|| wrong("a row of an inventory has no key").about("file", &self.place))?;
            if let Some(times) = &times {
                row.modified = times.get(at).copied().flatten();
            }
            Ok(row)
        };
        (0..batch.num_rows()).map(row).collect::<Result<_>>().map(Some)
    }
}

fn wrong(what: &'static str) -> Error {
    Error::usage(what).hint("columns are key, size and last_modified, and in S3 Inventory bucket, is_latest and is_delete_marker")
}

/// The times of a column that holds times; `None` for one of texts. A number of unknown meaning is no time.
fn times(column: &ArrayRef) -> Result<Option<Vec<Option<Timestamp>>>> {
    match column.data_type() {
        DataType::Timestamp(..) => {
            let other = |_| wrong("a column of times of an inventory cannot be read");
            let millis = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None)).map_err(other)?;
            Ok(Some(millis.as_primitive::<TimestampMillisecondType>().iter().map(|ms| ms.map(Timestamp)).collect()))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => Ok(None),
        _ => Ok(Some(vec![None; column.len()])),
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray> {
    let cast = cast(column, &DataType::Utf8).map_err(|_| wrong("a column of an inventory is neither text nor number nor flag"))?;
    cast.as_string_opt::<i32>().cloned().ok_or_else(|| Error::bug("a cast gave another type"))
}
