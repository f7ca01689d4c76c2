//! Tables that lie over the same files as another, below it or above it.

use async_trait::async_trait;

use super::open::{Layout, detect};
use super::parts;
use crate::error::Result;
use crate::location::Location;
use crate::ops::orphans::{Neighbour, Neighbours};
use crate::store::Store;

/// Finds tables by their metadata.
#[derive(Debug)]
pub struct TablesAt<'a> {
    /// All storage.
    pub store: &'a Store,
}

#[async_trait]
impl Neighbours for TablesAt<'_> {
    async fn at(&self, root: &Location) -> Result<Vec<Neighbour>> {
        let found = detect(root, self.store).await?.into_iter().map(|layout| {
            let opened = match layout {
                Layout::Delta => Some(parts::delta(self.store, root.clone())),
                Layout::Iceberg => Some(parts::iceberg(self.store, root.clone(), None)),
                Layout::Hudi | Layout::Hive => None,
            };
            Neighbour { format: layout.as_str(), table: opened.map(|opened| opened.table) }
        });
        Ok(found.collect())
    }
}
