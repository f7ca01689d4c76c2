//! Avro schemas as Arrow types, with Iceberg's field ids (Iceberg spec, appendix A, "Avro").

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit, UnionFields, UnionMode};
use serde_json::Value as Json;

use crate::decode::{FIELD_ID, MAX_DEPTH};
use crate::error::{Error, Result};

/// A schema may have no more types than this: named types may be named again and again.
const MOST_NODES: usize = 100_000;

/// How a value lies in a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// bytes or string, by the Arrow type
    Bytes,
    Fixed(usize),
    Enum(Arc<[String]>),
    Record(Vec<Node>),
    Array(Box<Node>),
    Map(Box<Node>),
    /// An array of records of a key and a value, which stands for a map whose keys are no texts.
    Pairs(Box<Node>, Box<Node>),
    /// Null or a value; the position of null.
    Optional(usize, Box<Node>),
    /// Any other union.
    Union(Vec<Node>),
}

/// A type, and what Arrow makes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Unions other than with null cannot be read, only passed over.
    pub(super) ty: DataType,
}

/// A record's fields: their Arrow form and how they lie in the file.
pub(super) type Columns = (Fields, Vec<Node>);

/// Reads the schema of a file of records.
///
/// # Errors
///
/// `Corrupt` if it makes no sense, `Unsupported` for types that contain themselves.
pub(super) fn columns(json: &Json) -> Result<Columns> {
    let mut parser = Parser { named: HashMap::new(), nodes: 0 };
    let node = parser.node(json, "", 0)?;
    match (node.kind, node.ty) {
        (Kind::Record(nodes), DataType::Struct(fields)) => Ok((fields, nodes)),
        _ => Err(Error::unsupported("the rows of the Avro file are no records")),
    }
}

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("the Avro schema is damaged: {what}"))
}

struct Parser {
    named: HashMap<String, Node>,
    nodes: usize,
}

impl Parser {
    fn node(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Node> {
        self.count(1)?;
        if depth > MAX_DEPTH {
            return Err(Error::unsupported("the columns of the Avro file are nested too deeply"));
        }
        match json {
            Json::String(name) => self.by_name(name, &Json::Null, namespace),
            Json::Array(branches) => self.union(branches, namespace, depth),
            Json::Object(_) => self.object(json, namespace, depth),
            _ => Err(wrong("a type is neither a name nor a description")),
        }
    }

    fn count(&mut self, nodes: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES { Err(wrong("it has too many types")) } else { Ok(()) }
    }

    fn by_name(&mut self, name: &str, json: &Json, namespace: &str) -> Result<Node> {
        if let Some(node) = simple(name, json) {
            return Ok(node);
        }
        let full = if name.contains('.') || namespace.is_empty() { name.to_string() } else { format!("{namespace}.{name}") };
        let known = self.named.get(&full).or_else(|| self.named.get(name)).cloned();
        let node = known.ok_or_else(|| Error::unsupported("the Avro schema uses a type that is not known (yet)").about("type", name))?;
        self.count(size(&node))?;
        Ok(node)
    }

    fn union(&mut self, branches: &[Json], namespace: &str, depth: usize) -> Result<Node> {
        let mut nodes: Vec<Node> = branches.iter().map(|branch| self.node(branch, namespace, depth + 1)).collect::<Result<_>>()?;
        let null = nodes.iter().position(|node| node.kind == Kind::Null);
        if let (Some(null), 2) = (null, nodes.len()) {
            let value = nodes.swap_remove(1 - null.min(1));
            let ty = value.ty.clone();
            return Ok(Node { kind: Kind::Optional(null, Box::new(value)), ty });
        }
        Ok(Node { kind: Kind::Union(nodes), ty: DataType::Union(UnionFields::empty(), UnionMode::Sparse) })
    }

    fn object(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Node> {
        let ty = json.get("type").ok_or_else(|| wrong("a type has no name"))?;
        let Some(name) = ty.as_str() else { return self.node(ty, namespace, depth + 1) };
        match name {
            "record" | "error" => {
                let (full, inner) = full_name(json, namespace);
                let node = self.record(json, &inner, depth)?;
                self.named.insert(full, node.clone());
                Ok(node)
            }
            "enum" => {
                let symbols = json.get("symbols").and_then(Json::as_array).ok_or_else(|| wrong("an enum has no symbols"))?;
                let symbols: Option<Vec<String>> = symbols.iter().map(|symbol| symbol.as_str().map(str::to_string)).collect();
                let symbols = symbols.ok_or_else(|| wrong("a symbol is no text"))?;
                let node = Node { kind: Kind::Enum(symbols.into()), ty: DataType::Utf8 };
                self.named.insert(full_name(json, namespace).0, node.clone());
                Ok(node)
            }
            "fixed" => {
                let node = fixed(json)?;
                self.named.insert(full_name(json, namespace).0, node.clone());
                Ok(node)
            }
            "array" => self.array(json, namespace, depth),
            "map" => {
                let value = self.node(json.get("values").ok_or_else(|| wrong("a map has no values"))?, namespace, depth + 1)?;
                let key = Field::new("key", DataType::Utf8, false).with_metadata(id(json, "key-id"));
                let field = field("value", &value).with_metadata(id(json, "value-id"));
                Ok(Node { ty: map(key, field), kind: Kind::Map(Box::new(value)) })
            }
            other => self.by_name(other, json, namespace),
        }
    }

    fn record(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Node> {
        let listed = json.get("fields").and_then(Json::as_array).ok_or_else(|| wrong("a record has no fields"))?;
        let (mut fields, mut nodes) = (Vec::new(), Vec::new());
        for member in listed {
            let name = member.get("name").and_then(Json::as_str).ok_or_else(|| wrong("a field has no name"))?;
            let node = self.node(member.get("type").ok_or_else(|| wrong("a field has no type"))?, namespace, depth + 1)?;
            fields.push(Arc::new(field(name, &node).with_metadata(id(member, "field-id"))));
            nodes.push(node);
        }
        Ok(Node { kind: Kind::Record(nodes), ty: DataType::Struct(fields.into()) })
    }

    fn array(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Node> {
        let item = self.node(json.get("items").ok_or_else(|| wrong("an array has no items"))?, namespace, depth + 1)?;
        if json.get("logicalType").and_then(Json::as_str) == Some("map") {
            let Node { kind: Kind::Record(nodes), ty: DataType::Struct(fields) } = item else {
                return Err(wrong("the entries of a map are no records"));
            };
            let ([key_field, value_field], Ok([key, value])) = (fields.as_ref(), <[Node; 2]>::try_from(nodes)) else {
                return Err(wrong("the entries of a map are no pairs"));
            };
            let renamed = |field: &FieldRef, name| Field::clone(field).with_name(name);
            let ty = map(renamed(key_field, "key").with_nullable(false), renamed(value_field, "value"));
            return Ok(Node { ty, kind: Kind::Pairs(Box::new(key), Box::new(value)) });
        }
        let element = field("element", &item).with_metadata(id(json, "element-id"));
        Ok(Node { ty: DataType::List(Arc::new(element)), kind: Kind::Array(Box::new(item)) })
    }
}

fn field(name: &str, node: &Node) -> Field {
    Field::new(name, node.ty.clone(), true)
}

fn map(key: Field, value: Field) -> DataType {
    DataType::Map(Arc::new(Field::new_struct("entries", vec![key, value], false)), false)
}

fn id(json: &Json, key: &str) -> HashMap<String, String> {
    json.get(key).and_then(Json::as_i64).map(|id| (FIELD_ID.to_string(), id.to_string())).into_iter().collect()
}

/// The full name of a named type, and the namespace of what it contains.
fn full_name(json: &Json, namespace: &str) -> (String, String) {
    let text = |key| json.get(key).and_then(Json::as_str);
    let name = text("name").unwrap_or_default();
    let full = match (name.contains('.'), text("namespace").unwrap_or(namespace)) {
        (true, _) | (false, "") => name.to_string(),
        (false, space) => format!("{space}.{name}"),
    };
    let inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_string();
    (full, inner)
}

/// Types in a tree of types.
fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Record(nodes) | Kind::Union(nodes) => nodes.iter().map(size).sum(),
        Kind::Array(item) | Kind::Map(item) | Kind::Optional(_, item) => size(item),
        Kind::Pairs(key, value) => size(key) + size(value),
        _ => 0,
    }
}

/// Types that need no description, with the logical type that `json` gives them. Logical types that are not known are ignored, as Avro demands.
fn simple(name: &str, json: &Json) -> Option<Node> {
    let logical = json.get("logicalType").and_then(Json::as_str);
    let zone = || json.get("adjust-to-utc").and_then(Json::as_bool).unwrap_or(false).then(|| "UTC".into());
    let (kind, ty) = match (name, logical) {
        ("null", _) => (Kind::Null, DataType::Null),
        ("boolean", _) => (Kind::Boolean, DataType::Boolean),
        ("int", Some("date")) => (Kind::Int, DataType::Date32),
        ("int", Some("time-millis")) => (Kind::Int, DataType::Time32(TimeUnit::Millisecond)),
        ("int", _) => (Kind::Int, DataType::Int32),
        ("long", Some("time-micros")) => (Kind::Long, DataType::Time64(TimeUnit::Microsecond)),
        ("long", Some("timestamp-millis")) => (Kind::Long, DataType::Timestamp(TimeUnit::Millisecond, zone())),
        ("long", Some("timestamp-micros")) => (Kind::Long, DataType::Timestamp(TimeUnit::Microsecond, zone())),
        ("long", Some("timestamp-nanos")) => (Kind::Long, DataType::Timestamp(TimeUnit::Nanosecond, zone())),
        ("long", Some("local-timestamp-millis")) => (Kind::Long, DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("long", Some("local-timestamp-micros")) => (Kind::Long, DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("long", Some("local-timestamp-nanos")) => (Kind::Long, DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("long", _) => (Kind::Long, DataType::Int64),
        ("float", _) => (Kind::Float, DataType::Float32),
        ("double", _) => (Kind::Double, DataType::Float64),
        ("bytes", Some("decimal")) => (Kind::Bytes, decimal(json).unwrap_or(DataType::Binary)),
        ("bytes", _) => (Kind::Bytes, DataType::Binary),
        ("string", _) => (Kind::Bytes, DataType::Utf8),
        _ => return None,
    };
    Some(Node { kind, ty })
}

fn fixed(json: &Json) -> Result<Node> {
    let size = json.get("size").and_then(Json::as_i64).and_then(|size| i32::try_from(size).ok()).filter(|size| *size >= 0);
    let size = size.ok_or_else(|| wrong("a fixed type has no size"))?;
    let logical = json.get("logicalType").and_then(Json::as_str) == Some("decimal");
    let ty = logical.then(|| decimal(json)).flatten().unwrap_or(DataType::FixedSizeBinary(size));
    Ok(Node { kind: Kind::Fixed(usize::try_from(size).unwrap_or(usize::MAX)), ty })
}

fn decimal(json: &Json) -> Option<DataType> {
    let number = |key| json.get(key).and_then(Json::as_u64);
    let precision = u8::try_from(number("precision")?).ok().filter(|precision| (1..=38).contains(precision))?;
    let scale = i8::try_from(number("scale").unwrap_or(0)).ok().filter(|scale| scale.unsigned_abs() <= precision)?;
    Some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Columns> {
        columns(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn named_types_are_known_by_their_short_and_full_names_after_they_were_described() {
        let (fields, nodes) = read(
            r#"{"type": "record", "name": "row", "namespace": "a.b", "fields": [
                {"name": "x", "type": {"type": "fixed", "name": "f", "size": 4}},
                {"name": "y", "type": ["f", "null"]},
                {"name": "z", "type": {"type": "array", "items": "a.b.f"}}]}"#,
        )
        .unwrap();
        assert_eq!(nodes[0].kind, Kind::Fixed(4));
        assert_eq!(nodes[1].kind, Kind::Optional(1, Box::new(nodes[0].clone())));
        assert_eq!(nodes[2].kind, Kind::Array(Box::new(nodes[0].clone())));
        assert_eq!(fields[1].data_type(), &DataType::FixedSizeBinary(4));
    }

    #[test]
    fn types_that_contain_themselves_multiply_or_lack_parts_are_refused() {
        let circle = r#"{"type": "record", "name": "r", "fields": [{"name": "next", "type": ["null", "r"]}]}"#;
        assert!(read(circle).unwrap_err().message().contains("not known"));
        let doubled = (1..40).fold(r#"{"type": "record", "name": "r0", "fields": []}"#.to_string(), |inner, n| {
            let last = n - 1;
            format!(
                r#"{{"type": "record", "name": "r{n}", "fields": [{{"name": "a", "type": {inner}}}, {{"name": "b", "type": "r{last}"}}]}}"#
            )
        });
        assert!(read(&doubled).is_err());
        let deep = (0..200).fold("\"int\"".to_string(), |inner, _| format!(r#"{{"type": "array", "items": {inner}}}"#));
        for json in
            [format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "a", "type": {deep}}}]}}"#), "\"int\"".into(), "7".into()]
        {
            assert!(serde_json::from_str(&json).map_or(true, |json| columns(&json).is_err()), "{json}");
        }
        for json in [r#"{"type": "record", "name": "r"}"#, r#"{"type": "fixed", "name": "f"}"#, r#"{"type": "enum", "name": "e"}"#, "{}"] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn logical_types_say_what_numbers_and_bytes_mean() {
        for (json, ty) in [
            (
                r#"{"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true}"#,
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            (
                r#"{"type": "long", "logicalType": "timestamp-nanos", "adjust-to-utc": false}"#,
                DataType::Timestamp(TimeUnit::Nanosecond, None),
            ),
            (r#"{"type": "int", "logicalType": "date"}"#, DataType::Date32),
            (r#"{"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}"#, DataType::Decimal128(38, 10)),
            // What is not understood is as if it were not there.
            (r#"{"type": "bytes", "logicalType": "decimal", "precision": 99}"#, DataType::Binary),
            (r#"{"type": "long", "logicalType": "of the future"}"#, DataType::Int64),
        ] {
            let record = format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "a", "type": {json}, "field-id": 7}}]}}"#);
            let (fields, _) = read(&record).unwrap();
            assert_eq!(fields[0].data_type(), &ty);
            assert_eq!(fields[0].metadata()[FIELD_ID], "7");
        }
    }
}
