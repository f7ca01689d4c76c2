//! The schema of new files: for Arrow, which carries the rows, and for Parquet, which stores them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Fields, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::basic::{ConvertedType, EdgeInterpolationAlgorithm, LogicalType, Repetition, TimeUnit as ParquetUnit, Type as Physical};
use parquet::errors::Result as ParquetResult;
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType, TypePtr};

use crate::error::{Error, Result};
use crate::model::{Edges, Field, Geo, OutputSpec, Primitive, RowIdColumns, Type};

/// What new files look like.
#[derive(Debug)]
pub(in crate::engine) struct Target {
    /// The columns to store, row-id columns last.
    pub(in crate::engine) fields: Vec<Field>,
    /// How many of them, at the end, are row-id columns: two or none.
    pub(in crate::engine) row_id_columns: usize,
    /// The same for Arrow.
    pub(in crate::engine) arrow: Arc<ArrowSchema>,
    /// The same for Parquet.
    pub(super) parquet: SchemaDescriptor,
}

impl Target {
    /// The schema of files of `output`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a schema that Parquet cannot hold.
    pub(in crate::engine) fn new(output: &OutputSpec) -> Result<Self> {
        let mut fields = output.schema.fields.clone();
        let stored = fields.len();
        fields.extend(output.row_ids.iter().flat_map(row_id_fields));
        let arrow = Arc::new(ArrowSchema::new(fields.iter().map(|f| arrow_field(f, output.field_ids)).collect::<Vec<_>>()));
        let unsupported = |e| Error::unsupported("Parquet cannot hold this schema").because(e);
        let columns: ParquetResult<Vec<_>> = fields.iter().map(|f| parquet_field(f, output.field_ids)).collect();
        let root = ParquetType::group_type_builder("table").with_fields(columns.map_err(unsupported)?).build().map_err(unsupported)?;
        Ok(Self { row_id_columns: fields.len() - stored, fields, arrow, parquet: SchemaDescriptor::new(Arc::new(root)) })
    }
}

/// The two columns that keep row ids. Without a field id they get one that no column has.
fn row_id_fields(columns: &RowIdColumns) -> [Field; 2] {
    let long = |name: &str, id: Option<i32>| Field {
        id: id.unwrap_or(i32::MIN),
        name: name.to_string(),
        physical: name.to_string(),
        required: false,
        ty: Type::Primitive(Primitive::Long),
        initial_default: None,
    };
    [long(&columns.row_id, columns.row_id_field), long(&columns.sequence, columns.sequence_field)]
}

/// A column for Arrow.
pub(super) fn arrow_field(field: &Field, ids: bool) -> ArrowField {
    let arrow = ArrowField::new(&field.physical, arrow_type(&field.ty, ids), !field.required);
    if ids && field.id >= 0 {
        arrow.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_string(), field.id.to_string())]))
    } else {
        arrow
    }
}

fn arrow_type(ty: &Type, ids: bool) -> DataType {
    match ty {
        Type::Primitive(primitive) => arrow_primitive(*primitive),
        Type::Struct(members) => DataType::Struct(members.iter().map(|m| arrow_field(m, ids)).collect()),
        Type::List(element) => DataType::List(Arc::new(arrow_field(element, ids))),
        Type::Map(key, value) => {
            let entries = DataType::Struct(Fields::from(vec![arrow_field(key, ids).with_nullable(false), arrow_field(value, ids)]));
            DataType::Map(Arc::new(ArrowField::new("key_value", entries, false)), false)
        }
    }
}

/// The two halves of a variant, in the order new files have them (Parquet, VariantEncoding.md).
pub(super) const VARIANT: [&str; 2] = ["metadata", "value"];

/// A type of single values for Arrow.
pub(in crate::engine) fn arrow_primitive(primitive: Primitive) -> DataType {
    let utc = || Some("UTC".into());
    match primitive {
        Primitive::Boolean => DataType::Boolean,
        Primitive::Byte => DataType::Int8,
        Primitive::Short => DataType::Int16,
        Primitive::Int => DataType::Int32,
        Primitive::Long => DataType::Int64,
        Primitive::Float => DataType::Float32,
        Primitive::Double => DataType::Float64,
        // As wide as it is stored: narrower numbers are moved without being converted.
        Primitive::Decimal(precision @ ..=9, scale) => DataType::Decimal32(precision, scale),
        Primitive::Decimal(precision @ ..=18, scale) => DataType::Decimal64(precision, scale),
        Primitive::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
        Primitive::Date => DataType::Date32,
        Primitive::Time => DataType::Time64(TimeUnit::Microsecond),
        Primitive::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        Primitive::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        Primitive::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Primitive::TimestampTzNs => DataType::Timestamp(TimeUnit::Nanosecond, utc()),
        Primitive::String => DataType::Utf8,
        Primitive::Binary | Primitive::Geo(_) => DataType::Binary,
        Primitive::Fixed(length) => DataType::FixedSizeBinary(i32::try_from(length).unwrap_or(i32::MAX)),
        Primitive::Uuid => DataType::FixedSizeBinary(16),
        Primitive::Unknown => DataType::Null,
        Primitive::Variant => DataType::Struct(VARIANT.iter().map(|name| ArrowField::new(*name, DataType::Binary, false)).collect()),
    }
}

fn parquet_field(field: &Field, ids: bool) -> ParquetResult<TypePtr> {
    let repetition = if field.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let id = (ids && field.id >= 0).then_some(field.id);
    let name = field.physical.as_str();
    let group = ParquetType::group_type_builder(name).with_repetition(repetition).with_id(id);
    let built = match &field.ty {
        Type::Primitive(Primitive::Variant) => group
            .with_logical_type(Some(LogicalType::variant(Some(1))))
            .with_fields(VARIANT.iter().map(|half| variant_half(half)).collect::<ParquetResult<_>>()?)
            .build()?,
        Type::Primitive(primitive) => return parquet_leaf(name, *primitive, repetition, id).map(Arc::new),
        Type::Struct(members) => group.with_fields(members.iter().map(|m| parquet_field(m, ids)).collect::<ParquetResult<_>>()?).build()?,
        Type::List(element) => {
            let list = repeated("list", vec![parquet_field(element, ids)?])?;
            group.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST).with_fields(vec![list]).build()?
        }
        Type::Map(key, value) => {
            let key = Field { required: true, ..Field::clone(key) };
            let entries = repeated("key_value", vec![parquet_field(&key, ids)?, parquet_field(value, ids)?])?;
            group.with_logical_type(Some(LogicalType::Map)).with_converted_type(ConvertedType::MAP).with_fields(vec![entries]).build()?
        }
    };
    Ok(Arc::new(built))
}

fn repeated(name: &str, fields: Vec<TypePtr>) -> ParquetResult<TypePtr> {
    Ok(Arc::new(ParquetType::group_type_builder(name).with_repetition(Repetition::REPEATED).with_fields(fields).build()?))
}

fn variant_half(name: &str) -> ParquetResult<TypePtr> {
    Ok(Arc::new(ParquetType::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(Repetition::REQUIRED).build()?))
}

/// A leaf with the physical types that both table formats prescribe (Iceberg spec, appendix A "Parquet"; Delta writes as Spark does).
fn parquet_leaf(name: &str, primitive: Primitive, repetition: Repetition, id: Option<i32>) -> ParquetResult<ParquetType> {
    let (physical, logical, length) = match primitive {
        Primitive::Boolean => (Physical::BOOLEAN, None, None),
        Primitive::Byte => (Physical::INT32, Some(LogicalType::integer(8, true)), None),
        Primitive::Short => (Physical::INT32, Some(LogicalType::integer(16, true)), None),
        Primitive::Int => (Physical::INT32, None, None),
        Primitive::Long => (Physical::INT64, None, None),
        Primitive::Float => (Physical::FLOAT, None, None),
        Primitive::Double => (Physical::DOUBLE, None, None),
        Primitive::Date => (Physical::INT32, Some(LogicalType::Date), None),
        Primitive::Time => (Physical::INT64, Some(LogicalType::time(false, ParquetUnit::MICROS)), None),
        Primitive::Timestamp => (Physical::INT64, Some(LogicalType::timestamp(false, ParquetUnit::MICROS)), None),
        Primitive::TimestampTz => (Physical::INT64, Some(LogicalType::timestamp(true, ParquetUnit::MICROS)), None),
        Primitive::TimestampNs => (Physical::INT64, Some(LogicalType::timestamp(false, ParquetUnit::NANOS)), None),
        Primitive::TimestampTzNs => (Physical::INT64, Some(LogicalType::timestamp(true, ParquetUnit::NANOS)), None),
        Primitive::String => (Physical::BYTE_ARRAY, Some(LogicalType::String), None),
        Primitive::Binary | Primitive::Variant => (Physical::BYTE_ARRAY, None, None),
        Primitive::Geo(geo) => (Physical::BYTE_ARRAY, Some(shapes(geo)), None),
        Primitive::Unknown => (Physical::INT32, Some(LogicalType::Unknown), None),
        Primitive::Fixed(length) => (Physical::FIXED_LEN_BYTE_ARRAY, None, Some(i32::try_from(length).unwrap_or(i32::MAX))),
        Primitive::Uuid => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), Some(16)),
        Primitive::Decimal(precision, scale) => return parquet_decimal(name, (precision, scale), repetition, id),
    };
    let builder = ParquetType::primitive_type_builder(name, physical).with_repetition(repetition).with_id(id).with_logical_type(logical);
    match length {
        Some(length) => builder.with_length(length).build(),
        None => builder.build(),
    }
}

/// Shapes, with what a file has to say of them (Parquet, `Geospatial.md`). A coordinate system that is not named is the usual one.
fn shapes(geo: Geo) -> LogicalType {
    let crs = geo.crs.unusual().map(str::to_string);
    let algorithm = geo.edges.map(|edges| match edges {
        Edges::Spherical => EdgeInterpolationAlgorithm::SPHERICAL,
        Edges::Vincenty => EdgeInterpolationAlgorithm::VINCENTY,
        Edges::Thomas => EdgeInterpolationAlgorithm::THOMAS,
        Edges::Andoyer => EdgeInterpolationAlgorithm::ANDOYER,
        Edges::Karney => EdgeInterpolationAlgorithm::KARNEY,
    });
    match algorithm {
        None => LogicalType::geometry(crs),
        Some(algorithm) => LogicalType::geography(crs, Some(algorithm)),
    }
}

/// Decimals are stored in the smallest of `int32` (up to 9 digits), `int64` (up to 18) and the shortest fixed length.
fn parquet_decimal(name: &str, (precision, scale): (u8, i8), repetition: Repetition, id: Option<i32>) -> ParquetResult<ParquetType> {
    let (physical, length) = match precision {
        ..=9 => (Physical::INT32, -1),
        10..=18 => (Physical::INT64, -1),
        _ => (Physical::FIXED_LEN_BYTE_ARRAY, decimal_length(precision)),
    };
    ParquetType::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_id(id)
        .with_logical_type(Some(LogicalType::decimal(i32::from(scale), i32::from(precision))))
        .with_precision(i32::from(precision))
        .with_scale(i32::from(scale))
        .with_length(length)
        .build()
}

/// The fewest bytes that hold every decimal of so many digits in two's complement.
fn decimal_length(precision: u8) -> i32 {
    (1..16).find(|bytes| 10i128.pow(u32::from(precision)) <= 1i128 << (8 * bytes - 1)).unwrap_or(16)
}
