//! What verbs have in common that change a table: opening it, the document, words for people.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::cli::ui::{Paint, count, elapsed, table};
use crate::error::{Error, Result};
use crate::formats::Table;
use crate::model::{At, OperationId, Totals};
use crate::ops::Parts;
use crate::ops::document::{Document, Finished, Outcome};
use crate::ops::query::statement;
use crate::store::Store;
use crate::units::{Bytes, Timestamp, parse_duration};
use crate::wiring::Opened;
use crate::wiring::system::peak_memory_bytes;

/// The document of a verb that is neither planned nor run yet.
pub(super) struct Verb<'a> {
    pub(super) name: &'static str,
    pub(super) table: &'a dyn Table,
    pub(super) operation: &'a OperationId,
    pub(super) start: Timestamp,
}

impl Verb<'_> {
    /// The document of what came of it.
    pub(super) fn document<P, R>(&self, finished: Finished<P, R>, parts: Parts<'_>) -> Document<P, R> {
        let Finished { outcome, base_version, versions, before, after, plan, report, error } = finished;
        Document {
            command: self.name,
            table: self.table.location().to_string(),
            format: self.table.format(),
            operation_id: self.operation.to_string(),
            outcome,
            base_version: base_version.map(|version| version.to_string()),
            versions: versions.iter().map(ToString::to_string).collect(),
            before,
            after,
            plan,
            report,
            error,
            elapsed_ms: u64::try_from(parts.clock.now().0.saturating_sub(self.start.0)).unwrap_or(0),
            peak_memory_bytes: peak_memory_bytes(),
        }
    }
}

/// Opens the table that is to be changed.
///
/// # Errors
///
/// As opening it; `Refused` for one exact state that somebody wants to change.
pub(super) async fn open(args: &TableArgs, session: &Session, store: &Store, agreed: bool) -> Result<Opened> {
    let opened = session.open(args, store).await?;
    if opened.read_only && agreed {
        return Err(Error::refused("a metadata file is one exact state of a table and cannot be changed")
            .about("location", opened.table.location())
            .hint("name the table's folder, or its name in a catalog"));
    }
    Ok(opened)
}

/// Shows the document: `plan` is its plan in words. Returns the exit status.
///
/// # Errors
///
/// As printing.
pub(super) fn show<P: Serialize, R: Serialize>(document: &Document<P, R>, plan: &str, is_empty: bool, session: &Session) -> Result<u8> {
    if session.ui.is_json() {
        session.ui.json(document)?;
        return Ok(document.outcome.exit_status());
    }
    session.ui.text(&text(document, plan, session.ui.paint))?;
    let hint = match document.outcome {
        Outcome::Planned if is_empty => "nothing to do\n",
        Outcome::Planned if session.settings.dry_run => "nothing was written (--dry-run)\n",
        Outcome::Planned => "nothing was written; add --yes to carry this plan out\n",
        _ => "",
    };
    session.ui.text(hint)?;
    if let Some(error) = &document.error {
        session.ui.error(error);
    }
    Ok(document.outcome.exit_status())
}

fn text<P, R>(document: &Document<P, R>, plan: &str, paint: Paint) -> String {
    let version = document.base_version.as_deref().map_or_else(|| "no version yet".to_string(), |version| format!("version {version}"));
    let mut text = format!("{} {} ({}, {version})\n\n{plan}\n", paint.bold(document.command), document.table, document.format.as_str());
    let word = match document.outcome {
        Outcome::Planned => return text,
        Outcome::NothingToDo => {
            line(&mut text, &paint.good("nothing to do"));
            return text;
        }
        Outcome::Landed => paint.good(document.outcome.as_str()),
        _ => paint.bad(document.outcome.as_str()),
    };
    if let Some(after) = document.after.filter(|after| *after != document.before) {
        text.push_str(&measures(document.before, after));
    }
    let versions = document.versions.first().map_or_else(String::new, |version| format!(" as version {version}"));
    let memory = Bytes(document.peak_memory_bytes);
    line(&mut text, &format!("{word}{versions} in {}, peak memory {memory}", elapsed(document.elapsed_ms)));
    text
}

/// What a table was and has become, side by side.
pub(super) fn measures(before: Totals, after: Totals) -> String {
    let row = |name: &str, before: String, after: String| vec![name.to_string(), before, after];
    let rows = [
        row("files", count(before.files), count(after.files)),
        row("bytes", before.bytes.to_string(), after.bytes.to_string()),
        row("rows", count(before.rows), count(after.rows)),
        row("delete files", count(before.delete_files), count(after.delete_files)),
    ];
    table(&["", "before", "after"], &rows, 1)
}

/// Adds a line.
pub(super) fn line(text: &mut String, words: &str) {
    // Writing to a String cannot fail.
    let written = writeln!(text, "{words}");
    debug_assert!(written.is_ok());
}

/// `1 file`, `2 files`.
pub(super) fn plural(number: u64, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {word}{ending}", count(number))
}

/// Reads a state of the table as people write it.
///
/// # Errors
///
/// `Usage` for what is none.
pub(super) fn state(text: &str, zone: Option<&str>) -> Result<At> {
    statement::as_of(text, zone)
}

/// Reads an age in milliseconds.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn age(text: &str) -> std::result::Result<i64, String> {
    let wrong = |error: Error| format!("{}; {}", error.message(), error.next_step());
    let duration = parse_duration(text).map_err(wrong)?;
    i64::try_from(duration.as_millis()).ok().filter(|ms| *ms > 0).ok_or_else(|| "an age is longer than nothing".to_string())
}
