//! Statistics of new files, from the statistics of their column chunks.

use std::cmp::Ordering;

use parquet::basic::ColumnOrder;
use parquet::data_type::AsBytes;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::properties::LONGEST_BOUND;
use crate::model::{ColumnStats, Field, FileStats, Primitive, Type, Value};

/// A leaf of a schema, as statistics see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The column's id.
    pub(super) id: i32,
    /// What it holds.
    pub(super) ty: Primitive,
    /// Whether it lies inside a list or a map: values are counted there, but have no bounds.
    pub(super) repeated: bool,
}

/// The leaves of `fields` in order; `None` for those that have no statistics of their own (the halves of a variant).
pub(super) fn leaves_of(fields: &[Field]) -> Vec<Option<Leaf>> {
    let mut leaves = Vec::new();
    for field in fields {
        collect(field, false, &mut leaves);
    }
    leaves
}

fn collect(field: &Field, repeated: bool, leaves: &mut Vec<Option<Leaf>>) {
    match &field.ty {
        Type::Primitive(Primitive::Variant) => leaves.extend([None, None]),
        // Rows have no such column.
        Type::Primitive(Primitive::Unknown) => {}
        Type::Primitive(ty) => leaves.push(Some(Leaf { id: field.id, ty: *ty, repeated })),
        Type::Struct(members) => members.iter().for_each(|member| collect(member, repeated, leaves)),
        Type::List(_) | Type::Map(..) => field.children().into_iter().for_each(|child| collect(child, true, leaves)),
    }
}

/// Whose statistics are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// Our own, with the NaNs of every leaf. The encoder keeps NaN out of bounds and makes a lower zero negative and an upper one positive.
    Encoded(&'a [u64]),
    /// Another writer's: the footer says what may be believed.
    Copied(&'a FileMetaData),
}

/// Adds the statistics of `group`, whose leaves are `leaves`, to `all`.
pub(super) fn add_row_group(all: &mut Option<FileStats>, group: &RowGroupMetaData, leaves: &[Option<Leaf>], origin: Origin<'_>) {
    let mut stats = FileStats::default();
    for (at, (chunk, leaf)) in group.columns().iter().zip(leaves).enumerate() {
        if let Some(leaf) = leaf {
            stats.columns.insert(leaf.id, column(chunk, *leaf, at, origin));
        }
    }
    *all = Some(match all.take() {
        Some(before) => before.merge(&stats),
        None => stats,
    });
}

fn column(chunk: &ColumnChunkMetaData, leaf: Leaf, at: usize, origin: Origin<'_>) -> ColumnStats {
    let count = |n: i64| u64::try_from(n).ok();
    let float = matches!(leaf.ty, Primitive::Float | Primitive::Double);
    let mut stats = ColumnStats { value_count: count(chunk.num_values()), size: count(chunk.compressed_size()), ..ColumnStats::default() };
    let Some(statistics) = chunk.statistics() else { return stats };
    stats.null_count = statistics.null_count_opt();
    if leaf.repeated {
        return stats;
    }
    match origin {
        Origin::Encoded(nans) if float => stats.nan_count = nans.get(at).copied(),
        Origin::Encoded(_) => {}
        // A footer does not say whether a float column holds NaN, and neither format allows bounds that a NaN may exceed unseen.
        Origin::Copied(file) if float || statistics.is_min_max_deprecated() || !has_ordered_bounds(file, at, chunk) => return stats,
        Origin::Copied(_) => {}
    }
    let (lower, upper) = bounds(statistics, leaf.ty);
    let (lower, cut_lower) = lower.map_or((None, false), cut_down);
    let (upper, cut_upper) = upper.map_or((None, false), cut_up);
    let sized = !matches!(leaf.ty, Primitive::String | Primitive::Binary | Primitive::Fixed(_));
    stats.exact = lower.is_some()
        && upper.is_some()
        && (sized || (statistics.min_is_exact() && statistics.max_is_exact() && !cut_lower && !cut_upper));
    stats.exact |= stats.is_all_null();
    (stats.lower, stats.upper) = (lower, upper);
    stats
}

/// Whether the footer says that the bounds of the leaf number `at` follow its type's order. Bounds of the deprecated kind are marked as such
/// themselves.
pub(super) fn has_ordered_bounds(file: &FileMetaData, at: usize, chunk: &ColumnChunkMetaData) -> bool {
    chunk.statistics().is_some_and(Statistics::is_min_max_deprecated)
        || (file.column_orders().is_some() && matches!(file.column_order(at), ColumnOrder::TYPE_DEFINED_ORDER(_)))
}

/// The bounds as values of `ty`; none where the physical type does not fit it.
fn bounds(statistics: &Statistics, ty: Primitive) -> (Option<Value>, Option<Value>) {
    let bytes = |raw: Option<&[u8]>| raw.and_then(|raw| from_bytes(raw, ty));
    match statistics {
        Statistics::Boolean(s) if ty == Primitive::Boolean => {
            (s.min_opt().copied().map(Value::Bool), s.max_opt().copied().map(Value::Bool))
        }
        Statistics::Int32(s) => (s.min_opt().and_then(|v| from_int(*v, ty)), s.max_opt().and_then(|v| from_int(*v, ty))),
        Statistics::Int64(s) => (s.min_opt().and_then(|v| from_long(*v, ty)), s.max_opt().and_then(|v| from_long(*v, ty))),
        Statistics::Float(s) if ty == Primitive::Float => (s.min_opt().copied().map(Value::Float), s.max_opt().copied().map(Value::Float)),
        Statistics::Double(s) if ty == Primitive::Double => {
            (s.min_opt().copied().map(Value::Double), s.max_opt().copied().map(Value::Double))
        }
        Statistics::ByteArray(s) => (bytes(s.min_opt().map(AsBytes::as_bytes)), bytes(s.max_opt().map(AsBytes::as_bytes))),
        Statistics::FixedLenByteArray(s) => (bytes(s.min_opt().map(AsBytes::as_bytes)), bytes(s.max_opt().map(AsBytes::as_bytes))),
        _ => (None, None),
    }
}

pub(super) fn from_int(v: i32, ty: Primitive) -> Option<Value> {
    match ty {
        Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Date => Some(Value::Int(v)),
        Primitive::Decimal(_, scale) => Some(Value::Decimal(i128::from(v), scale)),
        _ => None,
    }
}

pub(super) fn from_long(v: i64, ty: Primitive) -> Option<Value> {
    match ty {
        Primitive::Decimal(_, scale) => Some(Value::Decimal(i128::from(v), scale)),
        Primitive::Long
        | Primitive::Time
        | Primitive::Timestamp
        | Primitive::TimestampTz
        | Primitive::TimestampNs
        | Primitive::TimestampTzNs => Some(Value::Long(v)),
        _ => None,
    }
}

pub(super) fn from_bytes(raw: &[u8], ty: Primitive) -> Option<Value> {
    match ty {
        Primitive::String => String::from_utf8(raw.to_vec()).ok().map(Value::String),
        Primitive::Binary | Primitive::Fixed(_) | Primitive::Uuid => Some(Value::Bytes(raw.to_vec())),
        Primitive::Decimal(_, scale) => {
            // Big-endian two's complement; the sign fills what is missing in front.
            let fill = if *raw.first()? >= 0x80 { 0xff } else { 0 };
            let mut wide = [fill; 16];
            wide.get_mut(16usize.checked_sub(raw.len())?..)?.copy_from_slice(raw);
            Some(Value::Decimal(i128::from_be_bytes(wide), scale))
        }
        _ => None,
    }
}

/// A lower bound that is short enough, and whether it had to be cut.
fn cut_down(bound: Value) -> (Option<Value>, bool) {
    match bound {
        Value::String(text) if text.len() > LONGEST_BOUND => {
            let end = text.floor_char_boundary(LONGEST_BOUND);
            (text.get(..end).map(|cut| Value::String(cut.to_string())), true)
        }
        Value::Bytes(bytes) if bytes.len() > LONGEST_BOUND => (bytes.get(..LONGEST_BOUND).map(|cut| Value::Bytes(cut.to_vec())), true),
        short => (Some(short), false),
    }
}

/// An upper bound that is short enough, and whether it had to be cut: the shortest prefix with its last part raised. None where nothing can be.
fn cut_up(bound: Value) -> (Option<Value>, bool) {
    let whole = bound.clone();
    match cut_down(bound) {
        (short, false) => (short, false),
        (Some(Value::String(mut text)), true) => {
            while let Some(last) = text.pop() {
                if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
                    text.push(next);
                    return (above(Value::String(text), &whole), true);
                }
            }
            (None, true)
        }
        (Some(Value::Bytes(mut bytes)), true) => {
            while let Some(last) = bytes.pop() {
                if let Some(next) = last.checked_add(1) {
                    bytes.push(next);
                    return (above(Value::Bytes(bytes), &whole), true);
                }
            }
            (None, true)
        }
        _ => (None, true),
    }
}

fn above(candidate: Value, whole: &Value) -> Option<Value> {
    (candidate.compare(whole) == Some(Ordering::Greater)).then_some(candidate)
}
