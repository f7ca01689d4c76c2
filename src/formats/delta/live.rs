//! The live files of a version.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::actions::{Add, FileKey, TextMap};
use crate::error::Result;
use crate::location::Location;
use crate::model::Partition;

/// Live files, with one copy of the partition values of each partition.
#[derive(Debug, Default)]
pub(super) struct LiveFiles {
    files: Vec<Add>,
    values: Vec<Arc<TextMap>>,
    numbers: HashMap<Arc<TextMap>, usize>,
    index: OnceLock<HashMap<FileKey, usize>>,
}

impl LiveFiles {
    /// Adds a file.
    pub(super) fn push(&mut self, mut add: Add) {
        let values = add.partition_values.take().map_or_else(TextMap::default, |values| *values);
        add.partition = match self.numbers.get(&values) {
            Some(number) => *number,
            None => {
                let values = Arc::new(values);
                self.values.push(Arc::clone(&values));
                self.numbers.insert(values, self.values.len() - 1);
                self.values.len() - 1
            }
        };
        self.files.push(add);
    }

    /// The files, newest first.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Add> {
        self.files.iter()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The partition values of `add` as the log has them.
    pub(super) fn values(&self, add: &Add) -> &TextMap {
        static NONE: TextMap = TextMap(Vec::new());
        self.values.get(add.partition).map_or(&NONE, |values| values)
    }

    /// The partitions of the files, by [`Add::partition`].
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn partitions(&self, read: impl Fn(&TextMap) -> Result<Partition>) -> Result<Vec<Arc<Partition>>> {
        self.values.iter().map(|values| read(values).map(Arc::new)).collect()
    }

    /// The file with `key` in a table at `root`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a path of the log that cannot be understood.
    pub(super) fn find(&self, root: &Location, key: FileKey) -> Result<Option<&Add>> {
        let index = match self.index.get() {
            Some(index) => index,
            None => {
                let mut index = HashMap::with_capacity(self.files.len());
                for (number, add) in self.files.iter().enumerate() {
                    index.insert(FileKey::of(root, &add.path, add.deletion_vector.as_deref())?, number);
                }
                self.index.get_or_init(|| index)
            }
        };
        Ok(index.get(&key).and_then(|number| self.files.get(*number)))
    }
}
