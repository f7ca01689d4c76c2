//! Forgetting all but the last of many snapshots: plan and run, and how they grow.
//!
//! Every snapshot adds one manifest of 100 files and lists the last 200 manifests, so that nearly every manifest and file goes. The data files are
//! not there: asking storage to delete them is measured, freeing their blocks is not.

use std::time::{Duration, Instant};

use apache_avro::Writer;
use apache_avro::types::Value;
use async_trait::async_trait;
use otf::catalog::path_table;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::model::OperationId;
use otf::ops::expire::plan::{Cutoff, Wishes};
use otf::ops::expire::{Options, run};
use otf::ops::leftovers::{Owner, Processes};
use otf::ops::{Clock, Parts, Progress};
use otf::units::{Bytes, Timestamp};
use otf::wiring::system::peak_memory_bytes;
use serde_json::{Value as Json, json};

use crate::manifests::{file_name, list, manifest, record};
use crate::places::Place;

const FILES: usize = 100;
const LISTED: usize = 200;
/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000;

struct Around;

#[async_trait]
impl Clock for Around {
    fn now(&self) -> Timestamp {
        Timestamp(NOW)
    }

    async fn wait_ms(&self, _ms: u64) {}
}

impl Progress for Around {
    fn planned(&self, _groups: usize, _bytes: Bytes) {}
    fn group_done(&self, _bytes: Bytes) {}
    fn remark(&self, _text: &str) {}
}

impl Processes for Around {
    fn current(&self) -> Owner {
        Owner { host: "here".into(), process: 1, started: 1 }
    }

    fn is_running(&self, _owner: &Owner) -> Option<bool> {
        Some(true)
    }
}

fn long(name: &'static str, n: usize) -> (&'static str, Value) {
    (name, Value::Long(i64::try_from(n).unwrap()))
}

fn int(name: &'static str, n: usize) -> (&'static str, Value) {
    (name, Value::Int(i32::try_from(n).unwrap()))
}

/// A table of `count` snapshots.
fn table(place: &Place, count: usize) {
    let schema = list();
    let mut lengths = Vec::with_capacity(count);
    let mut snapshots: Vec<Json> = Vec::with_capacity(count);
    for at in 0..count {
        let bytes = manifest(place, at * FILES..(at + 1) * FILES, 1_000_000, file_name);
        lengths.push(bytes.len());
        place.write(&format!("t/metadata/m{at}.avro"), bytes);
        let mut writer = Writer::new(&schema, Vec::new());
        for (manifest, length) in lengths.iter().enumerate().skip((at + 1).saturating_sub(LISTED)) {
            let path = place.location(&format!("t/metadata/m{manifest}.avro")).to_string();
            let mut values = vec![("manifest_path", Value::String(path)), long("manifest_length", *length)];
            values.extend([long("sequence_number", manifest + 1), long("min_sequence_number", manifest + 1)]);
            values.extend([long("added_snapshot_id", manifest + 1), int("partition_spec_id", 0), int("content", 0)]);
            values.extend([int("added_files_count", FILES), int("existing_files_count", 0), int("deleted_files_count", 0)]);
            values.extend([long("added_rows_count", FILES * 1000), long("existing_rows_count", 0), long("deleted_rows_count", 0)]);
            writer.append(record(&schema, values)).unwrap();
        }
        let name = format!("t/metadata/snap-{}.avro", at + 1);
        place.write(&name, writer.into_inner().unwrap());
        let mut snapshot = json!({"snapshot-id": at + 1, "sequence-number": at + 1, "timestamp-ms": NOW / 2 + i64::try_from(at).unwrap(),
            "schema-id": 0, "manifest-list": place.location(&name).to_string(), "summary": {"operation": "append"}});
        if at > 0 {
            snapshot["parent-snapshot-id"] = at.into();
        }
        snapshots.push(snapshot);
    }
    let metadata = json!({"format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": place.location("t").to_string(),
        "last-updated-ms": NOW / 2 + i64::try_from(count).unwrap(), "last-column-id": 1, "last-sequence-number": count, "last-partition-id": 999,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "c", "required": false, "type": "long"}]}],
        "current-schema-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0, "properties": {}, "current-snapshot-id": count,
        "refs": {"main": {"snapshot-id": count, "type": "branch"}}, "snapshots": snapshots});
    place.write("t/metadata/v1.metadata.json", metadata.to_string());
}

/// Plans, then runs; how long each took.
fn measure(count: usize) -> [Duration; 2] {
    let place = Place::new();
    table(&place, count);
    let wishes = Wishes { older_than: Some(Cutoff::Age(0)), unsafe_retention: true, ..Wishes::default() };
    let options = Options { wishes, ..Options::default() };
    place.runtime.block_on(async {
        let settings = Settings { memory: Bytes::mib(512), threads: 2, runtime: tokio::runtime::Handle::current() };
        let engine = ParquetRewriter::new(place.store.clone(), settings).unwrap();
        let parts = Parts { store: &place.store, engine: &engine, clock: &Around, progress: &Around, processes: &Around };
        let table = path_table(&place.store, place.location("t"));
        let start = Instant::now();
        let (_, _, plan) = run::plan(&table, &options, parts).await.unwrap();
        assert_eq!(
            (plan.expired.len(), plan.delete.0.values().sum::<u64>()),
            (count - 1, ((count - LISTED) * (FILES + 1) + count - 1) as u64)
        );
        let planned = start.elapsed();
        let start = Instant::now();
        let finished = run::execute(&table, &OperationId("bench-operation".into()), &options, parts).await.unwrap();
        assert_eq!((finished.report.expired.len(), finished.report.failed), (count - 1, 0));
        [planned, start.elapsed()]
    })
}

/// Growth above 1 is worse than linear in the number of snapshots.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn expire_1k_and_10k_snapshots() {
    let [few, many] = [1_000, 10_000].map(|count| {
        let took = measure(count);
        println!("\nexpire {count} snapshots: plan {:?}, run {:?}, peak {}", took[0], took[1], Bytes(peak_memory_bytes()));
        took
    });
    for (what, (few, many)) in ["plan", "run"].into_iter().zip(few.into_iter().zip(many)) {
        // Of 1,000 snapshots 800 manifests go, of 10,000 it is 9,800.
        println!("{what}: slope {:.2} per manifest that goes", many.as_secs_f64() / few.as_secs_f64() / 12.25);
    }
}
