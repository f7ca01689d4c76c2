//! Incidents of other tools, by name, that concern queries: which state a time means, and values that statistics or encodings tell wrongly.
//! `dv-pushdown` is in `query_inside.rs`.
//!
//! | incident | what went wrong | test |
//! |---|---|---|
//! | tt-tz: iceberg #5321; risingwave #20036; presto #23714; delta #7137 | a time was read in UTC or in the session's zone, whichever | here |
//! | tt-mtime: delta #192, #1666, #1958; delta-rs #1124, #833 | the times of log files are the clock: copies, ties, clocks that step back | here |
//! | ts-pre1900: delta #5512 | offsets with seconds before 1900 broke bounds of timestamps | here |
//! | int96: iceberg #1351; iceberg-rust #2301 | bounds and values of 12-byte timestamps | here |
//! | decimal-stats: xtable #608; delta #4302 | bounds of decimals were other numbers | here |

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, TimestampMicrosecondArray};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value as Json, json};

use crate::support::golden::copy;
use crate::support::lake::{Lake, head};
use crate::support::workbench::runtime;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn otf(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otf")).arg("query").args(words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap()
}

fn count(folder: &Path, at: &[&str]) -> (Option<i32>, String, String) {
    let words = [&["SELECT count(*) AS n FROM t", "--table", "t=./t", "--output", "json"], at].concat();
    let output = otf(folder, &words);
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A copy of a fixture as `./t`, whose commits were written at these times (milliseconds).
fn copied(name: &str, times: &[u64]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), &folder.path().join("t"));
    for (version, ms) in times.iter().enumerate() {
        let file = folder.path().join(format!("t/_delta_log/{version:020}.json"));
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(*ms)).unwrap();
    }
    folder
}

const START: u64 = 1_767_225_600_000;

#[test]
fn tt_tz_a_time_has_an_offset_or_a_zone_and_what_clocks_showed_twice_or_never_is_refused_with_both_readings() {
    let folder = copied("delta_dv", &[START, START + 3_600_000, START + 7_200_000]);
    let at = |words: &[&str]| count(folder.path(), words);
    assert_eq!(at(&["--as-of", "2026-01-01T01:30:00"]).0, Some(2));
    // 01:30 in UTC and in Berlin are an hour apart.
    let (utc, berlin) = (at(&["--as-of", "2026-01-01T01:30:00Z"]).1, at(&["--as-of", "2026-01-01T01:30:00", "--tz", "Europe/Berlin"]).1);
    assert_eq!((utc.as_str(), berlin.as_str()), ("{\"n\":60}\n", "{\"n\":0}\n"));
    assert_eq!(at(&["--as-of", "2026-01-01T01:30:00+01:00", "--tz", "Asia/Tokyo"]).1, berlin);
    for (time, readings) in [
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        ("2026-03-29T02:30:00", "2026-03-29T02:30:00+01:00 or 2026-03-29T02:30:00+02:00"),
    ] {
        let (status, document, _) = at(&["--as-of", time, "--tz", "Europe/Berlin"]);
        let document: Json = serde_json::from_str(&document).unwrap();
        assert_eq!((status, &document["error"]["context"]["readings"]), (Some(2), &json!(readings)));
        let sql = format!("SELECT count(*) AS n FROM './t' TIMESTAMP AS OF '{time}'");
        assert_eq!(otf(folder.path(), &[&sql, "--tz", "Europe/Berlin"]).status.code(), Some(2));
    }
}

#[test]
fn tt_mtime_commits_count_as_later_than_the_one_before_and_a_warning_says_whose_times_these_are() {
    // The second commit was written in the millisecond of the first, the third by a clock that had stepped back.
    let folder = copied("delta_dv", &[START, START, START - 10_000]);
    let at = |ms: u64| {
        let time = chrono::DateTime::from_timestamp_millis(i64::try_from(ms).unwrap()).unwrap().to_rfc3339();
        count(folder.path(), &["--as-of", &time])
    };
    let of = |version: &str| count(folder.path(), &["--as-of", version]);
    assert_eq!(at(START - 1).0, Some(3));
    for (ms, version) in [(START, "0"), (START + 1, "1"), (START + 2, "2"), (START + 1_000_000, "2")] {
        assert_eq!(at(ms).1, of(version).1, "{ms}");
    }
    assert!(at(START).2.contains("times of the copy"), "{}", at(START).2);
    assert_eq!(of("1").2, "");
    // A copy made later has forgotten when its versions were made.
    let later = copied("delta_dv", &[START + 86_400_000; 3]);
    assert_eq!(count(later.path(), &["--as-of", "2026-01-01T01:00:00Z"]).0, Some(3));
}

#[test]
fn tt_mtime_in_commit_timestamps_count_from_the_version_that_enabled_them_and_files_before_it() {
    runtime().block_on(async {
        // In memory every commit is written now: by files, any time in 2026 is before the first.
        let lake = Lake::new();
        let plain = json!({});
        let enabled = json!({"delta.enableInCommitTimestamps": "true", "delta.inCommitTimestampEnablementVersion": "2",
            "delta.inCommitTimestampEnablementTimestamp": START.to_string()});
        let add = |name: &str| json!({"add": {"path": name, "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true}});
        let info = |ms: u64| json!({"commitInfo": {"inCommitTimestamp": ms, "operation": "WRITE"}});
        lake.commit("/t", 0, &head(&[("id", "long")], &[], &plain)).await;
        lake.commit("/t", 1, &[add("a")]).await;
        let enabling = head(&[("id", "long")], &["inCommitTimestamp"], &enabled);
        lake.commit("/t", 2, &[info(START), enabling[0].clone(), enabling[1].clone(), add("b")]).await;
        lake.commit("/t", 3, &[info(START + 1_000), add("c")]).await;
        lake.commit("/t", 4, &[info(START + 1_001), add("d")]).await;
        let files = async |ms: u64| {
            let time = chrono::DateTime::from_timestamp_millis(i64::try_from(ms).unwrap()).unwrap().to_rfc3339();
            lake.query(&format!("SELECT count(*) FROM \"/t$files\" TIMESTAMP AS OF '{time}'")).await
        };
        for (ms, expected) in [(START, "2"), (START + 999, "2"), (START + 1_000, "3"), (START + 1_001, "4"), (START + 9_999, "4")] {
            assert_eq!(files(ms).await.unwrap(), [expected], "{ms}");
        }
        assert!(lake.remarks.lock().unwrap().is_empty());
        // Before they were enabled, files of the log tell.
        assert_eq!(files(START - 1).await.unwrap_err().kind(), otf::error::Kind::NotFound);
        let history = lake.rows("SELECT version, timestamp FROM \"/t$history\" WHERE version > 2 ORDER BY version").await;
        assert_eq!(history, ["3|2026-01-01T00:00:01Z", "4|2026-01-01T00:00:01.001Z"]);
    });
}

fn batch_of(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap()
}

#[test]
fn ts_pre1900_bounds_with_offsets_of_seconds_leave_no_row_out() {
    runtime().block_on(async {
        // 1850-01-01T00:00:00 by Berlin's local mean time, 53:28 ahead of UTC, and the same in Los Angeles, 7:52:58 behind.
        let (berlin, los_angeles) = (-3_786_828_808_000_000_i64, -3_786_797_222_000_000_i64);
        let lake = Lake::new();
        lake.create("/t", &[("x", "timestamp")], &[]).await;
        let mut adds = Vec::new();
        for (name, micros, bound) in
            [("a", berlin, "1850-01-01T00:00:00.000+00:53:28"), ("b", los_angeles, "1850-01-01T00:00:00.000-07:52:58")]
        {
            let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
            let stats = json!({"numRecords": 1, "minValues": {"x": bound}, "maxValues": {"x": bound}, "nullCount": {"x": 0}});
            adds.push(lake.file("/t", name, &batch_of(Arc::new(array)), WriterProperties::default(), &stats).await);
        }
        lake.commit("/t", 1, &adds).await;
        let all = ["1849-12-31T23:06:32Z", "1850-01-01T07:52:58Z"];
        assert_eq!(lake.rows("SELECT x FROM '/t' ORDER BY x").await, all);
        for (at, text) in all.iter().enumerate() {
            assert_eq!(lake.rows(&format!("SELECT x FROM '/t' WHERE x = TIMESTAMP '{text}'")).await, [*text], "{at}");
            let until = lake.rows(&format!("SELECT x FROM '/t' WHERE x <= TIMESTAMP '{text}' ORDER BY x")).await;
            assert_eq!(until, all[..=at], "{text}");
        }
    });
}

/// A Parquet file of one column of 12-byte timestamps: days since the epoch, and nanoseconds of the day, which old writers let be negative.
fn int96(values: &[(i64, i64)]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { optional int96 x; }").unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let value = |(days, nanos): &(i64, i64)| {
        let mut value = Int96::new();
        let nanos = nanos.to_le_bytes();
        let word = |at: usize| u32::from_le_bytes(nanos[at..at + 4].try_into().unwrap());
        value.set_data(word(0), word(4), u32::try_from(days + 2_440_588).unwrap());
        value
    };
    let values: Vec<Int96> = values.iter().map(value).collect();
    column.typed::<Int96Type>().write_batch(&values, Some(&vec![1; values.len()]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn int96_values_are_read_whatever_their_bounds_say() {
    runtime().block_on(async {
        let lake = Lake::new();
        lake.create("/t", &[("x", "timestamp")], &[]).await;
        let hour = 3_600_000_000_000_i64;
        // 1969 as a day less an hour and as a negative time of day; 1850; a year beyond 64 bits of nanoseconds.
        let bytes = int96(&[(-1, 23 * hour), (0, -hour), (-43_829, 0), (361_593, hour)]);
        let add = lake.stored("/t", "a.parquet", bytes, &json!({"numRecords": 4})).await;
        lake.commit("/t", 1, &[add]).await;
        let all = ["1850-01-01T00:00:00Z", "1969-12-31T23:00:00Z", "1969-12-31T23:00:00Z", "2960-01-04T01:00:00Z"];
        assert_eq!(lake.rows("SELECT x FROM '/t' ORDER BY x").await, all);
        let before = lake.rows("SELECT x FROM '/t' WHERE x < TIMESTAMP '1970-01-01T00:00:00Z' ORDER BY x").await;
        assert_eq!(before, all[..3]);
        assert_eq!(lake.rows("SELECT x FROM '/t' WHERE x > TIMESTAMP '2900-01-01T00:00:00Z'").await, all[3..]);
    });
}

#[test]
fn parquet_ts_local_times_and_instants_are_told_apart() {
    runtime().block_on(async {
        let lake = Lake::new();
        lake.create("/t", &[("x", "timestamp")], &[]).await;
        lake.create("/local", &[("x", "timestamp_ntz")], &["timestampNtz"]).await;
        let micros = -43_829 * 86_400_000_000_i64;
        let instants = Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"));
        let local = Arc::new(TimestampMicrosecondArray::from(vec![micros]));
        let stats = json!({"numRecords": 1});
        // Each column from a file that says so, and from one that says nothing or the opposite: the table's word counts.
        for (root, text) in [("/t", "1850-01-01T00:00:00Z"), ("/local", "1850-01-01T00:00:00")] {
            let mut adds = Vec::new();
            for (name, array) in [("a", &instants), ("b", &local)] {
                let batch = batch_of(Arc::<TimestampMicrosecondArray>::clone(array));
                adds.push(lake.file(root, name, &batch, WriterProperties::default(), &stats).await);
            }
            lake.commit(root, 1, &adds).await;
            assert_eq!(lake.rows(&format!("SELECT x FROM '{root}'")).await, [text, text], "{root}");
        }
    });
}

#[test]
fn decimal_stats_of_every_precision_and_sign_find_their_row() {
    runtime().block_on(async {
        for (precision, scale) in [(1, 0), (2, 1), (9, 2), (10, 0), (18, 18), (19, 3), (28, 14), (38, 0), (38, 38)] {
            let lake = Lake::new();
            let ty = format!("decimal({precision},{scale})");
            lake.create("/t", &[("x", &ty)], &[]).await;
            let most = 10_i128.pow(precision) - 1;
            let values = [-most, -most / 8, -1, 0, 1, most / 3, most];
            let mut adds = Vec::new();
            for (at, value) in values.iter().enumerate() {
                let array = Decimal128Array::from(vec![*value]).with_precision_and_scale(u8::try_from(precision).unwrap(), scale).unwrap();
                let bound: Json = serde_json::from_str(&decimal(*value, usize::try_from(scale).unwrap())).unwrap();
                // The first half of the files leaves it to the files' own statistics.
                let stats = if at % 2 == 0 {
                    json!({"numRecords": 1})
                } else {
                    json!({"numRecords": 1, "minValues": {"x": bound}, "maxValues": {"x": bound}, "nullCount": {"x": 0}})
                };
                adds.push(lake.file("/t", &format!("{at}"), &batch_of(Arc::new(array)), WriterProperties::default(), &stats).await);
            }
            lake.commit("/t", 1, &adds).await;
            for (at, value) in values.iter().enumerate() {
                let text = decimal(*value, usize::try_from(scale).unwrap());
                let cast = format!("CAST('{text}' AS DECIMAL({precision}, {scale}))");
                let equal = lake.rows(&format!("SELECT x FROM '/t' WHERE x = {cast}")).await;
                let same = values.iter().filter(|other| *other == value).count();
                assert_eq!(equal, vec![text.clone(); same], "{ty}");
                let least = lake.rows(&format!("SELECT count(*) FROM '/t' WHERE x >= {cast}")).await;
                assert_eq!(least, [values.iter().filter(|other| *other >= value).count().to_string()], "{ty} {at}");
            }
        }
    });
}

fn decimal(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
