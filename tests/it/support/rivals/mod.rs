//! Another writer, written by hand: it commits to whatever version is the newest when its turn comes.

mod delta;
mod iceberg;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use object_store::ObjectStore;
use parquet::arrow::ArrowWriter;

use super::workbench::{Original, objects};

/// What another writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// One file more, of two rows.
    Append,
    /// One file less.
    RemoveFile,
    /// Every file less, one more.
    Overwrite,
    /// One file less, one more.
    Update,
    /// The first row of a file is deleted by a vector or by position.
    MarkRow,
    /// A column more.
    Schema,
    /// Another format version, or a table feature more.
    Rules,
    /// Another partition spec (Iceberg).
    Spec,
    /// Another property.
    Property,
}

/// Rows of the files that deeds add.
pub(crate) const NEW_ROWS: [(i64, &str); 2] = [(900, "new"), (901, "new")];

/// Commits `deed` to the copy in `table`.
pub(crate) async fn commit(original: &Original, table: &Arc<dyn ObjectStore>, deed: Deed) {
    let now = objects(table, &original.root).await;
    let puts = if now.keys().any(|name| name.starts_with("_delta_log/")) {
        delta::commit(original, table, &now, deed).await
    } else {
        iceberg::commit(&now, deed)
    };
    for (name, bytes) in puts {
        original.put_new(table, &name, bytes).await;
    }
}

/// A Parquet file of [`NEW_ROWS`], with the field ids that the Iceberg fixtures have; `text` is the name of the second column.
fn new_file(text: &str) -> Vec<u8> {
    let field = |name: &str, kind: DataType, id: i32| {
        Field::new(name, kind, true).with_metadata(HashMap::from([("PARQUET:field_id".to_string(), id.to_string())]))
    };
    let schema = Arc::new(Schema::new(vec![field("id", DataType::Int64, 1), field(text, DataType::Utf8, 2)]));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(NEW_ROWS.iter().map(|row| row.0)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(NEW_ROWS.iter().map(|row| row.1)));
    parquet_of(&RecordBatch::try_new(schema, vec![ids, texts]).unwrap())
}

fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}
