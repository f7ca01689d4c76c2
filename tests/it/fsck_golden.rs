//! `fsck` over every Delta and Iceberg table of `$OTF_GOLDEN`: what it finds is listed in `fsck_golden.txt`, nothing else may be found.
//! Every error in the list was confirmed by hand or by another reader. `OTF_BLESS=1` writes the list anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use otf::catalog;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::{Reach, Severity};
use otf::ops::fsck::{Options, run};
use otf::store::Store;
use otf::units::Bytes;

use crate::support::golden::{Moved, folder, tables};
use crate::support::workbench::runtime;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fsck_golden.txt");

#[test]
fn golden_tables_have_the_findings_that_are_listed() {
    let Some(golden) = folder() else { return eprintln!("OTF_GOLDEN is not set: no golden tables were read") };
    let mut found = String::new();
    let delta = tables(&golden.join("delta"), &|folder| folder.join("_delta_log").is_dir());
    let iceberg = tables(&golden.join("iceberg"), &has_metadata);
    for (table, is_delta) in delta.into_iter().map(|table| (table, true)).chain(iceberg.into_iter().map(|table| (table, false))) {
        let name = table.strip_prefix(&golden).unwrap().to_string_lossy().to_string();
        for line in runtime().block_on(checked(&table, is_delta)) {
            found.push_str(&format!("{name}: {line}\n"));
        }
    }
    if blessed() {
        std::fs::write(LIST, &found).unwrap();
    }
    let listed = std::fs::read_to_string(LIST).unwrap();
    let (found, listed): (Vec<&str>, Vec<&str>) = (found.lines().collect(), listed.lines().collect());
    let new: Vec<_> = found.iter().filter(|line| !listed.contains(line)).collect();
    let gone: Vec<_> = listed.iter().filter(|line| !found.contains(line)).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}");
}

#[expect(clippy::disallowed_methods, reason = "the list is written anew where the environment asks for it")]
fn blessed() -> bool {
    std::env::var("OTF_BLESS").is_ok()
}

fn has_metadata(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder.join("metadata")).into_iter().flatten();
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".metadata.json"))
}

fn relative_home(table: &Path) -> Option<Location> {
    let mut files: Vec<_> = std::fs::read_dir(table.join("metadata")).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".metadata.json"));
    files.sort();
    let bytes = std::fs::read(files.last()?).unwrap();
    let text = if bytes.starts_with(&[0x1f, 0x8b]) {
        std::io::read_to_string(flate2::read::GzDecoder::new(bytes.as_slice())).unwrap()
    } else {
        String::from_utf8(bytes).unwrap()
    };
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    Location::parse(&format!("/{}", document["location"].as_str()?)).ok()
}

/// A line for each kind of finding of a deep check, with how many there are; notes are left out.
async fn checked(table: &Path, is_delta: bool) -> Vec<String> {
    let moved = Moved::new(table);
    // A table whose metadata gives a relative place lies as if at the top.
    let home = moved.home().cloned().or_else(|| relative_home(table));
    let root = home.unwrap_or_else(|| Location::parse(table.to_str().unwrap()).unwrap());
    let store = Store::new(Arc::new(moved));
    let runtime = tokio::runtime::Handle::current();
    let engine = ParquetRewriter::new(store.clone(), Settings { memory: Bytes::mib(256), threads: 2, runtime }).unwrap();
    let table: Box<dyn Table> = if is_delta { Box::new(DeltaTable::new(store, root)) } else { Box::new(catalog::path_table(&store, root)) };
    let options = Options { deep: true, reach: Reach::EveryVersion, limit: 100_000, memory: Bytes::mib(256) };
    let report = match run(table.as_ref(), &engine, &options).await {
        Ok(report) => report,
        Err(error) => return vec![format!("not checked: {}", error.kind().as_str())],
    };
    let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    for finding in report.findings.into_iter().filter(|finding| finding.severity != Severity::Note) {
        eprintln!("{} {} {}: {}", finding.severity.as_str(), finding.fault.code(), finding.place, finding.what);
        *counts.entry((finding.severity, finding.fault.code())).or_default() += 1;
    }
    counts.into_iter().map(|((severity, what), count)| format!("{} {what} ({count})", severity.as_str())).collect()
}
