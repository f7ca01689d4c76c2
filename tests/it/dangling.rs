//! Files of positions that do not say which data file they are for (those in Avro never do): they count as deletes of every file that they may name,
//! also of those that a compaction has just written (P9).

use std::path::{Path, PathBuf};

use apache_avro::types::Value as Avro;
use apache_avro::{Schema, Writer};
use serde_json::{Value, json};

use crate::moved::{copy_of, otf};

/// Where the fixture's metadata says that it lies.
const HOME: &str = "/tmp/otf-fixtures/0000000000000000/db/iceberg_v2_avro";

fn run(folder: &Path, words: &[&str]) -> Value {
    let (status, document) = otf(folder, &[words, &["--map-location", &format!("{HOME}=./copy")]].concat());
    assert_eq!(status, 0, "{document}");
    document
}

/// Number and sum of the ids, and how many delete files the newest snapshot lists.
fn seen(folder: &Path) -> (Value, Value) {
    let rows = run(folder, &["query", "SELECT count(*) AS n, sum(id) AS ids FROM './copy'"]);
    (rows, run(folder, &["inspect", "copy"])["totals"]["delete_files"].clone())
}

/// Makes the table's file of positions delete the first row of every data file.
fn name_first_rows(table: &Path) {
    let files = std::fs::read_dir(table.join("data")).unwrap().map(|entry| entry.unwrap().path());
    let (deletes, data): (Vec<PathBuf>, Vec<PathBuf>) = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "avro"))
        .partition(|file| file.to_string_lossy().contains("-deletes"));
    let [deletes] = deletes.as_slice() else { panic!("{deletes:?}") };
    let field = |name: &str, kind: &str, id: i64| json!({"name": name, "type": kind, "field-id": id});
    let fields = [field("file_path", "string", 2_147_483_546), field("pos", "long", 2_147_483_545)];
    let schema = Schema::parse_str(&json!({"type": "record", "name": "r", "fields": fields}).to_string()).unwrap();
    let mut writer = Writer::new(&schema, Vec::new());
    for file in &data {
        let named = format!("file://{HOME}/data/{}", file.file_name().unwrap().to_string_lossy());
        writer.append(Avro::Record(vec![("file_path".into(), Avro::String(named)), ("pos".into(), Avro::Long(0))])).unwrap();
    }
    std::fs::write(deletes, writer.into_inner().unwrap()).unwrap();
}

#[test]
fn those_that_name_no_live_file_any_more_go_with_the_compaction_that_applied_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy_of("iceberg_v2_avro", folder);
    let before = seen(folder);
    assert_eq!(before.1, json!(1));
    let done = run(folder, &["compact", "copy", "--delete-file-threshold", "1", "--yes"]);
    assert_eq!((&done["outcome"], &done["report"]["delete_files_removed"]), (&json!("landed"), &json!(1)));
    assert_eq!(seen(folder), (before.0, json!(0)));
    let again = run(folder, &["compact", "copy", "--delete-file-threshold", "1", "--yes"]);
    assert_eq!(again["outcome"], json!("nothing-to-do"));
}

#[test]
fn those_that_name_a_file_that_stays_stay_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    name_first_rows(&copy_of("iceberg_v2_avro", folder));
    let before = seen(folder);
    let done = run(folder, &["compact", "copy", "--rewrite-all", "--max-files", "1", "--yes"]);
    assert_eq!((&done["outcome"], &done["report"]["files_removed"]), (&json!("landed"), &json!(1)));
    assert_eq!(seen(folder), before);
    let done = run(folder, &["compact", "copy", "--rewrite-all", "--yes"]);
    assert_eq!((&done["outcome"], seen(folder)), (&json!("landed"), (before.0, json!(0))));
}
