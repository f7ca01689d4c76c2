//! Entries of manifests that different writers wrote become entries of one: the same values under one schema.
//!
//! Fields of the specification are put where it has them; fields that it does not have are kept behind them. What an entry inherited is written out.

use serde_json::{Value as Json, json};

use super::avro::{Datum, RecordShape, Shape, encode};
use super::manifest::{Entry, FileContent, ManifestReader};
use super::manifest_list::Content;
use super::manifest_schema as schema;
use super::spec::Spec;
use super::values;
use crate::error::{Error, Result};
use crate::model::Partition;

/// What tables of format version 1 must say of every file, and nobody reads.
const BLOCK_SIZE: i64 = 64 << 20;

/// The schema that manifests of one spec and kind are brought to.
#[derive(Debug)]
pub(super) struct Merger {
    version: u8,
    own: Shape,
    schema: Json,
    extras_of_entries: Vec<Json>,
    extras_of_files: Vec<Json>,
}

/// The finished schema.
#[derive(Debug)]
pub(super) struct Merged {
    version: u8,
    pub(super) schema: Json,
    shape: Shape,
    entry: Vec<String>,
    file: Vec<String>,
}

/// Where a manifest has the values of each field.
#[derive(Debug)]
pub(super) struct Mapping {
    entry: Vec<Option<usize>>,
    file: Vec<Option<usize>>,
    data_file: usize,
}

fn unlike(field: &str) -> Error {
    Error::unsupported("a manifest has a field of another form than the specification gives it: manifests are not merged")
        .about("field", field)
}

fn no_manifest() -> Error {
    Error::corrupt("a manifest's schema is no manifest's")
}

fn fields(schema: &Json) -> &[Json] {
    schema.get("fields").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn name(field: &Json) -> &str {
    field.get("name").and_then(Json::as_str).unwrap_or_default()
}

/// The record of data files within a schema of entries.
fn data_file(schema: &Json) -> Option<&Json> {
    let ty = fields(schema).iter().find(|field| name(field) == "data_file")?.get("type")?;
    match ty {
        Json::Array(branches) => branches.iter().find(|branch| branch.is_object()),
        other => Some(other),
    }
}

impl Merger {
    /// The schema of the specification for `spec`.
    ///
    /// # Errors
    ///
    /// `Bug` if it is no schema.
    pub(super) fn new(spec: &Spec, version: u8, content: Content) -> Result<Self> {
        let schema = if content == Content::Data { schema::entries(spec, version) } else { schema::delete_entries(spec, version) };
        let own = Shape::parse(&schema)?;
        Ok(Self { version, own, schema, extras_of_entries: Vec::new(), extras_of_files: Vec::new() })
    }

    /// Takes the schema of one manifest into account.
    ///
    /// # Errors
    ///
    /// `Unsupported` naming a field that has another form than in the specification, or than in another manifest.
    pub(super) fn admit(&mut self, reader: &ManifestReader) -> Result<()> {
        let (own, theirs) = (self.own.record().ok_or_else(no_manifest)?, reader.shape().record().ok_or_else(no_manifest)?);
        compare(own, theirs, "data_file")?;
        let file =
            |shape: &RecordShape| shape.fields.iter().find(|(name, _)| name == "data_file").and_then(|(_, shape)| shape.record().cloned());
        let (own, theirs) = (file(own).ok_or_else(no_manifest)?, file(theirs).ok_or_else(no_manifest)?);
        compare(&own, &theirs, "partition")?;
        let written = reader.schema();
        note(&mut self.extras_of_entries, fields(written), fields(&self.schema))?;
        let (known, found) = (data_file(&self.schema).ok_or_else(no_manifest)?, data_file(written).ok_or_else(no_manifest)?);
        note(&mut self.extras_of_files, fields(found), fields(known))
    }

    /// The schema that holds all that was admitted.
    ///
    /// # Errors
    ///
    /// `Unsupported` if fields of different manifests cannot stand side by side.
    pub(super) fn finish(self) -> Result<Merged> {
        let Self { version, mut schema, extras_of_entries, extras_of_files, .. } = self;
        let entries = schema.get_mut("fields").and_then(Json::as_array_mut).ok_or_else(no_manifest)?;
        let file = entries.iter_mut().find(|field| name(field) == "data_file").and_then(|field| field.get_mut("type"));
        let files = file.and_then(|file| file.get_mut("fields")).and_then(Json::as_array_mut).ok_or_else(no_manifest)?;
        files.extend(extras_of_files);
        entries.extend(extras_of_entries);
        let unlike = |error: Error| Error::unsupported("fields of different manifests cannot stand side by side").because(error);
        let shape = Shape::parse(&schema).map_err(unlike)?;
        let names = |listed: &[Json]| listed.iter().map(|field| name(field).to_string()).collect::<Vec<_>>();
        let (entry, file) = (names(fields(&schema)), names(data_file(&schema).map(fields).unwrap_or_default()));
        Ok(Merged { version, schema, shape, entry, file })
    }
}

/// Whether the fields that both records have hold the same kind of values; `skipped` is looked at elsewhere.
fn compare(own: &RecordShape, theirs: &RecordShape, skipped: &str) -> Result<()> {
    for (name, shape) in own.fields.iter().filter(|(name, _)| name != skipped) {
        if let Some((_, other)) = theirs.fields.iter().find(|(other, _)| other == name)
            && !agrees(shape, other)
        {
            return Err(unlike(name));
        }
    }
    Ok(())
}

/// The shape without null; `None` if it may be of several.
fn core(shape: &Shape) -> Option<&Shape> {
    match shape {
        Shape::Union(branches) => {
            let mut others = branches.iter().filter(|branch| !matches!(branch, Shape::Null));
            others.next().filter(|_| others.next().is_none()).and_then(core)
        }
        other => Some(other),
    }
}

fn agrees(own: &Shape, theirs: &Shape) -> bool {
    match (core(own), core(theirs)) {
        // Some writers have numbers of columns as long; writing them as int looks at their range.
        (Some(Shape::Int | Shape::Long), Some(Shape::Int | Shape::Long)) => true,
        (Some(Shape::Boolean), Some(Shape::Boolean))
        | (Some(Shape::Float), Some(Shape::Float))
        | (Some(Shape::Double), Some(Shape::Double))
        | (Some(Shape::Bytes), Some(Shape::Bytes))
        | (Some(Shape::String), Some(Shape::String)) => true,
        (Some(Shape::Fixed(a)), Some(Shape::Fixed(b))) => a == b,
        (Some(Shape::Array(a)), Some(Shape::Array(b))) | (Some(Shape::Map(a)), Some(Shape::Map(b))) => agrees(a, b),
        (Some(Shape::Record(a)), Some(Shape::Record(b))) => {
            a.fields.len() == b.fields.len() && a.fields.iter().zip(&b.fields).all(|((n, a), (m, b))| n == m && agrees(a, b))
        }
        _ => false,
    }
}

/// Notes the fields of `found` that neither the specification has (`known`) nor `extras` do.
fn note(extras: &mut Vec<Json>, found: &[Json], known: &[Json]) -> Result<()> {
    for field in found.iter().filter(|field| known.iter().all(|known| name(known) != name(field))) {
        let id = field.get("field-id");
        if id.is_some_and(|id| known.iter().any(|known| known.get("field-id") == Some(id))) {
            return Err(unlike(name(field)));
        }
        let extra = optional(field);
        match extras.iter().find(|known| name(known) == name(field)) {
            None => extras.push(extra),
            Some(known) if known.get("type") == extra.get("type") => {}
            Some(_) => return Err(unlike(name(field))),
        }
    }
    Ok(())
}

/// The field as one that manifests may lack.
fn optional(field: &Json) -> Json {
    let branches = match field.get("type") {
        Some(Json::Array(branches)) => branches.iter().filter(|branch| *branch != "null").cloned().collect(),
        Some(other) => vec![other.clone()],
        None => Vec::new(),
    };
    let mut field = field.clone();
    field["type"] = std::iter::once(json!("null")).chain(branches).collect();
    field["default"] = Json::Null;
    field
}

impl Merged {
    /// Where `reader` has what the merged schema holds.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its schema is no manifest's.
    pub(super) fn mapping(&self, reader: &ManifestReader) -> Result<Mapping> {
        let record = reader.shape().record().ok_or_else(no_manifest)?;
        let data_file = record.index("data_file").ok_or_else(no_manifest)?;
        let file = record.fields.get(data_file).and_then(|(_, shape)| shape.record()).ok_or_else(no_manifest)?;
        let places = |names: &[String], shape: &RecordShape| names.iter().map(|name| shape.index(name)).collect();
        Ok(Mapping { entry: places(&self.entry, record), file: places(&self.file, file), data_file })
    }

    /// A live entry of `partition` (of `spec`) as the merged manifest holds it, as existing.
    ///
    /// # Errors
    ///
    /// `Bug` if it does not fit.
    pub(super) fn record(&self, mapping: &Mapping, entry: Entry, spec: &Spec, partition: &Partition) -> Result<Vec<u8>> {
        let misfit = || Error::bug("an entry does not fit its manifest's schema");
        let Entry { snapshot, sequence, file_sequence, content, first_row_id, raw, .. } = entry;
        let long = |value: Option<i64>| value.map_or(Datum::Null, Datum::Long);
        let Datum::Record(mut values) = raw else { return Err(misfit()) };
        let Datum::Record(mut file) = plain(take(&mut values, Some(mapping.data_file))) else { return Err(misfit()) };
        let of_file = |(name, at): (&String, &Option<usize>)| match name.as_str() {
            "content" => Datum::Long(match content {
                FileContent::Data => 0,
                FileContent::Positions => 1,
                FileContent::Equality => 2,
            }),
            "partition" => tuple(spec, partition),
            "first_row_id" if self.version > 2 && content == FileContent::Data => long(first_row_id),
            "block_size_in_bytes" if self.version == 1 && at.is_none() => Datum::Long(BLOCK_SIZE),
            _ => plain(take(&mut file, *at)),
        };
        let mut data_file = Some(Datum::Record(self.file.iter().zip(&mapping.file).map(of_file).collect()));
        let of_entry = |(name, at): (&String, &Option<usize>)| match name.as_str() {
            "status" => Datum::Long(0),
            "snapshot_id" => long(snapshot),
            "sequence_number" => Datum::Long(sequence),
            "file_sequence_number" => long(file_sequence.or(Some(sequence))),
            "data_file" => data_file.take().unwrap_or(Datum::Null),
            _ => plain(take(&mut values, *at)),
        };
        let record = Datum::Record(self.entry.iter().zip(&mapping.entry).map(of_entry).collect());
        let mut out = Vec::new();
        encode(&self.shape, &record, &mut out)?;
        Ok(out)
    }
}

fn take(values: &mut [Datum], at: Option<usize>) -> Datum {
    at.and_then(|at| values.get_mut(at)).map_or(Datum::Null, |value| std::mem::replace(value, Datum::Null))
}

/// The value without the unions in it: another schema may have their branches in another order.
fn plain(datum: Datum) -> Datum {
    match datum {
        Datum::Union(_, inner) => plain(*inner),
        Datum::Array(items) => Datum::Array(items.into_iter().map(plain).collect()),
        Datum::Record(values) => Datum::Record(values.into_iter().map(plain).collect()),
        Datum::Map(entries) => Datum::Map(entries.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        other => other,
    }
}

fn tuple(spec: &Spec, partition: &Partition) -> Datum {
    let values = spec.fields.iter().zip(&partition.fields);
    Datum::Record(values.map(|(field, value)| field.ty.map_or(Datum::Null, |ty| values::to_datum(value.value.as_ref(), ty))).collect())
}
