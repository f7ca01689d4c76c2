//! Footers of Parquet files (parquet-format, `README.md`, "File format"): held against the file before anything is made of them.

use std::ops::Range;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::structs::ENCRYPTION_ALGORITHM;
use super::thrift;
use crate::decode::guarded;
use crate::error::{Error, Result};

/// Bytes from the end of a file that usually hold the whole footer.
pub(crate) const TAIL: u64 = 64 << 10;
/// The magic at the start, and the length and the magic at the end: no file is shorter.
pub(crate) const FRAME: u64 = 12;
/// Footers larger than this are taken for damage.
const LARGEST: u64 = 512 << 20;

/// Where the footer of a file of `size` bytes lies that ends with `tail`, of which the last eight bytes count.
///
/// # Errors
///
/// `Corrupt` for what is no Parquet file, `Unsupported` for an encrypted one.
pub(crate) fn place(size: u64, tail: &[u8]) -> Result<Range<u64>> {
    if size < FRAME {
        return Err(Error::corrupt("too short for a Parquet file"));
    }
    let (_, frame) = tail.split_at(tail.len().saturating_sub(8));
    let (length, magic) = frame.split_at(frame.len().min(4));
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err(Error::unsupported("the Parquet file is encrypted")),
        _ => return Err(Error::corrupt("not a Parquet file")),
    }
    let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
    if length > LARGEST || length > size - FRAME {
        return Err(Error::corrupt("the Parquet footer is longer than it can be").about("length", length));
    }
    Ok(size - 8 - length..size - 8)
}

/// Decodes the bytes of a footer.
///
/// # Errors
///
/// `Corrupt` for damage, `Unsupported` for encrypted columns and what the library does not know.
pub(crate) fn decode(footer: &[u8]) -> Result<ParquetMetaData> {
    let (mut mended, mut fields) = (None, thrift::footer_fields(footer));
    if fields.is_none() {
        mended = thrift::without_foreign_fields(footer);
        fields = mended.as_deref().and_then(thrift::footer_fields);
    }
    if fields.ok_or_else(damaged)?.contains(&ENCRYPTION_ALGORITHM) {
        return Err(Error::unsupported("the Parquet file has encrypted columns"));
    }
    guarded(|| ParquetMetaDataReader::decode_metadata(mended.as_deref().unwrap_or(footer)))?.map_err(error)
}

/// Holds every number that readers rely on against a file of `size` bytes; returns its rows.
///
/// # Errors
///
/// `Corrupt` for damage, `Unsupported` for columns in other files.
pub(crate) fn check(size: u64, metadata: &ParquetMetaData) -> Result<u64> {
    let mut rows = 0u64;
    for group in metadata.row_groups() {
        rows = u64::try_from(group.num_rows()).ok().and_then(|n| rows.checked_add(n)).ok_or_else(damaged)?;
        for column in group.columns() {
            if column.file_path().is_some() {
                return Err(Error::unsupported("columns of the Parquet file lie in other files"));
            }
            if column.num_values() < 0 || column.uncompressed_size() < 0 {
                return Err(damaged());
            }
            chunk_range(column, size).ok_or_else(damaged)?;
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()).ok() != Some(rows) {
        return Err(damaged());
    }
    Ok(rows)
}

/// Where a column chunk lies; `None` if that is not inside a file of `size` bytes.
pub(crate) fn chunk_range(column: &ColumnChunkMetaData, size: u64) -> Option<Range<u64>> {
    let start = u64::try_from(column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())).ok()?;
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    (end <= size).then_some(start..end)
}

/// An error of the library, as this crate's.
pub(crate) fn error(error: ParquetError) -> Error {
    let base = match &error {
        ParquetError::NYI(_) => Error::unsupported("the file uses a Parquet feature that this build does not read"),
        _ => Error::corrupt("the Parquet file cannot be decoded"),
    };
    base.because(error)
}

fn damaged() -> Error {
    Error::corrupt("the Parquet footer is damaged")
}
