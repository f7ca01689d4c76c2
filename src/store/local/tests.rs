use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{GetOptions, ObjectStoreExt};
use tempfile::TempDir;

use super::*;
use crate::error::Kind;
use crate::location::Location;
use crate::store::resolve::{Settings, Stores};
use crate::store::{Gone, Meta, Put, Store};

/// Names that trip others up: escapes, marks with a meaning in addresses, numbers after `#`, other scripts, all the room there is.
const NAMES: [&str; 10] =
    ["a b", "a%20b", "a#1", "#", "what?", "ts=2020-01-01 10:00:00", "x&y+z", "Zürich 🦊", "-", ".hidden.5-.unfinished"];

fn store() -> Store {
    Store::new(Arc::new(Stores::new(&Settings::new(), &Settings::new()).unwrap()))
}

fn place(folder: &TempDir) -> Location {
    Location::parse(folder.path().to_str().unwrap()).unwrap()
}

fn key(folder: &TempDir, name: &str) -> Path {
    Path::parse(format!("{}/{name}", folder.path().display())).unwrap()
}

fn files(folder: &TempDir) -> BTreeSet<String> {
    fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn listed(store: &Store, below: &Location) -> BTreeSet<String> {
    store.list(below).map_ok(|meta| meta.location.relative_to(below).unwrap().to_string()).try_collect().await.unwrap()
}

#[tokio::test]
async fn any_name_is_written_read_listed_and_deleted_as_it_is_spelt() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    let long = "é".repeat(127);
    let names: BTreeSet<String> = NAMES.iter().map(ToString::to_string).chain([long]).collect();
    for name in &names {
        let below = root.child(&format!("{name}/{name}"));
        store.put(&below, name.clone().into()).await.unwrap();
        assert_eq!(fs::read(folder.path().join(name).join(name)).unwrap(), name.as_bytes());
        assert_eq!(store.get(&below).await.unwrap(), name.as_bytes());
        assert_eq!(store.head(&below).await.unwrap().size, name.len() as u64);
        assert_eq!(listed(&store, &root.child(name)).await, BTreeSet::from([name.clone()]));
    }
    assert_eq!(listed(&store, &root).await, names.iter().map(|name| format!("{name}/{name}")).collect());
    let children: BTreeSet<String> = store.children(&root).await.unwrap().iter().map(|child| child.name().to_string()).collect();
    assert_eq!(children, names);
    for name in &names {
        store.delete(&root.child(&format!("{name}/{name}"))).await.unwrap();
    }
    assert!(listed(&store, &root).await.is_empty());
}

#[tokio::test]
async fn of_eight_who_claim_one_name_exactly_one_gets_it() {
    let folder = TempDir::new().unwrap();
    for round in 0..20 {
        let target = place(&folder).child(&format!("log/{round}.json"));
        let barrier = Arc::new(std::sync::Barrier::new(8));
        let threads = (0..8u8).map(|id| {
            let (target, barrier) = (target.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let store = store();
                barrier.wait();
                (id, futures::executor::block_on(store.put_if_absent(&target, vec![id; 1000].into())).unwrap())
            })
        });
        let threads: Vec<_> = threads.collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        let winners: Vec<u8> = results.filter(|(_, put)| *put == Put::Created).map(|(id, _)| id).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(store().get(&target).await.unwrap(), vec![winners[0]; 1000]);
    }
    let log = fs::read_dir(folder.path().join("log")).unwrap();
    assert_eq!(log.count(), 20, "nothing is left beside the claimed names");
}

#[tokio::test]
async fn an_object_written_in_parts_appears_whole_when_it_is_finished() {
    let folder = TempDir::new().unwrap();
    let (store, target) = (store(), place(&folder).child("deep/er/data.parquet"));
    let bytes: Vec<u8> = (0..20_000_003_u32).map(|i| i.to_le_bytes()[(i % 3) as usize]).collect();
    let mut writer = store.writer(&target).await.unwrap();
    for piece in bytes.chunks(3_000_001) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        assert_eq!(store.get_if_exists(&target).await.unwrap(), None);
    }
    assert_eq!(listed(&store, &place(&folder)).await, BTreeSet::new());
    assert_eq!(writer.finish().await.unwrap(), 20_000_003);
    assert_eq!(store.get(&target).await.unwrap(), bytes);
    assert_eq!(store.get_range(&target, 8_388_600..19_999_999).await.unwrap(), bytes[8_388_600..19_999_999]);
    assert_eq!(fs::read_dir(folder.path().join("deep/er")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_object_that_is_given_up_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store();
    let mut writer = store.writer(&place(&folder).child("given up")).await.unwrap();
    writer.write(vec![7; 9 << 20].into()).await.unwrap();
    writer.abort().await.unwrap();
    drop(store.writer(&place(&folder).child("forgotten")).await.unwrap());
    assert_eq!(files(&folder), BTreeSet::new());
}

#[tokio::test]
async fn an_upload_that_lost_a_part_is_not_completed() {
    let folder = TempDir::new().unwrap();
    let mut upload = LocalDisk.put_multipart(&key(&folder, "x")).await.unwrap();
    upload.put_part("one".into()).await.unwrap();
    drop(upload.put_part("two".into()));
    upload.put_part("three".into()).await.unwrap();
    assert!(upload.complete().await.is_err());
    assert_eq!(files(&folder), BTreeSet::new());
}

#[tokio::test]
async fn what_a_killed_process_left_is_no_object_and_is_found_by_the_name_it_was_to_have() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    let mut writer = store.writer(&root.child("data/00000-0-4711.parquet")).await.unwrap();
    writer.write(vec![1; 100].into()).await.unwrap();
    std::mem::forget(writer);
    assert_eq!(listed(&store, &root).await, BTreeSet::new());
    assert!(store.children(&root.child("data")).await.unwrap().is_empty());
    let left: Vec<_> = store.unfinished(&root).try_collect().await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].location.name().starts_with(".00000-0-4711.parquet."), "{}", left[0].location);
    store.delete(&left[0].location).await.unwrap();
    assert_eq!(store.unfinished(&root).count().await, 0);
    // The name is free again for whoever writes it next.
    store.put(&root.child("data/00000-0-4711.parquet"), "x".into()).await.unwrap();
}

#[test]
fn only_names_given_to_unfinished_files_count_as_such() {
    assert!(is_unfinished(".a.parquet.12-0.unfinished"));
    assert!(is_unfinished_of(".a.parquet.12-0.unfinished", 12) && !is_unfinished_of(".a.parquet.12-0.unfinished", 1));
    for name in ["a.parquet.12-0.unfinished", ".a.12-0.parquet", ".unfinished", ".a.-1.unfinished", ".a.1-x.unfinished", ".a.1.unfinished"]
    {
        assert!(!is_unfinished(name), "{name}");
    }
}

#[tokio::test]
async fn a_folder_or_file_that_is_not_there_is_empty_not_found_and_deleted_already() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    store.put(&root.child("file"), "x".into()).await.unwrap();
    for missing in ["no", "no/deeper", "file/below"] {
        let missing = root.child(missing);
        assert_eq!(listed(&store, &missing).await, BTreeSet::new());
        assert!(store.children(&missing).await.unwrap().is_empty());
        assert_eq!(store.head(&missing).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.get_if_exists(&missing).await.unwrap(), None);
        store.delete(&missing).await.unwrap();
    }
    assert_eq!(store.get(&root).await.unwrap_err().kind(), Kind::NotFound, "a folder is no object");
    assert_eq!(store.put(&root.child("file/below"), "x".into()).await.unwrap_err().kind(), Kind::NotFound);
    assert!(store.put(&root, "x".into()).await.is_err());
    assert_eq!(store.put(&root.child(&"x".repeat(256)), "x".into()).await.unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(files(&folder), BTreeSet::from(["file".to_string()]));
}

#[tokio::test]
async fn a_range_beyond_the_end_is_a_corrupt_file_and_an_empty_one_is_empty() {
    let folder = TempDir::new().unwrap();
    let (store, target) = (store(), place(&folder).child("x"));
    store.put(&target, "0123456789".into()).await.unwrap();
    assert_eq!(store.get_range(&target, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&target, 20..20).await.unwrap(), "");
    for range in [8..11, 10..11, 5..u64::MAX, u64::MAX - 1..u64::MAX] {
        assert_eq!(store.get_range(&target, range).await.unwrap_err().kind(), Kind::Corrupt);
    }
    let ranges = LocalDisk.get_ranges(&key(&folder, "x"), &[9..10, 0..2]).await.unwrap();
    assert_eq!(ranges, ["9", "01"]);
    assert!(LocalDisk.get_ranges(&key(&folder, "x"), &[0..1, 0..u64::MAX]).await.is_err());
}

#[tokio::test]
async fn listing_after_a_name_gives_what_sorts_after_it_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    for name in ["01", "02", "03", "04", "02/x", "03=/x", "04/x"].map(|name| format!("{name}.json")) {
        store.put(&root.child(&name), "x".into()).await.unwrap();
    }
    let after: BTreeSet<_> =
        store.list_after(&root, "02.json").map_ok(|meta| meta.location.path().to_string()).try_collect().await.unwrap();
    let expected = ["02/x.json", "03.json", "03=/x.json", "04.json", "04/x.json"].map(|name| root.child(name).path().to_string());
    assert_eq!(after, expected.into());
}

#[tokio::test]
async fn links_are_followed_but_never_in_circles() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = store();
    store.put(&place(&other).child("t/file"), "x".into()).await.unwrap();
    symlink(other.path(), folder.path().join("root")).unwrap();
    symlink(other.path(), other.path().join("t/up")).unwrap();
    symlink("nowhere", other.path().join("t/dangling")).unwrap();
    let root = place(&folder).child("root");
    assert_eq!(listed(&store, &root).await, BTreeSet::from(["t/file".to_string()]));
    assert_eq!(store.get(&root.child("t/file")).await.unwrap(), "x");
    assert_eq!(store.put_if_absent(&root.child("t/file"), "y".into()).await.unwrap(), Put::Exists);
    store.put(&root.child("t/new"), "y".into()).await.unwrap();
    assert_eq!(fs::read(other.path().join("t/new")).unwrap(), b"y");
}

#[tokio::test]
async fn a_name_that_cannot_be_spelt_is_reported_not_passed_over() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("line\nbreak"), "x").unwrap();
    let error = store().list_all(&place(&folder)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn errors_of_the_disk_get_the_kind_that_tells_what_to_do() {
    let target = Location::parse("/t/x").unwrap();
    let kind = |kind: ErrorKind| crate::store::storage_error(failure(kind.into(), std::path::Path::new("/t/x")), &target);
    for forbidden in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        assert_eq!(kind(forbidden).kind(), Kind::Refused);
    }
    for full in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        assert_eq!(kind(full).kind(), Kind::Unavailable);
        assert_eq!(kind(full).message(), "no space left on storage");
    }
    assert_eq!(kind(ErrorKind::NotADirectory).kind(), Kind::NotFound);
    assert_eq!(kind(ErrorKind::InvalidFilename).kind(), Kind::Unsupported);
    assert_eq!(kind(ErrorKind::TimedOut).kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_is_refused_and_unchanged() {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if File::create(folder.path().join("probe")).is_ok() {
        return; // the superuser may write anywhere
    }
    let (store, target) = (store(), place(&folder).child("x"));
    assert_eq!(store.put(&target, "x".into()).await.unwrap_err().kind(), Kind::Refused);
    assert_eq!(store.put_if_absent(&target, "x".into()).await.unwrap_err().kind(), Kind::Refused);
    assert!(store.writer(&target).await.is_err_and(|e| e.kind() == Kind::Refused));
    assert_eq!(files(&folder), BTreeSet::new());
}

#[test]
fn a_full_disk_says_so() {
    // Writing to this device fails as writing to a full disk does (full(4)).
    let error = fs::write("/dev/full", "x").unwrap_err();
    let target = Location::parse("/dev/full").unwrap();
    let shown = crate::store::storage_error(failure(error, std::path::Path::new("/dev/full")), &target);
    assert_eq!((shown.kind(), shown.message()), (Kind::Unavailable, "no space left on storage"));
}

#[tokio::test]
async fn a_folder_that_takes_no_files_ends_in_an_error_not_in_a_loop() {
    let target = Location::parse("/proc/otf-probe/x").unwrap();
    assert!(store().put(&target, "x".into()).await.is_err());
    assert!(store().put(&target.parent().unwrap(), "x".into()).await.is_err());
}

#[tokio::test]
async fn copies_and_moves_replace_or_refuse_as_asked() {
    let folder = TempDir::new().unwrap();
    let [a, b, c] = ["a", "b", "new/c"].map(|name| key(&folder, name));
    LocalDisk.put(&a, "A".into()).await.unwrap();
    LocalDisk.put(&b, "B".into()).await.unwrap();
    assert!(matches!(LocalDisk.copy_if_not_exists(&a, &b).await, Err(Error::AlreadyExists { .. })));
    assert!(matches!(LocalDisk.rename_if_not_exists(&a, &b).await, Err(Error::AlreadyExists { .. })));
    LocalDisk.copy_if_not_exists(&a, &c).await.unwrap();
    LocalDisk.rename(&a, &b).await.unwrap();
    assert!(matches!(LocalDisk.rename(&a, &b).await, Err(Error::NotFound { .. })));
    LocalDisk.copy(&b, &c).await.unwrap();
    LocalDisk.rename_if_not_exists(&b, &a).await.unwrap();
    for (name, expected) in [(&a, "A"), (&c, "A")] {
        assert_eq!(LocalDisk.get(name).await.unwrap().bytes().await.unwrap(), expected);
    }
    assert_eq!(files(&folder), ["a", "new"].map(str::to_string).into());
}

#[tokio::test]
async fn the_tag_of_an_object_changes_when_it_is_replaced() {
    let folder = TempDir::new().unwrap();
    let name = key(&folder, "x");
    let first = LocalDisk.put(&name, "x".into()).await.unwrap().e_tag;
    assert_eq!(LocalDisk.head(&name).await.unwrap().e_tag, first);
    let second = LocalDisk.put(&name, "y".into()).await.unwrap().e_tag;
    assert_ne!(first, second);
    let stale = LocalDisk.get_opts(&name, GetOptions::new().with_if_match(first)).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })));
}

#[tokio::test]
async fn many_files_are_deleted_at_once_and_each_that_was_not_there_is_told() {
    let folder = TempDir::new().unwrap();
    let names: Vec<_> = (0..600).map(|i| key(&folder, &format!("{i}"))).collect();
    for name in names.iter().skip(1) {
        fs::write(disk_path(name), "x").unwrap();
    }
    let results: Vec<_> = LocalDisk.delete_stream(stream::iter(names.clone().into_iter().map(Ok)).boxed()).collect().await;
    assert!(matches!(results[0], Err(Error::NotFound { .. })));
    let deleted: Vec<_> = results.into_iter().skip(1).map(Result::unwrap).collect();
    assert_eq!(deleted, names[1..]);
    assert_eq!(files(&folder), BTreeSet::new());
}

#[tokio::test]
async fn a_deletion_tells_whether_there_was_a_file_and_local_disks_keep_no_versions() {
    let folder = TempDir::new().unwrap();
    let (store, file) = (store(), place(&folder).child("a"));
    store.put(&file, "x".into()).await.unwrap();
    assert!(!store.keeps_versions(&file).await.unwrap());
    let told: Vec<Gone> = store.delete_each(vec![file, place(&folder).child("b")]).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(told, [Gone::Now, Gone::Before]);
}

#[tokio::test]
async fn a_folder_is_removed_only_if_it_is_empty_and_no_link() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    for name in ["empty", "full"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("full/x"), "x").unwrap();
    symlink("empty", folder.path().join("link")).unwrap();
    for name in ["link", "full", "full/x", "nowhere"] {
        store.remove_empty_folder(&root.child(name)).await;
    }
    assert!(folder.path().join("empty").is_dir() && folder.path().join("link").is_symlink());
    assert_eq!(fs::read(folder.path().join("full/x")).unwrap(), b"x");
    store.remove_empty_folder(&root.child("empty")).await;
    assert!(!folder.path().join("empty").exists());
}

#[tokio::test]
async fn pages_of_a_listing_hold_what_a_listing_does() {
    let folder = TempDir::new().unwrap();
    let (store, root) = (store(), place(&folder));
    for n in 0..3000 {
        fs::write(folder.path().join(format!("{n} %20#1")), "x").unwrap();
    }
    fs::write(folder.path().join(".f.1-1.unfinished"), "x").unwrap();
    let pages: Vec<Vec<Meta>> = store.list_pages(&root).try_collect().await.unwrap();
    let mut paged: Vec<Location> = pages.into_iter().flatten().map(|meta| meta.location).collect();
    paged.sort();
    let mut listed: Vec<Location> = store.list_all(&root).await.unwrap().into_iter().map(|meta| meta.location).collect();
    listed.sort();
    assert_eq!((paged.len(), &paged), (3000, &listed));
    fs::write(folder.path().join("line\nbreak"), "x").unwrap();
    assert_eq!(store.list_pages(&root).try_collect::<Vec<_>>().await.unwrap_err().kind(), Kind::Unsupported);
}
