//! Rows as JSON, one object a line.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::sink::Sink;
use super::{Rows, cells, distinct};
use crate::error::Result;

/// Writes an object for each row.
#[derive(Debug)]
pub(super) struct Lines {
    sink: Sink,
    /// The text before each value: `{"a":`, `,"b":`.
    before: Vec<String>,
    buffer: String,
}

impl Lines {
    /// Lines for rows of `schema`.
    ///
    /// # Errors
    ///
    /// `Usage` if two columns have the same name.
    pub(super) fn new(schema: &SchemaRef, sink: Sink) -> Result<Self> {
        distinct(schema)?;
        let name = |(at, field): (usize, &arrow_schema::FieldRef)| {
            let mut text = String::from(if at == 0 { "{" } else { "," });
            cells::quoted(&mut text, field.name());
            text + ":"
        };
        Ok(Self { sink, before: schema.fields().iter().enumerate().map(name).collect(), buffer: String::new() })
    }
}

impl Rows for Lines {
    fn batch(&mut self, batch: &RecordBatch) -> Result<bool> {
        for row in 0..batch.num_rows() {
            self.buffer.clear();
            for (before, column) in self.before.iter().zip(batch.columns()) {
                self.buffer.push_str(before);
                cells::json(&mut self.buffer, column, row)?;
            }
            self.buffer.push_str(if self.before.is_empty() { "{}\n" } else { "}\n" });
            if !self.sink.put(self.buffer.as_bytes())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end(self: Box<Self>) -> Result<Option<String>> {
        self.sink.finish().map(|()| None)
    }
}
