//! Cases of Iceberg's own suites for delete files, by their numbers in `docs/tests/peer-suites.md`: what they ask of a verb that rewrites delete
//! files alone is asked of a compaction, which applies them. Those that other tests hold are named there.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::model::{DataFile, DeleteKind};
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::units::Bytes;
use serde_json::{Value as Json, json};

use crate::marks::mark;
use crate::support::iceberg_table::{File, PLAIN, Recipe, unparted, write};
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, over, runtime};

type Table = Arc<dyn ObjectStore>;

fn everything() -> Options {
    Options { rewrite_all: true, ..Options::default() }
}

async fn compacted(original: &Original, table: &Table, options: &Options) -> Finished {
    original.compact(table, 1, "an-operation", options).await.unwrap()
}

async fn files(original: &Original, table: &Table) -> Vec<DataFile> {
    let version = original.open(&over(table)).await.unwrap().load().await.unwrap();
    version.files(true).try_collect().await.unwrap()
}

/// Rows without their row ids, which an upgrade gives them.
fn plain(rows: &[String]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| row.rsplit_once(" | ").unwrap().0.to_string()).collect();
    rows.sort();
    rows
}

/// How many delete files the newest snapshot lists, whether they apply to anything or not.
async fn listed(original: &Original, table: &Table) -> u64 {
    let now = objects(table, &original.root).await;
    let newest = (1..).take_while(|n| now.contains_key(&format!("metadata/v{n}.metadata.json"))).last().unwrap();
    let document: Json = serde_json::from_slice(&now[&format!("metadata/v{newest}.metadata.json")]).unwrap();
    let snapshot = document["snapshots"].as_array().unwrap().iter().find(|one| one["snapshot-id"] == document["current-snapshot-id"]);
    snapshot.unwrap()["summary"]["total-delete-files"].as_str().unwrap().parse().unwrap()
}

#[test]
fn iceberg_suite_55_a_table_without_deletes_is_left_alone_whatever_is_asked_about_them() {
    runtime().block_on(async {
        let original = write(&PLAIN, &unparted(&[5, 5])).await;
        let table = original.lay_out().await;
        let options = Options {
            delete_file_threshold: Some(1),
            delete_ratio: Some(0.01),
            remove_dangling_deletes: true,
            min_file_size: Some(Bytes(1)),
            ..Options::default()
        };
        let done = compacted(&original, &table, &options).await;
        assert_eq!((done.outcome, done.before.delete_files), (Outcome::NothingToDo, 0));
        assert_eq!(objects(&table, &original.root).await, original.objects);
    });
}

#[test]
fn iceberg_suite_59_deletes_that_another_tool_left_without_their_files_go_with_the_next_compaction() {
    runtime().block_on(async {
        for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            // Every data file is replaced, and the delete files stay listed.
            rivals::commit(&original, &table, Deed::Overwrite).await;
            let rows = original.read(&table).await;
            compacted(&original, &table, &everything()).await;
            assert_eq!(listed(&original, &table).await, 3, "{fixture}: unasked they stay");
            let options = Options { remove_dangling_deletes: true, ..everything() };
            let done = original.compact(&table, 1, "another", &options).await.unwrap();
            assert_eq!((done.outcome, listed(&original, &table).await), (Outcome::Landed, 0), "{fixture}");
            assert_eq!(plain(&original.read(&table).await), plain(&rows), "{fixture}");
        }
    });
}

#[test]
fn iceberg_suite_60_vectors_of_compacted_partitions_go_and_those_of_others_stay() {
    runtime().block_on(async {
        let recipe = Recipe { parted_by: &["a"], ..PLAIN };
        let file = |n: i64| File { partition: vec![if n % 2 == 0 { "1" } else { "2" }], ids: n * 4..n * 4 + 4 };
        let mut original = write(&recipe, &(0..6).map(file).collect::<Vec<_>>()).await;
        // Its metadata says that it is of version 3, as after an upgrade.
        let name = original.objects.keys().filter(|key| key.ends_with(".metadata.json")).max().unwrap().clone();
        let mut document: Json = serde_json::from_slice(&original.objects[&name]).unwrap();
        (document["format-version"], document["next-row-id"]) = (3.into(), 0.into());
        original.objects.insert(name, document.to_string().into());
        let table = original.lay_out().await;
        let mut expected = original.read(&table).await;
        mark(&original, &table, "a-deletion", |_, position| position == 1, &mut expected).await;
        let version = original.open(&over(&table)).await.unwrap().load().await.unwrap();
        let filter = Some(otf::cli::filter::parse("a = '1'", &version.snapshot().schema).unwrap());
        let done = compacted(&original, &table, &Options { filter, remove_dangling_deletes: true, ..everything() }).await;
        assert_eq!((done.report.files_removed, done.before.delete_files, done.after.delete_files), (3, 6, 3));
        let left = files(&original, &table).await;
        let vectors = |partition: &str| -> Vec<usize> {
            left.iter().filter(|file| file.partition.display() == partition).map(|file| file.deletes.len()).collect()
        };
        assert_eq!((vectors("a=1"), vectors("a=2")), (vec![0], vec![1, 1, 1]));
        assert_eq!(plain(&original.read(&table).await), plain(&expected));
    });
}

#[test]
fn iceberg_suite_62_and_63_columns_added_since_are_no_matter_to_deletes_even_a_thousand() {
    runtime().block_on(async {
        let mut original = Original::iceberg("iceberg_v2_posdeletes").await;
        let name = "metadata/v3.metadata.json";
        let mut document: Json = serde_json::from_slice(&original.objects[name]).unwrap();
        let mut schema = document["schemas"][0].clone();
        let (last, columns) = (document["last-column-id"].as_i64().unwrap(), schema["fields"].as_array_mut().unwrap());
        columns.extend((1..=1_100).map(|n| json!({"id": last + n, "name": format!("c{n}"), "required": false, "type": "long"})));
        schema["schema-id"] = 77.into();
        document["schemas"].as_array_mut().unwrap().push(schema);
        (document["current-schema-id"], document["last-column-id"]) = (77.into(), (last + 1_100).into());
        original.objects.insert(name.into(), document.to_string().into());
        let table = original.lay_out().await;
        let done = compacted(&original, &table, &everything()).await;
        assert_eq!((done.outcome, done.before.delete_files, done.after.delete_files), (Outcome::Landed, 3, 0));
        assert_eq!(original.read(&table).await, original.rows);
    });
}

#[test]
fn iceberg_suite_64_position_deletes_become_one_vector_a_file_once_the_table_is_upgraded() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let table = original.lay_out().await;
        rivals::commit(&original, &table, Deed::Rules).await;
        let mut expected = original.read(&table).await;
        mark(&original, &table, "a-deletion", |_, position| position < 8, &mut expected).await;
        let marked = files(&original, &table).await;
        assert!(marked.iter().all(|file| file.deletes.len() == 1 && file.deletes[0].kind == DeleteKind::Vector), "{marked:?}");
        assert_eq!(plain(&original.read(&table).await), plain(&expected));
    });
}
