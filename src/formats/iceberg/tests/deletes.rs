//! Deletes that spell places in other ways.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use super::{Fixture, Row, files, place};
use crate::error::{Kind, Result};
use crate::formats::Table;

/// A position-delete file that names `deletes`.
fn file(deletes: &[(&str, i64)]) -> Vec<u8> {
    let paths: ArrayRef = Arc::new(deletes.iter().map(|(path, _)| Some(*path)).collect::<StringArray>());
    let positions: ArrayRef = Arc::new(deletes.iter().map(|(_, position)| Some(*position)).collect::<Int64Array>());
    // The columns in another order than usual: they are known by name.
    let batch = RecordBatch::try_from_iter([("pos", positions), ("file_path", paths)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Rows deleted of each data file, when a position-delete file names `deletes` (paths and positions).
async fn deleted(data: Vec<Row>, deletes: &[(&str, i64)]) -> Result<Vec<Vec<u64>>> {
    let (table, store) = Fixture { data, deletes: vec![Row(1, 1, "/t/data/pos", 4, 1)], ..Fixture::default() }.build().await;
    store.put(&place("/t/data/pos"), file(deletes).into()).await.unwrap();
    let version = table.load().await?;
    let found = version.row_deletes(&files(&*version).await).await?;
    let positions = |deletes: &crate::model::RowDeletes| match deletes {
        crate::model::RowDeletes::None => Vec::new(),
        crate::model::RowDeletes::Positions(positions) => positions.iter().collect(),
        crate::model::RowDeletes::Values(_) => panic!("nothing is deleted by value"),
    };
    Ok(found.iter().map(positions).collect())
}

fn data(paths: &[&'static str]) -> Vec<Row> {
    paths.iter().map(|path| Row(1, 0, path, 3, 10)).collect()
}

#[tokio::test]
async fn a_delete_finds_its_file_however_the_place_is_spelled() {
    let deletes = [("file:///t/data/a", 1), ("hdfs://host:20500/t/data/a", 3), ("/t//data/./b", 0), ("/t/data/gone", 0), ("/t/data/a", 99)];
    assert_eq!(deleted(data(&["/t/data/a", "/t/data/b"]), &deletes).await.unwrap(), [vec![1, 3], vec![0]]);
}

#[tokio::test]
async fn every_spelling_of_an_object_store_is_one_place() {
    let deletes =
        [("s3://b/t/data/a", 0), ("s3a://b/t/data/a", 1), ("s3n://b/t//data/a", 2), ("S3A://b/t/data/./a", 3), ("s3a://b/t/data/b", 9)];
    assert_eq!(deleted(data(&["s3a://b/t/data/a", "s3n://b/t/data/b"]), &deletes).await.unwrap(), [vec![0, 1, 2, 3], vec![9]]);
    let deletes = [("abfs://c@acct/t/data/a", 4), ("/t/data/a", 5), ("hdfs://nn:8020/t/data/a", 6), ("hdfs:///t/data/a", 7)];
    assert_eq!(deleted(data(&["abfss://c@acct/t/data/a"]), &deletes).await.unwrap(), [vec![4, 5, 6, 7]]);
    let deletes = [("/t/data/a", 0), ("file:/t/data/a", 1), ("file:///t/data/a", 2), ("file://localhost/t/data/a", 3)];
    assert_eq!(deleted(data(&["hdfs://nn:8020/t/data/a"]), &deletes).await.unwrap(), [vec![0, 1, 2, 3]]);
}

#[tokio::test]
async fn a_delete_for_the_exact_file_is_not_applied_to_its_namesake() {
    let found = deleted(data(&["/t/data/a", "s3://b/t/data/a"]), &[("s3a://b/t/data/a", 2)]).await.unwrap();
    assert_eq!(found, [vec![], vec![2]]);
}

#[tokio::test]
async fn a_delete_that_may_mean_either_of_two_files_is_an_error() {
    let error = deleted(data(&["/t/data/a", "s3://b/t/data/a"]), &[("hdfs://h/t/data/a", 2)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_negative_position_is_an_error() {
    assert_eq!(deleted(data(&["/t/data/a"]), &[("/t/data/a", -1)]).await.unwrap_err().kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_damaged_delete_file_is_an_error_where_its_decoder_panics() {
    let deletes = vec![Row(1, 1, "/t/data/pos", 4, 1)];
    let (table, store) = Fixture { data: data(&["/t/data/a"]), deletes, ..Fixture::default() }.build().await;
    let version = table.load().await.unwrap();
    let (files, whole) = (files(&*version).await, file(&[("/t/data/a", 1), ("/t/data/a", 2), ("/t/data/b", 2)]));
    let mut corrupt = 0;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        // Indexes of a dictionary in 48 bits make the decoder panic, wherever their width is noted.
        damaged[at] = 48;
        store.put(&place("/t/data/pos"), damaged.into()).await.unwrap();
        if let Err(error) = version.row_deletes(&files).await {
            // A path may have become one that means nothing.
            assert!(matches!(error.kind(), Kind::Corrupt | Kind::Unsupported), "byte {at}: {error}");
            corrupt += 1;
        }
    }
    assert!(corrupt > 10);
}
