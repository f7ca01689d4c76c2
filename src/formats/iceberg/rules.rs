//! Schemas and partition specs that nothing of the table refers to any more.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value as Json};

use super::document;
use super::manifest_list::{Content, ManifestFile};
use super::metadata::Metadata;
use super::reach::Listed;
use super::scan::Scan;
use crate::error::Result;
use crate::model::{UnusedRules, Version};

/// What nothing refers to once `gone` are forgotten. A spec is used by the manifests of every snapshot that stays, a schema by the snapshots
/// themselves; a schema that alone still knows a column which a spec or a delete may need stays too.
///
/// # Errors
///
/// Those of the manifest lists of the snapshots that stay.
pub(super) async fn unused(scan: &Scan, gone: &BTreeSet<Version>) -> Result<UnusedRules> {
    let metadata = &scan.metadata;
    let several = |key: &str| metadata.doc.get(key).and_then(Json::as_array).is_some_and(|list| list.len() > 1);
    if !several("schemas") && !several("partition-specs") {
        return Ok(UnusedRules::default());
    }
    let kept = Listed::read(scan, |id| !gone.contains(&Version(id)), None, false).await?;
    let specs = specs(metadata, kept.manifests());
    let stay = metadata.specs.iter().filter(|(id, _)| !specs.contains(&i64::from(**id)));
    let mut needed: HashSet<i64> = stay.flat_map(|(_, spec)| &spec.fields).flat_map(|field| source_ids(metadata, field.field_id)).collect();
    // Rows may be deleted by columns that were dropped since: which, only the delete files say.
    if kept.manifests().any(|manifest| manifest.content == Content::Deletes) {
        needed.extend(items(metadata, "schemas").flat_map(columns));
    }
    Ok(UnusedRules { schemas: schemas(metadata, gone, needed), specs })
}

/// Takes `rules` out of the document `members`.
///
/// # Errors
///
/// `Corrupt` if a list of the document is none.
pub(super) fn drop(members: &mut Map<String, Json>, rules: &UnusedRules) -> Result<()> {
    for (key, id, gone) in [("schemas", "schema-id", &rules.schemas), ("partition-specs", "spec-id", &rules.specs)] {
        if !gone.is_empty() {
            document::list(members, key)?.retain(|rule| rule.get(id).and_then(Json::as_i64).is_none_or(|id| !gone.contains(&id)));
        }
    }
    Ok(())
}

fn items<'a>(metadata: &'a Metadata, key: &str) -> impl Iterator<Item = &'a Json> {
    metadata.doc.get(key).and_then(Json::as_array).into_iter().flatten()
}

fn specs<'a>(metadata: &Metadata, mut kept: impl Iterator<Item = &'a ManifestFile>) -> Vec<i64> {
    let mut used = BTreeSet::from([metadata.default_spec]);
    // A manifest that a snapshot lists itself does not say its spec there: all of them stay.
    let all_known = kept.all(|manifest| manifest.spec_id.map(|id| used.insert(id)).is_some());
    let unused = metadata.specs.keys().filter(|id| all_known && !used.contains(id));
    unused.map(|id| i64::from(*id)).collect()
}

/// The columns that the partition field `id` of any spec is made from.
fn source_ids(metadata: &Metadata, id: i32) -> Vec<i64> {
    let fields = items(metadata, "partition-specs").filter_map(|spec| spec.get("fields")?.as_array()).flatten();
    let own = fields.filter(|field| field.get("field-id").and_then(Json::as_i64).is_none_or(|field| field == i64::from(id)));
    let sources = |field: &Json| {
        let several = field.get("source-ids").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_i64);
        several.chain(field.get("source-id").and_then(Json::as_i64)).collect::<Vec<i64>>()
    };
    own.flat_map(sources).collect()
}

/// Unused schemas, oldest first. Of those that alone have a column of `needed` the newest stays.
fn schemas(metadata: &Metadata, gone: &BTreeSet<Version>, needed: HashSet<i64>) -> Vec<i64> {
    let schema_id = |json: &Json| json.get("schema-id").and_then(Json::as_i64);
    let stay = metadata.snapshots().filter(|snapshot| snapshot.version().is_some_and(|version| !gone.contains(&version)));
    let mut used = BTreeSet::from([metadata.schema_id]);
    for snapshot in stay {
        // A snapshot that does not say its schema may have any.
        let Some(id) = schema_id(snapshot.0) else { return Vec::new() };
        used.insert(id);
    }
    let is_used = |schema: &&Json| schema_id(schema).is_none_or(|id| used.contains(&id));
    let mut known: HashSet<i64> = items(metadata, "schemas").filter(is_used).flat_map(columns).collect();
    let mut unused = Vec::new();
    let candidates: Vec<&Json> = items(metadata, "schemas").filter(|schema| !is_used(schema)).collect();
    for schema in candidates.into_iter().rev() {
        let own = columns(schema);
        if own.iter().any(|id| needed.contains(id) && !known.contains(id)) {
            known.extend(own);
        } else {
            unused.extend(schema_id(schema));
        }
    }
    unused.reverse();
    unused
}

/// The ids of all columns of a schema, at any depth.
fn columns(json: &Json) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut rest = vec![json];
    while let Some(json) = rest.pop() {
        match json {
            Json::Object(members) => {
                ids.extend(["id", "element-id", "key-id", "value-id"].into_iter().filter_map(|key| members.get(key)?.as_i64()));
                rest.extend(members.values());
            }
            Json::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::location::Location;

    fn table(snapshots: &Json) -> Metadata {
        let column = |id: i32, name: &str| json!({"id": id, "name": name, "required": false, "type": "int"});
        let schema = |id: i32, fields: Json| json!({"type": "struct", "schema-id": id, "fields": fields});
        let doc = json!({"format-version": 2, "location": "/t", "current-schema-id": 3, "default-spec-id": 2,
            "schemas": [schema(0, json!([column(1, "a")])), schema(1, json!([column(1, "a"), column(2, "b")])),
                schema(2, json!([column(1, "a"), column(2, "b2")])), schema(3, json!([column(1, "a"), column(3, "c")]))],
            "partition-specs": [{"spec-id": 0, "fields": []},
                {"spec-id": 1, "fields": [{"name": "b", "transform": "identity", "source-id": 2, "field-id": 1000}]},
                {"spec-id": 2, "fields": [{"name": "a", "transform": "identity", "source-id": 1, "field-id": 1001}]}],
            "snapshots": snapshots});
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse("/t/metadata/v1.metadata.json").unwrap(), None).unwrap()
    }

    fn snapshots() -> Json {
        json!([{"snapshot-id": 1, "schema-id": 0}, {"snapshot-id": 2, "schema-id": 2}, {"snapshot-id": 3, "schema-id": 3}])
    }

    #[test]
    fn a_schema_stays_while_a_snapshot_or_the_table_has_it() {
        let metadata = table(&snapshots());
        let unused = |gone: &[i64]| schemas(&metadata, &gone.iter().map(|id| Version(*id)).collect(), HashSet::new());
        assert_eq!((unused(&[]), unused(&[1]), unused(&[1, 2, 3])), (vec![1], vec![0, 1], vec![0, 1, 2]));
        let unsaid = table(&json!([{"snapshot-id": 1}, {"snapshot-id": 3, "schema-id": 3}]));
        assert!(schemas(&unsaid, &BTreeSet::new(), HashSet::new()).is_empty());
    }

    #[test]
    fn the_newest_schema_with_a_column_that_a_spec_needs_stays() {
        let metadata = table(&snapshots());
        let gone = [Version(1), Version(2)].into();
        assert_eq!(schemas(&metadata, &gone, source_ids(&metadata, 1000).into_iter().collect()), [0, 1]);
    }

    #[test]
    fn a_spec_stays_while_a_manifest_has_it() {
        let metadata = table(&snapshots());
        let with = |spec: Option<i32>| ManifestFile { spec_id: spec, ..ManifestFile::inline("/m") };
        assert_eq!(specs(&metadata, [with(Some(0))].iter()), [1]);
        assert_eq!(specs(&metadata, [].iter()), [0, 1]);
        assert!(specs(&metadata, [with(Some(0)), with(None)].iter()).is_empty());
    }
}
