//! Incidents of tools that delete unreferenced files, by name: each deleted live data, or left rubbish for ever. Those that need a writer beside
//! them, a Delta log or the command line are in `incidents_vacuum.rs`, those of expiry in `incidents_expire.rs`.

use otf::error::Kind;
use otf::ops::orphans::plan::{OnMismatch, Why};
use otf::ops::orphans::{Options, Treated};
use serde_json::{Value as Json, json};

use crate::support::orphans::{Bed, defaults, document, place, stay};
use crate::support::rivals::{self, Deed};
use crate::support::workbench::{Original, objects, runtime};

const FIXTURES: [&str; 2] = ["iceberg_v2_posdeletes", "iceberg_v3_dv"];

async fn iceberg(fixture: &str) -> Bed {
    Bed::of(&Original::iceberg(fixture).await, false).await
}

fn pair(one: &str, other: &str) -> Vec<(String, String)> {
    vec![(one.to_string(), other.to_string())]
}

#[test]
fn every_file_of_every_kept_snapshot_stays_and_old_strays_go() {
    runtime().block_on(async {
        for fixture in FIXTURES {
            let original = Original::iceberg(fixture).await;
            let bed = Bed::of(&original, false).await;
            for (below, days) in [("data/stray.parquet", 10), ("data/young.parquet", 2), ("metadata/stray-m0.avro", 10), ("stray", 4)] {
                bed.plant(below, days).await;
            }
            let done = bed.deletes(&defaults(), &["data/stray.parquet", "metadata/stray-m0.avro", "stray"]).await;
            assert_eq!((done.outcome.as_str(), done.report.bytes_freed.0, stay(&done, Why::Young)), ("landed", 21, 1), "{fixture}");
            assert_eq!(original.read(&bed.memory).await, original.rows, "{fixture}");
        }
    });
}

/// iceberg #4194, #4346: the same object under `s3a://` looked unreferenced in a listing of `s3://`.
#[test]
fn orphan_scheme() {
    runtime().block_on(async {
        let held = ["s3a://b/w/t/data/a", "s3n://b/w/t/data/b", "S3://b//w/t/./data/c", "s3://b/w/t/data/d"];
        let bed = Bed::naming("s3://b/w/t", &held, &json!({})).await;
        for name in ["a", "b", "c", "d", "e"] {
            bed.plant(&format!("data/{name}"), 10).await;
        }
        bed.deletes(&defaults(), &["data/e"]).await;
        let local = Bed::naming("/w/t", &["file:/w/t/a", "file:///w/t/b", "file://localhost/w/t/c", "/w//t/d"], &json!({})).await;
        for name in ["a", "b", "c", "d", "e"] {
            local.plant(name, 10).await;
        }
        local.deletes(&defaults(), &["e"]).await;
    });
}

/// iceberg PR #4652: authorities that differ are an error by default, and what they mean is the user's to say.
#[test]
fn orphan_scheme_by_authority_and_mode() {
    runtime().block_on(async {
        let held = ["hdfs://nn:8020/w/t/a", "hdfs:///w/t/b", "viewfs://nn/w/t/c"];
        let bed = || async {
            let bed = Bed::naming("hdfs://nn/w/t", &held, &json!({})).await;
            for name in ["a", "b", "c", "e"] {
                bed.plant(name, 10).await;
            }
            bed
        };
        let table = bed().await;
        let before = table.keys().await;
        let error = table.run(&defaults()).await.unwrap_err();
        assert_eq!((error.kind(), table.keys().await == before), (Kind::Refused, true));
        let refused = error.to_string();
        assert!(refused.contains("hdfs://nn:8020") || refused.contains("viewfs://nn"), "{refused}");
        assert!(error.next_step().contains("--equal-authority"));

        let ignore = Options { on_mismatch: OnMismatch::Ignore, ..defaults() };
        let done = bed().await.deletes(&ignore, &["e"]).await;
        assert_eq!(stay(&done, Why::PrefixMismatch), 2);
        let mut equal = defaults();
        (equal.equal.schemes, equal.equal.authorities) = (pair("viewfs", "hdfs"), pair("nn:8020", "nn"));
        bed().await.deletes(&equal, &["e"]).await;
        // A place without an authority means whichever there is: `b` stays even so.
        bed().await.deletes(&Options { on_mismatch: OnMismatch::Delete, ..defaults() }, &["a", "c", "e"]).await;
    });
}

/// amoro #1981: the reverse of orphan-scheme: files listed as `s3a` were never found.
#[test]
fn orphan_never() {
    runtime().block_on(async {
        let bed = Bed::naming("s3a://b/w/t", &["s3://b/w/t/data/a"], &json!({})).await;
        bed.plant("data/a", 10).await;
        bed.plant("data/e", 10).await;
        bed.deletes(&defaults(), &["data/e"]).await;
    });
}

/// delta PR #5002, ClickHouse #103509, trino PR #30952: names compared as texts, encoded on one side only.
#[test]
fn orphan_encoding() {
    runtime().block_on(async {
        let values = ["a b", "a%20b", "50%", "x+y", "k#1", "t=10:00", "ü", "u\u{308}", "😀", "%25", "a?b&c", "a/b", "a%2Fb"];
        let held: Vec<String> = values.iter().map(|value| format!("s3://b/w/t/data/p={value}/live.parquet")).collect();
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let bed = Bed::naming("s3://b/w/t", &held, &json!({})).await;
        let mut strays = Vec::new();
        for value in values {
            bed.plant(&format!("data/p={value}/live.parquet"), 10).await;
            strays.push(format!("data/p={value}/stray.parquet"));
            bed.plant(strays.last().unwrap(), 10).await;
        }
        // Other spellings of live names: another object perhaps, perhaps not. They stay, and the report says so.
        for doubtful in
            ["data/p=a%2520b/live.parquet", "data/p=%C3%BC/live.parquet", "data/p=k%231/live.parquet", "data/p=t%3D10%3A00/live.parquet"]
        {
            bed.plant(doubtful, 10).await;
        }
        let strays: Vec<&str> = strays.iter().map(String::as_str).collect();
        let done = bed.deletes(&defaults(), &strays).await;
        assert_eq!(stay(&done, Why::Spelling), 4);
    });
}

/// amoro #1959, trino PR #19965: statistics and deletion vectors in Puffin files.
#[test]
fn orphan_stats() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v3_dv").await;
        let bed = Bed::of(&original, false).await;
        let name = "metadata/v3.metadata.json";
        let mut doc: Json = serde_json::from_slice(&original.objects[name]).unwrap();
        let home = format!("file:{}", "/".to_string() + original.root.path());
        doc["statistics"] = json!([{"snapshot-id": 1, "statistics-path": format!("{home}/metadata/s.stats"), "file-size-in-bytes": 7,
            "file-footer-size-in-bytes": 1, "blob-metadata": []}]);
        doc["partition-statistics"] =
            json!([{"snapshot-id": 1, "statistics-path": format!("{home}/metadata/p.parquet"), "file-size-in-bytes": 7}]);
        bed.put(&bed.key(name), doc.to_string().into_bytes()).await;
        for below in ["metadata/s.stats", "metadata/p.parquet", "metadata/old.stats", "data/stray.puffin"] {
            bed.plant(below, 10).await;
        }
        bed.deletes(&defaults(), &["metadata/old.stats", "data/stray.puffin"]).await;
        assert_eq!(original.read(&bed.memory).await, original.rows);
        // Once nothing registers them, they go too.
        (doc["statistics"], doc["partition-statistics"]) = (json!([]), json!([]));
        bed.put(&bed.key(name), doc.to_string().into_bytes()).await;
        bed.deletes(&defaults(), &["metadata/s.stats", "metadata/p.parquet"]).await;
    });
}

/// amoro #2925: the age was ignored, or unknown.
#[test]
fn orphan_uncommitted() {
    runtime().block_on(async {
        let bed = iceberg("iceberg_v2_posdeletes").await;
        bed.plant("data/in-flight.parquet", 2).await;
        bed.plant("data/of-a-clock-ahead.parquet", -1).await;
        bed.plant("data/old.parquet", 10).await;
        bed.plant("data/of-no-age.parquet", 0).await;
        bed.aged.set(&bed.key("data/of-no-age.parquet"), 0);
        let done = bed.deletes(&defaults(), &["data/old.parquet"]).await;
        assert_eq!([Why::Young, Why::Future, Why::UnknownAge].map(|why| stay(&done, why)), [1, 1, 1]);
    });
}

/// ClickHouse #114194: a stale hint made what was committed look unreferenced.
#[test]
fn orphan_hint() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        for hint in ["1", "2", "99", ""] {
            let bed = Bed::of(&original, false).await;
            bed.put(&bed.key("metadata/version-hint.text"), hint.as_bytes().to_vec()).await;
            bed.plant("data/stray", 10).await;
            bed.deletes(&defaults(), &["data/stray"]).await;
            assert_eq!(original.read(&bed.memory).await, original.rows, "{hint}");
        }
        // A version is missing: the hint cannot lead to the newest one, whose files stay all the same.
        let bed = Bed::of(&original, false).await;
        bed.put(&bed.key("metadata/version-hint.text"), b"1".to_vec()).await;
        original.remove(&bed.memory, "metadata/v2.metadata.json").await;
        bed.plant("data/stray", 10).await;
        bed.deletes(&defaults(), &["data/stray"]).await;
        bed.put(&bed.key("metadata/version-hint.text"), b"3".to_vec()).await;
        assert_eq!(original.read(&bed.memory).await, original.rows);
    });
}

#[test]
fn metadata_that_follows_the_current_one_and_cannot_be_read_stops_everything() {
    runtime().block_on(async {
        let bed = iceberg("iceberg_v2_posdeletes").await;
        bed.plant("metadata/v5.metadata.json", 10).await;
        bed.plant("data/stray", 10).await;
        let before = bed.keys().await;
        let error = bed.run(&defaults()).await.unwrap_err();
        assert_eq!((error.kind(), bed.keys().await == before), (Kind::Corrupt, true));
        assert!(error.to_string().contains("v5.metadata.json"), "{error}");
    });
}

/// iceberg #8994: `older_than = now` was accepted.
#[test]
fn orphan_now() {
    runtime().block_on(async {
        let bed = iceberg("iceberg_v2_posdeletes").await;
        bed.plant("data/just-written", 0).await;
        let hasty = Options { older_than_ms: 86_399_999, ..defaults() };
        let error = bed.run(&hasty).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.next_step().contains("--unsafe-retention"));
        let done = bed.run(&Options { older_than_ms: 86_400_000, ..defaults() }).await.unwrap();
        assert_eq!((done.report.found, stay(&done, Why::Young)), (0, 1));
        bed.plant("data/hours-old", 0).await;
        bed.aged.set(&bed.key("data/hours-old"), crate::support::NOON - 7_200_000);
        bed.deletes(&Options { older_than_ms: 3_600_000, unsafe_retention: true, ..defaults() }, &["data/hours-old"]).await;
    });
}

/// iceberg #8022: listers with limits of depth and width.
#[test]
fn orphan_depth() {
    runtime().block_on(async {
        let deep = |name: &str| format!("data/{}{name}", "d/".repeat(3000));
        let live: Vec<String> = (0..2000).map(|n| format!("data/p={n}/live")).chain([deep("live")]).collect();
        let held: Vec<String> = live.iter().map(|below| format!("s3://b/w/t/{below}")).collect();
        let bed = Bed::naming("s3://b/w/t", &held.iter().map(String::as_str).collect::<Vec<_>>(), &json!({})).await;
        for below in &live {
            bed.plant(below, 10).await;
        }
        let mut strays = vec![deep("stray")];
        strays.extend((0..2000).map(|n| format!("data/p={n}/stray")));
        for stray in &strays {
            bed.plant(stray, 10).await;
        }
        let strays: Vec<&str> = strays.iter().map(String::as_str).collect();
        bed.deletes(&Options { shown: 5000, ..defaults() }, &strays).await;
    });
}

/// iceberg #3212: tables under one root, one prefix, or one data folder.
#[test]
fn orphan_shared() {
    runtime().block_on(async {
        // A neighbour whose name begins alike, one inside, and one that lies in a folder of this table and keeps files beside it.
        let bed = Bed::naming("s3://b/w/t", &["s3://b/w/t/data/a"], &json!({})).await;
        let inner = document("s3://b/w/t/inner", &["s3://b/w/t/inner/data/i", "s3://b/w/t/data/of-inner"], &json!({}));
        bed.put(&bed.key("inner/metadata/v1.metadata.json"), inner.to_string().into_bytes()).await;
        for below in ["data/a", "data/of-inner", "data/stray", "inner/data/i", "inner/data/stray-of-inner"] {
            bed.plant(below, 10).await;
        }
        bed.plant_at("w/t_2/data/f", 10).await;
        bed.plant_at("w/t-next-door/data/f", 10).await;
        let done = bed.deletes(&defaults(), &["data/stray"]).await;
        assert_eq!(stay(&done, Why::OtherTable), 1);
        assert_eq!((done.plan.tables[0].location.as_str(), done.plan.tables[0].treated), ("s3://b/w/t/inner", Treated::Held));
        // Searching below it finds the inner table too, though its metadata is not listed then.
        let within = Options { location: Some(place("s3://b/w/t/inner/data")), ..defaults() };
        assert_eq!(bed.run(&within).await.unwrap().report.found, 0);
        // The inner table itself may be cleaned, and needs nothing of the outer one's.
        let error = bed.run(&Options { location: Some(place("s3://b/w/t_2")), ..defaults() }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
    });
}

#[test]
fn orphan_shared_with_a_table_that_cannot_be_read() {
    runtime().block_on(async {
        let bed = iceberg("iceberg_v2_posdeletes").await;
        for below in ["hudi/.hoodie/hoodie.properties", "hudi/f.parquet", "broken/metadata/v1.metadata.json", "broken/f", "stray"] {
            bed.plant(below, 10).await;
        }
        let done = bed.deletes(&defaults(), &["stray"]).await;
        assert!(done.plan.tables.iter().all(|met| met.treated == Treated::LeftAlone && met.error.is_some()), "{:?}", done.plan.tables);
        assert_eq!(done.plan.tables.len(), 2);
        // Over the very same files there is no folder that could be left alone: nothing is deleted.
        bed.plant(".hoodie/hoodie.properties", 10).await;
        bed.plant("another", 10).await;
        let error = bed.run(&defaults()).await.unwrap_err();
        assert_eq!((error.kind(), error.context()[0].1.as_str()), (Kind::Refused, "hudi"));
    });
}

/// Two tables of two catalogs in one folder, or one that was made again where another was dropped.
#[test]
fn orphan_shared_metadata_folder() {
    runtime().block_on(async {
        let bed = Bed::naming("/w/t", &["/w/t/data/mine"], &json!({})).await;
        let mine = document("/w/t", &["/w/t/data/mine"], &json!({}));
        for n in [2, 5] {
            bed.put(&bed.key(&format!("metadata/v{n}.metadata.json")), mine.to_string().into_bytes()).await;
        }
        let mut other = document("/w/t", &["/w/t/data/of-other"], &json!({}));
        other["table-uuid"] = "00000000-0000-4000-8000-000000000002".into();
        bed.put(&bed.key("metadata/00003-0a.metadata.json"), other.to_string().into_bytes()).await;
        let mut earlier = other.clone();
        earlier["statistics"] = json!([]);
        bed.put(&bed.key("metadata/00002-0b.metadata.json"), earlier.to_string().into_bytes()).await;
        for below in ["data/mine", "data/of-other", "data/stray"] {
            bed.plant(below, 10).await;
        }
        bed.deletes(&defaults(), &["data/stray", "metadata/v1.metadata.json", "metadata/v2.metadata.json"]).await;
    });
}

#[test]
fn orphan_shared_with_a_table_that_it_lies_in() {
    runtime().block_on(async {
        let bed = Bed::naming("s3://b/w/t/inner", &[], &json!({})).await;
        let outer = document("s3://b/w/t", &["s3://b/w/t/inner/data/of-outer"], &json!({}));
        bed.put("w/t/metadata/v1.metadata.json", outer.to_string().into_bytes()).await;
        bed.plant("data/of-outer", 10).await;
        bed.plant("data/stray", 10).await;
        bed.deletes(&defaults(), &["data/stray"]).await;
    });
}

#[test]
fn orphan_shared_data_folders_are_searched_only_by_name() {
    runtime().block_on(async {
        let properties = json!({"write.data.path": "s3://b/shared"});
        let bed = Bed::naming("s3://b/w/t", &["s3://b/shared/live"], &properties).await;
        bed.plant_at("shared/live", 10).await;
        bed.plant_at("shared/stray", 10).await;
        let looked = bed.look(&defaults()).await.unwrap();
        assert_eq!((looked.found, looked.not_searched[0].location.as_str()), (0, "s3://b/shared"));
        let named = Options { location: Some(place("s3a://b/shared/")), ..defaults() };
        bed.deletes_at(&named, &["shared/stray".to_string()]).await;
    });
}

/// trino: only names of files were compared.
#[test]
fn orphan_name_only() {
    runtime().block_on(async {
        let bed = Bed::naming("/w/t", &["/w/t/data/p=1/f"], &json!({})).await;
        bed.plant("data/p=1/f", 10).await;
        bed.plant("data/p=2/f", 10).await;
        bed.deletes(&defaults(), &["data/p=2/f"]).await;
    });
}

/// ClickHouse PR #120306, iceberg #13300.
#[test]
fn gc_disabled() {
    runtime().block_on(async {
        for value in ["false", "FALSE"] {
            let bed = Bed::naming("/w/t", &[], &json!({"gc.enabled": value})).await;
            bed.plant("stray", 10).await;
            let error = bed.look(&defaults()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.to_string().contains("gc.enabled"), "{error}");
            assert!(bed.run(&defaults()).await.is_err());
        }
    });
}

/// Iceberg suite 99: metadata files that fell off the log go, those in it stay, and so does the hint.
#[test]
fn metadata_files_stay_while_the_log_names_them() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let bed = Bed::of(&original, false).await;
        assert_eq!(bed.run(&defaults()).await.unwrap().report.found, 0);
        let name = "metadata/v3.metadata.json";
        let mut doc: Json = serde_json::from_slice(&original.objects[name]).unwrap();
        doc["metadata-log"].as_array_mut().unwrap().remove(0);
        bed.put(&bed.key(name), doc.to_string().into_bytes()).await;
        bed.deletes(&defaults(), &["metadata/v1.metadata.json"]).await;
    });
}

/// Iceberg suite 101: partition columns whose names begin with `_`.
#[test]
fn folders_of_hidden_looking_partitions_are_searched() {
    runtime().block_on(async {
        let bed = Bed::naming("/w/t", &["/w/t/data/_c=1/live"], &json!({})).await;
        for below in
            ["data/_c=1/live", "data/_c=1/stray", "data/_c=2/stray", "data/_d=1/kept", "data/_temporary/0/kept", "data/.hive-staging/kept"]
        {
            bed.plant(below, 10).await;
        }
        let done = bed.deletes(&defaults(), &["data/_c=1/stray", "data/_c=2/stray"]).await;
        assert_eq!(stay(&done, Why::Hidden), 3);
    });
}

/// Iceberg suite 110: without every manifest nothing can be said.
#[test]
fn a_missing_manifest_is_named_and_nothing_is_deleted() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        for name in original.objects.keys().filter(|name| name.ends_with(".avro")) {
            let bed = Bed::of(&original, false).await;
            bed.plant("data/stray", 10).await;
            original.remove(&bed.memory, name).await;
            let before = bed.keys().await;
            let error = bed.run(&defaults()).await.unwrap_err();
            assert!(format!("{error:?}").contains(name.as_str()), "{error:?}");
            assert_eq!(bed.keys().await, before, "{name}");
        }
    });
}

/// Iceberg suite 96: snapshots that are not current keep their files.
#[test]
fn overwritten_files_stay_while_a_snapshot_lists_them() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let bed = Bed::of(&original, false).await;
        for deed in [Deed::Append, Deed::Overwrite, Deed::Append, Deed::RemoveFile] {
            rivals::commit(&original, &bed.memory, deed).await;
        }
        let named = original.named(&objects(&bed.memory, &original.root).await).await;
        bed.plant("data/stray", 10).await;
        bed.deletes(&defaults(), &["data/stray"]).await;
        let now: std::collections::BTreeSet<String> = objects(&bed.memory, &original.root).await.into_keys().collect();
        assert_eq!(now, named);
    });
}

#[test]
fn a_copy_whose_metadata_names_the_original_is_refused() {
    runtime().block_on(async {
        let bed = Bed::naming("/w/t", &[], &json!({})).await;
        let original = document("/w/original", &["/w/original/data/a"], &json!({}));
        bed.put(&bed.key("metadata/v1.metadata.json"), original.to_string().into_bytes()).await;
        bed.plant("data/a", 10).await;
        let error = bed.run(&defaults()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(bed.keys().await.contains("w/t/data/a"));
    });
}

async fn delta(fixture: &str) -> (Original, Bed) {
    let original = Original::delta_fixture(fixture).await;
    let bed = Bed::of(&original, true).await;
    (original, bed)
}

/// delta-rs: a full vacuum built the live set from data paths alone.
#[test]
fn vacuum_dv() {
    runtime().block_on(async {
        let (original, bed) = delta("delta_dv").await;
        for below in ["deletion_vector_00000000-0000-4000-8000-000000000000.bin", "ab/deletion_vector_stray.bin", "stray.parquet"] {
            bed.plant(below, 10).await;
        }
        bed.deletes(
            &defaults(),
            &["deletion_vector_00000000-0000-4000-8000-000000000000.bin", "ab/deletion_vector_stray.bin", "stray.parquet"],
        )
        .await;
        assert_eq!(objects(&bed.memory, &bed.root).await, original.objects);
    });
}

/// delta-rs #1228, #433: paths of the log are percent-encoded once, names of files as they are.
#[test]
fn orphan_encoding_in_delta_tables() {
    runtime().block_on(async {
        let (original, bed) = delta("delta_partitioned_odd_names").await;
        let folders: std::collections::BTreeSet<String> = original
            .objects
            .keys()
            .filter_map(|name| Some(name.rsplit_once('/')?.0.to_string()))
            .filter(|name| name != "_delta_log")
            .collect();
        let strays: Vec<String> = folders.iter().map(|folder| format!("{folder}/stray.parquet")).collect();
        for stray in &strays {
            bed.plant(stray, 10).await;
        }
        let strays: Vec<&str> = strays.iter().map(String::as_str).collect();
        assert!(strays.len() > 3);
        bed.deletes(&defaults(), &strays).await;
        assert_eq!(objects(&bed.memory, &bed.root).await, original.objects);
    });
}

async fn next_commit(bed: &Bed, original: &Original, actions: &[Json]) {
    let is_commit = |name: &&String| name.starts_with("_delta_log/") && name.ends_with(".json");
    let next = original.objects.keys().filter(is_commit).count();
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    bed.put(&bed.key(&format!("_delta_log/{next:020}.json")), text.into_bytes()).await;
}

/// delta #1470: change data files were kept or deleted wrongly.
#[test]
fn vacuum_cdf() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let bed = Bed::of(&original, true).await;
        for below in ["_change_data/cdc-live.parquet", "_change_data/p=a/cdc-stray.parquet"] {
            bed.plant(below, 10).await;
        }
        let cdc = json!({"cdc": {"path": "_change_data/cdc-live.parquet", "partitionValues": {"p": "a"}, "size": 7, "dataChange": false}});
        next_commit(&bed, &original, &[json!({"commitInfo": {"timestamp": 1, "operation": "UPDATE"}}), cdc]).await;
        bed.deletes(&defaults(), &["_change_data/p=a/cdc-stray.parquet"]).await;
    });
}

/// delta docs on CLONE, trino #17038: a clone names files of its source by absolute paths.
#[test]
fn vacuum_clone() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let bed = Bed::of(&original, true).await;
        let add = |path: &str| {
            json!({"add": {"path": path, "partitionValues": {"p": "a"}, "size": 7, "modificationTime": 0, "dataChange": true,
                "stats": "{\"numRecords\":2}"}})
        };
        next_commit(&bed, &original, &[add("file:///source/p=a/theirs.parquet"), add("file:/t/p=a/own%20absolute.parquet")]).await;
        for key in ["source/p=a/theirs.parquet", "source/p=a/not-named.parquet", "t/p=a/own absolute.parquet", "t/p=a/stray.parquet"] {
            bed.plant_at(key, 10).await;
        }
        bed.deletes(&defaults(), &["p=a/stray.parquet"]).await;
    });
}

/// delta #2273: VACUUM removed the Iceberg metadata of a table that has both.
#[test]
fn vacuum_uniform() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        for is_delta in [true, false] {
            let bed = Bed::of(&original, is_delta).await;
            let iceberg = document("/t", &["/t/metadata/live.stats", "/t/p=a/of-iceberg.parquet"], &json!({}));
            bed.put("t/metadata/v1.metadata.json", iceberg.to_string().into_bytes()).await;
            for below in ["metadata/live.stats", "p=a/of-iceberg.parquet", "metadata/stray.avro", "p=a/stray.parquet"] {
                bed.plant(below, 10).await;
            }
            let done = bed.deletes(&defaults(), &["metadata/stray.avro", "p=a/stray.parquet"]).await;
            assert_eq!(done.plan.tables.len(), 1);
            assert_eq!(original.read(&bed.memory).await, original.rows);
        }
    });
}
