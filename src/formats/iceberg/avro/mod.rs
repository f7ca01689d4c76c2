//! Avro container files of manifests and manifest lists (Avro specification, "Object Container Files").
//!
//! Blocks are decoded one at a time, and the header's entries stay as they are, so that a file can be written again with nothing lost.

mod datum;
mod shape;

use bytes::Bytes as Buffer;
use serde_json::Value as Json;

pub(crate) use datum::{Datum, encode};
pub(crate) use shape::{RecordShape, Shape};

use crate::decode::Packing;
use crate::error::{Error, Result};
use crate::location::Location;

const MAGIC: &[u8] = b"Obj\x01";
const SYNC: usize = 16;
/// Blocks of a written file hold about this many bytes before compression.
const BLOCK: usize = 64 << 10;
/// Smaller blocks are not worth their head.
const LEAST_BLOCK: usize = 4 << 10;
/// Blocks that become larger are not read: those of manifests have a thousandth of it.
const LARGEST_BLOCK: u64 = 256 << 20;
const SCHEMA_KEY: &str = "avro.schema";
const CODEC_KEY: &str = "avro.codec";

/// A container file being read.
pub(crate) struct Reader {
    /// The writer's schema.
    pub(crate) schema: Json,
    /// The shape of each record.
    pub(crate) shape: Shape,
    /// Header entries other than schema and codec, in the file's order.
    pub(crate) header: Vec<(String, Vec<u8>)>,
    place: Location,
    packing: Packing,
    sync: Vec<u8>,
    rest: Buffer,
    block: Vec<u8>,
    at: usize,
    left: i64,
    record: usize,
    failed: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("place", &self.place).finish_non_exhaustive()
    }
}

fn codec(name: &str) -> Result<apache_avro::Codec> {
    use apache_avro::{Codec, DeflateSettings, ZstandardSettings};
    Ok(match name {
        "null" => Codec::Null,
        "deflate" => Codec::Deflate(DeflateSettings::default()),
        "snappy" => Codec::Snappy,
        "zstandard" => Codec::Zstandard(ZstandardSettings::default()),
        "bzip2" => Codec::Bzip2(apache_avro::Bzip2Settings::default()),
        "xz" => Codec::Xz(apache_avro::XzSettings::default()),
        _ => return Err(Error::unsupported(format!("Avro compression '{name}' is not understood"))),
    })
}

impl Reader {
    /// Opens the container file `bytes`, which lies at `place`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is no such file, `Unsupported` for an unknown compression.
    pub(crate) fn open(bytes: &Buffer, place: &Location) -> Result<Self> {
        Self::open_inner(bytes, place).map_err(|e| e.about("file", place))
    }

    fn open_inner(bytes: &Buffer, place: &Location) -> Result<Self> {
        let mut input: &[u8] = bytes;
        if datum::take(&mut input, MAGIC.len())? != MAGIC {
            return Err(Error::corrupt("not an Avro file"));
        }
        let meta = datum::decode(&Shape::Map(Shape::Bytes.into()), &mut input)?;
        let Datum::Map(meta) = meta else { return Err(Error::bug("an Avro header is a map")) };
        let sync = datum::take(&mut input, SYNC)?.to_vec();
        let (mut schema, mut name, mut header) = (None, "null".to_string(), Vec::new());
        for (key, value) in meta {
            let value = value.as_bytes().unwrap_or_default().to_vec();
            match key.as_str() {
                SCHEMA_KEY => schema = Some(value),
                CODEC_KEY => name = String::from_utf8_lossy(&value).into_owned(),
                _ => header.push((key, value)),
            }
        }
        let schema = schema.ok_or_else(|| Error::corrupt("an Avro file without a schema"))?;
        let schema: Json = serde_json::from_slice(&schema).map_err(|e| Error::corrupt("an Avro schema is not JSON").because(e))?;
        let shape = Shape::parse(&schema)?;
        let rest = bytes.slice(bytes.len() - input.len()..);
        let packing = Packing::named(&name)?;
        Ok(Self {
            schema,
            shape,
            header,
            place: place.clone(),
            packing,
            sync,
            rest,
            block: Vec::new(),
            at: 0,
            left: 0,
            record: 0,
            failed: false,
        })
    }

    /// The header entry `key`.
    pub(crate) fn header(&self, key: &str) -> Option<&[u8]> {
        self.header.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_slice())
    }

    /// How many bytes the last record takes, unpacked.
    pub(crate) const fn record_size(&self) -> usize {
        self.record
    }

    fn next_record(&mut self) -> Result<Option<Datum>> {
        while self.left == 0 {
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.next_block()?;
        }
        let mut input = self.block.get(self.at..).unwrap_or_default();
        let record = datum::decode(&self.shape, &mut input)?;
        let at = self.block.len() - input.len();
        self.record = at - self.at;
        self.at = at;
        self.left -= 1;
        Ok(Some(record))
    }

    fn next_block(&mut self) -> Result<()> {
        let mut input: &[u8] = &self.rest;
        self.left = datum::long(&mut input)?;
        let packed = datum::sized(&mut input)?;
        let damaged = || Error::corrupt("a block of an Avro file is damaged");
        if datum::take(&mut input, SYNC)? != self.sync {
            return Err(damaged());
        }
        self.packing.unpack(packed, LARGEST_BLOCK, &mut self.block)?;
        self.at = 0;
        // No record here is without a byte.
        if usize::try_from(self.left).map_or(true, |left| left > self.block.len()) {
            return Err(damaged());
        }
        self.rest = self.rest.slice(self.rest.len() - input.len()..);
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<Datum>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.next_record() {
            Ok(record) => record.map(Ok),
            Err(error) => {
                self.failed = true;
                Some(Err(error.about("file", &self.place)))
            }
        }
    }
}

/// A container file being written to memory.
pub(crate) struct Writer {
    shape: Shape,
    codec: apache_avro::Codec,
    sync: [u8; SYNC],
    out: Vec<u8>,
    block: Vec<u8>,
    count: i64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("written", &self.out.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts a file of `schema`, compressed by `codec_name`, with further `header` entries. `sync` separates blocks: any 16 bytes.
    ///
    /// # Errors
    ///
    /// `Unsupported` for an unknown compression, `Corrupt` for a schema that is none.
    pub(crate) fn new(schema: &Json, codec_name: &str, header: &[(String, Vec<u8>)], sync: [u8; SYNC]) -> Result<Self> {
        let mut out = MAGIC.to_vec();
        let entry = |key: &str, value: &[u8]| (key.to_string(), Datum::Bytes(value.to_vec()));
        let mut meta = vec![entry(SCHEMA_KEY, schema.to_string().as_bytes()), entry(CODEC_KEY, codec_name.as_bytes())];
        meta.extend(header.iter().map(|(key, value)| entry(key, value)));
        encode(&Shape::Map(Shape::Bytes.into()), &Datum::Map(meta), &mut out)?;
        out.extend_from_slice(&sync);
        Ok(Self { shape: Shape::parse(schema)?, codec: codec(codec_name)?, sync, out, block: Vec::new(), count: 0 })
    }

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// `Bug` if the record does not fit the schema.
    pub(crate) fn append(&mut self, record: &Datum) -> Result<()> {
        encode(&self.shape, record, &mut self.block)?;
        self.count += 1;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Appends a record that [`encode`] made for the same schema.
    ///
    /// # Errors
    ///
    /// `Bug` if a block cannot be packed.
    pub(crate) fn append_encoded(&mut self, record: &[u8]) -> Result<()> {
        self.block.extend_from_slice(record);
        self.count += 1;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Whether the file has `size` bytes. Blocks close to its end are packed early, so that packed bytes decide.
    ///
    /// # Errors
    ///
    /// `Bug` if a block cannot be packed.
    pub(crate) fn reaches(&mut self, size: u64) -> Result<bool> {
        if self.block.len() >= LEAST_BLOCK && self.written() as u64 >= size {
            self.flush()?;
        }
        Ok(self.out.len() as u64 >= size)
    }

    /// Bytes so far, the unpacked ones of the open block included.
    pub(crate) const fn written(&self) -> usize {
        self.out.len() + self.block.len()
    }

    fn flush(&mut self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let mut packed = std::mem::take(&mut self.block);
        self.codec.compress(&mut packed).map_err(|e| Error::bug("an Avro block cannot be packed").because(e))?;
        datum::put_long(self.count, &mut self.out);
        datum::put_sized(&packed, &mut self.out);
        self.out.extend_from_slice(&self.sync);
        self.count = 0;
        Ok(())
    }

    /// The finished file.
    ///
    /// # Errors
    ///
    /// `Bug` if the last block cannot be packed.
    pub(crate) fn finish(mut self) -> Result<Buffer> {
        self.flush()?;
        Ok(Buffer::from(self.out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Json {
        serde_json::json!({"type": "record", "name": "r", "fields": [
            {"name": "id", "type": "long"}, {"name": "part", "type": ["null", {"type": "fixed", "name": "u", "size": 2, "logicalType": "uuid"}]}]})
    }

    fn record(id: i64) -> Datum {
        Datum::Record(vec![Datum::Long(id), Datum::Union(1, Box::new(Datum::Bytes(vec![1, 2])))])
    }

    #[test]
    fn what_was_written_is_read_back_with_every_codec() {
        for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
            let mut writer = Writer::new(&schema(), codec, &[("content".into(), b"data".to_vec())], [7; SYNC]).unwrap();
            for id in 0..20_000 {
                writer.append(&record(id)).unwrap();
            }
            let reader = Reader::open(&writer.finish().unwrap(), &Location::parse("/x").unwrap()).unwrap();
            assert_eq!(reader.header("content"), Some(b"data".as_slice()));
            assert_eq!(reader.schema, schema());
            let read: Result<Vec<Datum>> = reader.collect();
            let read = read.unwrap();
            assert_eq!((read.len(), &read[19_999]), (20_000, &record(19_999)), "{codec}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_naming_the_file() {
        let mut writer = Writer::new(&schema(), "null", &[], [7; SYNC]).unwrap();
        writer.append(&record(1)).unwrap();
        let whole = writer.finish().unwrap();
        let place = Location::parse("/t/m.avro").unwrap();
        let header = whole.len() - 16 - 2 - 5;
        for end in (0..whole.len()).filter(|end| *end != header + 1) {
            let read = Reader::open(&whole.slice(..end), &place).and_then(Iterator::collect::<Result<Vec<Datum>>>);
            match read {
                Ok(records) => assert!(records.is_empty(), "cut at {end}"),
                Err(error) => assert!(error.to_string().contains("m.avro"), "{error}"),
            }
        }
    }
}
