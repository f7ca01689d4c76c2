//! Delta's schema text as model columns (protocol, "Schema Serialization Format", "Column Mapping").

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::model::{Field, Primitive, Schema, Type};

/// How columns are found in data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapping {
    /// By name.
    None,
    /// By physical name.
    Name,
    /// By field id.
    Id,
}

/// Nested deeper than any real table; stops hostile text before the stack does.
const MAX_DEPTH: usize = 64;

/// The columns of `text`. Ids are those of the column mapping; without one, numbers from 1 in depth-first order. Under column mapping, list
/// elements and map entries have the ids that the column around them gives them for Iceberg's sake, else negative ones, which files never carry.
/// Columns of type `void` hold nothing but nulls and are in no file: they are left out.
///
/// # Errors
///
/// `Corrupt` for text that is no schema, `Unsupported` for a type we do not know.
pub(super) fn parse(text: &str, mapping: Mapping) -> Result<Schema> {
    read(text, mapping, false)
}

/// As [`parse`], with columns of type `void`. All other columns have the same ids.
///
/// # Errors
///
/// As [`parse`].
pub(super) fn parse_with_void(text: &str, mapping: Mapping) -> Result<Schema> {
    read(text, mapping, true)
}

fn read(text: &str, mapping: Mapping, void: bool) -> Result<Schema> {
    let json: Json = serde_json::from_str(text).map_err(|e| Error::corrupt("the schema is no JSON").about("column", e.column()))?;
    let read = |nested_ids| {
        let mut reader = Reader { mapping, nested_ids, last: 0, void: void.then_some(i32::MIN) };
        reader.members(&json, 0).map(|fields| Schema { fields })
    };
    let schema = read(mapping != Mapping::None)?;
    match same_id_twice(&schema) {
        None => Ok(schema),
        // Ids of elements that are wrong are as good as none.
        Some(_) if mapping != Mapping::None => match read(false)? {
            plain if same_id_twice(&plain).is_none() => Ok(plain),
            plain => Err(Error::corrupt("two columns have the same id").about("id", same_id_twice(&plain).unwrap_or_default())),
        },
        Some(id) => Err(Error::corrupt("two columns have the same id").about("id", id)),
    }
}

fn same_id_twice(schema: &Schema) -> Option<i32> {
    let mut seen = std::collections::HashSet::new();
    schema.leaves_and_groups().map(|field| field.id).find(|id| !seen.insert(*id))
}

/// The nearest column with a name of its own above a list element or map entry, and the way down from it.
struct Ancestor<'a> {
    /// Ids by path (`delta.columnMapping.nested.ids`).
    ids: Option<&'a Json>,
    /// The physical name, then `element`, `key` or `value` for each step, with dots between them.
    path: String,
}

struct Reader {
    mapping: Mapping,
    /// Whether elements and entries have ids of their own.
    nested_ids: bool,
    /// The last number given, counting away from zero.
    last: i32,
    /// The next id for a column of type `void`, if such columns are wanted.
    void: Option<i32>,
}

fn bad(what: &'static str) -> Error {
    Error::corrupt("the schema cannot be understood").about("part", what)
}

/// A column of type `void`: no data file holds it.
fn void(json: &Json, id: i32) -> Result<Field> {
    let name = json.get("name").and_then(Json::as_str).ok_or_else(|| bad("name"))?.to_string();
    Ok(Field { id, physical: name.clone(), name, required: false, ty: Type::Primitive(Primitive::Unknown), initial_default: None })
}

impl Reader {
    fn number(&mut self) -> i32 {
        self.last = self.last.saturating_add(1);
        if self.mapping == Mapping::None { self.last } else { -self.last }
    }

    fn members(&mut self, json: &Json, depth: usize) -> Result<Vec<Field>> {
        if depth > MAX_DEPTH {
            return Err(bad("columns nested too deeply"));
        }
        let fields = json.get("fields").and_then(Json::as_array).ok_or_else(|| bad("fields"))?;
        let is_void = |field: &Json| matches!(field.get("type").and_then(Json::as_str), Some("void" | "null"));
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            match &mut self.void {
                _ if !is_void(field) => members.push(self.field(field, depth)?),
                None => {}
                Some(next) => {
                    members.push(void(field, *next)?);
                    *next = next.saturating_add(1);
                }
            }
        }
        Ok(members)
    }

    fn field(&mut self, json: &Json, depth: usize) -> Result<Field> {
        let name = json.get("name").and_then(Json::as_str).ok_or_else(|| bad("name"))?.to_string();
        let nullable = json.get("nullable").and_then(Json::as_bool).unwrap_or(true);
        let metadata = |key: &str| json.get("metadata").and_then(|m| m.get(key));
        let (id, physical) = if self.mapping == Mapping::None {
            (self.number(), name.clone())
        } else {
            let id = metadata("delta.columnMapping.id").and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
            let physical = metadata("delta.columnMapping.physicalName").and_then(Json::as_str);
            let id = id.filter(|id| *id >= 0).ok_or_else(|| bad("delta.columnMapping.id"))?;
            (id, physical.ok_or_else(|| bad("delta.columnMapping.physicalName"))?.to_string())
        };
        let ids = metadata("delta.columnMapping.nested.ids").filter(|_| self.nested_ids);
        let ty = self.ty(json.get("type").ok_or_else(|| bad("type"))?, &Ancestor { ids, path: physical.clone() }, depth + 1)?;
        Ok(Field { id, name, physical, required: !nullable, ty, initial_default: None })
    }

    fn ty(&mut self, json: &Json, above: &Ancestor<'_>, depth: usize) -> Result<Type> {
        if let Some(name) = json.as_str() {
            return primitive(name).map(Type::Primitive);
        }
        if depth > MAX_DEPTH {
            return Err(bad("columns nested too deeply"));
        }
        match json.get("type").and_then(Json::as_str) {
            Some("struct") => Ok(Type::Struct(self.members(json, depth)?)),
            Some("array") => Ok(Type::List(Box::new(self.entry(json, above, ["element", "elementType", "containsNull"], depth)?))),
            Some("map") => {
                let key = self.entry(json, above, ["key", "keyType", ""], depth)?;
                let value = self.entry(json, above, ["value", "valueType", "valueContainsNull"], depth)?;
                Ok(Type::Map(Box::new(key), Box::new(value)))
            }
            // A user-defined type is stored as the type it is built on.
            Some("udt") => self.ty(json.get("sqlType").ok_or_else(|| bad("sqlType"))?, above, depth + 1),
            _ => Err(bad("type")),
        }
    }

    fn entry(&mut self, json: &Json, above: &Ancestor<'_>, [name, ty, nulls]: [&'static str; 3], depth: usize) -> Result<Field> {
        let number = self.number();
        let below = Ancestor { ids: above.ids, path: format!("{}.{name}", above.path) };
        let own = below.ids.and_then(|ids| ids.get(&below.path)?.as_i64()).and_then(|id| i32::try_from(id).ok());
        let nullable = !nulls.is_empty() && json.get(nulls).and_then(Json::as_bool).unwrap_or(true);
        let ty = self.ty(json.get(ty).ok_or_else(|| bad(ty))?, &below, depth + 1)?;
        let id = own.filter(|id| *id >= 0).unwrap_or(number);
        Ok(Field { id, name: name.into(), physical: name.into(), required: !nullable, ty, initial_default: None })
    }
}

fn primitive(name: &str) -> Result<Primitive> {
    Ok(match name {
        "string" => Primitive::String,
        "long" => Primitive::Long,
        "integer" => Primitive::Int,
        "short" => Primitive::Short,
        "byte" => Primitive::Byte,
        "float" => Primitive::Float,
        "double" => Primitive::Double,
        "boolean" => Primitive::Boolean,
        "binary" => Primitive::Binary,
        "date" => Primitive::Date,
        "timestamp" => Primitive::TimestampTz,
        "timestamp_ntz" => Primitive::Timestamp,
        "variant" => Primitive::Variant,
        "decimal" => Primitive::Decimal(10, 0),
        _ => return decimal(name).ok_or_else(|| Error::unsupported("a column has a type we do not know").about("type", name)),
    })
}

fn decimal(name: &str) -> Option<Primitive> {
    let (precision, scale) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse::<i8>().ok()?);
    let fits = (1..=38).contains(&precision) && scale >= 0 && u8::try_from(scale).is_ok_and(|s| s <= precision);
    fits.then_some(Primitive::Decimal(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn column(name: &str, ty: &str, id: u32) -> String {
        let metadata = format!("{{\"delta.columnMapping.id\":{id},\"delta.columnMapping.physicalName\":\"p-{id}\"}}");
        format!("{{\"name\":\"{name}\",\"type\":{ty},\"nullable\":true,\"metadata\":{metadata}}}")
    }

    fn table(columns: &[String]) -> String {
        format!("{{\"type\":\"struct\",\"fields\":[{}]}}", columns.join(","))
    }

    fn nested() -> String {
        let member = column("m", "\"decimal(20, 3)\"", 7);
        let list = format!("{{\"type\":\"array\",\"containsNull\":false,\"elementType\":{}}}", table(&[member]));
        table(&[column("a", &list, 4), column("nothing", "\"void\"", 5), column("b", "\"timestamp_ntz\"", 9)])
    }

    #[test]
    fn without_mapping_ids_count_depth_first() {
        let schema = parse(&nested(), Mapping::None).unwrap();
        let seen: Vec<_> = schema.leaves_and_groups().map(|f| (f.id, f.physical.as_str(), f.required)).collect();
        assert_eq!(seen, [(1, "a", false), (2, "element", true), (3, "m", false), (4, "b", false)]);
        assert_eq!(schema.field_by_id(3).unwrap().ty, Type::Primitive(Primitive::Decimal(20, 3)));
        assert_eq!(schema.field_by_id(4).unwrap().ty, Type::Primitive(Primitive::Timestamp));
    }

    #[test]
    fn with_mapping_ids_and_physical_names_are_those_of_the_log() {
        let schema = parse(&nested(), Mapping::Id).unwrap();
        let seen: Vec<_> = schema.leaves_and_groups().map(|f| (f.id, f.physical.as_str())).collect();
        assert_eq!(seen, [(4, "p-4"), (-1, "element"), (7, "p-7"), (9, "p-9")]);
    }

    #[test]
    fn elements_and_entries_have_the_ids_that_the_column_around_them_gives_them() {
        let list = r#"{"type":"array","elementType":{"type":"array","elementType":"long"}}"#;
        let map = r#"{"type":"map","keyType":"string","valueType":"long"}"#;
        let with = |ids: &str, column: &str| {
            column.replacen("\"metadata\":{", &format!("\"metadata\":{{\"delta.columnMapping.nested.ids\":{ids},"), 1)
        };
        let a = with(r#"{"p-1.element":100,"p-1.element.element":101}"#, &column("a", list, 1));
        let b = with(r#"{"p-2.key":102,"p-2.value":103}"#, &column("b", map, 2));
        let ids =
            |columns: &[String], mapping| parse(&table(columns), mapping).unwrap().leaves_and_groups().map(|f| f.id).collect::<Vec<_>>();
        assert_eq!(ids(&[a.clone(), b.clone()], Mapping::Name), [1, 100, 101, 2, 102, 103]);
        assert_eq!(ids(&[a, b], Mapping::None), [1, 2, 3, 4, 5, 6]);
        let clash = with(r#"{"p-2.key":2,"p-2.value":103}"#, &column("b", map, 2));
        assert_eq!(ids(&[clash], Mapping::Id), [2, -1, -2]);
    }

    #[test]
    fn unknown_types_and_damaged_schemas_are_told_apart() {
        let kind = |text: &str| parse(text, Mapping::Name).unwrap_err().kind();
        assert_eq!(kind(&table(&[column("g", "\"geometry(4326)\"", 1)])), Kind::Unsupported);
        assert_eq!(kind(&table(&[column("a", "\"decimal(39,1)\"", 1)])), Kind::Unsupported);
        assert_eq!(kind(&table(&[column("a", "\"long\"", 1), column("b", "\"long\"", 1)])), Kind::Corrupt);
        assert_eq!(kind("{\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}"), Kind::Corrupt);
        let mut deep = "\"long\"".to_string();
        for _ in 0..60 {
            deep = format!("{{\"type\":\"array\",\"elementType\":{deep}}}");
        }
        deep = format!("{{\"type\":\"array\",\"elementType\":{deep}}}").repeat(1);
        assert!(parse(&table(&[column("a", &deep, 1)]), Mapping::Name).is_ok() || kind(&table(&[column("a", &deep, 1)])) == Kind::Corrupt);
    }
}
