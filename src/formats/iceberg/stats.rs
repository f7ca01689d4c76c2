//! Column statistics of manifest entries (Iceberg spec, "Data File Fields"), both ways.

use std::collections::BTreeMap;

use super::avro::Datum;
use super::manifest::{Columns, Entry};
use super::values;
use crate::model::{ColumnStats, Field, FileStats, Primitive, Schema, Type, Value};

/// The statistics of an entry, for the columns of `schema`.
pub(crate) fn read(entry: &Entry, columns: &Columns, schema: &Schema) -> FileStats {
    let mut out: BTreeMap<i32, ColumnStats> = BTreeMap::new();
    for (name, put) in COUNTS {
        for (id, value) in columns.pairs(entry, name) {
            if let Some(count) = value.as_long().and_then(|count| u64::try_from(count).ok()) {
                put(out.entry(id).or_default(), count);
            }
        }
    }
    for (name, put) in BOUNDS {
        for (id, value) in columns.pairs(entry, name) {
            let Some(Type::Primitive(ty)) = schema.field_by_id(id).map(|field| &field.ty) else { continue };
            // A NaN bound is a fault of old writers and says nothing.
            if let Some(value) = value.as_bytes().and_then(|bytes| values::from_bytes(bytes, *ty)).filter(|value| !value.is_nan()) {
                put(out.entry(id).or_default(), value);
            }
        }
    }
    FileStats { columns: out }
}

type PutCount = fn(&mut ColumnStats, u64);
type PutBound = fn(&mut ColumnStats, Value);

const BOUNDS: [(&str, PutBound); 2] =
    [("lower_bounds", |column, value| column.lower = Some(value)), ("upper_bounds", |column, value| column.upper = Some(value))];

const COUNTS: [(&str, PutCount); 4] = [
    ("value_counts", |column, count| column.value_count = Some(count)),
    ("null_value_counts", |column, count| column.null_count = Some(count)),
    ("nan_value_counts", |column, count| column.nan_count = Some(count)),
    ("column_sizes", |column, count| column.size = Some(count)),
];

/// How much is written of a column (`write.metadata.metrics.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// nothing
    None,
    /// counts
    Counts,
    /// counts, and bounds cut to this many characters or bytes
    Truncate(usize),
    /// counts and whole bounds
    Full,
}

/// How much is written of each primitive column.
#[derive(Debug)]
pub(crate) struct Modes(BTreeMap<i32, (Mode, Primitive)>);

/// What one entry says of its columns, as Avro maps.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// `column_sizes`, `value_counts`, `null_value_counts`, `nan_value_counts`, `lower_bounds`, `upper_bounds`
    pub(crate) maps: [Datum; 6],
}

fn mode(text: &str) -> Mode {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "none" => Mode::None,
        "counts" => Mode::Counts,
        "full" => Mode::Full,
        _ => {
            let length = text.strip_prefix("truncate(").and_then(|rest| rest.strip_suffix(')')).and_then(|n| n.trim().parse().ok());
            Mode::Truncate(length.filter(|n| *n > 0).unwrap_or(16))
        }
    }
}

impl Modes {
    /// The modes of a table. Without a default of its own, only the first `write.metadata.metrics.max-inferred-column-defaults` (100) columns
    /// are covered.
    pub(crate) fn of(schema: &Schema, properties: &BTreeMap<String, String>) -> Self {
        let default = properties.get("write.metadata.metrics.default").map(|text| mode(text));
        let inferred =
            properties.get("write.metadata.metrics.max-inferred-column-defaults").and_then(|n| n.parse().ok()).unwrap_or(100usize);
        let mut modes = Self(BTreeMap::new());
        let mut leaves = Vec::new();
        for field in &schema.fields {
            leaves_below(field, "", &mut leaves);
        }
        for (at, (name, id, ty)) in leaves.into_iter().enumerate() {
            let own = properties.get(&format!("write.metadata.metrics.column.{name}")).map(|text| mode(text));
            let inferred = if at < inferred { Mode::Truncate(16) } else { Mode::None };
            modes.0.insert(id, (own.or(default).unwrap_or(inferred), ty));
        }
        modes
    }

    /// What an entry says of a file with `stats`.
    pub(crate) fn metrics(&self, stats: &FileStats) -> Metrics {
        let mut maps: [Vec<Datum>; 6] = Default::default();
        for (id, column) in &stats.columns {
            let Some((mode, ty)) = self.0.get(id).filter(|(mode, _)| *mode != Mode::None) else { continue };
            let [sizes, values, nulls, nans, lowers, uppers] = &mut maps;
            let counts = [(sizes, column.size), (values, column.value_count), (nulls, column.null_count)];
            for (map, count) in counts {
                map.extend(count.map(|count| pair(*id, Datum::Long(i64::try_from(count).unwrap_or(i64::MAX)))));
            }
            if matches!(ty, Primitive::Float | Primitive::Double) {
                nans.extend(column.nan_count.map(|count| pair(*id, Datum::Long(i64::try_from(count).unwrap_or(i64::MAX)))));
            }
            let known = |value: &Option<Value>| value.clone().filter(|value| !value.is_nan());
            let (lower, upper) = (known(&column.lower), known(&column.upper));
            let (lower, upper) = match mode {
                Mode::Full => (lower, upper),
                Mode::Truncate(length) => (lower.map(|v| cut_lower(v, *ty, *length)), upper.and_then(|v| cut_upper(v, *ty, *length))),
                Mode::None | Mode::Counts => (None, None),
            };
            lowers.extend(lower.map(|value| pair(*id, Datum::Bytes(values::to_bytes(&value)))));
            uppers.extend(upper.map(|value| pair(*id, Datum::Bytes(values::to_bytes(&value)))));
        }
        Metrics { maps: maps.map(|map| if map.is_empty() { Datum::Null } else { Datum::Array(map) }) }
    }
}

fn pair(id: i32, value: Datum) -> Datum {
    Datum::Record(vec![Datum::Long(i64::from(id)), value])
}

/// Primitive columns by full name, in order; those inside lists and maps have no statistics.
fn leaves_below(field: &Field, prefix: &str, out: &mut Vec<(String, i32, Primitive)>) {
    let name = if prefix.is_empty() { field.name.clone() } else { format!("{prefix}.{}", field.name) };
    match &field.ty {
        Type::Primitive(Primitive::Variant | Primitive::Unknown) | Type::List(_) | Type::Map(..) => {}
        Type::Primitive(ty) => out.push((name, field.id, *ty)),
        Type::Struct(members) => members.iter().for_each(|member| leaves_below(member, &name, out)),
    }
}

fn cut_lower(value: Value, ty: Primitive, length: usize) -> Value {
    match value {
        Value::String(text) => Value::String(text.chars().take(length).collect()),
        Value::Bytes(mut bytes) if ty == Primitive::Binary => {
            bytes.truncate(length);
            Value::Bytes(bytes)
        }
        other => other,
    }
}

/// A cut upper bound must still be above what it was cut from: its last character or byte that can grow is made greater. `None` if none can.
fn cut_upper(value: Value, ty: Primitive, length: usize) -> Option<Value> {
    match value {
        Value::String(text) if text.chars().count() > length => {
            let mut kept: Vec<char> = text.chars().take(length).collect();
            while let Some(last) = kept.pop() {
                if let Some(next) = after(last) {
                    kept.push(next);
                    return Some(Value::String(kept.into_iter().collect()));
                }
            }
            None
        }
        Value::Bytes(bytes) if ty == Primitive::Binary && bytes.len() > length => {
            let mut kept: Vec<u8> = bytes.into_iter().take(length).collect();
            while let Some(last) = kept.pop() {
                if let Some(next) = last.checked_add(1) {
                    kept.push(next);
                    return Some(Value::Bytes(kept));
                }
            }
            None
        }
        other => Some(other),
    }
}

fn after(c: char) -> Option<char> {
    match c {
        '\u{d7ff}' => Some('\u{e000}'),
        _ => u32::from(c).checked_add(1).and_then(char::from_u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let column = |id: i32, name: &str, ty| Field {
            id,
            name: name.into(),
            physical: name.into(),
            required: false,
            ty: Type::Primitive(ty),
            initial_default: None,
        };
        Schema { fields: vec![column(1, "s", Primitive::String), column(2, "d", Primitive::Double), column(3, "i", Primitive::Int)] }
    }

    fn stats(id: i32, lower: Value, upper: Value) -> FileStats {
        let column =
            ColumnStats { value_count: Some(9), null_count: Some(1), lower: Some(lower), upper: Some(upper), ..ColumnStats::default() };
        FileStats { columns: [(id, column)].into() }
    }

    fn text(value: &str) -> Value {
        Value::String(value.into())
    }

    #[test]
    fn a_cut_upper_bound_stays_above_its_value() {
        let cut = |value: &str| cut_upper(text(value), Primitive::String, 3);
        assert_eq!(cut("abcd"), Some(text("abd")));
        assert_eq!(cut("abc"), Some(text("abc")));
        assert_eq!(cut("ab\u{10ffff}d"), Some(text("ac")));
        assert_eq!(cut("a\u{d7ff}\u{10ffff}d"), Some(text("a\u{e000}")));
        assert_eq!(cut("\u{10ffff}\u{10ffff}\u{10ffff}d"), None);
        assert_eq!(cut_upper(Value::Bytes(vec![1, 255, 7]), Primitive::Binary, 2), Some(Value::Bytes(vec![2])));
        assert_eq!(cut_lower(text("äbcd"), Primitive::String, 2), text("äb"));
    }

    #[test]
    fn modes_say_how_much_is_written() {
        let properties = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>();
        let bounds = |pairs: &[(&str, &str)], id: i32, stats: &FileStats| {
            let metrics = Modes::of(&schema(), &properties(pairs)).metrics(stats);
            let has = |map: &Datum| map.as_items().is_some_and(|items| items[0].as_record().unwrap()[0].as_long() == Some(i64::from(id)));
            (has(&metrics.maps[1]), has(&metrics.maps[4]))
        };
        let some = stats(3, Value::Int(1), Value::Int(2));
        assert_eq!(bounds(&[], 3, &some), (true, true));
        assert_eq!(bounds(&[("write.metadata.metrics.default", "counts")], 3, &some), (true, false));
        assert_eq!(
            bounds(&[("write.metadata.metrics.default", "counts"), ("write.metadata.metrics.column.i", "full")], 3, &some),
            (true, true)
        );
        assert_eq!(bounds(&[("write.metadata.metrics.max-inferred-column-defaults", "2")], 3, &some), (false, false));
        let nan = stats(2, Value::Double(f64::NAN), Value::Double(1.0));
        assert_eq!(bounds(&[], 2, &nan), (true, false));
    }
}
