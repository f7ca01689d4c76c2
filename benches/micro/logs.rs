//! Replay of a Delta log.

use std::fmt::Write;

use divan::Bencher;
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::model::Version;

use crate::places::Place;

/// The first commit of a table of one column, with `count` files of about `size` bytes as an engine describes them.
fn commit(count: usize, size: usize) -> String {
    let mut log = String::from(concat!(
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
        "\n",
        r#"{"metaData":{"id":"3e4f","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"n\","#,
        r#"\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{},"createdTime":1700000000000}}"#,
        "\n"
    ));
    for n in 0..count {
        let (low, high) = (n * 1000, n * 1000 + 999);
        writeln!(
            log,
            r#"{{"add":{{"path":"part-{n:07}-4c1b0c1e-8f0e-4f0e-9a55-0d6a4d3b7a11.c000.snappy.parquet","partitionValues":{{}},"size":{},"modificationTime":1700000000000,"dataChange":true,"stats":"{{\"numRecords\":1000,\"minValues\":{{\"n\":{low}}},\"maxValues\":{{\"n\":{high}}},\"nullCount\":{{\"n\":0}}}}"}}}}"#,
            size + n % 1000
        )
        .unwrap();
    }
    log
}

fn table(place: &Place) -> DeltaTable {
    DeltaTable::new(place.store.clone(), place.location("t"))
}

#[divan::bench(args = [10_000, 100_000], sample_count = 10, sample_size = 1)]
fn delta_json_commit(bencher: Bencher<'_, '_>, count: usize) {
    let place = Place::new();
    lay_out(&place, count, 1_000_000, false);
    bencher.bench(|| place.count_files(&table(&place), count));
}

#[divan::bench(args = [10_000, 100_000], sample_count = 10, sample_size = 1)]
fn delta_checkpoint(bencher: Bencher<'_, '_>, count: usize) {
    let place = Place::new();
    lay_out(&place, count, 1_000_000, true);
    bencher.bench(|| place.count_files(&table(&place), count));
}

/// A table of `count` files of about `size` bytes: as one commit, or as a checkpoint.
fn lay_out(place: &Place, count: usize, size: usize, checkpoint: bool) {
    place.write("t/_delta_log/00000000000000000000.json", commit(count, size));
    if !checkpoint {
        return;
    }
    // A checkpoint is due at the tenth version.
    for version in 1..=10 {
        place.write(&format!("t/_delta_log/{version:020}.json"), r#"{"commitInfo":{"timestamp":1700000000000,"operation":"TEST"}}"#);
    }
    let problems = place.runtime.block_on(table(place).settle(Version(10)));
    assert!(problems.is_empty(), "{problems:?}");
    for version in 0..10 {
        std::fs::remove_file(place.path(&format!("t/_delta_log/{version:020}.json"))).unwrap();
    }
}
