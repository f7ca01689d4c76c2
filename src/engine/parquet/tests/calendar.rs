//! Notes of Spark's old calendar stay with the values that they are about.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{Date32Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{Bench, leaf, local};
use crate::engine::{RewritePath, Rewritten};
use crate::error::Kind;
use crate::model::{DataFile, OutputSpec, Primitive, RowDeletes, Value};

/// 1000-01-01 of the old calendar, in days since 1970-01-01 of the new one.
const LONG_AGO: i32 = -354_280;
const OLD: &[(&str, &str)] = &[("org.apache.spark.version", "2.4.8")];
const OLD_TOO: &[(&str, &str)] = &[("org.apache.spark.version", "2.4.5")];
const NOTED: &[(&str, &str)] = &[("org.apache.spark.version", "4.1.0"), ("org.apache.spark.legacyDateTime", "")];
const NEW: &[(&str, &str)] = &[("org.apache.spark.version", "3.5.1")];

fn file(bench: &Bench, name: &str, notes: &[(&str, &str)], days: &[i32]) -> (DataFile, RowDeletes) {
    let batch = RecordBatch::try_from_iter([("d", Arc::new(Date32Array::from(days.to_vec())) as _)]).unwrap();
    let notes = notes.iter().map(|(key, value)| KeyValue::new((*key).to_string(), (*value).to_string())).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(notes)).build();
    (bench.file(name, &batch, Some(properties)), RowDeletes::None)
}

fn output(bench: &Bench) -> OutputSpec {
    OutputSpec { calendars: true, field_ids: false, ..bench.output(vec![leaf(1, "d", Primitive::Date)]) }
}

/// The days of the only new file, its notes, and the least day that its statistics claim.
fn seen(done: &Rewritten) -> (Vec<i32>, Vec<(String, String)>, Option<Value>) {
    let [new] = done.files.as_slice() else { panic!("{:?}", done.files) };
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(local(&new.location)).unwrap()).unwrap();
    let notes = super::super::calendar::notes(reader.metadata().file_metadata());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let days = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Date32Type>().values().to_vec()).collect();
    (days, notes, new.stats.columns.get(&1).and_then(|column| column.lower.clone()))
}

fn owned(notes: &[(&str, &str)]) -> Vec<(String, String)> {
    notes.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_calendar_keep_their_values_and_its_note() {
    for path in [RewritePath::Copy, RewritePath::Encode] {
        let bench = Bench::new();
        let inputs = vec![file(&bench, "a", OLD, &[LONG_AGO, 5]), file(&bench, "b", OLD_TOO, &[LONG_AGO + 1])];
        let done = bench.rewrite(inputs, output(&bench), path).await.unwrap();
        // Spark would compare a bound with the day that was meant.
        assert_eq!(seen(&done), (vec![LONG_AGO, 5, LONG_AGO + 1], owned(OLD), None), "{path:?}");
        let noted = bench.rewrite(vec![file(&bench, "c", NOTED, &[LONG_AGO])], output(&bench), path).await.unwrap();
        assert_eq!(seen(&noted), (vec![LONG_AGO], owned(NOTED), None), "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_two_calendars_call_differently_are_not_put_together() {
    for (notes, others) in [(OLD, NEW), (NEW, OLD), (OLD, &[][..])] {
        let bench = Bench::new();
        for path in [RewritePath::Copy, RewritePath::Encode, RewritePath::Auto] {
            let inputs = vec![file(&bench, "a", notes, &[7]), file(&bench, "b", others, &[LONG_AGO])];
            let error = bench.rewrite(inputs, output(&bench), path).await.unwrap_err();
            assert_eq!((error.kind(), bench.new_files().len()), (Kind::Unsupported, 0), "{path:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_all_calendars_call_alike_may_be_put_together() {
    let bench = Bench::new();
    let inputs = vec![file(&bench, "a", NEW, &[LONG_AGO]), file(&bench, "b", OLD, &[5])];
    let done = bench.rewrite(inputs, output(&bench), RewritePath::Auto).await.unwrap();
    assert_eq!(seen(&done), (vec![LONG_AGO, 5], owned(NEW), Some(Value::Int(LONG_AGO))));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_readers_do_not_go_by_notes_nothing_is_noted() {
    let bench = Bench::new();
    let inputs = vec![file(&bench, "a", OLD, &[LONG_AGO]), file(&bench, "b", NEW, &[LONG_AGO])];
    let done = bench.rewrite(inputs, OutputSpec { calendars: false, ..output(&bench) }, RewritePath::Encode).await.unwrap();
    assert_eq!(seen(&done), (vec![LONG_AGO, LONG_AGO], Vec::new(), Some(Value::Int(LONG_AGO))));
}
