//! What is done about the features of a table format: one table in the code, from which the documentation's is written.

use std::fmt::Write;

/// What we do about a table feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Tables with it are read and rewritten; what it promises is kept.
    Kept,
    /// Tables with it are read and rewritten as long as what the words say holds; else rewriting is refused with the rule that is in the way.
    KeptIf(&'static str),
    /// Tables with it are read and rewritten; new files hold what comes of it, and it is gone.
    Applied,
    /// Tables with it are read; files that have it stay as they are, the others are rewritten.
    LeftAlone,
    /// Tables with it are read; rewriting is refused for the reason given.
    ReadOnly(&'static str),
    /// Tables with it are not even read.
    Refused(&'static str),
}

/// A table feature and what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Its name in the table's metadata, or in words.
    pub name: &'static str,
    /// What we do.
    pub care: Care,
    /// How what it promises is kept; empty where [`Care`] says it.
    pub how: &'static str,
}

impl Feature {
    /// A feature that is kept in the way that `how` says.
    pub const fn kept(name: &'static str, how: &'static str) -> Self {
        Self { name, care: Care::Kept, how }
    }

    /// A feature that `care` speaks for.
    pub const fn with(name: &'static str, care: Care) -> Self {
        Self { name, care, how: "" }
    }
}

/// `features` as a table for the documentation, in their order.
pub fn markdown(features: &[Feature]) -> String {
    let mut text = String::from("| feature | read | rewritten | how |\n|---|---|---|---|\n");
    for feature in features {
        let (read, rewritten, why) = match feature.care {
            Care::Kept => ("yes", "kept", ""),
            Care::Applied => ("yes", "applied", ""),
            Care::LeftAlone => ("yes", "left alone", ""),
            Care::KeptIf(condition) => ("yes", "kept, if", condition),
            Care::ReadOnly(why) => ("yes", "refused", why),
            Care::Refused(why) => ("refused", "refused", why),
        };
        let how =
            if why.is_empty() || feature.how.is_empty() { format!("{why}{}", feature.how) } else { format!("{why}; {}", feature.how) };
        // Names of the metadata are shown as they are written there, words as words.
        let quote = if feature.name.contains([' ', '`']) { "" } else { "`" };
        // Writing to a string cannot fail.
        let _: Result<(), _> = writeln!(text, "| {quote}{}{quote} | {read} | {rewritten} | {how} |", feature.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_row_that_says_what_is_done_and_how() {
        let features = [
            Feature::kept("a", "as it was"),
            Feature { name: "b", care: Care::KeptIf("the sun shines"), how: "by day" },
            Feature::with("c", Care::ReadOnly("too much")),
            Feature::with("d", Care::Refused("unknown")),
            Feature { name: "rows that go", care: Care::Applied, how: "at once" },
            Feature { name: "`e` and more", care: Care::LeftAlone, how: "as it was" },
        ];
        let rows = "| `a` | yes | kept | as it was |\n| `b` | yes | kept, if | the sun shines; by day |\n\
                    | `c` | yes | refused | too much |\n| `d` | refused | refused | unknown |\n\
                    | rows that go | yes | applied | at once |\n| `e` and more | yes | left alone | as it was |\n";
        assert_eq!(markdown(&features), format!("| feature | read | rewritten | how |\n|---|---|---|---|\n{rows}"));
    }
}
