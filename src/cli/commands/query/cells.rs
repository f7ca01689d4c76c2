//! Single values as JSON, and as text for tables and CSV.
//!
//! Numbers and decimals are JSON numbers with all their digits; NaN and the infinities are texts. Dates and times are as in RFC 3339, times with a
//! zone with their offset. Bytes are base64. Structs and maps with text keys are objects, other maps lists of `key` and `value`.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// How dates and times are written.
const FORMAT: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"))
    .with_time_format(Some("%H:%M:%S%.f"));

/// Appends the value of `array` at `row` as JSON.
///
/// # Errors
///
/// `Unsupported` for types that have no such form; `Bug` for arrays that are not what they say. No error holds a value.
pub(super) fn json(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        ty if ty.is_numeric() => number(out, array, row)?,
        DataType::Utf8 => quoted(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => quoted(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => quoted(out, array.as_string_view().value(row)),
        DataType::Struct(_) => members(out, array, row)?,
        DataType::List(_) => elements(out, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => elements(out, &array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => elements(out, &array.as_fixed_size_list().value(row))?,
        DataType::Map(..) => entries(out, array, row)?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied().ok_or_else(strange)?;
            json(out, dictionary.values(), key)?;
        }
        _ => {
            let mut text = String::new();
            plain(&mut text, array, row)?;
            quoted(out, &text);
        }
    }
    Ok(())
}

/// Appends the value of `array` at `row` as text; null is nothing at all.
///
/// # Errors
///
/// As [`json`].
pub(super) fn text(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    if array.is_null(row) {
        return Ok(());
    }
    match array.data_type() {
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let mut number = String::new();
            json(&mut number, array, row)?;
            out.push_str(number.trim_matches('"'));
        }
        ty if ty.is_nested() || ty.is_numeric() || matches!(ty, DataType::Boolean) => json(out, array, row)?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied().ok_or_else(strange)?;
            text(out, dictionary.values(), key)?;
        }
        _ => plain(out, array, row)?,
    }
    Ok(())
}

fn strange() -> Error {
    Error::bug("a result is not of the type it says")
}

/// Dates, times, bytes, and what else has one form.
fn plain(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    let bytes = match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => None,
    };
    if let Some(bytes) = bytes {
        base64(out, bytes);
        return Ok(());
    }
    let unsupported = || Error::unsupported("a column of the result has a type that cannot be printed").about("type", array.data_type());
    let formatter = ArrayFormatter::try_new(array, &FORMAT).map_err(|_| unsupported())?;
    write!(out, "{}", formatter.value(row)).map_err(|_| unsupported())
}

fn number(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    match array.data_type() {
        DataType::Int8 => digits::<Int8Type>(out, array, row),
        DataType::Int16 => digits::<Int16Type>(out, array, row),
        DataType::Int32 => digits::<Int32Type>(out, array, row),
        DataType::Int64 => digits::<Int64Type>(out, array, row),
        DataType::UInt8 => digits::<UInt8Type>(out, array, row),
        DataType::UInt16 => digits::<UInt16Type>(out, array, row),
        DataType::UInt32 => digits::<UInt32Type>(out, array, row),
        DataType::UInt64 => digits::<UInt64Type>(out, array, row),
        DataType::Float32 => float(out, f64::from(array.as_primitive::<Float32Type>().value(row)), || {
            array.as_primitive::<Float32Type>().value(row).to_string()
        }),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(out, value, || format!("{value:?}"));
        }
        DataType::Decimal128(precision, scale) => {
            out.push_str(&Decimal128Type::format_decimal(array.as_primitive::<Decimal128Type>().value(row), *precision, *scale));
        }
        DataType::Decimal256(precision, scale) => {
            out.push_str(&Decimal256Type::format_decimal(array.as_primitive::<Decimal256Type>().value(row), *precision, *scale));
        }
        _ => return plain(out, array, row),
    }
    Ok(())
}

fn digits<T: ArrowPrimitiveType>(out: &mut String, array: &dyn Array, row: usize)
where
    T::Native: std::fmt::Display,
{
    out.push_str(&array.as_primitive::<T>().value(row).to_string());
}

/// The shortest digits that read back as the same number.
fn float(out: &mut String, value: f64, digits: impl Fn() -> String) {
    match value {
        v if v.is_nan() => out.push_str("\"NaN\""),
        f64::INFINITY => out.push_str("\"Infinity\""),
        f64::NEG_INFINITY => out.push_str("\"-Infinity\""),
        _ => out.push_str(&digits()),
    }
}

/// Appends `text` as a JSON string.
pub(super) fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn members(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    let stored = array.as_struct();
    let mut before = '{';
    for (field, column) in stored.fields().iter().zip(stored.columns()) {
        out.push(before);
        before = ',';
        quoted(out, field.name());
        out.push(':');
        json(out, column, row)?;
    }
    out.push_str(if before == '{' { "{}" } else { "}" });
    Ok(())
}

fn elements(out: &mut String, values: &ArrayRef) -> Result<()> {
    out.push('[');
    for at in 0..values.len() {
        if at > 0 {
            out.push(',');
        }
        json(out, values, at)?;
    }
    out.push(']');
    Ok(())
}

fn entries(out: &mut String, array: &dyn Array, row: usize) -> Result<()> {
    let pairs = array.as_map().value(row);
    let (keys, values) = (pairs.column(0), pairs.column(1));
    let named = matches!(keys.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    out.push(if named { '{' } else { '[' });
    for at in 0..pairs.len() {
        if at > 0 {
            out.push(',');
        }
        if !named {
            out.push_str("{\"key\":");
        }
        json(out, keys, at)?;
        out.push_str(if named { ":" } else { ",\"value\":" });
        json(out, values, at)?;
        if !named {
            out.push('}');
        }
    }
    out.push(if named { '}' } else { ']' });
    Ok(())
}

/// RFC 4648, section 4.
fn base64(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().chain([&0, &0]).take(3).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        for place in 0..4_u32 {
            let letter = usize::try_from(number >> (18 - 6 * place) & 63).ok().and_then(|at| ALPHABET.get(at));
            let shown = usize::try_from(place).is_ok_and(|place| place <= chunk.len());
            out.push(letter.filter(|_| shown).map_or('=', |letter| char::from(*letter)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
    use arrow_array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray, StructArray, Time64MicrosecondArray,
        TimestampMicrosecondArray,
    };

    use super::*;

    fn both(array: &dyn Array) -> (String, String) {
        let (mut first, mut second) = (String::new(), String::new());
        json(&mut first, array, 0).unwrap();
        text(&mut second, array, 0).unwrap();
        (first, second)
    }

    fn same(array: &dyn Array, shown: &str) {
        assert_eq!(both(array), (shown.to_string(), shown.to_string()));
    }

    fn string(array: &dyn Array, shown: &str) {
        assert_eq!(both(array), (format!("\"{shown}\""), shown.to_string()));
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        same(&Int64Array::from(vec![i64::MAX]), "9223372036854775807");
        let decimal = Decimal128Array::from(vec![-12_345_678_901_234_567_890_i128]).with_precision_and_scale(38, 2).unwrap();
        same(&decimal, "-123456789012345678.90");
        same(&Float64Array::from(vec![0.1]), "0.1");
        same(&Float64Array::from(vec![1e300]), "1e300");
        string(&Float64Array::from(vec![f64::NAN]), "NaN");
        string(&Float64Array::from(vec![f64::NEG_INFINITY]), "-Infinity");
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        string(&Date32Array::from(vec![-1]), "1969-12-31");
        string(&TimestampMicrosecondArray::from(vec![1_500_000]), "1970-01-01T00:00:01.500");
        string(&TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"), "1970-01-01T00:00:00+00:00");
        string(&Time64MicrosecondArray::from(vec![1]), "00:00:00.000001");
    }

    #[test]
    fn texts_are_escaped_and_bytes_are_base64() {
        assert_eq!(both(&StringArray::from(vec!["a\"\\\n\u{1}é"])), ("\"a\\\"\\\\\\n\\u0001é\"".into(), "a\"\\\n\u{1}é".into()));
        for (bytes, shown) in
            [(&b""[..], ""), (&b"f"[..], "Zg=="), (&b"fo"[..], "Zm8="), (&b"foo"[..], "Zm9v"), (&b"\xff\xfe\xfd\xfc"[..], "//79/A==")]
        {
            string(&BinaryArray::from(vec![bytes]), shown);
        }
        assert_eq!(both(&Int32Array::from(vec![None::<i32>])), ("null".into(), String::new()));
    }

    #[test]
    fn nested_values_are_json_in_text_too() {
        let fields = vec![
            Arc::new(arrow_schema::Field::new("a", DataType::Int32, true)),
            Arc::new(arrow_schema::Field::new("b", DataType::Utf8, true)),
        ];
        let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1])), Arc::new(StringArray::from(vec![None::<&str>]))];
        same(&StructArray::new(fields.into(), columns, None), "{\"a\":1,\"b\":null}");
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("k");
        map.values().append_null();
        map.append(true).unwrap();
        same(&map.finish(), "{\"k\":null}");
        let mut map = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
        map.keys().append_value(1);
        map.values().append_value(2);
        map.append(true).unwrap();
        same(&map.finish(), "[{\"key\":1,\"value\":2}]");
    }
}
