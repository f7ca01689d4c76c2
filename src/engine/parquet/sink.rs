//! New files: where their bytes go, what they are called, and how they disappear again.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes as Buffer;
use tokio::runtime::Handle;

use super::failure::Failure;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::{Store, Writer};

/// Bytes gathered before they are handed to storage.
const PART: usize = 1 << 20;

/// The files one rewrite makes.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    store: Store,
    runtime: Handle,
    directory: Location,
    stem: String,
    /// Every file begun.
    begun: Arc<Mutex<Vec<Location>>>,
    spare: Spare,
}

/// Buffers that storage is done with, to be filled again: handing each back to the allocator would cost memory that it keeps for a while.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// A part on its way to storage.
struct Part {
    bytes: Vec<u8>,
    spare: Spare,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.clear();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Outputs {
    /// Files in `directory` whose names begin with `stem`.
    pub(super) fn new(store: Store, runtime: Handle, directory: Location, stem: String) -> Self {
        Self { store, runtime, directory, stem, begun: Arc::default(), spare: Spare::default() }
    }

    /// Files of the same rewrite in another folder.
    pub(super) fn in_folder(&self, directory: Location) -> Self {
        Self { directory, ..self.clone() }
    }

    /// Begins the next file. Blocks.
    pub(super) fn begin(&self) -> Result<Sink> {
        let location = {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let location = self.directory.child(&format!("{}-{:05}.parquet", self.stem, begun.len()));
            begun.push(location.clone());
            location
        };
        let writer = self.runtime.block_on(self.store.writer(&location))?;
        Ok(Sink {
            runtime: self.runtime.clone(),
            writer: Some(writer),
            location,
            gathered: Vec::new(),
            spare: Arc::clone(&self.spare),
            failure: Failure::default(),
        })
    }

    /// Removes every file begun, as far as storage allows.
    pub(super) async fn remove_all(&self) {
        let begun = mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        // What cannot be removed keeps the operation's id in its name, by which leftovers are found later.
        drop(self.store.delete_all(begun).await);
    }
}

/// A file being written. Given up unless finished. Blocks: for blocking threads only.
#[derive(Debug)]
pub(super) struct Sink {
    runtime: Handle,
    writer: Option<Writer>,
    location: Location,
    gathered: Vec<u8>,
    spare: Spare,
    /// The storage error behind an error of the Parquet library.
    pub(super) failure: Failure,
}

impl Sink {
    /// The place.
    pub(super) const fn location(&self) -> &Location {
        &self.location
    }

    fn hand_over(&mut self) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Err(Error::bug("a finished file was written to")) };
        if self.gathered.is_empty() {
            return Ok(());
        }
        let part = Part { bytes: mem::take(&mut self.gathered), spare: Arc::clone(&self.spare) };
        self.runtime.block_on(writer.write(Buffer::from_owner(part)))
    }

    /// Makes the file appear; returns its size.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.hand_over()?;
        match self.writer.take() {
            Some(writer) => self.runtime.block_on(writer.finish()),
            None => Err(Error::bug("a file was finished twice")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.capacity() == 0 {
            self.gathered = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            self.gathered.reserve_exact(PART);
        }
        // Parts are of one size, so that their buffers fit whatever comes next.
        let bytes = bytes.get(..PART - self.gathered.len()).unwrap_or(bytes);
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PART {
            self.hand_over().map_err(|e| io::Error::other(self.failure.keep(e)))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // Giving up is all that is wanted here; parts that stay behind are storage's to expire.
            drop(self.runtime.block_on(writer.abort()));
        }
    }
}
