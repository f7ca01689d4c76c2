//! A sweep over tables of other engines, where `OTF_GOLDEN` names their folder.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{block, live_rows, load};

fn tables(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join("_delta_log").is_dir() {
        found.push(below.to_path_buf());
    }
    let mut folders: Vec<_> = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().filter(|path| !path.ends_with("_delta_log")).for_each(|path| tables(path, found));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the folder of tables is named by the environment")]
fn every_table_of_other_engines_is_read_right_or_refused_by_name() {
    let Some(golden) = std::env::var_os("OTF_GOLDEN").map(PathBuf::from) else { return };
    let oracle: Json = serde_json::from_slice(&std::fs::read(golden.join("oracle/delta.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    tables(&golden.join("delta"), &mut found);
    let (mut wrong, mut report) = (String::new(), String::new());
    for root in &found {
        let name = root.strip_prefix(&golden).unwrap().to_str().unwrap();
        let expected = oracle.get(name).and_then(|t| t.get("count").or(t.get("scan_rows"))).and_then(Json::as_u64);
        let outcome = block(async {
            let version = load(root).await?;
            let rows = live_rows(&version).await?;
            Ok::<_, crate::error::Error>((version.snapshot().version, rows, version.rewritable().err()))
        });
        match outcome {
            Ok((version, rows, refusal)) => {
                if rows.is_some() && expected.is_some() && rows != expected {
                    writeln!(wrong, "{name}: {rows:?} rows, {expected:?} expected").unwrap();
                }
                let version = version.map(|v| v.0);
                writeln!(report, "ok {name} v{version:?} rows {rows:?} oracle {expected:?} {refusal:?}").unwrap();
            }
            Err(error) => {
                if let Some(rows) = expected {
                    writeln!(wrong, "{name}: {error:?}, {rows} rows expected").unwrap();
                }
                writeln!(report, "ERR {name}: {error:?}").unwrap();
            }
        }
    }
    println!("{report}");
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(found.len() > 100);
}
