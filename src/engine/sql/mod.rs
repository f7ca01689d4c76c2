//! SQL over tables, run by DataFusion. No type of it is seen outside.
//!
//! Tables are [`Relation`]s: files to read, with deletes; or [`Listing`]s: rows about a table. Rows of files come from the same reader that
//! compaction uses, and deletes are applied below every filter and limit.

mod checked;
mod coerce;
mod explain;
mod failure;
mod listing;
mod provider;
mod prune;
mod session;
mod sum;
mod times;

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures::stream::BoxStream;
use sqlparser::ast::Statement;

pub use self::explain::{Explained, ScanReport};
pub use self::session::{DataFusionSql, Settings};
use super::scan::{FileScan, Filter};
use crate::error::Result;
use crate::location::Location;
use crate::model::predicate::Predicate;
use crate::model::{DataFile, Schema};

/// A table at one version, as queries read it.
#[async_trait]
pub trait Relation: Send + Sync + Debug {
    /// The columns, as users see them.
    fn schema(&self) -> &Arc<Schema>;

    /// The files that may hold rows matching all of `filters`, without statistics. Where `enough` is given, they may be fewer than all if they
    /// certainly hold so many live rows.
    ///
    /// # Errors
    ///
    /// Those of reading the table's metadata.
    async fn files(&self, filters: &[Predicate], enough: Option<u64>) -> Result<Found>;

    /// What to read of `files` (of this table) for the columns `schema` and the rows that match `filter`, in the same order.
    ///
    /// # Errors
    ///
    /// Those of reading the files' deletes.
    async fn scans(&self, files: &[DataFile], schema: &Arc<Schema>, filter: Option<&Arc<Filter>>) -> Result<Vec<FileScan>>;
}

/// Files of a relation, and why there are no more.
#[derive(Debug, Default)]
pub struct Found {
    /// The files to read.
    pub files: Vec<DataFile>,
    /// The others.
    pub skipped: Skipped,
}

/// Why a file need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// None of its rows can match, by its partition.
    Partition,
    /// None of its rows can match, by its statistics.
    Statistics,
}

/// So many files that need not be read are named; all are counted.
const MOST_NAMED: usize = 100;

/// Files that need not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// None of their rows can match, by their partition.
    pub by_partition: Files,
    /// None of their rows can match, by their statistics.
    pub by_statistics: Files,
    /// Whether files were left out because those before them hold enough rows.
    pub enough: bool,
    /// The first of them by name.
    pub named: Vec<(Location, Why)>,
}

impl Skipped {
    /// Adds `file`.
    pub fn add(&mut self, file: &DataFile, why: Why) {
        match why {
            Why::Partition => self.by_partition.add(file),
            Why::Statistics => self.by_statistics.add(file),
        }
        if self.named.len() < MOST_NAMED {
            self.named.push((file.location.clone(), why));
        }
    }
}

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Files {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Files {
    /// Adds `file`.
    pub const fn add(&mut self, file: &DataFile) {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.size.0);
    }
}

/// Rows about a table, made as they are read.
pub trait Listing: Send + Sync + Debug {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// The rows, with all columns; those not in `wanted` may be null wherever that is cheaper.
    fn rows(&self, wanted: &[String]) -> BoxStream<'static, Result<RecordBatch>>;
}

/// Where the rows of a name in a statement come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the files of a table.
    Table(Arc<dyn Relation>),
    /// From what is known about a table.
    Listing(Arc<dyn Listing>),
}

/// The rows of a query.
pub struct Answer {
    /// Their columns.
    pub schema: SchemaRef,
    /// The rows, as they are made. An error ends them.
    pub rows: BoxStream<'static, Result<RecordBatch>>,
}

impl Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Runs queries.
#[async_trait]
pub trait Sql: Send + Sync + Debug {
    /// Starts `statement`, a query that names `tables` by the names given here, exactly.
    ///
    /// # Errors
    ///
    /// `Usage` for a statement that makes no sense over these tables; `Refused` for one that would change anything; errors of the tables.
    async fn query(&self, statement: Statement, tables: Vec<(String, Source)>) -> Result<Answer>;

    /// How `statement` would be run, and what it would read: footers and indexes of the files it needs are looked into, no row is read.
    ///
    /// # Errors
    ///
    /// As [`Self::query`].
    async fn explain(&self, statement: Statement, tables: Vec<(String, Source)>) -> Result<Explained>;
}
