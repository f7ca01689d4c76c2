//! Apache Iceberg, format versions 1 to 3.
//!
//! Metadata is a JSON document that is changed in place of being rebuilt, and manifests are Avro records that are written again with all they
//! had: what we do not know survives. The place of the current metadata is a [`Pointer`]'s business.

mod avro;
mod bookkeeping;
mod check;
mod commit;
mod commit_deletes;
mod complete;
mod dangling;
mod delete_files;
mod deletes;
mod document;
mod equality;
mod features;
mod history;
mod holdings;
mod manifest;
mod manifest_list;
mod manifest_merge;
mod manifest_plan;
mod manifest_schema;
mod manifest_summary;
mod manifest_write;
mod metadata;
mod metadata_files;
mod names;
mod output;
mod past;
mod pointer;
mod positions;
mod puffin;
mod reach;
mod references;
mod refs;
mod reshape;
mod retention;
mod rewrite_manifests;
mod rivals;
mod row_deletes;
mod row_delta;
mod rules;
mod scan;
mod schemas;
mod spec;
mod stats;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod travel;
mod types;
pub mod understood;
mod upkeep;
mod values;

pub use pointer::{NewMetadata, Pointer, Swap};
pub use table::IcebergTable;

/// Reads where the table of the metadata file `bytes` (which lies at `file`) says it is.
///
/// # Errors
///
/// `Corrupt` or `Unsupported` as for loading the table.
pub fn table_location(bytes: &[u8], file: &crate::location::Location) -> crate::error::Result<crate::location::Location> {
    metadata::Metadata::parse(bytes, file, None).map(|metadata| metadata.location)
}

/// When the table of the metadata file `bytes` was last updated, in ms; `None` if the document is damaged or does not say.
pub fn last_updated(bytes: &[u8], file: &crate::location::Location) -> Option<i64> {
    metadata::Metadata::parse(bytes, file, None).ok()?.number("last-updated-ms")
}
