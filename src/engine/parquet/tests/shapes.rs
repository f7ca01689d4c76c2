//! Files that are very wide, very deep or very empty.

use std::sync::Arc;

use arrow_array::{Int64Array, StructArray};
use arrow_schema::Field as ArrowField;
use parquet::data_type::Int64Type;
use parquet::file::writer::SerializedFileWriter;

use super::*;

/// A file of one column with a row group for each of `groups`, empty ones included.
fn grouped(bench: &Bench, name: &str, groups: &[&[i64]]) -> DataFile {
    let schema = parquet::schema::parser::parse_message_type("message m { required int64 n; }").unwrap();
    let file = std::fs::File::create(bench.path(name)).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    for rows in groups {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(rows, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    data_file(&bench.path(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_and_files_without_rows_add_nothing() {
    let bench = Bench::new();
    let inputs: Vec<_> = [grouped(&bench, "a", &[&[], &[1, 2], &[]]), grouped(&bench, "b", &[]), grouped(&bench, "c", &[&[], &[3]])]
        .map(|file| (file, RowDeletes::None))
        .into();
    let output = OutputSpec { field_ids: false, ..bench.output(vec![required(leaf(1, "n", Primitive::Long))]) };
    for (path, groups) in [(RewritePath::Copy, 2), (RewritePath::Encode, 1)] {
        let done = bench.rewrite(inputs.clone(), output.clone(), path).await.unwrap();
        assert_eq!(longs(&read(&done.files), 0), [Some(1), Some(2), Some(3)]);
        assert_eq!((done.row_groups_copied + done.row_groups_encoded, done.files.len()), (groups, 1));
    }
    let empty = vec![(grouped(&bench, "d", &[]), RowDeletes::None), (grouped(&bench, "e", &[&[]]), RowDeletes::None)];
    for path in [RewritePath::Copy, RewritePath::Encode, RewritePath::Auto] {
        let done = bench.rewrite(empty.clone(), output.clone(), path).await.unwrap();
        assert!(done.files.is_empty(), "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_columns_are_written_as_they_were() {
    let bench = Bench::new();
    let names: Vec<String> = (0..2000).map(|n| format!("c{n}")).collect();
    let columns = names.iter().enumerate().map(|(at, name)| {
        let at = i64::try_from(at).unwrap();
        (name.as_str(), Arc::new(Int64Array::from(vec![Some(at), None, Some(-at)])) as ArrayRef)
    });
    let stored = batch(columns.collect());
    let fields = names.iter().enumerate().map(|(at, name)| leaf(i32::try_from(at).unwrap() + 1, name, Primitive::Long)).collect();
    let (rows, done) = bench.encoded(vec![(bench.file("a", &stored, None), RowDeletes::None)], bench.output(fields)).await;
    assert_eq!(rows.columns(), stored.columns());
    assert_eq!(done.files[0].stats.columns.len(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_nested_as_deep_as_a_schema_may_be_keep_their_values() {
    let bench = Bench::new();
    let mut array: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
    let mut column = leaf(1, "m", Primitive::Long);
    for depth in 2..60 {
        array = Arc::new(StructArray::from(vec![(Arc::new(ArrowField::new("m", array.data_type().clone(), true)), array)]));
        column = field(depth, "m", Type::Struct(vec![column]));
    }
    let file = bench.file("a", &batch(vec![("m", array)]), None);
    let (rows, _) = bench.encoded(vec![(file, RowDeletes::None)], bench.output(vec![column])).await;
    let mut below = rows.column(0).clone();
    while let Some(members) = arrow_array::cast::AsArray::as_struct_opt(&below) {
        below = members.column(0).clone();
    }
    assert_eq!(below.as_ref(), &Int64Array::from(vec![Some(7), None]) as &dyn Array);
}
