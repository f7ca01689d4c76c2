//! Actions as the columns of a checkpoint (protocol, "Checkpoint Schema").

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array, StringArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields};

use super::actions::{Domain, Metadata, Protocol, Remove, TextMap, Transaction, Vector};
use super::live::LiveFile;
use super::stats_columns::StatsColumns;

type Arrays = Result<ArrayRef, ArrowError>;

/// How statistics are kept.
#[derive(Debug)]
pub(super) struct StatsForm {
    /// Whether as text.
    pub(super) text: bool,
    /// As columns, where the table wants them.
    pub(super) columns: Option<StatsColumns>,
}

/// Live files with their partition values, and with their statistics in `form`.
pub(super) fn adds(rows: &[(&LiveFile, &TextMap)], form: &StatsForm) -> Arrays {
    let all = || rows.iter().map(|(add, _)| *add);
    let mut columns = vec![
        ("path", texts(all().map(|add| Some(add.path())))),
        ("partitionValues", maps(rows.iter().map(|(_, values)| Some(*values)))?),
        ("size", longs(all().map(|add| size(add.size)))),
        ("modificationTime", longs(all().map(|add| Some(add.modification_time)))),
        ("dataChange", flags(all().map(|_| Some(false)))),
        ("tags", maps(all().map(|add| add.tags()))?),
        ("deletionVector", vectors(&all().map(LiveFile::vector).collect::<Vec<_>>())?),
        ("baseRowId", longs(all().map(LiveFile::base_row_id))),
        ("defaultRowCommitVersion", longs(all().map(LiveFile::default_row_commit_version))),
        ("clusteringProvider", texts(all().map(|add| add.clustering_provider()))),
        ("stats", texts(all().map(|add| add.stats().filter(|_| form.text)))),
    ];
    if let Some(further) = &form.columns {
        columns.extend(further.arrays(rows)?);
    }
    structs(columns, None)
}

/// Files that are gone.
pub(super) fn removes(rows: &[&Remove]) -> Arrays {
    let all = || rows.iter().copied();
    structs(
        vec![
            ("path", texts(all().map(|remove| Some(&*remove.path)))),
            ("deletionTimestamp", longs(all().map(|remove| remove.deletion_timestamp))),
            ("dataChange", flags(all().map(|remove| Some(remove.data_change)))),
            ("extendedFileMetadata", flags(all().map(|remove| remove.extended_file_metadata))),
            ("partitionValues", maps(all().map(|remove| remove.partition_values.as_ref()))?),
            ("size", longs(all().map(|remove| remove.size.and_then(size)))),
            ("tags", maps(all().map(|remove| remove.tags.as_deref()))?),
            ("deletionVector", vectors(&all().map(|remove| remove.deletion_vector.as_deref()).collect::<Vec<_>>())?),
            ("baseRowId", longs(all().map(|remove| remove.base_row_id))),
            ("defaultRowCommitVersion", longs(all().map(|remove| remove.default_row_commit_version))),
        ],
        None,
    )
}

/// The table's metadata.
pub(super) fn metadata(rows: &[&Metadata]) -> Arrays {
    let all = || rows.iter().copied();
    let format = structs(
        vec![
            ("provider", texts(all().map(|m| Some(m.format.provider.as_str())))),
            ("options", maps(all().map(|m| Some(&m.format.options)))?),
        ],
        None,
    )?;
    structs(
        vec![
            ("id", texts(all().map(|m| Some(m.id.as_str())))),
            ("name", texts(all().map(|m| m.name.as_deref()))),
            ("description", texts(all().map(|m| m.description.as_deref()))),
            ("format", format),
            ("schemaString", texts(all().map(|m| Some(m.schema_string.as_str())))),
            ("partitionColumns", lists(all().map(|m| Some(m.partition_columns.as_slice())))),
            ("configuration", maps(all().map(|m| Some(&m.configuration)))?),
            ("createdTime", longs(all().map(|m| m.created_time))),
        ],
        None,
    )
}

/// The protocol.
pub(super) fn protocols(rows: &[&Protocol]) -> Arrays {
    let all = || rows.iter().copied();
    structs(
        vec![
            ("minReaderVersion", ints(all().map(|p| Some(p.min_reader_version)))),
            ("minWriterVersion", ints(all().map(|p| Some(p.min_writer_version)))),
            ("readerFeatures", lists(all().map(|p| p.reader_features.as_deref()))),
            ("writerFeatures", lists(all().map(|p| p.writer_features.as_deref()))),
        ],
        None,
    )
}

/// Application transactions.
pub(super) fn transactions(rows: &[&Transaction]) -> Arrays {
    let all = || rows.iter().copied();
    structs(
        vec![
            ("appId", texts(all().map(|t| Some(t.app_id.as_str())))),
            ("version", longs(all().map(|t| Some(t.version)))),
            ("lastUpdated", longs(all().map(|t| t.last_updated))),
        ],
        None,
    )
}

/// Domain metadata.
pub(super) fn domains(rows: &[&Domain]) -> Arrays {
    let all = || rows.iter().copied();
    structs(
        vec![
            ("domain", texts(all().map(|d| Some(d.domain.as_str())))),
            ("configuration", texts(all().map(|d| Some(d.configuration.as_str())))),
            ("removed", flags(all().map(|d| Some(d.removed)))),
        ],
        None,
    )
}

/// What makes a checkpoint a V2 checkpoint.
pub(super) fn checkpoint_metadata(versions: &[i64]) -> Arrays {
    structs(vec![("version", longs(versions.iter().copied().map(Some)))], None)
}

fn size(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn texts<'a>(rows: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(rows.collect::<StringArray>())
}

fn longs(rows: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(rows.collect::<Int64Array>())
}

fn ints(rows: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(rows.collect::<Int32Array>())
}

fn flags(rows: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(rows.collect::<BooleanArray>())
}

fn lists<'a>(rows: impl Iterator<Item = Option<&'a [String]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    for row in rows {
        row.unwrap_or_default().iter().for_each(|text| builder.values().append_value(text));
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

fn maps<'a>(rows: impl Iterator<Item = Option<&'a TextMap>>) -> Arrays {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, text) in row.map(|map| map.0.as_slice()).unwrap_or_default() {
            builder.keys().append_value(key);
            builder.values().append_option(text.as_deref());
        }
        builder.append(row.is_some())?;
    }
    Ok(Arc::new(builder.finish()))
}

fn vectors(rows: &[Option<&Vector>]) -> Arrays {
    let all = || rows.iter().copied();
    let number = |value: u32| i32::try_from(value).ok();
    structs(
        vec![
            ("storageType", texts(all().map(|v| v.map(|v| &*v.storage_type)))),
            ("pathOrInlineDv", texts(all().map(|v| v.map(|v| &*v.path_or_inline_dv)))),
            ("offset", ints(all().map(|v| v.and_then(|v| number(v.offset?))))),
            ("sizeInBytes", ints(all().map(|v| v.and_then(|v| number(v.size_in_bytes))))),
            ("cardinality", longs(all().map(|v| v.and_then(|v| size(v.cardinality))))),
        ],
        Some(all().map(|v| v.is_some()).collect()),
    )
}

fn structs(columns: Vec<(&str, ArrayRef)>, valid: Option<NullBuffer>) -> Arrays {
    let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, valid)?))
}
