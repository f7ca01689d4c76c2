//! Parquet files that are no table's data, read by the names of their own columns.

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Repetition;
use parquet::schema::types::Type;

use super::failure::{arrow_error, decode_error, guarded};
use super::footer::{self, Opened};
use super::source::{Source, SourceReader};
use crate::decode::parquet as pages;
use crate::engine::lists::{Chooser, EachBatch};
use crate::error::{Error, Result};
use crate::model::DataFile;

/// Rows decoded at once.
const ROWS: usize = 8192;
/// Values of a fixed length are copied for each row: they are no longer than this.
const LONGEST_FIXED: i32 = 64;

/// Hands the rows of `file` in the top-level columns that `wanted` chooses to `each`, fetching about `window` bytes at once. Blocks.
///
/// Texts and bytes are views: a long one that a dictionary holds once, and every row refers to, takes its room once.
///
/// # Errors
///
/// `Corrupt` or `Unsupported` if it cannot be decoded; `Usage` if a column holds lists, structures or long values of a fixed length; storage errors;
/// those of `each`.
pub(in crate::engine) fn read(source: Source, file: &DataFile, wanted: Chooser, window: u64, each: &mut EachBatch<'_>) -> Result<()> {
    let opened = footer::open(source, file, None)?;
    let metadata = with_views(&opened)?;
    let schema = opened.metadata.file_metadata().schema_descr_ptr();
    let chosen = schema.root_schema().get_fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
    let roots: Vec<usize> =
        chosen.map(|(at, field)| is_plain(field).then_some(at).ok_or_else(|| shapeless(file))).collect::<Result<_>>()?;
    let mask = ProjectionMask::roots(&schema, roots);
    for (group, row_group) in opened.metadata.row_groups().iter().enumerate() {
        opened.source.expect(pages::chunks(row_group, &mask, opened.source.size()), window);
        read_group(&opened, &metadata, group, mask.clone(), each)?;
    }
    Ok(())
}

/// How the file is read, with views of its texts and bytes.
fn with_views(opened: &Opened) -> Result<ArrowReaderMetadata> {
    let location = opened.source.location();
    let read = |schema: Option<Schema>| {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let options = schema.into_iter().fold(options, |options, schema| options.with_schema(Arc::new(schema)));
        let metadata = guarded(location, || ArrowReaderMetadata::try_new(Arc::clone(&opened.metadata), options))?;
        metadata.map_err(|e| decode_error(e, location))
    };
    let stored = read(None)?;
    let view = |field: &FieldRef| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
        _ => Arc::clone(field),
    };
    let fields: Vec<FieldRef> = stored.schema().fields().iter().map(view).collect();
    read(Some(Schema::new_with_metadata(fields, stored.schema().metadata().clone())))
}

/// Whether a row of the column `ty` holds one value at most, which is short or shared.
fn is_plain(ty: &Type) -> bool {
    let info = ty.get_basic_info();
    let is_long = matches!(ty, Type::PrimitiveType { type_length, .. } if *type_length > LONGEST_FIXED);
    ty.is_primitive() && !is_long && !(info.has_repetition() && info.repetition() == Repetition::REPEATED)
}

fn shapeless(file: &DataFile) -> Error {
    Error::usage("a column of a list of files holds no plain values")
        .about("file", &file.location)
        .hint("columns are texts, numbers, flags and times")
}

fn read_group(opened: &Opened, metadata: &ArrowReaderMetadata, group: usize, mask: ProjectionMask, each: &mut EachBatch<'_>) -> Result<()> {
    let (location, failure) = (opened.source.location(), &opened.source.failure);
    let reader = SourceReader(Arc::clone(&opened.source));
    let open = || pages::row_group(reader, metadata, group, mask, (ROWS, None));
    let mut batches = guarded(location, open)?.map_err(|e| failure.or(|| decode_error(e, location)))?;
    while let Some(batch) = guarded(location, || batches.next())? {
        each(batch.map_err(|e| failure.or(|| arrow_error(e, location)))?)?;
    }
    Ok(())
}
