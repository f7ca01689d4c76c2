//! `otf restore TABLE --to VERSION|TIME`: an earlier version becomes current again.

use super::upkeep::{Verb, line, open, plural, show, state};
use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::FormatName;
use crate::ops::restore::plan::{PlanDocument, Share};
use crate::ops::restore::{Options, run};
use crate::wiring::system::operation_id;

/// Make an earlier version of a table current again
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without --yes the plan is shown and nothing is written: which files come back, and which go. Nothing is deleted, so that the \
    version that was current can be restored in its turn for as long as the table keeps it."
)]
pub struct RestoreArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// The version, time, branch or tag to go back to
    #[arg(long, value_name = "VERSION|TIME|NAME")]
    pub to: String,
    /// The zone of a time without an offset, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Look for every file of that version first, not only for those that come back
    #[arg(long)]
    pub verify: bool,
}

/// Shows what would come back and what would go, and does it where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation.
pub async fn run(args: &RestoreArgs, session: &Session) -> Result<u8> {
    let options = Options { to: state(&args.to, args.tz.as_deref())?, verify: args.verify };
    let agreed = session.agreed();
    let store = session.store()?;
    let opened = open(&args.table, session, &store, agreed).await?;
    let workshop = session.workshop(store)?;
    let parts = workshop.parts();
    let (table, operation) = (opened.table.as_ref(), operation_id());
    let verb = Verb { name: "restore", table, operation: &operation, start: parts.clock.now() };
    let finished = run::run(table, &operation, &options, agreed, parts).await?;
    let document = verb.document(finished, parts);
    let plan = &document.plan;
    let is_empty = match table.format() {
        // It would point at another version even where the files are the same.
        FormatName::Iceberg => document.base_version.as_deref() == Some(plan.to.as_str()),
        FormatName::Delta => plan.goes.files == 0 && plan.comes_back.files == 0 && !plan.rules_differ,
    };
    show(&document, &text(&document.plan), is_empty, session)
}

fn text(plan: &PlanDocument) -> String {
    let mut text = String::new();
    let made = plan.made.as_ref().map_or_else(String::new, |time| format!(" of {time}"));
    line(
        &mut text,
        &format!("back to version {}{made}: {}, {}", plan.to, plural(plan.result.files, "file"), plural(plan.result.rows, "row")),
    );
    line(&mut text, &share("goes", &plan.goes));
    line(&mut text, &share("comes back", &plan.comes_back));
    line(&mut text, &format!("{} stay", plural(plan.stays, "file")));
    if plan.versions_undone > 0 {
        line(&mut text, &format!("undoes {}", plural(plan.versions_undone, "version")));
    }
    if !plan.is_ancestor {
        line(&mut text, "the current version does not descend from that one: it lies on another line of history");
    }
    if plan.rules_differ {
        line(&mut text, "that version has other columns, partitioning or properties than the table has now");
    }
    text
}

fn share(what: &str, share: &Share) -> String {
    let rows = share.rows.map_or_else(|| "rows not known".to_string(), |rows| plural(rows, "row"));
    format!("{what}: {}, {}, {rows}", plural(share.files, "file"), share.bytes)
}
