//! What is wrong with a table.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Rows cannot be read, or some readers get other rows than others.
    Error,
    /// Readers of the newest version get every row, but something else does not work or is not true.
    Warning,
    /// Something was not checked, or is only worth knowing.
    Note,
}

impl Severity {
    /// The word in JSON and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident;)*) => {
        /// Kinds of damage, by codes that stay the same between versions of the tool.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// How bad it is where nothing more is known.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }
    };
}

faults! {
    /// The newest version cannot be read at all.
    TableUnreadable = "table-unreadable", Error;
    /// A live data or delete file is not there.
    FileMissing = "file-missing", Error;
    /// A live file cannot be decoded.
    FileUnreadable = "file-unreadable", Error;
    /// A file has another size than the metadata says.
    SizeWrong = "size-wrong", Error;
    /// The columns of a data file do not go together with the table's.
    SchemaMismatch = "schema-mismatch", Error;
    /// A column that forbids nulls has some.
    RequiredNull = "required-null", Error;
    /// A file holds another number of rows than the metadata says.
    CountWrong = "count-wrong", Error;
    /// The bounds in the metadata leave out values of the file.
    BoundsWrong = "bounds-wrong", Error;
    /// The null count in the metadata is not the file's.
    NullCountWrong = "null-count-wrong", Error;
    /// The NaN count in the metadata is not the file's.
    NanCountWrong = "nan-count-wrong", Error;
    /// One data file is live more than once.
    DuplicateReference = "duplicate-reference", Error;
    /// The deletes of a data file cannot be applied as they stand.
    DeletesWrong = "deletes-wrong", Error;
    /// Deletes name positions that their data file does not have.
    PositionsBeyondFile = "positions-beyond-file", Warning;
    /// Deletes that apply to no live data file.
    DeletesDangling = "deletes-dangling", Warning;
    /// A branch, a tag or the current snapshot names a snapshot that is not there.
    RefBroken = "ref-broken", Error;
    /// The snapshot log, the metadata log or the lineage of snapshots is not consistent.
    HistoryBroken = "history-broken", Warning;
    /// A manifest or manifest list is not there.
    ManifestMissing = "manifest-missing", Error;
    /// A manifest or manifest list cannot be decoded.
    ManifestUnreadable = "manifest-unreadable", Error;
    /// A manifest list says other counts than the manifest holds.
    ManifestCountWrong = "manifest-count-wrong", Warning;
    /// A manifest list's partition bounds leave out files of the manifest.
    ManifestBoundsWrong = "manifest-bounds-wrong", Error;
    /// The totals of a snapshot's summary are not those of its live files.
    SummaryWrong = "summary-wrong", Warning;
    /// A statistics file is not there.
    StatisticsMissing = "statistics-missing", Warning;
    /// A version older than the newest cannot be read.
    VersionUnreadable = "version-unreadable", Warning;
    /// A hint that leads readers to the newest state leads elsewhere.
    HintStale = "hint-stale", Warning;
    /// Metadata files newer than the current one follow after a gap.
    MetadataGap = "metadata-gap", Error;
    /// Commits are missing between others of the log.
    LogGap = "log-gap", Warning;
    /// A checkpoint cannot be read.
    CheckpointUnreadable = "checkpoint-unreadable", Error;
    /// A checkpoint lacks parts.
    CheckpointIncomplete = "checkpoint-incomplete", Warning;
    /// A checkpoint holds another state than the commits before it.
    CheckpointWrong = "checkpoint-wrong", Error;
    /// A version checksum is not that of the version.
    ChecksumWrong = "checksum-wrong", Error;
    /// The metadata says that the table lies elsewhere than where it was opened: what was checked lies there.
    LocatedElsewhere = "located-elsewhere", Warning;
    /// Something this build cannot check.
    NotExamined = "not-examined", Note;
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of damage it is.
    pub fault: Fault,
    /// How bad it is.
    pub severity: Severity,
    /// Where: a file, or the part of the metadata.
    pub place: String,
    /// What it means here: names and counts, never a value of a row.
    pub what: String,
}

impl Finding {
    /// A finding of `fault` at `place` with the usual severity.
    pub fn new(fault: Fault, place: impl ToString, what: impl Into<String>) -> Self {
        Self { fault, severity: fault.severity(), place: place.to_string(), what: what.into() }
    }

    /// The same with another severity.
    #[must_use]
    pub const fn with(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// How much of a table's metadata is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// What readers of the newest version, and of branches and tags, need.
    #[default]
    Newest,
    /// The metadata of every version that the table still lists.
    EveryVersion,
}

/// Takes findings as they are made.
pub type FindingSink<'a> = &'a mut (dyn FnMut(Finding) + Send);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_lowercase_words() {
        let codes: HashSet<&str> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[test]
    fn the_worst_come_first() {
        assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Note);
    }
}
