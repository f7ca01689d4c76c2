//! Which files to write again, and why; which to leave, and why. Pure: equal arguments give equal plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bins;
use crate::error::{Error, Result};
use crate::model::{DataFile, Partition, Pieces};
use crate::units::Bytes;

/// Options and table defaults, resolved: every number a plan depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// About how large files should be.
    pub target: Bytes,
    /// Smaller files are candidates.
    pub min: Bytes,
    /// Larger files are candidates.
    pub max: Bytes,
    /// So many candidates are worth a group.
    pub min_input_files: usize,
    /// A group's inputs hold no more than this.
    pub max_group: Bytes,
    /// Files with at least this many deletes are candidates, and worth a group each.
    pub delete_file_threshold: usize,
    /// Files with at least this share of rows deleted are candidates, and worth a group each.
    pub delete_ratio: f64,
    /// Every file is a candidate and every group worth it.
    pub rewrite_all: bool,
    /// No more than this many files in all groups together.
    pub max_files: usize,
}

/// What is wanted, as far as it was said; the rest follows Iceberg's rewrite procedure.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// See [`Policy::target`].
    pub target: Option<Bytes>,
    /// See [`Policy::min`]; default 75 % of the target.
    pub min: Option<Bytes>,
    /// See [`Policy::max`]; default 180 % of the target.
    pub max: Option<Bytes>,
    /// See [`Policy::min_input_files`]; default 5.
    pub min_input_files: Option<usize>,
    /// See [`Policy::max_group`]; default 100 GiB.
    pub max_group: Option<Bytes>,
    /// See [`Policy::delete_file_threshold`]; default: no number is enough.
    pub delete_file_threshold: Option<usize>,
    /// See [`Policy::delete_ratio`]; default 0.3.
    pub delete_ratio: Option<f64>,
    /// See [`Policy::rewrite_all`].
    pub rewrite_all: bool,
    /// See [`Policy::max_files`]; default: no limit.
    pub max_files: Option<usize>,
}

impl Policy {
    /// Fills `wishes` up with defaults; `target` is the table's own.
    ///
    /// # Errors
    ///
    /// A usage error where sizes contradict each other.
    pub fn resolve(wishes: &Wishes, target: Bytes) -> Result<Self> {
        let target = wishes.target.unwrap_or(target);
        let policy = Self {
            target,
            min: wishes.min.unwrap_or_else(|| target.percent(75)),
            max: wishes.max.unwrap_or_else(|| target.percent(180)),
            min_input_files: wishes.min_input_files.unwrap_or(5),
            max_group: wishes.max_group.unwrap_or(Bytes(100 << 30)),
            delete_file_threshold: wishes.delete_file_threshold.unwrap_or(usize::MAX),
            delete_ratio: wishes.delete_ratio.unwrap_or(0.3),
            rewrite_all: wishes.rewrite_all,
            max_files: wishes.max_files.unwrap_or(usize::MAX),
        };
        let hint = "sizes must be: 0 < min-file-size <= target-file-size < max-file-size";
        if policy.target.0 == 0 || policy.min > policy.target || policy.max <= policy.target {
            return Err(Error::usage("file sizes contradict each other")
                .about("min", policy.min)
                .about("target", policy.target)
                .about("max", policy.max)
                .hint(hint));
        }
        if policy.max_group.0 == 0 || policy.min_input_files == 0 || !(policy.delete_ratio > 0.0 && policy.delete_ratio <= 1.0) {
            return Err(Error::usage("group size, number of input files and delete ratio must be above zero, the ratio at most 1"));
        }
        Ok(policy)
    }
}

/// Why a group is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Enough small files.
    SmallFiles,
    /// Few small files, but together more than a target file, and fewer files come out.
    EnoughContent,
    /// A file above the maximum size.
    LargeFile,
    /// Many of the rows are deleted, or many deletes apply.
    Deletes,
    /// The user asked for every file.
    Asked,
}

/// Why a file is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leave {
    /// Its size is within bounds.
    RightSize,
    /// Too few others in its partition to be worth it.
    FewNeighbours,
    /// The filter rules it out.
    FilteredOut,
    /// The limit on files was reached.
    OverLimit,
    /// Its partition spec has a transform that is not understood.
    UnknownSpec,
    /// It is too large, and moving its row groups as they are would make the same file again.
    RowGroupTooLarge,
}

/// Files that are rewritten together: of one partition, or all of specs other than the one they move to.
#[derive(Debug, Clone)]
pub struct Group {
    /// The partition of new files; where rows are sorted into many, the spec alone.
    pub partition: Arc<Partition>,
    /// The files, in the table's order.
    pub files: Pieces<DataFile>,
    /// Why.
    pub why: Why,
}

impl Group {
    /// Bytes of all files.
    pub fn bytes(&self) -> Bytes {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Every live file is in one group or counted under one reason (C1).
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is rewritten.
    pub groups: Vec<Group>,
    /// How many files are left for which reason.
    pub left: BTreeMap<Leave, u64>,
}

impl Plan {
    /// Counts files left alone.
    pub fn leave(&mut self, why: Leave, files: usize) {
        if files > 0 {
            *self.left.entry(why).or_default() += files as u64;
        }
    }

    /// Files in all groups.
    pub fn files(&self) -> usize {
        self.groups.iter().map(|group| group.files.len()).sum()
    }

    /// Bytes in all groups.
    pub fn bytes(&self) -> Bytes {
        self.groups.iter().map(Group::bytes).sum()
    }
}

/// Whether `file` is to be rewritten if its group is worth it. Files for which this is false need not be kept for [`plan_partition`].
pub fn is_candidate(file: &DataFile, policy: &Policy) -> bool {
    policy.rewrite_all || file.size < policy.min || file.size > policy.max || has_many_deletes(file, policy)
}

fn has_many_deletes(file: &DataFile, policy: &Policy) -> bool {
    if file.deletes.is_empty() {
        return false;
    }
    let deleted: u64 = file.deletes.iter().filter_map(|d| d.rows).sum();
    // Shares of rows: beyond 2^52 rows in one file the rounding does not matter.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    let ratio_reached = file.rows.is_some_and(|rows| rows > 0 && deleted as f64 / rows as f64 >= policy.delete_ratio);
    file.deletes.len() >= policy.delete_file_threshold || (deleted > 0 && ratio_reached)
}

/// Adds groups for the candidates of one partition to `plan`.
pub fn plan_partition(partition: &Arc<Partition>, candidates: Pieces<DataFile>, policy: &Policy, plan: &mut Plan) {
    for files in bins::into_bins(candidates, policy.max_group) {
        match worth(&files, policy) {
            Some(why) => within_limit(Group { partition: Arc::clone(partition), files, why }, policy, plan),
            None => plan.leave(Leave::FewNeighbours, files.len()),
        }
    }
}

fn worth(files: &Pieces<DataFile>, policy: &Policy) -> Option<Why> {
    let bytes: Bytes = files.iter().map(|file| file.size).sum();
    if policy.rewrite_all {
        Some(Why::Asked)
    } else if files.iter().any(|file| has_many_deletes(file, policy)) {
        Some(Why::Deletes)
    } else if files.iter().any(|file| file.size > policy.max) {
        Some(Why::LargeFile)
    } else if expected_outputs(bytes, policy) >= files.len() as u64 {
        // Without fewer files there is no gain, and the next run would find the same again (C4).
        None
    } else if files.len() >= policy.min_input_files {
        Some(Why::SmallFiles)
    } else if bytes > policy.target {
        Some(Why::EnoughContent)
    } else {
        None
    }
}

fn within_limit(mut group: Group, policy: &Policy, plan: &mut Plan) {
    let room = policy.max_files.saturating_sub(plan.files());
    if group.files.len() > room {
        plan.leave(Leave::OverLimit, group.files.len() - room);
        group.files.truncate(room);
        if room == 0 {
            return;
        }
        if worth(&group.files, policy).is_none() {
            plan.leave(Leave::OverLimit, room);
            return;
        }
    }
    plan.groups.push(group);
}

/// How many files `bytes` should become. As in Iceberg's planner a small remainder is spread over the other files if they stay within 110 % of the
/// target.
pub fn expected_outputs(bytes: Bytes, policy: &Policy) -> u64 {
    let whole = bytes.0 / policy.target.0;
    let rest = bytes.0 % policy.target.0;
    if whole == 0 {
        return 1;
    }
    let spread = bytes.0 / whole <= policy.target.percent(110).min(policy.max).0;
    if rest > policy.min.0 || (rest > 0 && !spread) { whole + 1 } else { whole }
}

/// Where to end a file when `bytes` are written: the target, or a little more where that saves a small last file.
pub fn roll_size(bytes: Bytes, policy: &Policy) -> Bytes {
    let share = bytes.0.div_ceil(expected_outputs(bytes, policy));
    // Two per cent of slack: an estimate that is slightly off must not leave a tiny last file.
    policy.target.max(Bytes(share).percent(102))
}

/// No [`roll_size`] is larger: what is not divided at this size may not be at another.
pub fn largest_roll(policy: &Policy) -> Bytes {
    policy.target.percent(113)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::model::{DeleteKind, DeleteRef, FileFormat};
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

    const MIB: u64 = 1 << 20;

    fn file(n: usize, mib: u64) -> DataFile {
        let place = Location::parse(&format!("/t/{n:04}")).unwrap();
        DataFile { rows: Some(100), ..DataFile::bare(place, FileFormat::Parquet, Bytes(mib * MIB)) }
    }

    fn policy() -> Policy {
        Policy::resolve(&Wishes::default(), Bytes::mib(128)).unwrap()
    }

    /// Plans one partition of files with these sizes in MiB.
    fn drawn(sizes: &[u64], policy: &Policy) -> Plan {
        let mut plan = Plan::default();
        let (candidates, rest): (Vec<_>, Vec<_>) =
            sizes.iter().enumerate().map(|(n, mib)| file(n, *mib)).partition(|file| is_candidate(file, policy));
        plan.leave(Leave::RightSize, rest.len());
        plan_partition(&Arc::default(), candidates.into_iter().collect(), policy, &mut plan);
        plan
    }

    /// Files and reason of each group, and what is left.
    type Summary = (Vec<(usize, Why)>, Vec<(Leave, u64)>);

    fn summary(plan: &Plan) -> Summary {
        (plan.groups.iter().map(|g| (g.files.len(), g.why)).collect(), plan.left.clone().into_iter().collect())
    }

    #[test]
    fn small_neighbours_are_grouped_and_a_lone_small_file_is_left() {
        assert_eq!(summary(&drawn(&[4, 4, 120, 4, 4, 4], &policy())), (vec![(5, Why::SmallFiles)], vec![(Leave::RightSize, 1)]));
        assert_eq!(summary(&drawn(&[4], &policy())), (vec![], vec![(Leave::FewNeighbours, 1)]));
    }

    #[test]
    fn a_few_files_with_enough_content_are_grouped_if_fewer_come_out() {
        assert_eq!(summary(&drawn(&[70, 50, 20], &policy())), (vec![(3, Why::EnoughContent)], vec![]));
        assert_eq!(summary(&drawn(&[90, 80], &policy())), (vec![], vec![(Leave::FewNeighbours, 2)]));
    }

    #[test]
    fn large_files_and_files_with_many_deletes_are_rewritten_alone() {
        assert_eq!(summary(&drawn(&[300], &policy())), (vec![(1, Why::LargeFile)], vec![]));
        let mut deleted = file(0, 128);
        deleted.deletes = Arc::new([DeleteRef { kind: DeleteKind::Vector, key: "v".into(), rows: Some(30) }]);
        assert!(is_candidate(&deleted, &policy()));
        let mut plan = Plan::default();
        plan_partition(&Arc::default(), [deleted].into_iter().collect(), &policy(), &mut plan);
        assert_eq!(summary(&plan), (vec![(1, Why::Deletes)], vec![]));
    }

    #[test]
    fn asking_for_every_file_and_limiting_them_do_what_they_say() {
        let all = Policy { rewrite_all: true, ..policy() };
        assert_eq!(summary(&drawn(&[128, 4], &all)), (vec![(2, Why::Asked)], vec![]));
        let few = Policy { max_files: 6, ..policy() };
        assert_eq!(summary(&drawn(&[4; 10], &few)), (vec![(6, Why::SmallFiles)], vec![(Leave::OverLimit, 4)]));
    }

    #[test]
    fn contradicting_sizes_are_a_usage_error() {
        let wishes = Wishes { min: Some(Bytes::mib(200)), ..Wishes::default() };
        assert!(Policy::resolve(&wishes, Bytes::mib(128)).is_err());
    }

    /// What rewriting a group of so many bytes leaves: files of the roll size and one rest.
    fn written(bytes: u64, policy: &Policy) -> Vec<u64> {
        let roll = roll_size(Bytes(bytes), policy).0;
        let (whole, rest) = (bytes / roll, bytes % roll);
        let mut sizes = vec![roll; usize::try_from(whole).unwrap()];
        sizes.extend((rest > 0).then_some(rest));
        sizes
    }

    proptest! {
        /// C1, C3 and C4: every file once, groups within the limit, and nothing left to do once the plan has run.
        #[test]
        fn a_plan_covers_every_file_and_is_a_fixed_point(
            sizes in prop::collection::vec(1u64..400, 0..60),
            target in 32u64..256,
            shrink in (50u64..=100).prop_map(|p| p),
            _order in any::<bool>(),
        ) {
            let policy = Policy::resolve(&Wishes::default(), Bytes::mib(target)).unwrap();
            let plan = drawn(&sizes, &policy);
            prop_assert_eq!(plan.files() as u64 + plan.left.values().sum::<u64>(), sizes.len() as u64);
            for group in &plan.groups {
                prop_assert!(group.files.len() == 1 || group.bytes() <= policy.max_group);
            }
            let taken: std::collections::HashSet<String> =
                plan.groups.iter().flat_map(|g| &g.files).map(|f| f.path().to_string()).collect();
            let mut after: Vec<DataFile> =
                sizes.iter().enumerate().map(|(n, mib)| file(n, *mib)).filter(|f| !taken.contains(f.path())).collect();
            for group in &plan.groups {
                for size in written(group.bytes().percent(shrink).0, &policy) {
                    after.push(DataFile { size: Bytes(size), ..file(1000 + after.len(), 1) });
                }
            }
            let mut again = Plan::default();
            let candidates = after.into_iter().filter(|f| is_candidate(f, &policy)).collect();
            plan_partition(&Arc::default(), candidates, &policy, &mut again);
            prop_assert!(again.groups.is_empty(), "{:?}", summary(&again));
        }
    }
}
