//! Which files a table's metadata names, read without the tool: JSON and Avro as they are.

use std::collections::BTreeSet;

use apache_avro::Reader;
use apache_avro::types::Value as Avro;
use serde_json::Value as Json;

use super::workbench::Objects;

/// The keys of files that any version of the table in `objects` names, and of the metadata itself. `home` is how paths of the table begin.
pub(crate) fn named(objects: &Objects, home: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (key, bytes) in objects {
        let (folder, name) = key.split_once('/').unwrap();
        match folder {
            "_delta_log" if name == "_last_checkpoint" || name.ends_with(".checkpoint.parquet") => {
                names.insert(key.clone());
            }
            "_delta_log" if name.ends_with(".json") => {
                names.insert(key.clone());
                delta_entry(bytes, &mut names);
            }
            "metadata" if name == "version-hint.text" => {
                names.insert(key.clone());
            }
            "metadata" if name.ends_with(".metadata.json") => {
                names.insert(key.clone());
                iceberg_metadata(bytes, objects, home, &mut names);
            }
            _ => {}
        }
    }
    names
}

/// The keys of files that the metadata file `current` leads to: its snapshots, and the metadata files before it that it knows of.
pub(crate) fn named_from(objects: &Objects, current: &str, home: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from([current.to_string()]);
    iceberg_metadata(&objects[current], objects, home, &mut names);
    let metadata: Json = serde_json::from_slice(&objects[current]).unwrap();
    let log = metadata["metadata-log"].as_array().into_iter().flatten();
    names.extend(log.map(|entry| below(entry["metadata-file"].as_str().unwrap(), home)));
    names
}

fn delta_entry(bytes: &[u8], names: &mut BTreeSet<String>) {
    for text in std::str::from_utf8(bytes).unwrap().lines() {
        let action: Json = serde_json::from_str(text).unwrap();
        names.extend(["add", "remove"].iter().filter_map(|kind| action[kind]["path"].as_str()).map(str::to_string));
    }
}

fn iceberg_metadata(bytes: &[u8], objects: &Objects, home: &str, names: &mut BTreeSet<String>) {
    let metadata: Json = serde_json::from_slice(bytes).unwrap();
    for snapshot in metadata["snapshots"].as_array().into_iter().flatten() {
        let list = below(snapshot["manifest-list"].as_str().unwrap(), home);
        for manifest in texts(objects, &list, "manifest_path") {
            let manifest = below(&manifest, home);
            if names.insert(manifest.clone()) {
                names.extend(texts(objects, &manifest, "file_path").iter().map(|file| below(file, home)));
            }
        }
        names.insert(list);
    }
}

/// The key that the path `spelled` means.
fn below(spelled: &str, home: &str) -> String {
    let at = spelled.find(home).unwrap_or_else(|| panic!("{spelled} lies outside the table"));
    spelled[at + home.len()..].trim_start_matches('/').to_string()
}

/// Every text in a field called `field`, at any depth of the records of an Avro file.
fn texts(objects: &Objects, key: &str, field: &str) -> Vec<String> {
    let bytes = objects.get(key).unwrap_or_else(|| panic!("{key} is named and missing"));
    let mut found = Vec::new();
    for record in Reader::new(&bytes[..]).unwrap() {
        search(&record.unwrap(), field, &mut found);
    }
    found
}

fn search(value: &Avro, field: &str, found: &mut Vec<String>) {
    if let Avro::Record(fields) = value {
        for (name, value) in fields {
            match value {
                Avro::String(text) if name == field => found.push(text.clone()),
                nested => search(nested, field, found),
            }
        }
    }
}
