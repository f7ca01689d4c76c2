//! The verbs: each takes its arguments and a session, and returns the exit status.

pub mod compact;
pub mod completions;
pub mod config;
pub mod demo;
pub mod expire;
pub mod fsck;
pub mod inspect;
pub mod manifests;
pub mod orphans;
pub mod query;
pub mod references;
pub mod restore;
mod upkeep;
