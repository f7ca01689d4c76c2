//! The built binary: exit statuses and documents as cli.md has them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the binary in `folder` with an environment of its own.
pub(crate) fn otf(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otf")).args(words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap()
}

pub(crate) fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn usage_errors_end_with_2_and_are_json_where_json_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = otf(folder.path(), &["compact"]);
    assert_eq!((status(&text), text.stdout.len()), (2, 0));
    assert!(stderr(&text).starts_with("error: ") && stderr(&text).contains("\n  hint: "), "{}", stderr(&text));
    for words in [
        &["compact", "--output", "json"][..],
        &["--output=json", "nonsense"],
        &["compact", "t", "--target-file-size", "big", "--output", "json"],
        &["compact", "t", "--option", "colour=red", "--output", "json"],
        &["compact", "t", "--memory", "1MiB", "--output", "json"],
    ] {
        let json = otf(folder.path(), words);
        assert_eq!(status(&json), 2, "{words:?}");
        assert_eq!((&document(&json)["error"]["kind"], json.stderr.len()), (&Value::from("usage"), 0), "{words:?}");
    }
}

#[test]
fn a_place_without_a_table_ends_with_3_and_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["compact", "inspect", "fsck"] {
        let json = otf(folder.path(), &[verb, "./nothing", "--output", "json"]);
        assert_eq!(status(&json), 3);
        let error = &document(&json)["error"];
        assert_eq!((&error["kind"], &error["message"]), (&Value::from("not-found"), &Value::from("there is no table here")));
        assert!(error["context"]["location"].as_str().unwrap().ends_with("/nothing"));
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_name_in_a_catalog_that_is_not_there_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("sqlite://{}/none.db", folder.path().display());
    std::fs::write(folder.path().join("otf.toml"), format!("[catalog.prod]\ntype = \"sql\"\nuri = \"{uri}\"\n")).unwrap();
    let json = otf(folder.path(), &["inspect", "prod.db.t", "--output", "json"]);
    assert_eq!((status(&json), &document(&json)["error"]["kind"]), (3, &Value::from("not-found")));
    assert_eq!(status(&otf(folder.path(), &["inspect", "prod.t"])), 2);
}

#[test]
fn fsck_ends_with_0_where_a_table_is_sound_and_with_5_where_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("t");
    crate::support::golden::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &table);
    let sound = otf(folder.path(), &["fsck", "t", "--deep", "--output", "json"]);
    let found = document(&sound);
    assert_eq!((status(&sound), &found["outcome"], &found["findings"]), (0, &Value::from("sound"), &Value::from(Vec::<Value>::new())));
    assert_eq!((&found["command"], &found["format"], &found["version"]), (&Value::from("fsck"), &Value::from("delta"), &Value::from("2")));
    assert_eq!((&found["checked"]["files"], &found["checked"]["rows"]), (&Value::from(6), &Value::from(60)));
    let data = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "parquet");
    let file = std::fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path()).find(data).unwrap();
    std::fs::remove_file(&file).unwrap();
    let damaged = otf(folder.path(), &["fsck", "t", "--output", "json"]);
    let found = document(&damaged);
    assert_eq!((status(&damaged), &found["outcome"], &found["found"]["error"]), (5, &Value::from("damaged"), &Value::from(1)));
    assert_eq!(found["findings"][0]["code"], "file-missing");
    assert!(found["findings"][0]["place"].as_str().unwrap().ends_with(file.file_name().unwrap().to_str().unwrap()));
    let text = otf(folder.path(), &["fsck", "t"]);
    assert!(status(&text) == 5 && String::from_utf8(text.stdout).unwrap().starts_with("error file-missing "));
}

#[test]
fn what_this_version_cannot_do_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["compact", "t", "--strategy", "zorder", "--columns", "a"][..],
        &["compact", "t", "--engine", "ballista://h:50050"],
        &["compact", "t", "--path", "splice"],
        &["compact", "hive://h:9083/db.t"],
    ] {
        let json = otf(folder.path(), &[words, &["--output", "json"]].concat());
        assert_eq!((status(&json), &document(&json)["error"]["kind"]), (3, &Value::from("unsupported")), "{words:?}");
    }
}

#[test]
fn several_formats_over_one_place_are_refused_with_4() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["t/_delta_log/00000000000000000000.json", "t/metadata/v1.metadata.json"] {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "{}").unwrap();
    }
    let json = otf(folder.path(), &["inspect", "t", "--output", "json"]);
    let error = &document(&json)["error"];
    assert_eq!((status(&json), &error["kind"]), (4, &Value::from("refused")));
    assert_eq!(error["context"]["formats"], "delta,iceberg");
    assert!(error["hint"].as_str().unwrap().contains("--table-format"));
}

#[test]
fn help_version_and_completions_are_answers_and_no_verb_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["--help"][..], &["compact", "--help"], &["--version"], &["completions", "bash"], &["config", "schema"]] {
        let output = otf(folder.path(), words);
        assert_eq!((status(&output), output.stderr.len()), (0, 0), "{words:?}");
        assert!(!output.stdout.is_empty());
    }
    assert_eq!(status(&otf(folder.path(), &[])), 2);
}

#[test]
fn the_configuration_is_checked_with_its_line_and_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("otf.toml");
    std::fs::write(&file, "memory = \"1GiB\"\n[storage]\naws_secret_access_key = \"hush\"\n").unwrap();
    let good = otf(folder.path(), &["config", "check", "--output", "json", "--threads", "3"]);
    let settings = &document(&good)["settings"];
    assert_eq!((status(&good), &settings["memory"], &settings["threads"]), (0, &Value::from("1GiB"), &Value::from(3)));
    assert_eq!(settings["storage"]["aws_secret_access_key"], "***");
    std::fs::write(&file, "memory = \"1GiB\"\nmemroy = 2\n").unwrap();
    let bad = otf(folder.path(), &["config", "check", "--output", "json"]);
    let error = &document(&bad)["error"];
    assert_eq!((status(&bad), &error["context"]["line"]), (2, &Value::from("2")));
    assert!(error["message"].as_str().unwrap().contains("memroy"), "{error}");
}

#[test]
fn the_demo_does_not_touch_a_folder_that_holds_something() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    let json = otf(folder.path(), &["demo", ".", "--output", "json"]);
    assert_eq!((status(&json), &document(&json)["error"]["kind"]), (4, &Value::from("refused")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The verbs that the tool names in its help, in that order.
fn verbs(folder: &Path) -> Vec<String> {
    let help = String::from_utf8(otf(folder, &["--help"]).stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What goes on in a second line is set in further.
    let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let verbs: Vec<String> = named.filter(|verb| *verb != "help").map(str::to_string).collect();
    assert!(verbs.len() > 10, "{help}");
    verbs
}

/// The help of every verb, as Markdown.
fn reference(folder: &Path) -> String {
    let mut text = String::new();
    let verbs = verbs(folder);
    let alone = vec!["--help"];
    for words in std::iter::once(alone).chain(verbs.iter().map(|verb| vec![verb.as_str(), "--help"])) {
        let help = String::from_utf8(otf(folder, &words).stdout).unwrap();
        // Options that every verb takes are shown once.
        let (own, _) = if words.len() == 1 { (help.as_str(), "") } else { help.split_once("\nGlobal options:").unwrap_or((&help, "")) };
        let lines: Vec<&str> = own.trim_end().lines().map(str::trim_end).collect();
        let title = if words.len() == 1 { "otf".to_string() } else { format!("otf {}", words[0]) };
        text.push_str(&format!("\n### {title}\n\n```text\n{}\n```\n", lines.join("\n")));
    }
    text
}

#[test]
fn the_reference_in_the_documentation_is_the_tools_own_help() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let written = std::fs::read_to_string(&file).unwrap();
    let (head, tail) = written.split_once("<!-- help -->\n").unwrap();
    let fresh = reference(folder.path());
    if std::env::var_os("OTF_BLESS").is_some() {
        std::fs::write(&file, format!("{head}<!-- help -->\n{fresh}")).unwrap();
    } else {
        assert_eq!(tail, fresh, "docs/cli.md is stale: OTF_BLESS=1 cargo test --test it reference");
    }
}

#[test]
fn the_documentation_names_every_verb_that_changes_tables_with_its_plan_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    // These print documents of their own, or none.
    let others = ["compact", "inspect", "fsck", "query", "demo", "config", "completions"];
    for verb in verbs(folder.path()).iter().filter(|verb| !others.contains(&verb.as_str())) {
        let named = format!("`{verb}`");
        let has = |row: &&str| row.split('|').nth(1).is_some_and(|cell| cell.contains(&named)) && row.split('|').count() == 5;
        assert!(rows.iter().any(has), "docs/cli.md has no plan and report of {verb}");
    }
}

/// `words` on the tables that the demo made, as a document.
fn done(folder: &Path, expected: i32, words: &[&str]) -> Value {
    let output = otf(folder, &[words, &["--output", "json"]].concat());
    assert_eq!(status(&output), expected, "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    document(&output)
}

#[test]
fn the_demo_compacts_both_tables_and_a_second_run_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = done(folder, 0, &["demo", "shop"]);
    for (table, format, files, rows) in [(0, "iceberg", 301, 600_572), (1, "delta", 300, 150_000)] {
        let table = &demo["tables"][table];
        assert_eq!((&table["format"], &table["outcome"]), (&Value::from(format), &Value::from("landed")));
        assert_eq!((&table["before"]["files"], &table["before"]["rows"]), (&Value::from(files), &Value::from(rows)));
        assert_eq!((&table["after"]["files"], &table["after"]["rows"]), (&Value::from(1), &Value::from(rows)));
    }
    let warehouse = folder.to_str().unwrap();
    std::fs::write(folder.join("otf.toml"), format!("[catalog.lake]\ntype = \"path\"\nwarehouse = \"{warehouse}\"\n")).unwrap();
    // The writers of the demo make no checkpoints.
    for (table, left) in [("lake.shop.lineitem", None), ("shop/orders", Some("checkpoint-overdue"))] {
        let again = done(folder, 0, &["compact", table, "--yes"]);
        assert_eq!((&again["outcome"], &again["versions"]), (&Value::from("nothing-to-do"), &Value::Array(Vec::new())));
        let findings = &done(folder, 0, &["inspect", table])["health"]["findings"];
        assert_eq!((findings[0]["what"].as_str(), findings.as_array().unwrap().len()), (left, usize::from(left.is_some())), "{findings}");
    }
    let rewrite = ["compact", "shop/orders", "--rewrite-all", "--where", "o_orderdate < DATE '1970-01-01'"];
    assert_eq!(done(folder, 0, &rewrite)["plan"]["left"][0]["why"], "filtered-out");
    let unknown = done(folder, 2, &["compact", "shop/orders", "--where", "nobody = 1"]);
    assert_eq!(unknown["error"]["kind"], "usage");
    let plan = done(folder, 0, &["compact", "shop/orders", "--rewrite-all", "--yes", "--dry-run"]);
    assert_eq!(
        (&plan["outcome"], plan.get("after"), &plan["plan"]["groups"][0]["files"]),
        (&Value::from("planned"), None, &Value::from(1))
    );
    // The state before the compaction can still be read, and never be written.
    let state = "shop/lineitem/metadata/v1.metadata.json";
    assert_eq!(done(folder, 0, &["inspect", state])["totals"]["files"], 301);
    assert_eq!(done(folder, 0, &["compact", state])["plan"]["groups"][0]["files"], 301);
    assert_eq!(done(folder, 4, &["compact", state, "--yes"])["error"]["kind"], "refused");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_with_75_and_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otf"));
    command.args(["demo", "shop", "--output", "json"]).current_dir(folder.path()).env_clear().stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The first file of the demo says that the run is under way.
    while !folder.path().join("shop/lineitem/data").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the demo ended before it wrote anything");
        std::thread::yield_now();
    }
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = child.wait_with_output().unwrap();
    let error = &document(&output)["error"];
    assert_eq!((status(&output), &error["kind"], &error["context"]["signal"]), (75, &Value::from("unavailable"), &Value::from("SIGTERM")));
}
