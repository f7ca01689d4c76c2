//! The lines of a file, packed or not, in bounded memory.

use std::io::Write;

use bytes::Bytes as Buffer;
use flate2::write::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;

/// So much is read at once.
const PIECE: u64 = 4 << 20;
/// So much is unpacked at once: it becomes a thousand times as much at most.
const PACKED: usize = 32 << 10;
/// A line longer than this is none.
pub(super) const LONGEST: usize = 1 << 20;

/// A file being read.
#[derive(Debug)]
pub(super) struct Lines {
    place: Location,
    size: u64,
    at: u64,
    packed: Option<MultiGzDecoder<Vec<u8>>>,
    /// What has been read and not looked at.
    waiting: Buffer,
    rest: Vec<u8>,
    /// Lines handed out, for messages.
    lines: u64,
}

impl Lines {
    pub(super) async fn open(store: &Store, place: &Location) -> Result<Self> {
        let size = store.head(place).await?.size;
        let start = store.get_range(place, 0..size.min(2)).await?;
        let packed = start.starts_with(&[0x1f, 0x8b]).then(|| MultiGzDecoder::new(Vec::new()));
        Ok(Self { place: place.clone(), size, at: 0, packed, waiting: Buffer::new(), rest: Vec::new(), lines: 0 })
    }

    /// Some whole lines; `None` at the end.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<String>> {
        loop {
            if self.waiting.is_empty() {
                if self.at >= self.size {
                    return self.last();
                }
                let end = self.size.min(self.at.saturating_add(PIECE));
                self.waiting = store.get_range(&self.place, self.at..end).await?;
                self.at = end;
            }
            let most = if self.packed.is_some() { PACKED } else { self.waiting.len() };
            let piece = self.waiting.split_to(most.min(self.waiting.len()));
            match &mut self.packed {
                None => self.rest.extend_from_slice(&piece),
                Some(packed) => {
                    let unpacked = packed.write_all(&piece).and_then(|()| packed.flush());
                    unpacked.map_err(|e| Error::corrupt("an inventory cannot be unpacked").about("file", &self.place).because(e))?;
                    self.rest.append(packed.get_mut());
                }
            }
            let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if self.rest.len() - whole > LONGEST {
                return Err(self.wrong());
            }
            if whole > 0 {
                let lines: Vec<u8> = self.rest.drain(..whole).collect();
                return self.text(lines).map(Some);
            }
        }
    }

    fn last(&mut self) -> Result<Option<String>> {
        if let Some(mut packed) = self.packed.take() {
            packed.try_finish().map_err(|e| Error::corrupt("an inventory is cut short").about("file", &self.place).because(e))?;
            self.rest.append(packed.get_mut());
        }
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { Ok(None) } else { self.text(rest).map(Some) }
    }

    fn text(&mut self, lines: Vec<u8>) -> Result<String> {
        let text = String::from_utf8(lines).map_err(|_| self.wrong())?;
        self.lines = self.lines.saturating_add(text.lines().count() as u64);
        Ok(text.trim_start_matches('\u{feff}').to_string())
    }

    /// The file.
    pub(super) const fn place(&self) -> &Location {
        &self.place
    }

    /// A line among those last handed out, or after them, cannot be understood.
    pub(super) fn wrong(&self) -> Error {
        Error::usage("a line of an inventory cannot be understood")
            .about("file", &self.place)
            .about("at_or_before_line", self.lines)
            .hint("lines are CSV or JSON objects of key, size and last_modified")
    }
}
