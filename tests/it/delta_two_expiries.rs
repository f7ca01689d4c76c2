//! Two expiries of one Delta table at once: at whatever call one is overtaken by the other, it ends well or says that it is to be run again, and
//! what is promised can be read (P1).

use std::sync::Arc;

use otf::formats::Table;
use otf::model::{At, Version};
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::store::faulty::{Fault, Faults};
use serde_json::json;

use crate::support::delta_history::{DeltaHistory, delta, expire_delta, keys};
use crate::support::workbench::runtime;

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

/// One expiry is held at `call` until another is done. Whether there is such a call.
async fn overtaken(history: &DeltaHistory, call: u64) -> bool {
    let (store, faults) = (history.lay_out().await, Faults::at(call, Fault::Hold));
    let (held, options) = (faults.over(Arc::clone(&store)), Options::default());
    let mut ours = Box::pin(expire_delta(&held, 1, "first-operation", &options));
    let is_held = tokio::select! {
        () = faults.until_held() => true,
        _ = &mut ours => false,
    };
    if !is_held {
        return false;
    }
    let case = format!("at call {call}");
    // Both are of processes that run, as either sees it.
    let theirs = expire_delta(&store, 1, "second-operation", &options).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(theirs.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {theirs:?}");
    faults.release();
    match ours.await {
        Ok(done) => assert!(matches!(done.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {done:?}"),
        Err(error) => assert_eq!(error.kind().exit_status(), 75, "{case}: {error:?}"),
    }
    let (data, _) = keys(&store).await;
    let newest = history.latest();
    let loaded = delta(&store).load_at(&At::Version(Version(i64::try_from(newest).unwrap()))).await.unwrap();
    let files: Vec<otf::model::DataFile> = futures::TryStreamExt::try_collect(loaded.files(false)).await.unwrap();
    assert!(!files.is_empty() && files.iter().all(|file| data.contains(&*file.path)), "{case}");
    let last = expire_delta(&store, 3, "third-operation", &options).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(last.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {last:?}");
    true
}

#[test]
fn an_expiry_that_is_overtaken_by_another_at_any_call_ends_well_or_is_to_be_run_again() {
    runtime().block_on(async {
        // Without a checkpoint behind what is forgotten, both write one; with one, every third call will do.
        for (interval, step) in [("100", 1), ("3", 3)] {
            let history = history(interval);
            let mut call = 1;
            while overtaken(&history, call).await {
                call += step;
            }
            assert!(call > 30, "{call}");
        }
    });
}
