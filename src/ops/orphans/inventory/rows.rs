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
use super::lines::LONGEST;
use crate::engine::lists;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::FileFormat;
use crate::store::Store;
use crate::units::Timestamp;

/// Texts of so many bytes are handed out at once: a dictionary holds a text once, and any number of rows may refer to it.
const PIECE: usize = 16 << 20;

/// A file being read.
pub(super) struct Rows {
    place: Location,
    batches: BoxStream<'static, Result<RecordBatch>>,
    /// What of the last batch has not been handed out.
    rest: Option<RecordBatch>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn open(store: &Store, place: &Location, format: FileFormat) -> Self {
        Self { place: place.clone(), batches: lists::read(store.clone(), place.clone(), format, is_known), rest: None }
    }

    /// Some rows; `None` at the end.
    ///
    /// # Errors
    ///
    /// `Usage` if columns are missing, of kinds that cannot be what their names say, or hold texts that are too long; those of reading the file.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.batches.try_next().await? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let rows = fitting(&batch).map_err(|e| e.about("file", &self.place))?;
        self.rest = (rows < batch.num_rows()).then(|| batch.slice(rows, batch.num_rows() - rows));
        self.read(&batch.slice(0, rows)).map(Some)
    }

    fn read(&self, batch: &RecordBatch) -> Result<Vec<Row>> {
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
        (0..batch.num_rows()).map(row).collect()
    }
}

fn wrong(what: &'static str) -> Error {
    Error::usage(what).hint("columns are key, size and last_modified, and in S3 Inventory bucket, is_latest and is_delete_marker")
}

/// How many rows of `batch` make a piece: one at least, if it has any.
fn fitting(batch: &RecordBatch) -> Result<usize> {
    let mut widths = vec![0usize; batch.num_rows()];
    for column in batch.columns() {
        let lengths: Vec<u32> = match column.data_type() {
            DataType::Utf8View => column.as_string_view().lengths().collect(),
            DataType::BinaryView => column.as_binary_view().lengths().collect(),
            // Others are in memory already.
            _ => continue,
        };
        for (width, length) in widths.iter_mut().zip(lengths) {
            let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
            *width += length.ok_or_else(|| wrong("a text of an inventory is too long"))?;
        }
    }
    let mut bytes = 0usize;
    let before = |width: &usize| {
        bytes = bytes.saturating_add(*width);
        bytes <= PIECE
    };
    let rows = widths.iter().copied().take_while(before).count();
    Ok(rows.max(1).min(batch.num_rows()))
}

/// The times of a column that holds times; `None` for one of texts. A number of unknown meaning is no time.
fn times(column: &ArrayRef) -> Result<Option<Vec<Option<Timestamp>>>> {
    match column.data_type() {
        DataType::Timestamp(..) => {
            let other = |_| wrong("a column of times of an inventory cannot be read");
            let millis = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None)).map_err(other)?;
            Ok(Some(millis.as_primitive::<TimestampMillisecondType>().iter().map(|ms| ms.map(Timestamp)).collect()))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            Ok(None)
        }
        _ => Ok(Some(vec![None; column.len()])),
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray> {
    let cast = cast(column, &DataType::Utf8).map_err(|_| wrong("a column of an inventory is neither text nor number nor flag"))?;
    cast.as_string_opt::<i32>().cloned().ok_or_else(|| Error::bug("a cast gave another type"))
}
