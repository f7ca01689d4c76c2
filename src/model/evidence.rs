//! What a file's partition and statistics prove about one of its columns.

use super::file::{DataFile, Partition};
use super::literal;
use super::schema::{Field, Primitive, Schema, Type};
use super::stats::ColumnStats;
use super::value::Value;

/// Which values a column of a file may hold. Everything that is not ruled out is possible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evidence {
    /// No value but null and NaN is below this.
    pub(super) lower: Option<Value>,
    /// No value but null and NaN is above this.
    pub(super) upper: Option<Value>,
    /// A row may hold null.
    pub(super) nulls: bool,
    /// A row may hold NaN.
    pub(super) nans: bool,
    /// A row may hold something else.
    pub(super) values: bool,
}

impl Evidence {
    /// Nothing is known.
    const ANYTHING: Self = Self { lower: None, upper: None, nulls: true, nans: true, values: true };

    /// What is known of column `id` in `file`; a constant of the partition says more than statistics.
    pub(super) fn of(schema: &Schema, file: &DataFile, id: i32) -> Self {
        let Some((field, optional_parents)) = find(&schema.fields, id, false) else { return Self::ANYTHING };
        let Type::Primitive(ty) = field.ty else { return Self::ANYTHING };
        if let Some(constant) = constant(&file.partition, schema, id, ty) {
            return Self::constant(constant, ty);
        }
        match file.stats.as_ref().and_then(|stats| stats.columns.get(&id)) {
            Some(stats) => Self::from_stats(stats, ty, optional_parents.then_some(file.rows)),
            None => Self::ANYTHING,
        }
    }

    fn constant(value: Option<Value>, ty: Primitive) -> Self {
        let none = Self { lower: None, upper: None, nulls: false, nans: false, values: false };
        match value {
            None => Self { nulls: true, ..none },
            Some(value) if value.is_nan() => Self { nans: true, ..none },
            Some(value) if is_of(&value, ty) => Self { lower: Some(value.clone()), upper: Some(value), values: true, ..none },
            Some(_) => Self { nulls: false, ..Self::ANYTHING },
        }
    }

    /// `rows_if_nested` is given for members of structs that may be null: writers differ in whether a null parent counts as a null member,
    /// so that "no nulls" is only believed where every row was counted.
    fn from_stats(stats: &ColumnStats, ty: Primitive, rows_if_nested: Option<Option<u64>>) -> Self {
        let floating = matches!(ty, Primitive::Float | Primitive::Double);
        let every_row_counted = rows_if_nested.is_none_or(|rows| rows.is_some() && rows == stats.value_count);
        // A NaN bound (writers before the rule did this) proves nothing, and neither does one of another type.
        let usable = |bound: &Option<Value>| bound.clone().filter(|value| !value.is_nan() && is_of(value, ty));
        Self {
            lower: usable(&stats.lower),
            upper: usable(&stats.upper),
            nulls: stats.null_count != Some(0) || !every_row_counted,
            nans: floating && stats.nan_count != Some(0) && !stats.is_all_null(),
            values: !stats.is_all_null(),
        }
    }
}

/// The field `id` at the top or within structs, and whether a struct around it may be null. Elements of lists and maps have no single value
/// in a row.
fn find(fields: &[Field], id: i32, optional: bool) -> Option<(&Field, bool)> {
    fields.iter().find_map(|field| match &field.ty {
        _ if field.id == id => Some((field, optional)),
        Type::Struct(members) => find(members, id, optional || !field.required),
        _ => None,
    })
}

/// The value that every row of the partition has in column `id`: `Some(None)` is null.
///
/// A partition field is the column itself only if the format says so ([`Partition::constants`]), or if it is the text of a Delta partition
/// column: one spec, no constants, named as a column at the top of the schema. An Iceberg field may bear a column's name and mean another.
fn constant(partition: &Partition, schema: &Schema, id: i32, ty: Primitive) -> Option<Option<Value>> {
    if let Some((_, value)) = partition.constants.iter().find(|(column, _)| *column == id) {
        return Some(value.clone());
    }
    if partition.spec_id != 0 || !partition.constants.is_empty() {
        return None;
    }
    let column = schema.fields.iter().find(|field| field.id == id)?;
    match &partition.fields.iter().find(|field| field.name == column.name)?.value {
        None => Some(None),
        Some(Value::String(text)) => literal::parse(text, ty).map(Some),
        Some(_) => None,
    }
}

/// Whether `value` is a value of `ty`, or of a type that columns of `ty` may have been widened from without a change of meaning.
const fn is_of(value: &Value, ty: Primitive) -> bool {
    match ty {
        Primitive::Boolean => matches!(value, Value::Bool(_)),
        Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Date => matches!(value, Value::Int(_)),
        Primitive::Long => matches!(value, Value::Int(_) | Value::Long(_)),
        Primitive::Float => matches!(value, Value::Float(_)),
        Primitive::Double => matches!(value, Value::Float(_) | Value::Double(_)),
        Primitive::Decimal(..) => matches!(value, Value::Decimal(..) | Value::Int(_) | Value::Long(_)),
        // A date that became a timestamp counts days: as a timestamp its bounds would mean another time.
        Primitive::Time | Primitive::Timestamp | Primitive::TimestampTz | Primitive::TimestampNs | Primitive::TimestampTzNs => {
            matches!(value, Value::Long(_))
        }
        Primitive::String => matches!(value, Value::String(_)),
        Primitive::Binary | Primitive::Fixed(_) | Primitive::Uuid => matches!(value, Value::Bytes(_)),
        Primitive::Variant | Primitive::Geo(_) | Primitive::Unknown => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::location::Location;
    use crate::model::{FileFormat, FileStats, PartitionField};
    use crate::units::Bytes;

    pub(in super::super) fn column(id: i32, name: &str, ty: Type) -> Field {
        Field { id, name: name.into(), physical: name.into(), required: false, ty, initial_default: None }
    }

    pub(in super::super) fn file(rows: u64, stats: impl IntoIterator<Item = (i32, ColumnStats)>, partition: Partition) -> DataFile {
        DataFile {
            rows: Some(rows),
            partition: Arc::new(partition),
            stats: Some(Box::new(FileStats { columns: stats.into_iter().collect() })),
            ..DataFile::bare(Location::parse("/t/f.parquet").unwrap(), FileFormat::Parquet, Bytes(1))
        }
    }

    fn primitive(id: i32, name: &str, ty: Primitive) -> Field {
        column(id, name, Type::Primitive(ty))
    }

    fn field(name: &str, text: Option<&str>) -> PartitionField {
        let value = text.map(|text| Value::String(text.into()));
        PartitionField { name: name.into(), value, text: text.unwrap_or("null").into() }
    }

    fn counted(values: u64, nulls: u64) -> ColumnStats {
        ColumnStats { value_count: Some(values), null_count: Some(nulls), ..ColumnStats::default() }
    }

    #[test]
    fn delta_partition_columns_are_read_by_their_type() {
        let schema = Schema { fields: vec![primitive(1, "day", Primitive::Date), primitive(2, "at", Primitive::TimestampTz)] };
        let fields = vec![field("day", Some("1970-01-03")), field("at", Some("2024-01-01 00:00:00"))];
        let file = file(1, [], Partition { fields, ..Partition::default() });
        let day = Evidence::of(&schema, &file, 1);
        assert_eq!((day.lower, day.upper, day.nulls, day.nans), (Some(Value::Int(2)), Some(Value::Int(2)), false, false));
        // Without an offset the instant depends on the writer's zone.
        assert_eq!(Evidence::of(&schema, &file, 2), Evidence::ANYTHING);
    }

    #[test]
    fn a_null_partition_value_is_null_in_every_row() {
        let schema = Schema { fields: vec![primitive(1, "region", Primitive::String)] };
        let delta = Partition { fields: vec![field("region", None)], ..Partition::default() };
        let iceberg = Partition { constants: vec![(1, None)], ..Partition::default() };
        for partition in [delta, iceberg] {
            let evidence = Evidence::of(&schema, &file(1, [], partition), 1);
            assert!(evidence.nulls && !evidence.values && !evidence.nans);
        }
    }

    #[test]
    fn a_partition_field_of_a_later_spec_is_not_taken_for_the_column_of_its_name() {
        let schema = Schema { fields: vec![primitive(9, "region", Primitive::String)] };
        let fields = vec![field("region", Some("eu"))];
        let later = Partition { spec_id: 1, fields: fields.clone(), constants: Vec::new() };
        let identity = Partition { spec_id: 0, fields, constants: vec![(3, Some(Value::String("eu".into())))] };
        for partition in [later, identity] {
            assert_eq!(Evidence::of(&schema, &file(1, [], partition), 9), Evidence::ANYTHING);
        }
    }

    #[test]
    fn bounds_of_a_widened_type_are_used_only_where_they_mean_the_same() {
        let bounds = |value: Value| ColumnStats { lower: Some(value.clone()), upper: Some(value), ..counted(1, 0) };
        let schema = Schema { fields: vec![primitive(1, "n", Primitive::Long), primitive(2, "at", Primitive::Timestamp)] };
        let file = file(1, [(1, bounds(Value::Int(7))), (2, bounds(Value::Int(19_000)))], Partition::default());
        assert_eq!(Evidence::of(&schema, &file, 1).lower, Some(Value::Int(7)));
        assert_eq!(Evidence::of(&schema, &file, 2).lower, None);
    }

    #[test]
    fn nan_bounds_prove_nothing_and_uncounted_nans_are_possible() {
        let schema = Schema { fields: vec![primitive(1, "x", Primitive::Double)] };
        let stats = |nan_count, lower| ColumnStats { nan_count, lower: Some(Value::Double(lower)), ..counted(2, 0) };
        let of = |stats| Evidence::of(&schema, &file(2, [(1, stats)], Partition::default()), 1);
        assert!(of(stats(None, 1.0)).nans);
        assert!(!of(stats(Some(0), 1.0)).nans);
        assert_eq!(of(stats(Some(0), f64::NAN)).lower, None);
    }

    #[test]
    fn members_of_structs_are_without_nulls_only_if_every_row_was_counted() {
        let members = vec![primitive(2, "m", Primitive::Int)];
        let schema = Schema { fields: vec![column(1, "s", Type::Struct(members))] };
        let of = |stats, rows| Evidence::of(&schema, &file(rows, [(2, stats)], Partition::default()), 2).nulls;
        assert!(!of(counted(4, 0), 4));
        assert!(of(counted(3, 0), 4));
        assert!(of(counted(4, 1), 4));
    }

    #[test]
    fn elements_of_lists_are_never_judged() {
        let list = Type::List(Box::new(primitive(2, "element", Primitive::Int)));
        let schema = Schema { fields: vec![column(1, "l", list)] };
        let stats = ColumnStats { lower: Some(Value::Int(5)), upper: Some(Value::Int(5)), ..counted(1, 0) };
        let file = file(1, [(2, stats)], Partition::default());
        assert_eq!(Evidence::of(&schema, &file, 2), Evidence::ANYTHING);
        assert_eq!(Evidence::of(&schema, &file, 99), Evidence::ANYTHING);
    }
}
