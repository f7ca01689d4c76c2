//! Rows as a table for people: the first ones, for a table has to be laid out as a whole.

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;

use super::sink::Sink;
use super::{Rows, cells};
use crate::cli::ui::{Paint, count, table_of_values};
use crate::error::Result;

/// Longer values are cut: a table of them could not be read.
const LONGEST: usize = 200;

/// Collects rows up to a limit.
#[derive(Debug)]
pub(super) struct Lines {
    schema: SchemaRef,
    sink: Sink,
    most: u64,
    paint: Paint,
    rows: Vec<Vec<String>>,
    more: bool,
}

impl Lines {
    /// A table of at most `most` rows of `schema`.
    pub(super) fn new(schema: &SchemaRef, sink: Sink, most: u64, paint: Paint) -> Self {
        Self { schema: schema.clone(), sink, most, paint, rows: Vec::new(), more: false }
    }

    fn cell(&self, column: &dyn Array, row: usize) -> Result<String> {
        if column.is_null(row) {
            let null = if self.sink.is_stdout() { self.paint.dim("null") } else { "null".into() };
            return Ok(null);
        }
        let mut text = String::new();
        cells::text(&mut text, column, row)?;
        // A value may not break the table, nor speak to the terminal.
        let shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
        Ok(if text.chars().nth(LONGEST).is_some() { shown + "…" } else { shown })
    }
}

impl Rows for Lines {
    fn batch(&mut self, batch: &RecordBatch) -> Result<bool> {
        for row in 0..batch.num_rows() {
            if self.rows.len() as u64 >= self.most {
                self.more = true;
                return Ok(false);
            }
            let cells: Result<Vec<String>> = batch.columns().iter().map(|column| self.cell(column, row)).collect();
            self.rows.push(cells?);
        }
        Ok(true)
    }

    fn end(mut self: Box<Self>) -> Result<Option<String>> {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let rows = self.rows.len() as u64;
        let mut text = table_of_values(&names, &self.rows, names.len());
        let plural = if rows == 1 { "" } else { "s" };
        text.push_str(&format!("{} row{plural}\n", count(rows)));
        self.sink.put(text.as_bytes())?;
        self.sink.finish()?;
        Ok(self
            .more
            .then(|| format!("there are more rows: --max-rows {} shows more, --output csv all of them", self.most.saturating_mul(10))))
    }
}
