//! How the Parquet library is to write.

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::failure::memory_size;
use crate::error::{Error, Result};
use crate::model::{Codec, OutputSpec};

/// Longer bounds of text and binaries are cut in footers (outwards), so that large values do not swell them.
pub(super) const LONGEST_BOUND: usize = 256;

/// Properties of files of `output` whose footers hold `metadata`.
///
/// # Errors
///
/// `Usage` for a compression level or a false-positive probability that does not exist.
pub(super) fn writer_properties(output: &OutputSpec, metadata: &[(String, String)]) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("otf version ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(compression(output.codec)?)
        .set_data_page_size_limit(memory_size(output.page_size.0))
        .set_dictionary_page_size_limit(memory_size(output.dictionary_size.0))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(LONGEST_BOUND))
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(key_values(metadata));
    for (path, probability) in &output.bloom_filters {
        if !(*probability > 0.0 && *probability < 1.0) {
            return Err(Error::usage("a bloom filter's false-positive probability must lie between 0 and 1").about("column", path));
        }
        let column = ColumnPath::new(path.split('.').map(str::to_string).collect());
        builder = builder.set_column_bloom_filter_enabled(column.clone(), true).set_column_bloom_filter_fpp(column, *probability);
    }
    Ok(builder.build())
}

/// Key-value metadata as the library wants it.
pub(super) fn key_values(metadata: &[(String, String)]) -> Option<Vec<KeyValue>> {
    (!metadata.is_empty()).then(|| metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect())
}

fn compression(codec: Codec) -> Result<Compression> {
    let wrong = |e: ParquetError| Error::usage("there is no such compression level").because(e);
    Ok(match codec {
        Codec::Uncompressed => Compression::UNCOMPRESSED,
        Codec::Snappy => Compression::SNAPPY,
        Codec::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level).map_err(wrong)?),
        Codec::Lz4Raw => Compression::LZ4_RAW,
        Codec::Brotli(level) => Compression::BROTLI(BrotliLevel::try_new(level).map_err(wrong)?),
        Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level).map_err(wrong)?),
    })
}
