//! Deleting many objects at once.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Gone, Resolve, Store, storage_error};
use crate::error::{Error, Result};
use crate::location::Location;

/// The version of objects in a bucket that keeps none, or does so no more (S3, "Working with objects in a versioning-suspended bucket").
const NO_VERSION: &str = "null";

impl Store {
    /// Deletes every one of `locations`, and says which could not be.
    pub async fn delete_all(&self, locations: Vec<Location>) -> Vec<Error> {
        self.delete_each(locations).await.into_iter().filter_map(Result::err).collect()
    }

    /// Deletes every one of `locations`, many in one request where storage can. The answers are in their order.
    pub async fn delete_each(&self, locations: Vec<Location>) -> Vec<Result<Gone>> {
        delete_each(&*self.resolver, &locations).await
    }

    /// Whether storage keeps what is deleted there as an older version, as a bucket with versioning does: the object at `location`, which must be
    /// there, has one. Where storage does not say, it keeps none as far as is known.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Unavailable` if storage did not answer.
    pub async fn keeps_versions(&self, location: &Location) -> Result<bool> {
        if self.moves().map_or_else(|| location.clone(), |moves| moves.place_of(location)).scheme() == "file" {
            return Ok(false);
        }
        let (store, path) = self.resolver.resolve(location)?;
        let meta = store.head(&path).await.map_err(|e| storage_error(e, location))?;
        Ok(meta.version.is_some_and(|version| version != NO_VERSION))
    }
}

/// Deletes `locations`, in requests as large as their storage takes; the answers are in their order.
pub(super) async fn delete_each(resolver: &dyn Resolve, locations: &[Location]) -> Vec<Result<Gone>> {
    let mut answers = Vec::with_capacity(locations.len());
    let same_home = |a: &Location, b: &Location| a.scheme() == b.scheme() && a.authority() == b.authority();
    for group in locations.chunk_by(same_home) {
        delete_group(resolver, group, &mut answers).await;
    }
    answers
}

/// Deletes places of one storage.
async fn delete_group(resolver: &dyn Resolve, group: &[Location], answers: &mut Vec<Result<Gone>>) {
    let resolved: Result<Vec<_>> = group.iter().map(|place| resolver.resolve(place)).collect();
    let (store, keys): (_, Vec<Path>) = match resolved {
        Ok(pairs) => match pairs.first().map(|(store, _)| Arc::clone(store)) {
            Some(store) => (store, pairs.into_iter().map(|(_, key)| key).collect()),
            None => return,
        },
        // A name that storage cannot hold: the others are answered one by one.
        Err(error) if group.len() == 1 => return answers.push(Err(error)),
        Err(_) => {
            for place in group {
                Box::pin(delete_group(resolver, std::slice::from_ref(place), answers)).await;
            }
            return;
        }
    };
    let wanted: Vec<object_store::Result<Path>> = keys.iter().cloned().map(Ok).collect();
    let told: Vec<object_store::Result<Path>> = store.delete_stream(futures::stream::iter(wanted).boxed()).collect().await;
    if told.len() == group.len() {
        return answers.extend(group.iter().zip(told).map(|(place, told)| answer(told.map(|_| ()), place)));
    }
    // A request for many that fails as a whole is answered once: what is not said to be gone may be there.
    let mut gone = HashSet::new();
    let mut failure = String::new();
    for told in told {
        match told {
            Ok(key) => drop(gone.insert(key)),
            Err(error) => failure = error.to_string(),
        }
    }
    answers.extend(keys.iter().zip(group).map(|(key, place)| {
        if gone.contains(key) {
            Ok(Gone::Now)
        } else {
            Err(Error::unavailable("storage did not delete it").about("place", place).because(failure.clone()))
        }
    }));
}

fn answer(told: object_store::Result<()>, place: &Location) -> Result<Gone> {
    match told {
        Ok(()) => Ok(Gone::Now),
        Err(object_store::Error::NotFound { .. }) => Ok(Gone::Before),
        Err(error) => Err(storage_error(error, place)),
    }
}
