//! Where something lies: one normalised form for every spelling of a place.
//!
//! Comparing raw strings is how other tools lost live data: `/t/f`, `file:/t/f` and `file:///t/f` are one place,
//! `s3a://b/k` and `s3://b/k` are one object.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};

/// A normalised place on some storage.
///
/// Invariants: `scheme` is lowercase and one of the canonical names (`s3a` and `s3n` become `s3`, `abfs` becomes `abfss`, no scheme
/// becomes `file`); `path` has no leading or trailing slash and no empty, `.` or `..` segments, and is not percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// There may be millions of places: the schemes that are in use take no memory of their own.
    scheme: Cow<'static, str>,
    authority: String,
    path: String,
}

impl Location {
    /// Reads an absolute place: `/a/b`, `file:/a/b`, `file:///a/b`, `s3://bucket/key`. The path is taken as it is, without
    /// percent-decoding: Iceberg metadata and object keys spell names literally.
    ///
    /// # Errors
    ///
    /// A usage error if the text is relative or climbs above its root.
    pub fn parse(text: &str) -> Result<Self> {
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
        let authority = if scheme == "file" { String::new() } else { authority.to_string() };
        Ok(Self { scheme, authority, path: normalise(path)? })
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
        Ok(self.with_path(normalise(&format!("{}/{relative}", self.path))?))
    }

    /// The child `name`, which must be a plain name or a path of plain names.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        self.with_path(if self.path.is_empty() { name.to_string() } else { format!("{}/{name}", self.path) })
    }

    /// The enclosing folder; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let (head, _) = self.path.rsplit_once('/').unwrap_or(("", ""));
        (!self.path.is_empty()).then(|| self.with_path(head.to_string()))
    }

    /// Whether `folder` is the enclosing folder: what [`Self::parent`] says, without making it.
    pub fn is_directly_in(&self, folder: &Self) -> bool {
        let (head, _) = self.path.rsplit_once('/').unwrap_or(("", ""));
        !self.path.is_empty() && head == folder.path && self.scheme == folder.scheme && self.authority == folder.authority
    }

    /// This place with another path, which must be normal: of a storage's own keys, or made of the parts of such.
    #[must_use]
    pub(crate) fn with_path(&self, path: String) -> Self {
        Self { scheme: self.scheme.clone(), authority: self.authority.clone(), path }
    }

    /// The last segment of the path; empty at the root.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or("")
    }

    /// The canonical scheme: `file`, `s3`, `gs`, `abfss`, `hdfs` …
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Bucket, container or host; empty for local files.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path without a leading slash, not percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether this place is `other` or lies below it.
    pub fn is_below(&self, other: &Self) -> bool {
        self.relative_to(other).is_some()
    }

    /// The path from `root` to this place, empty for the root itself; `None` if it lies elsewhere.
    pub fn relative_to(&self, root: &Self) -> Option<&str> {
        if self.scheme != root.scheme || self.authority != root.authority {
            return None;
        }
        if root.path.is_empty() {
            return Some(&self.path);
        }
        let rest = self.path.strip_prefix(root.path.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
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
    let mut before = b'/';
    let starts_oddly = path.bytes().any(|byte| std::mem::replace(&mut before, byte) == b'/' && matches!(byte, b'/' | b'.'));
    if before == b'/' {
        return false;
    }
    !starts_oddly || path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.authority, self.path)
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
