//! New files by encoding rows: row groups and files end where they are large enough.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::FieldRef;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriter, ArrowWriterOptions};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::admission::Budget;
use super::failure::{Failure, encode_error};
use super::lanes::Lanes;
use super::pool::Pool;
use super::properties::writer_properties;
use super::sink::{Outputs, Sink};
use super::stats::{Leaf, Origin, add_row_group, leaves_of};
use super::target::Target;
use crate::engine::Rewritten;
use crate::error::Result;
use crate::location::Location;
use crate::model::{FileStats, NewFile, OutputSpec, Partition};
use crate::units::Bytes;

/// Writes batches to files.
pub(super) struct Encoder<'a> {
    target: &'a Target,
    output: &'a OutputSpec,
    outputs: Outputs,
    partition: Arc<Partition>,
    pool: Pool,
    budget: Budget,
    properties: WriterProperties,
    fields: Vec<FieldRef>,
    leaves: Vec<Option<Leaf>>,
    open: Option<OpenFile>,
    done: Rewritten,
}

/// A file being written.
struct OpenFile {
    location: Location,
    writer: SerializedFileWriter<Sink>,
    factory: ArrowRowGroupWriterFactory,
    failure: Failure,
    /// The row group being encoded, and its rows.
    lanes: Option<Lanes>,
    rows: u64,
    stats: Option<FileStats>,
    split_offsets: Vec<i64>,
}

impl<'a> Encoder<'a> {
    /// An encoder of files with the columns of `target`.
    ///
    /// # Errors
    ///
    /// `Usage` for settings that do not exist.
    pub(super) fn new(target: &'a Target, output: &'a OutputSpec, outputs: &Outputs, pool: Pool, budget: Budget) -> Result<Self> {
        let properties = writer_properties(output, &output.metadata)?;
        let fields = target.arrow.fields().iter().cloned().collect();
        let stored = target.fields.len() - target.row_id_columns;
        let mut leaves = leaves_of(target.fields.get(..stored).unwrap_or_default());
        leaves.extend(std::iter::repeat_n(None, target.row_id_columns));
        let (outputs, partition) = (outputs.clone(), Arc::clone(&output.partition));
        Ok(Self { target, output, outputs, partition, pool, budget, properties, fields, leaves, open: None, done: Rewritten::default() })
    }

    /// The same encoder for files of another partition.
    pub(super) fn of_partition(self, partition: Arc<Partition>) -> Self {
        Self { partition, ..self }
    }

    /// How much memory the row group takes that is being encoded.
    pub(super) fn memory(&self) -> u64 {
        self.open.as_ref().and_then(|open| open.lanes.as_ref()).map_or(0, |lanes| lanes.sizes().1)
    }

    /// Adds `rows` rows; after them, `progress` (0 to 1) of all inputs is read.
    ///
    /// # Errors
    ///
    /// Storage errors; `Bug` if the rows cannot be encoded.
    pub(super) fn write(&mut self, columns: &[ArrayRef], rows: usize, progress: f64) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.lanes.is_none() {
            let writers = open.factory.create_column_writers(open.split_offsets.len()).map_err(encode_error)?;
            open.lanes = Some(Lanes::new(self.pool.clone(), &self.fields, writers));
        }
        let Some(lanes) = &mut open.lanes else { return Ok(()) };
        lanes.push(columns)?;
        open.rows += rows as u64;
        let (encoded, memory) = lanes.sizes();
        let written = open.writer.bytes_written() as u64;
        if written + encoded >= self.output.target_file_size.0 && !self.little_left(written + encoded, progress) {
            self.end_file()
        } else if encoded >= self.budget.row_group || memory >= self.budget.row_group.saturating_mul(2) {
            self.end_row_group()
        } else {
            Ok(())
        }
    }

    /// Ends the last file.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub(super) fn finish(mut self) -> Result<Rewritten> {
        self.end_file()?;
        Ok(self.done)
    }

    /// Whether so little is left to write that it should not become a file of its own: less than a tenth of a file.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn little_left(&self, in_file: u64, progress: f64) -> bool {
        let finished: u64 = self.done.files.iter().map(|file| file.size.0).sum();
        let left = (finished + in_file) as f64 * (1.0 - progress).max(0.0) / progress.max(0.001);
        left < self.output.target_file_size.0 as f64 / 10.0
    }

    fn begin(&self) -> Result<OpenFile> {
        let sink = self.outputs.begin()?;
        let (location, failure) = (sink.location().clone(), sink.failure.clone());
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(self.target.parquet.clone());
        let writer = ArrowWriter::try_new_with_options(sink, Arc::clone(&self.target.arrow), options).map_err(encode_error)?;
        let (writer, factory) = writer.into_serialized_writer().map_err(encode_error)?;
        Ok(OpenFile { location, writer, factory, failure, lanes: None, rows: 0, stats: None, split_offsets: Vec::new() })
    }

    /// Ends the row group.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub(super) fn end_row_group(&mut self) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(lanes) = open.lanes.take() else { return Ok(()) };
        let (chunks, nans) = lanes.close()?;
        let wrong = |e| open.failure.or(|| encode_error(e));
        let mut group = open.writer.next_row_group().map_err(wrong)?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group).map_err(wrong)?;
        }
        let group = group.close().map_err(wrong)?;
        add_row_group(&mut open.stats, &group, &self.leaves, Origin::Encoded(&nans));
        let start = group.columns().first().map(|c| c.dictionary_page_offset().unwrap_or_else(|| c.data_page_offset()));
        open.split_offsets.extend(start);
        self.done.row_groups_encoded += 1;
        self.done.bytes_encoded = self.done.bytes_encoded.plus(Bytes(u64::try_from(group.compressed_size()).unwrap_or_default()));
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        self.end_row_group()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        let sink = open.writer.into_inner().map_err(|e| open.failure.or(|| encode_error(e)))?;
        let size = sink.finish()?;
        self.done.files.push(NewFile {
            location: open.location,
            size: Bytes(size),
            rows: open.rows,
            partition: Arc::clone(&self.partition),
            stats: open.stats.unwrap_or_default(),
            split_offsets: open.split_offsets,
        });
        Ok(())
    }
}
