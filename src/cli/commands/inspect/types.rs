//! Types as people write them.

use crate::model::{Field, Primitive, Type};

/// `struct<a: int, b: list<string>>`.
pub(super) fn text(ty: &Type) -> String {
    match ty {
        Type::Primitive(primitive) => primitive_text(*primitive),
        Type::Struct(members) => {
            let members: Vec<String> = members.iter().map(|member| format!("{}: {}", member.name, text(&member.ty))).collect();
            format!("struct<{}>", members.join(", "))
        }
        Type::List(element) => format!("list<{}>", text(&element.ty)),
        Type::Map(key, value) => format!("map<{}, {}>", text(&key.ty), text(&value.ty)),
    }
}

fn primitive_text(primitive: Primitive) -> String {
    match primitive {
        Primitive::Boolean => "boolean".into(),
        Primitive::Byte => "byte".into(),
        Primitive::Short => "short".into(),
        Primitive::Int => "int".into(),
        Primitive::Long => "long".into(),
        Primitive::Float => "float".into(),
        Primitive::Double => "double".into(),
        Primitive::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
        Primitive::Date => "date".into(),
        Primitive::Time => "time".into(),
        Primitive::Timestamp => "timestamp".into(),
        Primitive::TimestampTz => "timestamptz".into(),
        Primitive::TimestampNs => "timestamp_ns".into(),
        Primitive::TimestampTzNs => "timestamptz_ns".into(),
        Primitive::String => "string".into(),
        Primitive::Binary => "binary".into(),
        Primitive::Fixed(length) => format!("fixed[{length}]"),
        Primitive::Uuid => "uuid".into(),
        Primitive::Variant => "variant".into(),
        Primitive::Geo(geo) => geo.to_string(),
        Primitive::Unknown => "unknown".into(),
    }
}

/// Whether nulls are allowed, in a word.
pub(super) const fn nullability(field: &Field) -> &'static str {
    if field.required { "required" } else { "optional" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_types_read_from_the_outside_in() {
        let field = |name: &str, ty| Field { id: 1, name: name.into(), physical: name.into(), required: false, ty, initial_default: None };
        let list = Type::List(Box::new(field("element", Type::Primitive(Primitive::Decimal(15, 2)))));
        let map = Type::Map(Box::new(field("key", Type::Primitive(Primitive::String))), Box::new(field("value", list)));
        assert_eq!(text(&Type::Struct(vec![field("m", map)])), "struct<m: map<string, list<decimal(15, 2)>>>");
    }
}
