//! Scripted answers to changes of metadata: what landed is recognised by what it leaves behind, and what is forbidden meanwhile is not offered (P2).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use otf::commit::{Answer, State};
use otf::error::{Error, Kind, Result};
use otf::formats::{Defaults, FormatName, OutputWishes, Table, TableVersion};
use otf::location::Location;
use otf::model::{
    At, Change, DataFile, OperationId, OutputSpec, Partition, ReadSpec, RowDeletes, Schema, Snapshot, Upkeep, UpkeepKind, Version,
};
use otf::ops::Parts;
use otf::ops::land::Patience;
use otf::ops::land_upkeep::{Decide, UpkeepLanding, land_upkeep};
use otf::store::Store;
use otf::units::{Bytes, Timestamp};

use crate::land::NoEngine;
use crate::support::{Alone, OneStore, Remarks, TestClock};

/// What is to be decided on a version.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Nothing is left to do.
    Done,
    /// The change is to be offered.
    Offer,
    /// Something is in the way.
    Forbidden,
}

/// The table's newest version, its state, whether our version is found in it, and what is decided there.
#[derive(Debug, Clone, Copy)]
struct Load {
    version: i64,
    state: &'static str,
    found: Found,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy)]
enum Found {
    Nothing,
    Ours(i64),
    /// The history does not reach back far enough to tell.
    Untold,
}

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    loads: Mutex<VecDeque<Load>>,
    offered_on: Mutex<Vec<&'static str>>,
}

struct ScriptedTable(Arc<Script>, Location);
struct ScriptedVersion(Arc<Script>, Snapshot, Load);

fn version(script: &Arc<Script>, load: Load) -> Arc<dyn TableVersion> {
    let snapshot = Snapshot {
        location: Location::parse("memory:///t").unwrap(),
        version: Some(Version(load.version)),
        time: None,
        schema: Schema::default(),
        partitioning: Vec::new(),
        properties: Default::default(),
        protocol: String::new(),
        features: Vec::new(),
        versions_kept: None,
    };
    Arc::new(ScriptedVersion(Arc::clone(script), snapshot, load))
}

#[async_trait]
impl Table for ScriptedTable {
    fn format(&self) -> FormatName {
        FormatName::Iceberg
    }
    fn location(&self) -> &Location {
        &self.1
    }
    async fn load(&self) -> Result<Arc<dyn TableVersion>> {
        let load = self.0.loads.lock().unwrap().pop_front().ok_or_else(|| Error::unavailable("no load scripted"))?;
        Ok(version(&self.0, load))
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
    fn state_id(&self) -> String {
        self.2.state.to_string()
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
        Err(Error::bug("not scripted"))
    }
    async fn offer(&self, _change: &Change, _now: Timestamp) -> Answer {
        Answer::Rejected(Error::bug("not scripted"))
    }
    async fn offer_upkeep(&self, _upkeep: &Upkeep, _now: Timestamp) -> Answer {
        self.0.offered_on.lock().unwrap().push(self.2.state);
        self.0.answers.lock().unwrap().pop_front().unwrap_or_else(|| Answer::Rejected(Error::bug("no answer scripted")))
    }
    async fn find(&self, _operation: &OperationId, _part: u32, since: Option<Version>) -> Result<Option<Version>> {
        assert_eq!(since, Some(Version(5)));
        match self.2.found {
            Found::Nothing => Ok(None),
            Found::Ours(version) => Ok(Some(Version(version))),
            Found::Untold => Err(Error::unavailable("history is incomplete")),
        }
    }
    fn metadata_folders(&self) -> Vec<Location> {
        Vec::new()
    }
    fn data_folders(&self) -> Vec<Location> {
        Vec::new()
    }
}

/// Decides what the script says.
struct Scripted(UpkeepKind, Vec<(&'static str, Verdict)>);

#[async_trait]
impl Decide for Scripted {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        match self.1.iter().find(|(state, _)| *state == version.state_id()).unwrap().1 {
            Verdict::Done => Ok(None),
            Verdict::Offer => Ok(Some(Upkeep { operation: OperationId("operation".into()), part: 0, kind: self.0.clone() })),
            Verdict::Forbidden => Err(Error::refused("something is in the way")),
        }
    }
}

/// The version that the run begins on, where the change is to be offered.
const BASE: Load = Load { version: 5, state: "base", found: Found::Nothing, verdict: Verdict::Offer };

/// Lands a change of this kind; returns how it ended and on which states it was offered.
fn landed(kind: UpkeepKind, base: Load, answers: Vec<Answer>, loads: &[Load], attempts: u32) -> (UpkeepLanding, Vec<&'static str>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), loads: Mutex::new(loads.to_vec().into()), ..Script::default() });
    let verdicts = std::iter::once(&base).chain(loads).map(|load| (load.state, load.verdict)).collect();
    let decide = Scripted(kind, verdicts);
    let store = Store::new(Arc::new(OneStore(Arc::new(InMemory::new()))));
    let (clock, progress) = (TestClock::default(), Remarks::default());
    let parts = Parts { store: &store, engine: &NoEngine, clock: &clock, progress: &progress, processes: &Alone(1) };
    let table = ScriptedTable(Arc::clone(&script), Location::parse("memory:///t").unwrap());
    let patience = Patience { attempts, min_wait_ms: 1, max_wait_ms: 4, total_wait_ms: 1_000 };
    let landing = futures::executor::block_on(land_upkeep(&table, version(&script, base), &decide, patience, parts));
    let offered = script.offered_on.lock().unwrap().clone();
    (landing, offered)
}

/// A change that makes no version, and one that does.
fn kinds() -> [UpkeepKind; 2] {
    [UpkeepKind::DropReference("x".into()), UpkeepKind::Restore(Version(3))]
}

fn silence() -> Answer {
    Answer::Silence(Error::unavailable("no answer"))
}

#[test]
fn where_nothing_is_left_to_do_nothing_is_offered() {
    for kind in kinds() {
        let (landing, offered) = landed(kind, Load { verdict: Verdict::Done, ..BASE }, vec![], &[], 4);
        assert_eq!((landing.end, offered.len(), landing.offered.is_none()), (State::Landed(Version(5)), 0, true));
    }
}

#[test]
fn what_is_forbidden_at_once_is_never_offered() {
    let (landing, offered) = landed(kinds()[0].clone(), Load { verdict: Verdict::Forbidden, ..BASE }, vec![], &[], 4);
    assert_eq!((landing.end, offered.len(), landing.error.unwrap().kind()), (State::Lost, 0, Kind::Refused));
}

#[test]
fn what_landed_has_landed() {
    let (landing, offered) = landed(kinds()[0].clone(), BASE, vec![Answer::Ours(Version(5))], &[], 4);
    assert_eq!((landing.end, offered), (State::Landed(Version(5)), vec!["base"]));
}

#[test]
fn after_silence_a_change_is_known_by_what_it_left_behind() {
    for kind in kinds() {
        let now = Load { version: 3, state: "next", found: Found::Nothing, verdict: Verdict::Done };
        let (landing, offered) = landed(kind.clone(), BASE, vec![silence()], &[now], 4);
        assert_eq!((landing.end, offered), (State::Landed(Version(3)), vec!["base"]), "{kind:?}");
        // A rollback leaves the line of history that the run began on: that says nothing against it.
        let (landing, _) = landed(kind.clone(), BASE, vec![silence()], &[Load { found: Found::Untold, ..now }], 1);
        assert_eq!(landing.end, State::Landed(Version(3)), "{kind:?}");
    }
}

#[test]
fn after_silence_a_version_is_found_in_the_history_though_others_came_after_it() {
    let now = Load { version: 9, state: "next", found: Found::Ours(8), verdict: Verdict::Offer };
    let (landing, _) = landed(kinds()[1].clone(), BASE, vec![silence()], &[now], 4);
    assert_eq!(landing.end, State::Landed(Version(8)));
}

#[test]
fn after_silence_on_a_free_place_the_outcome_is_unknown() {
    for kind in kinds() {
        let (landing, offered) = landed(kind.clone(), BASE, vec![silence()], &[BASE], 4);
        assert_eq!((landing.end, offered), (State::Unknown, vec!["base"]), "{kind:?}");
        let error = landing.error.unwrap();
        assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "the outcome of the commit is unknown; nothing was deleted"));
        // Nor is it known where the table cannot be read.
        let (landing, _) = landed(kind, BASE, vec![silence()], &[], 4);
        assert_eq!(landing.end, State::Unknown);
    }
}

#[test]
fn silence_on_a_place_that_another_took_is_offered_again() {
    for kind in kinds() {
        let next = Load { version: 6, state: "next", ..BASE };
        let (landing, offered) = landed(kind.clone(), BASE, vec![silence(), Answer::Ours(Version(6))], &[next, next], 4);
        assert_eq!((landing.end, offered), (State::Landed(Version(6)), vec!["base", "next"]), "{kind:?}");
    }
}

#[test]
fn where_the_history_does_not_tell_and_something_is_left_to_do_the_outcome_is_unknown() {
    let next = Load { version: 6, state: "next", found: Found::Untold, verdict: Verdict::Offer };
    let (landing, offered) = landed(kinds()[1].clone(), BASE, vec![silence()], &[next], 4);
    assert_eq!((landing.end, offered), (State::Unknown, vec!["base"]));
    let forbidden = Load { verdict: Verdict::Forbidden, ..next };
    let (landing, _) = landed(kinds()[0].clone(), BASE, vec![silence()], &[forbidden], 4);
    assert_eq!(landing.end, State::Unknown);
}

#[test]
fn a_taken_place_is_decided_anew() {
    for kind in kinds() {
        let next = Load { version: 6, state: "next", ..BASE };
        let (landing, offered) = landed(kind.clone(), BASE, vec![Answer::Taken, Answer::Ours(Version(6))], &[next], 4);
        assert_eq!((landing.end, offered), (State::Landed(Version(6)), vec!["base", "next"]), "{kind:?}");
        // Another did it meanwhile.
        let done = Load { verdict: Verdict::Done, ..next };
        let (landing, offered) = landed(kind.clone(), BASE, vec![Answer::Taken], &[done], 4);
        assert_eq!((landing.end, offered), (State::Landed(Version(6)), vec!["base"]), "{kind:?}");
        // Another made it impossible.
        let forbidden = Load { verdict: Verdict::Forbidden, ..next };
        let (landing, offered) = landed(kind, BASE, vec![Answer::Taken], &[forbidden], 4);
        assert_eq!((landing.end, offered, landing.error.unwrap().kind()), (State::Lost, vec!["base"], Kind::Refused));
    }
}

#[test]
fn a_race_is_lost_after_as_many_attempts_as_there_are() {
    let loads: Vec<Load> = ["a", "b", "c"].map(|state| Load { state, ..BASE }).into();
    let answers = (0..3).map(|_| Answer::Taken).collect();
    let (landing, offered) = landed(kinds()[0].clone(), BASE, answers, &loads, 3);
    assert_eq!((landing.end, offered, landing.error.unwrap().kind()), (State::Lost, vec!["base", "a", "b"], Kind::Conflict));
}

#[test]
fn what_is_turned_down_is_lost_with_its_reason() {
    let (landing, _) = landed(kinds()[0].clone(), BASE, vec![Answer::Rejected(Error::not_found("no such thing"))], &[], 4);
    assert_eq!((landing.end, landing.error.unwrap().message()), (State::Lost, "no such thing"));
    assert_eq!(landing.offered.unwrap().0.operation, OperationId("operation".into()));
}
