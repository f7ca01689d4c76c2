//! Which folders are the table's, and which of them are searched.

use super::NotSearched;
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::location::Location;

/// What a Delta table keeps its log in. Names in it that are not the protocol's may be an extension's: there it stays hidden.
const LOG: &str = "_delta_log";

/// The table's folders, and which of them are searched.
pub(super) struct Folders {
    /// Everything that is the table's: its root, and those of data and metadata that are not hidden.
    pub(super) own: Vec<Location>,
    /// Those of metadata.
    pub(super) metadata: Vec<Location>,
    /// Those that are searched.
    pub(super) searched: Vec<Location>,
    asked: bool,
}

impl Folders {
    pub(super) fn new(root: &Location, base: &dyn TableVersion, asked: Option<&Location>) -> Result<Self> {
        let metadata = base.metadata_folders();
        let mut own = vec![root.clone()];
        let visible = metadata.iter().filter(|folder| folder.name() != LOG).cloned();
        for folder in base.data_folders().into_iter().chain(visible) {
            if !own.contains(&folder) {
                own.push(folder);
            }
        }
        let searched = match asked {
            None => root.clone(),
            Some(place) if own.iter().any(|folder| place.is_below(folder)) => place.clone(),
            Some(place) => {
                return Err(Error::refused("a folder that is not the table's is not searched: its files may be those of others")
                    .about("location", place)
                    .about("table", root)
                    .hint("name the table's folder, its write.data.path or its write.metadata.path, or a folder below one of these"));
            }
        };
        Ok(Self { own, metadata, searched: vec![searched], asked: asked.is_some() })
    }

    /// Folders between the table's and the one that is searched: tables there would not be met by the search.
    pub(super) fn between(&self, root: &Location) -> Vec<Location> {
        let mut folders = Vec::new();
        for place in self.searched.iter().filter(|place| **place != *root && place.is_below(root)) {
            let mut next = Some(place.clone());
            while let Some(folder) = next.filter(|folder| folder != root) {
                next = folder.parent();
                folders.push(folder);
            }
        }
        folders
    }

    /// Folders outside the table's own may be shared with others: they are searched only where they are asked for by name.
    pub(super) fn left_out(&self) -> Vec<NotSearched> {
        if self.asked {
            return Vec::new();
        }
        let outside = self.own.iter().filter(|folder| !self.searched.iter().any(|searched| folder.is_below(searched)));
        let told = |folder: &Location| NotSearched {
            location: folder.to_string(),
            why: "it lies outside the table's folder and other tables may share it: search it with --location",
        };
        outside.map(told).collect()
    }
}
