//! Counting NaNs.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::resolve::leaves;

/// Adds the NaNs of every leaf below `array` to `counts`, which has an entry for each. Leaves inside lists and maps are passed over.
pub(super) fn count_nans(array: &ArrayRef, counts: &mut [u64]) {
    count(array, None, counts);
}

fn count(array: &ArrayRef, above: Option<&NullBuffer>, counts: &mut [u64]) {
    match array.data_type() {
        DataType::Float32 => add(array, above, counts, |a| a.as_primitive::<Float32Type>().values().iter().map(|v| v.is_nan()).collect()),
        DataType::Float64 => add(array, above, counts, |a| a.as_primitive::<Float64Type>().values().iter().map(|v| v.is_nan()).collect()),
        DataType::Struct(_) => {
            let array = array.as_struct();
            let nulls = NullBuffer::union(above, array.nulls());
            let mut rest = counts;
            for member in array.columns() {
                let (mine, others) = rest.split_at_mut(leaves(member.data_type()).min(rest.len()));
                count(member, nulls.as_ref(), mine);
                rest = others;
            }
        }
        _ => {}
    }
}

fn add(array: &ArrayRef, above: Option<&NullBuffer>, counts: &mut [u64], which: impl Fn(&ArrayRef) -> Vec<bool>) {
    let Some(count) = counts.first_mut() else { return };
    let nan = which(array);
    let alive = |at: usize| array.is_valid(at) && above.is_none_or(|nulls| nulls.is_valid(at));
    // NaNs are rare: only where there are any is it asked which of them lie under nulls.
    if nan.contains(&true) {
        *count += nan.iter().enumerate().filter(|(at, nan)| **nan && alive(*at)).map(|_| 1).sum::<u64>();
    }
}
