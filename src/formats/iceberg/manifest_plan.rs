//! Which manifests are to be written anew: small neighbours are joined, large ones split, and files of one partition brought together.
//!
//! Manifests of one spec are put in the order of the partitions they hold, as their lists tell. What is rewritten is a stretch of neighbours, so
//! that a table to which little was added is not rewritten as a whole. A stretch is taken up to a manifest that is neither small nor large nor
//! overlaps another; its new manifests are full, save the last. So planning again finds nothing to do.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::manifest_list::{Content, ManifestFile};
use super::metadata::Metadata;
use super::spec::Spec;
use super::values;
use crate::error::{Error, Result};
use crate::model::{LeaveList, LeftLists, ListContent, ListGroup, ListPlan, ListWhy, ListWishes, Primitive, Value};
use crate::units::Bytes;

/// About how large manifests are where the table does not say (`commit.manifest.target-size-bytes`).
const TARGET: u64 = 8 << 20;
/// Smaller manifests than this are no aim: the head of each takes some kilobytes.
const LEAST: u64 = 64 << 10;

/// Manifests that are written anew together, by their places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) content: Content,
    pub(super) spec: i32,
    /// In the order of their partitions.
    pub(super) members: Vec<usize>,
    pub(super) why: ListWhy,
}

/// What is to be done with a list of manifests.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) stretches: Vec<Stretch>,
    pub(super) left: BTreeMap<LeaveList, u64>,
}

/// About how large new manifests are to be.
///
/// # Errors
///
/// `Usage` for a wish that is too small.
pub(super) fn target(metadata: &Metadata, wishes: &ListWishes) -> Result<u64> {
    match wishes.target {
        Some(Bytes(size)) if size < LEAST => {
            Err(Error::usage("manifests as small as that are no aim").about("size", Bytes(size)).hint("give at least 64KiB"))
        }
        Some(Bytes(size)) => Ok(size),
        None => {
            let own = metadata.properties.get("commit.manifest.target-size-bytes").and_then(|text| text.trim().parse::<u64>().ok());
            Ok(own.map_or(TARGET, |size| size.max(LEAST)))
        }
    }
}

/// The places of a spec's fields in the order in which files are listed.
pub(super) fn order(spec: &Spec, wishes: &ListWishes) -> Vec<usize> {
    let wished = wishes.order.iter().filter_map(|name| spec.fields.iter().position(|field| field.name == *name));
    let mut order: Vec<usize> = wished.collect();
    order
        .extend((0..spec.fields.len()).filter(|at| !wishes.order.iter().any(|name| spec.fields.get(*at).is_some_and(|f| f.name == *name))));
    order
}

/// Plans for `manifests`, whose counts and specs are known.
///
/// # Errors
///
/// `Usage` for wishes that do not fit the table.
pub(super) fn plan(metadata: &Metadata, manifests: &[ManifestFile], wishes: &ListWishes) -> Result<Planned> {
    check(metadata, wishes)?;
    let target = target(metadata, wishes)?;
    let mut planned = Planned::default();
    let mut groups: BTreeMap<(bool, i32), Vec<usize>> = BTreeMap::new();
    for (at, manifest) in manifests.iter().enumerate() {
        let spec = manifest.spec_id.unwrap_or(metadata.default_spec);
        groups.entry((manifest.content == Content::Deletes, spec)).or_default().push(at);
    }
    for ((deletes, spec_id), members) in groups {
        let spec = metadata.spec(spec_id)?;
        let count = members.len() as u64;
        if wishes.spec.is_some_and(|wished| wished != spec_id) {
            *planned.left.entry(LeaveList::OtherSpec).or_default() += count;
            continue;
        }
        if spec.understood().is_err() {
            *planned.left.entry(LeaveList::UnknownSpec).or_default() += count;
            continue;
        }
        let content = if deletes { Content::Deletes } else { Content::Data };
        let (dead, live): (Vec<usize>, Vec<usize>) =
            members.into_iter().partition(|at| manifests.get(*at).is_some_and(ManifestFile::is_dead));
        let first = order(spec, wishes).first().copied();
        let items = live.iter().filter_map(|at| Some(Item::of(*at, manifests.get(*at)?, spec, first))).collect();
        let stretch = |(members, why)| Stretch { content, spec: spec_id, members, why };
        planned.stretches.extend(stretches(items, target, wishes.all).into_iter().map(stretch));
        if !dead.is_empty() {
            planned.stretches.push(stretch((dead, ListWhy::Dead)));
        }
    }
    Ok(planned)
}

fn check(metadata: &Metadata, wishes: &ListWishes) -> Result<()> {
    if wishes.sums {
        return Err(Error::usage("an Iceberg table has no log of commits that could be summed up").hint("leave --log-compaction out"));
    }
    if let Some(id) = wishes.spec.filter(|id| !metadata.specs.contains_key(id)) {
        let known: Vec<String> = metadata.specs.keys().map(ToString::to_string).collect();
        return Err(Error::usage("the table has no partition spec of this id")
            .about("spec", id)
            .hint(format!("it has: {}", known.join(", "))));
    }
    let spec = metadata.spec(wishes.spec.unwrap_or(metadata.default_spec))?;
    match wishes.order.iter().find(|name| spec.fields.iter().all(|field| field.name != **name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = spec.fields.iter().map(|field| field.name.as_str()).collect();
            let known = if known.is_empty() { "the table is not partitioned".to_string() } else { format!("it has: {}", known.join(", ")) };
            Err(Error::usage("the partition spec has no field of this name").about("field", name).about("spec", spec.id).hint(known))
        }
    }
}

impl Planned {
    /// The plan as operations see it.
    pub(super) fn told(&self, manifests: &[ManifestFile]) -> ListPlan {
        let group = |stretch: &Stretch| {
            let members = || stretch.members.iter().filter_map(|at| manifests.get(*at));
            ListGroup {
                content: if stretch.content == Content::Data { ListContent::Data } else { ListContent::Deletes },
                spec: Some(stretch.spec),
                lists: stretch.members.len() as u64,
                bytes: members().map(size).sum(),
                files: members().map(|manifest| manifest.live_files().and_then(|files| u64::try_from(files).ok())).sum(),
                why: stretch.why,
            }
        };
        ListPlan {
            groups: self.stretches.iter().map(group).collect(),
            lists: manifests.len() as u64,
            bytes: manifests.iter().map(size).sum(),
            left: self.left.iter().map(|(why, lists)| LeftLists { why: *why, lists: *lists }).collect(),
        }
    }
}

fn size(manifest: &ManifestFile) -> Bytes {
    Bytes(u64::try_from(manifest.length).unwrap_or(0))
}

/// The end of what a manifest holds of the first field.
#[derive(Debug, Clone, PartialEq)]
enum Edge {
    /// Not known: as low as can be.
    Lowest,
    Null,
    At(Value),
    Nan,
    /// Not known: as high as can be.
    Highest,
}

impl Edge {
    fn compare(&self, other: &Self) -> Ordering {
        let rank = |edge: &Self| match edge {
            Self::Lowest => 0,
            Self::Null => 1,
            Self::At(_) => 2,
            Self::Nan => 3,
            Self::Highest => 4,
        };
        match (self, other) {
            (Self::At(a), Self::At(b)) => a.compare(b).unwrap_or(Ordering::Equal),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// A manifest with live entries.
#[derive(Debug, Clone)]
struct Item {
    at: usize,
    low: Edge,
    high: Edge,
    length: u64,
    /// Whether it has so many entries that it can be split.
    divisible: bool,
}

impl Item {
    /// `first` is the field that the order of files begins with.
    fn of(at: usize, manifest: &ManifestFile, spec: &Spec, first: Option<usize>) -> Self {
        let (low, high) = match first {
            None => (Edge::Null, Edge::Null),
            Some(first) => edges(manifest, spec, first).unwrap_or((Edge::Lowest, Edge::Highest)),
        };
        Self { at, low, high, length: size(manifest).0, divisible: manifest.live_files().is_none_or(|files| files > 1) }
    }
}

/// The least and the greatest value of a field; `None` where the list does not tell.
fn edges(manifest: &ManifestFile, spec: &Spec, field: usize) -> Option<(Edge, Edge)> {
    let ty = spec.fields.get(field)?.ty;
    let summary = manifest.partitions.as_ref()?.get(field)?;
    let is_float = matches!(ty, Some(Primitive::Float | Primitive::Double));
    let nan = if is_float { summary.contains_nan? } else { false };
    let value = |bytes: &Vec<u8>| values::from_bytes(bytes, ty?).map(Edge::At);
    let low = match (&summary.lower, summary.contains_null) {
        (_, true) => Edge::Null,
        (Some(bytes), false) => value(bytes)?,
        (None, false) if nan => Edge::Nan,
        (None, false) => return None,
    };
    let high = match (&summary.upper, nan) {
        (_, true) => Edge::Nan,
        (Some(bytes), false) => value(bytes)?,
        (None, false) if summary.contains_null => Edge::Null,
        (None, false) => return None,
    };
    Some((low, high))
}

/// Neighbours whose partitions overlap, or a single manifest.
struct Cluster {
    members: Vec<usize>,
    high: Edge,
    overlaps: bool,
    is_large: bool,
    is_small: bool,
}

impl Cluster {
    const fn is_due(&self) -> bool {
        self.overlaps || self.is_large
    }
}

/// The stretches of `items` that are to be written anew, in the order of partitions.
fn stretches(mut items: Vec<Item>, target: u64, all: bool) -> Vec<(Vec<usize>, ListWhy)> {
    items.sort_by(|a, b| a.low.compare(&b.low).then_with(|| a.high.compare(&b.high)).then_with(|| (a.length, a.at).cmp(&(b.length, b.at))));
    if all {
        let members: Vec<usize> = items.iter().map(|item| item.at).collect();
        return if members.is_empty() { Vec::new() } else { vec![(members, ListWhy::Asked)] };
    }
    let mut out = Vec::new();
    let mut open: Vec<Cluster> = Vec::new();
    let mut close = |open: &mut Vec<Cluster>| {
        let stretch = std::mem::take(open);
        let why = match stretch.as_slice() {
            clusters if clusters.iter().any(|cluster| cluster.is_large) => ListWhy::Large,
            clusters if clusters.iter().any(|cluster| cluster.overlaps) => ListWhy::Unordered,
            [] | [_] => return,
            _ => ListWhy::Small,
        };
        out.push((stretch.into_iter().flat_map(|cluster| cluster.members).collect(), why));
    };
    for cluster in clusters(items, target) {
        if cluster.is_due() || cluster.is_small {
            open.push(cluster);
        } else {
            close(&mut open);
        }
    }
    close(&mut open);
    out
}

fn clusters(items: Vec<Item>, target: u64) -> Vec<Cluster> {
    let mut out: Vec<Cluster> = Vec::new();
    for item in items {
        let is_large = item.divisible && item.length > target.saturating_mul(9) / 5;
        match out.last_mut() {
            // Files of one partition may fill several manifests: sharing an end is no overlap.
            Some(last) if item.low.compare(&last.high) == Ordering::Less => {
                last.members.push(item.at);
                last.overlaps = true;
                last.is_large |= is_large;
                if item.high.compare(&last.high) == Ordering::Greater {
                    last.high = item.high;
                }
            }
            _ => {
                out.push(Cluster {
                    members: vec![item.at],
                    high: item.high,
                    overlaps: false,
                    is_large,
                    is_small: item.length < target / 2,
                });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manifests of the partitions from the first to the second number, of the third's size.
    fn planned(items: &[(i32, i32, u64)]) -> Vec<(Vec<usize>, ListWhy)> {
        let item = |(at, (low, high, length)): (usize, &(i32, i32, u64))| Item {
            at,
            low: Edge::At(Value::Int(*low)),
            high: Edge::At(Value::Int(*high)),
            length: *length,
            divisible: true,
        };
        stretches(items.iter().enumerate().map(item).collect(), 100, false)
    }

    #[test]
    fn small_neighbours_are_joined_and_full_ones_left_alone() {
        assert_eq!(planned(&[(1, 1, 10), (2, 2, 10), (3, 3, 100), (4, 4, 10)]), [(vec![0, 1], ListWhy::Small)]);
        assert_eq!(planned(&[(1, 1, 10)]), []);
        assert_eq!(planned(&[(1, 1, 60), (2, 2, 10), (3, 3, 170)]), []);
        assert_eq!(planned(&[(5, 5, 10), (1, 1, 10)]), [(vec![1, 0], ListWhy::Small)]);
    }

    #[test]
    fn without_partitions_small_ones_are_neighbours_wherever_they_are_listed() {
        assert_eq!(planned(&[(0, 0, 10), (0, 0, 100), (0, 0, 20), (0, 0, 90)]), [(vec![0, 2], ListWhy::Small)]);
    }

    #[test]
    fn what_overlaps_is_brought_in_order_with_the_small_ones_beside_it() {
        assert_eq!(planned(&[(1, 5, 100), (3, 9, 100), (9, 9, 20), (10, 12, 100)]), [(vec![0, 1, 2], ListWhy::Unordered)]);
        // Sharing an end is what full manifests of one partition do.
        assert_eq!(planned(&[(1, 5, 100), (5, 5, 100), (5, 9, 100)]), []);
    }

    #[test]
    fn large_ones_are_split_and_one_entry_is_not() {
        assert_eq!(planned(&[(1, 9, 181), (10, 11, 100)]), [(vec![0], ListWhy::Large)]);
        let single = Item { at: 0, low: Edge::Null, high: Edge::Null, length: 500, divisible: false };
        assert_eq!(stretches(vec![single], 100, false), []);
    }

    #[test]
    fn an_unknown_end_overlaps_everything_and_null_comes_first_and_nan_last() {
        let item = |at, low, high| Item { at, low, high, length: 100, divisible: true };
        let at = |value| Edge::At(Value::Double(value));
        let ordered = vec![item(0, Edge::Null, at(1.0)), item(1, at(1.0), Edge::Nan), item(2, Edge::Nan, Edge::Nan)];
        assert_eq!(stretches(ordered.clone(), 100, false), []);
        let mut unknown = ordered;
        unknown.push(item(3, Edge::Lowest, Edge::Highest));
        assert_eq!(stretches(unknown, 100, false).first().map(|(members, _)| members.len()), Some(4));
    }

    /// Splits a stretch as it is written: full manifests, and one that holds the rest.
    fn rewritten(items: &[(i32, i32, u64)], members: &[usize]) -> Vec<(i32, i32, u64)> {
        let mut entries: Vec<i32> = Vec::new();
        for (low, high, length) in members.iter().map(|at| items[*at]) {
            let count = i32::try_from(length / 10).unwrap().max(1);
            entries.extend((0..count).map(|n| low + (high - low) * n / (count - 1).max(1)));
        }
        entries.sort_unstable();
        entries.chunks(10).map(|chunk| (chunk[0], chunk[chunk.len() - 1], chunk.len() as u64 * 10)).collect()
    }

    #[test]
    fn planning_again_finds_nothing_to_do() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..500 {
            let mut items: Vec<(i32, i32, u64)> = Vec::new();
            for _ in 0..random(12) {
                let low = i32::try_from(random(40)).unwrap();
                items.push((low, low + i32::try_from(random(8)).unwrap(), 10 * (1 + random(30))));
            }
            let plan = planned(&items);
            let gone: Vec<usize> = plan.iter().flat_map(|(members, _)| members.clone()).collect();
            let kept = items.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, item)| *item);
            let mut after: Vec<(i32, i32, u64)> = kept.collect();
            for (members, _) in &plan {
                after.extend(rewritten(&items, members));
            }
            assert_eq!(planned(&after), [], "round {round}: {items:?} became {after:?}");
        }
    }
}
