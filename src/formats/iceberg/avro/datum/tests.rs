use super::*;

#[test]
fn numbers_have_the_bytes_of_the_specification() {
    for (value, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-64, vec![0x7f]), (64, vec![0x80, 1])] {
        let mut out = Vec::new();
        put_long(value, &mut out);
        assert_eq!(out, bytes);
    }
    for value in [i64::MIN, i64::MAX, 1 << 40] {
        let mut out = Vec::new();
        put_long(value, &mut out);
        assert_eq!(long(&mut out.as_slice()).unwrap(), value);
    }
}

#[test]
fn what_is_passed_over_ends_where_what_is_read_does() {
    let pair = |key, value| Shape::Record(RecordShape { fields: vec![("k".into(), key), ("v".into(), value)] }.into());
    let shape = pair(
        Shape::Array(Shape::Union(vec![Shape::Null, pair(Shape::Int, Shape::Bytes)].into()).into()),
        pair(Shape::Map(Shape::Fixed(2).into()), pair(Shape::Double, pair(Shape::String, pair(Shape::Boolean, Shape::Float)))),
    );
    let entry = |n: i64| Datum::Record(vec![Datum::Long(n), Datum::Bytes(vec![1; 200])]);
    let texts = Datum::Record(vec![Datum::Text("x".into()), Datum::Record(vec![Datum::Bool(true), Datum::Float(1.5)])]);
    let map = Datum::Map(vec![("a".into(), Datum::Bytes(vec![1, 2])), ("b".into(), Datum::Bytes(vec![3, 4]))]);
    let inner = Datum::Record(vec![map, Datum::Record(vec![Datum::Double(0.5), texts])]);
    let value = Datum::Record(vec![Datum::Array(vec![Datum::Null, entry(1), entry(70_000)]), inner]);
    let mut bytes = Vec::new();
    encode(&shape, &value, &mut bytes).unwrap();
    bytes.push(9);
    let mut read = bytes.as_slice();
    decode(&shape, &mut read).unwrap();
    let mut passed = bytes.as_slice();
    assert_eq!(decode(&Shape::Skipped(shape.clone().into()), &mut passed).unwrap(), Datum::Null);
    assert_eq!((read, passed), ([9].as_slice(), [9].as_slice()));
    for end in 0..bytes.len() - 1 {
        assert!(skip(&shape, &mut &bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_union_whose_branch_nobody_asks_for_is_read_as_its_value() {
    let branches: std::sync::Arc<[Shape]> = vec![Shape::Null, Shape::Long].into();
    for (value, bytes) in [(Datum::Null, vec![0]), (Datum::Long(5), vec![2, 10])] {
        let mut input = bytes.as_slice();
        assert_eq!(decode(&Shape::Bare(branches.clone()), &mut input).unwrap(), value);
        assert!(input.is_empty());
        skip(&Shape::Bare(branches.clone()), &mut bytes.as_slice()).unwrap();
    }
    assert!(decode(&Shape::Bare(branches.clone()), &mut [4].as_slice()).is_err());
    assert!(encode(&Shape::Bare(branches), &Datum::Long(5), &mut Vec::new()).is_err());
}

#[test]
fn a_damaged_value_is_an_error_and_not_a_crash() {
    let shape = Shape::Array(std::sync::Arc::new(Shape::Null));
    let mut huge = Vec::new();
    put_long(i64::MAX, &mut huge);
    assert!(decode(&shape, &mut huge.as_slice()).is_err());
    assert!(decode(&Shape::String, &mut [4, b'a'].as_slice()).is_err());
    assert!(decode(&Shape::Long, &mut [0xff; 11].as_slice()).is_err());
    assert!(decode(&Shape::Union(vec![Shape::Null].into()), &mut [2].as_slice()).is_err());
}
