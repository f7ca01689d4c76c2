//! What the files that tables refer to come to: worked out on the threads that read of them, as there may be millions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plan::{Equal, Held, Told, hidden_field};
use crate::error::Result;
use crate::location::Location;
use crate::model::{Holding, PlaceSet};
use crate::store::Store;

/// More names of partition fields than any table has.
const MOST_FIELDS: usize = 1000;

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The files.
    pub(super) held: Held,
    /// Names of partition fields that make the folders of their partitions look like hidden ones.
    pub(super) fields: BTreeSet<String>,
    /// Folders of this machine that are known to lie where their names say.
    straight: PlaceSet,
}

impl Gathered {
    /// Nothing yet; `held` holds nothing.
    pub(super) fn new(held: Held) -> Self {
        Self { held, ..Self::default() }
    }
}

/// Gathers, on any number of threads.
#[derive(Debug)]
pub(super) struct Gather {
    store: Store,
    equal: Arc<Equal>,
    all: Mutex<Gathered>,
}

impl Gather {
    /// Adds to what `all` has.
    pub(super) fn new(store: Store, all: Gathered) -> Self {
        Self { store, equal: Arc::clone(all.held.equal()), all: Mutex::new(all) }
    }

    /// Everything that was gathered until now.
    pub(super) fn end(&self) -> Gathered {
        std::mem::take(&mut *self.lock())
    }

    /// Takes `files`. The disk may be asked where their folders lie.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the disk did not answer; those of [`Held::add`].
    pub(super) fn take(&self, files: Vec<Holding>) -> Result<()> {
        let places: Vec<Location> = files.into_iter().map(|file| file.location).collect();
        let behind = self.behind_links(&places)?;
        let told = Told::of(places.iter().chain(&behind), &self.equal);
        let fields = places.iter().filter_map(|place| hidden_field(place.path()));
        let mut all = self.lock();
        for field in fields {
            if all.fields.len() < MOST_FIELDS && !all.fields.contains(field) {
                all.fields.insert(field.to_string());
            }
        }
        all.held.add(told)
    }

    /// The true names of those of `places` that are reached through links: a listing may have them.
    fn behind_links(&self, places: &[Location]) -> Result<Vec<Location>> {
        let mut behind = Vec::new();
        let mut last: Option<(Location, Option<Location>)> = None;
        for place in places.iter().filter(|place| place.scheme() == "file") {
            if last.as_ref().is_none_or(|(folder, _)| !place.is_directly_in(folder)) {
                let Some(folder) = place.parent() else { continue };
                let lies = self.true_place(&folder)?;
                last = Some((folder, lies));
            }
            if let Some((_, Some(lies))) = &last {
                behind.push(lies.child(place.name()));
            }
        }
        Ok(behind)
    }

    /// Where `folder` lies, if not where its name says.
    fn true_place(&self, folder: &Location) -> Result<Option<Location>> {
        if self.lock().straight.contains(folder) {
            return Ok(None);
        }
        let lies = self.store.behind_links_now(folder)?;
        if lies.is_none() {
            self.lock().straight.insert(folder);
        }
        Ok(lies)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
