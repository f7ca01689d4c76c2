//! What new files look like, and what was written.

use super::file::Partition;
use super::schema::Schema;
use super::stats::FileStats;
use super::transform::Transform;
use super::value::Value;
use crate::error::Result;
use crate::location::Location;
use crate::units::Bytes;
use std::sync::Arc;

/// Compression of new Parquet files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// none
    Uncompressed,
    /// Snappy
    Snappy,
    /// gzip with a level (0–9)
    Gzip(u32),
    /// LZ4 in its raw block form
    Lz4Raw,
    /// Brotli with a level (0–11)
    Brotli(u32),
    /// Zstandard with a level (1–22)
    Zstd(i32),
}

/// How columns of existing files are recognised.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldMatching {
    /// By field id. Files that carry none: by `names` (top-level or nested physical names to ids, Iceberg's name mapping), else by position.
    FieldIds {
        /// Iceberg's `schema.name-mapping.default`, as a tree.
        names: Option<Vec<MappedName>>,
    },
    /// By field id alone: a file that carries none is refused (Delta's column mapping by id).
    OwnFieldIds,
    /// By [`crate::model::Field::physical`] name.
    PhysicalNames,
}

/// What row groups may hold that are copied as they are, though no new row group would be written like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerated {
    /// Timestamps of 12 bytes.
    pub int96: bool,
    /// Variants with values in typed columns.
    pub shredded: bool,
}

/// How the rows of a table's data files are read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadSpec {
    /// The columns, as users see them.
    pub schema: Schema,
    /// How columns of data files are recognised.
    pub matching: FieldMatching,
}

/// One entry of a name mapping (Iceberg spec, "Column Projection").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedName {
    /// The column's id; `None` if only children are mapped.
    pub id: Option<i32>,
    /// Names it may have in files.
    pub names: Vec<String>,
    /// Nested columns.
    pub fields: Vec<Self>,
}

/// Columns that keep row ids in rewritten files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowIdColumns {
    /// Name of the row-id column in files.
    pub row_id: String,
    /// Its field id, where files carry ids.
    pub row_id_field: Option<i32>,
    /// Name of the column with the sequence number (Delta: commit version) of the row's last change.
    pub sequence: String,
    /// Its field id, where files carry ids.
    pub sequence_field: Option<i32>,
}

/// Which partition spec new files get, where a table has several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpecChoice {
    /// The table's current one, where values of it can be computed; else the one that wrote the file.
    #[default]
    Current,
    /// The one that wrote the file.
    Own,
    /// This one.
    Id(i32),
}

/// Sorts rows into the partitions of a spec, by values computed from their columns.
#[derive(Debug, Clone)]
pub struct Routing {
    /// For each field of the spec, in order: the id of the column its values are made from, and how.
    pub fields: Vec<(i32, Transform)>,
    /// Knows the partitions.
    pub partitions: Arc<dyn Partitions>,
}

/// Knows what a partition is called and where its files go: the format's business.
pub trait Partitions: std::fmt::Debug + Send + Sync {
    /// The partition with these values, one for each field of the spec, and the folder of its files.
    ///
    /// # Errors
    ///
    /// `Bug` if the values do not fit the spec.
    fn partition(&self, values: Vec<Option<Value>>) -> Result<(Arc<Partition>, Location)>;
}

/// How the files of one group are to be written, decided by the format from the table's properties and by the operation's options.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// The folder for the group's partition.
    pub directory: Location,
    /// The partition (with its spec) the files belong to.
    pub partition: Arc<Partition>,
    /// How rows are sorted into partitions of another spec than that of the files they come from. Then `directory` is the folder above those of
    /// all partitions, and `partition` names the spec alone.
    pub routing: Option<Routing>,
    /// The columns to store, by their physical names.
    pub schema: Schema,
    /// Whether files carry field ids.
    pub field_ids: bool,
    /// How columns of the inputs are recognised.
    pub matching: FieldMatching,
    /// What copied row groups may hold.
    pub tolerated: Tolerated,
    /// Whether readers of the table go by what Spark notes of old calendars in footers: then values and notes stay together.
    pub calendars: bool,
    /// Row ids to materialise, where the table keeps them. Rules out copying.
    pub row_ids: Option<RowIdColumns>,
    /// Compression of re-encoded columns.
    pub codec: Codec,
    /// About how large files should be.
    pub target_file_size: Bytes,
    /// About how large row groups should be, encoded.
    pub row_group_size: Bytes,
    /// About how large data pages should be, before compression.
    pub page_size: Bytes,
    /// At most how large a dictionary page may be.
    pub dictionary_size: Bytes,
    /// Columns (dotted physical paths) to write bloom filters for, with the false-positive probability.
    pub bloom_filters: Vec<(String, f64)>,
    /// Key-value metadata for the file footer.
    pub metadata: Vec<(String, String)>,
}

impl OutputSpec {
    /// What a reader wants to know of a file, in the form that a rewrite gives it: `schema` of a file in `partition`. Nothing is written; INT96 is
    /// read, and shredded variants are put together.
    #[must_use]
    pub fn for_reading(directory: Location, partition: Arc<Partition>, schema: Schema, matching: FieldMatching) -> Self {
        Self {
            directory,
            partition,
            schema,
            field_ids: false,
            tolerated: Tolerated { int96: true, shredded: false },
            calendars: false,
            matching,
            routing: None,
            row_ids: None,
            codec: Codec::Uncompressed,
            target_file_size: Bytes(0),
            row_group_size: Bytes(0),
            page_size: Bytes(0),
            dictionary_size: Bytes(0),
            bloom_filters: Vec::new(),
            metadata: Vec::new(),
        }
    }
}

/// A data file that has been written and is not yet part of a table.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Where it lies.
    pub location: Location,
    /// Bytes on storage.
    pub size: Bytes,
    /// Rows.
    pub rows: u64,
    /// The partition it belongs to.
    pub partition: Arc<Partition>,
    /// Exact statistics (or outward-rounded ones, marked) of its columns.
    pub stats: FileStats,
    /// File offsets of its row groups, ascending.
    pub split_offsets: Vec<i64>,
}
