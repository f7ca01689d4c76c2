//! Data files, and the row deletes that apply to them.

use std::sync::Arc;

use super::stats::FileStats;
use super::value::Value;
use crate::location::{Location, Spelling};
use crate::units::Bytes;

/// What a data file is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Apache Parquet
    Parquet,
    /// Apache ORC
    Orc,
    /// Apache Avro
    Avro,
}

impl FileFormat {
    /// The format's name as people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Orc => "ORC",
            Self::Avro => "Avro",
        }
    }
}

/// A live data file of a snapshot.
///
/// Its identity is the place *and* the deletes that apply to it ([`Self::id`]): a file that gained a deletion vector is another file, and a
/// rewrite planned from the earlier one must not land.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    /// The normalised place.
    pub location: Location,
    /// How the table's metadata spells it.
    pub spelling: Spelling,
    /// What it is encoded as.
    pub format: FileFormat,
    /// Bytes on storage, as the table's metadata says.
    pub size: Bytes,
    /// Rows stored in the file, deleted ones included; `None` where the table's metadata does not say.
    pub rows: Option<u64>,
    /// The partition it belongs to, with the spec that wrote it.
    pub partition: Arc<Partition>,
    /// The deletes that may apply to it; shared between files with the same ones.
    pub deletes: Arc<[DeleteRef]>,
    /// Row ids, where the table keeps them; most tables do not, and have millions of files.
    pub lineage: Option<Box<Lineage>>,
    /// Column statistics, where they were asked for and the table has them.
    pub stats: Option<Box<FileStats>>,
}

/// What tells one state of a data file from another: its place and the deletes that apply.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The normalised place.
    pub location: Location,
    /// Keys of the deletes, sorted.
    pub deletes: Vec<String>,
}

/// Where a file's row ids come from (Iceberg v3 row lineage, Delta row tracking).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// The id of the file's first row: rows without a stored id have `first_row_id + position`. `None`: rows have no id yet.
    pub first_row_id: Option<i64>,
    /// The sequence number (Delta: commit version) that rows without a stored one were last changed in.
    pub sequence: i64,
}

/// A partition: one tuple of values under one spec.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Partition {
    /// The spec's id (0 for Delta, which has one spec).
    pub spec_id: i32,
    /// The tuple, in the spec's order. Empty for an unpartitioned spec.
    pub fields: Vec<PartitionField>,
    /// Columns whose value is the same for every row of the partition and which data files may leave out: column id and value (`None` is null).
    pub constants: Vec<(i32, Option<Value>)>,
}

/// One value of a partition tuple.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionField {
    /// The partition field's name, e.g. `ts_day`.
    pub name: String,
    /// Its value; for Delta the text of the log. `None` is null.
    pub value: Option<Value>,
    /// The value as people read it (`2024-01-31`, `eu`, `null`).
    pub text: String,
}

impl Partition {
    /// The partition as people read it: `region=eu/day=2024-01-31`; empty when unpartitioned.
    pub fn display(&self) -> String {
        let parts: Vec<String> = self.fields.iter().map(|f| format!("{}={}", f.name, f.text)).collect();
        parts.join("/")
    }
}

/// A reference to deletes that may apply to a data file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeleteRef {
    /// What it is.
    pub kind: DeleteKind,
    /// What tells it from others: a path, a path with an offset, or an inline vector's text.
    pub key: String,
    /// Rows of the data file it deletes, where the table's metadata says so for this file alone.
    pub rows: Option<u64>,
}

/// Kinds of row deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeleteKind {
    /// A deletion vector of this file alone.
    Vector,
    /// A file of positions, perhaps of several data files.
    Positions,
    /// A file of values: rows that equal one are deleted.
    Equality,
}

impl DataFile {
    /// The `size` bytes at `location`, of which nothing else is known: no rows, no partition, no deletes.
    pub fn bare(location: Location, format: FileFormat, size: Bytes) -> Self {
        let spelling = Spelling::normal(&location);
        let (partition, deletes) = (Arc::default(), Arc::default());
        Self { location, spelling, format, size, rows: None, partition, deletes, lineage: None, stats: None }
    }

    /// The place exactly as the table's metadata spells it.
    pub fn path(&self) -> &str {
        self.spelling.text(&self.location)
    }

    /// The file's identity.
    pub fn id(&self) -> FileId {
        let mut deletes: Vec<String> = self.deletes.iter().map(|d| d.key.clone()).collect();
        deletes.sort();
        FileId { location: self.location.clone(), deletes }
    }
}
