//! Variants that a file stores partly in typed columns (shredded) become the two binaries they stand for (Parquet, `VariantShredding.md`).
//!
//! A value that its file holds as bytes is taken as it is; typed ones are encoded again. Metadata stays byte for byte: it has every name already.

mod bytes;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Fields};
use parquet::schema::types::SchemaDescriptor;

use self::bytes::{NULL, Names, Tag, put, put_array, put_bytes, put_decimal, put_object, put_text, small};
use self::shape::{DecimalWidth, Shape, Single, Typed};
use crate::error::{Error, Result};

/// How the values of one shredded column are put together.
#[derive(Debug)]
pub(in crate::engine) struct Unshredding {
    metadata: usize,
    /// Whether the file does not say that every variant has its metadata.
    may_lack_metadata: bool,
    shape: Shape,
    fields: Fields,
}

impl Unshredding {
    /// For a column that `file` stores as the group `members`, whose first leaf is its leaf number `leaf`, and that becomes a struct of `fields`:
    /// metadata and value.
    ///
    /// # Errors
    ///
    /// `Corrupt` if there is no metadata or nothing that could be a value, `Unsupported` for types that shredding does not have.
    pub(super) fn new(members: &Fields, file: &SchemaDescriptor, leaf: usize, fields: Fields) -> Result<Self> {
        let metadata = members.iter().position(|member| member.name() == "metadata" && *member.data_type() == DataType::Binary);
        let metadata = metadata.ok_or_else(|| Error::corrupt("a variant lacks its metadata"))?;
        let may_lack_metadata = members.get(metadata).is_some_and(|member| member.is_nullable());
        Ok(Self { metadata, may_lack_metadata, shape: Shape::of(members, &["metadata"], file, leaf)?, fields })
    }

    /// The column for the rows of `stored`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where typed values and others contradict each other or bytes are damaged, `Unsupported` for what is not known.
    pub(super) fn apply(&self, stored: &StructArray) -> Result<ArrayRef> {
        let metadata = member(stored, self.metadata)?.as_binary_opt::<i32>().ok_or_else(mismatch)?;
        let part = Part::of(&self.shape, stored)?;
        let nulls = NullBuffer::union(stored.nulls(), metadata.nulls());
        // A group that is always there has no nulls of its own where a struct around it is null; its metadata, always there too, has.
        if self.may_lack_metadata && nulls.as_ref().map_or(0, NullBuffer::null_count) > stored.null_count() {
            return Err(Error::corrupt("a variant lacks its metadata"));
        }
        let mut names = Names::default();
        let mut values: Vec<u8> = Vec::new();
        let mut ends = Vec::with_capacity(stored.len() + 1);
        ends.push(0i32);
        for row in 0..stored.len() {
            if stored.is_valid(row) && metadata.is_valid(row) {
                names.turn_to(metadata.value(row));
                // "If a Variant is missing in a context where a value is required, readers must return a Variant null".
                if !part.put(row, &mut names, &mut values)? {
                    values.push(NULL);
                }
            }
            ends.push(i32::try_from(values.len()).map_err(|_| Error::unsupported("variants are larger together than a batch can be"))?);
        }
        let wrong = |e| Error::bug("a variant was put together wrong").because(e);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let values = BinaryArray::try_new(offsets, values.into(), None).map_err(wrong)?;
        let halves: Vec<ArrayRef> = vec![Arc::new(metadata.clone()), Arc::new(values)];
        let column = StructArray::try_new_with_length(self.fields.clone(), halves, nulls, stored.len());
        Ok(Arc::new(column.map_err(wrong)?))
    }
}

fn mismatch() -> Error {
    Error::bug("a variant was read as another type")
}

fn member(group: &StructArray, at: usize) -> Result<&ArrayRef> {
    group.columns().get(at).ok_or_else(mismatch)
}

/// A batch of a variant or of a part of one.
struct Part<'a> {
    value: Option<&'a BinaryArray>,
    typed: Option<Column<'a>>,
}

/// A batch of values in typed form.
enum Column<'a> {
    Single(&'a dyn Array, Single),
    Array(&'a arrow_array::ListArray, &'a StructArray, Box<Part<'a>>),
    Object(&'a StructArray, Vec<Member<'a>>),
}

/// A typed member of an object.
struct Member<'a> {
    name: &'a str,
    group: &'a StructArray,
    part: Part<'a>,
}

impl<'a> Part<'a> {
    fn of(shape: &'a Shape, group: &'a StructArray) -> Result<Self> {
        let value = match shape.value {
            Some(at) => Some(member(group, at)?.as_binary_opt::<i32>().ok_or_else(mismatch)?),
            None => None,
        };
        let typed = match &shape.typed {
            Some((at, typed)) => Some(Column::of(typed, member(group, *at)?)?),
            None => None,
        };
        Ok(Self { value, typed })
    }

    /// Puts the value in `row` behind `out`; false if it is missing.
    fn put<'n>(&self, row: usize, names: &mut Names<'n>, out: &mut Vec<u8>) -> Result<bool> {
        let value = self.value.filter(|value| value.is_valid(row)).map(|value| value.value(row));
        let Some(typed) = self.typed.as_ref().filter(|typed| typed.is_valid(row)) else {
            out.extend_from_slice(value.unwrap_or_default());
            return Ok(value.is_some());
        };
        match (typed, value) {
            (Column::Object(_, members), rest) => put_members(members, row, rest, names, out)?,
            // "When both are non-null, engines should fail".
            (_, Some(_)) => return Err(Error::corrupt("a variant has two values at once, a typed one and another")),
            (Column::Array(list, elements, part), None) => {
                let range = list.value_offsets().get(row..row + 2).ok_or_else(mismatch)?;
                let [from, to] = range else { return Err(mismatch()) };
                let (from, to) = (usize::try_from(*from).map_err(|_| mismatch())?, usize::try_from(*to).map_err(|_| mismatch())?);
                let (mut starts, mut body) = (Vec::with_capacity(to - from), Vec::new());
                for element in from..to {
                    starts.push(small(body.len())?);
                    // An element cannot be missing: then, too, it is null.
                    if elements.is_null(element) || !part.put(element, names, &mut body)? {
                        body.push(NULL);
                    }
                }
                put_array(out, &starts, &body)?;
            }
            (Column::Single(array, single), None) => put_single(*single, *array, row, out)?,
        }
        Ok(true)
    }
}

impl<'a> Column<'a> {
    fn of(typed: &'a Typed, array: &'a ArrayRef) -> Result<Self> {
        Ok(match typed {
            Typed::Single(single) => Self::Single(array.as_ref(), *single),
            Typed::Array(element) => {
                let list = array.as_list_opt::<i32>().ok_or_else(mismatch)?;
                let elements = list.values().as_struct_opt().ok_or_else(mismatch)?;
                Self::Array(list, elements, Box::new(Part::of(element, elements)?))
            }
            Typed::Object(shapes) => {
                let object = array.as_struct_opt().ok_or_else(mismatch)?;
                let bind = |(name, at, shape): &'a (String, usize, Shape)| {
                    let group = member(object, *at)?.as_struct_opt().ok_or_else(mismatch)?;
                    Ok(Member { name, group, part: Part::of(shape, group)? })
                };
                Self::Object(object, shapes.iter().map(bind).collect::<Result<_>>()?)
            }
        })
    }

    fn is_valid(&self, row: usize) -> bool {
        match self {
            Self::Single(array, _) => array.is_valid(row),
            Self::Array(list, ..) => list.is_valid(row),
            Self::Object(object, _) => object.is_valid(row),
        }
    }
}

/// An object of typed members and of those in the object `rest`.
fn put_members<'n>(members: &[Member<'_>], row: usize, rest: Option<&[u8]>, names: &mut Names<'n>, out: &mut Vec<u8>) -> Result<()> {
    let mut body = Vec::new();
    let mut found: Vec<(&[u8], (u32, u32))> = Vec::with_capacity(members.len());
    for member in members {
        let from = small(body.len())?;
        if member.group.is_valid(row) && member.part.put(row, names, &mut body)? {
            found.push((member.name.as_bytes(), (names.number(member.name.as_bytes())?, from)));
        }
    }
    if let Some(rest) = rest {
        for (number, name, bytes) in names.members(rest)? {
            if members.binary_search_by(|member| member.name.as_bytes().cmp(name)).is_ok() {
                return Err(Error::corrupt("a member of a variant is typed and yet stored among the others"));
            }
            found.push((name, (number, small(body.len())?)));
            body.extend_from_slice(bytes);
        }
        found.sort_by_key(|(name, _)| *name);
    }
    put_object(out, found.iter().map(|(_, member)| *member), &body)
}

/// The single value in `row` of `array`.
fn put_single(single: Single, array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<()> {
    macro_rules! number {
        ($ty:ty, $tag:expr) => {
            put(out, $tag, &array.as_primitive_opt::<$ty>().ok_or_else(mismatch)?.value(row).to_le_bytes())
        };
    }
    match single {
        Single::Boolean => put(out, if array.as_boolean_opt().ok_or_else(mismatch)?.value(row) { Tag::True } else { Tag::False }, &[]),
        Single::Int8 => number!(Int8Type, Tag::Int8),
        Single::Int16 => number!(Int16Type, Tag::Int16),
        Single::Int32 => number!(Int32Type, Tag::Int32),
        Single::Int64 => number!(Int64Type, Tag::Int64),
        Single::Float => number!(Float32Type, Tag::Float),
        Single::Double => number!(Float64Type, Tag::Double),
        Single::Date => number!(Date32Type, Tag::Date),
        Single::Time => number!(Time64MicrosecondType, Tag::Time),
        Single::Timestamp(utc) => number!(TimestampMicrosecondType, if utc { Tag::TimestampTz } else { Tag::Timestamp }),
        Single::TimestampNs(utc) => number!(TimestampNanosecondType, if utc { Tag::TimestampTzNs } else { Tag::TimestampNs }),
        Single::Decimal(scale, width) => {
            let digits = array.as_primitive_opt::<Decimal128Type>().ok_or_else(mismatch)?.value(row);
            let large = |_| Error::corrupt("a decimal in a variant has more digits than its type");
            match width {
                DecimalWidth::Four => put_decimal(out, Tag::Decimal4, scale, &i32::try_from(digits).map_err(large)?.to_le_bytes()),
                DecimalWidth::Eight => put_decimal(out, Tag::Decimal8, scale, &i64::try_from(digits).map_err(large)?.to_le_bytes()),
                DecimalWidth::Sixteen => put_decimal(out, Tag::Decimal16, scale, &digits.to_le_bytes()),
            }
        }
        Single::Binary => return put_bytes(out, Tag::Binary, array.as_binary_opt::<i32>().ok_or_else(mismatch)?.value(row)),
        Single::String => return put_text(out, array.as_string_opt::<i32>().ok_or_else(mismatch)?.value(row)),
        Single::Uuid => put(out, Tag::Uuid, array.as_fixed_size_binary_opt().ok_or_else(mismatch)?.value(row)),
    }
    Ok(())
}
