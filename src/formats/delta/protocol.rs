//! Which table features are understood, kept or refused (protocol, "Table Features").
//!
//! One table, so that nothing is decided in passing: what is not in it is unknown, and unknown is refused by name (P4).

use super::actions::Protocol;
use crate::error::{Error, Result};
use crate::formats::support::{Care, Feature};

const CATALOG: &str = "a catalog decides which commits count, and the protocol allows no access by the file system alone";
const ROWS: &str = "rows are the same as before";
const COMPAT: &str =
    "column mapping is on, only this version of compatibility is enabled, types and type changes are those that Iceberg has";
const COMPAT_HOW: &str =
    "partition columns, field ids of elements, keys and values, and 64-bit timestamps are in new files, record counts in statistics";
const WRITER: &str =
    "columns are mapped by id and named `col-<id>`, the compatibility it builds on is enabled, types and features are those it allows";
const SHREDDED: &str = "typed values are read with the others; copied files keep them, new ones hold each variant whole";

/// Every feature we know, by the name in the log, sorted.
pub const FEATURES: &[Feature] = &[
    Feature::kept("allowColumnDefaults", "concerns inserts"),
    Feature::kept("appendOnly", "a compaction carries `dataChange: false`; deleting rows is refused"),
    Feature::with("catalogManaged", Care::Refused(CATALOG)),
    Feature::with("catalogOwned", Care::Refused(CATALOG)),
    Feature::with("catalogOwned-preview", Care::Refused(CATALOG)),
    Feature::kept("changeDataFeed", "rearranging rows is no change: no change files are written; marking rows as deleted is refused"),
    Feature::kept("checkConstraints", ROWS),
    Feature::kept("checkpointProtection", "the log is cleaned up to the protected version in one go, or without making a checkpoint"),
    Feature::kept("clustering", "new files name no clustering provider, as files of any plain rewrite; clustering columns have statistics"),
    Feature::kept("collations", "statistics are those of plain UTF-8 order, which the feature allows for every column"),
    Feature::kept("collations-preview", "as `collations`"),
    Feature::kept("columnMapping", "physical names in files and statistics; field ids in files; a file without ids is not read by id"),
    Feature::with("coordinatedCommits", Care::Refused(CATALOG)),
    Feature::with("coordinatedCommits-preview", Care::Refused(CATALOG)),
    Feature::kept("deletionVectors", "applied: rewritten files have none; written where rows are deleted and the table allows new ones"),
    Feature::kept("domainMetadata", "left as it is"),
    Feature::kept("generatedColumns", ROWS),
    Feature::with("geospatial", Care::Refused("the protocol has no published specification of its types")),
    Feature { name: "icebergCompatV1", care: Care::KeptIf(COMPAT), how: COMPAT_HOW },
    Feature { name: "icebergCompatV2", care: Care::KeptIf(COMPAT), how: COMPAT_HOW },
    Feature { name: "icebergCompatV3", care: Care::KeptIf(COMPAT), how: COMPAT_HOW },
    Feature::with("icebergWriterCompatV1", Care::KeptIf(WRITER)),
    Feature::with("icebergWriterCompatV3", Care::KeptIf(WRITER)),
    Feature::kept("identityColumns", ROWS),
    Feature::kept("inCommitTimestamp", "first action of a commit, later than the one before"),
    Feature::kept("inCommitTimestamp-preview", "as `inCommitTimestamp`; its property ends in `-preview`"),
    Feature::kept("invariants", ROWS),
    Feature::with("liquid", Care::ReadOnly("a preview of clustering whose rules for writers the protocol does not have")),
    Feature::with("managed-commit-dev", Care::Refused(CATALOG)),
    Feature::kept("materializePartitionColumns", "partition columns are written into new files, behind the others"),
    Feature::kept(
        "rowTracking",
        "row ids and commit versions are written into the columns that the table names; the high-water mark moves on",
    ),
    Feature::kept("timestampNtz", "without a zone in files and statistics"),
    Feature::kept("typeWidening", "older, narrower files are widened as they are read"),
    Feature::kept("typeWidening-preview", "as `typeWidening`"),
    Feature::kept("v2Checkpoint", "checkpoints under the classic name, after the V2 specification"),
    Feature::kept("vacuumProtocolCheck", "every writer feature is checked before files are removed"),
    Feature::kept("variantShredding", SHREDDED),
    Feature::kept("variantShredding-preview", SHREDDED),
    Feature::kept("variantType", "metadata and value are kept byte for byte"),
    Feature::kept("variantType-preview", "as `variantType`"),
];

/// The newest protocol versions there are: reader and writer.
const NEWEST: (i32, i32) = (3, 7);

fn care(feature: &str) -> Option<Care> {
    FEATURES.iter().find(|known| known.name == feature).map(|known| known.care)
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
                Some(Care::Refused(why)) => return Err(refusal("the table cannot be read", feature, why)),
                Some(_) => {}
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
                Some(Care::Kept | Care::KeptIf(_) | Care::Applied | Care::LeftAlone) => {}
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
        for feature in ["coordinatedCommits-preview", "catalogManaged", "geospatial"] {
            for protocol in [protocol(&[feature], &[feature]), protocol(&[], &[feature])] {
                assert!(protocol.check_readable().unwrap_err().message().contains(feature));
                assert!(protocol.check_rewritable().unwrap_err().message().contains(feature));
            }
        }
        assert!(FEATURES.is_sorted_by_key(|feature| feature.name));
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
