//! Queries: SQL over tables now or as of earlier, read-only.
//!
//! The text is read once ([`statement`]): what would change anything is refused, references become tables. Tables are then loaded at the states
//! asked for, unquoted names are matched with their columns, and the engine runs the rest.

mod about;
pub mod clauses;
mod dialect;
mod meaning;
pub mod names;
pub mod nesting;
mod reads;
mod relation;
pub mod statement;
mod unheeded;

use std::sync::Arc;

use async_trait::async_trait;
use sqlparser::ast::Statement;

pub use crate::engine::scan::Preview;
use crate::engine::sql::{Answer, Source, Sql};
pub use crate::engine::sql::{Explained, Files, ScanReport};
use crate::error::{Error, Kind, Result};
use crate::formats::{Table, TableVersion};
use about::{About, Subject};
use relation::TableRelation;
use statement::{Request, Used};

/// Finds tables by what people write for them.
#[async_trait]
pub trait Tables: Send + Sync {
    /// The table `reference` means, perhaps seen from a branch or tag (`table#branch`).
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `Refused` if it is ambiguous; `Unsupported` and `Usage` for references that cannot be followed.
    async fn open(&self, reference: &str) -> Result<Box<dyn Table>>;

    /// Takes note of what people ought to know of a table they asked for.
    fn remark(&self, _reference: &str, _remark: &str) {}
}

/// Runs the query of `request`.
///
/// # Errors
///
/// `Usage` for a query that makes no sense, `Refused` for one that would change anything, errors of finding and reading its tables.
pub async fn run(request: &Request<'_>, tables: &dyn Tables, engine: &dyn Sql) -> Result<Answer> {
    let (statement, sources) = prepare(request, tables).await?;
    engine.query(statement, sources).await
}

/// How the query of `request` would be run, and what it would read.
///
/// # Errors
///
/// As [`run`].
pub async fn explain(request: &Request<'_>, tables: &dyn Tables, engine: &dyn Sql) -> Result<Explained> {
    let (statement, sources) = prepare(request, tables).await?;
    let statement = match statement {
        Statement::Explain { statement, .. } => *statement,
        other => other,
    };
    engine.explain(statement, sources).await
}

async fn prepare(request: &Request<'_>, tables: &dyn Tables) -> Result<(Statement, Vec<(String, Source)>)> {
    let mut parsed = statement::read(request)?;
    let mut sources = Vec::new();
    let mut known = names::Names::default();
    for used in &parsed.tables {
        let source = match opened(used, tables).await? {
            Opened::Table(version) => {
                let relation = TableRelation::new(version)?;
                known.add_columns(crate::engine::sql::Relation::schema(&relation));
                Source::Table(Arc::new(relation))
            }
            Opened::About(about) => {
                about.names().for_each(|name| known.add(name));
                Source::Listing(Arc::new(about))
            }
        };
        sources.push((used.name.clone(), source));
    }
    known.apply(&mut parsed.statement);
    Ok((parsed.statement, sources))
}

/// What a name in the statement came to.
enum Opened {
    Table(Arc<dyn TableVersion>),
    About(About),
}

/// Opens what `used` names. A `$` may be part of a folder's name: only where no table lies before it does it mean that.
async fn opened(used: &Used, tables: &dyn Tables) -> Result<Opened> {
    let Some((reference, subject)) = about::split(&used.reference) else {
        let table = tables.open(&used.reference).await?;
        return load(used, &used.reference, table.as_ref(), tables).await.map(Opened::Table);
    };
    let table = match tables.open(reference).await {
        Err(error) if error.kind() == Kind::NotFound => {
            let table = tables.open(&used.reference).await.map_err(|_| error)?;
            return load(used, &used.reference, table.as_ref(), tables).await.map(Opened::Table);
        }
        table => table?,
    };
    let format = table.format();
    subject.check(format)?;
    let version = if subject.has_versions() {
        load(used, reference, table.as_ref(), tables).await?
    } else {
        timeless(used, subject)?;
        table.load().await?
    };
    Ok(Opened::About(About::new(version, format, subject)))
}

/// Refuses a clause behind a table that has no versions. A state that is meant for every table says nothing of it.
fn timeless(used: &Used, subject: Subject) -> Result<()> {
    if !used.by_clause {
        return Ok(());
    }
    Err(Error::usage("this table is about all versions: it has none itself")
        .about("name", format!("${}", subject.name()))
        .hint("leave VERSION AS OF and TIMESTAMP AS OF out"))
}

/// The state of `table` that `used` asks for.
async fn load(used: &Used, reference: &str, table: &dyn Table, tables: &dyn Tables) -> Result<Arc<dyn TableVersion>> {
    let version = match &used.at {
        Some(at) => table.load_at(at).await,
        None => table.load().await,
    };
    let version = version.map_err(|error| error.about("asked_for", &used.name))?;
    if let Some(remark) = version.remark() {
        tables.remark(reference, remark);
    }
    Ok(version)
}
