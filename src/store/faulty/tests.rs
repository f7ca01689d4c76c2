use tempfile::TempDir;

use super::*;
use crate::error::{Kind, Result};
use crate::location::Location;
use crate::store::resolve::{Settings, Stores};
use crate::store::{Put, Store};

fn store(faults: &Faults) -> Store {
    let faults = faults.clone();
    let stores = Stores::new(&Settings::new(), &Settings::new()).unwrap().decorated(move |inner| faults.over(inner));
    Store::new(Arc::new(stores))
}

fn place(folder: &TempDir) -> Location {
    Location::parse(folder.path().to_str().unwrap()).unwrap()
}

/// A change as an operation makes it: a file in parts, a claim of a version, a look around, a deletion.
async fn change(store: &Store, root: &Location) -> Result<()> {
    let mut writer = store.writer(&root.child("data")).await?;
    writer.write(vec![1; (1 << 20) + 1].into()).await?;
    writer.finish().await?;
    store.put_if_absent(&root.child("log"), "data".into()).await?;
    store.list_all(root).await?;
    store.delete(&root.child("old")).await
}

const CALLS: [&str; 7] = ["upload", "part", "part", "complete", "claim", "list", "delete"];

fn operations(faults: &Faults) -> Vec<&'static str> {
    faults.calls().iter().map(|call| call.operation).collect()
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn started() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("old"), "x").unwrap();
    folder
}

#[tokio::test]
async fn without_faults_every_call_is_noted_and_works() {
    let (folder, faults) = (started(), Faults::none());
    change(&store(&faults), &place(&folder)).await.unwrap();
    assert_eq!(operations(&faults), CALLS);
    assert!(faults.calls()[4].key.ends_with("/log"));
    assert_eq!(names(&folder), ["data", "log"]);
    assert!(faults.all_happened());
}

#[tokio::test]
async fn a_sweep_kills_at_every_call_with_and_without_its_effect() {
    for (fault, last_with_claim) in [(Fault::KillBefore, 6), (Fault::KillAfter, 5)] {
        let mut number = 0;
        loop {
            number += 1;
            let (folder, faults) = (started(), Faults::at(number, fault));
            let outcome = change(&store(&faults), &place(&folder)).await;
            if !faults.all_happened() {
                outcome.unwrap();
                break;
            }
            assert_eq!(outcome.unwrap_err().kind(), Kind::Unavailable);
            assert!(faults.is_dead());
            let has_claim = names(&folder).iter().any(|name| name == "log");
            assert_eq!(has_claim, number >= last_with_claim, "{fault:?} at {number}");
        }
        assert_eq!(number, 8);
    }
}

#[tokio::test]
async fn the_dead_clean_up_nothing_and_do_nothing_more() {
    let (folder, faults) = (started(), Faults::at(4, Fault::KillBefore));
    let store = store(&faults);
    change(&store, &place(&folder)).await.unwrap_err();
    let left = names(&folder);
    assert_eq!(left.len(), 2);
    assert!(crate::store::local::is_unfinished(&left[0]) && left[0].starts_with(".data."), "{left:?}");
    assert!(store.get(&place(&folder).child("old")).await.is_err());
    assert!(store.delete(&place(&folder).child("old")).await.is_err());
    assert!(store.list_all(&place(&folder)).await.is_err());
    assert_eq!(names(&folder), left);
    assert_eq!(faults.calls().len(), 4, "calls after death do not count");
}

#[tokio::test]
async fn a_call_that_fails_has_no_effect_and_later_ones_work() {
    let (folder, faults) = (started(), Faults::at(1, Fault::Fail));
    let (store, log) = (store(&faults), place(&folder).child("log"));
    assert_eq!(store.put_if_absent(&log, "x".into()).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(names(&folder), ["old"]);
    assert_eq!(store.put_if_absent(&log, "x".into()).await.unwrap(), Put::Created);
}

#[tokio::test]
async fn a_lost_answer_is_an_error_although_the_effect_is_there() {
    let (folder, faults) = (started(), Faults::at(1, Fault::LoseAnswer).and(3, Fault::LoseAnswer));
    let (store, log) = (store(&faults), place(&folder).child("log"));
    assert_eq!(store.put_if_absent(&log, "x".into()).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(store.put_if_absent(&log, "x".into()).await.unwrap(), Put::Exists);
    assert!(store.delete(&log).await.is_err());
    assert_eq!(names(&folder), ["old"]);
}

#[tokio::test]
async fn a_held_call_goes_on_when_it_is_released() {
    let (folder, faults) = (started(), Faults::at(1, Fault::Hold));
    let (store, log) = (store(&faults), place(&folder).child("log"));
    let (ours, theirs) = (store.clone(), log.clone());
    let held = tokio::spawn(async move { ours.put_if_absent(&theirs, "held".into()).await });
    faults.until_held().await;
    assert_eq!(store.put_if_absent(&log, "quick".into()).await.unwrap(), Put::Created);
    assert!(!held.is_finished());
    faults.release();
    assert_eq!(held.await.unwrap().unwrap(), Put::Exists);
    assert_eq!(store.get(&log).await.unwrap(), "quick");
}
