//! What tests share: stores, clocks and watchers. No assertions in here.

pub(crate) mod aged;
pub(crate) mod bridge;
pub(crate) mod damage;
pub(crate) mod delta_history;
pub(crate) mod delta_table;
pub(crate) mod expiry;
pub(crate) mod golden;
pub(crate) mod iceberg_table;
pub(crate) mod lake;
pub(crate) mod orphans;
pub(crate) mod references;
pub(crate) mod rivals;
pub(crate) mod sql;
pub(crate) mod timeline;
pub(crate) mod upkeep;
pub(crate) mod workbench;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path;
use otf::error::{Error, Result};
use otf::location::Location;
use otf::ops::leftovers::{Owner, Processes};
use otf::ops::{Clock, Progress};
use otf::store::Resolve;
use otf::units::{Bytes, Timestamp};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOON: i64 = 1_767_225_600_000;

/// Every place in one object store, by its path.
pub(crate) struct OneStore(pub(crate) Arc<dyn ObjectStore>);

impl Resolve for OneStore {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let path = Path::parse(location.path()).map_err(|e| Error::usage("no such name").because(e))?;
        Ok((Arc::clone(&self.0), path))
    }
}

/// A clock that moves only when somebody waits or looks.
pub(crate) struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(NOON))
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }

    async fn wait_ms(&self, ms: u64) {
        self.0.fetch_add(i64::try_from(ms).unwrap(), Ordering::Relaxed);
    }
}

/// Keeps remarks.
#[derive(Default)]
pub(crate) struct Remarks(pub(crate) Mutex<Vec<String>>);

impl Progress for Remarks {
    fn planned(&self, _groups: usize, _bytes: Bytes) {}
    fn group_done(&self, _bytes: Bytes) {}
    fn remark(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_string());
    }
}

/// This process with a chosen id; every process with another id is dead.
pub(crate) struct Alone(pub(crate) u32);

impl Processes for Alone {
    fn current(&self) -> Owner {
        Owner { host: "here".into(), process: self.0, started: 1 }
    }

    fn is_running(&self, owner: &Owner) -> Option<bool> {
        (owner.host == "here").then_some(owner.process == self.0)
    }
}
