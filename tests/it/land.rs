//! Scripted answers to commits: unknown keeps files, lost deletes them, found has landed (P2).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use otf::commit::{Answer, State};
use otf::engine::{RewriteTask, Rewriter, Rewritten};
use otf::error::{Error, Result};
use otf::formats::{Defaults, FormatName, OutputWishes, Table, TableVersion};
use otf::location::Location;
use otf::model::{
    At, Change, DataFile, FileFormat, FileStats, GroupChange, Intent, NewFile, OperationId, OutputSpec, Partition, ReadSpec, RowDeletes,
    Schema, Snapshot, Version,
};
use otf::ops::Parts;
use otf::ops::land::{Landing, Patience, land};
use otf::store::Store;
use otf::units::{Bytes, Timestamp};

use crate::support::{Alone, OneStore, Remarks, TestClock};

/// The table's newest version, whether our commit is found in it, and which groups hold there.
type Load = (i64, Option<Version>, Vec<bool>);

/// What the table does, one entry an attempt or a load.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    loads: Mutex<VecDeque<Load>>,
}

struct ScriptedTable(Arc<Script>, Location);
struct ScriptedVersion(Arc<Script>, Snapshot, Option<Version>, Vec<bool>);

fn snapshot(version: i64) -> Snapshot {
    Snapshot {
        location: place("t"),
        version: Some(Version(version)),
        time: None,
        schema: Schema::default(),
        partitioning: Vec::new(),
        properties: Default::default(),
        protocol: String::new(),
        features: Vec::new(),
        versions_kept: None,
    }
}

fn place(path: &str) -> Location {
    Location::parse(&format!("memory:///{path}")).unwrap()
}

#[async_trait]
impl Table for ScriptedTable {
    fn format(&self) -> FormatName {
        FormatName::Delta
    }
    fn location(&self) -> &Location {
        &self.1
    }
    async fn load(&self) -> Result<Arc<dyn TableVersion>> {
        let (version, found, holds) = self.0.loads.lock().unwrap().pop_front().ok_or_else(|| Error::unavailable("no load scripted"))?;
        Ok(Arc::new(ScriptedVersion(Arc::clone(&self.0), snapshot(version), found, holds)))
    }
    async fn load_at(&self, _at: &At) -> Result<Arc<dyn TableVersion>> {
        Err(Error::bug("not scripted"))
    }
    async fn settle(&self, _version: Version) -> Vec<Error> {
        Vec::new()
    }
}

#[async_trait]
impl TableVersion for ScriptedVersion {
    fn snapshot(&self) -> &Snapshot {
        &self.1
    }
    fn defaults(&self) -> Defaults {
        Defaults { target_file_size: Bytes::mib(1), commit_attempts: 4, min_wait_ms: 1, max_wait_ms: 10, total_wait_ms: 1_000 }
    }
    fn rewritable(&self) -> Result<()> {
        Ok(())
    }
    fn files(&self, _with_stats: bool) -> BoxStream<'_, Result<DataFile>> {
        futures::stream::empty().boxed()
    }
    async fn row_deletes(&self, files: &[DataFile]) -> Result<Vec<RowDeletes>> {
        Ok(vec![RowDeletes::None; files.len()])
    }
    fn reading(&self) -> Result<ReadSpec> {
        Err(Error::bug("not scripted"))
    }
    fn output(&self, _partition: &Arc<Partition>, _wishes: &OutputWishes) -> Result<OutputSpec> {
        Err(Error::bug("not scripted"))
    }
    async fn still_holds(&self, _change: &Change) -> Result<Vec<bool>> {
        Ok(self.3.clone())
    }
    async fn offer(&self, _change: &Change, _now: Timestamp) -> Answer {
        self.0.answers.lock().unwrap().pop_front().unwrap_or_else(|| Answer::Rejected(Error::bug("no answer scripted")))
    }
    async fn find(&self, _operation: &OperationId, _part: u32, _since: Option<Version>) -> Result<Option<Version>> {
        Ok(self.2)
    }
    fn metadata_folders(&self) -> Vec<Location> {
        Vec::new()
    }
    fn data_folders(&self) -> Vec<Location> {
        Vec::new()
    }
}

pub(crate) struct NoEngine;

#[async_trait]
impl Rewriter for NoEngine {
    async fn rewrite(&self, _task: RewriteTask) -> Result<Rewritten> {
        Err(Error::bug("not scripted"))
    }
    async fn stored_rows(&self, _file: &DataFile) -> Result<u64> {
        Err(Error::bug("not scripted"))
    }
}

fn group(n: usize) -> GroupChange {
    let old = DataFile { rows: Some(7), ..DataFile::bare(place(&format!("t/old{n}")), FileFormat::Parquet, Bytes(1)) };
    let new = NewFile {
        location: place(&format!("t/new{n}")),
        size: Bytes(1),
        rows: 7,
        partition: Arc::default(),
        stats: FileStats::default(),
        split_offsets: vec![4],
    };
    GroupChange { removes: vec![old], live_rows: 7, adds: vec![new], ..GroupChange::default() }
}

/// Lands a change of two groups; returns how it ended and which of the new files are still there.
fn landed(answers: Vec<Answer>, loads: Vec<Load>, attempts: u32) -> (Landing, Vec<bool>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), loads: Mutex::new(loads.into()) });
    let store = Store::new(Arc::new(OneStore(Arc::new(InMemory::new()))));
    futures::executor::block_on(async {
        for n in 0..2 {
            store.put(&place(&format!("t/new{n}")), "x".into()).await.unwrap();
        }
        let (clock, progress) = (TestClock::default(), Remarks::default());
        let parts = Parts { store: &store, engine: &NoEngine, clock: &clock, progress: &progress, processes: &Alone(1) };
        let table = ScriptedTable(Arc::clone(&script), place("t"));
        let base: Arc<dyn TableVersion> = Arc::new(ScriptedVersion(Arc::clone(&script), snapshot(5), None, vec![]));
        let change = Change {
            operation: OperationId("operation".into()),
            part: 0,
            base: Some(Version(5)),
            intent: Intent::Rearrange,
            groups: vec![group(0), group(1)],
            drop_dangling_deletes: false,
        };
        let landing = land(&table, base, change, Patience { attempts, min_wait_ms: 1, max_wait_ms: 4, total_wait_ms: 1_000 }, parts).await;
        let mut there = Vec::new();
        for n in 0..2 {
            there.push(store.head(&place(&format!("t/new{n}"))).await.is_ok());
        }
        (landing, there)
    })
}

fn silence() -> Answer {
    Answer::Silence(Error::unavailable("no answer"))
}

#[test]
fn what_landed_keeps_its_files() {
    let (landing, there) = landed(vec![Answer::Ours(Version(6))], vec![], 4);
    assert_eq!((landing.end, there), (State::Landed(Version(6)), vec![true, true]));
}

#[test]
fn after_silence_the_commit_is_found_in_the_history() {
    let (landing, there) = landed(vec![silence()], vec![(7, Some(Version(6)), vec![])], 4);
    assert_eq!((landing.end, there), (State::Landed(Version(6)), vec![true, true]));
}

#[test]
fn after_silence_on_a_free_place_the_outcome_is_unknown_and_nothing_is_deleted() {
    let (landing, there) = landed(vec![silence()], vec![(5, None, vec![])], 4);
    assert_eq!((landing.end, there), (State::Unknown, vec![true, true]));
    assert_eq!(landing.error.unwrap().kind().exit_status(), 75);
    let (landing, there) = landed(vec![silence()], vec![], 4);
    assert_eq!((landing.end, there), (State::Unknown, vec![true, true]));
}

#[test]
fn a_taken_place_drops_only_the_groups_that_were_hit() {
    let (landing, there) = landed(vec![Answer::Taken, Answer::Ours(Version(7))], vec![(6, None, vec![false, true])], 4);
    assert_eq!((landing.end, there), (State::Landed(Version(7)), vec![false, true]));
    assert_eq!((landing.groups.len(), landing.hit.len()), (1, 1));
}

#[test]
fn when_every_attempt_is_taken_the_files_are_deleted() {
    let loads = vec![(6, None, vec![true, true])];
    let (landing, there) = landed(vec![Answer::Taken, Answer::Taken], loads, 2);
    assert_eq!((landing.end, there), (State::Lost, vec![false, false]));
    assert_eq!(landing.error.unwrap().kind(), otf::error::Kind::Conflict);
}

#[test]
fn silence_on_a_place_that_another_took_is_tried_again() {
    let loads = vec![(6, None, vec![]), (6, None, vec![true, true])];
    let (landing, there) = landed(vec![silence(), Answer::Ours(Version(7))], loads, 4);
    assert_eq!((landing.end, there), (State::Landed(Version(7)), vec![true, true]));
}

#[test]
fn a_change_that_would_lose_rows_is_never_offered() {
    let script = landed_with_rows(6);
    assert_eq!(script.0.error.unwrap().kind(), otf::error::Kind::Bug);
    assert_eq!(script.1, vec![false]);
}

fn landed_with_rows(rows: u64) -> (Landing, Vec<bool>) {
    let script = Arc::new(Script::default());
    let store = Store::new(Arc::new(OneStore(Arc::new(InMemory::new()))));
    futures::executor::block_on(async {
        store.put(&place("t/new0"), "x".into()).await.unwrap();
        let (clock, progress) = (TestClock::default(), Remarks::default());
        let parts = Parts { store: &store, engine: &NoEngine, clock: &clock, progress: &progress, processes: &Alone(1) };
        let table = ScriptedTable(Arc::clone(&script), place("t"));
        let base: Arc<dyn TableVersion> = Arc::new(ScriptedVersion(script, snapshot(5), None, vec![]));
        let mut group = group(0);
        group.adds[0].rows = rows;
        let change = Change {
            operation: OperationId("operation".into()),
            part: 0,
            base: Some(Version(5)),
            intent: Intent::Rearrange,
            groups: vec![group],
            drop_dangling_deletes: false,
        };
        let landing =
            land(&table, base, change, Patience { attempts: 4, min_wait_ms: 1, max_wait_ms: 4, total_wait_ms: 1_000 }, parts).await;
        let there = store.head(&place("t/new0")).await.is_ok();
        (landing, vec![there])
    })
}

/// A clock that notes how long it is waited on, and stands still otherwise.
#[derive(Default)]
struct PatientClock(Mutex<Vec<u64>>);

#[async_trait]
impl otf::ops::Clock for PatientClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.0.lock().unwrap().iter().sum::<u64>()).unwrap())
    }
    async fn wait_ms(&self, ms: u64) {
        self.0.lock().unwrap().push(ms);
    }
}

/// Loses every race under these terms; returns how often the change was offered, and the waits between.
fn always_beaten(patience: Patience) -> (usize, Vec<u64>) {
    let (answers, loads) = ((0..50).map(|_| Answer::Taken).collect(), (6..56).map(|version| (version, None, vec![true])).collect());
    let script = Arc::new(Script { answers: Mutex::new(answers), loads: Mutex::new(loads) });
    let store = Store::new(Arc::new(OneStore(Arc::new(InMemory::new()))));
    let (clock, progress) = (PatientClock::default(), Remarks::default());
    let parts = Parts { store: &store, engine: &NoEngine, clock: &clock, progress: &progress, processes: &Alone(1) };
    let table = ScriptedTable(Arc::clone(&script), place("t"));
    let base: Arc<dyn TableVersion> = Arc::new(ScriptedVersion(Arc::clone(&script), snapshot(5), None, vec![]));
    let change = Change {
        operation: OperationId("operation".into()),
        part: 0,
        base: Some(Version(5)),
        intent: Intent::Rearrange,
        groups: vec![group(0)],
        drop_dangling_deletes: false,
    };
    let landing = futures::executor::block_on(land(&table, base, change, patience, parts));
    assert_eq!(landing.end, State::Lost);
    let offered = 50 - script.answers.lock().unwrap().len();
    (offered, clock.0.into_inner().unwrap())
}

#[test]
fn a_lost_race_is_run_again_as_often_and_as_patiently_as_the_table_says() {
    let terms = Patience { attempts: 5, min_wait_ms: 10, max_wait_ms: 25, total_wait_ms: 1_000 };
    assert_eq!(always_beaten(terms), (5, vec![10, 20, 25, 25]));
    assert_eq!(always_beaten(Patience { attempts: 1, ..terms }), (1, vec![]));
    assert_eq!(always_beaten(Patience { attempts: 0, ..terms }), (1, vec![]));
    assert_eq!(always_beaten(Patience { total_wait_ms: 25, ..terms }), (3, vec![10, 20]));
}
