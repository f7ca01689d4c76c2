//! Rows of a Parquet checkpoint as actions (protocol, "Checkpoint Schema").

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde::de::DeserializeOwned;

use super::actions::{Add, Extra, Remove, TextMap, Vector};
use super::arrow_text;
use super::lines::Action;
use crate::error::{Error, Result};

/// Hands every action of `batch` to `each`.
///
/// # Errors
///
/// `Corrupt` where a required member is missing or has an impossible value.
pub(super) fn read(batch: &RecordBatch, each: &mut (dyn FnMut(Action) -> Result<()> + Send)) -> Result<()> {
    for (name, column) in batch.schema().fields().iter().map(|f| f.name().as_str()).zip(batch.columns()) {
        let Some(rows) = column.as_struct_opt() else { continue };
        match name {
            "add" => files(rows, |files, row| each(Action::Add(Box::new(files.add(row)?))))?,
            "remove" => files(rows, |files, row| each(Action::Remove(Box::new(files.remove(row)?))))?,
            "metaData" => by_text(rows, name, |action| each(Action::Metadata(action)))?,
            "protocol" => by_text(rows, name, |action| each(Action::Protocol(action)))?,
            "txn" => by_text(rows, name, |action| each(Action::Transaction(action)))?,
            "domainMetadata" => by_text(rows, name, |action| each(Action::Domain(action)))?,
            "sidecar" => by_text(rows, name, |action| each(Action::Sidecar(action)))?,
            _ => {}
        }
    }
    Ok(())
}

/// Rare actions take the way over their JSON text.
fn by_text<T: DeserializeOwned>(rows: &StructArray, name: &str, mut each: impl FnMut(T) -> Result<()>) -> Result<()> {
    for row in 0..rows.len() {
        if !is_action(rows, row) {
            continue;
        }
        let mut text = String::new();
        arrow_text::write(rows, row, &mut text)?;
        // The parser's words are left out: they may quote values.
        let action = serde_json::from_str(&text);
        each(action.map_err(|_| Error::corrupt("an action of a checkpoint lacks a required member").about("action", name))?)?;
    }
    Ok(())
}

/// Some writers store a struct of nulls in place of a null struct.
fn is_action(rows: &StructArray, row: usize) -> bool {
    rows.is_valid(row) && rows.columns().iter().any(|column| column.is_valid(row))
}

fn files(rows: &StructArray, mut each: impl FnMut(&Files, usize) -> Result<()>) -> Result<()> {
    let files = Files::new(rows)?;
    for row in 0..rows.len() {
        if rows.is_valid(row) && files.path.as_ref().is_some_and(|path| path.is_valid(row)) {
            each(&files, row)?;
        }
    }
    Ok(())
}

/// The columns of `add` or `remove`, brought to one type each.
struct Files {
    path: Option<ArrayRef>,
    partition_values: Option<ArrayRef>,
    size: Option<ArrayRef>,
    modification_time: Option<ArrayRef>,
    deletion_timestamp: Option<ArrayRef>,
    data_change: Option<ArrayRef>,
    extended: Option<ArrayRef>,
    stats: Option<ArrayRef>,
    stats_parsed: Option<ArrayRef>,
    tags: Option<ArrayRef>,
    base_row_id: Option<ArrayRef>,
    commit_version: Option<ArrayRef>,
    clustering_provider: Option<ArrayRef>,
    vector: Option<Vectors>,
}

struct Vectors {
    rows: StructArray,
    storage_type: Option<ArrayRef>,
    path: Option<ArrayRef>,
    offset: Option<ArrayRef>,
    size: Option<ArrayRef>,
    cardinality: Option<ArrayRef>,
}

fn column(rows: &StructArray, name: &str, ty: &DataType) -> Result<Option<ArrayRef>> {
    let Some(column) = rows.column_by_name(name) else { return Ok(None) };
    let cast =
        cast(column, ty).map_err(|e| Error::corrupt("a checkpoint has a column of the wrong type").about("column", name).because(e))?;
    Ok(Some(cast))
}

fn text(column: Option<&ArrayRef>, row: usize) -> Option<Box<str>> {
    column.filter(|c| c.is_valid(row)).map(|c| c.as_string::<i32>().value(row).into())
}

fn long(column: Option<&ArrayRef>, row: usize) -> Option<i64> {
    column.filter(|c| c.is_valid(row)).map(|c| c.as_primitive::<Int64Type>().value(row))
}

fn int(column: Option<&ArrayRef>, row: usize) -> Option<i32> {
    column.filter(|c| c.is_valid(row)).map(|c| c.as_primitive::<Int32Type>().value(row))
}

fn flag(column: Option<&ArrayRef>, row: usize) -> Option<bool> {
    column.filter(|c| c.is_valid(row)).map(|c| c.as_boolean().value(row))
}

fn missing(name: &'static str) -> Error {
    Error::corrupt("an action of a checkpoint lacks a required member").about("member", name)
}

fn map(column: Option<&ArrayRef>, row: usize) -> Result<Option<TextMap>> {
    let Some(map) = column.and_then(|c| c.as_map_opt()).filter(|map: &&MapArray| map.is_valid(row)) else { return Ok(None) };
    let entries = map.value(row);
    let as_text =
        |column: &ArrayRef| cast(column, &DataType::Utf8).map_err(|e| Error::corrupt("a map of a checkpoint holds no text").because(e));
    let [keys, values] = entries.columns() else { return Err(missing("key_value")) };
    let (keys, values) = (as_text(keys)?, as_text(values)?);
    let pairs = (0..entries.len()).map(|i| Ok((text(Some(&keys), i).ok_or_else(|| missing("key"))?, text(Some(&values), i))));
    Ok(Some(TextMap(pairs.collect::<Result<_>>()?)))
}

impl Files {
    fn new(rows: &StructArray) -> Result<Self> {
        let vector = match rows.column_by_name("deletionVector").and_then(|c| c.as_struct_opt()) {
            Some(vectors) => Some(Vectors::new(vectors)?),
            None => None,
        };
        Ok(Self {
            path: column(rows, "path", &DataType::Utf8)?,
            partition_values: rows.column_by_name("partitionValues").cloned(),
            size: column(rows, "size", &DataType::Int64)?,
            modification_time: column(rows, "modificationTime", &DataType::Int64)?,
            deletion_timestamp: column(rows, "deletionTimestamp", &DataType::Int64)?,
            data_change: column(rows, "dataChange", &DataType::Boolean)?,
            extended: column(rows, "extendedFileMetadata", &DataType::Boolean)?,
            stats: column(rows, "stats", &DataType::Utf8)?,
            stats_parsed: rows.column_by_name("stats_parsed").cloned(),
            tags: rows.column_by_name("tags").cloned(),
            base_row_id: column(rows, "baseRowId", &DataType::Int64)?,
            commit_version: column(rows, "defaultRowCommitVersion", &DataType::Int64)?,
            clustering_provider: column(rows, "clusteringProvider", &DataType::Utf8)?,
            vector,
        })
    }

    fn size(&self, row: usize) -> Result<Option<u64>> {
        let size = long(self.size.as_ref(), row);
        size.map(u64::try_from).transpose().map_err(|_| Error::corrupt("a checkpoint has a file of negative size"))
    }

    fn stats(&self, row: usize) -> Result<Option<Box<str>>> {
        if let Some(stats) = text(self.stats.as_ref(), row) {
            return Ok(Some(stats));
        }
        let Some(parsed) = self.stats_parsed.as_ref().filter(|c| c.is_valid(row)) else { return Ok(None) };
        let mut text = String::new();
        arrow_text::write(parsed, row, &mut text)?;
        Ok(Some(text.into()))
    }

    fn vector(&self, row: usize) -> Result<Option<Box<Vector>>> {
        self.vector.as_ref().map_or(Ok(None), |vectors| vectors.get(row))
    }

    fn add(&self, row: usize) -> Result<Add> {
        let extra = Extra {
            tags: map(self.tags.as_ref(), row)?,
            base_row_id: long(self.base_row_id.as_ref(), row),
            default_row_commit_version: long(self.commit_version.as_ref(), row),
            clustering_provider: text(self.clustering_provider.as_ref(), row),
        };
        Ok(Add {
            path: text(self.path.as_ref(), row).ok_or_else(|| missing("add.path"))?,
            partition_values: map(self.partition_values.as_ref(), row)?.map(Box::new),
            size: self.size(row)?.ok_or_else(|| missing("add.size"))?,
            modification_time: long(self.modification_time.as_ref(), row).unwrap_or_default(),
            stats: self.stats(row)?,
            deletion_vector: self.vector(row)?,
            extra: extra.boxed(),
        })
    }

    fn remove(&self, row: usize) -> Result<Remove> {
        Ok(Remove {
            path: text(self.path.as_ref(), row).ok_or_else(|| missing("remove.path"))?,
            deletion_timestamp: long(self.deletion_timestamp.as_ref(), row),
            data_change: flag(self.data_change.as_ref(), row).unwrap_or_default(),
            extended_file_metadata: flag(self.extended.as_ref(), row),
            partition_values: map(self.partition_values.as_ref(), row)?,
            size: self.size(row)?,
            tags: map(self.tags.as_ref(), row)?.map(Box::new),
            deletion_vector: self.vector(row)?,
            base_row_id: long(self.base_row_id.as_ref(), row),
            default_row_commit_version: long(self.commit_version.as_ref(), row),
        })
    }
}

impl Vectors {
    fn new(rows: &StructArray) -> Result<Self> {
        Ok(Self {
            rows: rows.clone(),
            storage_type: column(rows, "storageType", &DataType::Utf8)?,
            path: column(rows, "pathOrInlineDv", &DataType::Utf8)?,
            offset: column(rows, "offset", &DataType::Int32)?,
            size: column(rows, "sizeInBytes", &DataType::Int32)?,
            cardinality: column(rows, "cardinality", &DataType::Int64)?,
        })
    }

    fn get(&self, row: usize) -> Result<Option<Box<Vector>>> {
        let Some(storage_type) = text(self.storage_type.as_ref(), row).filter(|_| self.rows.is_valid(row)) else { return Ok(None) };
        let number = |value: i64, name| u32::try_from(value).map_err(|_| missing(name));
        let size = int(self.size.as_ref(), row).ok_or_else(|| missing("deletionVector.sizeInBytes"))?;
        let cardinality = long(self.cardinality.as_ref(), row).and_then(|rows| u64::try_from(rows).ok());
        let offset = int(self.offset.as_ref(), row).map(|offset| number(i64::from(offset), "deletionVector.offset")).transpose()?;
        Ok(Some(Box::new(Vector {
            storage_type,
            path_or_inline_dv: text(self.path.as_ref(), row).ok_or_else(|| missing("deletionVector.pathOrInlineDv"))?,
            offset,
            size_in_bytes: number(i64::from(size), "deletionVector.sizeInBytes")?,
            cardinality: cardinality.ok_or_else(|| missing("deletionVector.cardinality"))?,
        })))
    }
}
