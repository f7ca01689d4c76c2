//! Single values of decoded columns.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::target::Target;
use crate::error::{Error, Result};
use crate::model::{Field, Primitive, Transform, Type, Value};

/// A column whose values are transformed.
#[derive(Debug)]
pub(super) struct Source {
    /// Positions from the top level down through structs.
    path: Vec<usize>,
    ty: Primitive,
    transform: Transform,
}

/// The columns `fields` (id and transform) of `target`.
///
/// # Errors
///
/// `Bug` if there is no such column of single values.
pub(super) fn sources(target: &Target, fields: &[(i32, Transform)]) -> Result<Vec<Source>> {
    let source = |(id, transform): &(i32, Transform)| {
        if *transform == Transform::Void {
            return Ok(Source { path: Vec::new(), ty: Primitive::Int, transform: Transform::Void });
        }
        let missing = || Error::bug("rows cannot be sorted by a column they do not have").about("column", id);
        let (path, ty) = find(&target.fields, *id).ok_or_else(missing)?;
        Ok(Source { path, ty, transform: transform.clone() })
    };
    fields.iter().map(source).collect()
}

fn find(fields: &[Field], id: i32) -> Option<(Vec<usize>, Primitive)> {
    fields.iter().enumerate().find_map(|(at, field)| match &field.ty {
        Type::Primitive(ty) if field.id == id => Some((vec![at], *ty)),
        Type::Struct(members) => {
            let (mut path, ty) = find(members, id)?;
            path.insert(0, at);
            Some((path, ty))
        }
        _ => None,
    })
}

impl Source {
    /// The transformed values of `rows` rows.
    ///
    /// # Errors
    ///
    /// As [`Transform::apply`].
    pub(super) fn values(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<Option<Value>>> {
        let Some((first, below)) = self.path.split_first() else { return Ok(vec![None; rows]) };
        let misfit = || Error::bug("a column has another type than its schema says");
        let mut parents = Vec::new();
        let mut array = columns.get(*first).ok_or_else(misfit)?;
        for at in below {
            parents.push(array);
            array = array.as_struct_opt().and_then(|members| members.columns().get(*at)).ok_or_else(misfit)?;
        }
        let value = |row: usize| {
            if array.is_null(row) || parents.iter().any(|parent| parent.is_null(row)) {
                return Ok(None);
            }
            let value = value_at(array, row).ok_or_else(misfit)?;
            self.transform.apply(Some(&value), self.ty)
        };
        (0..rows).map(value).collect()
    }
}

/// The value in `row`, which is not null, of a column with one of the types of [`super::target::arrow_primitive`].
fn value_at(array: &ArrayRef, row: usize) -> Option<Value> {
    Some(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row)),
        DataType::Date32 => Value::Int(array.as_primitive::<Date32Type>().value(row)),
        DataType::Int64 => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Time64(TimeUnit::Microsecond) => Value::Long(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Value::Long(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Value::Long(array.as_primitive::<TimestampNanosecondType>().value(row)),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(_, scale) => Value::Decimal(array.as_primitive::<Decimal32Type>().value(row).into(), *scale),
        DataType::Decimal64(_, scale) => Value::Decimal(array.as_primitive::<Decimal64Type>().value(row).into(), *scale),
        DataType::Decimal128(_, scale) => Value::Decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_string()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Value::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        _ => return None,
    })
}
