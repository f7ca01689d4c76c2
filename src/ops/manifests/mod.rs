//! Lists of files are written anew: Iceberg manifests of the right size, in the order of partitions; a checkpoint of a Delta log.
//!
//! # What a run promises
//!
//! - The table has the same files afterwards, each with everything its entry said.
//! - Planning again right after finds nothing to do (save where everything was asked for).

pub mod run;

use serde::Serialize;

use crate::units::Bytes;

/// What was done: lists are Iceberg's manifests; of a Delta log what a reader opens besides data files.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Lists that are no longer part of the table.
    pub lists_removed: u64,
    /// Their bytes.
    pub bytes_removed: Bytes,
    /// New lists.
    pub lists_added: u64,
    /// Their bytes.
    pub bytes_added: Bytes,
    /// Lists that stayed.
    pub lists_kept: u64,
    /// Files of dead runs that were deleted.
    pub leftovers_removed: u64,
}
