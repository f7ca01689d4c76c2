//! Documents say what the code does.

use otf::formats::delta::protocol::FEATURES as DELTA;
use otf::formats::iceberg::understood::FEATURES as ICEBERG;
use otf::formats::support::{Feature, markdown};
use otf::model::Fault;

/// The page names every kind of damage that `fsck` finds, with how bad it is.
#[test]
fn the_page_on_the_command_line_lists_every_finding() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    for fault in Fault::ALL {
        let start = format!("| `{}` | {} | ", fault.code(), fault.severity().as_str());
        assert!(page.lines().any(|line| line.starts_with(&start)), "docs/cli.md has no line {start}");
    }
}

/// The page has every member of the plans and reports of the verbs that delete files, and every word for a reason.
#[test]
fn the_page_on_the_command_line_has_every_member_of_plans_and_reports() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    let documents = [
        serde_json::to_value(otf::ops::expire::PlanDocument::default()).unwrap(),
        serde_json::to_value(otf::ops::expire::Report::default()).unwrap(),
        serde_json::to_value(otf::ops::orphans::PlanDocument::default()).unwrap(),
        serde_json::to_value(otf::ops::orphans::Report::default()).unwrap(),
    ];
    let kinds = documents[0]["delete"].as_object().unwrap().keys();
    for word in documents.iter().flat_map(|document| document.as_object().unwrap().keys()).chain(kinds) {
        assert!(page.contains(&format!("`{word}`")), "docs/cli.md does not name {word}");
    }
}

/// P4: the page of a format names every table feature we know, with what is done about it.
fn the_table_of_features_is(page: &str, features: &[Feature]) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats").join(page);
    let written = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = written.split_once("<!-- features -->\n").unwrap();
    let (table, tail) = rest.split_once("<!-- /features -->\n").unwrap();
    let fresh = markdown(features);
    if std::env::var_os("OTF_BLESS").is_some() {
        std::fs::write(&file, format!("{head}<!-- features -->\n{fresh}<!-- /features -->\n{tail}")).unwrap();
    } else {
        assert_eq!(table, fresh, "docs/formats/{page} is stale: OTF_BLESS=1 cargo test --test it documents");
    }
}

#[test]
fn the_page_on_delta_lists_every_feature_as_the_code_treats_it() {
    the_table_of_features_is("delta.md", DELTA);
}

#[test]
fn the_page_on_iceberg_lists_every_feature_as_the_code_treats_it() {
    the_table_of_features_is("iceberg.md", ICEBERG);
}
