//! How much memory rows of a stripe need, before the library decodes any: it reserves what lengths and dictionaries say, and a process that asks for
//! too much is ended by the system.

use std::collections::HashMap;
use std::io::Read;

use bytes::Bytes as Buffer;
use orc_rust::compression::{Compression, Decompressor};
use orc_rust::stripe::StripeMetadata;

use super::lengths::{self, Lengths};
use super::packing::{Packing, Unpacked};
use super::tail::RawType;
use super::types::{LIST, MAP, STRUCT, is_bytes};
use super::wire::{self, damaged};
use crate::decode::{ReadAt, guarded};
use crate::error::Result;

/// Footers of stripes larger than this are taken for damage.
const LARGEST_FOOTER: u64 = 64 << 20;
/// Bytes of a decoded value, or of the place of one that has a length of its own.
const VALUE: u64 = 16;

/// Streams by column and kind (ORC specification, "Stripe Footer").
const DATA: u64 = 1;
const LENGTH: u64 = 2;
const DICTIONARY_DATA: u64 = 3;

/// What a stripe's footer says.
#[derive(Default)]
pub(super) struct StripeFooter {
    /// Where streams begin, by column and kind; as in the library, the last of several counts.
    streams: HashMap<(u64, u64), u64>,
    /// Encoding and size of the dictionary of each column.
    columns: Vec<(u64, u64)>,
}

/// Streams that were read, by where they begin, and what they become.
pub(super) type Streams = HashMap<u64, (Buffer, Unpacked)>;

impl StripeFooter {
    /// Reads the footer of `stripe`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is damaged, or names streams beyond the stripe; storage errors.
    pub(super) fn read(file: &dyn ReadAt, stripe: &StripeMetadata, packing: Packing, compression: Option<Compression>) -> Result<Self> {
        let start = stripe.footer_offset();
        let packed = file.read(start..start.checked_add(stripe.footer_length()).ok_or_else(damaged)?)?;
        if packing.measure(&packed)?.total > LARGEST_FOOTER {
            return Err(damaged());
        }
        let mut message = Vec::new();
        guarded(|| Decompressor::new(packed, compression, Vec::new()).read_to_end(&mut message))?.map_err(|e| damaged().because(e))?;
        let (mut footer, mut place) = (Self::default(), stripe.offset());
        wire::fields(&message, |field, value| {
            let numbers = |wanted: [u64; 3]| {
                let mut found = [0; 3];
                let each = |field, value: wire::Field<'_>| {
                    if let Some(at) = wanted.iter().position(|wanted| *wanted == field) {
                        found[at] = value.number()?;
                    }
                    Ok(())
                };
                wire::fields(value.bytes()?, each).map(|()| found)
            };
            match field {
                1 => {
                    let [kind, column, length] = numbers([1, 2, 3])?;
                    // An empty stream begins where the next one does, and is none.
                    if length > 0 {
                        footer.streams.insert((column, kind), place);
                    } else {
                        footer.streams.remove(&(column, kind));
                    }
                    place = place.checked_add(length).filter(|end| *end <= start).ok_or_else(damaged)?;
                }
                2 => {
                    let [encoding, dictionary, _] = numbers([1, 2, 0])?;
                    footer.columns.push((encoding, dictionary));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(footer)
    }
}

/// Memory that decoded values need at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Those of a row.
    pub(super) row: u64,
    /// Those of the whole stripe.
    pub(super) stripe: u64,
}

impl Room {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { row: self.row.saturating_add(other.row), stripe: self.stripe.saturating_add(other.stripe) }
    }

    /// How many rows `bytes` have room for; `None` if not for one.
    pub(super) fn rows(self, bytes: u64) -> Option<usize> {
        if self.stripe <= bytes {
            return Some(usize::MAX);
        }
        let rows = bytes / self.row.max(1);
        (rows > 0).then(|| usize::try_from(rows).unwrap_or(usize::MAX))
    }
}

/// What the columns of a stripe need.
pub(super) struct Reckoner<'a> {
    pub(super) types: &'a [RawType],
    pub(super) footer: &'a StripeFooter,
    pub(super) streams: &'a Streams,
    pub(super) compression: Option<Compression>,
}

impl Reckoner<'_> {
    /// What `count` values of the column `at` need.
    ///
    /// # Errors
    ///
    /// `Corrupt` where lengths or dictionaries say more than the streams hold that they are about.
    pub(super) fn column(&self, at: usize, count: u64) -> Result<Room> {
        let ty = self.types.get(at).ok_or_else(damaged)?;
        let own = Room { row: VALUE, stripe: count.saturating_mul(VALUE) };
        let below = |child: &usize, count| self.column(*child, count);
        Ok(match ty.kind {
            kind if is_bytes(kind) => own.plus(self.bytes(at, count)?),
            LIST | MAP => {
                let lengths = self.lengths(at)?;
                let mut room = own;
                for child in &ty.subtypes {
                    let child = below(child, lengths.sum)?;
                    room = room.plus(Room { row: child.row.saturating_mul(lengths.largest).min(child.stripe), stripe: child.stripe });
                }
                room
            }
            STRUCT => ty.subtypes.iter().try_fold(own, |room, child| Ok::<_, crate::error::Error>(room.plus(below(child, count)?)))?,
            _ => own,
        })
    }

    /// What the bytes of texts and binary values need.
    fn bytes(&self, at: usize, count: u64) -> Result<Room> {
        let column = at as u64;
        let (encoding, entries) = self.encoding(at)?;
        let lengths = self.lengths(at)?;
        let is_dictionary = encoding == 1 || encoding == 3;
        let held = self.unpacked(column, if is_dictionary { DICTIONARY_DATA } else { DATA });
        // Entries differ from each other, so that one alone is empty.
        if lengths.sum > held || is_dictionary && entries > held.saturating_add(1) {
            return Err(crate::error::Error::corrupt("the ORC file has texts that are longer than what it holds of them"));
        }
        let stripe = if is_dictionary { lengths.largest.saturating_mul(count) } else { lengths.sum };
        Ok(Room { row: lengths.largest, stripe })
    }

    fn encoding(&self, at: usize) -> Result<(u64, u64)> {
        self.footer.columns.get(at).copied().ok_or_else(damaged)
    }

    fn stream(&self, column: u64, kind: u64) -> Option<&(Buffer, Unpacked)> {
        self.streams.get(self.footer.streams.get(&(column, kind))?)
    }

    fn unpacked(&self, column: u64, kind: u64) -> u64 {
        self.stream(column, kind).map_or(0, |(_, unpacked)| unpacked.total)
    }

    /// The lengths of a column; none where it has no stream of them.
    fn lengths(&self, at: usize) -> Result<Lengths> {
        let (encoding, _) = self.encoding(at)?;
        let Some((stream, _)) = self.stream(at as u64, LENGTH) else { return Ok(Lengths::default()) };
        let unpacked = Decompressor::new(stream.clone(), self.compression, Vec::new());
        guarded(|| lengths::read(unpacked, encoding >= 2))?
    }
}
