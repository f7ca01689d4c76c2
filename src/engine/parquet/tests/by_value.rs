//! Rows that are deleted by what they hold.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{Field as ArrowField, Fields, Schema as ArrowSchema};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::file::properties::WriterProperties;
use tokio::runtime::Handle;

use super::super::admission::Budget;
use super::super::by_value::Locator;
use super::{Bench, batch, field, leaf, longs, positions};
use crate::engine::Rewriter;
use crate::error::{Kind, Result};
use crate::model::{
    DataFile, Field, FieldMatching, Partition, Primitive, RowDeletes, Schema, Type, Value, ValueDeletes, ValueFile, ValueRule, ValueSet,
};
use crate::units::Bytes;

/// A column with a field id.
fn with_id(name: &str, id: i32, array: &ArrayRef) -> ArrowField {
    let metadata = [(PARQUET_FIELD_ID_META_KEY.to_string(), id.to_string())].into();
    ArrowField::new(name, array.data_type().clone(), true).with_metadata(metadata)
}

fn with_ids(columns: Vec<(&str, i32, ArrayRef)>) -> RecordBatch {
    let fields: Vec<ArrowField> = columns.iter().map(|(name, id, array)| with_id(name, *id, array)).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns.into_iter().map(|(_, _, array)| array).collect()).unwrap()
}

fn ints(values: impl IntoIterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int32Array>())
}

fn numbers(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn words(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn values(file: DataFile, sequence: i64, columns: Vec<Field>) -> ValueFile {
    ValueFile { file, sequence, columns: Arc::new(Schema { fields: columns }) }
}

/// Deletes of `files` in one set, of which those count whose sequence number is at least `since`.
fn since(set: &Arc<ValueSet>, since: i64) -> RowDeletes {
    let rules = vec![ValueRule { set: Arc::clone(set), since }];
    RowDeletes::Values(Arc::new(ValueDeletes { positions: Arc::default(), rules, matching: FieldMatching::FieldIds { names: None } }))
}

fn set(files: Vec<ValueFile>) -> Arc<ValueSet> {
    Arc::new(ValueSet { files })
}

impl Bench {
    /// Positions deleted of each file.
    async fn located(&self, files: &[(DataFile, RowDeletes)]) -> Result<Vec<Vec<u64>>> {
        let located = self.rewriter.locate_deletes(files).await?;
        let positions = |deletes: &RowDeletes| match deletes {
            RowDeletes::None => Vec::new(),
            RowDeletes::Positions(positions) => positions.iter().collect(),
            RowDeletes::Values(_) => panic!("not located"),
        };
        Ok(located.iter().map(positions).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_equal_in_every_compared_column_go_and_null_equals_null() {
    let bench = Bench::new();
    let id = ints([Some(1), Some(1), None, Some(2), None, Some(1)]);
    let name = words(&[Some("a"), Some("b"), Some("a"), Some("a"), None, Some("a")]);
    let data = bench.file("data", &with_ids(vec![("id", 1, id), ("name", 2, name)]), None);
    // The delete file has its columns in another order, and one that is not compared.
    let gone =
        with_ids(vec![("name", 2, words(&[Some("a"), None])), ("id", 1, ints([Some(1), None])), ("more", 3, ints([Some(7), Some(8)]))]);
    let both = vec![leaf(1, "id", Primitive::Int), leaf(2, "name", Primitive::String)];
    let deletes = set(vec![values(bench.file("gone", &gone, None), 5, both)]);
    assert_eq!(bench.located(&[(data, since(&deletes, 5))]).await.unwrap(), [vec![0, 4, 5]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_known_by_id_through_renaming_and_widening_and_old_files_have_their_defaults() {
    let bench = Bench::new();
    let old = bench.file("old", &with_ids(vec![("before", 1, ints([Some(1), Some(2), Some(3)]))]), None);
    let text = words(&[Some("x"), None, Some("x")]);
    let new = bench.file("new", &with_ids(vec![("after", 1, numbers([Some(2), Some(2), Some(1 << 40)])), ("added", 2, text)]), None);
    let column = |default: Option<&str>| {
        let added = Field { initial_default: default.map(|text| Value::String(text.into())), ..leaf(2, "added", Primitive::String) };
        vec![leaf(1, "after", Primitive::Long), added]
    };
    let narrow = bench.file("narrow", &with_ids(vec![("before", 1, ints([Some(2)])), ("added", 2, words(&[None]))]), None);
    let wide = bench.file(
        "wide",
        &with_ids(vec![("after", 1, numbers([Some(1), Some(1 << 40)])), ("added", 2, words(&[Some("x"), Some("x")]))]),
        None,
    );
    for (default, wanted) in [(None, [vec![1], vec![1, 2]]), (Some("x"), [vec![0], vec![1, 2]])] {
        let files = vec![values(narrow.clone(), 5, column(default)), values(wide.clone(), 5, column(default))];
        let deletes = set(files);
        let both = [(old.clone(), since(&deletes, 1)), (new.clone(), since(&deletes, 1))];
        assert_eq!(bench.located(&both).await.unwrap(), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_structs_and_constants_of_partitions_are_compared() {
    let bench = Bench::new();
    let member = ints([Some(1), Some(2), None]);
    let whole: ArrayRef = Arc::new(StructArray::new(Fields::from(vec![with_id("m", 4, &member)]), vec![member], None));
    let stored = with_ids(vec![("s", 3, whole)]);
    let compared = vec![field(3, "s", Type::Struct(vec![leaf(4, "m", Primitive::Int)])), leaf(1, "region", Primitive::String)];
    let member = ints([Some(2), None]);
    let whole: ArrayRef = Arc::new(StructArray::new(Fields::from(vec![with_id("m", 4, &member)]), vec![member], None));
    let gone = bench.file("gone", &with_ids(vec![("s", 3, whole), ("region", 1, words(&[Some("eu"), Some("us")]))]), None);
    let deletes = set(vec![values(gone, 2, compared)]);
    let data = |region: Option<&str>| {
        let constants = vec![(1, region.map(|region| Value::String(region.into())))];
        let file = bench.file(region.unwrap_or("null"), &stored, None);
        (DataFile { partition: Arc::new(Partition { constants, ..Partition::default() }), ..file }, since(&deletes, 2))
    };
    assert_eq!(bench.located(&[data(Some("eu")), data(Some("us")), data(None)]).await.unwrap(), [vec![1], vec![2], vec![]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_younger_deletes_count_for_each_file_and_those_by_position_are_kept() {
    let bench = Bench::new();
    let data = bench.file("data", &with_ids(vec![("id", 1, ints((0..8).map(Some)))]), None);
    let gone = |name: &str, ids: &[i32], sequence| {
        let batch = with_ids(vec![("id", 1, ints(ids.iter().copied().map(Some)))]);
        values(bench.file(name, &batch, None), sequence, vec![leaf(1, "id", Primitive::Int)])
    };
    let deletes = set(vec![gone("two", &[1, 2], 2), gone("four", &[2, 3], 4), gone("three", &[4], 3)]);
    let RowDeletes::Values(mixed) = since(&deletes, 4) else { panic!() };
    let mixed = RowDeletes::Values(Arc::new(ValueDeletes { positions: Arc::new([0, 3].into_iter().collect()), ..(*mixed).clone() }));
    let other = set(vec![gone("other", &[7], 9)]);
    let RowDeletes::Values(both) = since(&deletes, 3) else { panic!() };
    let rules = vec![both.rules[0].clone(), ValueRule { set: other, since: 9 }];
    let both = RowDeletes::Values(Arc::new(ValueDeletes { rules, ..(*both).clone() }));
    let files = [
        (data.clone(), since(&deletes, 2)),
        (data.clone(), since(&deletes, 5)),
        (data.clone(), mixed),
        (data.clone(), both),
        (data.clone(), positions([6])),
        (data, RowDeletes::None),
    ];
    let wanted: [Vec<u64>; 6] = [vec![1, 2, 3, 4], vec![], vec![0, 2, 3], vec![2, 3, 4, 7], vec![6], vec![]];
    assert_eq!(bench.located(&files).await.unwrap(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_leaves_out_rows_that_are_deleted_by_value() {
    let bench = Bench::new();
    let data = bench.file("data", &with_ids(vec![("gone", 1, ints((0..6).map(Some))), ("kept", 2, numbers((10..16).map(Some)))]), None);
    // The compared column was dropped from the table.
    let batch = with_ids(vec![("gone", 1, ints([Some(0), Some(4)]))]);
    let deletes = set(vec![values(bench.file("deletes", &batch, None), 3, vec![leaf(1, "gone", Primitive::Int)])]);
    let output = crate::model::OutputSpec {
        matching: FieldMatching::FieldIds { names: None },
        ..bench.output(vec![leaf(2, "kept", Primitive::Long)])
    };
    let (rows, _) = bench.encoded(vec![(data, since(&deletes, 1))], output).await;
    assert_eq!(longs(&rows, 0), [11, 12, 13, 15].map(Some));
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_files_that_do_not_say_what_they_compare_are_errors() {
    let bench = Bench::new();
    let data = bench.file("data", &with_ids(vec![("id", 1, ints([Some(1)]))]), None);
    let columns = || vec![leaf(1, "id", Primitive::Int), leaf(2, "x", Primitive::Int)];
    let lacks = bench.file("lacks", &with_ids(vec![("id", 1, ints([Some(1)]))]), None);
    let nameless = bench.file("nameless", &batch(vec![("id", ints([Some(1)])), ("x", ints([Some(1)]))]), None);
    let cut = bench.file("cut", &with_ids(vec![("id", 1, ints([Some(1)])), ("x", 2, ints([None]))]), None);
    let bytes = std::fs::read(bench.path("cut")).unwrap();
    std::fs::write(bench.path("cut"), &bytes[..bytes.len() / 2]).unwrap();
    let missing = DataFile { location: crate::location::Location::parse("/nowhere/at/all").unwrap(), ..lacks.clone() };
    for (file, kind) in [(lacks, Kind::Corrupt), (nameless, Kind::Corrupt), (cut, Kind::Corrupt), (missing, Kind::NotFound)] {
        let deletes = set(vec![values(file, 2, columns())]);
        assert_eq!(bench.located(&[(data.clone(), since(&deletes, 1))]).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_keys_than_may_be_held_at_once_are_looked_up_in_turns() {
    let bench = Bench::new();
    let properties = || Some(WriterProperties::builder().set_max_row_group_row_count(Some(700)).build());
    let data: Vec<DataFile> = (0..3)
        .map(|n| bench.file(&format!("data{n}"), &with_ids(vec![("id", 1, numbers((n * 1000..n * 1000 + 1000).map(Some)))]), properties()))
        .collect();
    let gone = |name: &str, step: usize, sequence| {
        let batch = with_ids(vec![("id", 1, numbers((0..3000).step_by(step).map(Some)))]);
        values(bench.file(name, &batch, properties()), sequence, vec![leaf(1, "id", Primitive::Long)])
    };
    let deletes = set(vec![gone("thirds", 3, 4), gone("sevenths", 7, 6)]);
    let files: Vec<_> = data.into_iter().zip([4, 5, 7]).map(|(file, least)| (file, since(&deletes, least))).collect();
    let wanted: Vec<Vec<u64>> =
        vec![(0..1000).filter(|n| n % 3 == 0 || n % 7 == 0).collect(), (0..1000).filter(|n| (n + 1000) % 7 == 0).collect(), Vec::new()];
    for keys in [5_000, 50_000, 1 << 20] {
        let locator = Locator {
            store: bench.rewriter.store.clone(),
            runtime: Handle::current(),
            budget: Budget::new(Bytes::mib(64), Bytes(0)),
            keys,
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        let some = files.clone();
        let found = tokio::task::spawn_blocking(move || locator.run(&some)).await.unwrap().unwrap();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(*found, RowDeletes::at(wanted.iter().copied().collect()), "{keys}");
        }
    }
    assert_eq!(bench.located(&files).await.unwrap(), wanted);
}

/// As many deletes as rows, nearly: duckdb-iceberg #624.
#[tokio::test(flavor = "multi_thread")]
async fn duckdb_iceberg_624_of_50000_rows_and_49995_deletes_5_rows_stay() {
    let bench = Bench::new();
    let data = bench.file("data", &with_ids(vec![("id", 1, numbers((0..50_000).map(Some)))]), None);
    let alive = [0, 2_047, 2_048, 31_337, 49_999];
    let dead = (0..50_000).filter(|id| !alive.contains(id)).map(Some);
    let gone = bench.file("gone", &with_ids(vec![("id", 1, numbers(dead))]), None);
    let deletes = set(vec![values(gone, 2, vec![leaf(1, "id", Primitive::Long)])]);
    let output = crate::model::OutputSpec {
        matching: FieldMatching::FieldIds { names: None },
        ..bench.output(vec![leaf(1, "id", Primitive::Long)])
    };
    let (rows, _) = bench.encoded(vec![(data, since(&deletes, 1))], output).await;
    assert_eq!(longs(&rows, 0), alive.map(Some));
}
