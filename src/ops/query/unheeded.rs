//! Clauses of other engines that the parser reads and the engine passes over: refused, for the rows would be others without a word.

use std::ops::ControlFlow;

use sqlparser::ast::{
    GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Select, SetExpr, SetOperator, SetQuantifier, Statement, TableFactor, Visit,
    Visitor,
};

use crate::error::{Error, Result};

/// Refuses a statement with such a clause.
///
/// # Errors
///
/// `Unsupported` with the clause's name.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Unheeded) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(Error::unsupported(format!("the query uses what is not understood: {what}"))),
    }
}

/// Looks for them, with the name of the first.
struct Unheeded;

/// The first of `clauses` that is there.
fn first(clauses: &[(bool, &'static str)]) -> ControlFlow<&'static str> {
    clauses.iter().find(|(is_there, _)| *is_there).map_or(ControlFlow::Continue(()), |(_, what)| ControlFlow::Break(*what))
}

impl Visitor for Unheeded {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let limits_groups = matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit_by, .. }) if !limit_by.is_empty());
        first(&[
            (counts(&query.body), "EXCEPT ALL and INTERSECT ALL"),
            (limits_groups, "LIMIT … BY"),
            (query.order_by.as_ref().is_some_and(fills), "WITH FILL and INTERPOLATE"),
            (query.for_clause.is_some(), "FOR XML, FOR JSON and FOR BROWSE"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
        first(&[
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!modifiers.is_empty(), "GROUP BY … WITH ROLLUP, CUBE or TOTALS: write GROUP BY ROLLUP (…)"),
            (select.exclude.is_some(), "EXCLUDE behind a list of columns: write * EXCLUDE (…)"),
            (select.value_table_mode.is_some(), "SELECT AS STRUCT and AS VALUE"),
            (select.top.is_some(), "TOP"),
        ])
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table { partitions, json_path, sample, version, .. } => first(&[
                (sample.is_some(), "TABLESAMPLE"),
                (!partitions.is_empty(), "PARTITION (…) behind a table"),
                (json_path.is_some(), "a path behind a table"),
                (version.is_some(), "this form of time travel"),
            ]),
            TableFactor::Derived { sample, .. } => first(&[(sample.is_some(), "TABLESAMPLE")]),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Whether rows would have to be counted to tell how often each of them stays.
fn counts(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            (all && *op != SetOperator::Union) || counts(left) || counts(right)
        }
        _ => false,
    }
}

fn fills(order: &OrderBy) -> bool {
    let filled = matches!(&order.kind, OrderByKind::Expressions(keys) if keys.iter().any(|key| key.with_fill.is_some()));
    filled || order.interpolate.is_some()
}
