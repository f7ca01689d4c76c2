//! Compressed chunks (ORC specification, "Compression"): how large each becomes is known before the library unpacks it, which sets no limit.

use std::io::{Read, copy, sink};

use flate2::read::DeflateDecoder;

use super::wire::{damaged, varint};
use crate::error::{Error, Result};

/// Bytes that a chunk becomes at most, where the postscript does not say.
const BLOCK: u64 = 256 << 10;
/// The length of a chunk has 23 bits, and a chunk that is stored as it is has a block's length.
const LARGEST_BLOCK: u64 = 1 << 23;
/// No byte of LZO or LZ4 becomes more than this many.
const MOST_OF_LZ: u64 = 255;
/// The most that a block of Zstandard becomes (RFC 8878, "Blocks").
const ZSTD_BLOCK: u64 = 128 << 10;

/// How a file is compressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    kind: u64,
    block: u64,
}

/// What a stream becomes when it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// All of it, at most.
    pub(super) total: u64,
    /// Its largest chunk, at most; none where nothing is compressed.
    pub(super) chunk: u64,
}

impl Packing {
    /// Of the kind and the block size that a postscript names.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a kind that is not known, `Corrupt` for a block that no chunk can hold.
    pub(super) fn new(kind: u64, block: Option<u64>) -> Result<Self> {
        if kind > 5 {
            return Err(Error::unsupported("the compression of the ORC file is not understood"));
        }
        let block = block.unwrap_or(BLOCK);
        if block > LARGEST_BLOCK { Err(damaged()) } else { Ok(Self { kind, block }) }
    }

    /// How large `stream` becomes.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a chunk is cut short, or becomes more than a block.
    pub(super) fn measure(self, stream: &[u8]) -> Result<Unpacked> {
        if self.kind == 0 {
            let length = stream.len() as u64;
            return Ok(Unpacked { total: length, chunk: 0 });
        }
        let (mut rest, mut unpacked) = (stream, Unpacked { total: 0, chunk: 0 });
        while let Some((header, behind)) = rest.split_first_chunk::<3>() {
            let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
            let length = usize::try_from(header >> 1).map_err(|_| cut())?;
            let (chunk, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
            let size = if header & 1 == 1 { chunk.len() as u64 } else { self.chunk(chunk)? };
            unpacked = Unpacked { total: unpacked.total.saturating_add(size), chunk: unpacked.chunk.max(size) };
            rest = behind;
        }
        if rest.is_empty() { Ok(unpacked) } else { Err(cut()) }
    }

    /// How large a compressed chunk becomes.
    fn chunk(self, chunk: &[u8]) -> Result<u64> {
        let lz = (chunk.len() as u64).saturating_mul(MOST_OF_LZ);
        let size = match self.kind {
            1 => inflated(chunk, self.block)?,
            2 => varint(&mut &*chunk).map_err(|_| cut())?,
            // The library is told where to stop.
            4 => lz.min(self.block),
            5 => return zstd(chunk, self.block),
            _ => lz,
        };
        if size > self.block && self.kind != 3 { Err(too_much()) } else { Ok(size) }
    }
}

fn cut() -> Error {
    Error::corrupt("a compressed stream of the ORC file is cut short")
}

fn too_much() -> Error {
    Error::corrupt("a compressed chunk of the ORC file becomes more than the file says")
}

/// Inflated as far as one byte beyond `block`, and thrown away.
fn inflated(chunk: &[u8], block: u64) -> Result<u64> {
    copy(&mut DeflateDecoder::new(chunk).take(block + 1), &mut sink()).map_err(|_| cut())
}

/// A frame of Zstandard: what its header says, held against the headers of its blocks.
fn zstd(chunk: &[u8], block: u64) -> Result<u64> {
    let mut rest = chunk;
    let (mut most, mut told) = (0u64, Some(0u64));
    while !rest.is_empty() {
        let magic = u32::from_le_bytes(*rest.first_chunk().ok_or_else(cut)?);
        rest = rest.get(4..).unwrap_or_default();
        if magic & 0xffff_fff0 == 0x184d_2a50 {
            let length = u32::from_le_bytes(*rest.first_chunk().ok_or_else(cut)?);
            let length = usize::try_from(length).map_err(|_| cut())?.saturating_add(4);
            rest = rest.get(length..).ok_or_else(cut)?;
            continue;
        }
        let (content, checksum) = frame(&mut rest)?;
        let frame = blocks(&mut rest)?;
        rest = rest.get(if checksum { 4 } else { 0 }..).ok_or_else(cut)?;
        most = most.saturating_add(frame);
        told = told.zip(content).map(|(told, content)| told.saturating_add(content));
    }
    // A frame that tells its size is believed as long as its blocks are about as many as that takes; small ones count as full.
    let size = told.filter(|told| most <= told.saturating_add(ZSTD_BLOCK).saturating_mul(8)).unwrap_or(most);
    if told.unwrap_or(0) > block || told.is_none() && most > block.saturating_add(ZSTD_BLOCK).saturating_mul(8) {
        Err(too_much())
    } else {
        Ok(size)
    }
}

/// The size that a frame's header tells, and whether a checksum ends the frame (RFC 8878, "Frame_Header").
fn frame(rest: &mut &[u8]) -> Result<(Option<u64>, bool)> {
    let (descriptor, behind) = rest.split_first().ok_or_else(cut)?;
    let (size_flag, single, dictionary) = (descriptor >> 6, descriptor >> 5 & 1 == 1, descriptor & 3);
    let window = usize::from(!single);
    let dictionary = [0, 1, 2, 4].get(usize::from(dictionary)).copied().unwrap_or(0);
    let behind = behind.get(window + dictionary..).ok_or_else(cut)?;
    let width = match size_flag {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let (bytes, behind) = behind.split_at_checked(width).ok_or_else(cut)?;
    let value = bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    *rest = behind;
    let size = (width > 0).then_some(if width == 2 { value + 256 } else { value });
    Ok((size, descriptor >> 2 & 1 == 1))
}

/// What the blocks of a frame become at most.
fn blocks(rest: &mut &[u8]) -> Result<u64> {
    let mut most = 0u64;
    loop {
        let (header, behind) = rest.split_first_chunk::<3>().ok_or_else(cut)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        let size = header >> 3;
        let (stored, becomes) = match header >> 1 & 3 {
            0 => (size, u64::from(size)),
            1 => (1, u64::from(size)),
            2 => (size, ZSTD_BLOCK),
            _ => return Err(cut()),
        };
        *rest = behind.get(usize::try_from(stored).map_err(|_| cut())?..).ok_or_else(cut)?;
        most = most.saturating_add(becomes);
        if header & 1 == 1 {
            return Ok(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::io::Write;

    fn packed(chunk: &[u8]) -> Vec<u8> {
        let mut stream = (u32::try_from(chunk.len()).unwrap() << 1).to_le_bytes()[..3].to_vec();
        stream.extend_from_slice(chunk);
        stream
    }

    fn deflated(size: usize) -> Vec<u8> {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(&vec![0; size]).unwrap();
        writer.finish().unwrap()
    }

    /// A frame of so many repeating blocks; `told` is the size its header names.
    fn repeating(blocks: u32, told: Option<u32>) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
        match told {
            Some(told) => frame.extend([&[0xa0][..], &told.to_le_bytes()].concat()),
            None => frame.extend([0, 0x58]),
        }
        for n in 1..=blocks {
            let header = u32::from(n == blocks) | 1 << 1 | (128 << 10) << 3;
            frame.extend(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    #[test]
    fn chunks_that_become_more_than_a_block_are_damage_whatever_packed_them() {
        let (zlib, snappy, zstd) = (|size| packed(&deflated(size)), |size: u8| packed(&[0x80 | size, 0x80, 0x40]), repeating);
        let measure = |kind, stream: &[u8]| Packing::new(kind, Some(256 << 10)).unwrap().measure(stream);
        assert_eq!(measure(1, &zlib(256 << 10)).unwrap(), Unpacked { total: 256 << 10, chunk: 256 << 10 });
        assert_eq!(measure(1, &[zlib(1_000), zlib(70_000)].concat()).unwrap(), Unpacked { total: 71_000, chunk: 70_000 });
        assert_eq!(measure(5, &packed(&zstd(2, Some(256 << 10)))).unwrap().chunk, 256 << 10);
        assert_eq!(measure(5, &packed(&zstd(2, None))).unwrap().chunk, 256 << 10);
        for (kind, bomb) in [
            (1, zlib((256 << 10) + 1)),
            (1, zlib(64 << 20)),
            (2, snappy(1)),
            (5, packed(&zstd(2, Some((256 << 10) + 1)))),
            (5, packed(&zstd(100_000, None))),
        ] {
            let error = measure(kind, &bomb).unwrap_err();
            assert_eq!(
                (error.kind(), error.message()),
                (Kind::Corrupt, "a compressed chunk of the ORC file becomes more than the file says")
            );
        }
        // A header that lies is counted by the blocks behind it.
        assert_eq!(measure(5, &packed(&zstd(100_000, Some(5)))).unwrap().chunk, 100_000 * (128 << 10));
        assert_eq!(measure(4, &packed(&[0; 4_000])).unwrap().chunk, 256 << 10);
    }

    #[test]
    fn streams_that_end_within_a_chunk_are_damage() {
        let measure = |stream: &[u8]| Packing::new(1, None).unwrap().measure(stream);
        let whole = packed(&deflated(5_000));
        for cut in (0..whole.len()).filter(|cut| *cut > 0) {
            assert_eq!(measure(&whole[..cut]).unwrap_err().kind(), Kind::Corrupt, "{cut}");
        }
        assert_eq!(measure(&[]).unwrap().total, 0);
        assert!(Packing::new(1, Some(u64::MAX)).is_err() && Packing::new(6, None).is_err());
        assert_eq!(Packing::new(0, None).unwrap().measure(&[7; 9]).unwrap(), Unpacked { total: 9, chunk: 0 });
    }
}
