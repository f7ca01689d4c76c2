//! Avro schemas of manifests (Iceberg spec, "Manifests" and appendix A "Avro").

use serde_json::{Value as Json, json};

use super::spec::Spec;
use super::values;
use crate::model::Primitive;

fn required(id: i32, name: &str, ty: &Json) -> Json {
    json!({"name": name, "type": ty, "field-id": id})
}

fn optional(id: i32, name: &str, ty: &Json) -> Json {
    json!({"name": name, "type": ["null", ty], "default": null, "field-id": id})
}

fn pairs(id: i32, name: &str, key: i32, value: i32, ty: &str) -> Json {
    let record = json!({"type": "record", "name": format!("k{key}_v{value}"), "fields": [
        required(key, "key", &json!("int")), required(value, "value", &json!(ty))]});
    optional(id, name, &json!({"type": "array", "items": record, "logicalType": "map"}))
}

fn list(id: i32, name: &str, element: i32, ty: &str) -> Json {
    optional(id, name, &json!({"type": "array", "items": ty, "element-id": element}))
}

/// The schema of entries of `spec` in a table of format `version`, with data files in the order of
/// [`super::manifest_write`].
pub(crate) fn entries(spec: &Spec, version: u8) -> Json {
    schema(spec, version, false)
}

fn schema(spec: &Spec, version: u8, deletes: bool) -> Json {
    let long = json!("long");
    let mut file = Vec::new();
    if version > 1 {
        file.push(required(134, "content", &json!("int")));
    }
    file.push(required(100, "file_path", &json!("string")));
    file.push(required(101, "file_format", &json!("string")));
    file.push(required(102, "partition", &partition(spec)));
    file.push(required(103, "record_count", &long));
    file.push(required(104, "file_size_in_bytes", &long));
    if version == 1 {
        file.push(required(105, "block_size_in_bytes", &long));
    }
    file.push(pairs(108, "column_sizes", 117, 118, "long"));
    file.push(pairs(109, "value_counts", 119, 120, "long"));
    file.push(pairs(110, "null_value_counts", 121, 122, "long"));
    file.push(pairs(137, "nan_value_counts", 138, 139, "long"));
    file.push(pairs(125, "lower_bounds", 126, 127, "bytes"));
    file.push(pairs(128, "upper_bounds", 129, 130, "bytes"));
    file.push(optional(131, "key_metadata", &json!("bytes")));
    file.push(list(132, "split_offsets", 133, "long"));
    if version > 1 {
        file.push(list(135, "equality_ids", 136, "int"));
    }
    file.push(optional(140, "sort_order_id", &json!("int")));
    if version > 2 {
        file.push(first_row_id());
    }
    if version > 2 || deletes {
        file.push(optional(143, "referenced_data_file", &json!("string")));
    }
    if version > 2 {
        file.push(optional(144, "content_offset", &long));
        file.push(optional(145, "content_size_in_bytes", &long));
    }
    let mut fields = vec![required(0, "status", &json!("int"))];
    if version > 1 {
        fields.extend([optional(1, "snapshot_id", &long), sequence_number(), file_sequence_number()]);
    } else {
        fields.push(required(1, "snapshot_id", &long));
    }
    fields.push(required(2, "data_file", &json!({"type": "record", "name": "r2", "fields": file})));
    json!({"type": "record", "name": "manifest_entry", "fields": fields})
}

/// As [`entries`], for delete files: these say which data file they are for, in format version 2 too.
pub(crate) fn delete_entries(spec: &Spec, version: u8) -> Json {
    schema(spec, version, true)
}

/// The field for the first row id of a file.
pub(crate) fn first_row_id() -> Json {
    optional(142, "first_row_id", &json!("long"))
}

/// The field for the data sequence number of an entry.
pub(crate) fn sequence_number() -> Json {
    optional(3, "sequence_number", &json!("long"))
}

/// The field for the file sequence number of an entry.
pub(crate) fn file_sequence_number() -> Json {
    optional(4, "file_sequence_number", &json!("long"))
}

/// The field for the content of a file.
pub(crate) fn content() -> Json {
    required(134, "content", &json!("int"))
}

/// The field for the snapshot of an entry.
pub(crate) fn snapshot_id() -> Json {
    optional(1, "snapshot_id", &json!("long"))
}

fn partition(spec: &Spec) -> Json {
    let field = |field: &super::spec::SpecField| {
        let name = compatible(&field.name);
        let mut json = optional(field.field_id, &name, &avro_type(field.ty));
        if name != field.name {
            json["iceberg-field-name"] = field.name.as_str().into();
        }
        json
    };
    json!({"type": "record", "name": "r102", "fields": spec.fields.iter().map(field).collect::<Vec<_>>()})
}

fn avro_type(ty: Option<Primitive>) -> Json {
    let logical = |base: &str, name: &str| json!({"type": base, "logicalType": name});
    let stamp = |name: &str, utc: bool| json!({"type": "long", "logicalType": name, "adjust-to-utc": utc});
    match ty {
        Some(Primitive::Boolean) => json!("boolean"),
        Some(Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Unknown) | None => json!("int"),
        Some(Primitive::Long) => json!("long"),
        Some(Primitive::Float) => json!("float"),
        Some(Primitive::Double) => json!("double"),
        Some(Primitive::Date) => logical("int", "date"),
        Some(Primitive::Time) => logical("long", "time-micros"),
        Some(Primitive::Timestamp) => stamp("timestamp-micros", false),
        Some(Primitive::TimestampTz) => stamp("timestamp-micros", true),
        Some(Primitive::TimestampNs) => stamp("timestamp-nanos", false),
        Some(Primitive::TimestampTzNs) => stamp("timestamp-nanos", true),
        Some(Primitive::String) => json!("string"),
        Some(Primitive::Binary | Primitive::Variant | Primitive::Geo(_)) => json!("bytes"),
        Some(Primitive::Uuid) => json!({"type": "fixed", "name": "uuid_fixed", "size": 16, "logicalType": "uuid"}),
        Some(Primitive::Fixed(size)) => json!({"type": "fixed", "name": format!("fixed_{size}"), "size": size}),
        Some(Primitive::Decimal(precision, scale)) => json!({"type": "fixed", "name": format!("decimal_{precision}_{scale}"),
            "size": values::decimal_width(precision), "logicalType": "decimal", "precision": precision, "scale": scale}),
    }
}

/// Avro names are letters, digits and underscores; other characters are written as `_x` and their number in hexadecimal.
fn compatible(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        match c {
            'a'..='z' | 'A'..='Z' | '_' => out.push(c),
            '0'..='9' if at > 0 => out.push(c),
            '0'..='9' => out.extend(['_', c]),
            _ => out.push_str(&format!("_x{:X}", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_avro_does_not_allow_are_spelled_out() {
        assert_eq!(compatible("ts_day"), "ts_day");
        assert_eq!(compatible("9 x-é"), "_9_x20x_x2D_xE9");
    }
}
