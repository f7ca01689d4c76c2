//! Files of the log that hold one action a line: commits and JSON checkpoints (protocol, "Delta Log Entries").

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::actions::{Add, Cdc, Domain, Metadata, Protocol, Remove, Sidecar, Transaction};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Pieces;

/// What we look for in the free-form commit info.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CommitInfo {
    /// Milliseconds since 1970-01-01, by the writer's clock.
    pub(super) timestamp: Option<i64>,
    /// Milliseconds since 1970-01-01, strictly growing from version to version.
    pub(super) in_commit_timestamp: Option<i64>,
    /// The writer's name for the commit.
    pub(super) txn_id: Option<String>,
    /// What made the commit, in the writer's words.
    pub(super) operation: Option<String>,
    /// What the writer counted. Its parameters are not kept: predicates may name people.
    pub(super) metrics: BTreeMap<String, String>,
}

impl CommitInfo {
    /// Reads what is there; commit info has no fixed shape, so what has another one counts as missing.
    fn read(text: &RawValue) -> Self {
        let value: serde_json::Value = serde_json::from_str(text.get()).unwrap_or_default();
        let number = |key: &str| value.get(key).and_then(serde_json::Value::as_i64);
        let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).map(str::to_string);
        let metrics = value.get("operationMetrics").and_then(serde_json::Value::as_object).into_iter().flatten();
        let metrics = metrics.filter_map(|(key, value)| match value {
            serde_json::Value::String(text) => Some((key.clone(), text.clone())),
            serde_json::Value::Number(number) => Some((key.clone(), number.to_string())),
            _ => None,
        });
        Self {
            timestamp: number("timestamp"),
            in_commit_timestamp: number("inCommitTimestamp"),
            txn_id: text("txnId"),
            operation: text("operation"),
            metrics: metrics.collect(),
        }
    }
}

/// One action that matters here.
#[derive(Debug)]
pub(super) enum Action {
    Add(Box<Add>),
    Remove(Box<Remove>),
    Metadata(Box<Metadata>),
    Protocol(Protocol),
    Transaction(Transaction),
    Domain(Domain),
    Sidecar(Sidecar),
    Change(Cdc),
    CommitInfo(CommitInfo),
}

/// A line of a commit or of a JSON checkpoint. Members we do not know are left alone.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    add: Option<Box<Add>>,
    remove: Option<Box<Remove>>,
    meta_data: Option<Box<Metadata>>,
    protocol: Option<Protocol>,
    txn: Option<Transaction>,
    domain_metadata: Option<Domain>,
    sidecar: Option<Sidecar>,
    cdc: Option<Cdc>,
    commit_info: Option<Box<RawValue>>,
}

/// The longest line that is read of a large file: bytes.
const LONGEST: usize = 256 << 20;

/// The actions of a JSON file of the log, one a line; `file` names it in errors.
///
/// # Errors
///
/// `Corrupt`, naming file and line. The parser's own words are left out: they may quote values.
pub(super) fn read(bytes: &[u8], file: &Location, each: impl FnMut(Action) -> Result<()>) -> Result<()> {
    let mut lines = Lines { file, number: 0, each };
    bytes.split(|byte| *byte == b'\n').try_for_each(|line| lines.take(line))
}

/// As [`read`], piece by piece.
///
/// # Errors
///
/// As [`read`], and those of the pieces.
pub(super) async fn read_pieces(mut pieces: Pieces, file: &Location, each: impl FnMut(Action) -> Result<()> + Send) -> Result<()> {
    let mut lines = Lines { file, number: 0, each };
    // What the pieces so far end with: the beginning of a line.
    let mut begun: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await? {
        let mut rest = &*piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            if begun.is_empty() {
                lines.take(line)?;
            } else {
                begun.extend_from_slice(line);
                lines.take(&begun)?;
                begun.clear();
            }
            rest = after.get(1..).unwrap_or_default();
        }
        if begun.len().saturating_add(rest.len()) > LONGEST {
            return Err(Error::unsupported("an entry of the log is longer than any engine writes")
                .about("file", file)
                .about("line", lines.number + 1)
                .hint("restore this file of the log from a backup if it is damaged; nothing was changed"));
        }
        begun.extend_from_slice(rest);
    }
    lines.take(&begun)
}

/// Lines that are made actions, one after the other.
struct Lines<'a, F> {
    file: &'a Location,
    number: usize,
    each: F,
}

impl<F: FnMut(Action) -> Result<()>> Lines<'_, F> {
    fn take(&mut self, line: &[u8]) -> Result<()> {
        self.number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let damaged = Error::corrupt("log entry is damaged").about("file", self.file).about("line", self.number);
            damaged.about("column", error.column()).hint("restore this file of the log from a backup; nothing was changed")
        })?;
        line.into_actions().try_for_each(&mut self.each)
    }
}

impl Line {
    fn into_actions(self) -> impl Iterator<Item = Action> {
        let commit_info = self.commit_info.map(|text| Action::CommitInfo(CommitInfo::read(&text)));
        let file = self.add.map(Action::Add).into_iter().chain(self.remove.map(Action::Remove));
        let rules = self.meta_data.map(Action::Metadata).into_iter().chain(self.protocol.map(Action::Protocol));
        let rest = self.txn.map(Action::Transaction).into_iter().chain(self.domain_metadata.map(Action::Domain));
        let beside = self.sidecar.map(Action::Sidecar).into_iter().chain(self.cdc.map(Action::Change));
        file.chain(rules).chain(rest).chain(beside).chain(commit_info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        read(text.as_bytes(), &Location::parse("/t/_delta_log/1.json").unwrap(), |action| {
            actions.push(action);
            Ok(())
        })?;
        Ok(actions)
    }

    #[test]
    fn a_damaged_line_is_named_and_never_quoted() {
        for bad in [
            "{\"add\":{\"path\":\"secret\"",
            "{\"txn\":{\"appId\":\"secret\",\"version\":1}}x",
            "{\"add\":{\"path\":\"a\",\"size\":\"secret\"}}",
        ] {
            let error = actions(&format!("{{\"commitInfo\":{{}}}}\n\n{bad}\n")).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Corrupt);
            assert!(error.to_string().contains("line=3"), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn unknown_actions_and_members_are_left_alone_and_order_is_kept() {
        let actions =
            actions("{\"news\":{\"a\":1}}\n{\"add\":{\"path\":\"a\",\"partitionValues\":{\"z\":\"1\",\"a\":null},\"size\":3,\"new\":[1]}}")
                .unwrap();
        let [Action::Add(add)] = &actions[..] else { panic!("{actions:?}") };
        let values = add.partition_values.as_ref().unwrap();
        assert_eq!(serde_json::to_string(values).unwrap(), "{\"z\":\"1\",\"a\":null}");
        assert_eq!((values.entry("a"), values.entry("b")), (Some(None), None));
    }

    #[test]
    fn commit_info_may_have_any_shape() {
        let actions = actions("{\"commitInfo\":{\"timestamp\":\"x\",\"txnId\":\"t-0\",\"inCommitTimestamp\":5}}").unwrap();
        let [Action::CommitInfo(info)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*info, CommitInfo { in_commit_timestamp: Some(5), txn_id: Some("t-0".into()), ..CommitInfo::default() });
    }
}
