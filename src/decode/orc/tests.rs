//! Files whose footers are sound and whose streams ask for more than there is: every one ends in an error before memory is reserved for it.

use std::io::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::*;
use crate::error::Kind;

const MEMORY: u64 = 64 << 20;

fn number(field: u64, mut value: u64, out: &mut Vec<u8>) {
    for mut rest in [field << 3, std::mem::take(&mut value)] {
        while rest >= 0x80 {
            out.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        out.push(rest.to_le_bytes()[0]);
    }
}

fn message(field: u64, content: &[u8], out: &mut Vec<u8>) {
    let mut head = Vec::new();
    number(field, content.len() as u64, &mut head);
    head[0] |= 2;
    out.extend(head);
    out.extend_from_slice(content);
}

fn numbers(values: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|(field, value)| number(*field, *value, &mut out));
    out
}

/// An ORC file of one stripe.
#[derive(Default)]
struct Crafted {
    /// Kind, subtypes and names.
    types: Vec<(u64, Vec<u64>, Vec<&'static str>)>,
    rows: u64,
    /// Kind, column and bytes.
    streams: Vec<(u64, u64, Vec<u8>)>,
    /// Encoding and dictionary size.
    columns: Vec<(u64, u64)>,
    /// Kind, and bytes of a block.
    compression: (u64, u64),
    /// Added to the length of the last stream, without bytes behind it.
    longer: u64,
}

impl Crafted {
    fn chunked(&self, bytes: &[u8]) -> Vec<u8> {
        if self.compression.0 == 0 || bytes.is_empty() {
            return bytes.to_vec();
        }
        // Stored as it is.
        let header = (u32::try_from(bytes.len()).unwrap() << 1 | 1).to_le_bytes();
        [&header[..3], bytes].concat()
    }

    fn bytes(&self) -> Buffer {
        let mut file = b"ORC".to_vec();
        let mut footer = Vec::new();
        for (at, (kind, column, bytes)) in self.streams.iter().enumerate() {
            file.extend_from_slice(bytes);
            let longer = if at + 1 == self.streams.len() { self.longer } else { 0 };
            message(1, &numbers(&[(1, *kind), (2, *column), (3, bytes.len() as u64 + longer)]), &mut footer);
        }
        self.columns.iter().for_each(|(encoding, size)| message(2, &numbers(&[(1, *encoding), (2, *size)]), &mut footer));
        let (data, footer) = (file.len() as u64 - 3, self.chunked(&footer));
        file.extend_from_slice(&footer);
        let mut tail = Vec::new();
        let stripe = numbers(&[(1, 3), (2, 0), (3, data), (4, footer.len() as u64), (5, self.rows)]);
        message(3, &stripe, &mut tail);
        for (kind, subtypes, names) in &self.types {
            let mut ty = numbers(&[(1, *kind)]);
            subtypes.iter().for_each(|subtype| number(2, *subtype, &mut ty));
            names.iter().for_each(|name| message(3, name.as_bytes(), &mut ty));
            message(4, &ty, &mut tail);
        }
        number(6, self.rows, &mut tail);
        let tail = self.chunked(&tail);
        file.extend_from_slice(&tail);
        let mut postscript = numbers(&[(1, tail.len() as u64), (2, self.compression.0), (3, self.compression.1), (5, 0)]);
        message(8_000, b"ORC", &mut postscript);
        file.extend_from_slice(&postscript);
        file.push(u8::try_from(postscript.len()).unwrap());
        file.into()
    }

    /// The first batch of all columns.
    fn first(&self) -> Result<Batch> {
        let bytes = self.bytes();
        let mut file = OrcFile::open(&bytes, MEMORY)?;
        file.select(&(0..file.fields().len()).collect::<Vec<_>>())?;
        Ok(file.next(u64::MAX)?.unwrap())
    }

    fn refused(&self) -> (Kind, String) {
        let error = self.first().unwrap_err();
        (error.kind(), error.message().to_string())
    }
}

/// Numbers that are all `value`, as short repeats of the second version.
fn repeated(value: u64, times: usize) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut out = Vec::new();
    let mut left = times;
    while left >= 3 {
        let run = left.min(10);
        let run = if left - run == 1 || left - run == 2 { run - 2 } else { run };
        out.push(7 << 3 | u8::try_from(run - 3).unwrap());
        out.extend(bytes);
        left -= run;
    }
    assert_eq!(left, 0);
    out
}

/// Rows of one column of lists of numbers, each `length` long.
fn lists(rows: usize, length: u64, elements: usize) -> Crafted {
    Crafted {
        types: vec![(12, vec![1], vec!["l"]), (10, vec![2], vec![]), (4, vec![], vec![])],
        rows: rows as u64,
        streams: vec![(2, 1, repeated(length, rows)), (1, 2, repeated(14, elements))],
        columns: vec![(0, 0), (2, 0), (2, 0)],
        ..Crafted::default()
    }
}

/// Rows of one column of texts.
fn texts(encoding: u64, dictionary: u64, rows: u64, streams: Vec<(u64, u64, Vec<u8>)>) -> Crafted {
    let types = vec![(12, vec![1], vec!["t"]), (7, vec![], vec![])];
    Crafted { types, rows, streams, columns: vec![(0, 0), (encoding, dictionary)], ..Crafted::default() }
}

fn deflated(size: usize) -> Vec<u8> {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(&vec![0; size]).unwrap();
    let chunk = writer.finish().unwrap();
    let header = (u32::try_from(chunk.len()).unwrap() << 1).to_le_bytes();
    [&header[..3], &chunk].concat()
}

#[test]
fn sound_files_of_this_kind_are_read() {
    let batch = lists(4, 3, 12).first().unwrap();
    let list = batch.columns[0].as_list::<i32>();
    assert_eq!((batch.rows, list.offsets().as_ref()), (4, &[0, 3, 6, 9, 12][..]));
    assert_eq!(list.values().as_primitive::<Int64Type>().values(), &[7; 12]);
    let words = texts(2, 0, 3, vec![(2, 1, repeated(2, 3)), (1, 1, b"aabbcc".to_vec())]).first().unwrap();
    assert_eq!(words.columns[0].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["aa", "bb", "cc"]);
    let dictionary = vec![(2, 1, repeated(2, 3)), (3, 1, b"aabbcc".to_vec()), (1, 1, repeated(2, 5))];
    let words = texts(3, 3, 5, dictionary).first().unwrap();
    assert_eq!(words.columns[0].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["cc"; 5]);
}

#[test]
fn empty_streams_are_not_those_that_begin_where_they_do() {
    // Lists that are all empty: their texts have no lengths, and what lies there is the bytes of another column.
    let file = Crafted {
        types: vec![(12, vec![1, 3], vec!["l", "t"]), (10, vec![2], vec![]), (7, vec![], vec![]), (7, vec![], vec![])],
        rows: 3,
        streams: vec![(2, 1, repeated(0, 3)), (1, 2, Vec::new()), (2, 2, Vec::new()), (1, 3, b"aabbcc".to_vec()), (2, 3, repeated(2, 3))],
        columns: vec![(0, 0), (2, 0), (2, 0), (2, 0)],
        ..Crafted::default()
    };
    let batch = file.first().unwrap();
    assert_eq!(batch.columns[0].as_list::<i32>().offsets().as_ref(), &[0, 0, 0, 0]);
    assert_eq!(batch.columns[1].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["aa", "bb", "cc"]);
}

#[test]
fn lists_longer_than_memory_are_refused_before_anything_is_reserved_for_them() {
    for length in [1 << 24, 1 << 40, 1 << 58] {
        let too_large = "a stripe or block of the file is too large for the memory that may be used";
        assert_eq!(lists(4, length, 4).refused(), (Kind::Unsupported, too_large.into()), "{length}");
    }
    let (kind, message) = lists(4, i64::MAX.cast_unsigned(), 4).refused();
    assert_eq!((kind, message.as_str()), (Kind::Corrupt, "the ORC file has lengths that make no sense"));
    // Few enough for memory, and still not there.
    assert_eq!(lists(4, 5_000, 4).refused().0, Kind::Corrupt);
}

#[test]
fn texts_longer_than_their_bytes_and_dictionaries_larger_than_theirs_are_damage() {
    let damaged = (Kind::Corrupt, "the ORC file has texts that are longer than what it holds of them".to_string());
    let of = |length: u64| vec![(2, 1, repeated(length, 3)), (1, 1, b"aabbcc".to_vec())];
    for length in [3, 1 << 30, 1 << 61] {
        assert_eq!(texts(2, 0, 3, of(length)).refused(), damaged, "{length}");
    }
    let dictionary = || vec![(2, 1, repeated(2, 3)), (3, 1, b"aabbcc".to_vec()), (1, 1, repeated(2, 5))];
    for entries in [8, 1 << 32, u64::MAX] {
        assert_eq!(texts(3, entries, 5, dictionary()).refused(), damaged, "{entries}");
    }
}

#[test]
fn a_long_entry_of_a_dictionary_is_not_repeated_beyond_memory() {
    let entry = 100_000;
    let streams = vec![(2, 1, [&[0x40, 0][..], &[]].concat()), (3, 1, vec![b'x'; entry]), (1, 1, repeated(0, 20_000))];
    let mut file = texts(3, 1, 20_000, streams);
    // One length, as a direct run of 24 bits.
    file.streams[0].2 = [&[0x40 | 23 << 1, 0][..], &u32::try_from(entry).unwrap().to_be_bytes()[1..]].concat();
    let bytes = file.bytes();
    let mut opened = OrcFile::open(&bytes, MEMORY).unwrap();
    opened.select(&[0]).unwrap();
    let mut rows = 0;
    for _ in 0..3 {
        let batch = opened.next(u64::MAX).unwrap().unwrap();
        assert!(batch.rows as u64 * entry as u64 <= MEMORY && batch.columns[0].len() == batch.rows, "{}", batch.rows);
        rows += batch.rows;
    }
    assert!(rows > 600, "{rows}");
}

#[test]
fn compressed_streams_that_become_more_than_a_block_are_damage() {
    let sound = deflated(6);
    for (stream, ends) in [(sound, true), (deflated(64 << 20), false)] {
        let lengths = [&[u8::try_from(repeated(2, 3).len() << 1 | 1).unwrap(), 0, 0][..], &repeated(2, 3)].concat();
        let mut file = texts(2, 0, 3, vec![(2, 1, lengths), (1, 1, stream)]);
        file.compression = (1, 256 << 10);
        assert_eq!(file.first().is_ok(), ends);
        if !ends {
            assert_eq!(file.refused(), (Kind::Corrupt, "a compressed chunk of the ORC file becomes more than the file says".into()));
        }
        file.compression.1 = u64::MAX;
        assert_eq!(file.refused(), (Kind::Corrupt, "the ORC footer is damaged".into()));
    }
}

#[test]
fn streams_beyond_their_stripe_are_damage() {
    for longer in [1, 1 << 40, u64::MAX - 100] {
        let file = Crafted { longer, ..lists(4, 3, 12) };
        assert_eq!(file.refused().0, Kind::Corrupt, "{longer}");
    }
    let file = Crafted { columns: vec![(0, 0)], ..lists(4, 3, 12) };
    assert_eq!(file.refused().0, Kind::Corrupt);
}
