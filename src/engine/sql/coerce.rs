//! What operands of different types are brought to, where DataFusion's choice would change or lose answers.
//!
//! A number with a point is a decimal. Beside a float it becomes a float, as in DuckDB, Spark and Trino: as decimals, floats would be rounded to a
//! few digits and fail where they are large, infinite or NaN. A date beside a timestamp becomes one of microseconds, for nanoseconds end in 2262.
//! Whole numbers that overflow are errors.

use arrow_schema::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Operator, lit};

use super::checked;

/// See the module.
#[derive(Debug)]
pub(super) struct Coercions;

impl FunctionRewrite for Coercions {
    fn name(&self) -> &'static str {
        "coercions"
    }

    fn rewrite(&self, expression: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let mut expression = expression;
        level(&mut operands(&mut expression), schema);
        Ok(Transformed::yes(replaced(expression, schema)))
    }
}

/// The parts of `expression` that are brought to one type.
fn operands(expression: &mut Expr) -> Vec<&mut Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, right, op }) if compares(*op) || op.is_numerical_operators() => {
            vec![&mut **left, &mut **right]
        }
        Expr::Between(between) => vec![&mut *between.expr, &mut *between.low, &mut *between.high],
        Expr::InList(list) => std::iter::once(&mut *list.expr).chain(&mut list.list).collect(),
        Expr::Case(case) => match &mut case.expr {
            Some(asked) => std::iter::once(&mut **asked).chain(case.when_then_expr.iter_mut().map(|(when, _)| &mut **when)).collect(),
            None => case.when_then_expr.iter_mut().map(|(_, then)| &mut **then).chain(case.else_expr.as_deref_mut()).collect(),
        },
        Expr::ScalarFunction(function) if matches!(function.name(), "coalesce" | "nullif" | "greatest" | "least") => {
            function.args.iter_mut().collect()
        }
        _ => Vec::new(),
    }
}

const fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Brings decimals beside floats to floats, and dates beside timestamps to timestamps.
fn level(operands: &mut [&mut Expr], schema: &DFSchema) {
    // A type that cannot be told is an error that DataFusion words itself.
    let types: Vec<Option<DataType>> = operands.iter().map(|operand| operand.get_type(schema).ok()).collect();
    let any = |wanted: fn(&DataType) -> bool| types.iter().flatten().find(|ty| wanted(ty)).cloned();
    let float = any(|ty| *ty == DataType::Float64).or_else(|| any(DataType::is_floating));
    let time = any(|ty| matches!(ty, DataType::Timestamp(..)));
    for (operand, ty) in operands.iter_mut().zip(&types) {
        let wanted = match (ty, &float, &time) {
            (Some(ty), Some(float), _) if ty.is_decimal() => float.clone(),
            (Some(DataType::Date32), _, Some(DataType::Timestamp(_, zone))) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => continue,
        };
        let taken = std::mem::replace(*operand, lit(ScalarValue::Null));
        **operand = cast(taken, wanted);
    }
}

/// `expression` as `wanted`; a literal becomes the nearest number at once, so that files can be left unread by it.
fn cast(expression: Expr, wanted: DataType) -> Expr {
    let nearest = match &expression {
        Expr::Literal(value, _) if wanted.is_floating() && !value.is_null() => {
            ScalarValue::try_from_string(value.to_string(), &wanted).ok()
        }
        _ => None,
    };
    nearest.map_or_else(|| Expr::Cast(Cast::new(Box::new(expression), wanted)), lit)
}

fn replaced(expression: Expr, schema: &DFSchema) -> Expr {
    match expression {
        // What a zone makes of a time is counted in nanoseconds, and so is the current time.
        Expr::Cast(Cast { expr, field }) => {
            let is_short = matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, Some(_)))
                && matches!(expr.get_type(schema), Ok(DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32));
            match field.data_type() {
                DataType::Timestamp(_, zone) if is_short => micros(*expr, zone.clone()),
                _ => Expr::Cast(Cast { expr, field }),
            }
        }
        Expr::ScalarFunction(function) if function.name() == "now" && function.args.is_empty() => {
            micros(Expr::ScalarFunction(function), None)
        }
        Expr::ScalarFunction(function) if function.name() == "round" => Expr::ScalarFunction(with_short_places(function)),
        Expr::InList(list) if list.expr.get_type(schema).is_ok_and(|ty| ty.is_floating()) => among(list),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => checked::arithmetic(*left, op, *right, schema),
        Expr::AggregateFunction(mut function) if function.params.distinct => {
            function.params.args = function.params.args.into_iter().map(|arg| with_one_zero(arg, schema)).collect();
            Expr::AggregateFunction(function)
        }
        Expr::Like(like) => Expr::Like(with_backslash(like)),
        Expr::Negative(inner) => checked::negative(*inner, schema),
        other => other,
    }
}

fn micros(expression: Expr, zone: Option<std::sync::Arc<str>>) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), DataType::Timestamp(TimeUnit::Microsecond, zone)))
}

/// `x IN (…)` over floats: lists are looked up by their bits, of which zero has two.
fn among(mut list: InList) -> Expr {
    if list.list.iter().all(|item| matches!(item, Expr::Literal(..))) {
        let zeros: Vec<Expr> = list.list.iter().filter_map(other_zero).collect();
        list.list.extend(zeros);
        return Expr::InList(list);
    }
    let InList { expr, list, negated } = list;
    let equal = |item: Expr| Expr::BinaryExpr(BinaryExpr::new(expr.clone(), Operator::Eq, Box::new(item)));
    let any = list.into_iter().map(equal).reduce(Expr::or).unwrap_or_else(|| lit(false));
    if negated { Expr::Not(Box::new(any)) } else { any }
}

/// `LIKE 'a!%' ESCAPE '!'` as `LIKE 'a\\%'`: patterns know the backslash alone.
fn with_backslash(mut like: Like) -> Like {
    let (Some(escape), Expr::Literal(ScalarValue::Utf8(Some(pattern)), _)) = (like.escape_char, &*like.pattern) else { return like };
    let mut written = String::new();
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        let (sign, stands_for_itself) = if sign == escape { (signs.next().unwrap_or(sign), true) } else { (sign, sign == '\\') };
        if stands_for_itself {
            written.push('\\');
        }
        written.push(sign);
    }
    like.pattern = Box::new(lit(written));
    like.escape_char = None;
    like
}

/// The type of `round(decimal, 2)` depends on its literal, which is none any more once it has been cast to the type that the function takes.
fn with_short_places(mut function: ScalarFunction) -> ScalarFunction {
    if let Some(places) = function.args.get_mut(1)
        && let Expr::Literal(ScalarValue::Int64(Some(wanted)), _) = places
        && let Ok(short) = i32::try_from(*wanted)
    {
        *places = lit(short);
    }
    function
}

/// Adding zero makes one of the two zeros of floats, which are otherwise told apart by their bits.
fn with_one_zero(argument: Expr, schema: &DFSchema) -> Expr {
    match argument.get_type(schema) {
        Ok(DataType::Float64) => argument + lit(0.0_f64),
        Ok(DataType::Float32) => argument + lit(0.0_f32),
        _ => argument,
    }
}

fn other_zero(item: &Expr) -> Option<Expr> {
    match item {
        Expr::Literal(ScalarValue::Float64(Some(zero)), _) if *zero == 0.0 => Some(lit(-zero)),
        Expr::Literal(ScalarValue::Float32(Some(zero)), _) if *zero == 0.0 => Some(lit(-zero)),
        Expr::Literal(ScalarValue::Int64(Some(0)), _) => Some(lit(ScalarValue::Float64(Some(-0.0)))),
        _ => None,
    }
}
