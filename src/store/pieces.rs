//! Objects read piece by piece.

use bytes::Bytes as Buffer;

use object_store::ObjectStoreExt;

use super::{Store, storage_error};
use crate::error::{Kind, Result};
use crate::location::Location;

/// Up to this size objects are read in one piece, larger ones in pieces of it.
const PIECE: u64 = 4 << 20;

/// An object that is being read. It must not change meanwhile.
#[derive(Debug)]
pub struct Pieces {
    store: Store,
    place: Location,
    /// The whole of a small object.
    whole: Option<Buffer>,
    at: u64,
    size: u64,
}

impl Store {
    /// The object piece by piece, for what may be large and never changes once it is there; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn pieces_if_exists(&self, location: &Location) -> Result<Option<Pieces>> {
        match self.pieces(location).await {
            Ok(pieces) => Ok(Some(pieces)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::pieces_if_exists`], for an object that must be there.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Unavailable` if storage did not answer.
    pub async fn pieces(&self, location: &Location) -> Result<Pieces> {
        let (store, path) = self.resolver.resolve(location)?;
        let answer = store.get(&path).await.map_err(|e| storage_error(e, location))?;
        let size = answer.meta.size;
        let whole = match size <= PIECE {
            true => Some(answer.bytes().await.map_err(|e| storage_error(e, location))?),
            false => None,
        };
        Ok(Pieces { store: self.clone(), place: location.clone(), whole, at: 0, size })
    }
}

impl Pieces {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Store::get_range`].
    pub async fn next(&mut self) -> Result<Option<Buffer>> {
        if let Some(whole) = self.whole.take() {
            self.at = self.size;
            return Ok(Some(whole));
        }
        if self.at >= self.size {
            return Ok(None);
        }
        let end = self.size.min(self.at.saturating_add(PIECE));
        let piece = self.store.get_range(&self.place, self.at..end).await?;
        self.at = end;
        Ok(Some(piece))
    }
}
