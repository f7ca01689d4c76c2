//! Planning over files that are known already.

use std::sync::Arc;

use divan::{Bencher, black_box};
use otf::location::Location;
use otf::model::{DataFile, FileFormat, Partition};
use otf::ops::compact::plan::{Plan, Policy, Wishes, is_candidate, plan_partition};
use otf::units::Bytes;

/// Files of 1–200 MiB in a fixed, uneven order.
fn files(count: usize) -> Vec<DataFile> {
    let (partition, deletes) = (Arc::new(Partition::default()), Arc::new([]));
    (0..count)
        .map(|n| {
            let path = format!("/lake/table/part-{n:07}.parquet");
            let size = Bytes::mib(1 + (n as u64 * 7919) % 200);
            DataFile {
                rows: Some(1_000_000),
                partition: Arc::clone(&partition),
                deletes: Arc::clone(&deletes) as Arc<[_]>,
                ..DataFile::bare(Location::parse(&path).unwrap(), FileFormat::Parquet, size)
            }
        })
        .collect()
}

#[divan::bench(args = [1_000, 100_000])]
fn planner(bencher: Bencher<'_, '_>, count: usize) {
    let policy = Policy::resolve(&Wishes::default(), Bytes::mib(128)).unwrap();
    bencher.with_inputs(|| files(count)).bench_values(|files| {
        let mut plan = Plan::default();
        let candidates = files.into_iter().filter(|file| is_candidate(file, &policy)).collect();
        plan_partition(&Arc::default(), candidates, &policy, &mut plan);
        black_box(plan)
    });
}
