//! What goes wrong below the Parquet library, said as this crate's [`Error`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

use crate::decode::parquet::footer;
use crate::error::{Error, Result};
use crate::location::Location;

/// Keeps the first storage error while it passes through the Parquet library, which would turn it into text.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    /// Keeps `error`, and gives the library one of its own to pass on.
    pub(super) fn keep(&self, error: Error) -> ParquetError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        ParquetError::General("storage failed".into())
    }

    /// What really happened: the kept error, else `otherwise`.
    pub(super) fn or(&self, otherwise: impl FnOnce() -> Error) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(otherwise)
    }
}

/// An error of decoding `file`.
pub(super) fn decode_error(error: ParquetError, file: &Location) -> Error {
    footer::error(error).about("file", file)
}

/// As [`decode_error`], for errors that come back as Arrow's. The text of conversions may hold values, so only Parquet's is kept.
pub(super) fn arrow_error(error: ArrowError, file: &Location) -> Error {
    match error {
        ArrowError::ParquetError(text) => decode_error(ParquetError::General(text), file),
        _ => Error::corrupt("the Parquet file cannot be decoded").about("file", file),
    }
}

/// An error of encoding a new file, which is our own fault unless storage failed.
pub(super) fn encode_error(error: ParquetError) -> Error {
    Error::bug("rows could not be encoded").because(error)
}

/// Runs the decoder, which panics on some damaged files.
pub(super) fn guarded<T>(file: &Location, decode: impl FnOnce() -> T) -> Result<T> {
    let damaged = |_| Error::corrupt("the Parquet file cannot be decoded: the decoder broke off").about("file", file);
    catch_unwind(AssertUnwindSafe(decode)).map_err(damaged)
}

/// `n` as a size in memory. Sizes come from files that were checked to fit; on a 32-bit machine the largest possible stands for what does not.
pub(in crate::engine) fn memory_size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
