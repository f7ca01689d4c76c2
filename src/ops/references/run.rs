//! Reads which references the table has, and makes, moves or drops one.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;

use super::Report;
use super::plan::{Action, MAIN, PlanDocument, Request};
use crate::error::{Error, Result};
use crate::formats::{FormatName, Reference, Table, TableVersion};
use crate::model::{At, NewReference, OperationId, Upkeep, Version};
use crate::ops::Parts;
use crate::ops::document::Finished;
use crate::ops::land_upkeep::Decide;
use crate::ops::totals::totals;
use crate::ops::upkeep::{Carried, carry_out};
use crate::units::Timestamp;

/// A branch or tag as it is listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The reference.
    pub reference: Reference,
    /// When the version it names was made.
    pub time: Option<Timestamp>,
}

/// The version that `at` names; without it the one the table is seen at.
///
/// # Errors
///
/// `NotFound` if there is none.
pub async fn version_at(table: &dyn Table, at: Option<&At>) -> Result<Version> {
    let version = match at {
        Some(at) => table.load_at(at).await?,
        None => table.load_counts().await?,
    };
    version.snapshot().version.ok_or_else(|| {
        Error::not_found("the table has no version yet that could be named")
            .about("table", table.location())
            .hint("write to the table first")
    })
}

/// The table's branches, or its tags, by name.
///
/// # Errors
///
/// `Unsupported` for formats without references; those of reading the history.
pub async fn list(table: &dyn Table, is_branch: bool) -> Result<(Arc<dyn TableVersion>, Vec<Listed>)> {
    has_references(table)?;
    let version = table.load_counts().await?;
    let mut times: HashMap<Version, Option<Timestamp>> = HashMap::new();
    let mut history = version.history();
    while let Some(entry) = history.try_next().await? {
        times.insert(entry.version, entry.time);
    }
    drop(history);
    let wanted = references(&*version).into_iter().filter(|reference| reference.is_branch == is_branch);
    let listed = wanted.map(|reference| Listed { time: times.get(&reference.version).copied().flatten(), reference }).collect();
    Ok((version, listed))
}

/// Plans what `request` asks for and, if `agreed`, does it.
///
/// # Errors
///
/// As [`Request::step`]; `Unsupported` for formats without references; those of reading the table.
pub async fn run(
    table: &dyn Table,
    operation: &OperationId,
    request: &Request,
    agreed: bool,
    parts: Parts<'_>,
) -> Result<Finished<PlanDocument, Report>> {
    has_references(table)?;
    let base = table.load_counts().await?;
    if base.reference().is_some() && request.name == MAIN {
        return Err(Error::usage("the main branch is changed from the main branch").hint("name the table without '#' and what follows"));
    }
    let seen = known(&*base, &request.name);
    let step = request.step(seen.as_ref(), &parents(&*base, request).await?)?;
    let plan = request.document(seen.as_ref(), step.as_ref());
    let before = totals(&*base, parts.engine).await?;
    let base_version = base.snapshot().version;
    if !agreed {
        return Ok(Finished::planned(base_version, before, plan));
    }
    let decide = Change { operation, request, seen };
    let Carried { outcome, versions, after, error, leftovers_removed, .. } =
        carry_out(table, &base, operation, &decide, (before, parts)).await?;
    Ok(Finished { outcome, base_version, versions, before, after, plan, report: Some(Report { leftovers_removed }), error })
}

fn has_references(table: &dyn Table) -> Result<()> {
    match table.format() {
        FormatName::Iceberg => Ok(()),
        FormatName::Delta => Err(Error::unsupported("Delta tables have no branches or tags")
            .about("table", table.location())
            .hint("versions of a Delta table are named by their numbers")),
    }
}

/// The table's references; tables from before there were any have the main branch all the same.
fn references(version: &dyn TableVersion) -> Vec<Reference> {
    let mut all = version.references();
    let head = version.snapshot().version.filter(|_| version.reference().is_none());
    if let Some(version) = head.filter(|_| all.iter().all(|known| known.name != MAIN)) {
        let name = MAIN.to_string();
        all.push(Reference {
            name,
            version,
            is_branch: true,
            max_ref_age_ms: None,
            max_snapshot_age_ms: None,
            min_snapshots_to_keep: None,
        });
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
    all
}

/// The reference of this name.
fn known(version: &dyn TableVersion, name: &str) -> Option<NewReference> {
    let found = references(version).into_iter().find(|reference| reference.name == name)?;
    Some(NewReference {
        name: found.name,
        version: found.version,
        is_branch: found.is_branch,
        replace: false,
        max_ref_age_ms: found.max_ref_age_ms,
        max_snapshot_age_ms: found.max_snapshot_age_ms,
        min_snapshots_to_keep: found.min_snapshots_to_keep,
    })
}

/// The parent of every version listed, where `request` asks for it.
async fn parents(version: &dyn TableVersion, request: &Request) -> Result<HashMap<Version, Option<Version>>> {
    let mut parents = HashMap::new();
    if matches!(request.action, Action::FastForward(_)) {
        let mut history = version.history();
        while let Some(entry) = history.try_next().await? {
            parents.insert(entry.version, entry.parent);
        }
    }
    Ok(parents)
}

/// Decides anew on every version the change is offered on.
struct Change<'a> {
    operation: &'a OperationId,
    request: &'a Request,
    seen: Option<NewReference>,
}

#[async_trait]
impl Decide for Change<'_> {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        let known = known(version, &self.request.name);
        let Some(kind) = self.request.step(known.as_ref(), &parents(version, self.request).await?)? else { return Ok(None) };
        self.request.still_fits(self.seen.as_ref(), known.as_ref())?;
        Ok(Some(Upkeep { operation: self.operation.clone(), part: 0, kind }))
    }
}
