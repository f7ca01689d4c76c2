//! Equality deletes (Iceberg spec, "Equality Delete Files"): which files of values apply to which data files, and what they compare.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::deletes::{DeleteFile, DeleteIndex};
use super::metadata::Metadata;
use super::output::name_mapping;
use crate::error::{Error, Result};
use crate::model::{DataFile, DeleteKind, DeleteRef, Field, FieldMatching, FileFormat, Schema, Type, ValueFile, ValueRule, ValueSet};
use crate::units::Bytes;

/// The delete files that reach one partition, or all of them, by key.
type Reach<'a> = BTreeMap<&'a str, &'a DeleteFile>;

/// For each of a data file's reaches, the least sequence number of those that apply.
type Ages<'a> = BTreeMap<Option<&'a str>, i64>;

/// Says for each of `files` which equality deletes apply.
///
/// # Errors
///
/// `Corrupt` for delete files that compare no column or an unknown one; `Unsupported` for nested ones.
pub(super) fn rules(index: &DeleteIndex, metadata: &Metadata, files: &[DataFile]) -> Result<Vec<Vec<ValueRule>>> {
    let mut reaches: BTreeMap<Option<&str>, Reach<'_>> = BTreeMap::new();
    let mut known: HashMap<*const DeleteRef, Ages<'_>> = HashMap::new();
    let mut ages: Vec<Ages<'_>> = Vec::with_capacity(files.len());
    for file in files {
        // Neighbours share their list of deletes.
        if let Some(same) = known.get(&file.deletes.as_ptr()) {
            ages.push(same.clone());
            continue;
        }
        let mut mine = Ages::new();
        for reference in file.deletes.iter().filter(|reference| reference.kind == DeleteKind::Equality) {
            let delete =
                index.get(&reference.key).ok_or_else(|| Error::bug("a delete of another version").about("file", &file.location))?;
            let reach = delete.partition.as_deref();
            reaches.entry(reach).or_default().insert(&delete.reference.key, delete);
            mine.entry(reach).and_modify(|least| *least = (*least).min(delete.sequence)).or_insert(delete.sequence);
        }
        known.insert(file.deletes.as_ptr(), mine.clone());
        ages.push(mine);
    }
    let mut columns = Columns { metadata, known: HashMap::new() };
    let mut sets: BTreeMap<Option<&str>, Arc<ValueSet>> = BTreeMap::new();
    for (reach, deletes) in reaches {
        let files: Result<Vec<ValueFile>> = deletes.into_values().map(|delete| columns.value_file(delete)).collect();
        sets.insert(reach, Arc::new(ValueSet { files: files? }));
    }
    let rule = |(reach, since): (Option<&str>, i64)| sets.get(&reach).map(|set| ValueRule { set: Arc::clone(set), since });
    Ok(ages.into_iter().map(|ages| ages.into_iter().filter_map(rule).collect()).collect())
}

/// How the columns of data files are recognised.
///
/// # Errors
///
/// `Corrupt` for a damaged name mapping.
pub(super) fn matching(metadata: &Metadata) -> Result<FieldMatching> {
    Ok(FieldMatching::FieldIds { names: name_mapping(metadata)? })
}

/// Compared columns, found once for each choice of them.
struct Columns<'a> {
    metadata: &'a Metadata,
    known: HashMap<Vec<i32>, Arc<Schema>>,
}

impl Columns<'_> {
    fn value_file(&mut self, delete: &DeleteFile) -> Result<ValueFile> {
        let format = match delete.format.as_str() {
            "parquet" => FileFormat::Parquet,
            "orc" => FileFormat::Orc,
            "avro" => FileFormat::Avro,
            other => {
                let message = format!("equality-delete files in '{other}' are not understood");
                return Err(Error::unsupported(message).about("delete_file", &delete.location));
            }
        };
        let file = DataFile { rows: Some(delete.records), ..DataFile::bare(delete.location.clone(), format, Bytes(delete.size)) };
        let columns = self.compared(&delete.compared).map_err(|e| e.about("delete_file", &delete.location))?;
        Ok(ValueFile { file, sequence: delete.sequence, columns })
    }

    fn compared(&mut self, ids: &[i32]) -> Result<Arc<Schema>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        if let Some(known) = self.known.get(&ids) {
            return Ok(Arc::clone(known));
        }
        if ids.is_empty() {
            return Err(Error::corrupt("an equality-delete file compares no column"));
        }
        let schemas = self.metadata.schemas();
        let mut fields = Vec::new();
        for id in &ids {
            let found = schemas.iter().find_map(|schema| path(&schema.fields, *id));
            let found = found.ok_or_else(|| Error::corrupt("an equality-delete file compares a column that the table never had"))?;
            graft(&mut fields, found).map_err(|e| e.about("field_id", id))?;
        }
        let columns = Arc::new(Schema { fields });
        self.known.insert(ids, Arc::clone(&columns));
        Ok(columns)
    }
}

/// The way from the top to the field `id`: the fields around it, and itself.
fn path(fields: &[Field], id: i32) -> Option<Vec<&Field>> {
    fields.iter().find_map(|field| {
        if field.id == id {
            return Some(vec![field]);
        }
        let children: Vec<&Field> = field.children();
        let mut way = children.into_iter().find_map(|child| path(std::slice::from_ref(child), id))?;
        way.insert(0, field);
        Some(way)
    })
}

/// Adds a column to those compared, with the structs around it. None is required: old files may lack it.
fn graft(fields: &mut Vec<Field>, way: Vec<&Field>) -> Result<()> {
    let mut way = way.into_iter();
    let Some(field) = way.next() else { return Ok(()) };
    let is_last = way.len() == 0;
    let ty = match (&field.ty, is_last) {
        (Type::Primitive(primitive), true) => Type::Primitive(*primitive),
        (Type::Struct(_), false) => Type::Struct(Vec::new()),
        _ => return Err(Error::unsupported("an equality-delete file compares a column that is no single value")),
    };
    if !fields.iter().any(|known| known.id == field.id) {
        fields.push(Field { required: false, ty, ..field.clone() });
    }
    match fields.iter_mut().find(|known| known.id == field.id).map(|known| &mut known.ty) {
        Some(Type::Struct(members)) if !is_last => graft(members, way.collect()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::location::Location;
    use crate::model::Primitive;

    fn metadata() -> Metadata {
        let column = |id: i32, name: &str, ty: serde_json::Value| json!({"id": id, "name": name, "required": true, "type": ty});
        let inner = |member: &str| json!({"type": "struct", "fields": [column(4, member, json!("int")), column(5, "other", json!("int"))]});
        let list = json!({"type": "list", "element-id": 7, "element": "int", "element-required": true});
        let doc = json!({"format-version": 2, "location": "/t", "current-schema-id": 3, "partition-specs": [{"spec-id": 0, "fields": []}],
            "schemas": [
                {"type": "struct", "schema-id": 0, "fields": [column(1, "a", json!("int")), column(2, "gone", json!("string"))]},
                {"type": "struct", "schema-id": 1, "fields": [column(2, "gone later", json!("binary")), column(3, "s", inner("before"))]},
                {"type": "struct", "schema-id": 3, "fields": [column(1, "renamed", json!("long")), column(3, "s", inner("m")), column(6, "l", list)]}]});
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse("/t/metadata/v1.metadata.json").unwrap(), None).unwrap()
    }

    fn leaf(id: i32, name: &str, ty: Primitive) -> Field {
        Field { id, name: name.into(), physical: name.into(), required: false, ty: Type::Primitive(ty), initial_default: None }
    }

    #[test]
    fn compared_columns_are_known_in_their_newest_form_even_if_they_were_dropped() {
        let metadata = metadata();
        let mut columns = Columns { metadata: &metadata, known: HashMap::new() };
        let found = columns.compared(&[2, 4, 1, 2]).unwrap();
        let member = Type::Struct(vec![leaf(4, "m", Primitive::Int)]);
        let around = Field { ty: member, ..leaf(3, "s", Primitive::Int) };
        assert_eq!(found.fields, [leaf(1, "renamed", Primitive::Long), leaf(2, "gone later", Primitive::Binary), around]);
        assert!(Arc::ptr_eq(&found, &columns.compared(&[4, 2, 1]).unwrap()));
    }

    #[test]
    fn columns_without_a_single_value_and_unknown_ones_are_refused() {
        let metadata = metadata();
        let mut columns = Columns { metadata: &metadata, known: HashMap::new() };
        for (ids, kind) in [
            (vec![7], crate::error::Kind::Unsupported),
            (vec![6], crate::error::Kind::Unsupported),
            (vec![3], crate::error::Kind::Unsupported),
            (vec![99], crate::error::Kind::Corrupt),
            (vec![], crate::error::Kind::Corrupt),
        ] {
            assert_eq!(columns.compared(&ids).unwrap_err().kind(), kind, "{ids:?}");
        }
    }
}
