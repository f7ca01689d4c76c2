//! `VERSION AS OF` and `TIMESTAMP AS OF`: taken out of the text before it is parsed, token by token, for no SQL dialect has all their forms.

use std::collections::BTreeMap;

use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};

use crate::error::{Error, Result};

/// Which state of a table a clause asks for, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// `VERSION AS OF` a number or a text.
    Version(String),
    /// `TIMESTAMP AS OF` a text.
    Time(String),
}

/// Clauses by the place of the name before them.
pub type Clauses = BTreeMap<(u64, u64), Clause>;

/// The key of [`Clauses`] for a name that begins at `place`.
pub const fn key(place: Location) -> (u64, u64) {
    (place.line, place.column)
}

/// Takes the clauses out of `tokens`. Understood are `[FOR] VERSION|SYSTEM_VERSION AS OF 12`, `… 'name'`, `[FOR] TIMESTAMP|SYSTEM_TIME AS OF '…'`
/// and `… TIMESTAMP '…'`.
///
/// # Errors
///
/// `Usage` for a clause that names no state, follows no name, or follows another clause: which of the two was meant is not guessed.
pub fn take(tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, Clauses)> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut clauses = Clauses::new();
    let tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut rest = tokens.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let Some((is_version, length)) = begins(rest) else {
            kept.push(first.clone());
            rest = after;
            continue;
        };
        let wrong = || Error::usage("VERSION AS OF or TIMESTAMP AS OF is not understood").about("at", place(first.span.start));
        let (value, length) = value(rest.get(length..).unwrap_or_default(), is_version)
            .map(|(value, more)| (value, length + more))
            .ok_or_else(|| wrong().hint("write VERSION AS OF 12, VERSION AS OF 'branch' or TIMESTAMP AS OF '2026-01-31T00:00:00Z'"))?;
        let name = kept.last_mut().ok_or_else(|| wrong().hint("it follows the table it is about"))?;
        // A quoted text loses its place when it is parsed as a name; a quoted name keeps it.
        if let Token::SingleQuotedString(text) = &name.token {
            name.token = Token::make_word(text, Some('"'));
        }
        let clause = if is_version { Clause::Version(value) } else { Clause::Time(value) };
        if clauses.insert(key(name.span.start), clause).is_some() {
            return Err(wrong().hint("a table has one of them: name a version or a time"));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok((kept, clauses))
}

/// Whether a clause begins here: whether it is about a version, and how many tokens come before its value.
fn begins(tokens: &[TokenWithSpan]) -> Option<(bool, usize)> {
    let start = usize::from(is_word(tokens.first()?, "FOR"));
    let first = tokens.get(start)?;
    let version = ["VERSION", "SYSTEM_VERSION"].iter().any(|word| is_word(first, word));
    let time = ["TIMESTAMP", "SYSTEM_TIME"].iter().any(|word| is_word(first, word));
    let follows = is_word(tokens.get(start + 1)?, "AS") && is_word(tokens.get(start + 2)?, "OF");
    ((version || time) && follows).then_some((version, start + 3))
}

/// The value at the start of `tokens`, and how many tokens it has.
fn value(tokens: &[TokenWithSpan], is_version: bool) -> Option<(String, usize)> {
    let before = usize::from(!is_version && tokens.first().is_some_and(|token| is_word(token, "TIMESTAMP")));
    match &tokens.get(before)?.token {
        Token::Number(digits, _) if is_version => Some((digits.clone(), before + 1)),
        Token::SingleQuotedString(text) => Some((text.clone(), before + 1)),
        _ => None,
    }
}

fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(wanted))
}

/// Where in the text something stands.
pub fn place(location: Location) -> String {
    format!("line {}, column {}", location.line, location.column)
}
