//! Catalogs: from names and places to tables, and how a table's metadata is replaced there.

mod path;

pub use path::{ExactPointer, PathPointer};

#[cfg(test)]
mod sweep;
