//! Which table features are understood, kept or refused (protocol, "Table Features").
//!
//! One table, so that nothing is decided in passing: what is not in it is unknown, and unknown is refused by name (P4).

use super::actions::Protocol;
use crate::error::{Error, Result};

/// What we do about a table feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Tables with it are read and rewritten; what it promises is kept.
    Kept,
    /// Tables with it are read; rewriting is refused for the reason given.
    ReadOnly(&'static str),
    /// Tables with it are not even read.
    Refused(&'static str),
}

const ICEBERG: &str = "its rules for data files are not kept yet";
const CATALOG: &str = "a catalog decides which commits count";

/// Every feature we know, by the name in the log.
pub const FEATURES: &[(&str, Care)] = &[
    ("allowColumnDefaults", Care::Kept),
    ("appendOnly", Care::Kept),
    ("catalogManaged", Care::Refused(CATALOG)),
    ("catalogOwned", Care::Refused(CATALOG)),
    ("catalogOwned-preview", Care::Refused(CATALOG)),
    ("changeDataFeed", Care::Kept),
    ("checkConstraints", Care::Kept),
    ("checkpointProtection", Care::Kept),
    ("clustering", Care::Kept),
    ("collations", Care::ReadOnly("statistics depend on collations")),
    ("collations-preview", Care::ReadOnly("statistics depend on collations")),
    ("columnMapping", Care::Kept),
    ("coordinatedCommits", Care::Refused(CATALOG)),
    ("coordinatedCommits-preview", Care::Refused(CATALOG)),
    ("deletionVectors", Care::Kept),
    ("domainMetadata", Care::Kept),
    ("generatedColumns", Care::Kept),
    ("geospatial", Care::Refused("its types are unknown here")),
    ("icebergCompatV1", Care::ReadOnly(ICEBERG)),
    ("icebergCompatV2", Care::ReadOnly(ICEBERG)),
    ("icebergCompatV3", Care::ReadOnly(ICEBERG)),
    ("icebergWriterCompatV1", Care::ReadOnly(ICEBERG)),
    ("icebergWriterCompatV3", Care::ReadOnly(ICEBERG)),
    ("identityColumns", Care::Kept),
    ("inCommitTimestamp", Care::Kept),
    ("inCommitTimestamp-preview", Care::ReadOnly("it is a preview of another shape")),
    ("invariants", Care::Kept),
    ("managed-commit-dev", Care::Refused(CATALOG)),
    ("materializePartitionColumns", Care::ReadOnly("partition columns would be missing from new files")),
    ("rowTracking", Care::Kept),
    ("timestampNtz", Care::Kept),
    ("typeWidening", Care::Kept),
    ("typeWidening-preview", Care::Kept),
    ("v2Checkpoint", Care::Kept),
    ("vacuumProtocolCheck", Care::Kept),
    ("variantShredding", Care::Refused("shredded values are not read yet")),
    ("variantShredding-preview", Care::Refused("shredded values are not read yet")),
    ("variantType", Care::Kept),
    ("variantType-preview", Care::Kept),
];

/// The newest protocol versions there are: reader and writer.
const NEWEST: (i32, i32) = (3, 7);

fn care(feature: &str) -> Option<Care> {
    FEATURES.iter().find(|(name, _)| *name == feature).map(|(_, care)| *care)
}

impl Protocol {
    /// Whether tables of this protocol can be read.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming the feature or version; `Corrupt` where a list that must be there is missing.
    pub(super) fn check_readable(&self) -> Result<()> {
        if !(1..=NEWEST.0).contains(&self.min_reader_version) || self.min_writer_version < 1 {
            return Err(Error::unsupported("the table's reader version is unknown").about("minReaderVersion", self.min_reader_version));
        }
        if self.min_reader_version == 3 && self.reader_features.is_none() {
            return Err(Error::corrupt("the protocol has reader version 3 and no reader features"));
        }
        for feature in self.reader_features.iter().flatten() {
            match care(feature) {
                Some(Care::Kept | Care::ReadOnly(_)) => {}
                Some(Care::Refused(why)) => return Err(refusal("the table cannot be read", feature, why)),
                None => return Err(refusal("the table cannot be read", feature, "unknown feature")),
            }
        }
        // Writer features that decide which commits count concern readers too.
        for feature in self.writer_features.iter().flatten() {
            if let Some(Care::Refused(why)) = care(feature) {
                return Err(refusal("the table cannot be read", feature, why));
            }
        }
        Ok(())
    }

    /// Whether files of tables of this protocol can be replaced with every feature kept intact.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming the feature or version.
    pub(super) fn check_rewritable(&self) -> Result<()> {
        self.check_readable()?;
        if self.min_writer_version > NEWEST.1 {
            return Err(Error::unsupported("the table's writer version is unknown").about("minWriterVersion", self.min_writer_version));
        }
        if self.min_writer_version == NEWEST.1 && self.writer_features.is_none() {
            return Err(Error::corrupt("the protocol has writer version 7 and no writer features"));
        }
        for feature in self.writer_features.iter().flatten() {
            match care(feature) {
                Some(Care::Kept) => {}
                Some(Care::ReadOnly(why) | Care::Refused(why)) => return Err(refusal("the table cannot be rewritten", feature, why)),
                None => return Err(refusal("the table cannot be rewritten", feature, "unknown feature")),
            }
        }
        Ok(())
    }

    /// Whether the protocol lists writer feature `name`.
    pub(super) fn writes(&self, name: &str) -> bool {
        self.writer_features.iter().flatten().any(|feature| feature == name)
    }

    /// Whether readers must expect deletion vectors.
    pub(super) fn has_vectors(&self) -> bool {
        self.reader_features.iter().flatten().any(|feature| feature == "deletionVectors")
    }

    /// Whether the column-mapping mode of the properties counts.
    pub(super) fn has_column_mapping(&self) -> bool {
        self.min_reader_version == 2 || self.reader_features.iter().flatten().any(|feature| feature == "columnMapping")
    }

    /// Every feature the protocol lists, sorted.
    pub(super) fn features(&self) -> Vec<String> {
        let mut all: Vec<String> = self.reader_features.iter().chain(&self.writer_features).flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

fn refusal(message: &'static str, feature: &str, why: &'static str) -> Error {
    Error::unsupported(format!("{message}: feature '{feature}': {why}")).about("feature", feature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(reader: &[&str], writer: &[&str]) -> Protocol {
        let names = |list: &[&str]| Some(list.iter().map(|f| (*f).to_string()).collect());
        Protocol { min_reader_version: 3, min_writer_version: 7, reader_features: names(reader), writer_features: names(writer) }
    }

    #[test]
    fn an_unknown_reader_feature_refuses_reading_and_an_unknown_writer_feature_only_writing() {
        let error = protocol(&["teleport"], &["teleport"]).check_readable().unwrap_err();
        assert!(error.message().contains("'teleport'"));
        let writer = protocol(&[], &["appendOnly", "teleport"]);
        writer.check_readable().unwrap();
        assert!(writer.check_rewritable().unwrap_err().message().contains("'teleport'"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        for feature in ["icebergCompatV2", "materializePartitionColumns", "collations"] {
            let protocol = protocol(&[], &[feature]);
            protocol.check_readable().unwrap();
            assert!(protocol.check_rewritable().unwrap_err().message().contains(feature));
        }
        assert!(protocol(&[], &["coordinatedCommits-preview"]).check_readable().is_err());
        assert!(protocol(&["variantShredding-preview"], &[]).check_readable().is_err());
    }

    #[test]
    fn old_versions_are_understood_and_newer_ones_are_not() {
        let legacy = |reader, writer| Protocol {
            min_reader_version: reader,
            min_writer_version: writer,
            reader_features: None,
            writer_features: None,
        };
        for writer in 1..=6 {
            legacy(1, writer).check_rewritable().unwrap();
        }
        assert!(legacy(4, 7).check_readable().is_err());
        assert!(legacy(0, 2).check_readable().is_err());
        assert_eq!(legacy(3, 7).check_readable().unwrap_err().kind(), crate::error::Kind::Corrupt);
        legacy(2, 8).check_readable().unwrap();
        assert_eq!(legacy(1, 7).check_rewritable().unwrap_err().kind(), crate::error::Kind::Corrupt);
        assert!(legacy(2, 8).check_rewritable().is_err());
    }
}
