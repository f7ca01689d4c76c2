//! Manifests written anew.

use std::sync::{Arc, Mutex};

use object_store::memory::InMemory;
use serde_json::{Value as Json, json};

use super::commits::{current_document, names_in_metadata};
use super::{Fixture, Memory, Row, Says, TestPointer, place};
use crate::commit::Answer;
use crate::error::Kind;
use crate::formats::iceberg::avro::{Datum, Writer};
use crate::formats::iceberg::manifest::Status;
use crate::formats::iceberg::manifest_list::{self, Content, ListHeader, ManifestFile};
use crate::formats::iceberg::metadata::Metadata;
use crate::formats::iceberg::{IcebergTable, manifest_schema};
use crate::formats::{Table, TableVersion};
use crate::model::{ListContent, ListPlan, ListWhy, ListWishes, OperationId, Upkeep, UpkeepKind, Version};
use crate::store::Store;
use crate::units::{Bytes, Timestamp};

fn everything() -> ListWishes {
    ListWishes { all: true, ..ListWishes::default() }
}

async fn offered(version: &dyn TableVersion, wishes: &ListWishes) -> Answer {
    let kind = UpkeepKind::RewriteManifests(wishes.clone());
    version.offer_upkeep(&Upkeep { operation: OperationId("op".into()), part: 0, kind }, Timestamp(500)).await
}

async fn rewritten(version: &dyn TableVersion, wishes: &ListWishes) -> Version {
    match offered(version, wishes).await {
        Answer::Ours(version) => version,
        other => panic!("{other:?}"),
    }
}

/// All that an entry says, besides what it says of itself in its manifest.
#[derive(Debug, PartialEq)]
struct Said {
    name: String,
    snapshot: Option<i64>,
    sequence: i64,
    file_sequence: Option<i64>,
    first_row_id: Option<i64>,
    records: u64,
    others: Vec<Option<i64>>,
}

/// The live entries of all manifests, in their order, with their status.
async fn entries(table: &IcebergTable) -> Vec<(Status, Said)> {
    let version = table.version().await.unwrap();
    let mut all = Vec::new();
    for manifest in version.scan.manifests().await.unwrap().iter() {
        let reader = version.scan.open(manifest).await.unwrap();
        let columns = reader.columns.clone();
        for entry in reader.map(Result::unwrap).filter(|entry| entry.status != Status::Deleted) {
            let number = |name: &str| columns.file_field(&entry, name).and_then(Datum::as_long);
            let others = ["file_size_in_bytes", "sort_order_id", "unheard_of", "content_offset"].map(number).into();
            let said = Said {
                name: place(&entry.path).name().to_string(),
                snapshot: entry.snapshot,
                sequence: entry.sequence,
                file_sequence: entry.file_sequence,
                first_row_id: entry.first_row_id,
                records: entry.records,
                others,
            };
            all.push((entry.status, said));
        }
    }
    all
}

#[tokio::test]
async fn entries_keep_all_they_had_whatever_version_wrote_them() {
    for (version, manifests, first_row_id) in [(1, 1, None), (2, 1, None), (2, 2, None), (3, 2, Some(100)), (3, 3, Some(100))] {
        let deletes = if manifests > 1 { vec![Row(1, 1, "/t/data/pos", 3, 1), Row(0, 2, "/t/data/eq", 2, 1)] } else { Vec::new() };
        let (table, _) = Fixture { version, manifests, first_row_id, deletes, ..Fixture::default() }.build().await;
        let before = entries(&table).await;
        rewritten(&*table.load().await.unwrap(), &everything()).await;
        let after = entries(&table).await;
        assert!(after.iter().all(|(status, _)| *status == Status::Existing));
        let said = |entries: Vec<(Status, Said)>| entries.into_iter().map(|(_, said)| said).collect::<Vec<_>>();
        assert_eq!(said(after), said(before), "version {version}, manifests of version {manifests}");
    }
}

#[tokio::test]
async fn a_rewrite_is_a_snapshot_that_replaces_manifests_and_nothing_else() {
    let (table, store) = Fixture { deletes: vec![Row(1, 1, "/t/data/pos", 3, 1)], ..Fixture::default() }.build().await;
    let before = current_document(&table, &store).await;
    let id = rewritten(&*table.load().await.unwrap(), &everything()).await;
    let mut after = current_document(&table, &store).await;
    let snapshot = after["snapshots"].as_array_mut().unwrap().pop().unwrap();
    assert_eq!(
        (&snapshot["snapshot-id"], &snapshot["parent-snapshot-id"], &snapshot["sequence-number"]),
        (&json!(id.0), &json!(9), &json!(4))
    );
    let told = [
        ("operation", "replace"),
        ("manifests-created", "2"),
        ("manifests-kept", "0"),
        ("manifests-replaced", "2"),
        ("entries-processed", "4"),
        ("total-data-files", "3"),
        ("total-records", "19"),
        ("total-delete-files", "1"),
        ("otf.operation-id", "op"),
    ];
    for (key, value) in told {
        assert_eq!(snapshot["summary"][key], json!(value), "{key}");
    }
    assert!(snapshot["summary"].get("added-data-files").is_none() && snapshot["summary"].get("deleted-data-files").is_none());
    for key in ["refs", "metadata-log", "snapshot-log"] {
        after.as_object_mut().unwrap().remove(key);
    }
    after["current-snapshot-id"] = 9.into();
    after["last-sequence-number"] = 3.into();
    assert_eq!(after, before);
    let version = table.version().await.unwrap();
    let found = version.find(&OperationId("op".into()), 0, Some(Version(9))).await.unwrap();
    assert_eq!(found, Some(id));
    let listed = version.scan.manifests().await.unwrap();
    let [data, deletes] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((data.content, data.files, data.rows), (Content::Data, [Some(0), Some(3), Some(0)], [Some(0), Some(19), Some(0)]));
    assert_eq!((data.sequence, data.min_sequence, data.added_snapshot), (4, 1, Some(id.0)));
    assert_eq!((deletes.content, deletes.files, deletes.min_sequence), (Content::Deletes, [Some(0), Some(1), Some(0)], 3));
}

#[tokio::test]
async fn what_was_written_goes_when_the_place_is_taken_and_stays_when_nobody_answers() {
    for (says, stays) in [(Says::Taken, false), (Says::Nothing, true)] {
        let (table, store) = Fixture { says, ..Fixture::default() }.build().await;
        let names = names_in_metadata(&store).await;
        let answer = offered(&*table.load().await.unwrap(), &everything()).await;
        assert!(matches!((says, answer), (Says::Taken, Answer::Taken) | (Says::Nothing, Answer::Silence(_))));
        let after = names_in_metadata(&store).await;
        assert_eq!(after.len() > names.len(), stays);
        assert!(after.iter().filter(|name| !names.contains(name)).all(|name| name.contains("op")));
    }
}

/// A file of a manifest: its partition and its name.
type File = (Option<i64>, &'static str);

/// A table partitioned by `x`, with one manifest for each list of files. Old manifests say nothing of their partitions; every other one is by a
/// writer that orders unions its own way and knows a field of its own.
struct Partitioned {
    manifests: Vec<Vec<(Option<i64>, String)>>,
    properties: Json,
}

impl Partitioned {
    fn of(manifests: &[&[File]]) -> Self {
        let file = |(partition, name): &File| (*partition, format!("/t/data/{name}"));
        Self { manifests: manifests.iter().map(|files| files.iter().map(file).collect()).collect(), properties: json!({}) }
    }

    fn document(&self) -> Json {
        json!({"format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "/t",
            "last-updated-ms": 1000, "last-column-id": 1, "last-sequence-number": 3, "last-partition-id": 1000,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "x", "required": false, "type": "long"}]}],
            "current-schema-id": 0, "default-spec-id": 0,
            "partition-specs": [{"spec-id": 0, "fields": [{"name": "x", "transform": "identity", "source-id": 1, "field-id": 1000}]},
                {"spec-id": 1, "fields": [{"name": "z", "transform": "zorder[2]", "source-id": 1, "field-id": 1001}]}],
            "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0, "properties": self.properties,
            "current-snapshot-id": 9, "snapshots": [{"snapshot-id": 9, "sequence-number": 3, "timestamp-ms": 1000,
                "manifest-list": "/t/metadata/list.avro", "summary": {"operation": "append"}, "schema-id": 0}]})
    }

    async fn build(self) -> (IcebergTable, Store) {
        let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
        let file = place("/t/metadata/v1.metadata.json");
        let text = self.document().to_string();
        store.put(&file, text.clone().into_bytes().into()).await.unwrap();
        let metadata = Metadata::parse(text.as_bytes(), &file, None).unwrap();
        let mut listed = Vec::new();
        for (at, files) in self.manifests.iter().enumerate() {
            let odd = at % 2 == 1;
            let mut schema = manifest_schema::entries(&metadata.specs[&0], 2);
            if odd {
                make_odd(&mut schema);
            }
            let path = format!("/t/metadata/m{at}.avro");
            let mut writer = Writer::new(&schema, "null", &[("content".into(), "data".into())], [0; 16]).unwrap();
            for (partition, path) in files {
                writer.append(&record(*partition, path, odd)).unwrap();
            }
            let bytes = writer.finish().unwrap();
            let length = i64::try_from(bytes.len()).unwrap();
            store.put(&place(&path), bytes).await.unwrap();
            let count = Some(i64::try_from(files.len()).unwrap());
            let (files, rows) = ([count, Some(0), Some(0)], [count, Some(0), Some(0)]);
            let inline = ManifestFile::inline(&path);
            listed.push(ManifestFile { length, spec_id: Some(0), sequence: 3, added_snapshot: Some(9), files, rows, ..inline });
        }
        let header = ListHeader { format_version: 2, snapshot: 9, parent: None, sequence: 3, first_row_id: None };
        store.put(&place("/t/metadata/list.avro"), manifest_list::write(&listed, header, "null", [0; 16]).unwrap()).await.unwrap();
        let pointer = TestPointer { store: store.clone(), current: Mutex::new(file), says: Says::Yes };
        (IcebergTable::new(store.clone(), place("/t"), Arc::new(pointer)), store)
    }
}

/// Turns the union of `sort_order_id` round, with long in place of int, and adds a required field that the specification does not know.
fn make_odd(schema: &mut Json) {
    let fields = schema["fields"].as_array_mut().unwrap().last_mut().unwrap()["type"]["fields"].as_array_mut().unwrap();
    let order = fields.iter_mut().find(|field| field["name"] == "sort_order_id").unwrap();
    order["type"] = json!(["long", "null"]);
    order.as_object_mut().unwrap().remove("default");
    fields.push(json!({"name": "unheard_of", "type": "long", "field-id": 999}));
}

fn record(partition: Option<i64>, path: &str, odd: bool) -> Datum {
    let tuple = Datum::Record(vec![partition.map_or(Datum::Null, Datum::Long)]);
    let mut file = vec![Datum::Long(0), Datum::Text(path.into()), Datum::Text("PARQUET".into()), tuple, Datum::Long(1), Datum::Long(100)];
    file.extend(std::iter::repeat_n(Datum::Null, 9));
    file.push(if odd { Datum::Union(0, Box::new(Datum::Long(5))) } else { Datum::Null });
    if odd {
        file.push(Datum::Long(4711));
    }
    Datum::Record(vec![Datum::Long(1), Datum::Long(9), Datum::Null, Datum::Null, Datum::Record(file)])
}

async fn names(table: &IcebergTable) -> Vec<String> {
    entries(table).await.into_iter().map(|(_, said)| said.name).collect()
}

async fn plan(table: &IcebergTable, wishes: &ListWishes) -> ListPlan {
    table.load().await.unwrap().lists(wishes).await.unwrap()
}

#[tokio::test]
async fn manifests_of_different_writers_are_joined_in_the_order_of_partitions() {
    let manifests: [&[File]; 3] = [&[(Some(3), "c"), (None, "n")], &[(Some(1), "a"), (Some(3), "d")], &[(Some(2), "b")]];
    let (table, _) = Partitioned::of(&manifests).build().await;
    let found = plan(&table, &ListWishes::default()).await;
    let [group] = &found.groups[..] else { panic!("{found:?}") };
    assert_eq!(
        (group.content, group.spec, group.lists, group.files, group.why),
        (ListContent::Data, Some(0), 3, Some(5), ListWhy::Unordered)
    );
    rewritten(&*table.load().await.unwrap(), &ListWishes::default()).await;
    assert_eq!(names(&table).await, ["n", "a", "b", "c", "d"]);
    let others: Vec<(String, Vec<Option<i64>>)> =
        entries(&table).await.into_iter().map(|(_, said)| (said.name, said.others[1..3].to_vec())).collect();
    let odd = vec![Some(5), Some(4711)];
    let plain = vec![None, None];
    let wanted = [("n", &plain), ("a", &odd), ("b", &plain), ("c", &plain), ("d", &odd)];
    assert_eq!(others, wanted.map(|(name, said)| (name.to_string(), said.clone())));
    let version = table.version().await.unwrap();
    let listed = version.scan.manifests().await.unwrap();
    assert_eq!(listed.len(), 1);
    let summary = &listed[0].partitions.as_ref().unwrap()[0];
    assert_eq!(
        (summary.contains_null, &summary.lower, &summary.upper),
        (true, &Some(vec![1, 0, 0, 0, 0, 0, 0, 0]), &Some(vec![3, 0, 0, 0, 0, 0, 0, 0]))
    );
    assert_eq!(plan(&table, &ListWishes::default()).await.groups, []);
}

#[tokio::test]
async fn a_large_manifest_is_split_at_the_ends_of_partitions_and_planning_again_finds_nothing() {
    let file = |n: i64| (Some((n * 7_919) % 50), format!("/t/data/{n:0>200}"));
    let properties = json!({"commit.manifest.target-size-bytes": "65536", "write.avro.compression-codec": "uncompressed"});
    let (table, _) = Partitioned { manifests: vec![(0..1_000).map(file).collect()], properties }.build().await;
    let found = plan(&table, &ListWishes::default()).await;
    assert_eq!((found.groups[0].lists, found.groups[0].why), (1, ListWhy::Large));
    let mut before = names(&table).await;
    rewritten(&*table.load().await.unwrap(), &ListWishes::default()).await;
    let version = table.version().await.unwrap();
    let listed = version.scan.manifests().await.unwrap();
    let sizes: Vec<i64> = listed.iter().map(|manifest| manifest.length).collect();
    assert!(sizes.len() > 3 && sizes[..sizes.len() - 1].iter().all(|size| (65_536..75_000).contains(size)), "{sizes:?}");
    let ends: Vec<(Vec<u8>, Vec<u8>)> = listed
        .iter()
        .map(|manifest| manifest.partitions.as_ref().unwrap()[0].clone())
        .map(|summary| (summary.lower.unwrap(), summary.upper.unwrap()))
        .collect();
    assert!(ends.windows(2).all(|pair| pair[0].1[0] <= pair[1].0[0]), "{ends:?}");
    let mut after = names(&table).await;
    before.sort();
    after.sort();
    assert_eq!(after, before);
    assert_eq!(plan(&table, &ListWishes::default()).await.groups, []);
    // A size of one's own: the same in one manifest.
    let joined = ListWishes { target: Some(Bytes::mib(8)), ..ListWishes::default() };
    rewritten(&*table.load().await.unwrap(), &joined).await;
    assert_eq!(table.version().await.unwrap().scan.manifests().await.unwrap().len(), 1);
    assert_eq!(plan(&table, &joined).await.groups, []);
}

#[tokio::test]
async fn wishes_that_do_not_fit_are_refused_by_name() {
    let (table, _) = Partitioned::of(&[&[(Some(1), "a")], &[(Some(2), "b")]]).build().await;
    let version = table.load().await.unwrap();
    for wishes in [
        ListWishes { target: Some(Bytes(1)), ..ListWishes::default() },
        ListWishes { spec: Some(7), ..ListWishes::default() },
        ListWishes { order: vec!["y".into()], ..ListWishes::default() },
    ] {
        assert_eq!(version.lists(&wishes).await.unwrap_err().kind(), Kind::Usage, "{wishes:?}");
    }
    let other = plan(&table, &ListWishes { spec: Some(1), ..ListWishes::default() }).await;
    assert_eq!((other.groups.len(), other.left[0].lists), (0, 2));
}

#[tokio::test]
async fn a_list_that_counts_otherwise_than_its_manifests_is_refused_and_nothing_stays_behind() {
    let (table, store) = Partitioned::of(&[&[(Some(1), "a")], &[(Some(2), "b")]]).build().await;
    let version = table.version().await.unwrap();
    let mut listed = version.scan.manifests().await.unwrap().to_vec();
    listed[0].files[0] = Some(2);
    let header = ListHeader { format_version: 2, snapshot: 9, parent: None, sequence: 3, first_row_id: None };
    store.put(&place("/t/metadata/list.avro"), manifest_list::write(&listed, header, "null", [0; 16]).unwrap()).await.unwrap();
    let names = names_in_metadata(&store).await;
    let Answer::Rejected(error) = offered(&*table.load().await.unwrap(), &ListWishes::default()).await else { panic!("it must not land") };
    assert_eq!((error.kind(), error.context()[0].clone()), (Kind::Corrupt, ("listed", "3".to_string())));
    assert_eq!(names_in_metadata(&store).await, names);
}
