//! Batches of a file become batches of the table.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, MapArray, StringArray, StructArray, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType};

use super::resolve::{Column, Node};
use crate::model::Value;

/// A column of the target for `rows` rows of which the file has `stored`.
///
/// # Errors
///
/// If a value does not fit its type or a required value is null. The error's text may hold a value: it must not be shown, unless it is one of
/// ours inside an `ExternalError`.
pub(in crate::engine) fn column(column: &Column, stored: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
    match column {
        Column::Constant(value, ty) => constant(value.as_ref(), ty, rows),
        Column::Stored(at, node) => {
            let array = stored.get(*at).ok_or_else(|| ArrowError::SchemaError("a column was not read".into()))?;
            apply(node, array)
        }
    }
}

fn apply(node: &Node, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mismatch = || ArrowError::SchemaError("a column was read as another type".into());
    match node {
        Node::Leaf(conversion) => conversion.apply(array),
        Node::Variant(unshredding) => {
            let stored = array.as_struct_opt().ok_or_else(mismatch)?;
            unshredding.apply(stored).map_err(|error| ArrowError::ExternalError(Box::new(error)))
        }
        Node::Struct(members, fields) => {
            let stored = array.as_struct_opt().ok_or_else(mismatch)?;
            let arrays: Result<Vec<ArrayRef>, _> = members.iter().map(|m| column(m, stored.columns(), stored.len())).collect();
            // Nulls of the struct itself are kept, whatever lies below them.
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), arrays?, stored.nulls().cloned(), stored.len())?))
        }
        Node::List(element, field) => {
            let stored = array.as_list_opt::<i32>().ok_or_else(mismatch)?;
            let values = apply(element, stored.values())?;
            Ok(Arc::new(ListArray::try_new(field.clone(), stored.offsets().clone(), values, stored.nulls().cloned())?))
        }
        Node::Map(key, value, field) => {
            let stored = array.as_map_opt().ok_or_else(mismatch)?;
            let DataType::Struct(pair) = field.data_type() else { return Err(mismatch()) };
            let entries = vec![apply(key, stored.keys())?, apply(value, stored.values())?];
            let entries = StructArray::try_new(pair.clone(), entries, None)?;
            Ok(Arc::new(MapArray::try_new(field.clone(), stored.offsets().clone(), entries, stored.nulls().cloned(), false)?))
        }
    }
}

/// `rows` times the same value.
fn constant(value: Option<&Value>, ty: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    let Some(value) = value else {
        return Ok(new_null_array(ty, rows));
    };
    let array: ArrayRef = match value {
        Value::Bool(v) => Arc::new(BooleanArray::from(vec![*v; rows])),
        Value::Int(v) => Arc::new(Int32Array::from_value(*v, rows)),
        Value::Long(v) => Arc::new(Int64Array::from_value(*v, rows)),
        Value::Float(v) => Arc::new(Float32Array::from_value(*v, rows)),
        Value::Double(v) => Arc::new(Float64Array::from_value(*v, rows)),
        Value::Decimal(v, scale) => Arc::new(Decimal128Array::from_value(*v, rows).with_precision_and_scale(38, *scale)?),
        Value::String(v) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(v, rows))),
        Value::Bytes(v) if matches!(ty, DataType::FixedSizeBinary(_)) => {
            Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::repeat_n(v, rows))?)
        }
        Value::Bytes(v) => Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n(v, rows))),
    };
    if array.data_type() == ty {
        return Ok(array);
    }
    cast_with_options(&array, ty, &CastOptions { safe: false, ..CastOptions::default() })
}
