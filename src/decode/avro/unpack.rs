//! Blocks of Avro files unpacked as far as is allowed: some hundred bytes may become gigabytes.

use std::io::Read;

use bzip2::bufread::BzDecoder;
use flate2::bufread::DeflateDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use crate::decode::too_large;
use crate::error::{Error, Result};

/// What unpacking xz may use besides what it unpacks: a dictionary, which the largest preset has half as large.
const XZ_MEMORY: u64 = 128 << 20;
/// The checksum behind a block packed with Snappy (Avro specification, "Required Codecs").
const CHECKSUM: usize = 4;
/// No byte of Snappy becomes more: three copy 64.
const MOST_OF_SNAPPY: usize = 32;

/// How the blocks of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    /// As RFC 1951 has it, without a header.
    Deflate,
    /// Snappy, with a checksum.
    Snappy,
    /// Zstandard.
    Zstandard,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Packing {
    /// What `avro.codec` calls `name`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a name that is not known.
    pub(crate) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "null" => Self::Plain,
            "deflate" => Self::Deflate,
            "snappy" => Self::Snappy,
            "zstandard" => Self::Zstandard,
            "bzip2" => Self::Bzip2,
            "xz" => Self::Xz,
            _ => return Err(Error::unsupported(format!("Avro compression '{name}' is not understood"))),
        })
    }

    /// Unpacks `packed` into `block`, in place of what was there, if it becomes no more than `largest` bytes.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is damaged, `Unsupported` if it becomes larger.
    pub(crate) fn unpack(self, packed: &[u8], largest: u64, block: &mut Vec<u8>) -> Result<()> {
        block.clear();
        match self {
            Self::Plain => read(packed, largest, block),
            Self::Deflate => read(DeflateDecoder::new(packed), largest, block),
            Self::Snappy => snappy(packed, largest, block),
            Self::Zstandard => read(zstd::Decoder::with_buffer(packed).map_err(|e| damaged().because(e))?, largest, block),
            Self::Bzip2 => read(BzDecoder::new(packed), largest, block),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(|e| damaged().because(e))?;
                read(XzDecoder::new_stream(packed, stream), largest, block)
            }
        }
    }
}

fn damaged() -> Error {
    Error::corrupt("a block of an Avro file cannot be unpacked")
}

/// Appends all that `source` gives, if that is not more than `largest` bytes.
fn read(source: impl Read, largest: u64, block: &mut Vec<u8>) -> Result<()> {
    let size = source.take(largest.saturating_add(1)).read_to_end(block).map_err(|e| damaged().because(e))? as u64;
    if size > largest { Err(too_large(size, largest)) } else { Ok(()) }
}

/// The length stands before the block.
fn snappy(packed: &[u8], largest: u64, block: &mut Vec<u8>) -> Result<()> {
    let (packed, checksum) = packed.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    let size = snap::raw::decompress_len(packed).map_err(|e| damaged().because(e))?;
    if size as u64 > largest {
        return Err(too_large(size as u64, largest));
    }
    if size > packed.len().saturating_mul(MOST_OF_SNAPPY) {
        return Err(damaged());
    }
    block.resize(size, 0);
    snap::raw::Decoder::new().decompress(packed, block).map_err(|e| damaged().because(e))?;
    if crc32fast::hash(block) == u32::from_be_bytes(*checksum) { Ok(()) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use apache_avro::{Bzip2Settings, Codec, DeflateSettings, XzSettings, ZstandardSettings};

    fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
        let codec = match name {
            "null" => Codec::Null,
            "deflate" => Codec::Deflate(DeflateSettings::default()),
            "snappy" => Codec::Snappy,
            "zstandard" => Codec::Zstandard(ZstandardSettings::default()),
            "bzip2" => Codec::Bzip2(Bzip2Settings::default()),
            _ => Codec::Xz(XzSettings::default()),
        };
        let mut packed = bytes.to_vec();
        codec.compress(&mut packed).unwrap();
        packed
    }

    fn unpacked(packing: Packing, packed: &[u8], largest: u64) -> Result<Vec<u8>> {
        let mut block = b"before".to_vec();
        packing.unpack(packed, largest, &mut block).map(|()| block)
    }

    const NAMES: [&str; 6] = ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"];

    #[test]
    fn blocks_become_what_they_were_and_never_more_than_is_allowed() {
        let bytes = vec![7u8; 4 << 20];
        for name in NAMES {
            let (packing, packed) = (Packing::named(name).unwrap(), packed(name, &bytes));
            assert!(unpacked(packing, &packed, bytes.len() as u64).unwrap() == bytes, "{name}");
            let error = unpacked(packing, &packed, bytes.len() as u64 - 1).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported, "{name}: {error}");
        }
        assert_eq!(Packing::named("lzo").unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn damaged_blocks_are_errors_however_they_are_packed() {
        for name in NAMES.into_iter().filter(|name| *name != "null") {
            let (packing, packed) = (Packing::named(name).unwrap(), packed(name, &[7u8; 1000]));
            for end in 0..packed.len() {
                assert!(unpacked(packing, &packed[..end], 1000).is_err() || end == 0 && name == "zstandard", "{name} cut at {end}");
            }
            for at in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 0xff;
                drop(unpacked(packing, &damaged, 1000));
            }
        }
    }

    #[test]
    fn a_length_that_no_block_of_its_size_has_takes_no_memory() {
        // Four gigabytes, said by five bytes.
        let packed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0];
        assert_eq!(unpacked(Packing::Snappy, &packed, 8 << 30).unwrap_err().kind(), Kind::Corrupt);
    }
}
