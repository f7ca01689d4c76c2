//! Delta Lake: the transaction log in and out, on its published protocol (`PROTOCOL.md` of the Delta project).
//!
//! The log is replayed newest first, so only live files are held. Every live file keeps what a later `remove` must repeat byte for byte. What a
//! table may carry and what we do about it is one explicit table in [`protocol`].

mod actions;
mod arrow_text;
mod bookkeeping;
mod bounds;
mod check;
mod checkpoint_columns;
mod checkpoint_read;
mod checkpoint_rows;
mod checkpoint_write;
mod checksum;
mod checksum_write;
mod clustering;
mod commit;
mod commit_info;
mod compacted;
mod compat;
mod dv;
mod dv_write;
mod entry;
mod forget;
mod history;
mod holdings;
mod lines;
mod lists;
mod live;
mod log;
mod log_files;
mod mark;
mod output;
mod partition;
mod path;
pub mod protocol;
mod reach;
mod released;
mod replay;
mod restore;
mod restore_rules;
mod retention;
mod row_tracking;
mod schema;
mod settings;
mod spelling;
mod stats_columns;
mod stats_read;
mod stats_write;
mod table;
#[cfg(test)]
mod tests;
mod travel;
mod upkeep;
mod version;
mod z85;

pub use table::DeltaTable;
pub use version::DeltaVersion;
