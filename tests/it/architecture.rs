//! The rules of docs/architecture.md, checked on the sources: who may use whom, planners that only think, files of a readable size.

use std::fs;
use std::path::{Path, PathBuf};

/// What a module and those below it may use besides their own module; the first match counts, `*` is one name.
const RULES: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("units", &["error"]),
    ("location", &["error"]),
    ("model", &["error", "location", "units"]),
    ("store", &["error", "location", "units"]),
    ("commit", &["error", "model"]),
    ("decode", &["error", "model"]),
    ("formats", &["commit", "decode", "error", "location", "model", "store", "units"]),
    ("catalog", &["error", "formats", "location", "model", "store", "units"]),
    ("engine", &["decode", "error", "location", "model", "store", "units"]),
    (PLANNER, &["error", "location", "model", "units"]),
    ("ops", &["commit", "engine", "error", "formats", "location", "model", "store", "units"]),
    ("config", &["error", "location", "model", "ops", "units"]),
    ("cli", &["catalog", "commit", "config", "engine", "error", "formats", "location", "model", "ops", "store", "units", "wiring"]),
    ("wiring", ANYTHING),
    ("main", ANYTHING),
    ("lib", ANYTHING),
];
/// Planners, in a file or a folder.
const PLANNER: &str = "ops/*/plan";
const ANYTHING: &[&str] = &["*"];

/// What a planner must not contain: it neither waits nor looks at the clock, the environment or a disk.
const IMPURE: &[&str] =
    &["async ", ".await", "::now(", "std::env", "std::fs", "std::net", "std::process", "tokio::", "tracing::", "new_v4("];

/// Lines a source file may have.
const MOST_LINES: usize = 400;

/// A source file: its path below `src` and its text without comments and tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let mut code = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{')) {
                // rustfmt puts the brace that closes a module at the start of a line.
                lines.by_ref().find(|line| *line == "}");
            } else if !line.trim_start().starts_with("//") {
                code.push_str(line);
                code.push('\n');
            }
        }
        Self { path: path.into(), code }
    }

    /// The path of its module: `["ops", "compact", "plan"]`.
    fn module(&self) -> Vec<&str> {
        let stem = self.path.trim_end_matches(".rs");
        stem.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main")).collect()
    }

    /// The modules it uses, as paths from the crate's root: every `crate::a::b` and `super::a`.
    fn uses(&self) -> Vec<Vec<String>> {
        let own = self.module();
        let mut uses = Vec::new();
        for start in starts(&self.code, "crate::") {
            uses.push(names(&self.code[start..]));
        }
        for start in starts(&self.code, "super::") {
            // Only the first `super` of a chain: the others are counted from it.
            if self.code[..start].ends_with("super::super::") {
                continue;
            }
            let rest = &self.code[start..];
            let more = rest.split("super::").take_while(|part| part.is_empty()).count();
            let mut path: Vec<String> = own.iter().take(own.len().saturating_sub(1 + more)).map(ToString::to_string).collect();
            path.extend(names(&rest[more * "super::".len()..]));
            uses.push(path);
        }
        uses
    }
}

/// Where in `code` the text after each `word` begins, if `word` stands alone.
fn starts<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    code.match_indices(word).filter(move |(at, _)| !code[..*at].ends_with(name)).map(|(at, _)| at + word.len())
}

/// The names of a path at the start of `code`: `a::b::C` up to the first that is none. A list in braces is `{`.
fn names(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in code.split("::") {
        let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let ended = name.len() < part.len();
        if name.is_empty() && part.starts_with('{') {
            found.push("{".into());
        } else if !name.is_empty() {
            found.push(name);
        }
        if ended {
            break;
        }
    }
    found
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.trim_end_matches(".rs").split('/');
    pattern.split('/').all(|wanted| path.next().is_some_and(|name| wanted == "*" || wanted == name))
}

/// What `source` uses and must not.
fn forbidden_uses(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = RULES.iter().find(|(pattern, _)| matches(pattern, &source.path)) else {
        return vec![format!("src/{}: no rule says what it may use; add one here and in docs/architecture.md", source.path)];
    };
    let own = source.module();
    let mut found = Vec::new();
    for used in source.uses() {
        let Some(top) = used.first() else { continue };
        let path = used.join("::");
        if top == "{" {
            found.push(format!("src/{}: write one `use` a module instead of `use crate::{{…}}`", source.path));
        } else if own.first() != Some(&top.as_str()) && *allowed != ANYTHING && !allowed.contains(&top.as_str()) {
            let may = if allowed.is_empty() { "nothing".to_string() } else { allowed.join(", ") };
            found.push(format!("src/{}: uses crate::{path}; it may use {may}", source.path));
        }
        found.extend(inner(source, &own, &used).map(|why| format!("src/{}: uses crate::{path}; {why}", source.path)));
    }
    found
}

/// Why the path `used` is out of bounds within a module that may be used as a whole.
fn inner(source: &Source, own: &[&str], used: &[String]) -> Option<&'static str> {
    let (top, name) = (used.first()?.as_str(), used.get(1).map_or("", String::as_str));
    let other = own.get(1) != Some(&name);
    match top {
        "formats" if own.first() == Some(&"formats") && own.len() > 1 && other && is_folder("formats", name) => {
            Some("formats never use each other")
        }
        "ops" if own.first() == Some(&"ops") && own.len() > 1 && other && is_folder("ops", name) => Some("operations never use each other"),
        "ops" if matches(PLANNER, &source.path) && other => Some("a planner uses its own operation alone"),
        "formats" | "engine" if own.first() == Some(&"cli") && is_folder(top, name) => Some("the command line goes through wiring"),
        _ => None,
    }
}

fn is_folder(module: &str, name: &str) -> bool {
    !name.is_empty() && root("src").join(module).join(name).is_dir()
}

/// What a planner contains that is not a thought.
fn impurities(source: &Source) -> Vec<String> {
    let planner = matches(PLANNER, &source.path);
    let words = IMPURE.iter().filter(|word| planner && source.code.contains(**word));
    words
        .map(|word| format!("src/{}: holds `{}`; a planner is a pure function: take the value as an argument", source.path, word.trim()))
        .collect()
}

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The files named `*.rs` below `folder`, by their paths from it.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let below = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((below, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The sources, without files that are compiled for tests alone.
fn sources() -> Vec<Source> {
    let all = files(&root("src"));
    let tests: Vec<String> = all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| tests.iter().any(|test| path.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with(['.', '/'])));
    let found: Vec<Source> = all.iter().filter(|(path, _)| !is_test(path)).map(|(path, text)| Source::new(path, text)).collect();
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// The paths, without an ending, of the files and folders that `text` at `path` declares for tests alone.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair.first() == Some(&"#[cfg(test)]"));
    let names = declared.filter_map(|pair| pair.last()?.rsplit_once("mod ")?.1.strip_suffix(';'));
    names.map(|name| format!("{folder}/{name}")).collect()
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\nsee docs/architecture.md", found.join("\n"));
}

#[test]
fn modules_use_only_what_the_rules_allow() {
    none(&sources().iter().flat_map(forbidden_uses).collect::<Vec<_>>());
}

/// The words in backticks of `text`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_document_holds_the_same_rules() {
    let document = fs::read_to_string(root("docs/architecture.md")).unwrap();
    let rows = document.lines().skip_while(|line| *line != "| module | may use |");
    let rows: Vec<(Vec<&str>, &str)> = rows
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split('|').nth(1).map(quoted).zip(line.split('|').nth(2)))
        .collect();
    for (module, allowed) in RULES.iter().filter(|(module, allowed)| *allowed != ANYTHING && *module != "cli") {
        let row = rows.iter().find(|(modules, _)| modules.contains(module));
        let (_, told) = row.unwrap_or_else(|| panic!("docs/architecture.md does not say what {module} may use"));
        let told = told.split(';').next().unwrap_or_default();
        assert_eq!(quoted(told), *allowed, "{module}");
    }
}

#[test]
fn planners_are_pure() {
    none(&sources().iter().flat_map(impurities).collect::<Vec<_>>());
}

#[test]
fn no_source_file_is_too_long_to_read() {
    let long = files(&root("src")).into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES);
    none(&long.map(|(path, lines)| format!("src/{path}: {lines} lines; split it at {MOST_LINES}")).collect::<Vec<_>>());
}

#[test]
fn every_test_file_is_declared() {
    let folder = root("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut missing = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let holds_tests = path.is_dir() && path.join("mod.rs").is_file() || path.extension().is_some_and(|ending| ending == "rs");
        if holds_tests && name != "main" && !main.lines().any(|line| line == format!("mod {name};")) {
            missing.push(format!("tests/it/{name}: never compiled; declare it in tests/it/main.rs"));
        }
    }
    none(&missing);
}

#[test]
fn each_rule_is_broken_by_an_example() {
    let broken = |path: &str, text: &str| forbidden_uses(&Source::new(path, text)).join("\n");
    for (path, text, said) in [
        ("model/file.rs", "use crate::store::Store;", "src/model/file.rs: uses crate::store::Store; it may use error, location, units"),
        ("error", "fn f(b: crate::units::Bytes) {}", "it may use nothing"),
        ("model/file.rs", "use super::super::store::Store;", "uses crate::store::Store"),
        ("formats/delta/log.rs", "use crate::formats::iceberg::IcebergTable;", "formats never use each other"),
        ("formats/delta/log.rs", "use super::super::iceberg::IcebergTable;", "formats never use each other"),
        ("ops/inspect/mod.rs", "use crate::ops::compact::Options;", "operations never use each other"),
        ("ops/compact/plan.rs", "use crate::engine::Rewriter;", "uses crate::engine::Rewriter"),
        ("ops/compact/plan.rs", "use crate::ops::Parts;", "a planner uses its own operation alone"),
        ("cli/mod.rs", "use crate::formats::delta::DeltaTable;", "the command line goes through wiring"),
        ("store/mod.rs", "use crate::{error, model};", "write one `use` a module"),
        ("queue/mod.rs", "", "no rule says what it may use"),
    ] {
        let found = broken(path, text);
        assert!(found.contains(said), "{path} {text}: {found:?}");
    }
    let planner = Source::new("ops/compact/plan.rs", "async fn plan() {\n    let now = Instant::now();\n}\n");
    assert_eq!(impurities(&planner).len(), 2);
}

#[test]
fn files_declared_for_tests_alone_are_found() {
    let text = "#[cfg(test)]\nmod sweep;\n#[cfg(test)]\npub(crate) mod tests;\nmod path;\n#[cfg(test)]\nmod inline {\n}\n";
    assert_eq!(test_modules("catalog/mod.rs", text), ["catalog/sweep", "catalog/tests"]);
    assert_eq!(test_modules("cli/filter.rs", "#[cfg(test)]\nmod tests;\n"), ["cli/filter/tests"]);
}

#[test]
fn what_the_rules_allow_is_allowed() {
    for (path, text) in [
        ("model/file.rs", "//! See [`crate::ops`].\nuse super::stats::FileStats;\nuse crate::units::Bytes;\n"),
        ("ops/compact/plan.rs", "use super::Options;\nuse crate::ops::compact::Plan;\n"),
        ("ops/compact/run.rs", "use crate::ops::land::land;\nuse crate::ops::Parts;\nuse crate::formats::Table;\n"),
        ("formats/delta/log.rs", "use crate::formats::FormatName;\nuse super::protocol::Protocol;\n"),
        ("model/file.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n}\n"),
        ("cli/mod.rs", "use crate::formats::FormatName;\n"),
    ] {
        assert_eq!(forbidden_uses(&Source::new(path, text)), Vec::<String>::new(), "{path} {text}");
    }
}
