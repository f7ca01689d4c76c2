//! Findings, in JSON and for people.

use serde_json::{Value, json};

use super::Shown;
use crate::cli::ui::{Paint, count, elapsed};
use crate::model::{Finding, Severity};
use crate::ops::fsck::judge::mend;

/// The document.
pub(super) fn json(shown: &Shown<'_>) -> Value {
    let report = shown.report;
    let finding = |finding: &Finding| {
        json!({
            "code": finding.fault.code(),
            "severity": finding.severity,
            "place": finding.place,
            "what": finding.what,
            "mend": mend(finding.fault, &shown.name),
        })
    };
    json!({
        "command": "fsck",
        "table": shown.table,
        "format": shown.format,
        "version": report.version.map(|version| version.to_string()),
        "outcome": outcome(shown),
        "deep": shown.deep,
        "found": report.counts,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "checked": report.checked,
        "elapsed_ms": shown.elapsed_ms,
        "peak_memory_bytes": shown.peak_memory_bytes,
    })
}

const fn outcome(shown: &Shown<'_>) -> &'static str {
    if shown.report.is_sound() { "sound" } else { "damaged" }
}

/// The findings for people.
pub(super) fn text(shown: &Shown<'_>, paint: Paint) -> String {
    let (report, checked) = (shown.report, shown.report.checked);
    let mut text = String::new();
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => paint.bad("error"),
            Severity::Warning => paint.warn("warning"),
            Severity::Note => paint.dim("note"),
        };
        text.push_str(&format!("{severity} {} {}\n", paint.bold(finding.fault.code()), finding.place));
        text.push_str(&format!("  {}\n", finding.what));
        text.push_str(&format!("  {} {}\n", paint.dim("mend:"), mend(finding.fault, &shown.name)));
    }
    let counts = report.counts;
    let hidden = (counts.error + counts.warning + counts.note).saturating_sub(report.findings.len() as u64);
    if hidden > 0 {
        text.push_str(&paint.dim(&format!("… and {} more (--limit shows them)\n", count(hidden))));
    }
    if !report.findings.is_empty() {
        text.push('\n');
    }
    let version = report.version.map_or_else(String::new, |version| format!(" at version {version}"));
    let outcome = if report.is_sound() { paint.good(outcome(shown)) } else { paint.bad(outcome(shown)) };
    text.push_str(&format!("{} {}{version}: {outcome}\n", shown.format.as_str(), shown.table));
    text.push_str(&format!(
        "{} errors, {} warnings, {} notes in {} data files of {} with {} stored rows, {} metadata and delete files; {}\n",
        count(counts.error),
        count(counts.warning),
        count(counts.note),
        count(checked.files),
        checked.bytes,
        count(checked.rows),
        count(checked.metadata_files),
        elapsed(shown.elapsed_ms),
    ));
    if !shown.deep {
        text.push_str(&paint.dim("bounds and null counts were held against footers; --deep holds them against every live value\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::FormatName;
    use crate::model::{Fault, Version};
    use crate::ops::fsck::{Checked, Counts, Report};
    use crate::units::Bytes;

    fn report() -> Report {
        Report {
            version: Some(Version(7)),
            findings: vec![Finding::new(
                Fault::BoundsWrong,
                "file:///t/f.parquet",
                "column a: the lower bound leaves out values of the file",
            )],
            counts: Counts { error: 2, warning: 0, note: 0 },
            checked: Checked { files: 3, bytes: Bytes(9), rows: 30, metadata_files: 4 },
        }
    }

    fn shown(report: &Report) -> Shown<'_> {
        let (table, name) = ("file:///t".to_string(), "./my t".to_string());
        Shown { table, name, format: FormatName::Delta, deep: false, report, elapsed_ms: 5, peak_memory_bytes: 6 }
    }

    #[test]
    fn the_document_has_every_key_of_the_contract() {
        let expected = json!({"command": "fsck", "table": "file:///t", "format": "delta", "version": "7", "outcome": "damaged", "deep": false,
            "found": {"error": 2, "warning": 0, "note": 0},
            "findings": [{"code": "bounds-wrong", "severity": "error", "place": "file:///t/f.parquet",
                "what": "column a: the lower bound leaves out values of the file", "mend": "otf compact './my t' --rewrite-all --path encode"}],
            "checked": {"files": 3, "bytes": 9, "rows": 30, "metadata_files": 4}, "elapsed_ms": 5, "peak_memory_bytes": 6});
        assert_eq!(json(&shown(&report())), expected);
    }
}
