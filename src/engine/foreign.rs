//! Live rows of ORC and Avro files, which are decoded from start to end.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_select::filter::{FilterBuilder, FilterPredicate};
use bytes::Bytes as Buffer;

use super::parquet::admission::Budget;
use super::parquet::convert::Zones;
use super::parquet::footer;
use super::parquet::live::{LiveRows, Positions};
use super::parquet::resolve::resolve_fields;
use super::parquet::source::Source;
use super::rows::{Each, RowReader, Shaper};
use crate::decode::{self, Batch, ReadAt};
use crate::error::{Error, Result};
use crate::model::{DataFile, FileFormat, RowDeletes};

/// Hands every batch of rows of `file` that `deletes` leaves alive to `each`; `fetched` is what was fetched of it before, its end or all of it.
///
/// # Errors
///
/// As [`RowReader::read`].
pub(super) fn read(
    reader: &RowReader<'_>,
    file: &DataFile,
    deletes: &RowDeletes,
    (source, fetched): (Source, Option<Result<Buffer>>),
    each: &mut Each<'_>,
) -> Result<()> {
    let input = open(source, file, fetched, reader.budget.window)?;
    read_open(reader, file, deletes, &input, each).map_err(|e| e.about("file", &file.location))
}

fn read_open(reader: &RowReader<'_>, file: &DataFile, deletes: &RowDeletes, input: &Input, each: &mut Each<'_>) -> Result<()> {
    let mut decoder = decode::open(input, file.format, reader.budget.unit)?;
    // ORC tells instants from times on the wall; Avro files of other writers often do not, and Iceberg's readers go by the table's type.
    let zones = if file.format == FileFormat::Orc { Zones::Alike } else { Zones::Any };
    let mut resolution = resolve_fields(decoder.fields(), reader.target, reader.output, zones)?;
    reader.check(&resolution.columns)?;
    decoder.select(&std::mem::take(&mut resolution.roots))?;
    let shaper = Shaper { file, target: reader.target, columns: resolution.columns };
    let expected = decoder.rows().or(file.rows);
    if let (Some(table), Some(rows)) = (file.rows, expected)
        && table != rows
    {
        return Err(other_rows(table, rows));
    }
    let mut live = LiveRows::new(deletes, expected.unwrap_or(u64::MAX))?;
    let mut position = 0u64;
    while let Some(batch) = decoder.next(reader.budget.batch)? {
        let rows = batch.rows as u64;
        let alive = live.among_next(rows);
        let first = position;
        position = position.saturating_add(rows);
        if let Some(expected) = expected.filter(|expected| position > *expected) {
            return Err(other_rows(expected, position));
        }
        let batch = only(batch, first, &alive)?;
        if batch.rows > 0 {
            let columns = shaper.shape(&batch.columns, batch.rows, &mut Positions::new(alive))?;
            each(&columns, batch.rows, share(position, expected.unwrap_or(position)))?;
        }
    }
    match expected {
        Some(expected) if expected != position => Err(other_rows(expected, position)),
        _ => Ok(()),
    }
}

/// Hands the rows of `file` in the top-level columns that `wanted` chooses by their names to `each`, with the names, as the file stores them.
///
/// # Errors
///
/// `Corrupt` or `Unsupported` if it cannot be decoded; storage errors; those of `each`.
pub(super) fn read_stored(
    source: Source,
    file: &DataFile,
    wanted: impl Fn(&str) -> bool,
    budget: Budget,
    each: &mut dyn FnMut(&[String], Batch) -> Result<()>,
) -> Result<()> {
    let input = open(source, file, None, budget.window)?;
    let mut decoder = decode::open(&input, file.format, budget.unit)?;
    let chosen = decoder.fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
    let (columns, names): (Vec<usize>, Vec<String>) = chosen.map(|(at, field)| (at, field.name().clone())).unzip();
    decoder.select(&columns)?;
    while let Some(batch) = decoder.next(budget.batch)? {
        each(&names, batch)?;
    }
    Ok(())
}

fn other_rows(table: u64, found: u64) -> Error {
    Error::corrupt("the file holds another number of rows than the table says").about("table", table).about("found", found)
}

/// The rows `alive` of a batch whose first row has the position `first`.
fn only(batch: Batch, first: u64, alive: &[Range<u64>]) -> Result<Batch> {
    let kept: u64 = alive.iter().map(|range| range.end - range.start).sum();
    if kept == batch.rows as u64 {
        return Ok(batch);
    }
    let mut mask = vec![false; batch.rows];
    for range in alive {
        let offset = |position: u64| usize::try_from(position.saturating_sub(first)).unwrap_or(usize::MAX);
        if let Some(rows) = mask.get_mut(offset(range.start)..offset(range.end)) {
            rows.fill(true);
        }
    }
    let filter = FilterBuilder::new(&BooleanArray::from(mask)).optimize().build();
    let keep = |filter: &FilterPredicate, column: &ArrayRef| {
        filter.filter(column).map_err(|e| Error::bug("rows could not be left out").because(e))
    };
    let columns = batch.columns.iter().map(|column| keep(&filter, column)).collect::<Result<_>>()?;
    Ok(Batch { columns, rows: filter.count() })
}

/// `part` of `whole`, as a fraction.
#[allow(clippy::cast_precision_loss, reason = "a fraction for an estimate")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// An input whose bytes are fetched as they are read.
struct Input {
    source: Arc<Source>,
    window: u64,
}

impl ReadAt for Input {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        self.source.read(range)
    }

    fn expect(&self, range: Range<u64>) {
        self.source.expect_sequence(range, self.window);
    }
}

/// Opens the input behind `source` by the size the table gives or, if that is not its size, by the one storage gives: some writers record another
/// size than they wrote.
fn open(source: Source, file: &DataFile, fetched: Option<Result<Buffer>>, window: u64) -> Result<Input> {
    let (size, start) = (source.size(), footer::start(source.size()).start);
    let sound = match fetched {
        Some(Ok(bytes)) => {
            let sound = start.saturating_add(bytes.len() as u64) == size && decode::is_sound(&bytes, file.format);
            source.keep(start, bytes);
            sound
        }
        Some(Err(_)) => false,
        // The end of a large Avro file says nothing.
        None => !source.correct_size()?,
    };
    if !sound {
        source.correct_size()?;
        let start = footer::start(source.size()).start;
        let bytes = source.fetch(start..source.size())?;
        source.keep(start, bytes);
    }
    Ok(Input { source: Arc::new(source), window })
}
