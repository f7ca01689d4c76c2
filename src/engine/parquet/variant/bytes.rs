//! The bytes of variants (Parquet, `VariantEncoding.md`): names of a metadata dictionary, members of an object, and new values of every type.
//!
//! Values are moved as they are: nothing below an object's own members is looked into, so that no depth of nesting matters.

use crate::error::{Error, Result};

/// The null that a variant can hold.
pub(super) const NULL: u8 = 0;

/// The one version of the encoding there is.
const VERSION: u8 = 1;

/// How values begin: the lower two bits.
const SHORT_STRING: u8 = 1;
const OBJECT: u8 = 2;
const ARRAY: u8 = 3;

/// Types of single values, in the upper six bits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tag {
    True = 1,
    False = 2,
    Int8 = 3,
    Int16 = 4,
    Int32 = 5,
    Int64 = 6,
    Double = 7,
    Decimal4 = 8,
    Decimal8 = 9,
    Decimal16 = 10,
    Date = 11,
    TimestampTz = 12,
    Timestamp = 13,
    Float = 14,
    Binary = 15,
    String = 16,
    Time = 17,
    TimestampTzNs = 18,
    TimestampNs = 19,
    Uuid = 20,
}

fn damaged() -> Error {
    Error::corrupt("a variant's bytes are damaged")
}

/// The names that one variant's objects refer to. Read only when they are needed, and once for all rows that share them.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    metadata: &'a [u8],
    read: Option<Dictionary<'a>>,
}

/// A member of an object: the number of its name, the name, and the bytes of its value.
pub(super) type Member<'a, 'v> = (u32, &'a [u8], &'v [u8]);

#[derive(Debug)]
struct Dictionary<'a> {
    texts: Vec<&'a [u8]>,
    /// Positions in `texts`, in the order of the texts.
    sorted: Vec<u32>,
}

impl<'a> Names<'a> {
    /// Turns to the names that `metadata` holds.
    pub(super) fn turn_to(&mut self, metadata: &'a [u8]) {
        if self.metadata != metadata {
            *self = Self { metadata, read: None };
        }
    }

    fn dictionary(&mut self) -> Result<&Dictionary<'a>> {
        let read = match self.read.take() {
            Some(read) => read,
            None => dictionary(self.metadata)?,
        };
        Ok(self.read.insert(read))
    }

    /// The number of `name`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it has none: "all field names of a Variant, whether shredded or not, must be present in the metadata".
    pub(super) fn number(&mut self, name: &[u8]) -> Result<u32> {
        let dictionary = self.dictionary()?;
        let text = |number: &u32| usize::try_from(*number).ok().and_then(|at| dictionary.texts.get(at)).copied().unwrap_or_default();
        let found = dictionary.sorted.binary_search_by(|number| text(number).cmp(name));
        let number = found.ok().and_then(|at| dictionary.sorted.get(at));
        number.copied().ok_or_else(|| Error::corrupt("a variant's metadata lacks the name of a typed member"))
    }

    fn text(&mut self, number: usize) -> Result<&'a [u8]> {
        self.dictionary()?.texts.get(number).copied().ok_or_else(damaged)
    }

    /// The members of the object `value`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is no object or its bytes cannot be followed, `Unsupported` for a member of a type that is not known.
    pub(super) fn members<'v>(&mut self, value: &'v [u8]) -> Result<Vec<Member<'a, 'v>>> {
        let first = *value.first().ok_or_else(damaged)?;
        if first & 3 != OBJECT {
            return Err(Error::corrupt("a variant has typed members beside a value that is no object"));
        }
        let layout = Layout::of(value).ok_or_else(damaged)?;
        let mut members = Vec::with_capacity(layout.count);
        // Members that lie in one another would be written out many times.
        let mut room = layout.end - layout.values;
        for at in 0..layout.count {
            let number = number(value, layout.numbers + at * layout.number_size, layout.number_size).ok_or_else(damaged)?;
            let from = layout.offset(value, at).and_then(|offset| layout.values.checked_add(offset)).ok_or_else(damaged)?;
            let bytes = value.get(from..layout.end).ok_or_else(damaged)?;
            let length = length(bytes)?;
            room = room.checked_sub(length).ok_or_else(damaged)?;
            let bytes = bytes.get(..length).ok_or_else(damaged)?;
            members.push((u32::try_from(number).map_err(|_| damaged())?, self.text(number)?, bytes));
        }
        Ok(members)
    }
}

fn dictionary(metadata: &[u8]) -> Result<Dictionary<'_>> {
    let header = *metadata.first().ok_or_else(damaged)?;
    if header & 0x0f != VERSION {
        return Err(Error::unsupported("a variant's metadata is of a version that is not known"));
    }
    let size = usize::from(header >> 6) + 1;
    let read = || {
        let count = number(metadata, 1, size)?;
        let begin = 1 + size;
        let texts_begin = count.checked_add(1)?.checked_mul(size)?.checked_add(begin)?;
        // The offsets are there: no more is reserved than the bytes can hold.
        metadata.get(..texts_begin)?;
        let offset = |at: usize| number(metadata, begin + at * size, size)?.checked_add(texts_begin);
        (0..count).map(|at| metadata.get(offset(at)?..offset(at + 1)?)).collect::<Option<Vec<&[u8]>>>()
    };
    let texts = read().ok_or_else(damaged)?;
    let mut sorted: Vec<u32> = (0..u32::try_from(texts.len()).map_err(|_| damaged())?).collect();
    sorted.sort_by_key(|number| usize::try_from(*number).ok().and_then(|at| texts.get(at)).copied());
    Ok(Dictionary { texts, sorted })
}

/// The `size` (1 to 4) bytes at `at` as a number.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// Where the parts of an object or array lie in its bytes.
struct Layout {
    count: usize,
    number_size: usize,
    numbers: usize,
    offset_size: usize,
    offsets: usize,
    values: usize,
    end: usize,
}

impl Layout {
    fn of(value: &[u8]) -> Option<Self> {
        let first = *value.first()?;
        let header = first >> 2;
        let object = first & 3 == OBJECT;
        let large = if object { header >> 4 & 1 } else { header >> 2 & 1 } == 1;
        let count_size = if large { 4 } else { 1 };
        let count = number(value, 1, count_size)?;
        let number_size = if object { usize::from(header >> 2 & 3) + 1 } else { 0 };
        let offset_size = usize::from(header & 3) + 1;
        let numbers = 1 + count_size;
        let offsets = numbers.checked_add(count.checked_mul(number_size)?)?;
        let values = offsets.checked_add(count.checked_add(1)?.checked_mul(offset_size)?)?;
        value.get(..values)?;
        let mut layout = Self { count, number_size, numbers, offset_size, offsets, values, end: values };
        layout.end = values.checked_add(layout.offset(value, count)?)?;
        Some(layout)
    }

    fn offset(&self, value: &[u8], at: usize) -> Option<usize> {
        number(value, self.offsets + at * self.offset_size, self.offset_size)
    }
}

/// How many bytes the value takes that `bytes` begin with.
fn length(bytes: &[u8]) -> Result<usize> {
    let first = *bytes.first().ok_or_else(damaged)?;
    let header = usize::from(first >> 2);
    match (first & 3, header) {
        (SHORT_STRING, length) => Ok(1 + length),
        (OBJECT | ARRAY, _) => Layout::of(bytes).map(|layout| layout.end).ok_or_else(damaged),
        (_, 0..=2) => Ok(1),
        (_, 3) => Ok(2),
        (_, 4) => Ok(3),
        (_, 5 | 11 | 14) => Ok(5),
        (_, 6 | 7 | 12 | 13 | 17..=19) => Ok(9),
        (_, 8) => Ok(6),
        (_, 9) => Ok(10),
        (_, 10) => Ok(18),
        (_, 15 | 16) => number(bytes, 1, 4).and_then(|length| length.checked_add(5)).ok_or_else(damaged),
        (_, 20) => Ok(17),
        _ => Err(Error::unsupported("a variant holds a value of a type that is not known")),
    }
}

/// A single value of fixed width.
pub(super) fn put(out: &mut Vec<u8>, tag: Tag, payload: &[u8]) {
    out.push((tag as u8) << 2);
    out.extend_from_slice(payload);
}

/// A decimal: its digits as a number, little endian, behind the count of those after the point.
pub(super) fn put_decimal(out: &mut Vec<u8>, tag: Tag, scale: u8, digits: &[u8]) {
    out.extend_from_slice(&[(tag as u8) << 2, scale]);
    out.extend_from_slice(digits);
}

/// A text, in the short form where there is one.
///
/// # Errors
///
/// `Unsupported` beyond 4 GiB.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    match u8::try_from(text.len()) {
        Ok(length @ ..64) => {
            out.push(length << 2 | SHORT_STRING);
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        _ => put_bytes(out, Tag::String, text.as_bytes()),
    }
}

/// Bytes behind their count.
///
/// # Errors
///
/// As [`put_text`].
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: Tag, bytes: &[u8]) -> Result<()> {
    out.push((tag as u8) << 2);
    out.extend_from_slice(&small(bytes.len())?.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// An object: the numbers of its members' names, in the order of the names, and where in `values` each begins.
///
/// # Errors
///
/// As [`put_text`].
pub(super) fn put_object(out: &mut Vec<u8>, members: impl ExactSizeIterator<Item = (u32, u32)> + Clone, values: &[u8]) -> Result<()> {
    let numbers = width(members.clone().map(|(number, _)| number).max().unwrap_or_default());
    let end = small(values.len())?;
    let (large, offsets) = (members.len() > usize::from(u8::MAX), width(end));
    out.push((u8::from(large) << 4 | (numbers - 1) << 2 | (offsets - 1)) << 2 | OBJECT);
    put_count(out, members.len(), large)?;
    members.clone().for_each(|(number, _)| put_number(out, number, numbers));
    members.for_each(|(_, offset)| put_number(out, offset, offsets));
    put_number(out, end, offsets);
    out.extend_from_slice(values);
    Ok(())
}

/// An array: where in `values` each element begins.
///
/// # Errors
///
/// As [`put_text`].
pub(super) fn put_array(out: &mut Vec<u8>, elements: &[u32], values: &[u8]) -> Result<()> {
    let end = small(values.len())?;
    let (large, offsets) = (elements.len() > usize::from(u8::MAX), width(end));
    out.push((u8::from(large) << 2 | (offsets - 1)) << 2 | ARRAY);
    put_count(out, elements.len(), large)?;
    elements.iter().chain([&end]).for_each(|offset| put_number(out, *offset, offsets));
    out.extend_from_slice(values);
    Ok(())
}

fn put_count(out: &mut Vec<u8>, count: usize, large: bool) -> Result<()> {
    put_number(out, small(count)?, if large { 4 } else { 1 });
    Ok(())
}

/// The lowest `width` bytes of `number`.
fn put_number(out: &mut Vec<u8>, number: u32, width: u8) {
    out.extend(number.to_le_bytes().into_iter().take(usize::from(width)));
}

/// How many bytes `number` takes.
const fn width(number: u32) -> u8 {
    match number {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

/// `length`, as variants count.
///
/// # Errors
///
/// As [`put_text`].
pub(super) fn small(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::unsupported("a variant is larger than its encoding allows"))
}
