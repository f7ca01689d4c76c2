//! Queries: SQL over tables now or as of earlier, read-only.
//!
//! The text is read once ([`statement`]): what would change anything is refused, references become tables. Tables are then loaded at the states
//! asked for, unquoted names are matched with their columns, and the engine runs the rest.

pub mod clauses;
pub mod names;
mod reads;
mod relation;
pub mod statement;

use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::sql::{Answer, Relation, Sql};
use crate::error::{Error, Kind, Result};
use crate::formats::Table;
use relation::TableRelation;
use statement::Request;

/// Tables about a table, by what follows the last `$`.
const METADATA_TABLES: [&str; 6] = ["history", "snapshots", "files", "partitions", "refs", "manifests"];

/// Finds tables by what people write for them.
#[async_trait]
pub trait Tables: Send + Sync {
    /// The table `reference` means, perhaps seen from a branch or tag (`table#branch`).
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `Refused` if it is ambiguous; `Unsupported` and `Usage` for references that cannot be followed.
    async fn open(&self, reference: &str) -> Result<Box<dyn Table>>;
}

/// Runs the query of `request`.
///
/// # Errors
///
/// `Usage` for a query that makes no sense, `Refused` for one that would change anything, errors of finding and reading its tables.
pub async fn run(request: &Request<'_>, tables: &dyn Tables, engine: &dyn Sql) -> Result<Answer> {
    let mut parsed = statement::read(request)?;
    let mut relations: Vec<(String, Arc<dyn Relation>)> = Vec::new();
    let mut known = names::Names::default();
    for used in &parsed.tables {
        let table = tables.open(&used.reference).await.map_err(|error| metadata_table(error, &used.reference))?;
        let version = match &used.at {
            Some(at) => table.load_at(at).await,
            None => table.load().await,
        };
        let relation = TableRelation::new(version.map_err(|error| error.about("asked_for", &used.name))?)?;
        known.add_columns(relation.schema());
        relations.push((used.name.clone(), Arc::new(relation)));
    }
    known.apply(&mut parsed.statement);
    engine.query(parsed.statement, relations).await
}

/// What is not there may be meant as a table about a table.
fn metadata_table(error: Error, reference: &str) -> Error {
    let name = reference.rsplit_once('$').map(|(_, name)| name).filter(|name| METADATA_TABLES.contains(name));
    match name {
        Some(name) if error.kind() == Kind::NotFound => Error::unsupported("metadata tables are not in this version")
            .about("name", format!("${name}"))
            .hint("otf inspect shows files, partitions, properties and references of a table"),
        _ => error,
    }
}
