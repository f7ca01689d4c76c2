//! The live files of a version.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use super::actions::{Add, Extra, FileKey, TextMap, Vector};
use super::stats_read;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Partition, Pieces};

/// A live file. There may be millions: what few files have takes room in those alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LiveFile {
    /// The normalised place: shared with the plain files made from it.
    pub(super) location: Location,
    /// Bytes.
    pub(super) size: u64,
    /// Milliseconds since 1970-01-01.
    pub(super) modification_time: i64,
    pub(super) stats: Stats,
    rare: Option<Box<Rare>>,
    /// As many bytes at the end of the place are the path as the log has it, unless the path is among what is rare.
    end: u32,
    /// Number of the partition among those of the live files.
    pub(super) partition: u32,
}

/// What few files have.
#[derive(Debug, Clone, Default, PartialEq)]
struct Rare {
    /// The path as the log has it, where the place does not end with it.
    path: Option<Box<str>>,
    vector: Option<Box<Vector>>,
    extra: Option<Box<Extra>>,
}

/// What is kept of a file's statistics; in as little room as a text takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stats {
    /// All, as the log has them.
    Whole(Box<str>),
    /// One more than the rows of the file; `None` where the log does not say how many they are.
    Rows(Option<NonZero<u64>>),
}

impl Stats {
    fn new(text: Option<Box<str>>, whole: bool) -> Self {
        match text {
            Some(text) if whole => Self::Whole(text),
            text => Self::Rows(text.as_deref().and_then(stats_read::rows).and_then(|rows| NonZero::new(rows.checked_add(1)?))),
        }
    }
}

impl LiveFile {
    /// The path exactly as the log has it.
    pub(super) fn path(&self) -> &str {
        let spelled = self.rare.as_ref().and_then(|rare| rare.path.as_deref());
        spelled.unwrap_or_else(|| self.location.end(self.end))
    }

    /// Its deletion vector.
    pub(super) fn vector(&self) -> Option<&Vector> {
        self.rare.as_ref()?.vector.as_deref()
    }

    /// What else few files have.
    pub(super) fn extra(&self) -> Option<&Extra> {
        self.rare.as_ref()?.extra.as_deref()
    }

    /// The file's identity.
    pub(super) fn key(&self) -> FileKey {
        FileKey::new(&self.location, self.vector().map(Vector::id).as_deref())
    }

    /// The statistics as the log has them; `None` also where they were not kept.
    pub(super) fn stats(&self) -> Option<&str> {
        match &self.stats {
            Stats::Whole(text) => Some(text),
            Stats::Rows(_) => None,
        }
    }

    /// Rows stored in the file, where the log says so.
    pub(super) fn rows(&self) -> Option<u64> {
        match &self.stats {
            Stats::Whole(text) => stats_read::rows(text),
            Stats::Rows(rows) => rows.map(|rows| rows.get() - 1),
        }
    }

    pub(super) fn tags(&self) -> Option<&TextMap> {
        self.extra()?.tags.as_ref()
    }

    pub(super) fn base_row_id(&self) -> Option<i64> {
        self.extra()?.base_row_id
    }

    pub(super) fn default_row_commit_version(&self) -> Option<i64> {
        self.extra()?.default_row_commit_version
    }

    pub(super) fn clustering_provider(&self) -> Option<&str> {
        self.extra()?.clustering_provider.as_deref()
    }
}

/// Live files, with one copy of the partition values of each partition.
#[derive(Debug)]
pub(super) struct LiveFiles {
    files: Pieces<LiveFile>,
    values: Vec<Arc<TextMap>>,
    numbers: HashMap<Arc<TextMap>, u32>,
    index: OnceLock<HashMap<FileKey, usize>>,
    whole_stats: bool,
}

impl LiveFiles {
    /// No files; of those to come, statistics are kept or just how many rows they count.
    pub(super) fn new(whole_stats: bool) -> Self {
        Self { files: Pieces::default(), values: Vec::new(), numbers: HashMap::new(), index: OnceLock::new(), whole_stats }
    }

    /// Adds the file at `location`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for more partitions than can be numbered.
    pub(super) fn push(&mut self, add: Add, location: Location) -> Result<()> {
        let partition = self.partition(add.partition_values.map_or_else(TextMap::default, |values| *values))?;
        let end = location.ends_with(&add.path);
        let path = if end.is_some() { None } else { Some(add.path) };
        let rare = Rare { path, vector: add.deletion_vector, extra: add.extra };
        self.files.push(LiveFile {
            location,
            size: add.size,
            modification_time: add.modification_time,
            stats: Stats::new(add.stats, self.whole_stats),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            end: end.unwrap_or_default(),
            partition,
        });
        Ok(())
    }

    /// The number of the partition with `values`.
    fn partition(&mut self, values: TextMap) -> Result<u32> {
        if let Some(number) = self.numbers.get(&values) {
            return Ok(*number);
        }
        let number = u32::try_from(self.values.len()).map_err(|_| Error::unsupported("the table has too many partitions"))?;
        let values = Arc::new(values);
        self.values.push(Arc::clone(&values));
        self.numbers.insert(values, number);
        Ok(number)
    }

    /// The files, newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LiveFile> + Clone {
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
        self.values.get(file.partition as usize).map_or(&NONE, |values| values)
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
