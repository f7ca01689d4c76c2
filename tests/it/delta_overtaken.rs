//! An expiry of a Delta table while another run is under way: at whatever call that is overtaken by the expiry, it ends well or says that it is to
//! be run again, and what is promised can be read (P1).

use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Result;
use otf::formats::Table;
use otf::model::{At, DataFile, ListWishes, Version};
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::store::faulty::{Fault, Faults};
use serde_json::json;

use crate::support::delta_history::{DeltaHistory, delta, expire_delta, keys};
use crate::support::upkeep::Deeds;
use crate::support::workbench::{over, runtime};

/// Seven versions; at the format's own durations the log goes up to the fourth, which has a checkpoint behind it or not.
fn history(interval: &str) -> DeltaHistory {
    let mut history = DeltaHistory::new(json!({"delta.checkpointInterval": interval}), 51);
    let first = history.commit(50, &[], false);
    let second = history.commit(40, &[&first], true);
    let third = history.commit(35, &[&second], false);
    history.commit(31, &[&third], true);
    let kept = history.commit(8, &[], false);
    history.commit(5, &[&kept], true);
    history
}

/// What is overtaken.
enum Ours {
    Expire,
    Manifests(ListWishes),
}

impl Ours {
    async fn run(&self, objects: &Arc<dyn ObjectStore>) -> Result<Outcome> {
        match self {
            Self::Expire => expire_delta(objects, 1, "first-operation", &Options::default()).await.map(|done| done.outcome),
            Self::Manifests(wishes) => {
                let deed = Deeds::Manifests(wishes.clone());
                deed.run_on(&delta(objects), &over(objects), (1, "first-operation"), true).await.map(|done| done.outcome)
            }
        }
    }
}

/// `ours` is held at `call` until an expiry is done. Whether there is such a call.
async fn overtaken(history: &DeltaHistory, ours: &Ours, call: u64) -> bool {
    let (store, faults) = (history.lay_out().await, Faults::at(call, Fault::Hold));
    let held = faults.over(Arc::clone(&store));
    let mut ours = Box::pin(ours.run(&held));
    let is_held = tokio::select! {
        () = faults.until_held() => true,
        _ = &mut ours => false,
    };
    if is_held {
        let case = format!("at call {call}");
        // Both are of processes that run, as either sees it.
        expire(&store, 1, "second-operation", &case).await;
        faults.release();
        ends_well_or_is_to_be_run_again(ours.await, &case);
        the_newest_version_is_whole(history, &store, &case).await;
        expire(&store, 3, "third-operation", &case).await;
    }
    is_held
}

async fn expire(store: &Arc<dyn ObjectStore>, process: u32, operation: &str, case: &str) {
    let done = expire_delta(store, process, operation, &Options::default()).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(done.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {done:?}");
}

fn ends_well_or_is_to_be_run_again(ended: Result<Outcome>, case: &str) {
    match ended {
        Ok(outcome) => assert!(matches!(outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {outcome:?}"),
        Err(error) => assert_eq!(error.kind().exit_status(), 75, "{case}: {error:?}"),
    }
}

async fn the_newest_version_is_whole(history: &DeltaHistory, store: &Arc<dyn ObjectStore>, case: &str) {
    let (data, _) = keys(store).await;
    let newest = Version(i64::try_from(history.latest()).unwrap());
    let loaded = delta(store).load_at(&At::Version(newest)).await.unwrap();
    let files: Vec<DataFile> = futures::TryStreamExt::try_collect(loaded.files(false)).await.unwrap();
    assert!(!files.is_empty() && files.iter().all(|file| data.contains(file.path())), "{case}");
}

fn sweep(ours: &Ours, histories: &[(&str, u64)]) {
    runtime().block_on(async {
        for (interval, step) in histories {
            let history = history(interval);
            let mut call = 1;
            while overtaken(&history, ours, call).await {
                call += *step;
            }
            assert!(call > 10, "{call}");
        }
    });
}

#[test]
fn an_expiry_that_is_overtaken_by_another_at_any_call_ends_well_or_is_to_be_run_again() {
    // Without a checkpoint behind what is forgotten, both write one; with one, every third call will do.
    sweep(&Ours::Expire, &[("100", 1), ("3", 3)]);
}

#[test]
fn a_checkpoint_or_a_sum_that_is_overtaken_by_an_expiry_at_any_call_ends_well_or_is_to_be_made_again() {
    sweep(&Ours::Manifests(ListWishes::default()), &[("100", 1), ("3", 3)]);
    sweep(&Ours::Manifests(ListWishes { sums: true, ..ListWishes::default() }), &[("100", 1), ("3", 3)]);
}
