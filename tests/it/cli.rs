//! The built binary: exit statuses and documents as cli.md has them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the binary in `folder` with an environment of its own.
fn otf(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_otf")).args(words).current_dir(folder).env_clear().env("HOME", folder).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn document(output: &Output) -> Value {
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
    for verb in ["compact", "inspect"] {
        let json = otf(folder.path(), &[verb, "./nothing", "--output", "json"]);
        assert_eq!(status(&json), 3);
        let error = &document(&json)["error"];
        assert_eq!((&error["kind"], &error["message"]), (&Value::from("not-found"), &Value::from("there is no table here")));
        assert!(error["context"]["location"].as_str().unwrap().ends_with("/nothing"));
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
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
