//! Single values: partition values, bounds, defaults.

use std::cmp::Ordering;

/// A single value of a primitive type. The variant is the physical form; the type says what it means.
///
/// `==` says whether two are the same value, as partitions ask: `-0.0` is not `0.0`, and every NaN is every other. [`Value::compare`] has the order.
#[derive(Debug, Clone)]
pub enum Value {
    /// `boolean`
    Bool(bool),
    /// `int` and narrower, `date` (days since 1970-01-01)
    Int(i32),
    /// `long`, `time` (µs since midnight), timestamps (µs, or ns for the ns types, since 1970-01-01)
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `decimal`: the unscaled value and the scale
    Decimal(i128, i8),
    /// `string`
    String(String),
    /// `binary`, `fixed`, and `uuid` as 16 bytes in big-endian order
    Bytes(Vec<u8>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::Decimal(a, s), Self::Decimal(b, t)) => (a, s) == (b, t),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// The order of values of one type: numbers by value, `-0.0` equal to `0.0`, NaN above everything (IEEE totalOrder has it there for positive
    /// NaN, and Delta's statistics agree); text and bytes by unsigned bytes. `None` between different kinds.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Long(a), Self::Long(b)) => a.cmp(b),
            (Self::Int(a), Self::Long(b)) => i64::from(*a).cmp(b),
            (Self::Long(a), Self::Int(b)) => a.cmp(&i64::from(*b)),
            (Self::Float(a), Self::Float(b)) => compare_floats(f64::from(*a), f64::from(*b)),
            (Self::Double(a), Self::Double(b)) => compare_floats(*a, *b),
            (Self::Float(a), Self::Double(b)) => compare_floats(f64::from(*a), *b),
            (Self::Double(a), Self::Float(b)) => compare_floats(*a, f64::from(*b)),
            (Self::Decimal(a, s), Self::Decimal(b, t)) => compare_decimals(*a, *s, *b, *t)?,
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Whether this is a floating-point NaN.
    pub fn is_nan(&self) -> bool {
        match self {
            Self::Float(v) => v.is_nan(),
            Self::Double(v) => v.is_nan(),
            _ => false,
        }
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_decimals(a: i128, scale_a: i8, b: i128, scale_b: i8) -> Option<Ordering> {
    let scale = scale_a.max(scale_b);
    let lift = |value: i128, from: i8| value.checked_mul(10i128.checked_pow(u32::try_from(scale - from).ok()?)?);
    match (lift(a, scale_a), lift(b, scale_b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ordered_as_the_formats_order_them() {
        let less = |a: Value, b: Value| a.compare(&b) == Some(Ordering::Less);
        assert!(less(Value::Decimal(15, 1), Value::Decimal(151, 2)));
        assert!(less(Value::Double(f64::INFINITY), Value::Double(f64::NAN)));
        assert!(less(Value::String("z".into()), Value::String("é".into())));
        assert_eq!(Value::Double(-0.0).compare(&Value::Double(0.0)), Some(Ordering::Equal));
        assert_eq!(Value::Int(1).compare(&Value::String("1".into())), None);
    }

    #[test]
    fn zeros_of_two_signs_are_two_values_and_nans_are_one() {
        assert_ne!(Value::Double(-0.0), Value::Double(0.0));
        assert_ne!(Value::Float(-0.0), Value::Float(0.0));
        assert_eq!(Value::Double(f64::NAN), Value::Double(f64::from_bits(f64::NAN.to_bits() | 1)));
        assert_eq!(Value::Float(f32::NAN), Value::Float(-f32::NAN));
    }
}
