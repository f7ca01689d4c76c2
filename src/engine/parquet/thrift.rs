//! Checks Thrift bytes before the Parquet library sees them.
//!
//! The library reserves memory for as many list elements as the bytes announce; a few damaged bytes could ask for hundreds of gigabytes and end
//! the process. Here every announced length is held against the bytes that are left. (Thrift compact protocol, thrift-compact-protocol.md.)

/// Nesting that no Parquet footer comes near.
const DEPTH: usize = 24;

/// The ids of the fields of the struct that `bytes` begin with; `None` if it is not well-formed or holds a list or text longer than the bytes left.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut fields = Vec::new();
    Walker { rest: bytes }.structure(DEPTH, &mut |id| fields.push(id))?;
    Some(fields)
}

struct Walker<'a> {
    rest: &'a [u8],
}

impl Walker<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn structure(&mut self, depth: usize, seen: &mut dyn FnMut(i64)) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut id = 0i64;
        loop {
            let header = self.byte()?;
            let kind = header & 0x0f;
            if kind == 0 {
                return Some(());
            }
            // Ids are written as the distance from the one before, or in full (zigzag) where that is too far.
            id = match header >> 4 {
                0 => self.varint().map(|n| i64::try_from(n >> 1).unwrap_or(i64::MAX) * if n & 1 == 0 { 1 } else { -1 })?,
                distance => id.checked_add(i64::from(distance))?,
            };
            seen(id);
            // A boolean field has its value in the header.
            if kind > 2 {
                self.value(kind, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 => self.structure(depth, &mut |_| ()),
            13 => self.skip(16),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        // Every element takes a byte at least.
        if count > self.rest.len() as u64 {
            return None;
        }
        (0..count).try_for_each(|_| self.value(header & 0x0f, depth))
    }

    fn map(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let count = self.varint()?;
        if count == 0 {
            return Some(());
        }
        let kinds = self.byte()?;
        if count > self.rest.len() as u64 {
            return None;
        }
        (0..count).try_for_each(|_| {
            self.value(kinds >> 4, depth)?;
            self.value(kinds & 0x0f, depth)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_longer_than_the_bytes_left_are_refused() {
        // field 1: list of i32 with three elements; field 8: true; stop
        assert_eq!(fields(&[0x19, 0x35, 2, 4, 6, 0x71, 0]), Some(vec![1, 8]));
        // the same with 2^31 - 1 structs announced
        assert!(fields(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0]).is_none());
        // text longer than what is left, and a struct that never ends
        assert!(fields(&[0x18, 0x7f, b'a', 0]).is_none());
        assert!(fields(&[0x15, 0x02]).is_none());
        assert!(fields(&[0x1c; 4096]).is_none());
    }
}
