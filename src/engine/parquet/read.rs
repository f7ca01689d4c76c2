//! The live rows of one file, in the columns of the target.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};

use super::admission::Budget;
use super::calendar::{self, Calendar};
use super::failure::{arrow_error, decode_error, guarded, memory_size};
use super::footer::Opened;
use super::live::{LiveRows, Positions};
use super::prune::{Pruner, Verdict, intersect};
use super::resolve::{Column, Constants, resolve};
use super::source::SourceReader;
use super::target::Target;
use crate::decode::parquet as pages;
use crate::engine::rows::{Each, Shaper};
use crate::engine::scan::{Filter, Preview};
use crate::error::{Error, Result};
use crate::model::{DataFile, OutputSpec, RowDeletes};

/// Rows decoded at once, where they are small.
pub(in crate::engine) const MOST_ROWS: u64 = 16 << 10;

/// Rows decoded first, before it is known how large they are.
pub(in crate::engine) const PROBE_ROWS: u64 = 256;

/// One input, ready to be read.
pub(in crate::engine) struct Input<'a> {
    file: &'a DataFile,
    opened: &'a Opened,
    shaper: Shaper<'a>,
    /// Positions of the columns to read.
    roots: Vec<usize>,
    reader: ArrowReaderMetadata,
    budget: Budget,
    widths: &'a RowWidth,
    /// Whether dates and times have to be the same in both calendars.
    same_calendar: bool,
    /// Leaves out rows that cannot match.
    pruner: Option<RefCell<Pruner<'a>>>,
}

/// Bytes that decoded rows take, as far as seen. Dictionaries hide it from footers: a page of a few bytes may stand for thousands of long texts.
#[derive(Debug, Default)]
pub(in crate::engine) struct RowWidth(Cell<u64>);

impl RowWidth {
    fn learn(&self, batch: &RecordBatch) {
        let width = batch.get_array_memory_size().div_ceil(batch.num_rows().max(1));
        self.0.set(self.0.get().max(width as u64));
    }
}

impl<'a> Input<'a> {
    /// Pairs the columns of `opened`, which is `file`, with those of `target`; `widths` is shared by all inputs of a rewrite.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Unsupported` if they do not go together.
    pub(in crate::engine) fn new(
        (file, opened): (&'a DataFile, &'a Opened),
        target: &'a Target,
        output: &OutputSpec,
        budget: Budget,
        widths: &'a RowWidth,
    ) -> Result<Self> {
        let descriptor = opened.metadata.file_metadata().schema_descr();
        let resolution = resolve(descriptor, target, output, Constants::Win).map_err(|e| e.about("file", &file.location))?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let options = match &resolution.read_as {
            Some(schema) => options.with_schema(Arc::clone(schema)),
            None => options,
        };
        let reader = ArrowReaderMetadata::try_new(Arc::clone(&opened.metadata), options).map_err(|e| decode_error(e, &file.location))?;
        let shaper = Shaper { file, target, columns: resolution.columns };
        let same_calendar = output.calendars && Calendar::noted(&output.metadata).wants_same(&opened.metadata);
        Ok(Self { file, opened, shaper, roots: resolution.roots, reader, budget, widths, same_calendar, pruner: None })
    }

    /// Leaves out rows of which the file says that they cannot match `filter`; `output` says how columns are recognised.
    pub(in crate::engine) fn only(mut self, filter: &'a Filter, output: &OutputSpec) -> Self {
        self.pruner = Pruner::new(self.file, self.opened, filter, output).map(RefCell::new);
        self
    }

    /// What is made of the file's columns.
    pub(in crate::engine) fn columns(&self) -> &[Column] {
        &self.shaper.columns
    }

    /// Hands every batch of rows that `deletes` leaves alive to `each`, in file order.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the file cannot be decoded, storage errors, and whatever `each` returns.
    pub(in crate::engine) fn read(&self, deletes: &RowDeletes, each: &mut Each<'_>) -> Result<()> {
        let mut live = LiveRows::new(deletes, self.opened.rows).map_err(|e| e.about("file", &self.file.location))?;
        let mut before = 0;
        for (index, group) in self.opened.metadata.row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or_default();
            let mut alive = self.matching(index, before, live.among_next(rows))?;
            if self.widths.0.get() == 0 && !alive.is_empty() {
                // Before anything is known of the rows, a few are read by themselves.
                let (few, others) = split(alive, PROBE_ROWS);
                self.row_group(index, before, few, each)?;
                alive = others;
            }
            if !alive.is_empty() {
                self.row_group(index, before, alive, each)?;
            }
            before += rows;
        }
        Ok(())
    }

    /// What reading the rows that `deletes` leaves alive comes to.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub(in crate::engine) fn preview(&self, deletes: &RowDeletes) -> Result<Preview> {
        let mut live = LiveRows::new(deletes, self.opened.rows).map_err(|e| e.about("file", &self.file.location))?;
        let mut seen = Preview::default();
        for (index, group) in self.opened.metadata.row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or_default();
            let alive = live.among_next(rows);
            let count: u64 = alive.iter().map(|range| range.end - range.start).sum();
            let bytes = self.chunks(index).iter().map(|chunk| chunk.end - chunk.start).sum();
            seen.row_groups.add(bytes);
            let verdict = match &self.pruner {
                Some(pruner) if count > 0 => pruner.borrow_mut().judge(index)?,
                _ => Verdict::Any,
            };
            match verdict {
                _ if count == 0 => seen.deleted.add(bytes),
                Verdict::Any => seen.rows = seen.rows.saturating_add(count),
                Verdict::NoneByStatistics => seen.by_statistics.add(bytes),
                Verdict::NoneByBloomFilter => seen.by_bloom_filter.add(bytes),
                Verdict::Some(within) => {
                    let first = live.position().saturating_sub(rows);
                    let within: Vec<Range<u64>> = within.into_iter().map(|rows| first + rows.start..first + rows.end).collect();
                    let left: u64 = intersect(&alive, &within).iter().map(|range| range.end - range.start).sum();
                    if left == 0 {
                        seen.by_page_index.add(bytes);
                    } else {
                        seen.rows_by_page_index = seen.rows_by_page_index.saturating_add(count - left);
                    }
                    seen.rows = seen.rows.saturating_add(left);
                }
            }
        }
        Ok(seen)
    }

    /// Where the chunks of the columns to read lie in a row group.
    fn chunks(&self, index: usize) -> Vec<Range<u64>> {
        let group = self.opened.metadata.row_group(index);
        pages::chunks(group, &self.mask(), self.opened.source.size())
    }

    /// The columns to read.
    fn mask(&self) -> ProjectionMask {
        ProjectionMask::roots(self.opened.metadata.file_metadata().schema_descr(), self.roots.iter().copied())
    }

    /// Those of the rows `alive` (positions in the file) of the row group whose first row is `first` that may match.
    fn matching(&self, index: usize, first: u64, alive: Vec<Range<u64>>) -> Result<Vec<Range<u64>>> {
        let Some(pruner) = self.pruner.as_ref().filter(|_| !alive.is_empty()) else { return Ok(alive) };
        Ok(match pruner.borrow_mut().judge(index)? {
            Verdict::Any => alive,
            Verdict::NoneByStatistics | Verdict::NoneByBloomFilter => Vec::new(),
            Verdict::Some(within) => {
                let within: Vec<Range<u64>> = within.into_iter().map(|rows| first + rows.start..first + rows.end).collect();
                intersect(&alive, &within)
            }
        })
    }

    /// Reads the rows `alive` (positions in the file) of the row group whose first row is `first`.
    fn row_group(&self, index: usize, first: u64, alive: Vec<Range<u64>>, each: &mut Each<'_>) -> Result<()> {
        let location = &self.file.location;
        let group = self.opened.metadata.row_group(index);
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        self.opened.source.expect(self.chunks(index), self.budget.window);
        let is_whole = alive.as_slice() == std::slice::from_ref(&(first..first + rows));
        let selection = (!is_whole).then(|| {
            let within = alive.iter().map(|r| memory_size(r.start - first)..memory_size(r.end - first));
            RowSelection::from_consecutive_ranges(within, memory_size(rows))
        });
        let (source, batch) = (SourceReader(Arc::clone(&self.opened.source)), memory_size(self.batch_rows(index)));
        let failure = &self.opened.source.failure;
        let open = || pages::row_group(source, &self.reader, index, self.mask(), (batch, selection));
        let mut reader = guarded(location, open)?.map_err(|e| failure.or(|| decode_error(e, location)))?;
        let expected: u64 = alive.iter().map(|r| r.end - r.start).sum();
        let mut positions = Positions::new(alive);
        let mut seen = 0u64;
        while let Some(batch) = guarded(location, || reader.next())? {
            let batch = batch.map_err(|e| failure.or(|| arrow_error(e, location)))?;
            seen += batch.num_rows() as u64;
            self.widths.learn(&batch);
            let columns = self.shaper.shape(batch.columns(), batch.num_rows(), &mut positions)?;
            if self.same_calendar {
                calendar::check_same(&columns).map_err(|e| e.about("file", location))?;
            }
            each(&columns, batch.num_rows(), self.share(first, rows, share(seen, expected)))?;
        }
        if seen != expected {
            return Err(Error::corrupt("a row group holds another number of rows than its footer says").about("file", location));
        }
        Ok(())
    }

    /// How many rows of a row group to decode at once, so that they take about as much memory as a batch may.
    fn batch_rows(&self, index: usize) -> u64 {
        let group = self.opened.metadata.row_group(index);
        let bytes: u64 =
            group.columns().iter().filter_map(|chunk| u64::try_from(chunk.uncompressed_size()).ok()).fold(0, u64::saturating_add);
        let rows = u64::try_from(group.num_rows()).unwrap_or_default().max(1);
        (self.budget.batch / (bytes / rows).max(self.widths.0.get()).max(1))
            .clamp(1, if self.widths.0.get() == 0 { PROBE_ROWS } else { MOST_ROWS })
    }

    /// How much of the file is read when `part` of the row group of `rows` rows from `first` on is.
    fn share(&self, first: u64, rows: u64, part: f64) -> f64 {
        share(first, self.opened.rows) + share(rows, self.opened.rows) * part
    }
}

/// The first `count` rows of `ranges`, and the others.
fn split(ranges: Vec<Range<u64>>, mut count: u64) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for range in ranges {
        let middle = range.start.saturating_add(count).min(range.end);
        count -= middle - range.start;
        first.extend((range.start < middle).then_some(range.start..middle));
        others.extend((middle < range.end).then_some(middle..range.end));
    }
    (first, others)
}

/// `part` of `whole`, as a fraction.
#[allow(clippy::cast_precision_loss, reason = "a fraction for an estimate")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_keeps_every_row_once() {
        assert_eq!(split(vec![0..3, 5..9, 20..21], 5), (vec![0..3, 5..7], vec![7..9, 20..21]));
        let (all, none) = split(vec![0..1, 4..6], 256);
        assert_eq!((all.len(), none.len()), (2, 0));
    }
}
