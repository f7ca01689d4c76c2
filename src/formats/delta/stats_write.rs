//! Statistics of new files as the text of an `add` (protocol, "Per-file Statistics").

use std::collections::HashSet;

use super::settings::Indexed;
use super::{arrow_text, bounds};
use crate::error::Result;
use crate::model::{ColumnStats, Field, NewFile, Primitive, Type, Value};

/// How the statistics of a table's files are written.
#[derive(Debug)]
pub(super) struct StatsWriter<'a> {
    /// The stored columns.
    pub(super) fields: Vec<&'a Field>,
    /// Ids of the leaf columns with statistics.
    pub(super) indexed: HashSet<i32>,
    /// Whether to say that bounds are tight: readers of deletion vectors ask.
    pub(super) tightness: bool,
}

/// Ids of the leaf columns among `fields` that `indexed` means. Lists and maps count as one column.
pub(super) fn leaves(fields: &[&Field], indexed: &Indexed) -> HashSet<i32> {
    fn walk(field: &Field, name: &str, out: &mut Vec<(i32, String)>) {
        match &field.ty {
            Type::Struct(members) => members.iter().for_each(|member| walk(member, &format!("{name}.{}", member.name), out)),
            _ => out.push((field.id, name.to_string())),
        }
    }
    let mut all = Vec::new();
    fields.iter().for_each(|field| walk(field, &field.name, &mut all));
    match indexed {
        Indexed::First(count) => all.into_iter().take(*count).map(|(id, _)| id).collect(),
        Indexed::Named(names) => {
            let below =
                |leaf: &str| names.iter().any(|name| leaf.strip_prefix(name.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.')));
            all.into_iter().filter(|(_, leaf)| below(leaf)).map(|(id, _)| id).collect()
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Lower,
    Upper,
    Nulls,
}

impl StatsWriter<'_> {
    /// The text for `file`.
    ///
    /// # Errors
    ///
    /// `Bug` if a name cannot be written as JSON.
    pub(super) fn write(&self, file: &NewFile) -> Result<String> {
        let mut out = format!("{{\"numRecords\":{}", file.rows);
        for (name, side) in [("minValues", Side::Lower), ("maxValues", Side::Upper), ("nullCount", Side::Nulls)] {
            let members = self.object(&self.fields, file, side)?.unwrap_or_else(|| "{}".into());
            out.push_str(&format!(",\"{name}\":{members}"));
        }
        if self.tightness {
            let tight = file.stats.columns.iter().filter(|(id, _)| self.indexed.contains(id)).all(|(_, column)| is_tight(column));
            out.push_str(&format!(",\"tightBounds\":{tight}"));
        }
        out.push('}');
        Ok(out)
    }

    /// The members that have something to say, as a JSON object; `None` if none has.
    fn object(&self, fields: &[&Field], file: &NewFile, side: Side) -> Result<Option<String>> {
        let mut out = String::new();
        for field in fields {
            let text = match &field.ty {
                Type::Struct(members) => self.object(&members.iter().collect::<Vec<_>>(), file, side)?,
                Type::Primitive(ty) if self.indexed.contains(&field.id) => {
                    file.stats.columns.get(&field.id).and_then(|column| leaf(column, *ty, side))
                }
                _ => None,
            };
            if let Some(text) = text {
                out.push(if out.is_empty() { '{' } else { ',' });
                arrow_text::quote(&field.physical, &mut out)?;
                out.push(':');
                out.push_str(&text);
            }
        }
        Ok((!out.is_empty()).then(|| out + "}"))
    }
}

fn is_tight(column: &ColumnStats) -> bool {
    column.exact || (column.lower.is_none() && column.upper.is_none())
}

fn leaf(column: &ColumnStats, ty: Primitive, side: Side) -> Option<String> {
    match side {
        Side::Nulls => column.null_count.map(|nulls| nulls.to_string()),
        Side::Lower => column.lower.as_ref().and_then(|value| bounds::write(&unsigned_zero(value, false), ty, false)),
        Side::Upper => {
            // NaN is above everything for Spark: with one in the file, any upper bound would hide it.
            let floats = matches!(ty, Primitive::Float | Primitive::Double);
            let value = column.upper.as_ref().filter(|_| !floats || column.nan_count == Some(0))?;
            bounds::write(&unsigned_zero(value, true), ty, true)
        }
    }
}

/// `-0.0` and `0.0` are one value to some readers and two to others: a bound takes the outer one.
fn unsigned_zero(value: &Value, upper: bool) -> Value {
    match value {
        Value::Float(v) if *v == 0.0 => Value::Float(if upper { 0.0 } else { -0.0 }),
        Value::Double(v) if *v == 0.0 => Value::Double(if upper { 0.0 } else { -0.0 }),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::formats::delta::schema::{self, Mapping};
    use crate::location::Location;
    use crate::model::{FileStats, Partition, Schema};
    use crate::units::Bytes;

    fn table() -> Schema {
        let inner =
            r#"{"type":"struct","fields":[{"name":"x","type":"double","metadata":{}},{"name":"y","type":"boolean","metadata":{}}]}"#;
        let list = r#"{"type":"array","elementType":"long","containsNull":true}"#;
        let text = format!(
            r#"{{"fields":[{{"name":"a\"","type":"integer","metadata":{{}}}},{{"name":"l","type":{list},"metadata":{{}}}},{{"name":"s","type":{inner},"metadata":{{}}}}]}}"#
        );
        schema::parse(&text, Mapping::None).unwrap()
    }

    fn file(columns: Vec<(i32, ColumnStats)>) -> NewFile {
        NewFile {
            location: Location::parse("/t/x").unwrap(),
            size: Bytes(1),
            rows: 4,
            partition: Arc::new(Partition::default()),
            stats: FileStats { columns: columns.into_iter().collect() },
            split_offsets: Vec::new(),
        }
    }

    fn column(lower: Value, upper: Value, nans: Option<u64>) -> ColumnStats {
        ColumnStats { null_count: Some(1), nan_count: nans, lower: Some(lower), upper: Some(upper), exact: true, ..ColumnStats::default() }
    }

    fn write(indexed: &Indexed, tightness: bool, file: &NewFile) -> String {
        let table = table();
        let fields: Vec<&Field> = table.fields.iter().collect();
        let indexed = leaves(&fields, indexed);
        StatsWriter { fields, indexed, tightness }.write(file).unwrap()
    }

    #[test]
    fn statistics_are_nested_by_physical_name_and_leave_out_what_delta_does_not_keep() {
        let columns = vec![
            (1, column(Value::Int(1), Value::Int(3), None)),
            (3, column(Value::Long(1), Value::Long(3), None)),
            (5, column(Value::Double(-1.5), Value::Double(0.0), Some(0))),
            (6, column(Value::Bool(false), Value::Bool(true), None)),
        ];
        assert_eq!(
            write(&Indexed::First(32), true, &file(columns)),
            r#"{"numRecords":4,"minValues":{"a\"":1,"s":{"x":-1.5}},"maxValues":{"a\"":3,"s":{"x":0.0}},"nullCount":{"a\"":1,"s":{"x":1,"y":1}},"tightBounds":true}"#
        );
    }

    #[test]
    fn a_possible_nan_leaves_no_upper_bound() {
        for nans in [None, Some(1)] {
            let columns = vec![(5, column(Value::Double(1.0), Value::Double(2.0), nans))];
            let text = write(&Indexed::First(32), false, &file(columns));
            assert_eq!(text, r#"{"numRecords":4,"minValues":{"s":{"x":1.0}},"maxValues":{},"nullCount":{"s":{"x":1}}}"#);
        }
    }

    #[test]
    fn only_the_indexed_columns_get_statistics() {
        let table = table();
        let fields: Vec<&Field> = table.fields.iter().collect();
        assert_eq!(leaves(&fields, &Indexed::First(3)), [1, 2, 5].into());
        assert_eq!(leaves(&fields, &Indexed::Named(vec!["s".into()])), [5, 6].into());
        assert_eq!(leaves(&fields, &Indexed::Named(vec!["s.y".into(), "x".into()])), [6].into());
    }

    #[test]
    fn inexact_bounds_are_called_wide() {
        let inexact = ColumnStats { exact: false, ..column(Value::Int(1), Value::Int(2), None) };
        assert!(write(&Indexed::First(1), true, &file(vec![(1, inexact)])).ends_with(",\"tightBounds\":false}"));
    }
}
