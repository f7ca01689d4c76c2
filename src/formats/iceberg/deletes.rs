//! Which deletes apply to which data file (Iceberg spec, "Scan Planning").
//!
//! Writers spell one place in several ways, also between manifests and delete files. A delete that names its data file is offered to every
//! file with that path, whatever the scheme and authority; [`super::row_deletes`] then decides, so that none is dropped silently.

use std::collections::HashMap;
use std::sync::Arc;

use super::avro::Datum;
use super::manifest::{Columns, Entry, FileContent};
use super::metadata::Metadata;
use super::spec::Interner;
use crate::error::Result;
use crate::location::Location;
use crate::model::{DeleteKind, DeleteRef};

/// Field id of the column with data files' paths in position-delete files (Iceberg spec, "Reserved Field IDs").
pub(crate) const PATH_COLUMN: i32 = 2_147_483_546;
/// Field id of the column with positions.
pub(crate) const POSITION_COLUMN: i32 = 2_147_483_545;

/// A live delete file, or one deletion vector of a file.
#[derive(Debug)]
pub(crate) struct DeleteFile {
    /// What the model calls it.
    pub(crate) reference: DeleteRef,
    /// Where it lies.
    pub(crate) location: Location,
    /// Bytes.
    pub(crate) size: u64,
    /// Its format's name.
    pub(crate) format: String,
    /// Deletes in it.
    pub(crate) records: u64,
    /// Its data sequence number.
    pub(crate) sequence: i64,
    /// The one data file it is for.
    pub(crate) target: Option<Location>,
    /// Where the vector starts in its file, and its bytes.
    pub(crate) blob: Option<(u64, u64)>,
    /// The columns that an equality delete compares.
    pub(crate) compared: Vec<i32>,
    /// The key of the partition it is for; `None` for all, and where it has a target.
    pub(crate) partition: Option<Arc<str>>,
    /// Bounds of the data files' paths.
    range: Option<(String, String)>,
}

/// The deletes of a snapshot, by what they may apply to.
#[derive(Debug, Default)]
pub(crate) struct DeleteIndex {
    files: Vec<DeleteFile>,
    by_key: HashMap<String, usize>,
    by_target: HashMap<String, Vec<usize>>,
    by_partition: HashMap<Arc<str>, Vec<usize>>,
    everywhere: Vec<usize>,
}

/// A data file, as far as deletes ask for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Where it lies.
    pub(crate) location: &'a Location,
    /// The same as the manifest spells it.
    pub(crate) path: &'a str,
    /// Its data sequence number.
    pub(crate) sequence: i64,
    /// Its partition's key.
    pub(crate) partition: &'a str,
}

/// What tells a delete file, or a vector in a file of several, from others.
pub(crate) fn key(entry: &Entry) -> String {
    match entry.blob.filter(|_| entry.format == "puffin") {
        Some((offset, _)) => format!("{}#{offset}", entry.path),
        None => entry.path.clone(),
    }
}

impl DeleteFile {
    /// Reads an entry of a delete manifest.
    ///
    /// # Errors
    ///
    /// As [`Metadata::place`].
    pub(crate) fn of(entry: &Entry, columns: &Columns, metadata: &Metadata) -> Result<Self> {
        let bound = |name| {
            let found = columns.pairs(entry, name).into_iter().find(|(id, _)| *id == PATH_COLUMN);
            found.and_then(|(_, value)| String::from_utf8(value.as_bytes()?.to_vec()).ok())
        };
        let is_vector = entry.format == "puffin";
        let range = bound("lower_bounds").zip(bound("upper_bounds"));
        // Equal bounds are the whole path: a shortened upper bound is always greater than a shortened lower one.
        let single = range.as_ref().filter(|(lower, upper)| lower == upper).map(|(lower, _)| lower.as_str());
        let target = match (entry.content, entry.referenced.as_deref().or(single)) {
            (FileContent::Positions, Some(path)) => Some(metadata.place(path)?),
            _ => None,
        };
        let kind = match entry.content {
            FileContent::Equality => DeleteKind::Equality,
            _ if is_vector => DeleteKind::Vector,
            _ => DeleteKind::Positions,
        };
        let rows = target.is_some().then_some(entry.records);
        let compared = columns.file_field(entry, "equality_ids").and_then(Datum::as_items).unwrap_or_default();
        Ok(Self {
            reference: DeleteRef { kind, key: key(entry), rows },
            location: metadata.place(&entry.path)?,
            size: entry.size,
            format: entry.format.clone(),
            records: entry.records,
            sequence: entry.sequence,
            target,
            blob: entry.blob,
            compared: compared.iter().filter_map(|id| i32::try_from(id.as_long()?).ok()).collect(),
            partition: None,
            range,
        })
    }

    /// Whether the bounds of its paths leave room for `path`. Only paths spelled alike can be compared.
    fn may_name(&self, path: &str) -> bool {
        let Some((lower, upper)) = &self.range else { return true };
        let root = |text: &str| {
            let authority = text.find("://").map_or(0, |at| at + 3);
            text.get(authority..).and_then(|rest| rest.find('/')).map(|at| text.get(..authority + at).map(str::to_string))
        };
        root(lower) != root(path) || root(upper) != root(path) || (lower.as_str() <= path && path <= upper.as_str())
    }
}

impl DeleteIndex {
    /// Adds the live delete file of `entry`.
    ///
    /// # Errors
    ///
    /// As [`DeleteFile::of`], and those of its partition.
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        columns: &Columns,
        metadata: &Metadata,
        spec_id: i32,
        interner: &mut Interner,
    ) -> Result<()> {
        let mut file = DeleteFile::of(entry, columns, metadata)?;
        let spec = metadata.spec(spec_id)?;
        let at = self.files.len();
        self.by_key.insert(file.reference.key.clone(), at);
        match (&file.target, file.reference.kind) {
            (Some(target), _) => self.by_target.entry(target.path().to_string()).or_default().push(at),
            (None, DeleteKind::Equality) if spec.is_unpartitioned() => self.everywhere.push(at),
            (None, _) => {
                let tuple: &[Datum] = columns.tuple(entry);
                let (_, key) = interner.partition(spec, tuple)?;
                file.partition = Some(Arc::clone(&key));
                self.by_partition.entry(key).or_default().push(at);
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// Whether nothing is deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The delete file called `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&DeleteFile> {
        self.files.get(*self.by_key.get(key)?)
    }

    /// Every delete file.
    pub(crate) fn files(&self) -> &[DeleteFile] {
        &self.files
    }

    /// The deletes that may apply to a data file.
    pub(crate) fn of(&self, target: Target<'_>) -> Vec<DeleteRef> {
        let named = self.by_target.get(target.location.path()).map(Vec::as_slice).unwrap_or_default();
        let partition = self.by_partition.get(target.partition).map(Vec::as_slice).unwrap_or_default();
        let candidates = named.iter().chain(partition).chain(&self.everywhere).filter_map(|at| self.files.get(*at));
        let applies = |file: &&DeleteFile| match file.reference.kind {
            DeleteKind::Equality => file.sequence > target.sequence,
            DeleteKind::Positions => file.sequence >= target.sequence && (file.target.is_some() || file.may_name(target.path)),
            DeleteKind::Vector => file.sequence >= target.sequence,
        };
        let mut found: Vec<DeleteRef> = candidates.filter(applies).map(|file| file.reference.clone()).collect();
        // A vector holds the deletes of all earlier position-delete files.
        if found.iter().any(|reference| reference.kind == DeleteKind::Vector) {
            found.retain(|reference| reference.kind != DeleteKind::Positions);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(kind: DeleteKind, key: &str, sequence: i64) -> DeleteFile {
        DeleteFile {
            reference: DeleteRef { kind, key: key.into(), rows: None },
            location: Location::parse("/t/d").unwrap(),
            size: 1,
            format: "parquet".into(),
            records: 1,
            sequence,
            target: None,
            blob: None,
            compared: Vec::new(),
            partition: None,
            range: None,
        }
    }

    fn index(files: Vec<(DeleteFile, Option<&str>)>) -> DeleteIndex {
        let mut index = DeleteIndex::default();
        for (at, (file, partition)) in files.into_iter().enumerate() {
            match (&file.target, partition) {
                (Some(target), _) => index.by_target.entry(target.path().to_string()).or_default().push(at),
                (None, Some(partition)) => index.by_partition.entry(partition.into()).or_default().push(at),
                (None, None) => index.everywhere.push(at),
            }
            index.files.push(file);
        }
        index
    }

    fn keys(index: &DeleteIndex, sequence: i64, partition: &str) -> Vec<String> {
        let location = Location::parse("/t/f").unwrap();
        let found = index.of(Target { location: &location, path: "/t/f", sequence, partition });
        found.into_iter().map(|reference| reference.key).collect()
    }

    #[test]
    fn positions_reach_files_as_old_as_themselves_and_equality_only_older_ones() {
        let index = index(vec![
            (delete(DeleteKind::Positions, "p", 5), Some("0/a")),
            (delete(DeleteKind::Equality, "e", 5), Some("0/a")),
            (delete(DeleteKind::Equality, "g", 5), None),
        ]);
        assert_eq!(keys(&index, 5, "0/a"), ["p"]);
        assert_eq!(keys(&index, 4, "0/a"), ["p", "e", "g"]);
        assert_eq!(keys(&index, 4, "0/b"), ["g"]);
        assert_eq!(keys(&index, 6, "0/a"), Vec::<String>::new());
    }

    #[test]
    fn a_vector_takes_the_place_of_position_files() {
        let mut vector = delete(DeleteKind::Vector, "v", 5);
        vector.target = Some(Location::parse("hdfs://h/t/f").unwrap());
        let index = index(vec![(delete(DeleteKind::Positions, "p", 5), Some("0")), (vector, None)]);
        assert_eq!(keys(&index, 5, "0"), ["v"]);
        assert_eq!(keys(&index, 6, "0"), Vec::<String>::new());
    }

    #[test]
    fn bounds_rule_out_only_paths_that_are_spelled_alike() {
        let mut file = delete(DeleteKind::Positions, "p", 5);
        file.range = Some(("s3://b/t/c".into(), "s3://b/t/e".into()));
        assert!(file.may_name("s3://b/t/d") && file.may_name("s3a://b/t/x") && file.may_name("/t/x"));
        assert!(!file.may_name("s3://b/t/f") && !file.may_name("s3://b/t/a"));
    }
}
