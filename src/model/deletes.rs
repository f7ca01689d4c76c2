//! Which rows of a data file are deleted.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::file::DataFile;
use super::output::FieldMatching;
use super::schema::Schema;

/// The deletes of one data file, ready to apply.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RowDeletes {
    /// Every row lives.
    #[default]
    None,
    /// The rows at these positions (from 0, in file order) are deleted. All are below the file's row count.
    Positions(Arc<RoaringTreemap>),
    /// Rows are deleted for what they hold: reading the file tells which. An engine turns this into positions
    /// ([`crate::engine::Rewriter::locate_deletes`]).
    Values(Arc<ValueDeletes>),
}

/// Deletes by value of one data file.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueDeletes {
    /// Rows that are deleted by position besides.
    pub positions: Arc<RoaringTreemap>,
    /// Where the values are.
    pub rules: Vec<ValueRule>,
    /// How columns of the data file are recognised.
    pub matching: FieldMatching,
}

/// The delete files of a set that apply to one data file: the younger ones.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRule {
    /// The set, shared by all data files that it reaches.
    pub set: Arc<ValueSet>,
    /// The least sequence number that a delete file has to have.
    pub since: i64,
}

/// Delete files that reach the same data files, age apart: those of one partition, or those of the whole table.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueSet {
    /// The delete files.
    pub files: Vec<ValueFile>,
}

/// A file of values: a row is deleted if it equals, in all compared columns, a row of this file. Null equals null.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueFile {
    /// The delete file, to be read as a data file is.
    pub file: DataFile,
    /// Its sequence number.
    pub sequence: i64,
    /// The columns to compare, with the structs around them and nothing else. The table may have dropped them since.
    pub columns: Arc<Schema>,
}

impl RowDeletes {
    /// The rows at `positions`.
    pub fn at(positions: RoaringTreemap) -> Self {
        if positions.is_empty() { Self::None } else { Self::Positions(Arc::new(positions)) }
    }

    /// How many rows are deleted; `None` if only the rows themselves tell.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Positions(positions) => Some(positions.len()),
            Self::Values(_) => None,
        }
    }

    /// Whether it is certain that no row is deleted.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}
