//! `otf inspect TABLE`: what a table is made of and how healthy it is.

mod listing;
mod show;
mod types;

use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::{FormatName, Reference};
use crate::model::Snapshot;
use crate::ops::inspect::{Census, Health, gather, health};
use crate::units::Bytes;
use crate::wiring::system::peak_memory_bytes;

/// Say what a table is made of and how healthy it is.
#[derive(Debug, Clone, clap::Args)]
pub struct InspectArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// List every data file
    #[arg(long)]
    pub files: bool,
    /// List every partition
    #[arg(long)]
    pub partitions: bool,
    /// List branches and tags
    #[arg(long)]
    pub refs: bool,
    /// List the table's properties
    #[arg(long)]
    pub properties: bool,
    /// Show the score and its reasons only
    #[arg(long, conflicts_with_all = ["files", "partitions", "refs", "properties"])]
    pub health: bool,
}

/// Everything the verb says, before it is put into words.
#[derive(Debug)]
struct Report<'a> {
    format: FormatName,
    snapshot: &'a Snapshot,
    reference: Option<&'a str>,
    references: Vec<Reference>,
    target: Bytes,
    census: Census,
    health: Health,
    elapsed_ms: u64,
    peak_memory_bytes: u64,
}

/// Reads the table's metadata and describes it.
///
/// # Errors
///
/// As opening and reading the table; nothing is ever written.
pub async fn run(args: &InspectArgs, session: &Session) -> Result<u8> {
    let start = session.system.clock.now();
    let store = session.store()?;
    let opened = session.open(&args.table, &store).await?;
    let version = opened.table.load().await?;
    let engine = session.engine(&store)?;
    let target = version.defaults().target_file_size;
    let census = gather(version.as_ref(), engine.as_ref(), target).await?;
    let snapshot = version.snapshot();
    // One exact state cannot be mended: the commands name the table itself.
    let name = if opened.read_only { snapshot.location.to_string() } else { args.table.table.clone() };
    let health = health::judge(&census, target, snapshot.versions_kept, &name);
    let report = Report {
        format: opened.table.format(),
        snapshot,
        reference: version.reference(),
        references: version.references(),
        target,
        census,
        health,
        elapsed_ms: session.ms_since(start),
        peak_memory_bytes: peak_memory_bytes(),
    };
    match (session.ui.is_json(), args.files) {
        (true, true) => listing::json(&show::json(&report, args), version.as_ref(), &session.ui).await?,
        (true, false) => session.ui.json(&show::json(&report, args))?,
        (false, files) => {
            session.ui.text(&show::text(&report, args, session.ui.paint))?;
            if files {
                listing::text(version.as_ref(), &session.ui).await?;
            }
        }
    }
    Ok(0)
}
