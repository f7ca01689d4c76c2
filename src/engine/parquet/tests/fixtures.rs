//! ORC and Avro files of the fixtures, value by value.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{BinaryArray, Decimal128Array, Int64Array, StringArray};

use super::foreign::{by_id, with_format};
use super::*;
use crate::error::Kind;
use crate::model::Value;

/// Data files of a fixture, the older one first.
fn fixture(format: FileFormat) -> Vec<DataFile> {
    let extension = format.as_str().to_lowercase();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/iceberg_v2_{extension}/data"));
    let mut files: Vec<DataFile> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().contains("delete"))
        .map(|path| with_format(&path, format))
        .collect();
    files.sort_by_key(|file| file.size);
    files
}

/// The columns of the fixtures, as their tables' metadata has them.
fn fixture_columns() -> Vec<Field> {
    let list = Type::List(Box::new(leaf(16, "element", Primitive::Int)));
    let map = Type::Map(Box::new(required(leaf(18, "key", Primitive::Int))), Box::new(leaf(19, "value", Primitive::String)));
    vec![
        leaf(1, "id", Primitive::Long),
        leaf(2, "s", Primitive::String),
        leaf(3, "b", Primitive::Boolean),
        leaf(4, "f", Primitive::Float),
        leaf(5, "d", Primitive::Double),
        leaf(6, "n9", Primitive::Decimal(9, 2)),
        leaf(7, "n38", Primitive::Decimal(38, 10)),
        leaf(8, "bin", Primitive::Binary),
        leaf(9, "dt", Primitive::Date),
        leaf(10, "ts", Primitive::TimestampTz),
        leaf(11, "tn", Primitive::Timestamp),
        field(12, "st", Type::Struct(vec![leaf(13, "a", Primitive::Int), leaf(14, "b", Primitive::String)])),
        field(15, "l", list),
        field(17, "m", map),
    ]
}

/// What `fixtures/recipe.py` told Spark to write: two old rows, then twelve with every column.
fn fixture_rows(schema: &arrow_schema::SchemaRef) -> RecordBatch {
    let ids: Vec<i64> = [101, 100].into_iter().chain(0..12).collect();
    let each = |value: &dyn Fn(i64) -> Option<serde_json::Value>| -> Vec<serde_json::Value> {
        let value = |id: i64| if id < 100 { value(id).unwrap_or_default() } else { serde_json::Value::Null };
        ids.iter().map(|id| value(*id)).collect()
    };
    let ints =
        |value: fn(i64) -> i64| -> ArrayRef { Arc::new(ids.iter().map(|id| (*id < 100).then(|| value(*id))).collect::<Int64Array>()) };
    let texts: StringArray =
        ids.iter().map(|id| if *id == 100 { Some("old".into()) } else { (*id < 100 && id % 4 != 3).then(|| format!("v{id} ü")) }).collect();
    let decimals = |value: fn(i64) -> i128, precision, scale| -> ArrayRef {
        let array: Decimal128Array = ids.iter().map(|id| (*id < 100).then(|| value(*id))).collect();
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    };
    let text = |value: Option<&str>| value.map(serde_json::Value::from).unwrap_or_default();
    let structs = each(&|id| (id % 3 != 0).then(|| serde_json::json!({"a": id, "b": text((id % 3 != 1).then_some("x"))})));
    let lists = each(&|id| (id % 3 != 0).then(|| if id % 3 == 1 { serde_json::json!([]) } else { serde_json::json!([id, null]) }));
    let maps = each(&|id| (id % 4 != 0).then(|| serde_json::json!([[id, "k"], [-1, null]])));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(texts),
        Arc::new(ids.iter().map(|id| (*id < 100).then_some(id % 2 == 0)).collect::<arrow_array::BooleanArray>()),
        ints(|id| id * 2),
        ints(|id| id),
        decimals(|id| i128::from(id) * 25, 9, 2),
        decimals(|id| format!("-{id}2345678901234567890123456789").parse().unwrap(), 38, 10),
        Arc::new(ids.iter().map(|id| (*id < 100).then(|| vec![0, u8::try_from(*id).unwrap()])).collect::<BinaryArray>()),
        ints(|id| id - 3),
        ints(|id| id * 3_600_000_001 - 7_200_000_000),
        ints(|id| id * 86_400_000_001 - 172_800_000_000),
        nested(&structs),
        nested(&lists),
        nested(&maps),
    ];
    let columns = columns.into_iter().zip(schema.fields()).map(|(column, field)| match field.name().as_str() {
        "f" | "d" => {
            let quarters = arrow_cast::cast(&column, &arrow_schema::DataType::Float64).unwrap();
            let quarters =
                quarters.as_primitive::<arrow_array::types::Float64Type>().unary::<_, arrow_array::types::Float64Type>(|n| n / 4.0);
            arrow_cast::cast(&quarters, field.data_type()).unwrap()
        }
        "dt" => arrow_cast::cast(&arrow_cast::cast(&column, &arrow_schema::DataType::Int32).unwrap(), field.data_type()).unwrap(),
        _ => column,
    });
    RecordBatch::try_from_iter(schema.fields().iter().map(|field| field.name()).zip(columns)).unwrap()
}

/// Nested values as JSON texts.
fn nested(values: &[serde_json::Value]) -> ArrayRef {
    Arc::new(values.iter().map(|value| (!value.is_null()).then(|| value.to_string())).collect::<StringArray>())
}

/// The values of a nested column as JSON.
fn json(array: &dyn Array) -> Vec<serde_json::Value> {
    let ints = |array: &dyn Array| array.as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
    let words = |array: &dyn Array| array.as_string::<i32>().iter().map(|text| text.map(str::to_string)).collect::<Vec<_>>();
    let values = (0..array.len()).map(|at| {
        if array.is_null(at) {
            return serde_json::Value::Null;
        }
        let row = array.slice(at, 1);
        match row.data_type() {
            arrow_schema::DataType::Struct(_) => {
                let row = row.as_struct();
                serde_json::json!({"a": ints(row.column(0))[0], "b": words(row.column(1))[0]})
            }
            arrow_schema::DataType::List(_) => serde_json::json!(ints(&row.as_list::<i32>().value(0))),
            _ => {
                let entries = row.as_map().value(0);
                serde_json::json!(ints(entries.column(0)).into_iter().zip(words(entries.column(1))).collect::<Vec<_>>())
            }
        }
    });
    values.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_spark_wrote_hold_what_spark_was_told_to_write() {
    for format in [FileFormat::Orc, FileFormat::Avro] {
        let bench = Bench::new();
        let inputs = fixture(format).into_iter().map(|file| (file, RowDeletes::None)).collect();
        let (rows, done) = bench.encoded(inputs, by_id(bench.output(fixture_columns()))).await;
        let expected = fixture_rows(&rows.schema());
        for (at, field) in rows.schema().fields().iter().enumerate() {
            let (column, wanted) = (rows.column(at), expected.column(at));
            if field.data_type().is_nested() {
                assert_eq!(nested(&json(column)).as_ref(), wanted.as_ref(), "{format:?} {}", field.name());
            } else {
                let wanted = arrow_cast::cast(wanted, field.data_type()).unwrap();
                assert_eq!(column.as_ref(), wanted.as_ref(), "{format:?} {}", field.name());
            }
        }
        let stats = &done.files[0].stats.columns;
        assert_eq!((&stats[&1].lower, &stats[&1].upper), (&Some(Value::Long(0)), &Some(Value::Long(101))));
        assert_eq!((&stats[&9].lower, stats[&9].null_count), (&Some(Value::Int(-3)), Some(2)));
        assert_eq!(stats[&6].upper, Some(Value::Decimal(275, 2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orc_ts_an_orc_time_without_a_zone_is_no_instant() {
    let bench = Bench::new();
    for (id, name, ty) in [(10, "ts", Primitive::Timestamp), (11, "tn", Primitive::TimestampTz)] {
        let inputs: Vec<_> = fixture(FileFormat::Orc).into_iter().map(|file| (file, RowDeletes::None)).collect();
        let output = by_id(bench.output(vec![leaf(id, name, ty)]));
        let error = bench.rewrite(inputs, output, RewritePath::Auto).await.unwrap_err();
        assert_eq!((error.kind(), error.context()[0].clone()), (Kind::Unsupported, ("column", name.to_string())));
    }
}
