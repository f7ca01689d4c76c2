//! Values of one type read as another: the promotions both formats allow, and the spellings files have for one type.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use parquet::basic::Type as Physical;

use super::target::arrow_primitive;
use crate::model::Primitive;

/// What has to happen to the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) enum Conversion {
    /// Nothing.
    Keep,
    /// A cast; a value that the type cannot hold is an error.
    Cast(DataType),
    /// The same values, in a form that new files do not have but that every reader understands: 12-byte timestamps, wide decimals.
    Legacy(DataType),
    /// Numbers of one unit become numbers of another: times the first, divided (rounding down) by the second.
    Rescale(i64, i64, DataType),
}

/// How a column stored as `stored` becomes one of `target`: the type to read it as, and what to do then. `None` if it does not.
pub(super) fn conversion(stored: &DataType, physical: Physical, target: Primitive) -> Option<(DataType, Conversion)> {
    let wanted = arrow_primitive(target);
    if let (Physical::INT96, DataType::Timestamp(unit, _)) = (physical, &wanted) {
        // Nanoseconds overflow in 2262, unseen: legacy files may have later times.
        let read_as = DataType::Timestamp(*unit, None);
        return (*unit != TimeUnit::Nanosecond).then_some((read_as, Conversion::Legacy(wanted)));
    }
    if *stored == wanted {
        return Some((wanted, Conversion::Keep));
    }
    match (physical, stored, &wanted) {
        (Physical::INT32, DataType::Decimal128(p, s), DataType::Decimal32(q, t))
        | (Physical::INT64, DataType::Decimal128(p, s), DataType::Decimal64(q, t))
            if (p, s) == (q, t) =>
        {
            return Some((wanted, Conversion::Keep));
        }
        (_, DataType::Decimal128(p, s), DataType::Decimal32(q, t) | DataType::Decimal64(q, t)) if (p, s) == (q, t) => {
            return Some((stored.clone(), Conversion::Legacy(wanted)));
        }
        _ => {}
    }
    let conversion = if is_cast(stored, &wanted) { Conversion::Cast(wanted) } else { rescale(stored, wanted)? };
    Some((stored.clone(), conversion))
}

/// Whether instants may be read from times without a zone and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Zones {
    /// The numbers are taken as they are.
    Any,
    /// Neither is the other: which zone was meant would be a guess.
    Alike,
}

/// How a column that another format than Parquet stores as `stored` becomes one of `target`; `None` if it does not.
pub(super) fn between(stored: &DataType, target: Primitive, zones: Zones) -> Option<Conversion> {
    let wanted = arrow_primitive(target);
    match (stored, &wanted) {
        (DataType::Timestamp(_, stored), DataType::Timestamp(_, wanted))
            if zones == Zones::Alike && stored.is_some() != wanted.is_some() =>
        {
            None
        }
        (stored, wanted) if stored == wanted => Some(Conversion::Keep),
        // Fixed lengths and UUIDs are plain binaries in ORC: the cast checks each length.
        (DataType::Binary, DataType::FixedSizeBinary(_)) => Some(Conversion::Cast(wanted)),
        _ if is_cast(stored, &wanted) => Some(Conversion::Cast(wanted)),
        _ => rescale(stored, wanted),
    }
}

/// Whether every value of `from` that `to` can hold is cast to itself.
fn is_cast(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Null, _) => true,
        // Narrow integers are often stored without their annotation, and some writers annotate them as unsigned: the values decide.
        (T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32, T::Int8 | T::Int16 | T::Int32 | T::Int64)
        | (T::UInt64, T::Int64)
        | (T::Int8 | T::Int16 | T::Int32 | T::Float32, T::Float64)
        | (T::Int8 | T::Int16, T::Float32)
        | (T::Int32, T::Date32)
        // Text is often stored without its annotation; the cast checks that it is UTF-8.
        | (T::Binary, T::Utf8)
        | (T::Utf8 | T::FixedSizeBinary(_), T::Binary) => true,
        (T::Int64, T::Time64(_)) => true,
        (T::Int64, T::Timestamp(_, _)) => true,
        (T::Timestamp(a, _), T::Timestamp(b, _)) => a == b,
        // Integers need not all fit, for a file's values may: the cast checks each. Digits after the point are never given up.
        (
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32,
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..),
        ) => true,
        (
            T::Decimal128(_, from) | T::Decimal256(_, from),
            T::Decimal32(_, to) | T::Decimal64(_, to) | T::Decimal128(_, to),
        ) => from <= to,
        _ => false,
    }
}

/// Times and dates in another unit.
fn rescale(from: &DataType, to: DataType) -> Option<Conversion> {
    use DataType as T;
    const DAY: i64 = 86_400;
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000i64,
    };
    let (multiply, divide) = match (from, &to) {
        (T::Date32, T::Timestamp(unit, None)) => (DAY * per_second(unit), 1),
        (T::Timestamp(a, _), T::Timestamp(b, _)) | (T::Time32(a) | T::Time64(a), T::Time64(b)) => {
            let (a, b) = (per_second(a), per_second(b));
            if b >= a { (b / a, 1) } else { (1, a / b) }
        }
        _ => return None,
    };
    Some(Conversion::Rescale(multiply, divide, to))
}

impl Conversion {
    /// Whether a file that holds such values may go on holding them.
    pub(super) const fn changes_nothing(&self) -> bool {
        matches!(self, Self::Keep | Self::Legacy(_))
    }

    /// Converts `array`.
    ///
    /// # Errors
    ///
    /// If a value does not fit. The error's text may hold the value: it must not be shown.
    pub(super) fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        match self {
            Self::Keep => Ok(Arc::clone(array)),
            Self::Cast(to) | Self::Legacy(to) => cast_with_options(array, to, &strict),
            Self::Rescale(multiply, divide, to) => {
                let narrow = matches!(array.data_type(), DataType::Date32 | DataType::Time32(_));
                let narrow = if narrow { Some(cast_with_options(array, &DataType::Int32, &strict)?) } else { None };
                let numbers = cast_with_options(narrow.as_ref().unwrap_or(array), &DataType::Int64, &strict)?;
                let numbers = numbers.as_primitive::<Int64Type>();
                let too_large = || ArrowError::ComputeError("a time does not fit".into());
                let scaled: Int64Array =
                    numbers.try_unary(|n| n.checked_mul(*multiply).map(|n| n.div_euclid(*divide)).ok_or_else(too_large))?;
                cast_with_options(&scaled, to, &strict)
            }
        }
    }
}
