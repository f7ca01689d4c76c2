//! Tables in folders: the current metadata is found by the numbers in the files' names (Iceberg spec, "File System Tables").

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::formats::iceberg::{NewMetadata, Pointer, Swap};
use crate::location::Location;
use crate::model::{Fault, Finding, FindingSink};
use crate::store::{Put, Store};

const HINT: &str = "version-hint.text";

/// How metadata files of a folder are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `v7.metadata.json`: the next number is claimed by creating the file.
    Hadoop,
    /// `00007-<uuid>.metadata.json`, as catalogs write them.
    Numbered,
}

/// A metadata file's number and layout, by its name.
fn numbered(name: &str) -> Option<(u64, Layout)> {
    let stem = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".metadata.json")?;
    let stem = stem.strip_suffix(".gz").unwrap_or(stem);
    if let Some(number) = stem.strip_prefix('v') {
        return Some((number.parse().ok()?, Layout::Hadoop));
    }
    let (number, rest) = stem.split_once('-')?;
    let plain = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    plain.then_some((number.parse().ok()?, Layout::Numbered))
}

/// The metadata of a table in a folder.
#[derive(Debug)]
pub struct PathPointer {
    store: Store,
    root: Location,
    landed: Mutex<Option<Location>>,
    /// Whether it was said that no catalog was told.
    warned: AtomicBool,
}

impl PathPointer {
    /// The metadata of the table at `root`.
    pub fn new(store: Store, root: Location) -> Self {
        Self { store, root, landed: Mutex::new(None), warned: AtomicBool::new(false) }
    }

    fn folder(&self) -> Location {
        self.root.child("metadata")
    }

    /// Every metadata file with its number.
    async fn files(&self) -> Result<Vec<(u64, Location)>> {
        let children = self.store.children(&self.folder()).await?;
        Ok(children.into_iter().filter_map(|place| numbered(place.name()).map(|(number, _)| (number, place))).collect())
    }

    /// The number the hint gives, if it names a file that is there.
    async fn hinted(&self, files: &[(u64, Location)]) -> Result<Option<u64>> {
        let Some(hint) = self.store.get_if_exists(&self.folder().child(HINT)).await? else { return Ok(None) };
        let hint = String::from_utf8_lossy(&hint).trim().to_string();
        if let Ok(number) = hint.parse::<u64>() {
            return Ok(files.iter().any(|(n, _)| *n == number).then_some(number));
        }
        let named = files.iter().find(|(_, place)| !hint.is_empty() && place.name().starts_with(&hint));
        Ok(named.map(|(number, _)| *number))
    }

    /// Of several files with one number the one that was updated last: a crashed or slower writer leaves such.
    async fn newest(&self, mut places: Vec<Location>) -> Result<Location> {
        places.sort();
        let mut best: Option<(i64, Location)> = None;
        let single = places.len() == 1;
        for place in places {
            let updated =
                if single { 0 } else { crate::formats::iceberg::last_updated(&self.store.get(&place).await?, &place).unwrap_or(i64::MIN) };
            if best.as_ref().is_none_or(|(known, _)| updated >= *known) {
                best = Some((updated, place));
            }
        }
        best.map(|(_, place)| place).ok_or_else(|| no_table(&self.root))
    }

    /// Creates the next metadata file. An error means that nothing was sent that could land.
    async fn claim(&self, base: &Location, new: &NewMetadata) -> Result<Swap> {
        let (number, layout) =
            numbered(base.name()).ok_or_else(|| Error::bug("metadata with a name that has no number").about("file", base))?;
        let next = number.checked_add(1).ok_or_else(|| Error::corrupt("metadata file numbers are used up"))?;
        let files = self.files().await?;
        if files.iter().any(|(n, _)| *n == next) {
            return Ok(Swap::Taken);
        }
        if files.iter().any(|(n, _)| *n > next) {
            let error = Error::refused("newer metadata files follow after a gap: which one is current is not certain").about("file", base);
            return Err(error.hint("correct version-hint.text, or remove the metadata files that are not part of the table"));
        }
        if layout == Layout::Numbered && files.iter().filter(|(n, _)| *n == number).count() > 1 {
            let error = Error::refused("several metadata files have one number: only the table's catalog knows which is current");
            return Err(error
                .about("file", base)
                .hint("name the table by its catalog; or, if it is in none, remove the metadata file that is not part of the table"));
        }
        let packed = if new.gzip { ".gz" } else { "" };
        let name = match layout {
            Layout::Hadoop => format!("v{next}{packed}.metadata.json"),
            // The uuid is made from table and number, so that two runs claim the same name and only one gets it.
            Layout::Numbered => format!("{next:05}-{}{packed}.metadata.json", derived_uuid(&new.table_uuid, next)),
        };
        let place = self.folder().child(&name);
        match self.store.put_if_absent(&place, new.bytes.clone()).await {
            Ok(Put::Created) => {}
            // After a lost answer the file may be our own.
            Ok(Put::Exists) => match self.store.get(&place).await {
                Ok(bytes) if bytes == new.bytes => {}
                Ok(_) => return Ok(Swap::Taken),
                Err(error) => return Ok(Swap::Unknown(error)),
            },
            Err(error) if error.kind() == Kind::Unavailable => return Ok(Swap::Unknown(error)),
            Err(error) => return Err(error),
        }
        if let Ok(mut landed) = self.landed.lock() {
            *landed = Some(place);
        }
        Ok(Swap::Landed)
    }
}

/// A uuid in the form of version 8 (RFC 9562: content of one's own choice), the same for the same table and number.
fn derived_uuid(table: &str, number: u64) -> uuid::Uuid {
    uuid::Builder::from_custom_bytes(crate::model::digest(&[table, &number.to_string()])).into_uuid()
}

/// Whether a metadata file bears the name that we give it.
fn is_ours(name: &str, table: &str, number: u64) -> bool {
    name.contains(&derived_uuid(table, number).to_string())
}

fn no_table(root: &Location) -> Error {
    Error::not_found("there is no Iceberg metadata file").about("table", root)
}

#[async_trait]
impl Pointer for PathPointer {
    async fn current(&self) -> Result<Location> {
        let files = self.files().await?;
        let greatest = files.iter().map(|(number, _)| *number).max().ok_or_else(|| no_table(&self.root))?;
        // The hint is only a hint: newer versions follow it without a gap.
        let mut number = self.hinted(&files).await?.unwrap_or(greatest);
        while files.iter().any(|(n, _)| Some(*n) == number.checked_add(1)) {
            number += 1;
        }
        let places: Vec<Location> = files.into_iter().filter(|(n, _)| *n == number).map(|(_, place)| place).collect();
        self.newest(places).await
    }

    async fn swap(&self, base: &Location, new: &NewMetadata) -> Swap {
        self.claim(base, new).await.unwrap_or_else(Swap::Rejected)
    }

    async fn settle(&self) -> Vec<Error> {
        let landed = self.landed.lock().ok().and_then(|mut landed| landed.take());
        let Some(place) = landed else { return Vec::new() };
        match self.hint(&place).await {
            Ok(Hint::Untold) if !self.warned.swap(true, Ordering::Relaxed) => vec![untold(&place)],
            Ok(_) => Vec::new(),
            Err(error) => vec![error],
        }
    }

    fn opened_at(&self) -> Option<&Location> {
        Some(&self.root)
    }

    fn may_be_a_catalogs(&self, file: &Location, uuid: &str) -> bool {
        numbered(file.name()).is_some_and(|(number, layout)| layout == Layout::Numbered && !is_ours(file.name(), uuid, number))
    }

    async fn check(&self, found: FindingSink<'_>) -> Result<()> {
        let files = self.files().await?;
        let current = self.current().await?;
        let Some((number, _)) = numbered(current.name()) else { return Ok(()) };
        let hint = self.folder().child(HINT);
        if self.store.get_if_exists(&hint).await?.is_some() {
            match self.hinted(&files).await? {
                None => found(Finding::new(Fault::HintStale, &hint, "it names no metadata file that is there")),
                Some(hinted) if hinted < number => {
                    let what = format!("it names metadata file {hinted}, the newest is {number}: readers that trust it see an old state");
                    found(Finding::new(Fault::HintStale, &hint, what));
                }
                Some(_) => {}
            }
        }
        if files.iter().any(|(other, _)| *other > number) {
            let what = "newer metadata files follow after a gap: which one is current is not certain";
            found(Finding::new(Fault::MetadataGap, &current, what));
        }
        if files.iter().filter(|(other, _)| *other == number).count() > 1 {
            found(Finding::new(Fault::HistoryBroken, &current, format!("several metadata files have the number {number}")));
        }
        Ok(())
    }
}

impl PathPointer {
    /// Moves the hint on, in the form it has. Folders of numbered files get none if they have none.
    async fn hint(&self, place: &Location) -> Result<Hint> {
        let Some((number, layout)) = numbered(place.name()) else { return Ok(Hint::Untold) };
        let hint = self.folder().child(HINT);
        let text = match (self.store.get_if_exists(&hint).await?, layout) {
            (None, Layout::Numbered) => return Ok(Hint::Untold),
            (None, Layout::Hadoop) => number.to_string(),
            (Some(old), _) if old.trim_ascii().iter().all(u8::is_ascii_digit) => number.to_string(),
            (Some(_), _) => {
                let name = place.name();
                let stem = name.strip_suffix(".metadata.json").unwrap_or(name);
                stem.strip_suffix(".gz").unwrap_or(stem).to_string()
            }
        };
        self.store.put(&hint, text.into_bytes().into()).await.map(|()| Hint::Moved)
    }
}

/// What became of the version hint.
enum Hint {
    /// It leads to the new metadata.
    Moved,
    /// There is none: files are named as catalogs name them, and only a catalog would tell readers of the new one.
    Untold,
}

/// What whoever changed a table by its folder has to know.
fn untold(file: &Location) -> Error {
    Error::refused(
        "no catalog was told of it, and the table's metadata files are named as catalogs name them: readers of a catalog go on seeing the old state; \
         name such a table CATALOG.NAMESPACE.TABLE",
    )
    .about("file", file)
}

/// One metadata file, whatever became of the table since: read-only.
#[derive(Debug)]
pub struct ExactPointer {
    file: Location,
}

impl ExactPointer {
    /// The state in the metadata file `file`.
    pub const fn new(file: Location) -> Self {
        Self { file }
    }
}

#[async_trait]
impl Pointer for ExactPointer {
    async fn current(&self) -> Result<Location> {
        Ok(self.file.clone())
    }

    async fn swap(&self, _base: &Location, _new: &NewMetadata) -> Swap {
        let error = Error::refused("a table opened by its metadata file is read-only");
        Swap::Rejected(error.about("file", &self.file).hint("open the table by its folder or its name in a catalog"))
    }
}
