//! New files by moving whole row groups as bytes: nothing is decoded, page indexes and bloom filters come along.

use std::sync::Arc;

use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;

use super::failure::{Failure, decode_error, encode_error, guarded, memory_size};
use super::footer::Opened;
use super::properties::writer_properties;
use super::sink::{Outputs, Sink};
use super::source::{Source, SourceReader};
use super::stats::{Origin, add_row_group, has_ordered_bounds};
use super::survey::Copyable;
use crate::decode::parquet::footer::chunk_range;
use crate::decode::parquet::{bloom_filter, thrift};
use crate::engine::Rewritten;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{FileStats, NewFile, OutputSpec};
use crate::units::Bytes;

/// Bytes of an input held at once.
const WINDOW: u64 = 1 << 20;
/// Bytes of inputs to come that are fetched before their turn.
pub(super) const AHEAD: u64 = 4 << 20;
/// A page index larger than this is left behind: it helps readers, but nothing depends on it.
const LARGEST_INDEX: u64 = 64 << 20;
/// Parquet numbers row groups with 16 bits; beyond this many, a new file is begun.
const MOST_ROW_GROUPS: usize = 30_000;

/// Moves row groups to new files.
pub(super) struct Copier<'a> {
    plan: &'a Copyable,
    output: &'a OutputSpec,
    outputs: &'a Outputs,
    properties: WriterPropertiesPtr,
    open: Option<OpenFile>,
    /// Bytes of column chunks that are still to come.
    left: u64,
    done: Rewritten,
}

struct OpenFile {
    location: Location,
    writer: SerializedFileWriter<Sink>,
    failure: Failure,
    rows: u64,
    stats: Option<FileStats>,
    split_offsets: Vec<i64>,
}

impl<'a> Copier<'a> {
    /// A copier as `plan` allows.
    ///
    /// # Errors
    ///
    /// `Usage` for settings that do not exist.
    pub(super) fn new(plan: &'a Copyable, output: &'a OutputSpec, outputs: &'a Outputs) -> Result<Self> {
        let mut metadata = plan.kept.clone();
        metadata.retain(|(key, _)| !output.metadata.iter().any(|(ours, _)| ours == key));
        metadata.extend(output.metadata.iter().cloned());
        let properties = Arc::new(writer_properties(output, &metadata)?);
        Ok(Self { plan, output, outputs, properties, open: None, left: plan.bytes, done: Rewritten::default() })
    }

    /// Copies every row group of `input`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its footer cannot be followed; storage errors.
    pub(super) fn copy(&mut self, input: &Opened) -> Result<()> {
        let indexed = with_page_index(input)?;
        for (index, group) in indexed.row_groups().iter().enumerate() {
            if group.num_rows() == 0 {
                continue;
            }
            let bytes = stored_bytes(group);
            self.make_room(bytes)?;
            self.row_group(input, &indexed, index, group)?;
            self.left = self.left.saturating_sub(bytes);
            self.done.row_groups_copied += 1;
            self.done.bytes_copied = self.done.bytes_copied.plus(Bytes(bytes));
        }
        Ok(())
    }

    /// Ends the last file.
    ///
    /// # Errors
    ///
    /// Storage errors.
    pub(super) fn finish(mut self) -> Result<Rewritten> {
        self.end_file()?;
        Ok(self.done)
    }

    /// Ends the file where its size comes nearest to the target, unless less than a tenth of a file is left.
    fn make_room(&mut self, next: u64) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let target = self.output.target_file_size.0;
        let full = is_full(open.writer.bytes_written() as u64, next, self.left, target);
        if full || open.split_offsets.len() >= MOST_ROW_GROUPS { self.end_file() } else { Ok(()) }
    }

    fn begin(&self) -> Result<OpenFile> {
        let sink = self.outputs.begin()?;
        let (location, failure) = (sink.location().clone(), sink.failure.clone());
        let schema = self.plan.schema.root_schema_ptr();
        let writer = SerializedFileWriter::new(sink, schema, Arc::clone(&self.properties)).map_err(|e| failure.or(|| encode_error(e)))?;
        Ok(OpenFile { location, writer, failure, rows: 0, stats: None, split_offsets: Vec::new() })
    }

    fn row_group(&mut self, input: &Opened, indexed: &ParquetMetaData, index: usize, group: &RowGroupMetaData) -> Result<()> {
        let location = input.source.location();
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let ranges: Vec<_> = group.columns().iter().filter_map(|c| chunk_range(c, input.source.size())).collect();
        let (start, end) = ranges.iter().fold((u64::MAX, 0), |(start, end), r| (start.min(r.start), end.max(r.end)));
        let reader = SourceReader(Arc::clone(&input.source));
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        // The blame lies with whoever failed first: input, output, or the bytes themselves.
        let wrong = |e| input.source.failure.or(|| open.failure.or(|| decode_error(e, location)));
        let mut copies = Vec::with_capacity(group.num_columns());
        for (at, chunk) in group.columns().iter().enumerate() {
            copies.push(guarded(location, || travelling(indexed, (index, at), chunk, rows, &reader))?.map_err(wrong)?);
        }
        input.source.expect_sequence(start..end.max(start), WINDOW);
        let mut writer = open.writer.next_row_group().map_err(wrong)?;
        for copy in copies {
            guarded(location, || writer.append_column(&reader, copy))?.map_err(wrong)?;
        }
        let written = writer.close().map_err(wrong)?;
        add_row_group(&mut open.stats, &written, &self.plan.leaves, Origin::Copied(input.metadata.file_metadata()));
        open.rows += rows;
        let first = written.columns().first().map(|c| c.dictionary_page_offset().unwrap_or_else(|| c.data_page_offset()));
        open.split_offsets.extend(first);
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let sink = open.writer.into_inner().map_err(|e| open.failure.or(|| encode_error(e)))?;
        let size = sink.finish()?;
        self.done.files.push(NewFile {
            location: open.location,
            size: Bytes(size),
            rows: open.rows,
            partition: Arc::clone(&self.output.partition),
            stats: open.stats.unwrap_or_default(),
            split_offsets: open.split_offsets,
        });
        Ok(())
    }
}

/// Whether a file of `written` bytes ends before a row group of `next` bytes, while so many are `left` to copy.
const fn is_full(written: u64, next: u64, left: u64, target: u64) -> bool {
    written.saturating_add(next / 2) > target && left > target / 10
}

/// How many files copying a file with this footer makes, by itself.
pub(super) fn files_if_copied(footer: &ParquetMetaData, target: u64) -> u64 {
    let groups = || footer.row_groups().iter().filter(|group| group.num_rows() > 0).map(stored_bytes);
    let (mut files, mut written, mut left) = (1, 0u64, groups().fold(0, u64::saturating_add));
    for next in groups() {
        if written > 0 && is_full(written, next, left, target) {
            (files, written) = (files + 1, 0);
        }
        written = written.saturating_add(next);
        left = left.saturating_sub(next);
    }
    files
}

fn stored_bytes(group: &RowGroupMetaData) -> u64 {
    group.columns().iter().filter_map(|chunk| u64::try_from(chunk.compressed_size()).ok()).fold(0, u64::saturating_add)
}

/// What goes with a chunk's bytes.
fn travelling(
    indexed: &ParquetMetaData,
    (group, column): (usize, usize),
    chunk: &ColumnChunkMetaData,
    rows: u64,
    reader: &SourceReader,
) -> ParquetResult<ColumnCloseResult> {
    let mut metadata = chunk.clone();
    let mut column_index = indexed.column_index().and_then(|all| all.get(group)?.get(column)).cloned();
    if !has_ordered_bounds(indexed.file_metadata(), column, chunk) {
        // Our footer will say that bounds follow the type's order; theirs did not.
        metadata = metadata.into_builder().clear_statistics().build()?;
        column_index = None;
    }
    Ok(ColumnCloseResult {
        bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or_default(),
        rows_written: rows,
        metadata,
        bloom_filter: bloom_filter(chunk, reader)?,
        column_index: column_index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE)),
        offset_index: indexed.offset_index().and_then(|all| all.get(group)?.get(column)).cloned(),
    })
}

/// The input's footer with its page index, if it has a sound one.
fn with_page_index(input: &Opened) -> Result<ParquetMetaData> {
    let metadata = ParquetMetaData::clone(&input.metadata);
    if !fetch_page_index(&input.source, &metadata)? {
        return Ok(metadata);
    }
    let location = input.source.location();
    let mut reader = ParquetMetaDataReader::new_with_metadata(metadata).with_page_index_policy(PageIndexPolicy::Optional);
    let read = guarded(location, || reader.read_page_indexes(&SourceReader(Arc::clone(&input.source))).and_then(|()| reader.finish()))?;
    read.map_err(|e| input.source.failure.or(|| decode_error(e, location)))
}

/// Fetches the page index; whether there is one that can be decoded safely.
fn fetch_page_index(source: &Source, metadata: &ParquetMetaData) -> Result<bool> {
    let place = |offset: Option<i64>, length: Option<i32>| {
        let start = u64::try_from(offset?).ok()?;
        Some(start..start.checked_add(u64::try_from(length?).ok()?)?)
    };
    let chunks = || metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let columns: Vec<_> = chunks().filter_map(|c| place(c.column_index_offset(), c.column_index_length())).collect();
    let offsets: Vec<_> = chunks().filter_map(|c| place(c.offset_index_offset(), c.offset_index_length())).collect();
    let indexes = || columns.iter().chain(&offsets);
    let (start, end) = indexes().fold((u64::MAX, 0), |(start, end), r| (start.min(r.start), end.max(r.end)));
    if indexes().next().is_none() || end - start > LARGEST_INDEX {
        return Ok(false);
    }
    if end > source.size() {
        return Err(Error::corrupt("the Parquet footer is damaged").about("file", source.location()));
    }
    let kept = source.kept(&(start..end));
    let fetched = kept.is_none();
    let bytes = kept.map_or_else(|| source.fetch(start..end), Ok)?;
    let half = |r: &std::ops::Range<u64>| bytes.get(memory_size(r.start - start)..memory_size(r.end - start)).unwrap_or_default();
    let sound = columns.iter().all(|r| thrift::is_column_index(half(r))) && offsets.iter().all(|r| thrift::is_offset_index(half(r)));
    if fetched {
        source.keep(start, bytes);
    }
    Ok(sound)
}
