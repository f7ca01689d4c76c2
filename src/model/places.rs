//! Sets of places that take a few bytes each, however long the places are.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::location::Location;

/// A set is kept in so many parts, so that what grows at a time is little of it.
const PARTS: usize = 64;
/// The bits of a digest that say its part: others than those by which a part finds it.
const PART_SHIFT: u32 = 40;

/// 64 bits that stand for `value`. Two values may, very rarely, have the same.
pub fn digest64(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A set of digests: 10 to 20 bytes each.
#[derive(Debug, Clone)]
pub struct DigestSet {
    parts: Vec<HashSet<u64, BuildHasherDefault<Ready>>>,
}

impl Default for DigestSet {
    fn default() -> Self {
        Self { parts: vec![HashSet::default(); PARTS] }
    }
}

impl DigestSet {
    fn part(digest: u64) -> usize {
        usize::try_from(digest >> PART_SHIFT).unwrap_or_default() % PARTS
    }

    /// Adds `digest`; says whether it was new.
    pub fn insert(&mut self, digest: u64) -> bool {
        self.parts.get_mut(Self::part(digest)).is_some_and(|part| part.insert(digest))
    }

    /// Removes `digest`; says whether it was there.
    pub fn remove(&mut self, digest: u64) -> bool {
        self.parts.get_mut(Self::part(digest)).is_some_and(|part| part.remove(&digest))
    }

    /// Whether `digest` is in the set.
    pub fn contains(&self, digest: u64) -> bool {
        self.parts.get(Self::part(digest)).is_some_and(|part| part.contains(&digest))
    }

    /// How many digests.
    pub fn len(&self) -> usize {
        self.parts.iter().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(HashSet::is_empty)
    }
}

impl Extend<u64> for DigestSet {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, digests: T) {
        for digest in digests {
            self.insert(digest);
        }
    }
}

/// A set of places, each kept as its digest.
///
/// Two places may, very rarely, be taken for one. Whoever decides by such a set what to delete must ask in the direction in which that keeps a
/// file: delete what is *not* in the set of files in use, or what is *left* of a set of candidates that every file in use was removed from.
#[derive(Debug, Clone, Default)]
pub struct PlaceSet(DigestSet);

impl PlaceSet {
    /// Adds `place`; says whether it was new.
    pub fn insert(&mut self, place: &Location) -> bool {
        self.0.insert(digest64(place))
    }

    /// Removes `place`; says whether it was there.
    pub fn remove(&mut self, place: &Location) -> bool {
        self.0.remove(digest64(place))
    }

    /// Whether `place` (or, very rarely, another with the same digest) is in the set.
    pub fn contains(&self, place: &Location) -> bool {
        self.0.contains(digest64(place))
    }

    /// How many places.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes the digest for its own hash.
#[derive(Debug, Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn a_place_is_found_under_each_of_its_spellings() {
        let mut set = PlaceSet::default();
        assert!(set.insert(&place("s3a://b/k")) && !set.insert(&place("s3://b//k")));
        assert!(set.contains(&place("s3n://b/k/")) && !set.contains(&place("s3://b/k2")));
        assert!(set.remove(&place("s3://b/k")) && !set.remove(&place("s3://b/k")));
        assert!(set.is_empty());
    }
}
