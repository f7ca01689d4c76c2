//! What a query would read, and why not the rest.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};

use super::{Files, Relation, Skipped};
use crate::engine::scan::{FileScan, Filter, Preview, Scanner};
use crate::error::Result;
use crate::model::{DataFile, Schema};

/// Files whose deletes are read together.
const TOGETHER: usize = 32;

/// How a query would be run.
#[derive(Debug, Default)]
pub struct Explained {
    /// The operators, as DataFusion writes them, indented by depth.
    pub plan: String,
    /// What is read of each table, in the order of planning.
    pub scans: Vec<ScanReport>,
}

/// What a query reads of one table.
#[derive(Debug, Clone, Default)]
pub struct ScanReport {
    /// The table's name in the statement.
    pub table: String,
    /// The columns that are read.
    pub columns: Vec<String>,
    /// How many filters tell which files and row groups are needed.
    pub filters: usize,
    /// Files that are read.
    pub read: Files,
    /// Files that are not.
    pub skipped: Skipped,
    /// What is read of the files that are.
    pub inside: Preview,
}

/// A scan that was planned.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) table: String,
    pub(super) relation: Arc<dyn Relation>,
    pub(super) columns: Arc<Schema>,
    pub(super) filter: Option<Arc<Filter>>,
    pub(super) partitions: Vec<Arc<[DataFile]>>,
    pub(super) skipped: Skipped,
}

/// Keeps the scans of a plan while it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Scans(Arc<Mutex<Vec<Planned>>>);

impl Scans {
    pub(super) fn keep(&self, planned: Planned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    /// What was kept.
    pub(super) fn take(&self) -> Vec<Planned> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Planned {
    /// Looks into the files of the scan, a few at a time.
    ///
    /// # Errors
    ///
    /// Those of reading deletes and footers.
    pub(super) async fn report(&self, scanner: &Arc<dyn Scanner>, at_a_time: usize) -> Result<ScanReport> {
        let mut report = ScanReport {
            table: self.table.clone(),
            columns: self.columns.fields.iter().map(|field| field.name.clone()).collect(),
            filters: self.filter.as_ref().map_or(0, |filter| filter.predicates.len()),
            skipped: self.skipped.clone(),
            ..ScanReport::default()
        };
        for part in &self.partitions {
            for group in part.chunks(TOGETHER) {
                group.iter().for_each(|file| report.read.add(file));
                let scans: Vec<FileScan> = self.relation.scans(group, &self.columns, self.filter.as_ref()).await?;
                let previews = stream::iter(scans).map(|scan| scanner.preview(scan)).buffered(at_a_time.max(1));
                report.inside = previews
                    .try_fold(report.inside, |mut all, one| async move {
                        all.absorb(one);
                        Ok(all)
                    })
                    .await?;
            }
        }
        Ok(report)
    }
}
