//! Parquet files that formats read themselves: checkpoints, and files of position deletes.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::decode::parquet::footer::{self, FRAME, TAIL};
use crate::decode::parquet::{self as pages, Fetched};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::Store;

/// Who takes the batches.
type EachBatch<'a> = &'a mut (dyn FnMut(&RecordBatch) -> Result<()> + Send);

/// Rows decoded at a time.
const BATCH: usize = 2048;
/// Bytes fetched at once: as much is given back as soon as it is decoded.
const PIECE: usize = 4 << 20;
/// Pieces fetched at a time.
const AHEAD: usize = 8;

/// A Parquet file on a store, read row group by row group. The decoder may panic on damaged bytes: that is damage too.
pub(super) struct ParquetFile<'a> {
    store: &'a Store,
    place: &'a Location,
    /// Bytes.
    size: u64,
    /// What it means where the file cannot be read, in words.
    damage: &'static str,
    metadata: ArrowReaderMetadata,
}

impl<'a> ParquetFile<'a> {
    /// Reads the footer of the file of `size` bytes at `place`; `damage` says in words that it cannot be read.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a file that cannot be read; storage errors.
    pub(super) async fn open(store: &'a Store, (place, size): (&'a Location, u64), damage: &'static str) -> Result<Self> {
        let metadata = match read_footer(store, place, size).await {
            Err(error) if error.kind() == Kind::Corrupt => return Err(Error::corrupt(damage).about("file", place).because(error)),
            other => Arc::new(other?),
        };
        let metadata = decoded(|| ArrowReaderMetadata::try_new(metadata, options()), place, damage)?;
        Ok(Self { store, place, size, damage, metadata })
    }

    pub(super) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// The same, to be read with the types of `schema`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the file does not fit to it.
    pub(super) fn read_as(self, schema: SchemaRef) -> Result<Self> {
        let with_schema = || ArrowReaderMetadata::try_new(Arc::clone(self.metadata.metadata()), options().with_schema(schema));
        Ok(Self { metadata: decoded(with_schema, self.place, self.damage)?, ..self })
    }

    /// Hands every batch of the columns of `mask` to `each`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a file that cannot be read; storage errors; those of `each`.
    pub(super) async fn read(&self, mask: &ProjectionMask, each: EachBatch<'_>) -> Result<()> {
        for (index, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            let fetched = self.fetch(pages::chunks(group, mask, self.size)).await?;
            catch_unwind(AssertUnwindSafe(|| self.decode(index, fetched, mask, each)))
                .unwrap_or_else(|_| Err(Error::corrupt(self.damage).about("file", self.place)))?;
        }
        Ok(())
    }

    fn decode(&self, group: usize, fetched: Fetched, mask: &ProjectionMask, each: EachBatch<'_>) -> Result<()> {
        let rows = pages::row_group(fetched, &self.metadata, group, mask.clone(), (BATCH, None));
        for batch in rows.map_err(|error| Error::corrupt(self.damage).about("file", self.place).because(error))? {
            each(&batch.map_err(|error| Error::corrupt(self.damage).about("file", self.place).because(error))?)?;
        }
        Ok(())
    }

    async fn fetch(&self, chunks: Vec<Range<u64>>) -> Result<Fetched> {
        let mut fetched = vec![VecDeque::new(); chunks.len()];
        let mut pieces = Vec::new();
        for (chunk, range) in chunks.into_iter().enumerate() {
            let starts = range.clone().step_by(PIECE);
            pieces.extend(starts.map(|start| (chunk, start..start.saturating_add(PIECE as u64).min(range.end))));
        }
        let fetch = |(chunk, range): (usize, Range<u64>)| async move {
            Ok::<_, Error>((chunk, range.start, self.store.get_range(self.place, range).await?))
        };
        let mut pieces = stream::iter(pieces).map(fetch).buffered(AHEAD);
        while let Some((chunk, start, bytes)) = pieces.try_next().await? {
            if let Some(chunk) = fetched.get_mut(chunk) {
                chunk.push_back((start, bytes));
            }
        }
        Ok(Fetched::new(self.size, fetched))
    }
}

/// Other writers' Arrow hints only multiply the types to expect.
fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// The footer of the file of `size` bytes at `place`, which fits to it.
async fn read_footer(store: &Store, place: &Location, size: u64) -> Result<ParquetMetaData> {
    let start = size.saturating_sub(TAIL);
    // Storage is not asked for nothing.
    if size < FRAME {
        return Err(Error::corrupt("too short for a Parquet file"));
    }
    let tail = store.get_range(place, start..size).await?;
    let footer = footer::place(size, &tail)?;
    let held = footer.start.checked_sub(start).and_then(|at| usize::try_from(at).ok());
    let bytes = match held {
        Some(at) => tail.slice(at..tail.len().saturating_sub(8)),
        None => store.get_range(place, footer).await?,
    };
    let metadata = footer::decode(&bytes)?;
    footer::check(size, &metadata)?;
    Ok(metadata)
}

/// What `decode` makes of the file at `place`; whatever goes wrong is damage.
fn decoded<T>(decode: impl FnOnce() -> Result<T, ParquetError>, place: &Location, damage: &'static str) -> Result<T> {
    let wrong = || Error::corrupt(damage).about("file", place);
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| wrong())?.map_err(|error| wrong().because(error))
}
