//! Table properties that a rewrite or a checkpoint follows (Delta documentation, "Delta table properties reference").

use super::actions::TextMap;
use crate::error::{Error, Result};
use crate::model::Codec;
use crate::units::Bytes;

const DAY_MS: i64 = 86_400_000;

/// Which columns get statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Indexed {
    /// The first so many leaf columns.
    First(usize),
    /// Those named, with everything below them.
    Named(Vec<String>),
}

/// Whether property `key` is on.
pub(super) fn on(properties: &TextMap, key: &str) -> bool {
    properties.text(key).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// `delta.checkpointInterval`: every how many versions a checkpoint is written; 10 where the property says nothing usable.
pub(super) fn checkpoint_interval(properties: &TextMap) -> i64 {
    properties.text("delta.checkpointInterval").and_then(|text| text.trim().parse().ok()).filter(|n| *n > 0).unwrap_or(10)
}

/// `delta.deletedFileRetentionDuration` in milliseconds, 7 days where it is not set; `None` where it cannot be understood.
pub(super) fn retention_ms(properties: &TextMap) -> Option<i64> {
    properties.text("delta.deletedFileRetentionDuration").map_or(Some(7 * DAY_MS), interval_ms)
}

/// `delta.logRetentionDuration` in milliseconds, 30 days where it is not set; `None` where it cannot be understood.
pub(super) fn log_retention_ms(properties: &TextMap) -> Option<i64> {
    properties.text("delta.logRetentionDuration").map_or(Some(30 * DAY_MS), interval_ms)
}

/// Reads an interval as Spark SQL writes it: `interval 1 week`, `interval 2 days 3 hours`.
fn interval_ms(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let words: Vec<&str> = lower.strip_prefix("interval").unwrap_or(&lower).split_whitespace().collect();
    if words.is_empty() || words.len() % 2 == 1 {
        return None;
    }
    let mut total: i64 = 0;
    for pair in words.chunks_exact(2) {
        let [count, unit] = pair else { return None };
        let unit = match unit.trim_end_matches('s') {
            "week" => 7 * DAY_MS,
            "day" => DAY_MS,
            "hour" => 3_600_000,
            "minute" => 60_000,
            "second" => 1_000,
            "millisecond" => 1,
            _ => return None,
        };
        total = total.checked_add(count.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (total >= 0).then_some(total)
}

/// `delta.dataSkippingStatsColumns` before `delta.dataSkippingNumIndexedCols` (default 32; -1 is all).
pub(super) fn indexed(properties: &TextMap) -> Indexed {
    if let Some(names) = properties.text("delta.dataSkippingStatsColumns") {
        return Indexed::Named(names.split(',').map(|name| name.trim().replace('`', "")).filter(|name| !name.is_empty()).collect());
    }
    let count = properties.text("delta.dataSkippingNumIndexedCols").and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(32);
    Indexed::First(usize::try_from(count).unwrap_or(usize::MAX))
}

/// `delta.targetFileSize`; units are powers of 1024, as Spark reads them.
///
/// # Errors
///
/// `Usage` where it is set and is no size.
pub(super) fn target_file_size(properties: &TextMap) -> Result<Option<Bytes>> {
    let Some(text) = properties.text("delta.targetFileSize") else { return Ok(None) };
    let lower = text.trim().to_ascii_lowercase();
    let binary = ["kb", "mb", "gb", "tb"].iter().any(|unit| lower.ends_with(unit));
    let size = if binary { lower.trim_end_matches('b') } else { &lower };
    let size: Bytes = size.parse().map_err(|error| property("delta.targetFileSize").because(error))?;
    Ok(Some(size).filter(|size| size.0 > 0))
}

/// `delta.parquet.compression.codec`.
///
/// # Errors
///
/// `Unsupported` for a codec we cannot write.
pub(super) fn codec(properties: &TextMap) -> Result<Option<Codec>> {
    let Some(text) = properties.text("delta.parquet.compression.codec") else { return Ok(None) };
    Ok(Some(match text.trim().to_ascii_lowercase().as_str() {
        "none" | "uncompressed" => Codec::Uncompressed,
        "snappy" => Codec::Snappy,
        "gzip" => Codec::Gzip(6),
        "lz4" | "lz4_raw" => Codec::Lz4Raw,
        "brotli" => Codec::Brotli(1),
        "zstd" => Codec::Zstd(3),
        _ => {
            return Err(
                Error::unsupported("the table asks for a compression we cannot write").about("property", "delta.parquet.compression.codec")
            );
        }
    }))
}

fn property(key: &'static str) -> Error {
    Error::usage("a table property cannot be understood")
        .about("property", key)
        .hint("correct the property, or give the option on the command line")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(key: &str, value: &str) -> TextMap {
        TextMap(vec![(key.into(), Some(value.into()))])
    }

    #[test]
    fn intervals_are_read_as_spark_writes_them_and_a_strange_one_is_unknown() {
        let read = |text: &str| retention_ms(&properties("delta.deletedFileRetentionDuration", text));
        assert_eq!(read("interval 1 week"), Some(7 * DAY_MS));
        assert_eq!(read("INTERVAL 2 days 3 hours"), Some(2 * DAY_MS + 3 * 3_600_000));
        assert_eq!(read("0 seconds"), Some(0));
        assert_eq!((read("interval 1 month"), read("a while"), read("")), (None, None, None));
        assert_eq!(retention_ms(&TextMap::default()), Some(7 * DAY_MS));
    }

    #[test]
    fn sizes_and_codecs_are_read_as_spark_reads_them() {
        let size = |text: &str| target_file_size(&properties("delta.targetFileSize", text));
        assert_eq!(size("128mb").unwrap(), Some(Bytes::mib(128)));
        assert_eq!(size("104857600").unwrap(), Some(Bytes::mib(100)));
        assert!(size("big").is_err());
        assert_eq!(codec(&properties("delta.parquet.compression.codec", "GZIP")).unwrap(), Some(Codec::Gzip(6)));
        assert!(codec(&properties("delta.parquet.compression.codec", "lzo")).is_err());
    }

    #[test]
    fn named_statistics_columns_win_over_their_number() {
        assert_eq!(indexed(&TextMap::default()), Indexed::First(32));
        assert_eq!(indexed(&properties("delta.dataSkippingNumIndexedCols", "-1")), Indexed::First(usize::MAX));
        let named = indexed(&properties("delta.dataSkippingStatsColumns", "a, `b`.c"));
        assert_eq!(named, Indexed::Named(vec!["a".into(), "b.c".into()]));
    }
}
