//! Reading checkpoints: classic, in parts, and V2 in Parquet or JSON with sidecars (protocol, "Checkpoints", "V2 Spec").

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Schema as ArrowSchema, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type as Physical;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use percent_encoding::percent_decode_str;

use super::actions::Sidecar;
use super::lines::{self, Action};
use super::log::{self, Checkpoint};
use super::{checkpoint_rows, path};
use crate::error::{Error, Result};
use crate::formats::parquet_file::ParquetFile;
use crate::location::Location;
use crate::store::{Meta, Store};

/// What is read of a file.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Actions,
    Sidecars,
}

/// Who takes the actions.
type Sink<'a> = &'a mut (dyn FnMut(Action) -> Result<()> + Send);

/// Hands every action of `checkpoint` to `each`, sidecars included.
///
/// # Errors
///
/// `Corrupt` for a damaged file, `NotFound` for a missing sidecar, `Unavailable` if storage did not answer.
pub(super) async fn read(store: &Store, root: &Location, checkpoint: &Checkpoint, each: Sink<'_>) -> Result<()> {
    let mut sidecars: Vec<Sidecar> = Vec::new();
    for file in &checkpoint.files {
        let mut sort = |action| match action {
            Action::Sidecar(sidecar) => {
                sidecars.push(sidecar);
                Ok(())
            }
            other => each(other),
        };
        if file.location.name().ends_with(".json") {
            lines::read_pieces(store.pieces(&file.location).await?, &file.location, &mut sort).await?;
        } else {
            read_parquet(store, &file.location, (file.size, Wanted::Actions), &mut sort).await?;
        }
    }
    for sidecar in sidecars {
        let place = sidecar_place(root, &sidecar.path)?;
        let size = store.head(&place).await?.size;
        read_parquet(store, &place, (size, Wanted::Actions), each).await?;
    }
    Ok(())
}

/// The hint that names `checkpoint` (protocol, "Last Checkpoint File").
///
/// # Errors
///
/// As [`read`].
pub(super) async fn hint(store: &Store, root: &Location, checkpoint: &Checkpoint) -> Result<String> {
    let mut actions: u64 = 0;
    let mut count = |_| {
        actions += 1;
        Ok(())
    };
    read(store, root, checkpoint, &mut count).await?;
    let mut hint = serde_json::json!({"version": checkpoint.version, "size": actions});
    if let (Some(members), true) = (hint.as_object_mut(), checkpoint.files.len() > 1) {
        members.insert("parts".into(), checkpoint.files.len().into());
    }
    Ok(hint.to_string())
}

/// The sidecars that one file of a checkpoint names.
///
/// # Errors
///
/// As [`read`].
pub(super) async fn sidecars(store: &Store, root: &Location, file: &Meta) -> Result<Vec<Location>> {
    let mut found = Vec::new();
    let mut take = |action| {
        if let Action::Sidecar(sidecar) = action {
            found.push(sidecar_place(root, &sidecar.path)?);
        }
        Ok(())
    };
    if file.location.name().ends_with(".json") {
        lines::read_pieces(store.pieces(&file.location).await?, &file.location, &mut take).await?;
    } else {
        read_parquet(store, &file.location, (file.size, Wanted::Sidecars), &mut take).await?;
    }
    Ok(found)
}

/// A sidecar is named by its file name, or by an absolute path.
fn sidecar_place(root: &Location, raw: &str) -> Result<Location> {
    if raw.contains('/') {
        return path::resolve(root, raw);
    }
    let name = percent_decode_str(raw).decode_utf8().map_err(|_| Error::corrupt("a sidecar's name is no text"))?;
    Ok(log::folder(root).child("_sidecars").child(&name))
}

async fn read_parquet(store: &Store, file: &Location, (size, wanted): (u64, Wanted), each: Sink<'_>) -> Result<()> {
    let mut parquet = ParquetFile::open(store, (file, size), "a checkpoint cannot be read").await?;
    if let Some(schema) = in_micros(parquet.metadata()) {
        parquet = parquet.read_as(schema)?;
    }
    let metadata = parquet.metadata().metadata();
    let mask = match wanted {
        Wanted::Actions => columns(metadata),
        Wanted::Sidecars => match sidecar_columns(metadata) {
            Some(mask) => mask,
            None => return Ok(()),
        },
    };
    parquet.read(&mask, &mut |batch| checkpoint_rows::read(batch, each).map_err(|error| error.about("file", file))).await
}

/// The schema to read the file with where it keeps timestamps in 12 bytes: as nanoseconds they end in 2262, and later ones turn into times
/// long ago. The log keeps microseconds.
fn in_micros(metadata: &ArrowReaderMetadata) -> Option<SchemaRef> {
    fn column(field: &FieldRef, physical: &mut impl Iterator<Item = Physical>) -> FieldRef {
        let ty = match field.data_type() {
            DataType::Struct(members) => DataType::Struct(members.iter().map(|member| column(member, physical)).collect()),
            DataType::List(item) => DataType::List(column(item, physical)),
            DataType::Map(entries, sorted) => DataType::Map(column(entries, physical), *sorted),
            DataType::Timestamp(TimeUnit::Nanosecond, zone) if physical.next() == Some(Physical::INT96) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => return Arc::clone(field),
            other => {
                physical.next();
                other.clone()
            }
        };
        Arc::new(field.as_ref().clone().with_data_type(ty))
    }
    let leaves = metadata.parquet_schema().columns();
    if !leaves.iter().any(|leaf| leaf.physical_type() == Physical::INT96) {
        return None;
    }
    let mut physical = leaves.iter().map(|leaf| leaf.physical_type());
    let columns: Vec<FieldRef> = metadata.schema().fields().iter().map(|field| column(field, &mut physical)).collect();
    Some(Arc::new(ArrowSchema::new(columns)))
}

/// The columns of sidecars, where the file has them.
fn sidecar_columns(metadata: &ParquetMetaData) -> Option<ProjectionMask> {
    let schema = metadata.file_metadata().schema_descr();
    let leaves = (0..schema.num_columns()).filter(|leaf| schema.column(*leaf).path().string().starts_with("sidecar."));
    let leaves: Vec<usize> = leaves.collect();
    (!leaves.is_empty()).then(|| ProjectionMask::leaves(schema, leaves))
}

/// The columns of the actions we read. Statistics are stored twice at times: the text wins, and the columns then stay unread.
fn columns(metadata: &ParquetMetaData) -> ProjectionMask {
    let schema = metadata.file_metadata().schema_descr();
    let path_of = |leaf: usize| schema.column(leaf).path().string();
    let leaves = 0..schema.num_columns();
    let text = leaves.clone().find(|leaf| path_of(*leaf) == "add.stats");
    let has_text = text.is_some_and(|leaf| {
        metadata.row_groups().iter().any(|group| {
            let chunk = group.column(leaf);
            let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
            nulls.is_none_or(|nulls| i64::try_from(nulls).is_ok_and(|nulls| nulls < chunk.num_values()))
        })
    });
    let wanted = leaves.filter(|leaf| {
        let path = path_of(*leaf);
        let action = path.split('.').next().unwrap_or_default();
        let known = matches!(action, "add" | "remove" | "metaData" | "protocol" | "txn" | "domainMetadata" | "sidecar");
        let parsed_twice = path.starts_with("add.partitionValues_parsed") || (has_text && path.starts_with("add.stats_parsed"));
        known && !parsed_twice && !path.starts_with("remove.stats")
    });
    ProjectionMask::leaves(schema, wanted)
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;
    use bytes::Bytes as Buffer;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::data_type::{Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// 2960-10-31T01:00:00Z, as Spark's older writers keep it: nanoseconds of the day, then the Julian day.
    fn checkpoint() -> Buffer {
        let schema = "message m { optional group add { optional int64 size; optional group max { optional int96 ts; } } }";
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(parse_message_type(schema).unwrap()), Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut sizes = group.next_column().unwrap().unwrap();
        sizes.typed::<parquet::data_type::Int64Type>().write_batch(&[7], Some(&[2]), None).unwrap();
        sizes.close().unwrap();
        let mut times = group.next_column().unwrap().unwrap();
        let mut time = Int96::new();
        let nanos = 3_600_000_000_000_u64;
        let low = u32::try_from(nanos & 0xffff_ffff).unwrap();
        time.set_data(low, u32::try_from(nanos >> 32).unwrap(), 2_440_588 + 361_894);
        times.typed::<Int96Type>().write_batch(&[time], Some(&[3]), None).unwrap();
        times.close().unwrap();
        group.close().unwrap();
        writer.into_inner().unwrap().into()
    }

    #[test]
    fn timestamps_of_12_bytes_are_read_beyond_2262() {
        let bytes = checkpoint();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&bytes, options.clone()).unwrap();
        let schema = in_micros(&metadata).unwrap();
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options.with_schema(schema)).unwrap();
        let batch = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata).build().unwrap().next().unwrap().unwrap();
        let times = Arc::clone(batch.column(0).as_struct().column(1).as_struct().column(0));
        assert_eq!(times.as_primitive::<TimestampMicrosecondType>().value(0), (361_894 * 24 + 1) * 3_600_000_000);
    }
}
