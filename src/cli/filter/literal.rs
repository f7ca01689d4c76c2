//! Literals of a filter, and what they mean for a column.

use sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value as SqlValue, ValueWithSpan};

use super::{refused, unsupported};
use crate::error::{Error, Result};
use crate::model::literal::{decimal, parse};
use crate::model::{Field, Primitive, Value};

/// A literal as written; its value is known once its column is.
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    Date(String),
    Time(String),
    Timestamp(String),
    Bytes(Vec<u8>),
}

impl Literal {
    /// Reads a literal: plain, with a sign, with its type before it (`DATE '…'`), or cast.
    pub(super) fn read(expression: &Expr) -> Result<Self> {
        let wrong = || refused("a literal of this form", expression);
        match expression {
            Expr::Nested(inner) => Self::read(inner),
            Expr::Value(value) => Self::plain(value).ok_or_else(wrong),
            Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => match Self::read(expr)? {
                Self::Number(digits) if *op == UnaryOperator::Plus => Ok(Self::Number(digits)),
                Self::Number(digits) => Ok(Self::Number(digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_string))),
                _ => Err(wrong()),
            },
            Expr::TypedString(typed) => Self::plain(&typed.value).and_then(|literal| literal.cast(&typed.data_type)).ok_or_else(wrong),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, array: false, format: None } => {
                Self::read(expr)?.cast(data_type).ok_or_else(|| unsupported(expression))
            }
            other => Err(unsupported(other)),
        }
    }

    fn plain(value: &ValueWithSpan) -> Option<Self> {
        Some(match &value.value {
            SqlValue::Null => Self::Null,
            SqlValue::Boolean(truth) => Self::Boolean(*truth),
            SqlValue::Number(digits, _) => Self::Number(digits.clone()),
            SqlValue::SingleQuotedString(text) | SqlValue::NationalStringLiteral(text) => Self::Text(text.clone()),
            SqlValue::HexStringLiteral(digits) => Self::Bytes(bytes(digits)?),
            _ => return None,
        })
    }

    /// The literal as `ty`, if that keeps its value.
    fn cast(self, ty: &DataType) -> Option<Self> {
        let whole = |digits: &str, ty| parse(digits, ty).is_some();
        Some(match (self, ty) {
            (Self::Null, _) => Self::Null,
            (Self::Text(text) | Self::Date(text), DataType::Date | DataType::Date32) => Self::Date(text),
            (Self::Text(text) | Self::Time(text), DataType::Time(..)) => Self::Time(text),
            (
                Self::Text(text) | Self::Timestamp(text),
                DataType::Timestamp(None, _) | DataType::TimestampNtz(None) | DataType::Datetime(None),
            ) => Self::Timestamp(text),
            (Self::Text(digits) | Self::Number(digits), DataType::TinyInt(None)) if whole(&digits, Primitive::Byte) => Self::Number(digits),
            (Self::Text(digits) | Self::Number(digits), DataType::SmallInt(None)) if whole(&digits, Primitive::Short) => {
                Self::Number(digits)
            }
            (Self::Text(digits) | Self::Number(digits), DataType::Int(None) | DataType::Integer(None))
                if whole(&digits, Primitive::Int) =>
            {
                Self::Number(digits)
            }
            (Self::Text(digits) | Self::Number(digits), DataType::BigInt(None)) if whole(&digits, Primitive::Long) => Self::Number(digits),
            (Self::Text(digits) | Self::Number(digits), DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision)
                if whole(&digits, Primitive::Double) =>
            {
                Self::Number(digits)
            }
            (Self::Text(digits) | Self::Number(digits), DataType::Decimal(size) | DataType::Numeric(size)) if holds(size, &digits) => {
                Self::Number(digits)
            }
            (Self::Text(text) | Self::Number(text), DataType::String(None) | DataType::Text | DataType::Varchar(None)) => Self::Text(text),
            (Self::Text(text), DataType::Uuid) => Self::Text(text),
            (Self::Text(text), DataType::Boolean | DataType::Bool) => match parse(&text, Primitive::Boolean)? {
                Value::Bool(truth) => Self::Boolean(truth),
                _ => return None,
            },
            (Self::Boolean(truth), DataType::Boolean | DataType::Bool) => Self::Boolean(truth),
            _ => return None,
        })
    }

    /// The value that the literal is for the column `field` of type `ty`; `None` is null.
    pub(super) fn typed(self, field: &Field, ty: Primitive) -> Result<Option<Value>> {
        let value = match (self, ty) {
            (Self::Null, _) => return Ok(None),
            (Self::Boolean(truth), Primitive::Boolean) => Some(Value::Bool(truth)),
            (Self::Number(digits), Primitive::Float | Primitive::Double) => parse(&digits, ty),
            // Past the column's range or between its values a number still compares.
            (Self::Number(digits), Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Long | Primitive::Decimal(..)) => {
                parse(&digits, ty).or_else(|| decimal(&digits))
            }
            (Self::Text(text), _) => parse(&text, ty),
            (Self::Date(text), Primitive::Date) => parse(&text, ty),
            // A date is its midnight, but only where no zone decides when that is.
            (Self::Date(text), Primitive::Timestamp | Primitive::TimestampNs) => {
                parse(&text, Primitive::Date).and_then(|_| parse(&text, ty))
            }
            (Self::Time(text), Primitive::Time) => parse(&text, ty),
            (Self::Timestamp(text), Primitive::Timestamp | Primitive::TimestampTz | Primitive::TimestampNs | Primitive::TimestampTzNs) => {
                parse(&text, ty)
            }
            (Self::Bytes(bytes), Primitive::Binary) => Some(Value::Bytes(bytes)),
            (Self::Bytes(bytes), Primitive::Fixed(size)) if u32::try_from(bytes.len()) == Ok(size) => Some(Value::Bytes(bytes)),
            (Self::Bytes(bytes), Primitive::Uuid) if bytes.len() == 16 => Some(Value::Bytes(bytes)),
            _ => None,
        };
        value.map(Some).ok_or_else(|| {
            Error::usage("a literal of the filter does not fit its column")
                .about("column", &field.name)
                .about("type", type_name(ty))
                .hint(form(ty))
        })
    }
}

/// How people read a type in messages.
pub(super) fn type_name(ty: Primitive) -> String {
    match ty {
        Primitive::Geo(geo) => geo.to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// How literals of a type are written.
const fn form(ty: Primitive) -> &'static str {
    match ty {
        Primitive::Boolean => "write true or false",
        Primitive::Byte | Primitive::Short | Primitive::Int | Primitive::Long => "write a number without quotes: 42",
        Primitive::Float | Primitive::Double | Primitive::Decimal(..) => "write a number without quotes: 1.5",
        Primitive::Date => "write DATE '2024-01-31'",
        Primitive::Time => "write TIME '10:20:30'",
        Primitive::Timestamp | Primitive::TimestampNs => "write TIMESTAMP '2024-01-31 10:20:30', without an offset",
        Primitive::TimestampTz | Primitive::TimestampTzNs => "write TIMESTAMP '2024-01-31T10:20:30Z', with an offset",
        Primitive::String => "write text in single quotes: 'x'",
        Primitive::Binary | Primitive::Fixed(_) => "write bytes in hexadecimal, as many as the column has: X'00ff'",
        Primitive::Uuid => "write 'f79c3e09-677c-4bbd-a479-3f349cb785e7'",
        Primitive::Variant | Primitive::Geo(_) | Primitive::Unknown => "columns of this type have no literals",
    }
}

/// Whether a decimal type of `size` holds the number without rounding it.
fn holds(size: &ExactNumberInfo, digits: &str) -> bool {
    let (precision, scale) = match size {
        ExactNumberInfo::None => return decimal(digits).is_some(),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let Some(Value::Decimal(unscaled, written)) = decimal(digits) else { return false };
    let Some(whole_digits) = i64::try_from(precision).ok().and_then(|precision| precision.checked_sub(scale)) else { return false };
    let written = i64::from(written);
    let length = unscaled.unsigned_abs().checked_ilog10().map_or(0, |log| i64::from(log) + 1);
    written <= scale && length - written <= whole_digits
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    (digits.len().is_multiple_of(2))
        .then(|| digits.chunks_exact(2).map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.last()?)?)).collect())?
}
