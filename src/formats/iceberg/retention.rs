//! How long a table keeps its snapshots and references (Iceberg spec, "Snapshot Retention Policy"; table properties).

use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::formats::Reference;
use crate::model::{Retention, Version};

/// `history.expire.max-snapshot-age-ms` where the table has none: five days.
const MAX_AGE_MS: i64 = 5 * 24 * 60 * 60 * 1000;

/// What the table's properties say.
///
/// # Errors
///
/// `Corrupt` for a property that is none of its kind.
pub(super) fn retention(metadata: &Metadata) -> Result<Retention> {
    let number = |key: &'static str| match metadata.properties.get(key) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<i64>() {
            Ok(number) if number >= 0 => Ok(Some(number)),
            _ => Err(damaged(key)),
        },
    };
    let collectable = match metadata.properties.get("gc.enabled").map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(damaged("gc.enabled")),
    };
    let kept = number("history.expire.min-snapshots-to-keep")?.unwrap_or(1);
    Ok(Retention {
        collectable,
        max_age_ms: number("history.expire.max-snapshot-age-ms")?.unwrap_or(MAX_AGE_MS),
        min_versions: u64::try_from(kept).unwrap_or(1).max(1),
        // Java's default, the largest number, means for ever; so does every age longer than any table's.
        max_ref_age_ms: number("history.expire.max-ref-age-ms")?.filter(|age| *age < i64::MAX),
        max_file_age_ms: None,
        max_log_age_ms: None,
    })
}

fn damaged(property: &'static str) -> Error {
    Error::corrupt("a property that says what may be deleted cannot be understood")
        .about("property", property)
        .hint("mend the property first")
}

/// Every branch and tag, by name, with its own retention.
pub(super) fn references(metadata: &Metadata) -> Vec<Reference> {
    let mut all: Vec<Reference> = metadata
        .refs()
        .map(|known| Reference {
            name: known.name.to_string(),
            version: Version(known.snapshot),
            is_branch: known.is_branch,
            max_ref_age_ms: known.max_ref_age_ms,
            max_snapshot_age_ms: known.max_snapshot_age_ms,
            min_snapshots_to_keep: known.min_snapshots_to_keep,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::error::Kind;
    use crate::location::Location;

    fn table(properties: &Json) -> Metadata {
        let doc = json!({"format-version": 2, "location": "/t", "current-schema-id": 0,
            "schemas": [{"schema-id": 0, "type": "struct", "fields": []}], "properties": properties,
            "refs": {"v1": {"type": "tag", "snapshot-id": 1, "max-ref-age-ms": 9},
                "dev": {"type": "branch", "snapshot-id": 2, "max-snapshot-age-ms": 7, "min-snapshots-to-keep": 3}}});
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse("/t/metadata/v1.metadata.json").unwrap(), None).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let found = retention(&table(&json!({}))).unwrap();
        let five_days = 432_000_000;
        let expected = Retention {
            collectable: true,
            max_age_ms: five_days,
            min_versions: 1,
            max_ref_age_ms: None,
            max_file_age_ms: None,
            max_log_age_ms: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn properties_are_followed_and_damaged_ones_stop_everything() {
        let found = retention(&table(&json!({"gc.enabled": "False", "history.expire.max-snapshot-age-ms": "5",
            "history.expire.min-snapshots-to-keep": "4", "history.expire.max-ref-age-ms": "6"})));
        let expected = Retention {
            collectable: false,
            max_age_ms: 5,
            min_versions: 4,
            max_ref_age_ms: Some(6),
            max_file_age_ms: None,
            max_log_age_ms: None,
        };
        assert_eq!(found.unwrap(), expected);
        for (key, value) in [("gc.enabled", "nope"), ("history.expire.max-snapshot-age-ms", "-1"), ("history.expire.max-ref-age-ms", "5d")]
        {
            let error = retention(&table(&json!({key: value}))).unwrap_err();
            assert_eq!((error.kind(), error.context()[0].1.as_str()), (Kind::Corrupt, key));
        }
    }

    #[test]
    fn references_tell_what_they_keep_themselves() {
        let found = references(&table(&json!({})));
        assert_eq!((found[0].name.as_str(), found[0].max_snapshot_age_ms, found[0].min_snapshots_to_keep), ("dev", Some(7), Some(3)));
        assert_eq!((found[1].name.as_str(), found[1].is_branch, found[1].max_ref_age_ms), ("v1", false, Some(9)));
    }
}
