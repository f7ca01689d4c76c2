//! The end of an ORC file: postscript and footer (ORC specification, "File Tail").
//!
//! The footer is read here before the library sees it, for two reasons: the library drops the attributes of types, which hold Iceberg's field ids, and
//! it follows types into their subtypes without end where a damaged footer has a circle.

use std::io::Read;

use bytes::Bytes as Buffer;
use orc_rust::compression::Decompressor;
use orc_rust::reader::metadata::{FileMetadata, read_metadata};

use super::packing::Packing;
use super::wire::{self, Field, damaged, put_number};
use crate::decode::{ReadAt, guarded};
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"ORC";
/// Bytes from the end that usually hold postscript and footer.
const TAIL: u64 = 64 << 10;
/// Footers larger than this are taken for damage, compressed or not.
const LARGEST_FOOTER: u64 = 256 << 20;

/// What a footer says of a type.
#[derive(Debug, Default)]
pub(super) struct RawType {
    pub(super) kind: u64,
    pub(super) subtypes: Vec<usize>,
    pub(super) names: Vec<String>,
    pub(super) maximum_length: Option<u64>,
    pub(super) precision: u64,
    pub(super) scale: u64,
    pub(super) attributes: Vec<(String, String)>,
}

impl RawType {
    /// The attribute `key`.
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A sound tail.
pub(super) struct Tail {
    /// The library's view of it, without statistics.
    pub(super) metadata: FileMetadata,
    /// The types, subtypes behind their parents.
    pub(super) types: Vec<RawType>,
    /// How streams are compressed.
    pub(super) packing: Packing,
}

/// Whether `bytes` can be the end of an ORC file.
pub(in crate::decode) fn is_end(bytes: &[u8]) -> bool {
    postscript(bytes).is_ok()
}

struct Postscript {
    /// Its bytes, with the byte for its length.
    length: u64,
    footer: u64,
    compression: u64,
    block: Option<u64>,
}

fn postscript(tail: &[u8]) -> Result<Postscript> {
    let not_orc = || Error::corrupt("not an ORC file");
    let (length, body) = tail.split_last().ok_or_else(not_orc)?;
    let start = body.len().checked_sub(usize::from(*length)).ok_or_else(not_orc)?;
    let mut found = Postscript { length: u64::from(*length) + 1, footer: 0, compression: 0, block: None };
    let mut magic = false;
    wire::fields(body.get(start..).unwrap_or_default(), |field, value| {
        match field {
            1 => found.footer = value.number()?,
            2 => found.compression = value.number()?,
            3 => found.block = Some(value.number()?),
            8000 => magic = value.bytes()? == MAGIC,
            _ => {}
        }
        Ok(())
    })
    .map_err(|_| not_orc())?;
    if magic { Ok(found) } else { Err(not_orc()) }
}

/// Reads the tail of `file`.
///
/// # Errors
///
/// `Corrupt` if it is no ORC file or the tail is damaged, `Unsupported` for encryption and compressions that are not known; storage errors.
pub(super) fn read(file: &dyn ReadAt) -> Result<Tail> {
    let size = file.size();
    let end = file.read(size.saturating_sub(TAIL)..size)?;
    let postscript = postscript(&end)?;
    let footer_end = size.checked_sub(postscript.length).ok_or_else(damaged)?;
    let footer_start = footer_end.checked_sub(postscript.footer).filter(|_| postscript.footer <= LARGEST_FOOTER).ok_or_else(damaged)?;
    let footer = file.read(footer_start..footer_end)?;
    let packing = Packing::new(postscript.compression, postscript.block)?;
    if packing.measure(&footer)?.total > LARGEST_FOOTER {
        return Err(damaged());
    }
    // The library makes a compression only for a whole file: this one has a root without columns.
    let mut small = if postscript.compression == 0 { Vec::new() } else { vec![9, 0, 0] };
    small.extend_from_slice(&[0x22, 2, 8, 12]);
    let compression = library(&small, &postscript)?.compression();
    let mut unpacked = Vec::new();
    guarded(|| Decompressor::new(footer.clone(), compression, Vec::new()).take(LARGEST_FOOTER).read_to_end(&mut unpacked))?
        .map_err(|e| damaged().because(e))?;
    let types = types(&unpacked)?;
    let metadata = library(&footer, &postscript)?;
    check(&metadata, size)?;
    Ok(Tail { metadata, types, packing })
}

/// The library's view of a file that consists of `footer` alone: statistics of stripes are not needed.
fn library(footer: &[u8], like: &Postscript) -> Result<FileMetadata> {
    let mut postscript = Vec::new();
    put_number(1, footer.len() as u64, &mut postscript);
    put_number(2, like.compression, &mut postscript);
    if let Some(block) = like.block {
        put_number(3, block, &mut postscript);
    }
    put_number(5, 0, &mut postscript);
    let length = u8::try_from(postscript.len()).map_err(|_| damaged())?;
    let mut file = Buffer::from([footer, &postscript, &[length]].concat());
    guarded(|| read_metadata(&mut file))?.map_err(|e| damaged().because(e))
}

/// Holds every number that readers rely on against the file.
fn check(metadata: &FileMetadata, size: u64) -> Result<()> {
    let mut rows = 0u64;
    for stripe in metadata.stripe_metadatas() {
        let end = [stripe.index_length(), stripe.data_length(), stripe.footer_length()]
            .into_iter()
            .try_fold(stripe.offset(), u64::checked_add)
            .filter(|end| *end <= size);
        end.ok_or_else(damaged)?;
        rows = rows.checked_add(stripe.number_of_rows()).ok_or_else(damaged)?;
    }
    if rows == metadata.number_of_rows() { Ok(()) } else { Err(damaged()) }
}

fn types(footer: &[u8]) -> Result<Vec<RawType>> {
    let mut types = Vec::new();
    wire::fields(footer, |field, value| {
        match field {
            4 => types.push(raw_type(value.bytes()?)?),
            10 => return Err(Error::unsupported("the ORC file has encrypted columns")),
            _ => {}
        }
        Ok(())
    })?;
    // A type comes before its subtypes and belongs to one parent alone, so that there is neither a circle nor an endless tree.
    let mut owned = vec![false; types.len()];
    for (at, ty) in types.iter().enumerate() {
        for subtype in &ty.subtypes {
            match owned.get_mut(*subtype) {
                Some(owned) if *subtype > at && !*owned => *owned = true,
                _ => return Err(damaged()),
            }
        }
    }
    if types.first().is_none_or(|root| root.kind != super::types::STRUCT) {
        return Err(Error::unsupported("the rows of the ORC file are no structs"));
    }
    Ok(types)
}

fn raw_type(message: &[u8]) -> Result<RawType> {
    let mut ty = RawType::default();
    wire::fields(message, |field, value| {
        match field {
            1 => ty.kind = value.number()?,
            2 => {
                for subtype in value.numbers()? {
                    ty.subtypes.push(usize::try_from(subtype).map_err(|_| damaged())?);
                }
            }
            3 => ty.names.push(value.text()?),
            4 => ty.maximum_length = Some(value.number()?),
            5 => ty.precision = value.number()?,
            6 => ty.scale = value.number()?,
            7 => ty.attributes.push(pair(value)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ty)
}

fn pair(message: Field<'_>) -> Result<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    wire::fields(message.bytes()?, |field, text| {
        match field {
            1 => key = text.text()?,
            2 => value = text.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}
