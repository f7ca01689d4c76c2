//! Looks for files that nothing refers to.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use super::Counts;
use super::inventory::Inventory;
use super::known::Known;
use super::plan::{Listed, Verdict, Why, root_of_metadata};
use super::spool::Spool;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::Store;
use crate::units::Bytes;

/// How many files are looked at on storage at the same time.
const LOOKS: usize = 16;

/// What a search came to.
#[derive(Debug)]
pub(super) struct Found {
    /// Files that may be orphans, as far as was known by then.
    pub(super) candidates: Spool,
    /// Files that stay.
    pub(super) stay: Counts,
    /// Roots of tables that were met below the table's own.
    pub(super) tables: BTreeSet<Location>,
}

/// Lists everything below `places`. `own` are the table's own folders of metadata.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn search(places: &[Location], own: &[Location], known: &Known<'_>, store: &Store, candidates: Spool) -> Result<Found> {
    let mut found = Found { candidates, stay: Counts::new(), tables: BTreeSet::new() };
    for place in places {
        let mut pages = store.list_pages(place);
        while let Some(page) = pages.try_next().await? {
            for meta in page {
                let file = Listed { location: meta.location, size: Bytes(meta.size), modified: Some(meta.modified) };
                found.take(&file, known, own).await?;
            }
        }
    }
    Ok(found)
}

/// Looks at the files of an inventory instead.
///
/// # Errors
///
/// Those of the inventory.
pub(super) async fn search_inventory(
    mut inventory: Inventory<'_>,
    places: &[Location],
    own: &[Location],
    known: &Known<'_>,
    candidates: Spool,
) -> Result<Found> {
    let mut found = Found { candidates, stay: Counts::new(), tables: BTreeSet::new() };
    while let Some(files) = inventory.next().await? {
        for file in files {
            if places.iter().any(|place| file.location.is_below(place)) {
                found.take(&file, known, own).await?;
            } else {
                *found.stay.entry(Why::Outside).or_default() += 1;
            }
        }
    }
    Ok(found)
}

impl Found {
    /// Folders of candidates, and those between them and `places`: a list may leave out the metadata of tables there. Folders of partitions hold none.
    ///
    /// # Errors
    ///
    /// Those of reading the candidates.
    pub(super) async fn folders(&self, places: &[Location]) -> Result<BTreeSet<Location>> {
        let mut folders = BTreeSet::new();
        for chunk in 0..self.candidates.chunks() {
            for file in self.candidates.read(chunk).await? {
                let mut next = file.location.parent();
                while let Some(folder) = next.filter(|folder| !places.contains(folder) && places.iter().any(|place| folder.is_below(place)))
                {
                    next = folder.parent();
                    if folder.name().contains('=') {
                        continue;
                    }
                    if !folders.insert(folder) {
                        break;
                    }
                }
            }
        }
        Ok(folders)
    }

    async fn take(&mut self, file: &Listed, known: &Known<'_>, own: &[Location]) -> Result<()> {
        match known.rules.verdict(file, known.held()) {
            Verdict::Held => return Ok(()),
            Verdict::Stays(why) => *self.stay.entry(why).or_default() += 1,
            // Whether names of storages really differ is asked once all tables are known.
            Verdict::Orphan | Verdict::Conflict(_) => self.candidates.push(file).await?,
        }
        let is_own =
            |root: &Location| known.rules.roots.contains(root) || file.location.parent().is_some_and(|folder| own.contains(&folder));
        if let Some(root) = root_of_metadata(&file.location).filter(|root| !is_own(root))
            && known.rules.roots.iter().any(|own| root.is_below(own))
        {
            self.tables.insert(root);
        }
        Ok(())
    }
}

/// Candidates that are orphans by what is known now, and what stays of them.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    /// Orphans.
    pub(super) orphans: Vec<Listed>,
    /// How many others stay, by the reason.
    pub(super) stay: Counts,
}

/// Looks at `files` on storage: a list tells how they were when it was made. Those that are no orphans any more are counted.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn verify(files: Vec<Listed>, known: &Known<'_>, store: &Store) -> Result<(Vec<Listed>, u64)> {
    let looked = futures::stream::iter(files).map(|file| async move {
        match store.head(&file.location).await {
            Ok(meta) => Ok(Some(Listed { location: file.location, size: Bytes(meta.size), modified: Some(meta.modified) })),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    });
    let mut looked = looked.buffered(LOOKS);
    let (mut orphans, mut others) = (Vec::new(), 0);
    while let Some(file) = looked.try_next().await? {
        match file.filter(|file| known.rules.verdict(file, known.held()) == Verdict::Orphan) {
            Some(file) => orphans.push(file),
            None => others += 1,
        }
    }
    Ok((orphans, others))
}

/// Looks at `files` again, now that everything is known.
///
/// # Errors
///
/// `Refused` if names of storages differ and nobody has said what that means.
pub(super) async fn sift(files: Vec<Listed>, known: &Known<'_>, links: &mut Links<'_>) -> Result<Sifted> {
    let mut sifted = Sifted::default();
    for file in files {
        let why = match known.rules.verdict(&file, known.held()) {
            Verdict::Orphan if links.leads_through_one(&file.location).await? => Why::Link,
            Verdict::Orphan => {
                sifted.orphans.push(file);
                continue;
            }
            Verdict::Stays(why) => why,
            // It was not when it was listed.
            Verdict::Held => Why::Meanwhile,
            Verdict::Conflict(prefix) => {
                return Err(Error::refused("a file is referred to by its path, on a storage of another name")
                    .about("file", &file.location)
                    .about("referred_to_on", prefix)
                    .hint(
                        "say whether the two are one storage: --equal-scheme a=b or --equal-authority a=b if they are, \
                         --prefix-mismatch delete if they are not, --prefix-mismatch ignore to leave such files alone",
                    ));
            }
        };
        *sifted.stay.entry(why).or_default() += 1;
    }
    Ok(sifted)
}

/// Tells whether files are reached through links: such a file lies elsewhere, and may be held by its true name.
#[derive(Debug)]
pub(super) struct Links<'a> {
    store: &'a Store,
    /// Roots, and where they truly lie.
    roots: Vec<(Location, Location)>,
    last: Option<(Location, bool)>,
}

impl<'a> Links<'a> {
    /// For files below `roots`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the disk did not answer.
    pub(super) async fn new(store: &'a Store, roots: &[Location]) -> Result<Self> {
        let mut pairs = Vec::new();
        for root in roots {
            pairs.push((root.clone(), store.behind_links(root).await?.unwrap_or_else(|| root.clone())));
        }
        Ok(Self { store, roots: pairs, last: None })
    }

    async fn leads_through_one(&mut self, file: &Location) -> Result<bool> {
        let Some(folder) = file.parent().filter(|folder| folder.scheme() == "file") else { return Ok(false) };
        if let Some((known, answer)) = &self.last
            && *known == folder
        {
            return Ok(*answer);
        }
        let expected = self.roots.iter().find_map(|(root, lies)| {
            let below = folder.relative_to(root)?;
            Some(if below.is_empty() { lies.clone() } else { lies.child(below) })
        });
        let lies = self.store.behind_links(&folder).await?.unwrap_or_else(|| folder.clone());
        let answer = expected.is_some_and(|expected| expected != lies);
        self.last = Some((folder, answer));
        Ok(answer)
    }
}
