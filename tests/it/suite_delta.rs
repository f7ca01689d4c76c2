//! Cases of Delta's own suites for `OPTIMIZE` (Spark's and delta-rs'), by their numbers in `docs/tests/peer-suites.md`. Those that other tests hold
//! are named there.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use otf::error::Kind;
use otf::model::DataFile;
use otf::model::predicate::Predicate;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::units::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

use crate::support::delta_table::{inline_vector, parquet_of};
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, over, runtime};

type Table = Arc<dyn ObjectStore>;

/// A file of a table: the path as the log spells it, the partition's values, the ids of its rows, positions of deleted ones.
struct File {
    path: String,
    values: Json,
    ids: std::ops::Range<i64>,
    deleted: Vec<u64>,
    stats: bool,
}

fn file(path: impl Into<String>, values: Json, ids: std::ops::Range<i64>) -> File {
    File { path: path.into(), values, ids, deleted: Vec::new(), stats: true }
}

/// A table partitioned by the text columns `parted_by`, whose files came with version 1.
async fn table(parted_by: &[&str], files: &[File]) -> Original {
    let store: Table = Arc::new(InMemory::new());
    let column = |name: &str, ty: &str| json!({"name": name, "type": ty, "nullable": true, "metadata": {}});
    let mut columns = vec![column("id", "long"), column("name", "string")];
    columns.extend(parted_by.iter().map(|name| column(name, "string")));
    let schema = json!({"type": "struct", "fields": columns}).to_string();
    let features = ["deletionVectors"];
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features});
    let metadata = json!({"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": parted_by,
        "configuration": {}, "createdTime": 0});
    let mut adds = Vec::new();
    for file in files {
        let rows: Vec<(i64, String)> = file.ids.clone().map(|id| (id, format!("name {id}"))).collect();
        let bytes = parquet_of(&rows);
        let mut add =
            json!({"path": file.path, "partitionValues": file.values, "size": bytes.len(), "modificationTime": 0, "dataChange": true});
        if file.stats {
            let bounds = |id: i64| json!({"id": id});
            let stats = json!({"numRecords": rows.len(), "minValues": bounds(file.ids.start), "maxValues": bounds(file.ids.end - 1),
                "nullCount": {"id": 0}});
            add["stats"] = stats.to_string().into();
        }
        if !file.deleted.is_empty() {
            add["deletionVector"] = inline_vector(&file.deleted);
        }
        // Paths of the log are percent-encoded once.
        let key = percent_encoding::percent_decode_str(&file.path).decode_utf8().unwrap().to_string();
        put(&store, &key, bytes).await;
        adds.push(json!({"add": add}));
    }
    put(&store, "_delta_log/00000000000000000000.json", lines(&[json!({"protocol": protocol}), json!({"metaData": metadata})])).await;
    put(&store, "_delta_log/00000000000000000001.json", lines(&adds)).await;
    Original::found(&store, "/t", true).await
}

async fn put(store: &Table, key: &str, bytes: Vec<u8>) {
    store.put(&Path::parse(format!("t/{key}")).unwrap(), PutPayload::from(bytes)).await.unwrap();
}

fn lines(actions: &[Json]) -> Vec<u8> {
    actions.iter().map(|action| format!("{action}\n")).collect::<String>().into_bytes()
}

fn everything() -> Options {
    Options { rewrite_all: true, max_concurrent_groups: Some(1), ..Options::default() }
}

/// Two files are enough for a group, whatever their size.
fn two_or_more() -> Options {
    Options { min_input_files: Some(2), ..Options::default() }
}

async fn compacted(original: &Original, table: &Table, options: &Options) -> Finished {
    original.compact(table, 1, "an-operation", options).await.unwrap()
}

async fn filter(original: &Original, table: &Table, text: &str) -> Option<Predicate> {
    let version = original.open(&over(table)).await.unwrap().load().await.unwrap();
    Some(otf::cli::filter::parse(text, &version.snapshot().schema).unwrap())
}

async fn files(original: &Original, table: &Table) -> Vec<DataFile> {
    let version = original.open(&over(table)).await.unwrap().load().await.unwrap();
    version.files(false).try_collect().await.unwrap()
}

/// The actions of a commit of one kind.
async fn actions(original: &Original, table: &Table, version: u64, kind: &str) -> Vec<Json> {
    let now = objects(table, &original.root).await;
    let text = std::str::from_utf8(&now[&format!("_delta_log/{version:020}.json")]).unwrap().to_string();
    text.lines().filter_map(|line| serde_json::from_str::<Json>(line).unwrap().get(kind).cloned()).collect()
}

/// Sizes of files that are many rows long, and of ones that are few.
const LARGE: i64 = 4_000;

/// Sizes between which only files of [`LARGE`] rows are of the right size.
fn only_small_ones(original: &Original) -> Options {
    let largest = original.objects.values().map(|bytes| bytes.len() as u64).max().unwrap();
    let mut options = two_or_more();
    options.output.target_file_size = Some(Bytes(largest));
    options
}

#[test]
fn delta_suite_153_two_appends_become_one_file_and_one_version() {
    runtime().block_on(async {
        let original = table(&[], &[file("1.parquet", json!({}), 0..5), file("2.parquet", json!({}), 5..9)]).await;
        let objects = original.lay_out().await;
        let done = compacted(&original, &objects, &two_or_more()).await;
        assert_eq!((done.base_version.unwrap().0, done.versions[0].0, done.after.files), (1, 2, 1));
        assert_eq!(original.read(&objects).await, original.rows);
    });
}

#[test]
fn delta_suite_154_a_filter_may_name_any_column_and_chooses_files() {
    runtime().block_on(async {
        let all = [0, 5, 10, 15].map(|id| file(format!("p=x/{id}.parquet"), json!({"p": "x"}), id..id + 5));
        let original = table(&["p"], &all).await;
        let objects = original.lay_out().await;
        let options = Options { filter: filter(&original, &objects, "id < 8").await, ..everything() };
        assert_eq!(compacted(&original, &objects, &options).await.report.files_removed, 2);
        assert_eq!(original.read(&objects).await, original.rows);
        let version = original.open(&over(&objects)).await.unwrap().load().await.unwrap();
        for text in ["id", "id IN (SELECT 1)", "'c1'", "id + 1"] {
            assert_eq!(otf::cli::filter::parse(text, &version.snapshot().schema).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    });
}

#[test]
fn delta_suite_155_158_and_161_each_partition_is_one_file_and_a_filter_leaves_the_others() {
    runtime().block_on(async {
        let in_parts = |n: i64| {
            let p = ["a", "b", "c"][usize::try_from(n % 3).unwrap()];
            file(format!("p={p}/{n}.parquet"), json!({"p": p}), n * 5..n * 5 + 5)
        };
        let original = table(&["p"], &(0..9).map(in_parts).collect::<Vec<_>>()).await;
        let objects = original.lay_out().await;
        // Groups may run side by side.
        let done = compacted(&original, &objects, &Options { max_concurrent_groups: Some(8), ..two_or_more() }).await;
        assert_eq!((done.versions.len(), done.report.files_removed, done.after.files), (1, 9, 3));
        assert_eq!(original.read(&objects).await, original.rows);

        let objects = original.lay_out().await;
        let before: BTreeSet<String> = original.live_files(&objects).await.into_iter().collect();
        let one = Options { filter: filter(&original, &objects, "p = 'b'").await, ..two_or_more() };
        assert_eq!(compacted(&original, &objects, &one).await.report.files_removed, 3);
        let after: BTreeSet<String> = original.live_files(&objects).await.into_iter().collect();
        assert!(before.difference(&after).all(|name| name.starts_with("p=b/")));
        assert_eq!((after.len(), original.read(&objects).await), (7, original.rows.clone()));
    });
}

#[test]
fn delta_suite_156_a_share_of_deleted_rows_decides_about_large_files_and_small_ones_always_take_part() {
    runtime().block_on(async {
        let large = |n: i64, deleted: u64| File {
            deleted: (0..deleted).collect(),
            ..file(format!("{n}.parquet"), json!({}), n * 10_000..n * 10_000 + LARGE)
        };
        let small = |n: i64| file(format!("{n}.parquet"), json!({}), n * 10_000..n * 10_000 + 5);
        // 10 %, 1 %, none; two small ones.
        let original = table(&[], &[large(0, 400), large(1, 40), large(2, 0), small(3), small(4)]).await;
        let objects = original.lay_out().await;
        let options = Options { delete_ratio: Some(0.05), ..only_small_ones(&original) };
        compacted(&original, &objects, &options).await;
        let live = original.live_files(&objects).await;
        let kept: Vec<&String> = live.iter().filter(|name| !name.contains("an-operation")).collect();
        assert_eq!(kept, ["1.parquet", "2.parquet"]);
        assert_eq!(original.read(&objects).await, original.rows);
    });
}

#[test]
fn delta_suite_157_and_179_only_small_files_are_joined_wherever_large_ones_lie() {
    runtime().block_on(async {
        // Rows of each partition's files, in the order they were written.
        for sizes in [vec![LARGE, 5, 5, 5], vec![5, 5, LARGE, 5], vec![5, 5, 5, LARGE]] {
            let mut all = vec![file("p=alone/0.parquet", json!({"p": "alone"}), 90_000..90_003)];
            let parts = sizes
                .iter()
                .zip(0..)
                .map(|(rows, n): (&i64, i64)| file(format!("p=x/{n}.parquet"), json!({"p": "x"}), n * 10_000..n * 10_000 + rows));
            all.extend(parts);
            let original = table(&["p"], &all).await;
            let objects = original.lay_out().await;
            let options = only_small_ones(&original);
            let done = compacted(&original, &objects, &options).await;
            assert_eq!((done.report.files_removed, done.report.files_added, done.after.files), (3, 1, 3), "{sizes:?}");
            let large = sizes.iter().position(|rows| *rows == LARGE).unwrap();
            let live = original.live_files(&objects).await;
            assert!(live.contains(&"p=alone/0.parquet".into()) && live.contains(&format!("p=x/{large}.parquet")), "{live:?}");
            assert_eq!(original.read(&objects).await, original.rows);
        }
    });
}

#[test]
fn delta_suite_159_null_and_empty_partition_values_are_one_partition() {
    runtime().block_on(async {
        let default = "p=__HIVE_DEFAULT_PARTITION__";
        let all = [
            file(format!("{default}/1.parquet"), json!({"p": null}), 0..5),
            file(format!("{default}/2.parquet"), json!({"p": ""}), 5..10),
            file("p=x/3.parquet", json!({"p": "x"}), 10..15),
            file("p=x/4.parquet", json!({"p": "x"}), 15..20),
        ];
        let original = table(&["p"], &all).await;
        let objects = original.lay_out().await;
        assert_eq!(compacted(&original, &objects, &two_or_more()).await.after.files, 2);
        let adds = actions(&original, &objects, 2, "add").await;
        let values: Vec<&Json> = adds.iter().map(|add| &add["partitionValues"]["p"]).collect();
        assert!(values.contains(&&Json::Null) && values.contains(&&json!("x")), "{values:?}");
        assert_eq!(original.read(&objects).await, original.rows);
    });
}

#[test]
fn delta_suite_160_and_173_a_filter_on_one_or_both_of_two_partition_columns() {
    runtime().block_on(async {
        let part = |n: i64| {
            let (p, q) = ([1, 2][usize::try_from(n / 4).unwrap()], ["x", "y"][usize::try_from(n / 2 % 2).unwrap()]);
            file(format!("p={p}/q={q}/{n}.parquet"), json!({"p": p.to_string(), "q": q}), n * 5..n * 5 + 5)
        };
        let original = table(&["p", "q"], &(0..8).map(part).collect::<Vec<_>>()).await;
        for (text, joined) in [("p = '1' AND q = 'x'", vec!["p=1/q=x"]), ("q = 'y'", vec!["p=1/q=y", "p=2/q=y"])] {
            let objects = original.lay_out().await;
            let options = Options { filter: filter(&original, &objects, text).await, ..two_or_more() };
            let done = compacted(&original, &objects, &options).await;
            assert_eq!(done.report.files_removed, joined.len() as u64 * 2, "{text}");
            let adds = actions(&original, &objects, 2, "add").await;
            let mut folders = Vec::new();
            for add in &adds {
                let folder = add["path"].as_str().unwrap().rsplit_once('/').unwrap().0.to_string();
                let values = &add["partitionValues"];
                assert_eq!(folder, format!("p={}/q={}", values["p"].as_str().unwrap(), values["q"].as_str().unwrap()));
                folders.push(folder);
            }
            folders.sort();
            assert_eq!((folders, original.read(&objects).await), (joined.into_iter().map(String::from).collect(), original.rows.clone()));
        }
    });
}

#[test]
fn delta_suite_162_and_177_a_commit_for_each_group_or_one_for_all() {
    runtime().block_on(async {
        let all = (0..6).map(|n| file(format!("p={}/{n}.parquet", n % 3), json!({"p": (n % 3).to_string()}), n * 5..n * 5 + 5));
        let original = table(&["p"], &all.collect::<Vec<_>>()).await;
        for (allowed, made) in [(Some(usize::MAX), 3), (None, 1)] {
            let objects = original.lay_out().await;
            let done = compacted(&original, &objects, &Options { partial_progress: allowed, ..two_or_more() }).await;
            assert_eq!((done.versions.len(), done.report.files_added, done.report.files_removed), (made, 3, 6));
            assert_eq!(original.read(&objects).await, original.rows);
        }
    });
}

#[test]
fn delta_suite_164_encodings_of_one_partition_value_are_one_partition() {
    runtime().block_on(async {
        let all = [
            file("p=a%20b/1.parquet", json!({"p": "a b"}), 0..5),
            file("p=a%2520b/2.parquet", json!({"p": "a b"}), 5..10),
            file("elsewhere/3.parquet", json!({"p": "a b"}), 10..15),
        ];
        let original = table(&["p"], &all).await;
        let objects = original.lay_out().await;
        let done = compacted(&original, &objects, &two_or_more()).await;
        assert_eq!((done.report.files_removed, done.after.files), (3, 1));
        let removed: Vec<String> =
            actions(&original, &objects, 2, "remove").await.iter().map(|remove| remove["path"].as_str().unwrap().to_string()).collect();
        assert_eq!(removed.iter().collect::<BTreeSet<_>>(), all.iter().map(|file| &file.path).collect());
        assert_eq!(original.read(&objects).await, original.rows);
    });
}

#[test]
fn delta_suite_167_files_without_statistics_are_counted_and_joined() {
    runtime().block_on(async {
        let bare = |n: i64| File { stats: false, ..file(format!("{n}.parquet"), json!({}), n * 5..n * 5 + 5) };
        let store: Vec<File> = (0..4).map(bare).collect();
        // Rows of files without a count are known from the files themselves.
        let memory_rows: Vec<i64> = (0..20).collect();
        let original = without_counts(&store).await;
        let objects = original.lay_out().await;
        let done = compacted(&original, &objects, &two_or_more()).await;
        assert_eq!((done.before.rows, done.after.rows, done.after.files), (20, 20, 1));
        let add = &actions(&original, &objects, 2, "add").await[0];
        let stats: Json = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        assert_eq!((&stats["numRecords"], &stats["minValues"]["id"], &stats["maxValues"]["id"]), (&json!(20), &json!(0), &json!(19)));
        let ids: Vec<i64> = original
            .read(&objects)
            .await
            .iter()
            .map(|row| row.split(['|', ' ']).find(|word| !word.is_empty()).unwrap().parse().unwrap())
            .collect();
        assert_eq!(ids, memory_rows);
    });
}

/// As [`table`], for files whose rows the log does not count.
async fn without_counts(files: &[File]) -> Original {
    let counted: Vec<File> = files.iter().map(|one| file(one.path.clone(), one.values.clone(), one.ids.clone())).collect();
    let mut original = table(&[], &counted).await;
    let name = "_delta_log/00000000000000000001.json";
    let strip = |line: &str| {
        let mut action: Json = serde_json::from_str(line).unwrap();
        action["add"].as_object_mut().unwrap().remove("stats");
        action
    };
    let text = std::str::from_utf8(&original.objects[name]).unwrap().to_string();
    original.objects.insert(name.into(), lines(&text.lines().map(strip).collect::<Vec<_>>()).into());
    original
}

#[test]
fn delta_suite_170_vectors_are_purged_and_a_table_without_any_is_left_alone() {
    runtime().block_on(async {
        let purge =
            Options { delete_file_threshold: Some(1), delete_ratio: Some(1.0), min_file_size: Some(Bytes(1)), ..Options::default() };
        let marked = |n: i64, deleted: &[u64]| File {
            deleted: deleted.to_vec(),
            ..file(format!("p={}/{n}.parquet", n % 2), json!({"p": (n % 2).to_string()}), n * 5..n * 5 + 5)
        };
        let original = table(&["p"], &[marked(0, &[1]), marked(1, &[0, 4]), marked(2, &[]), marked(3, &[])]).await;
        let objects = original.lay_out().await;
        let one = Options { filter: filter(&original, &objects, "p = '1'").await, ..purge.clone() };
        assert_eq!(compacted(&original, &objects, &one).await.report.files_removed, 1);
        let left = files(&original, &objects).await.into_iter().filter(|file| !file.deletes.is_empty()).map(|file| file.path().to_string());
        assert_eq!(left.collect::<Vec<_>>(), ["p=0/0.parquet"]);
        assert_eq!(original.compact(&objects, 1, "second", &purge).await.unwrap().report.files_removed, 1);
        assert!(files(&original, &objects).await.iter().all(|file| file.deletes.is_empty()));
        assert_eq!(original.compact(&objects, 1, "third", &purge).await.unwrap().outcome, Outcome::NothingToDo);
        assert_eq!(original.read(&objects).await, original.rows);
    });
}

#[test]
fn delta_suite_170_dropped_columns_go_from_the_files_and_renamed_ones_stay() {
    runtime().block_on(async {
        let original = Original::delta_fixture("delta_mapping_name").await;
        let objects = original.lay_out().await;
        let columns = |bytes: bytes::Bytes| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            reader.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        let all = crate::support::workbench::objects(&objects, &original.root).await;
        let before = columns(all[&original.live_files(&objects).await[0]].clone());
        compacted(&original, &objects, &everything()).await;
        let all = crate::support::workbench::objects(&objects, &original.root).await;
        let after = columns(all[&original.live_files(&objects).await[0]].clone());
        assert_eq!((before.len(), after.len()), (3, 2));
        assert_eq!(after, [before[0].clone(), before[2].clone()]);
    });
}

#[test]
fn delta_suite_174_rows_that_are_deleted_stay_so_beside_an_append() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let objects = original.lay_out().await;
        rivals::commit(&original, &objects, Deed::Append).await;
        let rows = original.read(&objects).await;
        let done = compacted(&original, &objects, &everything()).await;
        assert!(done.before.delete_files > 0 && done.after.delete_files == 0, "{done:?}");
        assert_eq!(original.read(&objects).await, rows);
    });
}

#[test]
fn delta_suite_180_a_target_that_no_file_can_have_does_no_harm() {
    runtime().block_on(async {
        let original = table(&[], &[file("1.parquet", json!({}), 0..5), file("2.parquet", json!({}), 5..9)]).await;
        let with = |target: u64| {
            let mut options = two_or_more();
            options.output.target_file_size = Some(Bytes(target));
            options
        };
        for target in [0, u64::MAX] {
            let objects = original.lay_out().await;
            let refused = original.compact(&objects, 1, "an-operation", &with(target)).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Usage, "{target}");
        }
        // Above what a signed number holds, but not above everything: no file comes near it.
        let objects = original.lay_out().await;
        assert_eq!(compacted(&original, &objects, &with(u64::MAX / 2 + 1)).await.after.files, 1);
        assert_eq!(original.read(&objects).await, original.rows);
    });
}
