//! Parquet's view of an object: ranges fetched lazily, in windows that keep memory bounded.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes as Buffer;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use super::failure::{Failure, memory_size};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;

/// An input file. Blocks while it fetches: for blocking threads only.
#[derive(Debug)]
pub(in crate::engine) struct Source {
    store: Store,
    runtime: Handle,
    location: Location,
    size: AtomicU64,
    spans: Mutex<Spans>,
    /// The storage error behind an error of the Parquet library.
    pub(super) failure: Failure,
}

/// What may be fetched together, and what has been.
#[derive(Debug, Default)]
struct Spans {
    /// Fetch this much at once inside a span.
    window: u64,
    /// Ascending, disjoint ranges of the file that are read sequentially, each with the bytes fetched last.
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    range: Range<u64>,
    start: u64,
    bytes: Buffer,
}

impl Spans {
    fn kept(&self, range: &Range<u64>) -> Option<Buffer> {
        self.spans.iter().find_map(|span| {
            let (start, end) = (range.start.checked_sub(span.start)?, range.end.checked_sub(span.start)?);
            (start <= end && end <= span.bytes.len() as u64).then(|| span.bytes.slice(memory_size(start)..memory_size(end)))
        })
    }
}

impl Source {
    /// The object at `location`, which should have `size` bytes.
    pub(in crate::engine) fn new(store: Store, runtime: Handle, location: Location, size: u64) -> Self {
        Self { store, runtime, location, size: AtomicU64::new(size), spans: Mutex::default(), failure: Failure::default() }
    }

    /// The place.
    pub(in crate::engine) const fn location(&self) -> &Location {
        &self.location
    }

    /// Bytes of the object.
    pub(in crate::engine) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Asks storage for the size; says whether it is another one than was believed.
    pub(in crate::engine) fn correct_size(&self) -> Result<bool> {
        let size = self.runtime.block_on(self.store.head(&self.location))?.size;
        Ok(self.size.swap(size, Ordering::Relaxed) != size)
    }

    /// The bytes of `range`, from storage.
    pub(in crate::engine) fn fetch(&self, range: Range<u64>) -> Result<Buffer> {
        self.runtime.block_on(self.store.get_range(&self.location, range))
    }

    /// The bytes of `range`, from what is kept or expected, else from storage.
    ///
    /// # Errors
    ///
    /// `Corrupt` if they lie behind the end; storage errors.
    pub(in crate::engine) fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let length = range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok());
        let cut = || Error::corrupt("the file ends before what it says it holds");
        let length = length.ok_or_else(cut)?;
        let mut bytes = self.bytes_at(range.start, length).map_err(|_| self.failure.or(cut))?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Keeps `bytes`, the object from `start` on, for reading.
    pub(in crate::engine) fn keep(&self, start: u64, bytes: Buffer) {
        let range = start..start.saturating_add(bytes.len() as u64);
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        *spans = Spans { window: 0, spans: vec![Span { range, start, bytes }] };
    }

    /// Says that `ranges` will now be read, each from its start to its end, in turn or side by side. Keeps what was fetched if it holds all of
    /// them; otherwise at most about `budget` bytes will be held.
    pub(super) fn expect(&self, mut ranges: Vec<Range<u64>>, budget: u64) {
        ranges.sort_by_key(|range| range.start);
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if ranges.iter().all(|range| spans.kept(range).is_some()) {
            return;
        }
        let (start, end) = ranges.iter().fold((u64::MAX, 0), |(start, end), r| (start.min(r.start), end.max(r.end)));
        if end.saturating_sub(start) <= budget {
            // One request for everything is cheaper than several for what lies close together.
            *spans = Spans { window: budget, spans: vec![Span { range: start..end, start, bytes: Buffer::new() }] };
            return;
        }
        let window = (budget / ranges.len().max(1) as u64).clamp(64 << 10, 8 << 20);
        let empty = |range: Range<u64>| Span { start: range.start, range, bytes: Buffer::new() };
        *spans = Spans { window, spans: ranges.into_iter().map(empty).collect() };
    }

    /// The bytes of `range` if they were fetched and kept.
    pub(super) fn kept(&self, range: &Range<u64>) -> Option<Buffer> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).kept(range)
    }

    /// Says that `range` will now be read from its start to its end. Keeps what was fetched if it holds all of it.
    pub(in crate::engine) fn expect_sequence(&self, range: Range<u64>, window: u64) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.kept(&range).is_some() {
            return;
        }
        *spans = Spans { window, spans: vec![Span { start: range.start, range, bytes: Buffer::new() }] };
    }

    /// Bytes from `start` on, at least `least` of them.
    fn bytes_at(&self, start: u64, least: usize) -> ParquetResult<Buffer> {
        let least = least as u64;
        if start.checked_add(least).is_none_or(|end| end > self.size()) {
            return Err(ParquetError::EOF(format!("{least} bytes wanted at {start}, the file has {}", self.size())));
        }
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let window = spans.window;
        let after = spans.spans.partition_point(|span| span.range.start <= start);
        let span = after.checked_sub(1).and_then(|i| spans.spans.get_mut(i)).filter(|span| start < span.range.end);
        let Some(span) = span else {
            drop(spans);
            return self.fetch(start..start + least).map_err(|e| self.failure.keep(e));
        };
        if let Some(skip) = start.checked_sub(span.start)
            && skip.saturating_add(least) <= span.bytes.len() as u64
            && skip < span.bytes.len() as u64
        {
            return Ok(span.bytes.slice(memory_size(skip)..));
        }
        let end = start.saturating_add(window).min(span.range.end).max(start + least);
        // The old bytes go before the new ones come.
        span.bytes = Buffer::new();
        span.bytes = self.fetch(start..end).map_err(|e| self.failure.keep(e))?;
        span.start = start;
        Ok(span.bytes.clone())
    }
}

/// A handle on a [`Source`] that the Parquet library reads through.
#[derive(Debug, Clone)]
pub(super) struct SourceReader(pub(super) Arc<Source>);

impl Length for SourceReader {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for SourceReader {
    type T = Sequential;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(Sequential { source: Arc::clone(&self.0), position: start, ahead: Buffer::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Buffer> {
        let mut bytes = self.0.bytes_at(start, length)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Reads a file from a position on.
#[derive(Debug)]
pub(super) struct Sequential {
    source: Arc<Source>,
    position: u64,
    ahead: Buffer,
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            if self.position >= self.source.size() {
                return Ok(0);
            }
            self.ahead = self.source.bytes_at(self.position, 1).map_err(io::Error::other)?;
        }
        let count = into.len().min(self.ahead.len());
        let taken = self.ahead.split_to(count);
        if let Some(into) = into.get_mut(..count) {
            into.copy_from_slice(&taken);
        }
        self.position += count as u64;
        Ok(count)
    }
}
