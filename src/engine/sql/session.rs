//! DataFusion, set up within our budget and with nothing that could write or read files by itself.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{AggregateUDF, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as ParsedStatement;
use futures::{StreamExt, TryStreamExt};
use sqlparser::ast::Statement;

use super::coerce::Coercions;
use super::explain::{Explained, Scans};
use super::failure::Failure;
use super::listing::ListingProvider;
use super::provider::Provider;
use super::sum::CheckedSum;
use super::times::InMicroseconds;
use super::{Answer, Source, Sql};
use crate::engine::scan::Scanner;
use crate::error::{Error, Result};
use crate::units::Bytes;

/// Rows that operators pass on at a time, at least and at most: what merges spilled runs holds a batch of each.
const BATCH_ROWS: (usize, usize) = (256, 8 << 10);

/// Memory of one thread for each row of a batch: with less, batches are smaller.
const MEMORY_A_ROW: u64 = 16 << 10;

/// A sort that holds more than this sorts piece by piece: one array cannot hold more than 2 GiB of text.
const IN_ONE_PIECE: usize = 1 << 30;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory of sorts, groups and joins; what readers hold is not part of it.
    pub memory: Bytes,
    /// Partitions that are worked on side by side.
    pub threads: usize,
    /// Where sorts, groups and joins that need more memory spill.
    pub temp_dir: PathBuf,
}

/// DataFusion over our own reader.
#[derive(Debug)]
pub struct DataFusionSql {
    settings: Settings,
    scanner: Arc<dyn Scanner>,
}

impl DataFusionSql {
    /// Queries whose rows `scanner` reads.
    pub fn new(settings: Settings, scanner: Arc<dyn Scanner>) -> Self {
        Self { settings, scanner }
    }

    fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.settings.threads.max(1))
            .with_batch_size(self.batch_rows())
            .with_information_schema(true)
            .with_default_catalog_and_schema("otf", "public");
        let options = config.options_mut();
        // Names keep their case; unquoted ones have been matched with the columns before.
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.parse_float_as_decimal = true;
        options.explain.logical_plan_only = false;
        // What a sort holds is sorted as one piece before it spills, within what was set aside for it: merging many pieces would need memory for the
        // keys of all of them at the very moment when there is none.
        options.execution.sort_in_place_threshold_bytes = IN_ONE_PIECE;
        // Kept back by each sort for merging what it spilled.
        let share = self.settings.memory.0 / 4 / (self.settings.threads.max(1) as u64);
        options.execution.sort_spill_reservation_bytes = usize::try_from(share).unwrap_or(usize::MAX);
        config
    }

    fn batch_rows(&self) -> usize {
        let threads = self.settings.threads.max(1) as u64;
        let rows = self.settings.memory.0 / threads / MEMORY_A_ROW;
        usize::try_from(rows).unwrap_or(usize::MAX).clamp(BATCH_ROWS.0, BATCH_ROWS.1)
    }

    fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        let memory = usize::try_from(self.settings.memory.0).unwrap_or(usize::MAX);
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(memory));
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![self.settings.temp_dir.clone()]));
        let built = RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc();
        built.map_err(|_| {
            Error::usage("the query engine cannot use the folder for temporary files").about("temp_dir", self.settings.temp_dir.display())
        })
    }

    async fn plan(
        &self,
        statement: Statement,
        tables: Vec<(String, Source)>,
        failure: &Failure,
        scans: &Scans,
    ) -> Result<(SessionContext, LogicalPlan)> {
        let mut context = SessionContext::new_with_config_rt(self.config(), self.runtime()?);
        let explain = |error| failure.explain(&error);
        with_our_meaning(&mut context).map_err(explain)?;
        for (name, source) in tables {
            let provider: Arc<dyn TableProvider> = match source {
                Source::Table(relation) => {
                    Arc::new(Provider::new(&name, relation, Arc::clone(&self.scanner), failure.clone(), scans.clone()))
                }
                Source::Listing(listing) => Arc::new(ListingProvider { listing, failure: failure.clone() }),
            };
            context.register_table(TableReference::bare(name), provider).map_err(explain)?;
        }
        let plan = context.state().statement_to_plan(ParsedStatement::Statement(Box::new(statement))).await.map_err(explain)?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reads.verify_plan(&plan).map_err(|_| Error::refused("queries only read: this statement would do something else"))?;
        Ok((context, plan))
    }
}

/// Gives functions and operators the meaning they have over tables, where DataFusion's own is another.
fn with_our_meaning(context: &mut SessionContext) -> datafusion::error::Result<()> {
    let (truncate, bin) = (context.udf("date_trunc")?, context.udf("date_bin")?);
    for function in [InMicroseconds::date_trunc(truncate), InMicroseconds::date_bin(bin)] {
        context.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    let sum = context.udaf("sum")?;
    context.register_udaf(Arc::new(AggregateUDF::new_from_impl(CheckedSum::new(sum))))?;
    context.register_function_rewrite(Arc::new(Coercions))
}

#[async_trait]
impl Sql for DataFusionSql {
    async fn query(&self, statement: Statement, tables: Vec<(String, Source)>) -> Result<Answer> {
        let failure = Failure::default();
        let (context, plan) = self.plan(statement, tables, &failure, &Scans::default()).await?;
        let explain = |error| failure.explain(&error);
        let frame = context.execute_logical_plan(plan).await.map_err(explain)?;
        let rows = frame.execute_stream().await.map_err(explain)?;
        let schema = rows.schema();
        Ok(Answer { schema, rows: rows.map_err(move |error| failure.explain(&error)).boxed() })
    }

    async fn explain(&self, statement: Statement, tables: Vec<(String, Source)>) -> Result<Explained> {
        let (failure, scans) = (Failure::default(), Scans::default());
        let (context, plan) = self.plan(statement, tables, &failure, &scans).await?;
        let explain = |error| failure.explain(&error);
        let frame = context.execute_logical_plan(plan).await.map_err(explain)?;
        let plan = frame.create_physical_plan().await.map_err(explain)?;
        let plan = displayable(plan.as_ref()).indent(false).to_string();
        let mut explained = Explained { plan, scans: Vec::new() };
        for planned in scans.take() {
            explained.scans.push(planned.report(&self.scanner, self.settings.threads).await?);
        }
        Ok(explained)
    }
}
