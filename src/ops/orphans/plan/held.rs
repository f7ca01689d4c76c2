//! What is held: the places of files that tables refer to, in 16 bytes each.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::fold::fold;
use crate::error::{Error, Result};
use crate::location::Location;

/// Hashes are told apart into so many parts by their first byte, so that a part that grows moves little.
const PARTS: usize = 256;
/// The lowest bits of an entry say which prefix the path has; those above are a hash of the path.
const PREFIX_BITS: u32 = 16;
/// The first byte of the hash.
const PART_BYTE: usize = 6;

/// 64 bits of a text, above the room for a prefix. Two texts with the same bits only make one of two files stay that could go.
fn hash(text: &str) -> u128 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    u128::from(hasher.finish()) << PREFIX_BITS
}

/// How many of `entries`, which are sorted, lie below `entry`. Hashes lie evenly: the search begins where it would be then, and doubles its steps
/// from there. Halving the whole would look at memory all over.
fn first_not_below(entries: &[u128], entry: u128) -> usize {
    let share = u128::from(
        entry.to_be_bytes().get(PART_BYTE + 1..PART_BYTE + 5).map_or(0, |bytes| bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b))),
    );
    let guess = usize::try_from((share * entries.len() as u128) >> 32).unwrap_or(0);
    let (mut low, mut high, mut step) = (guess, guess, 16);
    while low > 0 && entries.get(low - 1).is_some_and(|known| *known >= entry) {
        high = low;
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 16;
    while entries.get(high).is_some_and(|known| *known < entry) {
        low = high;
        high = high.saturating_add(step).min(entries.len());
        step *= 2;
    }
    low + entries.get(low..high).unwrap_or_default().partition_point(|known| *known < entry)
}

/// A sorted set of numbers of 80 bits.
#[derive(Debug)]
struct Compact {
    parts: Vec<Part>,
}

#[derive(Debug, Default, Clone)]
struct Part {
    entries: Vec<u128>,
    /// How many of the entries, from the first, are sorted and differ.
    sorted: usize,
}

impl Part {
    fn insert(&mut self, entry: u128) {
        if self.entries.len() == self.entries.capacity() {
            // The same file is told by many manifests: room is made before it is asked for.
            self.seal();
            if self.entries.len() > self.entries.capacity() / 4 * 3 {
                self.entries.reserve_exact(self.entries.len() / 4 + 16);
            }
        }
        self.entries.push(entry);
    }

    fn seal(&mut self) {
        if self.sorted < self.entries.len() {
            self.entries.sort_unstable();
            self.entries.dedup();
            self.sorted = self.entries.len();
        }
    }
}

impl Default for Compact {
    fn default() -> Self {
        Self { parts: vec![Part::default(); PARTS] }
    }
}

impl Compact {
    fn part_of(entry: u128) -> usize {
        usize::from(entry.to_be_bytes()[PART_BYTE])
    }

    fn insert(&mut self, entry: u128) {
        if let Some(part) = self.parts.get_mut(Self::part_of(entry)) {
            part.insert(entry);
        }
    }

    fn seal(&mut self) {
        self.parts.iter_mut().for_each(Part::seal);
    }

    /// The entries that begin as `entry` does, down to the last `low` bits. The set must be sealed.
    fn like(&self, entry: u128, low: u32) -> impl Iterator<Item = u128> + '_ {
        let entries = self.parts.get(Self::part_of(entry)).map(|part| part.entries.as_slice()).unwrap_or_default();
        let start = first_not_below(entries, entry >> low << low);
        let rest = entries.get(start..).unwrap_or_default();
        rest.iter().copied().take_while(move |known| known >> low == entry >> low)
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.entries.len()).sum()
    }
}

/// Schemes and authorities that are to count as one, as the user says: `(a, b)` for `a=b`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Equal {
    /// Schemes.
    pub schemes: Vec<(String, String)>,
    /// Authorities.
    pub authorities: Vec<(String, String)>,
}

fn canonical<'a>(name: &'a str, equal: &'a [(String, String)]) -> &'a str {
    equal.iter().find(|(one, _)| one == name).map_or(name, |(_, other)| other.as_str())
}

/// Scheme and authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    scheme: String,
    authority: String,
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl Prefix {
    fn of(place: &Location, equal: &Equal) -> Self {
        let scheme = canonical(place.scheme(), &equal.schemes).to_string();
        Self { scheme, authority: canonical(place.authority(), &equal.authorities).to_string() }
    }

    /// Whether this is the prefix of `place`.
    fn is_of(&self, place: &Location, equal: &Equal) -> bool {
        self.scheme == canonical(place.scheme(), &equal.schemes) && self.authority == canonical(place.authority(), &equal.authorities)
    }

    /// Whether `place` may lie on this storage: a name without an authority means whichever there is.
    fn may_hold(&self, place: &Location, equal: &Equal) -> bool {
        let authority = canonical(place.authority(), &equal.authorities);
        self.scheme == canonical(place.scheme(), &equal.schemes)
            && (self.authority == authority || self.authority.is_empty() || authority.is_empty())
    }
}

/// What tables hold of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    None,
    /// The file itself.
    Held,
    /// A file of this path on another storage, as far as names tell.
    Elsewhere(Prefix),
    /// A file whose name may be another spelling of this one.
    Alike,
}

/// The places of files that tables refer to.
#[derive(Debug, Default)]
pub struct Held {
    equal: Equal,
    prefixes: Vec<Prefix>,
    paths: Compact,
    folded: Compact,
    /// The prefix of the last place, which most others share.
    last: usize,
}

impl Held {
    /// Nothing is held; names are compared under `equal`.
    pub fn new(equal: Equal) -> Self {
        Self { equal, ..Self::default() }
    }

    /// Adds a file. [`Self::seal`] must follow before anything is asked.
    ///
    /// # Errors
    ///
    /// `Unsupported` if files lie on more storages than can be told apart.
    pub fn add(&mut self, place: &Location) -> Result<()> {
        let prefix = self.prefix(place)?;
        self.paths.insert(hash(place.path()) | u128::from(prefix));
        if let Some(folded) = fold(place.path()) {
            self.folded.insert(hash(&folded));
        }
        Ok(())
    }

    fn prefix(&mut self, place: &Location) -> Result<u16> {
        let is_it = |prefix: &Prefix| prefix.is_of(place, &self.equal);
        if !self.prefixes.get(self.last).is_some_and(is_it) {
            self.last = match self.prefixes.iter().position(is_it) {
                Some(at) => at,
                None => {
                    self.prefixes.push(Prefix::of(place, &self.equal));
                    self.prefixes.len() - 1
                }
            };
        }
        u16::try_from(self.last).map_err(|_| Error::unsupported("the table's files lie on more storages than can be told apart"))
    }

    /// Makes what was added ready to be asked for.
    pub fn seal(&mut self) {
        self.paths.seal();
        self.folded.seal();
    }

    /// How many files are held.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held of `place`.
    pub fn of(&self, place: &Location) -> Hold {
        let wanted = hash(place.path());
        let mut elsewhere = None;
        for entry in self.paths.like(wanted, PREFIX_BITS) {
            let Some(prefix) = usize::try_from(entry & 0xffff).ok().and_then(|at| self.prefixes.get(at)) else { return Hold::Held };
            if prefix.may_hold(place, &self.equal) {
                return Hold::Held;
            }
            elsewhere = Some(prefix.clone());
        }
        if let Some(prefix) = elsewhere {
            return Hold::Elsewhere(prefix);
        }
        let folded = fold(place.path());
        let alike = match &folded {
            Some(folded) => {
                self.folded.like(hash(folded), 0).next().is_some() || self.paths.like(hash(folded), PREFIX_BITS).next().is_some()
            }
            None => self.folded.like(wanted, 0).next().is_some(),
        };
        if alike { Hold::Alike } else { Hold::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn held(places: &[&str]) -> Held {
        with(Equal::default(), places)
    }

    fn with(equal: Equal, places: &[&str]) -> Held {
        let mut held = Held::new(equal);
        places.iter().for_each(|text| held.add(&place(text)).unwrap());
        held.seal();
        held
    }

    #[test]
    fn a_file_is_held_whatever_the_spelling_of_its_scheme() {
        let held = held(&["s3a://b/t/f", "file:/t/g", "hdfs:///t/h"]);
        for spelled in ["s3://b/t/f", "s3n://b//t/./f/", "/t/g", "file:///t/g", "hdfs://nn/t/h"] {
            assert_eq!(held.of(&place(spelled)), Hold::Held, "{spelled}");
        }
        assert_eq!(held.of(&place("s3://b/t/ff")), Hold::None);
    }

    #[test]
    fn the_same_path_on_another_storage_is_told_with_its_name() {
        let found = held(&["hdfs://nn:8020/t/f"]).of(&place("hdfs://nn/t/f"));
        let Hold::Elsewhere(prefix) = found else { unreachable!("{found:?}") };
        assert_eq!(prefix.to_string(), "hdfs://nn:8020");
    }

    #[test]
    fn what_the_user_declares_equal_is_equal() {
        let pair = |a: &str, b: &str| vec![(a.to_string(), b.to_string())];
        let held = with(
            Equal { schemes: pair("oss", "s3"), authorities: pair("nn:8020", "nn") },
            &["oss://b/t/f", "hdfs://nn:8020/t/g", "s3://b/t/h"],
        );
        for spelled in ["s3://b/t/f", "hdfs://nn/t/g", "oss://b/t/h"] {
            assert_eq!(held.of(&place(spelled)), Hold::Held, "{spelled}");
        }
    }

    #[test]
    fn other_spellings_of_a_held_name_are_in_doubt() {
        let held = held(&["/t/p=a%20b/f", "/t/p=u\u{308}/g", "/t/p=x+y/h"]);
        for spelled in ["/t/p=a b/f", "/t/p=a%2520b/f", "/t/p=\u{fc}/g", "/t/p=x%2By/h"] {
            assert_eq!(held.of(&place(spelled)), Hold::Alike, "{spelled}");
        }
        for spelled in ["/t/p=a b/ff", "/t/p=u/g", "/t/p=x y/h"] {
            assert_eq!(held.of(&place(spelled)), Hold::None, "{spelled}");
        }
    }

    #[test]
    fn entries_are_found_wherever_they_lie() {
        let even: Vec<u128> = (0..2000).map(|n| n << 60).collect();
        let crowded: Vec<u128> = (0..2000).map(|n| (1 << 71) + n * 3).collect();
        for entries in [&even, &crowded, &vec![], &vec![7]] {
            for entry in entries.iter().flat_map(|entry| [entry.saturating_sub(1), *entry, entry + 1]).chain([0, 1 << 79, u128::MAX]) {
                assert_eq!(first_not_below(entries, entry), entries.partition_point(|known| *known < entry), "{entry}");
            }
        }
    }

    #[test]
    fn what_is_told_again_takes_no_more_room() {
        let places: Vec<Location> = (0..20_000).map(|n| place(&format!("/t/data/f-{n}"))).collect();
        let mut held = Held::default();
        for _ in 0..5 {
            places.iter().for_each(|place| held.add(place).unwrap());
        }
        held.seal();
        assert_eq!(held.len(), 20_000);
        let room: usize = held.paths.parts.iter().map(|part| part.entries.capacity()).sum();
        assert!(room < 20_000 * 2, "{room}");
        assert!(places.iter().all(|place| held.of(place) == Hold::Held));
        // More may be told after the first questions.
        held.add(&place("/t/data/late")).unwrap();
        held.seal();
        assert_eq!(held.of(&place("/t/data/late")), Hold::Held);
    }
}
