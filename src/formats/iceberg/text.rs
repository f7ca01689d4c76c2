//! Partition values as people and folders spell them, the way the Java library does (`Transform.toHumanString`).

use std::fmt::Write;

use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::model::{Primitive, Transform, Value};

/// The text of a partition value.
pub(crate) fn human(value: Option<&Value>, transform: &Transform, ty: Option<Primitive>) -> String {
    let Some(value) = value else { return "null".to_string() };
    let epoch = NaiveDate::default();
    let dated = match (transform, value) {
        (Transform::Year, Value::Int(years)) => Some(format!("{:04}", 1970 + i64::from(*years))),
        (Transform::Month, Value::Int(months)) => month(epoch, *months).map(|date| date.format("%Y-%m").to_string()),
        (Transform::Hour, Value::Int(hours)) => {
            let time = NaiveDateTime::from(epoch).checked_add_signed(TimeDelta::hours(i64::from(*hours)));
            time.map(|time| time.format("%Y-%m-%d-%H").to_string())
        }
        _ => None,
    };
    dated.unwrap_or_else(|| plain(value, ty))
}

fn month(epoch: NaiveDate, months: i32) -> Option<NaiveDate> {
    let by = Months::new(months.unsigned_abs());
    if months < 0 { epoch.checked_sub_months(by) } else { epoch.checked_add_months(by) }
}

fn plain(value: &Value, ty: Option<Primitive>) -> String {
    match (value, ty) {
        (Value::Int(days), Some(Primitive::Date)) => {
            let date = NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(*days)));
            date.map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string())
        }
        (Value::Long(micros), Some(Primitive::Time)) => {
            let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok();
            let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).ok();
            let time = seconds.zip(nanos).and_then(|(s, n)| NaiveTime::from_num_seconds_from_midnight_opt(s, n));
            time.map_or_else(|| micros.to_string(), |time| time.format("%H:%M:%S%.f").to_string())
        }
        (Value::Long(time), Some(Primitive::Timestamp)) => stamp(DateTime::from_timestamp_micros(*time), *time, ""),
        (Value::Long(time), Some(Primitive::TimestampTz)) => stamp(DateTime::from_timestamp_micros(*time), *time, "+00:00"),
        (Value::Long(time), Some(Primitive::TimestampNs)) => stamp(Some(DateTime::from_timestamp_nanos(*time)), *time, ""),
        (Value::Long(time), Some(Primitive::TimestampTzNs)) => stamp(Some(DateTime::from_timestamp_nanos(*time)), *time, "+00:00"),
        (Value::Bytes(bytes), Some(Primitive::Uuid)) => {
            uuid::Uuid::from_slice(bytes).map_or_else(|_| base64(bytes), |uuid| uuid.to_string())
        }
        (Value::Bool(value), _) => value.to_string(),
        (Value::Int(value), _) => value.to_string(),
        (Value::Long(value), _) => value.to_string(),
        (Value::Float(value), _) => format!("{value:?}"),
        (Value::Double(value), _) => format!("{value:?}"),
        (Value::Decimal(unscaled, scale), _) => decimal(*unscaled, *scale),
        (Value::String(value), _) => value.clone(),
        (Value::Bytes(bytes), _) => base64(bytes),
    }
}

fn stamp(time: Option<DateTime<chrono::Utc>>, raw: i64, zone: &str) -> String {
    time.map_or_else(|| raw.to_string(), |time| format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}

fn decimal(unscaled: i128, scale: i8) -> String {
    let Some(scale) = usize::try_from(scale).ok().filter(|scale| *scale > 0) else { return unscaled.to_string() };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4usize {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            out.push(if place > chunk.len() { '=' } else { char::from(*DIGITS.get(index).unwrap_or(&b'=')) });
        }
    }
    out
}

/// A folder name: Java's `URLEncoder`, that is, `application/x-www-form-urlencoded` with a blank as `+`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                // Writing to a string cannot fail.
                let _ok = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_the_java_library_spells_them() {
        let cases = [
            (Value::Int(54), Transform::Year, Primitive::Int, "2024"),
            (Value::Int(-1), Transform::Month, Primitive::Int, "1969-12"),
            (Value::Int(-1), Transform::Hour, Primitive::Int, "1969-12-31-23"),
            (Value::Int(-1), Transform::Day, Primitive::Date, "1969-12-31"),
            (Value::Long(1_000_002), Transform::Identity, Primitive::Time, "00:00:01.000002"),
            (Value::Long(-1), Transform::Identity, Primitive::Timestamp, "1969-12-31T23:59:59.999999"),
            (Value::Decimal(-5, 2), Transform::Identity, Primitive::Decimal(4, 2), "-0.05"),
            (Value::Bytes(b"ab".to_vec()), Transform::Identity, Primitive::Binary, "YWI="),
            (Value::Bytes(b"abcd".to_vec()), Transform::Identity, Primitive::Binary, "YWJjZA=="),
            (Value::Double(2.222), Transform::Identity, Primitive::Double, "2.222"),
        ];
        for (value, transform, ty, text) in cases {
            assert_eq!(human(Some(&value), &transform, Some(ty)), text);
        }
        assert_eq!(human(None, &Transform::Identity, None), "null");
        assert_eq!(escape("a b=c/ü*"), "a+b%3Dc%2F%C3%BC*");
    }
}
