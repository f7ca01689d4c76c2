//! The formats, catalogs and the engine of this build, by name.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::open::Opened;
use crate::catalog::{self, SqlCatalog, TableName};
use crate::config::Catalog;
use crate::engine::parquet::{ParquetRewriter, Settings};
use crate::engine::scan::FileScanner;
use crate::engine::sql::{self, DataFusionSql, Sql};
use crate::engine::{Inspector, Rewriter};
use crate::error::Result;
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

/// Looks into data files in this process, with this much memory and so many threads. Must be called inside the runtime.
///
/// # Errors
///
/// `Unavailable` if the system gives no threads.
pub fn inspector(store: &Store, memory: Bytes, threads: usize) -> Result<Box<dyn Inspector>> {
    let settings = Settings { memory, threads, runtime: Handle::current() };
    Ok(Box::new(ParquetRewriter::new(store.clone(), settings)?))
}

/// The engine that runs queries in this process. Must be called inside the runtime.
pub fn sql(store: &Store, memory: Bytes, threads: usize, temp_dir: &Path) -> Box<dyn Sql> {
    let threads = threads.max(1);
    // Half is for sorts, groups and joins, a quarter for files that are being read, one a thread; a quarter is left for what nobody counts.
    let readers = Bytes(memory.0 / 4 / threads as u64);
    let scanner = Arc::new(FileScanner::new(store.clone(), readers, Handle::current()));
    let settings = sql::Settings { memory: Bytes(memory.0 / 2), threads, temp_dir: temp_dir.to_path_buf() };
    Box::new(DataFusionSql::new(settings, scanner))
}

/// The Delta table at `root`.
pub fn delta(store: &Store, root: Location) -> Opened {
    Opened { table: Box::new(DeltaTable::new(store.clone(), root)), read_only: false }
}

/// The Iceberg table at `root`, without a catalog, seen from `branch` if one is named.
pub fn iceberg(store: &Store, root: Location, branch: Option<&str>) -> Opened {
    Opened { table: Box::new(seen_from(catalog::path_table(store, root), branch)), read_only: false }
}

/// `table` seen from a branch or tag.
fn seen_from(table: IcebergTable, branch: Option<&str>) -> IcebergTable {
    match branch {
        Some(name) => table.on(name),
        None => table,
    }
}

/// The Iceberg state that the metadata file `file` holds.
///
/// # Errors
///
/// `NotFound` if there is no such file; `Corrupt` for damaged metadata.
pub async fn exact(store: &Store, file: Location, branch: Option<&str>) -> Result<Opened> {
    Ok(Opened { table: Box::new(seen_from(catalog::exact_table(store, file).await?, branch)), read_only: true })
}

/// The table `namespace.table` of the SQL catalog that `settings` describe under the name `name`.
///
/// # Errors
///
/// `NotFound` if the catalog has no such table; `Unavailable` if its database does not answer; `Usage` for a database of another kind.
pub async fn in_sql_catalog(
    store: &Store,
    name: &str,
    settings: &Catalog,
    (namespace, table): (&[String], &str),
    branch: Option<&str>,
) -> Result<Opened> {
    let uri = settings.uri.as_deref().unwrap_or_default();
    let catalog = SqlCatalog::open(uri, settings.name.as_deref().unwrap_or(name)).await?;
    let table = TableName { namespace: namespace.join("."), name: table.to_string() };
    Ok(Opened { table: Box::new(seen_from(catalog::sql_table(store, &catalog, &table).await?, branch)), read_only: false })
}
