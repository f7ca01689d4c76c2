//! Rows of a Parquet file that cannot match a query's filters, told by what the file says of itself: statistics of row groups, bloom filters, the
//! page index (parquet-format: `parquet.thrift`, `BloomFilter.md`, `PageIndex.md`).
//!
//! Rows are only ever left out: positions stay those of the file, so that deletes find their rows. What is missing, damaged or of another type
//! than the table's proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;

use super::failure::guarded;
use super::footer::Opened;
use super::inspect::kept_as_is;
use super::pages;
use super::resolve::{Constants, resolve};
use super::source::SourceReader;
use super::stats::{self, Leaf, Origin, has_ordered_bounds};
use super::target::Target;
use crate::decode::parquet::bloom_filter;
use crate::engine::scan::{Filter, columns_of};
use crate::error::{Kind, Result};
use crate::model::predicate::{Comparison, Predicate};
use crate::model::{DataFile, FileStats, OutputSpec, Schema, Value};

/// What a row group's rows come to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Verdict {
    /// No row matches, by the statistics of the row group.
    NoneByStatistics,
    /// No row matches, by a bloom filter.
    NoneByBloomFilter,
    /// Only these rows (counted within the row group) may match.
    Some(Vec<Range<u64>>),
    /// Any row may match.
    Any,
}

/// Judges the row groups of one file.
pub(in crate::engine) struct Pruner<'a> {
    opened: &'a Opened,
    filter: &'a Filter,
    /// By position in the file: the leaves that are stored as the table's types.
    leaves: Vec<Option<Leaf>>,
    /// The file, to be given the statistics of its parts.
    file: DataFile,
}

impl<'a> Pruner<'a> {
    /// A judge of the row groups of `opened`, which is `file`; `output` says how its columns are recognised. `None` if nothing can be told.
    pub(in crate::engine) fn new(file: &DataFile, opened: &'a Opened, filter: &'a Filter, output: &OutputSpec) -> Option<Self> {
        let output = OutputSpec { schema: Schema::clone(&filter.schema), ..output.clone() };
        let target = Target::new(&output).ok()?;
        let metadata = opened.metadata.file_metadata();
        // What keeps columns from being read is said where they are read.
        let resolution = resolve(metadata.schema_descr(), &target, &output, Constants::Win).ok()?;
        let as_is = kept_as_is(&target.fields, &resolution.columns);
        let leaves = resolution.leaves.into_iter().map(|leaf| leaf.filter(|leaf| as_is.contains(&leaf.id))).collect();
        Some(Self { opened, filter, leaves, file: file.clone() })
    }

    /// What is known of the rows of row group `index`.
    ///
    /// # Errors
    ///
    /// Those of storage.
    pub(in crate::engine) fn judge(&mut self, index: usize) -> Result<Verdict> {
        let metadata = Arc::clone(&self.opened.metadata);
        let Some(group) = metadata.row_groups().get(index) else { return Ok(Verdict::Any) };
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        let mut all = None;
        stats::add_row_group(&mut all, group, &self.leaves, Origin::Copied(metadata.file_metadata()));
        if !self.may_match(all.unwrap_or_default(), rows, &self.filter.predicates) {
            return Ok(Verdict::NoneByStatistics);
        }
        for predicate in &self.filter.predicates {
            if self.is_ruled_out(index, predicate)? {
                return Ok(Verdict::NoneByBloomFilter);
            }
        }
        self.pages(index, rows)
    }

    /// Whether rows of this file with these statistics may match all of `predicates`.
    fn may_match(&mut self, stats: FileStats, rows: u64, predicates: &[Predicate]) -> bool {
        (self.file.stats, self.file.rows) = (Some(Box::new(stats)), Some(rows));
        predicates.iter().all(|predicate| predicate.may_match(&self.filter.schema, &self.file))
    }

    /// Where column `id` is stored.
    fn leaf(&self, id: i32) -> Option<(usize, Leaf)> {
        self.leaves.iter().enumerate().find_map(|(at, leaf)| leaf.filter(|leaf| leaf.id == id && !leaf.repeated).map(|leaf| (at, leaf)))
    }

    /// Whether bloom filters tell that no row of the row group makes `predicate` true.
    fn is_ruled_out(&self, group: usize, predicate: &Predicate) -> Result<bool> {
        match predicate {
            Predicate::Compare(id, Comparison::Equal, value) => self.lacks(group, *id, std::slice::from_ref(value)),
            Predicate::In(id, values) => self.lacks(group, *id, values),
            Predicate::And(parts) => {
                for part in parts {
                    if self.is_ruled_out(group, part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Predicate::Or(parts) => {
                for part in parts {
                    if !self.is_ruled_out(group, part)? {
                        return Ok(false);
                    }
                }
                Ok(!parts.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// Whether column `id` certainly holds none of `values` in the row group.
    fn lacks(&self, group: usize, id: i32, values: &[Value]) -> Result<bool> {
        let Some((at, leaf)) = self.leaf(id) else { return Ok(false) };
        let Some(chunk) = self.opened.metadata.row_groups().get(group).and_then(|group| group.columns().get(at)) else { return Ok(false) };
        // An offset behind the end, or a length that is none, is damage: such a filter proves nothing.
        let within = chunk.bloom_filter_offset().and_then(|at| u64::try_from(at).ok()).is_some_and(|at| at < self.opened.source.size());
        if !within || chunk.bloom_filter_length().is_some_and(|length| length < 0) {
            return Ok(false);
        }
        let reader = SourceReader(Arc::clone(&self.opened.source));
        let read = guarded(self.opened.source.location(), || bloom_filter(chunk, &reader));
        let Some(filter) = self.or_nothing(read)?.flatten() else { return Ok(false) };
        let sound = filter.num_blocks() > 0;
        Ok(sound && values.iter().all(|value| holds(&filter, chunk, leaf, value) == Some(false)))
    }

    /// What was read, or `None` where it was damaged.
    fn or_nothing<T>(&self, read: Result<parquet::errors::Result<T>>) -> Result<Option<T>> {
        if let Ok(Ok(found)) = read {
            return Ok(Some(found));
        }
        let damage = || crate::error::Error::corrupt("an index of the file is damaged");
        let error = self.opened.source.failure.or(damage);
        if error.kind() == Kind::Corrupt { Ok(None) } else { Err(error) }
    }

    /// The rows of the row group that the page index does not rule out.
    fn pages(&mut self, index: usize, rows: u64) -> Result<Verdict> {
        let mut kept: Option<Vec<Range<u64>>> = None;
        let mut known: BTreeMap<usize, Option<Vec<pages::Page>>> = BTreeMap::new();
        let filter = self.filter;
        for predicate in filter.predicates.iter().flat_map(conjuncts) {
            let mut columns = BTreeSet::new();
            columns_of(predicate, &mut columns);
            let [id] = columns.into_iter().collect::<Vec<_>>()[..] else { continue };
            let Some((at, leaf)) = self.leaf(id) else { continue };
            if let std::collections::btree_map::Entry::Vacant(slot) = known.entry(at) {
                slot.insert(self.pages_of(index, at, leaf, rows)?);
            }
            let Some(Some(pages)) = known.get(&at) else { continue };
            let mut matching = Vec::new();
            for page in pages {
                let stats = FileStats { columns: [(id, page.stats.clone())].into() };
                if self.may_match(stats, page.rows.end - page.rows.start, std::slice::from_ref(predicate)) {
                    push(&mut matching, page.rows.clone());
                }
            }
            kept = Some(match kept {
                None => matching,
                Some(before) => intersect(&before, &matching),
            });
        }
        Ok(match kept {
            None => Verdict::Any,
            Some(ranges) if ranges.as_slice() == std::slice::from_ref(&(0..rows)) => Verdict::Any,
            Some(ranges) => Verdict::Some(ranges),
        })
    }

    fn pages_of(&self, group: usize, at: usize, leaf: Leaf, rows: u64) -> Result<Option<Vec<pages::Page>>> {
        let metadata = &self.opened.metadata;
        let Some(chunk) = metadata.row_groups().get(group).and_then(|group| group.columns().get(at)) else { return Ok(None) };
        if !has_ordered_bounds(metadata.file_metadata(), at, chunk) {
            return Ok(None);
        }
        let reader = SourceReader(Arc::clone(&self.opened.source));
        let read = guarded(self.opened.source.location(), || pages::read(chunk, rows, &reader));
        Ok(self.or_nothing(read)?.flatten().and_then(|index| pages::of(&index, leaf, rows)))
    }
}

/// The parts of `predicate` that all have to be true.
fn conjuncts(predicate: &Predicate) -> Vec<&Predicate> {
    match predicate {
        Predicate::And(parts) => parts.iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// Whether `filter` may hold `value`, hashed as the column stores it; `None` where that cannot be told.
fn holds(filter: &Sbbf, chunk: &ColumnChunkMetaData, leaf: Leaf, value: &Value) -> Option<bool> {
    use crate::model::Primitive as P;
    use parquet::basic::Type as Physical;
    match (chunk.column_type(), leaf.ty, value) {
        (Physical::INT32, P::Byte | P::Short | P::Int | P::Date, Value::Int(v)) => Some(filter.check(v)),
        (Physical::INT32, P::Decimal(_, scale), Value::Decimal(v, s)) if scale == *s => Some(filter.check(&i32::try_from(*v).ok()?)),
        (Physical::INT64, P::Decimal(_, scale), Value::Decimal(v, s)) if scale == *s => Some(filter.check(&i64::try_from(*v).ok()?)),
        (Physical::INT64, P::Long | P::Time | P::Timestamp | P::TimestampTz | P::TimestampNs | P::TimestampTzNs, Value::Long(v)) => {
            Some(filter.check(v))
        }
        (Physical::BYTE_ARRAY, P::String, Value::String(text)) => Some(filter.check(text.as_str())),
        (Physical::BYTE_ARRAY, P::Binary, Value::Bytes(bytes)) => Some(filter.check(bytes.as_slice())),
        (Physical::FIXED_LEN_BYTE_ARRAY, P::Fixed(_) | P::Uuid, Value::Bytes(bytes)) => Some(filter.check(bytes.as_slice())),
        // Floating point has several forms of what queries call equal; nothing is claimed of other types.
        _ => None,
    }
}

/// Adds `range` behind `ranges`, joined with the last one where they touch.
fn push(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}

/// What is in both; each is ascending and disjoint.
pub(in crate::engine) fn intersect(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut both = Vec::new();
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(first), Some(second)) = (a.peek(), b.peek()) {
        let (start, end) = (first.start.max(second.start), first.end.min(second.end));
        if start < end {
            both.push(start..end);
        }
        if first.end <= second.end {
            a.next();
        } else {
            b.next();
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_both_is_what_stays() {
        assert_eq!(intersect(&[0..4, 6..10], &[2..7, 9..12]), [2..4, 6..7, 9..10]);
        assert_eq!(intersect(&[0..2, 3..4], &[4..6, 7..8]), Vec::<Range<u64>>::new());
        let mut ranges = Vec::new();
        push(&mut ranges, 0..2);
        push(&mut ranges, 2..3);
        push(&mut ranges, 5..6);
        assert_eq!(ranges, [0..3, 5..6]);
    }

    #[test]
    fn a_filter_falls_apart_into_what_must_all_be_true() {
        let one = |id| Predicate::IsNull(id);
        let both = Predicate::And(vec![one(1), Predicate::And(vec![one(2), Predicate::Or(vec![one(1), one(3)])])]);
        assert_eq!(conjuncts(&both).len(), 3);
        let mut columns = BTreeSet::new();
        columns_of(&both, &mut columns);
        assert_eq!(columns.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
