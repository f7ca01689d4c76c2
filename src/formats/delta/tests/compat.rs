//! Tables whose files hold what other formats' readers need.

use serde_json::json;

use super::*;
use crate::formats::OutputWishes;
use crate::model::{FieldMatching, OutputSpec, Value};

/// A column with id `id`, named `col-<id>` in files.
fn column(name: &str, ty: Json, id: u32, more: &Json) -> Json {
    let mut metadata = json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": format!("col-{id}")});
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": name, "type": ty, "nullable": true, "metadata": metadata})
}

fn list() -> Json {
    json!({"type": "array", "elementType": "long", "containsNull": true})
}

struct Table {
    writer: Vec<&'static str>,
    reader: Vec<&'static str>,
    properties: Json,
    columns: Vec<Json>,
}

impl Table {
    /// A table with compatibility `features`, all of them on.
    fn new(features: &[&'static str]) -> Self {
        let mut properties = json!({"delta.columnMapping.mode": "id"});
        for feature in features {
            let property = format!("delta.enable{}{}", feature[..1].to_uppercase(), &feature[1..]);
            properties[property] = json!("true");
        }
        let nested = json!({"delta.columnMapping.nested.ids": {"col-2.element": 9}});
        let columns = vec![
            column("n", json!("long"), 1, &json!({})),
            column("l", list(), 2, &nested),
            column("d", json!("decimal(10,2)"), 3, &json!({})),
        ];
        Self { writer: [features, &["columnMapping"]].concat(), reader: vec!["columnMapping"], properties, columns }
    }

    fn made(&self) -> Made {
        let schema = json!({"type": "struct", "fields": self.columns}).to_string();
        let metadata = json!({"metaData": {"id": "m", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
            "partitionColumns": ["d"], "configuration": self.properties, "createdTime": 7}});
        let add = with(add("a"), "add", "partitionValues", json!({"col-3": "1.5", "d": "1.5"}));
        let tracked = with(with(add, "add", "baseRowId", json!(0)), "add", "defaultRowCommitVersion", json!(0));
        Made::new(&[vec![info(5), protocol(&self.reader, &self.writer), metadata, tracked]])
    }

    fn refusal(&self) -> String {
        let error = self.made().load().unwrap().rewritable().unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Refused);
        error.message().to_string()
    }

    fn output(&self) -> Result<OutputSpec> {
        let made = self.made();
        let version = made.load()?;
        version.rewritable()?;
        let files = block(all_files(&*version))?;
        version.output(&files[0].partition, &OutputWishes::default())
    }
}

fn v3() -> Table {
    let mut table = Table::new(&["icebergCompatV3"]);
    table.writer.extend(["rowTracking", "domainMetadata"]);
    for (key, value) in [
        ("delta.enableRowTracking", "true"),
        ("delta.rowTracking.materializedRowIdColumnName", "_r"),
        ("delta.rowTracking.materializedRowCommitVersionColumnName", "_v"),
    ] {
        table.properties[key] = json!(value);
    }
    table
}

#[test]
fn partition_columns_come_last_with_their_constant_and_every_column_has_its_id() {
    let mut plain = Table::new(&[]);
    plain.writer.push("materializePartitionColumns");
    let mut asked = Table::new(&[]);
    asked.properties["delta.writePartitionColumnsToParquet"] = json!("true");
    for (table, int96) in [(Table::new(&["icebergCompatV2"]), false), (plain, true), (asked, true)] {
        let output = table.output().unwrap();
        let fields: Vec<_> = output.schema.fields.iter().map(|f| (f.id, f.physical.as_str())).collect();
        assert_eq!(fields, [(1, "col-1"), (2, "col-2"), (3, "col-3")]);
        assert_eq!(output.schema.fields[1].children()[0].id, 9);
        assert_eq!(output.partition.constants, [(3, Some(Value::Decimal(150, 2)))]);
        assert_eq!((output.field_ids, output.tolerated.int96, output.matching), (true, int96, FieldMatching::OwnFieldIds));
    }
    let neither = Table::new(&[]).output().unwrap();
    assert_eq!((neither.schema.fields.len(), neither.partition.constants.len()), (2, 0));
    let off = Table { properties: json!({"delta.columnMapping.mode": "id"}), ..Table::new(&["icebergCompatV2"]) };
    assert_eq!(off.output().unwrap().schema.fields.len(), 2, "supported and not switched on");
}

#[test]
fn row_ids_have_the_field_ids_that_version_3_asks_for() {
    let row_ids = v3().output().unwrap().row_ids.unwrap();
    assert_eq!((row_ids.row_id_field, row_ids.sequence_field), (Some(2_147_483_540), Some(2_147_483_539)));
}

#[test]
fn a_partition_value_that_cannot_be_told_is_refused_before_anything_is_written() {
    for (ty, value) in [("timestamp", "2024-01-01 00:00:00"), ("decimal(5,2)", "1.239"), ("integer", "x"), ("binary", "é")] {
        let mut table = Table::new(&["icebergCompatV2"]);
        table.columns[2] = column("d", json!(ty), 3, &json!({}));
        let made = table.made();
        made.commit(1, &[remove("a"), with(add("b"), "add", "partitionValues", json!({"col-3": value}))]);
        let version = made.load().unwrap();
        let files = block(all_files(&*version)).unwrap();
        let error = version.output(&files[0].partition, &OutputWishes::default()).unwrap_err();
        assert!(error.context().contains(&("column", "d".to_string())) && !format!("{error:?}").contains(value), "{error:?}");
    }
}

/// P4: the feature and the very rule are named.
#[test]
fn a_rule_that_the_table_breaks_is_named() {
    let v2 = || Table::new(&["icebergCompatV2"]);
    let set = |mut table: Table, key: &str, value: &str| {
        table.properties[key] = json!(value);
        table
    };
    let columns = |mut table: Table, column: Json| {
        table.columns.push(column);
        table
    };
    let none = json!({});
    let feature = |mut table: Table, name| {
        table.writer.push(name);
        table
    };
    let widened = |from: &str, to: &str| json!({"delta.typeChanges": [{"fromType": from, "toType": to}]});
    let vectors = Table { reader: vec!["columnMapping", "deletionVectors"], ..feature(v2(), "deletionVectors") };
    let v1 = || Table {
        columns: vec![Table::new(&[]).columns.remove(0), Table::new(&[]).columns.remove(2)],
        ..Table::new(&["icebergCompatV1"])
    };
    let writer = || Table::new(&["icebergCompatV2", "icebergWriterCompatV1"]);
    let cases = [
        (Table::new(&["icebergCompatV1", "icebergCompatV2"]), "no other version"),
        (set(v2(), "delta.columnMapping.mode", "none"), "column mapping must be on"),
        (set(vectors, "delta.enableDeletionVectors", "true"), "deletion vectors must be off"),
        (columns(v2(), column("x", json!("void"), 4, &none)), "a type it does not allow"),
        (columns(v2(), column("x", json!("variant"), 4, &none)), "a type it does not allow"),
        (columns(v1(), column("x", list(), 4, &none)), "a type it does not allow"),
        (columns(v2(), column("x", list(), 4, &none)), "ids of their own"),
        (
            columns(feature(v2(), "typeWidening"), column("x", json!("double"), 4, &widened("integer", "double"))),
            "a column's type was changed",
        ),
        (columns(v3(), column("x", json!("long"), 4, &json!({"CURRENT_DEFAULT": "now()"}))), "not a literal"),
        (Table::new(&["icebergCompatV3"]), "row tracking must be on"),
        (Table::new(&["icebergWriterCompatV1"]), "the version it builds on"),
        (set(writer(), "delta.columnMapping.mode", "name"), "mapped by id"),
        (columns(writer(), column("x", json!("short"), 4, &none)), "a type it does not allow"),
        (columns(writer(), column("x", json!("long"), 4, &json!({"delta.columnMapping.physicalName": "x"}))), "physical names"),
        (feature(writer(), "allowColumnDefaults"), "a feature it does not allow"),
        (set(writer(), "delta.enableChangeDataFeed", "true"), "in use that it does not allow"),
        (columns(writer(), column("x", json!("long"), 4, &json!({"delta.invariants": "{}"}))), "in use that it does not allow"),
    ];
    for (table, rule) in cases {
        let message = table.refusal();
        assert!(message.contains(rule) && message.contains("'iceberg"), "{message}, not: {rule}");
    }
    for table in [
        v2(),
        v1(),
        v3(),
        writer(),
        columns(feature(v2(), "typeWidening"), column("x", json!("long"), 4, &widened("integer", "long"))),
        columns(feature(v2(), "typeWidening"), column("x", json!("decimal(12,2)"), 4, &widened("decimal(10,2)", "decimal(12,2)"))),
        columns(v3(), column("x", json!("string"), 4, &json!({"CURRENT_DEFAULT": "'a'"}))),
        columns(v3(), column("x", json!("date"), 4, &json!({"CURRENT_DEFAULT": "DATE '2024-01-01'"}))),
        feature(writer(), "invariants"),
    ] {
        table.made().load().unwrap().rewritable().unwrap();
    }
}

#[test]
fn structs_that_hold_nothing_but_void_cannot_be_written() {
    let empty = json!({"type": "struct", "fields": [{"name": "v", "type": "void", "nullable": true, "metadata": {}}]});
    let mut table = Table::new(&[]);
    table.columns.push(column("s", empty, 4, &json!({})));
    let version = table.made().load().unwrap();
    assert_eq!(version.rewritable().unwrap_err().kind(), crate::error::Kind::Unsupported);
}
