//! How seeds are written: `@FILE` is a file below `fixtures/`, `plain@FILE` an Avro file with its blocks unpacked (a bit that changes in a packed
//! block seldom gets further than the unpacker), `gzip@FILE` and `gzip:TEXT` are packed without compression, for the same reason. Else a text.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::GzEncoder;

use super::tables::fixtures;

/// The seed that `text` stands for.
pub(super) fn load(text: &str) -> Vec<u8> {
    let file = |name: &str| std::fs::read(fixtures().join(name)).unwrap();
    if let Some(name) = text.strip_prefix('@') {
        file(name)
    } else if let Some(name) = text.strip_prefix("plain@") {
        plain(&file(name))
    } else if let Some(name) = text.strip_prefix("gzip@") {
        gzip(&file(name))
    } else if let Some(text) = text.strip_prefix("gzip:") {
        gzip(text.as_bytes())
    } else {
        text.as_bytes().to_vec()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::none());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

const SYNC: usize = 16;

/// The Avro container file `bytes`, whose blocks are deflated, without compression.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let at = bytes.windows(7).position(|window| window == b"deflate").unwrap();
    // The mark that ends the header ends the file.
    let sync = &bytes[bytes.len() - SYNC..];
    let end = bytes.windows(SYNC).position(|window| window == sync).unwrap() + SYNC;
    let mut out = bytes[..at - 1].to_vec();
    out.extend_from_slice(b"\x08null");
    out.extend_from_slice(&bytes[at + 7..end]);
    let mut rest = &bytes[end..];
    while !rest.is_empty() {
        let (rows, behind) = long(rest);
        let (length, behind) = long(behind);
        let (packed, behind) = behind.split_at(usize::try_from(length).unwrap());
        let mut block = Vec::new();
        DeflateDecoder::new(packed).read_to_end(&mut block).unwrap();
        put_long(rows, &mut out);
        put_long(i64::try_from(block.len()).unwrap(), &mut out);
        out.extend_from_slice(&block);
        out.extend_from_slice(sync);
        rest = &behind[SYNC..];
    }
    out
}

fn long(bytes: &[u8]) -> (i64, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let raw = bytes[..length].iter().rev().fold(0u64, |raw, byte| raw << 7 | u64::from(byte & 0x7f));
    ((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), &bytes[length..])
}

fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut raw = (number << 1 ^ number >> 63).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw.to_le_bytes()[0] | 0x80);
        raw >>= 7;
    }
    out.push(raw.to_le_bytes()[0]);
}
