//! How the columns of a file are recognised: by field id, by Iceberg's name mapping, by position or by name.

use arrow_schema::{DataType, Field as ArrowField, Fields};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::model::{Field, MappedName};

/// What tells the columns at one level of a file from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identities {
    /// Their names: exactly, else ignoring case where that is unambiguous.
    ByName,
    /// An id each, or none for columns that are no column of the table; with what tells the columns below apart.
    ById(Vec<(Option<i32>, Self)>),
}

impl Identities {
    /// Identities of `fields` in a table that knows columns by id (Iceberg spec, "Column Projection"): the file's own ids; where it has none at
    /// all, those of the name mapping; without one, columns are numbered from 1 by position, as tables imported from Hive long were.
    pub(super) fn by_id(fields: &Fields, names: Option<&[MappedName]>) -> Self {
        if fields.iter().any(|field| has_ids(field)) {
            return Self::stored(fields.iter().map(AsRef::as_ref));
        }
        match names {
            Some(names) => Self::mapped(fields.iter().map(AsRef::as_ref), names),
            None => Self::ById((1..).zip(fields).map(|(position, _)| (Some(position), Self::ByName)).collect()),
        }
    }

    /// As [`Self::by_id`], for formats other than Parquet: columns without ids are those of the same name in `schema`, as Iceberg's own readers of
    /// ORC and Avro have it.
    pub(super) fn by_id_or_name(fields: &Fields, names: Option<&[MappedName]>, schema: &[Field]) -> Self {
        let own = || schema.iter().map(mapped_name).collect::<Vec<_>>();
        Self::by_id(fields, Some(&names.map_or_else(own, <[_]>::to_vec)))
    }

    fn stored<'a>(fields: impl Iterator<Item = &'a ArrowField>) -> Self {
        Self::ById(fields.map(|field| (field_id(field), Self::stored(children(field).into_iter()))).collect())
    }

    fn mapped<'a>(fields: impl Iterator<Item = &'a ArrowField>, names: &[MappedName]) -> Self {
        let pair = |field: &ArrowField| match names.iter().find(|entry| entry.names.iter().any(|name| name == field.name())) {
            Some(entry) => (entry.id, Self::mapped_below(field, &entry.fields)),
            None => (None, Self::ById(Vec::new())),
        };
        Self::ById(fields.map(pair).collect())
    }

    fn mapped_below(field: &ArrowField, names: &[MappedName]) -> Self {
        // Elements, keys and values have many names in files but only one each in a mapping.
        let inner = |name: &str, child: &ArrowField| {
            let entry = names.iter().find(|entry| entry.names.iter().any(|n| n == name));
            entry.map_or((None, Self::ById(Vec::new())), |entry| (entry.id, Self::mapped_below(child, &entry.fields)))
        };
        match (field.data_type(), children(field).as_slice()) {
            (DataType::List(_), [element]) => Self::ById(vec![inner("element", element)]),
            (DataType::Map(..), [key, value]) => Self::ById(vec![inner("key", key), inner("value", value)]),
            (_, members) => Self::mapped(members.iter().copied(), names),
        }
    }

    /// The position of `field` among `siblings`.
    pub(super) fn find(&self, field: &Field, siblings: &Fields) -> Option<usize> {
        match self {
            Self::ById(ids) => ids.iter().position(|(id, _)| *id == Some(field.id)),
            Self::ByName => siblings.iter().position(|f| *f.name() == field.physical).or_else(|| {
                let folded = field.physical.to_lowercase();
                let mut alike = siblings.iter().enumerate().filter(|(_, f)| f.name().to_lowercase() == folded);
                alike.next().filter(|_| alike.next().is_none()).map(|(at, _)| at)
            }),
        }
    }

    /// What tells the columns below the one at `position` apart.
    pub(super) fn below(&self, position: usize) -> Self {
        match self {
            Self::ByName => Self::ByName,
            Self::ById(ids) => ids.get(position).map_or(Self::ById(Vec::new()), |(_, below)| below.clone()),
        }
    }
}

/// The mapping of the column's own name and those below it.
fn mapped_name(field: &Field) -> MappedName {
    let fields = field.children().into_iter().map(mapped_name).collect();
    MappedName { id: Some(field.id), names: vec![field.name.clone()], fields }
}

/// The id that a file gives a column.
pub(super) fn field_id(field: &ArrowField) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Whether a file gives an id to `field` or to any column below it.
pub(super) fn has_ids(field: &ArrowField) -> bool {
    field_id(field).is_some() || children(field).into_iter().any(has_ids)
}

/// Members, element, or key and value.
pub(super) fn children(field: &ArrowField) -> Vec<&ArrowField> {
    match field.data_type() {
        DataType::Struct(members) => members.iter().map(AsRef::as_ref).collect(),
        DataType::List(item) => vec![item],
        DataType::Map(entries, _) => children(entries),
        _ => Vec::new(),
    }
}
