//! ORC files (ORC specification v1), decoded by the `orc-rust` library. Everything the library takes on trust is checked here before: sizes,
//! positions, types; and a panic of the library is an error here.

mod lengths;
mod packing;
mod room;
mod settle;
mod tail;
#[cfg(test)]
mod tests;
mod types;
mod wire;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::ArrayRef;
use arrow_schema::Fields;
use bytes::Bytes as Buffer;
use orc_rust::array_decoder::{ArrayBatchDecoder, array_decoder_factory};
use orc_rust::error::OrcError;
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::ChunkReader;
use orc_rust::stripe::Stripe;

pub(super) use self::tail::is_end;

use self::packing::Packing;
use self::room::{Reckoner, Room, Streams, StripeFooter};
use self::tail::Tail;
use self::types::Column;
use super::{Batch, Decoder, MOST_ROWS, ReadAt, guarded, too_large};
use crate::error::{Error, Result};

/// Rows decoded first, before it is known how large they are.
const PROBE_ROWS: usize = 256;

/// An ORC file being decoded.
pub(super) struct OrcFile<'a> {
    file: &'a dyn ReadAt,
    largest: u64,
    tail: Tail,
    columns: Vec<Column>,
    fields: Fields,
    /// Positions of the columns that are wanted.
    selected: Vec<usize>,
    /// The stripe after the open one.
    stripe: usize,
    open: Option<OpenStripe>,
    /// Bytes of a decoded row, as far as seen.
    width: usize,
}

struct OpenStripe {
    decoders: Vec<Box<dyn ArrayBatchDecoder>>,
    left: u64,
    /// Rows that may be decoded at once.
    most: usize,
}

impl<'a> OrcFile<'a> {
    /// Opens `file`, of whose stripes as much as `largest` bytes each may be held.
    ///
    /// # Errors
    ///
    /// As [`tail::read`].
    pub(super) fn open(file: &'a dyn ReadAt, largest: u64) -> Result<Self> {
        let tail = tail::read(file)?;
        let columns = types::columns(&tail.types)?;
        let fields = columns.iter().map(|column| column.field.clone()).collect();
        Ok(Self { file, largest, tail, columns, fields, selected: Vec::new(), stripe: 0, open: None, width: 0 })
    }

    /// Opens the next stripe that has rows; `None` behind the last.
    fn next_stripe(&mut self) -> Result<Option<OpenStripe>> {
        loop {
            let Some(info) = self.tail.metadata.stripe_metadatas().get(self.stripe) else { return Ok(None) };
            self.stripe += 1;
            if info.number_of_rows() == 0 {
                continue;
            }
            let root = self.tail.metadata.root_data_type();
            let wanted = self.selected.iter().filter_map(|at| root.children().get(*at)).map(|column| column.data_type().column_index());
            let root = root.project(&ProjectionMask::roots(root, wanted));
            self.file.expect(info.offset()..info.footer_offset().saturating_add(info.footer_length()));
            let compression = self.tail.metadata.compression();
            let footer = StripeFooter::read(self.file, info, self.tail.packing, compression)?;
            let mut chunks = Chunks {
                file: self.file,
                packing: self.tail.packing,
                held: AtomicU64::new(0),
                largest: self.largest,
                streams: Mutex::default(),
                failure: Mutex::default(),
            };
            let stripe = guarded(|| Stripe::new(&mut chunks, &self.tail.metadata, &root, info))?;
            let stripe = stripe.map_err(|e| owned(chunks.failure).unwrap_or_else(|| cannot(e)))?;
            let streams = owned(chunks.streams);
            let reckoner = Reckoner { types: &self.tail.types, footer: &footer, streams: &streams, compression };
            let mut room = Room::default();
            for column in stripe.columns() {
                room = room.plus(reckoner.column(column.data_type().column_index(), info.number_of_rows())?);
            }
            let most = room.rows(self.largest).ok_or_else(|| too_large(room.row, self.largest))?;
            let decoders = guarded(|| {
                let columns = self.selected.iter().filter_map(|at| self.columns.get(*at)).zip(stripe.columns());
                columns.map(|(column, stored)| array_decoder_factory(stored, &column.decoded, &stripe)).collect::<Result<Vec<_>, _>>()
            })?;
            let decoders = decoders.map_err(cannot)?;
            return Ok(Some(OpenStripe { decoders, left: info.number_of_rows(), most }));
        }
    }
}

impl Decoder for OrcFile<'_> {
    fn fields(&self) -> &Fields {
        &self.fields
    }

    fn rows(&self) -> Option<u64> {
        Some(self.tail.metadata.number_of_rows())
    }

    fn select(&mut self, columns: &[usize]) -> Result<()> {
        for column in columns.iter().filter_map(|at| self.columns.get(*at)) {
            if !column.settle.possible() {
                return Err(
                    Error::unsupported("a column of the ORC file has a type that is not understood").about("column", column.field.name())
                );
            }
        }
        self.selected = columns.to_vec();
        Ok(())
    }

    fn next(&mut self, bytes: u64) -> Result<Option<Batch>> {
        if self.open.is_none() {
            self.open = self.next_stripe()?;
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let fitting = usize::try_from(bytes).unwrap_or(usize::MAX) / self.width.max(1);
        let most = if self.width == 0 { PROBE_ROWS } else { fitting.clamp(1, MOST_ROWS) };
        let most = most.min(open.most);
        let rows = usize::try_from(open.left).unwrap_or(usize::MAX).min(most);
        let decoded = guarded(|| open.decoders.iter_mut().map(|decoder| decoder.next_batch(rows, None)).collect::<Result<Vec<_>, _>>())?;
        let decoded: Vec<ArrayRef> = decoded.map_err(cannot)?;
        let width: usize = decoded.iter().map(|column| column.get_array_memory_size()).sum();
        self.width = self.width.max(width.div_ceil(rows.max(1))).max(1);
        let selected = self.selected.iter().filter_map(|at| self.columns.get(*at));
        let settled = |(column, array): (&Column, &ArrayRef)| {
            if array.len() != rows {
                return Err(Error::corrupt("the columns of an ORC stripe have different lengths").about("column", column.field.name()));
            }
            // The cause is left out: it may hold a value.
            settle::settle(&column.settle, column.field.data_type(), array)
                .map_err(|_| Error::corrupt("a value of the ORC file does not fit its type").about("column", column.field.name()))
        };
        let columns = selected.zip(&decoded).map(settled).collect::<Result<Vec<_>>>()?;
        open.left -= rows as u64;
        if open.left == 0 {
            self.open = None;
        }
        Ok(Some(Batch { columns, rows }))
    }
}

/// An error of the library. Only the text of those that cannot hold values is kept.
fn cannot(error: OrcError) -> Error {
    match error {
        OrcError::UnsupportedTypeVariant { msg, .. } => Error::unsupported(format!("the ORC file cannot be decoded: {msg}")),
        OrcError::MismatchedSchema { .. } => Error::unsupported("the ORC file has a column of a type that is not understood"),
        OrcError::IoError { .. }
        | OrcError::OutOfSpec { .. }
        | OrcError::DecodeProto { .. }
        | OrcError::VarintTooLarge { .. }
        | OrcError::OffsetOverflow { .. }
        | OrcError::BuildZstdDecoder { .. }
        | OrcError::BuildSnappyDecoder { .. }
        | OrcError::BuildLzoDecoder { .. }
        | OrcError::BuildLz4Decoder { .. } => Error::corrupt("the ORC file cannot be decoded").because(error),
        _ => Error::corrupt("the ORC file cannot be decoded"),
    }
}

/// Gives the library the bytes of one stripe, and no more than fit into memory.
struct Chunks<'a> {
    file: &'a dyn ReadAt,
    packing: Packing,
    /// Bytes given so far, and what their chunks become.
    held: AtomicU64,
    /// Bytes that may be given.
    largest: u64,
    /// What was given, by where it begins.
    streams: Mutex<Streams>,
    /// The error behind the one that the library passes on.
    failure: Mutex<Option<Error>>,
}

impl ChunkReader for Chunks<'_> {
    type T = io::Empty;

    fn len(&self) -> u64 {
        self.file.size()
    }

    fn get_read(&self, _offset: u64) -> io::Result<Self::T> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    fn get_bytes(&self, offset: u64, length: u64) -> io::Result<Buffer> {
        self.stream(offset, length).map_err(|error| {
            lock(&self.failure).get_or_insert(error);
            io::Error::other("storage failed")
        })
    }
}

impl Chunks<'_> {
    fn stream(&self, offset: u64, length: u64) -> Result<Buffer> {
        let beyond = || Error::corrupt("the file ends before what it says it holds");
        self.hold(length)?;
        let bytes = self.file.read(offset..offset.checked_add(length).ok_or_else(beyond)?)?;
        let unpacked = self.packing.measure(&bytes)?;
        self.hold(unpacked.chunk)?;
        lock(&self.streams).insert(offset, (bytes.clone(), unpacked));
        Ok(bytes)
    }

    /// Counts bytes that are held from now on.
    fn hold(&self, bytes: u64) -> Result<()> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if held <= self.largest { Ok(()) } else { Err(too_large(held, self.largest)) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owned<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
