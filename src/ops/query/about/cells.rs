//! Columns of tables about tables, and single values as people read them.

use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use crate::model::{Primitive, Value};
use crate::units::Timestamp;

/// A column that may be null.
pub(super) fn column(name: &str, ty: DataType) -> Field {
    Field::new(name, ty, true)
}

/// A schema of columns that may be null.
pub(super) fn schema(columns: Vec<(&str, DataType)>) -> SchemaRef {
    Arc::new(Schema::new(columns.into_iter().map(|(name, ty)| column(name, ty)).collect::<Vec<_>>()))
}

/// Instants.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Texts by text.
pub(super) fn texts() -> DataType {
    map_of(DataType::Utf8)
}

/// Values by text.
pub(super) fn map_of(value: DataType) -> DataType {
    let pair = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
}

/// The names of the parts of maps.
pub(super) fn map_names() -> MapFieldNames {
    MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() }
}

/// A builder of [`texts`].
pub(super) type Texts = MapBuilder<StringBuilder, StringBuilder>;

/// A new builder of [`texts`].
pub(super) fn texts_builder() -> Texts {
    MapBuilder::new(Some(map_names()), StringBuilder::new(), StringBuilder::new())
}

/// Appends a map of `pairs`.
///
/// # Errors
///
/// `Bug` if keys and values differ in number.
pub(super) fn append<'a>(texts: &mut Texts, pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<()> {
    for (key, value) in pairs {
        texts.keys().append_value(key);
        texts.values().append_option(value);
    }
    texts.append(true).map_err(|error| Error::bug("a map has other keys than values").because(error))
}

/// A new builder of [`instant`]s.
pub(super) fn instants() -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
}

/// `time` in microseconds.
pub(super) fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.and_then(|time| time.0.checked_mul(1_000))
}

/// `columns` as a batch of `schema`.
///
/// # Errors
///
/// `Bug` if they do not fit.
pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Error::bug("a table about a table does not fit its columns").because(error))
}

/// A count as SQL has it.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `value` of a column of type `ty` as people write it: dates and times as in RFC 3339, bytes in hexadecimal digits.
pub(super) fn shown(value: &Value, ty: Primitive) -> String {
    match (value, ty) {
        (Value::Int(days), Primitive::Date) => chrono::DateTime::from_timestamp(i64::from(*days).saturating_mul(86_400), 0)
            .map_or_else(|| days.to_string(), |time| time.date_naive().to_string()),
        (Value::Long(micros), Primitive::Timestamp | Primitive::TimestampTz) => {
            moment(chrono::DateTime::from_timestamp_micros(*micros), *micros, ty == Primitive::TimestampTz)
        }
        (Value::Long(nanos), Primitive::TimestampNs | Primitive::TimestampTzNs) => {
            moment(Some(chrono::DateTime::from_timestamp_nanos(*nanos)), *nanos, ty == Primitive::TimestampTzNs)
        }
        (Value::Long(micros), Primitive::Time) => {
            let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok();
            let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok();
            let time = seconds.zip(nanos).and_then(|(s, n)| chrono::NaiveTime::from_num_seconds_from_midnight_opt(s, n));
            time.map_or_else(|| micros.to_string(), |time| time.to_string())
        }
        (Value::Bytes(bytes), Primitive::Uuid) => uuid::Uuid::from_slice(bytes).map_or_else(|_| hex(bytes), |uuid| uuid.to_string()),
        (Value::Bool(v), _) => v.to_string(),
        (Value::Int(v), _) => v.to_string(),
        (Value::Long(v), _) => v.to_string(),
        (Value::Float(v), _) => v.to_string(),
        (Value::Double(v), _) => v.to_string(),
        (Value::Decimal(v, scale), _) => decimal(*v, *scale),
        (Value::String(text), _) => text.clone(),
        (Value::Bytes(bytes), _) => hex(bytes),
    }
}

fn moment(time: Option<chrono::DateTime<chrono::Utc>>, number: i64, zoned: bool) -> String {
    let Some(time) = time else { return number.to_string() };
    let text = time.format("%Y-%m-%dT%H:%M:%S%.f").to_string();
    if zoned { text + "+00:00" } else { text }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let Some(places) = usize::try_from(scale).ok().filter(|places| *places > 0) else {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_people_write_them() {
        for (value, ty, text) in [
            (Value::Int(-1), Primitive::Date, "1969-12-31"),
            (Value::Long(-1), Primitive::TimestampTz, "1969-12-31T23:59:59.999999+00:00"),
            (Value::Long(1_500), Primitive::TimestampNs, "1970-01-01T00:00:00.000001500"),
            (Value::Long(61_000_000), Primitive::Time, "00:01:01"),
            (Value::Decimal(-5, 2), Primitive::Decimal(9, 2), "-0.05"),
            (Value::Decimal(12_345, 3), Primitive::Decimal(9, 3), "12.345"),
            (Value::Decimal(7, 0), Primitive::Decimal(9, 0), "7"),
            (Value::Bytes(vec![0xff, 1]), Primitive::Binary, "0xff01"),
            (Value::Double(0.5), Primitive::Double, "0.5"),
            (Value::Int(i32::MAX), Primitive::Date, "2147483647"),
        ] {
            assert_eq!(shown(&value, ty), text, "{value:?}");
        }
    }
}
