//! What all benches over storage need: a folder, a store and a runtime.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use otf::formats::Table;
use otf::location::Location;
use otf::store::Store;
use otf::store::resolve::Stores;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder on the local disk that goes when it is dropped.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) store: Store,
    pub(crate) runtime: Runtime,
}

impl Place {
    pub(crate) fn new() -> Self {
        let stores = Stores::new(&<_>::default(), &<_>::default()).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), store: Store::new(Arc::new(stores)), runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        Location::parse(self.path(name).to_str().unwrap()).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Reads the newest version of `table` and counts its files, which must be `wanted`.
    pub(crate) fn count_files(&self, table: &dyn Table, wanted: usize) -> usize {
        let found = self.runtime.block_on(async {
            let version = table.load().await.unwrap();
            version.files(false).try_fold(0, |count, _| async move { Ok(count + 1) }).await.unwrap()
        });
        assert_eq!(found, wanted);
        found
    }
}
