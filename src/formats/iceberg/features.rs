//! What keeps us from rewriting a table (promise P4: named and refused before anything is written).

use super::metadata::Metadata;
use super::understood::{ENCRYPTED, PROVIDER};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Field, Primitive, Schema, Type};

/// Names of features in use, sorted.
pub(crate) fn in_use(metadata: &Metadata) -> Vec<String> {
    let mut names = Vec::new();
    let summary = |key| metadata.current().ok().flatten().and_then(|snapshot| snapshot.count(key)).unwrap_or(0);
    if metadata.format_version > 2 {
        names.push("rowLineage");
    }
    if summary("total-equality-deletes") > 0 {
        names.push("equalityDeletes");
    }
    if summary("total-position-deletes") > 0 {
        names.push("positionDeletes");
    }
    if metadata.specs.len() > 1 {
        names.push("partitionEvolution");
    }
    if metadata.properties.contains_key("schema.name-mapping.default") {
        names.push("nameMapping");
    }
    if has_variant(&metadata.schema) {
        names.push("variant");
    }
    if metadata.schema.leaves_and_groups().any(|field| matches!(field.ty, Type::Primitive(Primitive::Geo(_)))) {
        names.push("geospatial");
    }
    if is_encrypted(metadata) {
        names.push("encryption");
    }
    let mut names: Vec<String> = names.into_iter().map(str::to_string).collect();
    names.sort();
    names
}

/// Avro's name for the compression of new manifests (`write.avro.compression-codec`, gzip by default).
///
/// # Errors
///
/// `Unsupported` naming one we cannot write.
pub(crate) fn avro_codec(metadata: &Metadata) -> Result<&'static str> {
    let key = "write.avro.compression-codec";
    let name = metadata.properties.get(key).map_or("gzip", String::as_str);
    Ok(match name.to_ascii_lowercase().as_str() {
        "gzip" | "deflate" => "deflate",
        "zstd" | "zstandard" => "zstandard",
        "snappy" => "snappy",
        "uncompressed" | "none" | "null" => "null",
        _ => return Err(Error::unsupported(format!("manifests cannot be written with the compression '{name}' ({key})"))),
    })
}

fn has_variant(schema: &Schema) -> bool {
    schema.leaves_and_groups().any(|field| field.ty == Type::Primitive(Primitive::Variant))
}

/// The columns that data files hold: all but those of type `unknown`, which are null in every row (Iceberg spec, "Primitive Types").
///
/// # Errors
///
/// `Unsupported` for one in a place where it cannot be left out.
pub(super) fn stored(schema: &Schema) -> Result<Schema> {
    Ok(Schema { fields: stored_fields(&schema.fields)? })
}

fn stored_fields(fields: &[Field]) -> Result<Vec<Field>> {
    let known = fields.iter().filter(|field| field.ty != Type::Primitive(Primitive::Unknown));
    known.map(|field| Ok(Field { ty: stored_type(&field.ty).map_err(|e| e.about("column", &field.name))?, ..field.clone() })).collect()
}

fn stored_type(ty: &Type) -> Result<Type> {
    let bare = || Error::unsupported("a column that holds nothing but columns of the type 'unknown' cannot be rewritten");
    let inner = |field: &Field| match &field.ty {
        Type::Primitive(Primitive::Unknown) => Err(bare()),
        ty => Ok(Box::new(Field { ty: stored_type(ty)?, ..field.clone() })),
    };
    Ok(match ty {
        Type::Primitive(primitive) => Type::Primitive(*primitive),
        Type::Struct(members) => match stored_fields(members)? {
            kept if kept.is_empty() => return Err(bare()),
            kept => Type::Struct(kept),
        },
        Type::List(element) => Type::List(inner(element)?),
        Type::Map(key, value) => Type::Map(inner(key)?, inner(value)?),
    })
}

fn is_encrypted(metadata: &Metadata) -> bool {
    let keys = metadata.doc.get("encryption-keys").and_then(serde_json::Value::as_array);
    keys.is_some_and(|keys| !keys.is_empty()) || metadata.properties.contains_key("encryption.key-id")
}

/// Whether files of the table may be replaced. What only manifests can tell is refused when files and deletes are read.
///
/// # Errors
///
/// `Unsupported` or `Refused`, naming the feature.
pub(crate) fn rewritable(metadata: &Metadata, opened_at: Option<&Location>) -> Result<()> {
    if is_encrypted(metadata) {
        return Err(Error::unsupported("encrypted tables cannot be rewritten").about("why", ENCRYPTED));
    }
    stored(&metadata.schema)?;
    if let Some(tag) = metadata.seen_from().filter(|reference| !reference.is_branch) {
        return Err(Error::refused("a tag names one snapshot for good and cannot be changed")
            .about("tag", tag.name)
            .hint("name a branch, or the table alone for its main branch"));
    }
    if metadata.properties.contains_key("write.location-provider.impl") {
        return Err(
            Error::unsupported("a location provider of its own (write.location-provider.impl) cannot be honoured").about("why", PROVIDER)
        );
    }
    avro_codec(metadata)?;
    located(metadata, opened_at)
}

/// Whether the table lies where it was opened: the paths of a copy name the original's files.
///
/// # Errors
///
/// `Refused` if its metadata says that it lies elsewhere.
pub(crate) fn located(metadata: &Metadata, opened_at: Option<&Location>) -> Result<()> {
    match opened_at {
        Some(opened) if *opened != metadata.location => Err(Error::refused("the table's metadata says that it lies elsewhere")
            .about("opened", opened)
            .about("metadata", &metadata.location)
            .hint("open the table by the location its metadata has; a copied or moved table is opened with --map-location OLD=NEW")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::iceberg::types;

    fn schema(fields: &serde_json::Value) -> Schema {
        types::schema(&serde_json::json!({"type": "struct", "fields": fields})).unwrap()
    }

    #[test]
    fn columns_of_type_unknown_are_left_out_of_data_files_at_any_depth() {
        let unknown = serde_json::json!({"id": 2, "name": "u", "required": false, "type": "unknown"});
        let long = serde_json::json!({"id": 3, "name": "n", "required": false, "type": "long"});
        let of = |members: serde_json::Value| serde_json::json!({"id": 1, "name": "s", "required": false, "type": {"type": "struct", "fields": members}});
        let kept = stored(&schema(&serde_json::json!([of(serde_json::json!([unknown, long])), unknown]))).unwrap();
        assert_eq!(kept, schema(&serde_json::json!([of(serde_json::json!([long]))])));
        let list = serde_json::json!({"id": 1, "name": "s", "required": false,
            "type": {"type": "list", "element-id": 2, "element": "unknown", "element-required": false}});
        for bare in [of(serde_json::json!([unknown])), list] {
            let error = stored(&schema(&serde_json::json!([bare]))).unwrap_err();
            assert_eq!(error.context()[0], ("column", "s".to_string()));
        }
    }
}
