//! Older versions: by number, by file times, by in-commit timestamps.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::error::{Error, Kind};
use crate::model::{At, Version};
use crate::units::Timestamp;

fn at(made: &Made, at: &At) -> Result<i64> {
    block(table(made.root()).load_at(at)).map(|version| version.snapshot().version.unwrap().0)
}

fn by_time(made: &Made, ms: i64) -> Result<i64> {
    at(made, &At::Time(Timestamp(ms)))
}

fn set_time(made: &Made, version: usize, ms: u64) {
    let file = std::fs::File::options().write(true).open(made.commit_path(version)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(ms)).unwrap();
}

fn start(configuration: &Json) -> Vec<Json> {
    vec![plain_protocol(), metadata(&[], configuration), add("a")]
}

fn missing(result: Result<i64>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    error
}

#[test]
fn a_version_is_what_the_log_says_up_to_it() {
    let made = Made::new(&[start(&json!({})), vec![add("b")], vec![remove("a")]]);
    let paths = |version: i64| {
        let version = block(table(made.root()).load_at(&At::Version(Version(version)))).unwrap();
        let files = block(all_files(&*version)).unwrap();
        let mut paths: Vec<String> = files.iter().map(|file| file.path().to_string()).collect();
        paths.sort();
        paths.join(",")
    };
    assert_eq!([0, 1, 2].map(paths), ["a", "a,b", "b"]);
}

#[test]
fn what_the_log_does_not_lead_to_is_not_found_and_the_earliest_version_is_named() {
    let made = Made::new(&[start(&json!({})), vec![add("b")], vec![add("c")]]);
    for version in [3, -1] {
        let error = missing(at(&made, &At::Version(Version(version))));
        assert!(error.to_string().contains("earliest=0 latest=2"), "{error}");
    }
    missing(at(&made, &At::Ref("dev".into())));
    // A gap is damage, not age.
    std::fs::remove_file(made.commit_path(1)).unwrap();
    assert_eq!(at(&made, &At::Version(Version(2))).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_log_that_was_cleaned_up_begins_at_its_checkpoint() {
    let made = Made::new(&[start(&json!({"delta.checkpointInterval": "2"})), vec![add("b")], vec![add("c")], vec![add("d")]]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    std::fs::remove_file(made.commit_path(0)).unwrap();
    std::fs::remove_file(made.commit_path(1)).unwrap();
    assert_eq!(at(&made, &At::Version(Version(2))).unwrap(), 2);
    assert_eq!(at(&made, &At::Version(Version(3))).unwrap(), 3);
    let error = missing(at(&made, &At::Version(Version(1))));
    assert!(error.message().contains("cleaned up") && error.to_string().contains("earliest=2"), "{error}");
}

#[test]
fn file_times_count_as_growing_even_where_clocks_stepped_back() {
    let made = Made::new(&[start(&json!({})), vec![add("b")], vec![add("c")]]);
    for (version, ms) in [(0, 10_000), (1, 5_000), (2, 30_000)] {
        set_time(&made, version, ms);
    }
    for (ms, version) in [(10_000, 0), (10_001, 1), (29_999, 1), (30_000, 2), (i64::MAX, 2)] {
        assert_eq!(by_time(&made, ms).unwrap(), version, "{ms}");
    }
    missing(by_time(&made, 9_999));
}

#[test]
fn in_commit_timestamps_count_from_the_version_they_were_enabled_in() {
    let commit = |ms: i64| json!({"commitInfo": {"inCommitTimestamp": ms, "timestamp": 3}});
    let configuration = json!({"delta.enableInCommitTimestamps": "true", "delta.inCommitTimestampEnablementVersion": "1",
        "delta.inCommitTimestampEnablementTimestamp": "20000"});
    let enabled = vec![commit(20_000), protocol(&[], &["inCommitTimestamp"]), metadata(&[], &configuration)];
    let made = Made::new(&[start(&json!({})), enabled, vec![commit(21_000), add("b")], vec![commit(25_000), add("c")]]);
    for version in 0..4 {
        set_time(&made, version, 1_000 + version as u64);
    }
    for (ms, version) in [(1_000, 0), (19_999, 0), (20_000, 1), (20_999, 1), (21_000, 2), (24_999, 2), (25_000, 3), (99_000, 3)] {
        assert_eq!(by_time(&made, ms).unwrap(), version, "{ms}");
    }
    missing(by_time(&made, 999));
}

/// Incident tt-mtime: where files are copied, the times at which they were written change, all of them to the same at worst. Their order stays,
/// and versions with in-commit timestamps are not touched by it.
#[test]
fn tt_mtime() {
    let copied = Made::new(&[start(&json!({})), vec![add("b")], vec![add("c")]]);
    (0..3).for_each(|version| set_time(&copied, version, 10_000));
    missing(by_time(&copied, 9_999));
    for (ms, version) in [(10_000, 0), (10_001, 1), (10_002, 2), (99_000, 2)] {
        assert_eq!(by_time(&copied, ms).unwrap(), version, "{ms}");
    }
    let commit = |ms: i64| json!({"commitInfo": {"inCommitTimestamp": ms, "timestamp": 3}});
    let configuration = json!({"delta.enableInCommitTimestamps": "true", "delta.inCommitTimestampEnablementVersion": "1",
        "delta.inCommitTimestampEnablementTimestamp": "20000"});
    let enabled = vec![commit(20_000), protocol(&[], &["inCommitTimestamp"]), metadata(&[], &configuration)];
    let made = Made::new(&[start(&json!({})), enabled, vec![commit(21_000), add("b")]]);
    for copied in [1_000, 99_000] {
        (0..3).for_each(|version| set_time(&made, version, copied));
        assert_eq!([20_000, 20_999, 21_000].map(|ms| by_time(&made, ms).unwrap()), [1, 1, 2]);
    }
}

/// The time that history shows is the one that leads to the version, and a millisecond before it to the version before.
#[test]
fn history_shows_the_times_that_time_travel_goes_by() {
    let with_times = json!({"delta.enableInCommitTimestamps": "true", "delta.inCommitTimestampEnablementVersion": "3",
        "delta.inCommitTimestampEnablementTimestamp": "9000"});
    let first = vec![protocol(&[], &["inCommitTimestamp"]), metadata(&[], &with_times), add("a")];
    let stamped = |ms: i64| vec![json!({"commitInfo": {"inCommitTimestamp": ms}}), add(&format!("x{ms}"))];
    for (commits, with_times) in [
        (vec![first, vec![add("b")], vec![add("c")], stamped(9000), stamped(9500)], true),
        (vec![start(&json!({})), vec![add("b")], vec![add("c")]], false),
    ] {
        let made = Made::new(&commits);
        // The clock of storage stepped back twice.
        for (version, ms) in [(0, 5000), (1, 4000), (2, 3000)] {
            set_time(&made, version, ms);
        }
        let version = made.load().unwrap();
        let history: Vec<_> = block(version.history().try_collect()).unwrap();
        let times: Vec<i64> = history.iter().map(|entry| entry.time.unwrap().0).collect();
        assert_eq!(times, if with_times { vec![5000, 5001, 5002, 9000, 9500] } else { vec![5000, 5001, 5002] });
        for (number, ms) in (0..).zip(times) {
            assert_eq!(by_time(&made, ms).unwrap(), number);
            if number > 0 {
                assert_eq!(by_time(&made, ms - 1).unwrap(), number - 1);
            }
        }
    }
}
