//! The actions of the log (protocol, "Actions"), as far as a reader or a rewrite needs them.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::Hasher;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::path;
use crate::error::{Error, Result};
use crate::location::Location;

/// A JSON object of texts and nulls, in the order of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct TextMap(pub(super) Vec<(Box<str>, Option<Box<str>>)>);

impl TextMap {
    /// The text at `key`; `None` where it is missing or null.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.entry(key).flatten()
    }

    /// The entry at `key`: the outer `None` is missing, the inner one null.
    pub(super) fn entry(&self, key: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(name, _)| &**name == key).map(|(_, text)| text.as_deref())
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = TextMap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_unit<E>(self) -> Result<TextMap, E> {
                Ok(TextMap::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<Box<str>, Option<Box<str>>>()? {
                    entries.push(entry);
                }
                Ok(TextMap(entries))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

impl Serialize for TextMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, text) in &self.0 {
            map.serialize_entry(key, text)?;
        }
        map.end()
    }
}

/// Where a deletion vector lies (protocol, "Deletion Vectors").
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vector {
    /// `u` relative to the table, `p` absolute, `i` inline.
    pub(super) storage_type: Box<str>,
    /// The encoded place, or the encoded vector itself.
    pub(super) path_or_inline_dv: Box<str>,
    /// Where in the file it starts, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<u32>,
    /// Bytes of the vector, without length and checksum.
    pub(super) size_in_bytes: u32,
    /// Rows it deletes.
    pub(super) cardinality: u64,
}

impl Vector {
    /// The protocol's unique id of the vector.
    pub(super) fn id(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}{}@{offset}", self.storage_type, self.path_or_inline_dv),
            None => format!("{}{}", self.storage_type, self.path_or_inline_dv),
        }
    }
}

/// A file of the table.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    pub(super) path: Box<str>,
    /// Emptied once the file is held: [`super::live::LiveFiles`] keeps one copy per partition.
    #[serde(default)]
    pub(super) partition_values: TextMap,
    /// Bytes.
    pub(super) size: u64,
    /// Milliseconds since 1970-01-01.
    #[serde(default)]
    pub(super) modification_time: i64,
    pub(super) stats: Option<Box<str>>,
    pub(super) tags: Option<Box<TextMap>>,
    pub(super) deletion_vector: Option<Box<Vector>>,
    pub(super) base_row_id: Option<i64>,
    pub(super) default_row_commit_version: Option<i64>,
    pub(super) clustering_provider: Option<Box<str>>,
    /// Number of the partition among those of the live files.
    #[serde(skip)]
    pub(super) partition: usize,
}

/// A file that is no longer of the table.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub(super) path: Box<str>,
    /// Milliseconds since 1970-01-01.
    pub(super) deletion_timestamp: Option<i64>,
    #[serde(default)]
    pub(super) data_change: bool,
    pub(super) extended_file_metadata: Option<bool>,
    pub(super) partition_values: Option<TextMap>,
    pub(super) size: Option<u64>,
    pub(super) tags: Option<Box<TextMap>>,
    pub(super) deletion_vector: Option<Box<Vector>>,
    pub(super) base_row_id: Option<i64>,
    pub(super) default_row_commit_version: Option<i64>,
}

/// The encoding of data files.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
pub(super) struct Format {
    #[serde(default)]
    pub(super) provider: String,
    #[serde(default)]
    pub(super) options: TextMap,
}

/// The table's schema, partitioning and properties.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) format: Format,
    pub(super) schema_string: String,
    #[serde(default)]
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: TextMap,
    pub(super) created_time: Option<i64>,
}

/// What a client must understand.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    pub(super) min_writer_version: i32,
    pub(super) reader_features: Option<Vec<String>>,
    pub(super) writer_features: Option<Vec<String>>,
}

/// The progress of an application that writes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transaction {
    pub(super) app_id: String,
    pub(super) version: i64,
    pub(super) last_updated: Option<i64>,
}

/// A named configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Domain {
    pub(super) domain: String,
    pub(super) configuration: String,
    #[serde(default)]
    pub(super) removed: bool,
}

/// A file of a V2 checkpoint that holds file actions.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sidecar {
    pub(super) path: String,
}

/// What we look for in the free-form commit info.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CommitInfo {
    /// Milliseconds since 1970-01-01, by the writer's clock.
    pub(super) timestamp: Option<i64>,
    /// Milliseconds since 1970-01-01, strictly growing from version to version.
    pub(super) in_commit_timestamp: Option<i64>,
    /// The writer's name for the commit.
    pub(super) txn_id: Option<String>,
}

impl CommitInfo {
    /// Reads what is there; commit info has no fixed shape, so what has another one counts as missing.
    fn read(text: &RawValue) -> Self {
        let value: serde_json::Value = serde_json::from_str(text.get()).unwrap_or_default();
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_i64);
        let txn_id = value.get("txnId").and_then(serde_json::Value::as_str).map(str::to_string);
        Self { timestamp: number("timestamp"), in_commit_timestamp: number("inCommitTimestamp"), txn_id }
    }
}

/// One action that matters here.
#[derive(Debug)]
pub(super) enum Action {
    Add(Box<Add>),
    Remove(Box<Remove>),
    Metadata(Box<Metadata>),
    Protocol(Protocol),
    Transaction(Transaction),
    Domain(Domain),
    Sidecar(Sidecar),
    CommitInfo(CommitInfo),
}

/// A line of a commit or of a JSON checkpoint. Members we do not know are left alone.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    add: Option<Box<Add>>,
    remove: Option<Box<Remove>>,
    meta_data: Option<Box<Metadata>>,
    protocol: Option<Protocol>,
    txn: Option<Transaction>,
    domain_metadata: Option<Domain>,
    sidecar: Option<Sidecar>,
    commit_info: Option<Box<RawValue>>,
}

/// The actions of a JSON file of the log, one a line; `file` names it in errors.
///
/// # Errors
///
/// `Corrupt`, naming file and line. The parser's own words are left out: they may quote values.
pub(super) fn read_lines(bytes: &[u8], file: &Location, mut each: impl FnMut(Action) -> Result<()>) -> Result<()> {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let error =
                Error::corrupt("log entry is damaged").about("file", file).about("line", number + 1).about("column", error.column());
            error.hint("restore this file of the log from a backup; nothing was changed")
        })?;
        for action in line.into_actions() {
            each(action)?;
        }
    }
    Ok(())
}

impl Line {
    fn into_actions(self) -> impl Iterator<Item = Action> {
        let commit_info = self.commit_info.map(|text| Action::CommitInfo(CommitInfo::read(&text)));
        let file = self.add.map(Action::Add).into_iter().chain(self.remove.map(Action::Remove));
        let rules = self.meta_data.map(Action::Metadata).into_iter().chain(self.protocol.map(Action::Protocol));
        let rest = self.txn.map(Action::Transaction).into_iter().chain(self.domain_metadata.map(Action::Domain));
        file.chain(rules).chain(rest).chain(self.sidecar.map(Action::Sidecar)).chain(commit_info)
    }
}

/// The identity of a logical file (normalised place and vector id) in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileKey(u64, u64);

impl FileKey {
    /// The key of the file at `place` with the deletion vector `vector`.
    pub(super) fn new(place: &Location, vector: Option<&str>) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(salt);
            for part in [place.scheme(), place.authority(), place.path(), vector.unwrap_or_default()] {
                hasher.write(part.as_bytes());
                hasher.write_u8(0xff);
            }
            hasher.finish()
        };
        Self(half(1), half(2))
    }

    /// The key of `raw` as the log spells it, for a table at `root`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a path that cannot be understood.
    pub(super) fn of(root: &Location, raw: &str, vector: Option<&Vector>) -> Result<Self> {
        Ok(Self::new(&path::resolve(root, raw)?, vector.map(Vector::id).as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        read_lines(text.as_bytes(), &Location::parse("/t/_delta_log/1.json").unwrap(), |action| {
            actions.push(action);
            Ok(())
        })?;
        Ok(actions)
    }

    #[test]
    fn a_damaged_line_is_named_and_never_quoted() {
        for bad in [
            "{\"add\":{\"path\":\"secret\"",
            "{\"txn\":{\"appId\":\"secret\",\"version\":1}}x",
            "{\"add\":{\"path\":\"a\",\"size\":\"secret\"}}",
        ] {
            let error = read(&format!("{{\"commitInfo\":{{}}}}\n\n{bad}\n")).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Corrupt);
            assert!(error.to_string().contains("line=3"), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn unknown_actions_and_members_are_left_alone_and_order_is_kept() {
        let actions =
            read("{\"news\":{\"a\":1}}\n{\"add\":{\"path\":\"a\",\"partitionValues\":{\"z\":\"1\",\"a\":null},\"size\":3,\"new\":[1]}}")
                .unwrap();
        let [Action::Add(add)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(serde_json::to_string(&add.partition_values).unwrap(), "{\"z\":\"1\",\"a\":null}");
        assert_eq!((add.partition_values.entry("a"), add.partition_values.entry("b")), (Some(None), None));
    }

    #[test]
    fn commit_info_may_have_any_shape() {
        let actions = read("{\"commitInfo\":{\"timestamp\":\"x\",\"txnId\":\"t-0\",\"inCommitTimestamp\":5}}").unwrap();
        let [Action::CommitInfo(info)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*info, CommitInfo { timestamp: None, in_commit_timestamp: Some(5), txn_id: Some("t-0".into()) });
    }
}
