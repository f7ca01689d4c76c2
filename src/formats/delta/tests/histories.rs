//! Random histories against an oracle that replays their JSON by itself (P1): whatever goes, every version that stays is rebuilt as it was, with
//! every file it had, and nothing is left that none of them reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use super::past::{forget, judged, upkeep, versions};
use super::*;
use crate::commit::Answer;
use crate::model::{At, Forget, Holding, ListWishes, UpkeepKind, Version};
use crate::units::Timestamp;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A live file: its path and its vector as the log has them.
type File = (String, Option<String>);
type Files = BTreeSet<File>;

struct History {
    made: Made,
    dice: Dice,
    /// What each version has, by the oracle.
    states: BTreeMap<i64, Files>,
    /// The change files of each commit.
    changes: BTreeMap<i64, Vec<String>>,
    names: u64,
}

/// The place below the root where the vector `text` of an add lies; inline ones lie nowhere.
fn vector_file(text: &str) -> Option<String> {
    let vector: Json = serde_json::from_str(text).unwrap();
    (vector["storageType"] == "p").then(|| vector["pathOrInlineDv"].as_str().unwrap().trim_start_matches("vectors/").to_string())
}

impl History {
    fn new(seed: u64) -> Self {
        let features = ["deletionVectors"];
        let made = Made::new(&[vec![info(1), protocol(&features, &["deletionVectors", "changeDataFeed"]), metadata(&[], &json!({}))]]);
        Self { made, dice: Dice(seed), states: [(0, Files::new())].into(), changes: BTreeMap::new(), names: 0 }
    }

    fn newest(&self) -> i64 {
        *self.states.last_key_value().unwrap().0
    }

    fn file(&mut self, kind: &str) -> String {
        self.names += 1;
        let name = format!("{kind}{}", self.names);
        std::fs::write(self.made.root().join(&name), "").unwrap();
        name
    }

    /// The actions of a commit that adds, removes and marks files.
    fn actions(&mut self) -> Vec<Json> {
        let live: Vec<File> = self.states[&self.newest()].iter().cloned().collect();
        let mut actions = vec![info(self.newest() + 2)];
        for _ in 0..self.dice.roll(3) {
            let name = self.file("f ");
            actions.push(add(&name.replace(' ', "%20")));
        }
        // One file of vectors for the whole commit.
        let stored = self.dice.roll(3) == 0;
        let mut shared: Option<String> = None;
        for (path, vector) in live {
            let fate = self.dice.roll(6);
            if fate > 1 {
                continue;
            }
            let old = vector.map(|text| serde_json::from_str::<Json>(&text).unwrap());
            actions.push(old.map_or_else(|| remove(&path), |old| with(remove(&path), "remove", "deletionVector", old)));
            if fate == 1 {
                if stored && shared.is_none() {
                    shared = Some(self.file("v"));
                }
                let (root, name) = (self.made.root().to_str().unwrap(), shared.as_deref().unwrap_or_default());
                let vector = match stored {
                    true => json!({"storageType": "p", "pathOrInlineDv": format!("file://{root}/{name}"), "offset": self.dice.roll(90),
                        "sizeInBytes": 34, "cardinality": 1}),
                    false => {
                        json!({"storageType": "i", "pathOrInlineDv": format!("{:05}", self.dice.roll(99_999)), "sizeInBytes": 4, "cardinality": 1})
                    }
                };
                actions.push(with(add(&path), "add", "deletionVector", vector));
            }
        }
        if self.dice.roll(4) == 0 {
            let name = self.file("c");
            actions.push(json!({"cdc": {"path": name, "partitionValues": {}, "size": 1, "dataChange": false}}));
        }
        actions
    }

    /// Applies a commit as the protocol says, and knows nothing else.
    fn replay(&mut self, version: i64) {
        let mut files = self.states[&(version - 1)].clone();
        let key = |action: &Json| {
            let vector = action.get("deletionVector").filter(|vector| !vector.is_null());
            (action["path"].as_str().unwrap().to_string(), vector.map(Json::to_string))
        };
        let lines = self.made.read_commit(usize::try_from(version).unwrap());
        lines.iter().filter_map(|line| line.get("remove")).for_each(|removed| {
            files.remove(&key(removed));
        });
        files.extend(lines.iter().filter_map(|line| line.get("add")).map(key));
        let changes = lines.iter().filter_map(|line| line["cdc"]["path"].as_str()).map(str::to_string);
        self.changes.insert(version, changes.collect());
        self.states.insert(version, files);
    }

    fn step(&mut self) {
        let next = self.newest() + 1;
        let oldest = *self.states.first_key_value().unwrap().0;
        if self.dice.roll(5) == 0 {
            let to = oldest + i64::try_from(self.dice.roll(u64::try_from(next - oldest).unwrap())).unwrap();
            let answer = block(self.made.load().unwrap().offer_upkeep(&upkeep(UpkeepKind::Restore(Version(to))), Timestamp(next)));
            let Answer::Ours(Version(version)) = answer else { panic!("{answer:?}") };
            if version == next {
                self.replay(next);
            }
            assert_eq!(self.states[&version], self.states[&to], "restored");
        } else {
            let actions = self.actions();
            self.made.commit(usize::try_from(next).unwrap(), &actions);
            self.replay(next);
        }
        if self.dice.roll(4) == 0 {
            let version = self.made.load().unwrap();
            assert!(matches!(
                block(version.offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())), Timestamp(next))),
                Answer::Ours(_)
            ));
        }
    }

    /// What the versions from `oldest` on reach, below the root.
    fn reached(&self, oldest: i64) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (path, vector) in self.states.range(oldest..).flat_map(|(_, files)| files) {
            names.insert(path.replace("%20", " "));
            names.extend(vector.as_deref().and_then(vector_file).map(|place| place.rsplit('/').next().unwrap().to_string()));
        }
        names.extend(self.changes.range(oldest + 1..).flat_map(|(_, names)| names.clone()));
        names
    }

    /// Forgets everything before `oldest`, deletes what that releases, and judges what is left.
    fn expire(&mut self, oldest: i64, case: &str) {
        let first = *self.states.first_key_value().unwrap().0;
        let gone = versions(first, oldest);
        let version = self.made.load().unwrap();
        let plan = |version: &dyn TableVersion| -> Vec<Holding> {
            judged(version, &Forget { versions: gone.clone(), ..Forget::default() }).unwrap().0
        };
        let planned = plan(&*version);
        assert!(matches!(forget(&*version, &gone), Answer::Ours(_)), "{case}");
        assert_eq!(plan(&*version), planned, "{case}: the plan is what is deleted");
        for holding in planned {
            std::fs::remove_file(Path::new("/").join(holding.location.path())).unwrap_or_else(|e| panic!("{case}: {holding:?}: {e}"));
        }
        self.states.retain(|version, _| *version >= oldest);
        for (version, files) in &self.states {
            let found = block(table(self.made.root()).load_at(&At::Version(Version(*version))))
                .unwrap_or_else(|e| panic!("{case}: {version}: {e}"));
            let found: BTreeSet<String> = block(all_files(&*found))
                .unwrap()
                .iter()
                .map(|file| format!("{} {:?}", file.path(), file.deletes.first().map(|d| d.key.clone())))
                .collect();
            assert_eq!(found.len(), files.len(), "{case}: {version}");
            let paths: BTreeSet<&str> = found.iter().map(|text| text.split(' ').next().unwrap()).collect();
            assert_eq!(paths, files.iter().map(|(path, _)| path.as_str()).collect(), "{case}: {version}");
        }
        let left: BTreeSet<String> = std::fs::read_dir(self.made.root())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "_delta_log")
            .collect();
        assert_eq!(left, self.reached(oldest), "{case}");
        let oldest_log = std::fs::read_dir(self.made.log(""))
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().to_str()?.get(..20)?.parse::<i64>().ok())
            .min();
        assert_eq!(oldest_log, Some(oldest), "{case}");
        let held: Vec<Holding> = block(self.made.load().unwrap().holdings().try_collect()).unwrap();
        let held: BTreeSet<&str> = held.iter().map(|holding| holding.location.name()).collect();
        assert!(left.iter().all(|name| held.contains(name.as_str())), "{case}: held");
    }
}

#[test]
fn every_version_that_stays_is_whole_and_nothing_else_is_left() {
    for seed in 0..25 {
        let mut history = History::new(seed);
        for round in 0..2 {
            for _ in 0..10 {
                history.step();
            }
            let (first, last) = (*history.states.first_key_value().unwrap().0, history.newest());
            if last == first {
                continue;
            }
            let oldest = first + 1 + i64::try_from(history.dice.roll(u64::try_from(last - first).unwrap())).unwrap();
            history.expire(oldest, &format!("seed {seed}, round {round}, oldest {oldest}"));
        }
    }
}
