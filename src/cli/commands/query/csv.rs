//! Rows as comma-separated values (RFC 4180), with a line of names first. Null is nothing, an empty text is `""`.

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};

use super::sink::Sink;
use super::{Rows, cells};
use crate::error::Result;

/// Writes a line for each row.
#[derive(Debug)]
pub(super) struct Lines {
    sink: Sink,
    line: String,
    cell: String,
}

impl Lines {
    /// Lines for rows of `schema`; the first is written.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it cannot be.
    pub(super) fn new(schema: &SchemaRef, mut sink: Sink) -> Result<Self> {
        let mut line = String::new();
        for (at, field) in schema.fields().iter().enumerate() {
            separate(&mut line, at);
            field_of(&mut line, field.name());
        }
        line.push_str("\r\n");
        sink.put(line.as_bytes())?;
        Ok(Self { sink, line, cell: String::new() })
    }
}

fn separate(line: &mut String, at: usize) {
    if at > 0 {
        line.push(',');
    }
}

/// Appends `text`, in quotes where it needs them.
fn field_of(line: &mut String, text: &str) {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}

impl Rows for Lines {
    fn batch(&mut self, batch: &RecordBatch) -> Result<bool> {
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (at, column) in batch.columns().iter().enumerate() {
                separate(&mut self.line, at);
                if column.is_null(row) || *column.data_type() == DataType::Null {
                    continue;
                }
                self.cell.clear();
                cells::text(&mut self.cell, column, row)?;
                field_of(&mut self.line, &self.cell);
            }
            self.line.push_str("\r\n");
            if !self.sink.put(self.line.as_bytes())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn end(self: Box<Self>) -> Result<Option<String>> {
        self.sink.finish().map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let field = |text: &str| {
            let mut line = String::new();
            field_of(&mut line, text);
            line
        };
        for (text, shown) in
            [("a b", "a b"), ("", "\"\""), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\""), (" a", "\" a\"")]
        {
            assert_eq!(field(text), shown);
        }
    }
}
