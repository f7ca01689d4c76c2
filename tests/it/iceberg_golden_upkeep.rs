//! A copy of every golden Iceberg table (`$OTF_GOLDEN`) gets a branch and a tag, new manifests, and an earlier version back: the same rows are read,
//! each file with all that was said of it.

use std::collections::BTreeMap;
use std::path::Path;

use otf::error::Result;
use otf::formats::iceberg::IcebergTable;
use otf::formats::{Table, TableVersion};
use otf::model::{At, ListWishes, Version};
use otf::ops::document::Outcome;
use otf::store::Store;

use crate::iceberg_golden::{REFUSED, copy_folder, count, files_of, golden, open, tables};
use crate::support::upkeep::{Deeds, Ended, create, drop_reference, history};

/// What is said of each file: rows, size, row ids, sequence, partition, deletes and bounds.
async fn said(version: &dyn TableVersion) -> Result<BTreeMap<String, String>> {
    let mut files = files_of(version).await?;
    for file in &mut files {
        let mut deletes = file.deletes.to_vec();
        deletes.sort();
        file.deletes = deletes.into();
    }
    Ok(files.into_iter().map(|file| (file.location.to_string(), format!("{file:?}"))).collect())
}

struct Copy {
    table: IcebergTable,
    store: Store,
}

impl Copy {
    async fn run(&self, deed: Deeds) -> Result<Ended> {
        deed.run_on(&self.table, &self.store, (1, "an-operation"), true).await
    }

    /// A tag and a branch are made, read, and dropped.
    #[expect(clippy::cognitive_complexity, reason = "every assertion counts as a branch")]
    async fn references(&self, version: Version, rows: u64) -> Result<()> {
        for (is_branch, name) in [(false, "otf-tag"), (true, "otf-branch")] {
            assert_eq!(self.run(create(is_branch, name, version)).await?.outcome, Outcome::Landed);
            assert_eq!(self.run(create(is_branch, name, version)).await?.outcome, Outcome::NothingToDo);
            let seen = self.table.load_at(&At::Ref(name.into())).await?;
            assert_eq!((seen.snapshot().version, count(&*seen, &self.store).await?), (Some(version), rows));
            let on = self.table.clone().on(name).load().await?;
            assert_eq!((on.snapshot().version, count(&*on, &self.store).await?), (Some(version), rows));
            assert_eq!(self.run(drop_reference(is_branch, name)).await?.outcome, Outcome::Landed);
            assert!(self.table.load_at(&At::Ref(name.into())).await.is_err());
        }
        Ok(())
    }

    /// Every manifest is written anew; after that the usual plan finds its end.
    async fn manifests(&self, rows: u64) -> Result<()> {
        let before = self.table.load().await?;
        let all = ListWishes { all: true, ..ListWishes::default() };
        assert_eq!(self.run(Deeds::Manifests(all)).await?.outcome, Outcome::Landed);
        let after = self.table.load().await?;
        assert_eq!(said(&*after).await?, said(&*before).await?);
        assert_eq!(count(&*after, &self.store).await?, rows);
        self.run(Deeds::Manifests(ListWishes::default())).await?;
        let again = self.run(Deeds::Manifests(ListWishes::default())).await?;
        assert_eq!((again.outcome, &again.plan["groups"]), (Outcome::NothingToDo, &serde_json::json!([])));
        Ok(())
    }

    /// Back to the version that was current, and to each of a few older ones that can still be read.
    #[expect(clippy::cognitive_complexity, reason = "every assertion counts as a branch")]
    async fn restore(&self, version: Version, rows: u64) -> Result<()> {
        let entries = history(&*self.table.load().await?).await;
        for entry in entries.iter().rev().take(4).chain(std::iter::once(&entries[0])) {
            let then = self.table.load_at(&At::Version(entry.version)).await?;
            let Ok(expected) = count(&*then, &self.store).await else { continue };
            let ended = self.run(Deeds::Restore(At::Version(entry.version))).await?;
            assert!(matches!(ended.outcome, Outcome::Landed | Outcome::NothingToDo));
            let now = self.table.load().await?;
            assert_eq!((now.snapshot().version, count(&*now, &self.store).await?), (Some(entry.version), expected));
        }
        self.run(Deeds::Restore(At::Version(version))).await?;
        assert_eq!(count(&*self.table.load().await?, &self.store).await?, rows);
        Ok(())
    }
}

async fn upkeep(entry: &Path, sub: &str) -> Result<bool> {
    let (table, store) = open(entry, sub);
    let version = table.load().await?;
    let Some(current) = version.snapshot().version else { return Ok(false) };
    let rows = count(&*version, &store).await?;
    let copy = Copy { table, store };
    copy.references(current, rows).await?;
    copy.manifests(rows).await?;
    copy.restore(current, rows).await?;
    Ok(true)
}

#[tokio::test]
async fn references_manifests_and_restores_keep_the_rows_of_every_golden_table() {
    let Some(golden) = golden() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    let mut done = 0;
    for (at, (name, sub, _)) in tables(&golden).into_iter().filter(|(name, ..)| !name.ends_with("generated_bounds")).enumerate() {
        if REFUSED.iter().any(|(refused, _)| name.ends_with(refused)) {
            continue;
        }
        let copy = scratch.path().join(at.to_string());
        copy_folder(&golden.join(&name), &copy);
        match upkeep(&copy, &sub).await {
            Ok(whole) => done += usize::from(whole),
            Err(error) => faults.push(format!("{name}: {error:?}")),
        }
    }
    assert!(faults.is_empty() && done > 40, "{done} done; {}", faults.join("\n"));
}
