//! Whether a table is what its metadata says: files, counts, bounds, deletes, references, history. Reads only.
//!
//! What is damaged becomes a finding and the check goes on; only storage that does not answer ends it.

mod data;
mod duplicates;
pub mod judge;
mod tally;

use serde::Serialize;

use crate::engine::Inspector;
use crate::error::{Kind, Result};
use crate::formats::{Table, TableVersion};
use crate::model::{Fault, Finding, Reach, Version};
use crate::units::Bytes;

use tally::Tally;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Read every live row, not only footers.
    pub deep: bool,
    /// Whose metadata is checked.
    pub reach: Reach,
    /// How many findings are kept of each severity; all are counted.
    pub limit: usize,
    /// How much memory the check for duplicate references may use.
    pub memory: Bytes,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Live data files that were opened.
    pub files: u64,
    /// Their bytes on storage.
    pub bytes: Bytes,
    /// Rows stored in them, as their footers say.
    pub rows: u64,
    /// Metadata and delete files that were read as a whole.
    pub metadata_files: u64,
}

/// How many findings there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows cannot be read, or not by every reader alike.
    pub error: u64,
    /// Something else does not work or is not true.
    pub warning: u64,
    /// Things that were not checked or are only worth knowing.
    pub note: u64,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version that was checked; `None` where there is none or it cannot be read.
    pub version: Option<Version>,
    /// The worst findings first, then by place.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub counts: Counts,
    /// How much was looked at.
    pub checked: Checked,
}

impl Report {
    /// Whether nothing is wrong that costs readers rows.
    pub const fn is_sound(&self) -> bool {
        self.counts.error == 0
    }
}

/// Checks the newest version of `table`.
///
/// # Errors
///
/// `Unsupported` for a table that this build cannot read; `Unavailable` or `Refused` if storage did not answer.
pub async fn run(table: &dyn Table, inspector: &dyn Inspector, options: &Options) -> Result<Report> {
    match table.load().await {
        Ok(version) => check(version.as_ref(), inspector, options).await,
        Err(error) if is_damage(error.kind()) => {
            let mut tally = Tally::new(options.limit);
            tally.add(Finding::new(Fault::TableUnreadable, place_of(&error, table.location()), judge::words(&error)));
            Ok(tally.report(None, Checked::default()))
        }
        Err(error) => Err(error),
    }
}

/// Checks one version of a table.
///
/// # Errors
///
/// As [`run`].
pub async fn check(version: &dyn TableVersion, inspector: &dyn Inspector, options: &Options) -> Result<Report> {
    let mut tally = Tally::new(options.limit);
    let metadata_files = version.check(options.reach, &mut |finding| tally.add(finding)).await?;
    let mut checked = data::check(version, inspector, options, &mut tally).await?;
    checked.metadata_files = metadata_files;
    Ok(tally.report(version.snapshot().version, checked))
}

/// Whether an error says that something of the table is damaged, rather than that it could not be looked at.
const fn is_damage(kind: Kind) -> bool {
    matches!(kind, Kind::Corrupt | Kind::NotFound)
}

/// The file that an error is about, else `otherwise`.
fn place_of(error: &crate::error::Error, otherwise: &crate::location::Location) -> String {
    let named = error.context().iter().find(|(key, _)| matches!(*key, "file" | "place" | "delete_file"));
    named.map_or_else(|| otherwise.to_string(), |(_, place)| place.clone())
}
