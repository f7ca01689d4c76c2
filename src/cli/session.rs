//! What a verb works with: settings, surroundings, ways to show things.

use std::sync::Arc;

use super::options::{Settings, TableArgs};
use super::progress::{Bar, Lines};
use super::ui::Ui;
use crate::engine::{Inspector, Rewriter, Sql};
use crate::error::Result;
use crate::ops::Progress;
use crate::store::Store;
use crate::store::moved::Moved;
use crate::store::resolve::Stores;
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

    /// Milliseconds since `start`.
    pub fn ms_since(&self, start: crate::units::Timestamp) -> u64 {
        u64::try_from(self.system.clock.now().0.saturating_sub(start.0)).unwrap_or(0)
    }
}
