//! Tables in memory, read as the tool reads them.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::error::{Error, Result};
use otf::formats::Table;
use otf::location::Location;
use otf::model::{DataFile, Reach};
use otf::store::{Resolve, Store};
use tokio::runtime::{Builder, Runtime};

struct OneStore(Arc<dyn ObjectStore>);

impl Resolve for OneStore {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::parse(location.path()).map_err(|e| Error::usage("no such name").because(e))?;
        Ok((Arc::clone(&self.0), path))
    }
}

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().build().unwrap());
}

/// Reads everything that a table of these objects has: files with statistics, deletes, and what fsck looks at.
pub(super) fn read(root: &str, objects: Vec<(String, Bytes)>, open: fn(Store, Location) -> Box<dyn Table>) {
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let memory = InMemory::new();
            let root = Location::parse(root).unwrap();
            for (name, bytes) in objects {
                let path = Path::parse(root.child(&name).path()).unwrap();
                memory.put(&path, PutPayload::from_bytes(bytes)).await.unwrap();
            }
            let table = open(Store::new(Arc::new(OneStore(Arc::new(memory)))), root);
            let Ok(version) = table.load().await else { return };
            let mut files: Vec<DataFile> = Vec::new();
            let mut stream = version.files(true);
            while let Some(file) = stream.next().await {
                files.extend(file);
            }
            drop(stream);
            files.truncate(16);
            for file in &files {
                drop(version.row_deletes(std::slice::from_ref(file)).await);
                drop(version.output(&file.partition, &otf::formats::OutputWishes::default()));
            }
            drop(version.rewritable());
            drop(version.check(Reach::EveryVersion, &mut |_| {}).await);
        });
    });
}
