//! Many small files become few right-sized ones; deletes are applied on the way.
//!
//! # What a plan promises
//!
//! - **C1** every live file is in exactly one group or left with exactly one reason;
//! - **C2** a group never crosses a partition or a partition spec;
//! - **C3** a group's inputs hold no more bytes than the policy's `max_group_size`, unless it is a single file;
//! - **C4** planning again after the plan has run finds nothing to do (save under `rewrite_all`, which asks for everything).

pub mod plan;
pub mod run;

use crate::engine::RewritePath;
use crate::formats::OutputWishes;
use crate::model::predicate::Predicate;
use crate::units::Bytes;

/// What the user asked for; `None` leaves it to the table and to the format's defaults.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only files that may hold rows matching this.
    pub filter: Option<Predicate>,
    /// Target size and compression of new files.
    pub output: OutputWishes,
    /// Smaller files are rewritten. Default: 75 % of the target.
    pub min_file_size: Option<Bytes>,
    /// Larger files are rewritten. Default: 180 % of the target.
    pub max_file_size: Option<Bytes>,
    /// A group needs this many files to be worth it. Default: 5.
    pub min_input_files: Option<usize>,
    /// A group's inputs hold no more than this. Default: 100 GiB.
    pub max_group_size: Option<Bytes>,
    /// How many groups are rewritten at the same time. Default: what memory allows, at most 5.
    pub max_concurrent_groups: Option<usize>,
    /// Commit in at most this many parts instead of once.
    pub partial_progress: Option<usize>,
    /// Files with at least this many deletes are rewritten whatever their size. Default: never.
    pub delete_file_threshold: Option<usize>,
    /// Files with at least this share of deleted rows are rewritten whatever their size. Default: 0.3.
    pub delete_ratio: Option<f64>,
    /// Rewrite every file.
    pub rewrite_all: bool,
    /// Also drop delete files that apply to nothing any more.
    pub remove_dangling_deletes: bool,
    /// How row groups may reach the output.
    pub path: RewritePath,
    /// Plan no more than this many files.
    pub max_files: Option<usize>,
    /// How many times a commit is tried. Default: the table's property.
    pub commit_attempts: Option<u32>,
}
