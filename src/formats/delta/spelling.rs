//! Files that the log spells in several ways: readers that compare paths as text take them for several files.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{StreamExt, TryStreamExt};

use super::actions::{FileKey, Vector};
use super::lines::{self, Action};
use super::log::{self, Checkpoint};
use super::version::DeltaVersion;
use super::{checkpoint_read, path};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Fault, Finding, FindingSink};

/// How many commits are fetched ahead.
const AHEAD: usize = 8;

/// Replays the log from `start` twice at once, by places and by texts, and tells where they part. Returns how many commits were read.
///
/// # Errors
///
/// Those of reading the log, which was read before.
pub(super) async fn check(version: &DeltaVersion, start: Option<&Checkpoint>, found: FindingSink<'_>) -> Result<u64> {
    let (store, root) = (version.store(), version.root());
    let since = start.map_or(-1, |checkpoint| checkpoint.version);
    let mut spellings = Spellings { root, texts: HashSet::new(), places: HashSet::new(), removed: Vec::new(), parted: Vec::new() };
    let commits = (since + 1..=version.state().version).rev().map(|commit| async move {
        let file = log::commit_file(root, commit);
        Ok::<_, Error>((store.pieces(&file).await?, file))
    });
    let mut commits = futures::stream::iter(commits).buffered(AHEAD);
    let mut read = 0;
    while let Some((pieces, file)) = commits.try_next().await? {
        lines::read_pieces(pieces, &file, |action| spellings.take(&action)).await?;
        spellings.end_of_commit(found);
        read += 1;
    }
    if let Some(checkpoint) = start {
        checkpoint_read::read(store, root, checkpoint, &mut |action| spellings.take(&action)).await?;
        spellings.end_of_commit(found);
    }
    Ok(read)
}

/// A path and a vector as the log spells them, in 16 bytes.
type Text = (u64, u64);

struct Spellings<'a> {
    root: &'a Location,
    texts: HashSet<Text>,
    places: HashSet<FileKey>,
    /// What the commit being read removes: it counts only after its own adds.
    removed: Vec<(Text, FileKey)>,
    parted: Vec<Location>,
}

impl Spellings<'_> {
    fn take(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Add(add) => {
                let (text, place) = self.keys(&add.path, add.deletion_vector.as_deref())?;
                let (by_text, by_place) = (self.texts.insert(text), self.places.insert(place));
                if by_text && !by_place {
                    self.parted.push(path::resolve(self.root, &add.path)?);
                }
            }
            Action::Remove(remove) => {
                let keys = self.keys(&remove.path, remove.deletion_vector.as_deref())?;
                self.removed.push(keys);
            }
            _ => {}
        }
        Ok(())
    }

    /// Absolute paths are told apart by what they mean: readers bring them to one form before they compare. Relative ones are compared as text.
    fn keys(&self, raw: &str, vector: Option<&Vector>) -> Result<(Text, FileKey)> {
        let place = path::resolve(self.root, raw)?;
        let text = if path::is_absolute(raw) { Cow::Owned(place.to_string()) } else { Cow::Borrowed(raw) };
        let vector = vector.map(Vector::id);
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text, &vector).hash(&mut hasher);
            hasher.finish()
        };
        Ok(((half(1), half(2)), FileKey::new(&place, vector.as_deref())))
    }

    fn end_of_commit(&mut self, found: &mut (dyn FnMut(Finding) + Send)) {
        for (text, place) in self.removed.drain(..) {
            self.texts.insert(text);
            self.places.insert(place);
        }
        for place in self.parted.drain(..) {
            let what = "the log spells this file in several ways: readers that compare paths as text read its rows once more";
            found(Finding::new(Fault::DuplicateReference, place, what));
        }
    }
}
