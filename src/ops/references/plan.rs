//! Decides what becomes of a branch or tag.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{NewReference, UpkeepKind, Version};

/// The branch that a table is read from where nobody names one.
pub const MAIN: &str = "main";
/// Longer names fit into no path or file name that other tools may make of them.
const LONGEST: usize = 255;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A branch; else a tag.
    pub is_branch: bool,
    /// Its name.
    pub name: String,
    /// What is to become of it.
    pub action: Action,
}

/// What is to become of a branch or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// There is to be one.
    Create(Wanted),
    /// The one that is there is to name another version, or to be kept otherwise.
    Replace(Wanted),
    /// There is to be none.
    Drop,
    /// The branch is to be moved along its own line of history.
    FastForward(Version),
}

/// A branch or tag as it is to be; how long it is kept is left as it is where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The version it names.
    pub version: Version,
    /// How old its head may become before the reference may go, in milliseconds.
    pub max_ref_age_ms: Option<i64>,
    /// How old its versions may become before they may go, in milliseconds (branches).
    pub max_snapshot_age_ms: Option<i64>,
    /// How many of its versions stay whatever their age (branches).
    pub min_snapshots_to_keep: Option<u64>,
}

/// The `plan` of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanDocument {
    /// `create`, `replace`, `drop`, `fast-forward`, or `none` where nothing is to be done.
    pub action: &'static str,
    /// `branch` or `tag`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The version it names; `null` if there is none yet.
    pub from: Option<String>,
    /// The version it will name; `null` if it goes.
    pub to: Option<String>,
    /// How old its head may become before it may go, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ref_age_ms: Option<i64>,
    /// How old its versions may become before they may go, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_snapshot_age_ms: Option<i64>,
    /// How many of its versions stay whatever their age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_snapshots_to_keep: Option<u64>,
}

impl Request {
    /// `branch` or `tag`.
    pub const fn kind(&self) -> &'static str {
        kind(self.is_branch)
    }

    /// What is to be changed, where the table has `known` under this name; `None` if all is as it should be. `parents` (of every version listed)
    /// are asked by a fast-forward.
    ///
    /// # Errors
    ///
    /// `Usage` for an impossible name, `NotFound` for a reference that has to be there, `Refused` for what would lose another's work.
    pub fn step(&self, known: Option<&NewReference>, parents: &HashMap<Version, Option<Version>>) -> Result<Option<UpkeepKind>> {
        check_name(&self.name)?;
        if let Some(known) = known.filter(|known| known.is_branch != self.is_branch) {
            let (is, asked) = (kind(known.is_branch), self.kind());
            return Err(Error::refused(format!("this name is that of a {is}, not of a {asked}"))
                .about("name", &self.name)
                .hint(format!("otf {is} TABLE … changes it; a {asked} needs another name")));
        }
        if self.name == MAIN && !matches!(self.action, Action::FastForward(_)) {
            return Err(Error::refused("the main branch is neither made, replaced nor dropped").hint(
                "otf restore brings an earlier version back; otf branch TABLE fast-forward main --to NAME publishes another branch",
            ));
        }
        match (&self.action, known) {
            (Action::Create(wanted), None) => Ok(Some(self.set(*wanted, None))),
            (Action::Create(wanted) | Action::Replace(wanted), Some(known)) if is_so(known, wanted) => Ok(None),
            (Action::Create(_), Some(known)) => Err(Error::refused(format!("the table has a {} of this name already", self.kind()))
                .about("name", &self.name)
                .about("version", known.version)
                .hint("replace moves it, drop removes it")),
            (Action::Replace(_), None) => Err(Error::not_found(format!("the table has no {} of this name", self.kind()))
                .about("name", &self.name)
                .hint("create makes one")),
            (Action::Replace(wanted), Some(known)) => Ok(Some(self.set(*wanted, Some(known)))),
            (Action::Drop, None) => Ok(None),
            (Action::Drop, Some(_)) => Ok(Some(UpkeepKind::DropReference(self.name.clone()))),
            (Action::FastForward(to), known) => self.forward(*to, known, parents),
        }
    }

    fn forward(
        &self,
        to: Version,
        known: Option<&NewReference>,
        parents: &HashMap<Version, Option<Version>>,
    ) -> Result<Option<UpkeepKind>> {
        let plain = Wanted { version: to, max_ref_age_ms: None, max_snapshot_age_ms: None, min_snapshots_to_keep: None };
        match known {
            Some(known) if known.version == to => Ok(None),
            Some(known) if !descends(parents, to, known.version) => {
                Err(Error::refused("the branch cannot be moved forward: the version does not descend from its head")
                    .about("branch", &self.name)
                    .about("head", known.version)
                    .about("version", to)
                    .hint("the branch has commits that the other lacks: replace moves it all the same, and they are lost once they expire"))
            }
            _ if self.name == MAIN => Ok(Some(UpkeepKind::Restore(to))),
            known => Ok(Some(self.set(plain, known))),
        }
    }

    fn set(&self, wanted: Wanted, known: Option<&NewReference>) -> UpkeepKind {
        UpkeepKind::SetReference(NewReference {
            name: self.name.clone(),
            version: wanted.version,
            is_branch: self.is_branch,
            replace: known.is_some(),
            max_ref_age_ms: wanted.max_ref_age_ms.or_else(|| known?.max_ref_age_ms),
            max_snapshot_age_ms: wanted.max_snapshot_age_ms.or_else(|| known?.max_snapshot_age_ms),
            min_snapshots_to_keep: wanted.min_snapshots_to_keep.or_else(|| known?.min_snapshots_to_keep),
        })
    }

    /// Whether what was planned when the table had `seen` may be done where it has `known` now: nobody's commits are lost.
    ///
    /// # Errors
    ///
    /// `Conflict` if they would be.
    pub fn still_fits(&self, seen: Option<&NewReference>, known: Option<&NewReference>) -> Result<()> {
        let head = |reference: Option<&NewReference>| reference.map(|reference| reference.version);
        let moves_forward_only = matches!(self.action, Action::FastForward(_) | Action::Create(_));
        if moves_forward_only || head(seen) == head(known) {
            return Ok(());
        }
        Err(Error::conflict(format!("the {} was moved by another since the plan was made", self.kind())).about("name", &self.name))
    }

    /// The plan for `step`.
    pub fn document(&self, known: Option<&NewReference>, step: Option<&UpkeepKind>) -> PlanDocument {
        let action = match (&self.action, step) {
            (_, None) => "none",
            (Action::Create(_), _) => "create",
            (Action::Replace(_), _) => "replace",
            (Action::Drop, _) => "drop",
            (Action::FastForward(_), _) => "fast-forward",
        };
        let after = match step {
            None => known.cloned(),
            Some(UpkeepKind::SetReference(new)) => Some(new.clone()),
            Some(UpkeepKind::Restore(to)) => known.cloned().map(|known| NewReference { version: *to, ..known }),
            Some(_) => None,
        };
        let after = after.as_ref();
        PlanDocument {
            action,
            kind: self.kind(),
            name: self.name.clone(),
            from: known.map(|known| known.version.to_string()),
            to: after.map(|after| after.version.to_string()),
            max_ref_age_ms: after.and_then(|after| after.max_ref_age_ms),
            max_snapshot_age_ms: after.and_then(|after| after.max_snapshot_age_ms),
            min_snapshots_to_keep: after.and_then(|after| after.min_snapshots_to_keep),
        }
    }
}

const fn kind(is_branch: bool) -> &'static str {
    if is_branch { "branch" } else { "tag" }
}

/// Names that could not be written on a command line or in a catalog's tables are refused; what a name means is up to people.
fn check_name(name: &str) -> Result<()> {
    let wrong = |what: &'static str| Err(Error::usage(what).hint("letters, digits, '-', '_' and '.' are understood everywhere"));
    if name.trim().is_empty() || name.trim() != name {
        return wrong("the name of a branch or tag is empty, or begins or ends with a blank");
    }
    if name.chars().any(char::is_control) || name.len() > LONGEST {
        return wrong("the name of a branch or tag is too long or has control characters");
    }
    Ok(())
}

/// Whether `known` is as wanted.
fn is_so(known: &NewReference, wanted: &Wanted) -> bool {
    fn fits<T: PartialEq>(known: Option<T>, wanted: Option<T>) -> bool {
        wanted.is_none() || wanted == known
    }
    known.version == wanted.version
        && fits(known.max_ref_age_ms, wanted.max_ref_age_ms)
        && fits(known.max_snapshot_age_ms, wanted.max_snapshot_age_ms)
        && fits(known.min_snapshots_to_keep, wanted.min_snapshots_to_keep)
}

/// Whether `version` is `ancestor` or descends from it, as far as `parents` tell.
pub fn descends(parents: &HashMap<Version, Option<Version>>, version: Version, ancestor: Version) -> bool {
    let mut seen = HashSet::new();
    let mut next = Some(version);
    while let Some(at) = next {
        if at == ancestor {
            return true;
        }
        // Damaged metadata may go round in circles.
        next = if seen.insert(at) { parents.get(&at).copied().flatten() } else { None };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn wanted(version: i64) -> Wanted {
        Wanted { version: Version(version), max_ref_age_ms: None, max_snapshot_age_ms: None, min_snapshots_to_keep: None }
    }

    fn known(version: i64) -> NewReference {
        NewReference {
            name: "dev".into(),
            version: Version(version),
            is_branch: true,
            replace: false,
            max_ref_age_ms: Some(7),
            max_snapshot_age_ms: None,
            min_snapshots_to_keep: Some(2),
        }
    }

    fn branch(action: Action) -> Request {
        Request { is_branch: true, name: "dev".into(), action }
    }

    fn step(request: &Request, known: Option<&NewReference>) -> Result<Option<UpkeepKind>> {
        let parents = [(1, None), (2, Some(1)), (3, Some(2)), (9, Some(1))];
        let parents = parents.map(|(version, parent)| (Version(version), parent.map(Version)));
        request.step(known, &parents.into())
    }

    #[test]
    fn a_reference_is_made_once_and_asked_for_again_it_is_there() {
        let create = branch(Action::Create(wanted(3)));
        let Some(UpkeepKind::SetReference(new)) = step(&create, None).unwrap() else { panic!("nothing is made") };
        assert_eq!((new.version, new.replace, new.max_ref_age_ms), (Version(3), false, None));
        assert_eq!(step(&create, Some(&known(3))).unwrap(), None);
        let refused = step(&create, Some(&known(2))).unwrap_err();
        assert_eq!((refused.kind(), refused.next_step()), (Kind::Refused, "replace moves it, drop removes it"));
        let kept = branch(Action::Create(Wanted { max_ref_age_ms: Some(8), ..wanted(3) }));
        assert_eq!(step(&kept, Some(&known(3))).unwrap_err().kind(), Kind::Refused);
    }

    #[test]
    fn a_replacement_keeps_how_long_it_is_kept_unless_told_otherwise() {
        let replace = branch(Action::Replace(Wanted { min_snapshots_to_keep: Some(5), ..wanted(3) }));
        let Some(UpkeepKind::SetReference(new)) = step(&replace, Some(&known(2))).unwrap() else { panic!("nothing is replaced") };
        assert_eq!((new.version, new.replace), (Version(3), true));
        assert_eq!((new.max_ref_age_ms, new.max_snapshot_age_ms, new.min_snapshots_to_keep), (Some(7), None, Some(5)));
        assert_eq!(step(&replace, None).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(step(&branch(Action::Replace(wanted(2))), Some(&known(2))).unwrap(), None);
    }

    #[test]
    fn what_is_gone_already_is_dropped_and_main_never() {
        assert_eq!(step(&branch(Action::Drop), None).unwrap(), None);
        assert_eq!(step(&branch(Action::Drop), Some(&known(2))).unwrap(), Some(UpkeepKind::DropReference("dev".into())));
        for action in [Action::Drop, Action::Create(wanted(3)), Action::Replace(wanted(3))] {
            let main = Request { is_branch: true, name: "main".into(), action };
            assert_eq!(step(&main, Some(&known(2))).unwrap_err().kind(), Kind::Refused);
        }
        let tag = Request { is_branch: false, ..branch(Action::Drop) };
        assert_eq!(step(&tag, Some(&known(2))).unwrap_err().message(), "this name is that of a branch, not of a tag");
    }

    #[test]
    fn a_branch_moves_forward_along_its_own_line_alone() {
        let forward = |to| branch(Action::FastForward(Version(to)));
        let Some(UpkeepKind::SetReference(new)) = step(&forward(3), Some(&known(1))).unwrap() else { panic!("it does not move") };
        assert_eq!((new.version, new.max_ref_age_ms), (Version(3), Some(7)));
        assert_eq!(step(&forward(3), Some(&known(3))).unwrap(), None);
        assert_eq!(step(&forward(9), Some(&known(2))).unwrap_err().kind(), Kind::Refused);
        assert_eq!(step(&forward(1), Some(&known(2))).unwrap_err().kind(), Kind::Refused);
        let main = Request { name: "main".into(), ..forward(3) };
        assert_eq!(step(&main, Some(&known(2))).unwrap(), Some(UpkeepKind::Restore(Version(3))));
        let Some(UpkeepKind::SetReference(new)) = step(&forward(3), None).unwrap() else { panic!("none is made") };
        assert!(!new.replace);
    }

    #[test]
    fn a_reference_that_another_moved_is_left_alone() {
        let (seen, now) = (known(2), known(3));
        for action in [Action::Drop, Action::Replace(wanted(9))] {
            let request = branch(action);
            assert_eq!(request.still_fits(Some(&seen), Some(&now)).unwrap_err().kind(), Kind::Conflict);
            request.still_fits(Some(&seen), Some(&seen)).unwrap();
        }
        branch(Action::FastForward(Version(9))).still_fits(Some(&seen), Some(&now)).unwrap();
    }

    #[test]
    fn names_that_nobody_could_write_are_refused() {
        for name in ["", " ", " a", "a\n", &"x".repeat(256)] {
            let request = Request { name: name.to_string(), ..branch(Action::Drop) };
            assert_eq!(step(&request, None).unwrap_err().kind(), Kind::Usage, "{name:?}");
        }
    }

    #[test]
    fn a_plan_says_what_it_is_and_what_it_will_be() {
        let request = branch(Action::Replace(wanted(3)));
        let done = step(&request, Some(&known(2))).unwrap();
        let expected = serde_json::json!({"action": "replace", "kind": "branch", "name": "dev", "from": "2", "to": "3", "max_ref_age_ms": 7,
            "min_snapshots_to_keep": 2});
        assert_eq!(serde_json::to_value(request.document(Some(&known(2)), done.as_ref())).unwrap(), expected);
        let gone = branch(Action::Drop).document(None, None);
        assert_eq!((gone.action, gone.from, gone.to), ("none", None, None));
    }
}
