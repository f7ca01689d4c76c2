//! Rows for queries: the live rows of data files as streams.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::parquet::admission::Budget;
use super::parquet::by_value::{Locator, key_memory};
use super::parquet::footer;
use super::parquet::target::Target;
use super::rows::{RowReader, Start, source};
use super::visible;
use crate::error::{Error, Result};
use crate::model::{Codec, DataFile, FieldMatching, FileFormat, OutputSpec, Partition, RowDeletes, Schema, Tolerated, Value};
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
}

/// Reads live rows.
pub trait Scanner: Send + Sync + Debug {
    /// The live rows of a file, in file order, in batches with the columns of the scan as users see them. Deletes, missing columns, defaults,
    /// constants and widened types have been applied.
    ///
    /// Errors are those of [`super::Rewriter::rewrite`]; after one the stream ends.
    fn scan(&self, scan: FileScan) -> BoxStream<'static, Result<RecordBatch>>;
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
        let reader = RowReader::new(self.store.clone(), self.runtime.clone(), &target, &output, self.budget);
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
}

/// What the reader wants to know of a file, in the form that a rewrite gives it.
fn spec(scan: &FileScan) -> OutputSpec {
    let partition = Partition { constants: scan.constants.clone(), ..Partition::clone(&scan.file.partition) };
    OutputSpec {
        directory: scan.file.location.clone(),
        partition: Arc::new(partition),
        schema: Schema::clone(&scan.schema),
        field_ids: false,
        tolerated: Tolerated { int96: true, shredded: false },
        matching: scan.matching.clone(),
        routing: None,
        row_ids: None,
        codec: Codec::Uncompressed,
        target_file_size: Bytes(0),
        row_group_size: Bytes(0),
        page_size: Bytes(0),
        dictionary_size: Bytes(0),
        bloom_filters: Vec::new(),
        metadata: Vec::new(),
    }
}
