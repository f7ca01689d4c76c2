//! ORC and Avro files become Parquet files with the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::types::{Record, Value as Avro};
use apache_avro::{Codec as AvroCodec, Schema as AvroSchema, Writer, ZstandardSettings};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};
use arrow_array::{BinaryArray, Decimal128Array, FixedSizeBinaryArray, Int64Array, StringArray};
use orc_rust::arrow_writer::ArrowWriterBuilder;

use super::*;
use crate::error::{Error, Kind};
use crate::model::{Lineage, RowIdColumns, Value};

pub(super) fn with_format(path: &FsPath, format: FileFormat) -> DataFile {
    DataFile { format, ..data_file(path) }
}

/// An ORC file of `batch` with stripes of about `stripe` bytes.
fn orc(bench: &Bench, name: &str, batch: &RecordBatch, stripe: usize) -> DataFile {
    let path = bench.path(name);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriterBuilder::new(file, batch.schema()).with_stripe_byte_size(stripe).with_batch_size(500).try_build().unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    with_format(&path, FileFormat::Orc)
}

/// An Avro file of `rows`, blocks of about `block` bytes.
fn avro(bench: &Bench, name: &str, schema: &str, rows: Vec<Avro>, codec: AvroCodec, block: usize) -> DataFile {
    let path = bench.path(name);
    let schema = AvroSchema::parse_str(schema).unwrap();
    let mut writer = Writer::builder().schema(&schema).writer(std::fs::File::create(&path).unwrap()).codec(codec).block_size(block).build();
    for row in rows {
        writer.append(row).unwrap();
    }
    writer.flush().unwrap();
    with_format(&path, FileFormat::Avro)
}

const TWO_COLUMNS: &str = r#"{"type": "record", "name": "row", "fields": [
    {"name": "n", "type": "long", "field-id": 1}, {"name": "t", "type": ["null", "string"], "field-id": 2}]}"#;

fn text(n: i64) -> Option<String> {
    (n % 7 != 3).then(|| format!("text {n}"))
}

fn avro_rows(range: std::ops::Range<i64>) -> Vec<Avro> {
    let optional = |n| text(n).map_or_else(|| Avro::Union(0, Avro::Null.into()), |text| Avro::Union(1, Avro::String(text).into()));
    range.map(|n| Avro::Record(vec![("n".into(), Avro::Long(n)), ("t".into(), optional(n))])).collect()
}

fn arrow_rows(range: std::ops::Range<i64>) -> RecordBatch {
    let texts: StringArray = range.clone().map(text).collect();
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(range))), ("t", Arc::new(texts))])
}

pub(super) fn by_id(output: OutputSpec) -> OutputSpec {
    OutputSpec { matching: FieldMatching::FieldIds { names: None }, ..output }
}

fn two_columns(bench: &Bench) -> OutputSpec {
    by_id(bench.output(vec![leaf(1, "n", Primitive::Long), leaf(2, "t", Primitive::String)]))
}

async fn failure(bench: &Bench, file: DataFile) -> Error {
    bench.rewrite(vec![(file, RowDeletes::None)], two_columns(bench), RewritePath::Auto).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_and_row_ids_go_by_positions_across_stripes_and_blocks() {
    let bench = Bench::new();
    let inputs = [
        orc(&bench, "a.orc", &arrow_rows(0..20_000), 20_000),
        avro(&bench, "a.avro", TWO_COLUMNS, avro_rows(0..20_000), AvroCodec::Null, 10_000),
        avro(&bench, "b.avro", TWO_COLUMNS, avro_rows(0..20_000), AvroCodec::Zstandard(ZstandardSettings::default()), 10_000_000),
        avro(&bench, "c.avro", TWO_COLUMNS, avro_rows(0..20_000), AvroCodec::Snappy, 3_000),
    ];
    let gone = |n: &u64| *n < 700 || n % 10 == 3 || (9_000..12_345).contains(n) || *n == 19_999;
    let kept: Vec<i64> = (0..20_000u64).filter(|n| !gone(n)).map(u64::cast_signed).collect();
    for input in inputs {
        let mut output = two_columns(&bench);
        output.row_ids = Some(RowIdColumns {
            row_id: "_row_id".into(),
            row_id_field: Some(2_147_483_540),
            sequence: "_last_updated_sequence_number".into(),
            sequence_field: Some(2_147_483_539),
        });
        let name = input.location.name().to_string();
        let input = DataFile { lineage: Some(Box::new(Lineage { first_row_id: Some(1_000), sequence: 5 })), rows: Some(20_000), ..input };
        let (rows, done) = bench.encoded(vec![(input, positions((0..20_000).filter(gone)))], output).await;
        assert_eq!(longs(&rows, 0).into_iter().flatten().collect::<Vec<_>>(), kept, "{name}");
        assert_eq!(texts(&rows, 1), kept.iter().map(|n| text(*n)).collect::<Vec<_>>(), "{name}");
        assert_eq!(longs(&rows, 2), kept.iter().map(|n| Some(n + 1_000)).collect::<Vec<_>>(), "{name}");
        assert_eq!(longs(&rows, 3), vec![Some(5); kept.len()], "{name}");
        let stats = &done.files[0].stats.columns[&1];
        assert_eq!((&stats.lower, &stats.upper), (&Some(Value::Long(700)), &Some(Value::Long(19_998))), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_orc_and_avro_files_are_merged_in_the_order_they_are_given() {
    let bench = Bench::new();
    let inputs = [
        avro(&bench, "a.avro", TWO_COLUMNS, avro_rows(0..10), AvroCodec::Null, 100),
        bench.file("b.parquet", &arrow_rows(10..20), None),
        orc(&bench, "c.orc", &arrow_rows(20..30), 1 << 20),
    ];
    let output = OutputSpec { matching: FieldMatching::PhysicalNames, ..two_columns(&bench) };
    let inputs = inputs.into_iter().map(|file| (file, RowDeletes::None)).collect();
    let done = bench.rewrite(inputs, output, RewritePath::Auto).await.unwrap();
    let rows = read(&done.files);
    assert_eq!(longs(&rows, 0), (0..30).map(Some).collect::<Vec<_>>());
    assert_eq!(texts(&rows, 1), (0..30).map(text).collect::<Vec<_>>());
    assert_eq!((done.files.len(), done.row_groups_copied), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_row_count_than_the_tables_is_corruption_and_another_size_is_not() {
    let bench = Bench::new();
    let files = [
        orc(&bench, "a.orc", &arrow_rows(0..1_000), 1 << 20),
        avro(&bench, "a.avro", TWO_COLUMNS, avro_rows(0..1_000), AvroCodec::Null, 2_000),
    ];
    for file in files {
        for rows in [999, 1_001] {
            let error = failure(&bench, DataFile { rows: Some(rows), ..file.clone() }).await;
            assert_eq!(error.message(), "the file holds another number of rows than the table says");
        }
        for size in [0, 3, file.size.0 - 1, file.size.0 + 1] {
            let wrong = DataFile { size: Bytes(size), rows: Some(1_000), ..file.clone() };
            let (rows, _) = bench.encoded(vec![(wrong, RowDeletes::None)], two_columns(&bench)).await;
            assert_eq!(rows.num_rows(), 1_000, "{size}");
        }
        let gone = DataFile { location: file.location.parent().unwrap().child("nowhere"), ..file };
        assert_eq!(failure(&bench, gone).await.kind(), Kind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_is_an_error_or_is_read_and_is_never_our_fault() {
    let bench = Bench::new();
    let files = [
        orc(&bench, "a.orc", &arrow_rows(0..400), 4_000),
        avro(&bench, "a.avro", TWO_COLUMNS, avro_rows(0..400), AvroCodec::Null, 2_000),
        avro(&bench, "b.avro", TWO_COLUMNS, avro_rows(0..400), AvroCodec::Snappy, 2_000),
    ];
    for file in files {
        let (name, path) = (file.location.name().to_string(), local(&file.location));
        let sound = std::fs::read(&path).unwrap();
        let mut kinds = BTreeMap::<String, usize>::new();
        for at in (0..sound.len()).step_by(5) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x41;
            std::fs::write(&path, &damaged).unwrap();
            let file = DataFile { rows: Some(400), ..file.clone() };
            let result = bench.rewrite(vec![(file, RowDeletes::None)], two_columns(&bench), RewritePath::Auto).await;
            let kind = result.map_or_else(|e| e.kind().as_str().to_string(), |_| "read".to_string());
            *kinds.entry(kind).or_default() += 1;
            bench.new_files().iter().for_each(|name| std::fs::remove_file(bench.path(name)).unwrap());
        }
        assert!(kinds.get("corrupt").is_some_and(|n| *n > 20), "{name} {kinds:?}");
        assert_eq!(kinds.get("bug"), None, "{name} {kinds:?}");
        for cut in [0, 1, 4, 20, sound.len() / 2, sound.len() - 1] {
            std::fs::write(&path, &sound[..cut]).unwrap();
            let file = DataFile { rows: Some(400), ..with_format(FsPath::new(&path), file.format) };
            assert_eq!(failure(&bench, file).await.kind(), Kind::Corrupt, "{name} {cut}");
        }
        assert!(bench.new_files().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_and_blocks_that_memory_does_not_hold_are_refused_with_a_way_out() {
    let bench = Bench::with_memory(Bytes::mib(16));
    let noise: Vec<Vec<u8>> =
        (0..12u8).map(|n| (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] ^ n).collect()).collect();
    let column = BinaryArray::from_iter_values(&noise);
    let schema = r#"{"type": "record", "name": "row", "fields": [{"name": "x", "type": "bytes", "field-id": 1}]}"#;
    let rows: Vec<Avro> = noise.iter().map(|x| Avro::Record(vec![("x".into(), Avro::Bytes(x.clone()))])).collect();
    let large = [
        orc(&bench, "a.orc", &batch(vec![("x", Arc::new(column.clone()))]), 1 << 30),
        avro(&bench, "a.avro", schema, rows.clone(), AvroCodec::Null, 1 << 30),
    ];
    let output = || by_id(bench.output(vec![leaf(1, "x", Primitive::Binary)]));
    for file in large {
        let error = bench.rewrite(vec![(file, RowDeletes::None)], output(), RewritePath::Auto).await.unwrap_err();
        assert_eq!(error.message(), "a stripe or block of the file is too large for the memory that may be used");
        assert!(error.next_step().contains("--memory"), "{error}");
    }
    let small = avro(&bench, "b.avro", schema, rows, AvroCodec::Null, 1 << 20);
    let (rows, _) = bench.encoded(vec![(small, RowDeletes::None)], output()).await;
    assert_eq!(rows.column(0).as_ref(), &column as &dyn Array);
}

const MANY_TYPES: &str = r#"{"type": "record", "name": "row", "namespace": "a.b", "fields": [
        {"name": "i", "type": "int", "field-id": 1},
        {"name": "u", "type": {"type": "fixed", "name": "uuid_fixed", "size": 16}, "field-id": 2},
        {"name": "gone", "type": ["null", "string", "long"], "field-id": 99},
        {"name": "d", "type": ["null", {"type": "fixed", "name": "dec", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2}], "field-id": 3},
        {"name": "e", "type": {"type": "array", "logicalType": "map", "items": {"type": "record", "name": "kv", "fields": [
            {"name": "key", "type": "int", "field-id": 5}, {"name": "value", "type": [{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "null"], "field-id": 6}]}}, "field-id": 4},
        {"name": "t", "type": {"type": "long", "logicalType": "time-micros"}, "field-id": 7},
        {"name": "m", "type": {"type": "map", "values": "float", "key-id": 9, "value-id": 10}, "field-id": 8}]}"#;

/// A file with two rows of every kind of column that Avro knows in its own way.
fn of_many_types(bench: &Bench) -> DataFile {
    let schema_parsed = AvroSchema::parse_str(MANY_TYPES).unwrap();
    let row = |i: i32, d: Avro, e: Avro, gone: Avro| {
        let mut record = Record::new(&schema_parsed).unwrap();
        record.put("i", i);
        record.put("u", Avro::Fixed(16, vec![7; 16]));
        record.put("gone", gone);
        record.put("d", d);
        record.put("e", e);
        record.put("t", Avro::TimeMicros(86_399_999_999));
        record.put("m", Avro::Map([("k".to_string(), Avro::Float(0.5))].into()));
        Avro::from(record)
    };
    let dec = |unscaled: i32| Avro::Decimal(unscaled.to_be_bytes().to_vec().into());
    let pair = |key: i32, value: Avro| Avro::Record(vec![("key".into(), Avro::Int(key)), ("value".into(), value)]);
    let rows = vec![
        row(
            -1,
            Avro::Union(1, dec(-12_345).into()),
            Avro::Array(vec![pair(1, Avro::Union(0, Avro::Decimal(vec![100].into()).into())), pair(2, Avro::Union(1, Avro::Null.into()))]),
            Avro::Union(1, Avro::String("x".into()).into()),
        ),
        row(i32::MAX, Avro::Union(0, Avro::Null.into()), Avro::Array(vec![]), Avro::Union(2, Avro::Long(5).into())),
    ];
    avro(bench, "a.avro", MANY_TYPES, rows, AvroCodec::Null, 1 << 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_columns_are_found_by_id_promoted_and_filled_in() {
    let bench = Bench::new();
    let file = of_many_types(&bench);
    let map = |id, name, key, value| field(id, name, Type::Map(Box::new(required(key)), Box::new(value)));
    let output = by_id(bench.output(vec![
        Field { initial_default: Some(Value::Long(42)), ..leaf(50, "new", Primitive::Long) },
        map(4, "renamed", leaf(5, "key", Primitive::Int), leaf(6, "value", Primitive::Decimal(18, 2))),
        leaf(1, "i", Primitive::Long),
        leaf(2, "u", Primitive::Uuid),
        leaf(3, "d", Primitive::Decimal(20, 2)),
        leaf(7, "t", Primitive::Time),
        map(8, "m", leaf(9, "key", Primitive::String), leaf(10, "value", Primitive::Double)),
        leaf(51, "absent", Primitive::String),
    ]));
    let (rows, _) = bench.encoded(vec![(file, RowDeletes::None)], output).await;
    assert_eq!(longs(&rows, 0), [Some(42), Some(42)]);
    let entries = rows.column(1).as_map();
    assert_eq!(entries.offsets().as_ref(), [0, 2, 2]);
    assert_eq!(entries.keys().as_primitive::<Int32Type>().values(), &[1, 2]);
    let values = arrow_cast::cast(entries.values(), &arrow_schema::DataType::Decimal128(18, 2)).unwrap();
    assert_eq!(values.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), [Some(100), None]);
    assert_eq!(longs(&rows, 2), [Some(-1), Some(i32::MAX.into())]);
    assert_eq!(rows.column(3).as_ref(), &FixedSizeBinaryArray::try_from_iter([[7u8; 16]; 2].into_iter()).unwrap() as &dyn Array);
    let decimals = Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(20, 2).unwrap();
    assert_eq!(rows.column(4).as_ref(), &decimals as &dyn Array);
    assert_eq!(
        arrow_cast::cast(rows.column(5), &arrow_schema::DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0),
        86_399_999_999
    );
    assert_eq!(rows.column(6).as_map().values().as_primitive::<arrow_array::types::Float64Type>().values(), &[0.5, 0.5]);
    assert_eq!(rows.column(7).null_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_columns_of_types_that_do_not_fit_are_refused_by_name() {
    let bench = Bench::new();
    let file = of_many_types(&bench);
    let several = by_id(bench.output(vec![leaf(99, "gone", Primitive::String)]));
    let error = bench.rewrite(vec![(file.clone(), RowDeletes::None)], several, RewritePath::Auto).await.unwrap_err();
    assert_eq!((error.kind(), error.context()[0].clone()), (Kind::Unsupported, ("column", "gone".to_string())));
    let narrower = by_id(bench.output(vec![leaf(7, "t", Primitive::Int)]));
    let error = bench.rewrite(vec![(file, RowDeletes::None)], narrower, RewritePath::Auto).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orc_columns_without_ids_are_those_of_the_same_name() {
    let bench = Bench::new();
    let file = orc(&bench, "a.orc", &arrow_rows(0..3), 1 << 20);
    let output = |name: &str| by_id(bench.output(vec![leaf(2, name, Primitive::String), leaf(1, "n", Primitive::Long)]));
    let (rows, _) = bench.encoded(vec![(file.clone(), RowDeletes::None)], output("t")).await;
    assert_eq!(texts(&rows, 0), (0..3).map(text).collect::<Vec<_>>());
    std::fs::remove_file(bench.path(&bench.new_files()[0])).unwrap();
    // Names are those of the schema, letter by letter: position does not count.
    let (rows, _) = bench.encoded(vec![(file, RowDeletes::None)], output("T")).await;
    assert_eq!((texts(&rows, 0), longs(&rows, 1)), (vec![None; 3], vec![Some(0), Some(1), Some(2)]));
}
