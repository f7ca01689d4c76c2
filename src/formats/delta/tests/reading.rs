//! What a log means.

use serde_json::json;

use super::*;
use crate::error::Kind;
use crate::model::{Value, Version};

fn start() -> Vec<Json> {
    vec![info(5), plain_protocol(), metadata(&[], &json!({})), add("a"), add("b%20c")]
}

#[test]
fn a_hint_that_is_damaged_stale_or_ahead_changes_nothing() {
    let made = Made::new(&[start(), vec![remove("a")]]);
    for hint in ["", "{\"version\":", "{\"version\":0}", "{\"version\":-3}", "{\"version\":77}", "[]"] {
        std::fs::write(made.log("_last_checkpoint"), hint).unwrap();
        assert_eq!(made.paths(), ["b%20c"], "{hint}");
    }
}

#[test]
fn a_gap_and_missing_rules_are_damage_and_nothing_is_no_table() {
    let made = Made::new(&[start(), vec![add("c")], vec![add("d")]]);
    std::fs::remove_file(made.commit_path(1)).unwrap();
    let error = made.load().err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("missing=1"), "{error}");
    let no_rules = Made::new(&[vec![plain_protocol(), add("a")]]);
    assert_eq!(no_rules.load().err().unwrap().kind(), Kind::Corrupt);
    assert_eq!(Made::new(&[]).load().err().unwrap().kind(), Kind::NotFound);
    let cut = Made::new(&[start()]);
    std::fs::write(cut.commit_path(1), "{\"add\":{\"path\":\"x\"").unwrap();
    let error = cut.load().err().unwrap();
    assert!(error.kind() == Kind::Corrupt && error.to_string().contains("line=1"), "{error}");
}

/// Commits beyond four mebibytes are read in pieces, whose ends fall anywhere in a line.
#[test]
fn a_large_commit_is_read_whole_and_its_damage_named() {
    let name = |n: usize| format!("{n:05}{}", "x".repeat(n % 97));
    let mut actions = vec![info(5), plain_protocol(), metadata(&[], &json!({}))];
    actions.extend((0..40_000).map(|n| add(&name(n))));
    let made = Made::new(&[actions]);
    assert!(std::fs::metadata(made.commit_path(0)).unwrap().len() > 8 << 20);
    assert_eq!(made.paths(), (0..40_000).map(name).collect::<Vec<_>>());
    let mut text = std::fs::read_to_string(made.commit_path(0)).unwrap();
    text.push_str("\n{\"add\":{\"path\":\"x\"");
    std::fs::write(made.commit_path(0), text).unwrap();
    let error = made.load().err().unwrap();
    assert!(error.kind() == Kind::Corrupt && error.to_string().contains("line=40005"), "{error}");
}

#[test]
fn one_file_is_one_file_however_its_path_is_spelled() {
    let made = Made::new(&[start(), vec![remove("b c")]]);
    assert_eq!(made.paths(), ["a"]);
    let absolute = format!("file://{}/a", made.root().to_str().unwrap());
    made.commit(2, &[remove(&absolute)]);
    assert_eq!(made.paths(), Vec::<String>::new());
    made.commit(3, &[add("x/../a")]);
    assert_eq!(made.paths(), ["x/../a"]);
}

#[test]
fn a_file_with_another_vector_is_another_file() {
    let vector = json!({"storageType": "i", "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 44, "cardinality": 6});
    let marked = with(add("a"), "add", "deletionVector", vector.clone());
    let marked = with(marked, "add", "stats", json!("{\"numRecords\":30}"));
    let made = Made::new(&[start(), vec![remove("a"), marked]]);
    let version = made.load().unwrap();
    let files = block(all_files(&*version)).unwrap();
    let file = files.iter().find(|file| file.path() == "a").unwrap();
    assert_eq!((file.rows, file.deletes[0].rows), (Some(30), Some(6)));
    let RowDeletes::Positions(rows) = &block(version.row_deletes(std::slice::from_ref(file))).unwrap()[0] else { panic!() };
    assert_eq!(rows.iter().collect::<Vec<_>>(), [3, 4, 7, 11, 18, 29]);
    assert_eq!(block(live_rows(&*version)).unwrap(), Some(5 + 30 - 6));
    made.commit(2, &[remove("a")]);
    assert_eq!(made.paths(), ["a", "b%20c"]);
    made.commit(3, &[with(remove("a"), "remove", "deletionVector", vector)]);
    assert_eq!(made.paths(), ["b%20c"]);
}

#[test]
fn a_version_of_counts_alone_knows_rows_and_no_bounds() {
    let made = Made::new(&[start(), vec![with(add("c"), "add", "stats", json!(null))]]);
    let (whole, counts) = (made.load().unwrap(), block(table(made.root()).load_counts()).unwrap());
    let known = |version: &dyn TableVersion| {
        let files = block(all_files(version)).unwrap();
        assert!(files.iter().all(|file| file.location.path().ends_with(&file.path().replace("%20", " "))));
        files.into_iter().map(|file| (file.path().to_string(), file.rows, file.stats.is_some())).collect::<Vec<_>>()
    };
    let at = |path: &str, rows, stats| (path.to_string(), rows, stats);
    assert_eq!(known(&*whole), [at("c", None, false), at("a", Some(5), true), at("b%20c", Some(5), true)]);
    assert_eq!(known(&*counts), [at("c", None, false), at("a", Some(5), false), at("b%20c", Some(5), false)]);
}

#[test]
fn a_vector_is_checked_against_its_frame_and_its_file() {
    let name = "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
    let vector = |cardinality: u64| json!({"storageType": "u", "pathOrInlineDv": "^-aqEH.-t@S}K{vb[*k^", "offset": 1, "sizeInBytes": 44, "cardinality": cardinality});
    let table = |cardinality| {
        let marked = with(add("a"), "add", "deletionVector", vector(cardinality));
        let marked = with(marked, "add", "stats", json!("{\"numRecords\":30}"));
        Made::new(&[vec![plain_protocol(), metadata(&[], &json!({})), marked]])
    };
    let mut payload = 1_681_511_377_u32.to_le_bytes().to_vec();
    roaring::RoaringTreemap::from_iter([3_u64, 4, 7, 11, 18, 29]).serialize_into(&mut payload).unwrap();
    let length = u32::try_from(payload.len()).unwrap();
    let mut frame = vec![1];
    frame.extend(length.to_be_bytes());
    frame.extend(&payload);
    frame.extend(crc32fast::hash(&payload).to_be_bytes());
    assert_eq!(length, 44);
    let read = |made: &Made| {
        let version = made.load().unwrap();
        let files = block(all_files(&*version)).unwrap();
        block(version.row_deletes(&files)).map(|deletes| deletes[0].len().unwrap())
    };
    let made = table(6);
    assert_eq!(read(&made).unwrap_err().kind(), Kind::Corrupt, "missing");
    std::fs::write(made.root().join(name), &frame).unwrap();
    assert_eq!(read(&made).unwrap(), 6);
    for damaged_byte in [2, 10, frame.len() - 1] {
        let mut damaged = frame.clone();
        damaged[damaged_byte] ^= 1;
        std::fs::write(made.root().join(name), damaged).unwrap();
        assert_eq!(read(&made).unwrap_err().kind(), Kind::Corrupt, "{damaged_byte}");
    }
    std::fs::write(made.root().join(name), &frame[..frame.len() - 2]).unwrap();
    assert_eq!(read(&made).unwrap_err().kind(), Kind::Corrupt, "cut short");
    let wrong = table(5);
    std::fs::write(wrong.root().join(name), &frame).unwrap();
    assert_eq!(read(&wrong).unwrap_err().kind(), Kind::Corrupt, "cardinality");
}

#[test]
fn files_carry_partition_statistics_and_rows() {
    let partitioned = with(add("p=x/a"), "add", "partitionValues", json!({"p": "x"}));
    let made = Made::new(&[vec![info(5), plain_protocol(), metadata(&["p"], &json!({"delta.targetFileSize": "64mb"})), partitioned]]);
    let version = made.load().unwrap();
    let files = block(all_files(&*version)).unwrap();
    assert_eq!((files[0].partition.display(), files[0].rows, files[0].size), ("p=x".into(), Some(5), Bytes(10)));
    let stats = files[0].stats.as_ref().unwrap();
    assert_eq!(stats.columns[&2].lower, Some(Value::Int(1)));
    let output = version.output(&files[0].partition, &crate::formats::OutputWishes::default()).unwrap();
    assert_eq!(output.directory.relative_to(&version.snapshot().location), Some("p=x"));
    assert_eq!(output.schema.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["n"]);
    assert_eq!((output.target_file_size, version.defaults().target_file_size), (Bytes::mib(64), Bytes::mib(64)));
    let snapshot = version.snapshot();
    assert_eq!((snapshot.version, snapshot.time.map(|t| t.0), snapshot.versions_kept), (Some(Version(0)), Some(5), Some(1)));
    assert_eq!(snapshot.protocol, "reader 1, writer 2");
}

#[test]
fn a_partition_value_that_is_missing_is_null_as_other_readers_take_it() {
    let made = Made::new(&[vec![plain_protocol(), metadata(&["p"], &json!({})), add("a")]]);
    let files: Vec<DataFile> = block(made.load().unwrap().files(false).try_collect()).unwrap();
    let values: Vec<_> = files[0].partition.fields.iter().map(|field| (field.name.as_str(), field.value.clone())).collect();
    assert_eq!(values, [("p", None)]);
}

#[test]
fn commits_that_a_coordinator_decides_are_not_guessed_at() {
    let coordinated = metadata(&[], &json!({"delta.coordinatedCommits.commitCoordinator-preview": "dynamodb"}));
    let made = Made::new(&[vec![plain_protocol(), coordinated, add("a")]]);
    assert_eq!(made.load().err().unwrap().kind(), Kind::Unsupported);
}

/// The log decides: other files in its folder may be damaged, stale or of another writer's mind.
#[test]
fn log_compactions_checksums_and_unknown_files_change_nothing() {
    let made = Made::new(&[start(), vec![remove("a")], vec![add("c")]]);
    let lie = format!("{}\n", add("lie"));
    for name in ["00000000000000000000.00000000000000000002.compacted.json", "00000000000000000002.crc", "00000000000000000003.json.tmp"] {
        for text in [lie.as_str(), "{\"numFiles\":77,", ""] {
            std::fs::write(made.log(name), text).unwrap();
            assert_eq!(made.paths(), ["b%20c", "c"], "{name}");
        }
    }
}
