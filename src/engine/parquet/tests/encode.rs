//! Rows, deletes, files, statistics.

use std::sync::Arc;

use arrow_array::{Float64Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema};
use parquet::file::properties::WriterProperties;

use super::*;
use crate::error::Kind;
use crate::model::{Lineage, RowIdColumns, Value};

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let texts: Vec<String> = range.clone().map(|n| format!("text {}", n % 7)).collect();
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(range))), ("t", Arc::new(StringArray::from(texts)))])
}

fn fields() -> Vec<Field> {
    vec![leaf(1, "n", Primitive::Long), leaf(2, "t", Primitive::String)]
}

fn groups_of(rows: usize) -> Option<WriterProperties> {
    Some(WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_their_order_across_files_and_row_groups_and_deleted_ones_are_gone() {
    let bench = Bench::new();
    let a = bench.file("a", &numbers(0..1000), groups_of(300));
    let b = bench.file("b", &numbers(1000..1010), None);
    let c = bench.file("c", &numbers(2000..2600), groups_of(100));
    let gone: Vec<u64> = vec![0, 299, 300, 301, 599, 600, 999];
    let whole_groups: Vec<u64> = (100..300).chain([599]).collect();
    let inputs = vec![(a, positions(gone.clone())), (b, RowDeletes::None), (c, positions(whole_groups.clone()))];
    let (rows, done) = bench.encoded(inputs, bench.output(fields())).await;
    let expected = (0..1000).filter(|n| !gone.contains(&i64::cast_unsigned(*n)));
    let expected = expected.chain(1000..1010).chain((2000..2600).filter(|n| !whole_groups.contains(&i64::cast_unsigned(*n - 2000))));
    let expected: Vec<Option<i64>> = expected.map(Some).collect();
    assert_eq!(longs(&rows, 0), expected);
    assert!(texts(&rows, 1).iter().zip(&expected).all(|(t, n)| t.as_deref() == Some(format!("text {}", n.unwrap() % 7).as_str())));
    assert_eq!(done.files.len(), 1);
    assert_eq!((done.row_groups_copied, done.row_groups_encoded), (0, 1));
    let file = &done.files[0];
    assert_eq!(file.location.name(), "new-00000.parquet");
    assert_eq!(file.size.0, std::fs::metadata(local(&file.location)).unwrap().len());
    let footer = footer(&file.location);
    assert_eq!(file.split_offsets, vec![4]);
    assert!(footer.column_index().is_some() && footer.offset_index().is_some());
    assert_eq!(footer.file_metadata().key_value_metadata().unwrap()[0].key, "made-for");
    assert_eq!(footer.file_metadata().schema_descr().column(1).self_type().get_basic_info().id(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_rows_are_all_deleted_becomes_no_file() {
    let bench = Bench::new();
    let a = bench.file("a", &numbers(0..50), groups_of(20));
    let done = bench.rewrite(vec![(a, positions(0..50))], bench.output(fields()), RewritePath::Auto).await.unwrap();
    assert!(done.files.is_empty());
    assert!(bench.new_files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_end_near_the_target_size_and_row_groups_near_theirs() {
    let bench = Bench::new();
    let noise = |n: i64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())).rotate_left(17).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let n = Int64Array::from_iter_values((0..1_500_000).map(noise));
    let wide = batch(vec![("n", Arc::new(n))]);
    let a = bench.file("a", &wide, groups_of(500_000));
    let mut output = bench.output(vec![leaf(1, "n", Primitive::Long)]);
    output.target_file_size = Bytes::mib(5);
    output.row_group_size = Bytes::mib(4);
    output.codec = Codec::Uncompressed;
    let (rows, done) = bench.encoded(vec![(a, RowDeletes::None)], output).await;
    assert_eq!(rows.column(0), wide.column(0));
    let sizes: Vec<u64> = done.files.iter().map(|f| f.size.0 >> 10).collect();
    assert_eq!(sizes.len(), 3, "{sizes:?} KiB");
    assert!(sizes[..2].iter().all(|kib| (5000..6200).contains(kib)), "{sizes:?} KiB");
    assert!(done.files.iter().all(|f| (1..=2).contains(&f.split_offsets.len())), "{:?}", done.files);
    assert_eq!(done.row_groups_encoded, done.files.iter().map(|f| f.split_offsets.len() as u64).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_those_of_the_rows_that_were_written() {
    let bench = Bench::new();
    let n = Int64Array::from(vec![Some(i64::MIN), Some(5), None, Some(-3), Some(i64::MAX)]);
    let d = Float64Array::from(vec![Some(f64::NAN), Some(-0.0), Some(2.5), None, Some(f64::INFINITY)]);
    let long = format!("{}é", "x".repeat(255));
    let t = StringArray::from(vec![Some("zz"), Some(long.as_str()), None, Some(long.as_str()), Some("zzz")]);
    let a = bench.file("a", &batch(vec![("n", Arc::new(n)), ("d", Arc::new(d)), ("t", Arc::new(t))]), None);
    let fields = vec![leaf(1, "n", Primitive::Long), leaf(2, "d", Primitive::Double), leaf(3, "t", Primitive::String)];
    let (_, done) = bench.encoded(vec![(a, positions([0, 4]))], bench.output(fields)).await;
    let stats = &done.files[0].stats.columns;
    let n = &stats[&1];
    assert_eq!((n.value_count, n.null_count, n.nan_count), (Some(3), Some(1), None));
    assert_eq!((&n.lower, &n.upper, n.exact), (&Some(Value::Long(-3)), &Some(Value::Long(5)), true));
    let d = &stats[&2];
    assert_eq!((d.null_count, d.nan_count, d.exact), (Some(1), Some(0), true));
    let bits = |v: &Option<Value>| if let Some(Value::Double(v)) = v { v.to_bits() } else { panic!("{v:?}") };
    assert_eq!((bits(&d.lower), bits(&d.upper)), ((-0.0f64).to_bits(), 2.5f64.to_bits()));
    let t = &stats[&3];
    assert_eq!(t.lower, Some(Value::String("x".repeat(255))));
    assert_eq!(t.upper, Some(Value::String(format!("{}y", "x".repeat(254)))));
    assert!(!t.exact);
    assert_eq!(n.size, Some(footer(&done.files[0].location).row_group(0).column(0).compressed_size().cast_unsigned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nans_are_counted_and_stay_out_of_the_bounds() {
    let bench = Bench::new();
    let d = Float64Array::from(vec![f64::NAN, 1.0, f64::NAN, -1.0, 0.0]);
    let a = bench.file("a", &batch(vec![("d", Arc::new(d))]), None);
    let (_, done) = bench.encoded(vec![(a, RowDeletes::None)], bench.output(vec![leaf(1, "d", Primitive::Double)])).await;
    let d = &done.files[0].stats.columns[&1];
    assert_eq!((d.nan_count, &d.lower, &d.upper), (Some(2), &Some(Value::Double(-1.0)), &Some(Value::Double(1.0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_ids_stay_whatever_was_deleted_before_them() {
    let bench = Bench::new();
    let plain = bench.file("a", &numbers(0..10), groups_of(4));
    let ids = batch(vec![
        ("n", Arc::new(Int64Array::from(vec![100, 101, 102]))),
        ("_row_id", Arc::new(Int64Array::from(vec![Some(77), None, Some(3)]))),
        ("_seq", Arc::new(Int64Array::from(vec![None, Some(5), None]))),
    ]);
    let stored = bench.file("b", &ids, None);
    let with = |file: DataFile, first_row_id, sequence| DataFile { lineage: Some(Box::new(Lineage { first_row_id, sequence })), ..file };
    let mut output = bench.output(fields());
    output.row_ids = Some(RowIdColumns {
        row_id: "_row_id".into(),
        row_id_field: Some(2_147_483_540),
        sequence: "_seq".into(),
        sequence_field: Some(2_147_483_539),
    });
    let inputs = vec![
        (with(plain.clone(), Some(1000), 8), positions([0, 3, 4, 9])),
        (with(stored, Some(2000), 9), RowDeletes::None),
        (with(plain, None, 2), positions(1..10)),
    ];
    let (rows, done) = bench.encoded(inputs, output.clone()).await;
    assert_eq!(longs(&rows, 2), [1001, 1002, 1005, 1006, 1007, 1008, 77, 2001, 3].map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    assert_eq!(longs(&rows, 3), [8, 8, 8, 8, 8, 8, 9, 5, 9, 2].map(Some));
    let descriptor = footer(&done.files[0].location).file_metadata().schema_descr_ptr();
    assert_eq!(descriptor.column(2).self_type().get_basic_info().id(), 2_147_483_540);
    assert_eq!(done.files[0].stats.columns.keys().copied().collect::<Vec<_>>(), [1, 2]);
    // Files that give row ids no field id are understood, too, where columns are known by id.
    let id = |field: ArrowField, id: i32| field.with_metadata([("PARQUET:field_id".to_string(), id.to_string())].into());
    let long = |name: &str| ArrowField::new(name, DataType::Int64, true);
    let schema = ArrowSchema::new(vec![id(long("n"), 1), long("_row_id"), long("_seq")]);
    let unnamed = RecordBatch::try_new(Arc::new(schema), ids.columns().to_vec()).unwrap();
    let unnamed = with(bench.file("d", &unnamed, None), Some(2000), 9);
    let by_id = OutputSpec {
        matching: FieldMatching::OwnFieldIds,
        schema: Schema { fields: vec![leaf(1, "n", Primitive::Long)] },
        ..output.clone()
    };
    let (rows, _) = bench.encoded(vec![(unnamed, RowDeletes::None)], by_id).await;
    assert_eq!((longs(&rows, 1), longs(&rows, 2)), (vec![Some(77), Some(2001), Some(3)], vec![Some(9), Some(5), Some(9)]));
    let asked = bench.rewrite(vec![(bench.file("c", &numbers(0..3), None), RowDeletes::None)], output, RewritePath::Copy).await;
    assert_eq!(asked.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_an_error_is_gone_after_it() {
    let bench = Bench::new();
    let a = bench.file("a", &numbers(0..100_000), None);
    let b = bench.file("b", &numbers(0..10), None);
    std::fs::write(bench.path("b"), b"PAR1").unwrap();
    let mut output = bench.output(fields());
    output.target_file_size = Bytes(1 << 10);
    let error = bench.rewrite(vec![(a, RowDeletes::None), (b, RowDeletes::None)], output, RewritePath::Encode).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(bench.new_files().is_empty(), "{:?}", bench.new_files());
}

#[tokio::test(flavor = "multi_thread")]
async fn bloom_filters_are_written_where_asked_for() {
    let bench = Bench::new();
    let a = bench.file("a", &numbers(0..100), None);
    let mut output = bench.output(fields());
    output.bloom_filters = vec![("t".into(), 0.01)];
    let (_, done) = bench.encoded(vec![(a, RowDeletes::None)], output).await;
    let group = footer(&done.files[0].location);
    assert!(group.row_group(0).column(0).bloom_filter_offset().is_none());
    assert!(group.row_group(0).column(1).bloom_filter_offset().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_that_nobody_waits_for_leaves_no_files() {
    let bench = Bench::new();
    let inputs: Vec<_> = (0..40).map(|n| (bench.file(&format!("in{n}"), &numbers(0..20_000), None), RowDeletes::None)).collect();
    let mut output = bench.output(fields());
    output.target_file_size = Bytes(1 << 10);
    let task = RewriteTask { inputs, output, name_stem: "new".into(), path: RewritePath::Encode };
    let mut rewrite = bench.rewriter.rewrite(task);
    while bench.new_files().is_empty() {
        tokio::select! {
            biased;
            _ = &mut rewrite => break,
            () = tokio::task::yield_now() => {}
        }
    }
    drop(rewrite);
    // The blocking half ends by itself; the memory it was admitted to says nothing, its files do.
    for _ in 0..10_000_000 {
        if bench.new_files().is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{:?}", bench.new_files());
}
