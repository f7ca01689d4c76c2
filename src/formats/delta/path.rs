//! Paths of the log: URIs, relative to the table or absolute, percent-encoded (protocol, "Add File and Remove File").

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::location::Location;

/// The ASCII that is encoded in a path we write: what `java.net.URI` quotes in a path, and colons, which could be taken for the end of a scheme.
const QUOTED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The place that `raw` of the log means for a table at `root`.
///
/// # Errors
///
/// `Corrupt` where the decoded path is not UTF-8 or climbs above its root.
pub(super) fn resolve(root: &Location, raw: &str) -> Result<Location> {
    let wrong = || Error::corrupt("a path of the log cannot be understood").about("path", raw);
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| wrong())?;
    if raw.is_empty() {
        return Err(wrong());
    }
    let place = if has_scheme(raw) || (raw.starts_with('/') && root.scheme() == "file") {
        Location::parse(&decoded)
    } else if raw.starts_with('/') {
        // An absolute path without a scheme lies on the table's own storage.
        Location::parse(&format!("{}://{}{decoded}", root.scheme(), root.authority()))
    } else {
        root.join(&decoded)
    };
    place.map_err(|error| wrong().because(error))
}

/// How the log spells `place` of a table at `root`: relative where it lies below it, absolute otherwise.
pub(super) fn spell(root: &Location, place: &Location) -> String {
    match place.relative_to(root) {
        Some(relative) => encode(relative),
        None => format!("{}://{}/{}", place.scheme(), place.authority(), encode(place.path())),
    }
}

/// `path` just as Hadoop spells a path as a URI. Any spelling that decodes to `path` is read, but Spark's `VACUUM` compares this one, as text, with the
/// log's: a live file whose path in the log has more of it encoded, or less, is a stray to it and is deleted.
fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        let mut buffer = [0; 4];
        let text = c.encode_utf8(&mut buffer);
        // Beyond ASCII, what is neither a space nor a control stays as it is.
        if c.is_ascii() || c.is_whitespace() || c.is_control() {
            out.extend(utf8_percent_encode(text, QUOTED));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether `raw` means the same place whatever the table's root.
pub(super) fn is_absolute(raw: &str) -> bool {
    raw.starts_with('/') || has_scheme(raw)
}

fn has_scheme(raw: &str) -> bool {
    raw.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.len() > 1
            && rest.starts_with('/')
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Location {
        Location::parse("s3://b/t").unwrap()
    }

    #[test]
    fn a_path_is_decoded_once_and_spelled_back_so_that_it_decodes_to_the_same_place() {
        let place = resolve(&root(), "p=a%20b%253A%F0%9F%A6%8A/x.parquet").unwrap();
        assert_eq!(place.path(), "t/p=a b%3A🦊/x.parquet");
        assert_eq!(resolve(&root(), &spell(&root(), &place)).unwrap(), place);
        assert_eq!(resolve(&root(), "p=a b%253A🦊/x.parquet").unwrap(), place);
    }

    #[test]
    fn a_path_is_spelled_as_hadoop_spells_it() {
        let spelled = |path: &str| spell(&root(), &root().join(path).unwrap());
        let kept = "azAZ09-_.!~*'()@&=+$,;/é/e\u{301}/中🦊\u{ad}\u{200b}\u{feff}";
        assert_eq!(spelled(kept), kept);
        assert_eq!(spelled("a \"#%<>?[\\]^`{|}:"), "a%20%22%23%25%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%3A");
        assert_eq!(spelled("\u{1}\t\n\u{7f}\u{85}\u{a0}\u{2028}\u{3000}"), "%01%09%0A%7F%C2%85%C2%A0%E2%80%A8%E3%80%80");
    }

    #[test]
    fn absolute_paths_keep_their_storage() {
        let file = Location::parse("/t").unwrap();
        assert_eq!(resolve(&file, "file:///o/x%20y").unwrap(), Location::parse("/o/x y").unwrap());
        assert_eq!(resolve(&file, "/o/x").unwrap(), resolve(&file, "file:/o/x").unwrap());
        assert_eq!(resolve(&root(), "/o/x").unwrap(), Location::parse("s3://b/o/x").unwrap());
        let elsewhere = resolve(&root(), "s3a://c/o/x%25").unwrap();
        assert_eq!(elsewhere, Location::parse("s3://c/o/x%").unwrap());
        assert_eq!(spell(&root(), &elsewhere), "s3://c/o/x%25");
    }

    #[test]
    fn a_path_that_climbs_out_or_is_no_text_is_damage() {
        for raw in ["../../../../x", "%FF", ""] {
            assert!(resolve(&root(), raw).is_err(), "{raw}");
        }
    }
}
