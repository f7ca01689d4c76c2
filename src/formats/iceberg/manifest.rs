//! Manifests: the entries of files, with what they inherit (Iceberg spec, "Manifests", "Inheritance").

use bytes::Bytes as Buffer;
use serde_json::Value as Json;

use super::avro::{Datum, Reader, RecordShape, Shape};
use super::manifest_list::{Content, ManifestFile};
use crate::error::{Error, Result};
use crate::location::Location;

/// What an entry says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// live, from an earlier snapshot
    Existing,
    /// live, new in this manifest's snapshot
    Added,
    /// gone since this manifest's snapshot
    Deleted,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileContent {
    /// rows
    Data,
    /// positions of deleted rows (or a deletion vector)
    Positions,
    /// values of deleted rows
    Equality,
}

/// Fields of data files that only statistics and reading need, and that take most of a manifest.
const STATISTICS: [&str; 7] =
    ["column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds", "split_offsets"];
/// Fields that say what and where a file is. Row counts are needed to tell row ids.
const OF_PLACES: [&str; 8] = [
    "content",
    "file_path",
    "file_format",
    "record_count",
    "file_size_in_bytes",
    "first_row_id",
    "content_offset",
    "content_size_in_bytes",
];

/// One entry, effective values in place of inherited ones. `raw` keeps the record as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it says of its file.
    pub(crate) status: Status,
    /// The snapshot it was added (or deleted) in.
    pub(crate) snapshot: Option<i64>,
    /// The data sequence number.
    pub(crate) sequence: i64,
    /// The file sequence number.
    pub(crate) file_sequence: Option<i64>,
    /// What the file holds.
    pub(crate) content: FileContent,
    /// Where it lies, as the manifest spells it.
    pub(crate) path: String,
    /// Its format's name, in lower case.
    pub(crate) format: String,
    /// Rows (for delete files: deletes).
    pub(crate) records: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// Effective first row id.
    pub(crate) first_row_id: Option<i64>,
    /// The data file that a delete file is for alone.
    pub(crate) referenced: Option<String>,
    /// Where a deletion vector starts in its file, and its bytes.
    pub(crate) blob: Option<(u64, u64)>,
    /// Whether the file is encrypted.
    pub(crate) encrypted: bool,
    /// The record.
    pub(crate) raw: Datum,
}

/// Where the fields of entries are.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) status: usize,
    pub(crate) snapshot: Option<usize>,
    pub(crate) sequence: Option<usize>,
    pub(crate) file_sequence: Option<usize>,
    pub(crate) data_file: usize,
    pub(crate) first_row_id: Option<usize>,
    file: std::sync::Arc<RecordShape>,
    pub(crate) content: Option<usize>,
    path: usize,
    format: usize,
    partition: Option<usize>,
    records: usize,
    size: usize,
    referenced: Option<usize>,
    offset: Option<usize>,
    length: Option<usize>,
    key_metadata: Option<usize>,
}

/// A manifest being read.
#[derive(Debug)]
pub(crate) struct ManifestReader {
    /// The spec of its entries.
    pub(crate) spec_id: i32,
    /// Where fields are.
    pub(crate) columns: Columns,
    reader: Reader,
    place: Location,
    content: Content,
    snapshot: Option<i64>,
    list_sequence: i64,
    next_row_id: Option<i64>,
}

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("a manifest is damaged: {what}"))
}

impl Columns {
    fn of(shape: &Shape) -> Result<Self> {
        let entry = shape.record().ok_or_else(|| wrong("not records"))?;
        let needed = |shape: &RecordShape, name: &str| shape.index(name).ok_or_else(|| wrong("a field is missing"));
        let data_file = needed(entry, "data_file")?;
        let file = entry.fields.get(data_file).and_then(|(_, shape)| shape.record()).ok_or_else(|| wrong("data_file is no record"))?;
        Ok(Self {
            status: needed(entry, "status")?,
            snapshot: entry.index("snapshot_id"),
            sequence: entry.index("sequence_number"),
            file_sequence: entry.index("file_sequence_number"),
            data_file,
            first_row_id: file.index("first_row_id"),
            content: file.index("content"),
            path: needed(file, "file_path")?,
            format: needed(file, "file_format")?,
            partition: file.index("partition"),
            records: needed(file, "record_count")?,
            size: needed(file, "file_size_in_bytes")?,
            referenced: file.index("referenced_data_file"),
            offset: file.index("content_offset"),
            length: file.index("content_size_in_bytes"),
            key_metadata: file.index("key_metadata"),
            file: std::sync::Arc::clone(file),
        })
    }

    /// The partition tuple of an entry.
    pub(crate) fn tuple<'a>(&self, entry: &'a Entry) -> &'a [Datum] {
        let file = entry.raw.as_record().and_then(|values| values.get(self.data_file)).and_then(Datum::as_record).unwrap_or_default();
        self.partition.and_then(|at| file.get(at)).and_then(Datum::as_record).unwrap_or_default()
    }

    /// The value of the data file's field `name` in an entry.
    pub(crate) fn file_field<'a>(&self, entry: &'a Entry, name: &str) -> Option<&'a Datum> {
        let file = entry.raw.as_record()?.get(self.data_file)?.as_record()?;
        file.get(self.file.index(name)?)
    }

    /// Keys and values of the data file's map `name` (an Avro array of pairs, or a true map) in an entry.
    pub(crate) fn pairs<'a>(&self, entry: &'a Entry, name: &str) -> Vec<(i32, &'a Datum)> {
        let items = self.file_field(entry, name).and_then(Datum::as_items).unwrap_or_default();
        let pair = |item: &'a Datum| match item.as_record()? {
            [key, value] => Some((i32::try_from(key.as_long()?).ok()?, value)),
            _ => None,
        };
        items.iter().filter_map(pair).collect()
    }
}

impl ManifestReader {
    /// Opens the manifest `bytes`, which lies at `place` and which its list describes as `listed`.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming the file; `Unsupported` for an encrypted one.
    pub(crate) fn open(bytes: &Buffer, place: &Location, listed: &ManifestFile) -> Result<Self> {
        if listed.key_metadata.is_some() {
            return Err(Error::unsupported("encrypted tables are not understood").about("file", place));
        }
        let reader = Reader::open(bytes, place)?;
        let text = |key: &str| reader.header(key).and_then(|value| std::str::from_utf8(value).ok());
        let spec_id = listed.spec_id.or_else(|| text("partition-spec-id")?.parse().ok()).unwrap_or(0);
        let content = if text("content") == Some("deletes") { Content::Deletes } else { listed.content };
        let columns = Columns::of(&reader.shape).map_err(|e| e.about("file", place))?;
        Ok(Self {
            spec_id,
            columns,
            reader,
            place: place.clone(),
            content,
            snapshot: listed.added_snapshot,
            list_sequence: listed.sequence,
            next_row_id: listed.first_row_id,
        })
    }

    /// The same without what only statistics need: counts and bounds of columns. Entries then tell everything but those.
    pub(crate) fn without_statistics(mut self) -> Self {
        self.reader.shape = self.reader.shape.narrowed("data_file", |name| !STATISTICS.contains(&name));
        self
    }

    /// The same without everything but what entries say of themselves, and what and where their files are.
    pub(crate) fn places_only(mut self) -> Self {
        self.reader.shape = self.reader.shape.narrowed("data_file", |name| OF_PLACES.contains(&name));
        self
    }

    /// The schema the manifest was written with.
    pub(crate) const fn schema(&self) -> &Json {
        &self.reader.schema
    }

    /// What its entries are.
    pub(crate) const fn content(&self) -> Content {
        self.content
    }

    /// How many bytes the last entry takes, unpacked.
    pub(crate) const fn entry_size(&self) -> usize {
        self.reader.record_size()
    }

    /// The shape of its records.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.reader.shape
    }

    /// Its header entries.
    pub(crate) fn header(&self) -> &[(String, Vec<u8>)] {
        &self.reader.header
    }

    fn entry(&mut self, raw: Datum) -> Result<Entry> {
        let c = &self.columns;
        let values = raw.as_record().unwrap_or_default();
        let file = values.get(c.data_file).and_then(Datum::as_record).ok_or_else(|| wrong("an entry has no file"))?;
        let of_entry = |at: Option<usize>| at.and_then(|at| values.get(at)).and_then(Datum::as_long);
        let of_file = |at: Option<usize>| at.and_then(|at| file.get(at)).and_then(Datum::as_long);
        let text = |at: usize| file.get(at).and_then(Datum::as_text).ok_or_else(|| wrong("a text is missing"));
        let count =
            |at: usize| of_file(Some(at)).and_then(|n| u64::try_from(n).ok()).ok_or_else(|| wrong("a count is missing or negative"));
        let status = match of_entry(Some(c.status)) {
            Some(0) => Status::Existing,
            Some(1) => Status::Added,
            Some(2) => Status::Deleted,
            _ => return Err(wrong("an entry has an unknown status")),
        };
        let content = match of_file(c.content) {
            None | Some(0) if self.content == Content::Data => FileContent::Data,
            Some(1) if self.content == Content::Deletes => FileContent::Positions,
            Some(2) if self.content == Content::Deletes => FileContent::Equality,
            _ => return Err(wrong("a file's content does not fit its manifest")),
        };
        let records = count(c.records)?;
        let inherits = |own: Option<i64>| match own {
            // Entries written before format version 2 have no sequence number, which means 0.
            None if status == Status::Added || self.list_sequence == 0 => Some(self.list_sequence),
            own => own,
        };
        let sequence = inherits(of_entry(c.sequence));
        let file_sequence = inherits(of_entry(c.file_sequence));
        let no_columns = c.sequence.is_none();
        let mut first_row_id = of_file(c.first_row_id);
        if content == FileContent::Data && status != Status::Deleted && first_row_id.is_none() {
            first_row_id = self.next_row_id;
            let rows = i64::try_from(records).map_err(|_| wrong("a row count is out of range"))?;
            self.next_row_id = self.next_row_id.and_then(|next| next.checked_add(rows));
        }
        let blob = of_file(c.offset).zip(of_file(c.length));
        let blob = blob.map(|(at, size)| Some((u64::try_from(at).ok()?, u64::try_from(size).ok()?)));
        Ok(Entry {
            status,
            snapshot: of_entry(c.snapshot).or(self.snapshot),
            sequence: sequence
                .or((no_columns || status == Status::Deleted).then_some(0))
                .ok_or_else(|| wrong("an entry has no sequence number"))?,
            file_sequence,
            content,
            path: text(c.path)?.to_string(),
            format: text(c.format)?.to_ascii_lowercase(),
            records,
            size: count(c.size)?,
            first_row_id,
            referenced: c.referenced.and_then(|at| file.get(at)).and_then(Datum::as_text).map(str::to_string),
            blob: blob.map(|blob| blob.ok_or_else(|| wrong("a deletion vector lies outside its file"))).transpose()?,
            encrypted: c.key_metadata.and_then(|at| file.get(at)).is_some_and(|key| !key.is_null()),
            raw,
        })
    }
}

impl Iterator for ManifestReader {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = self.reader.next()?;
        Some(raw.and_then(|raw| self.entry(raw).map_err(|e| e.about("file", &self.place))))
    }
}
