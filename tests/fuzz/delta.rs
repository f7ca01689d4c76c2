//! Delta's log, and what it leads to.

use std::sync::LazyLock;

use bytes::Bytes;
use otf::formats::delta::DeltaTable;
use serde_json::{Value as Json, json};

use super::tables::{Depth, Objects, fixture, read};
use super::texts::PRIMITIVES;
use super::{Target, text};

pub(super) const TARGETS: &[Target] = &[
    (
        "delta_log",
        delta_log,
        &[
            "@delta_plain/_delta_log/00000000000000000001.json",
            "@delta_dv/_delta_log/00000000000000000002.json",
            "@delta_row_tracking/_delta_log/00000000000000000000.json",
        ],
    ),
    (
        "delta_lines",
        delta_lines,
        &["@delta_mapping_name/_delta_log/00000000000000000001.json", "@delta_row_tracking/_delta_log/00000000000000000001.json"],
    ),
    ("delta_schema", delta_schema, SCHEMAS),
    ("delta_stats", delta_stats, STATS),
    ("delta_path", delta_path, &["p=a%20b/x.parquet", "s3a://b/t/%25", "file:///o/x%20y", "/o/x", "../x", "a/./b//c"]),
    (
        "delta_partition_value",
        delta_partition_value,
        &["2024-01-31", "2024-01-31 00:00:00.123456", "-1.5e3", "99999999999999999999.99", "true", "a b/%"],
    ),
    (
        "delta_inline_vector",
        delta_inline_vector,
        &["^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"],
    ),
    ("delta_vector", delta_vector, &["@delta_dv/deletion_vector_d804bdf4-be65-4e50-bdfd-0408e80cf20d.bin"]),
    (
        "delta_hints",
        delta_hints,
        &["@delta_checkpoint/_delta_log/_last_checkpoint", "@delta_plain/_delta_log/00000000000000000001.crc", r#"{"version":0,"size":2}"#],
    ),
    ("delta_names", delta_names, &[NAMES]),
    ("delta_checkpoint", delta_checkpoint, &["@delta_checkpoint/_delta_log/00000000000000000002.checkpoint.parquet"]),
    ("delta_v2_checkpoint", delta_v2_checkpoint, V2),
];

const SCHEMAS: &[&str] = &[
    r#"{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}},{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"array","elementType":"decimal(38,10)","containsNull":true},"valueContainsNull":true},"nullable":true,"metadata":{}}]}"#,
    r#"{"type":"struct","fields":[{"name":"s","type":{"type":"struct","fields":[{"name":"x","type":"timestamp_ntz","nullable":false,"metadata":{"delta.columnMapping.id":2,"delta.columnMapping.physicalName":"col-2"}}]},"nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"col-1"}}]}"#,
];

const STATS: &[&str] = &[
    r#"{"numRecords":7,"minValues":{"a":-3,"s":{"d":1.10},"t":"2020-01-01T00:00:00.000Z","day":"2024-01-31","f":1e10},"maxValues":{"a":9,"s":{"d":2},"t":"2020-01-01T00:00:00.000Z","day":"9999-12-31","f":1e300},"nullCount":{"a":2,"s":{"d":0},"t":7}}"#,
    r#"{"numRecords":18446744073709551615,"tightBounds":false,"minValues":{"s":{"d":99999999999999999999999999999999999999}}}"#,
];

const NAMES: &str = "00000000000000000001.json\n00000000000000000001.checkpoint.parquet\n00000000000000000002.crc\n_last_checkpoint\n\
    00000000000000000003.00000000000000000005.compacted.json\n00000000000000000002.checkpoint.0000000001.0000000002.parquet\n\
    00000000000000000004.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json\n_sidecars/016ae953-37a9-438e-8683-9a9a4a79a395.parquet\n";

const V2: &[&str] = &[concat!(
    r#"{"checkpointMetadata":{"version":1,"tags":{"a":"b"}}}"#,
    "\n",
    r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint"]}}"#,
    "\n",
    r#"{"metaData":{"id":"t","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{},"createdTime":0}}"#,
    "\n",
    r#"{"sidecar":{"path":"016ae953-37a9-438e-8683-9a9a4a79a395.parquet","sizeInBytes":19744,"modificationTime":1512909768000,"tags":{}}}"#,
    "\n",
    r#"{"add":{"path":"f","partitionValues":{},"size":1,"modificationTime":0,"dataChange":false}}"#,
    "\n",
    r#"{"txn":{"appId":"3ba1","version":364475,"lastUpdated":1}}"#,
    "\n",
    r#"{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}"#,
    "\n"
)];

const ROOT: &str = "/t";

fn delta(objects: Objects, depth: Depth) {
    read(ROOT, objects, depth, |store, root| Box::new(DeltaTable::new(store.clone(), root)));
}

fn commit(lines: &[Json]) -> Bytes {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into()
}

fn head(schema: &str) -> [Json; 2] {
    [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors", "v2Checkpoint"],
            "writerFeatures": ["deletionVectors", "v2Checkpoint"]}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": [],
            "configuration": {}, "createdTime": 0}}),
    ]
}

pub(super) fn log(version: u32, bytes: Bytes) -> (String, Bytes) {
    (format!("_delta_log/{version:020}.json"), bytes)
}

/// The lines of a table with a column of each type, and without files.
pub(super) static EMPTY: LazyLock<Bytes> = LazyLock::new(|| commit(&head(&schema())));

/// A plain schema with a column of each type, and a struct.
fn schema() -> String {
    let field = |name: &str, ty: Json| json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
    let inner = json!({"type": "struct", "fields": [field("d", json!("decimal(38,2)"))]});
    let fields = [
        field("a", json!("integer")),
        field("s", inner),
        field("t", json!("timestamp")),
        field("n", json!("timestamp_ntz")),
        field("day", json!("date")),
        field("f", json!("double")),
        field("g", json!("float")),
        field("v", json!("string")),
        field("b", json!("binary")),
        field("l", json!("long")),
        field("o", json!("boolean")),
        field("y", json!("byte")),
    ];
    json!({"type": "struct", "fields": fields}).to_string()
}

fn one_file(add: &Json) -> Objects {
    vec![log(0, [&**EMPTY, &*commit(&[json!({"add": add})])].concat().into())]
}

fn delta_log(data: &[u8]) {
    delta(vec![log(0, Bytes::copy_from_slice(data))], Depth::Whole);
}

fn delta_lines(data: &[u8]) {
    delta(vec![log(0, EMPTY.clone()), log(1, Bytes::copy_from_slice(data))], Depth::Whole);
}

fn delta_schema(data: &[u8]) {
    let [protocol, mut metadata] = head(&text(data));
    metadata["metaData"]["configuration"] = json!({"delta.columnMapping.mode": if data.len().is_multiple_of(2) { "name" } else { "none" }});
    let add = json!({"add": {"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": STATS[0]}});
    delta(vec![log(0, commit(&[protocol, metadata, add]))], Depth::Whole);
}

fn delta_stats(data: &[u8]) {
    let add = json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": text(data)});
    delta(one_file(&add), Depth::Deletes.for_most(data));
}

fn delta_path(data: &[u8]) {
    delta(
        one_file(&json!({"path": text(data), "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true})),
        Depth::Whole,
    );
}

fn delta_partition_value(data: &[u8]) {
    let [protocol, mut metadata] = head(&schema());
    let columns = ["t", "n", "day", "f", "g", "v", "b", "l", "o", "y", "a"];
    metadata["metaData"]["partitionColumns"] = json!(columns);
    let values: serde_json::Map<String, Json> = columns.iter().map(|column| ((*column).to_string(), json!(text(data)))).collect();
    let add = json!({"add": {"path": "f", "partitionValues": values, "size": 1, "modificationTime": 0, "dataChange": true}});
    delta(vec![log(0, commit(&[protocol, metadata, add]))], Depth::Deletes.for_most(data));
    for ty in PRIMITIVES {
        drop(otf::model::literal::parse(&text(data), *ty));
    }
}

fn delta_inline_vector(data: &[u8]) {
    let text = text(data);
    let size = text.len() / 5 * 4;
    let vector = json!({"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": size, "cardinality": 6});
    let add = json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "deletionVector": vector});
    delta(one_file(&add), Depth::Deletes.for_most(data));
}

/// The file as it is, and the bytes as a vector whose length and checksum are right.
fn delta_vector(data: &[u8]) {
    for framed in [false, true] {
        let mut file = vec![1u8];
        if framed {
            file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            file.extend_from_slice(data);
            file.extend(crc32fast::hash(data).to_be_bytes());
        } else {
            file = data.to_vec();
        }
        let vector = json!({"storageType": "p", "pathOrInlineDv": "file:///t/v.bin", "offset": 1,
            "sizeInBytes": if framed { data.len() } else { 42 }, "cardinality": 5});
        let mut objects = one_file(
            &json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": "{\"numRecords\":1000}", "deletionVector": vector}),
        );
        objects.push(("v.bin".into(), file.into()));
        delta(objects, Depth::Deletes.for_most(data));
    }
}

fn delta_hints(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let objects = vec![
        log(0, EMPTY.clone()),
        ("_delta_log/_last_checkpoint".into(), bytes.clone()),
        ("_delta_log/00000000000000000000.crc".into(), bytes),
    ];
    delta(objects, Depth::Whole);
}

/// Names in the log's folder, one a line, beside a table of one version.
fn delta_names(data: &[u8]) {
    let mut objects = vec![log(0, EMPTY.clone())];
    objects.extend(text(data).lines().take(32).map(|name| (format!("_delta_log/{name}"), EMPTY.clone())));
    delta(objects, Depth::Whole);
}

/// A checkpoint in Parquet: as a classic one, and as what one in JSON leads to.
fn delta_checkpoint(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    delta(vec![("_delta_log/00000000000000000001.checkpoint.parquet".into(), bytes.clone())], Depth::Whole);
    let sidecar = json!({"sidecar": {"path": "s.parquet", "sizeInBytes": data.len(), "modificationTime": 0}});
    let lines = commit(&[json!({"checkpointMetadata": {"version": 1}}), sidecar]);
    let checkpoint = [&*lines, &**EMPTY].concat().into();
    delta(vec![(V2_NAME.into(), checkpoint), ("_delta_log/_sidecars/s.parquet".into(), bytes)], Depth::Whole);
}

const V2_NAME: &str = "_delta_log/00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";

fn delta_v2_checkpoint(data: &[u8]) {
    let known = fixture("delta_checkpoint", &["_delta_log"]);
    let mut objects: Objects = known.into_iter().filter(|(name, _)| name.ends_with(".checkpoint.parquet")).collect();
    objects[0].0 = "_delta_log/_sidecars/016ae953-37a9-438e-8683-9a9a4a79a395.parquet".into();
    objects.push((V2_NAME.into(), Bytes::copy_from_slice(data)));
    delta(objects, Depth::Whole);
}
