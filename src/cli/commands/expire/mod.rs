//! `otf expire TABLE`: shows which versions would go, and lets them go once somebody agreed.

mod run;
mod show;

use std::num::NonZeroU64;

use crate::cli::options::TableArgs;

pub use run::run;

/// Forget old versions and delete every file that only they needed.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without --yes the plan is shown and nothing is written. What is not given is taken from the table: its own age and count, those of \
    its branches and tags, else the format's defaults. What a branch or tag holds never goes."
)]
pub struct ExpireArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// Versions older than this go: a duration (7d) or a time [default: the table's property]
    #[arg(long, value_name = "7d|TIME")]
    pub older_than: Option<String>,
    /// So many versions of every branch stay whatever their age [default: the table's property]
    #[arg(long, value_name = "N")]
    pub retain_last: Option<NonZeroU64>,
    /// These versions go; no others unless an age or a count is given too
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',', allow_negative_numbers = true)]
    pub snapshot_id: Vec<i64>,
    /// Branches and tags whose newest version is older go, unless they say otherwise themselves [default: the table's property]
    #[arg(long, value_name = "30d")]
    pub max_ref_age: Option<String>,
    /// This version and all that came of it stay: somebody reads on from it; may be repeated
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    pub pin: Vec<i64>,
    /// Delete manifests, their lists and statistics, and leave files with rows
    #[arg(long)]
    pub metadata_only: bool,
    /// Also drop schemas and partition specs that nothing refers to any more (Iceberg)
    #[arg(long)]
    pub clean_metadata: bool,
    /// Keep less than the table asks for, or less than is safe beside running jobs (Iceberg 24h, Delta 7d)
    #[arg(long)]
    pub unsafe_retention: bool,
    /// The zone of a time without an offset, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}
