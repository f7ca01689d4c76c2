//! `otf query "SQL"`: rows of tables, now or as of a version or a time.

mod cells;
mod csv;
mod explain;
mod json;
mod parquet;
mod text;

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use crate::cli::options::key_value;
use crate::cli::session::Session;
use crate::cli::sink::{self, Sink};
use crate::cli::ui::count;
use crate::config::Output;
use crate::error::{Error, Result};
use crate::formats::Table;
use crate::ops::query::{self, Tables, statement};
use crate::store::Store;
use crate::wiring::open::Layout;
use crate::wiring::{self, system};

/// Run SQL over tables, now or as of a version or a time; nothing is ever changed.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Tables stand in the statement as places in quotes or as catalog.namespace.table, each with VERSION AS OF or TIMESTAMP AS OF \
    where an earlier state is wanted:\n  otf query \"SELECT count(*) FROM 's3://lake/orders' VERSION AS OF 12\"\n  otf query \"SELECT * FROM \
    prod.db.t TIMESTAMP AS OF '2026-01-31T00:00:00Z'\"\n\n--output may be text, json (an object a line), csv or parquet (with --to)."
)]
pub struct QueryArgs {
    /// The statement: SELECT, EXPLAIN or SHOW
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// A name that stands for a table in the statement; may be repeated
    #[arg(long = "table", value_name = "NAME=TABLE")]
    pub tables: Vec<String>,
    /// Every table without a clause of its own as of this version, time, branch or tag
    #[arg(long, value_name = "VERSION|TIME|NAME")]
    pub as_of: Option<String>,
    /// The zone of times without an offset, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Write the rows to this file, which appears when they are complete
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Show at most so many rows as text [default: 1000]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<u64>,
    /// Show the plan, and which files and row groups would be skipped and why, instead of the rows
    #[arg(long)]
    pub explain: bool,
    /// The format to read where several lie over the same files
    #[arg(long, value_enum, hide_possible_values = true, value_name = "delta|iceberg")]
    pub table_format: Option<Layout>,
}

/// Rows shown as text where nobody says how many.
const SHOWN: u64 = 1_000;

/// Somebody who takes rows.
trait Rows {
    /// Takes `batch`; says whether more are wanted.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the rows cannot be written.
    fn batch(&mut self, batch: &RecordBatch) -> Result<bool>;

    /// Ends. Returns a remark for people, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::batch`].
    fn end(self: Box<Self>) -> Result<Option<String>>;
}

/// Runs the query and writes its rows.
///
/// # Errors
///
/// `Usage` for a query that makes no sense, `Refused` for one that would change anything; errors of reading its tables.
pub async fn run(args: &QueryArgs, session: &Session) -> Result<u8> {
    let output = session.ui.output;
    if output == Output::Parquet && args.to.is_none() {
        return Err(Error::usage("rows as Parquet need a file to go to").hint("add --to FILE"));
    }
    let named: Result<Vec<(String, String)>> =
        args.tables.iter().map(|text| key_value("--table", text).map(|(name, table)| (name.to_string(), table.to_string()))).collect();
    let zone = args.tz.as_deref();
    let as_of = args.as_of.as_deref().map(|text| statement::as_of(text, zone)).transpose()?;
    let request = statement::Request { sql: &args.sql, named: &named?, as_of, zone };
    let store = session.store()?;
    let opener = Opener { session, store: &store, layout: args.table_format };
    if args.explain {
        return explained(args, &request, &opener).await;
    }
    let answer = query::run(&request, &opener, session.sql(&store).as_ref()).await?;
    let sink = match &args.to {
        Some(file) => Sink::file(&session.system.folder, file, &system::operation_id())?,
        None => Sink::stdout(),
    };
    let mut rows = writer(output, &answer.schema, sink, args.max_rows.unwrap_or(SHOWN), session)?;
    let written = write_all(answer.rows, rows.as_mut()).await?;
    if let Some(remark) = rows.end()? {
        session.ui.remark(&remark);
    } else if let Some(file) = &args.to {
        tracing::info!(target: "otf", rows = count(written), file = %file.display(), "written");
    }
    Ok(0)
}

/// Writes batches until they end or no more are wanted; returns how many rows that were.
async fn write_all(mut batches: BoxStream<'static, Result<RecordBatch>>, rows: &mut dyn Rows) -> Result<u64> {
    let mut written: u64 = 0;
    while let Some(batch) = batches.try_next().await? {
        written = written.saturating_add(batch.num_rows() as u64);
        if !rows.batch(&batch)? {
            break;
        }
    }
    Ok(written)
}

/// Prints what the query of `request` would read.
async fn explained(args: &QueryArgs, request: &statement::Request<'_>, opener: &Opener<'_>) -> Result<u8> {
    let session = opener.session;
    if args.to.is_some() || !matches!(session.ui.output, Output::Text | Output::Json) {
        return Err(Error::usage("what a query would read is printed as text or as JSON").hint("leave --to out, or use --output json"));
    }
    let start = session.system.clock.now();
    let explained = query::explain(request, opener, session.sql(opener.store).as_ref()).await?;
    explain::show(&explained, session.ms_since(start), &session.ui)?;
    Ok(0)
}

fn writer(output: Output, schema: &SchemaRef, sink: Sink, most: u64, session: &Session) -> Result<Box<dyn Rows>> {
    Ok(match output {
        Output::Text => Box::new(text::Lines::new(schema, sink, most, session.ui.paint)),
        Output::Json => Box::new(json::Lines::new(schema, sink)?),
        Output::Csv => Box::new(csv::Lines::new(schema, sink)?),
        Output::Parquet => Box::new(parquet::File::new(schema, sink, session.settings.memory)?),
    })
}

/// Refuses columns of the same name: machines find columns by name.
fn distinct(schema: &SchemaRef) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        None => Ok(()),
        Some(twice) => Err(Error::usage("two columns of the result have the same name")
            .about("column", twice.name())
            .hint("give one another name with AS")),
    }
}

struct Opener<'a> {
    session: &'a Session,
    store: &'a Store,
    layout: Option<Layout>,
}

#[async_trait]
impl Tables for Opener<'_> {
    async fn open(&self, reference: &str) -> Result<Box<dyn Table>> {
        let here = self.session.system.here()?;
        let catalogs = &self.session.settings.config.catalog;
        Ok(wiring::open(reference, self.layout, &here, catalogs, self.store).await?.table)
    }

    fn remark(&self, reference: &str, remark: &str) {
        tracing::warn!(target: "otf", table = reference, "{remark}");
    }
}
