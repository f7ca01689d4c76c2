//! Inventories as S3 and people write them.

use std::io::Write;
use std::sync::Arc;

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
    assert_eq!(read_as("/i.parquet", b"PAR1").await.unwrap_err().kind(), Kind::Unsupported);
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
