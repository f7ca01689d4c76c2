//! Values of the configuration as people write them: sizes, compression, choices.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::model::Codec;
use crate::units::Bytes;

/// What results are printed as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Tables and sentences for people
    #[default]
    Text,
    /// One JSON document on standard output
    Json,
    /// Rows as comma-separated values (queries only)
    #[serde(skip_deserializing)]
    Csv,
    /// Rows as a Parquet file (queries only)
    #[serde(skip_deserializing)]
    Parquet,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What log lines on standard error look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// How row groups reach new files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RowPath {
    /// Copy where nothing has to change, else encode
    Auto,
    /// Move whole row groups as bytes only
    Copy,
    /// Move pages and unite dictionaries (not in this version)
    Splice,
    /// Decode and encode every row
    Encode,
}

/// A size: `512MiB`, `128MB` or plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub Bytes);

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Size {
    /// The shortest spelling that reads back as the same number of bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let bytes = self.0.0;
        match units.into_iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", bytes / size),
            None => write!(f, "{bytes}"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Sizes;
        impl Visitor<'_> for Sizes {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"512MiB\", \"128MB\" or a number of bytes")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Size, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> std::result::Result<Size, E> {
                Ok(Size(Bytes(bytes)))
            }
            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> std::result::Result<Size, E> {
                u64::try_from(bytes).map(|bytes| Size(Bytes(bytes))).map_err(|_| E::custom("a size is not negative"))
            }
        }
        deserializer.deserialize_any(Sizes)
    }
}

/// Compression of new files: `zstd`, `zstd:LEVEL`, `snappy`, `gzip[:LEVEL]`, `lz4`, `brotli[:LEVEL]` or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression(pub Codec);

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &'static str| {
            Error::usage(format!("not a compression: '{text}': {why}"))
                .hint("write zstd, zstd:1 to zstd:22, snappy, gzip:0 to gzip:9, lz4, brotli:0 to brotli:11 or none")
        };
        let lower = text.trim().to_ascii_lowercase();
        let (name, level) = match lower.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u32>().map_err(|_| wrong("the level is not a number"))?)),
            None => (lower.as_str(), None),
        };
        let within = |default: u32, least: u32, most: u32| match level.unwrap_or(default) {
            level if (least..=most).contains(&level) => Ok(level),
            _ => Err(wrong("there is no such level")),
        };
        let codec = match name {
            "zstd" => Codec::Zstd(i32::try_from(within(3, 1, 22)?).unwrap_or(3)),
            "gzip" => Codec::Gzip(within(6, 0, 9)?),
            "brotli" => Codec::Brotli(within(1, 0, 11)?),
            "snappy" | "lz4" | "none" | "uncompressed" if level.is_some() => return Err(wrong("it has no levels")),
            "snappy" => Codec::Snappy,
            "lz4" => Codec::Lz4Raw,
            "none" | "uncompressed" => Codec::Uncompressed,
            _ => return Err(wrong("it is unknown")),
        };
        Ok(Self(codec))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Codec::Uncompressed => f.write_str("none"),
            Codec::Snappy => f.write_str("snappy"),
            Codec::Lz4Raw => f.write_str("lz4"),
            Codec::Gzip(level) => write!(f, "gzip:{level}"),
            Codec::Brotli(level) => write!(f, "brotli:{level}"),
            Codec::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl Serialize for Compression {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_read_with_their_levels_and_print_as_they_are_read() {
        let cases = [
            ("zstd", Codec::Zstd(3), "zstd:3"),
            ("zstd:19", Codec::Zstd(19), "zstd:19"),
            ("SNAPPY", Codec::Snappy, "snappy"),
            ("gzip", Codec::Gzip(6), "gzip:6"),
            ("gzip:0", Codec::Gzip(0), "gzip:0"),
            ("lz4", Codec::Lz4Raw, "lz4"),
            ("brotli:11", Codec::Brotli(11), "brotli:11"),
            ("none", Codec::Uncompressed, "none"),
        ];
        for (text, codec, printed) in cases {
            let read: Compression = text.parse().unwrap();
            assert_eq!((read.0, read.to_string().as_str()), (codec, printed), "{text}");
        }
        for text in ["zstd:0", "zstd:23", "zstd:x", "gzip:10", "brotli:12", "snappy:1", "lzo", "", "zstd:-1"] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_print_so_that_they_read_back_as_the_same_bytes() {
        for (bytes, text) in [(512 << 20, "512MiB"), (1500, "1500"), (3 << 30, "3GiB"), (0, "0"), (1536, "1536")] {
            let size = Size(Bytes(bytes));
            assert_eq!(size.to_string(), text);
            assert_eq!(text.parse::<Size>().unwrap(), size);
        }
    }
}
