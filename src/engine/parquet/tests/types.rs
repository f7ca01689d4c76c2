//! Columns of other types, other names and other schemas.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryArray, Date32Array, Decimal128Array, Float32Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field as ArrowField, Fields, Schema as ArrowSchema, TimeUnit};

use super::*;
use crate::error::Kind;
use crate::model::{MappedName, Value};

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_promoted_filled_with_defaults_and_reordered() {
    let bench = Bench::new();
    let stored = batch(vec![
        ("dropped", Arc::new(Int32Array::from(vec![9, 9]))),
        ("i", Arc::new(Int32Array::from(vec![Some(1), None]))),
        ("f", Arc::new(Float32Array::from(vec![0.5, -1.5]))),
        ("d", Arc::new(Decimal128Array::from(vec![123, -5]).with_precision_and_scale(5, 2).unwrap())),
        ("small", Arc::new(Decimal128Array::from(vec![7, -7]).with_precision_and_scale(4, 1).unwrap())),
        ("day", Arc::new(Date32Array::from(vec![1, -1]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![1_500, -1]))),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![b"text", b""]))),
    ]);
    let mut output = bench.output(vec![
        leaf(7, "bytes", Primitive::String),
        Field { initial_default: Some(Value::Long(42)), ..required(leaf(8, "new", Primitive::Long)) },
        leaf(9, "absent", Primitive::Uuid),
        leaf(10, "region", Primitive::String),
        leaf(2, "i", Primitive::Long),
        leaf(3, "f", Primitive::Double),
        leaf(4, "d", Primitive::Decimal(20, 4)),
        leaf(11, "small", Primitive::Decimal(12, 3)),
        leaf(5, "day", Primitive::Timestamp),
        leaf(6, "ms", Primitive::TimestampTz),
    ]);
    output.partition = Arc::new(Partition { constants: vec![(10, Some(Value::String("eu".into())))], ..Partition::default() });
    let (rows, done) = bench.encoded(vec![(bench.file("a", &stored, None), RowDeletes::None)], output).await;
    assert_eq!(texts(&rows, 0), [Some("text".into()), Some(String::new())]);
    assert_eq!(longs(&rows, 1), [Some(42); 2]);
    assert_eq!(rows.column(2).null_count(), 2);
    assert_eq!(texts(&rows, 3), [Some("eu".into()), Some("eu".into())]);
    assert_eq!(longs(&rows, 4), [Some(1), None]);
    let expected: Vec<ArrayRef> = vec![
        Arc::new(arrow_array::Float64Array::from(vec![0.5, -1.5])),
        Arc::new(Decimal128Array::from(vec![12_300, -500]).with_precision_and_scale(20, 4).unwrap()),
        Arc::new(Decimal128Array::from(vec![700, -700]).with_precision_and_scale(12, 3).unwrap()),
        Arc::new(arrow_array::TimestampMicrosecondArray::from(vec![86_400_000_000, -86_400_000_000])),
        Arc::new(arrow_array::TimestampMicrosecondArray::from(vec![1_500_000, -1_000]).with_timezone("UTC")),
    ];
    assert_eq!(&rows.columns()[5..], &expected);
    assert_eq!(done.files[0].stats.columns[&4].lower, Some(Value::Decimal(-500, 4)));
    assert_eq!(done.files[0].stats.columns[&9].null_count, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_and_nulls_that_may_not_be_are_errors_without_values() {
    let bench = Bench::new();
    let stored = batch(vec![("i", Arc::new(Int32Array::from(vec![Some(70_001), None])))]);
    let file = bench.file("a", &stored, None);
    let cases = [
        (leaf(1, "i", Primitive::Short), Kind::Corrupt),
        (required(leaf(1, "i", Primitive::Int)), Kind::Corrupt),
        (leaf(1, "i", Primitive::String), Kind::Unsupported),
        (required(leaf(2, "other", Primitive::Int)), Kind::Corrupt),
    ];
    for (field, kind) in cases {
        let name = field.name.clone();
        let output = bench.output(vec![field]);
        let error = bench.rewrite(vec![(file.clone(), RowDeletes::None)], output, RewritePath::Encode).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.context().contains(&("column", name)), "{error}");
        assert!(!format!("{error:?}").contains("70001"), "{error:?}");
    }
}

fn nested() -> RecordBatch {
    let point = Fields::from(vec![ArrowField::new("x", DataType::Int32, true), ArrowField::new("y", DataType::Utf8, true)]);
    let points = StructArray::new(
        point,
        vec![Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)])), Arc::new(StringArray::from(vec!["a", "b", "c", "d"]))],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(2)])]);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), ListBuilder::new(Int32Builder::new()));
    for row in 0..4 {
        maps.keys().append_value(format!("k{row}"));
        maps.values().append_value([Some(row)]);
        maps.append(row != 1).unwrap();
    }
    batch(vec![("p", Arc::new(points)), ("l", Arc::new(lists)), ("m", Arc::new(maps.finish()))])
}

#[tokio::test(flavor = "multi_thread")]
async fn null_parents_stay_null_when_members_are_added_promoted_and_dropped() {
    let bench = Bench::new();
    let file = bench.file("a", &nested(), None);
    let members = vec![Field { initial_default: Some(Value::Int(7)), ..leaf(11, "z", Primitive::Int) }, leaf(12, "x", Primitive::Long)];
    let map = Type::Map(
        Box::new(required(leaf(31, "key", Primitive::String))),
        Box::new(field(32, "value", Type::List(Box::new(leaf(33, "element", Primitive::Long))))),
    );
    let fields = vec![
        field(3, "m", map),
        field(1, "p", Type::Struct(members)),
        field(2, "l", Type::List(Box::new(leaf(21, "element", Primitive::Long)))),
    ];
    let (rows, done) = bench.encoded(vec![(file, positions([3]))], bench.output(fields)).await;
    let points = arrow_array::cast::AsArray::as_struct(rows.column(1));
    assert_eq!((0..3).map(|i| points.is_null(i)).collect::<Vec<_>>(), [false, false, true]);
    let zs = arrow_array::cast::AsArray::as_primitive::<Int32Type>(points.column(0));
    assert_eq!((zs.value(0), zs.value(1)), (7, 7));
    let xs: &Int64Array = arrow_array::cast::AsArray::as_primitive(points.column(1));
    assert_eq!((xs.value(0), xs.is_null(1)), (1, true));
    let lists = arrow_array::cast::AsArray::as_list::<i32>(rows.column(2));
    assert_eq!((lists.is_null(1), lists.value_length(2), lists.values().len()), (true, 0, 2));
    let maps = arrow_array::cast::AsArray::as_map(rows.column(0));
    assert_eq!((maps.is_null(1), maps.keys().len()), (true, 2));
    let stats = &done.files[0].stats.columns;
    assert_eq!(stats.keys().copied().collect::<Vec<_>>(), [11, 12, 21, 31, 33]);
    assert_eq!((stats[&12].null_count, &stats[&12].lower), (Some(2), &Some(Value::Long(1))));
    assert_eq!((&stats[&21].lower, stats[&21].value_count), (&None, Some(4)));
}

fn with_id(name: &str, ty: DataType, id: i32) -> ArrowField {
    let id = std::collections::HashMap::from([("PARQUET:field_id".to_string(), id.to_string())]);
    ArrowField::new(name, ty, true).with_metadata(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_found_by_id_by_mapping_by_position_and_by_name() {
    let bench = Bench::new();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2]))];
    let swapped = ArrowSchema::new(vec![with_id("b", DataType::Int64, 1), with_id("a", DataType::Int64, 2)]);
    let by_id = RecordBatch::try_new(Arc::new(swapped), columns.clone()).unwrap();
    let plain = batch(vec![("OLD", columns[0].clone()), ("b", columns[1].clone())]);
    let (by_id, plain) = (bench.file("ids", &by_id, None), bench.file("plain", &plain, None));
    let fields = vec![leaf(2, "b", Primitive::Long), leaf(1, "old", Primitive::Long)];
    let mapped = |id, name: &str| MappedName { id: Some(id), names: vec![name.into()], fields: vec![] };
    let cases = [
        (&by_id, FieldMatching::FieldIds { names: None }, [Some(2), Some(1)]),
        (&by_id, FieldMatching::FieldIds { names: Some(vec![mapped(1, "a")]) }, [Some(2), Some(1)]),
        (&plain, FieldMatching::FieldIds { names: None }, [Some(2), Some(1)]),
        (&plain, FieldMatching::FieldIds { names: Some(vec![mapped(2, "OLD")]) }, [Some(1), None]),
        (&plain, FieldMatching::PhysicalNames, [Some(2), Some(1)]),
        (&by_id, FieldMatching::PhysicalNames, [Some(1), None]),
    ];
    for (number, (file, matching, expected)) in cases.into_iter().enumerate() {
        let mut output = bench.output(fields.clone());
        output.matching = matching;
        let (rows, _) = bench.encoded(vec![(file.clone(), RowDeletes::None)], output).await;
        assert_eq!([longs(&rows, 0)[0], longs(&rows, 1)[0]], expected, "case {number}");
    }
}

/// A file of 12-byte timestamps: nanoseconds of the day and Julian day.
fn legacy_times(bench: &Bench, times: &[(u64, u32)]) -> DataFile {
    use parquet::data_type::{Int96, Int96Type};
    let schema = parquet::schema::parser::parse_message_type("message m { optional int96 t; }").unwrap();
    let file = std::fs::File::create(bench.path("a")).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<Int96> = times
        .iter()
        .map(|(nanos, day)| {
            let mut time = Int96::new();
            time.set_data(u32::try_from(nanos & 0xffff_ffff).unwrap(), u32::try_from(nanos >> 32).unwrap(), *day);
            time
        })
        .collect();
    column.typed::<Int96Type>().write_batch(&values, Some(&vec![1; values.len()]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    data_file(&bench.path("a"))
}

#[tokio::test(flavor = "multi_thread")]
async fn ns_legacy_timestamps_survive_before_1970_and_beyond_2262_and_are_never_cut_to_fit() {
    let bench = Bench::new();
    const EPOCH: u32 = 2_440_588;
    // The last microsecond before 1970; 1582-10-15; 1969-12-31T12:00:00.000001Z; 2262-04-12; 2960-01-01T00:00:01Z.
    let times =
        [(86_399_999_999_000, EPOCH - 1), (0, 2_299_161), (43_200_000_001_000, EPOCH - 1), (0, 2_547_340), (1_000_000_000, 2_802_170)];
    let file = legacy_times(&bench, &times);
    let expected: Vec<i64> = times
        .iter()
        .map(|(nanos, day)| (i64::from(*day) - i64::from(EPOCH)) * 86_400_000_000 + i64::try_from(nanos / 1_000).unwrap())
        .collect();
    assert_eq!((expected[0], expected[2]), (-1, -43_199_999_999));
    for (ty, zone) in [(Primitive::Timestamp, None), (Primitive::TimestampTz, Some("UTC".into()))] {
        let (rows, done) = bench.encoded(vec![(file.clone(), RowDeletes::None)], bench.output(vec![leaf(1, "t", ty)])).await;
        assert_eq!(*rows.column(0).data_type(), DataType::Timestamp(TimeUnit::Microsecond, zone));
        let micros = arrow_cast::cast(rows.column(0), &DataType::Int64).unwrap();
        let micros = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(&micros);
        assert_eq!(micros.values().to_vec(), expected);
        let stats = &done.files[0].stats.columns[&1];
        assert_eq!((&stats.lower, &stats.upper), (&Some(Value::Long(expected[1])), &Some(Value::Long(expected[4]))));
    }
    let nanos = bench.output(vec![leaf(1, "t", Primitive::TimestampNs)]);
    let error = bench.rewrite(vec![(file, RowDeletes::None)], nanos, RewritePath::Encode).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_ids_is_not_guessed_at_where_columns_are_known_by_id_alone() {
    let bench = Bench::new();
    let plain = bench.file("plain", &batch(vec![("b", Arc::new(Int64Array::from(vec![1])))]), None);
    let mut output = bench.output(vec![leaf(1, "b", Primitive::Long)]);
    output.matching = FieldMatching::OwnFieldIds;
    for path in [RewritePath::Auto, RewritePath::Encode] {
        let error = bench.rewrite(vec![(plain.clone(), RowDeletes::None)], output.clone(), path).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("no field ids"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_corruption() {
    let bench = Bench::new();
    let stored = batch(vec![("b", Arc::new(BinaryArray::from_vec(vec![b"ok", b"\xff\xfe"])))]);
    let output = bench.output(vec![leaf(1, "b", Primitive::String)]);
    let file = bench.file("a", &stored, None);
    let error = bench.rewrite(vec![(file, RowDeletes::None)], output, RewritePath::Encode).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[tokio::test(flavor = "multi_thread")]
async fn shredded_variants_are_refused_and_plain_ones_kept() {
    let bench = Bench::new();
    let half =
        |name: &str| (Arc::new(ArrowField::new(name, DataType::Binary, true)), Arc::new(BinaryArray::from_vec(vec![b"v"])) as ArrayRef);
    let shredded = StructArray::from(vec![half("value"), half("metadata"), half("typed_value")]);
    let plain = StructArray::from(vec![half("value"), half("metadata")]);
    let output = bench.output(vec![leaf(1, "v", Primitive::Variant)]);
    let file = bench.file("a", &batch(vec![("v", Arc::new(shredded))]), None);
    let error = bench.rewrite(vec![(file, RowDeletes::None)], output.clone(), RewritePath::Encode).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("shredded"), "{error}");
    let file = bench.file("b", &batch(vec![("v", Arc::new(plain))]), None);
    let (rows, done) = bench.encoded(vec![(file, RowDeletes::None)], output).await;
    assert_eq!(arrow_array::cast::AsArray::as_struct(rows.column(0)).column_names(), ["metadata", "value"]);
    assert!(done.files[0].stats.columns.is_empty());
}
