//! Deletion vectors (Iceberg puffin spec, "`deletion-vector-v1` blob type").

use roaring::RoaringTreemap;

use crate::error::{Error, Result};

const MAGIC: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("a deletion vector is damaged: {what}"))
}

fn big_endian(bytes: Option<&[u8]>) -> Option<u32> {
    bytes?.try_into().ok().map(u32::from_be_bytes)
}

/// Reads a vector out of its blob: length, magic, 64-bit roaring bitmap, checksum.
///
/// # Errors
///
/// `Corrupt` if any of them is wrong, or if there are not `cardinality` positions.
pub(crate) fn decode(blob: &[u8], cardinality: u64) -> Result<RoaringTreemap> {
    let body_end = blob.len().checked_sub(4).filter(|end| *end >= 8).ok_or_else(|| wrong("it is too short"))?;
    let body = blob.get(4..body_end).unwrap_or_default();
    let length = big_endian(blob.get(..4)).and_then(|length| usize::try_from(length).ok());
    if length != Some(body.len()) {
        return Err(wrong("its length is not that of the metadata"));
    }
    let bitmap = body.strip_prefix(&MAGIC).ok_or_else(|| wrong("it does not start as one"))?;
    if big_endian(blob.get(body_end..)) != Some(crc32fast::hash(body)) {
        return Err(wrong("its checksum does not match"));
    }
    let positions = RoaringTreemap::deserialize_from(bitmap).map_err(|e| wrong("its bitmap cannot be read").because(e))?;
    if positions.len() != cardinality {
        return Err(wrong("it has not as many positions as the metadata says"));
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(positions: &RoaringTreemap) -> Vec<u8> {
        let mut body = MAGIC.to_vec();
        positions.serialize_into(&mut body).unwrap();
        let mut out = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(&body);
        out.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
        out
    }

    #[test]
    fn a_vector_is_read_and_every_flipped_byte_is_noticed() {
        let positions: RoaringTreemap = [0, 3, 1 << 33].into_iter().collect();
        let whole = blob(&positions);
        assert_eq!(decode(&whole, 3).unwrap(), positions);
        assert!(decode(&whole, 2).is_err());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged, 3).is_err(), "byte {at}");
            assert!(decode(&whole[..at], 3).is_err(), "cut at {at}");
        }
    }
}
