//! Iceberg's type strings and schemas as the model's (Iceberg spec, "Schemas and Data Types" and appendix C).

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde_json::Value as Json;

use super::understood::NESTED_DEFAULT;
use crate::error::{Error, Result};
use crate::model::{Crs, Edges, Field, Geo, Primitive, Schema, Type, Value};

/// Types nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("a schema is damaged: {what}"))
}

/// Reads a schema (a struct) of table metadata.
///
/// # Errors
///
/// `Corrupt` for a damaged schema, `Unsupported` naming a type we do not know.
pub(crate) fn schema(json: &Json) -> Result<Schema> {
    Ok(Schema { fields: fields(json, 0)? })
}

fn fields(json: &Json, depth: usize) -> Result<Vec<Field>> {
    let listed = json.get("fields").and_then(Json::as_array).ok_or_else(|| wrong("a struct has no fields"))?;
    listed.iter().map(|field| member(field, depth + 1)).collect()
}

fn member(json: &Json, depth: usize) -> Result<Field> {
    let name = json.get("name").and_then(Json::as_str).ok_or_else(|| wrong("a field has no name"))?;
    let required = json.get("required").and_then(Json::as_bool).unwrap_or(false);
    let ty = any_type(json.get("type"), depth).map_err(|e| e.about("column", name))?;
    let initial_default = match (json.get("initial-default"), &ty) {
        (None | Some(Json::Null), _) => None,
        (Some(value), Type::Primitive(primitive)) => Some(default_value(value, *primitive).map_err(|e| e.about("column", name))?),
        (Some(_), _) => {
            return Err(Error::unsupported("a default for a nested column is not understood")
                .about("column", name)
                .about("why", NESTED_DEFAULT));
        }
    };
    Ok(Field { id: id(json.get("id"))?, name: name.to_string(), physical: name.to_string(), required, ty, initial_default })
}

fn id(json: Option<&Json>) -> Result<i32> {
    json.and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok()).ok_or_else(|| wrong("a field has no id"))
}

fn any_type(json: Option<&Json>, depth: usize) -> Result<Type> {
    if depth > MAX_DEPTH {
        return Err(wrong("it is nested too deeply"));
    }
    let json = json.ok_or_else(|| wrong("a field has no type"))?;
    if let Some(name) = json.as_str() {
        return primitive(name).map(Type::Primitive);
    }
    let inner = |name: &str, id_key: &str, type_key: &str, required: bool| -> Result<Box<Field>> {
        let ty = any_type(json.get(type_key), depth + 1)?;
        let id = id(json.get(id_key))?;
        Ok(Box::new(Field { id, name: name.to_string(), physical: name.to_string(), required, ty, initial_default: None }))
    };
    let flag = |key: &str| json.get(key).and_then(Json::as_bool).unwrap_or(false);
    match json.get("type").and_then(Json::as_str) {
        Some("struct") => Ok(Type::Struct(fields(json, depth)?)),
        Some("list") => Ok(Type::List(inner("element", "element-id", "element", flag("element-required"))?)),
        Some("map") => {
            let value = inner("value", "value-id", "value", flag("value-required"))?;
            Ok(Type::Map(inner("key", "key-id", "key", true)?, value))
        }
        Some(other) => Err(Error::unsupported(format!("the type '{other}' is not understood"))),
        None => Err(wrong("a type without a name")),
    }
}

/// Reads the name of a primitive type.
///
/// # Errors
///
/// `Unsupported` naming the type if we do not know it.
pub(crate) fn primitive(name: &str) -> Result<Primitive> {
    let unknown = || Error::unsupported(format!("the type '{name}' is not understood"));
    Ok(match name {
        "boolean" => Primitive::Boolean,
        "int" => Primitive::Int,
        "long" => Primitive::Long,
        "float" => Primitive::Float,
        "double" => Primitive::Double,
        "date" => Primitive::Date,
        "time" => Primitive::Time,
        "timestamp" => Primitive::Timestamp,
        "timestamptz" => Primitive::TimestampTz,
        "timestamp_ns" => Primitive::TimestampNs,
        "timestamptz_ns" => Primitive::TimestampTzNs,
        "string" => Primitive::String,
        "binary" => Primitive::Binary,
        "uuid" => Primitive::Uuid,
        "variant" => Primitive::Variant,
        "unknown" => Primitive::Unknown,
        _ => {
            let inner = |prefix: &str, open: char, close: char| {
                name.strip_prefix(prefix)?.trim().strip_prefix(open)?.strip_suffix(close).map(str::to_string)
            };
            if let Some(geo) = geo(name) {
                return geo.map(Primitive::Geo).ok_or_else(unknown);
            }
            if let Some(size) = inner("fixed", '[', ']') {
                return size.trim().parse().map(Primitive::Fixed).map_err(|_| unknown());
            }
            let both = inner("decimal", '(', ')').ok_or_else(unknown)?;
            let (precision, scale) = both.split_once(',').ok_or_else(unknown)?;
            let precision = precision.trim().parse().ok().filter(|p| (1..=38).contains(p)).ok_or_else(unknown)?;
            Primitive::Decimal(precision, scale.trim().parse().map_err(|_| unknown())?)
        }
    })
}

/// Reads `geometry`, `geometry(C)`, `geography`, `geography(C)` or `geography(C, A)`, in any case, as the Java library does. `None` if the type is
/// another, and `Some(None)` if it is one of these with parameters that are not understood.
#[expect(clippy::option_option, reason = "another type is not a bad one")]
fn geo(name: &str) -> Option<Option<Geo>> {
    let (word, rest) = name.split_at_checked(name.find('(').unwrap_or(name.len()))?;
    let is = |wanted: &str| word.trim().eq_ignore_ascii_case(wanted);
    let on_earth = is("geography");
    if !on_earth && !is("geometry") {
        return None;
    }
    let parameters = match rest.trim() {
        "" => Some(Crs::DEFAULT),
        rest => rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(str::trim),
    };
    let read = |parameters: &str| {
        let (crs, edges) = match parameters.split_once(',') {
            Some((crs, edges)) if on_earth => (crs.trim(), Some(Edges::named(edges.trim())?)),
            _ => (parameters, on_earth.then_some(Edges::Spherical)),
        };
        Some(Geo { edges, crs: Crs::new(crs)? })
    };
    Some(parameters.and_then(read))
}

/// Reads a default in the JSON single-value form (Iceberg spec, appendix D).
fn default_value(json: &Json, ty: Primitive) -> Result<Value> {
    parse_default(json, ty).ok_or_else(|| Error::corrupt("a default value does not fit its column's type"))
}

fn parse_default(json: &Json, ty: Primitive) -> Option<Value> {
    Some(match ty {
        Primitive::Boolean => Value::Bool(json.as_bool()?),
        Primitive::Int | Primitive::Short | Primitive::Byte => Value::Int(i32::try_from(json.as_i64()?).ok()?),
        Primitive::Long => Value::Long(json.as_i64()?),
        Primitive::Float => Value::Float(json.to_string().parse().ok()?),
        Primitive::Double => Value::Double(json.as_f64()?),
        other => parse_text(json.as_str()?, other)?,
    })
}

fn parse_text(text: &str, ty: Primitive) -> Option<Value> {
    let local = || text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc());
    let zoned = || DateTime::parse_from_rfc3339(text).ok();
    Some(match ty {
        Primitive::Decimal(_, scale) => Value::Decimal(unscaled(text, scale)?, scale),
        Primitive::Date => Value::Int(i32::try_from(days(text.parse().ok()?)).ok()?),
        Primitive::Time => {
            let time: NaiveTime = text.parse().ok()?;
            Value::Long(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
        }
        Primitive::Timestamp => Value::Long(local()?.timestamp_micros()),
        Primitive::TimestampTz => Value::Long(zoned()?.timestamp_micros()),
        Primitive::TimestampNs => Value::Long(local()?.timestamp_nanos_opt()?),
        Primitive::TimestampTzNs => Value::Long(zoned()?.timestamp_nanos_opt()?),
        Primitive::String => Value::String(text.to_string()),
        Primitive::Uuid => Value::Bytes(uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec()),
        Primitive::Binary => Value::Bytes(hex(text)?),
        Primitive::Fixed(size) => Value::Bytes(hex(text).filter(|bytes| bytes.len() as u64 == u64::from(size))?),
        _ => return None,
    })
}

fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

fn unscaled(text: &str, scale: i8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    format!("{whole}{fraction}{}", "0".repeat(missing)).parse().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0u8, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_are_read_and_unknown_ones_are_named() {
        assert_eq!(primitive("decimal(9, 2)").unwrap(), Primitive::Decimal(9, 2));
        assert_eq!(primitive("decimal(38,10)").unwrap(), Primitive::Decimal(38, 10));
        assert_eq!(primitive("fixed[16]").unwrap(), Primitive::Fixed(16));
        for name in ["geometry(", "geometry()", "geography(OGC:CRS84, flat)", "geometries", "decimal(99,0)", "fixed[x]"] {
            assert!(primitive(name).unwrap_err().message().contains(name), "{name}");
        }
    }

    #[test]
    fn shapes_have_a_coordinate_system_and_those_on_the_earth_have_edges() {
        let cases = [
            ("geometry", "geometry(OGC:CRS84)"),
            ("geometry(srid:4326)", "geometry(srid:4326)"),
            ("Geometry ( EPSG:2056 )", "geometry(EPSG:2056)"),
            ("geography", "geography(OGC:CRS84, spherical)"),
            ("geography(srid:4326)", "geography(srid:4326, spherical)"),
            ("geography(OGC:CRS84, Karney)", "geography(OGC:CRS84, karney)"),
        ];
        for (name, understood) in cases {
            let Primitive::Geo(geo) = primitive(name).unwrap() else { panic!("{name}") };
            assert_eq!(geo.to_string(), understood);
        }
    }

    #[test]
    fn defaults_are_read_in_the_single_value_form() {
        let cases = [
            ("\"14.2\"", Primitive::Decimal(4, 2), Value::Decimal(1420, 2)),
            ("\"-0.05\"", Primitive::Decimal(4, 2), Value::Decimal(-5, 2)),
            ("\"1970-01-31\"", Primitive::Date, Value::Int(30)),
            ("\"00:00:01.000002\"", Primitive::Time, Value::Long(1_000_002)),
            ("\"1970-01-01T00:00:01.5\"", Primitive::Timestamp, Value::Long(1_500_000)),
            ("\"1970-01-01T00:00:01+00:00\"", Primitive::TimestampTz, Value::Long(1_000_000)),
            ("\"0aFF\"", Primitive::Binary, Value::Bytes(vec![10, 255])),
            ("7", Primitive::Long, Value::Long(7)),
        ];
        for (json, ty, value) in cases {
            assert_eq!(default_value(&serde_json::from_str(json).unwrap(), ty).unwrap(), value);
        }
        assert!(default_value(&Json::from("x"), Primitive::Int).is_err());
    }
}
