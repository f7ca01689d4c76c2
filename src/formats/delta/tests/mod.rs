//! Tests on small tables made here and on other engines' tables.

mod golden;

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;

use super::DeltaTable;
use crate::error::Result;
use crate::formats::{Table, TableVersion};
use crate::location::Location;
use crate::model::DataFile;
use crate::store::{Resolve, Store};

/// Local files, by names as they are.
struct Local(Arc<LocalFileSystem>);

impl Resolve for Local {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Key)> {
        let key = Key::parse(location.path()).map_err(|e| crate::error::Error::usage("no such name").because(e))?;
        Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, key))
    }
}

fn table(root: &Path) -> DeltaTable {
    let store = Store::new(Arc::new(Local(Arc::new(LocalFileSystem::new()))));
    DeltaTable::new(store, Location::parse(root.to_str().unwrap()).unwrap())
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn files(version: &Arc<dyn TableVersion>, with_stats: bool) -> Result<Vec<DataFile>> {
    version.files(with_stats).try_collect().await
}

/// Live rows, where the log says how many rows every file has.
async fn live_rows(version: &Arc<dyn TableVersion>) -> Result<Option<u64>> {
    let files = files(version, true).await?;
    let deletes = version.row_deletes(&files).await?;
    let deleted: u64 = deletes.iter().map(crate::model::RowDeletes::len).sum();
    let rows: Option<u64> = files.iter().map(|file| file.rows).sum();
    Ok(rows.map(|rows| rows - deleted))
}

async fn load(root: &Path) -> Result<Arc<dyn TableVersion>> {
    table(root).load().await
}
