//! `$manifests`: the lists of files of a version (Iceberg).

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, StringBuilder};
use arrow_schema::{DataType, SchemaRef};
use futures::StreamExt;

use super::cells;
use super::rows::{BATCH, To};
use crate::error::Result;
use crate::formats::TableVersion;
use crate::model::FileList;

pub(super) fn schema() -> SchemaRef {
    let mut columns = vec![
        ("content", DataType::Int32),
        ("path", DataType::Utf8),
        ("length", DataType::Int64),
        ("partition_spec_id", DataType::Int32),
        ("added_snapshot_id", DataType::Int64),
        ("sequence_number", DataType::Int64),
        ("min_sequence_number", DataType::Int64),
    ];
    let counts = [
        "added_data_files_count",
        "existing_data_files_count",
        "deleted_data_files_count",
        "added_rows_count",
        "existing_rows_count",
        "deleted_rows_count",
    ];
    columns.extend(counts.map(|name| (name, DataType::Int64)));
    cells::schema(columns)
}

/// The rows of `$manifests`.
pub(super) async fn manifests(version: Arc<dyn TableVersion>, schema: SchemaRef, to: To) -> Result<()> {
    let mut parts = version.file_lists().chunks(BATCH);
    while let Some(part) = parts.next().await {
        let part = part.into_iter().collect::<Result<Vec<_>>>()?;
        if !to.send(batch(&schema, &part)?).await {
            break;
        }
    }
    Ok(())
}

fn batch(schema: &SchemaRef, lists: &[FileList]) -> Result<arrow_array::RecordBatch> {
    let (mut contents, mut paths, mut specs) = (Int32Builder::new(), StringBuilder::new(), Int32Builder::new());
    let mut lengths = Int64Builder::new();
    let mut numbers: [Int64Builder; 9] = std::array::from_fn(|_| Int64Builder::new());
    for list in lists {
        contents.append_value(i32::from(list.of_deletes));
        paths.append_value(&list.path);
        lengths.append_value(cells::count(list.size.0));
        specs.append_option(list.spec_id);
        let values = [list.added_version.map(|version| version.0), list.sequence, list.min_sequence];
        let values = values.into_iter().chain(list.files).chain(list.rows);
        numbers.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
    }
    let mut columns = vec![
        Arc::new(contents.finish()) as _,
        Arc::new(paths.finish()) as _,
        Arc::new(lengths.finish()) as _,
        Arc::new(specs.finish()) as _,
    ];
    columns.extend(numbers.into_iter().map(|mut column| Arc::new(column.finish()) as arrow_array::ArrayRef));
    cells::batch(schema, columns)
}
