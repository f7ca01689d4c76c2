//! New files of row positions: position-delete files of format version 2, and entries of manifests for them and for deletion vectors.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;

use super::avro::Datum;
use super::deletes::{PATH_COLUMN, POSITION_COLUMN};
use crate::error::{Error, Result};
use crate::model::Partition;

/// Positions encoded at once.
const BATCH: usize = 64 << 10;

/// The positions of one data file, written and not yet part of the table.
#[derive(Debug)]
pub(crate) struct NewDeletes {
    /// Where they lie, as the table spells it.
    pub(crate) path: String,
    /// Bytes of the whole file.
    pub(crate) size: u64,
    /// Positions.
    pub(crate) records: u64,
    /// The partition of the data file.
    pub(crate) partition: Arc<Partition>,
    /// The data file, exactly as its manifest spells it.
    pub(crate) referenced: String,
    /// How they are written.
    pub(crate) form: Form,
}

/// How positions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Parquet file of paths and positions, of which these are the least and the greatest.
    File(u64, u64),
    /// A vector in a Puffin file: where it starts, and its bytes.
    Vector(u64, u64),
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::corrupt("a position or size is out of range"))
}

/// A position-delete file for the rows `positions` of the data file that the table spells `path` (Iceberg spec, "Position Delete Files").
///
/// # Errors
///
/// `Bug` if it cannot be encoded.
pub(crate) fn position_file(path: &str, positions: &RoaringTreemap) -> Result<Vec<u8>> {
    let field = |name: &str, ty, id: i32| {
        Field::new(name, ty, false).with_metadata([(PARQUET_FIELD_ID_META_KEY.to_string(), id.to_string())].into())
    };
    let columns = vec![field("file_path", DataType::Utf8, PATH_COLUMN), field("pos", DataType::Int64, POSITION_COLUMN)];
    let schema = Arc::new(Schema::new(columns));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // Bounds of other lengths than the paths would not tell the one data file.
        .set_statistics_truncate_length(None)
        .set_key_value_metadata(Some(vec![KeyValue::new("delete-type".to_string(), "position".to_string())]))
        .build();
    let wrong = |e: parquet::errors::ParquetError| Error::bug("positions cannot be encoded").because(e);
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).map_err(wrong)?;
    let mut rest = positions.iter();
    loop {
        let batch: Vec<i64> = rest.by_ref().take(BATCH).map(signed).collect::<Result<_>>()?;
        if batch.is_empty() {
            return writer.into_inner().map_err(wrong);
        }
        let paths: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(path, batch.len())));
        let positions: ArrayRef = Arc::new(Int64Array::from(batch));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![paths, positions]);
        writer.write(&rows.map_err(|e| Error::bug("positions cannot be encoded").because(e))?).map_err(wrong)?;
    }
}

impl NewDeletes {
    /// The `data_file` of their entry, in the order of [`super::manifest_schema::delete_entries`] in a table of format `version`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for numbers that are out of range.
    pub(crate) fn record(&self, version: u8, tuple: Datum) -> Result<Vec<Datum>> {
        let format = if matches!(self.form, Form::File(..)) { "PARQUET" } else { "PUFFIN" };
        let text = |text: &str| Datum::Text(text.to_string());
        let records = signed(self.records)?;
        let mut record = vec![Datum::Long(1), text(&self.path), text(format), tuple, Datum::Long(records), Datum::Long(signed(self.size)?)];
        let [counts, nulls, lower, upper] = self.metrics(records);
        // Sizes of columns and counts of NaN say nothing here; keys, offsets, compared columns and a sort order there are none.
        record.extend([Datum::Null, counts, nulls, Datum::Null, lower, upper]);
        record.extend(std::iter::repeat_n(Datum::Null, 4));
        if version > 2 {
            record.push(Datum::Null);
        }
        record.push(text(&self.referenced));
        if version > 2 {
            record.extend(match self.form {
                Form::Vector(offset, length) => [Datum::Long(signed(offset)?), Datum::Long(signed(length)?)],
                Form::File(..) => [Datum::Null, Datum::Null],
            });
        }
        Ok(record)
    }

    /// Counts of values and nulls, and bounds: readers of format version 2 know a file for one data file by the equal bounds of its paths.
    fn metrics(&self, records: i64) -> [Datum; 4] {
        let Form::File(first, last) = self.form else { return [Datum::Null, Datum::Null, Datum::Null, Datum::Null] };
        let pair = |id: i32, value| Datum::Record(vec![Datum::Long(i64::from(id)), value]);
        let both = |path: Datum, position: Datum| Datum::Array(vec![pair(PATH_COLUMN, path), pair(POSITION_COLUMN, position)]);
        let path = || Datum::Bytes(self.referenced.as_bytes().to_vec());
        let position = |position: u64| Datum::Bytes(position.to_le_bytes().to_vec());
        [
            both(Datum::Long(records), Datum::Long(records)),
            both(Datum::Long(0), Datum::Long(0)),
            both(path(), position(first)),
            both(path(), position(last)),
        ]
    }
}
