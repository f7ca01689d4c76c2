//! Statistics and partition values as columns of checkpoints.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StructArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use super::*;
use crate::model::Version;

const STATS: &str = r#"{"numRecords":7,"minValues":{"n":-3,"s":{"d":1.10,"t":"2020-01-01T00:00:00.001Z"},"x":"a","f":"-Infinity"},"maxValues":{"n":9,"s":{"d":12345678901234567.89},"x":"b","f":2.5},"nullCount":{"n":2,"s":{"d":0,"t":1,"b":3},"x":0,"l":4,"f":0},"tightBounds":false}"#;

/// A table with a checkpoint at version 2 that keeps statistics as columns, and as text if `text`.
fn made(text: bool) -> Made {
    let column = |name: &str, ty: Json| json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
    let inner = json!({"type": "struct", "fields": [column("d", json!("decimal(19,2)")), column("t", json!("timestamp")),
        column("b", json!("boolean"))]});
    let list = json!({"type": "array", "elementType": "long", "containsNull": true});
    let schema = json!({"type": "struct", "fields": [column("n", json!("integer")), column("day", json!("date")), column("s", inner),
        column("x", json!("string")), column("l", list), column("f", json!("double"))]});
    let configuration = json!({"delta.checkpointInterval": "2", "delta.checkpoint.writeStatsAsStruct": "true",
        "delta.checkpoint.writeStatsAsJson": text.to_string()});
    let meta = with(metadata(&["day"], &configuration), "metaData", "schemaString", json!(schema.to_string()));
    let at =
        |path: &str, day: Json, stats: Json| with(with(add(path), "add", "partitionValues", json!({"day": day})), "add", "stats", stats);
    let made = Made::new(&[
        vec![protocol(&["deletionVectors"], &["deletionVectors"]), meta, at("a", json!("2020-02-03"), json!(STATS))],
        vec![at("b", json!(""), json!(null))],
        vec![info(1), at("c", json!("1969-12-31"), json!("{\"numRecords\":3}"))],
    ]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    made
}

/// The adds of the checkpoint, by path.
fn adds(made: &Made) -> Vec<(String, StructArray)> {
    let file = std::fs::File::open(made.log("00000000000000000002.checkpoint.parquet")).unwrap();
    let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(|b| b.unwrap()).collect();
    let mut found = Vec::new();
    for batch in batches {
        let rows = batch.column_by_name("add").unwrap().as_struct().clone();
        for row in (0..rows.len()).filter(|row| rows.is_valid(*row)) {
            let path = rows.column_by_name("path").unwrap().as_string::<i32>().value(row).to_string();
            found.push((path, rows.slice(row, 1)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn member<'a>(rows: &'a StructArray, names: &[&str]) -> Option<&'a dyn Array> {
    let (last, path) = names.split_last().unwrap();
    let mut inner = rows;
    for name in path {
        inner = inner.column_by_name(name)?.as_struct();
    }
    Some(&**inner.column_by_name(last)?)
}

#[test]
fn every_value_has_the_type_of_its_column() {
    for text in [true, false] {
        let made = made(text);
        let adds = adds(&made);
        let [(_, a), (_, b), (_, c)] = &adds[..] else { panic!() };
        let of = |names: &[&str]| member(a, names).unwrap_or_else(|| panic!("{names:?}"));
        assert_eq!(of(&["stats_parsed", "numRecords"]).as_primitive::<Int64Type>().value(0), 7);
        assert_eq!(of(&["stats_parsed", "minValues", "n"]).as_primitive::<arrow_array::types::Int32Type>().value(0), -3);
        let decimals = of(&["stats_parsed", "maxValues", "s", "d"]).as_primitive::<Decimal128Type>();
        assert_eq!((decimals.value_as_string(0).as_str(), decimals.precision()), ("12345678901234567.89", 19));
        let time = of(&["stats_parsed", "minValues", "s", "t"]).as_primitive::<TimestampMicrosecondType>();
        assert_eq!((time.value(0), time.timezone()), (1_577_836_800_001_000, Some("UTC")));
        assert!(of(&["stats_parsed", "maxValues", "s", "t"]).is_null(0));
        assert_eq!(of(&["stats_parsed", "minValues", "f"]).as_primitive::<Float64Type>().value(0), f64::NEG_INFINITY);
        assert_eq!(of(&["stats_parsed", "nullCount", "l"]).as_primitive::<Int64Type>().value(0), 4);
        assert_eq!(of(&["stats_parsed", "nullCount", "s", "b"]).as_primitive::<Int64Type>().value(0), 3);
        assert!(!of(&["stats_parsed", "tightBounds"]).as_boolean().value(0));
        let day = |rows: &StructArray| {
            let days = member(rows, &["partitionValues_parsed", "day"]).unwrap().as_primitive::<Date32Type>().clone();
            days.is_valid(0).then(|| days.value(0))
        };
        assert_eq!([a, b, c].map(day), [Some(18_295), None, Some(-1)]);
        assert!(member(b, &["stats_parsed"]).unwrap().is_null(0), "no statistics");
        assert_eq!(of(&["stats"]).is_valid(0), text);
    }
}

#[test]
fn columns_without_bounds_and_partition_columns_have_none() {
    let made = made(true);
    let adds = adds(&made);
    for absent in [["minValues", "l"], ["maxValues", "day"]] {
        assert!(member(&adds[0].1, &["stats_parsed", absent[0], absent[1]]).is_none(), "{absent:?}");
    }
}

/// Without their text, statistics are read from the columns again.
#[test]
fn what_only_columns_hold_is_read_back() {
    let made = made(false);
    for version in 0..2 {
        std::fs::remove_file(made.commit_path(version)).unwrap();
    }
    let (state, _) = block(table(made.root()).state(None, Keep::All)).unwrap();
    assert_eq!(state.start, Some(2));
    let text = state.files.iter().find(|add| add.path() == "a").unwrap().stats().unwrap().to_string();
    let back: Json = serde_json::from_str(&text).unwrap();
    let mut expected: Json = serde_json::from_str(STATS).unwrap();
    expected["minValues"]["s"]["t"] = json!("2020-01-01T00:00:00.001000Z");
    assert_eq!(back, expected);
    assert!(state.files.iter().find(|add| add.path() == "b").unwrap().stats().is_none());
}
