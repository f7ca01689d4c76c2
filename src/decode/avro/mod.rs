//! Avro container files (Avro specification, "Object Container Files"), decoded block by block into Arrow columns.

mod build;
mod raw;
mod schema;
#[cfg(test)]
mod tests;
mod unpack;

use arrow_schema::Fields;
use serde_json::Value as Json;

use self::build::{Column, Room};
use self::raw::{damaged, items, long, sized, take};
use self::schema::Node;
pub(crate) use self::unpack::Packing;
use super::{Batch, Decoder, MOST_ROWS, ReadAt, too_large};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"Obj\x01";
const SYNC: usize = 16;
/// Bytes from the start that usually hold the header.
const HEADER: u64 = 64 << 10;
/// Headers larger than this are taken for damage.
const LARGEST_HEADER: u64 = 64 << 20;
/// Bytes that the two numbers before a block have at most.
const BLOCK_START: u64 = 20;
const MOST_ENTRIES: usize = 1 << 16;
/// Rows of a block whose rows take no bytes: any number would cost nothing to write.
const MOST_EMPTY_ROWS: u64 = 1 << 16;

/// An Avro file being decoded.
pub(super) struct AvroFile<'a> {
    file: &'a dyn ReadAt,
    largest: u64,
    fields: Fields,
    nodes: Vec<Node>,
    /// For each field, whether it is wanted.
    wanted: Vec<bool>,
    packing: Packing,
    sync: Vec<u8>,
    /// Where the next block starts.
    position: u64,
    /// The open block, unpacked, what of it is read, and the rows left in it.
    block: Vec<u8>,
    at: usize,
    left: u64,
}

/// Whether `bytes` can be the whole of an Avro file.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    // The mark behind the header ends every block.
    header(bytes).is_ok_and(|header| bytes.ends_with(&header.sync))
}

impl<'a> AvroFile<'a> {
    /// Opens `file`, whose blocks may have `largest` bytes each.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is no Avro file or its header is damaged, `Unsupported` for a compression that is not known; storage errors.
    pub(super) fn open(file: &'a dyn ReadAt, largest: u64) -> Result<Self> {
        let size = file.size();
        file.expect(0..size);
        let mut reach = HEADER.min(size);
        let header = loop {
            match header(&file.read(0..reach)?) {
                Err(_) if reach < size.min(LARGEST_HEADER) => reach = reach.saturating_mul(8).min(size).min(LARGEST_HEADER),
                answer => break answer?,
            }
        };
        let schema = header.schema.ok_or_else(|| Error::corrupt("an Avro file without a schema"))?;
        let schema: Json = serde_json::from_slice(&schema).map_err(|e| Error::corrupt("the Avro schema is not JSON").because(e))?;
        let (fields, nodes) = schema::columns(&schema)?;
        let (packing, wanted) = (Packing::named(&header.codec)?, vec![false; nodes.len()]);
        let (position, sync) = (header.length, header.sync);
        Ok(Self { file, largest, fields, nodes, wanted, packing, sync, position, block: Vec::new(), at: 0, left: 0 })
    }

    /// Unpacks the next block that has rows; says whether there is one.
    fn next_block(&mut self) -> Result<bool> {
        while self.left == 0 {
            if self.at < self.block.len() {
                return Err(damaged());
            }
            // The old bytes go before the new ones come.
            (self.block, self.at) = (Vec::new(), 0);
            let size = self.file.size();
            if self.position >= size {
                return Ok(false);
            }
            let start = self.file.read(self.position..self.position.saturating_add(BLOCK_START).min(size))?;
            let mut input: &[u8] = &start;
            let (rows, length) = (long(&mut input)?, long(&mut input)?);
            let (Ok(rows), Ok(length)) = (u64::try_from(rows), u64::try_from(length)) else { return Err(damaged()) };
            let from = self.position.saturating_add((start.len() - input.len()) as u64);
            if length > self.largest {
                return Err(too_large(length, self.largest));
            }
            let end = from.saturating_add(length).saturating_add(SYNC as u64);
            let bytes = self.file.read(from..end)?;
            let (packed, sync) = bytes.split_at(bytes.len().saturating_sub(SYNC));
            if sync != self.sync {
                return Err(damaged());
            }
            let mut block = Vec::new();
            self.packing.unpack(packed, self.largest, &mut block)?;
            // A row takes a byte or more, unless all there is in it is null.
            if rows > (block.len() as u64).max(MOST_EMPTY_ROWS) {
                return Err(damaged());
            }
            (self.block, self.left, self.position) = (block, rows, end);
        }
        Ok(true)
    }
}

impl Decoder for AvroFile<'_> {
    fn fields(&self) -> &Fields {
        &self.fields
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn select(&mut self, columns: &[usize]) -> Result<()> {
        for at in columns {
            if let (Some(wanted), Some(node), Some(field)) = (self.wanted.get_mut(*at), self.nodes.get(*at), self.fields.get(*at)) {
                Column::new(node).map_err(|e| e.about("column", field.name()))?;
                *wanted = true;
            }
        }
        Ok(())
    }

    fn next(&mut self, bytes: u64) -> Result<Option<Batch>> {
        if !self.next_block()? {
            return Ok(None);
        }
        let mut columns = self
            .nodes
            .iter()
            .zip(&self.wanted)
            .map(|(node, wanted)| wanted.then(|| Column::new(node)).transpose())
            .collect::<Result<Vec<_>>>()?;
        // Small numbers have one byte in the file and eight in memory.
        let most = usize::try_from(bytes / 8).unwrap_or(usize::MAX).max(1);
        let mut input = self.block.get(self.at..).unwrap_or_default();
        let (before, mut rows, mut room) = (input.len(), 0usize, Room::new());
        while self.left > 0 && rows < MOST_ROWS && before - input.len() < most && room.is_left() {
            for (column, node) in columns.iter_mut().zip(&self.nodes) {
                match column {
                    Some(column) => column.push(node, &mut input, &mut room)?,
                    None => build::skip(node, &mut input)?,
                }
            }
            rows += 1;
            self.left -= 1;
        }
        self.at = self.block.len() - input.len();
        let finished = columns.into_iter().zip(&self.fields).filter_map(|(column, field)| Some((column?, field)));
        let finished = finished.map(|(column, field)| {
            // The cause is left out: it may hold a value.
            let wrong = |_| Error::corrupt("a value of the Avro file does not fit its type").about("column", field.name());
            column.finish(field.data_type()).map_err(wrong)
        });
        Ok(Some(Batch { columns: finished.collect::<Result<_>>()?, rows }))
    }
}

struct Header {
    schema: Option<Vec<u8>>,
    codec: String,
    sync: Vec<u8>,
    length: u64,
}

fn header(bytes: &[u8]) -> Result<Header> {
    let mut input = bytes;
    if take(&mut input, MAGIC.len())? != MAGIC {
        return Err(Error::corrupt("not an Avro file"));
    }
    let (mut schema, mut codec) = (None, "null".to_string());
    items(&mut input, MOST_ENTRIES, |input| {
        let (key, value) = (sized(input)?, sized(input)?);
        match key {
            b"avro.schema" => schema = Some(value.to_vec()),
            b"avro.codec" => codec = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        Ok(())
    })?;
    let sync = take(&mut input, SYNC)?.to_vec();
    Ok(Header { schema, codec, sync, length: (bytes.len() - input.len()) as u64 })
}
