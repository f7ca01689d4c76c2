//! The SQL that statements are written in: sqlparser's general dialect, with two operators bound as PostgreSQL and DuckDB bind them.
//!
//! The parser itself reads what follows `IS [NOT] DISTINCT FROM` as a whole condition, so that `a IS DISTINCT FROM b OR c` would ask for
//! `a IS DISTINCT FROM (b OR c)`; and it binds `||` as tightly as `*`, so that `'1' || 2 * 3` would be `12 * 3`.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// See the module.
#[derive(Debug)]
pub(super) struct Sql;

const GENERAL: GenericDialect = GenericDialect {};

/// Answers as the general dialect does.
macro_rules! as_in_general {
    ($($question:ident)*) => { $(fn $question(&self) -> bool { GENERAL.$question() })* };
}

impl Dialect for Sql {
    /// Parts of the parser ask for the dialect by its type.
    fn dialect(&self) -> TypeId {
        GENERAL.dialect()
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let is = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        let is_not = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let differ: fn(Box<Expr>, Box<Expr>) -> Expr = if parser.parse_keywords(&is) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&is_not) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        Some(parser.parse_subexpr(precedence).map(|right| differ(Box::new(left.clone()), Box::new(right))))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        // Less than sums, more than comparisons.
        (parser.peek_token_ref().token == Token::StringConcat).then(|| Ok(self.prec_value(Precedence::Pipe)))
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        GENERAL.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        GENERAL.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        GENERAL.is_identifier_part(c)
    }

    as_in_general! {
        supports_unicode_string_literal supports_partition_by_after_order_by supports_array_join_syntax supports_group_by_expr
        supports_group_by_with_modifier supports_left_associative_joins_without_parens supports_connect_by supports_match_recognize
        supports_pipe_operator supports_start_transaction_modifier supports_window_function_null_treatment_arg supports_dictionary_syntax
        supports_window_clause_named_window_reference supports_parenthesized_set_variables supports_select_wildcard_except
        support_map_literal_syntax allow_extract_custom allow_extract_single_quotes supports_extract_comma_syntax
        supports_create_view_comment_syntax supports_parens_around_table_factor supports_values_as_table_factor
        supports_create_index_with_clause supports_explain_with_utility_options supports_limit_comma supports_update_order_by
        supports_from_first_select supports_projection_trailing_commas supports_asc_desc_in_column_definition supports_try_convert
        supports_bitwise_shift_operators supports_comment_on supports_load_extension supports_named_fn_args_with_assignment_operator
        supports_struct_literal supports_empty_projections supports_nested_comments supports_multiline_comment_hints
        supports_user_host_grantee supports_string_escape_constant supports_array_typedef_with_brackets supports_match_against
        supports_set_names supports_comma_separated_set_assignments supports_filter_during_aggregation supports_select_wildcard_exclude
        supports_data_type_signed_suffix supports_interval_options supports_quote_delimited_string supports_select_wildcard_replace
        supports_select_wildcard_ilike supports_select_wildcard_rename supports_optimize_table supports_install supports_detach
        supports_prewhere supports_with_fill supports_limit_by supports_interpolate supports_settings supports_select_format
        supports_comment_optimizer_hint supports_constraint_keyword_without_name supports_key_column_option supports_comma_separated_trim
        supports_cte_without_as supports_select_item_multi_column_alias supports_xml_expressions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How `text` is understood, with every operation in brackets.
    fn bracketed(text: &str) -> String {
        let parsed = Parser::new(&Sql).try_with_sql(text).unwrap().parse_expr().unwrap();
        fn shown(expression: &Expr) -> String {
            match expression {
                Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shown(left), shown(right)),
                Expr::IsDistinctFrom(left, right) => format!("({} differs {})", shown(left), shown(right)),
                Expr::IsNotDistinctFrom(left, right) => format!("({} same {})", shown(left), shown(right)),
                Expr::UnaryOp { op, expr } => format!("({op} {})", shown(expr)),
                Expr::IsNull(inner) => format!("({} null)", shown(inner)),
                Expr::Nested(inner) => shown(inner),
                other => other.to_string(),
            }
        }
        shown(&parsed)
    }

    #[test]
    fn distinct_from_binds_as_is_does() {
        for (text, understood) in [
            ("a IS DISTINCT FROM b OR c", "((a differs b) OR c)"),
            ("x AND a IS NOT DISTINCT FROM b OR c", "((x AND (a same b)) OR c)"),
            ("x OR a IS NOT DISTINCT FROM b AND c", "(x OR ((a same b) AND c))"),
            ("NOT a IS DISTINCT FROM b AND c", "((NOT (a differs b)) AND c)"),
            ("a = 1 IS DISTINCT FROM b + 1 = 2", "((a = 1) differs ((b + 1) = 2))"),
            ("a IS DISTINCT FROM b IS NULL", "((a differs b) null)"),
            ("a IS DISTINCT FROM (b OR c)", "(a differs (b OR c))"),
            ("a IS NULL OR b", "((a null) OR b)"),
        ] {
            assert_eq!(bracketed(text), understood, "{text}");
        }
    }

    #[test]
    fn texts_are_joined_after_sums_and_before_comparisons() {
        for (text, understood) in [
            ("a || b * c", "(a || (b * c))"),
            ("a + b || c - d", "((a + b) || (c - d))"),
            ("a || b = c || d AND e", "(((a || b) = (c || d)) AND e)"),
            ("a || b || c", "((a || b) || c)"),
        ] {
            assert_eq!(bracketed(text), understood, "{text}");
        }
    }
}
