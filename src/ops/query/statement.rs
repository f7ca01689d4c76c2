//! The statement: read, held to reading, its tables named.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, ObjectName, Query, ShowStatementIn, Statement, TableAlias, TableFactor, VisitMut, VisitorMut};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Tokenizer;

use super::clauses::{self, Clause, Clauses};
use super::dialect::Sql;
use super::nesting::{depth, path};
use super::{meaning, reads, unheeded};
use crate::error::{Error, Result};
use crate::model::{At, Version};
use crate::units::parse_time;

/// Expressions nested deeper than this are refused: they are walked on the stack.
const DEEPEST: usize = 100;
/// Brackets within brackets a statement may hold.
const MOST_BRACKETS: usize = 20;
/// Names that dots join to a path.
const MOST_NAMES: usize = 16;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The statement.
    pub sql: &'a str,
    /// Names that stand for tables in the statement, with what people write for those tables.
    pub named: &'a [(String, String)],
    /// The state of every table that has no clause of its own.
    pub as_of: Option<At>,
    /// The zone of times that have no offset.
    pub zone: Option<&'a str>,
}

/// A statement whose tables have names of ours.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The statement.
    pub statement: Statement,
    /// Its tables, each state of each once.
    pub tables: Vec<Used>,
}

/// A table of the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Its name in [`Parsed::statement`].
    pub name: String,
    /// What people wrote for it.
    pub reference: String,
    /// The state asked for.
    pub at: Option<At>,
    /// Whether a clause of its own asks for it.
    pub by_clause: bool,
}

/// Reads the statement of `request`.
///
/// # Errors
///
/// `Usage` for text that is no single SQL statement, `Refused` for anything but `SELECT`, `EXPLAIN` and `SHOW`.
pub fn read(request: &Request<'_>) -> Result<Parsed> {
    let (mut statement, clauses) = parse(request.sql)?;
    reads::check(&statement)?;
    unheeded::check(&statement)?;
    let mut common = CommonNames::default();
    let _: ControlFlow<()> = statement.visit(&mut common);
    let mut resolver = Resolver { request, common: common.0, clauses, tables: Vec::new() };
    if let ControlFlow::Break(error) = statement.visit(&mut resolver) {
        return Err(*error);
    }
    if let Some((line, column)) = resolver.clauses.keys().next() {
        return Err(Error::usage("VERSION AS OF or TIMESTAMP AS OF follows something that is no table")
            .about("at", format!("line {line}, column {column}")));
    }
    Ok(Parsed { statement, tables: resolver.tables })
}

fn parse(text: &str) -> Result<(Statement, Clauses)> {
    let dialect = Sql;
    let unreadable = || Error::usage("the query is not SQL that can be understood");
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| unreadable().about("at", clauses::place(error.location)))?;
    let (tokens, clauses) = clauses::take(tokens)?;
    reads::check_first(&tokens)?;
    for (found, most) in [(depth(&tokens), MOST_BRACKETS), (path(&tokens), MOST_NAMES)] {
        if found > most {
            return Err(Error::usage("the query is nested too deeply")
                .about("most", most)
                .hint("give inner parts a name: WITH name AS (…)"));
        }
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEEPEST).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => Error::usage("the query is nested too deeply"),
        // The parser's message holds the text it stumbled over.
        ParserError::TokenizerError(_) | ParserError::ParserError(_) => unreadable()
            .about("near", clauses::place(parser.peek_token().span.start))
            .hint("names of tables that are places stand in quotes: FROM 's3://bucket/table'"),
    })?;
    match <[Statement; 1]>::try_from(statements) {
        Ok([statement]) => Ok((statement, clauses)),
        Err(several) => Err(Error::usage("exactly one statement is run at a time").about("statements", several.len())),
    }
}

/// Names of common table expressions, anywhere in the statement.
#[derive(Default)]
struct CommonNames(BTreeSet<String>);

impl VisitorMut for CommonNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(tables.map(|table| table.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

/// Gives every table a name of ours.
struct Resolver<'a> {
    request: &'a Request<'a>,
    common: BTreeSet<String>,
    clauses: Clauses,
    tables: Vec<Used>,
}

impl VisitorMut for Resolver<'_> {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        match self.resolve(name) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(shown)) => {
                alias.get_or_insert_with(|| TableAlias {
                    explicit: true,
                    name: Ident::with_quote('"', shown),
                    columns: Vec::new(),
                    at: None,
                });
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        meaning::spell_out(expression);
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Self::Break> {
        let Statement::ShowColumns { show_options, .. } = statement else { return ControlFlow::Continue(()) };
        let Some(ShowStatementIn { parent_name: Some(name), .. }) = &mut show_options.show_in else { return ControlFlow::Continue(()) };
        match self.resolve(name) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl Resolver<'_> {
    /// Puts our name for a table in place of `name`; `None` leaves it alone. Returns the name that columns may be qualified with.
    fn resolve(&mut self, name: &mut ObjectName) -> Result<Option<String>> {
        let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        let Some(parts) = parts else { return Ok(None) };
        let Some(last) = parts.last() else { return Ok(None) };
        let clause = self.clauses.remove(&clauses::key(last.span.start));
        let own = clause.map(|clause| state(&clause, self.request.zone)).transpose()?;
        let found = match parts.as_slice() {
            [single] => match self.common.iter().find(|known| same(known, single)) {
                Some(known) => {
                    *name = ObjectName::from(vec![Ident::with_quote('"', known)]);
                    None
                }
                None => Some(self.single(single)?),
            },
            [first, ..] if first.value.eq_ignore_ascii_case("information_schema") => None,
            several => {
                let reference: Vec<&str> = several.iter().map(|part| part.value.as_str()).collect();
                Some((reference.join("."), last.value.clone()))
            }
        };
        let Some((reference, shown)) = found else {
            return match own {
                Some(_) => Err(Error::usage("only tables have versions: a common table expression has none").about("name", &last.value)),
                None => Ok(None),
            };
        };
        let by_clause = own.is_some();
        let at = own.or_else(|| self.request.as_of.clone());
        let name_of_ours = match &at {
            None => reference.clone(),
            Some(At::Version(version)) => format!("{reference}@{version}"),
            Some(At::Time(time)) => format!("{reference}@{time}"),
            Some(At::Ref(name)) => format!("{reference}@{name}"),
        };
        if !self.tables.iter().any(|used| used.name == name_of_ours) {
            self.tables.push(Used { name: name_of_ours.clone(), reference, at, by_clause });
        }
        *name = ObjectName::from(vec![Ident::with_quote('"', name_of_ours)]);
        Ok(Some(shown))
    }

    /// What a name of one part means: a reference, and the name to qualify columns with.
    fn single(&self, name: &Ident) -> Result<(String, String)> {
        if let Some((known, reference)) = self.request.named.iter().find(|(known, _)| same(known, name)) {
            return Ok((reference.clone(), known.clone()));
        }
        // A given name with a subject behind it (`t$files`) is about the table of that name.
        let about = name.value.rsplit_once('$').and_then(|(table, subject)| {
            let table = Ident { value: table.to_string(), ..name.clone() };
            self.request.named.iter().find(|(known, _)| same(known, &table)).map(|(_, reference)| format!("{reference}${subject}"))
        });
        if let Some(reference) = about {
            return Ok((reference, name.value.clone()));
        }
        match name.quote_style {
            Some(_) => Ok((name.value.clone(), short_name(&name.value))),
            None => Err(Error::not_found("the query names a table that is not known")
                .about("name", &name.value)
                .hint("put a place in quotes (FROM './orders'), or give the name a table with --table name=TABLE")),
        }
    }
}

/// Whether `name` means what is called `known`: unquoted names have no case.
fn same(known: &str, name: &Ident) -> bool {
    *known == name.value || (name.quote_style.is_none() && known.eq_ignore_ascii_case(&name.value))
}

/// The last part of a place, which columns may be qualified with.
fn short_name(reference: &str) -> String {
    let last = reference.trim_end_matches('/').rsplit('/').next().unwrap_or(reference);
    last.split_once('#').map_or(last, |(table, _)| table).to_string()
}

fn state(clause: &Clause, zone: Option<&str>) -> Result<At> {
    match clause {
        Clause::Version(text) => Ok(text.parse().map_or_else(|_| At::Ref(text.clone()), |version| At::Version(Version(version)))),
        Clause::Time(text) => parse_time(text, zone).map(At::Time),
    }
}

/// Reads `--as-of`: a version, a time, or the name of a branch or tag. What begins like a date is a time.
///
/// # Errors
///
/// `Usage` for a time that cannot be read.
pub fn as_of(text: &str, zone: Option<&str>) -> Result<At> {
    let mut start = text.bytes();
    let dated = start.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4 && start.next() == Some(b'-');
    if dated { parse_time(text, zone).map(At::Time) } else { state(&Clause::Version(text.to_string()), zone) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::units::Timestamp;

    fn request<'a>(sql: &'a str, named: &'a [(String, String)]) -> Request<'a> {
        Request { sql, named, as_of: None, zone: None }
    }

    fn used(sql: &str) -> Vec<(String, Option<At>)> {
        let named = [("orders".to_string(), "/d/o".to_string())];
        let parsed = read(&request(sql, &named)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        parsed.tables.into_iter().map(|used| (used.reference, used.at)).collect()
    }

    fn kind(sql: &str) -> Kind {
        read(&request(sql, &[])).unwrap_err().kind()
    }

    #[test]
    fn places_names_and_given_names_are_found_in_every_form() {
        let one = |reference: &str| vec![(reference.to_string(), None)];
        assert_eq!(used("SELECT * FROM 's3://b/t'"), one("s3://b/t"));
        assert_eq!(used("SELECT * FROM \"./a b\" AS x"), one("./a b"));
        assert_eq!(used("SELECT * FROM prod.db.t"), one("prod.db.t"));
        assert_eq!(used("SELECT * FROM ORDERS"), one("/d/o"));
        assert_eq!(used("WITH a AS (SELECT * FROM 't') SELECT * FROM a JOIN \"a\" AS b ON true"), one("t"));
        assert_eq!(used("SELECT (SELECT max(x) FROM 't'), 'FROM \"u\"'"), one("t"));
        assert!(used("SELECT * FROM generate_series(1, 3)").is_empty());
        assert_eq!(used("SHOW COLUMNS FROM 't'"), one("t"));
        assert_eq!(used("SELECT * FROM \"orders$files\""), one("/d/o$files"));
        assert_eq!(used("SELECT * FROM prod.db.\"t$history\""), one("prod.db.t$history"));
    }

    #[test]
    fn every_form_of_time_travel_is_understood() {
        let at = |sql: &str| used(sql)[0].1.clone();
        let version = Some(At::Version(Version(12)));
        let time = Some(At::Time(Timestamp(1_767_225_600_000)));
        for clause in ["VERSION AS OF 12", "for version as of 12", "FOR SYSTEM_VERSION AS OF 12", "VERSION AS OF '12'"] {
            assert_eq!(at(&format!("SELECT * FROM 't' {clause} AS x WHERE a = 'VERSION AS OF 3'")), version, "{clause}");
        }
        let times = ["TIMESTAMP AS OF '2026-01-01T00:00:00Z'", "FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01 01:00:00+01:00'"];
        for clause in times {
            assert_eq!(at(&format!("SELECT * FROM prod.db.t {clause} x")), time, "{clause}");
        }
        assert_eq!(at("SELECT * FROM \"t\" VERSION /* a note */ AS OF 'dev'"), Some(At::Ref("dev".into())));
        let both = used("SELECT * FROM 't' VERSION AS OF 1 a JOIN 't' VERSION AS OF 2 b ON a.x = b.x JOIN 't' VERSION AS OF 1 c ON true");
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn clauses_that_name_no_state_or_no_table_are_refused() {
        for sql in [
            "SELECT * FROM 't' VERSION AS OF",
            "SELECT * FROM 't' VERSION AS OF x",
            "SELECT * FROM 't' TIMESTAMP AS OF '2026-01-01T00:00:00'",
            "SELECT * FROM 't' TIMESTAMP AS OF 5",
            "SELECT a VERSION AS OF 3 FROM 't'",
            "WITH a AS (SELECT 1) SELECT * FROM a VERSION AS OF 3",
            "VERSION AS OF 3",
            "SELECT * FROM 't' VERSION AS OF 3 TIMESTAMP AS OF '2026-01-01T00:00:00Z'",
            "SELECT * FROM 't' VERSION AS OF 3 VERSION AS OF 3",
        ] {
            assert_eq!(kind(sql), Kind::Usage, "{sql}");
        }
        assert_eq!(kind("SELECT * FROM t"), Kind::NotFound);
    }

    #[test]
    fn whatever_would_change_something_is_refused() {
        for sql in [
            "INSERT INTO 't' VALUES (1)",
            "DELETE FROM 't'",
            "COPY (SELECT 1) TO 'x.csv'",
            "CREATE TABLE x AS SELECT 1",
            "CREATE VIEW x AS SELECT 1",
            "DROP TABLE x",
            "SET a = 1",
            "EXPLAIN INSERT INTO x SELECT 1",
            "EXPLAIN ANALYZE DELETE FROM x",
            "SELECT 1 INTO x",
            "WITH a AS (INSERT INTO t VALUES (1)) SELECT * FROM a",
            "TRUNCATE TABLE x",
            "PREPARE p AS SELECT 1",
            "CALL f()",
        ] {
            assert_eq!(kind(sql), Kind::Refused, "{sql}");
        }
        assert_eq!(kind("SELECT 1; SELECT 2"), Kind::Usage);
        assert_eq!(kind("SELEKT 1"), Kind::Usage);
        assert_eq!(kind(&format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000))), Kind::Usage);
    }

    /// The parser tries several readings at each bracket and each dot: these kept it busy for longer than anybody waits.
    #[test]
    fn statements_are_read_up_to_a_depth_that_takes_no_time() {
        let nested = |levels: usize| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
        assert!(read(&request(&nested(MOST_BRACKETS), &[])).is_ok());
        for endless in [nested(MOST_BRACKETS + 1), format!("SELECT {}1", "NOT (".repeat(26)), format!("SELECT 1 WHERE {}", "s.".repeat(38))]
        {
            let error = read(&request(&endless, &[])).unwrap_err();
            assert_eq!((error.kind(), error.message()), (Kind::Usage, "the query is nested too deeply"), "{endless}");
        }
    }

    #[test]
    fn a_timestamp_that_does_not_say_so_counts_microseconds() {
        let shown = |sql: &str| read(&request(sql, &[])).unwrap().statement.to_string();
        assert_eq!(shown("SELECT TIMESTAMP '2900-01-01'"), "SELECT TIMESTAMP(6) '2900-01-01'");
        assert_eq!(shown("SELECT CAST(a AS TIMESTAMP), a::TIMESTAMP(9)"), "SELECT CAST(a AS TIMESTAMP(6)), a::TIMESTAMP(9)");
    }

    #[test]
    fn as_of_is_a_version_a_time_or_a_name() {
        assert_eq!(as_of("7", None).unwrap(), At::Version(Version(7)));
        assert_eq!(as_of("1970-01-01T01:00:00", Some("+01:00")).unwrap(), At::Time(Timestamp(0)));
        assert_eq!(as_of("v1-2026", None).unwrap(), At::Ref("v1-2026".into()));
        assert!(as_of("2026-01-01", None).is_err());
    }
}
