//! Whether the row groups of a group of files may be moved as they are.

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::SchemaDescPtr;

use super::footer::Opened;
use super::resolve::Resolution;
use super::stats::Leaf;
use crate::model::{Codec, OutputSpec};

/// Auto copies row groups that are at least this large on average, whatever encoding would make of them.
const LARGE_ROW_GROUP: u64 = 8 << 20;

/// What the footers of a group say, gathered one by one.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The schema that all inputs have.
    schema: Option<SchemaDescPtr>,
    leaves: Vec<Option<Leaf>>,
    /// Key-value metadata that all inputs have alike.
    kept: Vec<(String, String)>,
    row_groups: u64,
    /// Bytes of column chunks.
    bytes: u64,
    /// Bytes of those that are not compressed.
    uncompressed: u64,
    /// Bytes of those that have the codec of the output.
    same_codec: u64,
    /// Whether a file holds values in typed columns, which only copying keeps there.
    shredded: bool,
}

/// A group whose row groups may be copied.
#[derive(Debug)]
pub(super) struct Copyable {
    /// The schema of inputs and outputs.
    pub(super) schema: SchemaDescPtr,
    /// For each leaf, the column it is stored for.
    pub(super) leaves: Vec<Option<Leaf>>,
    /// Key-value metadata to carry over.
    pub(super) kept: Vec<(String, String)>,
    /// Bytes of all column chunks.
    pub(super) bytes: u64,
    /// Whether copying is also worth it: what is copied is no worse than what encoding would make.
    pub(super) worthwhile: bool,
}

impl Survey {
    /// Adds an input whose columns were resolved.
    ///
    /// # Errors
    ///
    /// Says what keeps the group from being copied.
    pub(super) fn add(&mut self, metadata: &ParquetMetaData, resolution: Resolution, output: &OutputSpec) -> Result<(), &'static str> {
        if let Some(obstacle) = resolution.obstacle {
            return Err(obstacle);
        }
        self.shredded |= resolution.shredded;
        let file = metadata.file_metadata();
        match &self.schema {
            None => {
                self.schema = Some(file.schema_descr_ptr());
                self.leaves = resolution.leaves;
                self.kept = file.key_value_metadata().into_iter().flatten().filter_map(carried).collect();
            }
            Some(schema) => {
                if schema.root_schema().get_fields() != file.schema_descr().root_schema().get_fields() {
                    return Err("the files have different schemas");
                }
                let theirs: Vec<_> = file.key_value_metadata().into_iter().flatten().filter_map(carried).collect();
                self.kept.retain(|entry| theirs.contains(entry));
            }
        }
        // Row groups without rows are left behind, whatever they say.
        let groups = || metadata.row_groups().iter().filter(|group| group.num_rows() > 0);
        for chunk in groups().flat_map(RowGroupMetaData::columns) {
            if !has_sane_offsets(chunk) {
                return Err("a file has dictionary pages in a place that not every reader finds");
            }
            let bytes = u64::try_from(chunk.compressed_size()).unwrap_or_default();
            self.bytes += bytes;
            if chunk.compression() == Compression::UNCOMPRESSED {
                self.uncompressed += bytes;
            }
            if is_codec(chunk.compression(), output.codec) {
                self.same_codec += bytes;
            }
        }
        self.row_groups += groups().count() as u64;
        Ok(())
    }

    /// What follows from all inputs; `None` if there are none.
    pub(super) fn finish(self, output: &OutputSpec) -> Option<Copyable> {
        let row_group_size = output.row_group_size.0.max(1);
        let large = self.bytes / self.row_groups.max(1) >= LARGE_ROW_GROUP || self.row_groups <= self.bytes.div_ceil(row_group_size);
        // Another kind of compression is no reason to decode everything; none at all is.
        let compressed = self.same_codec == self.bytes || self.uncompressed <= self.bytes / 2;
        let (leaves, kept, bytes) = (self.leaves, self.kept, self.bytes);
        self.schema.map(|schema| Copyable { schema, leaves, kept, bytes, worthwhile: self.shredded || (large && compressed) })
    }
}

/// Key-value metadata that describes the schema and so stays true.
fn carried(entry: &KeyValue) -> Option<(String, String)> {
    let keep = entry.key.starts_with("org.apache.spark.") || entry.key == parquet::arrow::ARROW_SCHEMA_META_KEY;
    entry.value.as_ref().filter(|_| keep).map(|value| (entry.key.clone(), value.clone()))
}

/// Whether the chunk begins with its dictionary page or has none. Some old writers give an offset of zero or one behind the data.
fn has_sane_offsets(chunk: &ColumnChunkMetaData) -> bool {
    let data = chunk.data_page_offset();
    data > 0 && chunk.dictionary_page_offset().is_none_or(|dictionary| 0 < dictionary && dictionary < data)
}

const fn is_codec(compression: Compression, codec: Codec) -> bool {
    matches!(
        (compression, codec),
        (Compression::UNCOMPRESSED, Codec::Uncompressed)
            | (Compression::SNAPPY, Codec::Snappy)
            | (Compression::GZIP(_), Codec::Gzip(_))
            | (Compression::LZ4_RAW, Codec::Lz4Raw)
            | (Compression::BROTLI(_), Codec::Brotli(_))
            | (Compression::ZSTD(_), Codec::Zstd(_))
    )
}

/// Footers that were read for the survey and may be kept until they are used.
#[derive(Debug, Default)]
pub(super) struct Footers {
    kept: Vec<Option<Opened>>,
    bytes: usize,
}

impl Footers {
    /// Footers are kept as long as they take no more memory than this.
    const MOST: usize = 16 << 20;

    /// Keeps the next input's footer, if there is room.
    pub(super) fn push(&mut self, opened: Opened) {
        let size = opened.metadata.memory_size();
        let room = self.bytes + size <= Self::MOST;
        if room {
            self.bytes += size;
        }
        self.kept.push(room.then_some(opened));
    }

    /// The footer of the input number `at`, if it was kept.
    pub(super) fn get(&self, at: usize) -> Option<&Opened> {
        self.kept.get(at).and_then(Option::as_ref)
    }

    /// Takes the footer of the input number `at`, if it was kept.
    pub(super) fn take(&mut self, at: usize) -> Option<Opened> {
        self.kept.get_mut(at).and_then(Option::take)
    }
}
