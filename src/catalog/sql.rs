//! Catalogs in an SQL database, with the tables that Java's `JdbcCatalog` (schema V1) and pyiceberg's `SqlCatalog` keep.

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Row, SqliteConnection};

use crate::error::{Error, Kind, Result};
use crate::formats::iceberg::{self, NewMetadata, Pointer, Swap};
use crate::location::Location;
use crate::store::{Put, Store};

/// A table's name in a catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    /// The namespace, its levels joined by dots.
    pub namespace: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// Reads `namespace.table`: the last dot parts the two.
    ///
    /// # Errors
    ///
    /// A usage error if there is no namespace.
    pub fn parse(text: &str) -> Result<Self> {
        match text.rsplit_once('.') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_string(), name: name.to_string() })
            }
            _ => Err(Error::usage("a table in a catalog is named namespace.table").about("name", text)),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

/// An SQL catalog.
#[derive(Debug, Clone)]
pub struct SqlCatalog {
    pool: SqlitePool,
    catalog: String,
    /// Whether the database has the column `iceberg_type` (schema V1), which tells tables from views.
    typed: bool,
}

fn unavailable(error: sqlx::Error) -> Error {
    Error::unavailable("the SQL catalog did not answer as expected").because(error)
}

/// A database may hold paths without a scheme: pyiceberg takes them as local ones.
fn place(text: &str) -> Result<Location> {
    Location::parse(text).map_err(|e| Error::corrupt("the SQL catalog names a metadata file that is no absolute place").because(e))
}

impl SqlCatalog {
    /// Opens the catalog called `catalog` in the SQLite database `uri` (`sqlite:///path`, or a plain path). The database must exist.
    ///
    /// # Errors
    ///
    /// `Usage` for a uri of another kind; `NotFound` if there is no such database or it holds no catalog.
    pub async fn open(uri: &str, catalog: &str) -> Result<Self> {
        let uri = uri.strip_prefix("jdbc:").unwrap_or(uri);
        let path = match uri.split_once(':') {
            Some(("sqlite", rest)) => rest.strip_prefix("//").and_then(|rest| rest.strip_prefix('/').or(Some(rest))).unwrap_or(rest),
            Some((scheme, _)) if scheme.len() > 1 => {
                return Err(
                    Error::unsupported(format!("SQL catalogs in '{scheme}' are not supported by this build")).hint("use sqlite:///path")
                );
            }
            _ => uri,
        };
        let absolute = uri.starts_with("sqlite:////") || uri.starts_with('/') || !uri.contains(':');
        // `sqlite:///x` is how SQLAlchemy spells a relative path and JDBC an absolute one: the file that exists is meant.
        let mut candidates = vec![path.to_string()];
        if !absolute {
            candidates.insert(0, format!("/{path}"));
        }
        let mut last = None;
        for candidate in candidates {
            let options = SqliteConnectOptions::new().filename(&candidate).create_if_missing(false);
            match SqlitePoolOptions::new().max_connections(2).connect_with(options).await {
                Ok(pool) => return Self::with_pool(pool, catalog).await,
                Err(error) => last = Some(error),
            }
        }
        let error = Error::not_found("there is no such SQL catalog").about("uri", uri);
        Err(last.into_iter().fold(error, Error::because))
    }

    /// The catalog called `catalog` in an open database.
    ///
    /// # Errors
    ///
    /// `NotFound` if the database holds no catalog.
    pub async fn with_pool(pool: SqlitePool, catalog: &str) -> Result<Self> {
        let columns = sqlx::query("SELECT name FROM pragma_table_info('iceberg_tables')").fetch_all(&pool).await.map_err(unavailable)?;
        if columns.is_empty() {
            return Err(Error::not_found("the database holds no Iceberg catalog (table iceberg_tables)"));
        }
        let typed = columns.iter().any(|row| row.try_get::<String, _>(0).is_ok_and(|name| name == "iceberg_type"));
        Ok(Self { pool, catalog: catalog.to_string(), typed })
    }

    /// What tells tables from views.
    const fn tables_only(&self) -> &'static str {
        if self.typed { " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" } else { "" }
    }

    /// Every table, sorted.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the database did not answer.
    pub async fn list(&self) -> Result<Vec<TableName>> {
        let sql = format!("SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ?{}", self.tables_only());
        let rows = sqlx::query(&sql).bind(&self.catalog).fetch_all(&self.pool).await.map_err(unavailable)?;
        let name = |row: sqlx::sqlite::SqliteRow| {
            Ok(TableName { namespace: row.try_get(0).map_err(unavailable)?, name: row.try_get(1).map_err(unavailable)? })
        };
        let mut names = rows.into_iter().map(name).collect::<Result<Vec<TableName>>>()?;
        names.sort();
        Ok(names)
    }

    /// Where the current metadata file of `table` is.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such table.
    pub async fn metadata_file(&self, table: &TableName) -> Result<Location> {
        place(&self.metadata_text(table).await?)
    }

    async fn metadata_text(&self, table: &TableName) -> Result<String> {
        let sql = format!(
            "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?{}",
            self.tables_only()
        );
        let query = sqlx::query(&sql).bind(&self.catalog).bind(&table.namespace).bind(&table.name);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        let text: Option<String> = row.map(|row| row.try_get(0)).transpose().map_err(unavailable)?.flatten();
        text.ok_or_else(|| Error::not_found("there is no such table in the catalog").about("table", table).about("catalog", &self.catalog))
    }

    /// The table `table`: its root (as its metadata says) and its pointer.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such table or its metadata file is missing; those of damaged metadata.
    pub async fn table(&self, store: &Store, table: &TableName) -> Result<(Location, SqlPointer)> {
        let file = self.metadata_file(table).await?;
        let root = iceberg::table_location(&store.get(&file).await?, &file)?;
        Ok((root, SqlPointer { catalog: self.clone(), table: table.clone(), store: store.clone() }))
    }
}

/// The row of one table in an SQL catalog.
#[derive(Debug, Clone)]
pub struct SqlPointer {
    catalog: SqlCatalog,
    table: TableName,
    store: Store,
}

/// What a compare-and-swap did.
enum Swapped {
    Yes,
    No,
}

impl SqlPointer {
    /// Moves the row from `old` to `new`, in a transaction whose commit is checked.
    async fn compare_and_swap(&self, old: &str, new: &str) -> std::result::Result<Swapped, (bool, sqlx::Error)> {
        let sql = format!(
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? \
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ? AND metadata_location = ?{}",
            self.catalog.tables_only()
        );
        let mut transaction = self.catalog.pool.begin().await.map_err(|e| (false, e))?;
        let connection: &mut SqliteConnection = &mut transaction;
        let query = sqlx::query(&sql).bind(new).bind(old).bind(&self.catalog.catalog).bind(&self.table.namespace);
        let done = query.bind(&self.table.name).bind(old).execute(connection).await.map_err(|e| (false, e))?;
        if done.rows_affected() != 1 {
            transaction.rollback().await.map_err(|e| (false, e))?;
            return Ok(Swapped::No);
        }
        // Only a failing commit leaves the outcome open.
        transaction.commit().await.map_err(|e| (true, e))?;
        Ok(Swapped::Yes)
    }

    async fn write(&self, base: &Location, new: &NewMetadata) -> Result<Location> {
        let number = base.name().split_once('-').and_then(|(number, _)| number.parse::<u64>().ok());
        let number = number.or_else(|| base.name().strip_prefix('v')?.split_once('.')?.0.parse().ok()).unwrap_or(0).saturating_add(1);
        let packed = if new.gzip { ".gz" } else { "" };
        for retry in 0u32.. {
            let uuid = new.operation.uuid(new.part, &format!("{base} {retry}"));
            let place = new.folder.child(&format!("{number:05}-{uuid}{packed}.metadata.json"));
            if self.store.put_if_absent(&place, new.bytes.clone()).await? == Put::Created {
                return Ok(place);
            }
        }
        Err(Error::bug("no name is left for a metadata file"))
    }

    async fn try_swap(&self, base: &Location, new: &NewMetadata) -> Result<Swap> {
        let old = self.catalog.metadata_text(&self.table).await?;
        if place(&old)? != *base {
            return Ok(Swap::Taken);
        }
        let file = self.write(base, new).await?;
        let spelled = if old.starts_with('/') && file.scheme() == "file" { format!("/{}", file.path()) } else { file.to_string() };
        let swap = match self.compare_and_swap(&old, &spelled).await {
            Ok(Swapped::Yes) => return Ok(Swap::Landed),
            Ok(Swapped::No) => Swap::Taken,
            Err((true, error)) => return Ok(Swap::Unknown(unavailable(error))),
            Err((false, error)) => Swap::Rejected(unavailable(error)),
        };
        // A leftover does no harm: nothing refers to it.
        let _leftover = self.store.delete(&file).await;
        Ok(swap)
    }
}

#[async_trait]
impl Pointer for SqlPointer {
    async fn current(&self) -> Result<Location> {
        self.catalog.metadata_file(&self.table).await
    }

    async fn swap(&self, base: &Location, new: &NewMetadata) -> Swap {
        match self.try_swap(base, new).await {
            Ok(swap) => swap,
            // The row is changed last and reports for itself: before that nothing can land.
            Err(error) if error.kind() == Kind::NotFound => Swap::Taken,
            Err(error) => Swap::Rejected(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parted_at_its_last_dot() {
        let name = TableName::parse("a.b.t").unwrap();
        assert_eq!((name.namespace.as_str(), name.name.as_str()), ("a.b", "t"));
        assert!(TableName::parse("t").is_err() && TableName::parse(".t").is_err());
    }
}
