//! The one error type. It says what went wrong, where, and what the reader should do next.
//!
//! Errors never carry row values or identifiers of people: an erasure log must not leak what it erases.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;

/// What the caller should do about an [`Error`]; decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Fix the command line or the configuration.
    Usage,
    /// Name a table, version or file that exists.
    NotFound,
    /// Ask for something this format, table or build can do.
    Unsupported,
    /// Repair the table: its metadata or files cannot be understood.
    Corrupt,
    /// Nothing, or override deliberately: going on would be unsafe.
    Refused,
    /// Plan again: the table moved on.
    Conflict,
    /// Try again later: storage or a catalog did not answer, or the outcome is unknown.
    Unavailable,
    /// Report it: the tool broke one of its own rules.
    Bug,
}

impl Kind {
    /// The process exit status that cli.md assigns to this kind.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound | Self::Unsupported | Self::Corrupt => 3,
            Self::Refused => 4,
            Self::Conflict | Self::Unavailable => 75,
            Self::Bug => 70,
        }
    }

    /// The word for this kind in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Bug => "bug",
        }
    }

    /// What to do where the place that failed knows nothing better.
    const fn default_hint(self) -> &'static str {
        match self {
            Self::Usage => "see `otf help`",
            Self::NotFound => "check the table reference and the version",
            Self::Unsupported => "docs/formats lists what is understood; nothing was changed",
            Self::Corrupt => "restore the named file from a backup or an older version; nothing was changed",
            Self::Refused => "nothing was changed",
            Self::Conflict => "another writer changed the table; run the command again",
            Self::Unavailable => "run the command again later; an unknown outcome is resolved from the table's history",
            Self::Bug => "please report this with the command and the table's format version",
        }
    }
}

/// A failure: kind, cause, context and the next step.
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is lowercase and names the cause first.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), hint: None, source: None }
    }

    /// [`Kind::Usage`].
    pub fn usage(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// [`Kind::NotFound`].
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// [`Kind::Unsupported`]: name the feature in the message.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// [`Kind::Corrupt`].
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// [`Kind::Refused`]: name the override in the hint.
    pub fn refused(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// [`Kind::Conflict`].
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// [`Kind::Unavailable`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// [`Kind::Bug`].
    pub fn bug(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// Adds a `key=value` of context: a place, a version, a count; never a row value.
    #[must_use]
    pub fn about(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Says what the reader should do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the underlying error.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller should do.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The cause, without context.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The context in the order it was added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// The next step; never empty.
    pub fn next_step(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| self.kind.default_hint())
    }

    /// The underlying error as one line, if there is one.
    pub fn cause(&self) -> Option<String> {
        self.source.as_ref().map(ToString::to_string)
    }
}

/// The JSON of an error (cli.md, "Exit status"): kind, message, context, hint.
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut context: BTreeMap<&str, String> = self.context.iter().map(|(key, value)| (*key, value.clone())).collect();
        if let Some(cause) = self.cause() {
            context.insert("cause", cause);
        }
        let mut members = serializer.serialize_struct("Error", 4)?;
        members.serialize_field("kind", self.kind.as_str())?;
        members.serialize_field("message", &self.message)?;
        members.serialize_field("context", &context)?;
        members.serialize_field("hint", self.next_step())?;
        members.end()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (key, value) in &self.context {
            write!(f, " {key}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.kind.as_str())?;
        if let Some(source) = &self.source {
            write!(f, " (because {source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_cause_then_context_and_there_is_always_a_next_step() {
        let error = Error::corrupt("log entry is cut short").about("version", 7).about("line", 2);
        assert_eq!(error.to_string(), "log entry is cut short version=7 line=2");
        assert!(!error.next_step().is_empty());
        assert_eq!(error.kind().exit_status(), 3);
    }
}
