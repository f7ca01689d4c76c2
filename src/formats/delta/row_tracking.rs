//! Row tracking: stable row ids across rewrites (protocol, "Row Tracking").

use super::actions::Domain;
use super::live::LiveFile;
use super::replay::State;
use super::{compat, settings};
use crate::error::{Error, Result};
use crate::model::RowIdColumns;

/// The domain that holds the highest row id given out.
pub(super) const DOMAIN: &str = "delta.rowTracking";

const ROW_ID: &str = "delta.rowTracking.materializedRowIdColumnName";
const COMMIT_VERSION: &str = "delta.rowTracking.materializedRowCommitVersionColumnName";

/// Whether new files get row ids.
pub(super) fn assigns(state: &State) -> bool {
    state.protocol.writes("rowTracking") && !settings::on(&state.metadata.configuration, "delta.rowTrackingSuspended")
}

/// The columns that keep row ids in rewritten files, where the table promises them.
///
/// # Errors
///
/// `Corrupt` where the promise is made and the columns are not named.
pub(super) fn columns(state: &State) -> Result<Option<RowIdColumns>> {
    let properties = &state.metadata.configuration;
    if !state.protocol.writes("rowTracking") || !settings::on(properties, "delta.enableRowTracking") {
        return Ok(None);
    }
    let name = |key: &'static str| {
        let name = properties.text(key).map(str::to_string);
        name.ok_or_else(|| Error::corrupt("row tracking is on and a column for it is not named").about("property", key))
    };
    let fields = compat::is_v3(state).then_some(compat::ROW_ID_FIELDS);
    Ok(Some(RowIdColumns {
        row_id: name(ROW_ID)?,
        row_id_field: fields.map(|(row_id, _)| row_id),
        sequence: name(COMMIT_VERSION)?,
        sequence_field: fields.map(|(_, sequence)| sequence),
    }))
}

/// Whether the promise can be kept: every live file says where its row ids come from.
///
/// # Errors
///
/// `Corrupt` where one does not.
pub(super) fn check(state: &State) -> Result<()> {
    if columns(state)?.is_some() && state.files.iter().any(|add| add.base_row_id().is_none() || add.default_row_commit_version().is_none())
    {
        return Err(Error::corrupt("row tracking is on and a live file has no row ids").about("feature", "rowTracking"));
    }
    Ok(())
}

/// Gives out row ids above all that were ever given.
#[derive(Debug)]
pub(super) struct RowIds {
    next: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct HighWaterMark {
    row_id_high_water_mark: i64,
}

impl RowIds {
    /// The ids above the table's high-water mark.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a mark that cannot be understood.
    pub(super) fn after(state: &State) -> Result<Self> {
        let wrong = || Error::corrupt("the high-water mark of row ids cannot be understood").about("domain", DOMAIN);
        let mark = match state.domains.get(DOMAIN) {
            None => -1,
            Some(domain) => serde_json::from_str::<HighWaterMark>(&domain.configuration).map_err(|_| wrong())?.row_id_high_water_mark,
        };
        // A mark that lags behind the files would give ids out twice.
        let files = state.files.iter().filter_map(LiveFile::base_row_id).max().unwrap_or(-1);
        if mark < files {
            return Err(wrong());
        }
        Ok(Self { next: mark.checked_add(1).ok_or_else(wrong)? })
    }

    /// Gives out none of the ids up to that of row `rows` of a file that begins with `first`: files that come back bring theirs.
    ///
    /// # Errors
    ///
    /// As [`Self::take`].
    pub(super) fn pass(&mut self, first: i64, rows: u64) -> Result<()> {
        let next = i64::try_from(rows).ok().and_then(|rows| first.checked_add(rows));
        self.next = self.next.max(next.ok_or_else(|| Error::refused("the table has no row ids left"))?);
        Ok(())
    }

    /// Whether ids were given out or passed since `before`, the ids of a version.
    pub(super) const fn moved_since(&self, before: &Self) -> bool {
        self.next > before.next
    }

    /// The first of `rows` fresh ids.
    ///
    /// # Errors
    ///
    /// `Refused` when there are none left.
    pub(super) fn take(&mut self, rows: u64) -> Result<i64> {
        let first = self.next;
        let next = i64::try_from(rows).ok().and_then(|rows| first.checked_add(rows));
        self.next = next.ok_or_else(|| Error::refused("the table has no row ids left"))?;
        Ok(first)
    }

    /// The mark as the log keeps it.
    ///
    /// # Errors
    ///
    /// `Bug` if JSON cannot hold a number.
    pub(super) fn domain(&self) -> Result<Domain> {
        let mark = HighWaterMark { row_id_high_water_mark: self.next - 1 };
        let configuration = serde_json::to_string(&mark).map_err(|e| Error::bug("a number cannot be written").because(e))?;
        Ok(Domain { domain: DOMAIN.into(), configuration, removed: false })
    }
}
