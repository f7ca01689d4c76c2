//! Shredded variants against values that were encoded by hand, after the tables of the specification.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, ListArray, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowSchemaConverter;
use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::error::Kind;

/// Metadata with these names, sorted or not as they come.
fn metadata(names: &[&str]) -> Vec<u8> {
    let mut bytes = vec![1, u8::try_from(names.len()).unwrap(), 0];
    let mut end = 0;
    for name in names {
        end += u8::try_from(name.len()).unwrap();
        bytes.push(end);
    }
    names.iter().for_each(|name| bytes.extend_from_slice(name.as_bytes()));
    bytes
}

fn group(members: Vec<(&str, bool, ArrayRef)>, nulls: Option<Vec<bool>>) -> ArrayRef {
    let fields: Fields = members.iter().map(|(name, null, array)| Field::new(*name, array.data_type().clone(), *null)).collect();
    let arrays = members.into_iter().map(|(_, _, array)| array).collect();
    Arc::new(StructArray::new(fields, arrays, nulls.map(NullBuffer::from)))
}

fn binaries(values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(BinaryArray::from_opt_vec(values.to_vec()))
}

/// The values of the variants `stored`; `None` for null.
fn unshredded(stored: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>> {
    let schema = Schema::new(vec![Field::new("v", stored.data_type().clone(), true)]);
    let file = ArrowSchemaConverter::new().convert(&schema).unwrap();
    let read = parquet::arrow::parquet_to_arrow_schema(&file, None).unwrap();
    let DataType::Struct(members) = read.field(0).data_type() else { panic!("no group") };
    let fields: Fields = ["metadata", "value"].into_iter().map(|name| Field::new(name, DataType::Binary, false)).collect();
    let unshredding = Unshredding::new(members, &file, 0, fields)?;
    let whole = unshredding.apply(stored.as_struct())?;
    let whole = whole.as_struct();
    let values = whole.column(1).as_binary::<i32>();
    Ok((0..whole.len()).map(|row| whole.is_valid(row).then(|| values.value(row).to_vec())).collect())
}

/// One row of a variant with these names whose typed value is `typed`.
fn one(names: &[&str], value: Option<&[u8]>, typed: ArrayRef) -> Result<Vec<u8>> {
    let metadata = metadata(names);
    let stored = group(
        vec![("metadata", false, binaries(&[Some(&metadata)])), ("value", true, binaries(&[value])), ("typed_value", true, typed)],
        None,
    );
    Ok(unshredded(&stored)?.remove(0).unwrap())
}

#[test]
fn the_measurements_of_the_specification_come_out() {
    let empty: &[u8] = &[1, 0, 0];
    let stored = group(
        vec![
            ("metadata", false, binaries(&[Some(empty); 6])),
            ("value", true, binaries(&[None, Some(&[0]), Some(b"\x0dn/a"), None, None, None])),
            ("typed_value", true, Arc::new(Int64Array::from(vec![Some(34), None, None, Some(100), None, Some(1)]))),
        ],
        Some(vec![true, true, true, true, true, false]),
    );
    let long = |n: i64| Some([&[6 << 2][..], &n.to_le_bytes()].concat());
    // The fifth has neither value: where one is required, that is a variant's null. The sixth row has no variant.
    assert_eq!(unshredded(&stored).unwrap(), [long(34), Some(vec![0]), Some(b"\x0dn/a".to_vec()), long(100), Some(vec![0]), None]);
}

#[test]
fn every_type_of_single_values_has_its_own_bytes() {
    use arrow_array::{
        BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Time64MicrosecondArray,
        TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    let decimal = |digits: i128, precision| Arc::new(Decimal128Array::from(vec![digits]).with_precision_and_scale(precision, 2).unwrap());
    let text = "x".repeat(64);
    let cases: Vec<(ArrayRef, Vec<u8>)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), vec![4]),
        (Arc::new(BooleanArray::from(vec![false])), vec![8]),
        (Arc::new(Int8Array::from(vec![-1])), vec![12, 0xff]),
        (Arc::new(Int16Array::from(vec![258])), vec![16, 2, 1]),
        (Arc::new(Int32Array::from(vec![7])), vec![20, 7, 0, 0, 0]),
        (Arc::new(Float32Array::from(vec![1.0])), vec![56, 0, 0, 0x80, 0x3f]),
        (Arc::new(Float64Array::from(vec![1.0])), vec![28, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        (decimal(1234, 9), vec![32, 2, 0xd2, 4, 0, 0]),
        (decimal(1234, 18), vec![36, 2, 0xd2, 4, 0, 0, 0, 0, 0, 0]),
        (decimal(-1, 38), [&[40, 2][..], &[0xff; 16]].concat()),
        (Arc::new(Date32Array::from(vec![1])), vec![44, 1, 0, 0, 0]),
        (Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN]).with_timezone("UTC")), vec![48, 0, 0, 0, 0, 0, 0, 0, 0x80]),
        (Arc::new(TimestampMicrosecondArray::from(vec![1])), vec![52, 1, 0, 0, 0, 0, 0, 0, 0]),
        (Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC")), vec![72, 1, 0, 0, 0, 0, 0, 0, 0]),
        (Arc::new(TimestampNanosecondArray::from(vec![1])), vec![76, 1, 0, 0, 0, 0, 0, 0, 0]),
        (Arc::new(Time64MicrosecondArray::from(vec![1])), vec![68, 1, 0, 0, 0, 0, 0, 0, 0]),
        (Arc::new(BinaryArray::from_vec(vec![b"ab"])), vec![60, 2, 0, 0, 0, b'a', b'b']),
        (Arc::new(StringArray::from(vec!["ab"])), vec![2 << 2 | 1, b'a', b'b']),
        (Arc::new(StringArray::from(vec![text.as_str()])), [&[64, 64, 0, 0, 0][..], text.as_bytes()].concat()),
    ];
    for (typed, expected) in cases {
        let ty = typed.data_type().clone();
        assert_eq!(one(&[], None, typed).unwrap(), expected, "{ty}");
    }
}

/// A typed member: its bytes, if it has any, and its text.
fn texts(value: Option<&[u8]>, typed: Option<&str>) -> ArrayRef {
    group(vec![("value", true, binaries(&[value])), ("typed_value", true, Arc::new(StringArray::from(vec![typed])))], None)
}

#[test]
fn objects_are_put_together_of_typed_members_and_others_in_the_order_of_their_names() {
    // Names are not in their order in the metadata; "b" and "d" are typed, and "d" is missing.
    let names = ["c", "b", "a", "d"];
    // {"a": 1 (int8), "c": true}, with the value of "c" first.
    let rest = [2, 2, 2, 0, 1, 0, 3, 4, 12, 1];
    let typed = group(vec![("d", false, texts(None, None)), ("b", false, texts(None, Some("x")))], None);
    let whole = one(&names, Some(&rest), typed).unwrap();
    // {"a": 1, "b": "x", "c": true}: numbers 2, 1, 0; values where they were put: b, a, c.
    assert_eq!(whole, [2, 3, 2, 1, 0, 2, 0, 4, 5, 5, b'x', 12, 1, 4]);

    // A member may hold another type than its column, or null, as bytes.
    let typed = group(vec![("b", false, texts(Some(&[0]), None)), ("d", false, texts(Some(&[12, 9]), None))], None);
    assert_eq!(one(&names, None, typed).unwrap(), [2, 2, 1, 3, 0, 1, 3, 0, 12, 9]);
    // An object without members.
    let typed = group(vec![("b", false, texts(None, None))], None);
    assert_eq!(one(&names, None, typed).unwrap(), [2, 0, 0]);
}

#[test]
fn arrays_are_put_together_and_none_of_their_elements_is_missing() {
    let elements = group(
        vec![
            ("value", true, binaries(&[None, Some(&[0]), None, Some(&[12, 1])])),
            ("typed_value", true, Arc::new(StringArray::from(vec![Some("horror"), None, None, None]))),
        ],
        None,
    );
    let field = Arc::new(Field::new("element", elements.data_type().clone(), false));
    let typed: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([4]), elements, None));
    let whole = one(&[], None, typed).unwrap();
    assert_eq!(whole, [&[3, 4, 0, 7, 8, 9, 11, 6 << 2 | 1][..], b"horror", &[0, 0, 12, 1]].concat());
}

#[test]
fn more_than_255_members_and_elements_are_counted_in_four_bytes() {
    let names: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    let mut metadata = vec![0x41, 44, 1];
    (0..=300u16).for_each(|n| metadata.extend_from_slice(&(n * 3).to_le_bytes()));
    names.iter().for_each(|name| metadata.extend_from_slice(name.as_bytes()));
    let members = names.iter().map(|name| (name.as_str(), false, texts(None, Some("x")))).collect();
    let stored = group(
        vec![
            ("metadata", false, binaries(&[Some(&metadata)])),
            ("value", true, binaries(&[None])),
            ("typed_value", true, group(members, None)),
        ],
        None,
    );
    let whole = unshredded(&stored).unwrap().remove(0).unwrap();
    assert_eq!(whole[..5], [(1 << 4 | 1 << 2 | 1) << 2 | 2, 44, 1, 0, 0]);
    // Read back by the same layout: each member lies where it says.
    let mut read = Names::default();
    read.turn_to(&metadata);
    let members = read.members(&whole).unwrap();
    assert_eq!(members.len(), 300);
    assert!(members.iter().zip(&names).all(|((_, name, bytes), wanted)| *name == wanted.as_bytes() && *bytes == [5, b'x']));
}

#[test]
fn contradictions_are_corruption_and_never_settled_by_a_guess() {
    let long = || Arc::new(Int64Array::from(vec![1]));
    let object = |text: Option<&str>| group(vec![("b", false, texts(None, text))], None);
    let cases: [(&str, Result<Vec<u8>>); 6] = [
        ("two values", one(&[], Some(&[0]), long())),
        ("an object's rest is no object", one(&["b"], Some(&[0]), object(Some("x")))),
        ("a typed member among the others", one(&["b"], Some(&[2, 1, 0, 0, 1, 0]), object(None))),
        ("a typed member without a name", one(&["a"], None, object(Some("x")))),
        ("members beyond the end", one(&["a", "b"], Some(&[2, 1, 0, 0, 9, 0]), object(None))),
        ("members within one another", one(&["a", "b", "c"], Some(&[2, 2, 0, 2, 0, 0, 2, 12, 1]), object(None))),
    ];
    for (case, result) in cases {
        assert_eq!(result.unwrap_err().kind(), Kind::Corrupt, "{case}");
    }
}

#[test]
fn types_that_shredding_does_not_have_are_refused_by_name() {
    use arrow_array::{Decimal256Array, FixedSizeBinaryArray, TimestampMillisecondArray, UInt32Array};
    let wide = Decimal256Array::from(vec![arrow_buffer::i256::ONE]).with_precision_and_scale(50, 2).unwrap();
    let refused: [ArrayRef; 5] = [
        Arc::new(UInt32Array::from(vec![1])),
        Arc::new(wide),
        Arc::new(FixedSizeBinaryArray::try_from_iter([[0u8; 16]].into_iter()).unwrap()),
        Arc::new(TimestampMillisecondArray::from(vec![1])),
        group(vec![("b", false, Arc::new(Int64Array::from(vec![1])))], None),
    ];
    for typed in refused {
        let ty = typed.data_type().clone();
        assert_eq!(one(&["b"], None, typed).unwrap_err().kind(), Kind::Unsupported, "{ty}");
    }
}

proptest! {
    /// Whatever the bytes are, reading them ends, without a panic and without much more than there was.
    #[test]
    fn hostile_bytes_are_an_error_and_no_panic(metadata in prop::collection::vec(any::<u8>(), 0..40), value in prop::collection::vec(any::<u8>(), 0..60)) {
        let typed = group(vec![("b", false, texts(None, None))], None);
        for first in [None, Some(1), Some(0x41)] {
            let mut metadata = metadata.clone();
            metadata.splice(0..0, first);
            let parts = vec![
                ("metadata", false, binaries(&[Some(&metadata)])),
                ("value", true, binaries(&[Some(&value)])),
                ("typed_value", true, Arc::clone(&typed)),
            ];
            if let Ok(whole) = unshredded(&group(parts, None)) {
                let length: usize = whole.iter().flatten().map(Vec::len).sum();
                assert!(length <= value.len() + 16);
            }
        }
    }
}
