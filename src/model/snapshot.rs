//! A table at a version.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::schema::Schema;
use crate::location::Location;
use crate::units::{Bytes, Timestamp};

/// A state of the table that can be asked for again: an Iceberg snapshot id or a Delta version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A state of a table, as people ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// This version.
    Version(Version),
    /// The newest version that was there at this time.
    Time(Timestamp),
    /// What a branch or tag of this name points at (Iceberg).
    Ref(String),
}

/// What is known of a table at a version, without its files.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The table's root.
    pub location: Location,
    /// `None` for an Iceberg table that has no snapshot yet.
    pub version: Option<Version>,
    /// When the version was made, where the table says so.
    pub time: Option<Timestamp>,
    /// The current columns, partition columns included.
    pub schema: Schema,
    /// Names of the current partition fields (`region`, `ts_day`), in order.
    pub partitioning: Vec<String>,
    /// Table properties.
    pub properties: BTreeMap<String, String>,
    /// The format version or protocol, as people write it: `v2`, `reader 3, writer 7`.
    pub protocol: String,
    /// Table features in use by name, sorted.
    pub features: Vec<String>,
    /// How many versions the table keeps, where that is cheap to know.
    pub versions_kept: Option<u64>,
}

/// Sums over the live files of a snapshot: the `before` and `after` of cli.md.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Live data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Live rows: stored rows less deleted ones.
    pub rows: u64,
    /// Distinct live delete files or deletion vectors.
    pub delete_files: u64,
}

/// Totals that are counted while something else is read, where that tells them.
#[derive(Debug, Clone, Default)]
pub struct LiveCount(Arc<Mutex<Option<Totals>>>);

impl LiveCount {
    /// From now on every live file is going to be [added](Self::add), and no deletes apply to any.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Totals::default());
    }

    /// Adds live data files, their bytes and their rows.
    pub fn add(&self, files: Totals) {
        if let Some(totals) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            totals.files = totals.files.saturating_add(files.files);
            totals.bytes = totals.bytes.plus(files.bytes);
            totals.rows = totals.rows.saturating_add(files.rows);
        }
    }

    /// The sums; `None` if they have to be found out in another way.
    pub fn totals(&self) -> Option<Totals> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
