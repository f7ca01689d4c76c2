//! Catalogs: from names and places to tables, and how a table's metadata is replaced there.

mod path;
mod sql;

use std::sync::Arc;

pub use path::{ExactPointer, PathPointer};
pub use sql::{SqlCatalog, SqlPointer, TableName};

use crate::error::Result;
use crate::formats::iceberg::{self, IcebergTable};
use crate::location::Location;
use crate::store::Store;

/// The Iceberg table in the folder `root`.
pub fn path_table(store: &Store, root: Location) -> IcebergTable {
    let pointer = Arc::new(PathPointer::new(store.clone(), root.clone()));
    IcebergTable::new(store.clone(), root, pointer)
}

/// The state of an Iceberg table in the metadata file `file`, read-only.
///
/// # Errors
///
/// `NotFound` if there is no such file; those of damaged metadata.
pub async fn exact_table(store: &Store, file: Location) -> Result<IcebergTable> {
    let root = iceberg::table_location(&store.get(&file).await?, &file)?;
    Ok(IcebergTable::new(store.clone(), root, Arc::new(ExactPointer::new(file))))
}

/// The Iceberg table called `name` in an SQL catalog.
///
/// # Errors
///
/// As [`SqlCatalog::table`].
pub async fn sql_table(store: &Store, catalog: &SqlCatalog, name: &TableName) -> Result<IcebergTable> {
    let (root, pointer) = catalog.table(store, name).await?;
    Ok(IcebergTable::new(store.clone(), root, Arc::new(pointer)))
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;
