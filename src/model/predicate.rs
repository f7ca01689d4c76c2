//! Filters over columns, and what partition values and statistics say about them.

use super::file::DataFile;
use super::schema::Schema;

/// A filter over a table's columns.
#[derive(Debug, Clone)]
pub struct Predicate {}

impl Predicate {
    /// Whether `file` may hold a row that matches. Unknown is yes.
    pub fn may_match(&self, _schema: &Schema, _file: &DataFile) -> bool {
        true
    }
}
