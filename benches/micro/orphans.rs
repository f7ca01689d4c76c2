//! Orphans over many local files, and how that grows from 10,000 of them to as many as `OTF_BENCH_FILES` says (100,000 by default). Beside it stands
//! what `find -printf` takes for the same trees, which is as fast as names, sizes and times can be had one by one. For peak memory run the verb itself:
//!
//! ```sh
//! OTF_BENCH_FILES=1000000 OTF_BENCH_KEEP=/tmp/orphans cargo bench --bench micro orphans
//! /usr/bin/time -v otf orphans /tmp/orphans/orphans-1000000/t --older-than 24h --output json
//! /usr/bin/time -v find /tmp/orphans/orphans-1000000/t -type f -printf '%p %s %T@\n' > /dev/null
//! ```

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use otf::catalog::path_table;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::location::Location;
use otf::model::OperationId;
use otf::ops::orphans::plan::{Equal, OnMismatch};
use otf::ops::orphans::run::plan;
use otf::ops::orphans::{OLDER_THAN_MS, Options};
use otf::ops::{Parts, Progress};
use otf::units::Bytes;
use otf::wiring::neighbours::TablesAt;
use otf::wiring::processes::LocalProcesses;
use otf::wiring::system::SystemClock;

use crate::manifests;
use crate::places::{Place, median, tell_growth};

/// Files of a folder.
const EACH: usize = 1000;
/// Files of a manifest.
const LISTED: usize = 100;

fn name(n: usize) -> String {
    format!("t/data/day={:05}/{:05}-0-4f1c9a77-52c1-4d6e-9f5f-0d9f3f{n:06x}-00001.parquet", n / EACH, n % EACH)
}

/// A table whose manifests hold so many files, and one more in a hundred that nothing refers to; all of them ten days old.
fn tree(files: usize) -> Place {
    Place::kept(&format!("orphans-{files}"), |place| {
        manifests::table(place, files, LISTED, 0, name);
        let old = SystemTime::now() - Duration::from_hours(240);
        for n in 0..files + strays(files) {
            let path = place.path(&name(n));
            if n % EACH == 0 {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
            }
            File::create(&path).unwrap().set_modified(old).unwrap();
        }
    })
}

fn strays(files: usize) -> usize {
    files.div_ceil(100)
}

pub(crate) struct Nobody;

impl Progress for Nobody {
    fn planned(&self, _groups: usize, _bytes: Bytes) {}
    fn group_done(&self, _bytes: Bytes) {}
    fn remark(&self, _text: &str) {}
}

fn look(place: &Place, files: usize) {
    let store = &place.store;
    place.runtime.block_on(async {
        let table = path_table(store, place.location("t"));
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: tokio::runtime::Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let parts = Parts { store, engine: &engine, clock: &SystemClock, progress: &Nobody, processes: &LocalProcesses::new() };
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
        let survey = plan(&table, &operation, &options, &TablesAt { store }, parts).await.unwrap();
        assert_eq!(survey.plan.found, strays(files) as u64);
        survey.clear().await;
    });
}

fn find(place: &Place) {
    let mut find = Command::new("find");
    find.arg(place.path("t")).args(["-type", "f", "-printf", "%p %s %T@\n"]).stdout(Stdio::null());
    assert!(find.status().unwrap().success());
}

#[divan::bench(sample_count = 1, sample_size = 1)]
fn orphans_of_a_local_tree() {
    tell_growth("orphans", |files| {
        let place = tree(files);
        let (ours, find) = (median(|| look(&place, files)), median(|| find(&place)));
        println!("\norphans, {files} files: {:.0} % of the speed of find ({find:.1?})", find.as_secs_f64() / ours.as_secs_f64() * 100.0);
        ours
    });
}
