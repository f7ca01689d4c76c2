//! What a verb works with: settings, surroundings, ways to show things.

use std::sync::Arc;

use super::options::{Settings, TableArgs};
use super::progress::{Bar, Lines};
use super::ui::Ui;
use crate::engine::{Inspector, Rewriter, Sql};
use crate::error::Result;
use crate::ops::{Clock, Parts, Progress};
use crate::store::Store;
use crate::store::moved::Moved;
use crate::store::resolve::Stores;
use crate::wiring::processes::LocalProcesses;
use crate::wiring::{self, Opened, System};

/// One run of the tool.
#[derive(Debug)]
pub struct Session {
    /// What options, environment and file come to.
    pub settings: Settings,
    /// Where results go.
    pub ui: Ui,
    /// The surroundings.
    pub system: System,
}

impl Session {
    /// All storage that the settings reach.
    ///
    /// # Errors
    ///
    /// `Usage` for storage options that do not fit.
    pub fn store(&self) -> Result<Store> {
        let stores = Stores::new(&self.settings.storage, &self.system.env)?;
        Ok(Store::new(Arc::new(Moved::new(stores, self.settings.moves.clone()))))
    }

    /// The engine of this build within the budget of the settings. Must be called inside the runtime.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the system gives no threads.
    pub fn engine(&self, store: &Store) -> Result<Box<dyn Rewriter>> {
        wiring::parts::engine(store, self.settings.memory, self.settings.threads)
    }

    /// Looks into data files within the budget of the settings. Must be called inside the runtime.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the system gives no threads.
    pub fn inspector(&self, store: &Store) -> Result<Box<dyn Inspector>> {
        wiring::parts::inspector(store, self.settings.memory, self.settings.threads)
    }

    /// The engine that runs queries within the budget of the settings. Must be called inside the runtime.
    pub fn sql(&self, store: &Store) -> Box<dyn Sql> {
        wiring::parts::sql(store, self.settings.memory, self.settings.threads, &self.settings.temp_dir)
    }

    /// The table that `args` name.
    ///
    /// # Errors
    ///
    /// As [`wiring::open()`].
    pub async fn open(&self, args: &TableArgs, store: &Store) -> Result<Opened> {
        wiring::open(&args.table, args.table_format, &self.system.here()?, &self.settings.config.catalog, store).await
    }

    /// Somebody who watches a run.
    pub fn progress(&self) -> Box<dyn Progress> {
        if self.settings.progress && self.system.stderr_is_terminal { Box::new(Bar::default()) } else { Box::new(Lines) }
    }

    /// Whether a plan is to be carried out: `--yes`, and no `--dry-run`.
    pub const fn agreed(&self) -> bool {
        self.settings.yes && !self.settings.dry_run
    }

    /// What an operation on tables in `store` works with. Must be called inside the runtime.
    ///
    /// # Errors
    ///
    /// As [`Session::engine`].
    pub fn workshop(&self, store: Store) -> Result<Workshop> {
        let engine = self.engine(&store)?;
        let (clock, progress) = (self.system.clock.clone(), self.progress());
        Ok(Workshop { store, engine, clock, progress, processes: LocalProcesses::new() })
    }

    /// Milliseconds since `start`.
    pub fn ms_since(&self, start: crate::units::Timestamp) -> u64 {
        u64::try_from(self.system.clock.now().0.saturating_sub(start.0)).unwrap_or(0)
    }
}

/// Holds what an operation works with while it runs. Progress that is shown ends when it is dropped.
pub struct Workshop {
    store: Store,
    engine: Box<dyn Rewriter>,
    clock: Arc<dyn Clock>,
    progress: Box<dyn Progress>,
    processes: LocalProcesses,
}

impl Workshop {
    /// What the operation is given.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            store: &self.store,
            engine: self.engine.as_ref(),
            clock: self.clock.as_ref(),
            progress: self.progress.as_ref(),
            processes: &self.processes,
        }
    }
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop").finish_non_exhaustive()
    }
}
