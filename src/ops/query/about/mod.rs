//! Tables about a table: its history, snapshots, files, partitions, references and manifests, by the names that Spark and Trino have for them.
//!
//! Rows are made while they are read: nothing but the sums of partitions is collected.

mod cells;
mod files;
mod manifests;
mod partitions;
mod rows;
mod versions;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::stream::BoxStream;

use crate::engine::sql::Listing;
use crate::error::{Error, Result};
use crate::formats::{FormatName, TableVersion};

/// What a table about a table tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    History,
    Snapshots,
    Files,
    Partitions,
    Refs,
    Manifests,
}

/// Every subject by its name behind the `$`.
const NAMES: [(&str, Subject); 6] = [
    ("history", Subject::History),
    ("snapshots", Subject::Snapshots),
    ("files", Subject::Files),
    ("partitions", Subject::Partitions),
    ("refs", Subject::Refs),
    ("manifests", Subject::Manifests),
];

/// What `reference` names if it ends in `$` and a known name: the table, and what is asked about it.
pub(super) fn split(reference: &str) -> Option<(&str, Subject)> {
    let (table, name) = reference.rsplit_once('$')?;
    let (_, subject) = NAMES.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    (!table.is_empty()).then_some((table, subject))
}

impl Subject {
    /// The name behind the `$`.
    pub(super) fn name(self) -> &'static str {
        NAMES.into_iter().find(|(_, subject)| *subject == self).map_or("", |(name, _)| name)
    }

    /// Whether it is about one version of the table; else it is about the table as it is now.
    pub(super) const fn has_versions(self) -> bool {
        matches!(self, Self::Files | Self::Partitions | Self::Manifests)
    }

    /// Whether tables of `format` have such a thing.
    ///
    /// # Errors
    ///
    /// `Unsupported` if not.
    pub(super) fn check(self, format: FormatName) -> Result<()> {
        let why = match (format, self) {
            (FormatName::Delta, Self::Refs) => "Delta tables have no branches and no tags",
            (FormatName::Delta, Self::Manifests) => "Delta tables have no manifests",
            _ => return Ok(()),
        };
        Err(Error::unsupported(why).about("name", format!("${}", self.name())).hint("ask for $history, $files or $partitions"))
    }
}

/// A table about a version of a table.
pub(super) struct About {
    version: Arc<dyn TableVersion>,
    subject: Subject,
    schema: SchemaRef,
}

impl About {
    /// What `subject` asks about `version`, which is of a table of `format`.
    pub(super) fn new(version: Arc<dyn TableVersion>, format: FormatName, subject: Subject) -> Self {
        let schema = match subject {
            Subject::History => versions::history_schema(format),
            Subject::Snapshots => versions::snapshots_schema(),
            Subject::Files => files::schema(),
            Subject::Partitions => partitions::schema(),
            Subject::Refs => versions::refs_schema(),
            Subject::Manifests => manifests::schema(),
        };
        Self { version, subject, schema }
    }

    /// The names of its columns, members of structs included.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Listing for About {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self, wanted: &[String]) -> BoxStream<'static, Result<RecordBatch>> {
        let (version, schema) = (Arc::clone(&self.version), Arc::clone(&self.schema));
        match self.subject {
            Subject::History => rows::made(move |to| versions::history(version, schema, to)),
            Subject::Snapshots => rows::made(move |to| versions::snapshots(version, schema, to)),
            Subject::Refs => rows::made(move |to| versions::refs(version, schema, to)),
            Subject::Files => {
                let with_stats = wanted.iter().any(|name| name == files::STATISTICS);
                rows::made(move |to| files::files(version, schema, with_stats, to))
            }
            Subject::Partitions => rows::made(move |to| partitions::partitions(version, schema, to)),
            Subject::Manifests => rows::made(move |to| manifests::manifests(version, schema, to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_ends_in_what_is_asked_about_the_table() {
        assert_eq!(split("s3://b/t$files"), Some(("s3://b/t", Subject::Files)));
        assert_eq!(split("./t#dev$History"), Some(("./t#dev", Subject::History)));
        for other in ["./t", "./t$", "./t$file", "$files", "./a$files/t"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn delta_tables_have_neither_references_nor_manifests() {
        let allowed = |format| NAMES.into_iter().filter(|(_, subject)| subject.check(format).is_ok()).count();
        assert_eq!((allowed(FormatName::Iceberg), allowed(FormatName::Delta)), (6, 4));
    }
}
