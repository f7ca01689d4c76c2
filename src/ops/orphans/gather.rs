//! What the files that tables refer to come to: worked out wherever they are at hand, as there may be millions of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::{Equal, Told, hidden_field};
use crate::error::Result;
use crate::location::Location;
use crate::model::{Holding, PlaceSet};

/// Shared by all who gather.
#[derive(Debug)]
pub(super) struct Gather {
    equal: Arc<Equal>,
    /// Folders of this machine that lie where their names say.
    straight: Mutex<PlaceSet>,
}

/// A page of files.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Their places.
    pub(super) told: Told,
    /// Names of partition fields in them that would make a folder a hidden one.
    pub(super) fields: BTreeSet<String>,
    /// Those in folders of which it is not known yet whether they lie where their names say.
    pub(super) doubtful: Vec<Location>,
}

impl Gather {
    /// For places whose names are compared under `equal`.
    pub(super) fn new(equal: Arc<Equal>) -> Self {
        Self { equal, straight: Mutex::default() }
    }

    /// Lets files in `folder` be in doubt no more.
    pub(super) fn is_straight(&self, folder: &Location) {
        self.straight.lock().unwrap_or_else(PoisonError::into_inner).insert(folder);
    }

    /// What `files` come to.
    ///
    /// # Errors
    ///
    /// The first of them that is none.
    pub(super) fn page(&self, files: Vec<Result<Holding>>) -> Result<Page> {
        let places: Vec<Location> = files.into_iter().map(|file| file.map(|file| file.location)).collect::<Result<_>>()?;
        let told = Told::of(places.iter(), &self.equal);
        let hides = |place: &&Location| place.path().as_bytes().windows(2).any(|pair| matches!(pair, b"/_" | b"/."));
        let fields = places.iter().filter(hides).filter_map(|place| hidden_field(place.path())).map(str::to_string).collect();
        let straight = self.straight.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<(Location, bool)> = None;
        let mut is_doubtful = |place: &Location| {
            if last.as_ref().is_none_or(|(known, _)| !place.is_directly_in(known)) {
                last = place.parent().map(|folder| (folder.clone(), folder.scheme() == "file" && !straight.contains(&folder)));
            }
            last.as_ref().is_some_and(|(_, doubtful)| *doubtful)
        };
        let doubtful = places.into_iter().filter(|place| is_doubtful(place)).collect();
        Ok(Page { told, fields, doubtful })
    }
}
