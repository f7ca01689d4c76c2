//! `otf orphans TABLE`: shows files that nothing refers to, and deletes them once somebody agreed.

mod run;
mod settings;
mod show;

use crate::cli::options::TableArgs;

pub use run::run;

/// What is done with a file whose path is referred to on a storage of another name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mismatch {
    /// Stop: delete nothing
    #[default]
    Error,
    /// Leave such files alone
    Ignore,
    /// Delete them: the storages differ
    Delete,
}

/// Delete files below a table that nothing refers to.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without --yes the plan is shown and nothing is deleted. A file stays if any snapshot or version that is kept, any statistics \
    or metadata file, or another table below or over the same folder refers to it; so do files with hidden names, and all whose age is not known."
)]
pub struct OrphansArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// Only files older than this, at least 24h
    #[arg(long, value_name = "AGE", default_value = "3d")]
    pub older_than: String,
    /// Search this folder of the table alone; folders of data and metadata outside the table's own are searched only so
    #[arg(long, value_name = "PREFIX")]
    pub location: Option<String>,
    /// Look at the files of this list instead of listing: S3 Inventory (CSV, packed or not, Parquet, ORC, or its manifest.json), or CSV, Parquet, ORC
    /// or JSON lines of key, size and last_modified; each orphan is looked at again before it is deleted
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<String>,
    /// Move files here instead of deleting them
    #[arg(long, value_name = "PREFIX")]
    pub quarantine: Option<String>,
    /// Bring files back from the quarantine
    #[arg(long, requires = "quarantine")]
    pub restore: bool,
    /// Where a file's path is referred to on a storage of another name: error, ignore (leave it alone) or delete
    #[arg(long, value_enum, default_value = "error", hide_possible_values = true, value_name = "error|ignore|delete")]
    pub prefix_mismatch: Mismatch,
    /// Two schemes that mean one storage (s3a and s3n are s3 without being told); may be repeated
    #[arg(long, value_name = "A=B")]
    pub equal_scheme: Vec<String>,
    /// Two authorities (buckets, hosts) that mean one storage; may be repeated
    #[arg(long, value_name = "A=B")]
    pub equal_authority: Vec<String>,
    /// Allow an age below 24h: only where nobody writes to the table
    #[arg(long)]
    pub unsafe_retention: bool,
    /// Show so many names of files; all are counted
    #[arg(long, value_name = "N", default_value = "1000")]
    pub limit: usize,
}
