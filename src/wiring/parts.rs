//! The formats, catalogs and the engine of this build, by name.

use async_trait::async_trait;

use super::open::Opened;
use crate::config::Catalog;
use crate::engine::{RewriteTask, Rewriter, Rewritten};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::DataFile;
use crate::store::Store;
use crate::units::Bytes;

struct NoEngine;

#[async_trait]
impl Rewriter for NoEngine {
    async fn rewrite(&self, _task: RewriteTask) -> Result<Rewritten> {
        Err(Error::unsupported("no engine in this build"))
    }
    async fn stored_rows(&self, _file: &DataFile) -> Result<u64> {
        Err(Error::unsupported("no engine in this build"))
    }
}

/// The engine that rewrites files in this process.
pub fn engine(_store: &Store, _memory: Bytes, _threads: usize) -> Result<Box<dyn Rewriter>> {
    Ok(Box::new(NoEngine))
}

/// The Delta table at `root`.
pub fn delta(_store: &Store, _root: Location) -> Result<Opened> {
    Err(Error::unsupported("Delta is not in this build"))
}

/// The Iceberg table at `root`, without a catalog.
pub async fn iceberg(_store: &Store, _root: Location) -> Result<Opened> {
    Err(Error::unsupported("Iceberg is not in this build"))
}

/// The Iceberg state that the metadata file `file` holds.
pub fn exact(_store: &Store, _file: &Location) -> Result<Opened> {
    Err(Error::unsupported("Iceberg is not in this build"))
}

/// A table of a SQL catalog.
pub async fn in_sql_catalog(_store: &Store, _name: &str, _catalog: &Catalog, _namespace: &[String], _table: &str) -> Result<Opened> {
    Err(Error::unsupported("SQL catalogs are not in this build"))
}
