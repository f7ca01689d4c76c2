//! Checks Thrift bytes before the Parquet library sees them.
//!
//! The library reserves memory for as many list elements as the bytes announce; a few damaged bytes could ask for hundreds of gigabytes and end
//! the process. Here every announced length is held against the bytes that are left. (Thrift compact protocol, thrift-compact-protocol.md.)

/// Nesting that no Parquet footer comes near.
const DEPTH: usize = 24;

/// Whether `bytes` begin with a well-formed half of a page index, without a list or text longer than the bytes left.
pub(crate) fn is_page_index(bytes: &[u8]) -> bool {
    fields(bytes, NULL_PAGES, Walker::truths_or_values).is_some()
}

/// How many bytes the struct takes that `bytes` begin with; `None` as for [`is_page_index`].
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut walker = Walker { rest: bytes };
    walker.structure(DEPTH)?;
    Some(bytes.len() - walker.rest.len())
}

/// The ids of the fields of the footer that `bytes` begin with; `None` as for [`is_page_index`], and where its schema announces more columns than it
/// lists or is nested deeper than any writer's.
pub(super) fn footer_fields(bytes: &[u8]) -> Option<Vec<i64>> {
    fields(bytes, SCHEMA, Walker::schema)
}

/// The ids of the fields of a struct in which the list `list` is looked at by `look`.
fn fields<'a>(bytes: &'a [u8], list: i64, look: fn(&mut Walker<'a>, usize) -> Option<()>) -> Option<Vec<i64>> {
    let mut walker = Walker { rest: bytes };
    let mut fields = Vec::new();
    while let Some((id, kind)) = walker.field(fields.last().copied().unwrap_or_default())? {
        if (id, kind) == (list, LIST) {
            look(&mut walker, DEPTH)?;
        } else {
            walker.field_value(kind, DEPTH)?;
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
/// parquet.thrift: `FileMetaData.schema`, `SchemaElement.num_children`.
const SCHEMA: i64 = 2;
const NUM_CHILDREN: i64 = 5;
/// parquet.thrift: `FileMetaData.row_groups`, `RowGroup.columns`, `ColumnChunk.meta_data`.
const ROW_GROUPS: i64 = 4;
const COLUMNS: i64 = 1;
const META_DATA: i64 = 3;
/// parquet.thrift: `ColumnIndex.null_pages`, the one list of truth values that the format knows.
const NULL_PAGES: i64 = 1;
/// Kinds of Thrift's compact protocol.
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// Whether `ColumnMetaData` has a field `id` of another kind than the format gives it: 15 is `bloom_filter_length`, 16 `size_statistics`, 17
/// `geospatial_statistics`; later ones are unknown and harmless.
const fn is_foreign(id: i64, kind: u8) -> bool {
    match id {
        15 => kind != I32,
        16 | 17 => kind != STRUCT,
        _ => false,
    }
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
    fn field(&mut self, before: i64) -> Option<Option<(i64, u8)>> {
        let header = self.byte()?;
        let kind = header & 0x0f;
        if kind == 0 {
            return Some(None);
        }
        // Ids are written as the distance from the one before, or in full (zigzag) where that is too far.
        let id = match header >> 4 {
            0 => self.varint().map(|n| i64::try_from(n >> 1).unwrap_or(i64::MAX) * if n & 1 == 0 { 1 } else { -1 })?,
            distance => before.checked_add(i64::from(distance))?,
        };
        Some(Some((id, kind)))
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut before = 0;
        while let Some((id, kind)) = self.field(before)? {
            self.field_value(kind, depth)?;
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
            let children = if kind == STRUCT { self.schema_element(depth)? } else { self.value(kind, depth).map(|()| 0)? };
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
                self.field_value(kind, depth)?;
            }
            before = id;
        }
        Some(children)
    }

    /// Follows `path` down to every column's metadata, and tells `cut` what is left of the bytes where its first foreign field begins and where
    /// its last field ends: ids are relative, so what follows a foreign field goes with it.
    fn column_metadata(&mut self, path: &[i64], depth: usize, cut: &mut dyn FnMut(usize, usize)) -> Option<()> {
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
                    self.field_value(kind, depth)?;
                }
            }
            before = id;
        }
    }

    fn field_value(&mut self, kind: u8, depth: usize) -> Option<()> {
        // A boolean field has its value in the header.
        if kind > 2 { self.value(kind, depth) } else { Some(()) }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            // Truth values in a list take a byte each, and none where the library steps over them: it would go on with what is in them.
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
            12 => self.structure(depth),
            13 => self.skip(16),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (count, kind) = self.list_header()?;
        (0..count).try_for_each(|_| self.value(kind, depth))
    }

    /// A list, which may be one of truth values.
    fn truths_or_values(&mut self, depth: usize) -> Option<()> {
        let (count, kind) = self.list_header()?;
        if matches!(kind, 1 | 2) { self.skip(count) } else { (0..count).try_for_each(|_| self.value(kind, depth)) }
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
        // field 1: list of i32 with three elements; field 8: true; stop
        assert_eq!(footer_fields(&[0x19, 0x35, 2, 4, 6, 0x71, 0]), Some(vec![1, 8]));
        assert_eq!(length(&[0x19, 0x35, 2, 4, 6, 0x71, 0, 9, 9]), Some(7));
        // the same with 2^31 - 1 structs announced
        assert!(footer_fields(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0]).is_none());
        // text longer than what is left, and a struct that never ends
        assert!(footer_fields(&[0x18, 0x7f, b'a', 0]).is_none());
        assert!(footer_fields(&[0x15, 0x02]).is_none());
        assert!(footer_fields(&[0x1c; 4096]).is_none());
    }

    #[test]
    fn truth_values_are_listed_where_the_format_has_them_alone() {
        // field 1: list of two truth values, which could be read as a field 1 with a list of 2^31 - 1 of them
        let truths = [0x19, 0x71, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(is_page_index(&truths));
        assert_eq!((footer_fields(&truths), length(&truths)), (None, None));
        assert!(!is_page_index(&[0x29, 0x11, 1, 0]));
        assert!(!is_page_index(&[0x1b, 0x01, 0x31, 7, 1, 0]), "a map of bytes to truth values");
        assert!(is_page_index(&[0x1b, 0x01, 0x33, 7, 1, 0]), "a map of bytes to bytes");
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
        assert_eq!(footer_fields(&foreign), Some(vec![4]));
        assert_eq!(without_foreign_fields(&foreign), Some(vec![0x49, 0x1c, 0x19, 0x1c, 0x3c, 0x15, 0x02, 0, 0, 0, 0]));
        assert_eq!(without_foreign_fields(&footer(&[0xe5, 0x02])), None);
    }
}
