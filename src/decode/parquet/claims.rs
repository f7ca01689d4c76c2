//! What pages of Parquet claim of themselves (parquet-format, `Encodings.md`).
//!
//! The library sets memory aside for as many values as a dictionary or a delta encoding claims to have, before it looks for them: a file of a kilobyte
//! would take 16 GiB, or end the process where there is not as much.

use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::schema::types::ColumnDescriptor;

/// What `page` of a column claims beyond what it can hold; `None` if nothing. Damage of other kinds is left to the decoder.
pub(super) fn excess(page: &Page, column: &ColumnDescriptor) -> Option<&'static str> {
    match page {
        Page::DictionaryPage { buf, num_values, .. } => {
            let bits = u64::from(*num_values).saturating_mul(fewest_bits(column));
            (bits > (buf.len() as u64).saturating_mul(8)).then_some("a dictionary claims more values than its page can hold")
        }
        Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, .. } => {
            let (rep, def) = (column.max_rep_level(), column.max_def_level());
            let values = after_levels(buf, *num_values, rep, *rep_level_encoding);
            let values = values.and_then(|rest| after_levels(rest, *num_values, def, *def_level_encoding))?;
            deltas(values, *num_values, *encoding)
        }
        Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let levels = usize::try_from(*def_levels_byte_len).ok()?.checked_add(usize::try_from(*rep_levels_byte_len).ok()?)?;
            deltas(buf.get(levels..)?, *num_values, *encoding)
        }
    }
}

/// The fewest bits that a value takes in a dictionary.
fn fewest_bits(column: &ColumnDescriptor) -> u64 {
    match column.physical_type() {
        Type::BOOLEAN => 1,
        // Of texts, the length at least.
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 32,
        Type::INT64 | Type::DOUBLE => 64,
        Type::INT96 => 96,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.type_length()).unwrap_or_default().saturating_mul(8),
    }
}

/// What follows `values` levels up to `highest` at the beginning of a page of version 1; `None` if they do not end in it.
fn after_levels(page: &[u8], values: u32, highest: i16, encoding: Encoding) -> Option<&[u8]> {
    if highest == 0 {
        return Some(page);
    }
    #[allow(deprecated, reason = "files of old writers have it")]
    if encoding == Encoding::BIT_PACKED {
        let bits = u64::from(values).checked_mul(u64::from(i16::BITS - highest.leading_zeros()))?;
        return page.get(usize::try_from(bits.div_ceil(8)).ok()?..);
    }
    let (length, rest) = page.split_first_chunk()?;
    rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
}

/// What a page of `count` values claims where it keeps the lengths of texts as deltas.
fn deltas(values: &[u8], count: u32, encoding: Encoding) -> Option<&'static str> {
    let lists = match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return None,
    };
    let mut rest = values;
    for _ in 0..lists {
        let list = Deltas::read(&mut rest)?;
        if list.count > u64::from(count) {
            return Some("lengths of texts claim more values than their page has");
        }
        list.skip(&mut rest)?;
    }
    None
}

/// The header of numbers kept as deltas ("Delta Encoding").
struct Deltas {
    blocks_of: u64,
    miniblocks: u64,
    /// How many numbers there are.
    count: u64,
}

impl Deltas {
    fn read(from: &mut &[u8]) -> Option<Self> {
        let header = Self { blocks_of: number(from)?, miniblocks: number(from)?, count: number(from)? };
        number(from)?;
        (header.miniblocks > 0).then_some(header)
    }

    /// Goes on behind the numbers. Miniblocks that are not needed have a width, and no bytes.
    fn skip(&self, from: &mut &[u8]) -> Option<()> {
        let in_miniblock = self.blocks_of / self.miniblocks;
        let mut left = self.count.saturating_sub(1);
        while left > 0 {
            number(from)?;
            let (widths, rest) = from.split_at_checked(usize::try_from(self.miniblocks).ok()?)?;
            let mut bytes = 0_u64;
            for width in widths {
                if left == 0 {
                    break;
                }
                bytes = bytes.checked_add(u64::from(*width).checked_mul(in_miniblock)? / 8)?;
                left = left.saturating_sub(in_miniblock.max(1));
            }
            *from = rest.get(usize::try_from(bytes).ok()?..)?;
        }
        Some(())
    }
}

/// A number of seven bits a byte, the lowest first.
fn number(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    }

    /// Numbers that are all the same, in blocks of 128 of 4 miniblocks.
    fn same(count: u64) -> Vec<u8> {
        let mut bytes = [varint(128), varint(4), varint(count), varint(8)].concat();
        (0..count.saturating_sub(1).div_ceil(128)).for_each(|_| bytes.extend([0, 0, 0, 0, 0]));
        bytes
    }

    #[test]
    fn lengths_may_not_claim_more_values_than_the_page() {
        const MORE: Option<&str> = Some("lengths of texts claim more values than their page has");
        for count in [0, 1, 2, 129, 130, 1000] {
            assert_eq!(deltas(&same(count), 1000, Encoding::DELTA_LENGTH_BYTE_ARRAY), None);
            let both = [same(count), same(count)].concat();
            assert_eq!(deltas(&both, 1000, Encoding::DELTA_BYTE_ARRAY), None);
            let second = [same(count), same(1001)].concat();
            assert_eq!(deltas(&second, 1000, Encoding::DELTA_BYTE_ARRAY), MORE, "{count}");
        }
        for claim in [1001, 1 << 40, u64::MAX] {
            let header = [varint(128), varint(4), varint(claim), varint(8)].concat();
            assert_eq!(deltas(&header, 1000, Encoding::DELTA_LENGTH_BYTE_ARRAY), MORE, "{claim}");
            assert_eq!(deltas(&header, 1000, Encoding::PLAIN), None);
        }
    }

    #[test]
    fn miniblocks_that_are_needed_have_bytes_and_the_others_a_width_alone() {
        // 35 numbers: the first is in the header, two miniblocks of 32 follow; the widths of the others may be anything.
        let mut bytes = [varint(128), varint(4), varint(35), varint(8), vec![0, 1, 2, 9, 9]].concat();
        bytes.extend([0xaa; 4 + 8]);
        bytes.extend(same(7));
        let mut rest = bytes.as_slice();
        Deltas::read(&mut rest).unwrap().skip(&mut rest).unwrap();
        assert_eq!(Deltas::read(&mut rest).unwrap().count, 7);
        // Damage is for the decoder to tell, and ends.
        for length in 0..bytes.len() {
            deltas(bytes.get(..length).unwrap(), 1000, Encoding::DELTA_BYTE_ARRAY);
        }
        assert_eq!(deltas(&[vec![0, 1], varint(1 << 60), vec![0; 64]].concat(), u32::MAX, Encoding::PLAIN), None);
    }

    #[test]
    fn values_begin_behind_the_levels() {
        let page = [vec![3, 0, 0, 0, 7, 7, 7], vec![1, 2]].concat();
        assert_eq!(after_levels(&page, 9, 0, Encoding::RLE), Some(page.as_slice()));
        assert_eq!(after_levels(&page, 9, 2, Encoding::RLE), Some(&[1, 2][..]));
        #[allow(deprecated, reason = "files of old writers have it")]
        let packed = Encoding::BIT_PACKED;
        assert_eq!(after_levels(&page, 28, 2, packed), Some(&[1, 2][..]));
        assert_eq!(after_levels(&page, 1000, 2, packed), None);
        assert_eq!(after_levels(&[9, 0, 0, 0, 1], 9, 2, Encoding::RLE), None);
    }
}
