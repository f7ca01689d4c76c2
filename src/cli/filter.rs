//! Reads a filter written in SQL (`--where`) for a table's columns.
//!
//! Columns may be compared with literals; functions, arithmetic and subqueries are refused by name. Errors give places, never the text
//! found there: a filter of an erasure holds what identifies a person, and a value in double quotes looks like a column.

mod literal;
#[cfg(test)]
mod tests;

use sqlparser::ast::{BinaryOperator, Expr, Ident, Spanned, UnaryOperator, Value as SqlValue, ValueWithSpan};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::error::{Error, Result};
use crate::model::predicate::{Comparison, Pattern, PatternPart, Predicate};
use crate::model::{Field, Primitive, Schema, Type, Value};
use crate::ops::query::nesting::{depth, path};

/// Operators and names a filter may hold. Each may deepen the tree, and a tree is walked on the stack; lists of literals are not counted.
const MOST_TOKENS: usize = 2_000;
/// Brackets within brackets a filter may hold: the parser tries several readings of each, so that its time doubles with every level.
const MOST_BRACKETS: usize = 16;
/// Names that dots join to a path: as with brackets, the parser tries several readings at each dot where the path turns out to be none.
const MOST_NAMES: usize = 16;
/// Columns an error names at most.
const MOST_COLUMNS: usize = 40;

/// Reads `text`, a condition over the columns of `schema`.
///
/// Unquoted names are found as written or, if only one column fits, whatever their case; quoted ones (`"Name"`) exactly; members of structs by
/// dots. Literals take the type of their column.
///
/// # Errors
///
/// A usage error for text that is no condition, names no column, or uses what filters cannot do.
pub fn parse(text: &str, schema: &Schema) -> Result<Predicate> {
    let dialect = GenericDialect {};
    let unreadable =
        || Error::usage("the filter is not a SQL condition").hint("write a condition as after WHERE: day >= DATE '2024-01-31'");
    let tokens =
        Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| unreadable().about("at", place(error.location)))?;
    let plain = |token: &Token| {
        matches!(token, Token::Whitespace(_) | Token::Comma | Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_))
    };
    if tokens.iter().filter(|token| !plain(&token.token)).count() > MOST_TOKENS {
        return Err(Error::usage("the filter has too many parts").about("most", MOST_TOKENS).hint("write many values as column IN (…)"));
    }
    for (found, most) in [(depth(&tokens), MOST_BRACKETS), (path(&tokens), MOST_NAMES)] {
        if found > most {
            return Err(Error::usage("the filter is nested too deeply").about("most", most));
        }
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => Error::usage("the filter is nested too deeply"),
        // The parser's message holds the text it stumbled over.
        ParserError::TokenizerError(_) | ParserError::ParserError(_) => unreadable().about("near", place(parser.peek_token().span.start)),
    })?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(unreadable().about("at", place(next.span.start)));
    }
    Reader { schema }.condition(&expression)
}

/// Where in the filter something stands.
fn place(location: Location) -> String {
    format!("line {}, column {}", location.line, location.column)
}

/// A refusal of what stands at `expression`.
fn refused(what: &'static str, expression: &Expr) -> Error {
    Error::usage(format!("filters do not support {what}"))
        .about("at", place(expression.span().start))
        .hint("compare columns with literals: =, !=, <, <=, >, >=, IN, BETWEEN, LIKE, IS NULL, joined by AND, OR, NOT")
}

/// One side of a comparison.
enum Operand<'a> {
    Column(&'a Field),
    Literal(literal::Literal),
}

struct Reader<'a> {
    schema: &'a Schema,
}

impl<'a> Reader<'a> {
    fn condition(&self, expression: &Expr) -> Result<Predicate> {
        let not = |negated: bool, part: Predicate| if negated { Predicate::Not(Box::new(part)) } else { part };
        Ok(match expression {
            Expr::Nested(inner) => self.condition(inner)?,
            Expr::BinaryOp { op: BinaryOperator::And, .. } => Predicate::And(self.chain(expression, &BinaryOperator::And)?),
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => Predicate::Or(self.chain(expression, &BinaryOperator::Or)?),
            Expr::BinaryOp { left, op, right } => self.comparison(left, op, right, expression)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => not(true, self.condition(expr)?),
            Expr::IsNull(column) => Predicate::IsNull(self.column(column)?.id),
            Expr::IsNotNull(column) => not(true, Predicate::IsNull(self.column(column)?.id)),
            Expr::IsTrue(column) => self.is(column, true)?,
            Expr::IsNotTrue(column) => not(true, self.is(column, true)?),
            Expr::IsFalse(column) => self.is(column, false)?,
            Expr::IsNotFalse(column) => not(true, self.is(column, false)?),
            Expr::InList { expr, list, negated } => not(*negated, self.in_list(expr, list)?),
            Expr::Between { expr, negated, low, high } => {
                let low = self.comparison(expr, &BinaryOperator::GtEq, low, expression)?;
                let high = self.comparison(expr, &BinaryOperator::LtEq, high, expression)?;
                not(*negated, Predicate::And(vec![low, high]))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                not(*negated, self.like(expr, pattern, escape_char.as_ref())?)
            }
            Expr::Value(ValueWithSpan { value: SqlValue::Boolean(truth), .. }) => Predicate::Constant(Some(*truth)),
            Expr::Value(ValueWithSpan { value: SqlValue::Null, .. }) => Predicate::Constant(None),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let (field, _) = self.primitive(expression, &[Primitive::Boolean])?;
                Predicate::Compare(field.id, Comparison::Equal, Value::Bool(true))
            }
            other => return Err(unsupported(other)),
        })
    }

    /// The parts of `a AND b AND …`, however long: the parser nests them to the left.
    fn chain(&self, mut expression: &Expr, operator: &BinaryOperator) -> Result<Vec<Predicate>> {
        let mut parts = Vec::new();
        while let Expr::BinaryOp { left, op, right } = expression
            && op == operator
        {
            parts.push(self.condition(right)?);
            expression = left;
        }
        parts.push(self.condition(expression)?);
        parts.reverse();
        Ok(parts)
    }

    fn comparison(&self, left: &Expr, op: &BinaryOperator, right: &Expr, whole: &Expr) -> Result<Predicate> {
        let comparison = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::AtMost,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::AtLeast,
            _ => return Err(refused("this operator", whole)),
        };
        let (field, literal, comparison, side) = match (self.operand(left)?, self.operand(right)?) {
            (Operand::Column(field), Operand::Literal(literal)) => (field, literal, comparison, left),
            (Operand::Literal(literal), Operand::Column(field)) => (field, literal, comparison.flipped(), right),
            (Operand::Column(_), Operand::Column(_)) => return Err(refused("comparing columns with each other", whole)),
            (Operand::Literal(_), Operand::Literal(_)) => return Err(refused("comparing literals with each other", whole)),
        };
        let (field, ty) = self.is_primitive(field, side)?;
        Ok(match literal.typed(field, ty)? {
            Some(value) => Predicate::Compare(field.id, comparison, value),
            None => Predicate::Constant(None),
        })
    }

    fn in_list(&self, column: &Expr, list: &[Expr]) -> Result<Predicate> {
        let (field, ty) = self.is_primitive(self.column(column)?, column)?;
        let mut values = Vec::with_capacity(list.len());
        for item in list {
            values.push(literal::Literal::read(item)?.typed(field, ty)?);
        }
        let with_null = values.contains(&None);
        let known = Predicate::In(field.id, values.into_iter().flatten().collect());
        // `x IN (1, NULL)` is true for 1 and null for everything else.
        Ok(if with_null { Predicate::Or(vec![known, Predicate::Constant(None)]) } else { known })
    }

    fn is(&self, column: &Expr, truth: bool) -> Result<Predicate> {
        let (field, _) = self.primitive(column, &[Primitive::Boolean])?;
        let known = Predicate::Not(Box::new(Predicate::IsNull(field.id)));
        Ok(Predicate::And(vec![known, Predicate::Compare(field.id, Comparison::Equal, Value::Bool(truth))]))
    }

    fn like(&self, column: &Expr, pattern: &Expr, escape: Option<&ValueWithSpan>) -> Result<Predicate> {
        let (field, _) = self.primitive(column, &[Primitive::String])?;
        let text = match literal::Literal::read(pattern)? {
            literal::Literal::Text(text) => text,
            literal::Literal::Null => return Ok(Predicate::Constant(None)),
            _ => return Err(refused("patterns that are not text", pattern)),
        };
        let escape = match escape.map(|escape| &escape.value) {
            Some(SqlValue::SingleQuotedString(escape)) if escape.chars().count() == 1 => escape.chars().next(),
            Some(_) => return Err(refused("escapes of other than one character", pattern)),
            // Engines disagree on whether a backslash escapes by itself.
            None if text.contains('\\') => {
                return Err(
                    refused("backslashes in patterns without ESCAPE", pattern).hint("say the escape character: LIKE '…' ESCAPE '\\'")
                );
            }
            None => None,
        };
        pattern_parts(&text, escape)
            .map(|parts| Predicate::Like(field.id, Pattern(parts)))
            .ok_or_else(|| refused("an escape before other than %, _ or itself", pattern))
    }

    fn operand(&self, expression: &Expr) -> Result<Operand<'a>> {
        match expression {
            Expr::Nested(inner) => self.operand(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.column(expression).map(Operand::Column),
            _ => literal::Literal::read(expression).map(Operand::Literal),
        }
    }

    /// The column that `expression` names and its type, which must be one of `types`.
    fn primitive(&self, expression: &Expr, types: &[Primitive]) -> Result<(&'a Field, Primitive)> {
        let (field, ty) = self.is_primitive(self.column(expression)?, expression)?;
        if types.contains(&ty) {
            return Ok((field, ty));
        }
        Err(refused("this condition on a column of its type", expression)
            .about("column", &field.name)
            .about("type", literal::type_name(ty)))
    }

    fn is_primitive(&self, field: &'a Field, expression: &Expr) -> Result<(&'a Field, Primitive)> {
        match field.ty {
            Type::Primitive(ty) => Ok((field, ty)),
            Type::Struct(_) | Type::List(_) | Type::Map(..) => {
                Err(refused("conditions on nested columns but IS NULL", expression).about("column", &field.name))
            }
        }
    }

    fn column(&self, expression: &Expr) -> Result<&'a Field> {
        match expression {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(name) => self.named(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.named(names),
            other => Err(unsupported(other)),
        }
    }

    fn named(&self, names: &[Ident]) -> Result<&'a Field> {
        let mut fields = self.schema.fields.as_slice();
        let mut found = None;
        for name in names {
            let field = pick(fields, name)?;
            found = Some(field);
            fields = match &field.ty {
                Type::Struct(members) => members,
                Type::Primitive(_) | Type::List(_) | Type::Map(..) => &[],
            };
        }
        found.ok_or_else(|| Error::usage("the filter names no column"))
    }
}

/// The one field that `name` means.
fn pick<'a>(fields: &'a [Field], name: &Ident) -> Result<&'a Field> {
    if let Some(field) = fields.iter().find(|field| field.name == name.value) {
        return Ok(field);
    }
    let lower = name.value.to_lowercase();
    let alike: Vec<&Field> = fields.iter().filter(|field| name.quote_style.is_none() && field.name.to_lowercase() == lower).collect();
    match alike.as_slice() {
        [field] => Ok(field),
        [] => {
            let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).take(MOST_COLUMNS).collect();
            if fields.len() > names.len() {
                names.push("…");
            }
            Err(Error::usage("the filter names a column that is not there")
                .about("at", place(name.span.start))
                .about("columns", names.join(", "))
                .hint("write text in single quotes: name = 'x'; double quotes are for columns"))
        }
        _ => Err(Error::usage("the filter names a column whose name is not unique")
            .about("at", place(name.span.start))
            .hint("write it in double quotes")),
    }
}

/// The parts of a LIKE pattern; `None` if `escape` stands before an ordinary character.
fn pattern_parts(text: &str, escape: Option<char>) -> Option<Vec<PatternPart>> {
    let mut parts = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = if Some(c) == escape {
            chars.next().filter(|next| matches!(next, '%' | '_') || Some(*next) == escape)?
        } else {
            match c {
                '%' => {
                    parts.push(PatternPart::Any);
                    continue;
                }
                '_' => {
                    parts.push(PatternPart::One);
                    continue;
                }
                plain => plain,
            }
        };
        match parts.last_mut() {
            Some(PatternPart::Text(text)) => text.push(plain),
            _ => parts.push(PatternPart::Text(plain.into())),
        }
    }
    Some(parts)
}

fn unsupported(expression: &Expr) -> Error {
    match expression {
        Expr::Function(function) => refused("functions", expression).about("function", &function.name),
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => refused("subqueries", expression),
        Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => refused("arithmetic", expression),
        Expr::Case { .. } => refused("CASE", expression),
        Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } | Expr::Like { .. } => refused("this kind of pattern", expression),
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => refused("IS DISTINCT FROM", expression),
        Expr::Interval(_) => refused("intervals", expression),
        Expr::CompoundFieldAccess { .. } => refused("elements of lists and maps", expression),
        Expr::Cast { .. } => refused("this cast", expression),
        Expr::Value(_) | Expr::TypedString(_) => refused("a literal in this place", expression),
        _ => refused("this expression", expression),
    }
}
