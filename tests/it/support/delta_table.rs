//! A small Delta table, written by hand: what a plain writer leaves behind.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use otf::location::Location;
use otf::store::Store;
use parquet::arrow::ArrowWriter;
use roaring::RoaringTreemap;
use serde_json::json;

/// One row of the test tables.
pub(crate) type Row = (i64, String);

/// Parquet bytes of these rows, in columns `id` and `name`.
pub(crate) fn parquet_of(rows: &[Row]) -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1.as_str())));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// The rows that file number `n` of a test table holds.
pub(crate) fn rows_of(n: usize) -> Vec<Row> {
    (0..5).map(|k| (i64::try_from(n * 10 + k).unwrap(), format!("name {n}/{k}"))).collect()
}

/// Writes a table of `files` files in partitions `p=a` and `p=b` (even and odd numbers), each file in a commit of its own; row 1 of every third
/// file is deleted by an inline deletion vector. Returns the live rows, sorted.
pub(crate) async fn write(store: &Store, root: &Location, files: usize) -> Vec<Row> {
    let schema = json!({"type": "struct", "fields": [
        {"name": "id", "type": "long", "nullable": true, "metadata": {}},
        {"name": "name", "type": "string", "nullable": true, "metadata": {}},
        {"name": "p", "type": "string", "nullable": true, "metadata": {}},
    ]});
    let head = [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
        json!({"metaData": {"id": "table", "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(),
            "partitionColumns": ["p"], "configuration": {"delta.checkpointInterval": "3"}, "createdTime": 0}}),
    ];
    put(store, root, "_delta_log/00000000000000000000.json", lines(&head)).await;
    let mut live = Vec::new();
    for n in 0..files {
        let (rows, partition) = (rows_of(n), if n % 2 == 0 { "a" } else { "b" });
        let (path, bytes) = (format!("p={partition}/file-{n}.parquet"), parquet_of(&rows));
        let mut add = json!({"path": path, "partitionValues": {"p": partition}, "size": bytes.len(), "modificationTime": 0, "dataChange": true,
            "stats": json!({"numRecords": rows.len()}).to_string()});
        if n % 3 == 0 {
            add["deletionVector"] = inline_vector(&[1]);
        }
        live.extend(rows.into_iter().enumerate().filter(|(k, _)| n % 3 != 0 || *k != 1).map(|(_, row)| row));
        put(store, root, &path, bytes).await;
        put(store, root, &format!("_delta_log/{:020}.json", n + 1), lines(&[json!({"add": add})])).await;
    }
    live.sort();
    live
}

async fn put(store: &Store, root: &Location, path: &str, bytes: Vec<u8>) {
    store.put(&root.child(path), bytes.into()).await.unwrap();
}

fn lines(actions: &[serde_json::Value]) -> Vec<u8> {
    actions.iter().map(|action| format!("{action}\n")).collect::<String>().into_bytes()
}

/// An inline vector that deletes these positions (Delta protocol, "Deletion Vector Format").
pub(crate) fn inline_vector(positions: &[u64]) -> serde_json::Value {
    let bitmap: RoaringTreemap = positions.iter().copied().collect();
    let mut core = 1_681_511_377u32.to_le_bytes().to_vec();
    bitmap.serialize_into(&mut core).unwrap();
    let size = core.len();
    core.resize(size.div_ceil(4) * 4, 0);
    json!({"storageType": "i", "pathOrInlineDv": z85(&core), "sizeInBytes": size, "cardinality": positions.len()})
}

fn z85(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut text = String::new();
    for word in bytes.chunks(4) {
        let value = u32::from_be_bytes(word.try_into().unwrap());
        for power in [85u32.pow(4), 85u32.pow(3), 85u32.pow(2), 85, 1] {
            text.push(char::from(DIGITS[(value / power % 85) as usize]));
        }
    }
    text
}
