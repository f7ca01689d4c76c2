//! A version of a table, as the engine reads it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;

use crate::engine::scan::FileScan;
use crate::engine::sql::Relation;
use crate::error::Result;
use crate::formats::TableVersion;
use crate::model::predicate::Predicate;
use crate::model::{DataFile, FieldMatching, Schema};

/// A table at one version.
pub(super) struct TableRelation {
    version: Arc<dyn TableVersion>,
    schema: Arc<Schema>,
    matching: FieldMatching,
}

impl fmt::Debug for TableRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRelation").field("location", &self.version.snapshot().location).finish_non_exhaustive()
    }
}

impl TableRelation {
    pub(super) fn new(version: Arc<dyn TableVersion>) -> Result<Self> {
        let reading = version.reading()?;
        Ok(Self { version, schema: Arc::new(reading.schema), matching: reading.matching })
    }
}

#[async_trait]
impl Relation for TableRelation {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    async fn files(&self, filters: &[Predicate]) -> Result<Vec<DataFile>> {
        let mut found = Vec::new();
        let mut files = self.version.files(!filters.is_empty());
        while let Some(mut file) = files.try_next().await? {
            if filters.iter().all(|filter| filter.may_match(&self.schema, &file)) {
                // Statistics have done their part, and there may be many files.
                file.stats = None;
                found.push(file);
            }
        }
        Ok(found)
    }

    async fn scans(&self, files: &[DataFile], schema: &Arc<Schema>) -> Result<Vec<FileScan>> {
        let deletes = self.version.row_deletes(files).await?;
        let scan = |(file, deletes): (&DataFile, _)| {
            let constants = self.version.constants(&file.partition).map_err(|error| error.about("file", &file.location))?;
            Ok(FileScan { file: file.clone(), deletes, schema: Arc::clone(schema), matching: self.matching.clone(), constants })
        };
        files.iter().zip(deletes).map(scan).collect()
    }
}
