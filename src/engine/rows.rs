//! The live rows of a data file in the columns of a table, whatever the file is encoded as: the one seam between formats of files and whatever is
//! done with rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::ArrowError;
use bytes::Bytes as Buffer;
use tokio::runtime::Handle;

use super::foreign;
use super::parquet::adapt;
use super::parquet::admission::Budget;
use super::parquet::footer::{self, Opened};
use super::parquet::live::{Positions, stored_or};
use super::parquet::read::{Input, RowWidth};
use super::parquet::resolve::Column;
use super::parquet::source::Source;
use super::parquet::target::Target;
use super::scan::Filter;
use crate::error::{Error, Result};
use crate::model::{DataFile, FileFormat, Lineage, OutputSpec, RowDeletes};
use crate::store::Store;

/// Takes a batch's columns and its rows, and the share of the file (0 to 1) that was read by then.
pub(super) type Each<'a> = dyn FnMut(&[ArrayRef], usize, f64) -> Result<()> + 'a;

/// Reads files as rows of one target.
pub(super) struct RowReader<'a> {
    pub(super) store: Store,
    pub(super) runtime: Handle,
    pub(super) target: &'a Target,
    pub(super) output: &'a OutputSpec,
    pub(super) budget: Budget,
    /// How wide decoded rows are, as far as seen.
    pub(super) widths: RowWidth,
    /// Whether files have to store every column: nothing is filled in.
    pub(super) complete: bool,
    /// What rows have to match that are asked for: others may be left out.
    pub(super) filter: Option<&'a Filter>,
}

/// What is at hand of a file before it is read.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Its footer, if it is Parquet.
    pub(super) opened: Option<Opened>,
    /// Its bytes from [`footer::start`] on, or the whole file where the footer is known.
    pub(super) fetched: Option<Result<Buffer>>,
}

impl<'a> RowReader<'a> {
    /// A reader of rows with the columns of `target`, which was made for `output`. `output` also says how columns are recognised and which are the
    /// same for the whole partition; nothing else of it matters.
    pub(super) fn new(store: Store, runtime: Handle, target: &'a Target, output: &'a OutputSpec, budget: Budget) -> Self {
        Self { store, runtime, target, output, budget, widths: RowWidth::default(), complete: false, filter: None }
    }

    /// Hands every batch of rows of `file` that `deletes` leaves alive to `each`, in file order. Blocks: for blocking threads only.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the file cannot be decoded or is not what the table says, `Unsupported` for types that do not go together or encodings that are
    /// not understood, storage errors, and whatever `each` returns.
    pub(super) fn read(&self, file: &DataFile, deletes: &RowDeletes, start: Start, each: &mut Each<'_>) -> Result<()> {
        let source = source(&self.store, &self.runtime, file);
        match file.format {
            FileFormat::Parquet => {
                let opened = start.parquet(source, file)?;
                let input = Input::new((file, &opened), self.target, self.output, self.budget, &self.widths)?;
                self.check(input.columns()).map_err(|e| e.about("file", &file.location))?;
                match self.filter {
                    Some(filter) => input.only(filter, self.output).read(deletes, each),
                    None => input.read(deletes, each),
                }
            }
            FileFormat::Orc | FileFormat::Avro => foreign::read(self, file, deletes, (source, start.fetched), each),
        }
    }

    /// Refuses a file that lacks a column, where it must not.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it does.
    pub(super) fn check(&self, columns: &[Column]) -> Result<()> {
        if self.complete && !columns.iter().all(Column::is_stored) {
            return Err(Error::corrupt("a file lacks a column that it has to have, or does not say by ids which columns it has"));
        }
        Ok(())
    }
}

impl Start {
    /// The Parquet file behind `source`.
    ///
    /// # Errors
    ///
    /// As [`footer::open`].
    pub(super) fn parquet(self, source: Source, file: &DataFile) -> Result<Opened> {
        match (self.opened, self.fetched) {
            (None, fetched) => footer::open(source, file, fetched),
            (Some(known), None) => Ok(known),
            (Some(known), Some(whole)) => {
                known.source.keep(0, whole?);
                Ok(known)
            }
        }
    }
}

/// The file, to be read.
pub(super) fn source(store: &Store, runtime: &Handle, file: &DataFile) -> Source {
    Source::new(store.clone(), runtime.clone(), file.location.clone(), file.size.0)
}

/// Makes batches of a file batches of the target.
pub(super) struct Shaper<'a> {
    pub(super) file: &'a DataFile,
    pub(super) target: &'a Target,
    /// What to make of each target column.
    pub(super) columns: Vec<Column>,
}

impl Shaper<'_> {
    /// The target's columns for the next `rows` live rows, of which the file has the columns `stored`; `positions` walks along live rows.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a value does not fit its column.
    pub(super) fn shape(&self, stored: &[ArrayRef], rows: usize, positions: &mut Positions) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.target.fields.len());
        for (column, field) in self.columns.iter().zip(&self.target.fields) {
            let about = |error: Error| error.about("column", &field.name).about("file", &self.file.location);
            let wrong = |message| about(Error::corrupt(message));
            let array = adapt::column(column, stored, rows).map_err(|error| match error {
                ArrowError::ExternalError(error) if error.is::<Error>() => {
                    error.downcast().map_or_else(|_| wrong("a value does not fit the column's type"), |ours: Box<Error>| about(*ours))
                }
                // The cause is left out: it may hold a value.
                _ => wrong("a value does not fit the column's type"),
            })?;
            if field.required && array.null_count() > 0 {
                return Err(wrong("a required column has nulls in a data file"));
            }
            columns.push(array);
        }
        if self.target.row_id_columns == 2 {
            row_ids(&mut columns, self.file.lineage.as_deref(), positions);
        }
        Ok(columns)
    }
}

/// Fills the two columns at the end: ids and sequence numbers that are stored stay, all others follow from the file's lineage (Iceberg spec, "Row
/// Lineage"; Delta protocol, "Row Tracking").
fn row_ids(columns: &mut [ArrayRef], lineage: Option<&Lineage>, positions: &mut Positions) {
    let [.., ids, sequences] = columns else { return };
    let first = lineage.and_then(|lineage| lineage.first_row_id);
    let rows = ids.len();
    let inherited =
        positions.take(rows).map(|position| first.zip(i64::try_from(position).ok()).and_then(|(first, p)| first.checked_add(p)));
    *ids = Arc::new(stored_or(ids.as_primitive::<Int64Type>(), inherited));
    let sequence = lineage.map(|lineage| lineage.sequence);
    *sequences = Arc::new(stored_or(sequences.as_primitive::<Int64Type>(), std::iter::repeat_n(sequence, rows)));
}
