//! How new files of a table are to be written, from its properties (Iceberg documentation, "Table properties").

use std::sync::Arc;

use serde_json::Value as Json;

use super::features;
use super::metadata::Metadata;
use super::reshape;

use crate::error::{Error, Result};
use crate::formats::{Defaults, OutputWishes};
use crate::location::Location;
use crate::model::{Codec, FieldMatching, MappedName, OutputSpec, Partition, RowIdColumns, Tolerated};
use crate::units::Bytes;

/// Field id of `_row_id` (Iceberg spec, "Reserved Field IDs").
const ROW_ID: i32 = 2_147_483_540;
/// Field id of `_last_updated_sequence_number`.
const LAST_UPDATED: i32 = 2_147_483_539;

/// A property that is a number; nonsense is the user's to mend.
fn number(metadata: &Metadata, key: &str, default: u64) -> Result<u64> {
    match metadata.properties.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| Error::usage(format!("the table property {key} is no number")).about("value", text)),
    }
}

/// Sizing and retry defaults; properties that are no numbers are as good as absent here.
pub(crate) fn defaults(metadata: &Metadata) -> Defaults {
    let number = |key, default| number(metadata, key, default).unwrap_or(default);
    Defaults {
        target_file_size: Bytes(number("write.target-file-size-bytes", Bytes::mib(512).0)),
        commit_attempts: u32::try_from(number("commit.retry.num-retries", 4).saturating_add(1)).unwrap_or(u32::MAX),
        min_wait_ms: number("commit.retry.min-wait-ms", 100),
        max_wait_ms: number("commit.retry.max-wait-ms", 60_000),
        total_wait_ms: number("commit.retry.total-timeout-ms", 1_800_000),
    }
}

/// How columns of data files are recognised.
///
/// # Errors
///
/// `Corrupt` for a name mapping that cannot be understood.
pub(crate) fn matching(metadata: &Metadata) -> Result<FieldMatching> {
    Ok(FieldMatching::FieldIds { names: name_mapping(metadata)? })
}

/// How files of `partition` are to be written.
///
/// # Errors
///
/// `Usage` for properties that make no sense, `Unsupported` for those we cannot honour.
pub(crate) fn output(metadata: &Arc<Metadata>, partition: &Arc<Partition>, wishes: &OutputWishes) -> Result<OutputSpec> {
    metadata.spec(partition.spec_id)?.understood()?;
    let routing = reshape::routing(metadata, partition)?;
    let size = |key, default: Bytes| number(metadata, key, default.0).map(Bytes);
    let row_ids = (metadata.format_version > 2).then(|| RowIdColumns {
        row_id: "_row_id".to_string(),
        row_id_field: Some(ROW_ID),
        sequence: "_last_updated_sequence_number".to_string(),
        sequence_field: Some(LAST_UPDATED),
    });
    Ok(OutputSpec {
        directory: if routing.is_some() { data_root(metadata)? } else { directory(metadata, partition)? },
        partition: Arc::clone(partition),
        routing,
        schema: features::stored(&metadata.schema)?,
        field_ids: true,
        tolerated: Tolerated { int96: true, shredded: true },
        calendars: false,
        matching: matching(metadata)?,
        row_ids,
        codec: wishes.codec.map_or_else(|| codec(metadata), Ok)?,
        target_file_size: wishes.target_file_size.map_or_else(|| size("write.target-file-size-bytes", Bytes::mib(512)), Ok)?,
        row_group_size: size("write.parquet.row-group-size-bytes", Bytes::mib(128))?,
        page_size: size("write.parquet.page-size-bytes", Bytes::mib(1))?,
        dictionary_size: size("write.parquet.dict-size-bytes", Bytes::mib(2))?,
        bloom_filters: bloom_filters(metadata),
        metadata: vec![("iceberg.schema".to_string(), metadata.schema_json.to_string())],
    })
}

fn hashes_paths(metadata: &Metadata) -> bool {
    metadata.properties.get("write.object-storage.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The folder below which data files are written: `write.data.path`, else the older names for it, else `data` below the table.
///
/// # Errors
///
/// `Corrupt` for a property that is no place.
pub(super) fn data_root(metadata: &Metadata) -> Result<Location> {
    let keys: &[&str] = if hashes_paths(metadata) {
        &["write.data.path", "write.object-storage.path", "write.folder-storage.path"]
    } else {
        &["write.data.path", "write.folder-storage.path"]
    };
    match keys.iter().find_map(|key| metadata.properties.get(*key)) {
        Some(path) => metadata.place(path),
        None => Ok(metadata.location.child("data")),
    }
}

/// The folder of `partition` below the data files' folder.
///
/// # Errors
///
/// As [`data_root`].
pub(super) fn directory(metadata: &Metadata, partition: &Partition) -> Result<Location> {
    let base = data_root(metadata)?;
    let objects = hashes_paths(metadata);
    let folder = metadata.spec(partition.spec_id)?.path(partition);
    let with_paths = !objects || metadata.properties.get("write.object-storage.partitioned-paths").is_none_or(|v| v != "false");
    if !objects {
        return Ok(if folder.is_empty() { base } else { base.child(&folder) });
    }
    // Object stores share load by key prefix: the partition decides the prefix, so that files of a group lie together.
    let hashed = base.child(&format!("{:08x}", crc32fast::hash(folder.as_bytes())));
    Ok(if folder.is_empty() || !with_paths { hashed } else { hashed.child(&folder) })
}

fn codec(metadata: &Metadata) -> Result<Codec> {
    let name = metadata.properties.get("write.parquet.compression-codec").map_or("zstd", String::as_str).to_ascii_lowercase();
    let key = "write.parquet.compression-level";
    let level = match metadata.properties.get(key).map(String::as_str) {
        None | Some("" | "null") => None,
        Some(text) => Some(text.trim().parse::<u32>().map_err(|_| Error::usage(format!("the table property {key} is no number")))?),
    };
    Ok(match name.as_str() {
        "uncompressed" | "none" => Codec::Uncompressed,
        "snappy" => Codec::Snappy,
        "gzip" => Codec::Gzip(level.unwrap_or(6).min(9)),
        "lz4" | "lz4_raw" | "lz4raw" => Codec::Lz4Raw,
        "brotli" => Codec::Brotli(level.unwrap_or(1).min(11)),
        "zstd" => Codec::Zstd(i32::try_from(level.unwrap_or(3)).unwrap_or(3).clamp(1, 22)),
        _ => {
            return Err(Error::unsupported(format!("the compression '{name}' (write.parquet.compression-codec) cannot be written"))
                .hint("choose one with --compression"));
        }
    })
}

fn bloom_filters(metadata: &Metadata) -> Vec<(String, f64)> {
    let columns = metadata.properties.iter().filter(|(_, value)| value.eq_ignore_ascii_case("true"));
    let columns = columns.filter_map(|(key, _)| key.strip_prefix("write.parquet.bloom-filter-enabled.column."));
    let chance = |column: &str| metadata.properties.get(&format!("write.parquet.bloom-filter-fpp.column.{column}"));
    columns
        .map(|column| {
            let wished = chance(column).and_then(|text| text.parse().ok()).filter(|fpp: &f64| *fpp > 0.0 && *fpp < 1.0);
            (column.to_string(), wished.unwrap_or(0.01))
        })
        .collect()
}

/// `schema.name-mapping.default` (Iceberg spec, "Column Projection" and "Name Mapping Serialization").
///
/// # Errors
///
/// `Corrupt` if it is damaged.
pub(super) fn name_mapping(metadata: &Metadata) -> Result<Option<Vec<MappedName>>> {
    let Some(text) = metadata.properties.get("schema.name-mapping.default") else { return Ok(None) };
    let wrong = || Error::corrupt("the table property schema.name-mapping.default is damaged").about("file", &metadata.file);
    let json: Json = serde_json::from_str(text).map_err(|e| wrong().because(e))?;
    mapped(&json, 0).map(Some).ok_or_else(wrong)
}

fn mapped(json: &Json, depth: usize) -> Option<Vec<MappedName>> {
    let one = |json: &Json| {
        let id = match json.get("field-id") {
            None | Some(Json::Null) => None,
            Some(id) => Some(i32::try_from(id.as_i64()?).ok()?),
        };
        let names = json.get("names").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_string)).collect();
        let fields = match json.get("fields") {
            Some(fields) if depth < 64 => mapped(fields, depth + 1)?,
            Some(_) => return None,
            None => Vec::new(),
        };
        Some(MappedName { id, names: names?, fields })
    };
    json.as_array()?.iter().map(one).collect()
}
