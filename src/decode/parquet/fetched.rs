//! Column chunks of a file that were fetched before they are decoded.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes as Buffer;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Column chunks of a file, each in pieces. What lies before a page that is read is given back: a chunk is read once, from its start to its end.
pub(crate) struct Fetched {
    size: u64,
    chunks: Mutex<Vec<VecDeque<Piece>>>,
}

/// Where a piece begins in the file, and its bytes.
type Piece = (u64, Buffer);

impl Fetched {
    /// Chunks of a file of `size` bytes, each in pieces that follow one another.
    pub(crate) fn new(size: u64, chunks: Vec<VecDeque<Piece>>) -> Self {
        Self { size, chunks: Mutex::new(chunks) }
    }

    /// What is held of the chunk around `start`, from there on; `behind` tells whether what lies before is still wanted.
    fn from(&self, start: u64, behind: Behind) -> Result<VecDeque<Buffer>> {
        let outside = || ParquetError::EOF("a page lies outside of its column".into());
        let skip = |(first, bytes): &Piece| {
            let skip = usize::try_from(start.checked_sub(*first)?).ok()?;
            (skip < bytes.len()).then_some(skip)
        };
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = chunks.iter_mut().find_map(|chunk| {
            let (at, skip) = chunk.iter().enumerate().find_map(|(at, piece)| Some((at, skip(piece)?)))?;
            Some((chunk, at, skip))
        });
        let (chunk, at, skip) = found.ok_or_else(outside)?;
        let mut parts: VecDeque<Buffer> = chunk.iter().skip(at).map(|(_, bytes)| bytes.clone()).collect();
        if let Some(first) = parts.front_mut() {
            *first = first.slice(skip..);
        }
        if behind == Behind::Unwanted {
            chunk.drain(..at);
        }
        Ok(parts)
    }
}

/// What becomes of the pieces before the one that is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Wanted,
    Unwanted,
}

impl Length for Fetched {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Fetched {
    type T = Parts;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Parts(self.from(start, Behind::Wanted)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Buffer> {
        let parts = self.from(start, Behind::Unwanted)?;
        if let Some(whole) = parts.front().filter(|first| length <= first.len()) {
            return Ok(whole.slice(..length));
        }
        if length > parts.iter().map(Buffer::len).sum() {
            return Err(ParquetError::EOF("a page ends outside of its column".into()));
        }
        let mut whole = Vec::with_capacity(length);
        for part in parts {
            whole.extend(part.into_iter().take(length - whole.len()));
        }
        Ok(whole.into())
    }
}

/// Pieces of a chunk, one after the other.
pub(crate) struct Parts(VecDeque<Buffer>);

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.0.front().is_some_and(Buffer::is_empty) {
            self.0.pop_front();
        }
        let Some(first) = self.0.front_mut() else { return Ok(0) };
        let taken = first.split_to(first.len().min(into.len()));
        if let Some(into) = into.get_mut(..taken.len()) {
            into.copy_from_slice(&taken);
        }
        Ok(taken.len())
    }
}
