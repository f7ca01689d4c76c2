//! Files in, files out: reading rows with their deletes applied, and writing them again.
//!
//! The engine knows Parquet, ORC, Avro, the model and the store; it knows no table format and never commits.

mod foreign;
pub mod lists;
pub mod parquet;
mod rows;
pub mod scan;
pub mod sql;
mod visible;

use async_trait::async_trait;

pub use self::sql::Sql;

use crate::error::{Error, Result};
use crate::model::{DataFile, FileStats, NewFile, OutputSpec, RowDeletes};
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

    /// Turns the deletes of every file into positions, in the same order: where rows are deleted by value, the compared columns are read.
    /// [`Self::rewrite`] does so by itself; this is for those who have to know the rows beforehand.
    ///
    /// # Errors
    ///
    /// As [`Self::rewrite`], of data files and of delete files.
    async fn locate_deletes(&self, files: &[(DataFile, RowDeletes)]) -> Result<Vec<RowDeletes>> {
        if files.iter().any(|(_, deletes)| deletes.len().is_none()) {
            return Err(Error::unsupported("this engine does not apply deletes by value"));
        }
        Ok(files.iter().map(|(_, deletes)| deletes.clone()).collect())
    }
}

/// How closely a data file is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Depth<'a> {
    /// Its footer.
    Footer,
    /// The footer, and every live row: those that these deletes leave.
    Rows(&'a RowDeletes),
}

/// What a data file says of itself.
#[derive(Debug)]
pub struct Examined {
    /// Bytes on storage.
    pub size: Bytes,
    /// What is inside; an error where that cannot be read.
    pub contents: Result<Contents>,
}

/// What is inside a data file.
#[derive(Debug, Default)]
pub struct Contents {
    /// Rows stored.
    pub rows: u64,
    /// Why its columns do not go together with the table's.
    pub mismatch: Option<Error>,
    /// Why its columns were not compared with the table's.
    pub not_compared: Option<Error>,
    /// What the footer (or, where rows were read, the live values) says of columns that are stored as the table's types, by column id. Bounds
    /// that may be wider than the values are not [`exact`](crate::model::ColumnStats::exact).
    pub stats: FileStats,
}

/// Looks into data files without changing anything.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// Looks into `file`. Where `output` says how the table's columns are recognised, they are compared and their statistics read.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is missing, `Unavailable` if storage did not answer. What is damaged inside is no error here.
    async fn examine(&self, file: &DataFile, output: Option<&OutputSpec>, depth: Depth<'_>) -> Result<Examined>;
}
