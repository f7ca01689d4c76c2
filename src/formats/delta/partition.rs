//! Partition values of the log as model partitions, and the folders of new files.

use std::fmt::Write;

use super::actions::TextMap;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Field, Partition, PartitionField, Primitive, Schema, Type, Value, literal};

/// The longest folder name that every storage takes, in bytes.
const MAX_SEGMENT: usize = 200;

/// The partition that `values` of the log mean; `columns` are the partition columns in order. The protocol says that an empty text is null; a value
/// that is missing is taken for null by Spark, the kernel and delta-rs alike, and delta-rs leaves nulls out of its log sums.
///
/// # Errors
///
/// `Corrupt` where the value of a partition column is missing beside one of no such column: it may go by another name.
pub(super) fn model(values: &TextMap, columns: &[&Field]) -> Result<Partition> {
    let fields = columns.iter().map(|column| {
        let entry = values.entry(&column.physical);
        if entry.is_none() && values.0.iter().any(|(name, _)| columns.iter().all(|known| *known.physical != **name)) {
            return Err(Error::corrupt("a file of the log has no value for a partition column").about("column", &column.name));
        }
        let text = entry.flatten().filter(|text| !text.is_empty());
        let value = text.map(|text| Value::String(text.to_string()));
        Ok(PartitionField { name: column.name.clone(), value, text: text.unwrap_or("null").to_string() })
    });
    Ok(Partition { spec_id: 0, fields: fields.collect::<Result<_>>()?, constants: Vec::new() })
}

/// `partition` with the values that its columns have in every row, for files that are to hold them.
///
/// # Errors
///
/// `Unsupported` where the text in the log does not say what value it is.
pub(super) fn with_constants(partition: &Partition, columns: &[&Field]) -> Result<Partition> {
    let constants = columns.iter().zip(&partition.fields).map(|(column, field)| {
        let value = match &field.value {
            None => None,
            Some(Value::String(text)) => Some(constant(text, &column.ty).ok_or_else(|| {
                Error::unsupported("the partition column has to be written into files, and the log does not say which value it has")
                    .about("column", &column.name)
                    .hint("a timestamp needs a zone and every value must fit its column's type; nothing was changed")
            })?),
            Some(other) => Some(other.clone()),
        };
        Ok((column.id, value))
    });
    Ok(Partition { constants: constants.collect::<Result<_>>()?, ..partition.clone() })
}

fn constant(text: &str, ty: &Type) -> Option<Value> {
    let Type::Primitive(ty) = ty else { return None };
    match (ty, literal::parse(text, *ty)) {
        // Beyond ASCII, writers disagree about what bytes a text stands for.
        (Primitive::Binary, _) => text.is_ascii().then(|| Value::Bytes(text.as_bytes().to_vec())),
        (Primitive::Decimal(_, scale), Some(Value::Decimal(unscaled, of))) if of <= *scale => {
            let zeros = u32::try_from(scale.checked_sub(of)?).ok()?;
            Some(Value::Decimal(unscaled.checked_mul(10_i128.checked_pow(zeros)?)?, *scale))
        }
        (Primitive::Decimal(..), _) => None,
        (_, value) => value,
    }
}

/// The columns that have the same value in every row of `partition`, typed (protocol, "Partition Value Serialization"). A timestamp without an
/// offset is one in UTC, as every reader outside of Spark takes it; Spark takes its session's zone.
///
/// # Errors
///
/// `Corrupt` for a text that is no value of the column's type, `Unsupported` for a partition column of a nested type.
pub(super) fn constants(partition: &Partition, columns: &[&Field]) -> Result<Vec<(i32, Option<Value>)>> {
    let typed = |(field, column): (&PartitionField, &&Field)| {
        let Type::Primitive(ty) = column.ty else {
            return Err(Error::unsupported("a partition column is nested").about("column", &column.name));
        };
        let value = match &field.value {
            Some(Value::String(text)) => {
                let wrong = || Error::corrupt("a partition value of the log is none of its column's type").about("column", &column.name);
                Some(value(text, ty).ok_or_else(wrong)?)
            }
            other => other.clone(),
        };
        Ok((column.id, value))
    };
    partition.fields.iter().zip(columns).map(typed).collect()
}

/// The value that `text` of the log is.
pub(super) fn value(text: &str, ty: Primitive) -> Option<Value> {
    match ty {
        Primitive::TimestampTz => literal::parse(text, ty).or_else(|| literal::parse(text, Primitive::Timestamp)),
        Primitive::Binary => Some(Value::Bytes(text.as_bytes().to_vec())),
        _ => literal::parse(text, ty),
    }
}

/// The partition columns named by the log, in order.
///
/// # Errors
///
/// `Corrupt` where the schema has no such column.
pub(super) fn columns<'a>(schema: &'a Schema, names: &[String]) -> Result<Vec<&'a Field>> {
    let find = |name: &String| {
        let field = schema.fields.iter().find(|field| field.name == *name);
        field.ok_or_else(|| Error::corrupt("a partition column is not in the schema").about("column", name))
    };
    names.iter().map(find).collect()
}

/// The folder for new files of `partition`: `column=value` levels as Hive writes them, by physical names. The folder means nothing to readers, so
/// a value too long for a folder name leaves the files at the table's root.
pub(super) fn directory(root: &Location, partition: &Partition, columns: &[&Field]) -> Location {
    let mut folder = root.clone();
    for (column, field) in columns.iter().zip(&partition.fields) {
        let value = match &field.value {
            Some(Value::String(text)) => escape(text),
            _ => "__HIVE_DEFAULT_PARTITION__".to_string(),
        };
        let segment = format!("{}={value}", escape(&column.physical));
        if segment.len() > MAX_SEGMENT {
            return root.clone();
        }
        folder = folder.child(&segment);
    }
    folder
}

/// Hive's escaping of names in paths, and of what object stores do not take.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"'
            | '#'
            | '%'
            | '\''
            | '*'
            | '/'
            | ':'
            | '='
            | '?'
            | '\\'
            | '{'
            | '}'
            | '['
            | ']'
            | '^'
            | '<'
            | '>'
            | '|'
            | '`'
            | '~'
            | '\0'..='\x1f'
            | '\x7f' => {
                // Writing to a string cannot fail.
                let _: Result<(), _> = write!(out, "%{:02X}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, physical: &str) -> Field {
        let ty = Type::Primitive(Primitive::String);
        Field { id: 1, name: name.into(), physical: physical.into(), required: false, ty, initial_default: None }
    }

    fn values(text: &str) -> TextMap {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn values_are_found_by_physical_name_and_an_empty_text_is_null() {
        let column = column("region", "col-1");
        let partition = model(&values("{\"col-1\":\"eu\"}"), &[&column]).unwrap();
        assert_eq!(partition.display(), "region=eu");
        for text in ["{\"col-1\":\"\"}", "{\"col-1\":null}"] {
            assert_eq!(model(&values(text), &[&column]).unwrap().fields[0].value, None);
        }
        assert!(model(&values("{\"region\":\"eu\"}"), &[&column]).is_err());
    }

    #[test]
    fn partition_values_get_their_columns_type_and_a_strange_text_is_damage() {
        let typed = |text: &str, ty: Primitive| {
            let column = Field { ty: Type::Primitive(ty), ..column("p", "p") };
            let partition = model(&TextMap(vec![("p".into(), Some(text.into()))]), &[&column]).unwrap();
            constants(&partition, &[&column]).map(|constants| constants[0].1.clone())
        };
        assert_eq!(typed("7", Primitive::Short).unwrap(), Some(Value::Int(7)));
        assert_eq!(typed("", Primitive::Long).unwrap(), None);
        assert_eq!(typed("1970-01-01 00:00:01", Primitive::TimestampTz).unwrap(), Some(Value::Long(1_000_000)));
        assert_eq!(typed("1970-01-01T00:00:01.000000Z", Primitive::TimestampTz).unwrap(), Some(Value::Long(1_000_000)));
        let error = typed("secret", Primitive::Date).unwrap_err();
        assert!(error.kind() == crate::error::Kind::Corrupt && !format!("{error:?}").contains("secret"));
    }

    #[test]
    fn folders_are_escaped_as_hive_does_and_too_long_ones_are_left_out() {
        let root = Location::parse("/t").unwrap();
        let (a, b) = (column("a", "a"), column("b", "x:b"));
        let folder = |text: &str| {
            let partition = model(&values(text), &[&a, &b]).unwrap();
            directory(&root, &partition, &[&a, &b]).path().to_string()
        };
        assert_eq!(folder("{\"a\":\"1/2 é%\",\"x:b\":null}"), "t/a=1%2F2 é%25/x%3Ab=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(folder(&format!("{{\"a\":\"{}\",\"x:b\":null}}", "é".repeat(150))), "t");
    }

    #[test]
    fn values_of_every_type_are_told_from_their_texts_and_null_from_both_its_spellings() {
        let typed = |ty: Primitive| Field { ty: Type::Primitive(ty), ..column("p", "p") };
        let of = |ty: Primitive, text: &str| {
            let column = typed(ty);
            let partition = model(&values(&serde_json::json!({"p": text}).to_string()), &[&column]).unwrap();
            with_constants(&partition, &[&column]).map(|partition| partition.constants[0].1.clone())
        };
        let wide = "12345678901234567890123456789012345.678";
        for (ty, text, value) in [
            (Primitive::String, "a/b%2F 🦊é", Value::String("a/b%2F 🦊é".into())),
            (Primitive::String, " ", Value::String(" ".into())),
            (Primitive::Long, "-9223372036854775808", Value::Long(i64::MIN)),
            (Primitive::Double, "-0.0", Value::Double(-0.0)),
            (Primitive::Double, "-Infinity", Value::Double(f64::NEG_INFINITY)),
            (Primitive::Boolean, "true", Value::Bool(true)),
            (Primitive::Date, "1582-10-15", Value::Int(-141_427)),
            (Primitive::Decimal(38, 3), wide, Value::Decimal(12_345_678_901_234_567_890_123_456_789_012_345_678, 3)),
            (Primitive::Decimal(10, 3), "1.5", Value::Decimal(1_500, 3)),
            (Primitive::Timestamp, "1969-12-31 23:59:59.999999", Value::Long(-1)),
            (Primitive::TimestampTz, "1970-01-01T01:00:00.000001+01:00", Value::Long(1)),
            (Primitive::Binary, "\u{1}\u{2}", Value::Bytes(vec![1, 2])),
        ] {
            assert_eq!(of(ty, text).unwrap(), Some(value), "{text}");
            assert_eq!(of(ty, "").unwrap(), None);
        }
        for (ty, text) in [(Primitive::TimestampTz, "2024-01-01 00:00:00"), (Primitive::Decimal(3, 1), "1.25"), (Primitive::Binary, "é")] {
            assert!(of(ty, text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_that_look_alike_keep_folders_of_their_own() {
        let column = column("p", "p");
        let folder = |text: &str| {
            let partition = model(&values(&serde_json::json!({"p": text}).to_string()), &[&column]).unwrap();
            directory(&Location::parse("/t").unwrap(), &partition, &[&column]).path().to_string()
        };
        let (composed, decomposed) = ("\u{e9}", "e\u{301}");
        assert_eq!([folder(composed), folder(decomposed)], ["t/p=\u{e9}", "t/p=e\u{301}"]);
        assert_eq!([folder("a%2Fb"), folder("a/b"), folder("%"), folder(" ")], ["t/p=a%252Fb", "t/p=a%2Fb", "t/p=%25", "t/p= "]);
        assert_eq!([folder(""), folder("null")], ["t/p=__HIVE_DEFAULT_PARTITION__", "t/p=null"]);
    }
}
