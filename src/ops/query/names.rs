//! Unquoted names mean columns whatever their case, where only one fits. Quoted ones mean exactly what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Select, SelectItem, Statement, TableFactor, VisitMut, VisitorMut};

use crate::model::Schema;

/// Every name that an expression of the statement may mean.
#[derive(Debug, Default)]
pub struct Names {
    exact: BTreeSet<String>,
    /// By lower case; `None` where several differ in case only.
    folded: BTreeMap<String, Option<String>>,
}

impl Names {
    /// Adds the columns of a table, and members of structs.
    pub fn add_columns(&mut self, schema: &Schema) {
        for field in schema.leaves_and_groups() {
            self.add(&field.name);
        }
    }

    /// Adds a column, or a member of a struct.
    pub fn add(&mut self, name: &str) {
        if self.exact.insert(name.to_string()) {
            let slot = self.folded.entry(name.to_lowercase());
            slot.and_modify(|known| *known = None).or_insert_with(|| Some(name.to_string()));
        }
    }

    /// Spells unquoted names in `statement` as the columns, or the names the statement itself gives, that they mean.
    pub fn apply(mut self, statement: &mut Statement) {
        let mut own = Own(Vec::new());
        let _: ControlFlow<()> = statement.visit(&mut own);
        for name in &own.0 {
            self.add(name);
        }
        let _: ControlFlow<()> = statement.visit(&mut Speller(&self));
    }

    fn spell(&self, ident: &mut Ident) {
        if ident.quote_style.is_none()
            && !self.exact.contains(&ident.value)
            && let Some(Some(name)) = self.folded.get(&ident.value.to_lowercase())
        {
            ident.value.clone_from(name);
        }
    }
}

/// Names that the statement gives: aliases of columns and tables, common table expressions.
struct Own(Vec<String>);

impl VisitorMut for Own {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.0.push(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut sqlparser::ast::Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.0.push(table.alias.name.value.clone());
            self.0.extend(table.alias.columns.iter().map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
            _ => None,
        };
        if let Some(alias) = alias {
            self.0.push(alias.name.value.clone());
            self.0.extend(alias.columns.iter().map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }
}

struct Speller<'a>(&'a Names);

impl VisitorMut for Speller<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(name) => self.0.spell(name),
            Expr::CompoundIdentifier(names) => names.iter_mut().for_each(|name| self.0.spell(name)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::GenericDialect;
    use sqlparser::parser::Parser;

    use super::*;
    use crate::model::{Field, Primitive, Type};

    fn spelled(sql: &str) -> String {
        let field = |name: &str| Field {
            id: 1,
            name: name.into(),
            physical: name.into(),
            required: false,
            ty: Type::Primitive(Primitive::Int),
            initial_default: None,
        };
        let mut names = Names::default();
        names.add_columns(&Schema { fields: ["OrderId", "a.b", "x", "X", "day"].map(field).into() });
        let mut statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        names.apply(&mut statement);
        statement.to_string()
    }

    #[test]
    fn unquoted_names_find_the_one_column_they_can_mean() {
        assert_eq!(spelled("SELECT orderid, t.ORDERID FROM t AS t"), "SELECT OrderId, t.OrderId FROM t AS t");
        assert_eq!(spelled("SELECT \"orderid\" FROM t"), "SELECT \"orderid\" FROM t");
        assert_eq!(spelled("SELECT x, X FROM t"), "SELECT x, X FROM t");
        assert_eq!(spelled("SELECT count(DAY) AS Days FROM t ORDER BY days"), "SELECT count(day) AS Days FROM t ORDER BY Days");
        assert_eq!(spelled("SELECT T1.day FROM t AS t1"), "SELECT t1.day FROM t AS t1");
        assert_eq!(spelled("SELECT other FROM t WHERE s = 'ORDERID'"), "SELECT other FROM t WHERE s = 'ORDERID'");
    }
}
