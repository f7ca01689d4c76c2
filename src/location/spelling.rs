//! How metadata spells a place.

use std::sync::Arc;

use super::Location;

/// How a table's metadata spells the place of a file: relative to the table, percent-encoded, with another name of the same storage …
///
/// There may be millions of files: a spelling that is the end of the normalised place, as most are, takes no text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// As many bytes at the end of the place.
    End(u32),
    /// Another text.
    Own(Arc<str>),
}

impl Spelling {
    /// `raw`, which spells `place`.
    pub fn of(place: &Location, raw: &str) -> Self {
        Self(place.ends_with(raw).map_or_else(|| Form::Own(raw.into()), Form::End))
    }

    /// The normalised text of `place`.
    pub fn normal(place: &Location) -> Self {
        Self::of(place, &place.text)
    }

    /// The text, where this spells `place`; to ask for another place is an error of the caller that cannot be told.
    pub fn text<'a>(&'a self, place: &'a Location) -> &'a str {
        match &self.0 {
            Form::End(bytes) => place.end(*bytes),
            Form::Own(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_comes_back_byte_for_byte_and_the_end_of_a_place_takes_no_text() {
        let place = Location::parse("s3://b/t/p=ä b/x.parquet").unwrap();
        for raw in ["s3://b/t/p=ä b/x.parquet", "/b/t/p=ä b/x.parquet", "p=ä b/x.parquet", "x.parquet", ""] {
            let spelling = Spelling::of(&place, raw);
            assert_eq!((spelling.text(&place), &spelling.0), (raw, &Form::End(u32::try_from(raw.len()).unwrap())));
        }
        for raw in ["s3a://b/t/p=ä b/x.parquet", "p=%C3%A4%20b/x.parquet", "./x.parquet"] {
            let spelling = Spelling::of(&place, raw);
            assert_eq!((spelling.text(&place), &spelling.0), (raw, &Form::Own(raw.into())));
        }
    }

    #[test]
    fn a_spelling_takes_sixteen_bytes() {
        assert_eq!(size_of::<Spelling>(), 16);
    }
}
