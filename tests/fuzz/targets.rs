//! Every parser of the tool, each as a function of bytes that must come back: with a value or an error, never with a panic, in bounded time and
//! memory. Formats are reached as the tool reaches them, through tables in memory.

mod tables;

use std::cell::RefCell;
use std::path::{Path as FsPath, PathBuf};

use bytes::Bytes;
use otf::catalog;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::{Field, Primitive, Schema, Type};
use serde_json::{Value as Json, json};
use tables::read;

/// A target, and the seeds to begin with: files below `fixtures/`, else texts.
pub(crate) type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
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
    ("delta_hints", delta_hints, &["@delta_checkpoint/_delta_log/_last_checkpoint", "@delta_plain/_delta_log/00000000000000000001.crc"]),
    (
        "iceberg_metadata",
        iceberg_metadata,
        &[
            "@iceberg_v1/metadata/v2.metadata.json",
            "@iceberg_v2_posdeletes/metadata/v3.metadata.json",
            "@iceberg_v3_dv/metadata/v3.metadata.json",
            "@fuzz/every-type.metadata.json",
        ],
    ),
    (
        "iceberg_manifest_list",
        iceberg_manifest_list,
        &[
            "@iceberg_v2_posdeletes/metadata/snap-6165790934812151375-1-05dfd933-e2e1-4aa1-bf6f-6ba4fc1a0114.avro",
            "@iceberg_v3_dv/metadata/snap-4721189352472353497-1-b5e4007f-f464-4114-9161-f10750fa0b1f.avro",
        ],
    ),
    (
        "iceberg_manifest",
        iceberg_manifest,
        &[
            "@iceberg_v2_posdeletes/metadata/24896e91-068d-4cd5-a35e-05d5699e955f-m0.avro",
            "@iceberg_v2_posdeletes/metadata/05dfd933-e2e1-4aa1-bf6f-6ba4fc1a0114-m0.avro",
            "@iceberg_v3_dv/metadata/b5e4007f-f464-4114-9161-f10750fa0b1f-m0.avro",
        ],
    ),
    ("iceberg_vector", iceberg_vector, &["@iceberg_v3_dv/data/00000-103-a652bc47-55ce-488a-a709-9c00676e4e22-00001-deletes.puffin"]),
    (
        "iceberg_name_mapping",
        iceberg_name_mapping,
        &[r#"[{"field-id":1,"names":["a","b"],"fields":[{"field-id":2,"names":["c"]}]},{"names":["x"]}]"#],
    ),
    (
        "location",
        location,
        &["s3a://b/t/x", "file:///a/../b", "/a//b/./c", "abfss://c@a.dfs.core.windows.net/p", "hdfs://h:8020/x", "C:\\x"],
    ),
    (
        "filter",
        filter,
        &[
            "id >= 3 AND name LIKE 'a%'",
            "NOT (ts < TIMESTAMP '2024-01-31T00:00:00Z' OR d IN (1.5, 2))",
            "\"Name\" IS NOT NULL",
            "s.x BETWEEN -1 AND 0x10",
            "day = DATE '2024-01-31' AND b = X'00ff'",
        ],
    ),
    (
        "config",
        config,
        &[
            "memory = \"1GiB\"\nthreads = 3\n[storage]\na = \"1\"\n[catalog.prod]\ntype = \"sql\"\nuri = \"sqlite://x.db\"\n",
            "output = \"json\"\n[compact]\ntarget_file_size = \"512MiB\"\n",
        ],
    ),
    ("quantities", quantities, &["512MiB", "128 MB", "17", "7d", "PT1H30M", "P1DT2M", "500ms", "90m"]),
];

const SCHEMAS: &[&str] = &[
    r#"{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}},{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"array","elementType":"decimal(38,10)","containsNull":true},"valueContainsNull":true},"nullable":true,"metadata":{}}]}"#,
    r#"{"type":"struct","fields":[{"name":"s","type":{"type":"struct","fields":[{"name":"x","type":"timestamp_ntz","nullable":false,"metadata":{"delta.columnMapping.id":2,"delta.columnMapping.physicalName":"col-2"}}]},"nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"col-1"}}]}"#,
];

const STATS: &[&str] = &[
    r#"{"numRecords":7,"minValues":{"a":-3,"s":{"d":1.10},"t":"2020-01-01T00:00:00.000Z","day":"2024-01-31","f":1e10},"maxValues":{"a":9,"s":{"d":2},"t":"2020-01-01T00:00:00.000Z","day":"9999-12-31","f":1e300},"nullCount":{"a":2,"s":{"d":0},"t":7}}"#,
    r#"{"numRecords":18446744073709551615,"tightBounds":false,"minValues":{"s":{"d":99999999999999999999999999999999999999}}}"#,
];

const DELTA_ROOT: &str = "/t";

fn delta(objects: Vec<(String, Bytes)>) {
    read(DELTA_ROOT, objects, |store, root| Box::new(DeltaTable::new(store, root)));
}

fn commit(lines: &[Json]) -> Bytes {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into()
}

fn head(schema: &str) -> [Json; 2] {
    [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
        json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": [],
            "configuration": {}, "createdTime": 0}}),
    ]
}

fn log(version: u32, bytes: Bytes) -> (String, Bytes) {
    (format!("_delta_log/{version:020}.json"), bytes)
}

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

fn one_file(add: Json) -> Vec<(String, Bytes)> {
    let [protocol, metadata] = head(&schema());
    vec![log(0, commit(&[protocol, metadata, json!({"add": add})]))]
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn delta_log(data: &[u8]) {
    delta(vec![log(0, Bytes::copy_from_slice(data))]);
}

fn delta_lines(data: &[u8]) {
    delta(vec![log(0, commit(&head(&schema()))), log(1, Bytes::copy_from_slice(data))]);
}

fn delta_schema(data: &[u8]) {
    let [protocol, mut metadata] = head(&text(data));
    metadata["metaData"]["configuration"] = json!({"delta.columnMapping.mode": if data.len().is_multiple_of(2) { "name" } else { "none" }});
    let add = json!({"add": {"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": STATS[0]}});
    delta(vec![log(0, commit(&[protocol, metadata, add]))]);
}

fn delta_stats(data: &[u8]) {
    delta(one_file(json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": text(data)})));
}

fn delta_path(data: &[u8]) {
    delta(one_file(json!({"path": text(data), "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true})));
}

fn delta_partition_value(data: &[u8]) {
    let [protocol, mut metadata] = head(&schema());
    let columns = ["t", "n", "day", "f", "g", "v", "b", "l", "o", "y", "a"];
    metadata["metaData"]["partitionColumns"] = json!(columns);
    let values: serde_json::Map<String, Json> = columns.iter().map(|column| ((*column).to_string(), json!(text(data)))).collect();
    let add = json!({"add": {"path": "f", "partitionValues": values, "size": 1, "modificationTime": 0, "dataChange": true}});
    delta(vec![log(0, commit(&[protocol, metadata, add]))]);
    for ty in PRIMITIVES {
        drop(otf::model::literal::parse(&text(data), *ty));
    }
}

fn delta_inline_vector(data: &[u8]) {
    let text = text(data);
    let size = text.len() / 5 * 4;
    let vector = json!({"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": size, "cardinality": 6});
    delta(one_file(
        json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "deletionVector": vector}),
    ));
}

/// The file as it is, and the bytes as a vector whose length and checksum are right.
fn delta_vector(data: &[u8]) {
    for framed in [false, true] {
        let mut file = vec![1u8];
        let payload = if framed { data } else { data.get(5..).unwrap_or_default() };
        if framed {
            file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            file.extend_from_slice(data);
            file.extend(crc32fast::hash(data).to_be_bytes());
        } else {
            file = data.to_vec();
        }
        let vector = json!({"storageType": "p", "pathOrInlineDv": "file:///t/v.bin", "offset": 1,
            "sizeInBytes": if framed { payload.len() } else { 42 }, "cardinality": 5});
        let mut objects = one_file(
            json!({"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": "{\"numRecords\":1000}", "deletionVector": vector}),
        );
        objects.push(("v.bin".into(), file.into()));
        delta(objects);
    }
}

fn delta_hints(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    delta(vec![
        log(0, commit(&head(&schema()))),
        ("_delta_log/_last_checkpoint".into(), bytes.clone()),
        ("_delta_log/00000000000000000000.crc".into(), bytes),
    ]);
}

/// The folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    FsPath::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The table of an Iceberg fixture with one of its metadata files (the first whose name holds `part`) replaced.
fn iceberg(fixture: &'static str, part: &str, data: &[u8]) {
    type Known = Vec<(&'static str, Vec<(String, Bytes)>)>;
    thread_local! {
        static KNOWN: RefCell<Known> = const { RefCell::new(Vec::new()) };
    }
    let mut objects = KNOWN.with_borrow_mut(|known| {
        if let Some((_, objects)) = known.iter().find(|(name, _)| *name == fixture) {
            return objects.clone();
        }
        let mut objects = Vec::new();
        for folder in ["metadata", "data"] {
            for entry in std::fs::read_dir(fixtures().join(fixture).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
                objects.push((name, Bytes::from(std::fs::read(&path).unwrap())));
            }
        }
        known.push((fixture, objects.clone()));
        objects
    });
    let found = objects.iter_mut().find(|(name, _)| name.contains(part)).unwrap();
    found.1 = Bytes::copy_from_slice(data);
    let root = format!("/tmp/otf-fixtures/0000000000000000/db/{fixture}");
    read(&root, objects, |store, root| Box::new(catalog::path_table(&store, root)));
}

fn iceberg_metadata(data: &[u8]) {
    iceberg("iceberg_v3_dv", "metadata/v3", data);
}

fn iceberg_manifest_list(data: &[u8]) {
    iceberg("iceberg_v3_dv", "metadata/snap-4721189352472353497", data);
    iceberg("iceberg_v2_posdeletes", "metadata/snap-6165790934812151375", data);
}

fn iceberg_manifest(data: &[u8]) {
    iceberg("iceberg_v3_dv", "metadata/b5e4007f", data);
    iceberg("iceberg_v2_posdeletes", "metadata/24896e91", data);
}

fn iceberg_vector(data: &[u8]) {
    iceberg("iceberg_v3_dv", "data/00000-103", data);
    // Where the first vector of the fixture lies, with a length and a checksum that are right.
    let original =
        std::fs::read(fixtures().join("iceberg_v3_dv/data/00000-103-a652bc47-55ce-488a-a709-9c00676e4e22-00001-deletes.puffin")).unwrap();
    let Some(length) = original.get(4..8).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()) as usize) else { return };
    let mut body = data.to_vec();
    body.resize(length, 0);
    body.splice(..4, [0xd1, 0xd3, 0x39, 0x64]);
    let mut file = original.clone();
    if file.len() < 12 + length {
        return;
    }
    file[8..8 + length].copy_from_slice(&body);
    file[8 + length..12 + length].copy_from_slice(&crc32fast::hash(&body).to_be_bytes());
    iceberg("iceberg_v3_dv", "data/00000-103", &file);
}

fn iceberg_name_mapping(data: &[u8]) {
    thread_local! {
        static DOCUMENT: Json = serde_json::from_slice(&std::fs::read(fixtures().join("iceberg_v3_dv/metadata/v3.metadata.json")).unwrap()).unwrap();
    }
    let mut document = DOCUMENT.with(Clone::clone);
    document["properties"]["schema.name-mapping.default"] = json!(text(data));
    iceberg("iceberg_v3_dv", "metadata/v3", document.to_string().as_bytes());
}

fn location(data: &[u8]) {
    let text = text(data);
    let base = Location::parse("/base/t").unwrap();
    for place in [Location::parse(&text), Location::parse_below(&text, &base), base.join(&text)].into_iter().flatten() {
        // A place that was read is read again from how it is written.
        assert_eq!(Location::parse(&place.to_string()).unwrap(), place);
        assert!(place.is_below(&place) && place.parent().is_none_or(|parent| place.is_below(&parent)));
    }
}

const PRIMITIVES: &[Primitive] = &[
    Primitive::Boolean,
    Primitive::Byte,
    Primitive::Int,
    Primitive::Long,
    Primitive::Float,
    Primitive::Double,
    Primitive::Decimal(38, 10),
    Primitive::Date,
    Primitive::Time,
    Primitive::Timestamp,
    Primitive::TimestampTz,
    Primitive::TimestampNs,
    Primitive::String,
    Primitive::Binary,
    Primitive::Uuid,
];

fn filter(data: &[u8]) {
    let column =
        |id: i32, name: &str, ty: Type| Field { id, name: name.into(), physical: name.into(), required: false, ty, initial_default: None };
    let names = ["o", "y", "id", "l", "g", "f", "d", "day", "tm", "ts", "tz", "ns", "name", "b", "u"];
    let mut fields: Vec<Field> = (1..).zip(names).zip(PRIMITIVES).map(|((id, name), ty)| column(id, name, Type::Primitive(*ty))).collect();
    fields.push(column(90, "s", Type::Struct(vec![column(91, "x", Type::Primitive(Primitive::Int))])));
    drop(otf::cli::filter::parse(&text(data), &Schema { fields }));
}

fn config(data: &[u8]) {
    let text = text(data);
    drop(otf::config::Config::read(Some(&text), &[].into()));
    let variables = ["OTF_MEMORY", "OTF_THREADS", "OTF_OUTPUT"].map(|name| (name.to_string(), text.clone()));
    drop(otf::config::Config::read(None, &variables.into()));
}

fn quantities(data: &[u8]) {
    let text = text(data);
    drop(text.parse::<otf::units::Bytes>());
    drop(otf::units::parse_duration(&text));
}
