//! Candidates, kept in order: in memory while they are few, else in temporary files.

use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;
use crate::units::{Bytes, Timestamp};

use super::plan::Listed;

/// A chunk holds about so many bytes.
const CHUNK: usize = 8 << 20;
/// Written where a file's age is not known.
const NO_TIME: i64 = i64::MIN;

/// A sequence of files. Reading goes chunk by chunk.
#[derive(Debug)]
pub(super) struct Spool {
    store: Store,
    /// Where chunks go; their names follow it.
    stem: Location,
    /// The storages of the files: what an entry leaves out.
    homes: Vec<Location>,
    open: Vec<u8>,
    written: Vec<Location>,
}

impl Spool {
    /// Nothing yet; what does not fit into memory goes to files beside `stem`.
    pub(super) const fn new(store: Store, stem: Location) -> Self {
        Self { store, stem, homes: Vec::new(), open: Vec::new(), written: Vec::new() }
    }

    /// Adds a file.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the temporary folder cannot be written.
    pub(super) async fn push(&mut self, file: &Listed) -> Result<()> {
        let is_home = |home: &Location| home.scheme() == file.location.scheme() && home.authority() == file.location.authority();
        let home = match self.homes.iter().position(is_home) {
            Some(home) => home,
            None => {
                self.homes.push(file.location.clone());
                self.homes.len() - 1
            }
        };
        let path = file.location.path().as_bytes();
        self.open.extend((home as u64).to_le_bytes());
        self.open.extend(file.size.0.to_le_bytes());
        self.open.extend(file.modified.map_or(NO_TIME, |time| time.0).to_le_bytes());
        self.open.extend((path.len() as u64).to_le_bytes());
        self.open.extend(path);
        if self.open.len() >= CHUNK {
            let place =
                self.stem.parent().unwrap_or_else(|| self.stem.clone()).child(&format!("{}-{}", self.stem.name(), self.written.len()));
            self.store.put(&place, std::mem::take(&mut self.open).into()).await?;
            self.written.push(place);
        }
        Ok(())
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.written.len() + usize::from(!self.open.is_empty())
    }

    /// The files of chunk `at`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the temporary folder cannot be read.
    pub(super) async fn read(&self, at: usize) -> Result<Vec<Listed>> {
        let bytes = match self.written.get(at) {
            Some(place) => self.store.get(place).await?,
            None => self.open.clone().into(),
        };
        let mut input: &[u8] = &bytes;
        let mut files = Vec::new();
        while !input.is_empty() {
            let file = self.take(&mut input).ok_or_else(|| Error::unavailable("a temporary file was altered while the run used it"))?;
            files.push(file);
        }
        Ok(files)
    }

    fn take(&self, input: &mut &[u8]) -> Option<Listed> {
        let home = self.homes.get(usize::try_from(number(input)?).ok()?)?;
        let size = Bytes(number(input)?);
        let modified = i64::from_le_bytes(number(input)?.to_le_bytes());
        let length = usize::try_from(number(input)?).ok()?;
        let path = std::str::from_utf8(input.get(..length)?).ok()?;
        *input = input.get(length..)?;
        let root = Location::parse(&format!("{}://{}/", home.scheme(), home.authority())).ok()?;
        let modified = (modified != NO_TIME).then_some(Timestamp(modified));
        Some(Listed { location: root.child(path), size, modified })
    }

    /// Removes the temporary files. One that cannot be removed stays: it is in the system's folder for such.
    pub(super) async fn clear(self) {
        drop(self.store.delete_all(self.written).await);
    }
}

fn number(input: &mut &[u8]) -> Option<u64> {
    let (first, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::store::Resolve;

    struct Memory(Arc<InMemory>);

    impl Resolve for Memory {
        fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
            let store: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.0);
            Ok((store, Path::parse(location.path()).unwrap()))
        }
    }

    #[tokio::test]
    async fn orphan_scale_what_does_not_fit_into_memory_comes_back_from_temporary_files_and_these_go() {
        let memory = Arc::new(InMemory::new());
        let store = Store::new(Arc::new(Memory(Arc::clone(&memory))));
        let mut spool = Spool::new(store.clone(), Location::parse("/tmp/run").unwrap());
        let name = "x".repeat(200);
        let files: Vec<Listed> = (0..50_000)
            .map(|n| Listed {
                location: Location::parse(&format!("{}/t/{name}-{n}", if n % 2 == 0 { "s3://b" } else { "file://" })).unwrap(),
                size: Bytes(n),
                modified: (n % 3 != 0).then_some(Timestamp(-7)),
            })
            .collect();
        for file in &files {
            spool.push(file).await.unwrap();
            assert!(spool.open.len() < CHUNK, "more than a chunk is in memory");
        }
        assert!(spool.chunks() > 1);
        assert!(memory.head(&Path::from("tmp/run-0")).await.is_ok());
        let mut found = Vec::new();
        for chunk in 0..spool.chunks() {
            found.extend(spool.read(chunk).await.unwrap());
        }
        assert_eq!(found, files);
        spool.clear().await;
        assert!(memory.head(&Path::from("tmp/run-0")).await.is_err());
    }
}
