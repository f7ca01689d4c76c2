//! Rows as keys that are equal where Iceberg's reference implementation takes rows for equal.
//!
//! Its `DeleteFilter` keeps deleted rows in a set of `StructLikeWrapper`s, which compare and hash by `Comparators` and `JavaHash`: null equals null;
//! numbers of floating point go by Java's `Float.compare` and `Double.compare`, for which every NaN equals every other and `-0.0` is not `0.0`.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// The compared columns of one batch.
pub(super) struct Keys {
    leaves: Vec<Leaf>,
}

/// A column of single values, null also where a struct around it is.
struct Leaf {
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    Flags(BooleanArray),
    /// Values of so many bytes each.
    Fixed(Buffer, usize),
    Floats(Buffer),
    Doubles(Buffer),
    Texts(StringArray),
    Bytes(BinaryArray),
    FixedBytes(FixedSizeBinaryArray),
}

impl Keys {
    /// Keys of `columns`, whose structs hold compared columns alone.
    ///
    /// # Errors
    ///
    /// `Unsupported` for columns that have no single value in a row.
    pub(super) fn new(columns: &[ArrayRef]) -> Result<Self> {
        let mut leaves = Vec::new();
        for column in columns {
            gather(column, None, &mut leaves)?;
        }
        Ok(Self { leaves })
    }

    /// Writes the key of row `row` to `key`, which is emptied first.
    pub(super) fn write(&self, row: usize, key: &mut Vec<u8>) {
        key.clear();
        for leaf in &self.leaves {
            if leaf.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                key.push(0);
                continue;
            }
            key.push(1);
            match &leaf.values {
                Values::Flags(values) => key.push(u8::from(values.value(row))),
                Values::Fixed(bytes, width) => key.extend_from_slice(at(bytes, row, *width)),
                Values::Floats(bytes) => {
                    let value = f32::from_le_bytes(at(bytes, row, 4).try_into().unwrap_or_default());
                    key.extend_from_slice(&if value.is_nan() { f32::NAN } else { value }.to_le_bytes());
                }
                Values::Doubles(bytes) => {
                    let value = f64::from_le_bytes(at(bytes, row, 8).try_into().unwrap_or_default());
                    key.extend_from_slice(&if value.is_nan() { f64::NAN } else { value }.to_le_bytes());
                }
                Values::Texts(values) => text(values.value(row).as_bytes(), key),
                Values::Bytes(values) => text(values.value(row), key),
                Values::FixedBytes(values) => key.extend_from_slice(values.value(row)),
            }
        }
    }
}

fn at(bytes: &Buffer, row: usize, width: usize) -> &[u8] {
    bytes.get(row * width..(row + 1) * width).unwrap_or_default()
}

/// The length goes first, so that no two rows of several texts run into the same key.
fn text(bytes: &[u8], key: &mut Vec<u8>) {
    key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    key.extend_from_slice(bytes);
}

fn gather(column: &ArrayRef, above: Option<&NullBuffer>, leaves: &mut Vec<Leaf>) -> Result<()> {
    let nulls = NullBuffer::union(above, column.nulls());
    if let Some(members) = column.as_struct_opt() {
        return members.columns().iter().try_for_each(|member| gather(member, nulls.as_ref(), leaves));
    }
    let values = match column.data_type() {
        DataType::Boolean => Values::Flags(column.as_boolean().clone()),
        DataType::Float32 => Values::Floats(raw(column, 4)?),
        DataType::Float64 => Values::Doubles(raw(column, 8)?),
        DataType::Utf8 => Values::Texts(column.as_string().clone()),
        DataType::Binary => Values::Bytes(column.as_binary().clone()),
        DataType::FixedSizeBinary(_) => Values::FixedBytes(column.as_fixed_size_binary().clone()),
        other => {
            let width = other.primitive_width().ok_or_else(|| Error::unsupported("an equality delete compares nested columns"))?;
            Values::Fixed(raw(column, width)?, width)
        }
    };
    leaves.push(Leaf { nulls, values });
    Ok(())
}

/// The values of a column of fixed width, one after the other.
fn raw(column: &ArrayRef, width: usize) -> Result<Buffer> {
    let data = column.to_data();
    let buffer = data.buffers().first().ok_or_else(|| Error::bug("a column of numbers has no values"))?;
    let (start, length) = (data.offset().saturating_mul(width), data.len().saturating_mul(width));
    if start.saturating_add(length) > buffer.len() {
        return Err(Error::bug("a column of numbers has too few values"));
    }
    Ok(buffer.slice_with_length(start, length))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Decimal128Array, Float32Array, Float64Array, Int64Array, StructArray};
    use arrow_schema::{Field, Fields};

    use super::*;

    fn keys(columns: &[ArrayRef]) -> Vec<Vec<u8>> {
        let keys = Keys::new(columns).unwrap();
        let write = |row| {
            let mut key = Vec::new();
            keys.write(row, &mut key);
            key
        };
        (0..columns[0].len()).map(write).collect()
    }

    /// For each row, the first row with the same key.
    fn classes(columns: &[ArrayRef]) -> Vec<usize> {
        let keys = keys(columns);
        keys.iter().map(|key| keys.iter().position(|other| other == key).unwrap()).collect()
    }

    #[test]
    fn nans_are_one_value_and_the_two_zeros_are_two_as_in_java() {
        let payload = f64::from_bits(f64::NAN.to_bits() ^ 1 << 63 | 5);
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(payload), None, Some(0.0)]));
        assert_eq!(classes(&[doubles]), [0, 1, 2, 2, 4, 0]);
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![0.0, -0.0, f32::NAN, -f32::NAN]));
        assert_eq!(classes(&[floats]), [0, 1, 2, 2]);
    }

    #[test]
    fn nulls_equal_nulls_and_nothing_else() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(0), None, Some(0)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some(""), Some("")]));
        assert_eq!(classes(&[Arc::clone(&numbers)]), [0, 1, 0, 1]);
        assert_eq!(classes(&[numbers, texts]), [0, 1, 0, 3]);
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let a: ArrayRef = Arc::new(StringArray::from(vec!["ab", "a", "ab"]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["c", "bc", "c"]));
        assert_eq!(classes(&[a, b]), [0, 1, 0]);
    }

    #[test]
    fn members_of_a_null_struct_are_null_and_slices_keep_their_place() {
        let member: ArrayRef = Arc::new(Decimal128Array::from(vec![7, 7, 8, 7]).with_precision_and_scale(20, 2).unwrap());
        let fields = Fields::from(vec![Field::new("m", member.data_type().clone(), true)]);
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let whole: ArrayRef = Arc::new(StructArray::new(fields, vec![member], Some(nulls)));
        assert_eq!(classes(&[Arc::clone(&whole)]), [0, 1, 2, 0]);
        let (all, slice) = (keys(&[Arc::clone(&whole)]), keys(&[whole.slice(2, 2)]));
        assert_eq!(all[2..], slice);
    }
}
