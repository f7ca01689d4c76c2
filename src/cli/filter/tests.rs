//! What filters mean, and what is refused without repeating what was written.

use super::*;
use crate::error::Kind;

fn column(id: i32, name: &str, ty: Type) -> Field {
    Field { id, name: name.into(), physical: name.into(), required: false, ty, initial_default: None }
}

fn schema() -> Schema {
    let primitive = |id, name, ty| column(id, name, Type::Primitive(ty));
    let members = vec![primitive(11, "street", Primitive::String), primitive(12, "No", Primitive::Int)];
    Schema {
        fields: vec![
            primitive(1, "id", Primitive::Long),
            primitive(2, "Name", Primitive::String),
            primitive(3, "day", Primitive::Date),
            primitive(4, "at", Primitive::TimestampTz),
            primitive(5, "wall", Primitive::Timestamp),
            primitive(6, "price", Primitive::Decimal(9, 2)),
            primitive(7, "ok", Primitive::Boolean),
            primitive(8, "raw", Primitive::Binary),
            primitive(9, "x", Primitive::Double),
            column(10, "address", Type::Struct(members)),
            primitive(13, "a.b", Primitive::Int),
            primitive(14, "two", Primitive::Int),
            primitive(15, "TWO", Primitive::Int),
        ],
    }
}

fn read(text: &str) -> Predicate {
    parse(text, &schema()).unwrap()
}

fn compare(id: i32, comparison: Comparison, value: Value) -> Predicate {
    Predicate::Compare(id, comparison, value)
}

fn not(part: Predicate) -> Predicate {
    Predicate::Not(Box::new(part))
}

#[test]
fn comparisons_take_the_column_on_either_side() {
    assert_eq!(read("id >= -5"), compare(1, Comparison::AtLeast, Value::Long(-5)));
    assert_eq!(read("5 > id"), compare(1, Comparison::Less, Value::Long(5)));
    assert_eq!(read("((id)) <> (+7)"), compare(1, Comparison::NotEqual, Value::Long(7)));
    assert_eq!(read("ok"), compare(7, Comparison::Equal, Value::Bool(true)));
    assert_eq!(read("id = NULL"), Predicate::Constant(None));
}

#[test]
fn literals_take_the_type_of_their_column() {
    for (text, id, value) in [
        ("id = '12'", 1, Value::Long(12)),
        ("id = 1.5", 1, Value::Decimal(15, 1)),
        ("id = 99999999999999999999", 1, Value::Decimal(99_999_999_999_999_999_999, 0)),
        ("name = 'o''x'", 2, Value::String("o'x".into())),
        ("day = DATE '1970-01-02'", 3, Value::Int(1)),
        ("day = '1970-01-02'", 3, Value::Int(1)),
        ("at = TIMESTAMP '1970-01-01T01:00:00+01:00'", 4, Value::Long(0)),
        ("wall = TIMESTAMP '1970-01-01 00:00:01'", 5, Value::Long(1_000_000)),
        ("wall = DATE '1970-01-02'", 5, Value::Long(86_400_000_000)),
        ("price = 1.5", 6, Value::Decimal(15, 1)),
        ("price = CAST('1.5' AS DECIMAL(3, 2))", 6, Value::Decimal(15, 1)),
        ("raw = X'00fF'", 8, Value::Bytes(vec![0, 255])),
        ("x = 1e2", 9, Value::Double(100.0)),
        ("day = CAST('1970-01-03' AS DATE)", 3, Value::Int(2)),
        ("id = '7'::BIGINT", 1, Value::Long(7)),
        ("name = CAST(7 AS VARCHAR)", 2, Value::String("7".into())),
    ] {
        assert_eq!(read(text), compare(id, Comparison::Equal, value), "{text}");
    }
}

#[test]
fn names_are_found_whatever_their_case_only_if_one_fits() {
    let one = |text| read(&format!("{text} IS NULL"));
    assert_eq!(one("NAME"), Predicate::IsNull(2));
    assert_eq!(one("\"Name\""), Predicate::IsNull(2));
    assert_eq!(one("Address.NO"), Predicate::IsNull(12));
    assert_eq!(one("address"), Predicate::IsNull(10));
    assert_eq!(one("\"a.b\""), Predicate::IsNull(13));
    assert_eq!(one("two"), Predicate::IsNull(14));
    assert_eq!(one("TWO"), Predicate::IsNull(15));
    for text in ["Two", "\"name\"", "address.city", "id.x", "nothing"] {
        assert_eq!(parse(&format!("{text} IS NULL"), &schema()).unwrap_err().kind(), Kind::Usage, "{text}");
    }
}

#[test]
fn conditions_are_joined_as_in_sql() {
    let id = |comparison, value| compare(1, comparison, Value::Long(value));
    assert_eq!(
        read("id = 1 OR id = 2 AND NOT id = 3"),
        Predicate::Or(vec![id(Comparison::Equal, 1), Predicate::And(vec![id(Comparison::Equal, 2), not(id(Comparison::Equal, 3))])])
    );
    assert_eq!(read("id NOT BETWEEN 1 AND 3"), not(Predicate::And(vec![id(Comparison::AtLeast, 1), id(Comparison::AtMost, 3)])));
    assert_eq!(read("id NOT IN (1, 2)"), not(Predicate::In(1, vec![Value::Long(1), Value::Long(2)])));
    assert_eq!(read("id IN (1, NULL)"), Predicate::Or(vec![Predicate::In(1, vec![Value::Long(1)]), Predicate::Constant(None)]));
    assert_eq!(read("id IS NOT NULL"), not(Predicate::IsNull(1)));
    let known = not(Predicate::IsNull(7));
    let no = compare(7, Comparison::Equal, Value::Bool(false));
    assert_eq!(read("ok IS NOT FALSE"), not(Predicate::And(vec![known, no])));
    assert_eq!(read("true"), Predicate::Constant(Some(true)));
}

#[test]
fn patterns_are_taken_apart() {
    let like = |parts: &[PatternPart]| Predicate::Like(2, Pattern(parts.to_vec()));
    let text = |text: &str| PatternPart::Text(text.into());
    assert_eq!(read("name LIKE 'ab%'"), like(&[text("ab"), PatternPart::Any]));
    assert_eq!(read("name LIKE '_b'"), like(&[PatternPart::One, text("b")]));
    assert_eq!(read("name NOT LIKE '50!%%' ESCAPE '!'"), not(like(&[text("50%"), PatternPart::Any])));
    for wrong in ["name LIKE 'a!b' ESCAPE '!'", "name LIKE '\\%'", "id LIKE '1%'", "name ILIKE 'a%'"] {
        assert_eq!(parse(wrong, &schema()).unwrap_err().kind(), Kind::Usage, "{wrong}");
    }
}

#[test]
fn refusals_name_what_is_not_supported() {
    for (text, what) in [
        ("lower(name) = 'x'", "filters do not support functions at=line 1, column 1 function=lower"),
        ("id IN (SELECT 1)", "filters do not support subqueries at=line 1, column 1"),
        ("id + 1 = 2", "filters do not support arithmetic at=line 1, column 1"),
        ("id = two", "filters do not support comparing columns with each other at=line 1, column 1"),
        ("address = 1", "filters do not support conditions on nested columns but IS NULL at=line 1, column 1 column=address"),
        ("day = TIMESTAMP '2024-01-01 00:00:00'", "a literal of the filter does not fit its column column=day type=date"),
        ("id = CAST(1.5 AS INT)", "filters do not support this cast at=line 1, column 11"),
        ("id = 1 id", "the filter is not a SQL condition at=line 1, column 8"),
        ("name = 'open", "the filter is not a SQL condition at=line 1, column 8"),
    ] {
        assert_eq!(parse(text, &schema()).unwrap_err().to_string(), what, "{text}");
    }
}

#[test]
fn an_unknown_column_is_answered_with_the_columns_there_are() {
    let error = parse("address.city = 'x'", &schema()).unwrap_err();
    assert_eq!(error.to_string(), "the filter names a column that is not there at=line 1, column 9 columns=street, No");
}

#[test]
fn errors_never_repeat_a_value() {
    for text in [
        "name = \"bob@example\"",
        "name = bob@example",
        "id = 'bob@example'",
        "day = DATE 'bob@example'",
        "name = 'x' 'bob@example'",
        "name LIKE 'bob@example\\'",
        "name = f('bob@example')",
        "name IN ('a' 'bob@example')",
        "name = 'bob@example",
        "id = 1 AND 'bob@example'",
        "x'bob@example' = id",
        "CAST('bob@example' AS INT) = id",
    ] {
        let error = parse(text, &schema()).unwrap_err();
        let said = format!("{error:?} {error} {} {:?}", error.next_step(), error.cause());
        assert!(!said.contains("bob"), "{said}");
        assert_eq!(error.kind(), Kind::Usage, "{text}");
    }
}

#[test]
fn long_lists_and_chains_are_read_and_endless_ones_refused() {
    let list: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
    assert!(matches!(read(&format!("id IN ({})", list.join(","))), Predicate::In(1, values) if values.len() == 50_000));
    assert!(matches!(read(&vec!["id = 1"; 400].join(" OR ")), Predicate::Or(parts) if parts.len() == 400));
    for endless in
        [vec!["id = 1"; 100_000].join(" AND "), format!("{}ok", "NOT ".repeat(500)), format!("{}ok{}", "(".repeat(500), ")".repeat(500))]
    {
        assert_eq!(parse(&endless, &schema()).unwrap_err().kind(), Kind::Usage);
    }
}

/// The parser tries several readings of each bracket: 26 of them kept it busy for more than ten seconds.
#[test]
fn brackets_within_brackets_are_read_up_to_a_depth_that_takes_no_time() {
    let nested = |levels: usize| format!("{}ok{}", "NOT (".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(MOST_BRACKETS), &schema()).is_ok());
    for endless in [nested(MOST_BRACKETS + 1), "NOT (ts <".repeat(100)] {
        assert_eq!(parse(&endless, &schema()).unwrap_err().message(), "the filter is nested too deeply");
    }
}

#[test]
fn paths_of_names_are_read_up_to_a_length_that_takes_no_time() {
    for path in ["s.".repeat(38), "id = s.".to_string() + &"\"s\". ".repeat(38), format!("NOT ({}x IS NULL", "a.".repeat(500))] {
        assert_eq!(parse(&path, &schema()).unwrap_err().message(), "the filter is nested too deeply", "{path}");
    }
    // As long as it may be, and no path.
    assert_eq!(parse(&"s.".repeat(16), &schema()).unwrap_err().message(), "the filter is not a SQL condition");
    assert!(parse(&["address.street IS NULL"; 40].join(" AND "), &schema()).is_ok());
}
