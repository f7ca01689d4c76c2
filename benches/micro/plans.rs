//! Planning a compaction of many live files, where all of them are of the right size and where all are too small, and how it grows from 10,000 of them
//! to as many as `OTF_BENCH_FILES` says (100,000 by default). For CPU time and peak memory run the verb itself over the tables that `OTF_BENCH_KEEP`
//! keeps:
//!
//! ```sh
//! OTF_BENCH_FILES=1000000 OTF_BENCH_KEEP=/tmp/plans cargo bench --bench micro plans
//! /usr/bin/time -v otf compact /tmp/plans/plan-delta-checkpoint-1000000/t --dry-run --target-file-size 1MiB --output json
//! ```

use std::time::Duration;

use otf::catalog::path_table;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::formats::delta::DeltaTable;
use otf::ops::Parts;
use otf::ops::compact::{Options, run};
use otf::units::Bytes;
use otf::wiring::processes::LocalProcesses;
use otf::wiring::system::SystemClock;

use crate::orphans::Nobody;
use crate::places::{Place, median, tell_growth};
use crate::{logs, manifests};

/// Entries of a manifest.
const LISTED: usize = 10_000;
/// Bytes of a file: about a mebibyte.
const SIZE: usize = 1_000_000;

/// What a table is kept as.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Iceberg,
    DeltaLog,
    DeltaCheckpoint,
}

const KEPT: [Kept; 3] = [Kept::Iceberg, Kept::DeltaLog, Kept::DeltaCheckpoint];

fn table(kept: Kept, files: usize) -> Place {
    match kept {
        Kept::Iceberg => Place::kept(&format!("plan-iceberg-{files}"), |place| {
            manifests::table(place, files, LISTED, SIZE.try_into().unwrap(), manifests::file_name);
        }),
        Kept::DeltaLog => Place::kept(&format!("plan-delta-log-{files}"), |place| logs::lay_out(place, files, SIZE, false)),
        Kept::DeltaCheckpoint => Place::kept(&format!("plan-delta-checkpoint-{files}"), |place| logs::lay_out(place, files, SIZE, true)),
    }
}

fn plan(kept: Kept, files: usize, target: Bytes, groups: impl Fn(usize) -> bool) -> Duration {
    let place = table(kept, files);
    let store = &place.store;
    median(|| {
        place.runtime.block_on(async {
            let settings = Settings { memory: Bytes::mib(256), threads: 2, runtime: tokio::runtime::Handle::current() };
            let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
            let parts = Parts { store, engine: &engine, clock: &SystemClock, progress: &Nobody, processes: &LocalProcesses::new() };
            let mut options = Options::default();
            options.output.target_file_size = Some(target);
            let (_, survey) = match kept {
                Kept::Iceberg => run::plan(&path_table(store, place.location("t")), &options, parts).await.unwrap(),
                _ => run::plan(&DeltaTable::new(store.clone(), place.location("t")), &options, parts).await.unwrap(),
            };
            assert!(groups(survey.plan.groups.len()));
            assert_eq!(survey.before.files, files as u64);
        });
    })
}

#[divan::bench(args = KEPT, sample_count = 1, sample_size = 1)]
fn plan_where_every_file_is_right(kept: Kept) {
    tell_growth(&format!("plan, {kept:?}, every file right"), |files| plan(kept, files, Bytes::mib(1), |groups| groups == 0));
}

#[divan::bench(args = KEPT, sample_count = 1, sample_size = 1)]
fn plan_where_every_file_is_too_small(kept: Kept) {
    tell_growth(&format!("plan, {kept:?}, every file too small"), |files| plan(kept, files, Bytes::mib(512), |groups| groups > 0));
}
