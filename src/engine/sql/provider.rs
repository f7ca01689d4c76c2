//! A relation as a table of DataFusion, and the operator that reads it.

use std::fmt;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::explain::{Planned, Scans};
use super::failure::Failure;
use super::{Relation, Skipped, prune};
use crate::engine::scan::{Filter, Scanner};
use crate::engine::visible::visible;
use crate::model::{DataFile, Schema};

/// Files whose deletes are read together.
const TOGETHER: usize = 32;

/// A relation, as DataFusion plans with it.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) relation: Arc<dyn Relation>,
    pub(super) scanner: Arc<dyn Scanner>,
    pub(super) failure: Failure,
    pub(super) schema: SchemaRef,
    /// Its name in the statement.
    name: String,
    scans: Scans,
}

impl Provider {
    /// The relation under the name `name`; what is planned of it is kept in `scans`.
    pub(super) fn new(name: &str, relation: Arc<dyn Relation>, scanner: Arc<dyn Scanner>, failure: Failure, scans: Scans) -> Self {
        let schema = visible(relation.schema());
        Self { relation, scanner, failure, schema, name: name.to_string(), scans }
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match prune::predicate(filter, self.relation.schema()) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = &self.relation.schema().fields;
        let fields = match projection {
            None => all.clone(),
            Some(places) => places.iter().filter_map(|place| all.get(*place).cloned()).collect(),
        };
        let columns = Arc::new(Schema { fields });
        let predicates: Vec<_> = filters.iter().filter_map(|filter| prune::predicate(filter, self.relation.schema())).collect();
        // A limit is about the rows that all filters leave: with filters, any number of rows may be needed for it.
        let enough = limit.filter(|_| filters.is_empty()).and_then(|limit| u64::try_from(limit).ok());
        let found = self.relation.files(&predicates, enough).await.map_err(|error| self.failure.keep(error))?;
        let partitions = spread(found.files, state.config().target_partitions());
        let scan = ScanFiles::new(self, columns, Filter::new(predicates, self.relation.schema()), partitions, found.skipped);
        self.scans.keep(scan.planned(&self.name));
        Ok(Arc::new(scan))
    }
}

/// Deals `files` out to at most `most` readers, so that each has about the same number of bytes.
fn spread(files: Vec<DataFile>, most: usize) -> Vec<Vec<DataFile>> {
    let mut parts: Vec<(u64, Vec<DataFile>)> = vec![(0, Vec::new()); most.min(files.len()).max(1)];
    for file in files {
        if let Some((bytes, part)) = parts.iter_mut().min_by_key(|(bytes, part)| (*bytes, part.len())) {
            *bytes = bytes.saturating_add(file.size.0);
            part.push(file);
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Reads files, a stream of rows for each partition.
#[derive(Debug)]
struct ScanFiles {
    relation: Arc<dyn Relation>,
    scanner: Arc<dyn Scanner>,
    failure: Failure,
    columns: Arc<Schema>,
    filter: Option<Arc<Filter>>,
    partitions: Vec<Arc<[DataFile]>>,
    skipped: Skipped,
    properties: Arc<PlanProperties>,
}

impl ScanFiles {
    fn new(
        provider: &Provider,
        columns: Arc<Schema>,
        filter: Option<Arc<Filter>>,
        partitions: Vec<Vec<DataFile>>,
        skipped: Skipped,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(visible(&columns)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            relation: Arc::clone(&provider.relation),
            scanner: Arc::clone(&provider.scanner),
            failure: provider.failure.clone(),
            columns,
            filter,
            skipped,
            partitions: partitions.into_iter().map(Into::into).collect(),
            properties: Arc::new(properties),
        }
    }

    fn planned(&self, table: &str) -> Planned {
        Planned {
            table: table.to_string(),
            relation: Arc::clone(&self.relation),
            columns: Arc::clone(&self.columns),
            filter: self.filter.clone(),
            partitions: self.partitions.clone(),
            skipped: self.skipped.clone(),
        }
    }

    fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.partitions.iter().flat_map(|part| part.iter())
    }
}

impl DisplayAs for ScanFiles {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.columns.fields.iter().map(|field| field.name.as_str()).collect();
        let bytes: u64 = self.files().map(|file| file.size.0).sum();
        let (by_partition, by_statistics) = (self.skipped.by_partition.files, self.skipped.by_statistics.files);
        write!(f, "ScanFiles: files={}, bytes={bytes}, ", self.files().count())?;
        write!(f, "skipped=[partition={by_partition}, statistics={by_statistics}], columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for ScanFiles {
    fn name(&self) -> &'static str {
        "ScanFiles"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        // Hints for the order of joins: metadata is believed when files are read, not before.
        let mut statistics = Statistics::new_unknown(&self.schema());
        let files = self.partitions.iter().enumerate().filter(|(at, _)| args.partition().is_none_or(|wanted| wanted == *at));
        let rows: Option<u64> = files.flat_map(|(_, part)| part.iter()).map(|file| file.rows).sum();
        statistics.num_rows = rows.and_then(|rows| usize::try_from(rows).ok()).map_or(Precision::Absent, Precision::Inexact);
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let files = self.partitions.get(partition).map(Arc::clone).unwrap_or_default();
        let (relation, columns) = (Arc::clone(&self.relation), Arc::clone(&self.columns));
        let scanner = Arc::clone(&self.scanner);
        let filter = self.filter.clone();
        // The first row should not wait for the deletes of many files.
        let (first, others) = files.split_at(files.len().min(1));
        let groups: Vec<Vec<DataFile>> = first.chunks(1).chain(others.chunks(TOGETHER)).map(<[DataFile]>::to_vec).collect();
        let failure = self.failure.clone();
        let rows = stream::iter(groups)
            .then(move |group| {
                let (relation, columns, filter) = (Arc::clone(&relation), Arc::clone(&columns), filter.clone());
                async move { relation.scans(&group, &columns, filter.as_ref()).await }
            })
            .map_ok(move |scans| {
                let scanner = Arc::clone(&scanner);
                stream::iter(scans).flat_map(move |scan| scanner.scan(scan))
            })
            .try_flatten()
            .map_err(move |error| failure.keep(error));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
