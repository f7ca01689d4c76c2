//! Expressions that the engine would read otherwise than people who write them: spelled out for it.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Query, SetExpr, TableFactor, TypedString, Value, ValueWithSpan};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// Spells out `expression` itself, not its parts.
pub(super) fn spell_out(expression: &mut Expr) {
    match expression {
        // Nanoseconds end in 2262, and tables count microseconds: a `TIMESTAMP` that does not say what it counts is one of theirs.
        Expr::Cast { data_type: DataType::Timestamp(digits @ None, _), .. }
        | Expr::TypedString(TypedString { data_type: DataType::Timestamp(digits @ None, _), .. }) => *digits = Some(6),
        // Numbers with an exponent are floats, as in other engines; without one, a point makes a decimal.
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits.contains(['e', 'E']) => {
            let text = Box::new(Expr::value(Value::SingleQuotedString(digits.clone())));
            let data_type = DataType::Double(ExactNumberInfo::None);
            *expression = Expr::Cast { kind: CastKind::Cast, expr: text, data_type, array: false, format: None };
        }
        // The engine mixes up columns of one name inside and outside of a compared query.
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            if let Expr::Subquery(query) = &mut **right {
                apart(query);
            }
        }
        _ => {}
    }
}

/// Makes `query` one whose columns belong to no table: `SELECT * FROM (…) AS "compared"`.
fn apart(query: &mut Box<Query>) {
    let frame = Parser::parse_sql(&GenericDialect {}, "SELECT * FROM (SELECT 1) AS \"compared with\"");
    let Some(sqlparser::ast::Statement::Query(mut frame)) = frame.ok().and_then(|mut statements| statements.pop()) else { return };
    let SetExpr::Select(select) = &mut *frame.body else { return };
    let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) else { return };
    std::mem::swap(subquery, query);
    *query = frame;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_otherwise_is_spelled_out() {
        for (text, meant) in [
            ("1.5", "1.5"),
            ("15e-1", "CAST('15e-1' AS DOUBLE)"),
            ("CAST(a AS TIMESTAMP)", "CAST(a AS TIMESTAMP(6))"),
            ("a > ALL(SELECT b FROM t)", "a > ALL(SELECT * FROM (SELECT b FROM t) AS \"compared with\")"),
        ] {
            let mut expression = Parser::new(&GenericDialect {}).try_with_sql(text).unwrap().parse_expr().unwrap();
            spell_out(&mut expression);
            assert_eq!(expression.to_string(), meant, "{text}");
        }
    }
}
