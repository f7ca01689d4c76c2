//! Files as Arrow batches. ORC and Avro hold data files and files of deletes, and Parquet a format's own lists besides, so that engines and table formats
//! read them alike; of Parquet, a well-kept library decodes what was looked at here.
//!
//! Nothing here knows a table: columns come as they are stored, with the field ids that the file gives them in the metadata of their Arrow fields,
//! under the key that Parquet's have there. Files are not trusted: whatever they say is held against their size before it is used.

mod avro;
mod orc;
pub(crate) mod parquet;

pub(crate) use avro::Packing;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::ArrayRef;
use arrow_schema::Fields;
use bytes::Bytes as Buffer;

use crate::error::{Error, Result};
use crate::model::FileFormat;

/// Columns nested deeper than this are refused.
const MAX_DEPTH: usize = 64;
/// Rows decoded at once, where they are small.
const MOST_ROWS: usize = 16 << 10;

/// Bytes that can be read anywhere.
pub(crate) trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Those of `range`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if they do not exist; storage errors.
    fn read(&self, range: Range<u64>) -> Result<Buffer>;

    /// Says that `range` will now be read from its start to its end.
    fn expect(&self, range: Range<u64>) {
        let _unused = range;
    }
}

impl ReadAt for Buffer {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bounds = bounds.filter(|(start, end)| start <= end && *end <= self.len()).map(|(start, end)| self.slice(start..end));
        bounds.ok_or_else(|| Error::corrupt("the file ends before what it says it holds"))
    }
}

/// Some rows of a file.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The columns that were selected, in the order they were selected in.
    pub(crate) columns: Vec<ArrayRef>,
    /// How many rows.
    pub(crate) rows: usize,
}

/// A file being decoded, from its first row to its last.
pub(crate) trait Decoder: Send {
    /// The file's top-level columns.
    fn fields(&self) -> &Fields;

    /// Rows stored, where the file says so in one place.
    fn rows(&self) -> Option<u64>;

    /// Says which columns are wanted, by ascending positions in [`Self::fields`]; before the first row is read.
    ///
    /// # Errors
    ///
    /// `Unsupported` if one is of a kind that cannot be read.
    fn select(&mut self, columns: &[usize]) -> Result<()>;

    /// The next rows, of about `bytes` or fewer; `None` behind the last.
    ///
    /// # Errors
    ///
    /// `Corrupt` for damage, `Unsupported` for encodings that are not understood and for units of the file that memory does not hold.
    fn next(&mut self, bytes: u64) -> Result<Option<Batch>>;
}

/// Opens `file`. Its stripes or blocks may have `largest` bytes, as they are held as a whole.
///
/// # Errors
///
/// `Corrupt` or `Unsupported`, saying what is wrong with it; storage errors.
pub(crate) fn open<'a>(file: &'a dyn ReadAt, format: FileFormat, largest: u64) -> Result<Box<dyn Decoder + 'a>> {
    Ok(match format {
        FileFormat::Orc => Box::new(orc::OrcFile::open(file, largest)?),
        FileFormat::Avro => Box::new(avro::AvroFile::open(file, largest)?),
        FileFormat::Parquet => return Err(Error::bug("Parquet is read elsewhere")),
    })
}

/// Whether `bytes`, which reach to what is believed to be the end of the file, are the end of an ORC file or the whole of an Avro file.
pub(crate) fn is_sound(bytes: &[u8], format: FileFormat) -> bool {
    match format {
        FileFormat::Orc => orc::is_end(bytes),
        FileFormat::Avro => avro::is_whole(bytes),
        FileFormat::Parquet => false,
    }
}

/// Takes the columns of a batch, in the order they were asked for, and its number of rows.
pub(crate) type EachColumns<'a> = dyn FnMut(&[Option<ArrayRef>], usize) -> Result<()> + 'a;

/// The columns of `file`, a small file held in memory, whose field ids are `ids` (top level), batch by batch: for files of deletes. Columns of files
/// without ids are looked up by the names beside them. A column that the file lacks is `None`.
///
/// # Errors
///
/// As [`open`] and [`Decoder::next`], and those of `each`.
pub(crate) fn columns_by_id(file: &Buffer, format: FileFormat, ids: &[(i32, &str)], each: &mut EachColumns<'_>) -> Result<()> {
    let mut decoder = open(file, format, file.size().max(LEAST_UNIT))?;
    let fields = decoder.fields();
    let any_ids = fields.iter().any(|field| field_id(field).is_some());
    let find = |(id, name): &(i32, &str)| match any_ids {
        true => fields.iter().position(|field| field_id(field) == Some(*id)),
        false => fields.iter().position(|field| field.name() == name),
    };
    let found: Vec<Option<usize>> = ids.iter().map(find).collect();
    let mut selected: Vec<usize> = found.iter().flatten().copied().collect();
    selected.sort_unstable();
    selected.dedup();
    decoder.select(&selected)?;
    let place = |at: &Option<usize>| at.and_then(|at| selected.binary_search(&at).ok());
    let places: Vec<Option<usize>> = found.iter().map(place).collect();
    while let Some(batch) = decoder.next(BATCH)? {
        let columns: Vec<Option<ArrayRef>> = places.iter().map(|at| batch.columns.get((*at)?).cloned()).collect();
        each(&columns, batch.rows)?;
    }
    Ok(())
}

/// Blocks of small files may unpack to this much.
const LEAST_UNIT: u64 = 64 << 20;
/// Bytes decoded at once of files in memory.
const BATCH: u64 = 1 << 20;

/// The key of field ids in the metadata of Arrow fields.
const FIELD_ID: &str = ::parquet::arrow::PARQUET_FIELD_ID_META_KEY;

fn field_id(field: &arrow_schema::Field) -> Option<i32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

/// Runs a decoder that panics on some damaged files.
fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| Error::corrupt("the file cannot be decoded: the decoder broke off"))
}

/// The error of a stripe or block of `bytes` where `largest` may be held.
fn too_large(bytes: u64, largest: u64) -> Error {
    Error::unsupported("a stripe or block of the file is too large for the memory that may be used")
        .about("bytes", bytes)
        .about("allowed", largest)
        .hint("give more memory with --memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    #[test]
    fn a_decoder_that_panics_is_a_damaged_file() {
        let error = guarded(|| Vec::<u8>::new()[7]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Corrupt, "the file cannot be decoded: the decoder broke off"));
    }

    #[test]
    fn files_of_deletes_are_read_by_id_and_columns_they_lack_are_said_to_be_missing() {
        for format in [FileFormat::Orc, FileFormat::Avro] {
            let extension = format.as_str().to_lowercase();
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/iceberg_v2_{extension}/data"));
            let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let path = paths.find(|path| path.to_string_lossy().contains("-deletes.")).unwrap();
            let file = Buffer::from(std::fs::read(path).unwrap());
            let mut seen = Vec::new();
            columns_by_id(&file, format, &[(2_147_483_545, "p"), (7, "file_path"), (2_147_483_546, "f")], &mut |columns, rows| {
                let [Some(positions), None, Some(paths)] = columns else { panic!("{columns:?}") };
                assert_eq!(rows, 1);
                seen.push((positions.as_primitive::<Int64Type>().value(0), paths.as_string::<i32>().value(0).to_string()));
                Ok(())
            })
            .unwrap();
            let [(5, path)] = seen.as_slice() else { panic!("{seen:?}") };
            assert!(path.starts_with("file:/tmp/otf-fixtures/0000000000000000/db/") && path.ends_with(&format!(".{extension}")), "{path}");
            for cut in 0..file.len() {
                let cut = file.slice(..cut);
                assert!(columns_by_id(&cut, format, &[(2_147_483_545, "pos")], &mut |_, _| Ok(())).is_err() || format == FileFormat::Avro);
            }
        }
    }
}
