//! Branches and tags are made, moved and dropped (Iceberg). No file but the metadata is touched.
//!
//! # What a run promises
//!
//! - A branch or tag that somebody else moved since the plan was shown is not moved or dropped: its commits would be lost unseen.
//! - The main branch is never dropped, and moved by a fast-forward alone.
//! - Asked again for what is there already, it does nothing.

pub mod plan;
pub mod run;

use serde::Serialize;

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Files of dead runs that were deleted.
    pub leftovers_removed: u64,
}
