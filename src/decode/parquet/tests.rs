use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use std::collections::VecDeque;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes as Buffer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::basic::Encoding;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::*;

fn file(columns: Vec<(&str, ArrayRef)>, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn read(file: &[u8]) -> Result<Vec<RecordBatch>> {
    let bytes = Buffer::copy_from_slice(file);
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
    row_group(bytes, &metadata, 0, ProjectionMask::all(), (1000, None))?.map(|batch| Ok(batch?)).collect()
}

#[test]
fn a_dictionary_that_claims_more_values_than_its_page_can_hold_is_damage() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|n| n % 100)));
    let mut bytes = file(vec![("n", numbers)], WriterProperties::builder());
    let sum = |batches: Vec<RecordBatch>| {
        batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>()).sum::<i64>()
    };
    assert_eq!(sum(read(&bytes).unwrap()), 49_500);
    // In the header of the page: 100 values, and then the encoding.
    let claim = bytes.windows(5).position(|at| at == [0x4c, 0x15, 0xc8, 0x01, 0x15]).unwrap();
    bytes.splice(claim + 2..claim + 4, [0xfe, 0x7f]);
    let error = read(&bytes).unwrap_err().to_string();
    assert!(error.contains("a dictionary claims more values than its page can hold"), "{error}");
}

#[test]
fn texts_kept_as_deltas_are_read_whatever_their_number_and_nesting() {
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for count in [1, 2, 31, 32, 33, 128, 129, 130, 5000] {
                let text = |n: usize| (n % 7 != 3).then(|| format!("{}-{n}", "x".repeat(n % 40)));
                let texts: ArrayRef = Arc::new((0..count).map(text).collect::<StringArray>());
                let properties =
                    WriterProperties::builder().set_writer_version(version).set_dictionary_enabled(false).set_encoding(encoding);
                let bytes = file(vec![("t", Arc::clone(&texts))], properties);
                let back = read(&bytes).unwrap();
                let back: Vec<_> = back.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter()).collect();
                assert_eq!(back, texts.as_string::<i32>().iter().collect::<Vec<_>>(), "{encoding} {version:?} {count}");
            }
        }
    }
}

#[test]
fn a_part_of_the_rows_and_columns_is_read() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let bytes = Buffer::from(file(vec![("a", Arc::clone(&numbers)), ("b", numbers)], WriterProperties::builder()));
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).unwrap();
    let mask = ProjectionMask::leaves(metadata.parquet_schema(), [1]);
    let group = metadata.metadata().row_group(0);
    let [range] = chunks(group, &mask, bytes.len() as u64).try_into().unwrap();
    let part = bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
    let fetched = Fetched::new(bytes.len() as u64, vec![[(range.start, part)].into()]);
    let rows = RowSelection::from_consecutive_ranges([3..5, 98..100].into_iter(), 100);
    let mut batches = row_group(fetched, &metadata, 0, mask, (1000, Some(rows))).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.column(0).as_primitive::<Int64Type>().values().to_vec()), (1, vec![3, 4, 98, 99]));
    assert!(batches.next().is_none());
    // Columns that lie side by side.
    let all = ProjectionMask::all();
    let ranges = chunks(group, &all, bytes.len() as u64);
    let part = |r: &Range<u64>| [(r.start, bytes.slice(usize::try_from(r.start).unwrap()..usize::try_from(r.end).unwrap()))].into();
    let parts = ranges.iter().map(part).collect();
    let fetched = Fetched::new(bytes.len() as u64, parts);
    let batch = row_group(fetched, &metadata, 0, all, (1000, None)).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows(), batch.column(0)), (2, 100, batch.column(1)));
    // A column that was not fetched.
    let none = Fetched::new(bytes.len() as u64, Vec::new());
    let mut batches = row_group(none, &metadata, 0, ProjectionMask::all(), (1000, None)).unwrap();
    assert!(batches.next().unwrap().is_err());
}

#[test]
fn columns_are_read_in_pieces_of_any_size_and_given_back_on_the_way() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_row_count_limit(100).set_write_batch_size(50);
    let bytes = Buffer::from(file(vec![("a", Arc::clone(&numbers)), ("b", numbers)], properties));
    let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).unwrap();
    let ranges = chunks(metadata.metadata().row_group(0), &ProjectionMask::all(), bytes.len() as u64);
    for size in [1, 7, 100, 1000, 100_000] {
        // Each piece on its own, as it would be fetched.
        let pieces = |range: &Range<u64>| {
            let part = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            let starts = (range.start..).step_by(size);
            starts.zip(part.chunks(size)).map(|(start, piece)| (start, Buffer::copy_from_slice(piece))).collect::<VecDeque<_>>()
        };
        let fetched: Vec<_> = ranges.iter().map(pieces).collect();
        let kept = fetched.clone();
        let batches = row_group(Fetched::new(bytes.len() as u64, fetched), &metadata, 0, ProjectionMask::all(), (100, None)).unwrap();
        let mut back = Vec::new();
        for batch in batches {
            let batch = batch.unwrap();
            assert_eq!(batch.column(0), batch.column(1));
            back.extend(batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            let held = kept.iter().flatten().filter(|(_, piece)| !piece.is_unique()).count();
            // Of the ten pages a column, the one that was read last and those to come; both ends of either column may lie amid a piece.
            let left = kept.iter().flatten().count() * (1100 - back.len()) / 1000;
            assert!(held <= left + 4, "{size}: {held} of {left}");
        }
        assert!(back.into_iter().eq(0..1000), "{size}");
    }
}

/// A list of 2^31 - 1 truth values, which announce themselves and take no bytes; as field `id` after field 0.
fn endless(id: u8) -> Vec<u8> {
    vec![id << 4 | 9, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]
}

#[test]
fn headers_of_pages_that_announce_more_than_they_hold_are_damage() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let bytes = file(vec![("n", numbers)], WriterProperties::builder().set_dictionary_enabled(false));
    assert_eq!(read(&bytes).unwrap().len(), 1);
    // The first field of the header (its id and type, then the page's type) gives way to a list, to 2^31 - 1 numbers of sixteen bytes that
    // lie behind the end, or to a text that does.
    for damage in [endless(9), vec![0x99, 0xfd, 0xff, 0xff, 0xff, 0xff, 0x07], vec![0x98, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
        let mut damaged = bytes.clone();
        damaged[4..4 + damage.len()].copy_from_slice(&damage);
        let error = read(&damaged).unwrap_err().to_string();
        assert!(error.contains("the header of a page is damaged"), "{error}");
    }
}

#[test]
fn a_header_is_read_however_small_the_pieces_that_it_comes_in() {
    struct Pieces<'a>(&'a [u8], usize);
    impl std::io::Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = into.len().min(self.1);
            self.0.read(&mut into[..length])
        }
    }
    // Field 9: a text of 3,000 bytes; what follows is none of the header's.
    let whole = [&[0x98, 0xb8, 0x17][..], &[b'x'; 3000], &[0]].concat();
    let stream = [&whole[..], &[7; 100]].concat();
    for piece in [1, 2, 3, 511, 512, 4000] {
        assert_eq!(headers::header(&mut Pieces(&stream, piece), 4000).unwrap(), whole, "{piece}");
        assert_eq!(headers::header(&mut Pieces(&stream, piece), whole.len() as u64).unwrap(), whole, "{piece}");
        assert!(headers::header(&mut Pieces(&stream, piece), whole.len() as u64 - 1).is_err(), "{piece}");
    }
}

#[test]
fn bloom_filters_are_read_and_damaged_ones_told() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let bytes = file(vec![("n", numbers)], WriterProperties::builder().set_bloom_filter_enabled(true));
    let metadata = ArrowReaderMetadata::load(&Buffer::from(bytes.clone()), ArrowReaderOptions::new()).unwrap();
    let told = metadata.metadata().row_group(0).column(0);
    let untold = told.clone().into_builder().set_bloom_filter_length(None).build().unwrap();
    let start = usize::try_from(told.bloom_filter_offset().unwrap()).unwrap();
    let mut damaged = bytes.clone();
    damaged[start..start + 7].copy_from_slice(&endless(9));
    for chunk in [told, &untold] {
        let filter = bloom_filter(chunk, &Buffer::from(bytes.clone())).unwrap().unwrap();
        assert!((0..1000).all(|n: i64| filter.check(&n)));
        assert!((1000..2000).any(|n: i64| !filter.check(&n)));
        let error = bloom_filter(chunk, &Buffer::from(damaged.clone())).unwrap_err().to_string();
        assert!(error.contains("a bloom filter is damaged"), "{error}");
    }
    let none = told.clone().into_builder().set_bloom_filter_offset(None).build().unwrap();
    assert!(bloom_filter(&none, &Buffer::from(bytes)).unwrap().is_none());
}
