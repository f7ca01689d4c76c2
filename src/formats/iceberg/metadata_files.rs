//! The metadata files in a table's folders: which of them matter besides those that the current one names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value as Json;

use super::features;
use super::metadata::Metadata;
use super::table::IcebergVersion;
use crate::error::{Error, Kind, Result};
use crate::formats::TableVersion;
use crate::location::Location;
use crate::store::{Meta, Store};

/// The file in which file-system tables note their current version.
const HINT: &str = "version-hint.text";
/// A document says which table it is near its start.
const START: u64 = 16 << 10;
/// How many files are looked into at the same time.
const LOOKS: usize = 16;

/// Metadata files of the table's folders.
#[derive(Default)]
pub(super) struct MetadataFiles {
    /// Those whose numbers are greater than the current one's; all that have one, where that has none.
    newer: BTreeSet<Location>,
    /// The others, with their numbers.
    older: Vec<(u64, Meta)>,
    /// What a catalog may hold as current besides those: see [`super::rivals`].
    rivals: Vec<Location>,
    /// The hints, and what readers pass on their way from there to the newest file.
    pub(super) walked: Vec<Location>,
}

impl MetadataFiles {
    /// Lists the folders of `version`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub(super) async fn of(version: &IcebergVersion) -> Result<Self> {
        let (current, store) = (&version.scan.metadata.file, &version.scan.store);
        let own = number(current.name()).unwrap_or(0);
        let mut found = Self::default();
        for folder in version.metadata_folders() {
            let hint = folder.child(HINT);
            let hinted = store.get_if_exists(&hint).await?.and_then(|text| hinted(&text));
            found.walked.push(hint);
            let mut files = store.list(&folder);
            while let Some(file) = files.try_next().await? {
                let place = &file.location;
                let Some(number) = number(place.name()).filter(|_| place.parent().as_ref() == Some(&folder)) else { continue };
                if hinted.is_some_and(|hinted| number >= hinted) {
                    found.walked.push(place.clone());
                }
                if number > own && place != current {
                    found.newer.insert(file.location);
                } else if place != current {
                    found.older.push((number, file));
                }
            }
        }
        Ok(found)
    }

    /// The metadata of `version`; that which was written after it; what a catalog may hold as current; and the newest of every other table whose
    /// metadata lies in the same folder.
    ///
    /// # Errors
    ///
    /// `Refused` if the table lies elsewhere than it was opened; those of metadata that matters and cannot be read.
    pub(super) async fn documents(&mut self, version: &IcebergVersion) -> Result<Vec<Document>> {
        let current = &version.scan.metadata;
        features::located(current, version.pointer.opened_at())?;
        let mut documents = vec![Document::certain(Arc::clone(current))];
        let others = self.of_other_tables(version).await?;
        let newer = self.newer.iter().map(|file| (file, Why::Newer));
        let all = newer.chain(self.rivals.iter().map(|file| (file, Why::Rival))).chain(others.iter().map(|file| (file, Why::OtherTable)));
        for (file, why) in all {
            // A writer that lost a race may have taken its file back.
            if let Some(bytes) = version.scan.store.get_if_exists(file).await? {
                let root = version.pointer.opened_at().filter(|_| why != Why::OtherTable);
                let metadata = Metadata::parse(&bytes, file, root).map_err(|error| error.about("metadata", file).hint(why.hint()))?;
                documents.push(Document { metadata: Arc::new(metadata), may_lack_lists: why == Why::Rival });
            }
        }
        Ok(documents)
    }

    /// The newest metadata file of every other table; all of their files count as walked.
    async fn of_other_tables(&mut self, version: &IcebergVersion) -> Result<Vec<Location>> {
        let metadata = &version.scan.metadata;
        let log = metadata.doc.get("metadata-log").and_then(Json::as_array).into_iter().flatten();
        let paths = log.filter_map(|entry| entry.get("metadata-file").and_then(Json::as_str));
        let logged: BTreeSet<Location> = paths.filter_map(|path| metadata.place(path).ok()).collect();
        let asked = std::mem::take(&mut self.older).into_iter().filter(|(_, file)| !logged.contains(&file.location));
        let store = &version.scan.store;
        let told =
            stream::iter(asked).map(|(number, file)| async move { Ok::<_, Error>((number, uuid(store, &file).await?, file.location)) });
        let mut told = told.buffer_unordered(LOOKS);
        let mut newest: BTreeMap<String, (u64, Location)> = BTreeMap::new();
        let is_foreign = |file: &Location| version.pointer.may_be_a_catalogs(file, metadata.uuid());
        let logged_foreign = logged.iter().chain([&metadata.file]).filter(|file| is_foreign(file)).filter_map(|file| number(file.name()));
        let mut greatest = logged_foreign.max().unwrap_or(0);
        while let Some((number, uuid, file)) = told.try_next().await? {
            // Tables of version 1 may have none: theirs are taken for older ones of this table.
            let Some(uuid) = uuid.filter(|uuid| !uuid.is_empty() && !metadata.uuid().is_empty() && uuid != metadata.uuid()) else {
                if is_foreign(&file) && number >= greatest {
                    if number > greatest {
                        self.rivals.clear();
                    }
                    greatest = number;
                    self.rivals.push(file);
                }
                continue;
            };
            self.walked.push(file.clone());
            let known = newest.entry(uuid).or_insert_with(|| (number, file.clone()));
            if (number, &file) > (known.0, &known.1) {
                *known = (number, file);
            }
        }
        Ok(newest.into_values().map(|(_, file)| file).collect())
    }
}

/// A metadata document whose files are to be told.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// What it says.
    pub(super) metadata: Arc<Metadata>,
    /// Whether lists and manifests that are gone are no fault: it may be the remains of a commit that was lost, or of a state that was cleaned up.
    pub(super) may_lack_lists: bool,
}

impl Document {
    /// One of which everything must be there.
    pub(super) const fn certain(metadata: Arc<Metadata>) -> Self {
        Self { metadata, may_lack_lists: false }
    }

    /// A list or manifest as it was read; `None` if it is not there and need not be.
    pub(super) fn found(&self, read: Result<Buffer>) -> Result<Option<Buffer>> {
        match read {
            Err(error) if self.may_lack_lists && error.kind() == Kind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

/// Why a metadata file matters besides the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its number is greater.
    Newer,
    /// A catalog may hold it as current.
    Rival,
    /// It is another table's newest.
    OtherTable,
}

impl Why {
    /// What to do about one that cannot be read.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Newer => {
                "this metadata file is newer than the current one: what it refers to must be known before anything is deleted; if it is not part of \
                 the table, remove it"
            }
            Self::Rival => {
                "a catalog may hold this metadata file as the table's current one: what it refers to must be known before anything is deleted; name \
                 the table by its catalog, or remove the file if it is not part of the table"
            }
            Self::OtherTable => {
                "this metadata file is another table's: what it refers to must be known before anything is deleted; if that table is no more, \
                 remove it"
            }
        }
    }
}

/// Which table the metadata file `file` is of; `None` if it does not say, or is gone.
async fn uuid(store: &Store, file: &Meta) -> Result<Option<String>> {
    let start = match store.get_range(&file.location, 0..file.size.min(START)).await {
        Ok(start) => start,
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Corrupt) => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(uuid) = uuid_in(&start) {
        return Ok(Some(uuid));
    }
    // It is said further down, perhaps, or the document is damaged: then it is no table's.
    let Some(bytes) = store.get_if_exists(&file.location).await?.filter(|_| file.size > START) else { return Ok(None) };
    Ok(Metadata::parse(&bytes, &file.location, None).ok().map(|metadata| metadata.uuid().to_string()))
}

/// The table's uuid in the first bytes of a document, packed or not.
fn uuid_in(start: &[u8]) -> Option<String> {
    let mut unpacked = Vec::new();
    let text = if start.starts_with(&[0x1f, 0x8b]) {
        // Cut short as it is, what can be unpacked is enough.
        let read = flate2::read::MultiGzDecoder::new(start).take(START * 4).read_to_end(&mut unpacked);
        drop(read);
        &unpacked
    } else {
        start
    };
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("\"table-uuid\"")?;
    let (_, rest) = rest.split_once('"')?;
    rest.split_once('"').map(|(uuid, _)| uuid.to_string())
}

/// The number that a hint leads to: itself, or that of the file whose name it begins.
fn hinted(text: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    text.parse().ok().or_else(|| number(&format!("{text}.metadata.json")))
}

/// The number in the name of a metadata file: `v7.metadata.json`, `00007-<uuid>.metadata.json`, packed or not.
pub(super) fn number(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".metadata.json")?;
    let stem = stem.strip_suffix(".gz").unwrap_or(stem);
    let digits = stem.strip_prefix('v').or_else(|| stem.split_once('-').map(|(digits, _)| digits))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn metadata_files_are_ordered_by_the_numbers_in_their_names() {
        let names = ["v7.metadata.json", "v7.gz.metadata.json", "v7.metadata.json.gz", "00007-0a1b.metadata.json"];
        assert!(names.iter().all(|name| number(name) == Some(7)));
        assert_eq!([&b"12\n"[..], b"00012-0a1b", b"v12"].map(hinted), [Some(12); 3]);
        assert_eq!(hinted(b"soon"), None);
        assert!(["x.metadata.json", "v7.json", "version-hint.text", "v.metadata.json"].iter().all(|name| number(name).is_none()));
    }

    #[test]
    fn a_document_tells_its_table_at_its_start_packed_or_not() {
        let text = br#"{"format-version":2, "table-uuid" : "0a1b-2c", "location":"/t"}"#;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).unwrap();
        assert_eq!(uuid_in(text).as_deref(), Some("0a1b-2c"));
        assert_eq!(uuid_in(&packer.finish().unwrap()).as_deref(), Some("0a1b-2c"));
        assert_eq!(uuid_in(br#"{"location":"/t""#), None);
    }
}
