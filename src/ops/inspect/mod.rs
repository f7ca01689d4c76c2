//! What a table is made of, what it went through, and how healthy it is. Reads metadata only, save where the metadata leaves row counts out.
//!
//! Memory is bounded by the number of partitions and versions, not of files: files are counted as they stream by.

#[cfg(test)]
mod fixed;
pub mod gather;
pub mod past;
pub mod plan;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Totals;
use crate::units::Bytes;

pub use gather::gather;
pub use past::{Act, Effect, Past, Step, look_back};
pub use plan::{Finding, Health};

/// How many partitions are told apart; files of further ones are counted together.
pub const MAX_PARTITIONS: usize = 100_000;
/// A partition whose name is longer than so many bytes is called by the beginning of its name and a number of its own.
pub const MAX_NAME: usize = 512;

/// A bar of the histogram of file sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SizeClass {
    /// Files of at least this size …
    pub from: Bytes,
    /// … and below this one; absent for the largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Bytes>,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: Bytes,
}

/// One partition's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionSummary {
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Files below 75 % of the target size.
    pub small_files: u64,
    /// Their bytes.
    pub small_bytes: Bytes,
    /// Rows stored, deleted ones included.
    pub stored_rows: u64,
    /// Rows of those that are deleted.
    pub deleted_rows: u64,
}

impl PartitionSummary {
    /// Thousandths of the stored rows that are deleted.
    pub fn deleted_per_mille(&self) -> u64 {
        share(self.deleted_rows, self.stored_rows, 1_000)
    }
}

/// `part` of `whole` in parts of `unit`, rounded down; 0 of nothing is 0.
pub(crate) fn share(part: u64, whole: u64, unit: u64) -> u64 {
    let share = (u128::from(part) * u128::from(unit)).checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// What the live files of a table come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Sums over all files.
    pub totals: Totals,
    /// Rows stored, deleted ones included.
    pub stored_rows: u64,
    /// Files below 75 % of the target size that a compaction with default options would join: five in their partition, or more bytes than the target.
    pub joinable_files: u64,
    /// Files that deletes may apply to.
    pub files_with_deletes: u64,
    /// Files of partition specs other than the one that a rewrite gives them.
    pub old_spec_files: u64,
    /// Files whose column statistics were looked for.
    pub sampled_files: u64,
    /// Those of them that have none.
    pub without_statistics: u64,
    /// Partitions by what people call them (`region=eu`); empty for an unpartitioned table's only one.
    pub partitions: BTreeMap<String, PartitionSummary>,
    /// Files of partitions beyond [`MAX_PARTITIONS`].
    pub files_beyond: u64,
    /// How many files of which size, in few classes.
    pub sizes: Vec<SizeClass>,
    /// The same by powers of two, from the smallest class that holds a file to the largest.
    pub histogram: Vec<SizeClass>,
    /// Why rows could not be counted exactly, if they could not: deletes this version cannot apply.
    pub rows_uncertain: Option<String>,
}
