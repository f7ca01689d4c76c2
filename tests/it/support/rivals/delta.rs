//! Commits to Delta tables.

use std::sync::Arc;

use object_store::ObjectStore;
use otf::formats::Table;
use otf::model::DataFile;
use serde_json::{Value as Json, json};

use super::{Deed, new_file};
use crate::support::delta_table::inline_vector;
use crate::support::workbench::{Objects, Original, over};

/// The files that `deed` puts, the commit last.
pub(super) async fn commit(original: &Original, table: &Arc<dyn ObjectStore>, now: &Objects, deed: Deed) -> Vec<(String, Vec<u8>)> {
    let is_commit = |name: &&String| name.starts_with("_delta_log/") && name.ends_with(".json");
    let next = now.keys().filter(is_commit).count();
    let live = live_adds(now);
    let first = live.first().cloned().unwrap();
    let (bytes, path) = (new_file("name"), format!("p=a/rival-{next}.parquet"));
    let added = json!({"add": {"path": path, "partitionValues": {"p": "a"}, "size": bytes.len(), "modificationTime": 0, "dataChange": true,
        "stats": "{\"numRecords\":2}"}});
    let actions = match deed {
        Deed::Append => vec![added],
        Deed::RemoveFile => vec![removal(&first)],
        Deed::Overwrite => live.iter().map(removal).chain([added]).collect(),
        Deed::Update => vec![removal(&first), added],
        Deed::MarkRow => {
            let rows = original_rows(original, table, &first).await;
            let mut marked = first.clone();
            marked["deletionVector"] = inline_vector(&rows);
            vec![removal(&first), json!({"add": marked})]
        }
        Deed::Schema => vec![changed_metadata(now, |metadata| {
            let mut schema: Json = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
            schema["fields"].as_array_mut().unwrap().push(json!({"name": "added", "type": "long", "nullable": true, "metadata": {}}));
            metadata["schemaString"] = schema.to_string().into();
        })],
        Deed::Property => {
            vec![changed_metadata(now, |metadata| metadata["configuration"]["delta.logRetentionDuration"] = "interval 9 days".into())]
        }
        Deed::Rules => vec![json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
            "writerFeatures": ["appendOnly", "deletionVectors"]}})],
        Deed::Spec => panic!("Delta tables have no partition specs"),
    };
    let commit = actions.iter().map(|action| format!("{action}\n")).collect::<String>().into_bytes();
    let log = (format!("_delta_log/{next:020}.json"), commit);
    let adds_file = matches!(deed, Deed::Append | Deed::Overwrite | Deed::Update);
    if adds_file { vec![(path, bytes), log] } else { vec![log] }
}

/// The live adds, by path.
fn live_adds(now: &Objects) -> Vec<Json> {
    let mut live = std::collections::BTreeMap::new();
    for action in actions(now) {
        if let Some(remove) = action.get("remove") {
            live.remove(remove["path"].as_str().unwrap());
        }
        if let Some(add) = action.get("add") {
            live.insert(add["path"].as_str().unwrap().to_string(), add.clone());
        }
    }
    live.into_values().collect()
}

/// Every action of the log; within a commit removals come first.
fn actions(now: &Objects) -> Vec<Json> {
    let mut all = Vec::new();
    for (_, bytes) in now.iter().filter(|(name, _)| name.starts_with("_delta_log/") && name.ends_with(".json")) {
        let mut commit: Vec<Json> = std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        commit.sort_by_key(|action| action.get("remove").is_none());
        all.extend(commit);
    }
    all
}

fn removal(add: &Json) -> Json {
    let mut remove = json!({"path": add["path"], "deletionTimestamp": 0, "dataChange": true});
    if let Some(vector) = add.get("deletionVector") {
        remove["deletionVector"] = vector.clone();
    }
    json!({"remove": remove})
}

fn changed_metadata(now: &Objects, change: impl FnOnce(&mut Json)) -> Json {
    let mut action = actions(now).into_iter().rfind(|action| action.get("metaData").is_some()).unwrap();
    change(&mut action["metaData"]);
    action
}

/// The positions that are deleted in `add`, and one more.
async fn original_rows(original: &Original, table: &Arc<dyn ObjectStore>, add: &Json) -> Vec<u64> {
    use futures::TryStreamExt;
    let opened: Box<dyn Table> = original.open(&over(table)).await.unwrap();
    let version = opened.load().await.unwrap();
    let files: Vec<DataFile> = version.files(false).try_collect().await.unwrap();
    let file = files.into_iter().find(|file| add["path"] == *file.path()).unwrap();
    let rows = file.rows.unwrap();
    let deleted = version.row_deletes(&[file]).await.unwrap().remove(0);
    let is_deleted = |at: &u64| matches!(&deleted, otf::model::RowDeletes::Positions(positions) if positions.contains(*at));
    let alive = (0..rows).find(|at| !is_deleted(at)).unwrap();
    (0..rows).filter(|at| is_deleted(at) || *at == alive).collect()
}
