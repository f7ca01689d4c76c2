//! Others write while a compaction runs: what still holds lands, what was hit is planned again, and no row is lost, doubled or brought back (P1).

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object_store::ObjectStore;
use otf::engine::{RewriteTask, Rewriter, Rewritten};
use otf::error::Result;
use otf::model::{DataFile, RowDeletes, Version};
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};
use otf::units::Bytes;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use crate::support::delta_table;
use crate::support::workbench::{Objects, Original, line, objects, runtime};

/// What another writer does, once.
type Deed = Pin<Box<dyn Future<Output = ()>>>;

/// An engine that lets another writer in after its first group: everything is planned by then, and nothing is offered yet.
struct Interrupted {
    engine: Box<dyn Rewriter>,
    gate: Arc<Gate>,
}

/// Where one side waits for the other.
#[derive(Default)]
struct Gate {
    passed: AtomicBool,
    reached: Notify,
    open: Notify,
}

#[async_trait]
impl Rewriter for Interrupted {
    async fn rewrite(&self, task: RewriteTask) -> Result<Rewritten> {
        let done = self.engine.rewrite(task).await;
        if !self.gate.passed.swap(true, Ordering::Relaxed) {
            self.gate.reached.notify_one();
            self.gate.open.notified().await;
        }
        done
    }

    async fn stored_rows(&self, file: &DataFile) -> Result<u64> {
        self.engine.stored_rows(file).await
    }

    async fn locate_deletes(&self, files: &[(DataFile, RowDeletes)]) -> Result<Vec<RowDeletes>> {
        self.engine.locate_deletes(files).await
    }
}

/// A table with two racers.
struct Race {
    original: Arc<Original>,
    table: Arc<dyn ObjectStore>,
    options: Options,
}

impl Race {
    async fn on(original: Original, options: Options) -> Self {
        let table = original.lay_out().await;
        Self { original: Arc::new(original), table, options }
    }

    /// Six files in two partitions, in versions 1 to 6.
    async fn delta() -> Self {
        let options = Options { min_input_files: Some(2), max_concurrent_groups: Some(1), ..Options::default() };
        Self::on(Original::delta("/t", 6).await, options).await
    }

    /// Three files with deletes, each a group of its own.
    async fn iceberg(fixture: &str) -> Self {
        Self::on(Original::iceberg(fixture).await, each_file_alone()).await
    }

    /// Compacts; `deed` is done when the first group is written.
    async fn compact_during(&self, deed: Deed) -> Finished {
        let gate = Arc::new(Gate::default());
        let other = async {
            gate.reached.notified().await;
            deed.await;
            gate.open.notify_one();
        };
        let wrap = |engine| -> Box<dyn Rewriter> { Box::new(Interrupted { engine, gate: Arc::clone(&gate) }) };
        let first = self.original.compact_with(&self.table, 1, "first-operation", &self.options, wrap);
        futures::future::join(first, other).await.0.unwrap()
    }

    /// Puts an object beside the running compaction.
    fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Deed {
        self.puts(vec![(name.to_string(), bytes.into())])
    }

    fn puts(&self, all: Vec<(String, Vec<u8>)>) -> Deed {
        let (original, table) = (Arc::clone(&self.original), Arc::clone(&self.table));
        Box::pin(async move {
            for (name, bytes) in all {
                original.put_new(&table, &name, bytes).await;
            }
        })
    }

    /// A whole compaction beside the running one.
    fn second_compaction(&self, options: Options) -> Deed {
        let (original, table) = (Arc::clone(&self.original), Arc::clone(&self.table));
        Box::pin(async move {
            let finished = original.compact(&table, 1, "second-operation", &options).await.unwrap();
            assert_eq!(finished.outcome, Outcome::Landed);
        })
    }

    /// The table holds exactly these rows, and every file is one that a version names.
    async fn assert_holds(&self, mut rows: Vec<String>) {
        rows.sort();
        assert_eq!(self.original.read(&self.table).await, rows);
        let now = self.objects().await;
        let there: BTreeSet<String> = now.keys().cloned().collect();
        let named = self.original.named(&now).await;
        assert_eq!(there.symmetric_difference(&named).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    async fn objects(&self) -> Objects {
        objects(&self.table, &self.original.root).await
    }

    async fn live_files(&self) -> Vec<String> {
        self.original.live_files(&self.table).await
    }

    fn rows(&self) -> Vec<String> {
        self.original.rows.clone()
    }

    /// The metadata file `name` of an Iceberg table.
    async fn metadata(&self, name: &str) -> Json {
        serde_json::from_slice(&self.objects().await[&format!("metadata/{name}.metadata.json")]).unwrap()
    }
}

/// Rewrites every file with deletes on its own.
fn each_file_alone() -> Options {
    Options { delete_file_threshold: Some(1), max_group_size: Some(Bytes(1000)), max_concurrent_groups: Some(1), ..Options::default() }
}

fn versions(numbers: &[i64]) -> Vec<Version> {
    numbers.iter().copied().map(Version).collect()
}

/// Groups done, groups hit, files removed, files added.
fn work(finished: &Finished) -> (u64, u64, u64, u64) {
    let report = &finished.report;
    (report.groups_done, report.groups_conflicted, report.files_removed, report.files_added)
}

fn commit(actions: &[Json]) -> Vec<u8> {
    actions.iter().map(|action| format!("{action}\n")).collect::<String>().into_bytes()
}

/// The entry of the version after the six files.
const NEXT: &str = "_delta_log/00000000000000000007.json";

/// Without the row with this id.
fn without(rows: Vec<String>, gone: impl Fn(&str) -> bool) -> Vec<String> {
    rows.into_iter().filter(|row| !gone(row)).collect()
}

#[test]
fn an_append_beside_a_delta_compaction_is_kept() {
    runtime().block_on(async {
        let race = Race::delta().await;
        let bytes = delta_table::parquet_of(&[(900, "appended".into())]);
        let add = json!({"add": {"path": "p=a/new.parquet", "partitionValues": {"p": "a"}, "size": bytes.len(), "modificationTime": 0,
            "dataChange": true, "stats": "{\"numRecords\":1}"}});
        let deed = race.puts(vec![("p=a/new.parquet".into(), bytes), (NEXT.into(), commit(&[add]))]);
        let finished = race.compact_during(deed).await;
        assert_eq!((finished.outcome, finished.versions.clone()), (Outcome::Landed, versions(&[8])));
        assert_eq!(work(&finished), (2, 0, 6, 2));
        let files =
            ["p=a/new.parquet", "p=a/part-00000-first-operation-p0-00000.parquet", "p=b/part-00001-first-operation-p0-00000.parquet"];
        assert_eq!(race.live_files().await, files);
        let rows = [race.rows(), vec![line("p=a", 900, "appended", None)]].concat();
        race.assert_holds(rows).await;
    });
}

#[test]
fn rows_deleted_beside_a_delta_compaction_stay_deleted() {
    runtime().block_on(async {
        let race = Race::delta().await;
        // File 2 has no vector yet: another writer deletes its first row.
        let size = race.original.objects["p=a/file-2.parquet"].len();
        let remove = json!({"remove": {"path": "p=a/file-2.parquet", "deletionTimestamp": 0, "dataChange": true}});
        let add = json!({"add": {"path": "p=a/file-2.parquet", "partitionValues": {"p": "a"}, "size": size, "modificationTime": 0,
            "dataChange": true, "stats": "{\"numRecords\":5}", "deletionVector": delta_table::inline_vector(&[0])}});
        let finished = race.compact_during(race.put(NEXT, commit(&[remove, add]))).await;
        assert_eq!((finished.outcome, finished.versions.clone()), (Outcome::Landed, versions(&[8, 9])));
        assert_eq!(work(&finished), (2, 1, 6, 2));
        let files = ["p=a/part-00000-first-operation-p1-00000.parquet", "p=b/part-00001-first-operation-p0-00000.parquet"];
        assert_eq!(race.live_files().await, files);
        race.assert_holds(without(race.rows(), |row| row.contains("name 2/0"))).await;
    });
}

#[test]
fn a_file_removed_beside_a_delta_compaction_stays_removed() {
    runtime().block_on(async {
        let race = Race::delta().await;
        let remove = json!({"remove": {"path": "p=a/file-2.parquet", "deletionTimestamp": 0, "dataChange": true}});
        let finished = race.compact_during(race.put(NEXT, commit(&[remove]))).await;
        assert_eq!((finished.outcome, finished.versions.clone()), (Outcome::Landed, versions(&[8, 9])));
        assert_eq!(work(&finished), (2, 1, 5, 2));
        race.assert_holds(without(race.rows(), |row| row.contains("name 2/"))).await;
    });
}

#[test]
fn a_column_added_beside_a_delta_compaction_is_kept_and_everything_is_planned_again() {
    runtime().block_on(async {
        let race = Race::delta().await;
        let first = std::str::from_utf8(&race.original.objects["_delta_log/00000000000000000000.json"]).unwrap().to_string();
        let mut metadata: Json = serde_json::from_str(first.lines().nth(1).unwrap()).unwrap();
        let mut schema: Json = serde_json::from_str(metadata["metaData"]["schemaString"].as_str().unwrap()).unwrap();
        let column = json!({"name": "added", "type": "long", "nullable": true, "metadata": {}});
        schema["fields"].as_array_mut().unwrap().push(column);
        metadata["metaData"]["schemaString"] = schema.to_string().into();
        let finished = race.compact_during(race.put(NEXT, commit(&[metadata]))).await;
        assert_eq!((finished.outcome, finished.versions.clone()), (Outcome::Landed, versions(&[8])));
        assert_eq!(work(&finished), (2, 2, 6, 2));
        assert_eq!(race.live_files().await.len(), 2);
        race.assert_holds(race.rows()).await;
    });
}

#[test]
fn of_two_delta_compactions_planned_on_one_version_one_lands() {
    runtime().block_on(async {
        let race = Race::delta().await;
        let finished = race.compact_during(race.second_compaction(race.options.clone())).await;
        assert_eq!((finished.outcome, finished.versions.clone()), (Outcome::NothingToDo, versions(&[])));
        assert_eq!(work(&finished), (0, 2, 0, 0));
        let files = ["p=a/part-00000-second-operation-p0-00000.parquet", "p=b/part-00001-second-operation-p0-00000.parquet"];
        assert_eq!(race.live_files().await, files);
        race.assert_holds(race.rows()).await;
    });
}

/// The number of the call by which a compaction claims its first version.
async fn claim(original: &Original, options: &Options, log: &str) -> u64 {
    let rehearsal = Faults::none();
    original.compact(&rehearsal.over(original.lay_out().await), 1, "first-operation", options).await.unwrap();
    let is_claim = |name: &str| name.ends_with(log);
    let at = rehearsal.calls().iter().position(|call| call.operation == "claim" && is_claim(&call.key)).unwrap();
    at as u64 + 1
}

/// A compaction is held when it has done everything but claim its version; another one runs from start to end; then the first goes on.
async fn claims_cross(race: &Race, log: &str) -> Finished {
    let faults = Faults::at(claim(&race.original, &race.options, log).await, Fault::Hold);
    let held = faults.over(Arc::clone(&race.table));
    let first = race.original.compact(&held, 1, "first-operation", &race.options);
    let other = async {
        faults.until_held().await;
        race.second_compaction(race.options.clone()).await;
        faults.release();
    };
    futures::future::join(first, other).await.0.unwrap()
}

#[test]
fn of_two_delta_compactions_that_claim_one_version_one_lands() {
    runtime().block_on(async {
        let race = Race::delta().await;
        let finished = claims_cross(&race, "00000000000000000007.json").await;
        assert_eq!((finished.outcome, work(&finished)), (Outcome::NothingToDo, (0, 2, 0, 0)));
        assert_eq!(race.live_files().await.len(), 2);
        assert_eq!(race.objects().await.keys().filter(|name| name.ends_with(".json")).count(), 8);
        race.assert_holds(race.rows()).await;
    });
}

#[test]
fn of_two_iceberg_compactions_that_claim_one_version_one_lands() {
    for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
        runtime().block_on(async {
            let race = Race::iceberg(fixture).await;
            let finished = claims_cross(&race, "v4.metadata.json").await;
            assert_eq!((finished.outcome, work(&finished)), (Outcome::NothingToDo, (0, 3, 0, 0)));
            let files = race.live_files().await;
            assert!(files.len() == 3 && files.iter().all(|name| name.contains("second-operation")), "{files:?}");
            assert!(!race.objects().await.contains_key("metadata/v5.metadata.json"));
            race.assert_holds(race.rows()).await;
        });
    }
}

#[test]
fn an_iceberg_compaction_keeps_the_groups_that_another_one_did_not_hit() {
    for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
        runtime().block_on(async {
            let race = Race::iceberg(fixture).await;
            let other = race.second_compaction(Options { max_files: Some(1), ..each_file_alone() });
            let finished = race.compact_during(other).await;
            assert_eq!((finished.outcome, finished.versions.len()), (Outcome::Landed, 1));
            assert_eq!(work(&finished), (2, 1, 2, 2));
            let files = [
                "data/part-00000-second-operation-p0-00000.parquet",
                "data/part-00001-first-operation-p0-00000.parquet",
                "data/part-00002-first-operation-p0-00000.parquet",
            ];
            assert_eq!(race.live_files().await, files);
            assert!(race.objects().await.contains_key("metadata/v5.metadata.json"));
            race.assert_holds(race.rows()).await;
        });
    }
}

/// Spark's own delete, taken from the fixture's history, comes between plan and commit.
#[test]
fn rows_deleted_beside_an_iceberg_compaction_stay_deleted() {
    for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
        runtime().block_on(async {
            let options = Options { min_input_files: Some(2), max_concurrent_groups: Some(1), ..Options::default() };
            let race = Race::on(Original::iceberg_before_its_delete(fixture).await, options).await;
            let delete = Original::fixture_file(fixture, "metadata/v3.metadata.json");
            let finished = race.compact_during(race.put("metadata/v3.metadata.json", delete)).await;
            assert_eq!((finished.outcome, finished.versions.len()), (Outcome::Landed, 1));
            assert_eq!(work(&finished), (1, 1, 3, 1));
            assert_eq!(race.live_files().await, ["data/part-00000-first-operation-p1-00000.parquet"]);
            let dead = |row: &str| row.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() % 4 == 0;
            race.assert_holds(without(race.rows(), dead)).await;
        });
    }
}

/// A property and a column come between plan and commit: the compaction lands on top and takes neither back.
#[test]
fn metadata_changed_beside_an_iceberg_compaction_is_kept() {
    for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
        runtime().block_on(async {
            let race = Race::iceberg(fixture).await;
            let mut metadata = race.metadata("v3").await;
            metadata["properties"]["comment"] = "changed".into();
            let mut schema = metadata["schemas"][0].clone();
            schema["schema-id"] = 1.into();
            schema["fields"].as_array_mut().unwrap().push(json!({"id": 3, "name": "added", "required": false, "type": "long"}));
            metadata["schemas"].as_array_mut().unwrap().push(schema);
            metadata["current-schema-id"] = 1.into();
            metadata["last-column-id"] = 3.into();
            let finished = race.compact_during(race.put("metadata/v4.metadata.json", metadata.to_string())).await;
            assert_eq!((finished.outcome, finished.versions.len()), (Outcome::Landed, 1));
            assert_eq!(work(&finished), (3, 0, 3, 3));
            let after = race.metadata("v5").await;
            assert_eq!((after["properties"]["comment"].as_str(), after["current-schema-id"].as_i64()), (Some("changed"), Some(1)));
            race.assert_holds(race.rows()).await;
        });
    }
}
