//! Our storage under the two crates of the field: what they read and write goes through the same calls as ours, and is counted with them.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes as Buffer, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::{ObjectStore, ObjectStoreExt};
use otf::location::Location;
use serde::{Deserialize, Serialize};

/// An object store under the `iceberg` crate. Its storage can be sent to other processes; this one holds a living store and stays here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bridge {
    #[serde(skip)]
    store: Option<Arc<dyn ObjectStore>>,
}

/// The `iceberg` crate's files, all of them in `store`.
pub(crate) fn file_io(store: &Arc<dyn ObjectStore>) -> FileIO {
    FileIOBuilder::new(factory(store)).build()
}

/// The same, for its catalogs.
pub(crate) fn factory(store: &Arc<dyn ObjectStore>) -> Arc<dyn StorageFactory> {
    Arc::new(Bridge { store: Some(Arc::clone(store)) })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string())
}

impl Bridge {
    fn at(&self, path: &str) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        let store = self.store.clone().ok_or_else(|| Error::new(ErrorKind::Unexpected, "a bridge from another process"))?;
        let place = Location::parse(path).map_err(failed)?;
        Ok((store, object_store::path::Path::parse(place.path()).map_err(failed)?))
    }
}

#[async_trait]
#[typetag::serde(name = "OtfBridge")]
impl StorageFactory for Bridge {
    fn build(&self, _config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "OtfBridge")]
impl Storage for Bridge {
    async fn exists(&self, path: &str) -> Result<bool> {
        let (store, key) = self.at(path)?;
        match store.head(&key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let (store, key) = self.at(path)?;
        Ok(FileMetadata { size: store.head(&key).await.map_err(failed)?.size })
    }

    async fn read(&self, path: &str) -> Result<Buffer> {
        let (store, key) = self.at(path)?;
        store.get(&key).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        let (store, key) = self.at(path)?;
        Ok(Box::new(Open { store, key, written: BytesMut::new() }))
    }

    async fn write(&self, path: &str, bytes: Buffer) -> Result<()> {
        let (store, key) = self.at(path)?;
        store.put(&key, bytes.into()).await.map_err(failed).map(drop)
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let (store, key) = self.at(path)?;
        Ok(Box::new(Open { store, key, written: BytesMut::new() }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let (store, key) = self.at(path)?;
        store.delete(&key).await.map_err(failed)
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        let (store, key) = self.at(path)?;
        let mut listing = store.list(Some(&key));
        while let Some(object) = listing.next().await {
            store.delete(&object.map_err(failed)?.location).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_string()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_string()))
    }
}

/// One object, to be read in ranges or written when it is complete.
#[derive(Debug)]
struct Open {
    store: Arc<dyn ObjectStore>,
    key: object_store::path::Path,
    written: BytesMut,
}

#[async_trait]
impl FileRead for Open {
    async fn read(&self, range: Range<u64>) -> Result<Buffer> {
        self.store.get_range(&self.key, range).await.map_err(failed)
    }
}

#[async_trait]
impl FileWrite for Open {
    async fn write(&mut self, bytes: Buffer) -> Result<()> {
        self.written.extend_from_slice(&bytes);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.store.put(&self.key, self.written.split().freeze().into()).await.map_err(failed).map(drop)
    }
}
