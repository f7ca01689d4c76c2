//! Files of rows that are no table's data: lists of files that storage services write. Their columns are read by name, as the file stores them.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::foreign;
use super::parquet::admission::Budget;
use super::parquet::{listed, source::Source};
use crate::decode::Batch;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{DataFile, FileFormat};
use crate::store::Store;
use crate::units::Bytes;

/// So much memory is used to read a list.
const MEMORY: Bytes = Bytes(256 << 20);
/// Batches that wait for whoever takes them.
const WAITING: usize = 1;

/// Chooses columns by their names.
pub type Chooser = fn(&str) -> bool;

/// The rows of the file at `place` in the top-level columns that `wanted` chooses, in the order of the file.
///
/// # Errors
///
/// The stream ends with `Corrupt` if the file cannot be decoded, `Unsupported` for encodings that are not understood, `NotFound` or `Unavailable` if
/// storage does not give it.
pub fn read(store: Store, place: Location, format: FileFormat, wanted: Chooser) -> BoxStream<'static, Result<RecordBatch>> {
    let runtime = match Handle::try_current() {
        Ok(runtime) => runtime,
        Err(error) => return futures::stream::once(async { Err(Error::bug("a list is read outside a runtime").because(error)) }).boxed(),
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = runtime.clone().spawn_blocking(move || {
        let mut send = |batch| sender.blocking_send(Ok(batch)).map_err(|_| Error::unavailable("nobody waits for the rows any more"));
        let ended = read_blocking(store, runtime, &place, format, wanted, &mut send);
        if let Err(error) = ended {
            // Nobody may be waiting any more.
            drop(sender.blocking_send(Err(error)));
        }
    });
    let next = |(mut receiver, reading): (mpsc::Receiver<Result<RecordBatch>>, Option<tokio::task::JoinHandle<()>>)| async move {
        if let Some(batch) = receiver.recv().await {
            return Some((batch, (receiver, reading)));
        }
        let broke = reading?.await.err()?;
        Some((Err(Error::bug("reading a list broke off").because(broke)), (receiver, None)))
    };
    futures::stream::unfold((receiver, Some(reading)), next).boxed()
}

/// Takes the rows of a list, batch by batch.
pub(super) type EachBatch<'a> = dyn FnMut(RecordBatch) -> Result<()> + 'a;

fn read_blocking(
    store: Store,
    runtime: Handle,
    place: &Location,
    format: FileFormat,
    wanted: Chooser,
    each: &mut EachBatch<'_>,
) -> Result<()> {
    let size = runtime.block_on(store.head(place))?.size;
    let file = DataFile::bare(place.clone(), format, Bytes(size));
    let (source, budget) = (Source::new(store, runtime, place.clone(), size), Budget::new(MEMORY, Bytes(0)));
    match format {
        FileFormat::Parquet => listed::read(source, &file, wanted, budget.window, each),
        FileFormat::Orc | FileFormat::Avro => {
            let decoded = foreign::read_stored(source, &file, wanted, budget, &mut |names, batch| each(rows(names, batch)?));
            decoded.map_err(|e| e.about("file", place))
        }
    }
}

fn rows(names: &[String], batch: Batch) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        names.iter().zip(&batch.columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), batch.columns, &options)
        .map_err(|e| Error::bug("columns of a list do not go together").because(e))
}
