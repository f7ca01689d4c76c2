//! A sweep over tables of other engines, where `OTF_GOLDEN` names their folder.

use std::fmt::Write;

use roaring::RoaringTreemap;

use super::*;
use crate::model::Marked;

fn tables(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join("_delta_log").is_dir() {
        found.push(below.to_path_buf());
    }
    let mut folders: Vec<_> = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().filter(|path| !path.ends_with("_delta_log")).for_each(|path| tables(path, found));
}

#[test]
fn every_table_of_other_engines_is_read_right_or_refused_by_name() {
    let Some(golden) = std::env::var_os("OTF_GOLDEN").map(PathBuf::from) else { return };
    let oracle: Json = serde_json::from_slice(&std::fs::read(golden.join("oracle/delta.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    tables(&golden.join("delta"), &mut found);
    let (mut wrong, mut report) = (String::new(), String::new());
    for root in &found {
        let name = root.strip_prefix(&golden).unwrap().to_str().unwrap();
        // The index names some tables by the folder above.
        let expected = oracle
            .get(name)
            .or_else(|| oracle.get(name.strip_suffix("/delta")?))
            .and_then(|t| t.get("count").or(t.get("scan_rows")))
            .and_then(Json::as_u64);
        let outcome = block(async {
            let version = table(root).load().await?;
            let rows = live_rows(&*version).await?;
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

/// The rows of `root` as it was at `version`.
fn rows_at(root: &Path, version: i64) -> Result<Option<u64>> {
    block(async {
        let (state, _) = table(root).state(Some(version), Keep::Live).await?;
        let location = Location::parse(root.to_str().unwrap())?;
        live_rows(&DeltaVersion::new(store(), location, state, None, None)?).await
    })
}

#[test]
fn every_version_of_tables_of_other_engines_has_its_rows() {
    let Some(golden) = std::env::var_os("OTF_GOLDEN").map(PathBuf::from) else { return };
    let oracle: Json = serde_json::from_slice(&std::fs::read(golden.join("oracle/delta-versions.json")).unwrap()).unwrap();
    let (mut wrong, mut compared) = (String::new(), 0);
    for (name, versions) in oracle.as_object().unwrap() {
        let root = golden.join(name);
        let root = if root.join("_delta_log").exists() { root } else { root.join("delta") };
        for (version, expected) in versions.as_object().unwrap() {
            let Some(expected) = expected.as_u64() else { continue };
            match rows_at(&root, version.parse().unwrap()) {
                Ok(None) => {}
                Ok(Some(rows)) if rows == expected => compared += 1,
                other => writeln!(wrong, "{name} version {version}: {other:?}, {expected} rows expected").unwrap(),
            }
        }
    }
    println!("{compared} versions compared");
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(compared > 200);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Marks every third row of each file, those included that are marked already; returns how many live rows there are afterwards.
fn mark_every_third(root: &Path) -> Option<u64> {
    let version = block(table(root).load()).ok().filter(|version| version.markable().is_ok())?;
    let files = block(all_files(&*version)).unwrap();
    let before = block(version.row_deletes(&files)).ok()?;
    let mut live = 0;
    let mut groups = Vec::new();
    for (file, before) in files.into_iter().zip(before) {
        let rows = file.rows?;
        let mut deleted: RoaringTreemap = (0..rows).step_by(3).collect();
        let mut more = true;
        if let RowDeletes::Positions(marked) = before {
            deleted |= &*marked;
            more = deleted.len() > marked.len();
        }
        live += rows - deleted.len();
        if more {
            groups.push(GroupChange { marks: vec![Marked { file, deleted: Arc::new(deleted) }], ..GroupChange::default() });
        }
    }
    let operation = OperationId("7b2c2f0e-6d0c-4b0e-9a51-0d6c2f8b1e11".into());
    let base = version.snapshot().version;
    let change = Change { operation, part: 0, base, intent: Intent::DeleteRows, groups, drop_dangling_deletes: false };
    let answer = block(version.offer(&change, crate::units::Timestamp(1_900_000_000_000)));
    assert!(matches!(answer, crate::commit::Answer::Ours(_)), "{}: {answer:?}", root.display());
    Some(live)
}

#[test]
fn rows_of_tables_of_other_engines_are_marked_and_no_others() {
    let Some(golden) = std::env::var_os("OTF_GOLDEN").map(PathBuf::from) else { return };
    let mut found = Vec::new();
    tables(&golden.join("delta"), &mut found);
    let mut marked = 0;
    for root in &found {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("t");
        copy_folder(root, &folder);
        let Some(expected) = mark_every_third(&folder) else { continue };
        assert_eq!(block(async { live_rows(&*table(&folder).load().await.unwrap()).await }).unwrap(), Some(expected), "{}", root.display());
        marked += 1;
    }
    println!("{marked} tables marked");
    assert!(marked > 10, "{marked}");
}
