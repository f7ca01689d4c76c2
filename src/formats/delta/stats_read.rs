//! The statistics text of an `add` as model statistics (protocol, "Per-file Statistics").

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::bounds;
use crate::model::{ColumnStats, Field, FileStats, Schema, Type};

/// Nested members by name, each still text: numbers keep their digits.
type Members<'a> = BTreeMap<String, &'a RawValue>;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rows {
    num_records: Option<u64>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    num_records: Option<u64>,
    tight_bounds: Option<bool>,
    #[serde(borrow)]
    min_values: Option<&'a RawValue>,
    #[serde(borrow)]
    max_values: Option<&'a RawValue>,
    #[serde(borrow)]
    null_count: Option<&'a RawValue>,
}

/// Rows stored in the file. Statistics are a help: text that cannot be understood says nothing.
pub(super) fn rows(text: &str) -> Option<u64> {
    serde_json::from_str::<Rows>(text).ok()?.num_records
}

/// The statistics of the columns of `schema`; `deletes` says whether rows of the file are deleted.
pub(super) fn read(text: &str, schema: &Schema, deletes: bool) -> Option<FileStats> {
    let text: Text<'_> = serde_json::from_str(text).ok()?;
    let tight = !deletes && text.tight_bounds != Some(false);
    let mut reader = Reader { rows: text.num_records, tight, stats: FileStats::default() };
    reader.members(&schema.fields, members(text.min_values), members(text.max_values), members(text.null_count));
    Some(reader.stats)
}

fn members(text: Option<&RawValue>) -> Members<'_> {
    text.and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or_default()
}

struct Reader {
    rows: Option<u64>,
    tight: bool,
    stats: FileStats,
}

impl Reader {
    fn members(&mut self, fields: &[Field], lower: Members<'_>, upper: Members<'_>, nulls: Members<'_>) {
        for field in fields {
            let of = |side: &Members<'_>| side.get(&field.physical).map(|text| text.get().to_string());
            let (low, high, null) = (of(&lower), of(&upper), of(&nulls));
            match &field.ty {
                Type::Struct(inner) => {
                    let raw = |side: &Option<String>| side.clone().unwrap_or_else(|| "null".into());
                    let (low, high, null) = (raw(&low), raw(&high), raw(&null));
                    self.members(inner, nested(&low), nested(&high), nested(&null));
                }
                Type::Primitive(ty) => {
                    let bound = |text: Option<String>, upper| text.and_then(|text| bounds::read(&text, *ty, upper));
                    let (lower, upper) = (bound(low, false), bound(high, true));
                    let whole = [&lower, &upper].into_iter().flatten().all(|value| bounds::is_exact(value, *ty));
                    let null_count = null.and_then(|text| text.parse().ok()).filter(|n| self.means_something(*n));
                    let column = ColumnStats {
                        value_count: self.rows,
                        null_count,
                        lower,
                        upper,
                        exact: self.tight && whole,
                        ..ColumnStats::default()
                    };
                    if column.lower.is_some() || column.upper.is_some() || column.null_count.is_some() {
                        self.stats.columns.insert(field.id, column);
                    }
                }
                Type::List(_) | Type::Map(..) => {}
            }
        }
    }

    /// Where bounds are not tight, only "none" and "all" are told of nulls.
    fn means_something(&self, nulls: u64) -> bool {
        self.tight || nulls == 0 || Some(nulls) == self.rows
    }
}

fn nested(text: &str) -> Members<'_> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::delta::schema::{self, Mapping};
    use crate::model::Value;

    fn table() -> Schema {
        let inner = r#"{"type":"struct","fields":[{"name":"d","type":"decimal(15,2)","nullable":true,"metadata":{}}]}"#;
        let text = format!(
            r#"{{"fields":[{{"name":"a","type":"integer","metadata":{{}}}},{{"name":"s","type":{inner},"metadata":{{}}}},{{"name":"t","type":"timestamp","metadata":{{}}}}]}}"#
        );
        schema::parse(&text, Mapping::None).unwrap()
    }

    const TEXT: &str = r#"{"numRecords":7,"minValues":{"a":-3,"s":{"d":1.10}},"maxValues":{"a":9,"s":{"d":2},"t":"2020-01-01T00:00:00.000Z"},"nullCount":{"a":2,"s":{"d":0},"t":7}}"#;

    #[test]
    fn bounds_and_counts_are_found_at_any_depth() {
        let stats = read(TEXT, &table(), false).unwrap();
        let column = |id: i32| stats.columns[&id].clone();
        assert_eq!((column(1).lower, column(1).upper), (Some(Value::Int(-3)), Some(Value::Int(9))));
        assert_eq!((column(1).value_count, column(1).null_count, column(1).exact), (Some(7), Some(2), true));
        assert_eq!((column(3).lower, column(3).upper), (Some(Value::Decimal(110, 2)), Some(Value::Decimal(200, 2))));
        assert_eq!(column(4).upper, Some(Value::Long(1_577_836_800_001_000)));
        assert!(!column(4).exact);
        assert_eq!(rows(TEXT), Some(7));
    }

    #[test]
    fn with_deleted_rows_bounds_are_not_exact_and_null_counts_are_none_or_all() {
        let stats = read(TEXT, &table(), true).unwrap();
        assert_eq!((stats.columns[&1].null_count, stats.columns[&1].exact), (None, false));
        assert_eq!((stats.columns[&3].null_count, stats.columns[&4].null_count), (Some(0), Some(7)));
        let wide = read(&TEXT.replace("{\"numRecords\"", "{\"tightBounds\":false,\"numRecords\""), &table(), false).unwrap();
        assert!(!wide.columns[&1].exact);
    }

    #[test]
    fn text_that_is_no_statistics_says_nothing() {
        assert!(read("{\"numRecords\":", &table(), false).is_none());
        assert!(read("{\"minValues\":[1],\"maxValues\":{\"a\":\"x\"}}", &table(), false).unwrap().columns.is_empty());
        assert_eq!(rows("{\"numRecords\":-1}"), None);
    }
}
