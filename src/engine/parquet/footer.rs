//! Opening an input: its footer, checked against the file and against the table.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::failure::{decode_error, guarded, memory_size};
use super::source::Source;
use super::thrift;
use crate::error::{Error, Result};
use crate::model::DataFile;

/// Smaller files are fetched whole: one request instead of several.
const WHOLE_FILE: u64 = 4 << 20;
/// Bytes from the end of larger files that usually hold the whole footer.
const TAIL: u64 = 64 << 10;
/// Footers larger than this are taken for damage.
const LARGEST_FOOTER: u64 = 512 << 20;
/// The field of a footer that tells how columns are encrypted (parquet.thrift, `FileMetaData`).
const ENCRYPTION_ALGORITHM: i64 = 8;
/// The magic at the start, and the length and the magic at the end.
const FRAME: u64 = 12;

/// An input whose footer is sound.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Opened {
    /// The file.
    pub(in crate::engine) source: Arc<Source>,
    /// Its footer, without page indexes.
    pub(super) metadata: Arc<ParquetMetaData>,
    /// Rows stored.
    pub(super) rows: u64,
}

/// What to fetch of a file of `size` bytes to [`open`] it.
pub(in crate::engine) fn start(size: u64) -> Range<u64> {
    tail_start(size, WHOLE_FILE)..size
}

/// What to fetch of a file of `size` bytes to [`peek`] at it.
pub(super) fn tail(size: u64) -> Range<u64> {
    tail_start(size, TAIL)..size
}

/// What to fetch of a file of `size` bytes to read it when its footer is known: small files are fetched whole.
pub(in crate::engine) fn rest(size: u64) -> Option<Range<u64>> {
    (size <= WHOLE_FILE).then_some(0..size)
}

/// Opens the input behind `source`, and keeps what was fetched for reading it: `fetched`, if [`start`] was fetched before.
///
/// # Errors
///
/// `Corrupt` if it is not what `file` says or its footer is damaged, `Unsupported` if it is encrypted, storage errors.
pub(in crate::engine) fn open(source: Source, file: &DataFile, fetched: Option<Result<Buffer>>) -> Result<Opened> {
    let (opened, start, tail) = at_real_size(source, file, WHOLE_FILE, fetched)?;
    opened.source.keep(start, tail);
    Ok(opened)
}

/// Reads the footer alone, from `fetched` if [`tail`] was fetched before.
///
/// # Errors
///
/// As [`open`].
pub(in crate::engine) fn peek(source: Source, file: &DataFile, fetched: Option<Result<Buffer>>) -> Result<Opened> {
    Ok(at_real_size(source, file, TAIL, fetched)?.0)
}

/// Reads the footer by the size the table gives and, where that does not lead to one, by the size storage gives: some writers record another
/// size than they wrote. Storage is asked only when something is wrong, as it costs a request. Returns what was fetched, and where from.
fn at_real_size(source: Source, file: &DataFile, whole: u64, fetched: Option<Result<Buffer>>) -> Result<(Opened, u64, Buffer)> {
    let source = Arc::new(source);
    let mut fetched = fetched;
    let mut attempt = |source: &Arc<Source>| -> Result<(Opened, u64, Buffer)> {
        let start = tail_start(source.size(), whole);
        let tail = fetch_tail(source, start, fetched.take())?;
        Ok((parse(source, file, &tail)?, start, tail))
    };
    match attempt(&source) {
        Ok(found) => Ok(found),
        Err(error) if source.correct_size()? => attempt(&source).map_err(|e| e.about("table", file.size.0).because(error)),
        Err(error) => Err(error),
    }
}

/// Where to begin fetching the end of a file of `size` bytes, which is fetched whole if it has no more than `whole`.
fn tail_start(size: u64, whole: u64) -> u64 {
    if size <= whole { 0 } else { size.saturating_sub(TAIL) }
}

fn fetch_tail(source: &Source, start: u64, fetched: Option<Result<Buffer>>) -> Result<Buffer> {
    if source.size() < FRAME {
        return Err(corrupt(source, "too short for a Parquet file"));
    }
    fetched.unwrap_or_else(|| source.fetch(start..source.size()))
}

fn parse(source: &Arc<Source>, file: &DataFile, tail: &Buffer) -> Result<Opened> {
    let metadata = read(source, tail)?;
    let rows = check(source, &metadata)?;
    if let Some(expected) = file.rows
        && expected != rows
    {
        return Err(corrupt(source, "the file holds another number of rows than the table says")
            .about("table", expected)
            .about("footer", rows));
    }
    Ok(Opened { source: Arc::clone(source), metadata: Arc::new(metadata), rows })
}

fn corrupt(source: &Source, message: &'static str) -> Error {
    Error::corrupt(message).about("file", source.location())
}

fn read(source: &Source, tail: &Buffer) -> Result<ParquetMetaData> {
    let size = source.size();
    let (body, frame) = tail.split_at(tail.len().saturating_sub(8));
    let (length, magic) = frame.split_at(frame.len().min(4));
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err(Error::unsupported("the Parquet file is encrypted").about("file", source.location())),
        _ => return Err(corrupt(source, "not a Parquet file")),
    }
    let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
    if length > LARGEST_FOOTER || length > size - FRAME {
        return Err(corrupt(source, "the Parquet footer is longer than it can be").about("length", length));
    }
    let footer = match body.len().checked_sub(memory_size(length)) {
        Some(at) => tail.slice(at..body.len()),
        None => source.fetch(size - 8 - length..size - 8)?,
    };
    let fields = thrift::fields(&footer).ok_or_else(|| corrupt(source, "the Parquet footer is damaged"))?;
    if fields.contains(&ENCRYPTION_ALGORITHM) {
        return Err(Error::unsupported("the Parquet file has encrypted columns").about("file", source.location()));
    }
    let decoded = guarded(source.location(), || ParquetMetaDataReader::decode_metadata(&footer))?;
    let decoded = match decoded {
        Ok(metadata) => return Ok(metadata),
        Err(error) => match thrift::without_foreign_fields(&footer) {
            Some(footer) => guarded(source.location(), || ParquetMetaDataReader::decode_metadata(&footer))?,
            None => Err(error),
        },
    };
    decoded.map_err(|e| decode_error(e, source.location()))
}

/// Holds every number the readers rely on against the file; returns the rows.
fn check(source: &Source, metadata: &ParquetMetaData) -> Result<u64> {
    let damaged = || corrupt(source, "the Parquet footer is damaged");
    let mut rows = 0u64;
    for group in metadata.row_groups() {
        rows = u64::try_from(group.num_rows()).ok().and_then(|n| rows.checked_add(n)).ok_or_else(damaged)?;
        for column in group.columns() {
            if column.file_path().is_some() {
                return Err(Error::unsupported("columns of the Parquet file lie in other files").about("file", source.location()));
            }
            if column.num_values() < 0 || column.uncompressed_size() < 0 {
                return Err(damaged());
            }
            chunk_range(column, source.size()).ok_or_else(damaged)?;
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()).ok() != Some(rows) {
        return Err(damaged());
    }
    Ok(rows)
}

/// Where a column chunk lies; `None` if that is not inside a file of `size` bytes.
pub(super) fn chunk_range(column: &ColumnChunkMetaData, size: u64) -> Option<Range<u64>> {
    let start = u64::try_from(column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())).ok()?;
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    (end <= size).then_some(start..end)
}
