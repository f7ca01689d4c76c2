//! The live rows of one file as a stream.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::admission::Budget;
use super::read::{Input, RowWidth};
use super::target::Target;
use super::{footer, source};
use crate::engine::scan::{self, FileScan, Scanner};
use crate::error::{Error, Result};
use crate::model::{Codec, OutputSpec, Partition, Schema};
use crate::store::Store;
use crate::units::Bytes;

/// Decoded batches that wait for whoever takes them.
const WAITING: usize = 1;

/// Reads rows of Parquet files.
#[derive(Debug, Clone)]
pub struct ParquetScanner {
    store: Store,
    runtime: Handle,
    budget: Budget,
}

impl ParquetScanner {
    /// A scanner over `store` that uses about `memory` for each file it reads at a time; storage calls are waited for on `runtime`.
    pub fn new(store: Store, memory: Bytes, runtime: Handle) -> Self {
        // What the budget gives for a whole rewrite is four times what reading alone needs.
        Self { store, runtime, budget: Budget::new(Bytes(memory.0.saturating_mul(4)), Bytes(0)) }
    }

    fn read(&self, file: &FileScan, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        let output = spec(file);
        let target = Target::new(&output)?;
        let shown = scan::visible(&file.schema);
        let source = source(&self.store, &self.runtime, &file.file)?;
        let opened =
            if target.fields.is_empty() { footer::peek(source, &file.file, None)? } else { footer::open(source, &file.file, None)? };
        let widths = RowWidth::default();
        let input = Input::new((&file.file, &opened), &target, &output, self.budget, &widths)?;
        input.read(&file.deletes, &mut |columns, rows, _| {
            // The cause is left out: it may hold a value.
            let batch = scan::batch(columns, rows, &shown)
                .map_err(|_| Error::corrupt("rows do not fit the table's columns").about("file", &file.file.location))?;
            sender.blocking_send(Ok(batch)).map_err(|_| Error::unavailable("nobody waits for the rows any more"))
        })
    }
}

impl Scanner for ParquetScanner {
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
        matching: scan.matching.clone(),
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
