//! The formats, catalogs and the engine of this build, by name.

use tokio::runtime::Handle;

use super::open::Opened;
use crate::config::Catalog;
use crate::engine::Rewriter;
use crate::engine::parquet::{ParquetRewriter, Settings};
use crate::error::{Error, Result};
use crate::formats::delta::DeltaTable;
use crate::location::Location;
use crate::store::Store;
use crate::units::Bytes;

/// The engine that rewrites files in this process, with this much memory and so many threads. Must be called inside the runtime.
///
/// # Errors
///
/// `Unavailable` if the system gives no threads.
pub fn engine(store: &Store, memory: Bytes, threads: usize) -> Result<Box<dyn Rewriter>> {
    let settings = Settings { memory, threads, runtime: Handle::current() };
    Ok(Box::new(ParquetRewriter::new(store.clone(), settings)?))
}

/// The Delta table at `root`.
pub fn delta(store: &Store, root: Location) -> Opened {
    Opened { table: Box::new(DeltaTable::new(store.clone(), root)), read_only: false }
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
