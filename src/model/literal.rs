//! Single values as people and partition folders write them.
//!
//! The forms are those of SQL literals and of the Delta protocol's "Partition Value Serialization": plain numbers, `true`/`false`,
//! `2024-01-31`, `2024-01-31 10:20:30.5`, `2024-01-31T10:20:30Z`. What could be read in two ways is not read at all.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::schema::Primitive;
use super::value::Value;

/// The value that `text` means as `ty`; `None` where it means none.
///
/// A timestamp in UTC needs an offset and one without a zone must have none: guessing a zone would move the instant. Digits beyond the
/// type's resolution are refused rather than cut off.
pub fn parse(text: &str, ty: Primitive) -> Option<Value> {
    Some(match ty {
        Primitive::Boolean if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Primitive::Boolean if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        Primitive::Byte => Value::Int(text.parse::<i8>().ok()?.into()),
        Primitive::Short => Value::Int(text.parse::<i16>().ok()?.into()),
        Primitive::Int => Value::Int(text.parse().ok()?),
        Primitive::Long => Value::Long(text.parse().ok()?),
        Primitive::Float => Value::Float(text.parse().ok()?),
        Primitive::Double => Value::Double(text.parse().ok()?),
        Primitive::Decimal(..) => decimal(text)?,
        Primitive::Date => Value::Int(days(text.parse().ok()?)?),
        Primitive::Time => Value::Long(micros_of_day(text.parse().ok()?)?),
        Primitive::Timestamp | Primitive::TimestampTz => {
            let time = instant(text, ty == Primitive::TimestampTz)?;
            (time.nanosecond().is_multiple_of(1_000)).then(|| Value::Long(time.and_utc().timestamp_micros()))?
        }
        Primitive::TimestampNs | Primitive::TimestampTzNs => {
            Value::Long(instant(text, ty == Primitive::TimestampTzNs)?.and_utc().timestamp_nanos_opt()?)
        }
        Primitive::String => Value::String(text.to_string()),
        Primitive::Uuid => Value::Bytes(uuid::Uuid::try_parse(text).ok()?.into_bytes().to_vec()),
        Primitive::Boolean | Primitive::Binary | Primitive::Fixed(_) | Primitive::Variant | Primitive::Geo(_) | Primitive::Unknown => {
            return None;
        }
    })
}

/// The decimal number `text`, with the scale it is written with. An exponent moves the point.
pub fn decimal(text: &str) -> Option<Value> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unscaled: i128 = digits.parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if let Ok(zeros) = u32::try_from(scale.checked_neg()?) {
        return Some(Value::Decimal(unscaled.checked_mul(10i128.checked_pow(zeros)?)?, 0));
    }
    Some(Value::Decimal(unscaled, i8::try_from(scale).ok()?))
}

fn days(date: NaiveDate) -> Option<i32> {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn micros_of_day(time: NaiveTime) -> Option<i64> {
    let micros = i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000);
    (time.nanosecond().is_multiple_of(1_000)).then_some(micros)
}

/// The time in UTC where `zoned`, else the time on the wall. A date alone is its midnight, where no zone is needed.
fn instant(text: &str, zoned: bool) -> Option<NaiveDateTime> {
    if !zoned && let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.into());
    }
    let (wall, offset) = split_offset(text)?;
    if zoned != offset.is_some() {
        return None;
    }
    let (date, time) = wall.split_once(['T', 't', ' '])?;
    // NaiveTime reads seconds as optional; a fraction may have up to nine digits.
    let wall = NaiveDateTime::new(date.parse().ok()?, time.trim().parse().ok()?);
    wall.checked_sub_signed(chrono::TimeDelta::seconds(offset.unwrap_or(0)))
}

/// Splits `Z`, `+02:00`, `+0200` or `+02` off a time; the offset is in seconds east of UTC.
fn split_offset(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(wall) = text.strip_suffix(['Z', 'z']) {
        return Some((wall.trim_end(), Some(0)));
    }
    // The date holds minus signs of its own: an offset can only follow a colon.
    let (Some(colon), Some(sign)) = (text.find(':'), text.rfind(['+', '-'])) else {
        return Some((text, None));
    };
    if sign < colon {
        return Some((text, None));
    }
    let (wall, offset) = text.split_at_checked(sign)?;
    let digits: String = offset.chars().skip(1).filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, if minutes.is_empty() { 0 } else { minutes.parse().ok()? });
    let seconds = hours * 3_600 + minutes * 60;
    (hours <= 18 && minutes < 60).then_some((wall.trim_end(), Some(if offset.starts_with('-') { -seconds } else { seconds })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_by_the_type() {
        for (text, ty, value) in [
            ("TRUE", Primitive::Boolean, Value::Bool(true)),
            ("-128", Primitive::Byte, Value::Int(-128)),
            ("9223372036854775807", Primitive::Long, Value::Long(i64::MAX)),
            ("1.5", Primitive::Double, Value::Double(1.5)),
            ("1970-02-01", Primitive::Date, Value::Int(31)),
            ("1969-12-31", Primitive::Date, Value::Int(-1)),
            ("00:00:01.000002", Primitive::Time, Value::Long(1_000_002)),
            ("1970-01-01 00:00:01.5", Primitive::Timestamp, Value::Long(1_500_000)),
            ("1970-01-02", Primitive::Timestamp, Value::Long(86_400_000_000)),
            ("1970-01-01T02:00:00+02:00", Primitive::TimestampTz, Value::Long(0)),
            ("1969-12-31 22:30:00-0130", Primitive::TimestampTz, Value::Long(0)),
            ("1970-01-01T00:00:00.000001Z", Primitive::TimestampTzNs, Value::Long(1_000)),
            (" x", Primitive::String, Value::String(" x".into())),
        ] {
            assert_eq!(parse(text, ty), Some(value), "{text}");
        }
        let uuid = parse("00000000-0000-0000-0000-0000000000ff", Primitive::Uuid).unwrap();
        assert_eq!(uuid, Value::Bytes([[0; 15].as_slice(), &[255]].concat()));
    }

    #[test]
    fn what_is_out_of_range_or_ambiguous_is_not_read() {
        for (text, ty) in [
            ("128", Primitive::Byte),
            ("40000", Primitive::Short),
            ("1.5", Primitive::Int),
            ("yes", Primitive::Boolean),
            ("2024-02-30", Primitive::Date),
            ("2024-01-01 00:00:00", Primitive::TimestampTz),
            ("2024-01-01", Primitive::TimestampTz),
            ("2024-01-01 00:00:00Z", Primitive::Timestamp),
            ("2024-01-01 00:00:00.1234567", Primitive::Timestamp),
            ("2024-01-01 00:00:00+2", Primitive::TimestampTz),
            ("é:+é", Primitive::TimestampTz),
            ("", Primitive::Timestamp),
            ("00ff", Primitive::Binary),
        ] {
            assert_eq!(parse(text, ty), None, "{text}");
        }
    }

    #[test]
    fn decimals_keep_the_digits_they_are_written_with() {
        assert_eq!(decimal("-12.50"), Some(Value::Decimal(-1250, 2)));
        assert_eq!(decimal("1.5e3"), Some(Value::Decimal(1500, 0)));
        assert_eq!(decimal("15E-1"), Some(Value::Decimal(15, 1)));
        assert_eq!(decimal(".5"), Some(Value::Decimal(5, 1)));
        for text in ["", ".", "1.-5", "1e99", "1e-200", "1e-2147483648", "0x1", "1_0"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
