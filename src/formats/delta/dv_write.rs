//! New deletion vectors (protocol, "Deletion Vector Format", "Deletion Vector File Storage Format").
//!
//! Vectors of one commit share files, one behind the other. They are never written inline: some engines read no vector that is not in a file.

use roaring::RoaringTreemap;

use super::actions::Vector;
use super::{dv, z85};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::OperationId;

/// The version of the file format, which is a file's first byte.
const VERSION: u8 = 1;
/// A file that has become so large takes no more vectors. Offsets are 32-bit numbers that some engines read as signed.
const LARGE: usize = 64 << 20;

/// Files of deletion vectors, still in memory.
#[derive(Debug)]
pub(super) struct VectorFiles<'a> {
    root: &'a Location,
    operation: &'a OperationId,
    part: u32,
    /// The version to be committed: the same commit tried again writes the same files, others do not.
    version: i64,
    done: Vec<(Location, Vec<u8>)>,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    id: uuid::Uuid,
    bytes: Vec<u8>,
}

impl<'a> VectorFiles<'a> {
    /// Files for part `part` of `operation`, to be committed as `version` of the table at `root`.
    pub(super) const fn new(root: &'a Location, operation: &'a OperationId, part: u32, version: i64) -> Self {
        Self { root, operation, part, version, done: Vec::new(), open: None }
    }

    /// Adds a vector of `positions`; returns what the log says of it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for more positions than a vector can hold.
    pub(super) fn add(&mut self, positions: &RoaringTreemap) -> Result<Vector> {
        let large = || Error::unsupported("a deletion vector would become too large").hint("rewrite the file without the deleted rows");
        // Keys are 32 bits of which the highest must not be set.
        if positions.max().is_some_and(|last| last >> 63 == 1) {
            return Err(large());
        }
        let mut payload = dv::MAGIC.to_le_bytes().to_vec();
        let mut packed = positions.clone();
        packed.optimize();
        packed.serialize_into(&mut payload).map_err(|e| Error::bug("a deletion vector cannot be encoded").because(e))?;
        let size = i32::try_from(payload.len()).ok().and_then(|size| u32::try_from(size).ok()).ok_or_else(large)?;
        let file = match &mut self.open {
            Some(file) => file,
            open => {
                let name = self.operation.uuid(self.part, &format!("{}-{}", self.version, self.done.len()));
                let id = uuid::Uuid::parse_str(&name).map_err(|e| Error::bug("an id of our own cannot be read").because(e))?;
                open.insert(OpenFile { id, bytes: vec![VERSION] })
            }
        };
        let offset = u32::try_from(file.bytes.len()).map_err(|_| large())?;
        file.bytes.extend(size.to_be_bytes());
        file.bytes.extend(&payload);
        file.bytes.extend(crc32fast::hash(&payload).to_be_bytes());
        let name = z85::encode(file.id.into_bytes());
        if file.bytes.len() >= LARGE {
            self.close();
        }
        Ok(Vector {
            storage_type: "u".into(),
            path_or_inline_dv: name.into(),
            offset: Some(offset),
            size_in_bytes: size,
            cardinality: positions.len(),
        })
    }

    /// The files and their contents.
    pub(super) fn finish(mut self) -> Vec<(Location, Vec<u8>)> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if let Some(file) = self.open.take() {
            let place = self.root.child(&dv::file_name(file.id));
            self.done.push((place, file.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files<'a>(root: &'a Location, operation: &'a OperationId, part: u32) -> VectorFiles<'a> {
        VectorFiles::new(root, operation, part, 7)
    }

    #[test]
    fn a_file_begins_with_its_version_and_each_vector_has_its_length_and_checksum() {
        let (root, op) = (Location::parse("/t").unwrap(), OperationId("op".into()));
        let mut files = files(&root, &op, 0);
        let first = files.add(&RoaringTreemap::from_iter([3_u64, 4, 7, 11, 18, 29])).unwrap();
        let second = files.add(&RoaringTreemap::from_iter(0..100_000_u64)).unwrap();
        let [(place, bytes)] = &files.finish()[..] else { panic!() };
        assert_eq!((bytes[0], first.offset, first.size_in_bytes, first.cardinality), (1, Some(1), 44, 6));
        assert_eq!(bytes[1..5], 44_u32.to_be_bytes());
        assert_eq!(bytes[5..9], [0xd1, 0xd3, 0x39, 0x64]);
        assert_eq!(bytes[49..53], crc32fast::hash(&bytes[5..49]).to_be_bytes());
        assert_eq!((second.offset, second.cardinality), (Some(53), 100_000));
        assert!(second.size_in_bytes < 60, "runs are kept as runs: {} bytes", second.size_in_bytes);
        assert_eq!(dv::place(&root, &first).unwrap(), *place);
        assert!(place.path().starts_with(&format!("t/deletion_vector_{}", op.uuid_mark(0))) && place.path().ends_with(".bin"), "{place}");
    }

    #[test]
    fn the_same_commit_writes_the_same_names_and_others_do_not() {
        let (root, op) = (Location::parse("/t").unwrap(), OperationId("op".into()));
        let name = |mut files: VectorFiles<'_>| files.add(&RoaringTreemap::from_iter([1_u64])).unwrap().path_or_inline_dv;
        assert_eq!(name(files(&root, &op, 0)), name(files(&root, &op, 0)));
        assert_ne!(name(files(&root, &op, 0)), name(files(&root, &op, 1)));
        assert_ne!(name(files(&root, &op, 0)), name(VectorFiles::new(&root, &op, 0, 8)));
    }

    #[test]
    fn a_position_beyond_what_a_vector_can_name_is_refused() {
        let (root, op) = (Location::parse("/t").unwrap(), OperationId("op".into()));
        assert!(files(&root, &op, 0).add(&RoaringTreemap::from_iter([1 << 63])).is_err());
        files(&root, &op, 0).add(&RoaringTreemap::from_iter([1 << 40])).unwrap();
    }
}
