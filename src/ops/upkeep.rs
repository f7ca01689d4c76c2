//! What restoring, references and rewriting lists of files have in common: they are announced, landed and told in the same way.

use std::sync::Arc;

use crate::commit::State;
use crate::error::{Error, Kind, Result};
use crate::formats::{Table, TableVersion};
use crate::model::{OperationId, Totals, Version};
use crate::ops::Parts;
use crate::ops::document::Outcome;
use crate::ops::land::Patience;
use crate::ops::land_upkeep::{Decide, UpkeepLanding, land_upkeep};
use crate::ops::leftovers::{self, Places};
use crate::ops::totals::totals;

/// How a change ended.
pub(super) struct Carried {
    pub(super) outcome: Outcome,
    /// Versions that carry the operation's id.
    pub(super) versions: Vec<Version>,
    pub(super) after: Option<Totals>,
    pub(super) error: Option<Error>,
    /// Files of dead runs that were deleted.
    pub(super) leftovers_removed: u64,
    /// The table as it is now, where that could be read.
    pub(super) newest: Option<Arc<dyn TableVersion>>,
}

/// Brings what `decide` decides into the table; `before` are the sums of `base`. Nothing is written where nothing is to be done.
///
/// # Errors
///
/// Whatever forbids the change, or keeps it from being offered: nothing is in the table then.
pub(super) async fn carry_out(
    table: &dyn Table,
    base: &Arc<dyn TableVersion>,
    operation: &OperationId,
    decide: &dyn Decide,
    (before, parts): (Totals, Parts<'_>),
) -> Result<Carried> {
    let root = table.location();
    let cleaned = leftovers::clean(parts, root, &**base).await;
    if decide.decide(&**base).await?.is_none() {
        // Where there is nothing to do, a place we may not write to is no failure.
        let leftovers_removed = cleaned.unwrap_or_else(|error| {
            parts.progress.remark(&format!("what an earlier run left behind could not be removed: {error}"));
            0
        });
        let outcome = Outcome::NothingToDo;
        return Ok(Carried { outcome, versions: Vec::new(), after: Some(before), error: None, leftovers_removed, newest: None });
    }
    let leftovers_removed = cleaned?;
    let places = Places::new(base.metadata_folders(), Vec::new());
    let note = leftovers::announce(parts, root, operation, 0, &places).await?;
    let landing = land_upkeep(table, Arc::clone(base), decide, Patience::from(base.defaults()), parts).await;
    match landing.end {
        State::Landed(version) => {
            for error in table.settle(version).await {
                parts.progress.remark(&format!("left undone after the commit: {error}"));
            }
            leftovers::withdraw(parts, note).await;
        }
        State::Lost => leftovers::undo(parts, note, &**base).await,
        // It may land yet: its files and the note that leads to them stay.
        State::Unknown | State::Offered { .. } | State::Asking { .. } => {}
    }
    if let State::Landed(_) = landing.end {
        let (newest, versions, after) = look(table, &**base, operation, (before, parts)).await;
        return Ok(Carried { outcome: Outcome::Landed, versions, after: Some(after), error: None, leftovers_removed, newest });
    }
    not_landed(landing, leftovers_removed)
}

/// The end of a change that did not land. A document tells of one that was offered and may be tried again; everything else is an error like any
/// other.
fn not_landed(landing: UpkeepLanding, leftovers_removed: u64) -> Result<Carried> {
    let outcome = if landing.end == State::Unknown { Outcome::Unknown } else { Outcome::Lost };
    let error = landing.error.unwrap_or_else(|| Error::bug("a commit ended without a version or a reason"));
    match error.kind() {
        Kind::Conflict | Kind::Unavailable if landing.offered.is_some() => {
            Ok(Carried { outcome, versions: Vec::new(), after: None, error: Some(error), leftovers_removed, newest: None })
        }
        _ => Err(error),
    }
}

/// Looks at the table after the change: the versions that carry its id, and its sums. If it cannot be read, what landed is no less landed.
async fn look(
    table: &dyn Table,
    base: &dyn TableVersion,
    operation: &OperationId,
    (before, parts): (Totals, Parts<'_>),
) -> (Option<Arc<dyn TableVersion>>, Vec<Version>, Totals) {
    let read = async {
        let newest = table.load_counts().await?;
        let made = newest.find(operation, 0, None).await?;
        let same = newest.snapshot().version == base.snapshot().version;
        let after = if same { before } else { totals(&*newest, parts.engine).await? };
        Ok::<_, Error>((newest, made, after))
    };
    match read.await {
        Ok((newest, made, after)) => (Some(newest), made.into_iter().collect(), after),
        Err(error) => {
            parts.progress.remark(&format!("the table could not be read after the commit; its size before it is told: {error}"));
            (None, Vec::new(), before)
        }
    }
}
