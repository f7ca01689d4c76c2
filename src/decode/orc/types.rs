//! ORC types as Arrow's (Iceberg spec, appendix A, "ORC"), and what has to happen to decoded columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit, UnionFields, UnionMode};

use super::tail::RawType;
use super::wire::damaged;
use crate::decode::{FIELD_ID, MAX_DEPTH};
use crate::error::{Error, Result};

/// The kind of lists.
pub(super) const LIST: u64 = 10;
/// The kind of maps.
pub(super) const MAP: u64 = 11;
/// The kind of structs.
pub(super) const STRUCT: u64 = 12;

/// Whether values of this kind are texts or bytes.
pub(super) const fn is_bytes(kind: u64) -> bool {
    matches!(kind, 7 | 8 | 16 | 17)
}

/// Timestamps are decoded as decimals of seconds: 64 bits of nanoseconds end in 2262, and ORC's do not.
const SECONDS: DataType = DataType::Decimal128(38, 9);

/// A column and how to get it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// As it is handed out.
    pub(super) field: FieldRef,
    /// The type to decode it as.
    pub(super) decoded: DataType,
    /// From the one to the other.
    pub(super) settle: Settle,
}

/// What has to happen to a decoded column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Settle {
    /// Nothing.
    Keep,
    /// Decimals of seconds become timestamps.
    Timestamp(TimeUnit),
    /// The blanks that fill up texts of a fixed length go.
    Trim,
    /// Members.
    Struct(Vec<Self>),
    /// Elements.
    List(Box<Self>),
    /// Keys and values.
    Map(Box<Self>, Box<Self>),
    /// The kind cannot be decoded.
    Never,
}

/// The top-level columns of a file with `types`.
///
/// # Errors
///
/// `Corrupt` if they make no sense.
pub(super) fn columns(types: &[RawType]) -> Result<Vec<Column>> {
    members(types, types.first().ok_or_else(damaged)?, 0)
}

fn members(types: &[RawType], ty: &RawType, depth: usize) -> Result<Vec<Column>> {
    if ty.names.len() != ty.subtypes.len() {
        return Err(damaged());
    }
    ty.subtypes.iter().zip(&ty.names).map(|(at, name)| column(types, *at, name, depth + 1)).collect()
}

fn column(types: &[RawType], at: usize, name: &str, depth: usize) -> Result<Column> {
    if depth > MAX_DEPTH {
        return Err(Error::unsupported("the columns of the ORC file are nested too deeply"));
    }
    let ty = types.get(at).ok_or_else(damaged)?;
    let inner = |at: usize, name| column(types, *ty.subtypes.get(at).ok_or_else(damaged)?, name, depth + 1);
    let (shown, decoded, settle) = match ty.kind {
        LIST => {
            let element = inner(0, "element")?;
            let list = |field| DataType::List(field);
            (list(element.field.clone()), list(as_decoded(&element)), Settle::List(Box::new(element.settle)))
        }
        MAP => {
            let (key, value) = (inner(0, "key")?, inner(1, "value")?);
            let shown = map(vec![Arc::new(Field::clone(&key.field).with_nullable(false)), value.field.clone()]);
            let decoded = map(vec![Arc::new(Field::clone(&as_decoded(&key)).with_nullable(false)), as_decoded(&value)]);
            (shown, decoded, Settle::Map(Box::new(key.settle), Box::new(value.settle)))
        }
        STRUCT => {
            let members = members(types, ty, depth)?;
            let shown = members.iter().map(|member| member.field.clone()).collect();
            let decoded = members.iter().map(as_decoded).collect();
            let settle = members.into_iter().map(|member| member.settle).collect();
            (DataType::Struct(shown), DataType::Struct(decoded), Settle::Struct(settle))
        }
        _ => leaf(ty)?,
    };
    let field = Field::new(name, shown, true).with_metadata(id(ty));
    Ok(Column { field: Arc::new(field), decoded, settle })
}

fn id(ty: &RawType) -> HashMap<String, String> {
    ty.attribute("iceberg.id").map(|id| (FIELD_ID.to_string(), id.to_string())).into_iter().collect()
}

fn as_decoded(column: &Column) -> FieldRef {
    Arc::new(Field::clone(&column.field).with_data_type(column.decoded.clone()))
}

fn map(pair: Vec<FieldRef>) -> DataType {
    DataType::Map(Arc::new(Field::new_struct("entries", Fields::from(pair), false)), false)
}

/// Types of single values, as they are shown, as they are decoded, and from the one to the other.
fn leaf(ty: &RawType) -> Result<(DataType, DataType, Settle)> {
    let same = |ty: DataType| (ty.clone(), ty, Settle::Keep);
    let nanos = ty.attribute("iceberg.timestamp-unit") == Some("NANOS");
    let unit = if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
    Ok(match ty.kind {
        0 => same(DataType::Boolean),
        1 => same(DataType::Int8),
        2 => same(DataType::Int16),
        3 => same(DataType::Int32),
        4 => same(DataType::Int64),
        5 => same(DataType::Float32),
        6 => same(DataType::Float64),
        7 | 16 => same(DataType::Utf8),
        8 => same(DataType::Binary),
        9 => (DataType::Timestamp(unit, None), SECONDS, Settle::Timestamp(unit)),
        14 => {
            let precision = u8::try_from(ty.precision).ok().filter(|precision| (1..=38).contains(precision)).ok_or_else(damaged)?;
            let scale =
                i8::try_from(ty.scale).ok().filter(|scale| u64::from(precision) >= scale.unsigned_abs().into()).ok_or_else(damaged)?;
            same(DataType::Decimal128(precision, scale))
        }
        15 => same(DataType::Date32),
        17 => (DataType::Utf8, DataType::Utf8, Settle::Trim),
        18 => (DataType::Timestamp(unit, Some("UTC".into())), SECONDS, Settle::Timestamp(unit)),
        // Unions, and kinds that came later: columns that nobody asks for do not matter.
        _ => {
            let union = DataType::Union(UnionFields::empty(), UnionMode::Sparse);
            (union.clone(), union, Settle::Never)
        }
    })
}

impl Settle {
    /// Whether the column can be decoded.
    pub(super) fn possible(&self) -> bool {
        match self {
            Self::Never => false,
            Self::Struct(members) => members.iter().all(Self::possible),
            Self::List(element) => element.possible(),
            Self::Map(key, value) => key.possible() && value.possible(),
            Self::Keep | Self::Timestamp(_) | Self::Trim => true,
        }
    }

    /// Whether nothing has to happen, at any depth.
    pub(super) fn keeps(&self) -> bool {
        match self {
            Self::Keep => true,
            Self::Struct(members) => members.iter().all(Self::keeps),
            Self::List(element) => element.keeps(),
            Self::Map(key, value) => key.keeps() && value.keeps(),
            Self::Timestamp(_) | Self::Trim | Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(kind: u64, subtypes: &[usize], names: &[&str], attributes: &[(&str, &str)]) -> RawType {
        RawType {
            kind,
            subtypes: subtypes.to_vec(),
            names: names.iter().map(ToString::to_string).collect(),
            attributes: attributes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ..RawType::default()
        }
    }

    #[test]
    fn attributes_say_ids_and_units_at_every_depth() {
        let types = [
            ty(STRUCT, &[1, 2], &["list", "instant"], &[]),
            ty(10, &[3], &[], &[("iceberg.id", "5")]),
            ty(18, &[], &[], &[("iceberg.id", "9"), ("iceberg.timestamp-unit", "MICROS")]),
            ty(9, &[], &[], &[("iceberg.id", "6"), ("iceberg.timestamp-unit", "NANOS")]),
        ];
        let columns = columns(&types).unwrap();
        let DataType::List(element) = columns[0].field.data_type() else { panic!("{columns:?}") };
        assert_eq!(element.data_type(), &DataType::Timestamp(TimeUnit::Nanosecond, None));
        assert_eq!((&columns[0].field.metadata()[FIELD_ID], &element.metadata()[FIELD_ID]), (&"5".to_string(), &"6".to_string()));
        assert_eq!(columns[1].field.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert_eq!(columns[1].decoded, SECONDS);
    }

    #[test]
    fn unions_can_lie_beside_what_is_read_and_impossible_types_are_damage() {
        let types = [ty(STRUCT, &[1, 2], &["u", "n"], &[]), ty(13, &[], &[], &[]), ty(4, &[], &[], &[])];
        let columns = columns(&types).unwrap();
        assert_eq!((columns[0].settle.possible(), columns[1].settle.possible()), (false, true));
        assert!(super::columns(&[ty(STRUCT, &[1], &[], &[]), ty(4, &[], &[], &[])]).is_err());
        assert!(super::columns(&[ty(STRUCT, &[1], &["l"], &[]), ty(10, &[], &[], &[])]).is_err());
        let decimal = RawType { precision: 39, ..ty(14, &[], &[], &[]) };
        assert!(super::columns(&[ty(STRUCT, &[1], &["d"], &[]), decimal]).is_err());
    }
}
