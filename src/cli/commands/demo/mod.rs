//! `otf demo [DIR]`: makes a small lakehouse, runs the verbs on it and says what to try.

mod avro;
mod data;
mod delta;
mod iceberg;

use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::json;

use self::data::Content;
use super::compact::{CompactDocument, compact};
use super::{inspect, query};
use crate::cli::session::Session;
use crate::cli::ui::{count, elapsed, table};
use crate::cli::{Cli, Command};
use crate::error::{Error, Result};
use crate::formats::FormatName;
use crate::location::Location;
use crate::ops::compact::Options;
use crate::store::Store;
use crate::wiring::open;
use crate::wiring::system::operation_id;

/// The tables of the demo.
const TABLES: [(&str, FormatName, Content); 2] =
    [("lineitem", FormatName::Iceberg, Content::LineItems), ("orders", FormatName::Delta, Content::Orders)];

/// Make a small lakehouse, run the verbs on it and say what to try.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Where to make it: a folder that does not exist or is empty
    #[arg(value_name = "DIR", default_value = "otf-demo")]
    pub folder: PathBuf,
}

/// Makes the tables, compacts them and shows what came of it.
///
/// # Errors
///
/// `Refused` if the folder is not empty; otherwise as the operations.
pub async fn run(args: &DemoArgs, session: &Session) -> Result<u8> {
    let root = empty_folder(&args.folder, session)?;
    if session.settings.dry_run {
        return Err(Error::usage("the demo writes tables and has no dry run").hint("leave --dry-run out, or name a folder of its own"));
    }
    let store = session.store()?;
    let mut documents = Vec::new();
    for (name, format, content) in TABLES {
        say(session, &format!("making {name}, {} table of some 300 small files …\n", article(format)))?;
        let place = root.child(name);
        make(&store, &place, format, content, session).await?;
        say(session, &format!("otf compact {} --yes\n", args.folder.join(name).display()))?;
        let document = compacted(&store, &place, session).await?;
        if !session.ui.is_json() {
            session.ui.text(&shown(&document))?;
        }
        documents.push(document);
    }
    if session.ui.is_json() {
        session.ui.json(&json!({"command": "demo", "folder": root.to_string(), "tables": documents}))?;
        return Ok(0);
    }
    for words in reads(&args.folder) {
        read(&words, session).await?;
    }
    say(session, &advice(&args.folder))?;
    Ok(0)
}

/// The arguments of runs that look into the tables.
fn reads(folder: &Path) -> [Vec<String>; 3] {
    let at = |name: &str| folder.join(name).display().to_string();
    let quoted = |name: &str| at(name).replace('\'', "''");
    let count = "SELECT count(*) AS orders, sum(o_totalprice) AS total FROM";
    let join = format!(
        "SELECT o_orderpriority AS priority, count(*) AS lines FROM '{}' JOIN '{}' ON l_orderkey = o_orderkey GROUP BY 1 ORDER BY 1",
        quoted("orders"),
        quoted("lineitem")
    );
    let words = |verb: &str, rest: String| vec![verb.to_string(), rest];
    [
        words("query", join),
        words("query", format!("{count} '{}' VERSION AS OF 10", quoted("orders"))),
        [words("inspect", at("lineitem")), vec!["--health".into()]].concat(),
    ]
}

/// Shows a command and runs it.
async fn read(words: &[String], session: &Session) -> Result<()> {
    let shown = words.iter().map(|word| if word.contains(' ') { format!("\"{word}\"") } else { word.clone() });
    say(session, &format!("otf {}\n", shown.collect::<Vec<_>>().join(" ")))?;
    let line = ["otf"].into_iter().chain(words.iter().map(String::as_str));
    let cli = Cli::try_parse_from(line).map_err(|error| Error::bug("the demo shows a command that there is not").because(error))?;
    match &cli.command {
        Command::Query(args) => query::run(args, session).await?,
        Command::Inspect(args) => inspect::run(args, session).await?,
        _ => return Err(Error::bug("the demo shows a command that changes something")),
    };
    say(session, "\n")
}

fn say(session: &Session, text: &str) -> Result<()> {
    if session.ui.is_json() { Ok(()) } else { session.ui.text(text) }
}

const fn article(format: FormatName) -> &'static str {
    match format {
        FormatName::Iceberg => "an Iceberg",
        FormatName::Delta => "a Delta",
    }
}

fn empty_folder(folder: &Path, session: &Session) -> Result<Location> {
    let text = folder.to_str().ok_or_else(|| Error::usage("the folder's name is not Unicode"))?;
    let root = Location::parse_below(text, &session.system.here()?)?;
    if root.scheme() != "file" {
        return Err(Error::unsupported("the demo is made on the local disk only").about("location", root));
    }
    match std::fs::read_dir(session.system.folder.join(folder)).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(Error::refused("the demo's folder is not empty").about("location", root).hint("name another folder: otf demo DIR")),
        Ok(false) => Ok(root),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(root),
        Err(error) => Err(Error::refused("the demo's folder cannot be read").about("location", root).because(error)),
    }
}

async fn make(store: &Store, place: &Location, format: FormatName, content: Content, session: &Session) -> Result<()> {
    let (id, now) = (operation_id().to_string(), session.system.clock.now());
    match format {
        FormatName::Iceberg => iceberg::make(store, place, content, &id, now).await,
        FormatName::Delta => delta::make(store, place, content, &id, now).await,
    }
}

async fn compacted(store: &Store, place: &Location, session: &Session) -> Result<CompactDocument> {
    let opened = open(&place.to_string(), None, place, &session.settings.config.catalog, store).await?;
    let workshop = session.workshop(store.clone())?;
    compact(opened.table.as_ref(), &Options::default(), true, workshop.parts()).await
}

fn shown(document: &CompactDocument) -> String {
    let after = document.after.unwrap_or(document.before);
    let row = |name: &str, before: String, after: String| vec![name.to_string(), before, after];
    let rows = [
        row("files", count(document.before.files), count(after.files)),
        row("bytes", document.before.bytes.to_string(), after.bytes.to_string()),
        row("rows", count(document.before.rows), count(after.rows)),
    ];
    format!("{}{} in {}\n\n", table(&["", "before", "after"], &rows, 1), document.outcome.as_str(), elapsed(document.elapsed_ms))
}

fn advice(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let commands = [
        (format!("otf inspect {} --html lineitem.html", at("lineitem")), "a page with charts"),
        (format!("otf compact {} --yes", at("orders")), "there is nothing left to do"),
        (format!("otf compact {} --rewrite-all --compression zstd:9", at("lineitem")), "shows the plan; --yes carries it out"),
        (format!("otf restore {} --to 10", at("orders")), "what would come back, and what would go"),
        (format!("otf tag {} create loaded", at("lineitem")), "a version that is kept"),
        (format!("otf expire {}", at("lineitem")), "all versions are young: nothing to do"),
        (format!("otf fsck {} --deep", at("orders")), "every row against the metadata"),
    ];
    let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let line =
        |(command, why): &(String, &str)| if why.is_empty() { format!("  {command}\n") } else { format!("  {command:<width$}  # {why}\n") };
    format!("try next\n{}", commands.iter().map(line).collect::<String>())
}
