//! A version of a table, as the engine reads it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;

use crate::engine::scan::{FileScan, Filter};
use crate::engine::sql::{Found, Relation, Why};
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

    async fn files(&self, filters: &[Predicate], enough: Option<u64>) -> Result<Found> {
        let mut found = Found::default();
        let mut certain: u64 = 0;
        let mut files = self.version.files(!filters.is_empty());
        while let Some(mut file) = files.try_next().await? {
            if enough.is_some_and(|enough| certain >= enough) {
                found.skipped.enough = true;
                break;
            }
            let may_match = |file: &DataFile| filters.iter().all(|filter| filter.may_match(&self.schema, file));
            let matches = may_match(&file);
            // Statistics have done their part, and there may be many files.
            file.stats = None;
            if matches {
                // A count that is not true is an error where the file is read.
                certain = certain.saturating_add(file.rows.filter(|_| file.deletes.is_empty()).unwrap_or_default());
                found.files.push(file);
            } else if may_match(&file) {
                found.skipped.add(&file, Why::Statistics);
            } else {
                found.skipped.add(&file, Why::Partition);
            }
        }
        Ok(found)
    }

    async fn scans(&self, files: &[DataFile], schema: &Arc<Schema>, filter: Option<&Arc<Filter>>) -> Result<Vec<FileScan>> {
        let deletes = self.version.row_deletes(files).await?;
        let scan = |(file, deletes): (&DataFile, _)| {
            let constants = self.version.constants(&file.partition).map_err(|error| error.about("file", &file.location))?;
            let (file, schema, matching) = (file.clone(), Arc::clone(schema), self.matching.clone());
            Ok(FileScan { file, deletes, schema, matching, constants, filter: filter.cloned() })
        };
        files.iter().zip(deletes).map(scan).collect()
    }
}
