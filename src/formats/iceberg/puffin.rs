//! Deletion vectors (Iceberg puffin spec, "`deletion-vector-v1` blob type").

use roaring::RoaringTreemap;
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};

const MAGIC: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];
const FILE_MAGIC: [u8; 4] = *b"PFA1";
/// Field id of a row's position in its file (Iceberg spec, "Reserved Field IDs").
const ROW_POSITION: i32 = 2_147_483_645;

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

/// Writes a vector as [`decode`] reads it.
///
/// # Errors
///
/// `Unsupported` for one of 4 GiB and more.
fn encode(positions: &RoaringTreemap) -> Result<Vec<u8>> {
    let mut positions = positions.clone();
    positions.optimize();
    let mut body = MAGIC.to_vec();
    positions.serialize_into(&mut body).map_err(|e| Error::bug("a bitmap cannot be written").because(e))?;
    let length = u32::try_from(body.len()).map_err(|_| Error::unsupported("a deletion vector would be too large"))?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&body);
    out.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    Ok(out)
}

/// A Puffin file of deletion vectors being written (Iceberg puffin spec, "File structure").
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    blobs: Vec<Json>,
}

impl Writer {
    /// An empty file.
    pub(crate) fn new() -> Self {
        Self { bytes: FILE_MAGIC.to_vec(), blobs: Vec::new() }
    }

    /// Bytes so far.
    pub(crate) const fn written(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the vector of the data file that the table spells `path`. Returns where it begins, and its bytes.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a vector that is too large.
    pub(crate) fn add(&mut self, path: &str, positions: &RoaringTreemap) -> Result<(u64, u64)> {
        let blob = encode(positions)?;
        let (offset, length) = (self.bytes.len() as u64, blob.len() as u64);
        // The snapshot and its sequence number are not known to a file that a retried commit uses again: both are -1 by the specification.
        self.blobs.push(json!({"type": "deletion-vector-v1", "fields": [ROW_POSITION], "snapshot-id": -1, "sequence-number": -1,
            "offset": offset, "length": length,
            "properties": {"referenced-data-file": path, "cardinality": positions.len().to_string()}}));
        self.bytes.extend_from_slice(&blob);
        Ok((offset, length))
    }

    /// The finished file.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a footer of 2 GiB and more.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        let created = concat!("otf ", env!("CARGO_PKG_VERSION"));
        let footer = json!({"blobs": self.blobs, "properties": {"created-by": created}}).to_string();
        let length = i32::try_from(footer.len()).map_err(|_| Error::unsupported("a file of deletion vectors would be too large"))?;
        self.bytes.extend_from_slice(&FILE_MAGIC);
        self.bytes.extend_from_slice(footer.as_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        // No flags: the footer is not compressed.
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&FILE_MAGIC);
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_and_every_flipped_byte_is_noticed() {
        let positions: RoaringTreemap = [0, 3, 1 << 33].into_iter().collect();
        let whole = encode(&positions).unwrap();
        assert_eq!(decode(&whole, 3).unwrap(), positions);
        assert!(decode(&whole, 2).is_err());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged, 3).is_err(), "byte {at}");
            assert!(decode(&whole[..at], 3).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_file_of_vectors_has_the_bytes_of_the_specification() {
        let (one, two): (RoaringTreemap, RoaringTreemap) = ([1, 2, 3].into_iter().collect(), [5, 1 << 33].into_iter().collect());
        let mut writer = Writer::new();
        let places = [writer.add("/t/a", &one).unwrap(), writer.add("/t/b", &two).unwrap()];
        let bytes = writer.finish().unwrap();
        assert_eq!((&bytes[..4], &bytes[bytes.len() - 8..]), (b"PFA1".as_slice(), b"\0\0\0\0PFA1".as_slice()));
        let length = i32::from_le_bytes(bytes[bytes.len() - 12..bytes.len() - 8].try_into().unwrap());
        let footer_start = bytes.len() - 12 - usize::try_from(length).unwrap();
        assert_eq!(&bytes[footer_start - 4..footer_start], b"PFA1");
        let footer: Json = serde_json::from_slice(&bytes[footer_start..bytes.len() - 12]).unwrap();
        for (at, ((offset, size), (path, positions))) in places.into_iter().zip([("/t/a", &one), ("/t/b", &two)]).enumerate() {
            let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset + size).unwrap());
            assert_eq!(&decode(&bytes[from..to], positions.len()).unwrap(), positions);
            let wanted = json!({"type": "deletion-vector-v1", "fields": [2_147_483_645], "snapshot-id": -1, "sequence-number": -1, "offset": offset,
                "length": size, "properties": {"referenced-data-file": path, "cardinality": positions.len().to_string()}});
            assert_eq!(footer["blobs"][at], wanted);
        }
        assert_eq!(places[0].0, 4);
        assert_eq!(places[1].0, places[0].0 + places[0].1);
        // The magic; one bitmap of key 0: cookie, one container of key 0 with three values at byte 16, and the values.
        let magic = [0xd1, 0xd3, 0x39, 0x64];
        let bitmap = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 16, 0, 0, 0, 1, 0, 2, 0, 3, 0];
        let vector = [magic.as_slice(), &bitmap].concat();
        let from = usize::try_from(places[0].0).unwrap();
        assert_eq!(bytes[from..from + 4], u32::try_from(vector.len()).unwrap().to_be_bytes());
        assert_eq!(bytes[from + 4..from + 4 + vector.len()], vector);
        assert_eq!(bytes[from + 4 + vector.len()..][..4], crc32fast::hash(&vector).to_be_bytes());
    }
}
