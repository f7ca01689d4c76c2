//! Files that are small and come to much.

use bytes::Bytes as Buffer;

use super::*;
use crate::error::Kind;

const LARGEST: u64 = 64 << 20;

fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw.to_le_bytes()[0] | 0x80);
        raw >>= 7;
    }
    out.push(raw.to_le_bytes()[0]);
}

/// A file of one block of so many rows, whose fields are `fields`.
fn file(fields: &str, rows: i64, block: &[u8]) -> Buffer {
    let mut out = MAGIC.to_vec();
    let schema = format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#);
    out.push(2);
    for text in ["avro.schema", &schema] {
        put_long(i64::try_from(text.len()).unwrap(), &mut out);
        out.extend_from_slice(text.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&[7; SYNC]);
    put_long(rows, &mut out);
    put_long(i64::try_from(block.len()).unwrap(), &mut out);
    out.extend_from_slice(block);
    out.extend_from_slice(&[7; SYNC]);
    Buffer::from(out)
}

/// The rows of each batch of all columns, and the bytes of the largest.
fn read(file: &Buffer) -> Result<(Vec<usize>, usize)> {
    let mut decoder = AvroFile::open(file, LARGEST)?;
    let all: Vec<usize> = (0..decoder.fields().len()).collect();
    decoder.select(&all)?;
    let (mut rows, mut most) = (Vec::new(), 0);
    while let Some(batch) = decoder.next(1 << 20)? {
        rows.push(batch.rows);
        most = most.max(batch.columns.iter().map(|column| column.get_buffer_memory_size()).sum());
    }
    Ok((rows, most))
}

#[test]
fn rows_without_bytes_are_as_many_as_a_block_may_have_and_no_more() {
    let nothing = r#"{"name":"a","type":"null"}"#;
    assert_eq!(read(&file(nothing, 40_000, &[])).unwrap().0.iter().sum::<usize>(), 40_000);
    assert_eq!(read(&file(nothing, i64::MAX, &[])).unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(read(&file(r#"{"name":"a","type":"long"}"#, 1 << 40, &[2; 3])).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn items_without_bytes_are_few() {
    let nothings = r#"{"name":"a","type":{"type":"array","items":"null"}}"#;
    let list = |items: i64| {
        let mut block = Vec::new();
        put_long(items, &mut block);
        block.push(0);
        block
    };
    assert_eq!(read(&file(nothings, 1, &list(1000))).unwrap().0, [1]);
    assert_eq!(read(&file(nothings, 1, &list(1 << 23))).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn nulls_of_wide_types_end_a_batch_before_they_fill_memory() {
    let wide = r#"{"name":"a","type":["null",{"type":"fixed","name":"f","size":1048576}]}"#;
    let (rows, most) = read(&file(wide, 1000, &[0; 1000])).unwrap();
    assert_eq!(rows.iter().sum::<usize>(), 1000);
    assert!(rows.len() > 50 && most <= 32 << 20, "{} batches of at most {most} bytes", rows.len());
    // One that no memory holds, and rows of many that none holds.
    let huge = r#"{"name":"a","type":["null",{"type":"fixed","name":"f","size":2147483647}]}"#;
    assert_eq!(read(&file(huge, 1, &[0])).unwrap_err().kind(), Kind::Unsupported);
    let listed = r#"{"name":"a","type":{"type":"array","items":["null",{"type":"fixed","name":"f","size":1048576}]}}"#;
    let mut block = Vec::new();
    put_long(1000, &mut block);
    block.resize(block.len() + 1001, 0);
    assert_eq!(read(&file(listed, 1, &block)).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn long_symbols_end_a_batch_before_they_fill_memory() {
    let symbol = "s".repeat(1 << 20);
    let named = format!(r#"{{"name":"a","type":{{"type":"enum","name":"e","symbols":["{symbol}"]}}}}"#);
    let (rows, most) = read(&file(&named, 1000, &[0; 1000])).unwrap();
    assert_eq!(rows.iter().sum::<usize>(), 1000);
    assert!(rows.len() > 50 && most <= 64 << 20, "{} batches of at most {most} bytes", rows.len());
}
