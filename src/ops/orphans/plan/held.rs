//! What is held: the places of files that tables refer to, in a few bytes each.

use std::sync::Arc;

use super::fold::fold;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{DigestSet, digest64};

/// More storages than the files of any tables lie on.
const MOST_STORAGES: usize = 4096;

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

/// What places come to: made where the places are, held by [`Held::add`].
#[derive(Debug, Default)]
pub struct Told {
    /// The digests of the paths, by the storage that they are on.
    paths: Vec<(Prefix, Vec<u64>)>,
    /// Those of what all spellings of a path have in common, where it has several.
    folded: Vec<u64>,
}

impl Told {
    /// What `places` come to, names being compared under `equal`.
    pub fn of<'a>(places: impl Iterator<Item = &'a Location>, equal: &Equal) -> Self {
        let mut told = Self::default();
        // Most places are on the storage of the one before.
        let mut last = 0;
        for place in places {
            let is_it = |(prefix, _): &(Prefix, _)| prefix.is_of(place, equal);
            if !told.paths.get(last).is_some_and(is_it) {
                last = told.paths.iter().position(is_it).unwrap_or_else(|| {
                    told.paths.push((Prefix::of(place, equal), Vec::new()));
                    told.paths.len() - 1
                });
            }
            if let Some((_, paths)) = told.paths.get_mut(last) {
                paths.push(digest64(place.path()));
            }
            told.folded.extend(fold(place.path()).map(digest64));
        }
        told
    }
}

/// The places of files that tables refer to. Of two paths with the same digest one only makes the other's file stay.
#[derive(Debug, Default)]
pub struct Held {
    equal: Arc<Equal>,
    paths: Vec<(Prefix, DigestSet)>,
    folded: DigestSet,
}

impl Held {
    /// Nothing is held; names are compared under `equal`.
    pub fn new(equal: Equal) -> Self {
        Self { equal: Arc::new(equal), ..Self::default() }
    }

    /// What names are compared under.
    pub const fn equal(&self) -> &Arc<Equal> {
        &self.equal
    }

    /// Adds files, told under [`Self::equal`].
    ///
    /// # Errors
    ///
    /// `Unsupported` if files lie on more storages than can be told apart.
    pub fn add(&mut self, told: Told) -> Result<()> {
        for (prefix, digests) in told.paths {
            let at = match self.paths.iter().position(|(known, _)| *known == prefix) {
                Some(at) => at,
                None if self.paths.len() < MOST_STORAGES => {
                    self.paths.push((prefix, DigestSet::default()));
                    self.paths.len() - 1
                }
                None => return Err(Error::unsupported("the table's files lie on more storages than can be told apart")),
            };
            if let Some((_, paths)) = self.paths.get_mut(at) {
                paths.extend(digests);
            }
        }
        self.folded.extend(told.folded);
        Ok(())
    }

    /// How many files are held.
    pub fn len(&self) -> usize {
        self.paths.iter().map(|(_, paths)| paths.len()).sum()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held of `place`.
    pub fn of(&self, place: &Location) -> Hold {
        let wanted = digest64(place.path());
        let mut elsewhere = None;
        for (prefix, _) in self.paths.iter().filter(|(_, paths)| paths.contains(wanted)) {
            if prefix.may_hold(place, &self.equal) {
                return Hold::Held;
            }
            elsewhere = Some(prefix.clone());
        }
        if let Some(prefix) = elsewhere {
            return Hold::Elsewhere(prefix);
        }
        let alike = match fold(place.path()).map(digest64) {
            Some(folded) => self.folded.contains(folded) || self.paths.iter().any(|(_, paths)| paths.contains(folded)),
            None => self.folded.contains(wanted),
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
        let places: Vec<Location> = places.iter().map(|text| place(text)).collect();
        held.add(Told::of(places.iter(), held.equal())).unwrap();
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
    fn what_is_told_again_takes_no_more_room() {
        let mut held = Held::default();
        let all: Vec<Location> = (0..2000).map(|n| place(&format!("s3://b{}/t/f-{n}", n % 3))).collect();
        for told in all.chunks(300).chain(all.chunks(700)) {
            held.add(Told::of(told.iter(), held.equal())).unwrap();
        }
        assert_eq!((held.len(), held.paths.len()), (2000, 3));
        assert!(all.iter().all(|place| held.of(place) == Hold::Held));
    }

    #[test]
    fn more_storages_than_can_be_told_apart_are_refused() {
        let all: Vec<Location> = (0..=MOST_STORAGES).map(|n| place(&format!("s3://b{n}/f"))).collect();
        assert!(Held::default().add(Told::of(all.iter().skip(1), &Equal::default())).is_ok());
        assert_eq!(Held::default().add(Told::of(all.iter(), &Equal::default())).unwrap_err().kind(), crate::error::Kind::Unsupported);
    }
}
