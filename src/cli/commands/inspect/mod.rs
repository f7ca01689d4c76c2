//! `otf inspect TABLE`: what a table is made of, what it went through and how healthy it is.

mod html;
mod json;
mod listing;
mod show;
mod types;

use std::path::{Path, PathBuf};

use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::cli::sink::Sink;
use crate::error::{Error, Result};
use crate::formats::{FormatName, Reference, TableVersion};
use crate::model::{Bookkeeping, Snapshot};
use crate::ops::inspect::plan::{Facts, judge};
use crate::ops::inspect::{Census, Health, Past, gather, look_back};
use crate::units::{Bytes, Timestamp};
use crate::wiring::Opened;
use crate::wiring::system::{operation_id, peak_memory_bytes};

/// Say what a table is made of and how healthy it is.
#[derive(Debug, Clone, clap::Args)]
pub struct InspectArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// List every version the table keeps, oldest first
    #[arg(long)]
    pub history: bool,
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
    #[arg(long, conflicts_with_all = ["history", "files", "partitions", "refs", "properties"])]
    pub health: bool,
    /// Also write a report with charts to this file: one page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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
    bookkeeping: Bookkeeping,
    versions: Option<u64>,
    past: Past,
    health: Health,
    /// What ages are counted from.
    now: Timestamp,
    /// The page that is written, if one is.
    html: Option<String>,
    elapsed_ms: u64,
    peak_memory_bytes: u64,
}

/// Reads the table's metadata and describes it.
///
/// # Errors
///
/// As opening and reading the table, which is never written to; `Usage` or `Unavailable` where the page cannot be written.
pub async fn run(args: &InspectArgs, session: &Session) -> Result<u8> {
    let start = session.system.clock.now();
    let store = session.store()?;
    let opened = session.open(&args.table, &store).await?;
    let version = opened.table.load().await?;
    let engine = session.engine(&store)?;
    let target = version.defaults().target_file_size;
    let census = gather(version.as_ref(), engine.as_ref(), target).await?;
    let mut report = described(args, &opened, version.as_ref(), census, start).await?;
    if let Some(file) = &args.html {
        report.html = Some(session.system.folder.join(file).display().to_string());
        if session.settings.dry_run {
            session.ui.remark("a dry run writes no page");
            report.html = None;
        } else {
            write(&html::page(&report), file, session)?;
        }
    }
    report.elapsed_ms = session.ms_since(start);
    report.peak_memory_bytes = peak_memory_bytes();
    if session.ui.is_json() {
        listing::json(&json::document(&report, args), version.as_ref(), args, &session.ui).await?;
    } else {
        session.ui.text(&show::text(&report, args, session.ui.paint))?;
        listing::text(&report, version.as_ref(), args, &session.ui).await?;
    }
    Ok(0)
}

/// Looks at metadata and history, and judges.
async fn described<'a>(
    args: &InspectArgs,
    opened: &Opened,
    version: &'a dyn TableVersion,
    census: Census,
    now: Timestamp,
) -> Result<Report<'a>> {
    let (snapshot, target) = (version.snapshot(), version.defaults().target_file_size);
    let bookkeeping = version.bookkeeping().await?;
    // Rules that cannot be understood let nothing be deleted: there is nothing to be said of them here.
    let retention = version.retention().ok();
    // A log is read commit by commit, and keeps versions by rules that their files do not follow.
    let has_log = bookkeeping.log_entries.is_some();
    let past = match (has_log, &args.html) {
        (true, None) => Past::default(),
        (true, Some(_)) => look_back(version, None, now).await?,
        (false, _) => look_back(version, retention, now).await?,
    };
    // One exact state cannot be mended: the commands name the table itself.
    let name = if opened.read_only { snapshot.location.to_string() } else { args.table.table.clone() };
    let branch = version.reference().map(|reference| format!("#{reference}"));
    let whole = branch.as_deref().and_then(|branch| name.strip_suffix(branch)).unwrap_or(&name);
    let versions = snapshot.versions_kept.or(bookkeeping.log_entries);
    let health = judge(&Facts {
        table: &name,
        whole_table: whole,
        census: &census,
        target,
        bookkeeping: &bookkeeping,
        versions,
        outlived: past.outlived,
        collectable: retention.is_none_or(|retention| retention.collectable),
        statistics_declined: declines_statistics(snapshot),
    });
    Ok(Report {
        format: opened.table.format(),
        snapshot,
        reference: version.reference(),
        references: version.references(),
        target,
        census,
        bookkeeping,
        versions,
        past,
        health,
        now,
        html: None,
        elapsed_ms: 0,
        peak_memory_bytes: 0,
    })
}

/// Whether the table's properties ask for files without bounds.
fn declines_statistics(snapshot: &Snapshot) -> bool {
    let says = |key: &str, words: &[&str]| snapshot.properties.get(key).is_some_and(|text| words.contains(&text.trim()));
    says("write.metadata.metrics.default", &["none", "counts"]) || says("delta.dataSkippingNumIndexedCols", &["0"])
}

fn write(page: &str, file: &Path, session: &Session) -> Result<()> {
    let mut sink = Sink::file(&session.system.folder, file, &operation_id())?;
    if sink.is_stdout() {
        return Err(Error::usage("the page needs a file of its own: the report is on standard output").hint("give --html a file"));
    }
    sink.put(page.as_bytes())?;
    sink.finish()
}
