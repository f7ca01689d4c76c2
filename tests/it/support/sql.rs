//! A table's row in a real SQL catalog: an SQLite database on disk.

use std::sync::Arc;

use otf::catalog::{SqlCatalog, TableName};
use otf::error::Result;
use otf::formats::Table;
use otf::formats::iceberg::Pointer;
use otf::location::Location;
use otf::store::Store;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tempfile::TempDir;

/// The row of one table.
pub(crate) struct CatalogRow {
    pool: SqlitePool,
    catalog: SqlCatalog,
    first: String,
    _folder: TempDir,
}

impl CatalogRow {
    /// A database with one table, `db.t`, whose metadata file is `first`.
    pub(crate) async fn new(first: &Location) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("catalog.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
        let create = "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255), table_namespace VARCHAR(255), table_name VARCHAR(255), \
                      metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5), \
                      PRIMARY KEY (catalog_name, table_namespace, table_name))";
        sqlx::query(create).execute(&pool).await.unwrap();
        sqlx::query("INSERT INTO iceberg_tables VALUES ('c', 'db', 't', '', NULL, 'TABLE')").execute(&pool).await.unwrap();
        let catalog = SqlCatalog::with_pool(pool.clone(), "c").await.unwrap();
        let row = Self { pool, catalog, first: first.to_string(), _folder: folder };
        row.reset().await;
        row
    }

    /// The row as it was first.
    pub(crate) async fn reset(&self) {
        self.set(&self.first).await;
    }

    /// The row as another writer leaves it.
    pub(crate) async fn set(&self, metadata: &str) {
        let sql = "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = NULL";
        sqlx::query(sql).bind(metadata).execute(&self.pool).await.unwrap();
    }

    /// From now on transactions that change the row fail at their very end, when they are committed: a constraint is checked only then.
    pub(crate) async fn fail_commits(&self) {
        for sql in [
            "CREATE TABLE parents (x INTEGER PRIMARY KEY)",
            "CREATE TABLE wards (x INTEGER REFERENCES parents (x) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER doomed AFTER UPDATE ON iceberg_tables BEGIN INSERT INTO wards VALUES (1); END",
        ] {
            sqlx::query(sql).execute(&self.pool).await.unwrap();
        }
    }

    /// They succeed again.
    pub(crate) async fn let_commits_through(&self) {
        sqlx::query("DROP TRIGGER doomed").execute(&self.pool).await.unwrap();
    }

    /// The name of the current metadata file.
    pub(crate) async fn current(&self) -> String {
        let row = sqlx::query("SELECT metadata_location FROM iceberg_tables").fetch_one(&self.pool).await.unwrap();
        Location::parse(&row.get::<String, _>(0)).unwrap().name().to_string()
    }

    /// The table, as the tool opens it.
    pub(crate) async fn open(&self, store: &Store) -> Result<Box<dyn Table>> {
        Ok(Box::new(otf::catalog::sql_table(store, &self.catalog, &Self::name()).await?))
    }

    /// What knows its current metadata file.
    pub(crate) async fn pointer(&self, store: &Store) -> Arc<dyn Pointer> {
        Arc::new(self.catalog.table(store, &Self::name()).await.unwrap().1)
    }

    fn name() -> TableName {
        TableName { namespace: "db".into(), name: "t".into() }
    }
}
