//! What snapshots reach: lists, manifests and files, each manifest read once however many snapshots share it.

use std::collections::{BTreeSet, HashSet};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::manifest::{Entry, FileContent, Status};
use super::manifest_list::{self, ManifestFile};
use super::metadata::SnapshotView;
use super::past;
use super::scan::Scan;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::{FileKind, Holding, PlaceSet, Version};
use crate::units::Bytes;

/// How many manifest lists and manifests are fetched ahead.
const AHEAD: usize = 8;

/// The lists and manifests of some snapshots, each told once, in the order of the snapshots.
#[derive(Debug, Default)]
pub(super) struct Listed {
    lists: Vec<(Location, Bytes)>,
    manifests: Vec<(Location, ManifestFile)>,
    known: HashSet<Location>,
}

impl Listed {
    /// Reads the lists of every snapshot that `wanted` chooses. What is known to `before` is not told again.
    ///
    /// # Errors
    ///
    /// `NotFound` or `Corrupt` naming a list, unless `lenient`: then a list that is not there holds nothing.
    pub(super) async fn read(scan: &Scan, wanted: impl Fn(i64) -> bool, before: Option<&Self>, lenient: bool) -> Result<Self> {
        let mut listed = Self::default();
        let chosen: Vec<SnapshotView<'_>> = scan.metadata.snapshots().filter(|snapshot| snapshot.id().is_some_and(&wanted)).collect();
        let reads: Vec<_> = chosen.into_iter().map(|snapshot| read_list(scan, snapshot, lenient)).collect();
        let mut reads = stream::iter(reads).buffered(AHEAD);
        let is_new =
            |place: &Location, known: &HashSet<Location>| !known.contains(place) && before.is_none_or(|b| !b.known.contains(place));
        while let Some((list, manifests)) = reads.try_next().await? {
            if let Some((list, size)) = list.filter(|(list, _)| is_new(list, &listed.known)) {
                listed.known.insert(list.clone());
                listed.lists.push((list, size));
            }
            for manifest in manifests {
                let place = scan.metadata.place(&manifest.path)?;
                if is_new(&place, &listed.known) {
                    listed.known.insert(place.clone());
                    // Partition summaries are the most of it, and of no use here.
                    listed.manifests.push((place, ManifestFile { partitions: None, ..manifest }));
                }
            }
        }
        Ok(listed)
    }

    /// The manifests.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &ManifestFile> {
        self.manifests.iter().map(|(_, manifest)| manifest)
    }

    /// The live files of every manifest, manifest by manifest.
    fn live<'a>(&'a self, scan: &'a Scan, lenient: bool) -> BoxStream<'a, Result<Vec<Holding>>> {
        let reads: Vec<_> = self.manifests.iter().map(|(_, manifest)| live_files(scan, manifest, lenient)).collect();
        stream::iter(reads).buffered(AHEAD).boxed()
    }
}

/// The list of a snapshot with its size, and its manifests.
async fn read_list(scan: &Scan, snapshot: SnapshotView<'_>, lenient: bool) -> Result<(Option<(Location, Bytes)>, Vec<ManifestFile>)> {
    if snapshot.is_encrypted() {
        return Err(Error::unsupported("encrypted tables are not understood"));
    }
    let Some(path) = snapshot.manifest_list() else {
        return Ok((None, snapshot.inline_manifests().into_iter().map(ManifestFile::inline).collect()));
    };
    let place = scan.metadata.place(path)?;
    match scan.store.get(&place).await {
        Ok(bytes) => {
            let size = Bytes(bytes.len() as u64);
            manifest_list::read(&bytes, &place).map(|manifests| (Some((place, size)), manifests))
        }
        Err(error) if lenient && error.kind() == Kind::NotFound => Ok((None, Vec::new())),
        Err(error) => Err(error),
    }
}

/// The live files of a manifest.
async fn live_files(scan: &Scan, manifest: &ManifestFile, lenient: bool) -> Result<Vec<Holding>> {
    let reader = match scan.open(manifest).await {
        Ok(reader) => reader.places_only(),
        Err(error) if lenient && error.kind() == Kind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let live = reader.filter(|entry| entry.as_ref().map_or(true, |entry| entry.status != Status::Deleted));
    live.map(|entry| holding(scan, &entry?)).collect()
}

fn holding(scan: &Scan, entry: &Entry) -> Result<Holding> {
    let kind = match entry.content {
        FileContent::Data => FileKind::Data,
        FileContent::Equality => FileKind::EqualityDeletes,
        FileContent::Positions if entry.format == "puffin" || entry.blob.is_some() => FileKind::DeletionVectors,
        FileContent::Positions => FileKind::PositionDeletes,
    };
    Ok(Holding { location: scan.metadata.place(&entry.path)?, kind, size: Some(Bytes(entry.size)) })
}

/// Removes from `candidates` what any listed snapshot, the metadata or its log refers to. Entries that say a file was deleted do not refer to it.
///
/// # Errors
///
/// Those of any manifest list or manifest: without all of them nothing can be said.
pub(super) async fn spare(scan: &Scan, candidates: &mut PlaceSet) -> Result<()> {
    for file in past::statistics(&scan.metadata, |_| true)?.into_iter().chain(past::metadata_files(&scan.metadata)?) {
        candidates.remove(&file.location);
    }
    if candidates.is_empty() {
        return Ok(());
    }
    let listed = Listed::read(scan, |_| true, None, false).await?;
    for place in &listed.known {
        candidates.remove(place);
    }
    let mut files = listed.live(scan, false);
    while !candidates.is_empty() {
        let Some(files) = files.try_next().await? else { break };
        for file in files {
            candidates.remove(&file.location);
        }
    }
    Ok(())
}

/// What only snapshots of `gone` reach: files first, then statistics, manifests and lists; and metadata files that fall off the log with the commit.
pub(super) fn released<'a>(scan: &'a Scan, gone: &'a BTreeSet<Version>, spared: Option<Location>) -> BoxStream<'a, Result<Holding>> {
    stream::once(Released::read(scan, gone, spared)).map_ok(Released::files).try_flatten().boxed()
}

struct Released<'a> {
    scan: &'a Scan,
    /// What no kept snapshot lists.
    listed: Listed,
    /// The live files of kept snapshots; empty where no manifest goes.
    used: PlaceSet,
    /// Statistics and metadata files.
    others: Vec<Holding>,
}

impl<'a> Released<'a> {
    async fn read(scan: &'a Scan, gone: &BTreeSet<Version>, spared: Option<Location>) -> Result<Self> {
        let goes = |id: i64| gone.contains(&Version(id));
        let kept = Listed::read(scan, |id| !goes(id), None, false).await?;
        let listed = Listed::read(scan, goes, Some(&kept), true).await?;
        let mut used = PlaceSet::default();
        // Where every manifest stays, so does every file.
        if !listed.manifests.is_empty() {
            let mut live = kept.live(scan, false);
            while let Some(files) = live.try_next().await? {
                for file in files {
                    used.insert(&file.location);
                }
            }
        }
        let mut stays = PlaceSet::default();
        for file in past::statistics(&scan.metadata, |id| !goes(id))? {
            stays.insert(&file.location);
        }
        let mut others = past::statistics(&scan.metadata, goes)?;
        others.retain(|file| !stays.contains(&file.location));
        others.extend(past::falling_off(&scan.metadata, spared.as_ref())?);
        Ok(Self { scan, listed, used, others })
    }

    fn files(self) -> BoxStream<'a, Result<Holding>> {
        let Self { scan, listed, used, others } = self;
        let list =
            |(location, size): &(Location, Bytes)| Holding { location: location.clone(), kind: FileKind::ManifestLists, size: Some(*size) };
        let manifests: Vec<Holding> = listed
            .manifests
            .iter()
            .map(|(location, manifest)| Holding {
                location: location.clone(),
                kind: FileKind::Manifests,
                size: u64::try_from(manifest.length).ok().filter(|length| *length > 0).map(Bytes),
            })
            .collect();
        let lists: Vec<Holding> = listed.lists.iter().map(list).collect();
        let mut told = PlaceSet::default();
        let opened = stream::iter(listed.manifests).map(move |(_, manifest)| async move { live_files(scan, &manifest, true).await });
        let files = opened.buffered(AHEAD).map_ok(move |mut files| {
            files.retain(|file| !used.contains(&file.location) && told.insert(&file.location));
            stream::iter(files.into_iter().map(Ok))
        });
        let rest = others.into_iter().chain(manifests).chain(lists).map(Ok);
        files.try_flatten().chain(stream::iter(rest)).boxed()
    }
}
