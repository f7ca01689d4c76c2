//! Opening an input: its footer, checked against the file and against the table.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use parquet::file::metadata::ParquetMetaData;

use super::failure::memory_size;
use super::source::Source;
use crate::decode::parquet::footer::{self, FRAME, TAIL};
use crate::error::{Error, Result};
use crate::model::DataFile;

/// Smaller files are fetched whole: one request instead of several.
const WHOLE_FILE: u64 = 4 << 20;

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
        return Err(Error::corrupt("too short for a Parquet file").about("file", source.location()));
    }
    fetched.unwrap_or_else(|| source.fetch(start..source.size()))
}

fn parse(source: &Arc<Source>, file: &DataFile, tail: &Buffer) -> Result<Opened> {
    let at_file = |error: Error| error.about("file", source.location());
    let metadata = read(source, tail).map_err(at_file)?;
    let rows = footer::check(source.size(), &metadata).map_err(at_file)?;
    if let Some(expected) = file.rows
        && expected != rows
    {
        return Err(at_file(Error::corrupt("the file holds another number of rows than the table says"))
            .about("table", expected)
            .about("footer", rows));
    }
    Ok(Opened { source: Arc::clone(source), metadata: Arc::new(metadata), rows })
}

fn read(source: &Source, tail: &Buffer) -> Result<ParquetMetaData> {
    let place = footer::place(source.size(), tail)?;
    let body = tail.len().saturating_sub(8);
    let held = body.checked_sub(memory_size(place.end - place.start)).map(|at| tail.slice(at..body));
    let bytes = match held {
        Some(bytes) => bytes,
        None => source.fetch(place)?,
    };
    footer::decode(&bytes)
}
