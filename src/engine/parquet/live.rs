//! Which rows of a file live.

use std::ops::Range;

use arrow_array::Int64Array;
use roaring::treemap::Iter;

use crate::error::{Error, Result};
use crate::model::RowDeletes;

/// The live rows of one file, handed out row group by row group.
pub(in crate::engine) struct LiveRows<'a> {
    deleted: Option<std::iter::Peekable<Iter<'a>>>,
    next: u64,
}

impl<'a> LiveRows<'a> {
    /// The rows of a file with `rows` that `deletes` leaves alive.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a position lies behind the last row.
    pub(in crate::engine) fn new(deletes: &'a RowDeletes, rows: u64) -> Result<Self> {
        let deleted = match deletes {
            RowDeletes::None => None,
            RowDeletes::Positions(positions) => {
                if positions.max().is_some_and(|last| last >= rows) {
                    return Err(Error::corrupt("a row is deleted that the data file does not have").about("rows", rows));
                }
                (!positions.is_empty()).then(|| positions.iter().peekable())
            }
            RowDeletes::Values(_) => return Err(Error::bug("rows to delete were not located before reading")),
        };
        Ok(Self { deleted, next: 0 })
    }

    /// The position of the next row.
    pub(in crate::engine) const fn position(&self) -> u64 {
        self.next
    }

    /// The live rows among the next `count`, as ascending, disjoint ranges of positions in the file.
    pub(in crate::engine) fn among_next(&mut self, count: u64) -> Vec<Range<u64>> {
        let end = self.next.saturating_add(count);
        let mut from = std::mem::replace(&mut self.next, end);
        let mut live = Vec::new();
        while let Some(position) = self.deleted.as_mut().and_then(|deleted| deleted.next_if(|position| *position < end)) {
            if from < position {
                live.push(from..position);
            }
            from = position + 1;
        }
        if from < end {
            live.push(from..end);
        }
        live
    }
}

/// Walks along live rows and says which position each has.
#[derive(Debug, Default)]
pub(in crate::engine) struct Positions {
    ranges: std::vec::IntoIter<Range<u64>>,
    current: Range<u64>,
}

impl Positions {
    /// Walks along `ranges`.
    pub(in crate::engine) fn new(ranges: Vec<Range<u64>>) -> Self {
        Self { ranges: ranges.into_iter(), current: 0..0 }
    }
}

impl Iterator for Positions {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some(position) = self.current.next() {
                return Some(position);
            }
            self.current = self.ranges.next()?;
        }
    }
}

/// `stored` where it has values, elsewhere what `otherwise` has.
pub(in crate::engine) fn stored_or(stored: &Int64Array, otherwise: impl Iterator<Item = Option<i64>>) -> Int64Array {
    stored.iter().zip(otherwise).map(|(stored, otherwise)| stored.or(otherwise)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn deletes(positions: &[u64]) -> RowDeletes {
        RowDeletes::Positions(Arc::new(positions.iter().copied().collect()))
    }

    #[test]
    fn live_rows_are_what_lies_between_deleted_ones_at_every_edge() {
        let gone = deletes(&[0, 1, 4, 9, 10, 19]);
        let mut live = LiveRows::new(&gone, 20).unwrap();
        assert_eq!(live.among_next(10), [2..4, 5..9]);
        let ranges = live.among_next(10);
        assert_eq!(ranges, vec![11..19]);
        assert_eq!(Positions::new(ranges).collect::<Vec<_>>(), (11..19).collect::<Vec<_>>());
        assert!(LiveRows::new(&gone, 19).is_err());
        let none = deletes(&[]);
        assert_eq!(LiveRows::new(&none, 3).unwrap().among_next(3), vec![0..3]);
        let all = deletes(&[0, 1, 2]);
        assert!(LiveRows::new(&all, 3).unwrap().among_next(3).is_empty());
    }
}
