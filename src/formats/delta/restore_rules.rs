//! What becomes of a table's schema, properties, protocol and domains when it is made what it was.
//!
//! Columns and properties come back. What promises something of the log itself (in-commit timestamps, row ids, ids given to columns, identity
//! values) never goes back, and the protocol only grows: older commits are still there to be read.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::actions::{Domain, Metadata, Protocol, TextMap};
use super::check::{same_metadata, same_protocol};
use super::clustering;
use super::replay::State;
use crate::error::{Error, Result};

/// Properties that stay as they are: those that begin so.
const STAYING: [&str; 6] = [
    "delta.enableInCommitTimestamps",
    "delta.inCommitTimestampEnablement",
    "delta.enableRowTracking",
    "delta.rowTracking",
    "delta.requireCheckpointProtectionBeforeVersion",
    "delta.columnMapping.maxColumnId",
];
/// Properties that must be the same in both versions: those that begin so. Files of one setting are none of the other.
const FIXED: [&str; 2] = ["delta.enableIcebergCompat", "delta.enableIcebergWriterCompat"];
/// Features that a table which dropped them cannot get back by this way: they promise something of every commit or file since.
const DROPPED: [&str; 4] = ["rowTracking", "inCommitTimestamp", "inCommitTimestamp-preview", "columnMapping"];
/// What writer versions before 7 have without naming it, by the version that brought it.
const IMPLIED: [(i32, &str); 7] = [
    (2, "appendOnly"),
    (2, "invariants"),
    (3, "checkConstraints"),
    (4, "changeDataFeed"),
    (4, "generatedColumns"),
    (5, "columnMapping"),
    (6, "identityColumns"),
];

/// What a commit has to change beside the files; `None` and empty where all is as it was.
pub(super) struct Rules {
    pub(super) metadata: Option<Metadata>,
    pub(super) protocol: Option<Protocol>,
    pub(super) domains: Vec<Domain>,
}

impl Rules {
    /// What changes from `now` on the way back to `old`.
    ///
    /// # Errors
    ///
    /// `Refused`, naming what cannot be taken back; `Corrupt` for a schema that cannot be understood.
    pub(super) fn new(now: &State, old: &State) -> Result<Self> {
        check(now, old)?;
        let metadata = metadata(&now.metadata, &old.metadata)?;
        let protocol = merged(&now.protocol, &old.protocol);
        Ok(Self {
            metadata: Some(metadata).filter(|metadata| !is_same(metadata, &now.metadata)),
            domains: domains(now, old, &protocol),
            protocol: Some(protocol).filter(|protocol| !same_protocol(protocol, &now.protocol)),
        })
    }

    /// Whether nothing changes.
    pub(super) const fn is_empty(&self) -> bool {
        self.metadata.is_none() && self.protocol.is_none() && self.domains.is_empty()
    }
}

fn check(now: &State, old: &State) -> Result<()> {
    let refuse = |what: &'static str, name: &str| {
        Err(Error::refused(format!("the version cannot be restored: {what}"))
            .about("what", name)
            .hint("restore a newer version, or read the older one with --as-of; nothing was changed"))
    };
    if now.mapping()? != old.mapping()? {
        return refuse("columns were mapped in another way then", "delta.columnMapping.mode");
    }
    if let Some(feature) = DROPPED.iter().find(|feature| old.protocol.writes(feature) && !now.protocol.writes(feature)) {
        return refuse("the table has dropped a feature since that it had then", feature);
    }
    let fixed = |state: &State| -> BTreeSet<(String, String)> {
        let all = state.metadata.configuration.0.iter();
        all.filter(|(key, _)| FIXED.iter().any(|prefix| key.starts_with(prefix)))
            .map(|(key, text)| (key.to_string(), text.as_deref().unwrap_or_default().trim().to_ascii_lowercase()))
            .filter(|(_, text)| text == "true")
            .collect()
    };
    if fixed(now) != fixed(old) {
        return refuse("its Iceberg compatibility was another then", "icebergCompat");
    }
    Ok(())
}

/// The metadata of `old` with what must not go back as it is in `now`.
fn metadata(now: &Metadata, old: &Metadata) -> Result<Metadata> {
    let stays = |key: &str| STAYING.iter().any(|prefix| key.starts_with(prefix));
    let back = old.configuration.0.iter().filter(|(key, _)| !stays(key));
    let staying = now.configuration.0.iter().filter(|(key, _)| stays(key));
    Ok(Metadata {
        id: now.id.clone(),
        created_time: now.created_time,
        configuration: TextMap(back.chain(staying).cloned().collect()),
        schema_string: with_identity(&now.schema_string, &old.schema_string)?,
        ..old.clone()
    })
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    same_metadata(a, b) && (&a.name, &a.description, &a.format) == (&b.name, &b.description, &b.format)
}

const HIGH_WATER_MARK: &str = "delta.identity.highWaterMark";

/// The schema `old` with the identity values that `now` has given out: none is ever given out again.
fn with_identity(now: &str, old: &str) -> Result<String> {
    let wrong = || Error::corrupt("the table's schema cannot be understood");
    if !now.contains(HIGH_WATER_MARK) {
        return Ok(old.to_string());
    }
    let now: Json = serde_json::from_str(now).map_err(|_| wrong())?;
    let mut schema: Json = serde_json::from_str(old).map_err(|_| wrong())?;
    let mut changed = false;
    for field in schema.get_mut("fields").and_then(Json::as_array_mut).ok_or_else(wrong)? {
        let name = field.get("name").cloned();
        let known = now.get("fields").and_then(Json::as_array).into_iter().flatten().find(|field| field.get("name") == name.as_ref());
        let given = known.and_then(|field| field.get("metadata")?.get(HIGH_WATER_MARK)?.as_i64());
        let (Some(given), Some(metadata)) = (given, field.get_mut("metadata").and_then(Json::as_object_mut)) else { continue };
        let Some(step) = metadata.get("delta.identity.step").and_then(Json::as_i64) else { continue };
        let before = metadata.get(HIGH_WATER_MARK).and_then(Json::as_i64);
        let is_further = before.is_none_or(|before| if step > 0 { given > before } else { given < before });
        if is_further {
            metadata.insert(HIGH_WATER_MARK.into(), given.into());
            changed = true;
        }
    }
    Ok(if changed { schema.to_string() } else { old.to_string() })
}

/// The protocol that allows all that either does.
fn merged(now: &Protocol, old: &Protocol) -> Protocol {
    let by_features = now.min_writer_version == 7 || old.min_writer_version == 7;
    let min_reader_version = now.min_reader_version.max(old.min_reader_version);
    let min_writer_version = now.min_writer_version.max(old.min_writer_version);
    let union = |of: &dyn Fn(&Protocol) -> Vec<String>| {
        let all: BTreeSet<String> = of(now).into_iter().chain(of(old)).collect();
        all.into_iter().collect::<Vec<_>>()
    };
    Protocol {
        min_reader_version,
        min_writer_version,
        reader_features: (min_reader_version == 3).then(|| union(&reader_features)),
        writer_features: by_features.then(|| union(&writer_features)),
    }
}

/// The writer features of `protocol`, those it does not name included.
fn writer_features(protocol: &Protocol) -> Vec<String> {
    match &protocol.writer_features {
        Some(named) => named.clone(),
        None => IMPLIED.iter().filter(|(since, _)| *since <= protocol.min_writer_version).map(|(_, name)| (*name).to_string()).collect(),
    }
}

fn reader_features(protocol: &Protocol) -> Vec<String> {
    match &protocol.reader_features {
        Some(named) => named.clone(),
        None if protocol.min_reader_version == 2 => vec!["columnMapping".to_string()],
        None => Vec::new(),
    }
}

/// Clustering columns come back; other domains, the mark of row ids among them, stay as they are.
fn domains(now: &State, old: &State, protocol: &Protocol) -> Vec<Domain> {
    let (current, back) = (now.domains.get(clustering::DOMAIN), old.domains.get(clustering::DOMAIN));
    if !protocol.writes("domainMetadata") || current == back {
        return Vec::new();
    }
    let gone = current.map(|domain| Domain { removed: true, ..domain.clone() });
    back.cloned().or(gone).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(reader: i32, writer: i32, features: Option<(&[&str], &[&str])>) -> Protocol {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
        Protocol {
            min_reader_version: reader,
            min_writer_version: writer,
            reader_features: features.map(|(reader, _)| names(reader)),
            writer_features: features.map(|(_, writer)| names(writer)),
        }
    }

    #[test]
    fn the_protocol_only_grows() {
        let modern = protocol(3, 7, Some((&["deletionVectors"], &["appendOnly", "deletionVectors", "invariants"])));
        assert_eq!(merged(&modern, &protocol(1, 2, None)), modern);
        assert_eq!(merged(&protocol(1, 2, None), &modern), modern);
        assert_eq!(merged(&protocol(1, 4, None), &protocol(2, 3, None)), protocol(2, 4, None));
        let mapped = merged(&protocol(2, 5, None), &modern);
        assert_eq!(mapped.reader_features.unwrap(), ["columnMapping", "deletionVectors"]);
        assert!(mapped.writer_features.unwrap().contains(&"generatedColumns".to_string()));
    }

    #[test]
    fn identity_values_that_were_given_out_are_never_given_out_again() {
        let schema = |step: i64, mark: Option<i64>| {
            let mark = mark.map(|mark| format!(",\"{HIGH_WATER_MARK}\":{mark}")).unwrap_or_default();
            format!(
                "{{\"type\":\"struct\",\"fields\":[{{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{{\"delta.identity.step\":{step}{mark}}}}}]}}"
            )
        };
        for (step, now, old, kept) in
            [(1, Some(9), Some(5), Some(9)), (1, Some(9), None, Some(9)), (-1, Some(-9), Some(-5), Some(-9)), (1, None, Some(5), Some(5))]
        {
            assert_eq!(with_identity(&schema(step, now), &schema(step, old)).unwrap(), schema(step, kept));
        }
        let plain = r#"{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}"#;
        assert_eq!(with_identity(&schema(1, Some(3)), plain).unwrap(), plain, "no identity column then");
    }
}
