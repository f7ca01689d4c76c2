//! `fsck` finds each kind of damage, and nothing where there is none. Tables of real engines are damaged in exactly one way each.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use otf::catalog;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::formats::Table;
use otf::formats::delta::DeltaTable;
use otf::location::Location;
use otf::model::Reach;
use otf::ops::fsck::{Options, Report, run};
use otf::units::Bytes;
use tokio::runtime::Handle;

use crate::support::damage::Damaged;
use crate::support::workbench::{over, runtime};

const NEWEST: Options = Options { deep: false, reach: Reach::Newest, limit: 100, memory: Bytes::mib(256) };
const DEEP: Options = Options { deep: true, ..NEWEST };
const EVERY: Options = Options { reach: Reach::EveryVersion, ..NEWEST };

fn check(damaged: &Damaged, options: &Options) -> Report {
    runtime().block_on(async {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (store, root) = (over(&memory), Location::parse(&damaged.root).unwrap());
        for (name, bytes) in &damaged.objects {
            store.put(&root.child(name), bytes.clone()).await.unwrap();
        }
        let settings = Settings { memory: Bytes::mib(256), threads: 1, runtime: Handle::current() };
        let engine = ParquetRewriter::new(store.clone(), settings).unwrap();
        let table: Box<dyn Table> = if damaged.objects.keys().any(|name| name.starts_with("_delta_log")) {
            Box::new(DeltaTable::new(store, root))
        } else {
            Box::new(catalog::path_table(&store, root))
        };
        run(table.as_ref(), &engine, options).await.unwrap()
    })
}

/// Codes with severities, each once.
fn codes(report: &Report) -> BTreeSet<String> {
    report.findings.iter().map(|finding| format!("{} {}", finding.severity.as_str(), finding.fault.code())).collect()
}

/// Exactly this finding comes of the damage, once or in several places, and the place ends with `place`.
#[track_caller]
fn only(damaged: &Damaged, options: &Options, expected: &str, place: &str) {
    let report = check(damaged, options);
    assert_eq!(codes(&report), [expected.to_string()].into(), "{:#?}", report.findings);
    assert!(report.findings[0].place.ends_with(place), "{:#?}", report.findings);
}

/// Pages have checksums: without a look at them this bit would be another number, and a compaction would make it permanent.
#[test]
fn a_bit_that_flipped_in_a_page_is_found() {
    let mut damaged = Damaged::fixture("iceberg_v2_posdeletes");
    let (name, bytes) = damaged.objects.iter_mut().find(|(name, _)| name.starts_with("data/00000-92-")).unwrap();
    let (name, mut flipped) = (name.clone(), bytes.to_vec());
    flipped[60] ^= 1;
    *bytes = flipped.into();
    only(&damaged, &DEEP, "error file-unreadable", &name);
}

#[test]
fn tables_of_real_engines_are_sound() {
    for fixture in [
        "delta_plain",
        "delta_dv",
        "delta_partitioned_odd_names",
        "delta_mapping_name",
        "delta_row_tracking",
        "delta_checkpoint",
        "iceberg_v1",
        "iceberg_v2_posdeletes",
        "iceberg_v3_dv",
    ] {
        for options in [NEWEST, DEEP, EVERY] {
            let report = check(&Damaged::fixture(fixture), &options);
            assert!(report.findings.is_empty() && report.is_sound(), "{fixture}: {:#?}", report.findings);
            assert!(report.checked.files >= 2 && report.checked.rows >= 30 && report.checked.metadata_files >= 2, "{fixture}");
        }
    }
}

#[test]
fn what_was_looked_at_is_counted() {
    let report = check(&Damaged::fixture("delta_dv"), &NEWEST);
    assert_eq!((report.checked.files, report.checked.rows, report.version.unwrap().0), (3, 60, 2));
}

mod data_files {
    use super::*;

    fn table() -> Damaged {
        Damaged::fixture("delta_plain")
    }

    /// A file that the newest version has, by its name's beginning.
    const FILE: &str = "part-00000-0a52a548-0747-4459-bea5-e1d176f925fd-c000.snappy.parquet";
    const COMMIT: &str = "_delta_log/00000000000000000001.json";
    const CHECKSUM: &str = "_delta_log/00000000000000000002.crc";

    #[test]
    fn a_missing_one() {
        let mut table = table();
        table.remove(FILE);
        only(&table, &NEWEST, "error file-missing", FILE);
    }

    #[test]
    fn one_without_a_footer() {
        let mut table = table();
        table.edit(FILE, |bytes| bytes.iter_mut().rev().take(4).for_each(|byte| *byte = b'x'));
        only(&table, &NEWEST, "error file-unreadable", FILE);
    }

    #[test]
    fn one_whose_pages_are_damaged_is_found_by_reading_rows() {
        let mut table = table();
        table.edit(FILE, |bytes| bytes[4..60].fill(0xff));
        assert!(check(&table, &NEWEST).findings.is_empty());
        only(&table, &DEEP, "error file-unreadable", FILE);
    }

    #[test]
    fn an_empty_one() {
        let mut table = table();
        table.edit(FILE, Vec::clear);
        let expected: BTreeSet<String> = ["error file-unreadable".into(), "error size-wrong".into()].into();
        assert_eq!(codes(&check(&table, &NEWEST)), expected);
    }

    #[test]
    fn another_size() {
        let mut table = table();
        table.replace(COMMIT, "\"size\":792", "\"size\":793");
        table.remove(CHECKSUM);
        only(&table, &NEWEST, "error size-wrong", FILE);
    }

    #[test]
    fn other_columns() {
        let mut table = table();
        table.replace(
            "_delta_log/00000000000000000000.json",
            r#"\"name\":\"v\",\"type\":\"string\""#,
            r#"\"name\":\"v\",\"type\":\"long\""#,
        );
        table.remove(CHECKSUM);
        only(&table, &NEWEST, "error schema-mismatch", ".parquet");
    }

    #[test]
    fn another_row_count() {
        let mut table = table();
        table.replace(COMMIT, r#"\"numRecords\":10,\"minValues\":{\"id\":2"#, r#"\"numRecords\":11,\"minValues\":{\"id\":2"#);
        only(&table, &NEWEST, "error count-wrong", FILE);
    }

    #[test]
    fn bounds_that_leave_out_values() {
        for (from, to) in
            [(r#"minValues\":{\"id\":2,"#, r#"minValues\":{\"id\":3,"#), (r#"maxValues\":{\"id\":29"#, r#"maxValues\":{\"id\":28"#)]
        {
            let mut table = table();
            table.replace(COMMIT, from, to);
            only(&table, &NEWEST, "error bounds-wrong", FILE);
            only(&table, &DEEP, "error bounds-wrong", FILE);
        }
    }

    #[test]
    fn wider_bounds_are_no_damage() {
        let mut table = table();
        table.replace(COMMIT, r#"minValues\":{\"id\":2,"#, r#"minValues\":{\"id\":-9,"#);
        assert!(check(&table, &DEEP).findings.is_empty());
    }

    #[test]
    fn bounds_that_a_footer_cannot_refute_are_refuted_by_rows() {
        let mut table = table();
        table.replace(COMMIT, r#"maxValues\":{\"id\":29,\"v\":\"v6\"}"#, r#"maxValues\":{\"id\":29,\"v\":\"v2\"}"#);
        only(&table, &DEEP, "error bounds-wrong", FILE);
    }

    #[test]
    fn null_counts_that_readers_skip_files_by() {
        let mut table = table();
        let first = r#"\"id\":29,\"v\":\"v6\"},\"nullCount\":{\"id\":"#;
        table.replace(COMMIT, &format!("{first}0"), &format!("{first}10"));
        only(&table, &NEWEST, "error null-count-wrong", FILE);
        table.replace(COMMIT, &format!("{first}10"), &format!("{first}3"));
        only(&table, &DEEP, "warning null-count-wrong", FILE);
    }

    #[test]
    fn nulls_in_a_required_column() {
        let table = Damaged::delta_of([Some(1), None, Some(3)], false, r#"{"numRecords":3}"#, None);
        only(&table, &NEWEST, "error required-null", "file.parquet");
        let table = Damaged::delta_of([Some(1), None, Some(3)], true, r#"{"numRecords":3,"nullCount":{"id":1}}"#, None);
        assert!(check(&table, &DEEP).findings.is_empty());
    }

    #[test]
    fn a_second_spelling_of_one() {
        let mut table = table();
        let again = format!(
            "\n{}\n",
            serde_json::json!({"add": {"path": FILE.replacen("part", "%70art", 1), "partitionValues": {}, "size": 792, "modificationTime": 0, "dataChange": true}})
        );
        table.append("_delta_log/00000000000000000002.json", &again);
        table.remove(CHECKSUM);
        only(&table, &NEWEST, "error duplicate-reference", FILE);
    }

    #[test]
    fn one_that_is_live_with_and_without_deletes() {
        let mut table = table();
        let vector = crate::support::delta_table::inline_vector(&[1]);
        let again = serde_json::json!({"add": {"path": FILE, "partitionValues": {}, "size": 792, "modificationTime": 0, "dataChange": true,
            "deletionVector": vector}});
        table.append("_delta_log/00000000000000000002.json", &format!("\n{again}\n"));
        table.remove(CHECKSUM);
        only(&table, &NEWEST, "error duplicate-reference", FILE);
    }

    #[test]
    fn one_that_two_manifest_entries_name() {
        let mut table = Damaged::fixture("iceberg_v2_posdeletes");
        table.entries("24896e91", |entries| {
            let mut again = entries[0].clone();
            let path = again.text(&["data_file", "file_path"]);
            again.set_text(&["data_file", "file_path"], &path.replacen("file:/tmp", "file:///tmp/../tmp", 1));
            assert_ne!(path, again.text(&["data_file", "file_path"]));
            entries.push(again);
        });
        only(&table, &NEWEST, "error duplicate-reference", ".parquet");
        assert_eq!(check(&table, &NEWEST).counts.error, 1);
    }
}

mod deletes {
    use super::*;

    #[test]
    fn a_vector_with_a_wrong_checksum() {
        let mut table = Damaged::fixture("delta_dv");
        table.edit("deletion_vector_d804bdf4-be65-4e50-bdfd-0408e80cf20d.bin", |bytes| bytes[20] ^= 1);
        only(&table, &NEWEST, "error deletes-wrong", ".parquet");
        let mut table = Damaged::fixture("iceberg_v3_dv");
        table.edit("data/00000-103-a652bc47-55ce-488a-a709-9c00676e4e22-00001-deletes.puffin", |bytes| bytes[20] ^= 1);
        only(&table, &NEWEST, "error deletes-wrong", ".parquet");
    }

    #[test]
    fn a_vector_of_another_cardinality() {
        let mut table = Damaged::fixture("delta_dv");
        table.replace("_delta_log/00000000000000000002.json", "\"cardinality\":6", "\"cardinality\":7");
        table.remove("_delta_log/00000000000000000002.crc");
        only(&table, &NEWEST, "error deletes-wrong", "part-00002-ecde4fac-6614-4801-8b1b-570fbdca642d-c000.snappy.parquet");
    }

    #[test]
    fn a_vector_that_is_not_there() {
        let mut table = Damaged::fixture("delta_dv");
        table.remove("deletion_vector_d804bdf4-be65-4e50-bdfd-0408e80cf20d.bin");
        only(&table, &NEWEST, "error deletes-wrong", ".parquet");
    }

    #[test]
    fn a_vector_behind_the_last_row_of_a_file_without_a_count() {
        let table = Damaged::delta_of([Some(1), Some(2), Some(3)], true, "{}", Some(&[1, 3]));
        only(&table, &NEWEST, "error positions-beyond-file", "file.parquet");
        let table = Damaged::delta_of([Some(1), Some(2), Some(3)], true, "{}", Some(&[1, 2]));
        assert!(check(&table, &DEEP).findings.is_empty());
    }

    fn table() -> Damaged {
        Damaged::fixture("iceberg_v2_posdeletes")
    }

    const DELETES: &str = "data/00000-96-3cb1d000-941a-4a4f-bddb-60d0c5f3eb5b-00001-deletes.parquet";

    #[test]
    fn a_delete_file_that_is_not_there() {
        let mut table = table();
        table.remove(DELETES);
        only(&table, &NEWEST, "error file-missing", DELETES);
    }

    #[test]
    fn a_delete_file_that_cannot_be_read() {
        let mut table = table();
        table.edit(DELETES, |bytes| bytes.iter_mut().rev().take(4).for_each(|byte| *byte = b'x'));
        only(&table, &NEWEST, "error deletes-wrong", DELETES);
    }

    #[test]
    fn a_delete_file_of_another_size_or_count() {
        let mut other = table();
        other.entries("05dfd933", |entries| entries[0].add_long(&["data_file", "file_size_in_bytes"], 1));
        only(&other, &NEWEST, "error size-wrong", "-deletes.parquet");
        let mut other = table();
        other.entries("05dfd933", |entries| entries[0].add_long(&["data_file", "record_count"], 1));
        only(&other, &NEWEST, "error count-wrong", "-deletes.parquet");
    }

    #[test]
    fn deletes_of_a_file_that_is_gone() {
        let mut table = table();
        table.entries("24896e91", |entries| drop(entries.remove(0)));
        only(&table, &NEWEST, "warning deletes-dangling", "-deletes.parquet");
        let mut table = Damaged::fixture("iceberg_v3_dv");
        table.entries("9e85970e", |entries| drop(entries.remove(0)));
        let report = check(&table, &NEWEST);
        assert_eq!(codes(&report), ["warning deletes-dangling".to_string()].into(), "{:#?}", report.findings);
        assert_eq!(report.counts.warning, 1);
        assert!(report.findings[0].place.contains(".puffin#"));
    }

    #[test]
    fn positions_behind_the_last_row() {
        let mut table = table();
        table.lengthen_deletes(DELETES, "05dfd933", 1000);
        only(&table, &NEWEST, "warning positions-beyond-file", DELETES);
    }
}

mod iceberg {
    use serde_json::json;

    use super::*;

    const METADATA: &str = "metadata/v3.metadata.json";
    const FIRST_LIST: &str = "metadata/snap-4452237259399626807-1-24896e91-068d-4cd5-a35e-05d5699e955f.avro";
    const CURRENT_LIST: &str = "metadata/snap-6165790934812151375-1-05dfd933-e2e1-4aa1-bf6f-6ba4fc1a0114.avro";
    const MANIFEST: &str = "metadata/24896e91-068d-4cd5-a35e-05d5699e955f-m0.avro";

    fn table() -> Damaged {
        Damaged::fixture("iceberg_v2_posdeletes")
    }

    #[test]
    fn refs_to_nowhere() {
        let mut broken = table();
        broken.document(METADATA, |doc| doc["refs"]["dev"] = json!({"snapshot-id": 1, "type": "branch"}));
        only(&broken, &NEWEST, "error ref-broken", METADATA);
        let mut broken = table();
        broken.document(METADATA, |doc| doc["refs"]["main"]["snapshot-id"] = json!(4_452_237_259_399_626_807_i64));
        only(&broken, &NEWEST, "error ref-broken", METADATA);
    }

    #[test]
    fn logs_and_counters_that_are_behind() {
        let mut behind = table();
        behind.document(METADATA, |doc| drop(doc["snapshot-log"].as_array_mut().unwrap().pop()));
        only(&behind, &NEWEST, "warning history-broken", METADATA);
        let mut behind = table();
        behind.document(METADATA, |doc| doc["last-sequence-number"] = json!(1));
        only(&behind, &NEWEST, "error history-broken", METADATA);
        let mut behind = table();
        behind.document(METADATA, |doc| doc["last-column-id"] = json!(1));
        only(&behind, &NEWEST, "error history-broken", METADATA);
        let mut behind = Damaged::fixture("iceberg_v3_dv");
        behind.document(METADATA, |doc| doc["next-row-id"] = json!(59));
        only(&behind, &NEWEST, "error history-broken", METADATA);
        let mut gone = table();
        gone.remove("metadata/v1.metadata.json");
        only(&gone, &NEWEST, "warning history-broken", METADATA);
    }

    #[test]
    fn manifests_that_are_not_there_or_no_manifests() {
        let mut damaged = table();
        damaged.remove(MANIFEST);
        only(&damaged, &NEWEST, "error manifest-missing", MANIFEST);
        let mut damaged = table();
        damaged.remove(CURRENT_LIST);
        only(&damaged, &NEWEST, "error manifest-missing", CURRENT_LIST);
        for file in [MANIFEST, CURRENT_LIST] {
            let mut damaged = table();
            damaged.edit(file, |bytes| bytes[0] = b'X');
            only(&damaged, &NEWEST, "error manifest-unreadable", file);
        }
    }

    #[test]
    fn a_list_with_other_counts_or_lengths() {
        let mut wrong = table();
        wrong.list(CURRENT_LIST, |records| records[0].add_int(&["added_files_count", "added_data_files_count"], 5));
        only(&wrong, &NEWEST, "warning manifest-count-wrong", "-m0.avro");
        let mut wrong = table();
        wrong.list(CURRENT_LIST, |records| records[0].add_long(&["manifest_length"], 1));
        only(&wrong, &NEWEST, "error size-wrong", "-m0.avro");
    }

    #[test]
    fn a_list_that_hides_live_files() {
        let mut wrong = table();
        wrong.list(FIRST_LIST, |_| {});
        wrong.list(CURRENT_LIST, |records| {
            for record in records.iter_mut().filter(|record| record.text(&["manifest_path"]).contains("24896e91")) {
                record.set_int(&["added_files_count", "added_data_files_count"], 0);
                record.set_int(&["existing_files_count", "existing_data_files_count"], 0);
            }
        });
        let report = check(&wrong, &NEWEST);
        assert!(codes(&report).contains("error manifest-count-wrong"), "{:#?}", report.findings);
    }

    #[test]
    fn a_summary_with_other_totals() {
        for key in ["total-records", "total-data-files", "total-files-size", "total-delete-files", "total-position-deletes"] {
            let mut wrong = table();
            wrong.document(METADATA, |doc| doc["snapshots"][1]["summary"][key] = json!("7"));
            only(&wrong, &NEWEST, "warning summary-wrong", METADATA);
        }
    }

    #[test]
    fn statistics_that_are_not_there() {
        let mut wrong = table();
        let place = format!("{}/metadata/none.stats", wrong.root);
        wrong.document(METADATA, |doc| {
            doc["statistics"] = json!([{"snapshot-id": 6_165_790_934_812_151_375_i64, "statistics-path": place}]);
        });
        only(&wrong, &NEWEST, "warning statistics-missing", "none.stats");
    }

    #[test]
    fn older_versions_are_checked_where_every_version_is_asked_for() {
        let mut wrong = table();
        wrong.remove(FIRST_LIST);
        assert!(check(&wrong, &NEWEST).findings.is_empty());
        only(&wrong, &EVERY, "warning version-unreadable", FIRST_LIST);
        wrong.document(METADATA, |doc| doc["refs"]["old"] = json!({"snapshot-id": 4_452_237_259_399_626_807_i64, "type": "tag"}));
        only(&wrong, &NEWEST, "error manifest-missing", FIRST_LIST);
    }

    #[test]
    fn hints_that_are_behind_or_lead_nowhere() {
        for hint in ["2", "99", "nonsense"] {
            let mut stale = table();
            stale.edit("metadata/version-hint.text", |bytes| *bytes = hint.as_bytes().to_vec());
            only(&stale, &NEWEST, "warning hint-stale", "version-hint.text");
        }
    }

    #[test]
    fn newer_metadata_after_a_gap() {
        let mut wrong = table();
        let bytes = wrong.objects[METADATA].clone();
        wrong.objects.insert("metadata/v5.metadata.json".into(), bytes);
        only(&wrong, &NEWEST, "error metadata-gap", METADATA);
    }

    #[test]
    fn metadata_that_cannot_be_read() {
        let mut wrong = table();
        wrong.edit(METADATA, |bytes| bytes.truncate(100));
        let report = check(&wrong, &NEWEST);
        assert_eq!((codes(&report), report.version), (["error table-unreadable".to_string()].into(), None));
    }
}

mod delta {
    use super::*;

    fn table() -> Damaged {
        Damaged::fixture("delta_checkpoint")
    }

    const LOG: &str = "_delta_log";
    const CHECKPOINT: &str = "_delta_log/00000000000000000002.checkpoint.parquet";

    #[test]
    fn a_gap_in_the_log() {
        let mut gap = table();
        gap.remove("_delta_log/00000000000000000001.json");
        only(&gap, &NEWEST, "warning log-gap", LOG);
    }

    #[test]
    fn a_commit_that_cannot_be_read() {
        let mut wrong = table();
        wrong.edit("_delta_log/00000000000000000003.json", |bytes| bytes.truncate(40));
        let report = check(&wrong, &NEWEST);
        assert_eq!((codes(&report), report.version), (["error table-unreadable".to_string()].into(), None));
        let mut wrong = table();
        wrong.edit("_delta_log/00000000000000000000.json", |bytes| bytes.truncate(40));
        only(&wrong, &NEWEST, "warning version-unreadable", "00000000000000000000.json");
    }

    #[test]
    fn a_checkpoint_that_cannot_be_read() {
        let mut wrong = table();
        wrong.edit(CHECKPOINT, |bytes| bytes.truncate(100));
        only(&wrong, &NEWEST, "error checkpoint-unreadable", CHECKPOINT);
    }

    #[test]
    fn a_checkpoint_without_all_its_parts() {
        let mut wrong = table();
        let bytes = wrong.objects[CHECKPOINT].clone();
        wrong.objects.insert("_delta_log/00000000000000000001.checkpoint.0000000001.0000000002.parquet".into(), bytes);
        only(&wrong, &NEWEST, "warning checkpoint-incomplete", LOG);
    }

    #[test]
    fn a_checkpoint_of_another_state() {
        let mut wrong = table();
        let add = r#"{"add":{"path":"x.parquet","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true}}"#;
        wrong.append("_delta_log/00000000000000000001.json", &format!("\n{add}\n"));
        only(&wrong, &NEWEST, "error checkpoint-wrong", CHECKPOINT);
    }

    #[test]
    fn a_checksum_of_another_state() {
        let file = "_delta_log/00000000000000000003.crc";
        for (from, to) in [("\"numFiles\":9", "\"numFiles\":8"), ("\"tableSizeBytes\":", "\"tableSizeBytes\":1"), ("{", "[")] {
            let mut wrong = table();
            wrong.replace(file, from, to);
            only(&wrong, &NEWEST, "error checksum-wrong", file);
        }
    }

    #[test]
    fn a_hint_without_a_checkpoint() {
        let file = "_delta_log/_last_checkpoint";
        for hint in [r#"{"version":1,"size":3}"#, "{"] {
            let mut wrong = table();
            wrong.edit(file, |bytes| *bytes = hint.as_bytes().to_vec());
            only(&wrong, &NEWEST, "warning hint-stale", file);
        }
    }
}
