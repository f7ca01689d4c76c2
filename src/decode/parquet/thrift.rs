//! Checks Thrift bytes before the Parquet library sees them.
//!
//! The library reserves memory for as many list elements as the bytes announce; a few damaged bytes could ask for hundreds of gigabytes and end
//! the process. Here every announced length is held against the bytes that are left. (Thrift compact protocol, thrift-compact-protocol.md.)
//!
//! It also reads a field that it knows by the field's id, whatever the bytes say that it holds, and could take the inside of a text for a list that
//! never ends. So a field that is known has to hold what `parquet.thrift` gives it ([`super::structs`]).

use super::structs::{
    self, BLOOM_FILTER_LENGTH, COLUMN_METADATA, COLUMNS, Fields, META_DATA, NUM_CHILDREN, ROW_GROUPS, SCHEMA, SCHEMA_ELEMENT, Type,
};

/// Nesting that no Parquet footer comes near.
const DEPTH: usize = 24;

/// Whether `bytes` begin with the page index's half of a column's values: well-formed, without a list or text longer than the bytes left.
pub(crate) fn is_column_index(bytes: &[u8]) -> bool {
    length(bytes, structs::COLUMN_INDEX).is_some()
}

/// Whether `bytes` begin with the page index's half of a column's places, as for [`is_column_index`].
pub(crate) fn is_offset_index(bytes: &[u8]) -> bool {
    length(bytes, structs::OFFSET_INDEX).is_some()
}

/// How many bytes the struct of `known` fields takes that `bytes` begin with; `None` as for [`is_column_index`].
pub(super) fn length(bytes: &[u8], known: Fields) -> Option<usize> {
    let mut walker = Walker { rest: bytes };
    walker.structure(known, DEPTH)?;
    Some(bytes.len() - walker.rest.len())
}

/// The ids of the fields of the footer that `bytes` begin with; `None` as for [`is_column_index`], and where its schema announces more columns than
/// it lists or is nested deeper than any writer's.
pub(super) fn footer_fields(bytes: &[u8]) -> Option<Vec<i16>> {
    let mut walker = Walker { rest: bytes };
    let mut fields = Vec::new();
    while let Some((id, kind)) = walker.field(fields.last().copied().unwrap_or_default())? {
        if (id, kind) == (SCHEMA, LIST) {
            walker.schema(DEPTH)?;
        } else {
            walker.field_value(structs::FILE, (id, kind), DEPTH)?;
        }
        fields.push(id);
    }
    Some(fields)
}

/// The footer `bytes` without what some writers (old ones of Dremio) stored as column metadata under ids that the format claimed later for
/// something of another type; `None` if there is nothing of the kind.
pub(super) fn without_foreign_fields(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut cuts = Vec::new();
    let mut walker = Walker { rest: bytes };
    walker.column_metadata(&[ROW_GROUPS, COLUMNS, META_DATA], DEPTH, &mut |rest, end| {
        cuts.push(bytes.len() - rest..bytes.len() - end);
    })?;
    if cuts.is_empty() {
        return None;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for cut in cuts {
        kept.extend_from_slice(bytes.get(from..cut.start)?);
        from = cut.end;
    }
    kept.extend_from_slice(bytes.get(from..)?);
    Some(kept)
}

/// Groups of columns within groups: as many as no writer makes. The library follows them by recursion.
const NESTING: usize = 256;
/// Kinds of Thrift's compact protocol.
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Whether `ColumnMetaData` has a field `id` of another kind than the format gives it, and has it for something of a writer's own.
fn is_foreign(id: i16, kind: u8) -> bool {
    id >= BLOOM_FILTER_LENGTH && structs::field(COLUMN_METADATA, id).is_some_and(|holds| !holds.is(kind))
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

    /// The next field's id and kind, given the id before it; `Some(None)` at the end of the struct.
    fn field(&mut self, before: i16) -> Option<Option<(i16, u8)>> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if kind == 0 {
            return Some(None);
        }
        // Ids are written as the distance from the one before, or in full (zigzag) where that is too far.
        let id = match header >> 4 {
            0 => {
                let id = self.varint()?;
                let half = i16::try_from(id >> 1).ok()?;
                if id & 1 == 0 { half } else { !half }
            }
            distance => before.checked_add(i16::from(distance))?,
        };
        Some(Some((id, kind)))
    }

    fn structure(&mut self, known: Fields, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut before = 0;
        while let Some((id, kind)) = self.field(before)? {
            self.field_value(known, (id, kind), depth)?;
            before = id;
        }
        Some(())
    }

    /// A list of columns, each group followed by its children.
    fn schema(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (count, kind) = self.list_header()?;
        let mut announced = 0u64;
        // How many children of each open group are still to come.
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..count {
            let children = (kind == STRUCT).then(|| self.schema_element(depth))??;
            announced = announced.checked_add(children).filter(|announced| *announced <= count)?;
            while open.pop_if(|left| *left == 0).is_some() {}
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > NESTING {
                return None;
            }
        }
        Some(())
    }

    /// How many children a column has.
    fn schema_element(&mut self, depth: usize) -> Option<u64> {
        let depth = depth.checked_sub(1)?;
        let (mut before, mut children) = (0, 0);
        while let Some((id, kind)) = self.field(before)? {
            if (id, kind) == (NUM_CHILDREN, I32) {
                let number = self.varint()?;
                // Zigzag: odd ones are negative.
                children = (number & 1 == 0).then_some(number >> 1)?;
            } else {
                self.field_value(SCHEMA_ELEMENT, (id, kind), depth)?;
            }
            before = id;
        }
        Some(children)
    }

    /// Follows `path` down to every column's metadata, and tells `cut` what is left of the bytes where its first foreign field begins and where
    /// its last field ends: ids are relative, so what follows a foreign field goes with it.
    fn column_metadata(&mut self, path: &[i16], depth: usize, cut: &mut dyn FnMut(usize, usize)) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (mut before, mut foreign) = (0, None);
        loop {
            let left = self.rest.len();
            let Some((id, kind)) = self.field(before)? else {
                // The byte that ends the struct stays.
                if let Some(start) = foreign {
                    cut(start, left);
                }
                return Some(());
            };
            match path.split_first() {
                Some((step, below)) if *step == id && kind == STRUCT => self.column_metadata(below, depth, cut)?,
                Some((step, below)) if *step == id && kind == LIST => {
                    let (count, element) = self.list_header()?;
                    for _ in 0..count {
                        if element == STRUCT { self.column_metadata(below, depth, cut)? } else { self.value(element, depth)? }
                    }
                }
                _ => {
                    if path.is_empty() && is_foreign(id, kind) {
                        foreign = foreign.or(Some(left));
                    }
                    self.field_value(&[], (id, kind), depth)?;
                }
            }
            before = id;
        }
    }

    /// What a field holds, of a struct of `known` fields.
    fn field_value(&mut self, known: Fields, (id, kind): (i16, u8), depth: usize) -> Option<()> {
        let known = structs::field(known, id);
        if known.is_some_and(|known| !known.is(kind)) {
            return None;
        }
        match known {
            // The field's header has the value.
            _ if matches!(kind, 1 | 2) => Some(()),
            Some(known) => self.known(known, kind, depth),
            None => self.value(kind, depth),
        }
    }

    /// What is stored as `kind`, the one of `known`.
    fn known(&mut self, known: &Type, kind: u8, depth: usize) -> Option<()> {
        match known {
            Type::Truth => self.skip(1),
            Type::Struct(fields) => self.structure(fields, depth),
            Type::List(of) => {
                let depth = depth.checked_sub(1)?;
                let (count, kind) = self.list_header()?;
                // Some writers give elements no kind where there are none.
                (count == 0 || of.is(kind)).then_some(())?;
                (0..count).try_for_each(|_| self.known(of, kind, depth))
            }
            _ => self.value(kind, depth),
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            // Truth values in a list take a byte each, and none where the library steps over them: it would go on with what is in them. The format
            // has one such list, which the library knows.
            1 | 2 => None,
            3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 => self.structure(&[], depth),
            13 => self.skip(16),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (count, kind) = self.list_header()?;
        (0..count).try_for_each(|_| self.value(kind, depth))
    }

    /// How many elements a list has, and their kind.
    fn list_header(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        // Every element takes a byte at least.
        (count <= self.rest.len() as u64).then_some((count, header & 0x0f))
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
        // field 20: list of i32 with three elements; field 27: true; stop
        assert_eq!(footer_fields(&[0x09, 40, 0x35, 2, 4, 6, 0x71, 0]), Some(vec![20, 27]));
        assert_eq!(length(&[0x19, 0x35, 2, 4, 6, 0x71, 0, 9, 9], &[]), Some(7));
        // the same with 2^31 - 1 structs announced
        assert!(length(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0], &[]).is_none());
        // text longer than what is left, and a struct that never ends
        assert!(length(&[0x18, 0x7f, b'a', 0], &[]).is_none());
        assert!(footer_fields(&[0x15, 0x02]).is_none());
        assert!(length(&[0x1c; 4096], &[]).is_none());
    }

    #[test]
    fn truth_values_are_listed_where_the_format_has_them_alone() {
        // field 1: list of two truth values, which could be read as a field 1 with a list of 2^31 - 1 of them
        let truths = [0x19, 0x71, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(is_column_index(&truths));
        assert_eq!(length(&truths, &[]), None);
        assert!(!is_column_index(&[0x09, 40, 0x11, 1, 0]), "field 20, a list of one truth value");
        assert!(!is_column_index(&[0x0b, 40, 0x01, 0x31, 7, 1, 0]), "a map of bytes to truth values");
        assert!(is_column_index(&[0x0b, 40, 0x01, 0x33, 7, 1, 0]), "a map of bytes to bytes");
    }

    #[test]
    fn a_known_field_holds_what_the_format_gives_it() {
        // field 5, a list of pairs, as a text which holds a list of 2^31 - 1 structs
        assert!(footer_fields(&[0x58, 6, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0]).is_none());
        assert!(footer_fields(&[0x58, 1, 0, 0]).is_none());
        assert!(footer_fields(&[0x59, 0x1c, 0x18, 1, b'k', 0, 0]).is_some());
        assert!(footer_fields(&[0x59, 0x15, 2, 0]).is_none(), "numbers in place of pairs");
        assert!(footer_fields(&[0x59, 0x1c, 0x15, 2, 0, 0]).is_none(), "a number in place of a key");
        assert!(footer_fields(&[0x59, 0, 0]).is_some(), "an empty list of no kind");
        // The same in full ids, of which the library keeps 16 bits: 5, and 65,536 + 5.
        assert!(footer_fields(&[0x08, 10, 1, 0, 0]).is_none());
        assert!(footer_fields(&[0x08, 0x8a, 0x80, 0x08, 1, 0, 0]).is_none());
        assert_eq!(footer_fields(&[0x08, 9, 1, 0, 0]), Some(vec![-5]));
        // Of a page's header: a truth value in place of a number, and a number in place of statistics.
        assert_eq!(length(&[0x15, 2, 0], structs::PAGE_HEADER), Some(3));
        assert!(length(&[0x11, 0], structs::PAGE_HEADER).is_none());
        assert!(length(&[0x5c, 0x55, 2, 0, 0], structs::PAGE_HEADER).is_none());
        assert!(is_offset_index(&[0x19, 0x1c, 0x16, 8, 0x15, 20, 0x16, 0, 0, 0]));
        assert!(!is_offset_index(&[0x19, 0x18, 1, 0, 0]), "texts in place of places");
    }

    #[test]
    fn a_schema_announces_no_more_columns_than_it_lists_and_is_not_nested_for_ever() {
        let element = |children: u8| if children == 0 { vec![0x15, 0x02, 0] } else { vec![0x55, children << 1, 0] };
        let footer = |children: &[u8]| {
            let count = u8::try_from(children.len()).unwrap();
            let list = if count < 15 { vec![count << 4 | STRUCT] } else { vec![0xf0 | STRUCT, count & 0x7f | 0x80, count >> 7] };
            [vec![0x15, 0x02, 0x19], list, children.iter().flat_map(|n| element(*n)).collect(), vec![0]].concat()
        };
        assert_eq!(footer_fields(&footer(&[2, 0, 1, 0])), Some(vec![1, 2]));
        assert!(footer_fields(&footer(&[5, 0, 1, 0])).is_none());
        let negative = [&[0x19, 0x1c, 0x55, 0x01, 0, 0][..], &[0]].concat();
        assert!(footer_fields(&[&[0x15, 0x02][..], &negative].concat()).is_none());
        let chain = |groups: u32| {
            let mut bytes = vec![0x29, 0xfc];
            bytes.extend([u8::try_from((groups + 1) & 0x7f).unwrap() | 0x80, u8::try_from((groups + 1) >> 7).unwrap()]);
            (0..groups).for_each(|_| bytes.extend(element(1)));
            [bytes, element(0), vec![0]].concat()
        };
        assert_eq!(footer_fields(&chain(256)), Some(vec![2]));
        assert!(footer_fields(&chain(257)).is_none());
    }

    #[test]
    fn fields_of_column_metadata_that_have_another_type_than_the_format_gives_them_are_cut_out() {
        // Field 4: list of one row group; its field 1: list of one column; its field 3: metadata with field 1 (i32), field 15 and field 16.
        let footer = |fifteen: &[u8]| [&[0x49, 0x1c, 0x19, 0x1c, 0x3c, 0x15, 0x02][..], fifteen, &[0x1c, 0, 0, 0, 0, 0]].concat();
        let foreign = footer(&[0xe9, 0x15, 0x02]);
        assert_eq!(footer_fields(&foreign), None);
        let mended = without_foreign_fields(&foreign).unwrap();
        assert_eq!(mended, [0x49, 0x1c, 0x19, 0x1c, 0x3c, 0x15, 0x02, 0, 0, 0, 0]);
        assert_eq!(footer_fields(&mended), Some(vec![4]));
        assert_eq!(without_foreign_fields(&footer(&[0xe5, 0x02])), None);
    }
}
