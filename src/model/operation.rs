//! One run of an operation, and how it is told from others: in a table's history, and in the names of files it writes.

use std::fmt;

/// The id of one run of an operation. Every commit carries it, so that "did mine land?" is answered by reading history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OperationId(pub String);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters of [`OperationId::uuid`] that are the same for all attempts: three groups of a UUID with their dashes.
const UUID_MARK: usize = 19;

impl OperationId {
    /// What the names of all files contain that part `part` of the operation writes and may name freely.
    pub fn file_mark(&self, part: u32) -> String {
        format!("{self}-p{part}")
    }

    /// A name for a file of part `part` that has to be named by a UUID alone: other readers take such names apart (`00003-<uuid>.metadata.json`).
    /// `attempt` tells files of one part from each other. Version 8 of RFC 9562: content of one's own choice.
    pub fn uuid(&self, part: u32, attempt: &str) -> String {
        let part = part.to_string();
        let mut bytes = digest(&[&self.0, &part]);
        let own = digest(&[&self.0, &part, attempt]);
        bytes.iter_mut().zip(own).skip(8).for_each(|(byte, own)| *byte = own);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
    }

    /// What every [`Self::uuid`] of part `part` begins with, whatever the attempt.
    pub fn uuid_mark(&self, part: u32) -> String {
        self.uuid(part, "").chars().take(UUID_MARK).collect()
    }
}

/// 128 bits that depend on every byte of `parts` (FNV-1a with a final mixing step; no protection against forgery is needed).
pub fn digest(parts: &[&str]) -> [u8; 16] {
    let half = |seed: u64| {
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ hash >> 31
    };
    ((u128::from(half(0)) << 64) | u128::from(half(0x9e37_79b9_7f4a_7c15))).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_uuids_of_a_part_begin_with_its_mark_and_no_other_does() {
        let (one, two) = (OperationId("one".into()), OperationId("two".into()));
        let uuids = ["a", "b"].map(|attempt| one.uuid(0, attempt));
        assert_ne!(uuids[0], uuids[1]);
        assert!(uuids.iter().all(|uuid| uuid.starts_with(&one.uuid_mark(0)) && uuid::Uuid::parse_str(uuid).is_ok()));
        assert_eq!(one.uuid_mark(0).len(), UUID_MARK);
        assert!(one.uuid_mark(0) != one.uuid_mark(1) && one.uuid_mark(0) != two.uuid_mark(0));
    }

    #[test]
    fn a_digest_depends_on_where_its_parts_end() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
