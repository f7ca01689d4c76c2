//! Row groups moved as bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Float64Array, Int32Array, Int64Array, ListArray, StringArray};
use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;

use super::types::variants;
use super::*;
use crate::error::Kind;
use crate::model::Value;

fn rows(range: std::ops::Range<i64>) -> RecordBatch {
    let texts: Vec<Option<String>> = range.clone().map(|n| (n % 5 != 0).then(|| format!("text {n}"))).collect();
    let numbers: Vec<f64> = range.clone().map(|n| f64::from(i32::try_from(n).unwrap())).collect();
    batch(vec![
        ("n", Arc::new(Int64Array::from_iter_values(range))),
        ("t", Arc::new(StringArray::from(texts))),
        ("d", Arc::new(Float64Array::from(numbers))),
    ])
}

fn fields() -> Vec<Field> {
    vec![leaf(1, "n", Primitive::Long), leaf(2, "t", Primitive::String), leaf(3, "d", Primitive::Double)]
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(400))
        .set_column_bloom_filter_enabled("t".into(), true)
        .build()
}

/// An output for files without field ids.
fn plain_output(bench: &Bench, fields: Vec<Field>) -> OutputSpec {
    OutputSpec { field_ids: false, ..bench.output(fields) }
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_row_groups_keep_rows_page_indexes_bloom_filters_and_statistics() {
    let bench = Bench::new();
    let (a, b) = (bench.file("a", &rows(0..1000), Some(properties())), bench.file("b", &rows(1000..1500), Some(properties())));
    let inputs = vec![(a, RowDeletes::None), (b, RowDeletes::None)];
    let done = bench.rewrite(inputs, plain_output(&bench, fields()), RewritePath::Copy).await.unwrap();
    assert_eq!((done.row_groups_copied, done.row_groups_encoded, done.files.len()), (5, 0, 1));
    assert!(done.bytes_copied.0 > 1000 && done.bytes_encoded.0 == 0);
    let file = &done.files[0];
    assert_eq!(read(&done.files).columns(), rows(0..1500).columns());
    assert_eq!(file.size.0, std::fs::metadata(local(&file.location)).unwrap().len());
    let footer = footer(&file.location);
    assert_eq!(footer.num_row_groups(), 5);
    assert!(footer.column_index().is_some() && footer.offset_index().is_some());
    let starts: Vec<i64> = footer.row_groups().iter().map(|g| g.file_offset().unwrap()).collect();
    assert_eq!(file.split_offsets, starts);
    let keys: Vec<&str> = footer.file_metadata().key_value_metadata().unwrap().iter().map(|kv| kv.key.as_str()).collect();
    assert_eq!(keys, ["ARROW:schema", "made-for"]);
    let options = parquet::file::properties::ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(options).build();
    let reader = SerializedFileReader::new_with_options(std::fs::File::open(local(&file.location)).unwrap(), options).unwrap();
    for group in 0..5 {
        let group = reader.get_row_group(group).unwrap();
        assert!(group.get_column_bloom_filter(0).is_none());
        assert!(group.get_column_bloom_filter(1).is_some());
    }
    assert!(reader.get_row_group(3).unwrap().get_column_bloom_filter(1).unwrap().check(&"text 1001"));
    let stats = &file.stats.columns;
    assert_eq!((&stats[&1].lower, &stats[&1].upper, stats[&1].exact), (&Some(Value::Long(0)), &Some(Value::Long(1499)), true));
    assert_eq!((stats[&2].value_count, stats[&2].null_count), (Some(1500), Some(300)));
    assert_eq!(stats[&2].upper, Some(Value::String("text 999".into())));
    assert_eq!((&stats[&3].lower, stats[&3].nan_count, stats[&3].null_count), (&None, None, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_files_end_near_the_target_size() {
    let bench = Bench::new();
    let a = bench.file("a", &rows(0..4000), Some(properties()));
    let mut output = plain_output(&bench, fields());
    output.target_file_size = Bytes(a.size.0 / 3);
    let done = bench.rewrite(vec![(a.clone(), RowDeletes::None)], output, RewritePath::Copy).await.unwrap();
    assert_eq!(read(&done.files).columns(), rows(0..4000).columns());
    assert_eq!(done.files.len(), 3, "{:?}", done.files.iter().map(|f| f.size).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_says_why_and_auto_encodes_it() {
    let bench = Bench::new();
    let good = bench.file("good", &rows(0..10), None);
    let narrow = batch(vec![("n", Arc::new(Int32Array::from(vec![1, 2])))]);
    let narrow = bench.file("narrow", &narrow, None);
    let cases = [
        (vec![(good.clone(), positions([1]))], plain_output(&bench, fields()), "deleted rows have to go"),
        (vec![(good.clone(), RowDeletes::None)], bench.output(fields()), "a file lacks field ids"),
        (
            vec![(good.clone(), RowDeletes::None)],
            plain_output(&bench, vec![leaf(1, "n", Primitive::Long)]),
            "a file holds columns that the table no longer has",
        ),
        (vec![(narrow.clone(), RowDeletes::None)], plain_output(&bench, fields()), "a column has to be converted"),
        (
            vec![(good.clone(), RowDeletes::None)],
            plain_output(
                &bench,
                [fields(), vec![Field { initial_default: Some(Value::Int(1)), ..leaf(9, "new", Primitive::Int) }]].concat(),
            ),
            "a column has to be filled in",
        ),
    ];
    for (inputs, output, because) in cases {
        let error = bench.rewrite(inputs.clone(), output.clone(), RewritePath::Copy).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.context().contains(&("because", because.to_string())), "{error}");
        let done = bench.rewrite(inputs, output, RewritePath::Auto).await.unwrap();
        assert_eq!((done.row_groups_copied, done.row_groups_encoded), (0, 1));
    }
    let mixed = vec![(good.clone(), RowDeletes::None), (bench.file("fewer", &rows(0..10).project(&[0]).unwrap(), None), RowDeletes::None)];
    let error = bench.rewrite(mixed.clone(), plain_output(&bench, fields()), RewritePath::Copy).await.unwrap_err();
    assert!(error.to_string().contains("the files have different schemas"), "{error}");
    let done = bench.rewrite(mixed, plain_output(&bench, fields()), RewritePath::Auto).await.unwrap();
    assert_eq!((done.files[0].rows, done.row_groups_encoded), (20, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_copies_only_what_encoding_would_not_improve() {
    let bench = Bench::new();
    let compressed = bench.file("zstd", &rows(0..1000), Some(properties()));
    let one_group = bench.file("one", &rows(0..1000), Some(WriterProperties::builder().set_compression(Compression::SNAPPY).build()));
    let raw = bench.file("raw", &rows(0..1000), None);
    let added = [fields(), vec![leaf(9, "added", Primitive::Int)]].concat();
    for (file, copied) in [(compressed, 0), (one_group, 1), (raw, 0)] {
        let output = plain_output(&bench, added.clone());
        let done = bench.rewrite(vec![(file.clone(), RowDeletes::None)], output, RewritePath::Auto).await.unwrap();
        assert_eq!((done.row_groups_copied, done.row_groups_encoded), (copied, 1 - copied), "{}", file.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_the_partition_that_are_stored_are_no_obstacle() {
    let bench = Bench::new();
    let id =
        |name: &str, ty, id: i32| ArrowField::new(name, ty, true).with_metadata([("PARQUET:field_id".to_string(), id.to_string())].into());
    let schema = ArrowSchema::new(vec![id("region", DataType::Utf8, 2), id("old name", DataType::Int64, 1)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["eu"; 2])), Arc::new(Int64Array::from(vec![1, 2]))];
    let stored = bench.file("a", &RecordBatch::try_new(Arc::new(schema), columns).unwrap(), None);
    let mut output = bench.output(vec![leaf(1, "n", Primitive::Long), leaf(2, "region", Primitive::String)]);
    output.matching = FieldMatching::FieldIds { names: None };
    output.partition = Arc::new(Partition { constants: vec![(2, Some(Value::String("eu".into())))], ..Partition::default() });
    let done = bench.rewrite(vec![(stored, RowDeletes::None)], output, RewritePath::Copy).await.unwrap();
    assert_eq!(done.row_groups_copied, 1);
    assert_eq!(done.files[0].stats.columns[&1].upper, Some(Value::Long(2)));
    assert_eq!(done.files[0].stats.columns[&2].upper, Some(Value::String("eu".into())));
}

/// P3: a feature that wants partition columns in files wants null ones, too.
#[tokio::test(flavor = "multi_thread")]
async fn partition_columns_that_files_lack_are_filled_in_even_if_null() {
    let bench = Bench::new();
    let stored = bench.file("a", &batch(vec![("n", Arc::new(Int64Array::from(vec![1, 2])))]), None);
    for constant in [None, Some(Value::String("eu".into()))] {
        let mut output = plain_output(&bench, vec![leaf(1, "n", Primitive::Long), leaf(2, "region", Primitive::String)]);
        output.partition = Arc::new(Partition { constants: vec![(2, constant.clone())], ..Partition::default() });
        let error = bench.rewrite(vec![(stored.clone(), RowDeletes::None)], output.clone(), RewritePath::Copy).await.unwrap_err();
        assert!(error.to_string().contains("a column has to be filled in"), "{error}");
        let done = bench.rewrite(vec![(stored.clone(), RowDeletes::None)], output, RewritePath::Auto).await.unwrap();
        let expected = constant.map(|_| "eu".to_string());
        assert_eq!(texts(&read(&done.files), 1), [expected.clone(), expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_that_have_no_id_in_the_table_need_none_in_files() {
    let bench = Bench::new();
    let id = |field: ArrowField, id: i32| field.with_metadata([("PARQUET:field_id".to_string(), id.to_string())].into());
    for element in [None, Some(77)] {
        let item = ArrowField::new("element", DataType::Int64, true);
        let item = Arc::new(element.map_or(item.clone(), |number| id(item, number)));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let lists = ListArray::new(Arc::clone(&item), lists.offsets().clone(), lists.values().clone(), lists.nulls().cloned());
        let schema = ArrowSchema::new(vec![id(ArrowField::new("l", DataType::List(item), true), 1)]);
        let stored = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(lists)]).unwrap();
        let file = bench.file("a", &stored, None);
        let output = bench.output(vec![field(1, "l", Type::List(Box::new(leaf(-1, "element", Primitive::Long))))]);
        let done = bench.rewrite(vec![(file, RowDeletes::None)], output, RewritePath::Copy).await.unwrap();
        assert_eq!((done.row_groups_copied, done.files[0].rows), (1, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shredded_variants_are_copied_where_that_is_allowed_and_else_encoded_whole() {
    let bench = Bench::new();
    let stored = variants(&[Some(&[1, 0, 0]), Some(&[1, 0, 0])], &[None, Some(&[0])], Some(vec![Some(7), None]));
    let stored = batch(vec![("v", Arc::new(stored))]);
    let inputs = |deletes| vec![(bench.file("a", &stored, None), deletes), (bench.file("b", &stored, None), RowDeletes::None)];
    let mut output = plain_output(&bench, vec![leaf(1, "v", Primitive::Variant)]);
    let refused = bench.rewrite(inputs(RowDeletes::None), output.clone(), RewritePath::Copy).await.unwrap_err();
    assert!(refused.to_string().contains("a variant has values in typed columns"), "{refused}");
    let values = |done: &Rewritten| {
        let rows = read(&done.files);
        let column = rows.column(0).as_struct();
        assert_eq!(column.column_names(), ["metadata", "value"]);
        column.column(1).as_binary::<i32>().iter().map(|value| value.unwrap().to_vec()).collect::<Vec<_>>()
    };
    let (seven, null) = (vec![24, 7, 0, 0, 0, 0, 0, 0, 0], vec![0]);
    let done = bench.rewrite(inputs(RowDeletes::None), output.clone(), RewritePath::Auto).await.unwrap();
    assert_eq!((done.row_groups_copied, values(&done)), (0, vec![seven.clone(), null.clone(), seven.clone(), null.clone()]));
    output.tolerated.shredded = true;
    let done = bench.rewrite(inputs(RowDeletes::None), output.clone(), RewritePath::Auto).await.unwrap();
    assert_eq!((done.row_groups_copied, done.files.len()), (2, 1));
    let column = read(&done.files).column(0).clone();
    assert_eq!(column.to_data(), arrow_select::concat::concat(&[stored.column(0), stored.column(0)]).unwrap().to_data());
    // Deleted rows have to go: then it is encoded, whole.
    let done = bench.rewrite(inputs(positions([0])), output, RewritePath::Auto).await.unwrap();
    assert_eq!((done.row_groups_copied, values(&done)), (0, vec![null.clone(), seven, null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_copied_file_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let file = bench.file("a", &rows(0..500), Some(properties()));
    let sound = std::fs::read(bench.path("a")).unwrap();
    let mut bugs = Vec::new();
    for at in (sound.len() * 3 / 4..sound.len()).step_by(7) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x41;
        std::fs::write(bench.path("a"), &damaged).unwrap();
        let result = bench.rewrite(vec![(file.clone(), RowDeletes::None)], plain_output(&bench, fields()), RewritePath::Copy).await;
        if result.as_ref().is_err_and(|e| e.kind() == Kind::Bug) {
            bugs.push((at, format!("{:?}", result.unwrap_err())));
        }
    }
    assert!(bugs.is_empty(), "{bugs:?}");
}
