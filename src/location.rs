//! Where something lies: one normalised form for every spelling of a place.
//!
//! Comparing raw strings is how other tools lost live data: `/t/f`, `file:/t/f` and `file:///t/f` are one place,
//! `s3a://b/k` and `s3://b/k` are one object.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

mod spelling;

pub use spelling::Spelling;

/// A normalised place on some storage.
///
/// Invariants: `scheme` is lowercase and one of the canonical names (`s3a` and `s3n` become `s3`, `abfs` becomes `abfss`, no scheme
/// becomes `file`); `path` has no leading or trailing slash and no empty, `.` or `..` segments, and is not percent-encoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// `<scheme>://<authority>/<path>`. There may be millions of places: copies share it, and parts of it are looked for when they are asked for.
    text: Arc<str>,
}

/// What ends the scheme.
const SCHEME_END: &str = "://";
/// What places on this machine begin with.
const LOCAL: &str = "file:///";

impl Location {
    /// Reads an absolute place: `/a/b`, `file:/a/b`, `file:///a/b`, `s3://bucket/key`. The path is taken as it is, without
    /// percent-decoding: Iceberg metadata and object keys spell names literally.
    ///
    /// # Errors
    ///
    /// A usage error if the text is relative or climbs above its root.
    pub fn parse(text: &str) -> Result<Self> {
        if is_place(text) {
            return Ok(Self { text: text.into() });
        }
        let (scheme, rest) = split_scheme(text);
        let has_scheme = scheme.is_some();
        let scheme = canonical(scheme);
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) if has_scheme => rest.split_once('/').unwrap_or((rest, "")),
            _ if rest.starts_with('/') => ("", rest),
            _ => {
                return Err(Error::usage("a location must be absolute").about("location", text));
            }
        };
        // `file://host/path` names this host: there is no other that could be meant.
        let authority = if scheme == "file" { "" } else { authority };
        Ok(Self { text: format!("{scheme}://{authority}/{}", normalise(path)?).into() })
    }

    /// As [`Self::parse`], with relative text taken below `base`, which must be a local folder.
    ///
    /// # Errors
    ///
    /// A usage error if the text climbs above its root.
    pub fn parse_below(text: &str, base: &Self) -> Result<Self> {
        if split_scheme(text).0.is_some() || text.starts_with('/') { Self::parse(text) } else { base.join(text) }
    }

    /// The place `relative` below this one; `..` segments are followed.
    ///
    /// # Errors
    ///
    /// A usage error if the text climbs above the root.
    pub fn join(&self, relative: &str) -> Result<Self> {
        let path = format!("{}/{relative}", self.path());
        Ok(self.with_path(&normalise(&path)?))
    }

    /// The child `name`, which must be a plain name or a path of plain names.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.path().is_empty() { self.with_path(name) } else { Self::with_text(&[&self.text, "/", name]) }
    }

    /// The enclosing folder; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let (head, _) = self.path().rsplit_once('/').unwrap_or(("", ""));
        (!self.path().is_empty()).then(|| self.with_path(head))
    }

    /// Whether `folder` is the enclosing folder: what [`Self::parent`] says, without making it.
    pub fn is_directly_in(&self, folder: &Self) -> bool {
        let Some((head, name)) = self.text.rsplit_once('/') else { return false };
        // A root ends with the slash.
        !name.is_empty() && (*head == *folder.text || folder.text.strip_suffix('/') == Some(head))
    }

    /// This place with another path, which must be normal: of a storage's own keys, or made of the parts of such.
    #[must_use]
    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self::with_text(&[self.storage(), path])
    }

    /// The place whose text is `parts`, one after the other.
    fn with_text(parts: &[&str]) -> Self {
        Self { text: parts.concat().into() }
    }

    /// The last segment of the path; empty at the root.
    pub fn name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or("")
    }

    /// The canonical scheme: `file`, `s3`, `gs`, `abfss`, `hdfs` …
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme_end()).unwrap_or_default()
    }

    /// Bucket, container or host; empty for local files.
    pub fn authority(&self) -> &str {
        let authority = self.storage().get(self.scheme_end() + SCHEME_END.len()..);
        authority.and_then(|authority| authority.strip_suffix('/')).unwrap_or_default()
    }

    /// The path without a leading slash, not percent-encoded.
    pub fn path(&self) -> &str {
        self.parts().1
    }

    /// What comes before the path.
    fn storage(&self) -> &str {
        self.parts().0
    }

    /// What comes before the path, and the path.
    fn parts(&self) -> (&str, &str) {
        // Of places on this machine there are the most.
        if self.text.starts_with(LOCAL) {
            return self.text.split_at(LOCAL.len());
        }
        let authority = self.scheme_end() + SCHEME_END.len();
        let slash = self.text.get(authority..).and_then(|rest| rest.find('/'));
        self.text.split_at(slash.map_or(self.text.len(), |slash| authority + slash + 1))
    }

    /// Bytes of the scheme, which has no colon.
    fn scheme_end(&self) -> usize {
        self.text.bytes().position(|byte| byte == b':').unwrap_or(self.text.len())
    }

    /// How many bytes `text` has if the place ends with it.
    pub(crate) fn ends_with(&self, text: &str) -> Option<u32> {
        u32::try_from(text.len()).ok().filter(|_| self.text.ends_with(text))
    }

    /// The last `bytes` bytes of the place, as [`Self::ends_with`] told them.
    pub(crate) fn end(&self, bytes: u32) -> &str {
        self.text.len().checked_sub(bytes as usize).and_then(|from| self.text.get(from..)).unwrap_or_default()
    }

    /// Whether this place is `other` or lies below it.
    pub fn is_below(&self, other: &Self) -> bool {
        self.relative_to(other).is_some()
    }

    /// The path from `root` to this place, empty for the root itself; `None` if it lies elsewhere.
    pub fn relative_to(&self, root: &Self) -> Option<&str> {
        let rest = self.text.strip_prefix(&*root.text)?;
        // The root of a storage ends with the slash.
        if rest.is_empty() || root.text.ends_with('/') { Some(rest) } else { rest.strip_prefix('/') }
    }
}

/// The canonical form of a scheme.
fn canonical(scheme: Option<&str>) -> Cow<'static, str> {
    let Some(scheme) = scheme else { return Cow::Borrowed("file") };
    Cow::Borrowed(match scheme.to_ascii_lowercase().as_str() {
        "file" => "file",
        "s3" | "s3a" | "s3n" => "s3",
        "gs" => "gs",
        "abfs" | "abfss" => "abfss",
        "hdfs" => "hdfs",
        other => return Cow::Owned(other.to_string()),
    })
}

/// Whether `text` is a normalised place of one of the storages that most tables lie on. Metadata spells nearly every place so, millions of them.
fn is_place(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(SCHEME_END) else { return false };
    let Some((authority, path)) = rest.split_once('/') else { return false };
    matches!(scheme, "file" | "s3" | "gs" | "abfss" | "hdfs") && (scheme != "file" || authority.is_empty()) && is_normal(path)
}

/// Splits `scheme:` off; a single letter before the colon is no scheme.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((scheme, rest))
            if scheme.len() > 1
                && rest.starts_with('/')
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) =>
        {
            (Some(scheme), rest)
        }
        _ => (None, text),
    }
}

fn normalise(path: &str) -> Result<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if is_normal(path) {
        return Ok(path.to_string());
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                if segments.pop().is_none() {
                    return Err(Error::usage("a location climbs above its root").about("path", path));
                }
            }
            _ => segments.push(segment),
        }
    }
    Ok(segments.join("/"))
}

/// Whether no segment is empty, `.` or `..`: nearly every path there is.
fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    let is_odd = |byte: u8| matches!(byte, b'/' | b'.');
    let (Some(first), Some(rest)) = (bytes.first(), bytes.get(1..)) else { return false };
    if bytes.ends_with(b"/") {
        return false;
    }
    // Looked at to the end whatever is found: so many bytes are compared at a time.
    let starts_oddly = bytes.iter().zip(rest).fold(is_odd(*first), |odd, (before, byte)| odd | (*before == b'/' && is_odd(*byte)));
    !starts_oddly || path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_a_place_is_the_same_place() {
        for text in ["/t/f", "file:/t/f", "file:///t/f", "//t//f/", "file://localhost/t/./x/../f"] {
            assert_eq!(place(text), place("/t/f"), "{text}");
        }
        assert_eq!(place("s3a://b/k"), place("s3://b/k/"));
        assert_ne!(place("s3://b/k"), place("s3://c/k"));
    }

    #[test]
    fn what_is_taken_as_it_is_comes_to_what_normalising_makes_of_it() {
        for text in ["file:///t/f", "s3://b/t/.f", "gs://b/k", "abfss://c@a/k", "hdfs://h:1/t/..f", "hdfs:///t/f", "s3://b/t/p=a:b/x"] {
            assert!(is_place(text), "{text}");
            assert_eq!(place(text), place(&format!("{text}/")), "{text}");
        }
        let others =
            ["file://h/f", "s3a://b/k", "S3://b/k", "/t/f", "file:/t", "s3://b", "s3://b/", "s3://b/k/", "s3://b/./k", "s3://b//k"];
        for text in others.into_iter().chain(["file:////t", "s3://b/k/..", "s3://b/../k", "file:///", "x://b/k"]) {
            assert!(!is_place(text), "{text}");
        }
    }

    #[test]
    fn a_place_knows_the_folder_it_lies_in() {
        for text in ["/a/b/c", "/a", "s3://b/k", "s3://b", "/"] {
            let place = place(text);
            for folder in ["/a/b", "/a", "/", "s3://b", "s3://c"].map(self::place) {
                assert_eq!(place.is_directly_in(&folder), place.parent() == Some(folder.clone()), "{text} {folder}");
            }
        }
    }

    #[test]
    fn what_lies_below_is_decided_by_whole_segments() {
        assert_eq!(place("/a/b/c").relative_to(&place("/a")), Some("b/c"));
        assert!(!place("/ab/c").is_below(&place("/a")));
        assert!(place("/a").is_below(&place("/a")));
        assert_eq!(place("/a/b").relative_to(&place("/")), Some("a/b"));
        assert_eq!(place("/").relative_to(&place("/")), Some(""));
        assert_eq!(place("s3://b/k/x").relative_to(&place("s3://b")), Some("k/x"));
        assert!(!place("s3://bc/k").is_below(&place("s3://b")) && !place("s3://b/k").is_below(&place("/b")));
    }

    #[test]
    fn a_place_tells_its_parts() {
        for (text, scheme, authority, path) in [
            ("/", "file", "", ""),
            ("/a:b/c:/d", "file", "", "a:b/c:/d"),
            ("s3a://b", "s3", "b", ""),
            ("s3://b/k/l", "s3", "b", "k/l"),
            ("abfss://c@a.dfs.core.windows.net/x", "abfss", "c@a.dfs.core.windows.net", "x"),
            ("hdfs://host:8020/t/f", "hdfs", "host:8020", "t/f"),
            ("hdfs:///t/f", "hdfs", "", "t/f"),
        ] {
            let place = place(text);
            assert_eq!((place.scheme(), place.authority(), place.path()), (scheme, authority, path), "{text}");
        }
    }

    #[test]
    fn names_are_taken_literally_and_climbing_out_is_refused() {
        assert_eq!(place("/t/a%20b/🦊 x").path(), "t/a%20b/🦊 x");
        assert_eq!(place("/t/ts=2020-01-01 10:00:00/f").name(), "f");
        assert!(Location::parse("/../x").is_err());
        assert!(Location::parse("relative/x").is_err());
        assert_eq!(Location::parse_below("x/y", &place("/w")).unwrap(), place("/w/x/y"));
    }
}
