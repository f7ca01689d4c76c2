//! SQL over tables, run by DataFusion. No type of it is seen outside.
//!
//! Tables are [`Relation`]s: files to read, with deletes. Rows come from the same reader that compaction uses, and deletes are applied below
//! every filter and limit.

mod failure;
mod provider;
mod prune;
mod session;

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures::stream::BoxStream;
use sqlparser::ast::Statement;

pub use self::session::{DataFusionSql, Settings};
use super::scan::FileScan;
use crate::error::Result;
use crate::model::predicate::Predicate;
use crate::model::{DataFile, Schema};

/// A table at one version, as queries read it.
#[async_trait]
pub trait Relation: Send + Sync + Debug {
    /// The columns, as users see them.
    fn schema(&self) -> &Arc<Schema>;

    /// The files that may hold rows matching all of `filters`, without statistics.
    ///
    /// # Errors
    ///
    /// Those of reading the table's metadata.
    async fn files(&self, filters: &[Predicate]) -> Result<Vec<DataFile>>;

    /// What to read of `files` (of this table) for the columns `schema`, in the same order.
    ///
    /// # Errors
    ///
    /// Those of reading the files' deletes.
    async fn scans(&self, files: &[DataFile], schema: &Arc<Schema>) -> Result<Vec<FileScan>>;
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
    async fn query(&self, statement: Statement, tables: Vec<(String, Arc<dyn Relation>)>) -> Result<Answer>;
}
