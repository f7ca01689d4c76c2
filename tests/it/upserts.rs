//! Flink's upserts (`$OTF_GOLDEN`) and a compaction that was planned before the last of them: deletes by value that came meanwhile reach the new
//! files, those that were applied do not apply again, and no row comes back (P1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use otf::catalog::PathPointer;
use otf::commit::Answer;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::engine::{RewritePath, RewriteTask, Rewriter};
use otf::error::Result;
use otf::formats::iceberg::IcebergTable;
use otf::formats::{OutputWishes, Table, TableVersion};
use otf::model::{Change, DataFile, GroupChange, Intent, OperationId};
use otf::ops::compact::Options;
use otf::ops::document::Outcome;
use otf::store::Store;
use otf::units::{Bytes, Timestamp};
use tokio::runtime::Handle;

use crate::golden::read;
use crate::support::golden::{Moved, copy, folder};
use crate::support::workbench::{Original, over, runtime};

const TABLES: [&str; 3] =
    ["iceberg_v2_delete_both_eq_and_pos", "iceberg_v2_delete_equality_partitioned", "iceberg_v2_equality_delete_schema_evolution"];

#[test]
fn deletes_by_value_that_come_while_a_compaction_runs_reach_its_new_files() {
    let Some(golden) = folder() else { return eprintln!("OTF_GOLDEN is not set: no golden tables were read") };
    for name in TABLES {
        let table = golden.join("iceberg").join(format!("apache__impala/hadoop_catalog__ice__{name}"));
        let newest = versions(&table).len();
        let mut landed = 0;
        for state in 2..=newest {
            landed += runtime().block_on(compacted_since(&table, state)).unwrap();
        }
        assert!(landed > 0, "{name}");
    }
}

/// Iceberg's library wrote a delete file in each format: ids 3, 13 and 23 in ORC, two texts in Avro, four ids in Parquet; then rows 3 and 5 again.
#[test]
fn equality_deletes_in_orc_avro_and_parquet_are_applied_to_older_rows_alone() {
    runtime().block_on(async {
        let original = Original::iceberg_whole("iceberg_v2_eqdeletes").await;
        let table = original.lay_out().await;
        let version = original.open(&over(&table)).await.unwrap().load().await.unwrap();
        let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
        let mut ends: Vec<&str> = files.iter().flat_map(|file| file.deletes.iter()).map(|delete| &*delete.key).collect();
        ends.sort_unstable();
        ends.dedup();
        let formats: Vec<&str> = ends.iter().map(|key| key.rsplit_once('.').unwrap().1).collect();
        assert_eq!(formats, ["avro", "orc", "parquet"]);
        let options = Options { rewrite_all: true, remove_dangling_deletes: true, ..Options::default() };
        let done = original.compact(&table, 1, "an-operation", &options).await.unwrap();
        assert_eq!((done.outcome, done.before.rows, done.after.rows, done.after.delete_files), (Outcome::Landed, 53, 53, 0));
        let dead = [3, 5, 7, 13, 15, 17, 23, 27, 37];
        let mut alive: Vec<String> =
            (0..60).filter(|id| !dead.contains(id)).chain([3, 5]).map(|id| format!(" | {id:05} v{id} | None")).collect();
        alive.sort();
        assert_eq!(original.read(&table).await, alive);
    });
}

/// The metadata files, oldest first.
fn versions(table: &Path) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(table.join("metadata")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        if let Some(number) = name.strip_prefix('v').and_then(|rest| rest.strip_suffix(".metadata.json")) {
            found.insert(number.parse::<usize>().unwrap(), path);
        }
    }
    found.into_values().collect()
}

/// Plans and rewrites the table as it was in its version number `state`, and commits to the newest. Returns how many groups landed.
async fn compacted_since(table: &Path, state: usize) -> Result<usize> {
    let scratch = tempfile::tempdir().unwrap();
    let home = scratch.path().join(table.file_name().unwrap());
    copy(table, &home);
    let moved = Moved::new(&home);
    let root = moved.home().cloned().unwrap();
    let store = Store::new(Arc::new(moved));
    let hidden: Vec<(PathBuf, Vec<u8>)> =
        versions(&home).into_iter().skip(state).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    hidden.iter().for_each(|(path, _)| std::fs::remove_file(path).unwrap());
    let hint = home.join("metadata/version-hint.text");
    std::fs::write(&hint, state.to_string()).unwrap();
    let pointer = Arc::new(PathPointer::new(store.clone(), root.clone()));
    let table = IcebergTable::new(store.clone(), root, pointer);
    let engine = ParquetRewriter::new(store, Settings { memory: Bytes::mib(64), threads: 1, runtime: Handle::current() })?;
    let mut change = planned(&*table.load().await?, &engine).await?;

    hidden.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    std::fs::write(hint, (state + hidden.len()).to_string()).unwrap();
    let newest = table.load().await?;
    let before = read(&table, &engine, &home.join("../before")).await?;
    let mut holds = newest.still_holds(&change).await?.into_iter();
    change.groups.retain(|_| holds.next().unwrap());
    if change.groups.is_empty() {
        return Ok(0);
    }
    let Answer::Ours(_) = newest.offer(&change, Timestamp(1_800_000_000_000)).await else { panic!("it must land") };
    assert_eq!(read(&table, &engine, &home.join("../after")).await?, before, "version {state}");
    if hidden.is_empty() {
        let files: Vec<DataFile> = table.load().await?.files(false).try_collect().await?;
        assert!(files.iter().all(|file| file.deletes.is_empty()), "what was applied applies no more");
    }
    Ok(change.groups.len())
}

/// Every partition written anew, with the deletes of `version` applied.
async fn planned(version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<Change> {
    let mut partitions: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
    let files: Vec<DataFile> = version.files(false).try_collect().await?;
    for file in files {
        partitions.entry(format!("{}/{}", file.partition.spec_id, file.partition.display())).or_default().push(file);
    }
    let mut groups = Vec::new();
    for (at, removes) in partitions.into_values().enumerate() {
        let inputs: Vec<_> = removes.iter().cloned().zip(version.row_deletes(&removes).await?).collect();
        let deleted: u64 = engine.locate_deletes(&inputs).await?.iter().map(|deletes| deletes.len().unwrap()).sum();
        let live_rows = removes.iter().map(|file| file.rows.unwrap()).sum::<u64>() - deleted;
        let output = version.output(&removes[0].partition, &OutputWishes::default())?;
        let task = RewriteTask { inputs, output, name_stem: format!("new-{at}"), path: RewritePath::Auto };
        groups.push(GroupChange { removes, live_rows, adds: engine.rewrite(task).await?.files, ..GroupChange::default() });
    }
    let operation = OperationId("while-others-write".into());
    Ok(Change { operation, part: 0, base: version.snapshot().version, intent: Intent::Rearrange, groups, drop_dangling_deletes: false })
}
