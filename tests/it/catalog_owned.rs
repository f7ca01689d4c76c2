//! Tables of a catalog that are opened by their folder: what the catalog may hold as current stays, whatever the folder's numbers say (P1, P2).
//!
//! `00007-<uuid>.metadata.json` is how catalogs name metadata. Commits by folder are not told to them, and writers that lost a race leave files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::error::Kind;
use otf::location::Location;
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::ops::expire::plan::Keep;
use serde_json::{Value as Json, json};

use crate::support::expiry::{dry_run, expire, keys, older_than_days, versions};
use crate::support::orphans::{Bed, defaults};
use crate::support::timeline::{ROOT, Timeline, list_key, path};
use crate::support::workbench::runtime;

const FIRST: &str = "00001-1f0c8a52-9b5b-4c39-8f8b-0d0c4f1a2b3c.metadata.json";
/// What a catalog's writer made while others went on in the folder.
const THEIRS: i64 = 4;
const SECOND: &str = "00002-2a7e6b10-5a0e-4d1d-a3a1-7d1e2f3a4b5c.metadata.json";

/// Files by their keys, and metadata files by their names.
async fn lay_out(timeline: &Timeline, documents: &[(impl AsRef<str>, Json)]) -> Arc<dyn ObjectStore> {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let put = async |key: &str, bytes: Vec<u8>| {
        memory.put(&Path::parse(format!("{ROOT}/{key}")).unwrap(), PutPayload::from(bytes)).await.unwrap();
    };
    for (key, bytes) in &timeline.objects {
        put(key, bytes.to_vec()).await;
    }
    for (name, document) in documents {
        put(&format!("metadata/{}", name.as_ref()), document.to_string().into_bytes()).await;
    }
    memory
}

/// The metadata file that this tool writes as number `number` of the table.
async fn ours(number: u32) -> String {
    let mut timeline = Timeline::default();
    let first = timeline.append(None, 40);
    let second = timeline.append(Some(first), 30);
    timeline.name("main", second, true);
    let before = format!("{:05}-0a.metadata.json", number - 1);
    let store = lay_out(&timeline, &[(&before, timeline.document())]).await;
    expire(&store, &versions(&[first])).await.unwrap();
    let mark = format!("metadata/{number:05}-");
    keys(&store)
        .await
        .into_iter()
        .find_map(|key| key.strip_prefix("metadata/").filter(|_| key.starts_with(&mark)).map(str::to_string))
        .unwrap()
}

fn logged(timeline: &Timeline, before: &[&str], updated: i64) -> Json {
    let mut document = timeline.document();
    let entry = |name: &&str| json!({"metadata-file": path(&format!("metadata/{name}")), "timestamp-ms": 1});
    document["metadata-log"] = before.iter().map(entry).collect();
    document["last-updated-ms"] = updated.into();
    document
}

/// As a user asks who overrides nothing.
fn safely(days: i64) -> Options {
    let mut options = older_than_days(days);
    options.wishes.unsafe_retention = false;
    options
}

/// A catalog's table with a snapshot too many, and the same after a commit by folder.
fn story() -> (Timeline, Json, Timeline) {
    let mut timeline = Timeline::default();
    let first = timeline.append(None, 40);
    let second = timeline.append(Some(first), 30);
    timeline.name("main", second, true);
    let catalogs = timeline.document();
    let third = timeline.rewrite(second, 20, &[]);
    timeline.name("main", third, true);
    let after = timeline.clone();
    (timeline, catalogs, after)
}

/// The same, and the catalog's writer went on from its own state meanwhile: the snapshot [`THEIRS`].
async fn forked() -> (Timeline, Vec<(String, Json)>) {
    let (mut timeline, catalogs, after) = story();
    assert_eq!(timeline.append(Some(2), 10), THEIRS);
    timeline.name("main", THEIRS, true);
    let (second, third) = (ours(2).await, ours(3).await);
    let documents = vec![
        (FIRST.to_string(), catalogs),
        (second.clone(), logged(&after, &[FIRST], 5)),
        (third, logged(&after, &[FIRST, &second], 6)),
        (SECOND.to_string(), logged(&timeline, &[FIRST], 9)),
    ];
    (timeline, documents)
}

#[test]
fn expiry_by_folder_keeps_the_snapshot_that_a_catalog_may_hold_as_current() {
    runtime().block_on(async {
        let (timeline, catalogs, after) = story();
        let name = ours(2).await;
        let store = lay_out(&timeline, &[(FIRST, catalogs.clone()), (&name, logged(&after, &[FIRST], 5))]).await;
        let planned = dry_run(&store, &safely(7)).await.unwrap();
        let kept: BTreeMap<Keep, u64> = planned.keep.iter().map(|kept| (kept.why, kept.versions)).collect();
        assert_eq!(kept, BTreeMap::from([(Keep::Named, 1), (Keep::HeldElsewhere, 1)]));
        let done = expire(&store, &safely(7)).await.unwrap();
        assert_eq!((done.outcome, done.report.expired), (Outcome::Landed, vec!["1".to_string()]));
        let left = keys(&store).await;
        assert!(timeline.reach(&[2, 3]).is_subset(&left));
        assert_eq!(expire(&store, &safely(7)).await.unwrap().outcome, Outcome::NothingToDo);
        let error = expire(&store, &versions(&[2])).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.next_step().contains("--unsafe-retention"), "{}", error.next_step());

        let unsafely = lay_out(&timeline, &[(FIRST, catalogs), (&name, logged(&after, &[FIRST], 5))]).await;
        assert_eq!(expire(&unsafely, &older_than_days(7)).await.unwrap().report.expired, ["1", "2"]);
    });
}

#[test]
fn what_a_catalogs_newest_file_no_longer_names_goes() {
    runtime().block_on(async {
        let (timeline, catalogs, after) = story();
        let name = ours(2).await;
        let third = "00003-3b.metadata.json";
        let documents = [(FIRST, catalogs), (name.as_str(), logged(&after, &[FIRST], 5)), (third, logged(&after, &[FIRST, &name], 6))];
        let store = lay_out(&timeline, &documents).await;
        assert_eq!(expire(&store, &safely(7)).await.unwrap().report.expired, ["1", "2"]);
    });
}

#[test]
fn expiry_is_refused_where_a_catalog_may_have_gone_another_way() {
    runtime().block_on(async {
        let (timeline, documents) = forked().await;
        let store = lay_out(&timeline, &documents).await;
        let before = keys(&store).await;
        let error = expire(&store, &safely(7)).await.unwrap_err();
        assert_eq!((error.kind(), keys(&store).await), (Kind::Refused, before));
        assert!(error.next_step().contains("catalog"), "{}", error.next_step());
    });
}

#[test]
fn orphans_by_folder_keep_what_a_catalog_may_hold_as_current() {
    runtime().block_on(async {
        let (timeline, mut documents) = forked().await;
        let theirs = THEIRS;
        // Lost to the first, long ago: nothing of it is needed since the second.
        documents.push(("00001-0b.metadata.json".into(), logged(&timeline, &[], 4)));
        for lacks_list in [false, true] {
            let store = lay_out(&timeline, &documents).await;
            if lacks_list {
                // A writer that lost takes its files back, and may leave the metadata.
                store.delete(&Path::parse(format!("{ROOT}/{}", list_key(theirs))).unwrap()).await.unwrap();
            }
            let bed = Bed::on(&store, Location::parse(ROOT).unwrap());
            bed.plant("data/stray.parquet", 10).await;
            let mut gone = vec!["metadata/00001-0b.metadata.json", "data/stray.parquet"];
            let own: BTreeSet<String> = timeline.reach(&[theirs]).difference(&timeline.reach(&[2, 3])).cloned().collect();
            assert_eq!(own.len(), 3, "a list, a manifest and a data file are theirs alone");
            if lacks_list {
                gone.extend(own.iter().filter(|key| **key != list_key(theirs)).map(String::as_str));
            }
            bed.deletes(&defaults(), &gone).await;
        }
    });
}
