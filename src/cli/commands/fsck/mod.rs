//! `otf fsck TABLE`: whether a table is what its metadata says.

mod show;

use std::num::NonZeroUsize;

use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::FormatName;
use crate::model::Reach;
use crate::ops::fsck::{self, Options, Report};
use crate::wiring::system::peak_memory_bytes;

/// The exit status where something is wrong (cli.md).
const DAMAGED: u8 = 5;

/// Check that files, counts, bounds, deletes, references and history are what the metadata says; nothing is ever written
#[derive(Debug, Clone, clap::Args)]
pub struct FsckArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// Read every live row too: bounds, null and NaN counts are held against the values instead of the files' footers
    #[arg(long)]
    pub deep: bool,
    /// Check the metadata of every version that is kept, not only what the newest one, branches and tags need
    #[arg(long)]
    pub all_versions: bool,
    /// Show so many findings, the worst first; all are counted
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: NonZeroUsize,
}

/// Everything the verb says, before it is put into words.
#[derive(Debug)]
struct Shown<'a> {
    table: String,
    /// What commands that mend are to name.
    name: String,
    format: FormatName,
    deep: bool,
    report: &'a Report,
    elapsed_ms: u64,
    peak_memory_bytes: u64,
}

/// Checks the table and tells what was found.
///
/// # Errors
///
/// As opening the table; `Unavailable` if storage did not answer. Damage is no error: it is told, and the exit status is 5.
pub async fn run(args: &FsckArgs, session: &Session) -> Result<u8> {
    let start = session.system.clock.now();
    let store = session.store()?;
    let opened = session.open(&args.table, &store).await?;
    let inspector = session.inspector(&store)?;
    let options = Options {
        deep: args.deep,
        reach: if args.all_versions { Reach::EveryVersion } else { Reach::Newest },
        limit: args.limit.get(),
        memory: session.settings.memory,
    };
    let report = fsck::run(opened.table.as_ref(), inspector.as_ref(), &options).await?;
    let table = opened.table.location().to_string();
    // One exact state cannot be mended: the commands name the table itself.
    let name = if opened.read_only { table.clone() } else { args.table.table.clone() };
    let shown = Shown {
        table,
        name,
        format: opened.table.format(),
        deep: args.deep,
        report: &report,
        elapsed_ms: session.ms_since(start),
        peak_memory_bytes: peak_memory_bytes(),
    };
    if session.ui.is_json() {
        session.ui.json(&show::json(&shown))?;
    } else {
        session.ui.text(&show::text(&shown, session.ui.paint))?;
    }
    Ok(if report.is_sound() { 0 } else { DAMAGED })
}
