//! Writing manifests anew: a snapshot with the same files, listed in fewer manifests and in the order of their partitions.
//!
//! Entries keep all they had, and what they inherited is written out: the snapshot that added them, both sequence numbers, the first row id. Memory
//! is bounded: where the entries of a stretch are too many to be sorted at once, its manifests are read again for each range of partitions.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use futures::{StreamExt, TryStreamExt, stream};

use super::commit::{Replace, conclude};
use super::complete::complete;
use super::manifest::{ManifestReader, Status};
use super::manifest_list::{Content, ManifestFile};
use super::manifest_merge::{Merged, Merger};
use super::manifest_plan::{self, Stretch};
use super::manifest_write::ManifestWriter;
use super::pointer::NewMetadata;
use super::scan::Scan;
use super::spec::{Interner, Spec};
use super::table::IcebergVersion;
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Change, Intent, ListPlan, ListWhy, ListWishes, Partition, Upkeep, Value};
use crate::units::Timestamp;

/// Manifests fetched at the same time.
const AHEAD: usize = 4;
/// Packed manifests that are kept between two readings.
const CACHED: usize = 32 << 20;
/// Entries that are sorted at once, in bytes.
const HELD: usize = 64 << 20;
/// What an entry that is held takes besides its bytes, about.
const OVERHEAD: usize = 256;

/// What [`offer`] would do.
///
/// # Errors
///
/// `Usage` for wishes that do not fit; those of reading the manifest list.
pub(super) async fn plan(version: &IcebergVersion, wishes: &ListWishes) -> Result<ListPlan> {
    let listed = listed(&version.scan).await?;
    Ok(manifest_plan::plan(&version.scan.metadata, &listed, wishes)?.told(&listed))
}

/// Tries the rewrite once on top of `version`.
pub(super) async fn offer(version: &IcebergVersion, upkeep: &Upkeep, wishes: &ListWishes, now: Timestamp) -> Answer {
    let change = Change {
        operation: upkeep.operation.clone(),
        part: upkeep.part,
        base: None,
        intent: Intent::Rearrange,
        groups: Vec::new(),
        drop_dangling_deletes: false,
    };
    let mut replace = match Replace::new(version, &change) {
        Ok(replace) => replace,
        Err(error) => return Answer::Rejected(error),
    };
    let new = prepare(&mut replace, wishes, now).await;
    conclude(version, replace, new).await
}

/// The manifests of the current snapshot, each with all that can be known of it.
async fn listed(scan: &Scan) -> Result<Vec<ManifestFile>> {
    let snapshot = scan.metadata.current()?.and_then(super::metadata::SnapshotView::id).unwrap_or(-1);
    let manifests = scan.manifests().await?;
    let reads: Vec<_> = manifests.iter().map(|manifest| complete(scan, manifest, snapshot)).collect();
    stream::iter(reads).buffered(AHEAD).try_collect().await
}

async fn prepare(replace: &mut Replace<'_>, wishes: &ListWishes, now: Timestamp) -> Result<NewMetadata> {
    let listed = listed(replace.scan).await?;
    let planned = manifest_plan::plan(replace.metadata, &listed, wishes)?;
    let target = manifest_plan::target(replace.metadata, wishes)?;
    let gone: HashSet<usize> = planned.stretches.iter().flat_map(|stretch| stretch.members.iter().copied()).collect();
    if gone.is_empty() {
        return Err(Error::bug("manifests that are as they should be were to be rewritten"));
    }
    let mut after = Vec::new();
    let mut entries = 0;
    for stretch in planned.stretches.iter().filter(|stretch| stretch.why != ListWhy::Dead) {
        let members: Vec<&ManifestFile> = stretch.members.iter().filter_map(|at| listed.get(*at)).collect();
        let new = rewrite(replace, stretch, &members, wishes, target).await?;
        entries += check(&members, &new)?;
        after.extend(new);
    }
    let created = after.len() as u64;
    after.extend(listed.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, manifest)| manifest.clone()));
    let told = [
        ("manifests-created", created),
        ("manifests-kept", after.len() as u64 - created),
        ("manifests-replaced", gone.len() as u64),
        ("entries-processed", entries),
    ];
    replace.seal(&mut after, &told, now).await
}

/// Holds the new manifests against the old ones: the same files, with the same rows. Returns how many.
fn check(old: &[&ManifestFile], new: &[ManifestFile]) -> Result<u64> {
    let files = |manifests: &mut dyn Iterator<Item = &ManifestFile>| manifests.map(ManifestFile::live_files).sum::<Option<i64>>();
    let rows = |manifests: &mut dyn Iterator<Item = &ManifestFile>| manifests.map(ManifestFile::live_rows).sum::<Option<i64>>();
    let same = |before: Option<i64>, after: Option<i64>| before.is_none_or(|before| Some(before) == after);
    let (before, after) = (files(&mut old.iter().copied()), files(&mut new.iter()));
    if !same(before, after) || !same(rows(&mut old.iter().copied()), rows(&mut new.iter())) {
        return Err(Error::corrupt("manifests hold other numbers of live files or rows than their list says")
            .about("listed", before.unwrap_or(-1))
            .about("found", after.unwrap_or(-1))
            .hint("otf fsck TABLE names the manifests that are wrong"));
    }
    Ok(after.and_then(|files| u64::try_from(files).ok()).unwrap_or(0))
}

/// The values of a partition in the order in which files are listed.
#[derive(Debug, Clone, PartialEq)]
struct Key(Vec<Option<Value>>);

impl Key {
    fn of(partition: &Partition, order: &[usize]) -> Self {
        Self(order.iter().filter_map(|at| partition.fields.get(*at)).map(|field| field.value.clone()).collect())
    }
}

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        let of_pair = |(a, b): (&Option<Value>, &Option<Value>)| match (a, b) {
            (Some(a), Some(b)) => a.compare(b).unwrap_or(Ordering::Equal),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        pairs.map(of_pair).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A manifest that is read, perhaps several times.
struct Source<'a> {
    manifest: &'a ManifestFile,
    place: Location,
    bytes: Option<Buffer>,
    /// The first and the last partition in it.
    span: Option<(Key, Key)>,
}

impl Source<'_> {
    async fn open(&self, scan: &Scan) -> Result<ManifestReader> {
        match &self.bytes {
            Some(bytes) => ManifestReader::open(bytes, &self.place, self.manifest),
            None => ManifestReader::open(&scan.store.get(&self.place).await?, &self.place, self.manifest),
        }
    }

    fn touches(&self, range: &Range) -> bool {
        self.span.as_ref().is_none_or(|(first, last)| range.first <= *last && *first <= range.last)
    }
}

/// Neighbouring partitions whose entries are sorted at once; a single one needs no sorting.
struct Range {
    first: Key,
    last: Key,
}

async fn rewrite(
    replace: &mut Replace<'_>,
    stretch: &Stretch,
    members: &[&ManifestFile],
    wishes: &ListWishes,
    target: u64,
) -> Result<Vec<ManifestFile>> {
    let spec = Arc::clone(replace.metadata.spec(stretch.spec)?);
    let order = manifest_plan::order(&spec, wishes);
    let survey = Survey::of(replace.scan, &spec, stretch.content, &order, members).await?;
    let Survey { merged, header, sources, ranges } = survey;
    let mut output = Output { replace, spec: &spec, content: stretch.content, merged, header, target, open: None, done: Vec::new() };
    for range in &ranges {
        output.range(&sources, range, &order).await?;
    }
    output.finish().await
}

/// What a first reading tells: the schema that holds every manifest, and where the partitions are cut.
struct Survey<'a> {
    merged: Merged,
    header: Vec<(String, Vec<u8>)>,
    sources: Vec<Source<'a>>,
    ranges: Vec<Range>,
}

impl<'a> Survey<'a> {
    async fn of(scan: &Scan, spec: &Spec, content: Content, order: &[usize], members: &[&'a ManifestFile]) -> Result<Self> {
        let mut merger = Merger::new(spec, scan.metadata.format_version, content)?;
        let mut header = None;
        let mut sources: Vec<Source<'a>> = Vec::with_capacity(members.len());
        let mut sizes: BTreeMap<Key, usize> = BTreeMap::new();
        let mut cached = 0;
        let fetches: Vec<_> = members.iter().map(|manifest| fetch(scan, manifest)).collect();
        let mut fetched = stream::iter(fetches).buffered(AHEAD);
        while let Some((manifest, bytes, place)) = fetched.try_next().await? {
            let reader = ManifestReader::open(&bytes, &place, manifest)?;
            if reader.spec_id != spec.id {
                return Err(Error::corrupt("a manifest is of another partition spec than its list says").about("file", &place));
            }
            merger.admit(&reader).map_err(|e| e.about("file", &place))?;
            header.get_or_insert_with(|| reader.header().to_vec());
            // Without partitions the order is that of the list.
            let span = if order.is_empty() { None } else { weigh(reader, spec, order, &mut sizes).map_err(|e| e.about("file", &place))? };
            cached += bytes.len();
            sources.push(Source { manifest, place, bytes: (cached <= CACHED).then_some(bytes), span });
        }
        let ranges = if order.is_empty() { vec![Range { first: Key(Vec::new()), last: Key(Vec::new()) }] } else { ranges(sizes) };
        Ok(Self { merged: merger.finish()?, header: header.unwrap_or_default(), sources, ranges })
    }
}

async fn fetch<'a>(scan: &Scan, manifest: &'a ManifestFile) -> Result<(&'a ManifestFile, Buffer, Location)> {
    let place = scan.metadata.place(&manifest.path)?;
    Ok((manifest, scan.store.get(&place).await?, place))
}

/// Adds up the bytes of each partition's live entries; returns the first and the last partition.
fn weigh(mut reader: ManifestReader, spec: &Spec, order: &[usize], sizes: &mut BTreeMap<Key, usize>) -> Result<Option<(Key, Key)>> {
    let (columns, mut interner) = (reader.columns.clone(), Interner::default());
    let mut span: Option<(Key, Key)> = None;
    while let Some(entry) = reader.next() {
        let entry = entry?;
        if entry.status == Status::Deleted {
            continue;
        }
        let key = Key::of(&interner.partition(spec, columns.tuple(&entry))?.0, order);
        span = Some(match span {
            None => (key.clone(), key.clone()),
            Some((first, last)) => (if key < first { key.clone() } else { first }, if key > last { key.clone() } else { last }),
        });
        let size = sizes.entry(key).or_default();
        *size = size.saturating_add(reader.entry_size() + OVERHEAD);
    }
    Ok(span)
}

/// Cuts the partitions into ranges that can be held.
fn ranges(sizes: BTreeMap<Key, usize>) -> Vec<Range> {
    let mut out: Vec<Range> = Vec::new();
    let mut held = usize::MAX;
    for (key, size) in sizes {
        match out.last_mut() {
            Some(range) if held.saturating_add(size) <= HELD => {
                range.last = key;
                held += size;
            }
            _ => {
                out.push(Range { first: key.clone(), last: key });
                held = size;
            }
        }
    }
    out
}

/// An entry that waits for its turn.
struct Held {
    key: Key,
    record: Vec<u8>,
    rows: u64,
    sequence: i64,
    partition: Arc<Partition>,
}

/// Manifests being written one after the other.
struct Output<'r, 'a> {
    replace: &'r mut Replace<'a>,
    spec: &'r Arc<Spec>,
    content: Content,
    merged: Merged,
    header: Vec<(String, Vec<u8>)>,
    target: u64,
    open: Option<ManifestWriter>,
    done: Vec<ManifestFile>,
}

impl Output<'_, '_> {
    /// Writes the entries of `range`, sorted.
    async fn range(&mut self, sources: &[Source<'_>], range: &Range, order: &[usize]) -> Result<()> {
        // Entries of a single partition are in order as they come, however many they are.
        let is_single = range.first == range.last;
        let mut held: Vec<Held> = Vec::new();
        for source in sources.iter().filter(|source| source.touches(range)) {
            let reader = source.open(self.replace.scan).await?;
            let (mapping, columns) = (self.merged.mapping(&reader)?, reader.columns.clone());
            let mut interner = Interner::default();
            for entry in reader {
                let entry = entry?;
                if entry.status == Status::Deleted {
                    continue;
                }
                let (partition, _) = interner.partition(self.spec, columns.tuple(&entry))?;
                let key = Key::of(&partition, order);
                if key < range.first || key > range.last {
                    continue;
                }
                let (rows, sequence) = (entry.records, entry.sequence);
                let record = self.merged.record(&mapping, entry, self.spec, &partition).map_err(|e| e.about("file", &source.place))?;
                let entry = Held { key, record, rows, sequence, partition };
                if is_single {
                    self.put(&entry).await?;
                } else {
                    held.push(entry);
                }
            }
        }
        held.sort_by(|a, b| a.key.cmp(&b.key));
        for entry in held {
            self.put(&entry).await?;
        }
        Ok(())
    }

    async fn put(&mut self, entry: &Held) -> Result<()> {
        let mut writer = match self.open.take() {
            Some(writer) => writer,
            None => ManifestWriter::for_taken_over(&self.replace.commit, self.spec, self.content, &self.merged.schema, &self.header)?,
        };
        writer.take_over_encoded(&entry.record, entry.rows, entry.sequence, &entry.partition)?;
        if writer.is_full(self.target)? {
            self.done.push(self.replace.close(writer, None).await?);
        } else {
            self.open = Some(writer);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<ManifestFile>> {
        if let Some(writer) = self.open.take() {
            self.done.push(self.replace.close(writer, None).await?);
        }
        Ok(self.done)
    }
}
