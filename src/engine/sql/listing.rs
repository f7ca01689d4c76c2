//! A listing as a table of DataFusion.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;

use super::Listing;
use super::failure::Failure;

/// A listing, as DataFusion plans with it.
#[derive(Debug)]
pub(super) struct ListingProvider {
    pub(super) listing: Arc<dyn Listing>,
    pub(super) failure: Failure,
}

#[async_trait]
impl TableProvider for ListingProvider {
    fn schema(&self) -> SchemaRef {
        self.listing.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.listing.schema();
        let wanted = schema.fields().iter().enumerate().filter(|(at, _)| projection.is_none_or(|places| places.contains(at)));
        let rows = ListingRows {
            listing: Arc::clone(&self.listing),
            failure: self.failure.clone(),
            wanted: wanted.map(|(_, field)| field.name().clone()).collect(),
            schema: Arc::clone(&schema),
        };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(rows)], projection, Vec::new(), false, limit)?))
    }
}

/// The rows of a listing, each time anew.
#[derive(Debug)]
struct ListingRows {
    listing: Arc<dyn Listing>,
    failure: Failure,
    wanted: Vec<String>,
    schema: SchemaRef,
}

impl PartitionStream for ListingRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let failure = self.failure.clone();
        let rows = self.listing.rows(&self.wanted).map_err(move |error| failure.keep(error));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}
