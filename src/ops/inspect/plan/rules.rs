//! What can be wrong with a table: one function a finding.

use super::{Facts, Finding};
use crate::units::Bytes;

/// A rule: the finding it makes of the facts, if it makes one.
type Rule = fn(&Facts<'_>) -> Option<Finding>;

/// Every rule. Of findings that cost the same, those of earlier rules come first.
pub(super) const ALL: [Rule; 15] = [
    small_files,
    deleted_rows,
    delete_files,
    thin_partitions,
    old_spec_files,
    manifests,
    checkpoint,
    versions,
    log,
    outlived,
    skew,
    metadata_size,
    metadata_files,
    statistics,
    stale_hint,
];

/// More versions than this make metadata slow to read and keep old files alive.
const MANY_VERSIONS: u64 = 1_000;
/// Fewer manifests than this are read at once anyway (Iceberg's `commit.manifest.min-count-to-merge`).
const MANY_MANIFESTS: u64 = 100;
/// A checkpoint is overdue when it has been due so many times.
const TIMES_DUE: u64 = 2;
/// So many intervals without a checkpoint cost all points.
const TIMES_DUE_AT_WORST: u64 = 10;
/// Metadata files above this size make every commit slow.
const LARGE_METADATA: Bytes = Bytes::mib(16);
/// So many metadata files are listed before the oldest fall out of the list (`write.metadata.previous-versions-max`).
const LISTED_METADATA: u64 = 100;
/// Fewer partitions than this are not too many.
const MANY_PARTITIONS: u64 = 100;
/// Partitions that hold less than this on average are too fine.
const THIN_PARTITION: Bytes = Bytes::mib(8);
/// Fewer partitions than this cannot be called skewed.
const SKEWED_PARTITIONS: u64 = 4;
/// A partition is skewed if it holds so many times what others hold on average.
const SKEW: u64 = 10;

fn compact(finding: Finding, facts: &Facts<'_>, options: &str) -> Finding {
    finding.mended_by("compact", facts.table, options)
}

/// Old versions can be expired, unless the table forbids it.
fn expire(finding: Finding, facts: &Facts<'_>, options: &str) -> Finding {
    if facts.collectable { finding.mended_by("expire", facts.whole_table, options) } else { finding }
}

/// They are what slows readers most.
fn small_files(facts: &Facts<'_>) -> Option<Finding> {
    let (joinable, files) = (facts.census.joinable_files, facts.census.totals.files);
    let finding = Finding::in_proportion("small-files", 50, joinable, files)?;
    let share = format!("{joinable} of {files} files are below 75 % of the target size {}", facts.target);
    Some(compact(finding.because(format!("{share} and could be joined with others of their partition")), facts, ""))
}

/// Every reader reads and drops them.
fn deleted_rows(facts: &Facts<'_>) -> Option<Finding> {
    let stored = facts.census.stored_rows;
    let deleted = stored.saturating_sub(facts.census.totals.rows);
    let finding = Finding::in_proportion("deleted-rows", 25, deleted, stored)?;
    Some(compact(finding.because(format!("{deleted} of {stored} stored rows are deleted and still read")), facts, "--delete-ratio 0.05"))
}

/// Every reader opens a second file for them.
fn delete_files(facts: &Facts<'_>) -> Option<Finding> {
    let (with, totals) = (facts.census.files_with_deletes, facts.census.totals);
    let finding = Finding::in_proportion("delete-files", 15, with, totals.files)?;
    let why = format!("{with} of {} files carry deletes ({} delete files)", totals.files, totals.delete_files);
    Some(compact(finding.because(why), facts, "--delete-file-threshold 1"))
}

/// A partition of a few megabytes is a file too small to be worth opening, whatever a compaction does.
fn thin_partitions(facts: &Facts<'_>) -> Option<Finding> {
    let count = facts.census.partitions.len() as u64;
    // Where not all were told apart there are more of them, and they are thinner still.
    let mean = facts.census.totals.bytes.0.checked_div(count)?;
    if count < MANY_PARTITIONS || mean >= THIN_PARTITION.0 {
        return None;
    }
    let (than, most) = if facts.census.files_beyond > 0 { ("more than ", "at most ") } else { ("", "") };
    let why = format!("{than}{count} partitions hold {most}{} each on average: a coarser partitioning would be read faster", Bytes(mean));
    Finding::in_proportion("thin-partitions", 10, 1, 1).map(|finding| finding.because(why))
}

/// Queries that filter by the current partitioning read more of them than they need.
fn old_spec_files(facts: &Facts<'_>) -> Option<Finding> {
    let (old, files) = (facts.census.old_spec_files, facts.census.totals.files);
    let finding = Finding::in_proportion("old-spec-files", 10, old, files)?;
    let why = format!("{old} of {files} files were written under an older partition spec");
    Some(compact(finding.because(why), facts, "--rewrite-all"))
}

/// Every query opens all of them that its filter does not rule out.
fn manifests(facts: &Facts<'_>) -> Option<Finding> {
    let (there, needed) = (facts.bookkeeping.manifests?, facts.bookkeeping.manifests_needed?);
    if there <= MANY_MANIFESTS || needed.saturating_mul(2) > there {
        return None;
    }
    let finding = Finding::in_proportion("manifests", 10, there.saturating_sub(needed), there)?;
    Some(finding.because(format!("{there} manifests hold what {needed} could")).mended_by("manifests", facts.whole_table, ""))
}

/// Every reader replays the commits after the newest one.
fn checkpoint(facts: &Facts<'_>) -> Option<Finding> {
    let (since, interval) = (facts.bookkeeping.since_checkpoint?, facts.bookkeeping.checkpoint_interval?.max(1));
    if since < interval.checked_mul(TIMES_DUE)? {
        return None;
    }
    let finding = Finding::in_proportion("checkpoint-overdue", 10, since, interval.saturating_mul(TIMES_DUE_AT_WORST))?;
    let why = format!("{since} commits are replayed on top of the newest checkpoint; one is due every {interval}");
    Some(finding.because(why).mended_by("manifests", facts.whole_table, ""))
}

/// Snapshots are in the metadata file, which every commit writes anew.
fn versions(facts: &Facts<'_>) -> Option<Finding> {
    let versions = facts.versions.filter(|versions| *versions > MANY_VERSIONS && facts.bookkeeping.log_entries.is_none())?;
    let finding = Finding::in_proportion("versions", 10, 1, 1)?;
    // Where none has outlived the table's own age limit, a shorter one has to be named.
    let options = if facts.outlived == Some(0) { "--older-than 1d" } else { "" };
    let forbidden = if facts.collectable { "" } else { ", and the table's gc.enabled=false keeps them" };
    Some(expire(finding.because(format!("{versions} versions are kept{forbidden}")), facts, options))
}

/// Commits in the log are listed by every reader.
fn log(facts: &Facts<'_>) -> Option<Finding> {
    let entries = facts.bookkeeping.log_entries.filter(|entries| *entries > MANY_VERSIONS)?;
    let finding = Finding::in_proportion("log", 10, 1, 1)?;
    Some(expire(finding.because(format!("the log holds {entries} commits")), facts, ""))
}

/// They keep files that nobody asks for any more.
fn outlived(facts: &Facts<'_>) -> Option<Finding> {
    let outlived = facts.outlived.filter(|_| facts.collectable)?;
    let versions = facts.versions.unwrap_or(outlived);
    let finding = Finding::in_proportion("old-versions", 5, outlived, versions)?;
    Some(expire(finding.because(format!("{outlived} of {versions} versions are older than the table keeps them")), facts, ""))
}

/// One partition that outgrows all others makes one task of a query outlast all others.
fn skew(facts: &Facts<'_>) -> Option<Finding> {
    let (count, bytes) = (facts.census.partitions.len() as u64, facts.census.totals.bytes);
    // What the others hold is not known where not all were told apart.
    if facts.census.files_beyond > 0 {
        return None;
    }
    let largest = facts.census.partitions.values().map(|partition| partition.bytes).max()?;
    let others = bytes.0.saturating_sub(largest.0).checked_div(count.saturating_sub(1))?;
    let is_large = largest.0 / SKEW >= others.max(1) && largest.0 >= facts.target.0.saturating_mul(SKEW);
    if count < SKEWED_PARTITIONS || !is_large {
        return None;
    }
    let finding = Finding::in_proportion("skew", 5, 1, 1)?;
    Some(finding.because(format!("one of {count} partitions holds {largest}, the others {} each on average", Bytes(others))))
}

fn metadata_size(facts: &Facts<'_>) -> Option<Finding> {
    let size = facts.bookkeeping.metadata_bytes.filter(|size| *size > LARGE_METADATA)?;
    let finding = Finding::in_proportion("metadata-size", 5, 1, 1)?;
    Some(expire(finding.because(format!("the metadata file has {size}, and every commit writes all of it anew")), facts, ""))
}

/// Those that are no longer listed stay for ever: no commit deletes them.
fn metadata_files(facts: &Facts<'_>) -> Option<Finding> {
    let files = facts.bookkeeping.metadata_files.filter(|files| *files > LISTED_METADATA)?;
    if facts.bookkeeping.metadata_cleaned? {
        return None;
    }
    let finding = Finding::in_proportion("metadata-files", 3, 1, 1)?;
    let why =
        format!("{files} metadata files are listed and older ones stay on storage: write.metadata.delete-after-commit.enabled is not set");
    Some(finding.because(why).mended_by("orphans", facts.whole_table, ""))
}

/// Without them a query opens every file.
fn statistics(facts: &Facts<'_>) -> Option<Finding> {
    let (without, sampled) = (facts.census.without_statistics, facts.census.sampled_files);
    if facts.statistics_declined {
        return None;
    }
    let finding = Finding::in_proportion("statistics", 5, without, sampled)?;
    let of = if sampled < facts.census.totals.files { format!("the {sampled} files looked at") } else { format!("{sampled} files") };
    let why = format!("{without} of {of} have no column statistics: no query can skip them");
    Some(compact(finding.because(why), facts, "--rewrite-all"))
}

fn stale_hint(facts: &Facts<'_>) -> Option<Finding> {
    let why = facts.bookkeeping.stale_hint.as_ref()?;
    let finding = Finding::in_proportion("stale-hint", 3, 1, 1)?;
    Some(finding.because(format!("the hint to the newest state is wrong: {why}")).mended_by("fsck", facts.whole_table, ""))
}
