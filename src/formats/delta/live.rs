//! The live files of a version.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::actions::{Add, Extra, FileKey, TextMap, Vector};
use super::stats_read;
use crate::error::{Error, Result};
use crate::location::{Location, Spelling};
use crate::model::Partition;

/// A live file. There may be millions: what few files have takes room in those alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveFile {
    /// The normalised place: shared with the plain files made from it.
    pub(super) location: Location,
    /// How the log spells it.
    pub(super) spelling: Spelling,
    /// Bytes.
    pub(super) size: u64,
    /// Milliseconds since 1970-01-01.
    pub(super) modification_time: i64,
    pub(super) stats: Stats,
    pub(super) deletion_vector: Option<Box<Vector>>,
    /// What few files have.
    pub(super) extra: Option<Box<Extra>>,
    /// Number of the partition among those of the live files.
    pub(super) partition: usize,
}

/// What is kept of a file's statistics.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stats {
    /// All, as the log has them.
    Whole(Option<Box<str>>),
    /// How many rows the file has, where the log says so.
    Rows(Option<u64>),
}

impl LiveFile {
    /// The path exactly as the log has it.
    pub(super) fn path(&self) -> &str {
        self.spelling.text(&self.location)
    }

    /// The file's identity.
    pub(super) fn key(&self) -> FileKey {
        FileKey::new(&self.location, self.deletion_vector.as_deref().map(Vector::id).as_deref())
    }

    /// The statistics as the log has them; `None` also where they were not kept.
    pub(super) fn stats(&self) -> Option<&str> {
        match &self.stats {
            Stats::Whole(text) => text.as_deref(),
            Stats::Rows(_) => None,
        }
    }

    /// Rows stored in the file, where the log says so.
    pub(super) fn rows(&self) -> Option<u64> {
        match &self.stats {
            Stats::Whole(text) => text.as_deref().and_then(stats_read::rows),
            Stats::Rows(rows) => *rows,
        }
    }

    pub(super) fn tags(&self) -> Option<&TextMap> {
        self.extra.as_ref()?.tags.as_ref()
    }

    pub(super) fn base_row_id(&self) -> Option<i64> {
        self.extra.as_ref()?.base_row_id
    }

    pub(super) fn default_row_commit_version(&self) -> Option<i64> {
        self.extra.as_ref()?.default_row_commit_version
    }

    pub(super) fn clustering_provider(&self) -> Option<&str> {
        self.extra.as_ref()?.clustering_provider.as_deref()
    }
}

/// Live files, with one copy of the partition values of each partition.
#[derive(Debug)]
pub(super) struct LiveFiles {
    files: Vec<LiveFile>,
    values: Vec<Arc<TextMap>>,
    numbers: HashMap<Arc<TextMap>, usize>,
    index: OnceLock<HashMap<FileKey, usize>>,
    whole_stats: bool,
}

impl LiveFiles {
    /// No files; of those to come, statistics are kept or just how many rows they count.
    pub(super) fn new(whole_stats: bool) -> Self {
        Self { files: Vec::new(), values: Vec::new(), numbers: HashMap::new(), index: OnceLock::new(), whole_stats }
    }

    /// Adds the file at `location`.
    pub(super) fn push(&mut self, add: Add, location: Location) {
        let values = add.partition_values.map_or_else(TextMap::default, |values| *values);
        let partition = match self.numbers.get(&values) {
            Some(number) => *number,
            None => {
                let values = Arc::new(values);
                self.values.push(Arc::clone(&values));
                self.numbers.insert(values, self.values.len() - 1);
                self.values.len() - 1
            }
        };
        let stats = if self.whole_stats { Stats::Whole(add.stats) } else { Stats::Rows(add.stats.as_deref().and_then(stats_read::rows)) };
        self.files.push(LiveFile {
            spelling: Spelling::of(&location, &add.path),
            location,
            size: add.size,
            modification_time: add.modification_time,
            stats,
            deletion_vector: add.deletion_vector,
            extra: add.extra,
            partition,
        });
    }

    /// The files, newest first.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, LiveFile> {
        self.files.iter()
    }

    /// These, for whoever writes their statistics down again.
    ///
    /// # Errors
    ///
    /// `Bug` if statistics were not kept.
    pub(super) fn with_stats(&self) -> Result<&Self> {
        if self.whole_stats { Ok(self) } else { Err(Error::bug("statistics are asked for that were not kept")) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The partition values of `file` as the log has them.
    pub(super) fn values(&self, file: &LiveFile) -> &TextMap {
        static NONE: TextMap = TextMap(Vec::new());
        self.values.get(file.partition).map_or(&NONE, |values| values)
    }

    /// The partitions of the files, by [`LiveFile::partition`].
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub(super) fn partitions(&self, read: impl Fn(&TextMap) -> Result<Partition>) -> Result<Vec<Arc<Partition>>> {
        self.values.iter().map(|values| read(values).map(Arc::new)).collect()
    }

    /// The file with `key`.
    pub(super) fn find(&self, key: FileKey) -> Option<&LiveFile> {
        let index = || self.files.iter().enumerate().map(|(number, file)| (file.key(), number)).collect();
        self.index.get_or_init(index).get(&key).and_then(|number| self.files.get(*number))
    }
}
