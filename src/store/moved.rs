//! Tables that were copied or moved: their metadata names one place, and they lie at another.
//!
//! Everything above the store goes on calling a file by the name that the metadata has for it. What is written is therefore named as what was there
//! before: a moved table stays whole, and whoever reads it needs the same mapping before and after.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use super::Resolve;
use crate::error::{Error, Result};
use crate::location::Location;

/// Which places lie elsewhere than their names say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Name and true place, longest names first.
    pairs: Vec<(Location, Location)>,
}

impl Moves {
    /// Files below the first of each pair lie below the second.
    ///
    /// # Errors
    ///
    /// `Usage` if two pairs share a name or a place: then a file would have two names.
    pub fn new(mut pairs: Vec<(Location, Location)>) -> Result<Self> {
        let longest = |place: &Location| std::cmp::Reverse(place.path().len());
        pairs.sort_by(|a, b| (longest(&a.0), &a.0).cmp(&(longest(&b.0), &b.0)));
        for (at, (name, place)) in pairs.iter().enumerate() {
            if pairs.iter().skip(at + 1).any(|other| other.0 == *name || other.1 == *place) {
                return Err(Error::usage("a location is mapped twice").about("location", name));
            }
        }
        Ok(Self { pairs })
    }

    /// Whether every place lies where its name says.
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Where the file called `name` lies.
    #[must_use]
    pub fn place_of(&self, name: &Location) -> Location {
        let moved = self.pairs.iter().find_map(|(from, to)| name.relative_to(from).map(|below| under(to, below)));
        moved.unwrap_or_else(|| name.clone())
    }

    /// What metadata calls the file that lies at `place`.
    #[must_use]
    pub fn name_of(&self, place: &Location) -> Location {
        let covering = self.pairs.iter().filter_map(|(name, to)| Some((to, under(name, place.relative_to(to)?))));
        let nearest = covering.max_by_key(|(to, _)| to.path().len());
        nearest.map_or_else(|| place.clone(), |(_, name)| name)
    }
}

fn under(folder: &Location, below: &str) -> Location {
    if below.is_empty() { folder.clone() } else { folder.child(below) }
}

/// Finds files of moved tables by their names.
#[derive(Debug)]
pub struct Moved<R> {
    inner: R,
    moves: Moves,
}

impl<R> Moved<R> {
    /// Lays `moves` over `inner`.
    pub const fn new(inner: R, moves: Moves) -> Self {
        Self { inner, moves }
    }
}

impl<R: Resolve> Resolve for Moved<R> {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        self.inner.resolve(&self.moves.place_of(location))
    }

    fn moves(&self) -> Option<&Moves> {
        (!self.moves.is_empty()).then_some(&self.moves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn moves(pairs: &[(&str, &str)]) -> Result<Moves> {
        Moves::new(pairs.iter().map(|(name, to)| (place(name), place(to))).collect())
    }

    #[test]
    fn the_longest_name_decides_and_only_whole_segments_count() {
        let moves = moves(&[("s3://b", "/copy"), ("s3://b/w/t", "/elsewhere/t")]).unwrap();
        for (name, at) in [
            ("s3a://b/w/x/f", "/copy/w/x/f"),
            ("s3://b/w/t/data/f", "/elsewhere/t/data/f"),
            ("s3://b/w/t", "/elsewhere/t"),
            ("s3://b/w/table", "/copy/w/table"),
        ] {
            assert_eq!(moves.place_of(&place(name)), place(at), "{name}");
            assert_eq!(moves.name_of(&place(at)), place(name), "{at}");
        }
        for elsewhere in ["s3://c/w/t", "/copying/x"] {
            assert_eq!(moves.place_of(&place(elsewhere)), place(elsewhere));
            assert_eq!(moves.name_of(&place(elsewhere)), place(elsewhere));
        }
    }

    #[test]
    fn two_names_for_one_place_are_refused() {
        for pairs in [[("/a", "/x"), ("/a/", "/y")], [("/a", "/x"), ("/b", "/x")]] {
            assert_eq!(moves(&pairs).unwrap_err().kind(), Kind::Usage);
        }
    }
}
