//! What is known of a file's columns without opening it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::value::Value;

/// Statistics of one data file, by the ids of its primitive columns (at any depth).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileStats {
    /// Column id to what is known of it; a missing column is unknown.
    pub columns: BTreeMap<i32, ColumnStats>,
}

/// What is known of one column of one file. Every field may be unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnStats {
    /// Values, nulls included; for columns inside lists and maps the number of entries.
    pub value_count: Option<u64>,
    /// Nulls.
    pub null_count: Option<u64>,
    /// NaNs of floating-point columns.
    pub nan_count: Option<u64>,
    /// Bytes of the column's chunks on storage.
    pub size: Option<u64>,
    /// No value (other than null and NaN) is below this.
    pub lower: Option<Value>,
    /// No value (other than null and NaN) is above this.
    pub upper: Option<Value>,
    /// Whether `lower` and `upper` occur as values. False after truncation or where rows of the file are deleted.
    pub exact: bool,
}

impl FileStats {
    /// The statistics of the rows of both: unknown where either is unknown.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.columns.retain(|id, _| other.columns.contains_key(id));
        for (id, mine) in &mut self.columns {
            if let Some(theirs) = other.columns.get(id) {
                mine.absorb(theirs);
            }
        }
        self
    }
}

impl ColumnStats {
    /// Whether every value is known to be null.
    pub fn is_all_null(&self) -> bool {
        self.value_count.is_some() && self.value_count == self.null_count
    }

    fn absorb(&mut self, other: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
        // A side without any value has no bounds and does not make those of the other unknown.
        let (mine_empty, theirs_empty) = (self.is_all_null(), other.is_all_null());
        self.lower = pick(self.lower.take(), other.lower.clone(), Ordering::Less, mine_empty, theirs_empty);
        self.upper = pick(self.upper.take(), other.upper.clone(), Ordering::Greater, mine_empty, theirs_empty);
        self.exact &= other.exact;
        self.value_count = sum(self.value_count, other.value_count);
        self.null_count = sum(self.null_count, other.null_count);
        self.nan_count = sum(self.nan_count, other.nan_count);
        self.size = sum(self.size, other.size);
    }
}

fn pick(mine: Option<Value>, theirs: Option<Value>, wanted: Ordering, mine_empty: bool, theirs_empty: bool) -> Option<Value> {
    match (mine, theirs) {
        (None, theirs) if mine_empty => theirs,
        (mine, None) if theirs_empty => mine,
        (Some(a), Some(b)) => {
            let order = a.compare(&b)?;
            Some(if order == wanted || order == Ordering::Equal { a } else { b })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(lower: i32, upper: i32, values: u64, nulls: u64) -> ColumnStats {
        ColumnStats {
            value_count: Some(values),
            null_count: Some(nulls),
            lower: Some(Value::Int(lower)),
            upper: Some(Value::Int(upper)),
            exact: true,
            ..ColumnStats::default()
        }
    }

    fn file(column: ColumnStats) -> FileStats {
        FileStats { columns: [(1, column)].into() }
    }

    #[test]
    fn merged_bounds_enclose_both_and_an_all_null_side_changes_nothing() {
        let merged = file(column(3, 9, 10, 0)).merge(&file(column(-1, 4, 5, 2)));
        assert_eq!(merged, file(column(-1, 9, 15, 2)));
        let nulls = ColumnStats { value_count: Some(4), null_count: Some(4), exact: true, ..ColumnStats::default() };
        assert_eq!(file(column(3, 9, 10, 0)).merge(&file(nulls.clone())), file(column(3, 9, 14, 4)));
        assert_eq!(file(nulls).merge(&file(column(3, 9, 10, 0))), file(column(3, 9, 14, 4)));
    }

    #[test]
    fn what_one_side_does_not_know_is_unknown() {
        let unknown = ColumnStats { value_count: Some(1), ..ColumnStats::default() };
        let merged = file(column(3, 9, 10, 0)).merge(&file(unknown));
        assert_eq!(merged.columns[&1].lower, None);
        assert_eq!(merged.columns[&1].null_count, None);
        assert!(file(column(1, 2, 3, 0)).merge(&FileStats::default()).columns.is_empty());
    }
}
