//! Each rule at its threshold.

use super::*;
use crate::model::Totals;
use crate::ops::inspect::PartitionSummary;

fn census(files: u64, joinable_files: u64, rows: u64, stored_rows: u64, files_with_deletes: u64) -> Census {
    let totals = Totals { files, bytes: Bytes(1), rows, delete_files: files_with_deletes };
    Census { totals, stored_rows, joinable_files, files_with_deletes, ..Census::default() }
}

/// What is found of a table `t` of this census and metadata, after `change`.
fn judged(census: &Census, bookkeeping: &Bookkeeping, change: impl FnOnce(&mut Facts<'_>)) -> Health {
    let mut facts = Facts {
        table: "t",
        whole_table: "t",
        census,
        target: Bytes::mib(512),
        bookkeeping,
        versions: None,
        outlived: None,
        collectable: true,
        statistics_declined: false,
    };
    change(&mut facts);
    judge(&facts)
}

/// What is found, its points and what mends it.
fn found(health: &Health) -> Vec<(&'static str, u32, Option<&str>)> {
    health.findings.iter().map(|finding| (finding.what, finding.points, finding.mend.as_deref())).collect()
}

fn of_census(census: &Census) -> Health {
    judged(census, &Bookkeeping::default(), |_| {})
}

fn of_metadata(bookkeeping: &Bookkeeping) -> Health {
    judged(&census(1, 0, 1, 1, 0), bookkeeping, |_| {})
}

/// A census of `bytes` in partitions of these sizes.
fn partitions(sizes: impl IntoIterator<Item = Bytes>) -> Census {
    let mut census = census(0, 0, 0, 0, 0);
    census.totals.bytes = Bytes(0);
    for (at, bytes) in sizes.into_iter().enumerate() {
        census.totals.bytes = census.totals.bytes.plus(bytes);
        census.partitions.insert(format!("p={at}"), PartitionSummary { files: 1, bytes, ..PartitionSummary::default() });
    }
    census
}

#[test]
fn a_table_with_nothing_to_mend_has_a_hundred_points() {
    for healthy in [census(0, 0, 0, 0, 0), census(4, 0, 10, 10, 0)] {
        assert_eq!(of_census(&healthy), Health { score: 100, findings: Vec::new() });
    }
}

#[test]
fn every_finding_costs_its_share_and_names_the_command_that_mends_it() {
    let health = judged(&census(10, 10, 60, 100, 1), &Bookkeeping::default(), |facts| {
        facts.versions = Some(5_000);
        facts.table = "s3://b/my table#dev";
        facts.whole_table = "s3://b/my table";
    });
    assert_eq!(
        found(&health),
        [
            ("small-files", 50, Some("otf compact 's3://b/my table#dev'")),
            ("deleted-rows", 10, Some("otf compact 's3://b/my table#dev' --delete-ratio 0.05")),
            ("versions", 10, Some("otf expire 's3://b/my table'")),
            ("delete-files", 2, Some("otf compact 's3://b/my table#dev' --delete-file-threshold 1")),
        ]
    );
    assert_eq!(health.score, 28);
}

#[test]
fn a_single_file_among_many_still_costs_a_point() {
    assert_eq!(of_census(&census(1_000_000, 2, 1, 1, 0)).score, 99);
}

#[test]
fn a_score_never_falls_below_zero() {
    let mut worst = census(10, 10, 0, 100, 10);
    (worst.old_spec_files, worst.sampled_files, worst.without_statistics) = (10, 10, 10);
    assert_eq!(of_census(&worst).score, 0);
}

#[test]
fn more_than_a_thousand_versions_are_many() {
    let of = |versions, outlived| {
        judged(&census(1, 0, 1, 1, 0), &Bookkeeping::default(), |facts| (facts.versions, facts.outlived) = (Some(versions), outlived))
    };
    assert_eq!(found(&of(1_000, None)), []);
    assert_eq!(found(&of(1_001, None)), [("versions", 10, Some("otf expire t"))]);
    assert_eq!(found(&of(1_001, Some(0))), [("versions", 10, Some("otf expire t --older-than 1d"))]);
}

#[test]
fn a_log_of_more_than_a_thousand_commits_is_long() {
    let log = |entries| of_metadata(&Bookkeeping { log_entries: Some(entries), ..Bookkeeping::default() });
    assert_eq!(found(&log(1_000)), []);
    assert_eq!(found(&log(1_001)), [("log", 10, Some("otf expire t"))]);
}

#[test]
fn versions_that_outlived_their_retention_cost_their_share() {
    let of = |outlived, collectable| {
        judged(&census(1, 0, 1, 1, 0), &Bookkeeping::default(), |facts| {
            (facts.versions, facts.outlived, facts.collectable) = (Some(10), Some(outlived), collectable);
        })
    };
    assert_eq!(found(&of(0, true)), []);
    assert_eq!(found(&of(1, true)), [("old-versions", 1, Some("otf expire t"))]);
    assert_eq!(found(&of(10, true)), [("old-versions", 5, Some("otf expire t"))]);
    assert_eq!(found(&of(10, false)), [], "a table that keeps them on purpose is not told to expire them");
}

#[test]
fn many_versions_of_a_table_that_forbids_deletion_have_no_command() {
    let health =
        judged(&census(1, 0, 1, 1, 0), &Bookkeeping::default(), |facts| (facts.versions, facts.collectable) = (Some(2_000), false));
    assert_eq!(found(&health), [("versions", 10, None)]);
    assert_eq!(health.findings[0].why, "2000 versions are kept, and the table's gc.enabled=false keeps them");
}

#[test]
fn more_than_a_hundred_manifests_are_many_if_half_would_do() {
    let of = |there, needed| of_metadata(&Bookkeeping { manifests: Some(there), manifests_needed: Some(needed), ..Bookkeeping::default() });
    assert_eq!(found(&of(100, 1)), []);
    assert_eq!(found(&of(102, 52)), []);
    assert_eq!(found(&of(102, 51)), [("manifests", 5, Some("otf manifests t"))]);
    assert_eq!(found(&of(1_000, 1)), [("manifests", 10, Some("otf manifests t"))]);
}

#[test]
fn a_checkpoint_is_overdue_when_it_has_been_due_twice() {
    let of = |since, interval| {
        of_metadata(&Bookkeeping { since_checkpoint: Some(since), checkpoint_interval: Some(interval), ..Bookkeeping::default() })
    };
    assert_eq!(found(&of(19, 10)), []);
    assert_eq!(found(&of(20, 10)), [("checkpoint-overdue", 2, Some("otf manifests t"))]);
    assert_eq!(found(&of(5_000, 10)), [("checkpoint-overdue", 10, Some("otf manifests t"))]);
    assert_eq!(found(&of(u64::MAX, u64::MAX)), []);
}

#[test]
fn files_of_an_older_partition_spec_cost_their_share() {
    let mut census = census(10, 0, 1, 1, 0);
    census.old_spec_files = 5;
    assert_eq!(found(&of_census(&census)), [("old-spec-files", 5, Some("otf compact t --rewrite-all"))]);
}

#[test]
fn a_hundred_partitions_of_less_than_eight_mebibytes_are_too_fine() {
    let of = |count: usize, each| found(&of_census(&partitions(vec![each; count]))).len();
    assert_eq!((of(99, Bytes(1)), of(100, Bytes::mib(8)), of(100, Bytes(Bytes::mib(8).0 - 1))), (0, 0, 1));
    let thin = of_census(&partitions(vec![Bytes::mib(1); 100]));
    assert_eq!(found(&thin), [("thin-partitions", 10, None)]);
    assert_eq!(thin.findings[0].why, "100 partitions hold 1.0 MiB each on average: a coarser partitioning would be read faster");
}

#[test]
fn a_partition_of_ten_times_the_others_and_ten_target_files_is_skewed() {
    let of = |largest: u64, others: usize| {
        let sizes = std::iter::once(Bytes::mib(largest)).chain(vec![Bytes::mib(512); others]);
        found(&of_census(&partitions(sizes))).first().map(|finding| finding.0)
    };
    assert_eq!(of(5_119, 3), None);
    assert_eq!(of(5_120, 3), Some("skew"));
    assert_eq!(of(5_120, 2), None, "of three partitions none is called skewed");
    let tiny = of_census(&partitions([Bytes::mib(5_119), Bytes(0), Bytes(0), Bytes(0)]));
    assert_eq!(found(&tiny), [], "what fits into a few files is no burden");
}

#[test]
fn where_not_all_partitions_were_told_apart_they_are_thinner_still_and_none_is_called_skewed() {
    let mut thin = partitions(vec![Bytes::mib(1); 200]);
    thin.files_beyond = 1;
    assert!(of_census(&thin).findings[0].why.starts_with("more than 200 partitions hold at most 1.0 MiB each on average"));
    let mut skewed = partitions([Bytes::mib(50_000), Bytes(1), Bytes(1), Bytes(1)]);
    assert_eq!(found(&of_census(&skewed)), [("skew", 5, None)]);
    skewed.files_beyond = 1;
    assert_eq!(found(&of_census(&skewed)), []);
}

#[test]
fn metadata_of_more_than_sixteen_mebibytes_is_large() {
    let of = |size| of_metadata(&Bookkeeping { metadata_bytes: Some(size), ..Bookkeeping::default() });
    assert_eq!(found(&of(Bytes::mib(16))), []);
    assert_eq!(found(&of(Bytes(Bytes::mib(16).0 + 1))), [("metadata-size", 5, Some("otf expire t"))]);
}

#[test]
fn more_metadata_files_than_are_listed_by_default_stay_for_ever() {
    let of = |files, cleaned| {
        of_metadata(&Bookkeeping { metadata_files: Some(files), metadata_cleaned: Some(cleaned), ..Bookkeeping::default() })
    };
    assert_eq!(found(&of(100, false)), []);
    assert_eq!(found(&of(101, true)), []);
    assert_eq!(found(&of(101, false)), [("metadata-files", 3, Some("otf orphans t"))]);
}

#[test]
fn files_without_statistics_cost_their_share_unless_the_table_wants_none() {
    let mut census = census(5_000, 0, 1, 1, 0);
    (census.sampled_files, census.without_statistics) = (1_000, 200);
    let health = of_census(&census);
    assert_eq!(found(&health), [("statistics", 1, Some("otf compact t --rewrite-all"))]);
    assert_eq!(health.findings[0].why, "200 of the 1000 files looked at have no column statistics: no query can skip them");
    assert_eq!(found(&judged(&census, &Bookkeeping::default(), |facts| facts.statistics_declined = true)), []);
}

#[test]
fn a_stale_hint_is_looked_into_by_fsck() {
    let health = of_metadata(&Bookkeeping { stale_hint: Some("it names nothing".into()), ..Bookkeeping::default() });
    assert_eq!(found(&health), [("stale-hint", 3, Some("otf fsck t"))]);
}

#[test]
fn names_are_quoted_for_a_shell() {
    assert_eq!(["/a/b-c.d", "a b", "it's", "$(x)"].map(quoted), ["/a/b-c.d", "'a b'", r"'it'\''s'", "'$(x)'"]);
}
