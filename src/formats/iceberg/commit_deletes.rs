//! What a commit means for deletes: which have been applied, and which delete files go with their data files.

use std::collections::HashSet;

use super::commit::{Replace, Wanted, conflict};
use super::dangling;
use super::deletes::{DeleteFile, DeleteIndex};
use super::manifest::{Entry, FileContent, Status};
use super::manifest_list::{Content, ManifestFile};
use super::metadata::SnapshotView;
use super::spec::partition_key;
use crate::error::Result;
use crate::location::Location;
use crate::model::{DataFile, DeleteKind};

impl<'a> Replace<'a> {
    /// The sequence number up to which equality deletes were applied to what replaces `group` when it was planned: that of the snapshot it was
    /// planned on, if that had any. Deletes up to there need not apply again, all later ones do.
    pub(super) fn applied_until(&self, group: usize, index: &DeleteIndex, (planned, now): (&DataFile, &DataFile)) -> Result<i64> {
        let equality = |file: &'a DataFile| file.deletes.iter().any(|delete| delete.kind == DeleteKind::Equality);
        let planned_any = self.change.groups.get(group).is_some_and(|group| group.removes.iter().any(equality));
        let base = self.change.base.filter(|_| planned_any).and_then(|base| self.metadata.snapshot(base.0));
        let Some(until) = base.and_then(SnapshotView::sequence) else { return Ok(0) };
        let came_later = now.deletes.iter().filter(|delete| delete.kind == DeleteKind::Equality && !planned.deletes.contains(delete));
        // A delete may come late and yet have an old number, if the table was set to another branch of its history.
        match came_later.filter_map(|delete| index.get(&delete.key)).find(|delete| delete.sequence <= until) {
            Some(delete) => Err(conflict().about("file", &now.location).about("delete_file", &delete.location)),
            None => Ok(until),
        }
    }

    /// Writes the delete manifests again that hold deletes of removed files alone (or, if asked, of no live file). Returns all delete manifests.
    ///
    /// Files of positions that were applied and do not say which data file they are for are looked into: those that name no file that stays would
    /// else count as deletes of the new ones, and the next run would find these worth rewriting.
    pub(super) async fn remove_deletes(
        &mut self,
        listed: &[ManifestFile],
        wanted: &Wanted<'a>,
        sequences: &[i64],
    ) -> Result<Vec<ManifestFile>> {
        let index = self.scan.deletes().await?;
        let belongs = |target: &Option<Location>| target.as_ref().is_some_and(|target| wanted.contains_key(target));
        let mut dead: HashSet<String> =
            index.files().iter().filter(|file| belongs(&file.target)).map(|file| file.reference.key.clone()).collect();
        let applied: HashSet<&str> = self.applied_positions().collect();
        let is_in_doubt = |file: &&DeleteFile| match file.reference.kind {
            _ if self.change.drop_dangling_deletes => true,
            DeleteKind::Positions => file.target.is_none() && applied.contains(file.reference.key.as_str()),
            DeleteKind::Vector | DeleteKind::Equality => false,
        };
        let in_doubt: Vec<&DeleteFile> = index.files().iter().filter(is_in_doubt).collect();
        if !in_doubt.is_empty() {
            let new = self.change.groups.iter().zip(sequences);
            let new = new.flat_map(|(group, sequence)| group.adds.iter().map(|file| (partition_key(&file.partition), *sequence)));
            dead.extend(dangling::find(self.scan, &in_doubt, &|place: &Location| wanted.contains_key(place), new.collect()).await?);
        }
        self.drop_deletes(listed, &dead).await
    }

    /// Files of positions that applied to files which go.
    fn applied_positions(&self) -> impl Iterator<Item = &str> {
        let removed = self.change.groups.iter().flat_map(|group| &group.removes);
        let deletes = removed.flat_map(|file| file.deletes.iter());
        deletes.filter(|delete| delete.kind == DeleteKind::Positions).map(|delete| delete.key.as_str())
    }

    /// Writes the delete manifests again that hold deletes with these keys. Returns all delete manifests.
    pub(super) async fn drop_deletes(&mut self, listed: &[ManifestFile], dead: &HashSet<String>) -> Result<Vec<ManifestFile>> {
        let mut out = Vec::new();
        for manifest in listed.iter().filter(|manifest| manifest.content == Content::Deletes && !manifest.is_dead()) {
            if dead.is_empty() {
                out.push(self.complete(manifest).await?);
                continue;
            }
            let mut gone: HashSet<usize> = HashSet::new();
            for (at, entry) in self.scan.open(manifest).await?.enumerate() {
                let entry = entry?;
                if entry.status != Status::Deleted && dead.contains(&super::deletes::key(&entry)) {
                    gone.insert(at);
                    self.tally_delete(&entry);
                }
            }
            out.push(if gone.is_empty() { self.complete(manifest).await? } else { self.rewrite(manifest, &gone).await? });
        }
        Ok(out)
    }

    fn tally_delete(&mut self, entry: &Entry) {
        let vector = (entry.format == "puffin").then_some(entry.blob).flatten();
        self.tally.removed_bytes += vector.map_or(entry.size, |(_, size)| size);
        if entry.content == FileContent::Equality {
            self.tally.removed_equality_files += 1;
            self.tally.removed_equality_deletes += entry.records;
            return;
        }
        self.tally.removed_vectors += u64::from(vector.is_some());
        self.tally.removed_position_files += u64::from(vector.is_none());
        self.tally.removed_positions += entry.records;
    }
}
