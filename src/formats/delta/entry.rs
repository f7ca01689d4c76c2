//! The bytes of a commit (protocol, "Actions").

use serde_json::{Map, Value as Json, json};

use super::actions::{Domain, FileKey, TextMap};
use super::commit_info::{Sizes, commit_info, commit_time};
use super::dv_write::VectorFiles;
use super::live::LiveFile;
use super::row_tracking::RowIds;
use super::stats_write::StatsWriter;
use super::version::DeltaVersion;
use super::{mark, path, row_tracking};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Change, DataFile, GroupChange, Intent, Marked, NewFile, OperationId, Version};
use crate::units::Timestamp;

/// The name of a commit in the log: part `part` of `operation`.
pub(super) fn txn_id(operation: &OperationId, part: u32) -> String {
    format!("{operation}-{part}")
}

/// What becomes of a change: the commit, and the files it depends on, which must be there first.
pub(super) struct Entry {
    /// The commit's actions, one a line.
    pub(super) bytes: Vec<u8>,
    /// New files of deletion vectors.
    pub(super) vectors: Vec<(Location, Vec<u8>)>,
}

/// The commit of `change` as version `next` on top of `base`.
///
/// # Errors
///
/// `Conflict` if a file to be removed or marked is not live in `base`; `Unsupported` or `Refused` if the table has a feature that the commit could
/// not keep.
pub(super) fn build(base: &DeltaVersion, change: &Change, now: Timestamp, next: Version) -> Result<Entry> {
    let time = commit_time(base, now)?;
    let ids = if row_tracking::assigns(base.state()) { Some(RowIds::after(base.state())?) } else { None };
    let vectors = VectorFiles::new(base.root(), &change.operation, change.part, next.0);
    let stats = base.stats_writer()?;
    let mut builder = Builder { base, now, next, stats, ids, vectors, sizes: Sizes::default(), lines: Lines::default() };
    match change.intent {
        Intent::Rearrange => change.groups.iter().try_for_each(|group| builder.rearrange(group))?,
        Intent::DeleteRows => {
            mark::check(base)?;
            base.state().files.with_stats()?;
            change.groups.iter().flat_map(|group| &group.marks).try_for_each(|marked| builder.mark(marked))?;
        }
    }
    let mut lines = Lines::default();
    lines.line("commitInfo", commit_info(base, change, now, time, &builder.sizes))?;
    lines.bytes.append(&mut builder.lines.bytes);
    if let Some(ids) = builder.ids.filter(|_| !builder.sizes.added.is_empty()) {
        lines.line("domainMetadata", domain(&ids.domain()?))?;
    }
    Ok(Entry { bytes: lines.bytes, vectors: builder.vectors.finish() })
}

struct Builder<'a> {
    base: &'a DeltaVersion,
    now: Timestamp,
    next: Version,
    stats: StatsWriter<'a>,
    ids: Option<RowIds>,
    vectors: VectorFiles<'a>,
    sizes: Sizes,
    lines: Lines,
}

impl Builder<'_> {
    fn rearrange(&mut self, group: &GroupChange) -> Result<()> {
        let mut values = None;
        for removed in &group.removes {
            let gone = live(self.base, removed)?;
            values.get_or_insert_with(|| self.base.state().files.values(gone));
            self.sizes.remove(gone);
            self.lines.line("remove", remove(self.base.state().files.values(gone), gone, self.now, false)?)?;
        }
        let values = values.ok_or_else(|| Error::bug("a group replaces no file"))?;
        for added in &group.adds {
            self.sizes.added.push(added.size.0);
            let add = self.add(added, values)?;
            self.lines.line("add", add)?;
        }
        Ok(())
    }

    /// Removes the file as it was and adds it with its new vector, or not at all where no row is left.
    fn mark(&mut self, marked: &Marked) -> Result<()> {
        let file = live(self.base, &marked.file)?;
        let values = self.base.state().files.values(file);
        let stored = marked.file.rows.ok_or_else(|| {
            Error::unsupported("rows of a file cannot be marked as deleted: the log does not say how many it has")
                .about("file", file.path())
        })?;
        let before = file.vector().map_or(0, |vector| vector.cardinality);
        self.sizes.deleted_rows = self.sizes.deleted_rows.saturating_add(marked.deleted.len().saturating_sub(before));
        self.sizes.vectors += u64::from(file.vector().is_some());
        self.lines.line("remove", remove(values, file, self.now, true)?)?;
        if marked.deleted.len() >= stored {
            self.sizes.removed.push(file.size);
            return Ok(());
        }
        self.sizes.vectors_added += 1;
        let vector = self.vectors.add(&marked.deleted)?;
        let stats = mark::stats(file.stats(), stored).map_err(|error| error.about("file", file.path()))?;
        self.lines.line("add", mark::add_again(values, file, Some(&vector), Some(&stats))?)
    }

    fn add(&mut self, file: &NewFile, values: &TextMap) -> Result<Map<String, Json>> {
        let mut out = Map::new();
        out.insert("path".into(), json!(path::spell(self.base.root(), &file.location)));
        out.insert("partitionValues".into(), to_json(values)?);
        out.insert("size".into(), json!(file.size.0));
        out.insert("modificationTime".into(), json!(self.now.0));
        out.insert("dataChange".into(), json!(false));
        out.insert("stats".into(), json!(self.stats.write(file)?));
        if let Some(ids) = &mut self.ids {
            out.insert("baseRowId".into(), json!(ids.take(file.rows)?));
            out.insert("defaultRowCommitVersion".into(), json!(self.next.0));
        }
        Ok(out)
    }
}

/// The add of `file` in `base`, if it is live there with the same deletes.
///
/// # Errors
///
/// `Conflict` if it is not.
fn live<'a>(base: &'a DeltaVersion, file: &DataFile) -> Result<&'a LiveFile> {
    let found = base.state().files.find(key(file));
    found.ok_or_else(|| Error::conflict("a file to be replaced is no longer live").about("file", &file.location))
}

/// The identity of a model file among those of the log.
pub(super) fn key(file: &DataFile) -> FileKey {
    FileKey::new(&file.location, file.deletes.first().map(|delete| delete.key.as_str()))
}

/// Whether every file that `group` replaces or marks is live in `base`, with the deletes it was planned with.
///
/// # Errors
///
/// `Corrupt` for a log that cannot be understood.
pub(super) fn is_live(base: &DeltaVersion, group: &GroupChange) -> Result<bool> {
    for file in group.removes.iter().chain(group.marks.iter().map(|marked| &marked.file)) {
        if base.state().files.find(key(file)).is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Actions as a commit has them, one a line.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
}

impl Lines {
    /// Adds the action `name`.
    ///
    /// # Errors
    ///
    /// `Bug` if JSON cannot hold it.
    pub(super) fn line(&mut self, name: &str, action: Map<String, Json>) -> Result<()> {
        let line = Json::Object(Map::from_iter([(name.to_string(), Json::Object(action))]));
        serde_json::to_writer(&mut self.bytes, &line).map_err(|e| Error::bug("an action cannot be written").because(e))?;
        self.bytes.push(b'\n');
        Ok(())
    }
}

/// `value` as JSON.
///
/// # Errors
///
/// `Bug` if JSON cannot hold it.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Json> {
    serde_json::to_value(value).map_err(|e| Error::bug("an action cannot be written").because(e))
}

/// Removes `add`: everything that names the file is repeated byte for byte.
pub(super) fn remove(values: &TextMap, add: &LiveFile, now: Timestamp, data_change: bool) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    out.insert("path".into(), json!(add.path()));
    out.insert("deletionTimestamp".into(), json!(now.0));
    out.insert("dataChange".into(), json!(data_change));
    out.insert("extendedFileMetadata".into(), json!(true));
    out.insert("partitionValues".into(), to_json(values)?);
    out.insert("size".into(), json!(add.size));
    if let Some(tags) = add.tags() {
        out.insert("tags".into(), to_json(tags)?);
    }
    if let Some(vector) = add.vector() {
        out.insert("deletionVector".into(), to_json(vector)?);
    }
    if let Some(id) = add.base_row_id() {
        out.insert("baseRowId".into(), json!(id));
    }
    if let Some(version) = add.default_row_commit_version() {
        out.insert("defaultRowCommitVersion".into(), json!(version));
    }
    Ok(out)
}

/// The members of a domain's action.
pub(super) fn domain(domain: &Domain) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("domain".into(), json!(domain.domain));
    out.insert("configuration".into(), json!(domain.configuration));
    out.insert("removed".into(), json!(domain.removed));
    out
}
