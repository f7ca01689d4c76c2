//! Writing manifests: entries of new files, and entries of old ones with all they had.

use std::sync::Arc;

use bytes::Bytes as Buffer;
use serde_json::Value as Json;

use super::avro::{Datum, Writer};
use super::delete_files::NewDeletes;
use super::manifest::{Entry, FileContent, ManifestReader, Status};
use super::manifest_list::{Content, FieldSummary, ManifestFile};
use super::manifest_schema as schema;
use super::manifest_summary::Summary;
use super::spec::Spec;
use super::stats::Modes;
use super::values;
use crate::error::{Error, Result};
use crate::model::{NewFile, Partition, digest};

/// What is the same for every manifest of a commit.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// The table's format version.
    pub(crate) version: u8,
    /// The new snapshot.
    pub(crate) snapshot: i64,
    /// Its sequence number (0 in format version 1).
    pub(crate) sequence: i64,
    /// Avro compression.
    pub(crate) codec: String,
}

/// A manifest being written.
pub(crate) struct ManifestWriter {
    commit: Commit,
    spec: Arc<Spec>,
    content: Content,
    writer: Writer,
    files: [i64; 3],
    rows: [i64; 3],
    min_sequence: Option<i64>,
    summary: Vec<Summary>,
}

impl std::fmt::Debug for ManifestWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestWriter").field("spec", &self.spec.id).field("files", &self.files).finish_non_exhaustive()
    }
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::bug("a count is out of range"))
}

impl ManifestWriter {
    /// A manifest for new data files of `spec`; `table_schema` is the table's current schema in JSON.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the spec's values cannot be written.
    pub(crate) fn for_added(commit: &Commit, spec: &Arc<Spec>, table_schema: &Json) -> Result<Self> {
        Self::for_new(commit, spec, table_schema, Content::Data)
    }

    /// A manifest for new delete files, as [`Self::for_added`].
    ///
    /// # Errors
    ///
    /// `Unsupported` if the spec's values cannot be written.
    pub(crate) fn for_added_deletes(commit: &Commit, spec: &Arc<Spec>, table_schema: &Json) -> Result<Self> {
        Self::for_new(commit, spec, table_schema, Content::Deletes)
    }

    fn for_new(commit: &Commit, spec: &Arc<Spec>, table_schema: &Json, content: Content) -> Result<Self> {
        spec.understood()?;
        let schema_id = table_schema.get("schema-id").and_then(Json::as_i64).unwrap_or(0);
        let text = |key: &str, value: String| (key.to_string(), value.into_bytes());
        let mut header = vec![
            text("schema", table_schema.to_string()),
            text("schema-id", schema_id.to_string()),
            text("partition-spec", spec.json.to_string()),
            text("partition-spec-id", spec.id.to_string()),
            text("format-version", commit.version.to_string()),
        ];
        if commit.version > 1 {
            header.push(text("content", content.as_str().to_string()));
        }
        let schema =
            if content == Content::Data { schema::entries(spec, commit.version) } else { schema::delete_entries(spec, commit.version) };
        Self::start(commit, spec, content, &schema, &header)
    }

    /// A manifest that takes the entries of `old` over. Fields that the table's format version needs and the old manifest has not are added.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the old manifest's schema is no manifest's.
    pub(crate) fn for_rewritten(commit: &Commit, spec: &Arc<Spec>, old: &ManifestReader, content: Content) -> Result<Self> {
        let schema = widened(old, commit.version)?;
        Self::for_taken_over(commit, spec, content, &schema, old.header())
    }

    /// A manifest of `schema` for entries that others had, with what `header` says of the table.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the schema is none.
    pub(crate) fn for_taken_over(
        commit: &Commit,
        spec: &Arc<Spec>,
        content: Content,
        schema: &Json,
        header: &[(String, Vec<u8>)],
    ) -> Result<Self> {
        let mut header = header.to_vec();
        let mut set = |key: &str, value: String| match header.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value.into_bytes(),
            None => header.push((key.to_string(), value.into_bytes())),
        };
        set("format-version", commit.version.to_string());
        set("partition-spec-id", spec.id.to_string());
        if commit.version > 1 {
            set("content", content.as_str().to_string());
        }
        Self::start(commit, spec, content, schema, &header)
    }

    fn start(commit: &Commit, spec: &Arc<Spec>, content: Content, schema: &Json, header: &[(String, Vec<u8>)]) -> Result<Self> {
        let writer = Writer::new(schema, &commit.codec, header, digest(&[&commit.snapshot.to_string(), &spec.id.to_string()]))?;
        let summary = vec![Summary::default(); spec.fields.len()];
        Ok(Self {
            commit: commit.clone(),
            spec: Arc::clone(spec),
            content,
            writer,
            files: [0; 3],
            rows: [0; 3],
            min_sequence: None,
            summary,
        })
    }

    /// Bytes so far.
    pub(crate) const fn written(&self) -> usize {
        self.writer.written()
    }

    /// Adds a new data file; `path` is how the table spells its place, `sequence` its data sequence number.
    ///
    /// # Errors
    ///
    /// `Bug` if the file's partition does not fit the spec.
    pub(crate) fn add(&mut self, file: &NewFile, path: &str, modes: &Modes, sequence: i64) -> Result<()> {
        let record = self.added(file, path, modes, sequence)?;
        self.writer.append(&record)?;
        self.count(Status::Added, signed(file.rows)?, sequence, Some(&file.partition))
    }

    /// Adds a new delete file, whose data sequence number is that of the commit.
    ///
    /// # Errors
    ///
    /// `Bug` if the file's partition does not fit the spec.
    pub(crate) fn add_deletes(&mut self, file: &NewDeletes) -> Result<()> {
        let snapshot = Datum::Long(self.commit.snapshot);
        let record = file.record(self.commit.version, self.tuple(&file.partition)?)?;
        self.writer.append(&Datum::Record(vec![Datum::Long(1), snapshot, Datum::Null, Datum::Null, Datum::Record(record)]))?;
        self.count(Status::Added, signed(file.records)?, self.commit.sequence, Some(&file.partition))
    }

    fn tuple(&self, partition: &Partition) -> Result<Datum> {
        if partition.fields.len() != self.spec.fields.len() || partition.spec_id != self.spec.id {
            return Err(Error::bug("a new file's partition does not fit its spec").about("spec", self.spec.id));
        }
        let tuple = self.spec.fields.iter().zip(&partition.fields);
        let tuple = tuple.map(|(field, value)| field.ty.map_or(Datum::Null, |ty| values::to_datum(value.value.as_ref(), ty)));
        Ok(Datum::Record(tuple.collect()))
    }

    fn added(&self, file: &NewFile, path: &str, modes: &Modes, sequence: i64) -> Result<Datum> {
        let version = self.commit.version;
        let tuple = self.tuple(&file.partition)?;
        let mut record = Vec::new();
        if version > 1 {
            record.push(Datum::Long(0));
        }
        record.extend([Datum::Text(path.to_string()), Datum::Text("PARQUET".to_string()), tuple]);
        record.extend([Datum::Long(signed(file.rows)?), Datum::Long(signed(file.size.0)?)]);
        if version == 1 {
            // Required by the schema of format version 1, read by nobody; the specification fixes no value.
            record.push(Datum::Long(64 << 20));
        }
        record.extend(modes.metrics(&file.stats).maps);
        record.push(Datum::Null);
        let offsets: Vec<Datum> = file.split_offsets.iter().map(|offset| Datum::Long(*offset)).collect();
        record.push(if offsets.is_empty() { Datum::Null } else { Datum::Array(offsets) });
        if version > 1 {
            record.push(Datum::Null);
        }
        record.push(Datum::Long(0));
        if version > 2 {
            record.extend([Datum::Null, Datum::Null, Datum::Null, Datum::Null]);
        }
        let mut entry = vec![Datum::Long(1), Datum::Long(self.commit.snapshot)];
        if version > 1 {
            entry.extend([Datum::Long(sequence), Datum::Null]);
        }
        entry.push(Datum::Record(record));
        Ok(Datum::Record(entry))
    }

    /// Takes an entry over, as existing or as deleted by this commit.
    ///
    /// # Errors
    ///
    /// `Bug` if the entry does not fit the schema; as [`Spec::partition`].
    pub(crate) fn take_over(
        &mut self,
        entry: Entry,
        old: &super::manifest::Columns,
        deleted: bool,
        partition: Option<&Partition>,
    ) -> Result<()> {
        let status = if deleted { Status::Deleted } else { Status::Existing };
        let rows = signed(entry.records)?;
        let sequence = entry.sequence;
        let record = self.carried(entry, old, deleted)?;
        self.writer.append(&record)?;
        self.count(status, rows, sequence, partition)
    }

    /// Takes over a live entry of `rows` that is encoded for the manifest's schema.
    ///
    /// # Errors
    ///
    /// `Bug` if a count is out of range.
    pub(crate) fn take_over_encoded(&mut self, record: &[u8], rows: u64, sequence: i64, partition: &Partition) -> Result<()> {
        self.writer.append_encoded(record)?;
        self.count(Status::Existing, signed(rows)?, sequence, Some(partition))
    }

    /// Whether the manifest has `size` bytes. What is written counts packed.
    ///
    /// # Errors
    ///
    /// `Bug` if a block cannot be packed.
    pub(crate) fn is_full(&mut self, size: u64) -> Result<bool> {
        self.writer.reaches(size)
    }

    fn carried(&self, entry: Entry, old: &super::manifest::Columns, deleted: bool) -> Result<Datum> {
        let misfit = || Error::bug("an entry does not fit its manifest's schema");
        let Datum::Record(mut values) = entry.raw else { return Err(misfit()) };
        let long = |value: Option<i64>| value.map_or(Datum::Null, Datum::Long);
        let snapshot = if deleted { Some(self.commit.snapshot) } else { entry.snapshot };
        let file = values.get_mut(old.data_file).ok_or_else(misfit)?;
        let Datum::Record(fields) = unwrapped(file) else { return Err(misfit()) };
        if self.commit.version > 1 && old.content.is_none() {
            fields.push(Datum::Long(match entry.content {
                FileContent::Data => 0,
                FileContent::Positions => 1,
                FileContent::Equality => 2,
            }));
        }
        if self.commit.version > 2 && self.content == Content::Data {
            put(fields, old.first_row_id, long(entry.first_row_id));
        }
        put(&mut values, Some(old.status), Datum::Long(if deleted { 2 } else { 0 }));
        put(&mut values, old.snapshot, long(snapshot));
        if self.commit.version > 1 {
            put(&mut values, old.sequence, Datum::Long(entry.sequence));
            put(&mut values, old.file_sequence, long(entry.file_sequence.or(Some(entry.sequence))));
        }
        Ok(Datum::Record(values))
    }

    fn count(&mut self, status: Status, rows: i64, sequence: i64, partition: Option<&Partition>) -> Result<()> {
        let at = match status {
            Status::Added => 0,
            Status::Existing => 1,
            Status::Deleted => 2,
        };
        let over = || Error::bug("a count is out of range");
        for (count, by) in [(self.files.get_mut(at), 1), (self.rows.get_mut(at), rows)] {
            let count = count.ok_or_else(over)?;
            *count = count.checked_add(by).ok_or_else(over)?;
        }
        if status != Status::Deleted {
            self.min_sequence = Some(self.min_sequence.map_or(sequence, |least| least.min(sequence)));
        }
        for (summary, field) in self.summary.iter_mut().zip(partition.into_iter().flat_map(|partition| &partition.fields)) {
            summary.absorb(field.value.as_ref());
        }
        Ok(())
    }

    /// The finished manifest and what a manifest list says of it, save where it lies. `summaries` replace the own ones where partitions were not understood.
    ///
    /// # Errors
    ///
    /// `Bug` if it cannot be packed.
    pub(crate) fn finish(self, summaries: Option<&Option<Vec<FieldSummary>>>) -> Result<(Buffer, ManifestFile)> {
        let bytes = self.writer.finish()?;
        let own = || Some(self.summary.iter().map(Summary::finish).collect());
        let file = ManifestFile {
            path: String::new(),
            length: signed(bytes.len() as u64)?,
            spec_id: Some(self.spec.id),
            content: self.content,
            sequence: self.commit.sequence,
            min_sequence: self.min_sequence.unwrap_or(self.commit.sequence),
            added_snapshot: Some(self.commit.snapshot),
            files: self.files.map(Some),
            rows: self.rows.map(Some),
            partitions: summaries.map_or_else(own, Clone::clone),
            key_metadata: None,
            first_row_id: None,
        };
        Ok((bytes, file))
    }
}

fn unwrapped(datum: &mut Datum) -> &mut Datum {
    match datum {
        Datum::Union(_, inner) => unwrapped(inner),
        other => other,
    }
}

/// Sets a field that the old schema has, or appends one that [`widened`] has added.
fn put(values: &mut Vec<Datum>, at: Option<usize>, value: Datum) {
    match at.and_then(|at| values.get_mut(at)) {
        Some(place) => *place = value,
        None => values.push(value),
    }
}

/// The old manifest's schema with the fields that `version` needs, appended in the order in which [`ManifestWriter::carried`] appends values.
fn widened(old: &ManifestReader, version: u8) -> Result<Json> {
    let mut json = old.schema().clone();
    let columns = &old.columns;
    let fields = fields_of(&mut json)?;
    if columns.snapshot.is_none() {
        fields.push(schema::snapshot_id());
    }
    if version > 1 && columns.sequence.is_none() {
        fields.push(schema::sequence_number());
    }
    if version > 1 && columns.file_sequence.is_none() {
        fields.push(schema::file_sequence_number());
    }
    let wrong = || Error::corrupt("a manifest's schema has no data file");
    let file = fields.get_mut(columns.data_file).and_then(|field| field.get_mut("type")).ok_or_else(wrong)?;
    let file = match file {
        Json::Array(branches) => branches.iter_mut().find(|branch| branch.is_object()).ok_or_else(wrong)?,
        other => other,
    };
    let fields = fields_of(file)?;
    if version > 1 && columns.content.is_none() {
        fields.push(schema::content());
    }
    if version > 2 && columns.first_row_id.is_none() && old.content() == Content::Data {
        fields.push(schema::first_row_id());
    }
    Ok(json)
}

fn fields_of(json: &mut Json) -> Result<&mut Vec<Json>> {
    let fields = json.get_mut("fields").and_then(Json::as_array_mut);
    fields.ok_or_else(|| Error::corrupt("a manifest's schema is no record"))
}
