//! Every file that a table's metadata leads to: through its listed snapshots, through what it says of itself, and through metadata that follows it.
//!
//! Whoever deletes what is not told here deletes for good. So everything counts that may be part of the table: entries of deleted files, metadata
//! that was written after the current one (the hint may be stale, the catalog may be behind), the log of earlier metadata, and the metadata files by
//! which readers walk from the hint to the newest one: with a gap among them they would stop at an old state.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value as Json;

use super::manifest::{Entry, FileContent, ManifestReader, Status};
use super::manifest_list::{self, Content, ManifestFile};
use super::metadata::Metadata;
use super::metadata_files::{Document, MetadataFiles};
use super::table::IcebergVersion;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{FileKind, Holding, LiveCount, Totals};
use crate::store::{Store, apart};
use crate::units::Bytes;

/// How many manifest lists or manifests are fetched ahead.
const AHEAD: usize = 8;
/// So many entries of a manifest are read at once.
const PIECE: usize = 2048;

/// The live files of a version being counted on the way: the paths of its manifests.
#[derive(Debug)]
pub(super) struct Counted {
    manifests: HashSet<String>,
    live: LiveCount,
}

impl Counted {
    /// Counts what `version` lists, unless deletes apply to it: which rows they reach is not told here.
    async fn begin(version: &IcebergVersion, live: LiveCount) -> Result<Option<Self>> {
        let listed = version.scan.manifests().await?;
        let manifests: HashSet<String> = listed.iter().map(|manifest| manifest.path.clone()).collect();
        let has_deletes = listed.iter().any(|manifest| manifest.content == Content::Deletes && !manifest.is_dead());
        if has_deletes || manifests.len() != listed.len() {
            return Ok(None);
        }
        live.begin();
        Ok(Some(Self { manifests, live }))
    }
}

/// What is made of the files that were read together, where they were read.
pub(super) type Each<T> = Arc<dyn Fn(Vec<Holding>) -> Result<T> + Send + Sync>;

/// Every file that `version` and metadata which follows it lead to.
pub(super) fn holdings(version: &IcebergVersion) -> BoxStream<'_, Result<Holding>> {
    pages(version, None, Arc::new(Ok)).map_ok(|files| stream::iter(files.into_iter().map(Ok))).try_flatten().boxed()
}

/// What `each` makes of those files; the live ones of the version are counted in `live`, where nothing but their list is needed.
pub(super) fn pages<T: Send + 'static>(version: &IcebergVersion, live: Option<LiveCount>, each: Each<T>) -> BoxStream<'_, Result<T>> {
    let start = async move {
        let counted = match live {
            Some(live) => Counted::begin(version, live).await?,
            None => None,
        };
        let mut files = MetadataFiles::of(version).await?;
        let documents = files.documents(version).await?;
        let own = each(files.walked.into_iter().map(|file| held(file, FileKind::Metadata, None)).collect());
        Ok::<_, Error>(stream::iter([own]).chain(walk(version.scan.store.clone(), documents, counted, each)))
    };
    stream::once(start).try_flatten().boxed()
}

/// What `each` makes of every file that `documents` lead to. A manifest that several snapshots list is read once.
pub(super) fn walk<T: Send + 'static>(
    store: Store,
    documents: Vec<Document>,
    counted: Option<Counted>,
    each: Each<T>,
) -> BoxStream<'static, Result<T>> {
    let start = async move {
        let mut told = Vec::new();
        for document in &documents {
            told.extend(of_document(&document.metadata)?);
        }
        let (lists, manifests) = manifests(&store, &documents).await?;
        told.extend(lists);
        let told = each(told);
        let open = move |(document, manifest): (Document, ManifestFile)| {
            let (store, each) = (store.clone(), Arc::clone(&each));
            let live = counted.as_ref().filter(|counted| counted.manifests.contains(&manifest.path)).map(|counted| counted.live.clone());
            async move { of_manifest(&store, document, manifest, live, each).await }
        };
        let files = stream::iter(manifests).map(open).buffered(AHEAD).try_flatten();
        Ok::<_, Error>(stream::iter([told]).chain(files))
    };
    stream::once(start).try_flatten().boxed()
}

const fn held(location: Location, kind: FileKind, size: Option<Bytes>) -> Holding {
    Holding { location, kind, size }
}

/// What a document itself names: its own file, those before it, statistics.
fn of_document(metadata: &Metadata) -> Result<Vec<Holding>> {
    let mut told = vec![held(metadata.file.clone(), FileKind::Metadata, None)];
    let lists = [
        ("metadata-log", "metadata-file", FileKind::Metadata),
        ("statistics", "statistics-path", FileKind::Statistics),
        ("partition-statistics", "statistics-path", FileKind::Statistics),
    ];
    for (list, member, kind) in lists {
        for entry in metadata.doc.get(list).and_then(Json::as_array).into_iter().flatten() {
            let path = entry.get(member).and_then(Json::as_str);
            let path = path.ok_or_else(|| {
                Error::corrupt("table metadata names a file without a path").about("list", list).about("file", &metadata.file)
            })?;
            let size = entry.get("file-size-in-bytes").and_then(Json::as_u64).map(Bytes);
            told.push(held(metadata.place(path)?, kind, size));
        }
    }
    Ok(told)
}

/// The manifest lists of every snapshot, and each manifest once with the document that lists it.
async fn manifests(store: &Store, documents: &[Document]) -> Result<(Vec<Holding>, Vec<(Document, ManifestFile)>)> {
    let (mut lists, mut manifests) = (Vec::new(), Vec::new());
    let (mut seen_lists, mut seen) = (HashSet::new(), HashSet::new());
    for document in documents {
        let metadata = &document.metadata;
        let mut wanted = Vec::new();
        for snapshot in metadata.snapshots() {
            if snapshot.is_encrypted() {
                return Err(Error::unsupported("encrypted tables are not understood"));
            }
            let Some(path) = snapshot.manifest_list() else {
                let inline = snapshot.inline_manifests().into_iter().filter(|path| seen.insert((*path).to_string()));
                manifests.extend(inline.map(|path| (document.clone(), ManifestFile::inline(path))));
                continue;
            };
            let place = metadata.place(path)?;
            if seen_lists.insert(place.clone()) {
                lists.push(held(place.clone(), FileKind::ManifestLists, None));
                wanted.push(place);
            }
        }
        let read = |place: Location| async move {
            match document.found(store.get(&place).await)? {
                Some(bytes) => manifest_list::read(&bytes, &place),
                None => Ok(Vec::new()),
            }
        };
        let mut listed = stream::iter(wanted).map(read).buffered(AHEAD);
        while let Some(of_list) = listed.try_next().await? {
            for mut manifest in of_list {
                if seen.insert(manifest.path.clone()) {
                    // There may be very many: what only planning needs is let go.
                    manifest.partitions = None;
                    manifests.push((document.clone(), manifest));
                }
            }
        }
    }
    Ok((lists, manifests))
}

/// What `each` makes of a manifest and the files of its entries. Several are read at a time, each on a thread of its own, a piece ahead of whoever
/// takes what comes of them.
async fn of_manifest<T: Send + 'static>(
    store: &Store,
    document: Document,
    manifest: ManifestFile,
    live: Option<LiveCount>,
    each: Each<T>,
) -> Result<BoxStream<'static, Result<T>>> {
    let place = document.metadata.place(&manifest.path)?;
    let Some(bytes) = document.found(store.get(&place).await)? else { return Ok(stream::empty().boxed()) };
    let size = u64::try_from(manifest.length).ok().filter(|length| *length > 0).map(Bytes);
    let own = held(place.clone(), FileKind::Manifests, size);
    let (first, rest) = apart(move || {
        let reader = ManifestReader::open(&bytes, &place, &manifest)?.places_only();
        Entries { reader, metadata: document.metadata, live, each }.piece(vec![own])
    })
    .await?;
    let rest = stream::try_unfold(rest, |rest| async move {
        match rest {
            Some(rest) => apart(move || rest.piece(Vec::new())).await.map(Some),
            None => Ok(None),
        }
    });
    Ok(stream::iter([Ok(first)]).chain(rest).boxed())
}

/// The entries of a manifest that are still to be read.
struct Entries<T> {
    reader: ManifestReader,
    metadata: Arc<Metadata>,
    live: Option<LiveCount>,
    each: Each<T>,
}

impl<T> Entries<T> {
    /// What comes of `files` and those of the next entries, and what is left after them. Entries of deleted files count too: in doubt a file is
    /// referred to.
    fn piece(mut self, mut files: Vec<Holding>) -> Result<(T, Option<Self>)> {
        let mut live = Totals::default();
        let mut is_left = true;
        while files.len() < PIECE {
            let Some(entry) = self.reader.next() else {
                is_left = false;
                break;
            };
            let entry = entry?;
            if entry.status != Status::Deleted && entry.content == FileContent::Data {
                live.files += 1;
                live.bytes = live.bytes.plus(Bytes(entry.size));
                live.rows = live.rows.saturating_add(entry.records);
            }
            files.push(held(self.metadata.place(&entry.path)?, kind(&entry), Some(Bytes(entry.size))));
        }
        if let Some(count) = &self.live {
            count.add(live);
        }
        Ok(((self.each)(files)?, is_left.then_some(self)))
    }
}

fn kind(entry: &Entry) -> FileKind {
    match entry.content {
        FileContent::Data => FileKind::Data,
        FileContent::Positions if entry.format == "puffin" => FileKind::DeletionVectors,
        FileContent::Positions => FileKind::PositionDeletes,
        FileContent::Equality => FileKind::EqualityDeletes,
    }
}
