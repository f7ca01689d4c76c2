//! Streams of lengths (ORC specification, "Run Length Encoding", versions 1 and 2, unsigned): how many there are, how much they are together, and
//! which is the largest. Elements and bytes are reserved by what these streams say, so it is looked at before.

use std::io::{BufReader, Read};

use super::wire::damaged;
use crate::error::{Error, Result};

/// What a stream of lengths holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    /// How many.
    pub(super) count: u64,
    /// All together.
    pub(super) sum: u64,
    /// No length is larger.
    pub(super) largest: u64,
}

impl Lengths {
    /// Adds `count` lengths that are `value`.
    fn add(&mut self, value: i128, count: u64) -> Result<()> {
        let value = u64::try_from(value).ok().filter(|value| i64::try_from(*value).is_ok()).ok_or_else(wrong)?;
        self.count = self.count.checked_add(count).ok_or_else(wrong)?;
        self.sum = value.checked_mul(count).and_then(|sum| self.sum.checked_add(sum)).ok_or_else(wrong)?;
        self.largest = self.largest.max(value);
        Ok(())
    }
}

fn wrong() -> Error {
    Error::corrupt("the ORC file has lengths that make no sense")
}

/// Reads an unpacked stream to its end, in the second version of the encoding or the first.
///
/// # Errors
///
/// `Corrupt` if it makes no sense.
pub(super) fn read(stream: impl Read, second: bool) -> Result<Lengths> {
    let mut source = Source(BufReader::new(stream));
    let mut lengths = Lengths::default();
    while let Some(head) = source.next()? {
        if second {
            source.second(head, &mut lengths)?;
        } else {
            source.first(head, &mut lengths)?;
        }
    }
    Ok(lengths)
}

/// Widths by their codes; of deltas, 0 stands for none.
fn width(code: u8) -> u32 {
    match code {
        0..=23 => u32::from(code) + 1,
        24 => 26,
        25 => 28,
        26 => 30,
        27 => 32,
        28 => 40,
        29 => 48,
        30 => 56,
        _ => 64,
    }
}

/// The width that numbers of `bits` are stored in.
fn stored_width(bits: u32) -> u32 {
    (0..=31).map(width).find(|width| *width >= bits).unwrap_or(64)
}

struct Source<R: Read>(BufReader<R>);

impl<R: Read> Source<R> {
    fn next(&mut self) -> Result<Option<u8>> {
        let mut byte = [0];
        let read = self.0.read(&mut byte).map_err(|e| damaged().because(e))?;
        Ok((read == 1).then_some(byte[0]))
    }

    fn byte(&mut self) -> Result<u8> {
        self.next()?.ok_or_else(wrong)
    }

    /// A number of up to 8 bytes, the highest first.
    fn big(&mut self, bytes: u32) -> Result<u64> {
        (0..bytes).try_fold(0u64, |number, _| Ok(number << 8 | u64::from(self.byte()?)))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(wrong())
    }

    /// `count` numbers of `width` bits each, the highest bit first, up to the end of a byte.
    fn packed(&mut self, count: u64, width: u32, mut each: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let (mut held, mut bits) = (0u128, 0u32);
        for _ in 0..count {
            while bits < width {
                held = (held << 8 | u128::from(self.byte()?)) & (u128::MAX >> 48);
                bits += 8;
            }
            bits -= width;
            let number = held >> bits & ((1u128 << width) - 1);
            each(u64::try_from(number).map_err(|_| wrong())?)?;
        }
        Ok(())
    }

    fn first(&mut self, head: u8, lengths: &mut Lengths) -> Result<()> {
        if head >= 0x80 {
            for _ in 0..256 - u16::from(head) {
                lengths.add(self.varint()?.into(), 1)?;
            }
            return Ok(());
        }
        let step = i128::from(i8::from_le_bytes([self.byte()?]));
        let base = i128::from(self.varint()?);
        (0..i128::from(head) + 3).try_for_each(|at| lengths.add(base + step * at, 1))
    }

    fn second(&mut self, head: u8, lengths: &mut Lengths) -> Result<()> {
        if head >> 6 == 0 {
            let value = self.big(u32::from(head >> 3 & 7) + 1)?;
            return lengths.add(value.into(), u64::from(head & 7) + 3);
        }
        let code = head >> 1 & 0x1f;
        let run = (u64::from(head & 1) << 8 | u64::from(self.byte()?)) + 1;
        match head >> 6 {
            1 => self.packed(run, width(code), |value| lengths.add(value.into(), 1)),
            2 => self.patched(width(code), run, lengths),
            _ => self.delta(if code == 0 { 0 } else { width(code) }, run, lengths),
        }
    }

    /// The largest is reckoned as if the largest patch were of the largest number.
    fn patched(&mut self, width: u32, run: u64, lengths: &mut Lengths) -> Result<()> {
        let (third, fourth) = (self.byte()?, self.byte()?);
        let bytes = u32::from(third >> 5) + 1;
        let (patch_width, gap_width, patches) = (self::width(third & 0x1f), u32::from(fourth >> 5) + 1, u64::from(fourth & 0x1f));
        let raw = self.big(bytes)?;
        let sign = 1u64 << (bytes * 8 - 1);
        let base = if raw & sign == 0 { i128::from(raw) } else { -i128::from(raw & !sign) };
        let (mut sum, mut largest) = (0i128, 0i128);
        self.packed(run, width, |value| {
            sum += i128::from(value);
            largest = largest.max(value.into());
            Ok(())
        })?;
        let mut largest_patch = 0i128;
        self.packed(patches, stored_width(patch_width + gap_width), |entry| {
            let patch = i128::from(entry) & ((1i128 << patch_width) - 1);
            let patch = patch.checked_shl(width).filter(|patch| *patch >= 0 && *patch >> width.min(127) << width.min(127) == *patch);
            let patch = patch.filter(|patch| *patch <= i128::from(u64::MAX)).ok_or_else(wrong)?;
            sum += patch;
            largest_patch = largest_patch.max(patch);
            Ok(())
        })?;
        let sum = u64::try_from(sum + base * i128::from(run)).map_err(|_| wrong())?;
        let largest = u64::try_from((base + largest + largest_patch).max(0)).map_err(|_| wrong())?;
        lengths.count = lengths.count.checked_add(run).ok_or_else(wrong)?;
        lengths.sum = lengths.sum.checked_add(sum).ok_or_else(wrong)?;
        lengths.largest = lengths.largest.max(largest.min(sum));
        Ok(())
    }

    fn delta(&mut self, width: u32, run: u64, lengths: &mut Lengths) -> Result<()> {
        let base = i128::from(self.varint()?);
        let zigzag = self.varint()?;
        let step = i128::from(zigzag >> 1) ^ -i128::from(zigzag & 1);
        if width == 0 {
            return (0..i128::from(run)).try_for_each(|at| lengths.add(base + step * at, 1));
        }
        lengths.add(base, 1)?;
        if run < 2 {
            return Ok(());
        }
        let mut value = base + step;
        lengths.add(value, 1)?;
        self.packed(run - 2, width, |delta| {
            value += if step < 0 { -i128::from(delta) } else { i128::from(delta) };
            lengths.add(value, 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stream: &[u8], second: bool) -> Lengths {
        read(stream, second).unwrap()
    }

    #[test]
    fn runs_of_the_first_version_are_those_of_the_specification() {
        // 100 times 7; 100 down to 1; five literals.
        assert_eq!(of(&[0x61, 0x00, 0x07], false), Lengths { count: 100, sum: 700, largest: 7 });
        assert_eq!(of(&[0x61, 0xff, 0x64], false), Lengths { count: 100, sum: 5_050, largest: 100 });
        assert_eq!(of(&[0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b], false), Lengths { count: 5, sum: 29, largest: 11 });
    }

    #[test]
    fn runs_of_the_second_version_are_those_of_the_specification() {
        // Short repeat, direct, delta of the first primes, patched base.
        assert_eq!(of(&[0x0a, 0x27, 0x10], true), Lengths { count: 5, sum: 50_000, largest: 10_000 });
        let direct = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
        let sum = [23_713, 43_806, 57_005, 48_879].iter().sum();
        assert_eq!(of(&direct, true), Lengths { count: 4, sum, largest: 57_005 });
        let delta = [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
        assert_eq!(of(&delta, true), Lengths { count: 10, sum: 129, largest: 29 });
        let patched = [
            0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e, 0x78, 0x82, 0x8c,
            0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
        ];
        let values = [2_030, 2_000, 2_020, 1_000_000, 2_040, 2_050, 2_060, 2_070, 2_080, 2_090];
        let rest: u64 = (2_100..=2_190).step_by(10).sum();
        let found = of(&patched, true);
        assert_eq!((found.count, found.sum), (20, values.iter().sum::<u64>() + rest));
        assert!((1_000_000..1_010_000).contains(&found.largest), "{found:?}");
    }

    #[test]
    fn lengths_below_nothing_beyond_everything_or_cut_short_are_damage() {
        for (stream, second) in [
            (&[0x61, 0xff, 0x05][..], false),
            (&[0x61], false),
            (&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], false),
            (&[0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true),
            (&[0x3f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true),
            (&[0x5e, 0x03, 0x5c], true),
            (&[0xc0, 0x09, 0x02, 0x03], true),
            (&[0x8e, 0x13, 0x2b, 0x21, 0xff, 0xd0], true),
        ] {
            assert!(read(stream, second).is_err(), "{stream:?}");
        }
    }
}
