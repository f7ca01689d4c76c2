//! The formats, catalogs and the engine of this build, by name.

use tokio::runtime::Handle;

use super::open::Opened;
use crate::catalog::{self, SqlCatalog, TableName};
use crate::config::Catalog;
use crate::engine::parquet::{ParquetRewriter, Settings};
use crate::engine::{Inspector, Rewriter};
use crate::error::Result;
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

/// Looks into data files in this process, with this much memory and so many threads. Must be called inside the runtime.
///
/// # Errors
///
/// `Unavailable` if the system gives no threads.
pub fn inspector(store: &Store, memory: Bytes, threads: usize) -> Result<Box<dyn Inspector>> {
    let settings = Settings { memory, threads, runtime: Handle::current() };
    Ok(Box::new(ParquetRewriter::new(store.clone(), settings)?))
}

/// The Delta table at `root`.
pub fn delta(store: &Store, root: Location) -> Opened {
    Opened { table: Box::new(DeltaTable::new(store.clone(), root)), read_only: false }
}

/// The Iceberg table at `root`, without a catalog.
pub fn iceberg(store: &Store, root: Location) -> Opened {
    Opened { table: Box::new(catalog::path_table(store, root)), read_only: false }
}

/// The Iceberg state that the metadata file `file` holds.
///
/// # Errors
///
/// `NotFound` if there is no such file; `Corrupt` for damaged metadata.
pub async fn exact(store: &Store, file: Location) -> Result<Opened> {
    Ok(Opened { table: Box::new(catalog::exact_table(store, file).await?), read_only: true })
}

/// The table `namespace.table` of the SQL catalog that `settings` describe under the name `name`.
///
/// # Errors
///
/// `NotFound` if the catalog has no such table; `Unavailable` if its database does not answer; `Usage` for a database of another kind.
pub async fn in_sql_catalog(store: &Store, name: &str, settings: &Catalog, namespace: &[String], table: &str) -> Result<Opened> {
    let uri = settings.uri.as_deref().unwrap_or_default();
    let catalog = SqlCatalog::open(uri, settings.name.as_deref().unwrap_or(name)).await?;
    let table = TableName { namespace: namespace.join("."), name: table.to_string() };
    Ok(Opened { table: Box::new(catalog::sql_table(store, &catalog, &table).await?), read_only: false })
}
