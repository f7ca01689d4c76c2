//! Partition specs: fields, transforms, and what their values are called (Iceberg spec, "Partitioning").

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value as Json;

use super::avro::Datum;
use super::{text, values};
use crate::error::{Error, Result};
use crate::model::{Field, Partition, PartitionField, Primitive, Schema, Transform, Type, Value};

/// One field of a spec.
#[derive(Debug, Clone)]
pub(crate) struct SpecField {
    /// The column it is made from.
    pub(crate) source_id: i32,
    /// Its own id.
    pub(crate) field_id: i32,
    /// Its name.
    pub(crate) name: String,
    /// How it is made.
    pub(crate) transform: Transform,
    /// The type of its values; `None` if the transform or the column is unknown.
    pub(crate) ty: Option<Primitive>,
}

/// A partition spec.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Its id.
    pub(crate) id: i32,
    /// Its fields in order.
    pub(crate) fields: Vec<SpecField>,
    /// The JSON form of the fields, as manifests repeat it.
    pub(crate) json: Json,
}

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("a partition spec is damaged: {what}"))
}

impl Spec {
    /// Reads the JSON form of a spec's fields; `columns` are all the table ever had.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a damaged spec. Unknown transforms are kept.
    pub(crate) fn parse(id: i32, json: Option<&Json>, columns: &BTreeMap<i32, Field>) -> Result<Self> {
        let listed = json.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let number = |json: Option<&Json>| json.and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
        let mut fields = Vec::new();
        for (position, field) in (1000..).zip(listed) {
            let name = field.get("name").and_then(Json::as_str).ok_or_else(|| wrong("a field has no name"))?;
            let text = field.get("transform").and_then(Json::as_str).ok_or_else(|| wrong("a field has no transform"))?;
            let mut transform = Transform::parse(text);
            let source_id = match (number(field.get("source-id")), field.get("source-ids").and_then(Json::as_array).map(Vec::as_slice)) {
                (Some(id), _) => id,
                (None, Some([one])) => number(Some(one)).ok_or_else(|| wrong("a source id is no number"))?,
                (None, Some(_)) => {
                    transform = Transform::Unknown(format!("{text} of several columns"));
                    0
                }
                (None, None) => return Err(wrong("a field has no source")),
            };
            let source = columns.get(&source_id).and_then(|column| match column.ty {
                Type::Primitive(primitive) => Some(primitive),
                _ => None,
            });
            let ty = result_type(&transform, source);
            let field_id = number(field.get("field-id")).unwrap_or(position);
            fields.push(SpecField { source_id, field_id, name: name.to_string(), transform, ty });
        }
        Ok(Self { id, fields, json: json.cloned().unwrap_or_else(|| Json::Array(Vec::new())) })
    }

    /// Whether files of this spec all lie in one partition.
    pub(crate) fn is_unpartitioned(&self) -> bool {
        self.fields.iter().all(|field| field.transform == Transform::Void)
    }

    /// The partition a manifest's tuple means.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a value is of no single type, `Corrupt` if the tuple does not fit the spec.
    pub(crate) fn partition(&self, tuple: &[Datum]) -> Result<Partition> {
        if tuple.len() != self.fields.len() {
            return Err(Error::corrupt("a partition tuple does not fit its spec").about("spec", self.id));
        }
        let mut values = Vec::with_capacity(tuple.len());
        for (field, datum) in self.fields.iter().zip(tuple) {
            let value = match (field.ty, datum.is_null()) {
                (_, true) => None,
                (Some(ty), false) => values::from_datum(datum, ty)
                    .ok_or_else(|| Error::corrupt("a partition value has another type than its field").about("field", &field.name))?,
                // What it means is not known: it still tells one partition from another.
                (None, false) => Some(values::untyped(datum).ok_or_else(|| self.not_understood(field))?),
            };
            values.push(value);
        }
        Ok(self.with_values(values))
    }

    /// The partition that has these values, one for each field.
    pub(crate) fn with_values(&self, values: Vec<Option<Value>>) -> Partition {
        let mut out = Partition { spec_id: self.id, ..Partition::default() };
        for (field, value) in self.fields.iter().zip(values) {
            if field.transform == Transform::Identity && field.ty.is_some() {
                out.constants.push((field.source_id, value.clone()));
            }
            let text = text::human(value.as_ref(), &field.transform, field.ty);
            out.fields.push(PartitionField { name: field.name.clone(), value, text });
        }
        out
    }

    /// What partition values are made from, field by field, for rows with the columns of `schema`.
    ///
    /// # Errors
    ///
    /// `Unsupported` naming the field whose values cannot be computed.
    pub(crate) fn sources(&self, schema: &Schema) -> Result<Vec<(i32, Transform)>> {
        self.understood()?;
        let source = |field: &SpecField| {
            let column = within_structs(&schema.fields, field.source_id);
            let computable = field.transform == Transform::Void
                || column.is_some_and(|column| matches!(column.ty, Type::Primitive(ty) if field.transform.takes(ty)));
            let error = || Error::unsupported("the values of a partition field cannot be computed from the table's columns");
            if computable {
                Ok((field.source_id, field.transform.clone()))
            } else {
                Err(error().about("field", &field.name).about("spec", self.id))
            }
        };
        self.fields.iter().map(source).collect()
    }

    fn not_understood(&self, field: &SpecField) -> Error {
        let message = match &field.transform {
            Transform::Unknown(name) => format!("the partition transform '{name}' is not understood"),
            _ => "a partition field's column is not known any more".to_string(),
        };
        Error::unsupported(message).about("field", &field.name).about("spec", self.id)
    }

    /// The first field whose values cannot be written again.
    ///
    /// # Errors
    ///
    /// `Unsupported` naming it.
    pub(crate) fn understood(&self) -> Result<()> {
        match self.fields.iter().find(|field| field.ty.is_none() && field.transform != Transform::Void) {
            Some(field) => Err(self.not_understood(field)),
            None => Ok(()),
        }
    }

    /// The folder of `partition` below the data folder, as the Java library names it; empty when unpartitioned.
    pub(crate) fn path(&self, partition: &Partition) -> String {
        let names = partition.fields.iter().map(|field| shortened(format!("{}={}", text::escape(&field.name), text::escape(&field.text))));
        names.collect::<Vec<_>>().join("/")
    }
}

/// The column `id`, at the top or within structs: elsewhere a row has no single value of it.
fn within_structs(fields: &[Field], id: i32) -> Option<&Field> {
    fields.iter().find_map(|field| match &field.ty {
        _ if field.id == id => Some(field),
        Type::Struct(members) => within_structs(members, id),
        _ => None,
    })
}

/// File systems allow names of 255 bytes: longer ones end in a checksum. Readers go by the metadata, not by names.
fn shortened(name: String) -> String {
    const LONGEST: usize = 200;
    match name.get(..LONGEST) {
        Some(head) if name.len() > LONGEST => format!("{head}-{:08x}", crc32fast::hash(name.as_bytes())),
        _ => name,
    }
}

fn result_type(transform: &Transform, source: Option<Primitive>) -> Option<Primitive> {
    // Neither is a source of any transform ("Partition Transforms").
    let source = source.filter(|ty| !matches!(ty, Primitive::Variant | Primitive::Geo(_)));
    match transform {
        Transform::Identity | Transform::Truncate(_) | Transform::Void => source,
        Transform::Bucket(_) | Transform::Year | Transform::Month | Transform::Hour => Some(Primitive::Int),
        Transform::Day => Some(Primitive::Date),
        Transform::Unknown(_) => None,
    }
}

/// What tells one partition from another: spec and values. Numbers of floating point are told apart as by Java's `compare`.
pub(crate) fn partition_key(partition: &Partition) -> String {
    let mut key = partition.spec_id.to_string();
    for field in &partition.fields {
        match &field.value {
            None => key.push_str("/-"),
            Some(value) => {
                key.push('/');
                // There are many NaNs, and all are one partition.
                if value.is_nan() {
                    key.push_str("nan");
                    continue;
                }
                for byte in values::to_bytes(value) {
                    // Writing to a string cannot fail.
                    let _ok = write!(key, "{byte:02x}");
                }
            }
        }
    }
    key
}

/// Whether two values are the same to the bit: `==` takes `-0.0` for `0.0`.
fn is_identical(one: &Datum, other: &Datum) -> bool {
    match (one.plain(), other.plain()) {
        (Datum::Float(a), Datum::Float(b)) => a.to_bits() == b.to_bits(),
        (Datum::Double(a), Datum::Double(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// Partitions of one manifest, each made once.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    last: Option<(Vec<Datum>, Arc<Partition>, Arc<str>)>,
}

impl Interner {
    /// The partition of `tuple` with its key; neighbours share it.
    ///
    /// # Errors
    ///
    /// As [`Spec::partition`].
    pub(crate) fn partition(&mut self, spec: &Spec, tuple: &[Datum]) -> Result<(Arc<Partition>, Arc<str>)> {
        if let Some((last, partition, key)) = &self.last
            && last.len() == tuple.len()
            && last.iter().zip(tuple).all(|(last, now)| is_identical(last, now))
        {
            return Ok((Arc::clone(partition), Arc::clone(key)));
        }
        let partition = Arc::new(spec.partition(tuple)?);
        let key: Arc<str> = partition_key(&partition).into();
        self.last = Some((tuple.to_vec(), Arc::clone(&partition), Arc::clone(&key)));
        Ok((partition, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn columns() -> BTreeMap<i32, Field> {
        let column = |id: i32, ty| Field {
            id,
            name: format!("c{id}"),
            physical: format!("c{id}"),
            required: false,
            ty: Type::Primitive(ty),
            initial_default: None,
        };
        [(1, column(1, Primitive::String)), (2, column(2, Primitive::Timestamp))].into()
    }

    #[test]
    fn a_tuple_becomes_values_texts_and_constants() {
        let json = serde_json::json!([{"name": "region", "transform": "identity", "source-id": 1, "field-id": 1000},
            {"name": "ts_day", "transform": "day", "source-id": 2, "field-id": 1001}, {"name": "b", "transform": "bucket[4]", "source-id": 1}]);
        let spec = Spec::parse(3, Some(&json), &columns()).unwrap();
        let tuple = [Datum::Text("a b/é".into()), Datum::Union(1, Box::new(Datum::Long(19_753))), Datum::Null];
        let partition = spec.partition(&tuple).unwrap();
        assert_eq!(partition.display(), "region=a b/é/ts_day=2024-01-31/b=null");
        assert_eq!(spec.path(&partition), "region=a+b%2F%C3%A9/ts_day=2024-01-31/b=null");
        assert_eq!(partition.constants, [(1, Some(Value::String("a b/é".into())))]);
        assert_eq!(spec.fields[2].field_id, 1002);
        assert!(spec.partition(&tuple[..1]).is_err());
    }

    #[test]
    fn an_unknown_transform_is_named_and_still_tells_partitions_apart() {
        let json = serde_json::json!([{"name": "z", "transform": "zorder[3]", "source-id": 1, "field-id": 1000}]);
        let spec = Spec::parse(0, Some(&json), &columns()).unwrap();
        assert!(spec.understood().unwrap_err().message().contains("zorder[3]"));
        let of = |datum| spec.partition(&[datum]).unwrap();
        assert_eq!(of(Datum::Long(1)).display(), "z=1");
        assert_ne!(partition_key(&of(Datum::Long(1))), partition_key(&of(Datum::Long(2))));
        assert!(of(Datum::Null).constants.is_empty());
    }

    #[test]
    fn folder_names_stay_short_enough_and_apart() {
        let json = serde_json::json!([{"name": "region", "transform": "identity", "source-id": 1, "field-id": 1000}]);
        let spec = Spec::parse(0, Some(&json), &columns()).unwrap();
        let path = |end: &str| spec.path(&spec.partition(&[Datum::Text("é".repeat(99) + end)]).unwrap());
        assert_eq!(path("a").len(), 209);
        assert_ne!(path("a"), path("b"));
    }

    #[test]
    fn zeros_of_two_signs_are_two_partitions_and_nans_are_one() {
        let json = serde_json::json!([{"name": "d", "transform": "identity", "source-id": 3, "field-id": 1000}]);
        let double = Field { id: 3, ty: Type::Primitive(Primitive::Double), ..columns().remove(&2).unwrap() };
        let spec = Spec::parse(0, Some(&json), &[(3, double)].into()).unwrap();
        let mut interner = Interner::default();
        let mut partition = |number| interner.partition(&spec, &[Datum::Union(1, Box::new(Datum::Double(number)))]).unwrap();
        let ((zero, zero_key), (minus, minus_key)) = (partition(0.0), partition(-0.0));
        assert_eq!((zero.constants.clone(), zero.display()), (vec![(3, Some(Value::Double(0.0)))], "d=0.0".to_string()));
        assert_eq!((minus.constants.clone(), minus.display()), (vec![(3, Some(Value::Double(-0.0)))], "d=-0.0".to_string()));
        assert_ne!(zero, minus);
        assert_ne!(zero_key, minus_key);
        let ((nan, nan_key), (other, other_key)) = (partition(f64::NAN), partition(f64::from_bits(f64::NAN.to_bits() | 1)));
        assert_eq!((nan, nan_key), (other, other_key));
    }

    #[test]
    fn null_is_another_partition_than_an_empty_text() {
        let json = serde_json::json!([{"name": "region", "transform": "identity", "source-id": 1, "field-id": 1000}]);
        let spec = Spec::parse(0, Some(&json), &columns()).unwrap();
        let key = |datum| partition_key(&spec.partition(&[datum]).unwrap());
        assert_ne!(key(Datum::Null), key(Datum::Text(String::new())));
    }
}
