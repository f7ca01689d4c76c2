//! Inventories as S3 and people write them.

use std::io::Write;
use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::error::Kind;
use crate::store::Resolve;
use crate::units::Timestamp;

struct Memory(Arc<InMemory>);

impl Resolve for Memory {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let store: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(&self.0);
        Ok((store, Path::parse(location.path()).unwrap()))
    }
}

fn place(text: &str) -> Location {
    Location::parse(text).unwrap()
}

async fn read_as(name: &str, bytes: &[u8]) -> Result<Vec<Listed>> {
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    store.put(&place(name), bytes.to_vec().into()).await.unwrap();
    read(&store, name).await
}

async fn read(store: &Store, name: &str) -> Result<Vec<Listed>> {
    let mut inventory = Inventory::open(store, &place(name), &place("s3://b/w/t")).await?;
    let mut files = Vec::new();
    while let Some(more) = inventory.next().await? {
        files.extend(more);
    }
    Ok(files)
}

const DAY: &str = "2026-01-02T00:00:00.000Z";

fn file(key: &str, size: u64) -> Listed {
    Listed { location: place(&format!("s3://b/{key}")), size: Bytes(size), modified: Some(Timestamp(1_767_312_000_000)) }
}

#[tokio::test]
async fn what_s3_writes_is_read_with_keys_decoded_and_old_versions_passed_over() {
    let short = format!("\"b\",\"w/t/p%3Da+b/f%2Bg\",\"7\",\"{DAY}\"\n\"other\",\"x\",\"1\",\"{DAY}\"\n");
    assert_eq!(read_as("/i.csv", short.as_bytes()).await.unwrap(), [file("w/t/p=a b/f+g", 7)]);
    let versioned = format!(
        "\"b\",\"w/t/f\",\"v2\",\"true\",\"false\",\"7\",\"{DAY}\"\n\"b\",\"w/t/f\",\"v1\",\"false\",\"false\",\"9\",\"{DAY}\"\n\
         \"b\",\"w/t/g\",\"v3\",\"true\",\"true\",\"0\",\"{DAY}\"\n"
    );
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(versioned.as_bytes()).unwrap();
    assert_eq!(read_as("/i.csv.gz", &packer.finish().unwrap()).await.unwrap(), [file("w/t/f", 7)]);
}

#[tokio::test]
async fn a_manifest_leads_to_the_parts_and_names_their_columns() {
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    let manifest = r#"{"sourceBucket":"b","destinationBucket":"arn:aws:s3:::dest","fileFormat":"CSV","fileSchema":"Bucket, Key, LastModifiedDate, Size",
        "files":[{"key":"inv/1.csv"},{"key":"inv/2.csv"}]}"#;
    store.put(&place("s3://dest/inv/manifest.json"), manifest.into()).await.unwrap();
    for part in [1, 2] {
        let line = format!("\"b\",\"w/t/f{part}\",\"{DAY}\",\"{part}\"\n");
        store.put(&place(&format!("s3://dest/inv/{part}.csv")), line.into_bytes().into()).await.unwrap();
    }
    assert_eq!(read(&store, "s3://dest/inv/manifest.json").await.unwrap(), [file("w/t/f1", 1), file("w/t/f2", 2)]);
}

#[tokio::test]
async fn plain_lists_name_their_columns_or_have_three() {
    let named = format!("last_modified,file_path\r\n{DAY},s3a://b/w/t/a%20b\r\n");
    assert_eq!(read_as("/i.csv", named.as_bytes()).await.unwrap(), [file("w/t/a%20b", 0)]);
    let three = format!("w/t/f,7,{DAY}\n\"w/t/x,\"\"y\",8,{DAY}");
    assert_eq!(read_as("/i", three.as_bytes()).await.unwrap(), [file("w/t/f", 7), file("w/t/x,\"y", 8)]);
    let json = format!(
        "{{\"Key\":\"w/t/f\",\"Size\":7,\"LastModified\":\"{DAY}\"}}\n\n{{\"key\":\"w/t/g\",\"size\":\"8\",\"last_modified\":\"{DAY}\"}}\n"
    );
    assert_eq!(read_as("/i.jsonl", json.as_bytes()).await.unwrap(), [file("w/t/f", 7), file("w/t/g", 8)]);
}

#[tokio::test]
async fn a_time_that_cannot_be_understood_is_not_known() {
    let files = read_as("/i.csv", b"key,size,last_modified\nw/t/f,1,yesterday\nw/t/g,1,\n").await.unwrap();
    assert!(files.iter().all(|file| file.modified.is_none()));
    assert_eq!(files.len(), 2);
}

#[tokio::test]
async fn lists_without_the_needed_columns_or_in_other_formats_are_refused() {
    for (name, text) in
        [("/i.csv", "key,size\na,1\n"), ("/i.csv", "a,b\n"), ("/i.jsonl", "{\"size\":1}\n"), ("/i.csv", "key,last_modified\n\"a\n")]
    {
        assert_eq!(read_as(name, text.as_bytes()).await.unwrap_err().kind(), Kind::Usage, "{text}");
    }
    assert_eq!(read_as("/i.avro", b"Obj").await.unwrap_err().kind(), Kind::Unsupported);
}

/// A batch as S3 writes it: an older version, a mark of deletion, a file of another bucket, and one whose time is not told.
fn inventory(times: ArrayRef) -> RecordBatch {
    let texts = |values: [&str; 5]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let flags = |values: [bool; 5]| Arc::new(BooleanArray::from(values.to_vec())) as ArrayRef;
    RecordBatch::try_from_iter([
        ("bucket", texts(["b", "b", "b", "other", "b"])),
        ("key", texts(["w/t/p=a%20b/f+g", "w/t/f", "w/t/g", "w/t/h", "w/t/i"])),
        ("version_id", texts(["v2", "v1", "v3", "v4", "v5"])),
        ("is_latest", flags([true, false, true, true, true])),
        ("is_delete_marker", flags([false, false, true, false, false])),
        ("size", Arc::new(Int64Array::from(vec![Some(7), Some(8), None, Some(9), Some(10)])) as ArrayRef),
        ("last_modified_date", times),
        ("storage_class", texts(["STANDARD"; 5])),
    ])
    .unwrap()
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

const DAY_MS: i64 = 1_767_312_000_000;

#[tokio::test]
async fn inventories_in_parquet_and_orc_are_read_with_keys_as_they_are_and_old_versions_passed_over() {
    let times = TimestampMillisecondArray::from(vec![Some(DAY_MS), Some(DAY_MS), Some(DAY_MS), Some(DAY_MS), None]);
    let batch = inventory(Arc::new(times));
    let unknown = Listed { modified: None, ..file("w/t/i", 10) };
    let wanted = [file("w/t/p=a%20b/f+g", 7), unknown];
    assert_eq!(read_as("/i.parquet", &parquet(&batch)).await.unwrap(), wanted);
    let nanos = cast(batch.column(6), &DataType::Timestamp(TimeUnit::Nanosecond, None)).unwrap();
    let batch = inventory(nanos);
    let mut orc = Vec::new();
    let mut writer = orc_rust::ArrowWriterBuilder::new(&mut orc, batch.schema()).try_build().unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(read_as("/i.orc", &orc).await.unwrap(), wanted);
}

#[tokio::test]
async fn a_manifest_may_lead_to_parquet() {
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    let manifest = r#"{"sourceBucket":"b","destinationBucket":"arn:aws:s3:::dest","fileFormat":"Parquet",
        "fileSchema":"message s3.inventory { required binary bucket (UTF8); }","files":[{"key":"inv/1.parquet"},{"key":"inv/2.parquet"}]}"#;
    store.put(&place("s3://dest/inv/manifest.json"), manifest.into()).await.unwrap();
    for part in [1, 2] {
        let texts = |text: String| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let columns = [("key", texts(format!("w/t/f{part}"))), ("last_modified", texts(DAY.into())), ("size", texts(format!("{part}")))];
        let bytes = parquet(&RecordBatch::try_from_iter(columns).unwrap());
        store.put(&place(&format!("s3://dest/inv/{part}.parquet")), bytes.into()).await.unwrap();
    }
    assert_eq!(read(&store, "s3://dest/inv/manifest.json").await.unwrap(), [file("w/t/f1", 1), file("w/t/f2", 2)]);
}

#[tokio::test]
async fn a_number_is_no_time_and_a_file_that_is_no_inventory_is_refused() {
    let numbers = Arc::new(Int64Array::from(vec![DAY_MS; 5]));
    let files = read_as("/i.parquet", &parquet(&inventory(numbers))).await.unwrap();
    assert!(files.len() == 2 && files.iter().all(|file| file.modified.is_none()));
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>((0..5).map(|_| Some([Some(1)])));
    let error = read_as("/i.parquet", &parquet(&inventory(Arc::new(lists)))).await.err();
    assert!(error.is_none_or(|error| error.kind() == Kind::Usage));
    let other = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    assert_eq!(read_as("/i.parquet", &parquet(&other)).await.unwrap_err().kind(), Kind::Usage);
    let whole = parquet(&inventory(Arc::new(TimestampMillisecondArray::from(vec![DAY_MS; 5]))));
    for end in [0, 4, 40, whole.len() / 2, whole.len() - 1] {
        assert_eq!(read_as("/i.parquet", &whole[..end]).await.unwrap_err().kind(), Kind::Corrupt, "cut at {end}");
        assert_eq!(read_as("/i.orc", &whole[..end]).await.unwrap_err().kind(), Kind::Corrupt, "cut at {end}");
    }
}

#[tokio::test]
async fn a_long_key_that_a_dictionary_holds_once_is_handed_out_in_pieces_and_one_that_is_too_long_is_refused() {
    let inventory = |key: &str, rows: usize| {
        let texts = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
        parquet(&RecordBatch::try_from_iter([("key", texts(key)), ("last_modified", texts(DAY))]).unwrap())
    };
    let key = "x".repeat(20 << 10);
    let bytes = inventory(&key, 4096);
    assert!(bytes.len() < 1 << 20);
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    store.put(&place("/i.parquet"), bytes.into()).await.unwrap();
    let mut found = Inventory::open(&store, &place("/i.parquet"), &place("s3://b/w/t")).await.unwrap();
    let (mut most, mut all) = (0, 0);
    while let Some(files) = found.next().await.unwrap() {
        assert!(files.iter().all(|listed| *listed == Listed { modified: listed.modified, ..file(&key, 0) } && listed.modified.is_some()));
        (most, all) = (most.max(files.len()), all + files.len());
    }
    assert!(all == 4096 && most < 1000, "{most} of {all} files at once");
    let longer = inventory(&"x".repeat((1 << 20) + 1), 1);
    assert_eq!(read_as("/i.parquet", &longer).await.unwrap_err().kind(), Kind::Usage);
}

#[tokio::test]
async fn azure_s_inventory_of_blobs_is_read_without_older_states_and_folders() {
    let text = format!(
        "Name,Creation-Time,Last-Modified,Content-Length,Snapshot,IsCurrentVersion,Deleted,hdi_isfolder\n\
         w/t/f,{DAY},{DAY},7,,true,,\nw/t/f,{DAY},{DAY},6,2026-01-01T00:00:00Z,,,\nw/t/g,{DAY},{DAY},5,,false,,\n\
         w/t/h,{DAY},{DAY},4,,,true,\nw/t/p,{DAY},{DAY},0,,,,true\n"
    );
    assert_eq!(read_as("/i.csv", text.as_bytes()).await.unwrap(), [file("w/t/f", 7)]);
}

#[tokio::test]
async fn what_unpacks_to_much_is_handed_out_in_pieces() {
    // 256 MiB of lines without a file, in a megabyte; then one with.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"key,size,last_modified\n").unwrap();
    let blank = vec![b'\n'; 1 << 20];
    (0..256).for_each(|_| packer.write_all(&blank).unwrap());
    packer.write_all(format!("w/t/f,7,{DAY}\n").as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    store.put(&place("/i.csv.gz"), packed.into()).await.unwrap();
    let mut lines = Lines::open(&store, &place("/i.csv.gz")).await.unwrap();
    let (mut most, mut all) = (0, 0);
    while let Some(text) = lines.next(&store).await.unwrap() {
        (most, all) = (most.max(text.len()), all + text.len());
    }
    assert!(all > 256 << 20 && most < 40 << 20, "{most} of {all} bytes at once");
}
