//! Rows as a Parquet file, written as they come.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::sink::{Sink, unwritten};
use super::{Rows, distinct};
use crate::error::{Error, Result};
use crate::units::Bytes;

/// The most bytes of a row group, encoded.
const ROW_GROUP: usize = 32 << 20;

/// Writes row groups.
pub(super) struct File {
    writer: ArrowWriter<Sink>,
    row_group: usize,
}

impl File {
    /// A file for rows of `schema`; row groups take a sixteenth of `memory`.
    ///
    /// # Errors
    ///
    /// `Usage` if two columns have the same name; `Unsupported` for types that Parquet does not have.
    pub(super) fn new(schema: &SchemaRef, sink: Sink, memory: Bytes) -> Result<Self> {
        distinct(schema)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let unsupported =
            |e: ParquetError| Error::unsupported("Parquet cannot hold a column of the result").hint("cast it to another type").because(e);
        let row_group = usize::try_from(memory.0 / 16).unwrap_or(ROW_GROUP).clamp(4 << 20, ROW_GROUP);
        Ok(Self { writer: ArrowWriter::try_new(sink, schema.clone(), Some(properties)).map_err(unsupported)?, row_group })
    }
}

impl Rows for File {
    fn batch(&mut self, batch: &RecordBatch) -> Result<bool> {
        self.writer.write(batch).map_err(unwritten)?;
        if self.writer.in_progress_size() > self.row_group {
            self.writer.flush().map_err(unwritten)?;
        }
        Ok(true)
    }

    fn end(self: Box<Self>) -> Result<Option<String>> {
        self.writer.into_inner().map_err(unwritten)?.finish().map(|()| None)
    }
}
