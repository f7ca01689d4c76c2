//! Restoring, references and manifests, run over any store as the tool runs them.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::{Error, Result};
use otf::formats::{Table, TableVersion};
use otf::model::{At, HistoryEntry, ListWishes, OperationId, Totals, Version};
use otf::ops::Parts;
use otf::ops::document::Finished;
use otf::ops::document::Outcome;
use otf::ops::references::plan::{Action, Request, Wanted};
use otf::ops::{manifests, references, restore};
use otf::store::Store;
use otf::units::Bytes;
use serde_json::Value as Json;
use tokio::runtime::Handle;

use super::rivals::{self, Deed};
use super::workbench::{Original, objects, over};
use super::{Alone, Remarks, TestClock};

/// What is done to a table.
#[derive(Debug, Clone)]
pub(crate) enum Deeds {
    Restore(At),
    Reference(Request),
    Manifests(ListWishes),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) versions: Vec<Version>,
    pub(crate) before: Totals,
    pub(crate) after: Option<Totals>,
    pub(crate) plan: Json,
    pub(crate) report: Json,
    pub(crate) error: Option<Error>,
}

fn ended<P: serde::Serialize, R: serde::Serialize>(finished: Finished<P, R>) -> Ended {
    let Finished { outcome, versions, before, after, plan, report, error, .. } = finished;
    let (plan, report) = (serde_json::to_value(plan).unwrap(), serde_json::to_value(report).unwrap());
    Ended { outcome, versions, before, after, plan, report, error }
}

/// A request for a branch or tag at `version`.
pub(crate) fn create(is_branch: bool, name: &str, version: Version) -> Deeds {
    Deeds::Reference(Request { is_branch, name: name.into(), action: Action::Create(wanted(version)) })
}

/// A request to let a branch or tag go.
pub(crate) fn drop_reference(is_branch: bool, name: &str) -> Deeds {
    Deeds::Reference(Request { is_branch, name: name.into(), action: Action::Drop })
}

pub(crate) fn wanted(version: Version) -> Wanted {
    Wanted { version, max_ref_age_ms: None, max_snapshot_age_ms: None, min_snapshots_to_keep: None }
}

impl Deeds {
    /// Does it to the copy in `objects`, as `operation`, in the process with this id.
    pub(crate) async fn run(&self, original: &Original, objects: &Arc<dyn ObjectStore>, process: u32, operation: &str) -> Result<Ended> {
        let store = over(objects);
        let table = original.open(&store).await?;
        self.run_on(&*table, &store, (process, operation), true).await
    }

    /// Does it to `table`, which lies in `store`, or plans it.
    pub(crate) async fn run_on(&self, table: &dyn Table, store: &Store, (process, operation): (u32, &str), agreed: bool) -> Result<Ended> {
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(process));
        let parts = Parts { store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
        let operation = OperationId(operation.into());
        Ok(match self {
            Self::Restore(to) => {
                let options = restore::Options { to: to.clone(), verify: false };
                ended(restore::run::run(table, &operation, &options, agreed, parts).await?)
            }
            Self::Reference(request) => ended(references::run::run(table, &operation, request, agreed, parts).await?),
            Self::Manifests(wishes) => ended(manifests::run::run(table, &operation, wishes, agreed, parts).await?),
        })
    }
}

/// Every version that the table lists, oldest first.
pub(crate) async fn history(version: &dyn TableVersion) -> Vec<HistoryEntry> {
    version.history().try_collect().await.unwrap()
}

/// The table with further commits: every deed is another's.
pub(crate) async fn after(mut original: Original, deeds: &[Deed]) -> Original {
    let table = original.lay_out().await;
    for deed in deeds {
        rivals::commit(&original, &table, *deed).await;
    }
    original.objects = objects(&table, &original.root).await;
    original.rows = original.read(&table).await;
    original
}
