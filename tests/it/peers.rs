//! The crates of the field read what the tool wrote and write what it reads, over our storage: implementations that share nothing else with ours.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable as Peer, DeltaTableBuilder};
use futures::TryStreamExt;
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, NestedField, PrimitiveType, Schema, Struct, Type};
use iceberg::table::StaticTable;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, TableCreation, TableIdent};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::{DataFile, OperationId};
use otf::ops::Parts;
use otf::ops::compact::{Options, run};
use otf::store::Store;
use otf::store::counting::Count;
use otf::store::resolve::Stores;
use otf::units::Bytes;

use crate::support::workbench::{Original, over};
use crate::support::{Alone, Remarks, TestClock, bridge, delta_table};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_deltalake_crate_commits_through_our_storage_between_two_compactions() {
    let (count, memory) = (Count::new(), Arc::new(InMemory::new()));
    let objects = count.over(memory);
    let original = Original::delta_on(&objects, "/t", 4).await;
    let options = Options { rewrite_all: true, ..Options::default() };
    original.compact(&objects, 1, "first-operation", &options).await.unwrap();

    let url = url::Url::parse("memory:///t").unwrap();
    let builder = DeltaTableBuilder::from_url(url.clone()).unwrap().with_storage_backend(Arc::clone(&objects), url);
    let mut peer = builder.load().await.unwrap();
    assert_eq!(names(&peer).len(), 2);
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![900]))),
        ("name", Arc::new(StringArray::from(vec!["of the peer"]))),
        ("p", Arc::new(StringArray::from(vec!["a"]))),
    ];
    let claims = count.snapshot().claims;
    let mut writer = RecordBatchWriter::for_table(&peer).unwrap();
    writer.write(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()).await.unwrap();
    assert_eq!(writer.flush_and_commit(&mut peer).await.unwrap(), 6);
    assert_eq!(count.snapshot().claims, claims + 1, "the peer's commit is a conditional put on our storage");

    original.compact(&objects, 1, "second-operation", &options).await.unwrap();
    let mut expected = original.rows.clone();
    expected.push("p=a | 00900 of the peer | None".into());
    expected.sort();
    assert_eq!(original.read(&objects).await, expected);
    peer.load().await.unwrap();
    assert_eq!((peer.version(), names(&peer).len()), (Some(7), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_iceberg_crate_reads_through_our_storage_what_the_tool_committed() {
    let original = Original::iceberg("iceberg_v2_posdeletes").await;
    let count = Count::new();
    let objects = count.over(original.lay_out().await);
    let options = Options { rewrite_all: true, ..Options::default() };
    original.compact(&objects, 1, "peer-operation", &options).await.unwrap();

    let metadata = format!("{}/metadata/v4.metadata.json", original.root);
    let (name, before) = (TableIdent::from_strs(["db", "t"]).unwrap(), count.snapshot().gets);
    let peer = StaticTable::from_metadata_file(&metadata, name, bridge::file_io(&objects)).await.unwrap();
    let tasks: Vec<_> = peer.scan().build().unwrap().plan_files().await.unwrap().try_collect().await.unwrap();
    let files: BTreeSet<String> = tasks.iter().map(|task| task.data_file_path.rsplit_once("/data/").unwrap().1.to_string()).collect();
    let live = original.live_files(&objects).await;
    assert_eq!(files, live.iter().map(|name| name.strip_prefix("data/").unwrap().to_string()).collect());
    assert!(tasks.iter().all(|task| task.deletes.is_empty()));
    let batches: Vec<_> = peer.scan().build().unwrap().to_arrow().await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().fold(0, |rows, batch| rows + batch.num_rows()), 45);
    assert!(count.snapshot().gets >= before + 4, "metadata, manifest list, manifest and data came through our storage");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_reads_what_the_iceberg_crate_wrote_through_our_storage() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let warehouse = HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_string(), "file:///w".to_string())]);
    let catalog = MemoryCatalogBuilder::default().with_storage_factory(bridge::factory(&objects)).load("c", warehouse).await.unwrap();
    let namespace = NamespaceIdent::new("db".into());
    catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
    let id = NestedField::optional(1, "id", Type::Primitive(PrimitiveType::Long));
    let schema = Schema::builder().with_fields([Arc::new(id)]).build().unwrap();
    let table = catalog.create_table(&namespace, TableCreation::builder().name("t".into()).schema(schema).build()).await.unwrap();
    let root = Location::parse(table.metadata().location()).unwrap();
    let file = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(format!("{root}/data/a.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(3)
        .file_size_in_bytes(700)
        .build()
        .unwrap();
    let transaction = Transaction::new(&table);
    let transaction = transaction.fast_append().add_data_files([file]).apply(transaction).unwrap();
    transaction.commit(&catalog).await.unwrap();

    let store = over(&objects);
    let version = otf::catalog::path_table(&store, root.clone()).load().await.unwrap();
    let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
    let found: Vec<_> = files.iter().map(|file| (file.location.clone(), file.size, file.rows)).collect();
    assert_eq!(found, [(root.child("data").child("a.parquet"), Bytes(700), Some(3))]);
}
