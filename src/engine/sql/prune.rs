//! Filters of a query as the model's predicates, which tell files that hold no match.
//!
//! What is not understood in full is not used: a file is left out only where no row of it can pass.

use std::ops::Not;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like};
use datafusion::logical_expr::{Between, Expr, Operator};

use crate::model::predicate::{Comparison, Pattern, PatternPart, Predicate};
use crate::model::{Field, Primitive, Schema, Type, Value, literal};

/// The predicate that is true of exactly the rows for which `filter` is true; `None` if there is none.
pub(super) fn predicate(filter: &Expr, schema: &Schema) -> Option<Predicate> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Some(Predicate::And(vec![predicate(left, schema)?, predicate(right, schema)?])),
            Operator::Or => Some(Predicate::Or(vec![predicate(left, schema)?, predicate(right, schema)?])),
            op => {
                let comparison = comparison(*op)?;
                match (&**left, &**right) {
                    (Expr::Column(_), Expr::Literal(value, _)) => compare(left, comparison, value, schema),
                    (Expr::Literal(value, _), Expr::Column(_)) => compare(right, comparison.flipped(), value, schema),
                    _ => None,
                }
            }
        },
        Expr::Not(inner) => Some(negated(predicate(inner, schema)?)),
        Expr::IsNull(column) => Some(Predicate::IsNull(find(column, schema)?.0.id)),
        Expr::IsNotNull(column) => Some(negated(Predicate::IsNull(find(column, schema)?.0.id))),
        Expr::InList(InList { expr, list, negated: not }) => {
            let (field, ty) = find(expr, schema)?;
            let values = list.iter().map(|item| if let Expr::Literal(value, _) = item { typed(value, ty) } else { None });
            negated_if(*not, Predicate::In(field.id, values.collect::<Option<Vec<_>>>()?))
        }
        Expr::Between(Between { expr, negated: not, low, high }) => {
            let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&**low, &**high) else { return None };
            let low = compare(expr, Comparison::AtLeast, low, schema)?;
            negated_if(*not, Predicate::And(vec![low, compare(expr, Comparison::AtMost, high, schema)?]))
        }
        Expr::Like(Like { negated: not, expr, pattern, escape_char: None, case_insensitive: false }) => {
            let (field, ty) = find(expr, schema)?;
            let Expr::Literal(pattern, _) = &**pattern else { return None };
            negated_if(*not, Predicate::Like(field.id, (ty == Primitive::String).then(|| parts(pattern))??))
        }
        Expr::Column(_) => {
            let (field, ty) = find(filter, schema)?;
            (ty == Primitive::Boolean).then_some(Predicate::Compare(field.id, Comparison::Equal, Value::Bool(true)))
        }
        _ => None,
    }
}

fn negated(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

#[expect(clippy::unnecessary_wraps, reason = "ends arms that are optional")]
fn negated_if(not: bool, predicate: Predicate) -> Option<Predicate> {
    Some(if not { negated(predicate) } else { predicate })
}

const fn comparison(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::AtMost,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::AtLeast,
        _ => return None,
    })
}

fn compare(column: &Expr, comparison: Comparison, value: &ScalarValue, schema: &Schema) -> Option<Predicate> {
    let (field, ty) = find(column, schema)?;
    Some(Predicate::Compare(field.id, comparison, typed(value, ty)?))
}

/// The column at the top that `column` is, if it is one of single values.
fn find<'a>(column: &Expr, schema: &'a Schema) -> Option<(&'a Field, Primitive)> {
    let Expr::Column(column) = column else { return None };
    let field = schema.fields.iter().find(|field| field.name == column.name)?;
    if let Type::Primitive(ty) = field.ty { Some((field, ty)) } else { None }
}

/// `value` as one of `ty`, if it is of exactly the type that columns of `ty` have in queries and is ordered there as in the model.
fn typed(value: &ScalarValue, ty: Primitive) -> Option<Value> {
    Some(match (value, ty) {
        (ScalarValue::Boolean(Some(v)), Primitive::Boolean) => Value::Bool(*v),
        (ScalarValue::Int8(Some(v)), Primitive::Byte) => Value::Int((*v).into()),
        (ScalarValue::Int16(Some(v)), Primitive::Short) => Value::Int((*v).into()),
        (ScalarValue::Int32(Some(v)), Primitive::Int) | (ScalarValue::Date32(Some(v)), Primitive::Date) => Value::Int(*v),
        (ScalarValue::Int64(Some(v)), Primitive::Long)
        | (ScalarValue::Time64Microsecond(Some(v)), Primitive::Time)
        | (ScalarValue::TimestampMicrosecond(Some(v), None), Primitive::Timestamp)
        | (ScalarValue::TimestampMicrosecond(Some(v), Some(_)), Primitive::TimestampTz)
        | (ScalarValue::TimestampNanosecond(Some(v), None), Primitive::TimestampNs)
        | (ScalarValue::TimestampNanosecond(Some(v), Some(_)), Primitive::TimestampTzNs) => Value::Long(*v),
        // Queries tell -0 from 0, the model does not.
        (ScalarValue::Float32(Some(v)), Primitive::Float) => (*v != 0.0).then_some(Value::Float(*v))?,
        (ScalarValue::Float64(Some(v)), Primitive::Double) => (*v != 0.0).then_some(Value::Double(*v))?,
        (ScalarValue::Decimal128(Some(v), _, scale), Primitive::Decimal(..)) => Value::Decimal(*v, *scale),
        (ScalarValue::Utf8(Some(text)), Primitive::String) => Value::String(text.clone()),
        (ScalarValue::Utf8(Some(text)), Primitive::Uuid) => uuid(text)?,
        (ScalarValue::Binary(Some(bytes)), Primitive::Binary) => Value::Bytes(bytes.clone()),
        _ => return None,
    })
}

/// UUIDs are text in queries: only the one spelling that columns have is compared as bytes are.
fn uuid(text: &str) -> Option<Value> {
    let canonical = text.len() == 36 && text.bytes().any(|b| b.is_ascii_uppercase()).not();
    literal::parse(text, Primitive::Uuid).filter(|_| canonical)
}

/// The parts of a `LIKE` pattern. A backslash is an escape in queries; patterns with one are not used.
fn parts(pattern: &ScalarValue) -> Option<Pattern> {
    let ScalarValue::Utf8(Some(pattern)) = pattern else { return None };
    let mut parts: Vec<PatternPart> = Vec::new();
    for c in pattern.chars() {
        match (c, parts.last_mut()) {
            ('\\', _) => return None,
            ('%', _) => parts.push(PatternPart::Any),
            ('_', _) => parts.push(PatternPart::One),
            (c, Some(PatternPart::Text(text))) => text.push(c),
            (c, _) => parts.push(PatternPart::Text(c.into())),
        }
    }
    Some(Pattern(parts))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn schema() -> Schema {
        let field = |id, name: &str, ty| Field {
            id,
            name: name.into(),
            physical: name.into(),
            required: false,
            ty: Type::Primitive(ty),
            initial_default: None,
        };
        let fields = vec![
            field(1, "i", Primitive::Int),
            field(2, "s", Primitive::String),
            field(3, "u", Primitive::Uuid),
            field(4, "d", Primitive::Double),
        ];
        Schema { fields }
    }

    fn read(filter: &Expr) -> Option<Predicate> {
        predicate(filter, &schema())
    }

    #[test]
    fn comparisons_with_literals_of_the_columns_own_type_are_used() {
        let one = |comparison| Some(Predicate::Compare(1, comparison, Value::Int(5)));
        assert_eq!(read(&col("i").lt(lit(5_i32))), one(Comparison::Less));
        assert_eq!(read(&lit(5_i32).lt(col("i"))), one(Comparison::Greater));
        assert_eq!(read(&col("i").lt(lit(5_i64))), None);
        assert_eq!(read(&col("x").lt(lit(5_i32))), None);
        let both = col("i").eq(lit(5_i32)).or(col("i").is_null());
        assert_eq!(read(&both), Some(Predicate::Or(vec![one(Comparison::Equal).unwrap(), Predicate::IsNull(1)])));
        assert_eq!(read(&col("i").eq(lit(5_i32)).or(col("x").is_null())), None);
    }

    #[test]
    fn what_queries_order_in_another_way_than_statistics_is_not_used() {
        assert_eq!(read(&col("d").lt(lit(0.0))), None);
        assert!(read(&col("d").lt(lit(0.5))).is_some());
        let id = "00000000-0000-0000-0000-0000000000ff";
        assert!(read(&col("u").eq(lit(id))).is_some());
        assert_eq!(read(&col("u").not_eq(lit(id.to_uppercase()))), None);
        assert_eq!(read(&col("s").like(lit("a\\%%"))), None);
        let pattern = Pattern(vec![PatternPart::Text("ab".into()), PatternPart::One, PatternPart::Any]);
        assert_eq!(read(&col("s").like(lit("ab_%"))), Some(Predicate::Like(2, pattern)));
        assert_eq!(read(&col("s").ilike(lit("ab"))), None);
    }
}
