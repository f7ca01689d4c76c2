//! Data files that are live more than once, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::location::Location;

/// What one remembered place costs, with the room that hash sets leave free.
const COST: u64 = 40;

/// Remembers places by hashes of 128 bits. When there is no room left, only a share of all places is remembered: each further share needs a
/// further look at all files.
#[derive(Debug)]
pub(super) struct Duplicates {
    seen: HashSet<(u64, u64)>,
    room: usize,
    /// Places are told apart into so many shares, a power of two …
    shares: u64,
    /// … of which this one is looked at.
    share: u64,
}

impl Duplicates {
    /// Remembers as much as fits into `memory` bytes.
    pub(super) fn new(memory: u64) -> Self {
        let room = usize::try_from(memory / COST).unwrap_or(usize::MAX).max(16);
        Self { seen: HashSet::new(), room, shares: 1, share: 0 }
    }

    /// Whether `place` was seen before. Always false for places of other shares.
    pub(super) fn again(&mut self, place: &Location) -> bool {
        let hash = hash(place);
        if hash.0 % self.shares != self.share {
            return false;
        }
        if !self.seen.insert(hash) {
            return true;
        }
        while self.seen.len() > self.room && self.share == 0 && self.shares < 1 << 32 {
            self.shares *= 2;
            let (shares, share) = (self.shares, self.share);
            self.seen.retain(|(first, _)| first % shares == share);
        }
        false
    }

    /// Goes on to the next share; false if all have been looked at.
    pub(super) fn next_share(&mut self) -> bool {
        self.seen.clear();
        self.share += 1;
        self.share < self.shares
    }
}

fn hash(place: &Location) -> (u64, u64) {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, place).hash(&mut hasher);
        hasher.finish()
    };
    (half(1), half(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duplicate_is_found_whatever_the_room() {
        let places: Vec<Location> = (0..500).map(|n| Location::parse(&format!("/t/{}", n % 450)).unwrap()).collect();
        for room in [16, 100, 10_000] {
            let mut duplicates = Duplicates::new(room * COST);
            let mut found = places.iter().filter(|place| duplicates.again(place)).count();
            let mut looks = 1;
            while duplicates.next_share() {
                looks += 1;
                found += places.iter().filter(|place| duplicates.again(place)).count();
            }
            assert_eq!(found, 50, "{room}");
            assert_eq!(looks > 1, room < 450, "{room}");
        }
    }
}
