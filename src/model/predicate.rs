//! Filters over columns, and what partition values and statistics say about them.
//!
//! A filter has SQL's three truth values. For a file we ask which of them its rows may give, and keep the file unless *true* is ruled out.

use std::cmp::Ordering;

use super::evidence::Evidence;
use super::file::DataFile;
use super::schema::Schema;
use super::value::Value;

/// A filter over a table's columns. Columns are given by id; literals have been typed to their column.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// The same for every row; `None` is SQL's NULL.
    Constant(Option<bool>),
    /// The column compared with a value; null where the column is null.
    Compare(i32, Comparison, Value),
    /// The column equals one of the values; null where the column is null.
    In(i32, Vec<Value>),
    /// The column, of type string, has this form; null where the column is null.
    Like(i32, Pattern),
    /// The column is null. Never null itself.
    IsNull(i32),
    /// All of them.
    And(Vec<Self>),
    /// Any of them.
    Or(Vec<Self>),
    /// The opposite; of null it is null.
    Not(Box<Self>),
}

/// How a column is compared with a value. NaN equals NaN and is above every other number, as in Spark and Trino's ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// The pattern of a `LIKE`, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<PatternPart>);

/// A part of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternPart {
    /// This text. Never empty, and never beside another text.
    Text(String),
    /// `_`: one character.
    One,
    /// `%`: any characters, or none.
    Any,
}

/// Whether rows of a file may give *true* and *false*. Null needs no place: whatever it is combined with, it never becomes either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Possible {
    yes: bool,
    no: bool,
}

impl Predicate {
    /// Whether `file` may hold a row that matches. Unknown is yes.
    ///
    /// Reads the file's partition and, where they were asked for, its statistics. `schema` is the one the filter was made for.
    pub fn may_match(&self, schema: &Schema, file: &DataFile) -> bool {
        self.possible(schema, file).yes
    }

    fn possible(&self, schema: &Schema, file: &DataFile) -> Possible {
        match self {
            Self::Constant(truth) => Possible { yes: *truth == Some(true), no: *truth == Some(false) },
            Self::Compare(column, comparison, value) => compare(&Evidence::of(schema, file, *column), *comparison, value),
            Self::In(column, values) => {
                let evidence = Evidence::of(schema, file, *column);
                values.iter().map(|value| compare(&evidence, Comparison::Equal, value)).fold(Possible::FALSE, Possible::or)
            }
            Self::Like(column, pattern) => like(&Evidence::of(schema, file, *column), pattern),
            Self::IsNull(column) => {
                let evidence = Evidence::of(schema, file, *column);
                Possible { yes: evidence.nulls, no: evidence.values || evidence.nans }
            }
            Self::And(parts) => parts.iter().map(|part| part.possible(schema, file).not()).fold(Possible::FALSE, Possible::or).not(),
            Self::Or(parts) => parts.iter().map(|part| part.possible(schema, file)).fold(Possible::FALSE, Possible::or),
            Self::Not(part) => part.possible(schema, file).not(),
        }
    }
}

impl Possible {
    const FALSE: Self = Self { yes: false, no: true };

    const fn not(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    /// The truth values of `a OR b`, where any of `self` may meet any of `other` in a row.
    const fn or(self, other: Self) -> Self {
        Self { yes: self.yes || other.yes, no: self.no && other.no }
    }

    /// Adds what rows give whose value has `order` to the literal.
    const fn add(&mut self, comparison: Comparison, order: Ordering) {
        if comparison.holds(order) {
            self.yes = true;
        } else {
            self.no = true;
        }
    }
}

impl Comparison {
    /// The same with its sides exchanged: `1 < x` is `x > 1`.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }

    /// Whether it is true of a column's value that has `order` to the literal.
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

fn compare(evidence: &Evidence, comparison: Comparison, literal: &Value) -> Possible {
    let mut possible = Possible::default();
    if evidence.nans {
        possible.add(comparison, if literal.is_nan() { Ordering::Equal } else { Ordering::Greater });
    }
    if evidence.values {
        let lower = evidence.lower.as_ref().and_then(|bound| order(bound, literal));
        let upper = evidence.upper.as_ref().and_then(|bound| order(bound, literal));
        if lower.is_none_or(Ordering::is_lt) {
            possible.add(comparison, Ordering::Less);
        }
        if lower.is_none_or(Ordering::is_le) && upper.is_none_or(Ordering::is_ge) {
            possible.add(comparison, Ordering::Equal);
        }
        if upper.is_none_or(Ordering::is_gt) {
            possible.add(comparison, Ordering::Greater);
        }
    }
    possible
}

/// As [`Value::compare`], and whole numbers with decimals.
fn order(bound: &Value, literal: &Value) -> Option<Ordering> {
    let lift = |value: &Value| match value {
        Value::Int(v) => Some(Value::Decimal((*v).into(), 0)),
        Value::Long(v) => Some(Value::Decimal((*v).into(), 0)),
        _ => None,
    };
    match (bound, literal) {
        (Value::Decimal(..), other) => bound.compare(&lift(other).unwrap_or_else(|| other.clone())),
        (other, Value::Decimal(..)) => lift(other).unwrap_or_else(|| other.clone()).compare(literal),
        _ => bound.compare(literal),
    }
}

fn like(evidence: &Evidence, pattern: &Pattern) -> Possible {
    let text = |bound: &Option<Value>| match bound {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (lower, upper) = (text(&evidence.lower), text(&evidence.upper));
    // Every matching text begins with `prefix`, so it lies between `prefix` and the last text that begins so.
    let (prefix, rest) = match pattern.0.split_first() {
        Some((PatternPart::Text(prefix), rest)) => (prefix.as_str(), rest),
        _ => ("", pattern.0.as_slice()),
    };
    let begins = |bound: &Option<String>| bound.as_ref().is_some_and(|text| text.starts_with(prefix));
    let above = lower.as_ref().is_some_and(|text| text.as_bytes() > prefix.as_bytes()) && !begins(&lower);
    let below = upper.as_ref().is_some_and(|text| text.as_bytes() < prefix.as_bytes());
    // `prefix%` is true of every text between two that begin with the prefix.
    let every = matches!(rest, [PatternPart::Any]) && (prefix.is_empty() || begins(&lower) && begins(&upper));
    Possible { yes: evidence.values && !above && !below, no: evidence.values && !every }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::evidence::tests::{column, file};
    use super::*;
    use crate::model::{ColumnStats, Partition, PartitionField, Primitive, Type};

    const TYPES: [Primitive; 4] = [Primitive::Int, Primitive::Double, Primitive::String, Primitive::Decimal(9, 2)];

    /// Columns 1–4 by `TYPES`, 5 a member of a struct that may be null, 6 a Delta partition column of type int.
    fn schema() -> Schema {
        let names = ["i", "x", "s", "d"];
        let mut fields: Vec<_> = (1..).zip(names).zip(TYPES).map(|((id, name), ty)| column(id, name, Type::Primitive(ty))).collect();
        fields.push(column(9, "t", Type::Struct(vec![column(5, "m", Type::Primitive(Primitive::Int))])));
        fields.push(column(6, "p", Type::Primitive(Primitive::Int)));
        Schema { fields }
    }

    fn ints(lower: i32, upper: i32, nulls: u64) -> DataFile {
        let (lower, upper) = (Some(Value::Int(lower)), Some(Value::Int(upper)));
        let stats = ColumnStats { value_count: Some(10), null_count: Some(nulls), lower, upper, ..ColumnStats::default() };
        file(10, [(1, stats)], Partition::default())
    }

    fn text(lower: &str, upper: &str) -> DataFile {
        let (lower, upper) = (Some(Value::String(lower.into())), Some(Value::String(upper.into())));
        file(
            1,
            [(3, ColumnStats { null_count: Some(0), value_count: Some(1), lower, upper, ..ColumnStats::default() })],
            Partition::default(),
        )
    }

    #[test]
    fn comparisons_are_judged_by_the_bounds() {
        let may = |comparison, value, file: &DataFile| Predicate::Compare(1, comparison, Value::Int(value)).may_match(&schema(), file);
        let file = ints(3, 9, 0);
        for (comparison, none, some) in [
            (Comparison::Equal, 10, 9),
            (Comparison::Less, 3, 4),
            (Comparison::AtMost, 2, 3),
            (Comparison::Greater, 9, 8),
            (Comparison::AtLeast, 10, 9),
        ] {
            assert!(!may(comparison, none, &file), "{comparison:?} {none}");
            assert!(may(comparison, some, &file), "{comparison:?} {some}");
        }
        assert!(may(Comparison::NotEqual, 3, &file));
        assert!(!may(Comparison::NotEqual, 3, &ints(3, 3, 2)));
    }

    #[test]
    fn a_negation_excludes_what_is_certain_and_keeps_what_is_unknown() {
        let not = |part| Predicate::Not(Box::new(part));
        let at_least = |value| Predicate::Compare(1, Comparison::AtLeast, Value::Int(value));
        assert!(!not(at_least(3)).may_match(&schema(), &ints(3, 9, 4)));
        assert!(not(at_least(4)).may_match(&schema(), &ints(3, 9, 0)));
        assert!(not(at_least(4)).may_match(&schema(), &file(1, [], Partition::default())));
        assert!(!not(Predicate::Constant(None)).may_match(&schema(), &ints(3, 9, 0)));
    }

    #[test]
    fn null_counts_decide_about_nulls() {
        let is_null = Predicate::IsNull(1);
        assert!(!is_null.may_match(&schema(), &ints(3, 9, 0)));
        assert!(is_null.may_match(&schema(), &ints(3, 9, 1)));
        assert!(!Predicate::Not(Box::new(is_null)).may_match(&schema(), &ints(3, 9, 10)));
        assert!(!Predicate::Compare(1, Comparison::NotEqual, Value::Int(0)).may_match(&schema(), &ints(3, 9, 10)));
    }

    #[test]
    fn prefixes_are_judged_by_truncated_bounds_too() {
        let like = |text: &str| Predicate::Like(3, Pattern(vec![PatternPart::Text(text.into()), PatternPart::Any]));
        assert!(!like("b").may_match(&schema(), &text("c", "d")));
        assert!(!like("e").may_match(&schema(), &text("c", "d")));
        assert!(like("cab").may_match(&schema(), &text("c", "d")));
        assert!(!Predicate::Not(Box::new(like("c"))).may_match(&schema(), &text("ca", "cb")));
    }

    #[test]
    fn a_whole_number_column_is_compared_with_fractions() {
        let greater = |unscaled| Predicate::Compare(1, Comparison::Greater, Value::Decimal(unscaled, 1));
        assert!(greater(85).may_match(&schema(), &ints(3, 9, 0)));
        assert!(!greater(95).may_match(&schema(), &ints(3, 9, 0)));
    }

    /// What a row says, computed without bounds.
    fn truth(predicate: &Predicate, row: &[Option<Value>]) -> Option<bool> {
        let cell = |id: &i32| row[usize::try_from(*id - 1).unwrap()].as_ref();
        let any = |parts: &mut dyn Iterator<Item = Option<bool>>| {
            let parts: Vec<_> = parts.collect();
            if parts.contains(&Some(true)) { Some(true) } else { (!parts.contains(&None)).then_some(false) }
        };
        match predicate {
            Predicate::Constant(truth) => *truth,
            Predicate::Compare(id, comparison, value) => cell(id).map(|cell| comparison.holds(order(cell, value).unwrap())),
            Predicate::In(id, values) => cell(id).map(|cell| values.iter().any(|value| order(cell, value) == Some(Ordering::Equal))),
            Predicate::Like(id, pattern) => cell(id).map(|cell| matches!(cell, Value::String(text) if fits(text, &pattern.0))),
            Predicate::IsNull(id) => Some(cell(id).is_none()),
            Predicate::And(parts) => any(&mut parts.iter().map(|part| truth(part, row).map(|t| !t))).map(|t| !t),
            Predicate::Or(parts) => any(&mut parts.iter().map(|part| truth(part, row))),
            Predicate::Not(part) => truth(part, row).map(|t| !t),
        }
    }

    fn fits(text: &str, parts: &[PatternPart]) -> bool {
        match parts {
            [] => text.is_empty(),
            [PatternPart::Text(head), rest @ ..] => text.strip_prefix(head.as_str()).is_some_and(|text| fits(text, rest)),
            [PatternPart::One, rest @ ..] => !text.is_empty() && fits(&text[1..], rest),
            [PatternPart::Any, rest @ ..] => (0..=text.len()).any(|from| fits(&text[from..], rest)),
        }
    }

    fn value(column: i32) -> BoxedStrategy<Value> {
        match column {
            2 => prop_oneof![4 => (-3..3i8).prop_map(|v| Value::Double(f64::from(v) / 2.0)), 1 => Just(Value::Double(f64::NAN)),
                1 => Just(Value::Double(f64::INFINITY)), 1 => Just(Value::Double(-0.0))]
            .boxed(),
            3 => "[ab]{0,3}".prop_map(Value::String).boxed(),
            4 => (-300..300i128).prop_map(|v| Value::Decimal(v, 2)).boxed(),
            _ => (-3..3i32).prop_map(Value::Int).boxed(),
        }
    }

    fn predicates() -> impl Strategy<Value = Predicate> {
        let comparison = prop::sample::select(vec![
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::Less,
            Comparison::AtMost,
            Comparison::Greater,
            Comparison::AtLeast,
        ]);
        let part = prop_oneof!["[ab]{1,2}".prop_map(PatternPart::Text), Just(PatternPart::One), Just(PatternPart::Any)];
        let leaf = (1..=6i32).prop_flat_map(move |id| {
            prop_oneof![
                4 => (comparison.clone(), value(id)).prop_map(move |(comparison, value)| Predicate::Compare(id, comparison, value)),
                2 => prop::collection::vec(value(id), 0..3).prop_map(move |values| Predicate::In(id, values)),
                1 => Just(Predicate::IsNull(id)),
                1 => prop::collection::vec(part.clone(), 0..3).prop_map(|parts| Predicate::Like(3, Pattern(parts))),
                1 => prop::option::of(any::<bool>()).prop_map(Predicate::Constant),
            ]
        });
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..3).prop_map(Predicate::And),
                prop::collection::vec(inner.clone(), 1..3).prop_map(Predicate::Or),
                inner.prop_map(|part| Predicate::Not(Box::new(part))),
            ]
        })
    }

    /// Statistics of column `id` over `rows`, some of them forgotten and text bounds truncated, as writers do.
    fn stats(id: i32, rows: &[Vec<Option<Value>>], forget: u8) -> ColumnStats {
        let cells: Vec<&Value> = rows.iter().filter_map(|row| row[usize::try_from(id - 1).unwrap()].as_ref()).collect();
        let (nans, mut values): (Vec<&Value>, Vec<&Value>) = cells.iter().partition(|value| value.is_nan());
        values.sort_by(|a, b| a.compare(b).unwrap());
        let keep = |bit: u8| forget & (1 << bit) == 0;
        let cut = |value: &Value, up: &str| match value {
            Value::String(text) if text.len() > 1 && !keep(4) => Value::String(format!("{}{up}", &text[..1])),
            value => value.clone(),
        };
        ColumnStats {
            value_count: keep(0).then_some(rows.len() as u64),
            null_count: keep(1).then_some((rows.len() - cells.len()) as u64),
            nan_count: keep(2).then_some(nans.len() as u64),
            lower: values.first().filter(|_| keep(3)).map(|value| cut(value, "")),
            upper: values.last().filter(|_| keep(3)).map(|value| cut(value, "z")),
            ..ColumnStats::default()
        }
    }

    fn row() -> impl Strategy<Value = Vec<Option<Value>>> {
        (1..=5).map(|id| prop::option::weighted(0.8, value(id)).boxed()).collect::<Vec<_>>()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_file_with_a_matching_row_is_never_excluded(
            mut rows in prop::collection::vec(row(), 1..4), day in prop::option::of(-3..3i32), predicate in predicates(), forget in any::<[u8; 5]>(),
        ) {
            let text = day.map(|day| Value::String(day.to_string()));
            let fields = vec![PartitionField { name: "p".into(), value: text, text: String::new() }];
            rows.iter_mut().for_each(|row| row.push(day.map(Value::Int)));
            let stats = (1..).zip(forget).map(|(id, forget)| (id, stats(id, &rows, forget)));
            let file = file(rows.len() as u64, stats, Partition { fields, ..Partition::default() });
            if rows.iter().any(|row| truth(&predicate, row) == Some(true)) {
                prop_assert!(predicate.may_match(&schema(), &file));
            }
        }
    }
}
