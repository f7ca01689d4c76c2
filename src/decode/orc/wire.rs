//! Protocol-buffer messages, field by field, as far as ORC's footers need them.

use crate::error::{Error, Result};

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A number.
    Number(u64),
    /// Bytes: a text, a message, or numbers one after the other.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// The number.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is none.
    pub(super) fn number(self) -> Result<u64> {
        if let Self::Number(number) = self { Ok(number) } else { Err(damaged()) }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is a number.
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(damaged()) }
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is none.
    pub(super) fn text(self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| damaged())
    }

    /// The numbers of a repeated field, which may be one alone or packed.
    ///
    /// # Errors
    ///
    /// `Corrupt` if they are cut short.
    pub(super) fn numbers(self) -> Result<Vec<u64>> {
        let mut rest = match self {
            Self::Number(number) => return Ok(vec![number]),
            Self::Bytes(bytes) => bytes,
        };
        let mut numbers = Vec::new();
        while !rest.is_empty() {
            numbers.push(varint(&mut rest)?);
        }
        Ok(numbers)
    }
}

/// Hands every field of `message` to `each`, with its number.
///
/// # Errors
///
/// `Corrupt` if it is no message; those of `each`.
pub(super) fn fields<'a>(message: &'a [u8], mut each: impl FnMut(u64, Field<'a>) -> Result<()>) -> Result<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Field::Number(varint(&mut rest)?),
            1 => Field::Bytes(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                Field::Bytes(take(&mut rest, length)?)
            }
            5 => Field::Bytes(take(&mut rest, 4)?),
            _ => return Err(damaged()),
        };
        each(key >> 3, value)?;
    }
    Ok(())
}

/// Appends a field that is a number.
pub(super) fn put_number(field: u8, mut number: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number of variable length.
///
/// # Errors
///
/// `Corrupt` if it is cut short or too long.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first().ok_or_else(damaged)?;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(damaged())
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Result<&'a [u8]> {
    let (head, tail) = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count)).ok_or_else(damaged)?;
    *rest = tail;
    Ok(head)
}

/// The error of a footer that makes no sense.
pub(super) fn damaged() -> Error {
    Error::corrupt("the ORC footer is damaged")
}
