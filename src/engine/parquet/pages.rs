//! The page index of one column of one row group (parquet-format, `PageIndex.md`): which rows each page holds, and between which bounds.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::reader::ChunkReader;
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType};

use super::failure::memory_size;
use super::stats::{Leaf, from_bytes, from_int, from_long};
use crate::decode::parquet::thrift;
use crate::model::{ColumnStats, Primitive, Value};

/// An index longer than this is not read: it is damage, or of no use.
const LONGEST: u64 = 16 << 20;

/// The two halves of the index.
pub(super) type Index = (ColumnIndexMetaData, OffsetIndexMetaData);

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its rows, counted within the row group.
    pub(super) rows: Range<u64>,
    /// What is known of its values.
    pub(super) stats: ColumnStats,
}

/// Reads the index of `chunk`, which has `rows` rows; `None` if it has none, or one that is damaged.
pub(super) fn read<R: ChunkReader>(chunk: &ColumnChunkMetaData, rows: u64, reader: &R) -> ParquetResult<Option<Index>> {
    let Some(column) = place(chunk.column_index_offset(), chunk.column_index_length()) else { return Ok(None) };
    let Some(offset) = place(chunk.offset_index_offset(), chunk.offset_index_length()) else { return Ok(None) };
    let (column, offset) = fetch(column, offset, reader)?;
    if !thrift::is_column_index(&column) || !thrift::is_offset_index(&offset) {
        return Ok(None);
    }
    // The library reads the indexes of all columns of a file: it is shown a file of this column alone, where one half follows the other.
    let at = i64::try_from(column.len()).ok();
    let chunk = chunk.clone().into_builder().set_column_index_offset(Some(0)).set_offset_index_offset(at).build()?;
    let shown = Buffer::from([&column[..], &offset[..], b"\0"].concat());
    let root = ParquetType::group_type_builder("file").with_fields(vec![Arc::new(chunk.column_descr().self_type().clone())]).build()?;
    let schema = Arc::new(SchemaDescriptor::new(Arc::new(root)));
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let group = RowGroupMetaData::builder(Arc::clone(&schema)).set_num_rows(rows).set_column_metadata(vec![chunk]).build()?;
    let file = FileMetaData::new(1, rows, None, None, schema, None);
    let alone = ParquetMetaData::new(file, vec![group]);
    let mut whole = ParquetMetaDataReader::new_with_metadata(alone).with_page_index_policy(PageIndexPolicy::Optional);
    whole.read_page_indexes(&shown)?;
    let mut builder = whole.finish()?.into_builder();
    let column = builder.take_column_index().and_then(|mut groups| groups.pop()?.pop());
    let column = column.filter(|index| !matches!(index, ColumnIndexMetaData::NONE));
    let offset = builder.take_offset_index().and_then(|mut groups| groups.pop()?.pop());
    Ok(column.zip(offset))
}

/// Where one half of an index lies, if it is of a length that is read.
fn place(offset: Option<i64>, length: Option<i32>) -> Option<Range<u64>> {
    let length = u64::try_from(length?).ok().filter(|length| (1..=LONGEST).contains(length))?;
    let start = u64::try_from(offset?).ok()?;
    Some(start..start.checked_add(length)?)
}

/// The bytes of both halves; at once where they lie close together, as halves of the same file do.
fn fetch<R: ChunkReader>(column: Range<u64>, offset: Range<u64>, reader: &R) -> ParquetResult<(Buffer, Buffer)> {
    let (start, end) = (column.start.min(offset.start), column.end.max(offset.end));
    let part = |of: &Range<u64>, from: u64| memory_size(of.start - from)..memory_size(of.end - from);
    if end - start > LONGEST {
        let one = |range: &Range<u64>| reader.get_bytes(range.start, memory_size(range.end - range.start));
        return Ok((one(&column)?, one(&offset)?));
    }
    let both = reader.get_bytes(start, memory_size(end - start))?;
    Ok((both.slice(part(&column, start)), both.slice(part(&offset, start))))
}

/// The pages of `index`, which together hold `rows` rows; `None` if it does not fit together.
pub(super) fn of((column, offset): &Index, leaf: Leaf, rows: u64) -> Option<Vec<Page>> {
    let places = offset.page_locations();
    if u64::try_from(places.len()).ok()? != column.num_pages() || places.is_empty() {
        return None;
    }
    let starts = places.iter().map(|place| u64::try_from(place.first_row_index).ok()).collect::<Option<Vec<u64>>>()?;
    let ends = starts.iter().skip(1).copied().chain([rows]);
    let ranges: Vec<Range<u64>> = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
    if starts.first() != Some(&0) || ranges.iter().any(|range| range.start >= range.end) {
        return None;
    }
    let pages = ranges.into_iter().enumerate().map(|(at, rows)| Page { stats: stats(column, at, leaf, rows.end - rows.start), rows });
    Some(pages.collect())
}

/// What the index says of page `at` with `rows` rows. Its bounds may be shorter than the values, but never exclude one.
fn stats(index: &ColumnIndexMetaData, at: usize, leaf: Leaf, rows: u64) -> ColumnStats {
    let counted = ColumnStats { value_count: Some(rows), ..ColumnStats::default() };
    if index.is_null_page(at) {
        return ColumnStats { null_count: Some(rows), ..counted };
    }
    let null_count = index.null_count(at).and_then(|count| u64::try_from(count).ok());
    let (lower, upper) = bounds(index, at, leaf).unwrap_or_default();
    ColumnStats { null_count, lower, upper, ..counted }
}

/// Bounds of page `at`; none for floating point, where a NaN may lie beyond them unseen.
fn bounds(index: &ColumnIndexMetaData, at: usize, leaf: Leaf) -> Option<(Option<Value>, Option<Value>)> {
    let ty = leaf.ty;
    Some(match index {
        ColumnIndexMetaData::INT32(pages) => {
            (pages.min_value(at).and_then(|v| from_int(*v, ty)), pages.max_value(at).and_then(|v| from_int(*v, ty)))
        }
        ColumnIndexMetaData::INT64(pages) => {
            (pages.min_value(at).and_then(|v| from_long(*v, ty)), pages.max_value(at).and_then(|v| from_long(*v, ty)))
        }
        // A shortened decimal would be another number.
        ColumnIndexMetaData::BYTE_ARRAY(_) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(_) if matches!(ty, Primitive::Decimal(..)) => {
            return None;
        }
        ColumnIndexMetaData::BYTE_ARRAY(pages) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(pages) => {
            (pages.min_value(at).and_then(|v| from_bytes(v, ty)), pages.max_value(at).and_then(|v| from_bytes(v, ty)))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn an_index_whose_place_is_not_told_is_none() {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let file = Bytes::from(writer.into_inner().unwrap());
        let footer = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        let chunk = footer.row_group(0).column(0);
        assert!(read(chunk, 3, &file).unwrap().is_some());
        let lost = chunk.clone().into_builder().set_column_index_offset(None).build().unwrap();
        assert!(read(&lost, 3, &file).unwrap().is_none());
    }
}
