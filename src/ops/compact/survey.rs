//! Reads the list of live files once: sums them up, and plans partition by partition.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};

use super::Options;
use super::plan::{Leave, Plan, Policy, is_candidate, plan_partition};
use super::run::live;
use crate::engine::Rewriter;
use crate::error::{Error, Result};
use crate::formats::{Destination, TableVersion};
use crate::model::{DataFile, DeleteKind, Partition, Totals};

/// Files whose deletes or row counts have to be read are looked at in portions of this many, to bound memory.
const PORTION: usize = 256;
/// Footers read at the same time.
const FOOTERS: usize = 16;

/// Which part of the table to plan.
#[derive(Debug)]
pub enum Scope {
    /// All partitions.
    Everything,
    /// These only.
    Partitions(Vec<Partition>),
}

impl Scope {
    fn holds(&self, partition: &Partition) -> bool {
        match self {
            Self::Everything => true,
            Self::Partitions(list) => list.contains(partition),
        }
    }
}

/// A table, summed up and planned.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Sums over the live files.
    pub before: Totals,
    /// What to rewrite.
    pub plan: Plan,
}

/// The candidates of one partition.
type Candidates = (Arc<Partition>, Vec<DataFile>);

/// Reads the live files of `version` and plans under `policy`.
///
/// # Errors
///
/// What the format or, for files without a row count, the engine reports.
pub async fn survey(
    version: &dyn TableVersion,
    options: &Options,
    policy: &Policy,
    scope: &Scope,
    engine: &dyn Rewriter,
) -> Result<Survey> {
    let mut counter = Counter::default();
    let mut plan = Plan::default();
    // Ordered by spec and partition text, so that equal tables give equal plans (P9).
    let mut partitions: BTreeMap<(i32, String), Vec<Candidates>> = BTreeMap::new();
    let mut files = version.files(options.filter.is_some());
    while let Some(mut file) = files.try_next().await? {
        counter.add(version, engine, &file).await?;
        if !scope.holds(&file.partition) {
            continue;
        }
        let wanted = options.filter.as_ref().is_none_or(|filter| filter.may_match(&version.snapshot().schema, &file));
        file.stats = None;
        if !wanted {
            plan.leave(Leave::FilteredOut, 1);
        } else if is_candidate(&file, policy) {
            let goal = match version.destination(&file, &options.output)? {
                Destination::Same => Arc::clone(&file.partition),
                Destination::Other(goal) => goal,
                Destination::Nowhere => {
                    plan.leave(Leave::UnknownSpec, 1);
                    continue;
                }
            };
            let same_text = partitions.entry((goal.spec_id, goal.display())).or_default();
            match same_text.iter_mut().find(|(partition, _)| **partition == *goal) {
                Some((_, list)) => list.push(file),
                None => same_text.push((goal, vec![file])),
            }
        } else {
            plan.leave(Leave::RightSize, 1);
        }
    }
    for (partition, mut candidates) in partitions.into_values().flatten() {
        // Rows with ids stay in the order of their ids; the rest in the order of their names, whatever order metadata lists them in.
        candidates.sort_by(|a, b| (row_ids_start(a), &a.location).cmp(&(row_ids_start(b), &b.location)));
        plan_partition(&partition, candidates, policy, &mut plan);
    }
    Ok(Survey { before: counter.finish(version, engine).await?, plan })
}

fn row_ids_start(file: &DataFile) -> Option<i64> {
    file.lineage.and_then(|lineage| lineage.first_row_id)
}

/// Sums over the live files of `version`.
///
/// # Errors
///
/// As [`survey`].
pub async fn totals(version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<Totals> {
    let mut counter = Counter::default();
    let mut files = version.files(false);
    while let Some(file) = files.try_next().await? {
        counter.add(version, engine, &file).await?;
    }
    counter.finish(version, engine).await
}

/// Counts live rows. Files whose metadata tells the count are summed up at once, others are read in portions.
#[derive(Default)]
struct Counter {
    totals: Totals,
    deletes: HashSet<String>,
    unsure: Vec<DataFile>,
}

impl Counter {
    async fn add(&mut self, version: &dyn TableVersion, engine: &dyn Rewriter, file: &DataFile) -> Result<()> {
        self.totals.files += 1;
        self.totals.bytes = self.totals.bytes.plus(file.size);
        for delete in &*file.deletes {
            if !self.deletes.contains(&delete.key) {
                self.deletes.insert(delete.key.clone());
            }
        }
        match known_live_rows(file) {
            Some(rows) => self.totals.rows += rows,
            None => self.unsure.push(DataFile { stats: None, ..file.clone() }),
        }
        if self.unsure.len() >= PORTION {
            self.read_unsure(version, engine).await?;
        }
        Ok(())
    }

    async fn read_unsure(&mut self, version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<()> {
        let files = std::mem::take(&mut self.unsure);
        let deletes = version.row_deletes(&files).await?;
        let inputs: Vec<_> = files.iter().cloned().zip(deletes).collect();
        let deletes = engine.locate_deletes(&inputs).await?;
        let stored: Vec<u64> = futures::stream::iter(&files)
            .map(|file| async move {
                match file.rows {
                    Some(rows) => Ok(rows),
                    None => engine.stored_rows(file).await,
                }
            })
            .buffered(FOOTERS)
            .try_collect()
            .await?;
        for ((file, deleted), stored) in files.iter().zip(&deletes).zip(stored) {
            let rows = live(stored, deleted)
                .ok_or_else(|| Error::corrupt("more rows are deleted than the file has").about("file", &file.location))?;
            self.totals.rows += rows;
        }
        Ok(())
    }

    async fn finish(mut self, version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<Totals> {
        self.read_unsure(version, engine).await?;
        self.totals.delete_files = self.deletes.len() as u64;
        Ok(self.totals)
    }
}

/// Live rows as far as metadata alone tells: a deletion vector's cardinality is exact, files of positions may name rows twice or not at all.
fn known_live_rows(file: &DataFile) -> Option<u64> {
    let mut rows = file.rows?;
    for delete in &*file.deletes {
        if delete.kind != DeleteKind::Vector {
            return None;
        }
        rows = rows.checked_sub(delete.rows?)?;
    }
    Some(rows)
}
