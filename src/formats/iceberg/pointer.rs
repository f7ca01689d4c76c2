//! Where the current metadata file is, and how a new one takes its place.

use async_trait::async_trait;
use bytes::Bytes as Buffer;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{FindingSink, OperationId};

/// New metadata that is to become current.
#[derive(Debug, Clone)]
pub struct NewMetadata {
    /// The document, packed if `gzip`.
    pub bytes: Buffer,
    /// Whether it is packed with gzip.
    pub gzip: bool,
    /// The table's uuid; empty where an old table has none.
    pub table_uuid: String,
    /// The folder for metadata files, where the pointer may choose one.
    pub folder: Location,
    /// The operation, and which part of it: the file is named after them where the pointer may choose a name.
    pub operation: OperationId,
    /// Number of the change within the operation.
    pub part: u32,
}

/// What came of putting new metadata in place.
#[derive(Debug)]
pub enum Swap {
    /// It is current (or was, until somebody built on it).
    Landed,
    /// Another's metadata is in its place: this attempt can never land.
    Taken,
    /// Nothing certain.
    Unknown(Error),
    /// Nothing was sent that could land.
    Rejected(Error),
}

/// Knows which metadata file is current: a folder of numbered files, or a catalog.
#[async_trait]
pub trait Pointer: Send + Sync {
    /// The current metadata file.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no table; `Unavailable` if storage or the catalog did not answer.
    async fn current(&self) -> Result<Location>;

    /// Puts `new` in place of `base`, if `base` is still current.
    async fn swap(&self, base: &Location, new: &NewMetadata) -> Swap;

    /// Duties after a swap that readers do not depend on: a version hint. Returns what could not be done.
    async fn settle(&self) -> Vec<Error> {
        Vec::new()
    }

    /// The place the table was opened at, if it was opened by place: its metadata must agree.
    fn opened_at(&self) -> Option<&Location> {
        None
    }

    /// Whether a catalog may hold the metadata file `file` of the table `uuid` as current without this pointer's knowledge: a folder does not tell.
    fn may_be_a_catalogs(&self, _file: &Location, _uuid: &str) -> bool {
        false
    }

    /// Tells `found` what is wrong with how the current metadata is found.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage or the catalog did not answer.
    async fn check(&self, _found: FindingSink<'_>) -> Result<()> {
        Ok(())
    }
}
