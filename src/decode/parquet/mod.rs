//! Row groups of Parquet files as Arrow batches, with the footer and every page looked at before they are decoded ([`thrift`], [`headers`],
//! [`claims`]).

mod claims;
mod fetched;
pub(crate) mod footer;
mod headers;
mod structs;
pub(crate) mod thrift;

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::parquet_to_arrow_field_levels;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

pub(crate) use fetched::Fetched;
use headers::Chunk;
pub(crate) use headers::bloom_filter;

/// The rows of row group `group` of `reader` in the columns of `mask`, `batch_size` at a time; those of `selection` alone where there is one.
///
/// # Errors
///
/// The library's, and one for a page that claims more values than it can hold. The library may panic on damaged bytes.
pub(crate) fn row_group<R: ChunkReader + 'static>(
    reader: R,
    metadata: &ArrowReaderMetadata,
    group: usize,
    mask: ProjectionMask,
    (batch_size, selection): (usize, Option<RowSelection>),
) -> Result<ParquetRecordBatchReader> {
    let file = metadata.metadata();
    let fields = parquet_to_arrow_field_levels(file.file_metadata().schema_descr(), mask, Some(metadata.schema().fields()))?;
    let group = Group { reader: Arc::new(reader), metadata: Arc::clone(file), group };
    let batch_size = batch_size.min(group.num_rows()).max(1);
    ParquetRecordBatchReader::try_new_with_row_groups(&fields, &group, batch_size, selection)
}

/// Where the chunks of the columns of `mask` lie in `group` of a file of `size` bytes; those that lie outside of it are left to the decoder to tell.
pub(crate) fn chunks(group: &RowGroupMetaData, mask: &ProjectionMask, size: u64) -> Vec<Range<u64>> {
    let chosen = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
    chosen.filter_map(|(_, chunk)| footer::chunk_range(chunk, size)).collect()
}

/// One row group of a file.
struct Group<R> {
    reader: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    group: usize,
}

impl<R: ChunkReader + 'static> RowGroups for Group<R> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.group).num_rows()).unwrap_or_default()
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let column = self.metadata.row_group(self.group).column(leaf);
        let chunk = Chunk::new(Arc::clone(&self.reader), column)?;
        let pages = SerializedPageReader::new(Arc::new(chunk), column, self.num_rows(), None)?;
        Ok(Box::new(OneChunk(Some(Pages { pages, column: column.clone() }))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

struct OneChunk<R: ChunkReader>(Option<Pages<R>>);

impl<R: ChunkReader + 'static> Iterator for OneChunk<R> {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(|pages| Ok(Box::new(pages) as Box<dyn PageReader>))
    }
}

impl<R: ChunkReader + 'static> PageIterator for OneChunk<R> {}

/// The pages of one column chunk.
struct Pages<R: ChunkReader> {
    pages: SerializedPageReader<Chunk<R>>,
    column: ColumnChunkMetaData,
}

impl<R: ChunkReader> Iterator for Pages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for Pages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        match page.as_ref().and_then(|page| claims::excess(page, self.column.column_descr())) {
            None => Ok(page),
            Some(what) => Err(ParquetError::General(what.into())),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

#[cfg(test)]
mod tests;
