//! Operations: plan (pure) → run (I/O) → report. Operations never use each other.

pub mod compact;
pub mod deletion;
pub mod document;
pub mod expire;
pub mod fsck;
pub mod inspect;
pub mod land;
pub mod land_upkeep;
pub mod leftovers;
pub mod manifests;
pub mod orphans;
pub mod query;
pub mod references;
pub mod restore;
pub mod territory;
pub mod totals;
pub mod upkeep;

use async_trait::async_trait;

use crate::engine::Rewriter;
use crate::store::Store;
use crate::units::{Bytes, Timestamp};

/// Time, as an argument.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn wait_ms(&self, ms: u64);
}

/// Somebody who watches a run.
pub trait Progress: Send + Sync {
    /// The work is known: so many groups with so many bytes to read.
    fn planned(&self, groups: usize, bytes: Bytes);
    /// A group was rewritten (or failed): so many bytes of it had been planned.
    fn group_done(&self, bytes: Bytes);
    /// A remark for people: a retry, a conflict, something left undone.
    fn remark(&self, text: &str);
}

/// What operations work with.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// All storage.
    pub store: &'a Store,
    /// The engine.
    pub engine: &'a dyn Rewriter,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// This process and its neighbours.
    pub processes: &'a dyn leftovers::Processes,
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}
