//! `$partitions`: the live files of a version, summed up by partition. Memory grows with the number of partitions, not of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder};
use arrow_schema::{DataType, SchemaRef};
use futures::TryStreamExt;

use super::cells;
use super::rows::{BATCH, To};
use crate::error::Result;
use crate::formats::TableVersion;
use crate::model::{DataFile, Partition};

pub(super) fn schema() -> SchemaRef {
    cells::schema(vec![
        ("partition", cells::texts()),
        ("spec_id", DataType::Int32),
        ("record_count", DataType::Int64),
        ("file_count", DataType::Int64),
        ("total_data_file_size_in_bytes", DataType::Int64),
        ("files_with_deletes", DataType::Int64),
    ])
}

/// What the files of one partition come to.
#[derive(Debug)]
struct Sum {
    partition: Arc<Partition>,
    /// Rows stored, deleted ones included; `None` where a file does not say.
    records: Option<u64>,
    files: u64,
    bytes: u64,
    with_deletes: u64,
}

impl Sum {
    fn add(&mut self, file: &DataFile) {
        self.records = self.records.zip(file.rows).map(|(all, rows)| all.saturating_add(rows));
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.size.0);
        self.with_deletes += u64::from(!file.deletes.is_empty());
    }
}

/// The rows of `$partitions`.
pub(super) async fn partitions(version: Arc<dyn TableVersion>, schema: SchemaRef, to: To) -> Result<()> {
    let mut sums: BTreeMap<(i32, String), Sum> = BTreeMap::new();
    let mut files = version.files(false);
    while let Some(file) = files.try_next().await? {
        let key = (file.partition.spec_id, file.partition.display());
        let empty = || Sum { partition: Arc::clone(&file.partition), records: Some(0), files: 0, bytes: 0, with_deletes: 0 };
        sums.entry(key).or_insert_with(empty).add(&file);
    }
    let sums: Vec<Sum> = sums.into_values().collect();
    for part in sums.chunks(BATCH) {
        if !to.send(batch(&schema, part)?).await {
            break;
        }
    }
    Ok(())
}

fn batch(schema: &SchemaRef, sums: &[Sum]) -> Result<arrow_array::RecordBatch> {
    let (mut partitions, mut specs) = (cells::texts_builder(), Int32Builder::new());
    let mut counts: [Int64Builder; 4] = std::array::from_fn(|_| Int64Builder::new());
    for sum in sums {
        let fields = sum.partition.fields.iter();
        cells::append(&mut partitions, fields.map(|f| (f.name.as_str(), f.value.as_ref().map(|_| f.text.as_str()))))?;
        specs.append_value(sum.partition.spec_id);
        let values = [sum.records, Some(sum.files), Some(sum.bytes), Some(sum.with_deletes)];
        counts.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value.map(cells::count)));
    }
    let mut columns = vec![Arc::new(partitions.finish()) as _, Arc::new(specs.finish()) as _];
    columns.extend(counts.into_iter().map(|mut column| Arc::new(column.finish()) as arrow_array::ArrayRef));
    cells::batch(schema, columns)
}
