//! Pages of hostile and of huge tables.

use std::collections::BTreeMap;

use super::*;
use crate::formats::{FormatName, Reference};
use crate::location::Location;
use crate::model::{Bookkeeping, Field, Primitive, Schema, Snapshot, Totals, Type, Version};
use crate::ops::inspect::{Act, Census, Effect, Finding, Health, PartitionSummary, Past, SizeClass, Step};
use crate::units::{Bytes, Timestamp};

/// What names may hold: markup, quotes, marks that turn text round, ends of elements, and much of it.
fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "a\u{202e}b\u{200f}",
        "</style></main>",
        "]]>&lt;\0\u{1b}[31m",
        "",
    ]
    .map(String::from)
    .into();
    names.push("<b>".repeat(10_000));
    names.push("ü\u{202e}".repeat(10_000));
    names
}

fn snapshot(names: &[String]) -> Snapshot {
    let field = |name: &String| Field {
        id: 1,
        name: name.clone(),
        physical: name.clone(),
        required: false,
        ty: Type::Struct(vec![Field {
            id: 2,
            name: name.clone(),
            physical: name.clone(),
            required: true,
            ty: Type::Primitive(Primitive::Int),
            initial_default: None,
        }]),
        initial_default: None,
    };
    Snapshot {
        location: Location::parse("/tmp/<script>t").unwrap(),
        version: Some(Version(7)),
        time: Some(Timestamp(0)),
        schema: Schema { fields: names.iter().map(field).collect() },
        partitioning: names.to_vec(),
        properties: BTreeMap::new(),
        protocol: "v2".into(),
        features: names.to_vec(),
        versions_kept: Some(u64::MAX),
    }
}

/// A report in which every name is hostile and every list is as long as `count`.
fn report<'a>(snapshot: &'a Snapshot, names: &[String], count: usize) -> Report<'a> {
    let name = |at: usize| format!("{}{at}", names[at % names.len()]);
    let summary =
        PartitionSummary { files: 3, bytes: Bytes(u64::MAX), small_files: 2, small_bytes: Bytes(1), stored_rows: 9, deleted_rows: 4 };
    let reference = |at: usize| Reference {
        name: name(at),
        version: Version(7),
        is_branch: at.is_multiple_of(2),
        max_ref_age_ms: Some(i64::MAX),
        max_snapshot_age_ms: Some(i64::MIN),
        min_snapshots_to_keep: Some(3),
    };
    let step = |at: usize| Step {
        version: Version(7),
        time: Some(Timestamp(i64::MIN)),
        operation: name(at),
        effect: Effect::default(),
        is_ancestor: false,
    };
    let size =
        |at: u32| SizeClass { from: Bytes(1 << at), below: 1u64.checked_shl(at + 1).map(Bytes), files: u64::MAX, bytes: Bytes(u64::MAX) };
    let finding = |at: usize| Finding { what: "small-files", why: name(at), points: 9, mend: Some(format!("otf compact '{}'", name(at))) };
    Report {
        format: FormatName::Iceberg,
        snapshot,
        reference: None,
        references: (0..count).map(reference).collect(),
        target: Bytes::mib(512),
        census: Census {
            totals: Totals { files: u64::MAX, bytes: Bytes(u64::MAX), rows: 1, delete_files: 3 },
            stored_rows: u64::MAX,
            partitions: (0..count).map(|at| (name(at), summary.clone())).collect(),
            histogram: (0..63).map(size).collect(),
            ..Census::default()
        },
        bookkeeping: Bookkeeping::default(),
        versions: None,
        past: Past {
            versions: u64::MAX,
            acts: (0..count)
                .map(|at| (Timestamp(i64::try_from(at).unwrap() - 5), Act::ALL[at % 5]))
                .chain([(Timestamp(i64::MAX), Act::Other)])
                .collect(),
            newest: (0..count.min(100)).map(step).collect(),
            times: [(Version(7), Timestamp(3))].into(),
            outlived: None,
        },
        health: Health { score: 0, findings: (0..count.min(15)).map(finding).collect() },
        now: Timestamp(1),
        html: None,
        elapsed_ms: 0,
        peak_memory_bytes: 0,
    }
}

/// The elements of a page, if every one that is opened is closed in order and attributes are in quotes; fails the test otherwise.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 3] = ["meta", "input", "!doctype"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    // Style is no markup.
    let start = page.find("<style>").unwrap() + "<style>".len();
    let end = page.find("</style>").unwrap();
    let without_style = format!("{}{}", &page[..start], &page[end..]);
    for part in without_style.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("an element has no end: {part}"));
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name: String = tag.trim_start_matches('/').chars().take_while(|c| !c.is_whitespace() && *c != '/').collect();
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{tag} closes another element");
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "{open:?} stay open");
    all
}

#[test]
fn hostile_names_stay_text() {
    let names = hostile();
    let snapshot = snapshot(&names);
    let page = page(&report(&snapshot, &names, 40));
    let elements = elements(&page);
    for never in ["script", "img", "iframe", "link", "object", "b2"] {
        assert!(!elements.iter().any(|element| element.eq_ignore_ascii_case(never)), "{never}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for hidden in ['\u{202e}', '\u{200f}', '\0', '\u{1b}'] {
        assert!(!page.contains(hidden), "{}", hidden.escape_unicode());
    }
    assert!(page.contains("default-src 'none'"), "the page forbids itself everything else");
}

#[test]
fn a_page_has_a_largest_size() {
    let names = hostile();
    let snapshot = snapshot(&names);
    let size = |count| page(&report(&snapshot, &names, count)).len();
    let (many, more) = (size(2_000), size(20_000));
    assert!(more < many + 2_000, "{many} bytes became {more}");
    assert!(more < 2 << 20, "{more}");
}

#[test]
fn an_empty_table_has_a_page() {
    let snapshot = snapshot(&[]);
    let mut report = report(&snapshot, &[String::new()], 0);
    report.census = Census::default();
    report.past = Past::default();
    let page = page(&report);
    elements(&page);
    for said in [
        "The table has no files.",
        "The table has no rows.",
        "The table is not partitioned.",
        "The table lists no versions.",
        "Nothing to mend.",
    ] {
        assert!(page.contains(said), "{said}");
    }
}
