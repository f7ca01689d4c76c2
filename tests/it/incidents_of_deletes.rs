//! Incidents of other tools with rows that are deleted where they lie, and with statistics that hide rows: `docs/tests/incidents.md`.

use std::path::Path;
use std::process::Command;

use futures::TryStreamExt;
use otf::catalog::path_table;
use otf::formats::{OutputWishes, TableVersion};
use otf::model::{DataFile, DeleteKind, SpecChoice, Value};
use otf::ops::compact::Options;
use otf::ops::document::Outcome;
use serde_json::{Value as Json, json};

use crate::marks::mark;
use crate::support::workbench::{Original, objects, over, rows, runtime};

fn everything() -> Options {
    Options { rewrite_all: true, ..Options::default() }
}

async fn files(version: &dyn TableVersion) -> Vec<DataFile> {
    version.files(true).try_collect().await.unwrap()
}

#[test]
fn presto_28182_a_branch_has_vectors_of_its_own() {
    runtime().block_on(async {
        let mut original = Original::iceberg("iceberg_v3_dv").await;
        let name = "metadata/v3.metadata.json";
        let mut document: Json = serde_json::from_slice(&original.objects[name]).unwrap();
        let (before, after) = (document["snapshots"][0]["snapshot-id"].clone(), document["snapshots"][1]["snapshot-id"].clone());
        // Main is as it was before its rows were deleted; the branch has the vectors.
        document["refs"] = json!({"main": {"type": "branch", "snapshot-id": before}, "dev": {"type": "branch", "snapshot-id": after}});
        document["current-snapshot-id"] = before;
        document["snapshot-log"].as_array_mut().unwrap().truncate(1);
        original.objects.insert(name.into(), document.to_string().into());
        let table = original.lay_out().await;
        let store = over(&table);
        let dev = path_table(&store, original.root.clone()).on("dev");
        let (main_rows, dev_rows) = (original.read(&table).await, rows(&dev, &store).await.unwrap());
        assert_eq!((main_rows.len(), dev_rows.len()), (60, 45));
        let done = Original::compact_table(&dev, &store, (1, "on-the-branch"), &everything(), |engine| engine).await.unwrap();
        assert_eq!((done.outcome, done.after.rows, done.after.delete_files), (Outcome::Landed, 45, 0));
        assert_eq!((original.read(&table).await, rows(&dev, &store).await.unwrap()), (main_rows, dev_rows));
        // Main has no vector, and gets none from the branch.
        let done = original.compact(&table, 1, "on-main", &everything()).await.unwrap();
        assert_eq!((done.outcome, done.after.rows, done.after.files), (Outcome::Landed, 60, 1));
        assert_eq!(rows(&dev, &store).await.unwrap().len(), 45);
    });
}

/// Ids and texts without partitions.
fn ids(rows: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = rows.iter().map(|row| row.split(" | ").nth(1).unwrap().to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn iceberg_8979_rows_of_every_spec_are_deleted_and_compacted() {
    runtime().block_on(async {
        for spec in [SpecChoice::Own, SpecChoice::Current] {
            let original = Original::iceberg("iceberg_v2_specs").await;
            let table = original.lay_out().await;
            let mut expected = original.rows.clone();
            // Files of three specs, each of which has a delete file already.
            mark(&original, &table, "first-rows", |_, position| position < 2, &mut expected).await;
            assert!(original.rows.len() - expected.len() >= 14, "{} rows were deleted", original.rows.len() - expected.len());
            assert_eq!(original.read(&table).await, expected);
            let output = OutputWishes { spec, ..OutputWishes::default() };
            let options = Options { output, remove_dangling_deletes: true, ..everything() };
            let done = original.compact(&table, 1, "an-operation", &options).await.unwrap();
            assert_eq!((done.outcome, done.after.delete_files, done.after.rows), (Outcome::Landed, 0, expected.len() as u64), "{spec:?}");
            assert_eq!(ids(&original.read(&table).await), ids(&expected), "{spec:?}");
        }
    });
}

#[test]
fn iceberg_go_2003_a_table_of_version_2_gets_no_vectors() {
    runtime().block_on(async {
        for (fixture, kind, end) in
            [("iceberg_v2_posdeletes", DeleteKind::Positions, ".parquet"), ("iceberg_v3_dv", DeleteKind::Vector, ".puffin")]
        {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            mark(&original, &table, "a-deletion", |_, position| position == 2, &mut original.rows.clone()).await;
            let now = objects(&table, &original.root).await;
            let new: Vec<&String> = now.keys().filter(|key| !original.objects.contains_key(*key) && key.starts_with("data/")).collect();
            assert!(!new.is_empty() && new.iter().all(|key| key.ends_with(end)), "{fixture}: {new:?}");
            let version = original.open(&over(&table)).await.unwrap().load().await.unwrap();
            assert!(files(&*version).await.iter().flat_map(|file| file.deletes.iter()).all(|delete| delete.kind == kind), "{fixture}");
        }
    });
}

/// The rows of a query over the fixtures, as JSON.
fn query(sql: &str) -> Vec<Json> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut command = Command::new(env!("CARGO_BIN_EXE_otf"));
    let output =
        command.args(["query", sql, "--output", "json"]).current_dir(&fixtures).env_clear().env("HOME", &fixtures).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn delta_rs_4692_deleted_rows_are_below_filters_limits_and_a_second_reading() {
    // Every fourth id is deleted.
    assert_eq!(query("SELECT id FROM './delta_dv' ORDER BY id LIMIT 4"), [1, 2, 3, 5].map(|id| json!({"id": id})));
    assert_eq!(query("SELECT id FROM './delta_dv' WHERE id % 4 = 0 OR id = 7"), [json!({"id": 7})]);
    assert_eq!(query("SELECT count(*) AS n FROM (SELECT id FROM './delta_dv' WHERE id < 20 LIMIT 100)"), [json!({"n": 15})]);
    assert_eq!(query("SELECT id FROM './delta_dv' ORDER BY id OFFSET 3 LIMIT 1"), [json!({"id": 5})]);
    // One table read twice in one plan: a mask is not used up by its first use.
    let twice = "WITH t AS (SELECT id FROM './delta_dv') SELECT count(*) AS n FROM (SELECT * FROM t UNION ALL SELECT * FROM t)";
    assert_eq!(query(twice), [json!({"n": 90})]);
    assert_eq!(query("SELECT count(*) AS n FROM './delta_dv' a JOIN './delta_dv' b ON a.id = b.id"), [json!({"n": 45})]);
}

#[test]
fn delta_5512_statistics_with_offsets_of_before_1900_are_read_right_or_not_at_all() {
    runtime().block_on(async {
        let mut original = Original::delta("/t", 1).await;
        // Local mean time of Los Angeles: 7 h 52 min 58 s behind.
        let stats = json!({"numRecords": 5, "minValues": {"at": "1850-01-01T00:00:00.000-07:52:58"},
            "maxValues": {"at": "1850-01-02T00:00:00.000-07:52:58"}, "nullCount": {"at": 0}});
        let rewrite = |text: &str, change: &dyn Fn(&mut Json)| -> bytes::Bytes {
            let lines = text.lines().map(|line| {
                let mut action: Json = serde_json::from_str(line).unwrap();
                change(&mut action);
                format!("{action}\n")
            });
            lines.collect::<String>().into()
        };
        for (name, key) in [("_delta_log/00000000000000000000.json", "metaData"), ("_delta_log/00000000000000000001.json", "add")] {
            let text = String::from_utf8(original.objects[name].to_vec()).unwrap();
            let changed = rewrite(&text, &|action| match (key, action.get_mut(key)) {
                ("metaData", Some(metadata)) => {
                    let mut schema: Json = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
                    let column = json!({"name": "at", "type": "timestamp", "nullable": true, "metadata": {}});
                    schema["fields"].as_array_mut().unwrap().push(column);
                    metadata["schemaString"] = schema.to_string().into();
                }
                (_, Some(add)) => add["stats"] = stats.to_string().into(),
                _ => {}
            });
            original.objects.insert(name.into(), changed);
        }
        let table = original.lay_out().await;
        let version = original.open(&over(&table)).await.unwrap().load().await.unwrap();
        let file = files(&*version).await.remove(0);
        let at = version.snapshot().schema.fields.iter().find(|field| field.name == "at").unwrap().id;
        let found = file.stats.unwrap().columns.remove(&at).unwrap_or_default();
        let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        let (first, last) = (micros("1850-01-01T07:52:58Z"), micros("1850-01-02T07:52:58Z"));
        let micros_of = |value: &Option<Value>| match value {
            Some(Value::Long(micros)) => Some(*micros),
            None => None,
            Some(other) => panic!("{other:?}"),
        };
        assert!(micros_of(&found.lower).is_none_or(|lower| lower <= first), "{found:?}");
        assert!(micros_of(&found.upper).is_none_or(|upper| upper >= last), "{found:?}");
    });
}

#[test]
fn a_global_equality_delete_is_reason_enough_to_rewrite() {
    runtime().block_on(async {
        let original = Original::iceberg_whole("iceberg_v2_eqdeletes").await;
        let table = original.lay_out().await;
        let options = Options {
            delete_file_threshold: Some(1),
            delete_ratio: Some(1.0),
            min_file_size: Some(otf::units::Bytes(1)),
            ..Options::default()
        };
        let done = original.compact(&table, 1, "an-operation", &options).await.unwrap();
        // The three files that are older than the deletes, and not the two that came after them.
        assert_eq!((done.outcome, done.report.files_removed, done.before.files, done.after.rows), (Outcome::Landed, 3, 5, 53));
        let dead = [3, 5, 7, 13, 15, 17, 23, 27, 37];
        let mut alive: Vec<String> = (0..60).filter(|id| !dead.contains(id)).chain([3, 5]).map(|id| format!("{id:05} v{id}")).collect();
        alive.sort();
        assert_eq!(ids(&original.read(&table).await), alive);
        let again = original.compact(&table, 1, "again", &options).await.unwrap();
        assert_eq!(again.outcome, Outcome::NothingToDo);
    });
}
