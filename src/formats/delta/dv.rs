//! Deletion vectors (protocol, "Deletion Vectors", "Deletion Vector Format").

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::actions::Vector;
use super::{path, z85};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::RowDeletes;
use crate::store::Store;

/// Portable 64-bit Roaring bitmaps.
pub(super) const MAGIC: u32 = 1_681_511_377;
/// The older form of the same data.
const NATIVE_MAGIC: u32 = 1_681_511_376;
/// Larger vectors than this are taken for damage before they are read.
const MAX_BYTES: u32 = 1 << 31;

/// The rows that `vector` deletes of a file with `rows` rows (if known).
///
/// # Errors
///
/// `Corrupt` for wrong length, checksum, count or positions and for a missing file; `Unsupported` for a form we do not know.
pub(super) async fn read(store: &Store, root: &Location, vector: &Vector, rows: Option<u64>) -> Result<RowDeletes> {
    let payload = match &*vector.storage_type {
        "i" => inline(vector)?,
        "u" | "p" => stored(store, &place(root, vector)?, vector).await?,
        _ => return Err(Error::unsupported("a deletion vector is stored in an unknown way").about("storageType", &vector.storage_type)),
    };
    decode(&payload, vector.cardinality, rows).map_err(|error| error.about("vector", describe(vector)))
}

/// Names a vector without its contents.
fn describe(vector: &Vector) -> String {
    if &*vector.storage_type == "i" { "inline".into() } else { vector.id() }
}

fn bad(what: &'static str) -> Error {
    Error::corrupt("a deletion vector is damaged").about("part", what)
}

/// The name of the file of vectors with `id`.
pub(super) fn file_name(id: uuid::Uuid) -> String {
    format!("deletion_vector_{id}.bin")
}

/// The file of a vector that is not inline.
///
/// # Errors
///
/// `Corrupt` for a name that cannot be understood.
pub(super) fn place(root: &Location, vector: &Vector) -> Result<Location> {
    let text = &*vector.path_or_inline_dv;
    if &*vector.storage_type == "p" {
        return path::resolve(root, text);
    }
    // A prefix (a folder for spreading load) and the id in 20 characters.
    let (prefix, id) = text.len().checked_sub(20).and_then(|at| text.split_at_checked(at)).ok_or_else(|| bad("name"))?;
    let id: [u8; 16] = z85::decode(id).ok_or_else(|| bad("encoding"))?.try_into().map_err(|_| bad("name"))?;
    let name = file_name(uuid::Uuid::from_bytes(id));
    if prefix.is_empty() { Ok(root.child(&name)) } else { root.join(&format!("{prefix}/{name}")) }
}

fn inline(vector: &Vector) -> Result<Vec<u8>> {
    let mut bytes = z85::decode(&vector.path_or_inline_dv).ok_or_else(|| bad("encoding"))?;
    let size = usize::try_from(vector.size_in_bytes).map_err(|_| bad("size"))?;
    if bytes.len() < size {
        return Err(bad("size"));
    }
    bytes.truncate(size);
    Ok(bytes)
}

async fn stored(store: &Store, file: &Location, vector: &Vector) -> Result<Vec<u8>> {
    let size = vector.size_in_bytes;
    if size > MAX_BYTES {
        return Err(bad("size").about("file", file));
    }
    // Files begin with a version byte; a vector without an offset follows it.
    let start = u64::from(vector.offset.unwrap_or(1));
    let frame = store.get_range(file, start..start + u64::from(size) + 8).await.map_err(|error| match error.kind() {
        Kind::NotFound => Error::corrupt("the file of a deletion vector is missing").about("file", file).because(error),
        _ => error,
    })?;
    let word = |at: usize| frame.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let length = usize::try_from(size).map_err(|_| bad("size"))?;
    let payload = frame.get(4..4 + length).ok_or_else(|| bad("size").about("file", file))?;
    if word(0) != Some(size) {
        return Err(bad("length").about("file", file));
    }
    if word(4 + length) != Some(crc32fast::hash(payload)) {
        return Err(bad("checksum").about("file", file));
    }
    Ok(payload.to_vec())
}

fn decode(payload: &[u8], cardinality: u64, rows: Option<u64>) -> Result<RowDeletes> {
    let (magic, bitmap) = payload.split_first_chunk::<4>().ok_or_else(|| bad("size"))?;
    let positions = match u32::from_le_bytes(*magic) {
        MAGIC => RoaringTreemap::deserialize_from(bitmap).map_err(|error| bad("bitmap").because(error))?,
        NATIVE_MAGIC => return Err(Error::unsupported("a deletion vector has the old native form").about("magic", NATIVE_MAGIC)),
        _ => return Err(bad("magic number")),
    };
    if positions.len() != cardinality {
        return Err(bad("cardinality"));
    }
    if let (Some(last), Some(rows)) = (positions.max(), rows)
        && last >= rows
    {
        return Err(bad("position beyond the file's rows"));
    }
    Ok(if positions.is_empty() { RowDeletes::None } else { RowDeletes::Positions(Arc::new(positions)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(storage: &str, text: &str, size: u32, cardinality: u64) -> Vector {
        let offset = (storage != "i").then_some(1);
        Vector { storage_type: storage.into(), path_or_inline_dv: text.into(), offset, size_in_bytes: size, cardinality }
    }

    /// Rows 3, 4, 7, 11, 18 and 29, as Spark writes them.
    const EXAMPLE: &str = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";

    #[test]
    fn an_inline_vector_is_read_and_checked() {
        let payload = inline(&vector("i", EXAMPLE, 44, 6)).unwrap();
        let RowDeletes::Positions(rows) = decode(&payload, 6, Some(30)).unwrap() else { panic!() };
        assert_eq!(rows.iter().collect::<Vec<_>>(), [3, 4, 7, 11, 18, 29]);
        assert!(decode(&payload, 5, None).is_err());
        assert!(decode(&payload, 6, Some(29)).is_err());
        assert_eq!(decode(&NATIVE_MAGIC.to_le_bytes(), 0, None).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(decode(&payload[..20], 6, None).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn relative_vectors_lie_in_the_folder_of_their_prefix() {
        let root = Location::parse("/t").unwrap();
        let at = |text: &str| place(&root, &vector("u", text, 1, 1)).unwrap().path().to_string();
        assert_eq!(at("ab^-aqEH.-t@S}K{vb[*k^"), "t/ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
        assert_eq!(at("^-aqEH.-t@S}K{vb[*k^"), "t/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin");
        for bad in ["short", "é-aqEH.-t@S}K{vb[*k^", "~-aqEH.-t@S}K{vb[*k^", "####################"] {
            assert!(place(&root, &vector("u", bad, 1, 1)).is_err(), "{bad}");
        }
    }
}
