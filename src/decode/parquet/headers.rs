//! Thrift structs that stand before what they describe, of a length that nothing tells: headers of pages and of bloom filters.
//!
//! The library decodes them from the stream. Where a field is unknown to it, it steps over as many list elements as the bytes announce, and neither
//! truth values nor what lies behind the end take any bytes: five bytes keep it busy for half a minute. So each struct is looked at first.

use std::io::{Cursor, Error, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use parquet::bloom_filter::Sbbf;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::{Fetched, footer, structs, thrift};

/// Headers are at most this long; the limit of Arrow's C++ reader.
const LARGEST: u64 = 16 << 20;
/// Most headers are shorter.
const USUAL: u64 = 512;
/// Where nothing tells how long a bloom filter is, the library takes this many bytes for its header.
const BLOOM_HEADER: usize = 20;

/// The file that holds a column chunk, with headers of pages that are well-formed and end in the chunk.
pub(super) struct Chunk<R> {
    reader: Arc<R>,
    end: u64,
}

impl<R: ChunkReader> Chunk<R> {
    /// The chunk that `column` places in `reader`.
    pub(super) fn new(reader: Arc<R>, column: &ColumnChunkMetaData) -> Result<Self> {
        let range = footer::chunk_range(column, reader.len());
        let Range { end, .. } = range.ok_or_else(|| ParquetError::EOF("a column lies outside of its file".into()))?;
        Ok(Self { reader, end })
    }
}

impl<R: ChunkReader> Length for Chunk<R> {
    fn len(&self) -> u64 {
        self.reader.len()
    }
}

impl<R: ChunkReader> ChunkReader for Chunk<R> {
    type T = Header<R::T>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let most = self.end.saturating_sub(start).min(LARGEST);
        Ok(Header { input: self.reader.get_read(start)?, most, whole: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Buffer> {
        self.reader.get_bytes(start, length)
    }
}

/// One header: looked at when it is first asked for, since the library begins to read in places where there is none, too.
pub(super) struct Header<T> {
    input: T,
    most: u64,
    whole: Option<Cursor<Vec<u8>>>,
}

impl<T: Read> Read for Header<T> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => Cursor::new(header(&mut self.input, self.most)?),
        };
        self.whole.insert(whole).read(into)
    }
}

/// The struct that `input` begins with, which has at most `most` bytes. What is read behind it is lost.
pub(super) fn header(input: &mut impl Read, most: u64) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut seen) = (Vec::new(), 0);
    loop {
        let wanted = (bytes.len() as u64 * 2).max(USUAL).min(most) - bytes.len() as u64;
        let mut more = vec![0; usize::try_from(wanted).map_err(Error::other)?];
        let count = input.read(&mut more)?;
        bytes.extend(more.into_iter().take(count));
        // Input may come in small pieces: it is looked at when there is twice as much.
        if count == 0 || bytes.len() >= 2 * seen {
            if let Some(length) = thrift::length(&bytes, structs::PAGE_HEADER) {
                bytes.truncate(length);
                return Ok(bytes);
            }
            seen = bytes.len();
        }
        if count == 0 {
            return Err(Error::new(ErrorKind::InvalidData, "the header of a page is damaged"));
        }
    }
}

/// The bloom filter of a column chunk, if it has one.
///
/// # Errors
///
/// Those of `reader` and of the library, and one for a header that is not well-formed.
pub(crate) fn bloom_filter<R: ChunkReader>(chunk: &ColumnChunkMetaData, reader: &R) -> Result<Option<Sbbf>> {
    let Some(start) = chunk.bloom_filter_offset() else { return Ok(None) };
    let damaged = || ParquetError::General("a bloom filter is damaged".into());
    let start = u64::try_from(start).map_err(|_| damaged())?;
    let told = chunk.bloom_filter_length().map(usize::try_from).transpose().map_err(|_| damaged())?;
    let bytes = reader.get_bytes(start, told.unwrap_or(BLOOM_HEADER))?;
    thrift::length(&bytes, structs::BLOOM_FILTER_HEADER).ok_or_else(damaged)?;
    if told.is_some() {
        let fetched = Fetched::new(reader.len(), vec![[(start, bytes)].into()]);
        return Sbbf::read_from_column_chunk(chunk, &fetched);
    }
    Sbbf::read_from_column_chunk(chunk, reader)
}
