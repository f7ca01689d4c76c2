//! Names and ids of what a commit writes: made from what is known, so that a lost answer can be traced and no clock or chance is needed.

use crate::location::Location;
use crate::model::{Change, OperationId, digest};

/// Names of the files of one attempt. All hold the operation's id; attempts differ by the metadata they build on.
#[derive(Debug)]
pub(crate) struct Names {
    folder: Location,
    operation: OperationId,
    part: u32,
    attempt: String,
    next: u32,
}

impl Names {
    /// Names for `change` on top of the metadata file `base`, in `folder`.
    pub(crate) fn new(change: &Change, base: &Location, folder: Location) -> Self {
        let attempt = format!("{:08x}", crc32fast::hash(base.to_string().as_bytes()));
        Self { folder, operation: change.operation.clone(), part: change.part, attempt, next: 0 }
    }

    /// The place of the next manifest.
    pub(crate) fn manifest(&mut self) -> Location {
        let name = format!("{}-{}-m{}.avro", self.operation.file_mark(self.part), self.attempt, self.next);
        self.next += 1;
        self.folder.child(&name)
    }

    /// The next place for the manifest list of `snapshot`.
    pub(crate) fn list(&mut self, snapshot: i64) -> Location {
        let name = format!("snap-{snapshot}-{}-{}-{}.avro", self.attempt, self.next, self.operation.file_mark(self.part));
        self.next += 1;
        self.folder.child(&name)
    }

    /// The next place for a file of deletes in `folder`.
    pub(crate) fn deletes(&mut self, folder: &Location, extension: &str) -> Location {
        let name = format!("{}-{}-{}-deletes.{extension}", self.operation.file_mark(self.part), self.attempt, self.next);
        self.next += 1;
        folder.child(&name)
    }

    /// A positive id for the snapshot; `taken` says which are in use.
    pub(crate) fn snapshot_id(&self, base: &Location, taken: impl Fn(i64) -> bool) -> i64 {
        let (part, base) = (self.part.to_string(), base.to_string());
        let candidate = |salt: u32| {
            let bits = digest(&[&self.operation.0, &part, &base, &salt.to_string()]);
            bits.iter().take(8).fold(0i64, |id, byte| id << 8 | i64::from(*byte)) & i64::MAX
        };
        (0..).map(candidate).find(|id| *id > 0 && !taken(*id)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_operation_part_and_base_and_avoid_those_in_use() {
        let place = |text: &str| Location::parse(text).unwrap();
        let id = |operation: &str, part, base: &str, taken: Option<i64>| {
            let operation = OperationId(operation.into());
            let names = Names { folder: place("/t"), operation, part, attempt: String::new(), next: 0 };
            names.snapshot_id(&place(base), |id| Some(id) == taken)
        };
        let first = id("a", 0, "/v1", None);
        assert!(first > 0);
        assert_eq!(first, id("a", 0, "/v1", None));
        for other in [id("b", 0, "/v1", None), id("a", 1, "/v1", None), id("a", 0, "/v2", None), id("a", 0, "/v1", Some(first))] {
            assert_ne!(first, other);
        }
    }
}
