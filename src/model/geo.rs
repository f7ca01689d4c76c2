//! Types of shapes on a map, whose values are well-known binary (Iceberg spec, "Primitive Types" and appendix G; Parquet, `Geospatial.md`).

use std::fmt;

/// What a column of shapes says of all its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geo {
    /// How the edges between points run on the earth (`geography`); `None` is straight on the map (`geometry`).
    pub edges: Option<Edges>,
    /// How coordinates refer to places.
    pub crs: Crs,
}

/// How edges between points are interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edges {
    /// as geodesics on a sphere
    Spherical,
    /// after Vincenty
    Vincenty,
    /// after Thomas
    Thomas,
    /// after Andoyer
    Andoyer,
    /// after Karney
    Karney,
}

impl Edges {
    const NAMES: [(&'static str, Self); 5] = [
        ("spherical", Self::Spherical),
        ("vincenty", Self::Vincenty),
        ("thomas", Self::Thomas),
        ("andoyer", Self::Andoyer),
        ("karney", Self::Karney),
    ];

    /// The algorithm of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, edges)| edges)
    }
}

/// The name of a coordinate reference system, as the table has it: `OGC:CRS84`, `srid:4326`, `projjson:` with the name of a property.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crs {
    length: u8,
    text: [u8; Self::LONGEST],
}

impl Crs {
    /// Longer names are not understood, in bytes: types are small values that are passed around.
    pub const LONGEST: usize = 62;

    /// The system that is meant where none is named: longitude and latitude on WGS 84.
    pub const DEFAULT: &'static str = "OGC:CRS84";

    /// The system called `name`; `None` if that is empty or too long.
    pub fn new(name: &str) -> Option<Self> {
        let mut text = [0; Self::LONGEST];
        text.get_mut(..name.len()).filter(|_| !name.is_empty())?.copy_from_slice(name.as_bytes());
        Some(Self { length: u8::try_from(name.len()).ok()?, text })
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        self.text.get(..usize::from(self.length)).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// Its name, unless it is the one that is meant where none is named.
    pub fn unusual(&self) -> Option<&str> {
        Some(self.as_str()).filter(|name| !name.eq_ignore_ascii_case(Self::DEFAULT))
    }
}

impl fmt::Debug for Crs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for Geo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edges.and_then(|edges| Edges::NAMES.into_iter().find(|(_, known)| *known == edges)) {
            None => write!(out, "geometry({})", self.crs.as_str()),
            Some((edges, _)) => write!(out, "geography({}, {edges})", self.crs.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_empty_or_too_long_are_none() {
        assert_eq!(Crs::new("srid:4326").unwrap().as_str(), "srid:4326");
        assert_eq!(Crs::new(&"ä".repeat(31)).unwrap().as_str(), "ä".repeat(31));
        assert!(Crs::new("").is_none() && Crs::new(&"x".repeat(63)).is_none());
        assert_eq!((Crs::new("ogc:crs84").unwrap().unusual(), Crs::new("srid:1").unwrap().unusual()), (None, Some("srid:1")));
    }
}
