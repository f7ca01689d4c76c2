//! Bounds of columns between the JSON of the log and model values (protocol, "Per-file Statistics").
//!
//! A bound may be too wide, never too narrow: what is rounded is rounded outwards, what cannot be told is left out.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::arrow_text;
use crate::model::{Primitive, Value};

/// Texts are cut to so many characters.
const PREFIX: usize = 32;
/// The log keeps milliseconds.
const MS: i64 = 1000;

/// Reads a bound from its JSON `text`; `upper` says on which side rounding must go. `None` is unknown.
pub(super) fn read(text: &str, ty: Primitive, upper: bool) -> Option<Value> {
    match ty {
        Primitive::Byte | Primitive::Short | Primitive::Int => text.parse().ok().map(Value::Int),
        Primitive::Long => text.parse().ok().map(Value::Long),
        Primitive::Float => text.parse().ok().filter(|v: &f32| v.is_finite()).map(Value::Float),
        Primitive::Double => text.parse().ok().filter(|v: &f64| v.is_finite()).map(Value::Double),
        Primitive::Decimal(precision, scale) => {
            let unscaled = decimal(text, scale, upper)?;
            // Some writers pass decimals through 64-bit floats: beyond 15 digits the last ones say nothing.
            let slack = if precision > 15 { (unscaled.abs() >> 50) + 1 } else { 0 };
            Some(Value::Decimal(if upper { unscaled.checked_add(slack)? } else { unscaled.checked_sub(slack)? }, scale))
        }
        Primitive::Date => date(&string(text)?).map(Value::Int),
        Primitive::Timestamp | Primitive::TimestampTz => {
            let micros = micros(&string(text)?)?;
            Some(Value::Long(if upper { micros.checked_add(MS)? } else { micros }))
        }
        Primitive::String => string(text).map(Value::String),
        _ => None,
    }
}

/// Reads what the JSON `text` says, unrounded as far as the type goes: what another form of the same statistics holds.
pub(super) fn as_told(text: &str, ty: Primitive, upper: bool) -> Option<Value> {
    match ty {
        Primitive::Float => float(text).map(Value::Float),
        Primitive::Double => float(text).map(Value::Double),
        Primitive::Decimal(_, scale) => decimal(text, scale, upper).map(|unscaled| Value::Decimal(unscaled, scale)),
        Primitive::Timestamp | Primitive::TimestampTz => micros(&string(text)?).map(Value::Long),
        _ => read(text, ty, upper),
    }
}

/// A number, or one of the texts that stand for those JSON lacks.
fn float<T: std::str::FromStr>(text: &str) -> Option<T> {
    match text {
        "\"NaN\"" => "NaN".parse().ok(),
        "\"Infinity\"" => "inf".parse().ok(),
        "\"-Infinity\"" => "-inf".parse().ok(),
        number => number.parse().ok(),
    }
}

fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Whether a bound of this type is kept whole by the log.
pub(super) fn is_exact(value: &Value, ty: Primitive) -> bool {
    match (value, ty) {
        (Value::String(text), _) => text.chars().count() < PREFIX,
        (_, Primitive::Timestamp | Primitive::TimestampTz) => false,
        (_, Primitive::Decimal(precision, _)) => precision <= 15,
        _ => true,
    }
}

/// Writes a bound as JSON; `None` where the log keeps none for it.
pub(super) fn write(value: &Value, ty: Primitive, upper: bool) -> Option<String> {
    match (ty, value) {
        (Primitive::Date, Value::Int(days)) => Some(arrow_text::date(*days)).filter(|d| d.len() == 10).and_then(quoted),
        (Primitive::Timestamp | Primitive::TimestampTz, Value::Long(micros)) => timestamp(*micros, ty, upper).and_then(quoted),
        (Primitive::Byte | Primitive::Short | Primitive::Int, Value::Int(v)) => Some(v.to_string()),
        (Primitive::Long, Value::Long(v)) => Some(v.to_string()),
        (Primitive::Float, Value::Float(v)) => serde_json::Number::from_f64(f64::from(*v)).map(|n| n.to_string()),
        (Primitive::Double, Value::Double(v)) => serde_json::Number::from_f64(*v).map(|n| n.to_string()),
        (Primitive::Decimal(_, scale), Value::Decimal(unscaled, of)) if *of == scale => decimal_text(*unscaled, scale),
        (Primitive::String, Value::String(text)) => cut(text, upper).and_then(quoted),
        _ => None,
    }
}

fn quoted(text: impl AsRef<str>) -> Option<String> {
    serde_json::to_string(text.as_ref()).ok()
}

/// The first characters of `text`; an upper bound gets the highest character behind them, so that it stays one.
fn cut(text: &str, upper: bool) -> Option<String> {
    let Some((end, next)) = text.char_indices().nth(PREFIX) else { return Some(text.to_string()) };
    let mut prefix = text.get(..end)?.to_string();
    if upper {
        if next == char::MAX {
            return None;
        }
        prefix.push(char::MAX);
    }
    Some(prefix)
}

fn timestamp(micros: i64, ty: Primitive, upper: bool) -> Option<String> {
    let down = micros.div_euclid(MS);
    let millis = if upper && down * MS < micros { down.checked_add(1)? } else { down };
    let text = arrow_text::timestamp(millis.checked_mul(MS)?, false);
    // Year 0000 to 9999 only: others have signs and lengths of their own.
    let text = Some(text).filter(|text| text.len() == 26)?;
    let zone = if ty == Primitive::TimestampTz { "Z" } else { "" };
    Some(format!("{}{zone}", text.get(..23)?))
}

fn decimal_text(unscaled: i128, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// A JSON number as an unscaled decimal, rounded outwards where it has more digits.
fn decimal(text: &str, scale: i8, upper: bool) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok().filter(|v: &i128| *v >= 0)?;
    let digits = if negative { -digits } else { digits };
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if shift >= 0 {
        return digits.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?);
    }
    let divisor = 10_i128.checked_pow(shift.unsigned_abs())?;
    let down = digits.div_euclid(divisor);
    Some(if upper && digits.rem_euclid(divisor) != 0 { down + 1 } else { down })
}

fn date(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn micros(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let naive = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    Some(naive.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TZ: Primitive = Primitive::TimestampTz;

    #[test]
    fn timestamps_are_rounded_outwards_to_milliseconds() {
        let value = Value::Long(1_577_836_800_000_001);
        assert_eq!(write(&value, TZ, false).unwrap(), "\"2020-01-01T00:00:00.000Z\"");
        assert_eq!(write(&value, TZ, true).unwrap(), "\"2020-01-01T00:00:00.001Z\"");
        assert_eq!(write(&Value::Long(-1), Primitive::Timestamp, false).unwrap(), "\"1969-12-31T23:59:59.999\"");
        assert_eq!(write(&Value::Long(-1), Primitive::Timestamp, true).unwrap(), "\"1970-01-01T00:00:00.000\"");
        assert_eq!(write(&Value::Long(i64::MAX), TZ, true), None);
        assert_eq!(read("\"2020-01-01T00:00:00.000Z\"", TZ, true), Some(Value::Long(1_577_836_800_001_000)));
        assert_eq!(read("\"2020-01-01T00:00:00.000-01:00\"", TZ, false), Some(Value::Long(1_577_840_400_000_000)));
        assert_eq!(read("\"2020-01-01 00:00:00\"", Primitive::Timestamp, false), Some(Value::Long(1_577_836_800_000_000)));
    }

    #[test]
    fn decimals_keep_every_digit() {
        let ty = Primitive::Decimal(38, 3);
        let value = Value::Decimal(-12_345_678_901_234_567_890_123, 3);
        assert_eq!(write(&value, ty, false).unwrap(), "-12345678901234567890.123");
        assert_eq!(write(&Value::Decimal(-5, 3), ty, false).unwrap(), "-0.005");
        assert_eq!(write(&Value::Decimal(70, 0), Primitive::Decimal(5, 0), true).unwrap(), "70");
        assert_eq!(read("1.5", Primitive::Decimal(5, 2), false), Some(Value::Decimal(150, 2)));
        assert_eq!(read("-1.005", Primitive::Decimal(5, 2), false), Some(Value::Decimal(-101, 2)));
        assert_eq!(read("-1.005", Primitive::Decimal(5, 2), true), Some(Value::Decimal(-100, 2)));
        assert_eq!(read("1.2E-3", Primitive::Decimal(9, 4), true), Some(Value::Decimal(12, 4)));
        let Some(Value::Decimal(low, 0)) = read("9007199254740993", Primitive::Decimal(20, 0), false) else { panic!() };
        assert!(low < 9_007_199_254_740_993 - 1);
    }

    #[test]
    fn long_texts_are_cut_so_that_they_still_bound() {
        let long = Value::String("é".repeat(40));
        let upper = write(&long, Primitive::String, true).unwrap();
        assert_eq!(upper, format!("\"{}\u{10FFFF}\"", "é".repeat(32)));
        assert_eq!(write(&long, Primitive::String, false).unwrap(), format!("\"{}\"", "é".repeat(32)));
        assert_eq!(write(&Value::String("\u{10FFFF}".repeat(40)), Primitive::String, true), None);
        assert!(!is_exact(&Value::String("x".repeat(32)), Primitive::String));
    }

    #[test]
    fn what_json_or_the_log_cannot_hold_is_left_out() {
        assert_eq!(write(&Value::Double(f64::INFINITY), Primitive::Double, true), None);
        assert_eq!(write(&Value::Bool(true), Primitive::Boolean, true), None);
        assert_eq!(write(&Value::Bytes(vec![1]), Primitive::Binary, true), None);
        assert_eq!(write(&Value::Int(i32::MAX), Primitive::Date, true), None);
        assert_eq!(write(&Value::Float(0.1), Primitive::Float, true).unwrap(), "0.10000000149011612");
        assert_eq!(read("\"NaN\"", Primitive::Double, true), None);
        assert_eq!(read("1e999", Primitive::Double, true), None);
    }
}
