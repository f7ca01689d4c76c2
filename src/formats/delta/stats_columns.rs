//! Statistics and partition values as columns of a checkpoint (protocol, "Checkpoint Schema", `stats_parsed`, `partitionValues_parsed`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, Field as ArrowField, Fields};
use serde_json::value::RawValue;

use super::actions::TextMap;
use super::live::LiveFile;
use super::replay::State;
use super::{bounds, clustering, output, partition, schema, settings, stats_write};
use crate::error::{Error, Result};
use crate::model::{Field, Primitive, Type, Value};

type Arrays = Result<ArrayRef, ArrowError>;

/// What a table that wants columns gets: built from its schema, once a checkpoint.
#[derive(Debug)]
pub(super) struct StatsColumns {
    /// Partition columns by physical name, in order.
    partition: Vec<(String, Primitive)>,
    /// The indexed columns.
    columns: Vec<Node>,
    /// Whether bounds may be wide, which a column says.
    tightness: bool,
}

/// An indexed column: members, or a leaf with bounds where its type has them.
#[derive(Debug)]
struct Node {
    name: String,
    kind: NodeKind,
}

#[derive(Debug)]
enum NodeKind {
    Members(Vec<Node>),
    Leaf(Option<Primitive>),
}

/// Statistics as the log has them, one member each.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Text<'a> {
    num_records: Option<i64>,
    tight_bounds: Option<bool>,
    #[serde(borrow)]
    min_values: Option<&'a RawValue>,
    #[serde(borrow)]
    max_values: Option<&'a RawValue>,
    #[serde(borrow)]
    null_count: Option<&'a RawValue>,
}

/// One member of every row; `None` where a row has none.
type Rows<'a> = Vec<Option<&'a RawValue>>;

#[derive(Clone, Copy)]
enum Side {
    Lower,
    Upper,
    Nulls,
}

impl StatsColumns {
    /// The columns for the table of `state`; `None` where it wants none.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a schema that cannot be understood, `Unsupported` for a nested partition column.
    pub(super) fn of(state: &State) -> Result<Option<Self>> {
        let metadata = &state.metadata;
        if !settings::on(&metadata.configuration, "delta.checkpoint.writeStatsAsStruct") {
            return Ok(None);
        }
        let schema = schema::parse(&metadata.schema_string, state.mapping()?)?;
        let partition = partition::columns(&schema, &metadata.partition_columns)?.into_iter().map(|column| match column.ty {
            Type::Primitive(ty) => Ok((column.physical.clone(), ty)),
            _ => Err(Error::unsupported("a partition column is nested").about("column", &column.name)),
        });
        let partition = partition.collect::<Result<_>>()?;
        let stored = output::stored(&schema, &metadata.partition_columns);
        let mut indexed = stats_write::leaves(&stored, &settings::indexed(&metadata.configuration));
        indexed.extend(clustering::columns(state, &stored)?);
        let columns = stored.iter().filter_map(|field| node(field, &indexed)).collect();
        Ok(Some(Self { partition, columns, tightness: state.protocol.has_vectors() }))
    }

    /// The further columns of these files: `partitionValues_parsed`, where the table is partitioned, and `stats_parsed`.
    pub(super) fn arrays(&self, rows: &[(&LiveFile, &TextMap)]) -> Result<Vec<(&'static str, ArrayRef)>, ArrowError> {
        let mut out = Vec::new();
        if !self.partition.is_empty() {
            out.push(("partitionValues_parsed", self.partitions(rows)?));
        }
        out.push(("stats_parsed", self.stats(rows)?));
        Ok(out)
    }

    fn partitions(&self, rows: &[(&LiveFile, &TextMap)]) -> Arrays {
        let mut columns = Vec::with_capacity(self.partition.len());
        for (name, ty) in &self.partition {
            let texts = rows.iter().map(|(_, values)| values.text(name).filter(|text| !text.is_empty()));
            columns.push((name.as_str(), typed(*ty, texts.map(|text| partition::value(text?, *ty)).collect())?));
        }
        structs(columns, None)
    }

    fn stats(&self, rows: &[(&LiveFile, &TextMap)]) -> Arrays {
        let texts: Vec<Option<Text<'_>>> = rows.iter().map(|(add, _)| serde_json::from_str(add.stats()?).ok()).collect();
        let all = || texts.iter().map(Option::as_ref);
        let counts: ArrayRef = Arc::new(all().map(|text| text?.num_records).collect::<Int64Array>());
        let mut columns = vec![("numRecords", counts)];
        let sides: [(&str, Side, Rows<'_>); 3] = [
            ("minValues", Side::Lower, all().map(|text| text?.min_values).collect()),
            ("maxValues", Side::Upper, all().map(|text| text?.max_values).collect()),
            ("nullCount", Side::Nulls, all().map(|text| text?.null_count).collect()),
        ];
        for (name, side, members) in sides {
            if let Some(column) = group(&self.columns, &members, side)? {
                columns.push((name, column));
            }
        }
        if self.tightness {
            columns.push(("tightBounds", Arc::new(all().map(|text| text?.tight_bounds).collect::<BooleanArray>())));
        }
        structs(columns, Some(all().map(|text| text.is_some()).collect()))
    }
}

/// The part of `field` that has statistics.
fn node(field: &Field, indexed: &std::collections::HashSet<i32>) -> Option<Node> {
    let kind = match &field.ty {
        Type::Struct(members) => {
            let members: Vec<Node> = members.iter().filter_map(|member| node(member, indexed)).collect();
            (!members.is_empty()).then_some(NodeKind::Members(members))?
        }
        _ if !indexed.contains(&field.id) => return None,
        Type::Primitive(ty) => NodeKind::Leaf(Some(*ty).filter(|ty| has_bounds(*ty))),
        Type::List(_) | Type::Map(..) => NodeKind::Leaf(None),
    };
    Some(Node { name: field.physical.clone(), kind })
}

const fn has_bounds(ty: Primitive) -> bool {
    matches!(
        ty,
        Primitive::Byte
            | Primitive::Short
            | Primitive::Int
            | Primitive::Long
            | Primitive::Float
            | Primitive::Double
            | Primitive::Decimal(..)
            | Primitive::Date
            | Primitive::Timestamp
            | Primitive::TimestampTz
            | Primitive::String
    )
}

/// The struct of `nodes` on one side; `None` where none of them has that side: files hold no empty struct.
fn group(nodes: &[Node], rows: &Rows<'_>, side: Side) -> Result<Option<ArrayRef>, ArrowError> {
    let members: Vec<Option<BTreeMap<String, &RawValue>>> = rows.iter().map(|row| serde_json::from_str((*row)?.get()).ok()).collect();
    let mut columns = Vec::new();
    for node in nodes {
        let below: Rows<'_> = members.iter().map(|row| row.as_ref()?.get(&node.name).copied()).collect();
        let column = match (&node.kind, side) {
            (NodeKind::Members(nodes), _) => group(nodes, &below, side)?,
            (NodeKind::Leaf(_), Side::Nulls) => {
                let counts = below.iter().map(|text| (*text)?.get().parse::<i64>().ok());
                Some(Arc::new(counts.collect::<Int64Array>()) as ArrayRef)
            }
            (NodeKind::Leaf(None), _) => None,
            (NodeKind::Leaf(Some(ty)), side) => {
                let upper = matches!(side, Side::Upper);
                Some(typed(*ty, below.iter().map(|text| bounds::as_told((*text)?.get(), *ty, upper)).collect())?)
            }
        };
        columns.extend(column.map(|column| (node.name.as_str(), column)));
    }
    if columns.is_empty() {
        return Ok(None);
    }
    structs(columns, Some(members.iter().map(Option::is_some).collect())).map(Some)
}

/// Values of one type as a column; a value of another type is null.
fn typed(ty: Primitive, values: Vec<Option<Value>>) -> Arrays {
    let ints = || values.iter().map(|value| if let Some(Value::Int(v)) = value { Some(*v) } else { None });
    let longs = || values.iter().map(|value| if let Some(Value::Long(v)) = value { Some(*v) } else { None });
    Ok(match ty {
        Primitive::Boolean => {
            Arc::new(values.iter().map(|v| if let Some(Value::Bool(v)) = v { Some(*v) } else { None }).collect::<BooleanArray>())
        }
        Primitive::Byte => Arc::new(ints().map(|v| i8::try_from(v?).ok()).collect::<Int8Array>()),
        Primitive::Short => Arc::new(ints().map(|v| i16::try_from(v?).ok()).collect::<Int16Array>()),
        Primitive::Int => Arc::new(ints().collect::<Int32Array>()),
        Primitive::Long => Arc::new(longs().collect::<Int64Array>()),
        Primitive::Float => {
            Arc::new(values.iter().map(|v| if let Some(Value::Float(v)) = v { Some(*v) } else { None }).collect::<Float32Array>())
        }
        Primitive::Double => {
            Arc::new(values.iter().map(|v| if let Some(Value::Double(v)) = v { Some(*v) } else { None }).collect::<Float64Array>())
        }
        Primitive::Decimal(precision, scale) => {
            let unscaled = values.iter().map(|value| scaled(value.as_ref()?, scale));
            Arc::new(unscaled.collect::<Decimal128Array>().with_precision_and_scale(precision, scale)?)
        }
        Primitive::Date => Arc::new(ints().collect::<Date32Array>()),
        Primitive::Timestamp => Arc::new(longs().collect::<TimestampMicrosecondArray>()),
        Primitive::TimestampTz => Arc::new(longs().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Primitive::Binary => {
            Arc::new(values.iter().map(|v| if let Some(Value::Bytes(v)) = v { Some(v.as_slice()) } else { None }).collect::<BinaryArray>())
        }
        _ => Arc::new(values.iter().map(|v| if let Some(Value::String(v)) = v { Some(v.as_str()) } else { None }).collect::<StringArray>()),
    })
}

/// The unscaled value at `scale`.
fn scaled(value: &Value, scale: i8) -> Option<i128> {
    let Value::Decimal(unscaled, of) = value else { return None };
    let zeros = u32::try_from(scale.checked_sub(*of)?).ok()?;
    unscaled.checked_mul(10_i128.checked_pow(zeros)?)
}

fn structs(columns: Vec<(&str, ArrayRef)>, valid: Option<NullBuffer>) -> Arrays {
    let fields: Fields = columns.iter().map(|(name, column)| ArrowField::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, valid)?))
}
