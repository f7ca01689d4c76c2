//! Reads the list of live files once: sums them up, and plans partition by partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;

use super::Options;
use super::plan::{Leave, Plan, Policy, is_candidate, largest_roll, plan_partition};
use crate::engine::{RewritePath, Rewriter};
use crate::error::Result;
use crate::formats::{Destination, TableVersion};
use crate::model::{DataFile, Partition, Pieces, Totals};
use crate::ops::totals::Counter;

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

/// A partition, and what of it may be rewritten.
type Listed = (Arc<Partition>, Pieces<DataFile>);

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
    let mut partitions: BTreeMap<(i32, String), Vec<Listed>> = BTreeMap::new();
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
                None => same_text.push((goal, std::iter::once(file).collect())),
            }
        } else {
            plan.leave(Leave::RightSize, 1);
        }
    }
    for (partition, mut candidates) in partitions.into_values().flatten() {
        if options.path == RewritePath::Copy && !policy.rewrite_all {
            candidates = divisible(candidates, policy, &mut plan, engine).await?;
        }
        plan_partition(&partition, candidates, policy, &mut plan);
    }
    Ok(Survey { before: counter.finish(version, engine).await?, plan })
}

/// The files of `candidates` that copying makes better: one that is too large and stays so would be found again by every run (C4).
async fn divisible(candidates: Pieces<DataFile>, policy: &Policy, plan: &mut Plan, engine: &dyn Rewriter) -> Result<Pieces<DataFile>> {
    let mut kept = Pieces::default();
    for file in candidates {
        let whole = file.size > policy.max && file.deletes.is_empty();
        if whole && engine.files_if_copied(&file, largest_roll(policy)).await? <= 1 {
            plan.leave(Leave::RowGroupTooLarge, 1);
        } else {
            kept.push(file);
        }
    }
    Ok(kept)
}
