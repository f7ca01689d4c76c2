//! The files of a snapshot, manifest by manifest.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::deletes::{DeleteIndex, Target};
use super::manifest::{Entry, FileContent, ManifestReader, Status};
use super::manifest_list::{self, Content, ManifestFile};
use super::metadata::Metadata;
use super::spec::{Interner, Spec};
use super::stats;
use crate::error::{Error, Result};
use crate::location::{Location, Spelling};
use crate::model::{DataFile, DeleteRef, FileFormat, Lineage, Partition};
use crate::store::Store;
use crate::units::Bytes;

/// How many manifests are fetched ahead.
const AHEAD: usize = 4;

/// A data file's place, partition and age.
pub(crate) type Aged = (Location, Option<Arc<str>>, i64);

/// A snapshot's manifests, read once.
#[derive(Debug)]
pub(crate) struct Scan {
    /// All storage.
    pub(crate) store: Store,
    /// The table's metadata.
    pub(crate) metadata: Arc<Metadata>,
    manifests: OnceCell<Arc<Vec<ManifestFile>>>,
    deletes: OnceCell<Arc<DeleteIndex>>,
}

impl Scan {
    /// The scan of the current snapshot.
    pub(crate) fn new(store: Store, metadata: Arc<Metadata>) -> Self {
        Self { store, metadata, manifests: OnceCell::new(), deletes: OnceCell::new() }
    }

    /// The manifests of the current snapshot.
    ///
    /// # Errors
    ///
    /// `NotFound` or `Corrupt` naming the manifest list.
    pub(crate) async fn manifests(&self) -> Result<Arc<Vec<ManifestFile>>> {
        self.manifests.get_or_try_init(|| self.read_list()).await.map(Arc::clone)
    }

    async fn read_list(&self) -> Result<Arc<Vec<ManifestFile>>> {
        let Some(snapshot) = self.metadata.current()? else { return Ok(Arc::default()) };
        if snapshot.is_encrypted() {
            return Err(Error::unsupported("encrypted tables are not understood"));
        }
        let Some(path) = snapshot.manifest_list() else {
            return Ok(Arc::new(snapshot.inline_manifests().into_iter().map(ManifestFile::inline).collect()));
        };
        let place = self.metadata.place(path)?;
        manifest_list::read(&self.store.get(&place).await?, &place).map(Arc::new)
    }

    /// Opens a manifest.
    ///
    /// # Errors
    ///
    /// `NotFound` or `Corrupt` naming it.
    pub(crate) async fn open(&self, manifest: &ManifestFile) -> Result<ManifestReader> {
        let place = self.metadata.place(&manifest.path)?;
        ManifestReader::open(&self.store.get(&place).await?, &place, manifest)
    }

    /// The deletes of the snapshot.
    ///
    /// # Errors
    ///
    /// Those of the delete manifests.
    pub(crate) async fn deletes(&self) -> Result<Arc<DeleteIndex>> {
        self.deletes.get_or_try_init(|| self.read_deletes()).await.map(Arc::clone)
    }

    async fn read_deletes(&self) -> Result<Arc<DeleteIndex>> {
        let mut index = DeleteIndex::default();
        let manifests = self.manifests().await?;
        for manifest in manifests.iter().filter(|manifest| manifest.content == Content::Deletes && !manifest.is_dead()) {
            let reader = self.open(manifest).await?;
            let (spec_id, columns) = (reader.spec_id, reader.columns.clone());
            let mut interner = Interner::default();
            for entry in reader {
                let entry = entry?;
                if entry.encrypted {
                    return Err(Error::unsupported("encrypted tables are not understood").about("file", &entry.path));
                }
                if entry.status != Status::Deleted {
                    index.add(&entry, &columns, &self.metadata, spec_id, &mut interner)?;
                }
            }
        }
        Ok(Arc::new(index))
    }

    /// Readers of every data manifest that may have live entries, a few fetched ahead.
    pub(crate) fn data_manifests(&self) -> BoxStream<'_, Result<(ManifestFile, ManifestReader)>> {
        stream::once(self.manifests())
            .map_ok(move |manifests| {
                let wanted: Vec<ManifestFile> =
                    manifests.iter().filter(|manifest| manifest.content == Content::Data && !manifest.is_dead()).cloned().collect();
                let open = move |manifest: ManifestFile| async move { self.open(&manifest).await.map(|reader| (manifest, reader)) };
                stream::iter(wanted).map(open).buffered(AHEAD)
            })
            .try_flatten()
            .boxed()
    }

    /// Where every live data file lies.
    pub(crate) fn locations(&self) -> BoxStream<'_, Result<Location>> {
        let live = move |(_, reader): (ManifestFile, ManifestReader)| {
            let places = reader.places_only().filter_map(move |entry| match entry {
                Ok(entry) if entry.status == Status::Deleted => None,
                entry => Some(entry.and_then(|entry| self.metadata.place(&entry.path))),
            });
            stream::iter(places)
        };
        self.data_manifests().map_ok(live).try_flatten().boxed()
    }

    /// Where every live data file lies, its partition's key (`None` if its spec is not understood) and its data sequence number.
    pub(crate) fn ages(&self) -> BoxStream<'_, Result<Aged>> {
        let live = move |(_, reader): (ManifestFile, ManifestReader)| {
            let (spec, columns, mut interner) = (self.metadata.spec(reader.spec_id).cloned(), reader.columns.clone(), Interner::default());
            let places = reader.without_statistics().filter_map(move |entry| match entry {
                Ok(entry) if entry.status == Status::Deleted => None,
                entry => Some(entry.and_then(|entry| {
                    let spec = spec.as_ref().ok();
                    let key = spec.and_then(|spec| interner.partition(spec, columns.tuple(&entry)).ok()).map(|(_, key)| key);
                    Ok((self.metadata.place(&entry.path)?, key, entry.sequence))
                })),
            });
            stream::iter(places)
        };
        self.data_manifests().map_ok(live).try_flatten().boxed()
    }

    /// The live data files.
    pub(crate) fn files(&self, with_stats: bool) -> BoxStream<'_, Result<DataFile>> {
        let files = move |index: Arc<DeleteIndex>| {
            let of_manifest = move |(_, reader): (ManifestFile, ManifestReader)| {
                let manifest = ManifestFiles::new(&self.metadata, Arc::clone(&index), reader, with_stats)?;
                Ok(stream::iter(manifest))
            };
            self.data_manifests().map(move |opened| opened.and_then(&of_manifest)).try_flatten()
        };
        stream::once(self.deletes()).map_ok(files).try_flatten().boxed()
    }
}

/// Turns entries of one manifest into data files.
pub(crate) struct FileMaker<'a> {
    metadata: &'a Metadata,
    index: Arc<DeleteIndex>,
    spec: Arc<Spec>,
    interner: Interner,
    last_deletes: Arc<[DeleteRef]>,
    with_stats: bool,
}

impl<'a> FileMaker<'a> {
    /// A maker for entries of the spec `spec_id`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if there is no such spec.
    pub(crate) fn new(metadata: &'a Metadata, index: Arc<DeleteIndex>, spec_id: i32, with_stats: bool) -> Result<Self> {
        let spec = Arc::clone(metadata.spec(spec_id)?);
        Ok(Self { metadata, index, spec, interner: Interner::default(), last_deletes: Arc::default(), with_stats })
    }

    /// The data file of a live entry.
    ///
    /// # Errors
    ///
    /// `Unsupported` for formats and features we do not know, `Corrupt` for tuples that do not fit.
    pub(crate) fn file(&mut self, entry: &Entry, columns: &super::manifest::Columns) -> Result<DataFile> {
        if entry.encrypted {
            return Err(Error::unsupported("encrypted tables are not understood").about("file", &entry.path));
        }
        let location = self.metadata.place(&entry.path)?;
        let (partition, key): (Arc<Partition>, Arc<str>) = self.interner.partition(&self.spec, columns.tuple(entry))?;
        if !self.index.is_empty() {
            let target = Target { location: &location, path: &entry.path, sequence: entry.sequence, partition: &key };
            let deletes = self.index.of(target);
            if *self.last_deletes != *deletes {
                self.last_deletes = deletes.into();
            }
        }
        let format = match entry.format.as_str() {
            "parquet" => FileFormat::Parquet,
            "orc" => FileFormat::Orc,
            "avro" => FileFormat::Avro,
            other => return Err(Error::unsupported(format!("data files in '{other}' are not understood")).about("file", &location)),
        };
        let lineage = Lineage { first_row_id: entry.first_row_id, sequence: entry.sequence };
        Ok(DataFile {
            spelling: Spelling::of(&location, &entry.path),
            location,
            format,
            size: Bytes(entry.size),
            rows: Some(entry.records),
            partition,
            deletes: Arc::clone(&self.last_deletes),
            lineage: (self.metadata.format_version > 2).then(|| Box::new(lineage)),
            stats: self.with_stats.then(|| Box::new(stats::read(entry, columns, &self.metadata.schema))),
        })
    }
}

/// The live data files of one manifest.
struct ManifestFiles<'a> {
    maker: FileMaker<'a>,
    columns: super::manifest::Columns,
    reader: ManifestReader,
}

impl<'a> ManifestFiles<'a> {
    fn new(metadata: &'a Metadata, index: Arc<DeleteIndex>, reader: ManifestReader, with_stats: bool) -> Result<Self> {
        let maker = FileMaker::new(metadata, index, reader.spec_id, with_stats)?;
        let reader = if with_stats { reader } else { reader.without_statistics() };
        Ok(Self { maker, columns: reader.columns.clone(), reader })
    }
}

impl Iterator for ManifestFiles<'_> {
    type Item = Result<DataFile>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.next()? {
                Ok(entry) if entry.status == Status::Deleted || entry.content != FileContent::Data => {}
                Ok(entry) => return Some(self.maker.file(&entry, &self.columns)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
