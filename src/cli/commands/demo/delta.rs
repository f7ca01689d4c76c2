//! A Delta table with a history of small appends (Delta protocol, "Actions").

use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::data::{Bounds, Column, Content, DemoFile, write};
use crate::error::{Error, Result};
use crate::formats::FormatName;
use crate::location::Location;
use crate::store::{Put, Store};
use crate::units::Timestamp;

/// So many files are appended by one commit.
const FILES_PER_COMMIT: usize = 10;

/// Makes the table `id` at `root`.
///
/// # Errors
///
/// As [`Store::put_if_absent`].
pub(super) async fn make(store: &Store, root: &Location, content: Content, id: &str, now: Timestamp) -> Result<()> {
    let columns = content.columns();
    commit(store, root, 0, &[protocol(), metadata(&columns, id, now)?]).await?;
    let mut batches = futures::stream::iter(content.batches().enumerate()).chunks(FILES_PER_COMMIT).zip(futures::stream::iter(1u64..));
    while let Some((chunk, version)) = batches.next().await {
        let mut actions =
            vec![json!({"commitInfo": {"timestamp": now.0, "operation": "WRITE", "operationParameters": {"mode": "Append"}}})];
        for (number, batch) in chunk {
            let batch = batch.map_err(|error| Error::bug("demo rows cannot be made").because(error))?;
            let file = write(store, root.child(&format!("part-{number:05}.parquet")), &columns, &batch).await?;
            actions.push(add(&file, &columns, now)?);
        }
        commit(store, root, version, &actions).await?;
    }
    Ok(())
}

fn protocol() -> Value {
    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
}

fn metadata(columns: &[Column], id: &str, now: Timestamp) -> Result<Value> {
    let field =
        |column: &Column| Ok(json!({"name": column.name, "type": column.type_name(FormatName::Delta)?, "nullable": false, "metadata": {}}));
    let fields: Vec<Value> = columns.iter().map(field).collect::<Result<_>>()?;
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    Ok(json!({"metaData": {
        "id": id, "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": [], "configuration": {},
        "createdTime": now.0
    }}))
}

fn add(file: &DemoFile, columns: &[Column], now: Timestamp) -> Result<Value> {
    let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in columns {
        nulls.insert(column.name.clone(), json!(0));
        let bounds = file.bounds.iter().find(|(id, _)| *id == column.id).map(|(_, bounds)| *bounds);
        let (low, high) = match bounds {
            Some(Bounds::Long(low, high)) => (json!(low), json!(high)),
            Some(Bounds::Int(low, high)) => (json!(low), json!(high)),
            Some(Bounds::Date(low, high)) => (json!(date(low)?), json!(date(high)?)),
            None => continue,
        };
        least.insert(column.name.clone(), low);
        most.insert(column.name.clone(), high);
    }
    let stats = json!({"numRecords": file.rows, "minValues": least, "maxValues": most, "nullCount": nulls}).to_string();
    Ok(json!({"add": {
        "path": file.location.name(), "partitionValues": {}, "size": file.size, "modificationTime": now.0, "dataChange": true, "stats": stats
    }}))
}

/// Days since 1970-01-01 as Delta's statistics spell them.
fn date(days: i32) -> Result<String> {
    let date = chrono::NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163));
    Ok(date.ok_or_else(|| Error::bug("a demo date is out of range"))?.to_string())
}

async fn commit(store: &Store, root: &Location, version: u64, actions: &[Value]) -> Result<()> {
    let mut entry = String::new();
    for action in actions {
        entry.push_str(&action.to_string());
        entry.push('\n');
    }
    let place = root.child(&format!("_delta_log/{version:020}.json"));
    match store.put_if_absent(&place, entry.into()).await? {
        Put::Created => Ok(()),
        Put::Exists => Err(Error::conflict("somebody else writes to the demo's folder").about("file", place)),
    }
}
