use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
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
    let fetched = Fetched { size: bytes.len() as u64, ranges: vec![(range.start, part)] };
    let rows = RowSelection::from_consecutive_ranges([3..5, 98..100].into_iter(), 100);
    let mut batches = row_group(fetched, &metadata, 0, mask, (1000, Some(rows))).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.column(0).as_primitive::<Int64Type>().values().to_vec()), (1, vec![3, 4, 98, 99]));
    assert!(batches.next().is_none());
    // Columns that lie side by side.
    let all = ProjectionMask::all();
    let ranges = chunks(group, &all, bytes.len() as u64);
    let parts = ranges.iter().map(|r| (r.start, bytes.slice(usize::try_from(r.start).unwrap()..usize::try_from(r.end).unwrap()))).collect();
    let fetched = Fetched { size: bytes.len() as u64, ranges: parts };
    let batch = row_group(fetched, &metadata, 0, all, (1000, None)).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows(), batch.column(0)), (2, 100, batch.column(1)));
    // A column that was not fetched.
    let none = Fetched { size: bytes.len() as u64, ranges: Vec::new() };
    let mut batches = row_group(none, &metadata, 0, ProjectionMask::all(), (1000, None)).unwrap();
    assert!(batches.next().unwrap().is_err());
}
