//! Cases of Iceberg's own suites for orphan files, by their numbers in `docs/tests/peer-suites.md`. Those that other tests hold are named there.

use serde_json::json;

use crate::cli::{document, otf, status};
use crate::support::golden::copy;
use crate::support::orphans::{Bed, defaults, document as metadata, place};
use crate::support::timeline::{ROOT, Timeline};
use crate::support::workbench::runtime;

#[test]
fn iceberg_suite_97_files_of_a_staged_snapshot_stay() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 30);
        let staged = timeline.append(Some(first), 20);
        timeline.snapshots.get_mut(&staged).unwrap().summary = json!({"operation": "append", "wap.id": "w"});
        timeline.name("main", first, true);
        let bed = Bed::on(&timeline.lay_out().await, place(ROOT));
        bed.plant("data/stray", 10).await;
        bed.deletes(&defaults(), &["data/stray"]).await;
        let now = bed.keys().await;
        assert!(timeline.reach(&[staged]).iter().all(|key| now.contains(&bed.key(key))));
    });
}

#[test]
fn iceberg_suite_98_data_beside_the_data_folder_is_searched_and_metadata_stays() {
    runtime().block_on(async {
        let bed = Bed::naming("/w/t", &["/w/t/p=1/live", "/w/t/metadata/live.stats"], &json!({})).await;
        for below in ["p=1/live", "p=1/stray", "metadata/live.stats"] {
            bed.plant(below, 10).await;
        }
        bed.deletes(&defaults(), &["p=1/stray"]).await;
        assert!(bed.keys().await.contains("w/t/metadata/v1.metadata.json"));
    });
}

/// Whatever a relative place is relative to: it is that of the table which was opened.
#[test]
fn iceberg_suite_102_a_table_that_calls_its_place_relative_keeps_its_files() {
    runtime().block_on(async {
        for called in ["w/t", "./w//t/", "t", "."] {
            let bed = Bed::naming("/w/t", &[], &json!({})).await;
            let relative = metadata(called, &[&format!("{called}/data/live")], &json!({}));
            bed.put(&bed.key("metadata/v1.metadata.json"), relative.to_string().into_bytes()).await;
            for below in ["data/live", "data/stray"] {
                bed.plant(below, 10).await;
            }
            bed.deletes(&defaults(), &["data/stray"]).await;
        }
    });
}

#[test]
fn iceberg_suite_111_short_retentions_ages_that_are_none_and_unknown_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &folder.path().join("t"));
    for (words, expected, kind) in [
        (&["t", "--older-than", "23h"][..], 4, "refused"),
        (&["t", "--older-than", "soon"], 2, "usage"),
        (&["t", "--older-than", "7"], 2, "usage"),
        (&["./nothing"], 3, "not-found"),
    ] {
        let output = otf(folder.path(), &[&["orphans"], words, &["--yes", "--output", "json"]].concat());
        assert_eq!((status(&output), &document(&output)["error"]["kind"]), (expected, &json!(kind)), "{words:?}");
    }
}
