//! `otf compact TABLE`: shows what would be done, and does it once somebody agreed.

mod run;
mod settings;
mod show;
mod spark;

use std::num::NonZeroUsize;

use crate::cli::options::TableArgs;
use crate::config::{Compression, RowPath, Size};

pub use run::run;
pub use spark::read as spark_options;

pub(crate) use run::compact;
pub(crate) use show::CompactDocument;

/// How files are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Strategy {
    /// By size alone; rows keep their order
    #[default]
    Binpack,
    /// By an order of columns (not in this version)
    Sort,
    /// Along a z-order curve (not in this version)
    Zorder,
    /// Along a Hilbert curve (not in this version)
    Hilbert,
}

/// Turn many small files into few right-sized ones; deletes are applied on the way.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without --yes the plan is shown and nothing is written. What is not given is taken from the configuration, then from the \
    table's properties, then from the format's defaults."
)]
pub struct CompactArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// How files are put together [default: binpack]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "binpack")]
    pub strategy: Option<Strategy>,
    /// Order of columns for --strategy sort.
    #[arg(long, value_name = "COLUMNS", hide = true)]
    pub order_by: Option<String>,
    /// Columns of a curve.
    #[arg(long, value_name = "COLUMNS", hide = true)]
    pub columns: Option<String>,
    /// Only files that may hold rows matching this SQL condition
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// About how large new files should be [default: the table's property]
    #[arg(long, value_name = "SIZE")]
    pub target_file_size: Option<Size>,
    /// Smaller files are rewritten [default: 75% of the target]
    #[arg(long, value_name = "SIZE")]
    pub min_file_size: Option<Size>,
    /// Larger files are rewritten [default: 180% of the target]
    #[arg(long, value_name = "SIZE")]
    pub max_file_size: Option<Size>,
    /// So many files make a group worth rewriting [default: 5]
    #[arg(long, value_name = "N")]
    pub min_input_files: Option<NonZeroUsize>,
    /// A group's inputs hold no more than this [default: 100GiB]
    #[arg(long, value_name = "SIZE")]
    pub max_group_size: Option<Size>,
    /// Groups rewritten at the same time [default: what memory allows, at most 5]
    #[arg(long, value_name = "N")]
    pub max_concurrent_groups: Option<NonZeroUsize>,
    /// Commit in at most N parts instead of once [default N: 10]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10")]
    pub partial_progress: Option<NonZeroUsize>,
    /// Rewrite files with at least N deletes whatever their size
    #[arg(long, value_name = "N")]
    pub delete_file_threshold: Option<NonZeroUsize>,
    /// Rewrite files with at least this share of deleted rows whatever their size [default: 0.3]
    #[arg(long, value_name = "0..1")]
    pub delete_ratio: Option<f64>,
    /// Rewrite every file
    #[arg(long)]
    pub rewrite_all: bool,
    /// Also drop delete files that apply to nothing any more
    #[arg(long)]
    pub remove_dangling_deletes: bool,
    /// Compression of new files: zstd, gzip or brotli (with a level if wanted: zstd:3), snappy, lz4 or none; everything rewritten is then encoded
    /// unless --path says otherwise [default: the table's property]
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<Compression>,
    /// How row groups reach new files: auto, copy or encode [default: auto]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "auto|copy|encode")]
    pub path: Option<RowPath>,
    /// Plan no more than N files
    #[arg(long, value_name = "N")]
    pub max_files: Option<NonZeroUsize>,
    /// An option by the key Spark's rewrite_data_files knows it by, e.g. min-input-files=2; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub options: Vec<String>,
}
