//! Inputs that are not what the table says.

use std::sync::Arc;

use arrow_array::Int64Array;

use super::*;
use crate::error::{Error, Kind};

fn one_column() -> RecordBatch {
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(0..1000)))])
}

async fn failure(bench: &Bench, file: DataFile) -> Error {
    let output = bench.output(vec![leaf(1, "n", Primitive::Long)]);
    let error = bench.rewrite(vec![(file, RowDeletes::None)], output, RewritePath::Encode).await.unwrap_err();
    assert!(bench.new_files().is_empty());
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_size_in_the_tables_metadata_does_no_harm_and_another_row_count_is_corruption() {
    let bench = Bench::new();
    let file = bench.file("a", &one_column(), None);
    for (size, path) in
        [(file.size.0 - 1, RewritePath::Encode), (file.size.0 + 1, RewritePath::Auto), (3, RewritePath::Auto), (0, RewritePath::Encode)]
    {
        let output = bench.output(vec![leaf(1, "n", Primitive::Long)]);
        let wrong = DataFile { size: Bytes(size), ..file.clone() };
        let done = bench.rewrite(vec![(wrong, RowDeletes::None)], output, path).await.unwrap();
        assert_eq!(done.files.iter().map(|new| new.rows).collect::<Vec<_>>(), [1000], "{size}");
        bench.new_files().iter().for_each(|name| std::fs::remove_file(bench.path(name)).unwrap());
    }
    let error = failure(&bench, DataFile { rows: Some(999), ..file.clone() }).await;
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(bench.rewriter.stored_rows(&DataFile { rows: Some(1000), ..file.clone() }).await.unwrap(), 1000);
    let gone = DataFile { location: file.location.parent().unwrap().child("nowhere"), ..file.clone() };
    assert_eq!(failure(&bench, gone).await.kind(), Kind::NotFound);
    let error = failure(&bench, DataFile { format: FileFormat::Orc, ..file }).await;
    assert_eq!((error.kind(), error.message()), (Kind::Corrupt, "not an ORC file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let file = bench.file("a", &one_column(), None);
    let sound = std::fs::read(bench.path("a")).unwrap();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for at in (0..sound.len()).step_by(3) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x41;
        std::fs::write(bench.path("a"), &damaged).unwrap();
        let output = bench.output(vec![leaf(1, "n", Primitive::Long)]);
        let result = bench.rewrite(vec![(file.clone(), RowDeletes::None)], output, RewritePath::Encode).await;
        let kind = result.map_or_else(|e| e.kind().as_str().to_string(), |_| "read".to_string());
        *kinds.entry(kind).or_default() += 1;
        bench.new_files().iter().for_each(|name| std::fs::remove_file(bench.path(name)).unwrap());
    }
    assert!(kinds.get("corrupt").is_some_and(|n| *n > 20), "{kinds:?}");
    assert_eq!(kinds.get("bug"), None, "{kinds:?}");
    for cut in [0, 4, 11, 12, sound.len() / 2, sound.len() - 1] {
        std::fs::write(bench.path("a"), &sound[..cut]).unwrap();
        let file = data_file(&bench.path("a"));
        assert_eq!(failure(&bench, file).await.kind(), Kind::Corrupt, "{cut}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_files_and_impossible_footers_are_named() {
    let bench = Bench::new();
    let mut bytes = vec![b'x'; 100];
    bytes.extend([0xff, 0xff, 0xff, 0x7f]);
    bytes.extend(b"PAR1");
    std::fs::write(bench.path("long"), &bytes).unwrap();
    assert_eq!(failure(&bench, data_file(&bench.path("long"))).await.message(), "the Parquet footer is longer than it can be");
    bytes.truncate(104);
    bytes.extend(b"PARE");
    std::fs::write(bench.path("secret"), &bytes).unwrap();
    assert_eq!(failure(&bench, data_file(&bench.path("secret"))).await.kind(), Kind::Unsupported);
}
