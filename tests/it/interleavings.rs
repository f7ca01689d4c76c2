//! Another writer commits at every moment of a compaction that processes rarely hit: between plan and offer, right before the claim, between the
//! claim and its answer, and where the answer never comes. Whatever it did stays done, and nothing else happens to the rows (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};

use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, runtime};

/// When the other writer's turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Everything is planned; the first new file is being written.
    Planned,
    /// The version is about to be claimed.
    Claiming,
    /// The version is claimed, and nobody has been told.
    Claimed,
    /// As before, and nobody will be told.
    Unheard,
}

const MOMENTS: [Moment; 4] = [Moment::Planned, Moment::Claiming, Moment::Claimed, Moment::Unheard];

impl Moment {
    const fn is_after_ours(self) -> bool {
        matches!(self, Self::Claimed | Self::Unheard)
    }

    /// The call at which the compaction is held, among those of a run that nobody disturbs, and how.
    async fn fault(self, original: &Original, options: &Options) -> (u64, Fault) {
        let rehearsal = Faults::none();
        original.compact(&rehearsal.over(original.lay_out().await), 1, "first-operation", options).await.unwrap();
        let is_claim = |key: &str| key.contains("/_delta_log/") || key.ends_with(".metadata.json");
        let calls = rehearsal.calls();
        let claim = || calls.iter().position(|call| call.operation == "claim" && is_claim(&call.key));
        let upload = || calls.iter().position(|call| call.operation == "upload");
        let (at, fault) = match self {
            Self::Planned => (upload(), Fault::Hold),
            Self::Claiming => (claim(), Fault::Hold),
            Self::Claimed => (claim(), Fault::HoldAnswer),
            Self::Unheard => (claim(), Fault::HoldAndLoseAnswer),
        };
        (at.unwrap() as u64 + 1, fault)
    }
}

/// Compacts while another writer does `deed` at `moment`.
async fn interrupted(original: &Original, options: &Options, deed: Deed, moment: Moment) {
    let case = format!("{deed:?} at {moment:?}");
    let (call, fault) = moment.fault(original, options).await;
    let table = original.lay_out().await;
    let faults = Faults::at(call, fault);
    let held = faults.over(Arc::clone(&table));
    let ours = original.compact(&held, 1, "first-operation", options);
    let theirs = async {
        faults.until_held().await;
        rivals::commit(original, &table, deed).await;
        let rows = original.read(&table).await;
        faults.release();
        rows
    };
    let (finished, wanted) = futures::future::join(ours, theirs).await;
    let finished = finished.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert_eq!(changed(original, &wanted), expected_change(original, deed, moment), "{case}: the deed itself");
    let found = original.read(&table).await;
    if deed == Deed::Rules {
        // Rows of an older format version have no ids until the first commit of the newer one gives them some.
        assert_eq!(
            found.iter().map(|row| without_id(row)).collect::<Vec<_>>(),
            wanted.iter().map(|row| without_id(row)).collect::<Vec<_>>(),
            "{case}"
        );
    } else {
        assert_eq!(found, wanted, "{case}: {finished:?}");
    }
    outcome_fits(&finished, deed, moment, &case);
    nothing_is_left_over(original, &table, &case).await;
}

fn without_id(row: &str) -> &str {
    row.rsplit_once(" | ").unwrap().0
}

/// Rows gone and rows that came.
fn changed(original: &Original, rows: &[String]) -> (usize, usize) {
    let came = rows.iter().filter(|row| row.contains(" new ")).count();
    (original.rows.len() + came - rows.len(), came)
}

/// As [`changed`]: a file of the original, or one of ours, goes whole.
fn expected_change(original: &Original, deed: Deed, moment: Moment) -> (usize, usize) {
    let all = original.rows.len();
    let file = first_file(original, moment.is_after_ours());
    match deed {
        Deed::Append => (0, 2),
        Deed::RemoveFile => (file, 0),
        Deed::Overwrite => (all, 2),
        Deed::Update => (file, 2),
        Deed::MarkRow => (1, 0),
        Deed::Schema | Deed::Rules | Deed::Spec | Deed::Property => (0, 0),
    }
}

/// Live rows of the first file, before or after the compaction.
fn first_file(original: &Original, compacted: bool) -> usize {
    let in_a = original.rows.iter().filter(|row| row.starts_with("p=a")).count();
    match (in_a, compacted) {
        (0, true) => original.rows.len(),
        // One of the three files of 20 rows, 5 of them deleted where the fixture has deletes.
        (0, false) => original.rows.len() / 3,
        (partition, true) => partition,
        // File 0 has five rows, one of them deleted.
        (_, false) => 4,
    }
}

/// What landed, was hit, and was left to do.
fn outcome_fits(finished: &Finished, deed: Deed, moment: Moment, case: &str) {
    let report = &finished.report;
    if moment.is_after_ours() {
        assert_eq!((finished.outcome, finished.versions.len(), report.groups_conflicted), (Outcome::Landed, 1, 0), "{case}: {finished:?}");
        return;
    }
    let hits = matches!(deed, Deed::RemoveFile | Deed::Overwrite | Deed::Update | Deed::MarkRow);
    let replans = hits || is_rule_of_delta(finished, deed);
    assert_eq!(report.groups_conflicted > 0, replans, "{case}: {finished:?}");
    let outcome = if deed == Deed::Overwrite { Outcome::NothingToDo } else { Outcome::Landed };
    assert_eq!(finished.outcome, outcome, "{case}: {finished:?}");
}

/// Delta files have no schema of their own to go by: what changes the rules has everything planned again.
fn is_rule_of_delta(finished: &Finished, deed: Deed) -> bool {
    let is_delta = finished.base_version.is_some_and(|version| version.0 < 100);
    is_delta && matches!(deed, Deed::Schema | Deed::Rules | Deed::Property)
}

async fn nothing_is_left_over(original: &Original, table: &Arc<dyn ObjectStore>, case: &str) {
    let now = objects(table, &original.root).await;
    let there: BTreeSet<String> = now.keys().cloned().collect();
    let named = original.named(&now).await;
    // A fixture's own files of a later version, which the test has taken away, are nobody's.
    let unlike = there.symmetric_difference(&named).filter(|name| !original.objects.contains_key(*name));
    assert_eq!(unlike.collect::<Vec<_>>(), Vec::<&String>::new(), "{case}");
}

fn options() -> Options {
    Options { min_input_files: Some(2), max_concurrent_groups: Some(1), ..Options::default() }
}

fn at_every_moment(original: impl Future<Output = Original>, deeds: &[Deed]) {
    runtime().block_on(async {
        let original = original.await;
        for deed in deeds {
            for moment in MOMENTS {
                interrupted(&original, &options(), *deed, moment).await;
            }
        }
    });
}

#[test]
fn whatever_is_done_to_a_delta_table_at_any_moment_stays_done() {
    use Deed::{Append, MarkRow, Overwrite, Property, RemoveFile, Rules, Schema, Update};
    at_every_moment(Original::delta("/t", 6), &[Append, RemoveFile, Overwrite, Update, MarkRow, Schema, Rules, Property]);
}

#[test]
fn whatever_is_done_to_an_iceberg_table_at_any_moment_stays_done() {
    use Deed::{Append, MarkRow, Overwrite, Property, RemoveFile, Rules, Schema, Spec, Update};
    let deeds = [Append, RemoveFile, Overwrite, Update, MarkRow, Schema, Rules, Spec, Property];
    at_every_moment(Original::iceberg_before_its_delete("iceberg_v2_posdeletes"), &deeds);
    at_every_moment(Original::iceberg("iceberg_v2_posdeletes"), &deeds);
}

#[test]
fn whatever_is_done_to_an_iceberg_table_with_row_ids_at_any_moment_stays_done() {
    use Deed::{Append, Overwrite, Property, RemoveFile, Schema, Spec, Update};
    let deeds = [Append, RemoveFile, Overwrite, Update, Schema, Spec, Property];
    at_every_moment(Original::iceberg_before_its_delete("iceberg_v3_dv"), &deeds);
    at_every_moment(Original::iceberg("iceberg_v3_dv"), &deeds);
}
