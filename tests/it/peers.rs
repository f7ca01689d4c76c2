//! The `deltalake` crate reads what the tool wrote: an implementation that shares nothing with ours.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake_core::DeltaTable as Peer;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::OperationId;
use otf::ops::Parts;
use otf::ops::compact::{Options, run};
use otf::store::Store;
use otf::store::resolve::Stores;
use otf::units::Bytes;

use crate::support::{Alone, Remarks, TestClock, delta_table};

async fn opened(folder: &std::path::Path, version: Option<u64>) -> Peer {
    let url = deltalake_core::ensure_table_uri(folder.to_str().unwrap()).unwrap();
    let mut table = deltalake_core::open_table(url).await.unwrap();
    if let Some(version) = version {
        table.load_version(version).await.unwrap();
    }
    table
}

fn names(table: &Peer) -> BTreeSet<String> {
    table.get_file_uris().unwrap().map(|uri| uri.rsplit('/').next().unwrap().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deltalake_crate_sees_the_new_files_the_old_versions_and_the_checkpoint() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::new(Arc::new(Stores::new(&Default::default(), &Default::default()).unwrap()));
    let root = Location::parse(scratch.path().to_str().unwrap()).unwrap();
    delta_table::write(&store, &root, 8).await;
    let runtime = tokio::runtime::Handle::current();
    let engine = ParquetRewriter::new(store.clone(), Settings { memory: Bytes::mib(64), threads: 1, runtime }).unwrap();
    let (clock, progress) = (TestClock::default(), Remarks::default());
    let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &Alone(1) };
    let options = Options { rewrite_all: true, ..Options::default() };
    let table = DeltaTable::new(store.clone(), root);
    let finished = run::execute(&table, &OperationId("peer-operation".into()), &options, parts).await.unwrap();
    assert_eq!((finished.after.files, finished.after.rows), (2, 37));

    let newest = opened(scratch.path(), None).await;
    assert_eq!(newest.version(), Some(9));
    let expected = ["part-00000-peer-operation-p0-00000.parquet", "part-00001-peer-operation-p0-00000.parquet"];
    assert_eq!(names(&newest), expected.map(String::from).into());
    let before = opened(scratch.path(), Some(8)).await;
    assert_eq!(names(&before).len(), 8);
    // Version 9 is a multiple of the table's checkpoint interval of 3: without the log before it the peer has the checkpoint alone.
    for version in 0..9 {
        std::fs::remove_file(scratch.path().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    assert_eq!(names(&opened(scratch.path(), None).await), names(&newest));
}
