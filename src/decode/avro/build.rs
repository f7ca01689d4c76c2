//! Columns that grow value by value.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    StringBuilder,
};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, NullArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};

use super::raw::{array, damaged, int, items, long, sized, take};
use super::schema::{Kind, Node};
use crate::error::{Error, Result};

/// Items of arrays and maps in one value.
const MOST_ITEMS: usize = 1 << 24;

/// About what a null takes in memory.
const NULL: usize = 8;
/// What the values of a batch may take besides the bytes they have in the file.
const MOST_BESIDES: usize = 256 << 20;
/// From here on a batch is large enough.
const MUCH_BESIDES: usize = 16 << 20;

/// Room for what values take in memory besides their bytes in the file: nulls of records with many fields and of wide types, symbols of enums.
/// A byte can stand for any amount of it.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Room {
    /// That of one batch.
    pub(super) const fn new() -> Self {
        Self(MOST_BESIDES)
    }

    /// Whether a row more may be decoded.
    pub(super) const fn is_left(&self) -> bool {
        self.0 > MOST_BESIDES - MUCH_BESIDES
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| Error::unsupported("a row of the Avro file takes too much memory"))?;
        Ok(())
    }
}

/// Values of one column.
pub(super) enum Column {
    Null(usize),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Fixed(FixedSizeBinaryBuilder, usize),
    Decimal(Decimal128Builder),
    Record(Fields, Vec<Self>, NullBufferBuilder),
    List(FieldRef, Box<Self>, Lists),
    Map(FieldRef, Box<Self>, Box<Self>, Lists),
}

/// Where lists end, and which are null.
#[derive(Debug)]
pub(super) struct Lists {
    lengths: Vec<usize>,
    nulls: NullBufferBuilder,
}

impl Default for Lists {
    fn default() -> Self {
        Self { lengths: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Lists {
    fn push(&mut self, length: usize, there: bool) {
        self.lengths.push(length);
        self.nulls.append(there);
    }
}

impl Column {
    /// An empty column for values of `node`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for unions of several types.
    pub(super) fn new(node: &Node) -> Result<Self> {
        Ok(match (&node.kind, &node.ty) {
            (Kind::Null, _) => Self::Null(0),
            (Kind::Boolean, _) => Self::Boolean(BooleanBuilder::new()),
            (Kind::Int, _) => Self::Int(Int32Builder::new()),
            (Kind::Long, _) => Self::Long(Int64Builder::new()),
            (Kind::Float, _) => Self::Float(Float32Builder::new()),
            (Kind::Double, _) => Self::Double(Float64Builder::new()),
            (Kind::Bytes | Kind::Fixed(_), DataType::Decimal128(precision, scale)) => {
                let builder = Decimal128Builder::new().with_precision_and_scale(*precision, *scale);
                Self::Decimal(builder.map_err(|e| Error::unsupported("a decimal of the Avro file is not understood").because(e))?)
            }
            (Kind::Bytes, DataType::Utf8) | (Kind::Enum(_), _) => Self::Text(StringBuilder::new()),
            (Kind::Bytes, _) => Self::Binary(BinaryBuilder::new()),
            (Kind::Fixed(size), DataType::FixedSizeBinary(width)) => Self::Fixed(FixedSizeBinaryBuilder::with_capacity(0, *width), *size),
            (Kind::Record(nodes), DataType::Struct(fields)) => {
                let columns = nodes.iter().map(Self::new).collect::<Result<_>>()?;
                Self::Record(fields.clone(), columns, NullBufferBuilder::new(0))
            }
            (Kind::Array(item), DataType::List(field)) => Self::List(field.clone(), Box::new(Self::new(item)?), Lists::default()),
            (Kind::Map(value), DataType::Map(field, _)) => {
                let key = Self::Text(StringBuilder::new());
                Self::Map(field.clone(), Box::new(key), Box::new(Self::new(value)?), Lists::default())
            }
            (Kind::Pairs(key, value), DataType::Map(field, _)) => {
                Self::Map(field.clone(), Box::new(Self::new(key)?), Box::new(Self::new(value)?), Lists::default())
            }
            (Kind::Optional(_, value), _) => Self::new(value)?,
            _ => return Err(Error::unsupported("the Avro file has a column of several types")),
        })
    }

    /// Appends the value of `node` at the front of `input`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is damaged, `Unsupported` if `room` does not hold what its bytes stand for.
    pub(super) fn push(&mut self, node: &Node, input: &mut &[u8], room: &mut Room) -> Result<()> {
        if let Kind::Optional(null, value) = &node.kind {
            return if branch(input, 2)? == *null { self.push_null(room) } else { self.push(value, input, room) };
        }
        match (self, &node.kind) {
            (Self::Null(count), Kind::Null) => *count += 1,
            (Self::Boolean(column), Kind::Boolean) => column.append_value(array::<1>(input)? != [0]),
            (Self::Int(column), Kind::Int) => column.append_value(int(input)?),
            (Self::Long(column), Kind::Long) => column.append_value(long(input)?),
            (Self::Float(column), Kind::Float) => column.append_value(f32::from_le_bytes(array(input)?)),
            (Self::Double(column), Kind::Double) => column.append_value(f64::from_le_bytes(array(input)?)),
            (Self::Text(column), Kind::Bytes) => column.append_value(std::str::from_utf8(sized(input)?).map_err(|_| damaged())?),
            (Self::Text(column), Kind::Enum(symbols)) => {
                let symbol = usize::try_from(long(input)?).ok().and_then(|at| symbols.get(at)).ok_or_else(damaged)?;
                room.take(symbol.len())?;
                column.append_value(symbol);
            }
            (Self::Binary(column), Kind::Bytes) => column.append_value(sized(input)?),
            (Self::Fixed(column, size), Kind::Fixed(_)) => column.append_value(take(input, *size)?).map_err(|_| damaged())?,
            (Self::Decimal(column), Kind::Bytes) => column.append_value(unscaled(sized(input)?)?),
            (Self::Decimal(column), Kind::Fixed(size)) => column.append_value(unscaled(take(input, *size)?)?),
            (Self::Record(_, columns, nulls), Kind::Record(nodes)) => {
                for (column, node) in columns.iter_mut().zip(nodes) {
                    column.push(node, input, room)?;
                }
                nulls.append_non_null();
            }
            (Self::List(_, column, lists), Kind::Array(item)) => {
                let length = items(input, MOST_ITEMS, |input| column.push(item, input, room))?;
                lists.push(length, true);
            }
            (Self::Map(_, keys, values, lists), Kind::Map(value)) => {
                let text = Node { kind: Kind::Bytes, ty: DataType::Utf8 };
                let length = items(input, MOST_ITEMS, |input| {
                    keys.push(&text, input, room)?;
                    values.push(value, input, room)
                })?;
                lists.push(length, true);
            }
            (Self::Map(_, keys, values, lists), Kind::Pairs(key, value)) => {
                let length = items(input, MOST_ITEMS, |input| {
                    keys.push(key, input, room)?;
                    values.push(value, input, room)
                })?;
                lists.push(length, true);
            }
            _ => return Err(Error::bug("an Avro column does not have its own type")),
        }
        Ok(())
    }

    fn push_null(&mut self, room: &mut Room) -> Result<()> {
        room.take(if let Self::Fixed(_, size) = self { *size } else { NULL })?;
        match self {
            Self::Null(count) => *count += 1,
            Self::Boolean(column) => column.append_null(),
            Self::Int(column) => column.append_null(),
            Self::Long(column) => column.append_null(),
            Self::Float(column) => column.append_null(),
            Self::Double(column) => column.append_null(),
            Self::Text(column) => column.append_null(),
            Self::Binary(column) => column.append_null(),
            Self::Fixed(column, _) => column.append_null(),
            Self::Decimal(column) => column.append_null(),
            Self::Record(_, columns, nulls) => {
                for column in columns {
                    column.push_null(room)?;
                }
                nulls.append_null();
            }
            Self::List(_, _, lists) | Self::Map(_, _, _, lists) => lists.push(0, false),
        }
        Ok(())
    }

    /// The values as an array of type `ty`.
    ///
    /// # Errors
    ///
    /// If a value does not fit. The error's text may hold the value: it must not be shown.
    pub(super) fn finish(self, ty: &DataType) -> Result<ArrayRef, ArrowError> {
        let plain: ArrayRef = match self {
            Self::Null(count) => Arc::new(NullArray::new(count)),
            Self::Boolean(mut column) => Arc::new(column.finish()),
            Self::Int(mut column) => Arc::new(column.finish()),
            Self::Long(mut column) => Arc::new(column.finish()),
            Self::Float(mut column) => Arc::new(column.finish()),
            Self::Double(mut column) => Arc::new(column.finish()),
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Binary(mut column) => Arc::new(column.finish()),
            Self::Fixed(mut column, _) => Arc::new(column.finish()),
            Self::Decimal(mut column) => Arc::new(column.finish()),
            Self::Record(fields, columns, mut nulls) => {
                let length = nulls.len();
                let members = columns.into_iter().zip(&fields).map(|(column, field)| column.finish(field.data_type()));
                let members = members.collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields, members, nulls.finish(), length)?)
            }
            Self::List(field, column, mut lists) => {
                let values = column.finish(field.data_type())?;
                Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lists.lengths), values, lists.nulls.finish())?)
            }
            Self::Map(field, keys, values, mut lists) => {
                let DataType::Struct(pair) = field.data_type() else { return Err(ArrowError::SchemaError("a map has no entries".into())) };
                let [key, value] = pair.as_ref() else { return Err(ArrowError::SchemaError("a map has no pairs".into())) };
                let columns = vec![keys.finish(key.data_type())?, values.finish(value.data_type())?];
                let entries = StructArray::try_new(pair.clone(), columns, None)?;
                Arc::new(MapArray::try_new(field, OffsetBuffer::from_lengths(lists.lengths), entries, lists.nulls.finish(), false)?)
            }
        };
        // Dates, times and timestamps are numbers until here.
        if plain.data_type() == ty { Ok(plain) } else { cast(&plain, ty) }
    }
}

/// Passes over the value of `node` at the front of `input`.
///
/// # Errors
///
/// `Corrupt` if it is damaged.
pub(super) fn skip(node: &Node, input: &mut &[u8]) -> Result<()> {
    match &node.kind {
        Kind::Null => {}
        Kind::Boolean => drop(take(input, 1)?),
        Kind::Int | Kind::Long | Kind::Enum(_) => drop(long(input)?),
        Kind::Float => drop(take(input, 4)?),
        Kind::Double => drop(take(input, 8)?),
        Kind::Bytes => drop(sized(input)?),
        Kind::Fixed(size) => drop(take(input, *size)?),
        Kind::Record(nodes) => nodes.iter().try_for_each(|node| skip(node, input))?,
        Kind::Array(item) => drop(items(input, MOST_ITEMS, |input| skip(item, input))?),
        Kind::Map(value) => drop(items(input, MOST_ITEMS, |input| {
            sized(input)?;
            skip(value, input)
        })?),
        Kind::Pairs(key, value) => drop(items(input, MOST_ITEMS, |input| {
            skip(key, input)?;
            skip(value, input)
        })?),
        Kind::Optional(null, value) => {
            if branch(input, 2)? != *null {
                skip(value, input)?;
            }
        }
        Kind::Union(nodes) => {
            let branch = branch(input, nodes.len())?;
            nodes.get(branch).map_or_else(|| Err(damaged()), |node| skip(node, input))?;
        }
    }
    Ok(())
}

/// Takes the branch of a union that has so many.
fn branch(input: &mut &[u8], branches: usize) -> Result<usize> {
    usize::try_from(long(input)?).ok().filter(|branch| *branch < branches).ok_or_else(damaged)
}

/// A big-endian number in two's complement of any length, as long as it fits.
fn unscaled(bytes: &[u8]) -> Result<i128> {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let (extra, digits) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut number = [sign; 16];
    let start = number.len() - digits.len();
    if let Some(tail) = number.get_mut(start..) {
        tail.copy_from_slice(digits);
    }
    let number = i128::from_be_bytes(number);
    if extra.iter().any(|byte| *byte != sign) || (number < 0) != (sign == 0xff) {
        return Err(damaged());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_every_length_are_numbers_in_twos_complement() {
        for (bytes, value) in [
            (vec![], 0),
            (vec![0xff], -1),
            (vec![0x00, 0xff], 255),
            (vec![0x80, 0x00], -32_768),
            ([vec![0xff; 4], i128::MIN.to_be_bytes().to_vec()].concat(), i128::MIN),
        ] {
            assert_eq!(unscaled(&bytes).unwrap(), value);
        }
        assert!(unscaled(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(unscaled(&[[0].as_slice(), &[0xff; 16]].concat()).is_err());
    }
}
