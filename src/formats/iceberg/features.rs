//! What keeps us from rewriting a table (promise P4: named and refused before anything is written).

use super::metadata::Metadata;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Primitive, Schema, Type};

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

fn is_encrypted(metadata: &Metadata) -> bool {
    let keys = metadata.doc.get("encryption-keys").and_then(serde_json::Value::as_array);
    keys.is_some_and(|keys| !keys.is_empty()) || metadata.properties.contains_key("encryption.key-id")
}

/// Whether files of the table may be replaced. What only manifests can tell (ORC and Avro files) is refused when files and deletes
/// are read.
///
/// # Errors
///
/// `Unsupported` or `Refused`, naming the feature.
pub(crate) fn rewritable(metadata: &Metadata, opened_at: Option<&Location>) -> Result<()> {
    if is_encrypted(metadata) {
        return Err(Error::unsupported("encrypted tables cannot be rewritten"));
    }
    if has_variant(&metadata.schema) {
        return Err(Error::unsupported("tables with variant columns cannot be rewritten"));
    }
    if metadata.properties.contains_key("write.location-provider.impl") {
        return Err(Error::unsupported("a location provider of its own (write.location-provider.impl) cannot be honoured"));
    }
    avro_codec(metadata)?;
    match opened_at {
        Some(opened) if *opened != metadata.location => Err(Error::refused("the table's metadata says that it lies elsewhere")
            .about("opened", opened)
            .about("metadata", &metadata.location)
            .hint("open the table by the location its metadata has; a copied or moved table needs metadata with the new paths")),
        _ => Ok(()),
    }
}
