//! Rows of Iceberg tables that other engines wrote are marked as deleted, once and again, and the tables compacted: every step holds exactly the
//! rows it should. With `OTF_KEEP_DIR` set, copies of the tables stay in that folder for other readers.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::commit::Answer;
use otf::formats::delta::DeltaTable;
use otf::formats::{Table, TableVersion};
use otf::location::Location;
use otf::model::{Change, DataFile, GroupChange, Intent, Marked, OperationId, RowDeletes};
use otf::ops::compact::Options;
use otf::ops::document::Outcome;
use otf::store::Store;
use otf::store::resolve::Stores;
use otf::units::Timestamp;
use roaring::RoaringTreemap;

use crate::support::workbench::{Original, objects, over, runtime};

#[test]
fn rows_marked_as_deleted_stay_deleted_through_a_second_deletion_and_a_compaction() {
    for fixture in ["iceberg_v2_posdeletes", "iceberg_v3_dv"] {
        runtime().block_on(async {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            let mut expected = original.rows.clone();
            for (operation, every) in [("one", 7), ("two", 5)] {
                mark(&original, &table, operation, |_, position| position % every == 0, &mut expected).await;
                assert_eq!(original.read(&table).await, expected, "{fixture} {operation}");
            }
            assert!(expected.len() < original.rows.len() - 5);
            keep(&original, &table, fixture).await;
            let options = Options { rewrite_all: true, remove_dangling_deletes: true, ..Options::default() };
            let done = original.compact(&table, 1, "three", &options).await.unwrap();
            assert_eq!((done.outcome, done.before.rows), (Outcome::Landed, expected.len() as u64));
            assert_eq!((done.after.rows, done.after.delete_files), (expected.len() as u64, 0));
            assert_eq!(original.read(&table).await, expected, "{fixture} compacted");
        });
    }
}

/// Marks the rows that `gone` names, by the number of the file and the position in it, and takes them out of `expected`.
pub(crate) async fn mark(
    original: &Original,
    table: &Arc<dyn ObjectStore>,
    operation: &str,
    gone: impl Fn(usize, u64) -> bool,
    expected: &mut Vec<String>,
) {
    let store = over(table);
    let opened = original.open(&store).await.unwrap();
    let version = opened.load().await.unwrap();
    let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
    let deletes = version.row_deletes(&files).await.unwrap();
    let mut marks = Vec::new();
    for (number, (file, deletes)) in files.into_iter().zip(deletes).enumerate() {
        let mut deleted = positions(&deletes);
        let rows = original.rows_at(&store, &file).await;
        let newly = rows.into_iter().zip(0..).filter(|(_, position)| gone(number, *position) && !deleted.contains(*position));
        let newly: Vec<(String, u64)> = newly.collect();
        for (row, position) in &newly {
            deleted.insert(*position);
            expected.remove(expected.iter().position(|other| other == row).unwrap());
        }
        if !newly.is_empty() {
            marks.push(Marked { file, deleted: Arc::new(deleted) });
        }
    }
    let change = deletion(&*version, operation, marks);
    let Answer::Ours(landed) = version.offer(&change, Timestamp(1_800_000_000_000)).await else { panic!("it must land") };
    opened.settle(landed).await;
    let vectors = files_of(&*opened).await;
    let several = vectors.iter().filter(|file| file.deletes.len() > 1).count();
    assert!(version.snapshot().protocol == "v2" || several == 0, "a file of a v3 table has one vector");
}

/// For the interop tests: rows of the table at `OTF_MARK_TABLE` (`OTF_MARK_FORMAT`) are marked whose positions in their files leave the rest
/// `OTF_MARK_REST` when divided by `OTF_MARK_EVERY`. Without these variables nothing is done.
#[test]
#[expect(clippy::disallowed_methods, reason = "other engines compare the time of the commit with their own clock")]
fn rows_are_marked_in_the_table_that_the_environment_names() {
    let (Some(place), Some(format)) = (asked("OTF_MARK_TABLE"), asked("OTF_MARK_FORMAT")) else { return };
    let number = |name: &str| asked(name).unwrap().parse::<u64>().unwrap();
    let (every, rest) = (number("OTF_MARK_EVERY"), number("OTF_MARK_REST"));
    let store = Store::new(Arc::new(Stores::new(&Default::default(), &Default::default()).unwrap()));
    let root = Location::parse(&place).unwrap();
    let table: Box<dyn Table> = match format.as_str() {
        "delta" => Box::new(DeltaTable::new(store, root)),
        _ => Box::new(otf::catalog::path_table(&store, root)),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    runtime().block_on(async {
        let version = table.load().await.unwrap();
        let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
        let mut marks = Vec::new();
        for (file, deletes) in files.iter().zip(version.row_deletes(&files).await.unwrap()) {
            let before = positions(&deletes);
            let mut deleted = before.clone();
            deleted.extend((0..file.rows.unwrap()).filter(|position| position % every == rest));
            if deleted != before {
                marks.push(Marked { file: file.clone(), deleted: Arc::new(deleted) });
            }
        }
        let change = deletion(&*version, &format!("{now:032}"), marks);
        let Answer::Ours(landed) = version.offer(&change, Timestamp(i64::try_from(now).unwrap())).await else { panic!("it must land") };
        table.settle(landed).await;
    });
}

#[expect(clippy::disallowed_methods, reason = "the interop tests say what is to be done")]
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn positions(deletes: &RowDeletes) -> RoaringTreemap {
    match deletes {
        RowDeletes::None => RoaringTreemap::new(),
        RowDeletes::Positions(positions) => (**positions).clone(),
        RowDeletes::Values(_) => panic!("nothing is deleted by value"),
    }
}

fn deletion(version: &dyn TableVersion, operation: &str, marks: Vec<Marked>) -> Change {
    Change {
        operation: OperationId(operation.into()),
        part: 0,
        base: version.snapshot().version,
        intent: Intent::DeleteRows,
        groups: vec![GroupChange { marks, ..GroupChange::default() }],
        drop_dangling_deletes: false,
    }
}

async fn files_of(table: &dyn Table) -> Vec<DataFile> {
    table.load().await.unwrap().files(false).try_collect().await.unwrap()
}

/// Leaves a copy where its metadata says that it lies, below `OTF_KEEP_DIR` instead of the root.
#[expect(clippy::disallowed_methods, reason = "whoever wants to read the tables with other engines says where")]
async fn keep(original: &Original, table: &Arc<dyn ObjectStore>, name: &str) {
    let Ok(folder) = std::env::var("OTF_KEEP_DIR") else { return };
    for (key, bytes) in objects(table, &original.root).await {
        let path = std::path::Path::new(&folder).join(name).join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.rows")), original.read(table).await.join("\n")).unwrap();
}
