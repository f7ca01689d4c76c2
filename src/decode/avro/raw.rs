//! Avro's binary encoding (Avro specification, "Binary Encoding"), off the front of a slice.

use crate::error::{Error, Result};

/// The error of data that end too early or make no sense.
pub(super) fn damaged() -> Error {
    Error::corrupt("the Avro file is cut short or damaged")
}

/// Takes `count` bytes.
///
/// # Errors
///
/// `Corrupt` if there are fewer.
pub(super) fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, tail) = input.split_at_checked(count).ok_or_else(damaged)?;
    *input = tail;
    Ok(head)
}

/// Takes exactly `N` bytes.
///
/// # Errors
///
/// `Corrupt` if there are fewer.
pub(super) fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    take(input, N)?.try_into().map_err(|_| damaged())
}

/// Takes a length and that many bytes.
///
/// # Errors
///
/// `Corrupt` if there are fewer.
pub(super) fn sized<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = usize::try_from(long(input)?).map_err(|_| damaged())?;
    take(input, length)
}

/// Takes a zig-zag number.
///
/// # Errors
///
/// `Corrupt` if it is cut short or longer than 64 bits.
pub(super) fn long(input: &mut &[u8]) -> Result<i64> {
    let mut raw = 0u64;
    for (at, byte) in input.iter().take(10).enumerate() {
        raw |= u64::from(byte & 0x7f).unbounded_shl(7 * u32::try_from(at).unwrap_or(u32::MAX));
        if byte & 0x80 == 0 {
            *input = input.get(at + 1..).unwrap_or_default();
            return Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
        }
    }
    Err(damaged())
}

/// Takes a zig-zag number of 32 bits.
///
/// # Errors
///
/// As [`long`].
pub(super) fn int(input: &mut &[u8]) -> Result<i32> {
    i32::try_from(long(input)?).map_err(|_| damaged())
}

/// Items of a block that may have no bytes at all: any number would cost nothing to write.
const MOST_EMPTY_ITEMS: usize = 1 << 12;

/// Takes the blocks of an array or map, `item` taking each item; returns how many there were. No more than `most` are taken.
///
/// # Errors
///
/// `Corrupt` if they are damaged or too many; those of `item`.
pub(super) fn items(input: &mut &[u8], most: usize, mut item: impl FnMut(&mut &[u8]) -> Result<()>) -> Result<usize> {
    let mut all = 0usize;
    loop {
        let count = match long(input)? {
            0 => return Ok(all),
            count @ 1.. => count,
            negative => {
                // The bytes of the block follow, for those who skip it.
                long(input)?;
                negative.checked_neg().ok_or_else(damaged)?
            }
        };
        let count = usize::try_from(count).ok().filter(|count| *count <= input.len().max(MOST_EMPTY_ITEMS)).ok_or_else(damaged)?;
        all = all.checked_add(count).filter(|all| *all <= most).ok_or_else(damaged)?;
        for _ in 0..count {
            item(input)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_bytes_of_the_specification() {
        for (bytes, value) in [(vec![0], 0), (vec![1], -1), (vec![2], 1), (vec![0x7f], -64), (vec![0x80, 1], 64)] {
            let mut input = bytes.as_slice();
            assert_eq!(long(&mut input).unwrap(), value);
            assert!(input.is_empty());
        }
        let largest = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(long(&mut largest.as_slice()).unwrap(), i64::MAX);
        assert!(int(&mut largest.as_slice()).is_err());
        for bytes in [vec![], vec![0x80], vec![0x80; 11]] {
            assert!(long(&mut bytes.as_slice()).is_err());
        }
    }

    #[test]
    fn blocks_of_items_are_taken_with_and_without_their_sizes_and_never_too_many() {
        // Two items, then one in a block that says its bytes, then the end.
        let bytes = [4u8, 2, 4, 1, 2, 6, 0, 99];
        let (mut input, mut seen) = (bytes.as_slice(), Vec::new());
        let all = items(&mut input, 3, |input| long(input).map(|item| seen.push(item))).unwrap();
        assert_eq!((all, seen, input), (3, vec![1, 2, 3], [99u8].as_slice()));
        assert!(items(&mut bytes.as_slice(), 2, |input| long(input).map(|_| ())).is_err());
        let endless = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(items(&mut endless.as_slice(), 1 << 20, |_| Ok(())).is_err());
    }
}
