//! The neck of the hourglass: what a table is, in plain values.
//!
//! Formats produce these values and accept [`change::Change`]s to them; operations see nothing else. Nothing here does I/O,
//! and no format is named here. Row deletes are part of the model from the first day: every operation sees them, none may
//! drop them.

pub mod bookkeeping;
pub mod change;
pub mod deletes;
mod evidence;
pub mod file;
pub mod finding;
pub mod geo;
pub mod history;
pub mod literal;
pub mod operation;
pub mod output;
mod pieces;
pub mod places;
pub mod predicate;
pub mod schema;
pub mod snapshot;
pub mod stats;
pub mod transform;
pub mod upkeep;
pub mod value;

pub use bookkeeping::Bookkeeping;
pub use change::{Change, GroupChange, Intent, Marked};
pub use deletes::{RowDeletes, ValueDeletes, ValueFile, ValueRule, ValueSet};
pub use file::{DataFile, DeleteKind, DeleteRef, FileFormat, FileId, Lineage, Partition, PartitionField};
pub use finding::{Fault, Finding, FindingSink, Reach, Severity};
pub use geo::{Crs, Edges, Geo};
pub use history::{FileKind, FileList, HistoryEntry, Holding, Released, Retention};
pub use operation::{OperationId, digest};
pub use output::{
    Codec, FieldMatching, MappedName, NewFile, OutputSpec, Partitions, ReadSpec, Routing, RowIdColumns, SpecChoice, Tolerated,
};
pub use pieces::Pieces;
pub use places::{DigestSet, PlaceSet, digest64};
pub use schema::{Field, Primitive, Schema, Type};
pub use snapshot::{At, LiveCount, Snapshot, Totals, Version};
pub use stats::{ColumnStats, FileStats};
pub use transform::Transform;
pub use upkeep::{
    Emptied, Forget, LeaveList, LeftLists, ListContent, ListGroup, ListPlan, ListWhy, ListWishes, NewReference, UnusedRules, Upkeep,
    UpkeepKind,
};
pub use value::Value;
