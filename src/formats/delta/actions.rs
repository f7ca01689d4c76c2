//! The actions of the log (protocol, "Actions"), as far as a reader or a rewrite needs them.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::Hasher;

use super::path;
use crate::error::Result;
use crate::location::Location;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

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
#[serde(from = "WrittenAdd")]
pub(super) struct Add {
    pub(super) path: Box<str>,
    pub(super) partition_values: Option<Box<TextMap>>,
    /// Bytes.
    pub(super) size: u64,
    /// Milliseconds since 1970-01-01.
    pub(super) modification_time: i64,
    pub(super) stats: Option<Box<str>>,
    pub(super) deletion_vector: Option<Box<Vector>>,
    /// What few files have.
    pub(super) extra: Option<Box<Extra>>,
}

/// What few files have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) tags: Option<TextMap>,
    pub(super) base_row_id: Option<i64>,
    pub(super) default_row_commit_version: Option<i64>,
    pub(super) clustering_provider: Option<Box<str>>,
}

impl Extra {
    /// This, unless there is nothing in it.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A file of the table as the log writes it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAdd {
    path: Box<str>,
    partition_values: Option<Box<TextMap>>,
    size: u64,
    #[serde(default)]
    modification_time: i64,
    stats: Option<Box<str>>,
    tags: Option<TextMap>,
    deletion_vector: Option<Box<Vector>>,
    base_row_id: Option<i64>,
    default_row_commit_version: Option<i64>,
    clustering_provider: Option<Box<str>>,
}

impl From<WrittenAdd> for Add {
    fn from(written: WrittenAdd) -> Self {
        let WrittenAdd { tags, base_row_id, default_row_commit_version, clustering_provider, .. } = written;
        Self {
            path: written.path,
            partition_values: written.partition_values,
            size: written.size,
            modification_time: written.modification_time,
            stats: written.stats,
            deletion_vector: written.deletion_vector,
            extra: Extra { tags, base_row_id, default_row_commit_version, clustering_provider }.boxed(),
        }
    }
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

/// A file of rows as they were changed (protocol, "Add CDC File").
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Cdc {
    pub(super) path: Box<str>,
    /// Bytes.
    pub(super) size: Option<u64>,
}

/// A file of a V2 checkpoint that holds file actions.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sidecar {
    pub(super) path: String,
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
