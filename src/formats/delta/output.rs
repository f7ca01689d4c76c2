//! How new files of a table are to be written.

use std::sync::Arc;

use super::replay::State;
use super::schema::Mapping;
use super::{compat, partition, row_tracking, settings};
use crate::error::Result;
use crate::formats::OutputWishes;
use crate::location::Location;
use crate::model::{Codec, Field, FieldMatching, OutputSpec, Partition, Schema, Tolerated};
use crate::units::Bytes;

/// Spark's and delta-rs's own target for compaction is 1 GiB and 100 MiB; this lies between.
pub(super) const TARGET_FILE_SIZE: Bytes = Bytes::mib(512);

/// The columns that data files hold: all but the partition columns.
pub(super) fn stored<'a>(schema: &'a Schema, partition_columns: &[String]) -> Vec<&'a Field> {
    schema.fields.iter().filter(|field| !partition_columns.contains(&field.name)).collect()
}

/// Whether data files hold the partition columns, too: a feature demands it, or the table asks for it.
pub(super) fn materialises(state: &State) -> bool {
    state.protocol.writes("materializePartitionColumns")
        || compat::is_on(state)
        || settings::on(&state.metadata.configuration, "delta.writePartitionColumnsToParquet")
}

/// How columns are found in data files.
pub(super) fn matching(mapping: Mapping) -> FieldMatching {
    if mapping == Mapping::Id { FieldMatching::OwnFieldIds } else { FieldMatching::PhysicalNames }
}

/// The specification for files of `partition`.
///
/// # Errors
///
/// `Usage` or `Unsupported` for a property that cannot be followed or a partition value that cannot be stored, `Corrupt` for a partition column
/// that is not in the schema.
pub(super) fn spec(
    root: &Location,
    state: &State,
    schema: &Schema,
    partition: &Arc<Partition>,
    wishes: &OutputWishes,
) -> Result<OutputSpec> {
    let metadata = &state.metadata;
    let mapping = state.mapping()?;
    let codec = match wishes.codec {
        Some(codec) => codec,
        None => settings::codec(&metadata.configuration)?.unwrap_or(Codec::Zstd(3)),
    };
    let target = match wishes.target_file_size {
        Some(size) => size,
        None => settings::target_file_size(&metadata.configuration)?.unwrap_or(TARGET_FILE_SIZE),
    };
    let columns = partition::columns(schema, &metadata.partition_columns)?;
    let mut fields = stored(schema, &metadata.partition_columns);
    let mut partition = Arc::clone(partition);
    let directory = partition::directory(root, &partition, &columns);
    if materialises(state) {
        fields.extend(&columns);
        partition = Arc::new(partition::with_constants(&partition, &columns)?);
    }
    let shredded = settings::on(&metadata.configuration, "delta.enableVariantShredding");
    Ok(OutputSpec {
        directory,
        partition,
        routing: None,
        schema: Schema { fields: fields.into_iter().cloned().collect() },
        field_ids: mapping != Mapping::None,
        matching: matching(mapping),
        tolerated: Tolerated { int96: !compat::is_on(state), shredded },
        calendars: true,
        row_ids: row_tracking::columns(state)?,
        codec,
        target_file_size: target,
        row_group_size: Bytes::mib(128),
        page_size: Bytes::mib(1),
        dictionary_size: Bytes::mib(1),
        bloom_filters: Vec::new(),
        metadata: Vec::new(),
    })
}
