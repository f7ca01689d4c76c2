//! Asks the table's format what is to be written anew, and has it written.

use std::sync::Arc;

use async_trait::async_trait;

use super::Report;
use crate::error::Result;
use crate::formats::{Table, TableVersion};
use crate::model::{ListContent, ListPlan, ListWishes, OperationId, Upkeep, UpkeepKind};
use crate::ops::Parts;
use crate::ops::document::{Finished, Outcome};
use crate::ops::land_upkeep::Decide;
use crate::ops::totals::totals;
use crate::ops::upkeep::{Carried, carry_out};
use crate::units::Bytes;

/// Plans what `wishes` ask for and, if `agreed`, carries it out.
///
/// # Errors
///
/// `Unsupported` or `Refused` where the table has something we cannot keep intact, by name; `Usage` for wishes that do not fit; those of reading
/// the table.
pub async fn run(
    table: &dyn Table,
    operation: &OperationId,
    wishes: &ListWishes,
    agreed: bool,
    parts: Parts<'_>,
) -> Result<Finished<ListPlan, Report>> {
    let base = table.load_counts().await?;
    base.rewritable()?;
    let plan = base.lists(wishes).await?;
    let before = totals(&*base, parts.engine).await?;
    let base_version = base.snapshot().version;
    if !agreed {
        return Ok(Finished::planned(base_version, before, plan));
    }
    let decide = Rewrite { operation, wishes };
    let carried = carry_out(table, &base, operation, &decide, (before, parts)).await?;
    let report = Some(report(&plan, &carried, wishes).await);
    let Carried { outcome, versions, after, error, .. } = carried;
    Ok(Finished { outcome, base_version, versions, before, after, plan, report, error })
}

/// What was done. Lists that could not be looked at afterwards are not told.
async fn report(plan: &ListPlan, carried: &Carried, wishes: &ListWishes) -> Report {
    let mut report = Report { lists_kept: plan.lists, leftovers_removed: carried.leftovers_removed, ..Report::default() };
    if carried.outcome != Outcome::Landed {
        return report;
    }
    // A new checkpoint stands for the one before it too; a sum of commits does not.
    let everything = !wishes.sums && plan.groups.iter().any(|group| group.content == ListContent::Log);
    let removed: u64 = if everything { plan.lists } else { plan.groups.iter().map(|group| group.lists).sum() };
    let bytes: Bytes = if everything { plan.bytes } else { plan.groups.iter().map(|group| group.bytes).sum() };
    (report.lists_removed, report.bytes_removed, report.lists_kept) = (removed, bytes, plan.lists.saturating_sub(removed));
    if let Some(Ok(now)) = lists_of(carried.newest.as_ref(), wishes).await {
        report.lists_added = now.lists.saturating_sub(report.lists_kept);
        report.bytes_added = Bytes(now.bytes.0.saturating_sub(plan.bytes.0.saturating_sub(bytes.0)));
    }
    report
}

async fn lists_of(newest: Option<&Arc<dyn TableVersion>>, wishes: &ListWishes) -> Option<Result<ListPlan>> {
    Some(newest?.lists(wishes).await)
}

/// Decides anew on every version the change is offered on.
struct Rewrite<'a> {
    operation: &'a OperationId,
    wishes: &'a ListWishes,
}

#[async_trait]
impl Decide for Rewrite<'_> {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        if version.lists(self.wishes).await?.groups.is_empty() {
            return Ok(None);
        }
        let kind = UpkeepKind::RewriteManifests(self.wishes.clone());
        Ok(Some(Upkeep { operation: self.operation.clone(), part: 0, kind }))
    }
}
