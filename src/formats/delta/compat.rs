//! Tables whose files Iceberg readers are to understand as they are: `icebergCompatV1` to `V3`, `icebergWriterCompatV1` and `V3`
//! (protocol, "Iceberg Compatibility"; its accepted and proposed extensions).
//!
//! What a writer must do with data files is done where they are written. What it must demand of the table is checked here, rule by rule: a table
//! that breaks a rule of its own is not made worse.

use serde_json::Value as Json;

use super::replay::State;
use super::schema::Mapping;
use super::settings;
use crate::error::{Error, Result};
use crate::model::Schema;

/// Field ids of the two row-tracking columns under version 3: the ids that Iceberg reserves for them.
pub(super) const ROW_ID_FIELDS: (i32, i32) = (2_147_483_540, 2_147_483_539);

/// Types of single values that every version allows.
const TYPES: [&str; 12] =
    ["byte", "short", "integer", "long", "float", "double", "string", "binary", "boolean", "timestamp", "timestamp_ntz", "date"];

/// Features a table of `icebergWriterCompatV1` may have, in use or not.
const ALLOWED: [&str; 11] = [
    "appendOnly",
    "columnMapping",
    "icebergWriterCompatV1",
    "icebergCompatV2",
    "domainMetadata",
    "vacuumProtocolCheck",
    "v2Checkpoint",
    "inCommitTimestamp",
    "clustering",
    "timestampNtz",
    "typeWidening",
];
/// Features it may list as long as they are not in use.
const ALLOWED_IDLE: [&str; 6] = ["invariants", "changeDataFeed", "checkConstraints", "identityColumns", "generatedColumns", "rowTracking"];
/// What version 3 allows beyond that.
const ALLOWED_V3: [&str; 10] = [
    "icebergCompatV3",
    "icebergWriterCompatV3",
    "deletionVectors",
    "variantType",
    "variantType-preview",
    "variantShredding",
    "variantShredding-preview",
    "allowColumnDefaults",
    "checkpointProtection",
    "typeWidening-preview",
];

/// Whether `feature` is there and switched on.
fn active(state: &State, feature: &str) -> bool {
    let mut property = String::from("delta.enable");
    property.extend(feature.chars().take(1).flat_map(char::to_uppercase).chain(feature.chars().skip(1)));
    state.protocol.writes(feature) && settings::on(&state.metadata.configuration, &property)
}

/// Whether version 3 is on, which gives row-tracking columns field ids.
pub(super) fn is_v3(state: &State) -> bool {
    active(state, "icebergCompatV3")
}

/// Whether some version is on.
pub(super) fn is_on(state: &State) -> bool {
    ["icebergCompatV1", "icebergCompatV2", "icebergCompatV3"].iter().any(|feature| active(state, feature))
}

/// Whether a version is on that knows no deletion vectors.
pub(super) fn forbids_vectors(state: &State) -> bool {
    active(state, "icebergCompatV1") || active(state, "icebergCompatV2")
}

/// Checks what the versions that are on demand of the table.
///
/// # Errors
///
/// `Refused`, naming the feature and the rule that does not hold.
pub(super) fn check(state: &State, schema: &Schema) -> Result<()> {
    let rules = Rules { state, schema, columns: columns(&state.metadata.schema_string) };
    for version in 1..=3 {
        let feature = ["icebergCompatV1", "icebergCompatV2", "icebergCompatV3"].into_iter().nth(version - 1).unwrap_or_default();
        if active(state, feature) {
            rules.of_version(feature, version)?;
        }
    }
    for (feature, base) in [("icebergWriterCompatV1", "icebergCompatV2"), ("icebergWriterCompatV3", "icebergCompatV3")] {
        if active(state, feature) {
            rules.of_writer(feature, base)?;
        }
    }
    Ok(())
}

/// A column or member as the schema's text has it.
struct Column {
    /// The names of the types in it, down to the next column with a name of its own.
    types: Vec<String>,
    metadata: Json,
}

/// Every column and member of the schema.
fn columns(schema: &str) -> Vec<Column> {
    fn of_type(json: &Json, types: &mut Vec<String>, out: &mut Vec<Column>) {
        if let Some(name) = json.as_str() {
            types.push(name.to_string());
            return;
        }
        types.extend(json.get("type").and_then(Json::as_str).filter(|name| *name != "struct" && *name != "udt").map(str::to_string));
        for below in ["elementType", "keyType", "valueType", "sqlType"].iter().filter_map(|key| json.get(key)) {
            of_type(below, types, out);
        }
        for field in json.get("fields").and_then(Json::as_array).into_iter().flatten() {
            let mut types = Vec::new();
            field.get("type").into_iter().for_each(|ty| of_type(ty, &mut types, out));
            out.push(Column { types, metadata: field.get("metadata").cloned().unwrap_or_default() });
        }
    }
    let mut out = Vec::new();
    // The text was read before: it is JSON, and not too deep.
    of_type(&serde_json::from_str(schema).unwrap_or_default(), &mut Vec::new(), &mut out);
    out
}

struct Rules<'a> {
    state: &'a State,
    schema: &'a Schema,
    columns: Vec<Column>,
}

fn demand(holds: bool, feature: &'static str, rule: &'static str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::refused(format!("the table cannot be rewritten: it breaks a rule of its feature '{feature}': {rule}"))
        .about("feature", feature)
        .hint("bring the table in line with the feature, or switch the feature off; nothing was changed"))
}

impl Rules<'_> {
    fn of_version(&self, feature: &'static str, version: usize) -> Result<()> {
        let state = self.state;
        let on = |key: &str| settings::on(&state.metadata.configuration, key);
        let others = ["icebergCompatV1", "icebergCompatV2", "icebergCompatV3"].iter().filter(|other| active(state, other)).count();
        demand(others == 1, feature, "no other version of it may be on")?;
        demand(state.mapping()? != Mapping::None, feature, "column mapping must be on")?;
        match version {
            1 => demand(!state.protocol.has_vectors(), feature, "deletion vectors must not be supported")?,
            2 => demand(!(state.protocol.has_vectors() && on("delta.enableDeletionVectors")), feature, "deletion vectors must be off")?,
            _ => demand(state.protocol.writes("rowTracking") && on("delta.enableRowTracking"), feature, "row tracking must be on")?,
        }
        let allowed = |name: &str| match name {
            "array" | "map" => version > 1,
            "variant" => version > 2,
            _ => TYPES.contains(&name) || name.starts_with("decimal"),
        };
        demand(
            self.columns.iter().flat_map(|column| &column.types).all(|name| allowed(name)),
            feature,
            "a column has a type it does not allow",
        )?;
        let numbered = self.schema.leaves_and_groups().all(|field| field.id >= 0);
        demand(version == 1 || numbered, feature, "elements, keys and values must have ids of their own")?;
        let widened = state.protocol.writes("typeWidening") || state.protocol.writes("typeWidening-preview");
        demand(
            !widened || self.columns.iter().all(changed_as_iceberg_allows),
            feature,
            "a column's type was changed as Iceberg does not allow",
        )?;
        let literal = |column: &Column| column.metadata.get("CURRENT_DEFAULT").and_then(Json::as_str).is_none_or(is_literal);
        demand(version < 3 || self.columns.iter().all(literal), feature, "a column's default is not a literal")
    }

    fn of_writer(&self, feature: &'static str, base: &'static str) -> Result<()> {
        let state = self.state;
        let properties = &state.metadata.configuration;
        demand(active(state, base), feature, "the version it builds on must be on")?;
        demand(state.mapping()? == Mapping::Id, feature, "columns must be mapped by id")?;
        let named = |column: &Column| {
            let id = column.metadata.get("delta.columnMapping.id").and_then(Json::as_i64);
            let name = column.metadata.get("delta.columnMapping.physicalName").and_then(Json::as_str);
            id.is_some_and(|id| name == Some(format!("col-{id}").as_str()))
        };
        demand(self.columns.iter().all(named), feature, "physical names must be 'col-' and the id")?;
        let narrow = |name: &String| name == "byte" || name == "short";
        demand(!self.columns.iter().flat_map(|column| &column.types).any(narrow), feature, "a column has a type it does not allow")?;
        let v3 = base == "icebergCompatV3";
        let allowed = |name: &str| ALLOWED.contains(&name) || ALLOWED_IDLE.contains(&name) || (v3 && ALLOWED_V3.contains(&name));
        demand(state.protocol.features().iter().all(|name| allowed(name)), feature, "the table has a feature it does not allow")?;
        let marked =
            |prefix: &str| self.columns.iter().filter_map(|c| c.metadata.as_object()).flat_map(|m| m.keys()).any(|k| k.starts_with(prefix));
        let constrained = properties.0.iter().any(|(key, _)| key.starts_with("delta.constraints."));
        let busy = constrained
            || settings::on(properties, "delta.enableChangeDataFeed")
            || (!v3 && settings::on(properties, "delta.enableRowTracking"))
            || ["delta.invariants", "delta.identity.", "delta.generationExpression"].iter().any(|prefix| marked(prefix));
        demand(!busy, feature, "a feature is in use that it does not allow")
    }
}

/// Whether every type change the column has seen is one that Iceberg knows, too.
fn changed_as_iceberg_allows(column: &Column) -> bool {
    let changes = column.metadata.get("delta.typeChanges").and_then(Json::as_array).into_iter().flatten();
    changes.into_iter().all(|change| {
        let name = |key: &str| change.get(key).and_then(Json::as_str).unwrap_or_default();
        match (name("fromType"), name("toType")) {
            ("byte", "short" | "integer" | "long") | ("short", "integer" | "long") | ("integer", "long") | ("float", "double") => true,
            (from, to) => decimal(from).zip(decimal(to)).is_some_and(|((p, s), (q, t))| q >= p && s == t),
        }
    })
}

fn decimal(name: &str) -> Option<(u8, u8)> {
    let (precision, scale) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// Whether an SQL expression is a value and nothing that has to be computed.
fn is_literal(text: &str) -> bool {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let bare = ["date", "timestamp_ntz", "timestamp", "x"]
        .iter()
        .find_map(|kind| lower.strip_prefix(kind))
        .map_or(lower.as_str(), str::trim_start);
    let quote = bare.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quoted = quote.is_some_and(|quote| bare.len() > 1 && bare.ends_with(quote) && bare.matches(quote).count() == 2);
    let number = bare.trim_end_matches("bd").trim_end_matches(['l', 's', 'y', 'd', 'f']);
    quoted || matches!(lower.as_str(), "true" | "false" | "null") || number.parse::<f64>().is_ok()
}
