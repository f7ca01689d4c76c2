//! Parquet files that are no table's data, read by the names of their own columns.

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::failure::{arrow_error, decode_error, guarded};
use super::footer::{self, Opened, chunk_range};
use super::source::{Source, SourceReader};
use crate::engine::lists::{Chooser, EachBatch};
use crate::error::Result;
use crate::model::DataFile;

/// Rows decoded at once.
const ROWS: usize = 8192;

/// Hands the rows of `file` in the top-level columns that `wanted` chooses to `each`, fetching about `window` bytes at once. Blocks.
///
/// # Errors
///
/// `Corrupt` or `Unsupported` if it cannot be decoded; storage errors; those of `each`.
pub(in crate::engine) fn read(source: Source, file: &DataFile, wanted: Chooser, window: u64, each: &mut EachBatch<'_>) -> Result<()> {
    let opened = footer::open(source, file, None)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = guarded(&file.location, || ArrowReaderMetadata::try_new(Arc::clone(&opened.metadata), options))?;
    let metadata = metadata.map_err(|e| decode_error(e, &file.location))?;
    let schema = opened.metadata.file_metadata().schema_descr_ptr();
    let roots: Vec<usize> =
        schema.root_schema().get_fields().iter().enumerate().filter(|(_, field)| wanted(field.name())).map(|(at, _)| at).collect();
    let mask = ProjectionMask::roots(&schema, roots);
    for (group, row_group) in opened.metadata.row_groups().iter().enumerate() {
        let columns = row_group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let ranges: Vec<Range<u64>> = columns.filter_map(|(_, column)| chunk_range(column, opened.source.size())).collect();
        opened.source.expect(ranges, window);
        read_group(&opened, &metadata, group, mask.clone(), each)?;
    }
    Ok(())
}

fn read_group(opened: &Opened, metadata: &ArrowReaderMetadata, group: usize, mask: ProjectionMask, each: &mut EachBatch<'_>) -> Result<()> {
    let (location, failure) = (opened.source.location(), &opened.source.failure);
    let reader = SourceReader(Arc::clone(&opened.source));
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, metadata.clone());
    let builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(ROWS);
    let mut batches = guarded(location, || builder.build())?.map_err(|e| failure.or(|| decode_error(e, location)))?;
    while let Some(batch) = guarded(location, || batches.next())? {
        each(batch.map_err(|e| failure.or(|| arrow_error(e, location)))?)?;
    }
    Ok(())
}
