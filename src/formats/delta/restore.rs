//! A commit that makes the table what it was: the rows, columns and properties of an older version (RESTORE).
//!
//! Files are the same if place and deletion vector are. What is live in both versions stays untouched.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value as Json, json};

use super::commit_info::{Purpose, commit_time, provenance};
use super::entry::{self, Lines, txn_id};
use super::live::LiveFile;
use super::replay::State;
use super::restore_rules::Rules;
use super::row_tracking::{self, RowIds};
use super::table::DeltaTable;
use super::version::DeltaVersion;
use super::{checksum_write, commit, compat, mark, reach, settings, travel};
use crate::commit::Answer;
use crate::error::{Error, Kind, Result};
use crate::formats::TableVersion;
use crate::model::{At, Upkeep, Version};
use crate::units::Timestamp;

/// How many files are looked for at a time.
const LOOKS: usize = 32;

/// Tries once to make the table what it was at version `to`, as the version after `base`. Where there is nothing to change, none is made.
pub(super) async fn offer(base: &DeltaVersion, upkeep: &Upkeep, to: Version, now: Timestamp) -> Answer {
    let txn_id = txn_id(&upkeep.operation, upkeep.part);
    match prepare(base, to, now, &txn_id).await {
        Ok(Some((next, bytes))) => commit::put(base, next, bytes, txn_id).await,
        Ok(None) => Answer::Ours(Version(base.state().version)),
        Err(error) => Answer::Rejected(error),
    }
}

/// The next version and its commit; `None` if the table is what it was.
async fn prepare(base: &DeltaVersion, to: Version, now: Timestamp, txn_id: &str) -> Result<Option<(Version, Vec<u8>)>> {
    let state = base.state();
    state.protocol.check_rewritable()?;
    let next = state.version.checked_add(1).map(Version).ok_or_else(|| Error::corrupt("the log has no version left"))?;
    let table = DeltaTable::new(base.store().clone(), base.root().clone());
    let old = travel::load(&table, &At::Version(to)).await?;
    old.state().protocol.check_rewritable()?;
    let rules = Rules::new(state, old.state())?;
    compat::check(state, &base.snapshot().schema)?;
    let files = Files::new(base, &old)?;
    if files.is_empty() && rules.is_empty() {
        return Ok(None);
    }
    files.check_allowed(state)?;
    files.check_there(base).await?;
    let mut lines = Lines::default();
    let ids = files.write(state, next, now, &mut lines)?;
    let metrics = files.metrics(old.state());
    let parameters = json!({"version": to.0, "timestamp": null});
    let purpose = Purpose { operation: "RESTORE", parameters, isolation: "Serializable", metrics, keeps_row_ids: ids.kept };
    let mut bytes = Lines::default();
    bytes.line("commitInfo", provenance(base, purpose, (now, commit_time(base, now)?), txn_id))?;
    if let Some(protocol) = &rules.protocol {
        bytes.line("protocol", checksum_write::protocol(protocol))?;
    }
    if let Some(metadata) = &rules.metadata {
        bytes.line("metaData", checksum_write::metadata(metadata)?)?;
    }
    bytes.bytes.append(&mut lines.bytes);
    for domain in rules.domains.iter().chain(&ids.mark) {
        bytes.line("domainMetadata", entry::domain(domain))?;
    }
    Ok(Some((next, bytes.bytes)))
}

/// The files that come back and those that go.
struct Files<'a> {
    adds: Vec<(&'a LiveFile, &'a State)>,
    removes: Vec<(&'a LiveFile, &'a State)>,
}

/// What becomes of row ids.
struct Ids {
    /// Whether every row that comes back has the id it had.
    kept: bool,
    /// The mark that moved.
    mark: Option<super::actions::Domain>,
}

impl<'a> Files<'a> {
    fn new(base: &'a DeltaVersion, old: &'a DeltaVersion) -> Result<Self> {
        let missing = |from: &'a State, of: &State| -> Vec<(&'a LiveFile, &'a State)> {
            from.files.iter().filter(|add| of.files.find(add.key()).is_none()).map(|add| (add, from)).collect()
        };
        old.state().files.with_stats()?;
        Ok(Self { adds: missing(old.state(), base.state()), removes: missing(base.state(), old.state()) })
    }

    const fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty()
    }

    /// Whether the table allows what is to be done to its files.
    fn check_allowed(&self, now: &State) -> Result<()> {
        if !self.removes.is_empty() && settings::on(&now.metadata.configuration, "delta.appendOnly") {
            return Err(Error::refused("the table cannot be restored: it only takes new rows (delta.appendOnly)")
                .about("feature", "appendOnly")
                .hint("unset the property first, or read the older version with --as-of"));
        }
        if compat::forbids_vectors(now) && self.adds.iter().any(|(add, _)| add.vector().is_some()) {
            return Err(Error::refused(
                "the table cannot be restored: its Iceberg compatibility forbids the deletion vectors of that version",
            )
            .about("feature", "icebergCompat"));
        }
        Ok(())
    }

    /// Whether every file that comes back is still there.
    async fn check_there(&self, base: &DeltaVersion) -> Result<()> {
        let mut places = Vec::new();
        for (add, _) in &self.adds {
            places.extend(reach::of_live(base.root(), add)?);
        }
        let looks = stream::iter(places).map(|holding| async move {
            match base.store().head(&holding.location).await {
                Ok(_) => Ok(0_u64),
                Err(error) if error.kind() == Kind::NotFound => Ok(1),
                Err(error) => Err(error),
            }
        });
        let missing = looks.buffer_unordered(LOOKS).try_fold(0, |sum, missing| async move { Ok::<_, Error>(sum + missing) }).await?;
        if missing == 0 {
            return Ok(());
        }
        Err(Error::refused("the version cannot be restored: files of it were deleted")
            .about("files_missing", missing)
            .hint("restore a newer version; otf inspect TABLE --history lists them; nothing was changed"))
    }

    /// Writes the actions. Rows that never had an id get one where the table gives them.
    fn write(&self, now: &State, next: Version, time: Timestamp, lines: &mut Lines) -> Result<Ids> {
        for (add, state) in &self.removes {
            lines.line("remove", entry::remove(state.files.values(add), add, time, true)?)?;
        }
        let assigns = row_tracking::assigns(now);
        let before = if assigns { Some(RowIds::after(now)?) } else { None };
        let mut ids = if assigns { Some(RowIds::after(now)?) } else { None };
        if let Some(ids) = &mut ids {
            for (add, _) in &self.adds {
                if let Some(first) = add.base_row_id() {
                    ids.pass(first, add.rows().unwrap_or(1))?;
                }
            }
        }
        let mut kept = true;
        for (add, state) in &self.adds {
            let mut members = mark::add_again(state.files.values(add), add, add.vector(), add.stats())?;
            if let (Some(ids), None) = (&mut ids, add.base_row_id()) {
                let rows = add.rows().ok_or_else(|| {
                    Error::unsupported("a file that comes back needs row ids, and the log does not say how many rows it has")
                        .about("feature", "rowTracking")
                        .about("file", add.path())
                })?;
                members.insert("baseRowId".into(), json!(ids.take(rows)?));
                members.insert("defaultRowCommitVersion".into(), json!(next.0));
                kept = false;
            }
            lines.line("add", members)?;
        }
        let moved = ids.zip(before).filter(|(ids, before)| ids.moved_since(before));
        Ok(Ids { kept, mark: moved.map(|(ids, _)| ids.domain()).transpose()? })
    }

    /// The metrics that Spark's RESTORE reports, as texts.
    fn metrics(&self, old: &State) -> Map<String, Json> {
        let bytes = |files: &[(&LiveFile, &State)]| files.iter().fold(0_u64, |sum, (add, _)| sum.saturating_add(add.size));
        let values = [
            ("tableSizeAfterRestore", old.files.iter().fold(0_u64, |sum, add| sum.saturating_add(add.size))),
            ("numOfFilesAfterRestore", old.files.len() as u64),
            ("numRemovedFiles", self.removes.len() as u64),
            ("numRestoredFiles", self.adds.len() as u64),
            ("removedFilesSize", bytes(&self.removes)),
            ("restoredFilesSize", bytes(&self.adds)),
        ];
        values.into_iter().map(|(name, value)| (name.to_string(), json!(value.to_string()))).collect()
    }
}
