//! Which column of an inventory is which.

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use crate::units::{Timestamp, parse_time};

/// Names that columns of keys, sizes and times go by, in lower case without separators.
const KEYS: &[&str] = &["key", "path", "filepath", "name", "location", "uri"];
const SIZES: &[&str] = &["size", "length", "contentlength"];
const TIMES: &[&str] = &["lastmodified", "lastmodifieddate", "modified", "mtime"];
/// Flags of rows that are no files any more, or none at all, by what they then say: versions and marks of deletion (S3), and what Azure adds.
const GONE: &[(&str, bool)] =
    &[("islatest", false), ("isdeletemarker", true), ("iscurrentversion", false), ("deleted", true), ("hdiisfolder", true)];
/// Older states of a file in Azure have a time of their own.
const SNAPSHOT: &str = "snapshot";

/// A row, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The bucket, where the inventory says it.
    pub(super) bucket: Option<String>,
    /// The key, decoded.
    pub(super) key: String,
    /// Bytes.
    pub(super) size: Option<String>,
    /// When it was written; a time that cannot be understood is one that is not known.
    pub(super) modified: Option<Timestamp>,
    /// Whether it is an older version or a mark of deletion.
    pub(super) is_gone: bool,
}

/// Where the columns are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    bucket: Option<usize>,
    key: usize,
    size: Option<usize>,
    pub(super) modified: usize,
    /// Flags, and what they say of rows that are no files.
    gone: Vec<(usize, bool)>,
    snapshot: Option<usize>,
    /// S3 Inventory writes keys as in URLs where it writes CSV.
    encoded: bool,
}

/// Whether a column of this name is looked at.
pub(super) fn is_known(name: &str) -> bool {
    let name = plain(name);
    let name = name.as_str();
    [KEYS, SIZES, TIMES, &["bucket", SNAPSHOT]].iter().any(|known| known.contains(&name)) || GONE.iter().any(|(flag, _)| *flag == name)
}

/// The time that `text` is.
fn time(text: &str) -> Option<Timestamp> {
    parse_time(text, Some("UTC")).ok()
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Columns {
    /// The columns of these names; `None` if those of keys or times are missing.
    pub(super) fn named(names: &[String]) -> Option<Self> {
        let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        let at = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        let bucket = at(&["bucket"]);
        Some(Self {
            bucket,
            key: at(KEYS)?,
            size: at(SIZES),
            modified: at(TIMES)?,
            gone: GONE.iter().filter_map(|(flag, says)| Some((at(&[flag])?, *says))).collect(),
            snapshot: at(&[SNAPSHOT]),
            encoded: bucket.is_some(),
        })
    }

    /// The same, with keys that are written as they are.
    pub(super) fn literal(self) -> Self {
        Self { encoded: false, ..self }
    }

    /// The columns as the first row tells, and whether that names them. Without names: key, size, time; or what S3 Inventory writes.
    pub(super) fn guess(first: &[String]) -> Option<(Self, bool)> {
        if let Some(columns) = Self::named(first) {
            return Some((columns, true));
        }
        let is_flag = |at: usize| first.get(at).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "false"));
        let is_number = |at: usize| first.get(at).is_some_and(|text| text.parse::<u64>().is_ok());
        let names: &[&str] = match first.len() {
            3 if is_number(1) => &["key", "size", "lastmodified"],
            7.. if is_flag(3) && is_flag(4) && is_number(5) => {
                &["bucket", "key", "versionid", "islatest", "isdeletemarker", "size", "lastmodified"]
            }
            4.. if is_number(2) => &["bucket", "key", "size", "lastmodified"],
            _ => return None,
        };
        Some((Self::named(&names.iter().map(ToString::to_string).collect::<Vec<_>>())?, false))
    }

    /// The row of `fields`; `None` if one is missing.
    pub(super) fn row(&self, fields: &[String]) -> Option<Row> {
        let get = |at: Option<usize>| at.and_then(|at| fields.get(at)).filter(|text| !text.is_empty()).cloned();
        let says =
            |(at, flag): &(usize, bool)| get(Some(*at)).is_some_and(|text| text.eq_ignore_ascii_case(if *flag { "true" } else { "false" }));
        let key = get(Some(self.key))?;
        let key = if self.encoded { percent_decode_str(&key.replace('+', " ")).decode_utf8().ok()?.into_owned() } else { key };
        Some(Row {
            bucket: get(self.bucket),
            key,
            size: get(self.size),
            modified: get(Some(self.modified)).and_then(|text| time(&text)),
            is_gone: self.gone.iter().any(says) || get(self.snapshot).is_some(),
        })
    }
}

impl Row {
    /// The row that a JSON object is; `None` if it has no key, or nothing that says its time.
    pub(super) fn of_object(object: &Json) -> Option<Self> {
        let members = object.as_object()?;
        let find = |known: &[&str]| members.iter().find(|(name, _)| known.contains(&plain(name).as_str())).map(|(_, value)| value);
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let says = |(known, flag): &(&str, bool)| find(&[known]).and_then(Json::as_bool) == Some(*flag);
        Some(Self {
            bucket: find(&["bucket"]).map(text),
            key: find(KEYS)?.as_str()?.to_string(),
            size: find(SIZES).map(text),
            modified: time(&text(find(TIMES)?)),
            is_gone: GONE.iter().any(says),
        })
    }
}

/// The fields of a line of CSV (RFC 4180); `None` if a quote is not closed.
pub(super) fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}
