//! Which column of a file is which column of the table, and what has to happen to its values.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, SchemaRef};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type as Physical;
use parquet::schema::types::SchemaDescriptor;

use super::convert::{self, Conversion, Zones};
use super::identity::{Identities, field_id, has_ids};
use super::stats::Leaf;
use super::target::{Target, VARIANT, arrow_field};
use super::variant::Unshredding;
use crate::error::{Error, Result};
use crate::model::{Field, FieldMatching, OutputSpec, Partition, Primitive, Tolerated, Type, Value};

/// How the rows of one file become rows of the target.
#[derive(Debug)]
pub(in crate::engine) struct Resolution {
    /// What to make of each target column. Stored ones point into the columns read.
    pub(in crate::engine) columns: Vec<Column>,
    /// Positions of the file's columns to read, ascending.
    pub(in crate::engine) roots: Vec<usize>,
    /// The types to read the file's columns as, if they are not those that follow from its schema.
    pub(super) read_as: Option<SchemaRef>,
    /// For each leaf of the file, the column it is stored for. Halves of a variant have none.
    pub(super) leaves: Vec<Option<Leaf>>,
    /// What keeps the file's row groups from being copied as they are.
    pub(super) obstacle: Option<&'static str>,
    /// Whether a variant has values in typed columns, which copying keeps and encoding does not.
    pub(super) shredded: bool,
}

/// What to do with columns that are the same for a whole partition and yet stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constants {
    /// The constant is taken: it is what every reader shows, whatever old files may hold (Iceberg spec, "Column Projection", rule 1).
    Win,
    /// What is stored stays stored.
    Fill,
}

/// Where the values of a column come from.
#[derive(Debug)]
pub(in crate::engine) enum Column {
    /// The column (or member) at this position.
    Stored(usize, Node),
    /// The same value for every row; `None` is null.
    Constant(Option<Value>, DataType),
}

impl Column {
    /// Whether the file has the column and, if it is a struct, every member of it.
    pub(in crate::engine) fn is_stored(&self) -> bool {
        match self {
            Self::Constant(..) => false,
            Self::Stored(_, Node::Struct(members, _)) => members.iter().all(Self::is_stored),
            Self::Stored(..) => true,
        }
    }
}

/// What has to happen to the values of a stored column.
#[derive(Debug)]
pub(in crate::engine) enum Node {
    /// A column of single values.
    Leaf(Conversion),
    /// Members in target order.
    Struct(Vec<Column>, Fields),
    /// Elements.
    List(Box<Self>, FieldRef),
    /// Keys and values, and the field of the entries.
    Map(Box<Self>, Box<Self>, FieldRef),
    /// A variant of which values are stored in typed columns.
    Variant(Box<Unshredding>),
}

/// Pairs the columns of a file that has the schema `file` with those of `target`.
///
/// # Errors
///
/// `Corrupt` if a required column is missing, `Unsupported` for types that do not go together.
pub(super) fn resolve(file: &SchemaDescriptor, target: &Target, output: &OutputSpec, constants: Constants) -> Result<Resolution> {
    let arrow = parquet_to_arrow_schema(file, None)
        .map_err(|e| Error::unsupported("the file has columns of types that this build does not read").because(e))?;
    let identities = match &output.matching {
        FieldMatching::PhysicalNames => Identities::ByName,
        FieldMatching::OwnFieldIds => own_ids(arrow.fields())?,
        FieldMatching::FieldIds { names } => Identities::by_id(arrow.fields(), names.as_deref()),
    };
    pair(Stored::Parquet(file), &arrow, &identities, target, output, constants)
}

/// As [`resolve`], for a file of another format with the columns `fields`, whose metadata holds field ids as that of Parquet files does. What is
/// constant for a partition wins.
///
/// # Errors
///
/// As [`resolve`].
pub(in crate::engine) fn resolve_fields(fields: &Fields, target: &Target, output: &OutputSpec, zones: Zones) -> Result<Resolution> {
    let identities = match &output.matching {
        FieldMatching::PhysicalNames => Identities::ByName,
        FieldMatching::OwnFieldIds => own_ids(fields)?,
        FieldMatching::FieldIds { names } => Identities::by_id_or_name(fields, names.as_deref(), &output.schema.fields),
    };
    pair(Stored::Other(zones), &ArrowSchema::new(fields.clone()), &identities, target, output, Constants::Win)
}

/// The ids that a file gives its columns itself.
fn own_ids(fields: &Fields) -> Result<Identities> {
    if fields.iter().any(|field| has_ids(field)) {
        return Ok(Identities::by_id(fields, None));
    }
    Err(Error::unsupported("a data file has no field ids, and the table knows its columns by nothing else"))
}

fn pair(
    file: Stored<'_>,
    arrow: &ArrowSchema,
    identities: &Identities,
    target: &Target,
    output: &OutputSpec,
    constants: Constants,
) -> Result<Resolution> {
    let leaves = if let Stored::Parquet(file) = file { file.num_columns() } else { 0 };
    let mut resolver = Resolver {
        file,
        partition: &output.partition,
        ids: output.field_ids,
        tolerated: output.tolerated,
        constants,
        leaves: vec![None; leaves],
        read: 0,
        obstacle: None,
        shredded: false,
    };
    let mut pairs = Vec::with_capacity(target.fields.len());
    let mut read_as: Vec<FieldRef> = arrow.fields().iter().cloned().collect();
    let stored = target.fields.len().saturating_sub(target.row_id_columns);
    for (at, field) in target.fields.iter().enumerate() {
        // Row ids are known by name where files give them no id.
        let named = at >= stored && identities.find(field, arrow.fields()).is_none();
        let identities = if named { &Identities::ByName } else { identities };
        let pair = resolver.column(field, arrow.fields(), identities, 0)?;
        if let (Column::Stored(root, _), Some(changed)) = &pair
            && let Some(slot) = read_as.get_mut(*root)
        {
            slot.clone_from(changed);
        }
        pairs.push(pair.0);
    }
    let mut roots: Vec<usize> = pairs.iter().filter_map(|c| if let Column::Stored(root, _) = c { Some(*root) } else { None }).collect();
    roots.sort_unstable();
    roots.dedup();
    // From here on, stored columns are counted among those that are read.
    for column in &mut pairs {
        if let Column::Stored(root, _) = column {
            *root = roots.partition_point(|read| read < root);
        }
    }
    let changed = read_as.iter().zip(arrow.fields()).any(|(a, b)| a.data_type() != b.data_type());
    let read_as = changed.then(|| Arc::new(ArrowSchema::new(read_as)));
    if resolver.read < leaves {
        resolver.obstacle("a file holds columns that the table no longer has");
    }
    Ok(Resolution { columns: pairs, roots, read_as, leaves: resolver.leaves, obstacle: resolver.obstacle, shredded: resolver.shredded })
}

/// What a file is encoded as.
#[derive(Clone, Copy)]
enum Stored<'a> {
    /// Parquet, with its own schema.
    Parquet(&'a SchemaDescriptor),
    /// Another format.
    Other(Zones),
}

struct Resolver<'a> {
    file: Stored<'a>,
    partition: &'a Partition,
    ids: bool,
    tolerated: Tolerated,
    constants: Constants,
    leaves: Vec<Option<Leaf>>,
    /// Leaves that are read.
    read: usize,
    obstacle: Option<&'static str>,
    shredded: bool,
}

/// A column and, where it is to be read as another type than the file's schema suggests, that type.
type Pair<T> = (T, Option<FieldRef>);

impl Resolver<'_> {
    /// Finds `field` among `siblings`, whose first leaf is the file's leaf number `leaf`.
    fn column(&mut self, field: &Field, siblings: &Fields, identities: &Identities, leaf: usize) -> Result<Pair<Column>> {
        let constant = self.partition.constants.iter().find(|(id, _)| *id == field.id).map(|(_, value)| value.clone());
        let stored = identities.find(field, siblings);
        let at = match (stored, constant) {
            (Some(at), None) => at,
            (Some(at), Some(_)) if self.constants == Constants::Fill => at,
            (_, Some(constant)) => {
                // Even a null that a file leaves out: new files are to have the column.
                self.obstacle("a column has to be filled in");
                return Ok((self.constant(field, constant)?, None));
            }
            (None, None) => return Ok((self.constant(field, field.initial_default.clone())?, None)),
        };
        let before: usize = siblings.iter().take(at).map(|f| leaves(f.data_type())).sum();
        let Some(source) = siblings.get(at) else {
            return Err(Error::bug("a column was found beyond the last"));
        };
        let (node, read_as) = self.node(field, source, &identities.below(at), leaf + before)?;
        Ok((Column::Stored(at, node), read_as))
    }

    fn obstacle(&mut self, reason: &'static str) {
        self.obstacle.get_or_insert(reason);
    }

    fn constant(&mut self, field: &Field, value: Option<Value>) -> Result<Column> {
        if value.is_some() {
            self.obstacle("a column has to be filled in");
        }
        if value.is_none() && field.required {
            return Err(Error::corrupt("a required column is missing from a data file").about("column", &field.name));
        }
        Ok(Column::Constant(value, arrow_field(field, self.ids).data_type().clone()))
    }

    fn node(&mut self, field: &Field, source: &FieldRef, below: &Identities, leaf: usize) -> Result<Pair<Node>> {
        // Elements and entries need not have an id.
        if self.ids && field.id >= 0 && field_id(source) != Some(field.id) {
            self.obstacle("a file lacks field ids");
        }
        let mismatch = || {
            Error::unsupported("a data file stores a column as a type that the column's type cannot be read from")
                .about("column", &field.name)
                .about("stored", type_name(source.data_type()))
        };
        match (&field.ty, source.data_type()) {
            (Type::Primitive(Primitive::Variant), DataType::Struct(members)) => self.variant(field, members, leaf).map(|node| (node, None)),
            // Text that describes shapes is not the binary that stands for them.
            (Type::Primitive(Primitive::Geo(_)), stored) if *stored != DataType::Binary => Err(mismatch()),
            (Type::Primitive(primitive), stored) => {
                let file = match self.file {
                    Stored::Parquet(file) => file,
                    Stored::Other(zones) => {
                        let conversion = convert::between(stored, *primitive, zones).ok_or_else(mismatch)?;
                        return Ok((Node::Leaf(conversion), None));
                    }
                };
                let descriptor = file.columns().get(leaf).ok_or_else(|| Error::bug("a leaf was counted wrong"))?;
                let (read_as, conversion) = convert::conversion(stored, descriptor.physical_type(), *primitive).ok_or_else(mismatch)?;
                if !conversion.changes_nothing() {
                    self.obstacle("a column has to be converted");
                } else if descriptor.physical_type() == Physical::INT96 && !self.tolerated.int96 {
                    self.obstacle("timestamps of 12 bytes have to be converted");
                }
                self.read += 1;
                if let Some(slot) = self.leaves.get_mut(leaf) {
                    *slot = Some(Leaf { id: field.id, ty: *primitive, repeated: descriptor.max_rep_level() > 0 });
                }
                Ok((Node::Leaf(conversion), retyped(source, read_as)))
            }
            (Type::Struct(members), DataType::Struct(stored)) => {
                let (columns, stored) = self.members(members, stored, below, leaf)?;
                let node = Node::Struct(columns, members.iter().map(|m| arrow_field(m, self.ids)).collect());
                Ok((node, stored.and_then(|stored| retyped(source, DataType::Struct(stored)))))
            }
            (Type::List(element), DataType::List(stored)) => {
                let (node, changed) = self.node(element, stored, &below.below(0), leaf)?;
                let node = Node::List(Box::new(node), Arc::new(arrow_field(element, self.ids)));
                Ok((node, changed.and_then(|item| retyped(source, DataType::List(item)))))
            }
            (Type::Map(key, value), DataType::Map(entries, sorted)) => {
                let DataType::Struct(pair) = entries.data_type() else { return Err(mismatch()) };
                let [stored_key, stored_value] = pair.as_ref() else { return Err(mismatch()) };
                let (key_node, key_changed) = self.node(key, stored_key, &below.below(0), leaf)?;
                let (value_node, value_changed) = self.node(value, stored_value, &below.below(1), leaf + leaves(stored_key.data_type()))?;
                let read_as = (key_changed.is_some() || value_changed.is_some()).then(|| {
                    let pair =
                        vec![key_changed.unwrap_or_else(|| stored_key.clone()), value_changed.unwrap_or_else(|| stored_value.clone())];
                    let entries = entries.as_ref().clone().with_data_type(DataType::Struct(pair.into()));
                    DataType::Map(Arc::new(entries), *sorted)
                });
                let DataType::Map(field, _) = arrow_field(field, self.ids).data_type().clone() else { return Err(mismatch()) };
                let node = Node::Map(Box::new(key_node), Box::new(value_node), field);
                Ok((node, read_as.and_then(|ty| retyped(source, ty))))
            }
            _ => Err(mismatch()),
        }
    }

    /// Members of a struct, and the stored members with the types to read them as if those differ.
    fn members(&mut self, members: &[Field], stored: &Fields, below: &Identities, leaf: usize) -> Result<(Vec<Column>, Option<Fields>)> {
        let mut read_as: Vec<FieldRef> = stored.iter().cloned().collect();
        let mut any = false;
        let mut columns = Vec::with_capacity(members.len());
        for member in members {
            let (column, changed) = self.column(member, stored, below, leaf)?;
            if let (Column::Stored(at, _), Some(changed)) = (&column, changed)
                && let Some(slot) = read_as.get_mut(*at)
            {
                *slot = changed;
                any = true;
            }
            columns.push(column);
        }
        Ok((columns, any.then(|| read_as.into())))
    }

    /// A variant is a struct of two binaries. A third member holds values in typed form: they are put together with the others.
    fn variant(&mut self, field: &Field, stored: &Fields, leaf: usize) -> Result<Node> {
        let DataType::Struct(fields) = arrow_field(field, self.ids).data_type().clone() else {
            return Err(Error::bug("a variant is no struct"));
        };
        self.read += stored.iter().map(|member| leaves(member.data_type())).sum::<usize>();
        let half = |name: &&str| stored.iter().position(|f| f.name() == *name && *f.data_type() == DataType::Binary);
        let halves: Option<Vec<usize>> = VARIANT.iter().map(half).collect();
        // Only where a value can be missing, or lies elsewhere too, there is something to put together.
        let plain = stored.len() == VARIANT.len() && stored.iter().all(|member| !member.is_nullable());
        match (halves, self.file) {
            (Some(halves), Stored::Parquet(_)) if plain => Ok(variant_of(halves, fields)),
            (Some(halves), Stored::Other(_)) if stored.len() == VARIANT.len() => Ok(variant_of(halves, fields)),
            (_, Stored::Parquet(file)) => {
                self.shredded |= stored.iter().any(|member| member.name() == "typed_value");
                if self.shredded && !self.tolerated.shredded {
                    self.obstacle("a variant has values in typed columns");
                }
                let unshredding = Unshredding::new(stored, file, leaf, fields).map_err(|e| e.about("column", &field.name))?;
                Ok(Node::Variant(Box::new(unshredding)))
            }
            (_, Stored::Other(_)) => {
                Err(Error::corrupt("a variant has other members than its metadata and its value").about("column", &field.name))
            }
        }
    }
}

/// A variant of which the file stores both halves and nothing else, at these positions.
fn variant_of(halves: Vec<usize>, fields: Fields) -> Node {
    Node::Struct(halves.into_iter().map(|at| Column::Stored(at, Node::Leaf(Conversion::Keep))).collect(), fields)
}

/// `field` with another type, if it is another.
fn retyped(field: &FieldRef, ty: DataType) -> Option<FieldRef> {
    (*field.data_type() != ty).then(|| Arc::new(ArrowField::clone(field).with_data_type(ty)))
}

/// How many leaves a column has.
pub(super) fn leaves(ty: &DataType) -> usize {
    match ty {
        DataType::Struct(members) => members.iter().map(|m| leaves(m.data_type())).sum(),
        DataType::List(item) | DataType::Map(item, _) => leaves(item.data_type()),
        _ => 1,
    }
}

/// The kind of a stored type, without the names inside it.
fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Struct(_) => "struct".into(),
        DataType::List(_) => "list".into(),
        DataType::Map(..) => "map".into(),
        other => other.to_string(),
    }
}
