//! Rows of a checkpoint as the JSON text the log would hold.
//!
//! Statistics may be stored as columns only (protocol, "Checkpoint Schema", `stats_parsed`); rare actions are simply read as JSON again.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{Array, StructArray};
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};

/// Appends row `row` of `array` to `out`. Null members of structs are left out.
///
/// # Errors
///
/// `Unsupported` for a type that no checkpoint has.
pub(super) fn write(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Struct(_) => write_struct(array.as_struct(), row, out),
        DataType::List(_) => write_list(&*array.as_list::<i32>().value(row), out),
        DataType::Map(_, _) => write_map(&array.as_map().value(row), out),
        DataType::Utf8 => quote(array.as_string::<i32>().value(row), out),
        DataType::Binary => quote(text_of(array.as_binary::<i32>().value(row))?, out),
        DataType::Boolean => push(out, array.as_boolean().value(row)),
        DataType::Int8 => push(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => push(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => push(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => push(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => push_float(out, f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => push_float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => push(out, array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Date32 => quote(&date(array.as_primitive::<Date32Type>().value(row)), out),
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1000),
                TimeUnit::Second => return Err(unknown(array.data_type())),
            };
            quote(&timestamp(micros, zone.is_some()), out)
        }
        other => Err(unknown(other)),
    }
}

fn unknown(ty: &DataType) -> Error {
    Error::unsupported("a checkpoint has a column of a type we do not know").about("type", ty)
}

fn text_of(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::corrupt("a checkpoint has text that is not UTF-8"))
}

fn write_struct(rows: &StructArray, row: usize, out: &mut String) -> Result<()> {
    out.push('{');
    let mut first = true;
    for (name, column) in rows.column_names().into_iter().zip(rows.columns()) {
        if column.is_null(row) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        quote(name, out)?;
        out.push(':');
        write(column.as_ref(), row, out)?;
    }
    out.push('}');
    Ok(())
}

fn write_list(values: &dyn Array, out: &mut String) -> Result<()> {
    out.push('[');
    for index in 0..values.len() {
        if index > 0 {
            out.push(',');
        }
        write(values, index, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_map(entries: &StructArray, out: &mut String) -> Result<()> {
    let [keys, values] = entries.columns() else { return Err(Error::corrupt("a map of a checkpoint has no keys or values")) };
    out.push('{');
    for index in 0..entries.len() {
        if index > 0 {
            out.push(',');
        }
        write(keys.as_ref(), index, out)?;
        out.push(':');
        write(values.as_ref(), index, out)?;
    }
    out.push('}');
    Ok(())
}

/// Appends `text` as a JSON string.
pub(super) fn quote(text: &str, out: &mut String) -> Result<()> {
    let quoted = serde_json::to_string(text).map_err(|e| Error::bug("text cannot be written as JSON").because(e))?;
    out.push_str(&quoted);
    Ok(())
}

fn push(out: &mut String, value: impl std::fmt::Display) -> Result<()> {
    write!(out, "{value}").map_err(|e| Error::bug("text cannot be written").because(e))
}

fn push_float(out: &mut String, value: f64) -> Result<()> {
    match serde_json::Number::from_f64(value) {
        Some(number) => push(out, number),
        // As Spark writes them.
        None => quote(
            if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
            out,
        ),
    }
}

/// Days since 1970-01-01 as `2020-01-31`.
pub(super) fn date(days: i32) -> String {
    let epoch = chrono::NaiveDate::default();
    let date = epoch.checked_add_signed(chrono::Duration::days(i64::from(days)));
    date.map(|date| date.format("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// µs since 1970-01-01 as `2020-01-31T10:00:00.000001Z`, without the `Z` where it has no zone; empty beyond what a calendar holds.
pub(super) fn timestamp(micros: i64, zone: bool) -> String {
    let time = chrono::DateTime::from_timestamp_micros(micros);
    time.map(|time| format!("{}{}", time.format("%Y-%m-%dT%H:%M:%S%.6f"), if zone { "Z" } else { "" })).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn rows_become_the_text_of_the_log_with_all_digits() {
        let decimals = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890_i128)]).with_precision_and_scale(38, 3).unwrap();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(Int64Array::from(vec![Some(1)]))),
            ("null", Arc::new(Int64Array::from(vec![None]))),
            ("d\"", Arc::new(decimals)),
            ("s", Arc::new(StringArray::from(vec!["x\n"]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC"))),
        ];
        let rows = StructArray::try_from(columns).unwrap();
        let mut out = String::new();
        write(&rows, 0, &mut out).unwrap();
        assert_eq!(out, "{\"a\":1,\"d\\\"\":12345678901234567.890,\"s\":\"x\\n\",\"t\":\"1969-12-31T23:59:59.999999Z\"}");
    }
}
