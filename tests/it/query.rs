//! `otf query` as people run it: rows by content, earlier states, outputs, refusals.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow_array::cast::AsArray;
use serde_json::Value;

/// Runs a query in `folder`; returns what came of it.
fn otf(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otf")).arg("query").args(words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The rows of a query over the fixtures, as JSON.
fn rows(sql: &str, more: &[&str]) -> Vec<Value> {
    let output = otf(&fixtures(), &[&[sql, "--output", "json"], more].concat());
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn row(sql: &str) -> String {
    let rows = rows(sql, &[]);
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].to_string()
}

/// Status and kind of error.
fn refusal(words: &[&str]) -> (i32, String) {
    let output = otf(&fixtures(), &[words, &["--output", "json"]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    (output.status.code().unwrap(), document["error"]["kind"].as_str().unwrap().to_string())
}

#[test]
fn deleted_rows_are_below_every_filter_aggregate_and_limit() {
    assert_eq!(row("SELECT count(*) AS n, count(DISTINCT id) AS d FROM './delta_dv'"), "{\"n\":45,\"d\":45}");
    assert_eq!(rows("SELECT id FROM './delta_dv' LIMIT 50", &[]).len(), 45);
    let before = row("SELECT count(*) AS n FROM './delta_dv' VERSION AS OF 1");
    assert_eq!(before, "{\"n\":60}");
    let deleted = "SELECT count(*) AS n FROM './delta_dv' VERSION AS OF 1 a LEFT JOIN './delta_dv' b ON a.id = b.id WHERE b.id IS NULL";
    assert_eq!(row(deleted), "{\"n\":15}");
}

#[test]
fn renamed_columns_partitions_and_changed_rows_are_read_by_content() {
    let renamed = row("SELECT count(*) AS n, min(id) AS a, max(id) AS b FROM './delta_mapping_name'");
    assert_eq!(renamed, "{\"n\":30,\"a\":0,\"b\":29}");
    let odd = rows("SELECT p, count(*) AS n FROM './delta_partitioned_odd_names' GROUP BY p ORDER BY p NULLS LAST", &[]);
    let names: Vec<&Value> = odd.iter().map(|row| &row["p"]).collect();
    assert_eq!(names, ["50%", "a b", "x+y#?&", "ü/ö=😀"].map(Value::from).iter().chain([&Value::Null]).collect::<Vec<_>>());
    let changed = row("SELECT count(*) AS n FROM './delta_row_tracking' WHERE v = 'updated' AND id % 10 <> 3");
    assert_eq!(changed, "{\"n\":0}");
}

#[test]
fn a_filter_on_a_partition_leaves_files_of_others_unread() {
    let sql = "EXPLAIN SELECT id FROM './delta_partitioned_odd_names' WHERE p = 'a b'";
    let plan: String = rows(sql, &[]).iter().map(ToString::to_string).collect();
    assert!(plan.contains("ScanFiles: files=2,"), "{plan}");
    assert_eq!(rows("SELECT id FROM './delta_partitioned_odd_names' WHERE p = 'a b'", &[]).len(), 8);
}

#[test]
fn unquoted_names_have_no_case_and_joins_cross_versions() {
    assert_eq!(row("SELECT Count(ID) AS Total FROM './delta_plain' WHERE Id < 10 ORDER BY TOTAL"), "{\"Total\":10}");
    let joined = row("WITH Old AS (SELECT id FROM \"./delta_checkpoint\" VERSION AS OF 2) \
         SELECT count(*) AS n FROM old JOIN './delta_checkpoint' AS now ON old.id = NOW.id");
    assert!(joined.starts_with("{\"n\":"), "{joined}");
}

#[test]
fn named_tables_take_the_state_of_as_of_and_clauses_win() {
    let count = |sql: &str, more: &[&str]| rows(sql, more)[0]["n"].as_u64().unwrap();
    let named = ["--table", "t=./delta_dv", "--as-of", "1"];
    assert_eq!(count("SELECT count(*) AS n FROM t", &named), 60);
    assert_eq!(count("SELECT count(*) AS n FROM t VERSION AS OF 2", &named), 45);
    assert_eq!(count("SELECT count(*) AS n FROM t", &["--table", "t=./delta_dv", "--as-of", "2200-01-01", "--tz", "UTC"]), 45);
}

#[test]
fn what_is_not_there_and_what_would_write_is_refused_with_its_status() {
    for (words, status, kind) in [
        (&["SELECT * FROM './nothing'"][..], 3, "not-found"),
        (&["SELECT * FROM './delta_plain' VERSION AS OF 99"], 3, "not-found"),
        (&["SELECT * FROM './delta_plain' VERSION AS OF 'dev'"], 3, "not-found"),
        (&["SELECT * FROM './delta_plain' TIMESTAMP AS OF '1970-01-01T00:00:00Z'"], 3, "not-found"),
        (&["SELECT * FROM './delta_plain' TIMESTAMP AS OF '1970-01-01'"], 2, "usage"),
        (&["SELECT * FROM './delta_plain$refs'"], 3, "unsupported"),
        (&["SELECT nothing FROM './delta_plain'"], 2, "usage"),
        (&["SELECT id, id FROM './delta_plain'"], 2, "usage"),
        (&["SELECT 1 / 0"], 2, "usage"),
        (&["SELEKT 1"], 2, "usage"),
        (&["INSERT INTO './delta_plain' VALUES (1, 'a')"], 4, "refused"),
        (&["COPY (SELECT 1) TO 'x.csv'"], 4, "refused"),
        (&["CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x.csv'"], 4, "refused"),
        (&["SET datafusion.execution.batch_size = 1"], 4, "refused"),
        (&["EXPLAIN ANALYZE INSERT INTO './delta_plain' VALUES (1, 'a')"], 4, "refused"),
    ] {
        assert_eq!(refusal(words), (status, kind.to_string()), "{words:?}");
    }
}

#[test]
fn a_value_that_cannot_be_cast_is_not_shown() {
    let output = otf(&fixtures(), &["SELECT CAST(v AS INT) FROM './delta_plain'", "--output", "json"]);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!text.contains("v1") && text.contains("cast"), "{text}");
}

#[test]
fn every_output_holds_the_same_rows_and_files_appear_complete() {
    let folder = tempfile::tempdir().unwrap();
    let table = fixtures().join("delta_plain").display().to_string();
    let sql = format!("SELECT id, v FROM '{table}' WHERE id < 2 ORDER BY id");
    let csv = otf(folder.path(), &[&sql, "--output", "csv"]);
    assert_eq!(String::from_utf8(csv.stdout).unwrap(), "id,v\r\n0,v0\r\n1,v1\r\n");
    let text = otf(folder.path(), &[&sql, "--max-rows", "1"]);
    let (shown, remark) = (String::from_utf8(text.stdout).unwrap(), String::from_utf8(text.stderr).unwrap());
    assert!(shown.contains("v0") && !shown.contains("v1") && shown.ends_with("1 row\n"), "{shown}");
    assert!(remark.contains("--max-rows"), "{remark}");
    let parquet = otf(folder.path(), &[&sql, "--output", "parquet", "--to", "rows.parquet"]);
    assert!(parquet.status.success());
    let file = std::fs::File::open(folder.path().join("rows.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
    let values: Vec<&str> = batches.iter().flat_map(|batch| batch.column(1).as_string::<i32>().iter().flatten()).collect();
    assert_eq!(values, ["v0", "v1"]);
    let failed = otf(folder.path(), &["SELECT 1 / (id - 5) FROM t", "--table", &format!("t={table}"), "--output", "csv", "--to", "x.csv"]);
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(otf(folder.path(), &[&sql, "--output", "parquet"]).status.code(), Some(2));
}

#[test]
fn a_sort_larger_than_the_budget_spills_and_loses_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let spill = folder.path().join("spill");
    std::fs::create_dir(&spill).unwrap();
    let sql = "SELECT repeat(CAST(value AS VARCHAR), 12) AS t FROM generate_series(100000, 499999) ORDER BY t DESC";
    let words = [sql, "--memory", "64MiB", "--threads", "2", "--temp-dir", "spill", "--output", "csv", "--to", "rows.csv"];
    let output = otf(folder.path(), &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.path().join("rows.csv")).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let wanted: Vec<String> = (100_000..500_000).rev().map(|number: u32| number.to_string().repeat(12)).collect();
    assert!(rows == wanted, "{} rows", rows.len());
    assert_eq!(std::fs::read_dir(&spill).unwrap().count(), 0);
}
