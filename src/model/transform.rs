//! Partition transforms (Iceberg spec, "Partition Transforms", and appendix B, "32-bit Hash Requirements"): how the value of a column becomes the
//! value of a partition field. Pure.

use super::schema::Primitive;
use super::value::Value;
use crate::error::{Error, Result};

/// How a partition value is made from a column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transform {
    /// the value itself
    Identity,
    /// a hash modulo this number, which is above zero
    Bucket(u32),
    /// numbers rounded down to a multiple of this width, texts and bytes cut to this length; above zero
    Truncate(u32),
    /// years since 1970
    Year,
    /// months since 1970-01
    Month,
    /// days since 1970-01-01
    Day,
    /// hours since 1970-01-01T00
    Hour,
    /// always null
    Void,
    /// one this build does not know, by its text
    Unknown(String),
}

const MICROS_PER_HOUR: i64 = 3_600_000_000;

impl Transform {
    /// Reads the text of a transform as table metadata has it (`bucket[16]`). What is not understood becomes [`Self::Unknown`].
    pub fn parse(text: &str) -> Self {
        let number = |name: &str| {
            let digits = text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            digits.trim().parse().ok().filter(|n| (1..=i32::MAX.unsigned_abs()).contains(n))
        };
        match text {
            "identity" => Self::Identity,
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "void" => Self::Void,
            _ => number("bucket")
                .map(Self::Bucket)
                .or_else(|| number("truncate").map(Self::Truncate))
                .unwrap_or_else(|| Self::Unknown(text.to_string())),
        }
    }

    /// Whether columns of type `source` may be partitioned so.
    pub const fn takes(&self, source: Primitive) -> bool {
        use Primitive as P;
        let stamp = matches!(source, P::Timestamp | P::TimestampTz | P::TimestampNs | P::TimestampTzNs);
        match self {
            Self::Identity => !matches!(source, P::Variant | P::Unknown),
            Self::Bucket(_) => !matches!(source, P::Boolean | P::Float | P::Double | P::Variant | P::Unknown),
            Self::Truncate(_) => {
                matches!(source, P::Byte | P::Short | P::Int | P::Long | P::Decimal(..) | P::String | P::Binary)
            }
            Self::Year | Self::Month | Self::Day => stamp || matches!(source, P::Date),
            Self::Hour => stamp,
            Self::Void => true,
            Self::Unknown(_) => false,
        }
    }

    /// The partition value of `value`, which is one of type `source`. Null stays null.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the transform does not take the type, or the result has no 32 bits (hours of far times).
    pub fn apply(&self, value: Option<&Value>, source: Primitive) -> Result<Option<Value>> {
        let Some(value) = value else { return Ok(None) };
        let result = match self {
            Self::Void => return Ok(None),
            Self::Identity => Some(value.clone()),
            Self::Bucket(count) => hash(value, source).and_then(|hash| bucket(hash, *count)).map(Value::Int),
            Self::Truncate(width) => truncate(value, source, *width),
            Self::Year => months(value, source).map(|months| months.div_euclid(12)).and_then(narrow),
            Self::Month => months(value, source).and_then(narrow),
            Self::Day => days(value, source).and_then(narrow),
            Self::Hour => micros(value, source).map(|micros| micros.div_euclid(MICROS_PER_HOUR)).and_then(narrow),
            Self::Unknown(_) => None,
        };
        result.map(Some).ok_or_else(|| Error::unsupported("a column has a value that cannot be partitioned as the table's spec asks"))
    }
}

fn narrow(number: i64) -> Option<Value> {
    i32::try_from(number).ok().map(Value::Int)
}

fn bucket(hash: i32, count: u32) -> Option<i32> {
    (hash & i32::MAX).checked_rem(i32::try_from(count).ok()?)
}

/// Microseconds since 1970 of a point in time; nanoseconds are rounded down.
fn micros(value: &Value, source: Primitive) -> Option<i64> {
    match (value, source) {
        (Value::Long(micros), Primitive::Timestamp | Primitive::TimestampTz) => Some(*micros),
        (Value::Long(nanos), Primitive::TimestampNs | Primitive::TimestampTzNs) => Some(nanos.div_euclid(1_000)),
        _ => None,
    }
}

fn days(value: &Value, source: Primitive) -> Option<i64> {
    match (value, source) {
        (Value::Int(days), Primitive::Date) => Some(i64::from(*days)),
        _ => micros(value, source).map(|micros| micros.div_euclid(24 * MICROS_PER_HOUR)),
    }
}

/// Months since 1970-01, in the proleptic Gregorian calendar. Counted in eras of 400 years that begin in March, so that a leap day comes last.
fn months(value: &Value, source: Primitive) -> Option<i64> {
    const ERA: i64 = 146_097;
    let days = days(value, source)?.checked_add(719_468)?;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era - 1970).checked_mul(12)?.checked_add(month_from_march + 2)
}

fn truncate(value: &Value, source: Primitive, width: u32) -> Option<Value> {
    // At the very bottom of a type the result wraps around, as it does in the Java library.
    Some(match (value, source) {
        (Value::Int(v), _) => Value::Int(v.wrapping_sub(v.checked_rem_euclid(i32::try_from(width).ok()?)?)),
        (Value::Long(v), Primitive::Long) => Value::Long(v.wrapping_sub(v.checked_rem_euclid(i64::from(width))?)),
        (Value::Decimal(v, scale), _) => Value::Decimal(v.checked_sub(v.checked_rem_euclid(i128::from(width))?)?, *scale),
        (Value::String(text), _) => Value::String(text.chars().take(usize::try_from(width).ok()?).collect()),
        (Value::Bytes(bytes), Primitive::Binary) => Value::Bytes(bytes.iter().copied().take(usize::try_from(width).ok()?).collect()),
        _ => return None,
    })
}

/// The hash of a value: Murmur3 in its 32-bit x86 form with seed 0.
fn hash(value: &Value, source: Primitive) -> Option<i32> {
    let of_long = |number: i64| Some(murmur3(&number.to_le_bytes()));
    match (value, source) {
        (Value::Int(v), _) => of_long(i64::from(*v)),
        (Value::Long(_), Primitive::TimestampNs | Primitive::TimestampTzNs) => of_long(micros(value, source)?),
        (Value::Long(v), _) => of_long(*v),
        (Value::Decimal(unscaled, _), _) => {
            let bytes = unscaled.to_be_bytes();
            let sign: u8 = if *unscaled < 0 { 0xff } else { 0 };
            let spare = bytes.iter().zip(bytes.iter().skip(1)).take_while(|(byte, next)| **byte == sign && (**next ^ sign) < 0x80).count();
            bytes.get(spare..).map(murmur3)
        }
        (Value::String(text), _) => Some(murmur3(text.as_bytes())),
        (Value::Bytes(bytes), _) => Some(murmur3(bytes)),
        (Value::Bool(_) | Value::Float(_) | Value::Double(_), _) => None,
    }
}

fn murmur3(bytes: &[u8]) -> i32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let little_endian = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let mut blocks = bytes.chunks_exact(4);
    let mut hash = 0u32;
    for block in &mut blocks {
        hash = (hash ^ mix(little_endian(block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !blocks.remainder().is_empty() {
        hash ^= mix(little_endian(blocks.remainder()));
    }
    // The length enters modulo 2^32.
    hash ^= u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2017-11-16T22:31:08 in µs.
    const NOVEMBER: i64 = 1_510_871_468_000_000;

    fn applied(transform: &str, value: Value, source: Primitive) -> Option<Value> {
        Transform::parse(transform).apply(Some(&value), source).unwrap()
    }

    fn text(value: &str) -> Value {
        Value::String(value.into())
    }

    #[test]
    fn hashes_are_those_of_the_specification() {
        let uuid = uuid::Uuid::parse_str("f79c3e09-677c-4bbd-a479-3f349cb785e7").unwrap().as_bytes().to_vec();
        for (value, source, expected) in [
            (Value::Int(34), Primitive::Int, 2_017_239_379),
            (Value::Long(34), Primitive::Long, 2_017_239_379),
            (Value::Decimal(1420, 2), Primitive::Decimal(9, 2), -500_754_589),
            (Value::Int(17_486), Primitive::Date, -653_330_422),
            (Value::Long(81_068_000_000), Primitive::Time, -662_762_989),
            (Value::Long(NOVEMBER), Primitive::Timestamp, -2_047_944_441),
            (Value::Long(NOVEMBER), Primitive::TimestampTz, -2_047_944_441),
            (Value::Long(NOVEMBER + 1), Primitive::Timestamp, -1_207_196_810),
            (Value::Long(NOVEMBER * 1000), Primitive::TimestampNs, -2_047_944_441),
            (Value::Long(NOVEMBER * 1000 + 1_001), Primitive::TimestampTzNs, -1_207_196_810),
            (text("iceberg"), Primitive::String, 1_210_000_089),
            (Value::Bytes(uuid), Primitive::Uuid, 1_488_055_340),
            (Value::Bytes(vec![0, 1, 2, 3]), Primitive::Fixed(4), -188_683_207),
            (Value::Bytes(vec![0, 1, 2, 3]), Primitive::Binary, -188_683_207),
        ] {
            assert_eq!(hash(&value, source), Some(expected), "{source:?}");
        }
    }

    #[test]
    fn buckets_are_hashes_without_their_sign() {
        assert_eq!(applied("bucket[16]", Value::Int(34), Primitive::Int), Some(Value::Int(2_017_239_379 % 16)));
        assert_eq!(
            applied("bucket[100]", Value::Decimal(1420, 2), Primitive::Decimal(9, 2)),
            Some(Value::Int((-500_754_589 & i32::MAX) % 100))
        );
        assert!(Transform::Bucket(4).apply(Some(&Value::Double(1.0)), Primitive::Double).is_err());
        assert_eq!(Transform::Bucket(4).apply(None, Primitive::Int).unwrap(), None);
    }

    #[test]
    fn numbers_are_truncated_downwards_and_texts_by_characters() {
        for (width, value, source, expected) in [
            (10, Value::Int(1), Primitive::Int, Value::Int(0)),
            (10, Value::Int(-1), Primitive::Int, Value::Int(-10)),
            (10, Value::Long(-1), Primitive::Long, Value::Long(-10)),
            (50, Value::Decimal(1065, 2), Primitive::Decimal(9, 2), Value::Decimal(1050, 2)),
            (50, Value::Decimal(-1, 2), Primitive::Decimal(9, 2), Value::Decimal(-50, 2)),
            (3, text("iceberg"), Primitive::String, text("ice")),
            (2, text("äöü"), Primitive::String, text("äö")),
            (3, Value::Bytes(vec![0, 1, 2, 3, 4]), Primitive::Binary, Value::Bytes(vec![0, 1, 2])),
            (10, Value::Int(i32::MIN), Primitive::Int, Value::Int(i32::MIN.wrapping_sub(2))),
        ] {
            assert_eq!(applied(&format!("truncate[{width}]"), value, source), Some(expected));
        }
    }

    #[test]
    fn hour_times_are_counted_from_1970_on_both_sides() {
        let micro = |value| (Value::Long(value), Primitive::Timestamp);
        let day = |value| (Value::Int(value), Primitive::Date);
        for (transform, (value, source), expected) in [
            ("year", micro(NOVEMBER), 47),
            ("month", micro(NOVEMBER), 47 * 12 + 10),
            ("day", micro(NOVEMBER), 17_486),
            ("hour", micro(NOVEMBER), 17_486 * 24 + 22),
            ("year", micro(-1), -1),
            ("month", micro(-1), -1),
            ("day", micro(-1), -1),
            ("hour", micro(-1), -1),
            ("hour", micro(-MICROS_PER_HOUR), -1),
            ("hour", micro(-MICROS_PER_HOUR - 1), -2),
            ("day", day(-719_468), -719_468),
            ("year", day(-719_528), -1970),
            ("year", day(-719_529), -1971),
            ("month", day(-719_528), -1970 * 12),
            ("month", day(0), 0),
            ("month", day(31), 1),
            ("month", day(59), 2),
            ("month", day(-1), -1),
            ("month", day(-32), -2),
            ("year", day(11_016), 30),
            ("month", day(11_016), 30 * 12 + 1),
        ] {
            assert_eq!(applied(transform, value, source), Some(Value::Int(expected)), "{transform} of {source:?}");
        }
        assert_eq!(applied("day", Value::Long(-1), Primitive::TimestampTzNs), Some(Value::Int(-1)));
        assert_eq!(applied("hour", Value::Long(NOVEMBER * 1000), Primitive::TimestampNs), Some(Value::Int(17_486 * 24 + 22)));
        assert!(Transform::Hour.apply(Some(&Value::Long(i64::MAX)), Primitive::Timestamp).is_err());
    }

    #[test]
    fn texts_are_read_and_what_is_not_understood_is_kept() {
        assert_eq!(Transform::parse("truncate[3]"), Transform::Truncate(3));
        for text in ["bucket[0]", "bucket", "truncate[-1]", "zorder[3]", "bucket[4294967295]"] {
            assert_eq!(Transform::parse(text), Transform::Unknown(text.into()));
        }
        assert_eq!(applied("void", Value::Int(1), Primitive::Int), None);
        assert_eq!(applied("identity", text("a"), Primitive::String), Some(text("a")));
        assert!(
            Transform::Day.takes(Primitive::Date)
                && !Transform::Hour.takes(Primitive::Date)
                && !Transform::Bucket(1).takes(Primitive::Float)
        );
    }
}
