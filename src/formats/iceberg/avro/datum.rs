//! Avro values in their plain physical form, read and written byte for byte (Avro specification, "Binary Encoding").

use super::shape::{RecordShape, Shape};
use crate::error::{Error, Result};

/// A list may hold no more items than this.
const MAX_ITEMS: usize = 1 << 26;

/// A value without its logical type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    /// null
    Null,
    /// boolean
    Bool(bool),
    /// int, long, or the index of an enum's symbol
    Long(i64),
    /// float
    Float(f32),
    /// double
    Double(f64),
    /// bytes or fixed
    Bytes(Vec<u8>),
    /// string
    Text(String),
    /// array
    Array(Vec<Self>),
    /// map, in the order of the file
    Map(Vec<(String, Self)>),
    /// fields in order
    Record(Vec<Self>),
    /// the branch and its value
    Union(usize, Box<Self>),
}

impl Datum {
    /// The value without the union around it.
    pub(crate) fn plain(&self) -> &Self {
        match self {
            Self::Union(_, inner) => inner.plain(),
            other => other,
        }
    }

    /// Whether this is null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.plain(), Self::Null)
    }

    /// A whole number.
    pub(crate) fn as_long(&self) -> Option<i64> {
        match self.plain() {
            Self::Long(value) => Some(*value),
            _ => None,
        }
    }

    /// A text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self.plain() {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Bytes.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match self.plain() {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn as_items(&self) -> Option<&[Self]> {
        match self.plain() {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The values of a record.
    pub(crate) fn as_record(&self) -> Option<&[Self]> {
        match self.plain() {
            Self::Record(values) => Some(values),
            _ => None,
        }
    }
}

fn short() -> Error {
    Error::corrupt("Avro data is cut short or damaged")
}

/// Reads one value of `shape` off the front of `input`.
///
/// # Errors
///
/// `Corrupt` if the bytes are no such value.
pub(crate) fn decode(shape: &Shape, input: &mut &[u8]) -> Result<Datum> {
    Ok(match shape {
        Shape::Null => Datum::Null,
        Shape::Boolean => Datum::Bool(take(input, 1)?.first().is_some_and(|byte| *byte != 0)),
        Shape::Int | Shape::Long | Shape::Enum => Datum::Long(long(input)?),
        Shape::Float => Datum::Float(f32::from_le_bytes(array(take(input, 4)?)?)),
        Shape::Double => Datum::Double(f64::from_le_bytes(array(take(input, 8)?)?)),
        Shape::Bytes => Datum::Bytes(sized(input)?.to_vec()),
        Shape::String => Datum::Text(text(input)?),
        Shape::Fixed(size) => Datum::Bytes(take(input, *size)?.to_vec()),
        Shape::Array(item) => {
            let mut items = Vec::new();
            blocks(input, |input| {
                items.push(decode(item, input)?);
                Ok(items.len())
            })?;
            Datum::Array(items)
        }
        Shape::Map(value) => {
            let mut entries = Vec::new();
            blocks(input, |input| {
                entries.push((text(input)?, decode(value, input)?));
                Ok(entries.len())
            })?;
            Datum::Map(entries)
        }
        Shape::Union(branches) => {
            let (branch, shape) = branch(branches, input)?;
            Datum::Union(branch, Box::new(decode(shape, input)?))
        }
        Shape::Bare(branches) => decode(branch(branches, input)?.1, input)?,
        Shape::Record(record) => {
            let mut values = Vec::with_capacity(record.fields.len());
            for (_, shape) in &record.fields {
                values.push(decode(shape, input)?);
            }
            Datum::Record(values)
        }
        Shape::Skipped(inner) => {
            skip(inner, input)?;
            Datum::Null
        }
    })
}

/// Takes the number of a union's branch off the front of `input`.
fn branch<'a>(branches: &'a [Shape], input: &mut &[u8]) -> Result<(usize, &'a Shape)> {
    let branch = usize::try_from(long(input)?).map_err(|_| short())?;
    Ok((branch, branches.get(branch).ok_or_else(short)?))
}

/// Takes one value of `shape` off the front of `input` without keeping it. Texts are not looked at.
fn skip(shape: &Shape, input: &mut &[u8]) -> Result<()> {
    match shape {
        Shape::Null => {}
        Shape::Boolean => drop(take(input, 1)?),
        Shape::Int | Shape::Long | Shape::Enum => drop(long(input)?),
        Shape::Float => drop(take(input, 4)?),
        Shape::Double => drop(take(input, 8)?),
        Shape::Bytes | Shape::String => drop(sized(input)?),
        Shape::Fixed(size) => drop(take(input, *size)?),
        Shape::Array(item) => skip_blocks(input, |input| skip(item, input))?,
        Shape::Map(value) => skip_blocks(input, |input| {
            sized(input)?;
            skip(value, input)
        })?,
        Shape::Union(branches) | Shape::Bare(branches) => skip(branch(branches, input)?.1, input)?,
        Shape::Record(record) => record.fields.iter().try_for_each(|(_, shape)| skip(shape, input))?,
        Shape::Skipped(inner) => skip(inner, input)?,
    }
    Ok(())
}

fn skip_blocks(input: &mut &[u8], mut item: impl FnMut(&mut &[u8]) -> Result<()>) -> Result<()> {
    let mut items = 0;
    blocks(input, |input| {
        item(input)?;
        items += 1;
        Ok(items)
    })
}

fn blocks(input: &mut &[u8], mut item: impl FnMut(&mut &[u8]) -> Result<usize>) -> Result<()> {
    loop {
        let mut count = long(input)?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            count = count.checked_neg().ok_or_else(short)?;
            long(input)?;
        }
        // An item has a byte or more in every list there is in metadata. Were others allowed, a few bytes could come to any number of them.
        if usize::try_from(count).map_or(true, |count| count > input.len()) {
            return Err(short());
        }
        for _ in 0..count {
            if item(input)? > MAX_ITEMS {
                return Err(short());
            }
        }
    }
}

/// Takes `count` bytes off the front.
pub(super) fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, tail) = input.split_at_checked(count).ok_or_else(short)?;
    *input = tail;
    Ok(head)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| short())
}

/// Takes a length and that many bytes off the front.
pub(super) fn sized<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = usize::try_from(long(input)?).map_err(|_| short())?;
    take(input, length)
}

/// Takes a string off the front.
pub(super) fn text(input: &mut &[u8]) -> Result<String> {
    String::from_utf8(sized(input)?.to_vec()).map_err(|_| Error::corrupt("text in an Avro file is not UTF-8"))
}

/// Takes a zig-zag number off the front.
pub(super) fn long(input: &mut &[u8]) -> Result<i64> {
    // Most numbers are small.
    if let [byte @ 0..0x80, rest @ ..] = *input {
        *input = rest;
        let raw = i64::from(*byte);
        return Ok((raw >> 1) ^ -(raw & 1));
    }
    let mut raw = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(input, 1)?.first().ok_or_else(short)?;
        raw |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
        }
    }
    Err(short())
}

/// Appends a zig-zag number.
pub(super) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw.to_le_bytes()[0] | 0x80);
        raw >>= 7;
    }
    out.push(raw.to_le_bytes()[0]);
}

/// Appends a length and the bytes.
pub(super) fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    put_long(i64::try_from(count).unwrap_or(i64::MAX), out);
}

/// Appends `datum` as a value of `shape`. A union may be left out around the datum: the first branch that fits is taken.
///
/// # Errors
///
/// `Bug` if the datum is no such value; `Corrupt` for an int that is none.
pub(crate) fn encode(shape: &Shape, datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match (shape, datum) {
        (Shape::Union(branches), Datum::Union(branch, inner)) => {
            let shape = branches.get(*branch).ok_or_else(misfit)?;
            put_count(*branch, out);
            return encode(shape, inner, out);
        }
        (Shape::Union(branches), plain) => {
            let branch = branches.iter().position(|shape| fits(shape, plain)).ok_or_else(misfit)?;
            put_count(branch, out);
            return encode(branches.get(branch).ok_or_else(misfit)?, plain, out);
        }
        (Shape::Null, Datum::Null) => {}
        (Shape::Boolean, Datum::Bool(value)) => out.push(u8::from(*value)),
        (Shape::Int, Datum::Long(value)) if i32::try_from(*value).is_err() => return Err(Error::corrupt("an Avro int is out of range")),
        (Shape::Int | Shape::Long | Shape::Enum, Datum::Long(value)) => put_long(*value, out),
        (Shape::Float, Datum::Float(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Shape::Double, Datum::Double(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Shape::Bytes, Datum::Bytes(value)) => put_sized(value, out),
        (Shape::Fixed(size), Datum::Bytes(value)) if value.len() == *size => out.extend_from_slice(value),
        (Shape::String, Datum::Text(value)) => put_sized(value.as_bytes(), out),
        (Shape::Record(record), Datum::Record(values)) => return encode_record(record, values, out),
        (Shape::Array(item), Datum::Array(items)) => {
            if !items.is_empty() {
                put_count(items.len(), out);
            }
            for value in items {
                encode(item, value, out)?;
            }
            out.push(0);
        }
        (Shape::Map(shape), Datum::Map(entries)) => {
            if !entries.is_empty() {
                put_count(entries.len(), out);
            }
            for (key, value) in entries {
                put_sized(key.as_bytes(), out);
                encode(shape, value, out)?;
            }
            out.push(0);
        }
        _ => return Err(misfit()),
    }
    Ok(())
}

fn encode_record(record: &RecordShape, values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
    if record.fields.len() != values.len() {
        return Err(misfit());
    }
    record.fields.iter().zip(values).try_for_each(|((_, shape), value)| encode(shape, value, out))
}

fn misfit() -> Error {
    Error::bug("a value does not fit its Avro schema")
}

const fn fits(shape: &Shape, datum: &Datum) -> bool {
    matches!(
        (shape, datum),
        (Shape::Null, Datum::Null)
            | (Shape::Boolean, Datum::Bool(_))
            | (Shape::Int | Shape::Long | Shape::Enum, Datum::Long(_))
            | (Shape::Float, Datum::Float(_))
            | (Shape::Double, Datum::Double(_))
            | (Shape::Bytes | Shape::Fixed(_), Datum::Bytes(_))
            | (Shape::String, Datum::Text(_))
            | (Shape::Array(_), Datum::Array(_))
            | (Shape::Map(_), Datum::Map(_))
            | (Shape::Record(_), Datum::Record(_))
    )
}

#[cfg(test)]
mod tests;
