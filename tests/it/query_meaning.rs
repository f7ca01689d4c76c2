//! What operators and functions of `otf query` mean, where engines beneath differ: as DuckDB and Spark have it.

use std::path::Path;
use std::process::Command;

/// What `otf query` prints as CSV for `sql`, without the heading; or its exit status and the error's message.
fn asked(sql: &str) -> Result<Vec<String>, (i32, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otf"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let output = command.args(["query", sql, "--output", "csv"]).current_dir(folder).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if output.status.success() {
        return Ok(text.lines().skip(1).map(str::to_string).collect());
    }
    let message = String::from_utf8(output.stderr).unwrap().lines().next().unwrap_or_default().to_string();
    Err((output.status.code().unwrap(), message))
}

/// Asserts what expressions come to; several are asked at once.
fn come_to(pairs: &[(&str, &str)]) {
    let columns: Vec<String> = pairs.iter().enumerate().map(|(at, (sql, _))| format!("CAST({sql} AS VARCHAR) AS c{at}")).collect();
    let found = asked(&format!("SELECT {}", columns.join(", "))).unwrap();
    let found: Vec<&str> = found[0].split(',').collect();
    for ((sql, expected), found) in pairs.iter().zip(&found) {
        assert_eq!(found, expected, "{sql}");
    }
    assert_eq!(found.len(), pairs.len());
}

#[test]
fn conditions_group_as_in_other_engines() {
    come_to(&[
        ("true IS DISTINCT FROM true OR true", "true"),
        ("false AND true IS NOT DISTINCT FROM false OR true", "true"),
        ("1 IS DISTINCT FROM 2 AND 1 = 1", "true"),
        ("NOT true IS DISTINCT FROM false AND false", "false"),
        ("1 + 2 || '3'", "33"),
        ("'1' || 2 * 3", "16"),
        ("'a' || 'b' = 'ab'", "true"),
    ]);
    let table = "(VALUES (true, true), (true, false), (false, NULL), (NULL, true)) AS t(a, b)";
    assert_eq!(asked(&format!("SELECT count(*) FROM {table} WHERE a IS NOT DISTINCT FROM b OR b")).unwrap(), ["2"]);
}

#[test]
fn times_of_all_years_that_tables_hold_are_cut_and_compared() {
    let late = "TIMESTAMP '9999-12-31 23:59:59.999999'";
    let early = "TIMESTAMP '0001-05-17 13:14:15.123456'";
    let mut pairs = Vec::new();
    for (unit, of_late, of_early) in [
        ("microsecond", "9999-12-31T23:59:59.999999", "0001-05-17T13:14:15.123456"),
        ("millisecond", "9999-12-31T23:59:59.999", "0001-05-17T13:14:15.123"),
        ("second", "9999-12-31T23:59:59", "0001-05-17T13:14:15"),
        ("minute", "9999-12-31T23:59:00", "0001-05-17T13:14:00"),
        ("hour", "9999-12-31T23:00:00", "0001-05-17T13:00:00"),
        ("DAY", "9999-12-31T00:00:00", "0001-05-17T00:00:00"),
        ("week", "9999-12-27T00:00:00", "0001-05-14T00:00:00"),
        ("month", "9999-12-01T00:00:00", "0001-05-01T00:00:00"),
        ("quarter", "9999-10-01T00:00:00", "0001-04-01T00:00:00"),
        ("year", "9999-01-01T00:00:00", "0001-01-01T00:00:00"),
    ] {
        for (time, expected) in [(late, of_late), (early, of_early)] {
            pairs.push((format!("date_trunc('{unit}', {time})"), expected.to_string()));
            let zoned = format!("arrow_cast({time}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
            pairs.push((format!("date_trunc('{unit}', {zoned})"), format!("{expected}Z")));
        }
    }
    for (sql, expected) in [
        ("date_trunc('month', DATE '9999-12-31')", "9999-12-01T00:00:00"),
        ("date_trunc('day', TIMESTAMP '2024-03-31 12:00:00' AT TIME ZONE 'Europe/Berlin')", "2024-03-31T00:00:00+01:00"),
        ("date_trunc('hour', '1969-12-31 23:59:59')", "1969-12-31T23:00:00"),
        ("date_bin(INTERVAL '1 day', TIMESTAMP '9999-12-31 23:59:59')", "9999-12-31T00:00:00"),
        ("date_bin(INTERVAL '15 minutes', TIMESTAMP '1500-01-01 00:14:00', TIMESTAMP '2000-01-01 00:05:00')", "1500-01-01T00:05:00"),
        ("date_bin(INTERVAL '3 months', TIMESTAMP '9999-12-31 23:59:59', TIMESTAMP '2000-02-15 00:00:00')", "9999-11-15T00:00:00"),
        ("date_bin(INTERVAL '1 month', TIMESTAMP '0001-05-17 13:14:15')", "0001-05-01T00:00:00"),
        ("date_bin(INTERVAL '1 month', DATE '1969-12-31')", "1969-12-01T00:00:00"),
        ("TIMESTAMP '9999-12-31 00:00:00' AT TIME ZONE 'Europe/Berlin'", "9999-12-31T00:00:00+01:00"),
        ("TIMESTAMP '9999-12-31 00:00:00' > now()", "true"),
        ("DATE '9999-12-31' > current_timestamp", "true"),
        ("DATE '9999-12-31' > TIMESTAMP '2000-01-01 12:00:00'", "true"),
        ("DATE '2000-01-01' BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31'", "true"),
        ("TIMESTAMP '0001-01-01' IN (DATE '0001-01-01', DATE '9999-12-31')", "true"),
    ] {
        pairs.push((sql.into(), expected.into()));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(sql, expected)| (sql.as_str(), expected.as_str())).collect();
    come_to(&pairs);
    let column = "SELECT date_trunc('month', t) FROM (VALUES (TIMESTAMP '9999-12-31'), (NULL), (TIMESTAMP '1600-02-29')) AS v(t)";
    assert_eq!(asked(column).unwrap(), ["9999-12-01T00:00:00", "", "1600-02-01T00:00:00"]);
}

#[test]
fn floats_are_compared_as_floats() {
    let table = "(VALUES (1, CAST('1e-20' AS DOUBLE)), (2, 0.1e0 + CAST('0.2' AS DOUBLE)), (3, CAST('-0.0' AS DOUBLE)), (4, CAST('2.5' AS DOUBLE)), \
        (5, CAST('-1e-17' AS DOUBLE)), (6, CAST('1e300' AS DOUBLE)), (7, CAST('NaN' AS DOUBLE)), (8, CAST('Infinity' AS DOUBLE))) AS t(i, d)";
    for (condition, expected) in [
        ("d > 0.0", "1,2,4,6,7,8"),
        ("d = 0.0", "3"),
        ("d < 0.0", "5"),
        ("d = 0.3", ""),
        ("d BETWEEN 0.1 AND 2.5", "2,4"),
        ("d IN (0.0, 2.5)", "3,4"),
        ("d IN (0, 7)", "3"),
        ("d IN (CAST('0.0' AS DOUBLE), CAST(i AS DOUBLE) - 1.5)", "3,4"),
        ("d NOT IN (0.0, 2.5, 1e300)", "1,2,5,7,8"),
        ("2.5 >= d AND d > 1.5", "4"),
        ("d > CAST('1.5' AS DECIMAL(38, 2))", "4,6,7,8"),
        ("CASE WHEN i > 5 THEN d ELSE 0.5 END > 1.5", "6,7,8"),
        ("coalesce(d, 0.5) * 2.0 = 5.0", "4"),
        ("CAST(d AS REAL) = 2.5", "4"),
    ] {
        let found = asked(&format!("SELECT i FROM {table} WHERE {condition} ORDER BY i")).unwrap();
        assert_eq!(found.join(","), expected, "{condition}");
    }
    let zeros = "(VALUES (CAST('0.0' AS DOUBLE), 1), (CAST('-0.0' AS DOUBLE), 2), (CAST('5' AS DOUBLE), 2)) AS t(d, i)";
    let distinct = "SELECT count(DISTINCT d), count(DISTINCT i), count(d) FROM";
    assert_eq!(asked(&format!("{distinct} {zeros}")).unwrap(), ["2,2,3"]);
    assert_eq!(asked(&format!("{distinct} (SELECT i, CAST(d AS REAL) AS d FROM {zeros}) AS u")).unwrap(), ["2,2,3"]);
    come_to(&[("CAST('12345678901234567890.5' AS DECIMAL(38, 1)) > 12345678901234567890.4", "true"), ("0.1 + 0.2 = 0.3", "true")]);
}

#[test]
fn whole_numbers_that_overflow_are_errors() {
    let table = "(VALUES (9223372036854775807, 1), (-9223372036854775808, 2)) AS t(l, i)";
    for sql in ["l + i", "l * 3", "l - 5 * i + 10", "-l", "sum(l + i)"] {
        let (status, message) = asked(&format!("SELECT {sql} FROM {table}")).unwrap_err();
        assert_eq!((status, message.as_str()), (2, "error: a number of the query overflows for a row"), "{sql}");
    }
    assert_eq!(asked(&format!("SELECT l - i, i * 2 - 1, -i FROM {table} WHERE i = 1")).unwrap(), ["9223372036854775806,1,-1"]);
    let sets = "SELECT i * 2 - 1 AS k, -i, count(*) FROM {} GROUP BY GROUPING SETS ((i * 2 - 1), (-i), ()) ORDER BY 1, 2";
    assert_eq!(asked(&sets.replace("{}", table)).unwrap(), ["1,,1", "3,,1", ",-2,1", ",-1,1", ",,2"]);
    assert_eq!(asked("SELECT 1 LIMIT 2 - 1").unwrap(), ["1"]);
    let twice = "(VALUES (9223372036854775807, 'a'), (9223372036854775807, 'a'), (-9223372036854775807, 'b'), (NULL, 'b')) AS t(l, g)";
    for sql in ["sum(l) FROM {} WHERE g = 'a'", "sum(l), g FROM {} GROUP BY g", "sum(l) OVER (PARTITION BY g) FROM {}"] {
        let (status, message) = asked(&format!("SELECT {}", sql.replace("{}", twice))).unwrap_err();
        assert_eq!((status, message.as_str()), (2, "error: a number of the query overflows for a row"), "{sql}");
    }
    // Parts of a sum may be larger than the whole.
    assert_eq!(
        asked(&format!("SELECT sum(l), sum(DISTINCT l), arrow_typeof(sum(l)), sum(1), count(*) FROM {twice}")).unwrap(),
        ["9223372036854775807,0,Int64,4,4"]
    );
    let windows = format!("SELECT sum(l) OVER (ORDER BY g ROWS BETWEEN CURRENT ROW AND CURRENT ROW) FROM {twice} WHERE g = 'b' ORDER BY 1");
    assert_eq!(asked(&windows).unwrap(), ["-9223372036854775807", ""]);
    let counted =
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT max(i), -9223372036854775808 FROM n";
    assert_eq!(asked(counted).unwrap(), ["5,-9223372036854775808"]);
}

#[test]
fn patterns_know_escapes_of_every_kind_and_mistakes_are_the_users() {
    come_to(&[
        ("'a_b' LIKE 'a!_b' ESCAPE '!'", "true"),
        ("'axb' LIKE 'a!_b' ESCAPE '!'", "false"),
        ("'a\\xb' LIKE 'a\\_b' ESCAPE '!'", "true"),
        ("'A%!' ILIKE 'a!%!!' ESCAPE '!'", "true"),
        ("'axb' NOT LIKE 'a\\_b'", "true"),
    ]);
    for sql in ["regexp_like('a', '[')", "'a' ~ '('", "regexp_replace('a', '(', 'x')"] {
        let (status, message) = asked(&format!("SELECT {sql}")).unwrap_err();
        assert_eq!((status, message.as_str()), (2, "error: a regular expression of the query is not understood"), "{sql}");
    }
}

#[test]
fn what_the_engine_would_pass_over_is_refused() {
    for sql in [
        "SELECT * FROM './delta_dv' PREWHERE id < 5",
        "SELECT * FROM './delta_dv' TABLESAMPLE (1)",
        "SELECT * FROM (SELECT 1) AS x TABLESAMPLE BERNOULLI (1)",
        "SELECT * FROM './delta_dv' PARTITION (p0)",
        "SELECT id, count(*) FROM './delta_dv' GROUP BY id WITH ROLLUP",
        "SELECT * FROM './delta_dv' START WITH id = 1 CONNECT BY PRIOR id = id",
        "SELECT * FROM './delta_dv' LIMIT 1 BY id",
        "SELECT 1 EXCEPT ALL SELECT 2",
        "SELECT 1 WHERE 1 IN (SELECT 1 INTERSECT ALL SELECT 1)",
    ] {
        let (status, message) = asked(sql).unwrap_err();
        assert!(status == 3 && message.starts_with("error: the query uses what is not understood: "), "{sql}: {status} {message}");
    }
    assert_eq!(asked("SELECT 1 UNION ALL SELECT 1").unwrap(), ["1", "1"]);
}

#[test]
fn queries_that_are_compared_with_may_name_the_same_table() {
    let count = |condition: &str| asked(&format!("SELECT count(*) FROM './delta_dv' WHERE {condition}")).unwrap();
    let few = "(SELECT id FROM './delta_dv' WHERE id < (SELECT min(id) + 3 FROM './delta_dv'))";
    let among = count(&format!("id IN {few}"));
    assert_ne!(among, ["45"]);
    assert_eq!(count(&format!("id = ANY {few}")), among);
    let beyond = count(&format!("id NOT IN {few}"));
    assert_eq!(count(&format!("id <> ALL {few}")), beyond);
    assert_eq!(count(&format!("id > ALL {few}")), beyond);
}

#[test]
fn rounded_decimals_are_compared() {
    come_to(&[("round(0.125, 2) = 0.13", "true"), ("round(1234.5, -2) BETWEEN 1199.5 AND 1200.5", "true")]);
    let table = "(VALUES (1, 1.25), (2, 2.35)) AS t(i, d)";
    assert_eq!(asked(&format!("SELECT i FROM {table} WHERE round(d, 1) > 1.5 AND round(d, 1) = round(d, 1)")).unwrap(), ["2"]);
    assert_eq!(asked(&format!("SELECT count(*) FROM {table} HAVING round(avg(d), 2) > 1.5")).unwrap(), ["2"]);
    let long = "(VALUES (CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)))) AS t(d)";
    let (status, message) = asked(&format!("SELECT sum(d) FROM (SELECT d FROM {long} UNION ALL SELECT d FROM {long}) AS u")).unwrap_err();
    assert_eq!((status, message.as_str()), (2, "error: a number of the query overflows for a row"));
    let back = format!("SELECT sum(d) FROM (SELECT d FROM {long} UNION ALL SELECT d FROM {long} UNION ALL SELECT -d FROM {long}) AS u");
    assert_eq!(asked(&back).unwrap(), ["99999999999999999999999999999999999999"]);
}
