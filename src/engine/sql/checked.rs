//! Whole numbers that overflow are errors: DataFusion's own arithmetic goes on at the other end of the range.

use std::sync::Arc;

use arrow_array::{ArrayRef, Datum};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::common::{DFSchema, ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sign {
    Plus,
    Minus,
    Times,
    /// Of one side.
    Negative,
}

/// One of the three operators.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    sign: Sign,
    signature: Signature,
}

/// `left op right`, checked if both are whole numbers.
pub(super) fn arithmetic(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Expr {
    let sign = match op {
        Operator::Plus => Some(Sign::Plus),
        Operator::Minus => Some(Sign::Minus),
        Operator::Multiply => Some(Sign::Times),
        _ => None,
    };
    let is_whole = |side: &Expr| side.get_type(schema).is_ok_and(|ty| ty.is_integer());
    let plain = BinaryExpr::new(Box::new(left), op, Box::new(right));
    let (Some(sign), true) = (sign, is_whole(&plain.left) && is_whole(&plain.right)) else { return Expr::BinaryExpr(plain) };
    let whole = Expr::BinaryExpr(plain.clone());
    match whole.get_type(schema) {
        Ok(ty) if ty.is_integer() => call(sign, vec![widened(*plain.left, &ty, schema), widened(*plain.right, &ty, schema)]),
        _ => whole,
    }
}

/// `-inner`, checked if it is a whole number.
pub(super) fn negative(inner: Expr, schema: &DFSchema) -> Expr {
    match inner.get_type(schema) {
        Ok(ty) if ty.is_signed_integer() && !matches!(inner, Expr::Literal(..)) => call(Sign::Negative, vec![inner]),
        _ => Expr::Negative(Box::new(inner)),
    }
}

/// `side` as a number of `ty`.
fn widened(side: Expr, ty: &DataType, schema: &DFSchema) -> Expr {
    match side.get_type(schema) {
        Ok(own) if own == *ty => side,
        _ => Expr::Cast(Cast::new(Box::new(side), ty.clone())),
    }
}

fn call(sign: Sign, sides: Vec<Expr>) -> Expr {
    let function = Checked { sign, signature: Signature::any(sides.len(), Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), sides))
}

impl Checked {
    /// What this stands for: columns are found by its name.
    fn plain(&self, sides: &[Expr]) -> Option<Expr> {
        let (first, last) = (Box::new(sides.first()?.clone()), Box::new(sides.last()?.clone()));
        let op = match self.sign {
            Sign::Plus => Operator::Plus,
            Sign::Minus => Operator::Minus,
            Sign::Times => Operator::Multiply,
            Sign::Negative => return Some(Expr::Negative(first)),
        };
        Some(Expr::BinaryExpr(BinaryExpr::new(first, op, last)))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.sign {
            Sign::Plus => "+",
            Sign::Minus | Sign::Negative => "-",
            Sign::Times => "*",
        }
    }

    fn schema_name(&self, sides: &[Expr]) -> Result<String> {
        Ok(self.plain(sides).map_or_else(|| self.name().to_string(), |plain| plain.schema_name().to_string()))
    }

    fn display_name(&self, sides: &[Expr]) -> Result<String> {
        Ok(self.plain(sides).map_or_else(|| self.name().to_string(), |plain| plain.to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type depends on nullability, too")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = args.arg_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
        Ok(Arc::new(Field::new(self.name(), ty, args.arg_fields.iter().any(|field| field.is_nullable()))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(left), Some(right)) = (args.args.first(), args.args.last()) else { return internal_err!("an operator has sides") };
        let compute = |left: &dyn Datum, right: &dyn Datum| -> std::result::Result<ArrayRef, ArrowError> {
            match self.sign {
                Sign::Plus => numeric::add(left, right),
                Sign::Minus => numeric::sub(left, right),
                Sign::Times => numeric::mul(left, right),
                Sign::Negative => numeric::neg(left.get().0),
            }
        };
        Ok(match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => ColumnarValue::Array(compute(left, right)?),
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => ColumnarValue::Array(compute(left, &right.to_scalar()?)?),
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => ColumnarValue::Array(compute(&left.to_scalar()?, right)?),
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
                let one = compute(&left.to_array()?, &right.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?)
            }
        })
    }
}
