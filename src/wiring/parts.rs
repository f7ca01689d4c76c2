//! The formats, catalogs and the engine of this build, by name.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::open::Opened;
use crate::catalog::{ExactPointer, PathPointer};
use crate::config::Catalog;
use crate::engine::Rewriter;
use crate::engine::parquet::{ParquetRewriter, Settings};
use crate::error::{Error, Result};
use crate::formats::delta::DeltaTable;
use crate::formats::iceberg::IcebergTable;
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
pub fn iceberg(store: &Store, root: Location) -> Opened {
    let pointer = PathPointer::new(store.clone(), root.clone());
    Opened { table: Box::new(IcebergTable::new(store.clone(), root, Arc::new(pointer))), read_only: false }
}

/// The Iceberg state that the metadata file `file` holds; files of metadata lie in a folder of the table's root.
pub fn exact(store: &Store, file: &Location) -> Opened {
    let root = file.parent().and_then(|folder| folder.parent()).unwrap_or_else(|| file.clone());
    let pointer = ExactPointer::new(file.clone());
    Opened { table: Box::new(IcebergTable::new(store.clone(), root, Arc::new(pointer))), read_only: true }
}

/// A table of a SQL catalog.
///
/// # Errors
///
/// `NotFound` if the catalog has no such table; `Unavailable` if its database does not answer.
pub async fn in_sql_catalog(_store: &Store, _name: &str, _catalog: &Catalog, _namespace: &[String], _table: &str) -> Result<Opened> {
    Err(Error::unsupported("SQL catalogs are not in this build"))
}
