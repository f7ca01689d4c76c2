//! The JSON schema of `otf.toml`, for editors.

use serde_json::{Value, json};

/// A JSON schema (draft 2020-12) of the configuration file.
pub fn schema() -> Value {
    let size = json!({
        "description": "512MiB, 128MB or a number of bytes",
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ ?([KMGT]i?B?|B)?$"}]
    });
    let count = json!({"type": "integer", "minimum": 1});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "otf.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "output": {"enum": ["text", "json"], "default": "text", "description": "what results are printed as"},
            "color": {"enum": ["auto", "always", "never"], "default": "auto"},
            "log": {"enum": ["text", "json"], "default": "text", "description": "log lines on standard error"},
            "engine": {"enum": ["local"], "default": "local", "description": "where rows are rewritten"},
            "memory": described(&size, "memory budget of one run; default 2GiB"),
            "threads": described(&count, "threads of one run; default: the cores available"),
            "temp-dir": {"type": "string", "description": "folder for temporary files"},
            "storage": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "storage options by object_store's own keys, e.g. aws_region"
            },
            "catalog": {"type": "object", "additionalProperties": catalog(), "description": "catalogs by name"},
            "compact": compact(&size, &count)
        }
    })
}

fn described(schema: &Value, text: &str) -> Value {
    let mut schema = schema.clone();
    schema["description"] = text.into();
    schema
}

fn catalog() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["type"],
        "properties": {
            "type": {"enum": ["sql", "path"]},
            "uri": {"type": "string", "description": "sql: the database, e.g. sqlite:///data/catalog.db"},
            "warehouse": {"type": "string", "description": "where tables lie; required for path"},
            "name": {"type": "string", "description": "sql: the catalog's name inside the database"}
        }
    })
}

fn compact(size: &Value, count: &Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": "what compactions do unless the command line says otherwise; absent settings are the table's",
        "properties": {
            "target-file-size": size,
            "min-file-size": size,
            "max-file-size": size,
            "min-input-files": count,
            "max-group-size": size,
            "max-concurrent-groups": count,
            "partial-progress": count,
            "delete-file-threshold": count,
            "delete-ratio": {"type": "number", "minimum": 0, "maximum": 1},
            "rewrite-all": {"type": "boolean"},
            "remove-dangling-deletes": {"type": "boolean"},
            "compression": {"type": "string", "pattern": "^(zstd|gzip|brotli)(:[0-9]+)?$|^(snappy|lz4|none|uncompressed)$"},
            "path": {"enum": ["auto", "copy", "splice", "encode"]},
            "max-files": count
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Fills every setting, so that a key the schema forgets is noticed.
    const FULL: &str = r#"
        output = "json"
        color = "never"
        log = "json"
        engine = "local"
        memory = "1GiB"
        threads = 2
        temp-dir = "/tmp"
        [storage]
        aws_region = "eu"
        [catalog.a]
        type = "sql"
        uri = "sqlite:///c.db"
        warehouse = "/w"
        name = "b"
        [compact]
        target-file-size = 1
        min-file-size = 1
        max-file-size = 1
        min-input-files = 1
        max-group-size = 1
        max-concurrent-groups = 1
        partial-progress = 1
        delete-file-threshold = 1
        delete-ratio = 0.5
        rewrite-all = true
        remove-dangling-deletes = true
        compression = "zstd:3"
        path = "auto"
        max-files = 1
    "#;

    fn keys(value: &Value) -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_knows_exactly_the_settings_that_are_read() {
        let config = Config::read(Some(FULL), &[].into()).unwrap();
        let full = serde_json::to_value(config).unwrap();
        let schema = schema();
        assert_eq!(keys(&full), keys(&schema["properties"]));
        assert_eq!(keys(&full["compact"]), keys(&schema["properties"]["compact"]["properties"]));
        assert_eq!(keys(&full["catalog"]["a"]), keys(&schema["properties"]["catalog"]["additionalProperties"]["properties"]));
    }
}
