//! Avro schemas as shapes to decode by (Apache Avro 1.12 specification, "Schema Declaration").
//!
//! Logical types are left aside on purpose: a value that is read and written again must come out with the same bytes.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::{Error, Result};

/// Schemas nested deeper than this are refused: no table has them, and a hostile file could exhaust the stack.
const MAX_DEPTH: usize = 64;
/// A schema may come to no more shapes than this: types that were named may be named again and again, each holding the one before it twice.
const MAX_SHAPES: usize = 100_000;

/// What a value looks like in bytes.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// nothing
    Null,
    /// one byte
    Boolean,
    /// `int`, as a zig-zag number
    Int,
    /// `long`, as a zig-zag number
    Long,
    /// four bytes
    Float,
    /// eight bytes
    Double,
    /// length and bytes
    Bytes,
    /// length and UTF-8
    String,
    /// this many bytes
    Fixed(usize),
    /// the index of a symbol
    Enum,
    /// blocks of items
    Array(Arc<Self>),
    /// blocks of string keys and values
    Map(Arc<Self>),
    /// a branch number and its value
    Union(Arc<[Self]>),
    /// a union whose branch nobody asks for: it is read as the value alone, and cannot be written
    Bare(Arc<[Self]>),
    /// fields in order
    Record(Arc<RecordShape>),
    /// a value that nobody asks for: it is passed over and read as null
    Skipped(Arc<Self>),
}

/// The fields of a record.
#[derive(Debug)]
pub(crate) struct RecordShape {
    /// Names and shapes in order.
    pub(crate) fields: Vec<(String, Shape)>,
}

impl RecordShape {
    /// The place of the field called `name`.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field == name)
    }
}

impl Shape {
    /// The same, passing over the fields of the record in the record's field `member` that `keep` does not choose by their names. Of what is kept
    /// nobody may ask which branches its fields' unions have taken.
    #[must_use]
    pub(crate) fn narrowed(&self, member: &str, keep: impl Fn(&str) -> bool) -> Self {
        let Self::Record(outer) = self else { return self.clone() };
        let skip = |(name, shape): &(String, Self)| match keep(name) {
            true => (name.clone(), shape.bare()),
            false => (name.clone(), Self::Skipped(Arc::new(shape.clone()))),
        };
        let narrow = |(name, shape): &(String, Self)| match shape {
            Self::Record(inner) if name == member => {
                (name.clone(), Self::Record(Arc::new(RecordShape { fields: inner.fields.iter().map(skip).collect() })))
            }
            other => (name.clone(), other.bare()),
        };
        Self::Record(Arc::new(RecordShape { fields: outer.fields.iter().map(narrow).collect() }))
    }

    fn bare(&self) -> Self {
        match self {
            Self::Union(branches) => Self::Bare(Arc::clone(branches)),
            other => other.clone(),
        }
    }

    /// Reads the JSON form of a schema.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is no Avro schema, or one that refers to itself.
    pub(crate) fn parse(json: &Json) -> Result<Self> {
        Parser { named: HashMap::new(), shapes: 0 }.shape(json, 0)
    }

    /// The record its items are, if it is a list of records (or a union of one with null).
    pub(crate) fn item_record(&self) -> Option<&Arc<RecordShape>> {
        match self {
            Self::Array(item) => item.record(),
            Self::Union(branches) | Self::Bare(branches) => branches.iter().find_map(Self::item_record),
            _ => None,
        }
    }

    /// The record this is, if it is one (or a union of one with null).
    pub(crate) fn record(&self) -> Option<&Arc<RecordShape>> {
        match self {
            Self::Record(record) => Some(record),
            Self::Union(branches) | Self::Bare(branches) => branches.iter().find_map(Self::record),
            _ => None,
        }
    }
}

fn wrong(what: &'static str) -> Error {
    Error::corrupt("not an Avro schema").about("problem", what)
}

struct Parser {
    named: HashMap<String, Shape>,
    /// Shapes that names stood for, so far.
    shapes: usize,
}

/// How many shapes a shape is made of, and how deep they are nested.
fn extent(shape: &Shape) -> (usize, usize) {
    let (shapes, depth) = match shape {
        Shape::Array(inner) | Shape::Map(inner) => extent(inner),
        Shape::Union(branches) | Shape::Bare(branches) => branches.iter().map(extent).fold((0, 0), larger),
        Shape::Record(record) => record.fields.iter().map(|(_, shape)| extent(shape)).fold((0, 0), larger),
        _ => (0, 0),
    };
    (shapes + 1, depth + 1)
}

fn larger(all: (usize, usize), one: (usize, usize)) -> (usize, usize) {
    (all.0 + one.0, all.1.max(one.1))
}

impl Parser {
    fn shape(&mut self, json: &Json, depth: usize) -> Result<Shape> {
        if depth > MAX_DEPTH {
            return Err(wrong("nested too deeply"));
        }
        match json {
            Json::String(name) => self.by_name(name, depth),
            Json::Array(branches) => {
                let branches: Result<Vec<Shape>> = branches.iter().map(|branch| self.shape(branch, depth + 1)).collect();
                Ok(Shape::Union(branches?.into()))
            }
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => self.complex(name, object, depth),
                Some(inner) => self.shape(inner, depth + 1),
                None => Err(wrong("a schema without a type")),
            },
            _ => Err(wrong("neither a name, a list nor an object")),
        }
    }

    fn by_name(&mut self, name: &str, depth: usize) -> Result<Shape> {
        Ok(match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "int" => Shape::Int,
            "long" => Shape::Long,
            "float" => Shape::Float,
            "double" => Shape::Double,
            "bytes" => Shape::Bytes,
            "string" => Shape::String,
            _ => {
                let short = name.rsplit('.').next().unwrap_or(name);
                let shape = self.named.get(short).cloned().ok_or_else(|| wrong("an unknown type name"))?;
                let (shapes, deep) = extent(&shape);
                self.shapes = self.shapes.saturating_add(shapes);
                if self.shapes > MAX_SHAPES {
                    return Err(wrong("it has too many types"));
                }
                if depth + deep > MAX_DEPTH {
                    return Err(wrong("nested too deeply"));
                }
                return Ok(shape);
            }
        })
    }

    fn complex(&mut self, name: &str, object: &serde_json::Map<String, Json>, depth: usize) -> Result<Shape> {
        let inner = |key| object.get(key).ok_or_else(|| wrong("an array or map without items"));
        let shape = match name {
            "array" => return Ok(Shape::Array(Arc::new(self.shape(inner("items")?, depth + 1)?))),
            "map" => return Ok(Shape::Map(Arc::new(self.shape(inner("values")?, depth + 1)?))),
            "enum" => Shape::Enum,
            "fixed" => {
                let size = object.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
                Shape::Fixed(size.ok_or_else(|| wrong("a fixed without a size"))?)
            }
            "record" | "error" => {
                let fields = object.get("fields").and_then(Json::as_array).ok_or_else(|| wrong("a record without fields"))?;
                let fields: Result<Vec<(String, Shape)>> = fields.iter().map(|field| self.field(field, depth + 1)).collect();
                Shape::Record(Arc::new(RecordShape { fields: fields? }))
            }
            _ => return self.by_name(name, depth),
        };
        if let Some(own) = object.get("name").and_then(Json::as_str) {
            let short = own.rsplit('.').next().unwrap_or(own);
            self.named.insert(short.to_string(), shape.clone());
        }
        Ok(shape)
    }

    fn field(&mut self, json: &Json, depth: usize) -> Result<(String, Shape)> {
        let name = json.get("name").and_then(Json::as_str).ok_or_else(|| wrong("a field without a name"))?;
        let shape = self.shape(json.get("type").ok_or_else(|| wrong("a field without a type"))?, depth)?;
        Ok((name.to_string(), shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_be_used_again_by_its_name_but_not_within_itself() {
        let twice = serde_json::json!({"type": "record", "name": "r", "fields": [
            {"name": "a", "type": {"type": "fixed", "name": "n.f", "size": 3}}, {"name": "b", "type": ["null", "f"]}]});
        let shape = Shape::parse(&twice).unwrap();
        assert_eq!(shape.record().unwrap().index("b"), Some(1));
        let own = serde_json::json!({"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "r"]}]});
        assert!(Shape::parse(&own).is_err());
    }

    #[test]
    fn types_that_are_named_within_one_another_are_neither_deep_nor_many() {
        let nested = |levels: usize, copies: usize| {
            let fields = |level: usize| -> Vec<Json> {
                (0..copies).map(|copy| serde_json::json!({"name": format!("c{copy}"), "type": format!("r{}", level - 1)})).collect()
            };
            let mut all = vec![serde_json::json!({"name": "f0", "type": {"type": "record", "name": "r0", "fields": []}})];
            all.extend((1..levels).map(|level| {
                serde_json::json!({"name": format!("f{level}"), "type": {"type": "record", "name": format!("r{level}"), "fields": fields(level)}})
            }));
            Shape::parse(&serde_json::json!({"type": "record", "name": "all", "fields": all}))
        };
        assert!(nested(30, 1).is_ok() && nested(10, 2).is_ok());
        assert!(nested(1_000, 1).is_err(), "decoding would use up the stack");
        assert!(nested(40, 2).is_err(), "decoding would never end");
    }
}
