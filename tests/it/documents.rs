//! Documents say what the code does.

use otf::formats::delta::protocol::{Care, FEATURES};
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

/// P4: the page names every table feature we know, with what is done about it.
#[test]
fn the_page_on_delta_lists_every_feature_as_the_code_treats_it() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats/delta.md")).unwrap();
    for (feature, care) in FEATURES {
        let name = format!("`{feature}`");
        let row = page.lines().find(|line| line.starts_with('|') && line.split('|').nth(1).is_some_and(|cell| cell.contains(&name)));
        let row = row.unwrap_or_else(|| panic!("docs/formats/delta.md does not list {feature}"));
        let told: Vec<&str> = row.split('|').skip(2).take(2).map(str::trim).collect();
        let done = match care {
            Care::Kept => ["yes", "kept"],
            Care::ReadOnly(_) => ["yes", "refused"],
            Care::Refused(_) => ["refused", "refused"],
        };
        assert_eq!(told, done, "{feature}");
    }
}
