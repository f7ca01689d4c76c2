//! A score from 0 to 100, with what lowers it and the command that mends it.
//!
//! Pure: equal facts give equal scores. Each finding costs at most its weight, in proportion to the share of the table it touches.

mod rules;

use serde::Serialize;

use super::Census;
use crate::model::Bookkeeping;
use crate::units::Bytes;

/// How healthy a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// 100 is a table with nothing to mend.
    pub score: u32,
    /// What lowers the score, the most costly first.
    pub findings: Vec<Finding>,
}

/// One thing that can be mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A word for it that stays the same between versions of the tool.
    pub what: &'static str,
    /// What it means here.
    pub why: String,
    /// How many points it costs.
    pub points: u32,
    /// The command that mends it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// What a table is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The table or branch, as the user named it: commands about its rows name it so.
    pub table: &'a str,
    /// The table without a branch: commands about its history name it so.
    pub whole_table: &'a str,
    /// Its files.
    pub census: &'a Census,
    /// About how large its files should be.
    pub target: Bytes,
    /// Its metadata.
    pub bookkeeping: &'a Bookkeeping,
    /// How many versions it keeps, where that is known.
    pub versions: Option<u64>,
    /// How many of them are older than the table wants them, where that is known.
    pub outlived: Option<u64>,
    /// Whether the table allows files of the past to be deleted.
    pub collectable: bool,
    /// Whether the table's properties say that files get no column statistics.
    pub statistics_declined: bool,
}

/// Judges a table.
pub fn judge(facts: &Facts<'_>) -> Health {
    let mut findings: Vec<Finding> = rules::ALL.iter().filter_map(|rule| rule(facts)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.points));
    let cost = findings.iter().fold(0u32, |cost, finding| cost.saturating_add(finding.points));
    Health { score: 100u32.saturating_sub(cost), findings }
}

impl Finding {
    /// A finding that costs `weight` in proportion to `part` of `whole`, rounded up: what is there costs a point at least. `None` if nothing is.
    fn in_proportion(what: &'static str, weight: u64, part: u64, whole: u64) -> Option<Self> {
        if part == 0 || whole == 0 {
            return None;
        }
        let points = (u128::from(weight) * u128::from(part)).div_ceil(u128::from(whole)).min(u128::from(weight));
        Some(Self { what, why: String::new(), points: u32::try_from(points).unwrap_or(u32::MAX), mend: None })
    }

    fn because(mut self, why: String) -> Self {
        self.why = why;
        self
    }

    /// `otf VERB TABLE OPTIONS` mends it.
    fn mended_by(mut self, verb: &str, table: &str, options: &str) -> Self {
        let space = if options.is_empty() { "" } else { " " };
        self.mend = Some(format!("otf {verb} {}{space}{options}", quoted(table)));
        self
    }
}

/// `table` as a shell takes it.
fn quoted(table: &str) -> String {
    let plain = table.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:=".contains(c));
    if plain { table.to_string() } else { format!("'{}'", table.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
