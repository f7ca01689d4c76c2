//! Rows sorted into the partitions of another spec.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Int64Array, StringArray};

use super::*;
use crate::error::{Error, Kind};
use crate::model::{PartitionField, Partitions, Routing, Transform, Value};

/// Folders that are named by the values.
#[derive(Debug)]
struct Folders(Location);

impl Partitions for Folders {
    fn partition(&self, values: Vec<Option<Value>>) -> Result<(Arc<Partition>, Location)> {
        let text = format!("{values:?}").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "");
        let fields = vec![PartitionField { name: "p".into(), value: values[0].clone(), text: text.clone() }];
        std::fs::create_dir_all(local(&self.0.child(&text))).map_err(|e| Error::bug("folder").because(e))?;
        Ok((Arc::new(Partition { spec_id: 1, fields, constants: Vec::new() }), self.0.child(&text)))
    }
}

fn routed(bench: &Bench, fields: Vec<(i32, Transform)>) -> OutputSpec {
    let output = bench.output(vec![leaf(1, "n", Primitive::Long), leaf(2, "t", Primitive::String)]);
    let routing = Routing { fields, partitions: Arc::new(Folders(output.directory.clone())) };
    OutputSpec { partition: Arc::new(Partition { spec_id: 1, ..Partition::default() }), routing: Some(routing), ..output }
}

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let texts: Vec<Option<String>> = range.clone().map(|n| (n % 5 != 0).then(|| format!("t{}", n % 5))).collect();
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(range))), ("t", Arc::new(StringArray::from(texts)))])
}

/// The numbers in the files of each partition.
fn by_partition(done: &Rewritten) -> BTreeMap<String, Vec<i64>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for file in &done.files {
        assert_eq!(file.location.parent().unwrap().name(), file.partition.fields[0].text);
        found
            .entry(file.partition.fields[0].text.clone())
            .or_default()
            .extend(longs(&read(std::slice::from_ref(file)), 0).into_iter().flatten());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_reaches_its_partition_once_however_few_files_may_be_open() {
    // With this little memory two files are open at a time: six partitions take three passes.
    for memory in [Bytes::mib(1), Bytes::mib(256)] {
        let bench = Bench::with_memory(memory);
        let inputs = vec![
            (bench.file("a", &numbers(0..100), None), positions(0..10)),
            (bench.file("b", &numbers(100..5_000), None), RowDeletes::None),
        ];
        let output = routed(&bench, vec![(2, Transform::Identity), (1, Transform::Truncate(2_500))]);
        let done = bench.rewrite(inputs, output, RewritePath::Auto).await.unwrap();
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for n in 10..5_000 {
            let text = if n % 5 == 0 { "None".to_string() } else { format!("SomeStringt{}", n % 5) };
            expected.entry(format!("{text}SomeLong{}", n / 2_500 * 2_500)).or_default().push(n);
        }
        assert_eq!(expected.len(), 10);
        assert_eq!(by_partition(&done), expected, "{memory}");
        assert_eq!(done.files.len(), 10);
        let mut names: Vec<&str> = done.files.iter().map(|file| file.location.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 10, "names are unique over all folders");
        let file = done.files.iter().find(|file| file.partition.fields[0].text == "SomeStringt1SomeLong2500").unwrap();
        let n = &file.stats.columns[&1];
        assert_eq!((n.lower.clone(), n.upper.clone(), n.exact), (Some(Value::Long(2_501)), Some(Value::Long(4_996)), true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_follows_from_the_partition_each_file_is_in() {
    let bench = Bench::new();
    let only = |range| batch(vec![("n", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef)]);
    let of = |file: DataFile, text: &str| {
        let constants = vec![(2, Some(Value::String(text.into())))];
        (DataFile { partition: Arc::new(Partition { spec_id: 0, fields: Vec::new(), constants }), ..file }, RowDeletes::None)
    };
    let inputs = vec![of(bench.file("a", &only(0..3), None), "x"), of(bench.file("b", &only(3..5), None), "y")];
    let done = bench.rewrite(inputs, routed(&bench, vec![(2, Transform::Identity)]), RewritePath::Auto).await.unwrap();
    let expected = [("SomeStringx".to_string(), vec![0, 1, 2]), ("SomeStringy".to_string(), vec![3, 4])];
    assert_eq!(by_partition(&done), expected.into());
    let stored = read(&done.files[1..]);
    assert_eq!(texts(&stored, 1), [Some("y".to_string()), Some("y".to_string())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sorting_rows_rules_copying_out_and_a_value_without_a_place_leaves_nothing_behind() {
    let bench = Bench::new();
    let input = || vec![(bench.file("a", &numbers(0..50), None), RowDeletes::None)];
    let copied = bench.rewrite(input(), routed(&bench, vec![(2, Transform::Identity)]), RewritePath::Copy).await.unwrap_err();
    assert_eq!(copied.kind(), Kind::Unsupported);
    let wrong = bench.rewrite(input(), routed(&bench, vec![(1, Transform::Year)]), RewritePath::Auto).await.unwrap_err();
    assert_eq!(wrong.kind(), Kind::Unsupported);
    assert!(bench.new_files().is_empty());
}
