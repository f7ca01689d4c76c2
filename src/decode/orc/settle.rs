//! Decoded columns become what the file means by them.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowTimestampType, Decimal128Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::types::Settle;

type Settled = Result<ArrayRef, ArrowError>;

/// `array` as `ty`.
///
/// # Errors
///
/// If a value does not fit. The error's text may hold the value: it must not be shown.
pub(super) fn settle(how: &Settle, ty: &DataType, array: &ArrayRef) -> Settled {
    let mismatch = || ArrowError::SchemaError("a column was decoded as another type".into());
    if how.keeps() && array.data_type() == ty {
        return Ok(Arc::clone(array));
    }
    match (how, ty) {
        (Settle::Timestamp(unit), DataType::Timestamp(_, zone)) => {
            let seconds = array.as_primitive_opt::<Decimal128Type>().ok_or_else(mismatch)?;
            Ok(match unit {
                TimeUnit::Nanosecond => Arc::new(timestamps::<TimestampNanosecondType>(seconds, 1)?.with_timezone_opt(zone.clone())),
                _ => Arc::new(timestamps::<TimestampMicrosecondType>(seconds, 1_000)?.with_timezone_opt(zone.clone())),
            })
        }
        (Settle::Trim, _) => {
            let texts = array.as_string_opt::<i32>().ok_or_else(mismatch)?;
            let mut trimmed = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
            texts.iter().for_each(|text| trimmed.append_option(text.map(|text| text.trim_end_matches(' '))));
            Ok(Arc::new(trimmed.finish()))
        }
        (Settle::Struct(how), DataType::Struct(fields)) => {
            let stored = array.as_struct_opt().ok_or_else(mismatch)?;
            let members = how.iter().zip(fields).zip(stored.columns()).map(|((how, field), column)| settle(how, field.data_type(), column));
            let members = members.collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), members, stored.nulls().cloned(), stored.len())?))
        }
        (Settle::List(how), DataType::List(field)) => {
            let stored = array.as_list_opt::<i32>().ok_or_else(mismatch)?;
            let values = settle(how, field.data_type(), stored.values())?;
            Ok(Arc::new(ListArray::try_new(field.clone(), stored.offsets().clone(), values, stored.nulls().cloned())?))
        }
        (Settle::Map(key_how, value_how), DataType::Map(field, _)) => {
            let stored = array.as_map_opt().ok_or_else(mismatch)?;
            let DataType::Struct(pair) = field.data_type() else { return Err(mismatch()) };
            let [key, value] = pair.as_ref() else { return Err(mismatch()) };
            let columns = vec![settle(key_how, key.data_type(), stored.keys())?, settle(value_how, value.data_type(), stored.values())?];
            let entries = StructArray::try_new(pair.clone(), columns, None)?;
            Ok(Arc::new(MapArray::try_new(field.clone(), stored.offsets().clone(), entries, stored.nulls().cloned(), false)?))
        }
        _ => Err(mismatch()),
    }
}

/// Nanoseconds in units of so many, rounded down as Iceberg's own readers do.
fn timestamps<T: ArrowTimestampType>(nanos: &PrimitiveArray<Decimal128Type>, unit: i128) -> Result<PrimitiveArray<T>, ArrowError> {
    let too_large = |_| ArrowError::ComputeError("a timestamp does not fit".into());
    nanos.try_unary(|nanos| i64::try_from(signed(nanos, unit).div_euclid(unit)).map_err(too_large))
}

/// Arrow's C++ writer stores times before 1970 with whole seconds rounded towards zero and a negative rest. ORC's own readers take the rest as signed;
/// the decoder takes it as unsigned, 2^64 too much, and one second off for negative seconds (as ORC's Java writer needs it). Seen by what is left
/// below a microsecond in a column of microseconds.
fn signed(nanos: i128, unit: i128) -> i128 {
    const WRAPPED: i128 = 1 << 64;
    const SECOND: i128 = 1_000_000_000;
    const SINCE_1900: i128 = -2_208_988_800 * SECOND;
    let rest = nanos - WRAPPED;
    // As it stands the value would be of the years 2484 to 2554.
    if unit != 1_000 || nanos.rem_euclid(unit) != WRAPPED % unit || !(SINCE_1900..0).contains(&rest) {
        return nanos;
    }
    if rest > -SECOND { rest } else { rest + SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal128Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray};

    #[test]
    fn timestamps_are_rounded_down_and_reach_as_far_as_their_type() {
        let nanos = Decimal128Array::from(vec![Some(-1), Some(1_999), None, Some(253_402_300_799_999_999_999)]);
        let nanos: ArrayRef = Arc::new(nanos.with_precision_and_scale(38, 9).unwrap());
        let ty = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let micros = settle(&Settle::Timestamp(TimeUnit::Microsecond), &ty, &nanos).unwrap();
        let expected = TimestampMicrosecondArray::from(vec![Some(-1), Some(1), None, Some(253_402_300_799_999_999)]).with_timezone("UTC");
        assert_eq!(micros.as_ref(), &expected as &dyn Array);
        let ty = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert!(settle(&Settle::Timestamp(TimeUnit::Nanosecond), &ty, &nanos).is_err());
        let first = settle(&Settle::Timestamp(TimeUnit::Nanosecond), &ty, &nanos.slice(0, 3)).unwrap();
        assert_eq!(first.as_ref(), &TimestampNanosecondArray::from(vec![Some(-1), Some(1_999), None]) as &dyn Array);
    }

    #[test]
    fn negative_rests_of_arrows_writer_are_signed() {
        let wrapped = |seconds: i128, rest: i128| seconds * 1_000_000_000 + (1 << 64) - rest;
        // One microsecond before 1970; a second and a half; a day and a microsecond: the decoder takes a second off negative seconds.
        let nanos = Decimal128Array::from(vec![
            wrapped(0, 1_000),
            wrapped(-2, 500_000_000),
            wrapped(-86_401, 1_000),
            -2_000_000_000,
            1_000_000_616,
        ]);
        let nanos: ArrayRef = Arc::new(nanos.with_precision_and_scale(38, 9).unwrap());
        let ty = DataType::Timestamp(TimeUnit::Microsecond, None);
        let micros = settle(&Settle::Timestamp(TimeUnit::Microsecond), &ty, &nanos).unwrap();
        assert_eq!(
            micros.as_ref(),
            &TimestampMicrosecondArray::from(vec![-1, -1_500_000, -86_400_000_001, -2_000_000, 1_000_000]) as &dyn Array
        );
    }

    #[test]
    fn texts_of_a_fixed_length_lose_their_blanks_and_no_others() {
        let padded: ArrayRef = Arc::new(StringArray::from(vec![Some(" a b  "), None, Some("")]));
        let trimmed = settle(&Settle::Trim, &DataType::Utf8, &padded).unwrap();
        assert_eq!(trimmed.as_ref(), &StringArray::from(vec![Some(" a b"), None, Some("")]) as &dyn Array);
    }
}
