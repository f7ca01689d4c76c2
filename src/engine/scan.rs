//! Rows for queries: the live rows of data files as streams.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::parquet::admission::Budget;
use super::parquet::by_value::{Locator, key_memory};
use super::parquet::footer;
use super::parquet::read::{Input, RowWidth};
use super::parquet::target::Target;
use super::rows::{RowReader, Start, source};
use super::visible;
use crate::error::{Error, Result};
use crate::model::predicate::Predicate;
use crate::model::{DataFile, FieldMatching, FileFormat, OutputSpec, Partition, RowDeletes, Schema, Value};
use crate::store::Store;
use crate::units::Bytes;

/// Decoded batches that wait for whoever takes them.
const WAITING: usize = 1;

/// One file to read.
#[derive(Debug, Clone)]
pub struct FileScan {
    /// The file.
    pub file: DataFile,
    /// The rows of it that do not live.
    pub deletes: RowDeletes,
    /// The columns to read, in order; with none, only the number of rows counts.
    pub schema: Arc<Schema>,
    /// How columns of the file are recognised.
    pub matching: FieldMatching,
    /// Columns that have the same value in every row: column id and value.
    pub constants: Vec<(i32, Option<Value>)>,
    /// What the rows that are asked for match: others may be left out, where the file itself tells that they do not match.
    pub filter: Option<Arc<Filter>>,
}

/// Filters over columns at the top of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// All of them are true of the rows that are asked for.
    pub predicates: Vec<Predicate>,
    /// The columns they are about.
    pub schema: Arc<Schema>,
}

impl Filter {
    /// The filter that `predicates` over columns of `table` make; `None` if there are none.
    pub fn new(predicates: Vec<Predicate>, table: &Schema) -> Option<Arc<Self>> {
        let mut columns = BTreeSet::new();
        predicates.iter().for_each(|predicate| columns_of(predicate, &mut columns));
        let fields = table.fields.iter().filter(|field| columns.contains(&field.id)).cloned().collect();
        (!predicates.is_empty()).then(|| Arc::new(Self { predicates, schema: Arc::new(Schema { fields }) }))
    }
}

/// Adds the columns that `predicate` is about to `columns`.
pub(super) fn columns_of(predicate: &Predicate, columns: &mut BTreeSet<i32>) {
    match predicate {
        Predicate::Constant(_) => {}
        Predicate::Compare(id, ..) | Predicate::In(id, _) | Predicate::Like(id, _) | Predicate::IsNull(id) => {
            columns.insert(*id);
        }
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().for_each(|part| columns_of(part, columns)),
        Predicate::Not(part) => columns_of(part, columns),
    }
}

/// What reading a file comes to, told without reading rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preview {
    /// Row groups of the file, and the bytes of the columns that are asked for; none where the file has no such thing (ORC, Avro).
    pub row_groups: Share,
    /// Left out because every row in them is deleted.
    pub deleted: Share,
    /// Left out by their statistics.
    pub by_statistics: Share,
    /// Left out by a bloom filter.
    pub by_bloom_filter: Share,
    /// Live rows that the page index leaves out of the other row groups.
    pub rows_by_page_index: u64,
    /// Row groups that are left out because the page index leaves out all of their live rows.
    pub by_page_index: Share,
    /// Live rows that are read.
    pub rows: u64,
}

/// Some of a file's row groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    /// How many.
    pub row_groups: u64,
    /// Their bytes, as far as columns are asked for.
    pub bytes: u64,
}

impl Share {
    /// Adds one row group of so many bytes.
    pub const fn add(&mut self, bytes: u64) {
        self.row_groups = self.row_groups.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn absorb(&mut self, other: Self) {
        self.row_groups = self.row_groups.saturating_add(other.row_groups);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Preview {
    /// Adds what another file comes to.
    pub const fn absorb(&mut self, other: Self) {
        self.row_groups.absorb(other.row_groups);
        self.deleted.absorb(other.deleted);
        self.by_statistics.absorb(other.by_statistics);
        self.by_bloom_filter.absorb(other.by_bloom_filter);
        self.by_page_index.absorb(other.by_page_index);
        self.rows_by_page_index = self.rows_by_page_index.saturating_add(other.rows_by_page_index);
        self.rows = self.rows.saturating_add(other.rows);
    }
}

/// Reads live rows.
#[async_trait]
pub trait Scanner: Send + Sync + Debug {
    /// The live rows of a file, in file order, in batches with the columns of the scan as users see them. Deletes, missing columns, defaults,
    /// constants and widened types have been applied.
    ///
    /// Errors are those of [`super::Rewriter::rewrite`]; after one the stream ends.
    fn scan(&self, scan: FileScan) -> BoxStream<'static, Result<RecordBatch>>;

    /// What [`Self::scan`] would read, as far as the file's footer and indexes tell.
    ///
    /// # Errors
    ///
    /// As [`Self::scan`].
    async fn preview(&self, scan: FileScan) -> Result<Preview>;
}

/// Reads rows of files in any format there is.
#[derive(Debug, Clone)]
pub struct FileScanner {
    store: Store,
    runtime: Handle,
    budget: Budget,
}

impl FileScanner {
    /// A scanner over `store` that uses about `memory` for each file it reads at a time; storage calls are waited for on `runtime`.
    pub fn new(store: Store, memory: Bytes, runtime: Handle) -> Self {
        // What the budget gives for a whole rewrite is four times what reading alone needs.
        Self { store, runtime, budget: Budget::new(Bytes(memory.0.saturating_mul(4)), Bytes(0)) }
    }

    fn read(&self, file: &FileScan, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        let output = spec(file);
        let target = Target::new(&output)?;
        let shown = visible::visible(&file.schema);
        let mut reader = RowReader::new(self.store.clone(), self.runtime.clone(), &target, &output, self.budget);
        reader.filter = file.filter.as_deref();
        let mut start = Start::default();
        if target.fields.is_empty() && file.file.format == FileFormat::Parquet {
            // The footer alone says how many rows there are.
            start.opened = Some(footer::peek(source(&self.store, &self.runtime, &file.file), &file.file, None)?);
        }
        reader.read(&file.file, &self.located(file)?, start, &mut |columns, rows, _| {
            // The cause is left out: it may hold a value.
            let batch = visible::batch(columns, rows, &shown)
                .map_err(|_| Error::corrupt("rows do not fit the table's columns").about("file", &file.file.location))?;
            sender.blocking_send(Ok(batch)).map_err(|_| Error::unavailable("nobody waits for the rows any more"))
        })
    }
}

impl FileScanner {
    /// What a file comes to. Blocks.
    fn look(&self, file: &FileScan) -> Result<Preview> {
        let deletes = self.located(file)?;
        if file.file.format != FileFormat::Parquet {
            let rows = file.file.rows.unwrap_or_default().saturating_sub(deletes.len().unwrap_or_default());
            return Ok(Preview { rows, ..Preview::default() });
        }
        let output = spec(file);
        let target = Target::new(&output)?;
        let opened = footer::peek(source(&self.store, &self.runtime, &file.file), &file.file, None)?;
        let widths = RowWidth::default();
        let mut input = Input::new((&file.file, &opened), &target, &output, self.budget, &widths)?;
        if let Some(filter) = &file.filter {
            input = input.only(filter, &output);
        }
        input.preview(&deletes)
    }

    /// The deletes of a file as positions.
    fn located(&self, file: &FileScan) -> Result<RowDeletes> {
        if file.deletes.len().is_some() {
            return Ok(file.deletes.clone());
        }
        let pair = [(file.file.clone(), file.deletes.clone())];
        // As much for keys as for a window on the file and one on what comes next.
        let keys = key_memory(&pair, Bytes(self.budget.window.saturating_mul(8)));
        let (store, runtime, cancelled) = (self.store.clone(), self.runtime.clone(), Arc::default());
        let located = Locator { store, runtime, budget: self.budget, keys, cancelled }.run(&pair)?;
        located.into_iter().next().ok_or_else(|| Error::bug("the deletes of a file were lost"))
    }
}

#[async_trait]
impl Scanner for FileScanner {
    fn scan(&self, file: FileScan) -> BoxStream<'static, Result<RecordBatch>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let scanner = self.clone();
        let reading = self.runtime.spawn_blocking(move || scanner.read(&file, &sender));
        let next = |(mut receiver, reading): (mpsc::Receiver<Result<RecordBatch>>, Option<tokio::task::JoinHandle<Result<()>>>)| async move {
            if let Some(batch) = receiver.recv().await {
                return Some((batch, (receiver, reading)));
            }
            // The other end has gone: with an error, or because everything was read.
            let ended = reading?.await.unwrap_or_else(|panic| Err(Error::bug("reading a data file broke off").because(panic)));
            ended.err().map(|error| (Err(error), (receiver, None)))
        };
        futures::stream::unfold((receiver, Some(reading)), next).boxed()
    }

    async fn preview(&self, scan: FileScan) -> Result<Preview> {
        let scanner = self.clone();
        let looked = self.runtime.spawn_blocking(move || scanner.look(&scan)).await;
        looked.unwrap_or_else(|panic| Err(Error::bug("looking into a data file broke off").because(panic)))
    }
}

/// What the reader wants to know of a file, in the form that a rewrite gives it.
fn spec(scan: &FileScan) -> OutputSpec {
    let partition = Partition { constants: scan.constants.clone(), ..Partition::clone(&scan.file.partition) };
    OutputSpec::for_reading(scan.file.location.clone(), Arc::new(partition), Schema::clone(&scan.schema), scan.matching.clone())
}
