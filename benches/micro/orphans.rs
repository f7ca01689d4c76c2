//! Orphans over many local files. `OTF_BENCH_FILES` says how many (100,000 by default); the task names 1,000,000. Beside each figure stands what
//! `find -printf` takes for the same tree, which is as fast as names, sizes and times can be had one by one. For peak memory run the verb itself:
//!
//! ```sh
//! OTF_BENCH_FILES=1000000 OTF_BENCH_KEEP=/tmp/orphans cargo bench --bench micro orphans
//! /usr/bin/time -v otf orphans /tmp/orphans/t --older-than 24h --output json
//! /usr/bin/time -v find /tmp/orphans/t -type f -printf '%p %s %T@\n' > /dev/null
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use divan::Bencher;
use otf::catalog::path_table;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::location::Location;
use otf::model::OperationId;
use otf::ops::orphans::plan::{Equal, OnMismatch};
use otf::ops::orphans::run::plan;
use otf::ops::orphans::{OLDER_THAN_MS, Options};
use otf::ops::{Parts, Progress};
use otf::store::Store;
use otf::store::resolve::{Settings as StorageSettings, Stores};
use otf::units::Bytes;
use otf::wiring::neighbours::TablesAt;
use otf::wiring::processes::LocalProcesses;
use otf::wiring::system::SystemClock;
use serde_json::{Value, json};

/// Files of a partition.
const EACH: usize = 1000;

fn files() -> usize {
    std::env::var("OTF_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// A table whose metadata holds nine of ten files; the tenth are orphans of ten days.
fn tree() -> &'static Path {
    static TREE: OnceLock<(PathBuf, Option<tempfile::TempDir>)> = OnceLock::new();
    let (root, _) = TREE.get_or_init(|| {
        let kept = std::env::var_os("OTF_BENCH_KEEP").map(PathBuf::from);
        let temp = kept.is_none().then(|| tempfile::tempdir().unwrap());
        let home = kept.unwrap_or_else(|| temp.as_ref().unwrap().path().to_path_buf());
        let root = home.join("t");
        if !root.exists() {
            lay_out(&root);
        }
        (root, temp)
    });
    root
}

fn lay_out(root: &Path) {
    let old = SystemTime::now() - Duration::from_hours(240);
    let mut held = Vec::new();
    fs::create_dir_all(root.join("metadata")).unwrap();
    for n in 0..files() {
        let folder = root.join(format!("data/day={:05}", n / EACH));
        if n % EACH == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        let file = folder.join(format!("{:05}-0-4f1c9a77-52c1-4d6e-9f5f-0d9f3f{:06x}-00001.parquet", n % EACH, n));
        File::create(&file).unwrap().set_modified(old).unwrap();
        if n % 10 != 0 {
            held.push(json!({"snapshot-id": 1, "statistics-path": file.to_str().unwrap(), "file-size-in-bytes": 0,
                "file-footer-size-in-bytes": 0, "blob-metadata": []}));
        }
    }
    fs::write(root.join("metadata/v1.metadata.json"), document(root, held).to_string()).unwrap();
}

fn document(root: &Path, statistics: Vec<Value>) -> Value {
    json!({"format-version": 2, "table-uuid": "00000000-0000-4000-8000-000000000001", "location": root.to_str().unwrap(),
        "last-sequence-number": 0, "last-updated-ms": 1, "last-column-id": 1, "current-schema-id": 0,
        "schemas": [{"schema-id": 0, "type": "struct", "fields": [{"id": 1, "name": "a", "required": false, "type": "long"}]}],
        "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
        "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}], "properties": {},
        "current-snapshot-id": -1, "snapshots": [], "statistics": statistics})
}

struct Nobody;

impl Progress for Nobody {
    fn planned(&self, _groups: usize, _bytes: Bytes) {}
    fn group_done(&self, _bytes: Bytes) {}
    fn remark(&self, _text: &str) {}
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn orphans_of_a_local_tree(bencher: Bencher<'_, '_>) {
    let root = tree();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    bencher.counter(divan::counter::ItemsCount::new(files())).bench(|| {
        runtime.block_on(async {
            let none = StorageSettings::new();
            let store = Store::new(Arc::new(Stores::new(&none, &none).unwrap()));
            let table = path_table(&store, Location::parse(root.to_str().unwrap()).unwrap());
            let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: tokio::runtime::Handle::current() };
            let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
            let parts = Parts { store: &store, engine: &engine, clock: &SystemClock, progress: &Nobody, processes: &LocalProcesses::new() };
            let options = Options {
                older_than_ms: OLDER_THAN_MS,
                unsafe_retention: false,
                location: None,
                inventory: None,
                quarantine: None,
                on_mismatch: OnMismatch::Error,
                equal: Equal::default(),
                shown: 10,
                temp: Location::parse("/tmp").unwrap(),
            };
            let operation = OperationId("bench".into());
            let survey = plan(&table, &operation, &options, &TablesAt { store: &store }, parts).await.unwrap();
            assert_eq!(survey.plan.found, files().div_ceil(10) as u64);
            survey.clear().await;
        });
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn find_of_the_same_tree(bencher: Bencher<'_, '_>) {
    let root = tree();
    bencher.counter(divan::counter::ItemsCount::new(files())).bench(|| {
        let done = Command::new("find").arg(root).args(["-type", "f", "-printf", "%p %s %T@\n"]).stdout(Stdio::null()).status().unwrap();
        assert!(done.success());
    });
}
