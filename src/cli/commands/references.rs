//! `otf tag TABLE …` and `otf branch TABLE …` (Iceberg).

use serde_json::json;

use super::upkeep::{Verb, age, line, open, show, state};
use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::cli::ui::table;
use crate::error::Result;
use crate::formats::Table;
use crate::ops::references::plan::{Action, PlanDocument, Request, Wanted};
use crate::ops::references::run::{self, Listed, version_at};
use crate::wiring::system::operation_id;

/// Name a version of an Iceberg table for good
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "otf tag ./t create eod-2026-01-31 --retain 365d\notf tag ./t create before-load --at 6712345678901234567\n\n\
    What loses nothing (create, list) is done at once; drop and replace show what they would do and want --yes. --dry-run writes nothing.")]
pub struct TagArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: TagAction,
}

/// What is to become of a tag.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TagAction {
    /// Make a tag
    Create(TagSettings),
    /// Let a tag name another version, or keep it for another time
    Replace(TagSettings),
    /// Drop a tag; its version stays until it is expired
    Drop(Named),
    /// List the table's tags
    List,
}

/// A tag as it is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct TagSettings {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it names.
    #[command(flatten)]
    pub at: AtArgs,
    /// How long it is kept by expire, counted from when its version was made [default: for ever, or as the table says]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub retain: Option<i64>,
}

/// Work beside the main line of an Iceberg table's history
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "otf branch ./t create audit\notf compact ./t#audit --yes\notf branch ./t fast-forward main --to audit\n\n\
    What loses nothing (create, fast-forward, list) is done at once; drop and replace show what they would do and want --yes. --dry-run writes \
    nothing.")]
pub struct BranchArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// What to do.
    #[command(subcommand)]
    pub action: BranchAction,
}

/// What is to become of a branch.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum BranchAction {
    /// Make a branch
    Create(BranchSettings),
    /// Let a branch go on from another version, or keep its versions for another time
    Replace(BranchSettings),
    /// Drop a branch; its versions stay until they are expired
    Drop(Named),
    /// Move a branch to a version that descends from its head: main --to audit publishes the branch audit
    FastForward(ForwardArgs),
    /// List the table's branches
    List,
}

/// A branch as it is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct BranchSettings {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it names.
    #[command(flatten)]
    pub at: AtArgs,
    /// How old its head may become before expire may drop it [default: for ever, or as the table says]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub retain: Option<i64>,
    /// How old its versions may become before expire may drop them [default: as the table says]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub max_snapshot_age: Option<i64>,
    /// How many of its versions stay whatever their age [default: as the table says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub min_snapshots_to_keep: Option<u64>,
}

/// A reference by its name.
#[derive(Debug, Clone, clap::Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Where a branch is moved.
#[derive(Debug, Clone, clap::Args)]
pub struct ForwardArgs {
    /// The branch that is moved
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The branch, tag or version it is moved to
    #[arg(long, value_name = "NAME|VERSION")]
    pub to: String,
}

/// A version of the table.
#[derive(Debug, Clone, clap::Args)]
pub struct AtArgs {
    /// The version, time, branch or tag it names [default: the current version]
    #[arg(long, value_name = "VERSION|TIME|NAME")]
    pub at: Option<String>,
    /// The zone of a time without an offset, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
}

/// What is asked for, with versions as people write them.
enum Asked<'a> {
    List,
    Create(&'a str, Settings<'a>),
    Replace(&'a str, Settings<'a>),
    Drop(&'a str),
    FastForward(&'a str, &'a str),
}

#[derive(Clone, Copy)]
struct Settings<'a> {
    at: &'a AtArgs,
    retain: Option<i64>,
    max_snapshot_age: Option<i64>,
    min_snapshots_to_keep: Option<u64>,
}

impl<'a> From<&'a TagSettings> for Settings<'a> {
    fn from(tag: &'a TagSettings) -> Self {
        Self { at: &tag.at, retain: tag.retain, max_snapshot_age: None, min_snapshots_to_keep: None }
    }
}

impl<'a> From<&'a BranchSettings> for Settings<'a> {
    fn from(branch: &'a BranchSettings) -> Self {
        let BranchSettings { at, retain, max_snapshot_age, min_snapshots_to_keep, .. } = branch;
        Self { at, retain: *retain, max_snapshot_age: *max_snapshot_age, min_snapshots_to_keep: *min_snapshots_to_keep }
    }
}

/// Makes, moves, drops or lists tags.
///
/// # Errors
///
/// As the operation.
pub async fn tag(args: &TagArgs, session: &Session) -> Result<u8> {
    let asked = match &args.action {
        TagAction::Create(tag) => Asked::Create(&tag.name, tag.into()),
        TagAction::Replace(tag) => Asked::Replace(&tag.name, tag.into()),
        TagAction::Drop(named) => Asked::Drop(&named.name),
        TagAction::List => Asked::List,
    };
    change(&args.table, asked, false, session).await
}

/// Makes, moves, drops or lists branches.
///
/// # Errors
///
/// As the operation.
pub async fn branch(args: &BranchArgs, session: &Session) -> Result<u8> {
    let asked = match &args.action {
        BranchAction::Create(branch) => Asked::Create(&branch.name, branch.into()),
        BranchAction::Replace(branch) => Asked::Replace(&branch.name, branch.into()),
        BranchAction::Drop(named) => Asked::Drop(&named.name),
        BranchAction::FastForward(forward) => Asked::FastForward(&forward.name, &forward.to),
        BranchAction::List => Asked::List,
    };
    change(&args.table, asked, true, session).await
}

async fn change(args: &TableArgs, asked: Asked<'_>, is_branch: bool, session: &Session) -> Result<u8> {
    let command = if is_branch { "branch" } else { "tag" };
    let loses = matches!(asked, Asked::Replace(..) | Asked::Drop(_));
    let agreed = (session.settings.yes || !loses) && !session.settings.dry_run;
    let store = session.store()?;
    let opened = open(args, session, &store, agreed && !matches!(asked, Asked::List)).await?;
    let workshop = session.workshop(store)?;
    let parts = workshop.parts();
    let (table, operation) = (opened.table.as_ref(), operation_id());
    let verb = Verb { name: command, table, operation: &operation, start: parts.clock.now() };
    let (name, action) = match asked {
        Asked::List => return list(table, is_branch, session).await,
        Asked::Create(name, settings) => (name, Action::Create(wanted(table, settings).await?)),
        Asked::Replace(name, settings) => (name, Action::Replace(wanted(table, settings).await?)),
        Asked::Drop(name) => (name, Action::Drop),
        Asked::FastForward(name, to) => (name, Action::FastForward(version_at(table, Some(&state(to, None)?)).await?)),
    };
    let request = Request { is_branch, name: name.to_string(), action };
    let finished = run::run(table, &operation, &request, agreed, parts).await?;
    let document = verb.document(finished, parts);
    show(&document, &text(&document.plan), document.plan.action == "none", session)
}

async fn wanted(table: &dyn Table, settings: Settings<'_>) -> Result<Wanted> {
    let at = settings.at.at.as_deref().map(|text| state(text, settings.at.tz.as_deref())).transpose()?;
    Ok(Wanted {
        version: version_at(table, at.as_ref()).await?,
        max_ref_age_ms: settings.retain,
        max_snapshot_age_ms: settings.max_snapshot_age,
        min_snapshots_to_keep: settings.min_snapshots_to_keep,
    })
}

fn text(plan: &PlanDocument) -> String {
    let mut text = String::new();
    let PlanDocument { action, kind, name, from, to, .. } = plan;
    let words = match (from, to) {
        (None, None) => format!("the table has no {kind} '{name}'"),
        (None, Some(to)) => format!("{action} {kind} '{name}' at version {to}"),
        (Some(from), None) => format!("{action} {kind} '{name}', which names version {from}"),
        (Some(_), Some(to)) if *action == "none" => format!("{kind} '{name}' names version {to} already"),
        (Some(from), Some(to)) if from == to => format!("{action} {kind} '{name}' at version {to}: kept for another time"),
        (Some(from), Some(to)) => format!("{action} {kind} '{name}': from version {from} to {to}"),
    };
    line(&mut text, &words);
    text
}

async fn list(opened: &dyn Table, is_branch: bool, session: &Session) -> Result<u8> {
    let (version, listed) = run::list(opened, is_branch).await?;
    let (kind, kinds) = if is_branch { ("branch", "branches") } else { ("tag", "tags") };
    if session.ui.is_json() {
        let entries: Vec<_> = listed.iter().map(entry).collect();
        session.ui.json(&json!({
            "command": kind, "table": opened.location().to_string(), "format": opened.format(),
            "base_version": version.snapshot().version.map(|version| version.to_string()), kinds: entries,
        }))?;
        return Ok(0);
    }
    if listed.is_empty() {
        session.ui.text(&format!("the table has no {kinds}\n"))?;
        return Ok(0);
    }
    let ms = |age: Option<i64>| age.map_or_else(String::new, written);
    let row = |listed: &Listed| {
        let known = &listed.reference;
        let made = listed.time.map_or_else(String::new, |time| time.to_string());
        let keep = known.min_snapshots_to_keep.map_or_else(String::new, |count| count.to_string());
        vec![known.name.clone(), known.version.to_string(), made, ms(known.max_ref_age_ms), ms(known.max_snapshot_age_ms), keep]
    };
    let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
    session.ui.text(&table(&[kind, "version", "made", "kept for", "versions kept for", "versions kept"], &rows, 3))?;
    Ok(0)
}

/// An age as people write it: in the largest unit that it has a whole number of.
fn written(ms: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = UNITS.iter().find(|(_, unit)| ms % unit == 0);
    unit.map_or_else(|| format!("{ms}ms"), |(name, unit)| format!("{}{name}", ms / unit))
}

fn entry(listed: &Listed) -> serde_json::Value {
    let known = &listed.reference;
    json!({
        "name": known.name, "version": known.version.to_string(), "made": listed.time.map(|time| time.to_string()), "max_ref_age_ms": known.max_ref_age_ms,
        "max_snapshot_age_ms": known.max_snapshot_age_ms, "min_snapshots_to_keep": known.min_snapshots_to_keep,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_they_are_read() {
        for (ms, text) in
            [(86_400_000, "1d"), (31_536_000_000, "365d"), (5_400_000, "90m"), (1_500, "1500ms"), (2_000, "2s"), (7_200_000, "2h")]
        {
            assert_eq!((written(ms).as_str(), age(text)), (text, Ok(ms)));
        }
        assert!(age("0d").is_err() && age("soon").is_err());
    }
}
