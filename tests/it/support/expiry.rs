//! Runs expiries on tables in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::catalog;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::error::Result;
use otf::formats::Table;
use otf::location::Location;
use otf::model::{OperationId, Version};
use otf::ops::Parts;
use otf::ops::expire::plan::{Cutoff, Wishes};
use otf::ops::expire::{Finished, Options, PlanDocument, run};
use otf::units::Bytes;
use tokio::runtime::Handle;

use super::timeline::{DAY, ROOT};
use super::workbench::{objects, over};
use super::{Alone, Remarks, TestClock};

/// Everything older than now that nothing else holds.
pub(crate) fn everything() -> Options {
    older_than_days(0)
}

/// Everything older than so many days that nothing else holds.
pub(crate) fn older_than_days(days: i64) -> Options {
    let wishes = Wishes { older_than: Some(Cutoff::Age(days * DAY)), unsafe_retention: true, ..Wishes::default() };
    Options { wishes, files_named: 1_000, ..Options::default() }
}

/// These versions alone.
pub(crate) fn versions(ids: &[i64]) -> Options {
    let wishes = Wishes { versions: ids.iter().map(|id| Version(*id)).collect(), ..Wishes::default() };
    Options { wishes, ..Options::default() }
}

/// The hand-written table as the tool opens it.
pub(crate) fn table(store: &Arc<dyn ObjectStore>) -> Box<dyn Table> {
    Box::new(catalog::path_table(&over(store), Location::parse(ROOT).unwrap()))
}

/// Expires versions of `table`, which lies in `objects`, in this process as this operation; remarks go with what came of it.
pub(crate) async fn expire_table(
    table: &dyn Table,
    objects: &Arc<dyn ObjectStore>,
    (process, operation): (u32, &str),
    options: &Options,
) -> Result<(Finished, Vec<String>)> {
    let store = over(objects);
    let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
    let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
    let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(process));
    let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
    let finished = run::execute(table, &OperationId(operation.into()), options, parts).await?;
    Ok((finished, progress.0.into_inner().unwrap()))
}

/// Expires versions of the hand-written table.
pub(crate) async fn expire(objects: &Arc<dyn ObjectStore>, options: &Options) -> Result<Finished> {
    expire_table(&*table(objects), objects, (1, "an-operation"), options).await.map(|(finished, _)| finished)
}

/// Plans for the hand-written table and writes nothing.
pub(crate) async fn dry_run(objects: &Arc<dyn ObjectStore>, options: &Options) -> Result<PlanDocument> {
    dry_run_of(&*table(objects), objects, options).await
}

/// Plans for `table`, which lies in `objects`, and writes nothing.
pub(crate) async fn dry_run_of(table: &dyn Table, objects: &Arc<dyn ObjectStore>, options: &Options) -> Result<PlanDocument> {
    let store = over(objects);
    let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
    let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
    let (clock, progress, processes) = (TestClock::default(), Remarks::default(), Alone(1));
    let parts = Parts { store: &store, engine: &engine, clock: &clock, progress: &progress, processes: &processes };
    run::plan(table, options, parts).await.map(|(_, _, plan)| plan)
}

/// The keys below the hand-written table's root.
pub(crate) async fn keys(store: &Arc<dyn ObjectStore>) -> BTreeSet<String> {
    objects(store, &Location::parse(ROOT).unwrap()).await.into_keys().collect()
}
