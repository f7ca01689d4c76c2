//! Rows as queries see them: names as users see them, UUIDs as text, every decimal in 128 bits, a variant as a struct of its two binaries.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Decimal32Type, Decimal64Type};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, ListArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, SchemaRef};

use super::parquet::target::arrow_primitive;
use crate::model::{Field, Primitive, Schema, Type};

/// The schema of rows of `schema`.
pub(super) fn visible(schema: &Schema) -> SchemaRef {
    Arc::new(ArrowSchema::new(schema.fields.iter().map(visible_field).collect::<Vec<_>>()))
}

fn visible_field(field: &Field) -> ArrowField {
    ArrowField::new(&field.name, visible_type(&field.ty), !field.required)
}

fn visible_type(ty: &Type) -> DataType {
    match ty {
        Type::Primitive(Primitive::Uuid) => DataType::Utf8,
        Type::Primitive(Primitive::Decimal(precision, scale)) => DataType::Decimal128(*precision, *scale),
        Type::Primitive(primitive) => arrow_primitive(*primitive),
        Type::Struct(members) => DataType::Struct(members.iter().map(visible_field).collect()),
        Type::List(element) => DataType::List(Arc::new(visible_field(element))),
        Type::Map(key, value) => {
            let pair = Fields::from(vec![visible_field(key).with_nullable(false), visible_field(value)]);
            DataType::Map(Arc::new(ArrowField::new("key_value", DataType::Struct(pair), false)), false)
        }
    }
}

/// `columns`, as a reader makes them, in the types of `schema`.
///
/// # Errors
///
/// If they do not go together. The error's text may hold a value: it must not be shown.
pub(super) fn batch(columns: &[ArrayRef], rows: usize, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns: Result<Vec<ArrayRef>, _> =
        columns.iter().zip(schema.fields()).map(|(array, field)| show(array, field.data_type())).collect();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns?, &options)
}

fn show(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let nulls = || array.nulls().cloned();
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::FixedSizeBinary(16), DataType::Utf8) => Ok(Arc::new(uuids(array.as_fixed_size_binary()))),
        (DataType::Decimal32(..), DataType::Decimal128(..)) => decimals::<Decimal32Type>(array, to),
        (DataType::Decimal64(..), DataType::Decimal128(..)) => decimals::<Decimal64Type>(array, to),
        (DataType::Struct(_), DataType::Struct(members)) => {
            let stored = array.as_struct();
            let columns: Result<Vec<ArrayRef>, _> =
                stored.columns().iter().zip(members).map(|(column, member)| show(column, member.data_type())).collect();
            Ok(Arc::new(StructArray::try_new_with_length(members.clone(), columns?, nulls(), stored.len())?))
        }
        (DataType::List(_), DataType::List(element)) => {
            let stored = array.as_list::<i32>();
            let values = show(stored.values(), element.data_type())?;
            Ok(Arc::new(ListArray::try_new(FieldRef::clone(element), stored.offsets().clone(), values, nulls())?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let DataType::Struct(pair) = entries.data_type() else { return Err(ArrowError::SchemaError("a map has no entries".into())) };
            let stored = array.as_map();
            let parts = [stored.keys(), stored.values()];
            let columns: Result<Vec<ArrayRef>, _> =
                parts.into_iter().zip(pair).map(|(column, member)| show(column, member.data_type())).collect();
            let shown = StructArray::try_new(pair.clone(), columns?, None)?;
            Ok(Arc::new(MapArray::try_new(FieldRef::clone(entries), stored.offsets().clone(), shown, nulls(), *sorted)?))
        }
        _ => cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

/// Wider numbers of the same scale.
fn decimals<T: ArrowPrimitiveType>(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError>
where
    T::Native: Into<i64>,
{
    let DataType::Decimal128(precision, scale) = to else { return Err(ArrowError::SchemaError("not a decimal".into())) };
    let wide = array.as_primitive::<T>().unary::<_, arrow_array::types::Decimal128Type>(|number| i128::from(number.into()));
    Ok(Arc::new(wide.with_precision_and_scale(*precision, *scale)?))
}

/// UUIDs as RFC 9562 writes them.
fn uuids(array: &FixedSizeBinaryArray) -> StringArray {
    let text = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).map(|uuid| uuid.to_string()).ok();
    array.iter().map(|bytes| bytes.and_then(text)).collect()
}
