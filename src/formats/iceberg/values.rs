//! Single values in bytes (Iceberg spec, appendix D "Binary single-value serialization") and in Avro partition tuples.

use super::avro::Datum;
use crate::model::{Primitive, Value};

/// Reads a bound. Values written before their column's type was promoted are recognised by their length. `None` if the bytes are no such
/// value: a bound that cannot be read is unknown, not an error.
pub(crate) fn from_bytes(bytes: &[u8], ty: Primitive) -> Option<Value> {
    let int = || bytes.try_into().ok().map(i32::from_le_bytes);
    let long = || bytes.try_into().ok().map(i64::from_le_bytes);
    Some(match ty {
        Primitive::Boolean => Value::Bool(*bytes.first().filter(|_| bytes.len() == 1)? != 0),
        Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Date => Value::Int(int()?),
        Primitive::Long => Value::Long(int().map(i64::from).or_else(long)?),
        Primitive::Time | Primitive::Timestamp | Primitive::TimestampTz | Primitive::TimestampNs | Primitive::TimestampTzNs => {
            Value::Long(long()?)
        }
        Primitive::Float => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        Primitive::Double => match bytes.try_into() {
            Ok(narrow) => Value::Double(f64::from(f32::from_le_bytes(narrow))),
            Err(_) => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        },
        Primitive::Decimal(_, scale) => Value::Decimal(big_endian(bytes)?, scale),
        Primitive::String => Value::String(String::from_utf8(bytes.to_vec()).ok()?),
        Primitive::Binary => Value::Bytes(bytes.to_vec()),
        Primitive::Fixed(size) => Value::Bytes(Some(bytes).filter(|b| b.len() as u64 == u64::from(size))?.to_vec()),
        Primitive::Uuid => Value::Bytes(Some(bytes).filter(|b| b.len() == 16)?.to_vec()),
        // Corners of a box, of points: no order tells one value from another by them.
        Primitive::Variant | Primitive::Geo(_) | Primitive::Unknown => return None,
    })
}

/// Writes a bound.
pub(crate) fn to_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Int(value) => value.to_le_bytes().to_vec(),
        Value::Long(value) => value.to_le_bytes().to_vec(),
        Value::Float(value) => value.to_le_bytes().to_vec(),
        Value::Double(value) => value.to_le_bytes().to_vec(),
        Value::Decimal(unscaled, _) => shortest(*unscaled),
        Value::String(value) => value.as_bytes().to_vec(),
        Value::Bytes(value) => value.clone(),
    }
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let fill = if first & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [fill; 16];
    let start = 16usize.checked_sub(bytes.len())?;
    wide.get_mut(start..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

/// The shortest two's-complement big-endian form.
fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign: u8 = if value < 0 { 0xff } else { 0 };
    let needed = bytes.iter().zip(bytes.iter().skip(1)).take_while(|(byte, next)| **byte == sign && (**next & 0x80) == (sign & 0x80));
    bytes.iter().skip(needed.count()).copied().collect()
}

/// How many bytes a decimal of `precision` digits takes as an Avro or Parquet fixed.
pub(crate) fn decimal_width(precision: u8) -> usize {
    let greatest = 10i128.checked_pow(u32::from(precision)).map_or(i128::MAX, |power| power - 1);
    shortest(greatest).len()
}

/// Reads a value of a partition tuple as Avro holds it, logical types left aside. The outer `None` is a value of another kind.
pub(crate) fn from_datum(datum: &Datum, ty: Primitive) -> Option<Option<Value>> {
    let int = |value: i64| i32::try_from(value).ok().map(Value::Int);
    let value = match (datum.plain(), ty) {
        (Datum::Null, _) => return Some(None),
        (Datum::Bool(value), Primitive::Boolean) => Value::Bool(*value),
        (Datum::Long(value), Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Date) => int(*value)?,
        (
            Datum::Long(value),
            Primitive::Long
            | Primitive::Time
            | Primitive::Timestamp
            | Primitive::TimestampTz
            | Primitive::TimestampNs
            | Primitive::TimestampTzNs,
        ) => Value::Long(*value),
        (Datum::Float(value), Primitive::Float) => Value::Float(*value),
        (Datum::Float(value), Primitive::Double) => Value::Double(f64::from(*value)),
        (Datum::Double(value), Primitive::Double) => Value::Double(*value),
        (Datum::Text(value), Primitive::String) => Value::String(value.clone()),
        (Datum::Text(value), Primitive::Uuid) => Value::Bytes(uuid::Uuid::parse_str(value).ok()?.as_bytes().to_vec()),
        (
            Datum::Bytes(value),
            ty @ (Primitive::Binary | Primitive::Fixed(_) | Primitive::Uuid | Primitive::Decimal(..) | Primitive::String),
        ) => from_bytes(value, ty)?,
        _ => return None,
    };
    Some(Some(value))
}

/// A value of a partition tuple whose type is not known: as it is stored.
pub(crate) fn untyped(datum: &Datum) -> Option<Value> {
    Some(match datum.plain() {
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Long(value) => Value::Long(*value),
        Datum::Float(value) => Value::Float(*value),
        Datum::Double(value) => Value::Double(*value),
        Datum::Text(value) => Value::String(value.clone()),
        Datum::Bytes(value) => Value::Bytes(value.clone()),
        _ => return None,
    })
}

/// A value of a partition tuple as Avro holds it.
pub(crate) fn to_datum(value: Option<&Value>, ty: Primitive) -> Datum {
    match (value, ty) {
        (None, _) => Datum::Null,
        (Some(Value::Bool(value)), _) => Datum::Bool(*value),
        (Some(Value::Int(value)), _) => Datum::Long(i64::from(*value)),
        (Some(Value::Long(value)), _) => Datum::Long(*value),
        (Some(Value::Float(value)), Primitive::Double) => Datum::Double(f64::from(*value)),
        (Some(Value::Float(value)), _) => Datum::Float(*value),
        (Some(Value::Double(value)), _) => Datum::Double(*value),
        (Some(Value::String(value)), _) => Datum::Text(value.clone()),
        (Some(Value::Bytes(value)), _) => Datum::Bytes(value.clone()),
        (Some(Value::Decimal(unscaled, _)), Primitive::Decimal(precision, _)) => {
            let wide = unscaled.to_be_bytes();
            Datum::Bytes(wide.iter().skip(16 - decimal_width(precision)).copied().collect())
        }
        (Some(Value::Decimal(unscaled, _)), _) => Datum::Bytes(shortest(*unscaled)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_round_trip() {
        let cases = [
            (Primitive::Boolean, Value::Bool(true)),
            (Primitive::Date, Value::Int(-3)),
            (Primitive::Long, Value::Long(i64::MIN)),
            (Primitive::Double, Value::Double(2.222)),
            (Primitive::Decimal(38, 2), Value::Decimal(-170_141_183_460_469_231_731, 2)),
            (Primitive::String, Value::String("é".into())),
            (Primitive::Uuid, Value::Bytes(vec![9; 16])),
        ];
        for (ty, value) in cases {
            assert_eq!(from_bytes(&to_bytes(&value), ty), Some(value.clone()));
            assert_eq!(from_datum(&to_datum(Some(&value), ty), ty), Some(Some(value)));
        }
    }

    #[test]
    fn decimals_take_as_few_bytes_as_they_can() {
        for (value, bytes) in
            [(0, vec![0]), (127, vec![127]), (128, vec![0, 128]), (-128, vec![128]), (-129, vec![255, 127]), (-1, vec![255])]
        {
            assert_eq!(shortest(value), bytes);
            assert_eq!(big_endian(&bytes), Some(value));
        }
        assert_eq!((decimal_width(1), decimal_width(9), decimal_width(18), decimal_width(38)), (1, 4, 8, 16));
    }

    #[test]
    fn bounds_from_before_a_promotion_are_recognised_and_damaged_ones_are_unknown() {
        assert_eq!(from_bytes(&7i32.to_le_bytes(), Primitive::Long), Some(Value::Long(7)));
        assert_eq!(from_bytes(&1.5f32.to_le_bytes(), Primitive::Double), Some(Value::Double(1.5)));
        assert_eq!(from_bytes(&[1, 2, 3], Primitive::Long), None);
        assert_eq!(from_bytes(&[0xff], Primitive::String), None);
        assert_eq!(from_bytes(&[1; 17], Primitive::Decimal(38, 0)), None);
    }
}
