//! Table formats: the only code that knows a spec. Bytes come in, the model goes out, and a [`Change`](crate::model::Change) goes back in.
//!
//! Formats never use each other. Operations use them through [`Table`] and [`TableVersion`] alone.

pub mod delta;
pub mod iceberg;
mod parquet_file;
pub mod support;
mod version;

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{At, Codec, Partition, SpecChoice, Version};
use crate::units::Bytes;

pub use version::{TableVersion, TakeHoldings};

/// The name of a table format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatName {
    /// Apache Iceberg
    Iceberg,
    /// Delta Lake
    Delta,
}

impl FormatName {
    /// The name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iceberg => "iceberg",
            Self::Delta => "delta",
        }
    }
}

/// A table at a place or in a catalog.
#[async_trait]
pub trait Table: Send + Sync {
    /// The format.
    fn format(&self) -> FormatName;

    /// The table's root.
    fn location(&self) -> &Location;

    /// Reads the newest version.
    ///
    /// # Errors
    ///
    /// `Unsupported` names a feature that must be understood to read the table; `Corrupt` names the damaged file; `NotFound` if there is no table.
    async fn load(&self) -> Result<Arc<dyn TableVersion>>;

    /// As [`Self::load`], for whoever asks of files only how many rows they have: statistics of columns may be missing in the version, and rows cannot
    /// be marked as deleted on top of it. Takes less memory where there are very many files.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    async fn load_counts(&self) -> Result<Arc<dyn TableVersion>> {
        self.load().await
    }

    /// Reads the state that `at` names, to be read: nothing can be offered on top of an old one.
    ///
    /// A version shows the columns it had when it was made, and so does a tag; a branch shows the table's current columns. A time means the
    /// newest version that was there by then; a time after the newest version means the newest.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such state or it can no longer be read, naming what can; else as [`Self::load`].
    async fn load_at(&self, at: &At) -> Result<Arc<dyn TableVersion>>;

    /// Duties after `version` was committed by us that readers do not depend on: a checkpoint at the table's interval, a version hint.
    /// Returns what could not be done, for the log.
    async fn settle(&self, version: Version) -> Vec<Error>;
}

/// What an operation asks of new files; `None` leaves it to the table's properties and the format's defaults.
#[derive(Debug, Clone, Default)]
pub struct OutputWishes {
    /// About how large files should be.
    pub target_file_size: Option<Bytes>,
    /// Compression.
    pub codec: Option<Codec>,
    /// The partition spec, where the format has several.
    pub spec: SpecChoice,
}

/// A branch or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// The version it names.
    pub version: Version,
    /// Whether commits move it; tags never move.
    pub is_branch: bool,
    /// How old its head may become before the reference may go, in milliseconds; `None` is as the table says.
    pub max_ref_age_ms: Option<i64>,
    /// How old its versions may become before they may go, in milliseconds (branches); `None` is as the table says.
    pub max_snapshot_age_ms: Option<i64>,
    /// How many of its versions stay whatever their age (branches); `None` is as the table says.
    pub min_snapshots_to_keep: Option<u64>,
}

/// Where the rows of a file go when they are written again.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// Into files of the same partition.
    Same,
    /// Into partitions of another spec: what to ask [`TableVersion::output`] for. Files with the same answer may be rewritten together.
    Other(Arc<Partition>),
    /// Nowhere: the file has to be left alone.
    Nowhere,
}

/// The sizing and retry defaults of a table, from its properties where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// About how large files should be.
    pub target_file_size: Bytes,
    /// How many times a commit is tried in all.
    pub commit_attempts: u32,
    /// The shortest wait before trying again, in milliseconds.
    pub min_wait_ms: u64,
    /// The longest wait before trying again, in milliseconds.
    pub max_wait_ms: u64,
    /// How long after its first attempt a commit may still be tried again, in milliseconds.
    pub total_wait_ms: u64,
}
