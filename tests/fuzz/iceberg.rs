//! Iceberg's metadata, manifests and deletes: fixtures with one of their files replaced.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use otf::catalog;
use serde_json::{Value as Json, json};

use super::tables::{Depth, Objects, fixture, fixtures, read, replaced};
use super::{Target, text};

pub(super) const TARGETS: &[Target] = &[
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
    ("iceberg_metadata_gz", iceberg_metadata, &["gzip@iceberg_v3_dv/metadata/v3.metadata.json", "gzip@fuzz/every-type.metadata.json"]),
    ("iceberg_hint", iceberg_hint, &["3\nv3.metadata.json\n", "v2\nv2.gz.metadata.json\n00004-a.metadata.json\nv5.metadata.json.gz"]),
    ("iceberg_properties", iceberg_properties, &[PROPERTIES]),
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
        "iceberg_positions_parquet",
        iceberg_positions_parquet,
        &["@iceberg_v2_posdeletes/data/00000-96-3cb1d000-941a-4a4f-bddb-60d0c5f3eb5b-00001-deletes.parquet"],
    ),
    (
        "iceberg_positions_orc",
        iceberg_positions_orc,
        &["@iceberg_v2_orc/data/00000-6-5b4e3631-04b5-4810-bd03-db6bd617c4b0-00001-deletes.orc"],
    ),
    (
        "iceberg_positions_avro",
        iceberg_positions_avro,
        &["@iceberg_v2_avro/data/00000-13-d48ee133-49a6-49c0-aa12-2040c9cf9ef6-00001-deletes.avro"],
    ),
    ("iceberg_values_parquet", iceberg_values_parquet, &["@iceberg_v2_eqdeletes/data/deletes-parquet.parquet"]),
    ("iceberg_values_orc", iceberg_values_orc, &["@iceberg_v2_eqdeletes/data/deletes-orc.orc"]),
    (
        "iceberg_values_avro",
        iceberg_values_avro,
        &["@iceberg_v2_eqdeletes/data/deletes-avro.avro", "plain@iceberg_v2_eqdeletes/data/deletes-avro.avro"],
    ),
];

const PROPERTIES: &str = "write.target-file-size-bytes=536870912\nwrite.parquet.compression-codec=zstd\nwrite.parquet.compression-level=3\n\
    write.parquet.row-group-size-bytes=1\nwrite.parquet.page-size-bytes=1048576\nwrite.metadata.metrics.default=truncate(16)\n\
    write.metadata.metrics.column.id=counts\nhistory.expire.max-snapshot-age-ms=432000000\nhistory.expire.min-snapshots-to-keep=1\n\
    history.expire.max-ref-age-ms=9223372036854775807\ncommit.retry.num-retries=4\ngc.enabled=true\nwrite.data.path=/elsewhere\n\
    write.metadata.path=s3://b/m\nwrite.parquet.bloom-filter-enabled.column.id=true\nwrite.metadata.delete-after-commit.enabled=true\n";

/// The tables of fixtures say that they lie here.
fn root(fixture: &str) -> String {
    format!("/tmp/otf-fixtures/0000000000000000/db/{fixture}")
}

fn iceberg_of(fixture: &str, objects: Objects, depth: Depth) {
    read(&root(fixture), objects, depth, |store, root| Box::new(catalog::path_table(store, root)));
}

/// A fixture whose newest version is its only one: the files of others are not what targets are about.
fn newest(name: &'static str) -> Objects {
    thread_local! {
        static KNOWN: RefCell<HashMap<&'static str, Objects>> = RefCell::default();
    }
    let cut = || {
        let mut objects = fixture(name, &["metadata", "data"]);
        let (_, bytes) = objects.iter_mut().filter(|(name, _)| name.ends_with(".metadata.json")).max_by(|a, b| a.0.cmp(&b.0)).unwrap();
        let mut document: Json = serde_json::from_slice(bytes).unwrap();
        let current = document["current-snapshot-id"].clone();
        for list in ["snapshots", "snapshot-log"] {
            document[list].as_array_mut().unwrap().retain(|entry| entry["snapshot-id"] == current);
        }
        *bytes = document.to_string().into();
        objects
    };
    KNOWN.with_borrow_mut(|known| known.entry(name).or_insert_with(cut).clone())
}

/// The table of a fixture with one of its files (the first whose name begins with `part`) replaced.
fn iceberg(name: &'static str, part: &str, data: &[u8], depth: Depth) {
    iceberg_of(name, replaced(newest(name), part, Bytes::copy_from_slice(data)), depth);
}

fn iceberg_metadata(data: &[u8]) {
    iceberg("iceberg_v3_dv", "metadata/v3", data, Depth::Whole);
}

/// The first line is the hint, every other the name of one more metadata file.
fn iceberg_hint(data: &[u8]) {
    let text = text(data);
    let (hint, names) = text.split_once('\n').unwrap_or((&text, ""));
    let mut objects = newest("iceberg_v3_dv");
    let (_, current) = objects.iter().find(|(name, _)| name.starts_with("metadata/v3")).unwrap().clone();
    objects.retain(|(name, _)| !name.ends_with("version-hint.text"));
    objects.push(("metadata/version-hint.text".into(), Bytes::copy_from_slice(hint.as_bytes())));
    objects.extend(names.lines().take(16).map(|name| (format!("metadata/{name}"), current.clone())));
    iceberg_of("iceberg_v3_dv", objects, Depth::Head.for_most(data));
}

/// The newest metadata of a fixture with other properties.
fn with_properties(data: &[u8], properties: impl FnOnce(&mut Json)) {
    thread_local! {
        static DOCUMENT: Json = serde_json::from_slice(&std::fs::read(fixtures().join("iceberg_v3_dv/metadata/v3.metadata.json")).unwrap()).unwrap();
    }
    let mut document = DOCUMENT.with(Clone::clone);
    properties(&mut document["properties"]);
    iceberg("iceberg_v3_dv", "metadata/v3", document.to_string().as_bytes(), Depth::Head.for_most(data));
}

fn iceberg_name_mapping(data: &[u8]) {
    with_properties(data, |properties| properties["schema.name-mapping.default"] = json!(text(data)));
}

fn iceberg_properties(data: &[u8]) {
    with_properties(data, |properties| {
        for (key, value) in text(data).lines().filter_map(|line| line.split_once('=')) {
            properties[key] = json!(value);
        }
    });
}

/// Half of all inputs, always the same ones.
fn is_for_v3(data: &[u8]) -> bool {
    crc32fast::hash(data) < 1 << 31
}

fn iceberg_manifest_list(data: &[u8]) {
    if is_for_v3(data) {
        iceberg("iceberg_v3_dv", "metadata/snap-4721189352472353497", data, Depth::Whole);
    } else {
        iceberg("iceberg_v2_posdeletes", "metadata/snap-6165790934812151375", data, Depth::Whole);
    }
}

fn iceberg_manifest(data: &[u8]) {
    if is_for_v3(data) {
        iceberg("iceberg_v3_dv", "metadata/b5e4007f", data, Depth::Whole);
    } else {
        iceberg("iceberg_v2_posdeletes", "metadata/24896e91", data, Depth::Whole);
    }
}

fn iceberg_vector(data: &[u8]) {
    iceberg("iceberg_v3_dv", "data/00000-103", data, Depth::Deletes.for_most(data));
    // Where the first vector of the fixture lies, with a length and a checksum that are right.
    let objects = fixture("iceberg_v3_dv", &["metadata", "data"]);
    let (_, original) = objects.iter().find(|(name, _)| name.starts_with("data/00000-103")).unwrap();
    let length = u32::from_be_bytes(original[4..8].try_into().unwrap()) as usize;
    let mut body = data.to_vec();
    body.resize(length, 0);
    body.splice(..4, [0xd1, 0xd3, 0x39, 0x64]);
    let mut file = original.to_vec();
    file[8..8 + length].copy_from_slice(&body);
    file[8 + length..12 + length].copy_from_slice(&crc32fast::hash(&body).to_be_bytes());
    iceberg("iceberg_v3_dv", "data/00000-103", &file, Depth::Deletes.for_most(data));
}

fn iceberg_positions_parquet(data: &[u8]) {
    iceberg("iceberg_v2_posdeletes", "data/00000-96-3cb1d000-941a-4a4f-bddb-60d0c5f3eb5b-00001", data, Depth::Rows.for_most(data));
}

fn iceberg_positions_orc(data: &[u8]) {
    iceberg("iceberg_v2_orc", "data/00000-6", data, Depth::Rows.for_most(data));
}

fn iceberg_positions_avro(data: &[u8]) {
    iceberg("iceberg_v2_avro", "data/00000-13", data, Depth::Rows.for_most(data));
}

fn iceberg_values_parquet(data: &[u8]) {
    iceberg("iceberg_v2_eqdeletes", "data/deletes-parquet", data, Depth::Rows.for_most(data));
}

fn iceberg_values_orc(data: &[u8]) {
    iceberg("iceberg_v2_eqdeletes", "data/deletes-orc", data, Depth::Rows.for_most(data));
}

fn iceberg_values_avro(data: &[u8]) {
    iceberg("iceberg_v2_eqdeletes", "data/deletes-avro", data, Depth::Rows.for_most(data));
}
