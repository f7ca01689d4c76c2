//! What a file stores of a variant column: which members hold values in typed form, and of what type (Parquet, `VariantShredding.md`).

use arrow_schema::{DataType, Fields, TimeUnit};
use parquet::basic::{LogicalType, Type as Physical};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::super::resolve::leaves;
use crate::error::{Error, Result};

/// The members of a variant, or of a part of one: positions among those of its group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Values as a variant's bytes.
    pub(super) value: Option<usize>,
    /// Values in typed form.
    pub(super) typed: Option<(usize, Typed)>,
}

/// Values in typed form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Single values.
    Single(Single),
    /// Arrays of such elements.
    Array(Box<Shape>),
    /// Objects with these members, in the order of their names; with the position of each.
    Object(Vec<(String, usize, Shape)>),
}

/// Types of single values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Single {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    /// Digits after the point, kept in 4, 8 or 16 bytes.
    Decimal(u8, DecimalWidth),
    Date,
    Time,
    /// Microseconds; in UTC or without a zone.
    Timestamp(bool),
    /// Nanoseconds; in UTC or without a zone.
    TimestampNs(bool),
    Binary,
    String,
    Uuid,
}

/// How many bytes a decimal's digits take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalWidth {
    Four,
    Eight,
    Sixteen,
}

impl Shape {
    /// The shape of the group `members`, whose first leaf is the file's leaf number `leaf`. `others` are members that are no part of it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for members and types that shredding does not have, `Corrupt` for groups that hold no values.
    pub(super) fn of(members: &Fields, others: &[&str], file: &SchemaDescriptor, leaf: usize) -> Result<Self> {
        let mut shape = Self { value: None, typed: None };
        let mut leaf = leaf;
        for (at, member) in members.iter().enumerate() {
            match member.name().as_str() {
                "value" if *member.data_type() == DataType::Binary => shape.value = Some(at),
                "typed_value" => shape.typed = Some((at, Typed::of(member.data_type(), file, leaf)?)),
                name if others.contains(&name) => {}
                _ => return Err(Error::unsupported("a variant has members that its encoding does not have")),
            }
            leaf += leaves(member.data_type());
        }
        if shape.value.is_none() && shape.typed.is_none() {
            return Err(Error::corrupt("a part of a variant has neither values nor typed values"));
        }
        Ok(shape)
    }
}

impl Typed {
    fn of(ty: &DataType, file: &SchemaDescriptor, leaf: usize) -> Result<Self> {
        match ty {
            DataType::List(element) => {
                let DataType::Struct(members) = element.data_type() else { return Err(unknown()) };
                Ok(Self::Array(Box::new(Shape::of(members, &[], file, leaf)?)))
            }
            DataType::Struct(members) => {
                let mut leaf = leaf;
                let mut shapes = Vec::with_capacity(members.len());
                for (at, member) in members.iter().enumerate() {
                    let DataType::Struct(parts) = member.data_type() else { return Err(unknown()) };
                    shapes.push((member.name().clone(), at, Shape::of(parts, &[], file, leaf)?));
                    leaf += leaves(member.data_type());
                }
                shapes.sort_by(|(a, ..), (b, ..)| a.as_bytes().cmp(b.as_bytes()));
                if shapes.windows(2).any(|pair| matches!(pair, [(a, ..), (b, ..)] if a == b)) {
                    return Err(Error::corrupt("a variant has two typed members of one name"));
                }
                Ok(Self::Object(shapes))
            }
            ty => {
                let column = file.columns().get(leaf).ok_or_else(|| Error::bug("a leaf was counted wrong"))?;
                single(ty, column).map(Self::Single).ok_or_else(unknown)
            }
        }
    }
}

fn unknown() -> Error {
    Error::unsupported("a variant has typed values of a type that shredding does not have")
}

/// The type of values that are stored as `ty` (section "Shredded Value Types").
fn single(ty: &DataType, column: &ColumnDescriptor) -> Option<Single> {
    let physical = column.physical_type();
    if physical == Physical::INT96 {
        return None;
    }
    Some(match ty {
        DataType::Boolean => Single::Boolean,
        DataType::Int8 => Single::Int8,
        DataType::Int16 => Single::Int16,
        DataType::Int32 => Single::Int32,
        DataType::Int64 => Single::Int64,
        DataType::Float32 => Single::Float,
        DataType::Float64 => Single::Double,
        DataType::Decimal128(_, scale) => {
            let width = match physical {
                Physical::INT32 => DecimalWidth::Four,
                Physical::INT64 => DecimalWidth::Eight,
                _ => DecimalWidth::Sixteen,
            };
            Single::Decimal(u8::try_from(*scale).ok()?, width)
        }
        DataType::Date32 => Single::Date,
        DataType::Time64(TimeUnit::Microsecond) => Single::Time,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Single::Timestamp(zone.is_some()),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => Single::TimestampNs(zone.is_some()),
        DataType::Binary => Single::Binary,
        DataType::Utf8 => Single::String,
        DataType::FixedSizeBinary(16) if matches!(column.logical_type_ref(), Some(LogicalType::Uuid)) => Single::Uuid,
        _ => return None,
    })
}
