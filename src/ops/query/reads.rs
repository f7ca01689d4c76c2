//! Whether a statement only reads.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, Select, SetExpr, Statement, Visit, Visitor};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Result};

/// Refuses what begins like a statement that does not read, in whatever dialect it goes on.
pub(super) fn check_first(tokens: &[TokenWithSpan]) -> Result<()> {
    const READING: [Keyword; 9] = [
        Keyword::SELECT,
        Keyword::WITH,
        Keyword::EXPLAIN,
        Keyword::SHOW,
        Keyword::VALUES,
        Keyword::FROM,
        Keyword::TABLE,
        Keyword::VERSION,
        Keyword::NoKeyword,
    ];
    match tokens.first().map(|token| &token.token) {
        Some(Token::Word(word)) if !READING.contains(&word.keyword) => Err(only_reads()),
        _ => Ok(()),
    }
}

/// Whether `statement` only reads.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement {
        Statement::Query(query) => check_query(query),
        Statement::Explain { statement, .. } => check(statement),
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } | Statement::ShowVariable { .. } | Statement::ShowFunctions { .. } => {
            Ok(())
        }
        _ => Err(only_reads()),
    }
}

fn only_reads() -> Error {
    Error::refused("queries only read: anything but SELECT, EXPLAIN and SHOW is refused")
        .hint("tables are changed by the other verbs; see `otf help`")
}

/// Looks for writes within a query: `SELECT … INTO`, and `INSERT` and the like as the body of a query or of a common table expression.
fn check_query(query: &Query) -> Result<()> {
    struct Writes;
    impl Visitor for Writes {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if writes(&query.body) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            if select.into.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
            if matches!(statement, Statement::Query(_)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    }
    let found = query.visit(&mut Writes);
    if found.is_break() { Err(only_reads()) } else { Ok(()) }
}

fn writes(body: &SetExpr) -> bool {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => true,
        SetExpr::SetOperation { left, right, .. } => writes(left) || writes(right),
        SetExpr::Query(query) => writes(&query.body),
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => false,
    }
}
