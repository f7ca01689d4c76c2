//! Files in, files out: reading rows with their deletes applied, and writing them again.
//!
//! The engine knows Parquet, ORC, Avro, the model and the store; it knows no table format and never commits.

mod foreign;
pub mod parquet;
mod rows;
pub mod scan;
pub mod sql;
mod visible;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{DataFile, NewFile, OutputSpec, RowDeletes};
use crate::units::Bytes;

/// How row groups reach the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RewritePath {
    /// Copy where nothing in the rows changes and row groups are already large enough, else encode.
    #[default]
    Auto,
    /// Move whole row groups as bytes; an error where something in them has to change.
    Copy,
    /// Decode and encode every row.
    Encode,
}

/// One group of files to write again.
#[derive(Debug)]
pub struct RewriteTask {
    /// The files, with the deletes to apply to each, in the order their rows are to be kept.
    pub inputs: Vec<(DataFile, RowDeletes)>,
    /// What the new files look like.
    pub output: OutputSpec,
    /// First part of the names of new files; unique to the operation and the group. A number and `.parquet` follow.
    pub name_stem: String,
    /// How row groups may reach the output.
    pub path: RewritePath,
}

/// What a rewrite did.
#[derive(Debug, Clone, Default)]
pub struct Rewritten {
    /// The new files.
    pub files: Vec<NewFile>,
    /// Row groups moved as bytes (counted in the output).
    pub row_groups_copied: u64,
    /// Row groups encoded anew (counted in the output).
    pub row_groups_encoded: u64,
    /// Bytes of row groups moved as bytes.
    pub bytes_copied: Bytes,
    /// Bytes of row groups encoded anew, as written.
    pub bytes_encoded: Bytes,
}

impl Rewritten {
    /// Adds what another part of the same rewrite did.
    pub fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.row_groups_copied += other.row_groups_copied;
        self.row_groups_encoded += other.row_groups_encoded;
        self.bytes_copied = self.bytes_copied.plus(other.bytes_copied);
        self.bytes_encoded = self.bytes_encoded.plus(other.bytes_encoded);
    }
}

/// Writes the live rows of files to new files.
#[async_trait]
pub trait Rewriter: Send + Sync {
    /// Writes the live rows of `task.inputs` to new files of about the target size.
    ///
    /// Reads and writes data only: it neither commits nor touches its inputs. On an error, everything it wrote has been removed again as far as
    /// storage allows.
    ///
    /// # Errors
    ///
    /// `Corrupt` if an input cannot be decoded or is not what the table says (size, rows), `NotFound` if it is missing, `Unsupported` for an
    /// encoding or type we do not understand, `Unavailable` if storage gave up.
    async fn rewrite(&self, task: RewriteTask) -> Result<Rewritten>;

    /// Rows stored in `file`, from its footer: for tables whose metadata does not say.
    ///
    /// # Errors
    ///
    /// As [`Self::rewrite`].
    async fn stored_rows(&self, file: &DataFile) -> Result<u64>;
}
