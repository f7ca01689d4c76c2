//! Time travel over `$OTF_GOLDEN`: every version and snapshot has the rows that other readers counted, or is in `query_golden.txt` with what keeps it
//! from being read. `OTF_BLESS=1` writes that list anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures::TryStreamExt;
use otf::catalog::PathPointer;
use otf::engine::scan::FileScanner;
use otf::engine::sql::{DataFusionSql, Settings};
use otf::error::{Kind, Result};
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::formats::iceberg::IcebergTable;
use otf::location::Location;
use otf::model::At;
use otf::ops::query::{self, Tables, statement::Request};
use otf::store::Store;
use otf::units::Bytes;
use serde_json::{Map, Value};

use crate::support::golden::{Moved, folder};
use crate::support::workbench::runtime;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/query_golden.txt");

struct Golden {
    store: Store,
    iceberg: bool,
}

#[async_trait::async_trait]
impl Tables for Golden {
    async fn open(&self, reference: &str) -> Result<Box<dyn Table>> {
        let root = Location::parse(reference)?;
        Ok(if self.iceberg {
            let pointer = Arc::new(PathPointer::new(self.store.clone(), root.clone()));
            Box::new(IcebergTable::new(self.store.clone(), root, pointer))
        } else {
            Box::new(DeltaTable::new(self.store.clone(), root))
        })
    }
}

#[test]
fn every_version_of_the_golden_tables_has_the_rows_that_other_readers_counted() {
    let Some(golden) = folder() else { return eprintln!("OTF_GOLDEN is not set: no golden tables were read") };
    let runtime = runtime();
    let (mut counted, mut wrong, mut refused) = (0, Vec::new(), BTreeMap::<String, u32>::new());
    for (name, versions, iceberg) in oracle(&golden) {
        let Some(root) = root_of(&golden.join(&name)) else { continue };
        for (version, rows) in versions.iter().filter_map(|(version, rows)| Some((version, rows.as_u64()?))) {
            let store = Store::new(Arc::new(Moved::new(&root)));
            let count = runtime.block_on(count(&Golden { store: store.clone(), iceberg }, &store, &root, version));
            match count {
                Ok(count) if count == rows => counted += 1,
                Err(error) if matches!(error.kind(), Kind::Unsupported | Kind::NotFound | Kind::Refused) => {
                    *refused.entry(format!("{name}: {}: {}", error.kind().as_str(), error.message())).or_default() += 1;
                }
                other => wrong.push(format!("{name} at {version}: {other:?}, not {rows}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counted > 500, "only {counted} versions were counted");
    let found: String = refused.iter().map(|(line, versions)| format!("{line} ({versions} versions)\n")).collect();
    if blessed() {
        std::fs::write(LIST, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(LIST).unwrap());
}

#[test]
fn the_time_of_every_golden_snapshot_leads_to_what_was_current_then() {
    let Some(golden) = folder() else { return eprintln!("OTF_GOLDEN is not set: no golden tables were read") };
    let (mut found, runtime) = (0, runtime());
    for (name, _, iceberg) in oracle(&golden) {
        let Some(root) = root_of(&golden.join(&name)).filter(|_| iceberg) else { continue };
        let store = Store::new(Arc::new(Moved::new(&root)));
        let wrong: Result<Vec<String>> = runtime.block_on(async {
            let table = Golden { store, iceberg }.open(&root.display().to_string()).await?;
            let line = table.load().await?.timeline();
            let mut wrong = Vec::new();
            for (time, version) in &line {
                let last = line.iter().rev().find(|(other, _)| other == time).map_or(*version, |(_, last)| last.to_owned());
                match table.load_at(&At::Time(*time)).await {
                    Ok(at) if at.snapshot().version == Some(last) => found += 1,
                    Err(error) if error.kind() == Kind::NotFound => {}
                    other => wrong.push(format!("{name} at {time}: {:?}, not {last}", other.map(|at| at.snapshot().version))),
                }
            }
            Ok(wrong)
        });
        assert_eq!(wrong.unwrap_or_default(), Vec::<String>::new());
    }
    assert!(found > 50, "only {found} times were looked at");
}

/// The tables whose versions were counted: name, rows by version, and whether they are Iceberg's.
fn oracle(golden: &Path) -> Vec<(String, Map<String, Value>, bool)> {
    let mut all = Vec::new();
    for (oracle, iceberg) in [("delta-versions.json", false), ("iceberg-replay-normalised.json", true)] {
        let text = std::fs::read(golden.join("oracle").join(oracle)).unwrap();
        let tables: Map<String, Value> = serde_json::from_slice(&text).unwrap();
        for (name, found) in tables.iter().filter(|(name, _)| name.starts_with(if iceberg { "iceberg/" } else { "delta/" })) {
            let versions = if iceberg { &found["per_snapshot"] } else { found };
            all.push((name.clone(), versions.as_object().cloned().unwrap_or_default(), iceberg));
        }
    }
    all
}

#[expect(clippy::disallowed_methods, reason = "the list is written anew where the environment asks for it")]
fn blessed() -> bool {
    std::env::var("OTF_BLESS").is_ok()
}

/// Some golden Delta tables lie in a folder of theirs.
fn root_of(folder: &Path) -> Option<PathBuf> {
    let delta = folder.join("delta");
    if delta.join("_delta_log").is_dir() { Some(delta) } else { folder.is_dir().then(|| folder.to_path_buf()) }
}

async fn count(tables: &Golden, store: &Store, root: &Path, version: &str) -> Result<u64> {
    let scanner = Arc::new(FileScanner::new(store.clone(), Bytes::mib(64), tokio::runtime::Handle::current()));
    let engine = DataFusionSql::new(Settings { memory: Bytes::mib(256), threads: 2, temp_dir: std::env::temp_dir() }, scanner);
    let sql = format!("SELECT count(*) FROM '{}' VERSION AS OF {version}", root.display());
    let request = Request { sql: &sql, named: &[], as_of: None, zone: None };
    let answer = query::run(&request, tables, &engine).await?;
    let batches: Vec<_> = answer.rows.try_collect().await?;
    Ok(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum::<i64>().unsigned_abs())
}
