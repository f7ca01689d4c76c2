//! Which storage call fails, and how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path;
use object_store::{Error, ObjectStore, Result};
use tokio::sync::watch;

use super::Faulty;

/// What happens at a storage call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails without having had its effect.
    Fail,
    /// The call has its effect and its answer is lost.
    LoseAnswer,
    /// The call waits until [`Faults::release`], and then goes on.
    Hold,
    /// The call has its effect; its answer comes after [`Faults::release`].
    HoldAnswer,
    /// The call has its effect; its answer is lost after [`Faults::release`].
    HoldAndLoseAnswer,
    /// The process dies just before: neither this call nor any later one has an effect.
    KillBefore,
    /// The process dies just after: this call has its effect, no later one has.
    KillAfter,
}

/// A storage call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its kind: `put`, `claim`, `upload`, `part`, `complete`, `abort`, `get`, `head`, `ranges`, `delete`, `list`, `copy`, `rename`.
    pub operation: &'static str,
    /// The key it was about.
    pub key: String,
}

/// What is to happen, and what has: shared by every store it is laid over.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    held: watch::Sender<u64>,
    released: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    plan: BTreeMap<u64, Fault>,
    calls: Vec<Call>,
    dead: bool,
}

/// What a call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Work,
    Fail,
    WorkInVain,
    WaitThenWork,
    WorkThenWait { in_vain: bool },
}

impl Faults {
    /// No faults: calls are counted and noted.
    pub fn none() -> Self {
        Self::default()
    }

    /// One fault, at the call with this number; the first is number 1.
    pub fn at(call: u64, fault: Fault) -> Self {
        Self::none().and(call, fault)
    }

    /// One more fault.
    #[must_use]
    pub fn and(self, call: u64, fault: Fault) -> Self {
        self.state().plan.insert(call, fault);
        self
    }

    /// `inner` under these faults.
    pub fn over(&self, inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(Faulty { inner, faults: self.clone() })
    }

    /// The calls made so far, in the order they began.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Whether every planned fault has happened. A sweep over call numbers ends with the first run for which this is false.
    pub fn all_happened(&self) -> bool {
        let state = self.state();
        state.plan.last_key_value().is_none_or(|(last, _)| state.calls.len() as u64 >= *last)
    }

    /// Whether a fault has killed the process, as far as storage can tell.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Waits until a call is held.
    pub async fn until_held(&self) {
        // The sender lives as long as `self`: this cannot fail.
        drop(self.shared.held.subscribe().wait_for(|held| *held > 0).await);
    }

    /// Lets held calls go on, and those that would be held later.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Does `work` as planned for the next call.
    pub(super) async fn call<T>(&self, operation: &'static str, key: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next(operation, key) {
            Turn::Work => work.await,
            Turn::Fail => Err(injected(operation, key)),
            Turn::WorkInVain => {
                drop(work.await);
                Err(injected(operation, key))
            }
            Turn::WaitThenWork => {
                self.wait_for_release().await;
                work.await
            }
            Turn::WorkThenWait { in_vain } => {
                let answer = work.await;
                self.wait_for_release().await;
                if in_vain { Err(injected(operation, key)) } else { answer }
            }
        }
    }

    async fn wait_for_release(&self) {
        self.shared.held.send_modify(|held| *held += 1);
        drop(self.shared.released.subscribe().wait_for(|released| *released).await);
    }

    /// An error if the process is dead: for what goes on between calls.
    pub(super) fn check(&self, operation: &'static str, key: &Path) -> Result<()> {
        if self.is_dead() { Err(injected(operation, key)) } else { Ok(()) }
    }

    fn next(&self, operation: &'static str, key: &Path) -> Turn {
        let mut state = self.state();
        if state.dead {
            // The dead make no calls: the count stays what it was at the moment of death.
            return Turn::Fail;
        }
        state.calls.push(Call { operation, key: key.to_string() });
        let number = state.calls.len() as u64;
        match state.plan.get(&number).copied() {
            None => Turn::Work,
            Some(Fault::Hold) => Turn::WaitThenWork,
            Some(Fault::HoldAnswer) => Turn::WorkThenWait { in_vain: false },
            Some(Fault::HoldAndLoseAnswer) => Turn::WorkThenWait { in_vain: true },
            Some(Fault::Fail) => Turn::Fail,
            Some(Fault::LoseAnswer) => Turn::WorkInVain,
            Some(fault @ (Fault::KillBefore | Fault::KillAfter)) => {
                state.dead = true;
                if fault == Fault::KillBefore { Turn::Fail } else { Turn::WorkInVain }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn injected(operation: &'static str, key: &Path) -> Error {
    Error::Generic { store: "Faulty", source: format!("a planned fault: {operation} of {key} got no answer").into() }
}
