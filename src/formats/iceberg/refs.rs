//! Branches and tags (Iceberg spec, "Snapshot References"): which line of history a table is read and changed on.

use serde_json::Value as Json;

use super::metadata::Metadata;
use crate::error::{Error, Result};

/// The branch that `current-snapshot-id` follows.
pub(crate) const MAIN: &str = "main";

/// A named snapshot of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ref<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The snapshot it names.
    pub(crate) snapshot: i64,
    /// Whether commits move it. Tags never move.
    pub(crate) is_branch: bool,
    /// `max-ref-age-ms`.
    pub(crate) max_ref_age_ms: Option<i64>,
    /// `max-snapshot-age-ms`, of branches.
    pub(crate) max_snapshot_age_ms: Option<i64>,
    /// `min-snapshots-to-keep`, of branches.
    pub(crate) min_snapshots_to_keep: Option<u64>,
}

impl Metadata {
    /// The branches and tags that the document lists. Older documents list none, not even `main`.
    pub(crate) fn refs(&self) -> impl Iterator<Item = Ref<'_>> {
        self.doc.get("refs").and_then(Json::as_object).into_iter().flatten().filter_map(|(name, json)| {
            let snapshot = json.get("snapshot-id").and_then(Json::as_i64)?;
            let number = |key: &str| json.get(key).and_then(Json::as_i64);
            Some(Ref {
                name,
                snapshot,
                is_branch: json.get("type").and_then(Json::as_str) == Some("branch"),
                max_ref_age_ms: number("max-ref-age-ms"),
                max_snapshot_age_ms: number("max-snapshot-age-ms"),
                min_snapshots_to_keep: number("min-snapshots-to-keep").and_then(|count| u64::try_from(count).ok()),
            })
        })
    }

    /// Checks that the current snapshot is that of the main branch, where the document has one: else one writer would go on from the one and another
    /// from the other (Iceberg spec, "Table Metadata Fields", `current-snapshot-id`).
    ///
    /// # Errors
    ///
    /// `Corrupt` if they are two.
    pub(crate) fn check_main(&self) -> Result<()> {
        let current = self.number("current-snapshot-id");
        match self.refs().find(|known| known.name == MAIN) {
            Some(main) if Some(main.snapshot) != current => {
                let error = Error::corrupt("the main branch and the current snapshot are two different ones").about("file", &self.file);
                Err(error.hint("otf fsck tells more; the engine or catalog that owns the table can set its main branch"))
            }
            _ => Ok(()),
        }
    }

    /// The same table seen from the branch or tag `name`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the table has none of this name; those that it has are in the hint.
    pub(crate) fn on(mut self, name: &str) -> Result<Self> {
        if name == MAIN {
            self.reference = None;
            return Ok(self);
        }
        if self.refs().all(|known| known.name != name) {
            let mut names: Vec<&str> = self.refs().map(|known| known.name).chain([MAIN]).collect();
            names.sort_unstable();
            names.dedup();
            let hint = format!("it has: {}", names.join(", "));
            return Err(Error::not_found("the table has no branch or tag of this name").about("reference", name).hint(hint));
        }
        self.reference = Some(name.to_string());
        Ok(self)
    }

    /// The branch or tag the table is seen from, unless it is `main`.
    pub(crate) fn seen_from(&self) -> Option<Ref<'_>> {
        let name = self.reference.as_deref()?;
        self.refs().find(|known| known.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::location::Location;

    fn table() -> Metadata {
        let doc = serde_json::json!({"format-version": 2, "location": "/t", "current-schema-id": 0,
            "schemas": [{"schema-id": 0, "type": "struct", "fields": []}],
            "current-snapshot-id": 3, "snapshots": [{"snapshot-id": 1}, {"snapshot-id": 2}, {"snapshot-id": 3}],
            "refs": {"main": {"type": "branch", "snapshot-id": 3}, "o'dev": {"type": "branch", "snapshot-id": 2}, "v1": {"type": "tag", "snapshot-id": 1},
                "lost": {"type": "branch", "snapshot-id": 9}}});
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse("/t/metadata/v1.metadata.json").unwrap(), None).unwrap()
    }

    #[test]
    fn a_reference_decides_which_snapshot_is_current() {
        let head = |name: &str| table().on(name).unwrap().current().unwrap().and_then(crate::formats::iceberg::metadata::SnapshotView::id);
        assert_eq!((head("main"), head("o'dev"), head("v1")), (Some(3), Some(2), Some(1)));
        let (branch, tag) = (table().on("o'dev").unwrap(), table().on("v1").unwrap());
        assert_eq!((branch.seen_from().unwrap().is_branch, tag.seen_from().unwrap().is_branch), (true, false));
        assert_eq!(table().on("main").unwrap().seen_from(), None);
    }

    #[test]
    fn a_main_branch_that_is_not_the_current_snapshot_is_damage() {
        table().check_main().unwrap();
        for current in [serde_json::json!(2), serde_json::json!(-1), serde_json::json!("3"), serde_json::Value::Null] {
            let mut damaged = table();
            damaged.doc["current-snapshot-id"] = current;
            assert_eq!(damaged.check_main().unwrap_err().kind(), Kind::Corrupt);
        }
        let mut without = table();
        without.doc["refs"] = serde_json::json!({});
        without.check_main().unwrap();
    }

    #[test]
    fn unknown_references_name_the_known_ones_and_a_lost_head_is_damage() {
        let error = table().on("dev").unwrap_err();
        assert_eq!((error.kind(), error.next_step()), (Kind::NotFound, "it has: lost, main, o'dev, v1"));
        assert_eq!(table().on("lost").unwrap().current().unwrap_err().kind(), Kind::Corrupt);
    }
}
