//! Counts findings, and keeps the first of each severity in the order they are told.

use std::collections::BTreeSet;

use super::{Checked, Counts, Report};
use crate::model::{Fault, Finding, Severity, Version};

/// A finding in the order of the report.
type Ordered = (String, Fault, String);

/// Findings so far. What is kept does not depend on the order in which they came.
#[derive(Debug)]
pub(super) struct Tally {
    limit: usize,
    kept: [BTreeSet<Ordered>; 3],
    counts: Counts,
}

impl Tally {
    /// Keeps `limit` findings of each severity.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Default::default(), counts: Counts::default() }
    }

    /// Adds a finding; the same one again counts once as long as it is kept.
    pub(super) fn add(&mut self, finding: Finding) {
        let [errors, warnings, notes] = &mut self.kept;
        let (kept, count) = match finding.severity {
            Severity::Error => (errors, &mut self.counts.error),
            Severity::Warning => (warnings, &mut self.counts.warning),
            Severity::Note => (notes, &mut self.counts.note),
        };
        if kept.insert((finding.place, finding.fault, finding.what)) {
            *count += 1;
            if kept.len() > self.limit {
                kept.pop_last();
            }
        }
    }

    /// Whether a finding about `place` is kept.
    pub(super) fn has(&self, place: &str) -> bool {
        let from = (place.to_string(), *Fault::ALL.first().unwrap_or(&Fault::TableUnreadable), String::new());
        self.kept.iter().any(|kept| kept.range(from.clone()..).next().is_some_and(|(found, ..)| found == place))
    }

    /// What came of it.
    pub(super) fn report(self, version: Option<Version>, checked: Checked) -> Report {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let findings = severities
            .into_iter()
            .zip(self.kept)
            .flat_map(|(severity, kept)| kept.into_iter().map(move |(place, fault, what)| Finding { fault, severity, place, what }));
        Report { version, findings: findings.take(self.limit).collect(), counts: self.counts, checked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_shown_first_and_everything_is_counted() {
        let mut tally = Tally::new(2);
        for place in ["c", "a", "b", "a"] {
            tally.add(Finding::new(Fault::HintStale, place, "w"));
        }
        tally.add(Finding::new(Fault::FileMissing, "z", "e"));
        assert!(tally.has("a") && tally.has("z") && !tally.has("x"));
        let report = tally.report(None, Checked::default());
        let shown: Vec<(&str, &str)> = report.findings.iter().map(|f| (f.fault.code(), f.place.as_str())).collect();
        assert_eq!(shown, [("file-missing", "z"), ("hint-stale", "a")]);
        assert_eq!(report.counts, Counts { error: 1, warning: 3, note: 0 });
        assert!(!report.is_sound());
    }
}
