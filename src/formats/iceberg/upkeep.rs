//! Commits that change what the metadata lists, and no file (Iceberg spec, "Snapshot References", "Snapshot Retention Policy").

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::metadata::{Metadata, SnapshotView, wrong};
use super::pointer::{NewMetadata, Swap};
use super::refs::MAIN;
use super::table::IcebergVersion;
use super::{document, features, rewrite_manifests, rules};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::model::{Forget, NewReference, Upkeep, UpkeepKind, Version};
use crate::units::Timestamp;

/// Tries `upkeep` once on top of `version`.
pub(super) async fn offer(version: &IcebergVersion, upkeep: &Upkeep, now: Timestamp) -> Answer {
    if let UpkeepKind::RewriteManifests(wishes) = &upkeep.kind {
        return rewrite_manifests::offer(version, upkeep, wishes, now).await;
    }
    let metadata = &version.scan.metadata;
    let new = match prepare(version, upkeep, now).await {
        Ok(new) => new,
        Err(error) => return Answer::Rejected(error),
    };
    match version.pointer.swap(&metadata.file, &new).await {
        Swap::Landed => Answer::Ours(Version(metadata.number("current-snapshot-id").unwrap_or(-1))),
        Swap::Taken => Answer::Taken,
        Swap::Unknown(error) => Answer::Silence(error),
        Swap::Rejected(error) => Answer::Rejected(error),
    }
}

async fn prepare(version: &IcebergVersion, upkeep: &Upkeep, now: Timestamp) -> Result<NewMetadata> {
    let metadata: &Metadata = &version.scan.metadata;
    features::rewritable(metadata, version.pointer.opened_at())?;
    let time = now.0.max(metadata.number("last-updated-ms").unwrap_or(now.0));
    let mut doc = next(metadata, &upkeep.kind, time)?;
    if let (UpkeepKind::Forget(Forget { versions, unused_rules: true, .. }), Some(members)) = (&upkeep.kind, doc.as_object_mut()) {
        rules::drop(members, &rules::unused(&version.scan, versions).await?)?;
    }
    let gzip = document::is_packed(metadata);
    Ok(NewMetadata {
        bytes: document::bytes(&metadata.doc, &doc, gzip)?,
        gzip,
        table_uuid: metadata.uuid().to_string(),
        folder: metadata.metadata_folder()?,
        operation: upkeep.operation.clone(),
        part: upkeep.part,
    })
}

/// The document after the change.
///
/// # Errors
///
/// `NotFound` for a version or reference that is not there; `Refused` for what would lose the main branch or a version that is referred to;
/// `Unsupported` for changes that are none of the document alone; `Corrupt` if the document is damaged.
fn next(metadata: &Metadata, kind: &UpkeepKind, time: i64) -> Result<Json> {
    let mut doc = metadata.doc.clone();
    let members = doc.as_object_mut().ok_or_else(|| wrong("it is no object"))?;
    match kind {
        UpkeepKind::Forget(forget) => remove(metadata, members, forget)?,
        UpkeepKind::SetReference(reference) => set_reference(metadata, members, reference)?,
        UpkeepKind::DropReference(name) => drop_references(members, [name])?,
        UpkeepKind::Restore(version) => restore(metadata, members, *version, time)?,
        UpkeepKind::RewriteManifests(_) => return Err(Error::unsupported("manifests are not rewritten by changing metadata alone")),
    }
    document::succeed(metadata, members, time)?;
    Ok(doc)
}

fn refs(members: &mut Map<String, Json>) -> Result<&mut Map<String, Json>> {
    let refs = members.entry("refs").or_insert_with(|| json!({}));
    refs.as_object_mut().ok_or_else(|| wrong("its refs are no object"))
}

fn drop_references<'a>(members: &mut Map<String, Json>, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let refs = refs(members)?;
    for name in names {
        if name == MAIN {
            return Err(Error::refused("the main branch cannot be dropped").hint("name another branch or tag"));
        }
        if refs.remove(name).is_none() {
            return Err(Error::not_found("the table has no branch or tag of this name").about("reference", name));
        }
    }
    Ok(())
}

fn listed(metadata: &Metadata, version: Version) -> Result<()> {
    match metadata.snapshot(version.0) {
        Some(_) => Ok(()),
        None => Err(not_listed(version)),
    }
}

fn not_listed(version: Version) -> Error {
    Error::not_found("the table lists no such snapshot").about("version", version).hint("otf inspect TABLE --history lists those there are")
}

fn set_reference(metadata: &Metadata, members: &mut Map<String, Json>, new: &NewReference) -> Result<()> {
    listed(metadata, new.version)?;
    if new.name == MAIN {
        return Err(Error::refused("the main branch is moved by commits and by restore alone").hint("use otf restore, or another name"));
    }
    let refs = refs(members)?;
    if let Some(known) = refs.get(&new.name) {
        if !new.replace {
            return Err(Error::refused("the table has a branch or tag of this name already").about("reference", &new.name));
        }
        let is_branch = known.get("type").and_then(Json::as_str) == Some("branch");
        if is_branch != new.is_branch {
            let what = if is_branch { "a branch cannot become a tag" } else { "a tag cannot become a branch" };
            return Err(Error::refused(what).about("reference", &new.name).hint("drop it first"));
        }
    }
    let json = refs.entry(&new.name).or_insert_with(|| json!({"type": if new.is_branch { "branch" } else { "tag" }}));
    let members = json.as_object_mut().ok_or_else(|| wrong("a branch or tag is no object"))?;
    members.insert("snapshot-id".into(), new.version.0.into());
    let mut set = |key: &str, value: Option<Json>| match value {
        Some(value) => members.insert(key.into(), value),
        None => members.remove(key),
    };
    set("max-ref-age-ms", new.max_ref_age_ms.map(Json::from));
    set("max-snapshot-age-ms", new.max_snapshot_age_ms.map(Json::from));
    set("min-snapshots-to-keep", new.min_snapshots_to_keep.map(Json::from));
    Ok(())
}

/// Makes `version` current on the branch the table is seen from. Its columns stay those of the table, as in Iceberg's own rollback.
fn restore(metadata: &Metadata, members: &mut Map<String, Json>, version: Version, time: i64) -> Result<()> {
    listed(metadata, version)?;
    let branch = metadata.reference.as_deref().unwrap_or(MAIN);
    let known = refs(members)?.entry(branch).or_insert_with(|| json!({"type": "branch"}));
    known.as_object_mut().ok_or_else(|| wrong("a branch is no object"))?.insert("snapshot-id".into(), version.0.into());
    if metadata.reference.is_none() {
        members.insert("current-snapshot-id".into(), version.0.into());
        document::list(members, "snapshot-log")?.push(json!({"timestamp-ms": time, "snapshot-id": version.0}));
    }
    Ok(())
}

fn remove(metadata: &Metadata, members: &mut Map<String, Json>, forget: &Forget) -> Result<()> {
    drop_references(members, &forget.references)?;
    let gone: HashSet<i64> = forget.versions.iter().map(|version| version.0).collect();
    let heads = refs(members)?.values().filter_map(|known| known.get("snapshot-id").and_then(Json::as_i64));
    let held: Vec<i64> = heads.chain(metadata.number("current-snapshot-id")).filter(|id| gone.contains(id)).collect();
    if let Some(id) = held.first() {
        return Err(Error::refused("a branch or tag still names a version that is to be forgotten").about("version", id));
    }
    let known: HashSet<i64> = metadata.snapshots().filter_map(SnapshotView::id).collect();
    if let Some(unknown) = forget.versions.iter().find(|version| !known.contains(&version.0)) {
        return Err(not_listed(*unknown));
    }
    let of_gone = |json: &Json| json.get("snapshot-id").and_then(Json::as_i64).is_some_and(|id| gone.contains(&id));
    document::list(members, "snapshots")?.retain(|snapshot| !of_gone(snapshot));
    for key in ["statistics", "partition-statistics"] {
        if members.contains_key(key) {
            document::list(members, key)?.retain(|file| !of_gone(file));
        }
    }
    // The log tells which snapshot was current when. Before a gap it would tell something untrue, so all of it goes up to the last gap.
    if members.contains_key("snapshot-log") {
        let log = document::list(members, "snapshot-log")?;
        let gap = log.iter().rposition(of_gone).map_or(0, |at| at + 1);
        log.drain(..gap);
    }
    Ok(())
}
