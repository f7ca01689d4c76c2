//! Everything that is referred to: by the table, by tables over the same files, by tables below it and above it.

use std::sync::Arc;

use super::gather::{Gather, Gathered};
use super::plan::{Held, Rules};
use super::{Met, Neighbour, Neighbours, Treated};
use crate::error::{Error, Kind, Result};
use crate::formats::{FormatName, Table, TableVersion};
use crate::location::Location;
use crate::model::LiveCount;
use crate::store::Store;

/// A table whose files are held, as it was when they were read.
struct Watched<'a> {
    table: Owner<'a>,
    state: String,
}

enum Owner<'a> {
    Own(&'a dyn Table),
    Other(Box<dyn Table>),
}

impl Owner<'_> {
    async fn load(&self) -> Result<Arc<dyn TableVersion>> {
        match self {
            Self::Own(table) => table.load_counts().await,
            Self::Other(table) => table.load_counts().await,
        }
    }
}

/// What is known of a table's surroundings.
pub(super) struct Known<'a> {
    /// All storage.
    pub(super) store: &'a Store,
    /// What verdicts go by.
    pub(super) rules: Rules,
    /// Other tables that were met.
    pub(super) met: Vec<Met>,
    watched: Vec<Watched<'a>>,
    gathered: Gathered,
}

impl<'a> Known<'a> {
    pub(super) fn new(store: &'a Store, held: Held, rules: Rules) -> Self {
        Self { store, rules, met: Vec::new(), watched: Vec::new(), gathered: Gathered::new(held) }
    }

    /// What is held.
    pub(super) const fn held(&self) -> &Held {
        &self.gathered.held
    }

    /// Holds everything that `version` of the table itself refers to. Its live files are counted in `live` where that is no more work.
    ///
    /// # Errors
    ///
    /// Those of reading all of it.
    pub(super) async fn hold_own(&mut self, table: &'a dyn Table, version: &dyn TableVersion, live: &LiveCount) -> Result<()> {
        self.hold(version, live.clone()).await?;
        self.watched.push(Watched { table: Owner::Own(table), state: version.state_id() });
        Ok(())
    }

    /// Holds what tables of other formats over the same files refer to, and tables that the table lies in.
    ///
    /// # Errors
    ///
    /// `Refused` if one of them cannot be read: which files it needs is then not known.
    pub(super) async fn hold_around(&mut self, root: &Location, own: FormatName, around: &dyn Neighbours) -> Result<()> {
        let mut folder = Some(root.clone());
        while let Some(place) = folder {
            let tables = match around.at(&place).await {
                Ok(tables) => tables,
                // Who may only see the table's own folder cannot be told what lies above it.
                Err(error) if place != *root && matches!(error.kind(), Kind::Refused | Kind::NotFound) => Vec::new(),
                Err(error) => return Err(error),
            };
            for neighbour in tables.into_iter().filter(|found| place != *root || found.format != own.as_str()) {
                let format = neighbour.format;
                if let Err(error) = self.hold_other(&place, neighbour).await {
                    return Err(unreadable(format, &place, error));
                }
            }
            folder = place.parent();
        }
        Ok(())
    }

    /// Holds what tables whose root is `root`, below the table's own, refer to. Their own folder is left alone.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer. A table that cannot be read is told among those that were met.
    pub(super) async fn hold_below(&mut self, root: &Location, around: &dyn Neighbours) -> Result<()> {
        if self.rules.others.contains(root) {
            return Ok(());
        }
        let tables = around.at(root).await?;
        self.rules.others.push(root.clone());
        self.hold_tables(root, tables).await
    }

    /// As [`Self::hold_below`] if `folder` is a table's root at all.
    ///
    /// # Errors
    ///
    /// As there.
    pub(super) async fn hold_if_table(&mut self, folder: &Location, around: &dyn Neighbours) -> Result<()> {
        if self.rules.others.iter().any(|other| folder.is_below(other)) {
            return Ok(());
        }
        let tables = around.at(folder).await?;
        if !tables.is_empty() {
            self.rules.others.push(folder.clone());
            self.hold_tables(folder, tables).await?;
        }
        Ok(())
    }

    async fn hold_tables(&mut self, root: &Location, tables: Vec<Neighbour>) -> Result<()> {
        for neighbour in tables {
            let format = neighbour.format;
            match self.hold_other(root, neighbour).await {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Unavailable => return Err(error),
                Err(error) => {
                    let error = Some(error.to_string());
                    self.met.push(Met { location: root.to_string(), format, treated: Treated::LeftAlone, error });
                }
            }
        }
        Ok(())
    }

    async fn hold_other(&mut self, root: &Location, neighbour: Neighbour) -> Result<()> {
        let Some(table) = neighbour.table else {
            return Err(Error::unsupported(format!("{} tables are not in this version", neighbour.format)));
        };
        let version = table.load_counts().await?;
        self.hold(&*version, LiveCount::default()).await?;
        self.watched.push(Watched { state: version.state_id(), table: Owner::Other(table) });
        self.met.push(Met { location: root.to_string(), format: neighbour.format, treated: Treated::Held, error: None });
        Ok(())
    }

    async fn hold(&mut self, version: &dyn TableVersion, live: LiveCount) -> Result<()> {
        let gather = Arc::new(Gather::new(self.store.clone(), std::mem::take(&mut self.gathered)));
        let take = Arc::clone(&gather);
        let ended = version.give_holdings(live, Arc::new(move |files| take.take(files))).await;
        // What was told before an error stays held.
        self.gathered = gather.end();
        self.rules.partition_fields.extend(std::mem::take(&mut self.gathered.fields));
        ended
    }

    /// Reads every table that has changed since it was last read, and holds what it refers to now besides what it did. What a table that is gone
    /// referred to stays held.
    ///
    /// # Errors
    ///
    /// Those of reading: nothing more may be deleted then.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let mut watched = std::mem::take(&mut self.watched);
        for entry in &mut watched {
            let version = match entry.table.load().await {
                Ok(version) => version,
                Err(error) if error.kind() == Kind::NotFound && matches!(entry.table, Owner::Other(_)) => continue,
                Err(error) => return Err(error),
            };
            if version.state_id() != entry.state {
                self.hold(&*version, LiveCount::default()).await?;
                entry.state = version.state_id();
            }
        }
        self.watched = watched;
        Ok(())
    }
}

fn unreadable(format: &'static str, place: &Location, error: Error) -> Error {
    if error.kind() == Kind::Unavailable {
        return error;
    }
    Error::refused("another table lies over the same files and cannot be read: which of them it needs is not known")
        .about("format", format)
        .about("location", place)
        .hint("repair or remove that table's metadata, or clean up with the tool that keeps it")
        .because(error)
}
