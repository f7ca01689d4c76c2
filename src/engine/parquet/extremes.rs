//! The least and greatest values of columns, from decoded rows.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use crate::model::{ColumnStats, Value};

/// What was seen of one column.
#[derive(Debug, Default)]
pub(super) struct Extremes {
    lower: Option<Value>,
    upper: Option<Value>,
    nulls: u64,
    nans: u64,
    floating: bool,
    /// A batch was of a type whose values are not told apart here.
    unknown: bool,
}

impl Extremes {
    /// Adds the column at `path` of a batch: its position, then those of members of structs.
    pub(super) fn add(&mut self, columns: &[ArrayRef], path: &[usize]) {
        let Some((first, below)) = path.split_first() else { return };
        let Some(mut array) = columns.get(*first) else { return };
        let mut nulls = array.nulls().cloned();
        for member in below {
            let Some(inner) = array.as_struct_opt().and_then(|array| array.columns().get(*member)) else {
                self.unknown = true;
                return;
            };
            array = inner;
            nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
        }
        self.nulls = self.nulls.saturating_add(nulls.as_ref().map_or(0, |nulls| nulls.null_count() as u64));
        self.values(array, nulls.as_ref());
    }

    fn values(&mut self, array: &ArrayRef, nulls: Option<&NullBuffer>) {
        match array.data_type() {
            DataType::Boolean => self.each(array.as_boolean().values().iter(), nulls, Value::Bool),
            DataType::Int8 => self.numbers::<Int8Type>(array, nulls, |v| Value::Int(v.into())),
            DataType::Int16 => self.numbers::<Int16Type>(array, nulls, |v| Value::Int(v.into())),
            DataType::Int32 => self.numbers::<Int32Type>(array, nulls, Value::Int),
            DataType::Date32 => self.numbers::<Date32Type>(array, nulls, Value::Int),
            DataType::Int64 => self.numbers::<Int64Type>(array, nulls, Value::Long),
            DataType::Time64(TimeUnit::Microsecond) => self.numbers::<Time64MicrosecondType>(array, nulls, Value::Long),
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.numbers::<TimestampMicrosecondType>(array, nulls, Value::Long),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => self.numbers::<TimestampNanosecondType>(array, nulls, Value::Long),
            DataType::Float32 => self.floats::<Float32Type>(array, nulls, Value::Float, f32::is_nan),
            DataType::Float64 => self.floats::<Float64Type>(array, nulls, Value::Double, f64::is_nan),
            DataType::Decimal32(_, scale) => self.numbers::<Decimal32Type>(array, nulls, |v| Value::Decimal(v.into(), *scale)),
            DataType::Decimal64(_, scale) => self.numbers::<Decimal64Type>(array, nulls, |v| Value::Decimal(v.into(), *scale)),
            DataType::Decimal128(_, scale) => self.numbers::<Decimal128Type>(array, nulls, |v| Value::Decimal(v, *scale)),
            DataType::Utf8 => self.each((0..array.len()).map(|at| array.as_string::<i32>().value(at)), nulls, |v| Value::String(v.into())),
            DataType::Binary => self.each((0..array.len()).map(|at| array.as_binary::<i32>().value(at)), nulls, |v| Value::Bytes(v.into())),
            DataType::FixedSizeBinary(_) => {
                let fixed = array.as_fixed_size_binary();
                self.each((0..fixed.len()).map(|at| fixed.value(at)), nulls, |v| Value::Bytes(v.into()));
            }
            _ => self.unknown = true,
        }
    }

    fn numbers<T: ArrowPrimitiveType>(&mut self, array: &ArrayRef, nulls: Option<&NullBuffer>, value: impl Fn(T::Native) -> Value)
    where
        T::Native: PartialOrd,
    {
        self.each(array.as_primitive::<T>().values().iter().copied(), nulls, value);
    }

    fn floats<T: ArrowPrimitiveType>(
        &mut self,
        array: &ArrayRef,
        nulls: Option<&NullBuffer>,
        value: impl Fn(T::Native) -> Value,
        is_nan: impl Fn(T::Native) -> bool,
    ) where
        T::Native: PartialOrd,
    {
        self.floating = true;
        let values = array.as_primitive::<T>().values();
        let nans = values.iter().enumerate().filter(|(at, v)| is_nan(**v) && nulls.is_none_or(|nulls| nulls.is_valid(*at))).count();
        self.nans = self.nans.saturating_add(nans as u64);
        // NaN compares with nothing and so is never the least or the greatest, unless it comes first.
        let usable = |(at, v): (usize, &T::Native)| (!is_nan(*v) && nulls.is_none_or(|nulls| nulls.is_valid(at))).then_some(*v);
        self.each(values.iter().enumerate().filter_map(usable), None, value);
    }

    /// Takes the least and the greatest of `items`, which are one an entry of `nulls`.
    fn each<T: PartialOrd + Copy>(&mut self, items: impl Iterator<Item = T>, nulls: Option<&NullBuffer>, value: impl Fn(T) -> Value) {
        let mut ends: Option<(T, T)> = None;
        for (at, item) in items.enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(at)) {
                continue;
            }
            ends = Some(match ends {
                None => (item, item),
                Some((least, greatest)) => (if item < least { item } else { least }, if item > greatest { item } else { greatest }),
            });
        }
        let Some((least, greatest)) = ends else { return };
        let (least, greatest) = (value(least), value(greatest));
        if self.lower.as_ref().is_none_or(|known| least.compare(known) == Some(Ordering::Less)) {
            self.lower = Some(least);
        }
        if self.upper.as_ref().is_none_or(|known| greatest.compare(known) == Some(Ordering::Greater)) {
            self.upper = Some(greatest);
        }
    }

    /// What is known of the column after `rows` rows. Nulls are counted for columns `at_top` alone: below structs writers count in several ways.
    pub(super) fn finish(self, rows: u64, at_top: bool) -> ColumnStats {
        let known = !self.unknown;
        ColumnStats {
            value_count: at_top.then_some(rows),
            null_count: at_top.then_some(self.nulls),
            nan_count: (known && self.floating).then_some(self.nans),
            size: None,
            lower: self.lower.filter(|_| known),
            upper: self.upper.filter(|_| known),
            exact: known,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int32Array, StringArray, StructArray};
    use arrow_schema::Field;

    use super::*;

    fn seen(batches: Vec<ArrayRef>, path: &[usize]) -> ColumnStats {
        let rows = batches.iter().map(|batch| batch.len() as u64).sum();
        let mut extremes = Extremes::default();
        for batch in batches {
            extremes.add(&[batch], path);
        }
        extremes.finish(rows, path.len() == 1)
    }

    #[test]
    fn nulls_and_nans_are_counted_and_never_bounds() {
        let batches: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(2.5)])),
            Arc::new(Float64Array::from(vec![Some(-1.0), Some(f64::NAN)])),
            Arc::new(Float64Array::from(vec![None::<f64>])),
        ];
        let stats = seen(batches, &[0]);
        assert_eq!((stats.lower, stats.upper), (Some(Value::Double(-1.0)), Some(Value::Double(2.5))));
        assert_eq!((stats.value_count, stats.null_count, stats.nan_count), (Some(6), Some(2), Some(2)));
    }

    #[test]
    fn texts_are_compared_by_their_bytes() {
        let stats = seen(vec![Arc::new(StringArray::from(vec![Some("é"), Some("z"), None, Some("A")]))], &[0]);
        assert_eq!((stats.lower, stats.upper), (Some(Value::String("A".into())), Some(Value::String("é".into()))));
        assert_eq!((stats.null_count, stats.nan_count), (Some(1), None));
    }

    #[test]
    fn values_below_null_structs_do_not_count() {
        let members: ArrayRef = Arc::new(Int32Array::from(vec![1, 99, 3]));
        let field = Arc::new(Field::new("a", DataType::Int32, true));
        let outer = StructArray::new(vec![field].into(), vec![members], Some(NullBuffer::from(vec![true, false, true])));
        let stats = seen(vec![Arc::new(outer)], &[0, 0]);
        assert_eq!((stats.lower, stats.upper), (Some(Value::Int(1)), Some(Value::Int(3))));
        assert_eq!((stats.null_count, stats.value_count), (None, None));
    }
}
