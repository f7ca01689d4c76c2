//! Partition values of the log as model partitions, and the folders of new files.

use std::fmt::Write;

use super::actions::TextMap;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Field, Partition, PartitionField, Primitive, Schema, Type, Value, literal};

/// The longest folder name that every storage takes, in bytes.
const MAX_SEGMENT: usize = 200;

/// The partition that `values` of the log mean; `columns` are the partition columns in order.
///
/// # Errors
///
/// `Corrupt` where the value of a partition column is missing.
pub(super) fn model(values: &TextMap, columns: &[&Field]) -> Result<Partition> {
    let fields = columns.iter().map(|column| {
        let entry = values
            .entry(&column.physical)
            .ok_or_else(|| Error::corrupt("a file of the log has no value for a partition column").about("column", &column.name))?;
        // The protocol: an empty text is null.
        let text = entry.filter(|text| !text.is_empty());
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
}
