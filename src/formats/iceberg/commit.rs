//! Replacing files: a new snapshot with the same rows in other files.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes as Buffer;

use super::document::{self, NewSnapshot};
use super::manifest::{FileContent, ManifestReader, Status};
use super::manifest_list::{self, Content, FieldSummary, ListHeader, ManifestFile};
use super::manifest_write::{Commit, ManifestWriter};
use super::metadata::{Metadata, SnapshotView};
use super::names::Names;
use super::pointer::{NewMetadata, Swap};
use super::scan::{FileMaker, Scan};
use super::spec::{Interner, partition_key};
use super::stats::Modes;
use super::summary::{self, Tally};
use super::table::IcebergVersion;
use super::{complete, features, reshape};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Change, DataFile, Intent, OperationId, Version, digest};
use crate::store::Put;
use crate::units::Timestamp;

/// Manifests of new files are closed at about this size if the table does not say (`commit.manifest.target-size-bytes`).
const MANIFEST_SIZE: usize = 8 << 20;

/// Tries `change` once on top of `version`.
pub(crate) async fn offer(version: &IcebergVersion, change: &Change, now: Timestamp) -> Answer {
    let mut replace = match Replace::new(version, change) {
        Ok(replace) => replace,
        Err(error) => return Answer::Rejected(error),
    };
    let new = replace.prepare(now).await;
    conclude(version, replace, new).await
}

/// Puts what was prepared in place. What the attempt wrote is removed again where it can never land.
pub(super) async fn conclude(version: &IcebergVersion, replace: Replace<'_>, new: Result<NewMetadata>) -> Answer {
    let new = match new {
        Ok(new) => new,
        Err(error) => {
            version.scan.store.delete_all(replace.written).await;
            return Answer::Rejected(error);
        }
    };
    match version.pointer.swap(&version.scan.metadata.file, &new).await {
        Swap::Landed => Answer::Ours(Version(replace.commit.snapshot)),
        Swap::Unknown(error) => Answer::Silence(error),
        Swap::Taken => {
            version.scan.store.delete_all(replace.written).await;
            Answer::Taken
        }
        Swap::Rejected(error) => {
            version.scan.store.delete_all(replace.written).await;
            Answer::Rejected(error)
        }
    }
}

/// The version that part `part` of `operation` made, among all snapshots that are listed: one that was rolled back or lies on a branch was
/// made all the same. That there is none is certain only where the ancestors of the current snapshot lead back to `since`.
///
/// # Errors
///
/// `Unavailable` if they do not: what was made after `since` may have been expired or rolled back. `Corrupt` if the current snapshot is not listed.
pub(crate) fn find(metadata: &Metadata, operation: &OperationId, part: u32, since: Option<Version>) -> Result<Option<Version>> {
    let part = part.to_string();
    let is_ours = |snapshot: &SnapshotView<'_>| {
        snapshot.summary(summary::OPERATION_ID) == Some(&operation.0) && snapshot.summary(summary::OPERATION_PART) == Some(&part)
    };
    if let Some(ours) = metadata.snapshots().find(is_ours) {
        return Ok(ours.version());
    }
    match since {
        Some(since) if !leads_back_to(metadata, since)? => {
            Err(Error::unavailable("the table's history no longer leads back to the version the run began on").about("since", since))
        }
        _ => Ok(None),
    }
}

fn leads_back_to(metadata: &Metadata, version: Version) -> Result<bool> {
    let mut seen = HashSet::new();
    let mut next = metadata.current()?;
    while let Some(snapshot) = next {
        if snapshot.version() == Some(version) {
            return Ok(true);
        }
        next = if seen.insert(snapshot.id()) { snapshot.parent().and_then(|parent| metadata.snapshot(parent)) } else { None };
    }
    Ok(false)
}

/// One attempt at a replacement.
pub(super) struct Replace<'a> {
    pub(super) scan: &'a Scan,
    pub(super) metadata: &'a Metadata,
    pub(super) change: &'a Change,
    pub(super) parent: SnapshotView<'a>,
    pub(super) parent_id: i64,
    pub(super) commit: Commit,
    pub(super) names: Names,
    pub(super) tally: Tally,
    /// Places of what this attempt has written, for cleaning up.
    pub(super) written: Vec<Location>,
}

/// The files to remove, by place: group and file.
pub(super) type Wanted<'a> = HashMap<&'a Location, (usize, &'a DataFile)>;

impl<'a> Replace<'a> {
    /// An attempt on top of `version`.
    ///
    /// # Errors
    ///
    /// `Unsupported` or `Refused` for tables that we cannot change, `Conflict` where there is no snapshot.
    pub(super) fn new(version: &'a IcebergVersion, change: &'a Change) -> Result<Self> {
        let metadata: &Metadata = &version.scan.metadata;
        change.check()?;
        features::rewritable(metadata, version.pointer.opened_at())?;
        let parent = metadata.current()?.ok_or_else(conflict)?;
        let parent_id = parent.id().ok_or_else(conflict)?;
        let names = Names::new(change, &metadata.file, metadata.metadata_folder()?);
        let snapshot = names.snapshot_id(&metadata.file, |id| metadata.snapshot(id).is_some());
        let last = metadata.number("last-sequence-number").unwrap_or(0);
        let sequence = if metadata.format_version > 1 {
            last.checked_add(1).ok_or_else(|| Error::corrupt("sequence numbers are used up"))?
        } else {
            0
        };
        let codec = features::avro_codec(metadata)?.to_string();
        let commit = Commit { version: metadata.format_version, snapshot, sequence, codec };
        Ok(Self { scan: &version.scan, metadata, change, parent, parent_id, commit, names, tally: Tally::default(), written: Vec::new() })
    }

    /// Writes a manifest under a name that nothing has yet. Files of other attempts are neither replaced nor counted as written by this one:
    /// an earlier attempt may have landed, or may yet.
    pub(super) async fn put_manifest(&mut self, bytes: Buffer) -> Result<String> {
        loop {
            let place = self.names.manifest();
            if self.scan.store.put_if_absent(&place, bytes.clone()).await? == Put::Created {
                self.written.push(place.clone());
                return Ok(self.metadata.spell(&place));
            }
        }
    }

    /// Writes the manifest list, as [`Self::put_manifest`].
    async fn put_list(&mut self, bytes: Buffer) -> Result<String> {
        loop {
            let place = self.names.list(self.commit.snapshot);
            if self.scan.store.put_if_absent(&place, bytes.clone()).await? == Put::Created {
                self.written.push(place.clone());
                return Ok(self.metadata.spell(&place));
            }
        }
    }

    async fn prepare(&mut self, now: Timestamp) -> Result<NewMetadata> {
        let listed = self.scan.manifests().await?;
        let mut after = match self.change.intent {
            Intent::Rearrange => self.replace(&listed).await?,
            Intent::DeleteRows => self.mark(&listed).await?,
        };
        self.seal(&mut after, &[], now).await
    }

    /// Writes the manifest list of `after` and the metadata that names it; `told` goes into the summary.
    pub(super) async fn seal(&mut self, after: &mut [ManifestFile], told: &[(&str, u64)], now: Timestamp) -> Result<NewMetadata> {
        let rows = self.assign_row_ids(after)?;
        let sequence = self.commit.sequence;
        let header = ListHeader {
            format_version: self.commit.version,
            snapshot: self.commit.snapshot,
            parent: Some(self.parent_id),
            sequence,
            first_row_id: rows.map(|(first, _)| first),
        };
        let sync = digest(&[&self.commit.snapshot.to_string()]);
        let bytes = manifest_list::write(after, header, &self.commit.codec, sync)?;
        let mut summary = summary::summary(self.change.intent, &self.tally, self.parent, after, (&self.change.operation, self.change.part));
        for (key, count) in told {
            summary[*key] = count.to_string().into();
        }
        let snapshot = NewSnapshot {
            id: self.commit.snapshot,
            parent: self.parent_id,
            sequence,
            time: now.0.max(self.metadata.number("last-updated-ms").unwrap_or(now.0)),
            summary,
            manifest_list: self.put_list(bytes).await?,
            rows,
        };
        let doc = document::next(self.metadata, &snapshot)?;
        let gzip = document::is_packed(self.metadata);
        let new = NewMetadata {
            bytes: document::bytes(&self.metadata.doc, &doc, gzip)?,
            gzip,
            table_uuid: self.metadata.uuid().to_string(),
            folder: self.metadata.metadata_folder()?,
            operation: self.change.operation.clone(),
            part: self.change.part,
        };
        Ok(new)
    }

    /// The manifests after files were replaced by others.
    async fn replace(&mut self, listed: &[ManifestFile]) -> Result<Vec<ManifestFile>> {
        let wanted: Wanted<'a> = (0..)
            .zip(&self.change.groups)
            .flat_map(|(at, group)| group.removes.iter().map(move |file| (&file.location, (at, file))))
            .collect();
        let (kept, sequences) = self.remove_data(listed, &wanted).await?;
        let mut after = self.add(&sequences).await?;
        after.extend(kept);
        after.extend(self.remove_deletes(listed, &wanted, &sequences).await?);
        Ok(after)
    }

    /// Writes the data manifests that hold removed files again. Returns all data manifests, and the data sequence number that each group's new
    /// files get: the greatest of what they replace, so that every equality delete that came or comes after it applies to them too; that of
    /// [`Self::applied_until`], if it is greater; that of this commit where rows move to another spec.
    async fn remove_data(&mut self, listed: &[ManifestFile], wanted: &Wanted<'a>) -> Result<(Vec<ManifestFile>, Vec<i64>)> {
        let index = self.scan.deletes().await?;
        let specs: HashSet<i32> = wanted.values().map(|(_, file)| file.partition.spec_id).collect();
        let mut sequences = vec![0i64; self.change.groups.len()];
        let mut found: HashSet<Location> = HashSet::new();
        let adds = self.change.groups.iter().flat_map(|group| &group.adds);
        let mut partitions: HashSet<String> = adds.map(|file| partition_key(&file.partition)).collect();
        let mut out = Vec::new();
        // Manifests that only say what earlier snapshots deleted are not carried on.
        for manifest in listed.iter().filter(|manifest| manifest.content == Content::Data && !manifest.is_dead()) {
            if manifest.spec_id.is_some_and(|spec| !specs.contains(&spec)) {
                out.push(self.complete(manifest).await?);
                continue;
            }
            let reader = self.scan.open(manifest).await?;
            let mut maker = FileMaker::new(self.metadata, Arc::clone(&index), reader.spec_id, false)?;
            let columns = reader.columns.clone();
            let mut gone: HashSet<usize> = HashSet::new();
            for (at, entry) in reader.enumerate() {
                let entry = entry?;
                if entry.status == Status::Deleted || entry.content != FileContent::Data {
                    continue;
                }
                let Some((group, planned)) = wanted.get(&self.metadata.place(&entry.path)?) else { continue };
                let file = maker.file(&entry, &columns)?;
                let replaces = self.change.groups.get(*group).is_some_and(|group| reshape::still_replaces(group, planned, &file));
                if !replaces || !found.insert(file.location.clone()) {
                    return Err(conflict().about("file", &file.location));
                }
                let applied = self.applied_until(*group, &index, (planned, &file))?;
                if let Some(sequence) = sequences.get_mut(*group) {
                    *sequence = (*sequence).max(entry.sequence).max(applied);
                }
                self.tally.removed_files += 1;
                self.tally.removed_rows += entry.records;
                self.tally.removed_bytes += entry.size;
                partitions.insert(partition_key(&file.partition));
                gone.insert(at);
            }
            out.push(if gone.is_empty() { self.complete(manifest).await? } else { self.rewrite(manifest, &gone).await? });
        }
        if found.len() != wanted.len() {
            return Err(conflict().about("files_gone", wanted.len() - found.len()));
        }
        self.tally.changed_partitions = partitions.len() as u64;
        // Rows that move come among equality deletes that were never theirs: every one that is there already must be older than they.
        for (group, sequence) in self.change.groups.iter().zip(&mut sequences) {
            if reshape::moves(group) {
                *sequence = self.commit.sequence;
            }
        }
        Ok((out, sequences))
    }

    /// Writes `manifest` again with the entries at the places `gone` as deleted.
    pub(super) async fn rewrite(&mut self, manifest: &ManifestFile, gone: &HashSet<usize>) -> Result<ManifestFile> {
        let reader: ManifestReader = self.scan.open(manifest).await?;
        let spec = Arc::clone(self.metadata.spec(reader.spec_id)?);
        let understood = spec.understood().is_ok();
        let columns = reader.columns.clone();
        let mut writer = ManifestWriter::for_rewritten(&self.commit, &spec, &reader, manifest.content)?;
        let mut interner = Interner::default();
        for (at, entry) in reader.enumerate() {
            let entry = entry?;
            if entry.status == Status::Deleted {
                continue;
            }
            let partition = if understood { Some(interner.partition(&spec, columns.tuple(&entry))?.0) } else { None };
            writer.take_over(entry, &columns, gone.contains(&at), partition.as_deref())?;
        }
        let summaries = (!understood).then_some(&manifest.partitions);
        self.close(writer, summaries).await
    }

    /// A manifest that stays as it is, with everything the new list must say of it.
    pub(super) async fn complete(&self, manifest: &ManifestFile) -> Result<ManifestFile> {
        complete::complete(self.scan, manifest, self.parent_id).await
    }

    /// Writes manifests of the new files, at least one per spec.
    async fn add(&mut self, sequences: &[i64]) -> Result<Vec<ManifestFile>> {
        let properties = &self.metadata.properties;
        let modes = Modes::of(&self.metadata.schema, properties);
        let full_size = properties.get("commit.manifest.target-size-bytes").and_then(|size| size.parse().ok()).unwrap_or(MANIFEST_SIZE);
        let mut open: BTreeMap<i32, ManifestWriter> = BTreeMap::new();
        let mut out = Vec::new();
        let change = self.change;
        for (group, sequence) in change.groups.iter().zip(sequences) {
            for file in &group.adds {
                let spec = self.metadata.spec(file.partition.spec_id)?;
                let writer = match open.entry(spec.id) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(ManifestWriter::for_added(&self.commit, spec, &self.metadata.schema_json)?),
                };
                writer.add(file, &self.metadata.spell(&file.location), &modes, *sequence)?;
                self.tally.added_files += 1;
                self.tally.added_rows += file.rows;
                self.tally.added_bytes += file.size.0;
                if writer.written() >= full_size
                    && let Some(full) = open.remove(&spec.id)
                {
                    out.push(self.close(full, None).await?);
                }
            }
        }
        for full in open.into_values() {
            out.push(self.close(full, None).await?);
        }
        Ok(out)
    }

    pub(super) async fn close(&mut self, writer: ManifestWriter, summaries: Option<&Option<Vec<FieldSummary>>>) -> Result<ManifestFile> {
        let (bytes, file) = writer.finish(summaries)?;
        Ok(ManifestFile { path: self.put_manifest(bytes).await?, ..file })
    }

    /// Gives every data manifest without a first row id one (Iceberg spec, "First Row ID Assignment"). Returns the snapshot's first row id and
    /// how many it gives out.
    fn assign_row_ids(&self, manifests: &mut [ManifestFile]) -> Result<Option<(i64, i64)>> {
        if self.commit.version < 3 {
            return Ok(None);
        }
        let over = || Error::corrupt("row ids are used up");
        let first = self.metadata.number("next-row-id").ok_or_else(|| Error::corrupt("the metadata has no next row id"))?;
        let mut next = first;
        for manifest in manifests.iter_mut().filter(|manifest| manifest.content == Content::Data && manifest.first_row_id.is_none()) {
            manifest.first_row_id = Some(next);
            let rows = manifest.live_rows().ok_or_else(|| Error::bug("a manifest without counts"))?;
            next = next.checked_add(rows).ok_or_else(over)?;
        }
        Ok(Some((first, next - first)))
    }
}

/// What to say when another writer was first.
pub(super) fn conflict() -> Error {
    Error::conflict("files to be replaced have changed since they were read")
}
