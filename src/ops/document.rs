//! The document every operation that changes a table prints: what was there, what was done, what is there now (P8).

use serde::Serialize;

use crate::error::Error;
use crate::formats::FormatName;
use crate::model::{Totals, Version};

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything that was planned is in the table.
    Landed,
    /// The plan is empty: the table is as it should be.
    NothingToDo,
    /// Nothing was run: the plan is shown only.
    Planned,
    /// Some groups are in the table, others failed.
    Partial,
    /// Nothing is in the table and nothing can come to be.
    Lost,
    /// Nobody knows yet; the table's history will tell.
    Unknown,
}

impl Outcome {
    /// The process exit status that cli.md assigns to this end.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Landed | Self::NothingToDo | Self::Planned => 0,
            Self::Partial => 5,
            Self::Lost | Self::Unknown => 75,
        }
    }

    /// The word for this end in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::NothingToDo => "nothing-to-do",
            Self::Planned => "planned",
            Self::Partial => "partial",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished<P, R> {
    /// How it ended.
    pub outcome: Outcome,
    /// The version that was planned on.
    pub base_version: Option<Version>,
    /// The versions that were made.
    pub versions: Vec<Version>,
    /// The table before.
    pub before: Totals,
    /// The table after; `None` where nothing of the run is known to be in it.
    pub after: Option<Totals>,
    /// What was to be done.
    pub plan: P,
    /// What was done; `None` where the plan was only shown.
    pub report: Option<R>,
    /// Why it was lost or is unknown.
    pub error: Option<Error>,
}

impl<P, R> Finished<P, R> {
    /// A plan that was made and not carried out.
    pub const fn planned(base_version: Option<Version>, before: Totals, plan: P) -> Self {
        Self { outcome: Outcome::Planned, base_version, versions: Vec::new(), before, after: None, plan, report: None, error: None }
    }
}

/// The document of an operation with a plan `P` and a report `R`. Versions and ids are texts: readers must not round them.
#[derive(Debug, Serialize)]
pub struct Document<P, R> {
    /// The verb.
    pub command: &'static str,
    /// The table's root.
    pub table: String,
    /// The table's format.
    pub format: FormatName,
    /// The id every commit of this run carries.
    pub operation_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The version the plan was made on; `null` for a table without a snapshot.
    pub base_version: Option<String>,
    /// The versions this run made, oldest first.
    pub versions: Vec<String>,
    /// The table before.
    pub before: Totals,
    /// The table after; absent where nothing was run, and where nothing of the run is known to be in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Totals>,
    /// What was to be done and why.
    pub plan: P,
    /// What was done; absent where nothing was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<R>,
    /// Why it was lost or is unknown, as an error document says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The most memory the process held, in bytes; 0 where the system does not say.
    pub peak_memory_bytes: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::units::Bytes;

    const BEFORE: Totals = Totals { files: 100, bytes: Bytes(251_658_240), rows: 6_001_215, delete_files: 0 };

    fn planned() -> Document<serde_json::Value, serde_json::Value> {
        Document {
            command: "compact",
            table: "file:///data/t".into(),
            format: FormatName::Delta,
            operation_id: "id".into(),
            outcome: Outcome::Planned,
            base_version: None,
            versions: Vec::new(),
            before: BEFORE,
            after: None,
            plan: json!({"groups": []}),
            report: None,
            error: None,
            elapsed_ms: 1234,
            peak_memory_bytes: 99,
        }
    }

    #[test]
    fn a_run_prints_every_key_of_the_contract_in_its_order() {
        let done = Document {
            outcome: Outcome::Landed,
            base_version: Some("12".into()),
            versions: vec!["13".into()],
            after: Some(Totals { files: 1, bytes: Bytes(7), ..BEFORE }),
            report: Some(json!({"groups_done": 1})),
            ..planned()
        };
        let expected = concat!(
            r#"{"command":"compact","table":"file:///data/t","format":"delta","operation_id":"id","outcome":"landed","#,
            r#""base_version":"12","versions":["13"],"before":{"files":100,"bytes":251658240,"rows":6001215,"delete_files":0},"#,
            r#""after":{"files":1,"bytes":7,"rows":6001215,"delete_files":0},"plan":{"groups":[]},"report":{"groups_done":1},"#,
            r#""elapsed_ms":1234,"peak_memory_bytes":99}"#
        );
        assert_eq!(serde_json::to_string(&done).unwrap(), expected);
    }

    #[test]
    fn a_plan_has_neither_after_nor_report_and_an_empty_table_no_base_version() {
        let value = serde_json::to_value(planned()).unwrap();
        assert_eq!(value["outcome"], "planned");
        assert!(value["base_version"].is_null());
        assert!(value.get("after").is_none() && value.get("report").is_none());
    }

    #[test]
    fn an_unknown_end_says_why_as_an_error_document_does() {
        let error = Error::unavailable("no answer").about("version", 7);
        let value = serde_json::to_value(Document { outcome: Outcome::Unknown, error: Some(error), ..planned() }).unwrap();
        let hint = "run the command again later; an unknown outcome is resolved from the table's history";
        assert_eq!(
            (&value["outcome"], &value["error"]),
            (&json!("unknown"), &json!({"kind": "unavailable", "message": "no answer", "context": {"version": "7"}, "hint": hint}))
        );
    }

    #[test]
    fn every_end_has_the_exit_status_of_the_contract() {
        use Outcome::{Landed, Lost, NothingToDo, Partial, Planned, Unknown};
        let statuses = [Landed, NothingToDo, Planned, Partial, Lost, Unknown].map(|o| (o.as_str(), o.exit_status()));
        let expected = [("landed", 0), ("nothing-to-do", 0), ("planned", 0), ("partial", 5), ("lost", 75), ("unknown", 75)];
        assert_eq!(statuses, expected);
    }
}
