//! The structs of Parquet's Thrift as far as the library decodes them (parquet-format, `parquet.thrift`): which field holds what.
//!
//! Fields that are not listed are stepped over by the library, whatever they hold.

use Type::{Double, I8, I16, I32, I64, List, Struct, Text, Truth};

/// What a field or an element of a list holds. Enums are stored as `I32`, binary as `Text`, unions as structs of one field.
pub(super) enum Type {
    Truth,
    I8,
    I16,
    I32,
    I64,
    Double,
    Text,
    List(&'static Self),
    Struct(Fields),
}

/// The fields of a struct: their ids, and what they hold.
pub(super) type Fields = &'static [(i16, Type)];

impl Type {
    /// Whether Thrift's compact protocol stores it as `kind`. Truth values have two kinds: fields are one of them by their value, and writers disagree
    /// on the one for lists.
    pub(super) const fn is(&self, kind: u8) -> bool {
        match self {
            Truth => matches!(kind, 1 | 2),
            I8 => kind == 3,
            I16 => kind == 4,
            I32 => kind == 5,
            I64 => kind == 6,
            Double => kind == 7,
            Text => kind == 8,
            List(_) => kind == 9,
            Struct(_) => kind == 12,
        }
    }
}

/// What field `id` of a struct of `fields` holds; `None` if that is not known.
pub(super) fn field(fields: Fields, id: i16) -> Option<&'static Type> {
    fields.iter().find(|(known, _)| *known == id).map(|(_, holds)| holds)
}

/// `FileMetaData`.
pub(super) const FILE: Fields = &[
    (1, I32),
    (SCHEMA, List(&Struct(SCHEMA_ELEMENT))),
    (3, I64),
    (ROW_GROUPS, List(&Struct(ROW_GROUP))),
    (5, List(&Struct(&[(1, Text), (2, Text)]))),
    (6, Text),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (ENCRYPTION_ALGORITHM, EMPTY),
    (9, Text),
];
/// `FileMetaData.schema`.
pub(super) const SCHEMA: i16 = 2;
/// `FileMetaData.row_groups`.
pub(super) const ROW_GROUPS: i16 = 4;
/// `FileMetaData.encryption_algorithm`.
pub(super) const ENCRYPTION_ALGORITHM: i16 = 8;

/// `SchemaElement`.
pub(super) const SCHEMA_ELEMENT: Fields =
    &[(1, I32), (2, I32), (3, I32), (4, Text), (NUM_CHILDREN, I32), (6, I32), (7, I32), (8, I32), (9, I32), (10, Struct(LOGICAL_TYPE))];
/// `SchemaElement.num_children`.
pub(super) const NUM_CHILDREN: i16 = 5;

/// A struct without fields that are known.
const EMPTY: Type = Struct(&[]);
/// `TimeType` and `TimestampType`.
const TIME: Type = Struct(&[(1, Truth), (2, Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);
/// `LogicalType`.
const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, I8), (2, Truth)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, I8)])),
    (17, Struct(&[(1, Text)])),
    (18, Struct(&[(1, Text), (2, I32)])),
];

/// `RowGroup`.
const ROW_GROUP: Fields = &[
    (COLUMNS, List(&Struct(COLUMN_CHUNK))),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Truth), (3, Truth)]))),
    (5, I64),
    (6, I64),
    (7, I16),
];
/// `RowGroup.columns`.
pub(super) const COLUMNS: i16 = 1;

/// `ColumnChunk`.
const COLUMN_CHUNK: Fields =
    &[(1, Text), (2, I64), (META_DATA, Struct(COLUMN_METADATA)), (4, I64), (5, I32), (6, I64), (7, I32), (8, EMPTY), (9, Text)];
/// `ColumnChunk.meta_data`.
pub(super) const META_DATA: i16 = 3;

/// `ColumnMetaData`.
pub(super) const COLUMN_METADATA: Fields = &[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Text)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, List(&Struct(&[(1, Text), (2, Text)]))),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (BLOOM_FILTER_LENGTH, I32),
    (16, Struct(&[(1, I64), (2, List(&I64)), (3, List(&I64))])),
    (17, Struct(&[(1, BOUNDING_BOX), (2, List(&I32))])),
];
/// `ColumnMetaData.bloom_filter_length`, the first field that was added after writers had used its id for something else.
pub(super) const BLOOM_FILTER_LENGTH: i16 = 15;

/// `Statistics`.
const STATISTICS: Type = Struct(&[(1, Text), (2, Text), (3, I64), (4, I64), (5, Text), (6, Text), (7, Truth), (8, Truth)]);
/// `BoundingBox`.
const BOUNDING_BOX: Type =
    Struct(&[(1, Double), (2, Double), (3, Double), (4, Double), (5, Double), (6, Double), (7, Double), (8, Double)]);

/// `PageHeader`.
pub(super) const PAGE_HEADER: Fields = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, STATISTICS)])),
    (6, EMPTY),
    (7, Struct(&[(1, I32), (2, I32), (3, Truth)])),
    (8, Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, I32), (6, I32), (7, Truth), (8, STATISTICS)])),
];

/// `BloomFilterHeader`.
pub(super) const BLOOM_FILTER_HEADER: Fields =
    &[(1, I32), (2, Struct(&[(1, EMPTY)])), (3, Struct(&[(1, EMPTY)])), (4, Struct(&[(1, EMPTY)]))];

/// `ColumnIndex`.
pub(super) const COLUMN_INDEX: Fields =
    &[(1, List(&Truth)), (2, List(&Text)), (3, List(&Text)), (4, I32), (5, List(&I64)), (6, List(&I64)), (7, List(&I64))];

/// `OffsetIndex`.
pub(super) const OFFSET_INDEX: Fields = &[(1, List(&Struct(&[(1, I64), (2, I32), (3, I64)]))), (2, List(&I64))];
