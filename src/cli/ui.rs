//! What people and machines get to see: results on standard output, everything else on standard error.

use std::borrow::Cow;
use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Color, Output};
use crate::error::{Error, Result};
use crate::wiring::System;

/// Narrower tables are not worth wrapping.
const NARROW: u16 = 40;

/// What [`Paint`] puts around words.
const COLOURS: [&str; 6] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[1;31m"];

/// Colours, if they are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Colours for a stream that is (or is not) a terminal. `NO_COLOR` (no-color.org) and `TERM=dumb` turn `auto` off.
    pub fn new(color: Color, is_terminal: bool, system: &System) -> Self {
        let plain =
            system.env.get("NO_COLOR").is_some_and(|value| !value.is_empty()) || system.env.get("TERM").is_some_and(|term| term == "dumb");
        Self { on: color == Color::Always || (color == Color::Auto && is_terminal && !plain) }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Something that went well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Something to look at.
    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Something that went wrong.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// An aside.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

/// Where results go and what they look like.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    /// Text or JSON.
    pub output: Output,
    /// Colours of standard output.
    pub paint: Paint,
    /// Colours of standard error.
    pub paint_errors: Paint,
}

impl Ui {
    /// The ways of `output` and `color` in these surroundings.
    pub fn new(output: Output, color: Color, system: &System) -> Self {
        let paint = Paint::new(color, system.stdout_is_terminal, system);
        Self { output, paint, paint_errors: Paint::new(color, system.stderr_is_terminal, system) }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints `text` on standard output.
    ///
    /// # Errors
    ///
    /// `Unavailable` if standard output cannot be written. A reader that went away (`| head`) is no error.
    pub fn text(&self, text: &str) -> Result<()> {
        written(std::io::stdout().lock(), &tame(text, self.paint))
    }

    /// Prints a remark on standard error. One that cannot be shown is dropped: there is nobody to tell.
    pub fn remark(&self, text: &str) {
        let shown = written(std::io::stderr().lock(), &format!("{}\n", tame(text, self.paint_errors)));
        drop(shown);
    }

    /// Prints `document` as one JSON document.
    ///
    /// # Errors
    ///
    /// As [`Self::text`].
    pub fn json(&self, document: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(document).map_err(|error| Error::bug("a result has no JSON form").because(error))?;
        self.json_part(&format!("{text}\n"))
    }

    /// Prints a part of a JSON document.
    ///
    /// # Errors
    ///
    /// As [`Self::text`].
    pub fn json_part(&self, text: &str) -> Result<()> {
        written(std::io::stdout().lock(), &tame_json(text))
    }

    /// Prints an error where the reader looks for it: JSON on standard output, text on standard error. Whoever asks for a Parquet file is a machine.
    pub fn error(&self, error: &Error) {
        if matches!(self.output, Output::Json | Output::Parquet) {
            let printed = self.json(&error_document(error));
            drop(printed);
            return;
        }
        self.remark(&error_text(error, self.paint_errors));
    }
}

fn written(mut stream: impl Write, text: &str) -> Result<()> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::unavailable("the result could not be printed").because(error))
        }
        _ => Ok(()),
    }
}

/// The JSON of an error (cli.md, "Exit status").
pub fn error_document(error: &Error) -> Value {
    json!({"error": error})
}

/// The text of an error: what, where, next step.
pub fn error_text(error: &Error, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.bad("error:"), visible(error.message()));
    for (key, value) in error.context() {
        text.push_str(&format!("\n  {key}={}", visible(value)));
    }
    if let Some(cause) = error.cause() {
        text.push_str(&format!("\n  {}", paint.dim(&format!("cause={cause}"))));
    }
    text.push_str(&format!("\n  {} {}", paint.warn("hint:"), visible(error.next_step())));
    text
}

/// A table for people: `headers` over `rows`, every column but the first `texts` ones right-aligned. What is not seen is written out.
pub fn table(headers: &[&str], rows: &[Vec<String>], texts: usize) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| visible(cell).into_owned()).collect()).collect();
    table_of_values(headers, &rows, texts)
}

/// As [`table`], with cells of several lines or in colour: what else they hold that is not seen is the caller's to replace.
pub fn table_of_values(headers: &[&str], rows: &[Vec<String>], texts: usize) -> String {
    let headers = headers.iter().map(|header| visible(header));
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // A terminal that is too narrow for words (or does not know its width) gets whole lines and wraps them itself.
    if table.width().is_none_or(|width| width >= NARROW) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(headers);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}

/// `text` with control characters written out but for line ends, tabs and colours of ours: names of other people's making are part of it.
fn tame(text: &str, paint: Paint) -> Cow<'_, str> {
    let wild = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(wild) {
        return Cow::Borrowed(text);
    }
    let mut tamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, c)) = rest.find(wild).and_then(|at| Some((rest.get(..at)?, rest.get(at..)?.chars().next()?))) {
        tamed.push_str(before);
        rest = rest.get(before.len()..).unwrap_or_default();
        let colour = COLOURS.iter().copied().find(|colour| paint.on && rest.starts_with(colour));
        if let Some(colour) = colour {
            tamed.push_str(colour);
        } else {
            tamed.extend(c.escape_unicode());
        }
        rest = rest.get(colour.map_or(c.len_utf8(), str::len)..).unwrap_or_default();
    }
    tamed.push_str(rest);
    Cow::Owned(tamed)
}

/// The JSON `text` with the control characters that JSON allows as they are written out as it writes out others. They are in strings alone.
fn tame_json(text: &str) -> Cow<'_, str> {
    let wild = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
    if !text.contains(wild) {
        return Cow::Borrowed(text);
    }
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if wild(c) {
            tamed.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            tamed.push(c);
        }
    }
    Cow::Owned(tamed)
}

/// `text` with everything that is not seen written out (`\u{202e}`): a name must not move the cursor, recolour a terminal or turn what follows
/// it around.
pub fn visible(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            seen.extend(c.escape_unicode());
        } else {
            seen.push(c);
        }
    }
    Cow::Owned(seen)
}

/// A time span in its largest unit: `3 days`, `1 hour`, `0 seconds`.
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let units = [("year", 365 * 86_400), ("day", 86_400), ("hour", 3_600), ("minute", 60)];
    let (unit, size) = units.into_iter().find(|(_, size)| seconds >= *size).unwrap_or(("second", 1));
    let number = seconds / size;
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// A number with its thousands set apart: `6,001,215`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds with tenths, or milliseconds below one second.
pub fn elapsed(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        Error::corrupt("log entry is cut short").about("version", 7).hint("restore it").because("end of file")
    }

    #[test]
    fn an_error_has_kind_message_context_and_hint_in_json() {
        let expected = json!({"error": {
            "kind": "corrupt", "message": "log entry is cut short", "context": {"version": "7", "cause": "end of file"}, "hint": "restore it"
        }});
        assert_eq!(error_document(&error()), expected);
    }

    #[test]
    fn an_error_reads_from_cause_to_next_step_as_text() {
        let plain = error_text(&error(), Paint { on: false });
        assert_eq!(plain, "error: log entry is cut short\n  version=7\n  cause=end of file\n  hint: restore it");
        assert!(error_text(&error(), Paint { on: true }).starts_with("\u{1b}[1;31merror:\u{1b}[0m"));
    }

    #[test]
    fn colours_follow_the_option_then_the_environment_then_the_terminal() {
        let mut system = System::of_process();
        system.env.clear();
        let on = |color, terminal, system: &System| Paint::new(color, terminal, system).on;
        assert!(on(Color::Auto, true, &system) && !on(Color::Auto, false, &system));
        assert!(on(Color::Always, false, &system) && !on(Color::Never, true, &system));
        system.env.insert("NO_COLOR".into(), "1".into());
        assert!(!on(Color::Auto, true, &system) && on(Color::Always, true, &system));
    }

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(visible("region=eu/ü=日本"), "region=eu/ü=日本");
        assert_eq!(visible("a\u{1b}[31mb\nc\u{202e}d"), "a\\u{1b}[31mb\\u{a}c\\u{202e}d");
    }

    #[test]
    fn names_do_not_speak_to_the_terminal_wherever_they_are_printed() {
        let (on, off) = (Paint { on: true }, Paint { on: false });
        assert_eq!(tame("plain\n\tü", off), "plain\n\tü");
        assert_eq!(tame("a\u{1b}[2Jb\rc\u{9b}d", on), "a\\u{1b}[2Jb\\u{d}c\\u{9b}d");
        assert_eq!(tame(&on.bad("x"), on), on.bad("x"));
        assert_eq!(tame(&on.bold("x"), off), "\\u{1b}[1mx\\u{1b}[0m");
        let listed = table(&["a\u{1b}[31m\nb"], &[vec!["\u{202e}tag\n".into()]], 1);
        assert!(listed.contains("a\\u{1b}[31m\\u{a}b") && listed.contains("\\u{202e}tag\\u{a}"), "{listed}");
        let error = Error::usage("No field named \u{1b}[31mx").about("column", "\u{1b}x").hint("\u{7}y");
        assert!(!error_text(&error, off).contains(|c: char| c.is_control() && c != '\n'));
    }

    #[test]
    fn json_stays_json_whatever_names_hold() {
        let names = json!({"a\u{7f}": "b\u{85}\u{1b}\n\u{2028}é"});
        let text = serde_json::to_string(&names).unwrap();
        let tamed = tame_json(&text);
        assert!(!tamed.contains(char::is_control), "{tamed}");
        assert_eq!(serde_json::from_str::<Value>(&tamed).unwrap(), names);
    }

    #[test]
    fn spans_are_in_their_largest_unit() {
        assert_eq!(
            [-5, 999, 60_000, 7_200_000, 86_400_000 * 3, 86_400_000 * 800].map(span),
            ["0 seconds", "0 seconds", "1 minute", "2 hours", "3 days", "2 years"]
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 6_001_215].map(count), ["0", "999", "1,000", "6,001,215"]);
        assert_eq!([12, 1_250, 61_000].map(elapsed), ["12 ms", "1.2 s", "61.0 s"]);
    }
}
