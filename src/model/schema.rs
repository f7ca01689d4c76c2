//! Columns by id. A column keeps its id for life; names and places may change.

use super::geo::Geo;
use super::value::Value;

/// The columns of a table or of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// Top-level columns in order.
    pub fields: Vec<Field>,
}

/// One column, struct member, list element, map key or map value.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The column's id. Iceberg's field id; for Delta the column-mapping id or, without mapping, a number given by position in depth-first order.
    pub id: i32,
    /// The name users see.
    pub name: String,
    /// The name in data files (differs under Delta's column mapping). List elements and map entries have the names of the Parquet spec:
    /// `element`, `key`, `value`.
    pub physical: String,
    /// Whether nulls are forbidden.
    pub required: bool,
    /// What it holds.
    pub ty: Type,
    /// The value of rows in files that were written before the column existed (Iceberg v3 `initial-default`). `None` is null.
    pub initial_default: Option<Value>,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// A single value.
    Primitive(Primitive),
    /// Named members.
    Struct(Vec<Field>),
    /// Elements of one type.
    List(Box<Field>),
    /// Keys and values.
    Map(Box<Field>, Box<Field>),
}

/// Types of single values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Primitive {
    /// true or false
    Boolean,
    /// 8-bit signed (Delta `byte`)
    Byte,
    /// 16-bit signed (Delta `short`)
    Short,
    /// 32-bit signed
    Int,
    /// 64-bit signed
    Long,
    /// IEEE 754 binary32
    Float,
    /// IEEE 754 binary64
    Double,
    /// precision (1–38) and scale
    Decimal(u8, i8),
    /// days since 1970-01-01
    Date,
    /// µs since midnight
    Time,
    /// µs without a zone
    Timestamp,
    /// µs in UTC
    TimestampTz,
    /// ns without a zone
    TimestampNs,
    /// ns in UTC
    TimestampTzNs,
    /// UTF-8
    String,
    /// bytes
    Binary,
    /// this many bytes
    Fixed(u32),
    /// 16 bytes
    Uuid,
    /// a variant, held as a struct of two binaries, `metadata` and `value`
    Variant,
    /// shapes on a map, as well-known binary
    Geo(Geo),
    /// nothing but null; no data file holds such a column
    Unknown,
}

impl Schema {
    /// The field with `id`, at any depth.
    pub fn field_by_id(&self, id: i32) -> Option<&Field> {
        self.leaves_and_groups().find(|field| field.id == id)
    }

    /// The field a dotted `name` means, by the names users see.
    pub fn field_by_name(&self, name: &str) -> Option<&Field> {
        fn below<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
            fields.iter().find_map(|field| {
                if field.name == name {
                    return Some(field);
                }
                let rest = name.strip_prefix(field.name.as_str())?.strip_prefix('.')?;
                match &field.ty {
                    Type::Struct(members) => below(members, rest),
                    _ => None,
                }
            })
        }
        below(&self.fields, name)
    }

    /// Every field at every depth, parents before children.
    pub fn leaves_and_groups(&self) -> impl Iterator<Item = &Field> {
        let mut stack: Vec<&Field> = self.fields.iter().rev().collect();
        std::iter::from_fn(move || {
            let field = stack.pop()?;
            stack.extend(field.children().into_iter().rev());
            Some(field)
        })
    }
}

impl Field {
    /// Members, element, or key and value.
    pub fn children(&self) -> Vec<&Self> {
        match &self.ty {
            Type::Primitive(_) => Vec::new(),
            Type::Struct(members) => members.iter().collect(),
            Type::List(element) => vec![element],
            Type::Map(key, value) => vec![key, value],
        }
    }
}
