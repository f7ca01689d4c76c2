//! Marking rows as deleted: a new snapshot with the same data files and more deletes (Iceberg spec, "Row-level Deletes").

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes as Buffer;
use roaring::RoaringTreemap;

use super::commit::{Replace, conflict};
use super::delete_files::{Form, NewDeletes, position_file};
use super::manifest::{FileContent, Status};
use super::manifest_list::{Content, ManifestFile};
use super::manifest_write::ManifestWriter;
use super::output::directory;
use super::scan::FileMaker;
use super::spec::partition_key;
use super::table::same_file;
use super::{puffin, row_deletes};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{DataFile, DeleteKind, Marked, RowDeletes};
use crate::store::Put;

/// Files of vectors are closed at about this size.
const VECTORS: usize = 64 << 20;

/// A data file with the positions to write for it, in the order of their partitions.
struct Marks {
    file: DataFile,
    positions: RoaringTreemap,
}

impl Replace<'_> {
    /// The manifests after rows were marked as deleted. In format version 3 a data file has one vector afterwards, which holds all its earlier
    /// position deletes; those that were for this file alone go.
    pub(super) async fn mark(&mut self, listed: &[ManifestFile]) -> Result<Vec<ManifestFile>> {
        if self.commit.version < 2 {
            return Err(Error::unsupported("tables of format version 1 cannot have deleted rows in files that stay"));
        }
        let mut after: Vec<ManifestFile> = Vec::new();
        for manifest in listed.iter().filter(|manifest| manifest.content == Content::Data && !manifest.is_dead()) {
            after.push(self.complete(manifest).await?);
        }
        let marks = self.marks(listed).await?;
        let partitions: HashSet<String> = marks.iter().map(|mark| partition_key(&mark.file.partition)).collect();
        self.tally.changed_partitions = partitions.len() as u64;
        let replaced = if self.commit.version > 2 { self.replaced_deletes(&marks).await? } else { HashSet::new() };
        let new = if self.commit.version > 2 { self.write_vectors(marks).await? } else { self.write_files(marks).await? };
        after.extend(self.delete_manifests(&new).await?);
        after.extend(self.drop_deletes(listed, &replaced).await?);
        Ok(after)
    }

    /// What is to be written for each file: all its deleted positions for a vector, the new ones for a file of positions.
    async fn marks(&self, listed: &[ManifestFile]) -> Result<Vec<Marks>> {
        let wanted: HashMap<&Location, &Marked> =
            self.change.groups.iter().flat_map(|group| &group.marks).map(|marked| (&marked.file.location, marked)).collect();
        let files = self.still_live(listed, &wanted).await?;
        let index = self.scan.deletes().await?;
        let deletes = row_deletes::read(self.scan, &index, &files).await?;
        let mut marks = Vec::with_capacity(files.len());
        for (file, deletes) in files.into_iter().zip(deletes) {
            let Some(marked) = wanted.get(&file.location) else { continue };
            let mut positions = RoaringTreemap::clone(&marked.deleted);
            let known = match &deletes {
                RowDeletes::None => None,
                RowDeletes::Positions(known) => Some(known),
                RowDeletes::Values(values) => Some(&values.positions),
            };
            match known {
                Some(known) if self.commit.version > 2 => positions |= &**known,
                Some(known) => positions -= &**known,
                None => {}
            }
            if !positions.is_empty() {
                marks.push(Marks { file, positions });
            }
        }
        if marks.is_empty() {
            return Err(Error::bug("a deletion of rows marks no rows that live"));
        }
        marks.sort_by(|a, b| {
            let key = |mark: &Marks| (mark.file.partition.spec_id, partition_key(&mark.file.partition));
            (key(a), &a.file.location).cmp(&(key(b), &b.file.location))
        });
        Ok(marks)
    }

    /// The files to be marked as they are now.
    async fn still_live(&self, listed: &[ManifestFile], wanted: &HashMap<&Location, &Marked>) -> Result<Vec<DataFile>> {
        let index = self.scan.deletes().await?;
        let specs: HashSet<i32> = wanted.values().map(|marked| marked.file.partition.spec_id).collect();
        let mut files: Vec<DataFile> = Vec::with_capacity(wanted.len());
        let mut found: HashSet<Location> = HashSet::new();
        for manifest in listed.iter().filter(|manifest| manifest.content == Content::Data && !manifest.is_dead()) {
            if manifest.spec_id.is_some_and(|spec| !specs.contains(&spec)) {
                continue;
            }
            let reader = self.scan.open(manifest).await?;
            let mut maker = FileMaker::new(self.metadata, Arc::clone(&index), reader.spec_id, false)?;
            let columns = reader.columns.clone();
            for entry in reader {
                let entry = entry?;
                if entry.status == Status::Deleted || entry.content != FileContent::Data {
                    continue;
                }
                let Some(marked) = wanted.get(&self.metadata.place(&entry.path)?) else { continue };
                let file = maker.file(&entry, &columns)?;
                if !same_file(&marked.file, &file) || !found.insert(file.location.clone()) {
                    return Err(conflict().about("file", &file.location));
                }
                files.push(file);
            }
        }
        if found.len() != wanted.len() {
            return Err(conflict().about("files_gone", wanted.len() - found.len()));
        }
        Ok(files)
    }

    /// Keys of deletes that the new vectors replace: vectors of these files, and files of positions for one of them alone.
    async fn replaced_deletes(&self, marks: &[Marks]) -> Result<HashSet<String>> {
        let index = self.scan.deletes().await?;
        let marked: HashSet<&Location> = marks.iter().map(|mark| &mark.file.location).collect();
        let applied = marks.iter().flat_map(|mark| mark.file.deletes.iter());
        let applied: HashSet<&str> =
            applied.filter(|delete| delete.kind != DeleteKind::Equality).map(|delete| delete.key.as_str()).collect();
        let alone = index.files().iter().filter(|file| file.reference.kind != DeleteKind::Equality).filter(|file| {
            // One that spells its data file in another way is known by having been applied.
            let vector = file.reference.kind == DeleteKind::Vector && applied.contains(file.reference.key.as_str());
            vector || file.target.as_ref().is_some_and(|target| marked.contains(target))
        });
        Ok(alone.map(|file| file.reference.key.clone()).collect())
    }

    async fn write_files(&mut self, marks: Vec<Marks>) -> Result<Vec<NewDeletes>> {
        let mut new = Vec::with_capacity(marks.len());
        for Marks { file, positions } in marks {
            let bytes = position_file(file.path(), &positions)?;
            let (size, records) = (bytes.len() as u64, positions.len());
            let folder = directory(self.metadata, &file.partition)?;
            let path = self.put_deletes(&folder, "parquet", bytes.into()).await?;
            self.tally.added_position_files += 1;
            self.tally.added_positions += records;
            self.tally.added_bytes += size;
            let form = Form::File(positions.min().unwrap_or_default(), positions.max().unwrap_or_default());
            new.push(NewDeletes { path, size, records, partition: Arc::clone(&file.partition), referenced: file.path().to_string(), form });
        }
        Ok(new)
    }

    async fn write_vectors(&mut self, marks: Vec<Marks>) -> Result<Vec<NewDeletes>> {
        let mut new = Vec::with_capacity(marks.len());
        let mut marks = marks.into_iter().peekable();
        while let Some(first) = marks.peek() {
            let folder = directory(self.metadata, &first.file.partition)?;
            let (mut writer, from) = (puffin::Writer::new(), new.len());
            while let Some(Marks { file, positions }) = marks.next_if(|_| writer.written() < VECTORS) {
                let (offset, length) = writer.add(file.path(), &positions)?;
                self.tally.added_vectors += 1;
                self.tally.added_positions += positions.len();
                self.tally.added_bytes += length;
                new.push(NewDeletes {
                    path: String::new(),
                    size: 0,
                    records: positions.len(),
                    partition: Arc::clone(&file.partition),
                    referenced: file.path().to_string(),
                    form: Form::Vector(offset, length),
                });
            }
            let bytes = writer.finish()?;
            let size = bytes.len() as u64;
            let path = self.put_deletes(&folder, "puffin", bytes.into()).await?;
            for deletes in new.iter_mut().skip(from) {
                deletes.path.clone_from(&path);
                deletes.size = size;
            }
        }
        Ok(new)
    }

    /// Writes a file of deletes below `folder`, as [`Self::put_manifest`].
    async fn put_deletes(&mut self, folder: &Location, extension: &str, bytes: Buffer) -> Result<String> {
        loop {
            let place = self.names.deletes(folder, extension);
            if self.scan.store.put_if_absent(&place, bytes.clone()).await? == Put::Created {
                self.written.push(place.clone());
                return Ok(self.metadata.spell(&place));
            }
        }
    }

    /// Writes manifests of new deletes, one a spec.
    async fn delete_manifests(&mut self, new: &[NewDeletes]) -> Result<Vec<ManifestFile>> {
        let mut open: BTreeMap<i32, ManifestWriter> = BTreeMap::new();
        for deletes in new {
            let spec = self.metadata.spec(deletes.partition.spec_id)?;
            let writer = match open.entry(spec.id) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(ManifestWriter::for_added_deletes(&self.commit, spec, &self.metadata.schema_json)?),
            };
            writer.add_deletes(deletes)?;
        }
        let mut out = Vec::with_capacity(open.len());
        for full in open.into_values() {
            out.push(self.close(full, None).await?);
        }
        Ok(out)
    }
}
