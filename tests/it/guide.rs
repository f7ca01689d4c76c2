//! The run-throughs of `docs/guide` are run as they are written.
//!
//! In a block marked `console`, a line that begins with `$ ` is a command, and what follows is what it prints. `OTF_BLESS=1` writes down what it printed
//! this time. Commands of a page run one after another in a folder that holds the tables of `otf demo`, before anything was done to them but
//! compaction. Times, ids and moments differ from run to run: they are compared as words that stand for them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

fn folder_of_pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide")
}

/// `sh -c words` in `folder`, with the binary under test as `otf`: what it printed, both streams.
#[expect(clippy::disallowed_methods, reason = "a shell finds its commands by the path")]
fn run(words: &str, folder: &Path) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_otf")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let script = format!("exec 2>&1; {words}");
    let output =
        Command::new("sh").args(["-c", &script]).current_dir(folder).env_clear().env("PATH", path).env("HOME", folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The tables of `otf demo`, made once for all pages.
fn demo() -> &'static Path {
    static DEMO: OnceLock<TempDir> = OnceLock::new();
    let made = || {
        let folder = tempfile::tempdir().unwrap();
        let told = run("otf demo", folder.path());
        assert!(told.contains("try next"), "{told}");
        folder
    };
    DEMO.get_or_init(made).path()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// The text with what differs from run to run as words that stand for it.
fn steady(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "FOLDER");
    let mut out = String::new();
    for line in text.lines() {
        let mut words: Vec<String> = line.trim_end().split(' ').map(word).collect();
        // A whole number of milliseconds is as unsteady as a broken one of seconds.
        for at in 1..words.len() {
            if words[at] == "UNIT" && !words[at - 1].is_empty() && words[at - 1].bytes().all(|b| b.is_ascii_digit()) {
                words[at - 1] = "MEASURE".into();
            }
        }
        // Columns are as wide as their widest value: only the words are compared.
        let words: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !word.is_empty() && !word.chars().all(|c| c == '─')).collect();
        writeln!(out, "{}", words.join(" ")).unwrap();
    }
    out
}

/// A word as it is compared: ids, moments and durations are the same as any others.
fn word(word: &str) -> String {
    let value = word.rsplit_once('=').map_or(word, |(_, value)| value);
    let core = value.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let digits = core.bytes().filter(u8::is_ascii_digit).count();
    let is_id = core.len() >= 15 && core.bytes().all(|b| b.is_ascii_digit());
    let is_uuid = core.len() == 36 && core.bytes().filter(|b| *b == b'-').count() == 4 && digits > 0;
    let is_moment = core.len() >= 16 && core.starts_with("20") && core.contains('T') && core.contains(':');
    let is_measure = digits > 0 && core.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match core {
        "s" | "ms" | "min" | "B" | "KiB" | "MiB" if value == word => "UNIT".into(),
        _ if is_id || is_uuid => "ID".into(),
        _ if is_moment => "MOMENT".into(),
        _ if is_measure && core.contains('.') => "MEASURE".into(),
        _ => word.to_string(),
    }
}

/// Runs the commands of `page`; the page with what they printed, and what is not as the page says.
fn follow(page: &str, folder: &Path) -> (String, Vec<String>) {
    let (mut out, mut wrong, mut lines) = (String::new(), Vec::new(), page.lines().peekable());
    let mut inside = false;
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if line.starts_with("```") {
            inside = line == "```console";
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else { continue };
        let mut written = String::new();
        while let Some(next) = lines.next_if(|next| !next.starts_with("```") && !next.starts_with("$ ")) {
            writeln!(written, "{next}").unwrap();
        }
        let told = run(command, folder);
        let told = told.replace(&folder.display().to_string(), "/data");
        out.push_str(told.trim_end());
        out.push_str(if told.trim().is_empty() { "" } else { "\n" });
        let (expected, found) = (steady(written.trim_end(), folder), steady(told.trim_end(), folder));
        if expected != found {
            wrong.push(format!("$ {command}\n--- written\n{expected}--- printed\n{found}"));
        }
    }
    (out, wrong)
}

#[test]
fn every_run_through_of_the_guide_prints_what_the_page_says() {
    let mut wrong = Vec::new();
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder_of_pages()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let folder = tempfile::tempdir().unwrap();
        copy(demo(), folder.path());
        let (followed, differences) = follow(&text, folder.path());
        if std::env::var_os("OTF_BLESS").is_some() {
            std::fs::write(&page, followed).unwrap();
        } else {
            wrong.extend(differences.into_iter().map(|difference| format!("{}: {difference}", page.file_name().unwrap().display())));
        }
    }
    assert!(wrong.is_empty(), "{}\nOTF_BLESS=1 cargo test --test it guide", wrong.join("\n"));
}

/// Every verb has a page, and the page is found from the first one.
#[test]
fn every_verb_has_a_page_in_the_guide() {
    let help = run("otf --help", Path::new("/"));
    let verbs = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.trim().is_empty());
    // What does not fit on a line goes on below it, further in.
    let verbs = verbs.filter(|line| !line.starts_with("   "));
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect();
    assert!(verbs.contains(&"compact"), "{help}");
    let index = std::fs::read_to_string(folder_of_pages().join("README.md")).unwrap();
    let small = ["completions", "config"];
    let missing: Vec<&&str> = verbs.iter().filter(|verb| !small.contains(*verb) && !index.contains(&format!("({verb}.md)"))).collect();
    assert!(missing.is_empty(), "docs/guide/README.md leads to no page on {missing:?}");
    for verb in verbs.iter().filter(|verb| index.contains(&format!("({verb}.md)"))) {
        assert!(folder_of_pages().join(format!("{verb}.md")).exists(), "docs/guide/{verb}.md is not there");
    }
}
