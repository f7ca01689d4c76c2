//! `docs/tests/` says which test holds which case of other tools' suites and which of their incidents: every test it names is there, every case has
//! its row, and every test that is named after a case is listed.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The incidents whose tests bear their names.
const NAMED: [&str; 36] = [
    "orphan-scheme",
    "orphan-encoding",
    "orphan-stats",
    "orphan-never",
    "orphan-uncommitted",
    "orphan-hint",
    "orphan-now",
    "orphan-depth",
    "orphan-shared",
    "orphan-name-only",
    "orphan-scale",
    "vacuum-longwriter",
    "vacuum-dv",
    "vacuum-cdf",
    "vacuum-lite-miss",
    "vacuum-clone/abs",
    "vacuum-uniform",
    "vacuum-default",
    "vacuum-log",
    "gc-disabled",
    "expire-multiref",
    "expire-branches",
    "expire-leftover",
    "expire-shared",
    "expire-race",
    "expire-slow",
    "expire-stream",
    "tt-tz",
    "tt-mtime",
    "ts-pre1900",
    "int96",
    "hour",
    "orc-ts",
    "parquet-ts",
    "decimal-stats",
    "ns",
];

/// Rows of the tables of a page: the first cell, and the last.
fn rows(page: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/tests").join(page)).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).map(|row| row.split(" | ").collect::<Vec<_>>());
    let rows = cells.filter(|cells| cells[0] != "case" && cells[0] != "incident");
    rows.map(|cells| (cells[0].to_string(), cells[2..].join(" | "))).collect()
}

/// The names in backquotes that are names of tests.
fn tests_in(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect()
}

fn sources(folder: &Path, end: &str, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, end, into);
        } else if path.extension().is_some_and(|found| found == end) {
            into.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Functions of the sources, the Python tests among them.
fn functions() -> BTreeSet<String> {
    let mut texts = Vec::new();
    sources(&Path::new(ROOT).join("src"), "rs", &mut texts);
    sources(&Path::new(ROOT).join("tests/it"), "rs", &mut texts);
    sources(&Path::new(ROOT).join("tests/interop"), "py", &mut texts);
    let named = |line: &str| {
        let rest = line.trim_start().trim_start_matches("async ");
        let rest = rest.strip_prefix("fn ").or_else(|| rest.strip_prefix("def "))?;
        Some(rest.split(['(', '<']).next()?.to_string())
    };
    texts.iter().flat_map(|text| text.lines().filter_map(named).collect::<Vec<_>>()).collect()
}

#[test]
fn every_case_of_the_suites_has_a_row_and_every_test_that_is_named_is_there() {
    let cases: Vec<(String, String)> = rows("peer-suites.md");
    let numbers: Vec<u32> = cases.iter().map(|(case, _)| case.parse().unwrap()).collect();
    let wanted: Vec<u32> = (1..=125).chain(153..=215).collect();
    assert_eq!(numbers, wanted);
    let functions = functions();
    for (row, held) in cases.iter().chain(&rows("incidents.md")) {
        assert!(!held.trim().is_empty(), "nothing holds {row}");
        for test in tests_in(held) {
            assert!(functions.contains(test), "{row} is held by {test}, which is not there");
        }
    }
}

/// Incidents of upkeep, time travel and types are tests of their names.
#[test]
fn every_incident_of_upkeep_is_held_by_a_test_of_its_name() {
    let all = rows("incidents.md");
    for incident in NAMED {
        let name = incident.split('/').next().unwrap().replace('-', "_");
        let held: Vec<&str> =
            all.iter().filter(|(row, _)| row.split(' ').next() == Some(incident)).flat_map(|(_, held)| tests_in(held)).collect();
        let bears_it = |test: &&str| **test == name || test.starts_with(&format!("{name}_"));
        assert!(held.iter().any(bears_it), "{incident} has no test of its name: {held:?}");
    }
    // What is deleted on a bucket that keeps versions is seen on a real server alone.
    assert!(all.iter().any(|(row, _)| row.starts_with("noncurrent ")));
}

#[test]
fn every_test_that_is_named_after_a_case_is_listed() {
    let pages = [rows("peer-suites.md"), rows("incidents.md")].concat();
    let listed: BTreeSet<String> = pages.iter().flat_map(|(_, held)| tests_in(held)).map(String::from).collect();
    let after_a_case = |name: &&String| {
        let digits = name.split('_').any(|word| word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_digit()));
        name.contains("_suite_")
            || (digits && ["delta_rs", "iceberg_go", "amoro", "olake", "trino", "presto"].iter().any(|tool| name.starts_with(tool)))
    };
    let missing: Vec<String> = functions().iter().filter(after_a_case).filter(|name| !listed.contains(*name)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}
