//! What lies beside tables: journals and notes of earlier runs, inventories.

use async_trait::async_trait;
use bytes::Bytes;
use otf::engine::{RewriteTask, Rewriter, Rewritten};
use otf::error::{Error, Result};
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::model::{DataFile, OperationId};
use otf::ops::leftovers::{Owner, Processes};
use otf::ops::orphans::plan::{Equal, OnMismatch};
use otf::ops::orphans::{Neighbour, Neighbours, OLDER_THAN_MS, Options, run};
use otf::ops::{Clock, Parts, Progress, leftovers};
use otf::store::Store;
use otf::units::{Bytes as Size, Timestamp};

use super::Target;
use super::delta::{EMPTY, log};
use super::tables::{Objects, sound, with_store};

pub(super) const TARGETS: &[Target] = &[
    (
        "journal",
        journal,
        &[concat!(
            r#"{"operation":"01990000-0000-7000-8000-000000000000","owner":{"host":"here","process":9,"started":1}}"#,
            "\n",
            r#"{"kind":"data","place":"file:///t/x.parquet","size":7}"#,
            "\n",
            r#"{"kind":"manifest_lists","place":"/t/_delta_log/y"}"#,
            "\n"
        )],
    ),
    (
        "note",
        note,
        &[concat!(
            r#"{"operation":"01990000-0000-7000-8000-000000000000","part":0,"owner":{"host":"here","process":9,"started":1},"#,
            r#""announced_ms":1767225600000,"folders":["file:///t"],"trees":["/t/a"]}"#
        )],
    ),
    (
        "inventory",
        inventory,
        &[
            "\"b\",\"t/x.parquet\",\"7\",\"2020-01-31T00:00:00.000Z\"\n",
            "key,size,last_modified\n/t/x.parquet,7,2020-01-31T00:00:00Z\n\"/t/a,\"\"b\"\"\",,\n",
            "Bucket,Key,IsLatest,IsDeleteMarker,Size,LastModifiedDate\nb,t/x%20y,true,false,7,2020-01-31T00:00:00Z\n",
            "{\"key\":\"/t/x.parquet\",\"size\":7,\"last_modified\":\"2020-01-31T00:00:00Z\"}\n",
            "gzip:key,size,last_modified\n/t/x.parquet,7,2020-01-31T00:00:00Z\n",
        ],
    ),
    (
        "inventory_manifest",
        inventory_manifest,
        &[concat!(
            r#"{"sourceBucket":"b","destinationBucket":"arn:aws:s3:::b","version":"2016-11-30","creationTimestamp":"1514944800000","#,
            r#""fileFormat":"CSV","fileSchema":"Bucket, Key, Size, LastModifiedDate","files":[{"key":"t/x.parquet","size":7,"MD5checksum":"0"}]}"#
        )],
    ),
    ("inventory_parquet", inventory_parquet, &["@fuzz/inventory-s3.parquet", "@fuzz/inventory-plain.parquet"]),
    ("inventory_orc", inventory_orc, &["@fuzz/inventory-s3.orc", "@fuzz/inventory-plain.orc"]),
];

/// 2100-01-01: every object is old.
const NOW: Timestamp = Timestamp(4_102_444_800_000);

struct Around;

#[async_trait]
impl Clock for Around {
    fn now(&self) -> Timestamp {
        NOW
    }

    async fn wait_ms(&self, _ms: u64) {}
}

impl Progress for Around {
    fn planned(&self, _groups: usize, _bytes: Size) {}
    fn group_done(&self, _bytes: Size) {}
    fn remark(&self, _text: &str) {}
}

impl Processes for Around {
    fn current(&self) -> Owner {
        Owner { host: "here".into(), process: 1, started: 1 }
    }

    fn is_running(&self, owner: &Owner) -> Option<bool> {
        (owner.host == "here").then_some(owner.process == 1)
    }
}

#[async_trait]
impl Rewriter for Around {
    async fn rewrite(&self, _task: RewriteTask) -> Result<Rewritten> {
        Err(Error::unsupported("nothing is rewritten here"))
    }

    async fn stored_rows(&self, _file: &DataFile) -> Result<u64> {
        Err(Error::unsupported("no file is opened here"))
    }
}

#[async_trait]
impl Neighbours for Around {
    async fn at(&self, _root: &otf::location::Location) -> Result<Vec<Neighbour>> {
        Ok(Vec::new())
    }
}

fn parts(store: &Store) -> Parts<'_> {
    Parts { store, engine: &Around, clock: &Around, progress: &Around, processes: &Around }
}

/// A table with two objects that nothing refers to, and `more`.
fn objects(more: Objects) -> Objects {
    let mut objects = vec![log(0, EMPTY.clone()), ("x.parquet".into(), Bytes::new()), ("a/b".into(), Bytes::new())];
    objects.extend(more);
    objects
}

/// Cleans up after the dead run that left `name` at a table.
fn left(name: &str, data: &[u8]) {
    let objects = objects(vec![(format!("_otf/{name}"), Bytes::copy_from_slice(data))]);
    with_store("/t", objects, async |store, root| {
        let table = DeltaTable::new(store.clone(), root.clone());
        let version = table.load().await.unwrap();
        sound(leftovers::clean(parts(&store), &root, &*version).await);
        // Whatever was left there: it never takes what the table needs.
        assert!(table.load().await.is_ok());
    });
}

fn journal(data: &[u8]) {
    left("o-01990000.0-00000000-9-1.journal", data);
}

fn note(data: &[u8]) {
    left("o-01990000.0-00000000-9-1.json", data);
}

fn searched(root: &str, name: &str, data: &[u8]) {
    with_store(root, objects(vec![(name.into(), Bytes::copy_from_slice(data))]), async |store, root| {
        let table = DeltaTable::new(store.clone(), root.clone());
        let options = Options {
            older_than_ms: OLDER_THAN_MS,
            unsafe_retention: false,
            location: None,
            inventory: Some(root.child(name)),
            quarantine: None,
            on_mismatch: OnMismatch::default(),
            equal: Equal::default(),
            shown: 8,
            temp: root.child("temporary"),
        };
        if let Some(survey) = sound(run::plan(&table, &OperationId("o".into()), &options, &Around, parts(&store)).await) {
            survey.clear().await;
        }
    });
}

fn inventory(data: &[u8]) {
    searched("/t", "inventory.csv", data);
}

fn inventory_manifest(data: &[u8]) {
    searched("s3://b/t", "manifest.json", data);
}

fn inventory_parquet(data: &[u8]) {
    searched("s3://b/t", "inventory.parquet", data);
}

fn inventory_orc(data: &[u8]) {
    searched("s3://b/t", "inventory.orc", data);
}
