//! What a table is made of, and how healthy it is. Reads metadata only, save where the metadata leaves row counts out.
//!
//! Memory is bounded by the number of partitions, not of files: files are counted as they stream by.

pub mod gather;
pub mod health;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Totals;
use crate::units::Bytes;

pub use gather::gather;
pub use health::{Finding, Health};

/// How many partitions are told apart; files of further ones are counted together.
pub const MAX_PARTITIONS: usize = 100_000;

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
    /// Partitions by what people call them (`region=eu`); empty for an unpartitioned table's only one.
    pub partitions: BTreeMap<String, PartitionSummary>,
    /// Files of partitions beyond [`MAX_PARTITIONS`].
    pub files_beyond: u64,
    /// How many files of which size.
    pub sizes: Vec<SizeClass>,
    /// Why rows could not be counted exactly, if they could not: deletes this version cannot apply.
    pub rows_uncertain: Option<String>,
}
