//! The schemas a table's metadata document lists (Iceberg spec, "Table Metadata").

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::metadata::{Metadata, wrong};
use super::types;
use crate::error::Result;
use crate::model::{Field, Schema};

impl Metadata {
    /// The schemas that can be understood, the current one first and then the newer before the older.
    pub(crate) fn schemas(&self) -> Vec<Schema> {
        let mut schemas = old_schemas(&self.doc);
        schemas.push(self.schema.clone());
        schemas.reverse();
        schemas
    }
}

/// The current schema and its id; 0 where the document has none.
///
/// # Errors
///
/// `Corrupt` if it is not listed.
pub(super) fn current_schema(doc: &Json) -> Result<(Json, i64)> {
    let id = doc.get("current-schema-id").and_then(Json::as_i64);
    let listed = doc.get("schemas").and_then(Json::as_array);
    let found = match (listed, id) {
        (Some(listed), Some(id)) => listed.iter().find(|schema| schema_id(schema) == id),
        (Some(listed), None) if doc.get("schema").is_none() => listed.iter().max_by_key(|schema| schema_id(schema)),
        _ => None,
    };
    let found = found.or_else(|| doc.get("schema")).ok_or_else(|| wrong("the current schema is not listed"))?;
    Ok((found.clone(), schema_id(found)))
}

/// The id of a schema; 0 where it has none.
pub(super) fn schema_id(schema: &Json) -> i64 {
    schema.get("schema-id").and_then(Json::as_i64).unwrap_or(0)
}

/// Every schema that can be understood, by id.
fn old_schemas(doc: &Json) -> Vec<Schema> {
    let mut listed: Vec<&Json> = doc.get("schemas").and_then(Json::as_array).into_iter().flatten().collect();
    listed.sort_by_key(|schema| schema_id(schema));
    listed.into_iter().filter_map(|schema| types::schema(schema).ok()).collect()
}

/// The newest form of every column the table ever had: old specs may name columns that were dropped.
pub(super) fn every_column(doc: &Json, current: &Schema) -> BTreeMap<i32, Field> {
    let old = old_schemas(doc);
    let fields = old.iter().chain([current]).flat_map(|schema| schema.leaves_and_groups().cloned().collect::<Vec<_>>());
    fields.map(|field| (field.id, field)).collect()
}
