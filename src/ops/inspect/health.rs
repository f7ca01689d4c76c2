//! A score from 0 to 100, with what lowers it and the command that mends it.
//!
//! Pure: equal facts give equal scores. Each finding costs at most its weight, in proportion to the share of the table it touches.

use serde::Serialize;

use super::Census;
use crate::units::Bytes;

/// How healthy a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// 100 is a table with nothing to mend.
    pub score: u32,
    /// What lowers the score, the most costly first.
    pub findings: Vec<Finding>,
}

/// One thing that can be mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A word for it that stays the same between versions of the tool.
    pub what: &'static str,
    /// What it means here.
    pub why: String,
    /// How many points it costs.
    pub points: u32,
    /// The command that mends it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// The most points small files can cost: they are what slows readers most.
const SMALL_FILES: u64 = 50;
/// The most points deleted rows can cost: every reader reads and drops them.
const DELETED_ROWS: u64 = 25;
/// The most points files with deletes can cost: every reader opens a second file for them.
const DELETE_FILES: u64 = 15;
/// What too many versions cost.
const VERSIONS: u64 = 10;
/// More versions than this make metadata slow to read and keep old files alive.
const MANY_VERSIONS: u64 = 1_000;

/// Judges a table named `table` (as the user named it) with files of about `target` bytes and `versions_kept` versions.
pub fn judge(census: &Census, target: Bytes, versions_kept: Option<u64>, table: &str) -> Health {
    let compact = |options: &str| Some(format!("otf compact {}{options}", quoted(table)));
    let totals = census.totals;
    let deleted = census.stored_rows.saturating_sub(totals.rows);
    let findings = [
        finding("small-files", SMALL_FILES, census.joinable_files, totals.files, || {
            let share = format!("{} of {} files are below 75 % of the target size {target}", census.joinable_files, totals.files);
            (format!("{share} and could be joined with others of their partition"), compact(""))
        }),
        finding("deleted-rows", DELETED_ROWS, deleted, census.stored_rows, || {
            (format!("{deleted} of {} stored rows are deleted and still read", census.stored_rows), compact(" --delete-ratio 0.05"))
        }),
        finding("delete-files", DELETE_FILES, census.files_with_deletes, totals.files, || {
            let with = census.files_with_deletes;
            (
                format!("{with} of {} files carry deletes ({} delete files)", totals.files, totals.delete_files),
                compact(" --delete-file-threshold 1"),
            )
        }),
        finding("versions", VERSIONS, u64::from(versions_kept.is_some_and(|kept| kept > MANY_VERSIONS)), 1, || {
            (format!("{} versions are kept", versions_kept.unwrap_or_default()), None)
        }),
    ];
    let mut findings: Vec<Finding> = findings.into_iter().flatten().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.points));
    let cost: u32 = findings.iter().map(|finding| finding.points).sum();
    Health { score: 100u32.saturating_sub(cost), findings }
}

/// A finding that costs `weight` in proportion to `part` of `whole`, rounded up: what is there costs a point at least.
fn finding(what: &'static str, weight: u64, part: u64, whole: u64, words: impl FnOnce() -> (String, Option<String>)) -> Option<Finding> {
    if part == 0 || whole == 0 {
        return None;
    }
    let points = (u128::from(weight) * u128::from(part)).div_ceil(u128::from(whole)).min(u128::from(weight));
    let (why, mend) = words();
    Some(Finding { what, why, points: u32::try_from(points).unwrap_or(u32::MAX), mend })
}

/// `table` as a shell takes it.
fn quoted(table: &str) -> String {
    let plain = table.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:=".contains(c));
    if plain { table.to_string() } else { format!("'{}'", table.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Totals;

    fn census(files: u64, joinable_files: u64, rows: u64, stored_rows: u64, files_with_deletes: u64) -> Census {
        let totals = Totals { files, bytes: Bytes(1), rows, delete_files: files_with_deletes };
        Census { totals, stored_rows, joinable_files, files_with_deletes, ..Census::default() }
    }

    #[test]
    fn a_table_with_nothing_to_mend_has_a_hundred_points() {
        for healthy in [census(0, 0, 0, 0, 0), census(4, 0, 10, 10, 0)] {
            assert_eq!(judge(&healthy, Bytes::mib(512), Some(3), "t"), Health { score: 100, findings: Vec::new() });
        }
    }

    #[test]
    fn every_finding_costs_its_share_and_names_the_command_that_mends_it() {
        let health = judge(&census(10, 10, 60, 100, 1), Bytes::mib(512), Some(5_000), "s3://b/my table");
        let points: Vec<(&str, u32)> = health.findings.iter().map(|f| (f.what, f.points)).collect();
        assert_eq!(points, [("small-files", 50), ("deleted-rows", 10), ("versions", 10), ("delete-files", 2)]);
        assert_eq!(health.score, 28);
        assert_eq!(health.findings[0].mend.as_deref(), Some("otf compact 's3://b/my table'"));
    }

    #[test]
    fn a_single_file_among_many_still_costs_a_point() {
        assert_eq!(judge(&census(1_000_000, 2, 1, 1, 0), Bytes::mib(512), None, "t").score, 99);
    }
}
