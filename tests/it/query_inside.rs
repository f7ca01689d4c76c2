//! What queries leave unread within files, and that it never costs a row: statistics of row groups, bloom filters, the page index, deletes, limits.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Value as Json, json};

use crate::support::delta_table::inline_vector;
use crate::support::lake::Lake;
use crate::support::workbench::runtime;

const COLUMNS: [(&str, &str); 3] = [("id", "long"), ("bucket", "long"), ("name", "string")];
const ROWS: i64 = 4_000;

/// The row at a position: `id` grows, `bucket` goes round, names are in no order.
fn row(id: i64) -> (i64, Option<i64>, String) {
    (id, (id % 11 != 0).then_some(id / 500), format!("n{}", id * 7_919 % ROWS))
}

/// Row groups of 1,000 rows, pages of 100, bloom filters on names.
fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(1_000))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_compression(Compression::UNCOMPRESSED)
        .set_column_bloom_filter_enabled(ColumnPath::from("name"), true)
        .set_column_bloom_filter_fpp(ColumnPath::from("name"), 0.000_1)
        .build()
}

fn batch() -> RecordBatch {
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let buckets: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2.as_str())));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("bucket", buckets, true), ("name", names, true)]).unwrap()
}

fn is_deleted(id: i64) -> bool {
    id % 3 == 0 || (1_200..1_400).contains(&id)
}

/// A table of one file whose log knows nothing of its columns; a third of its rows and some whole pages are deleted.
async fn lake() -> Lake {
    let lake = Lake::new();
    lake.create("/t", &COLUMNS, &["deletionVectors"]).await;
    let mut add = lake.file("/t", "a.parquet", &batch(), properties(), &json!({"numRecords": ROWS})).await;
    let deleted: Vec<u64> = (0..ROWS).filter(|id| is_deleted(*id)).map(i64::unsigned_abs).collect();
    add["add"]["deletionVector"] = inline_vector(&deleted);
    lake.commit("/t", 1, &[add]).await;
    lake
}

/// The ids of live rows that match, as a query gives them.
fn live(matches: impl Fn(&(i64, Option<i64>, String)) -> bool) -> Vec<String> {
    (0..ROWS).filter(|id| !is_deleted(*id)).map(row).filter(|row| matches(row)).map(|row| row.0.to_string()).collect()
}

#[test]
fn dv_pushdown_filters_find_exactly_the_live_rows_whatever_is_left_unread() {
    runtime().block_on(async {
        let lake = lake().await;
        for at in [0, 1, 99, 100, 101, 999, 1_000, 1_001, 1_250, 1_399, 1_400, 3_998, 3_999, 4_000] {
            let sql = |filter: &str| format!("SELECT id FROM '/t' WHERE {filter} ORDER BY id");
            assert_eq!(lake.rows(&sql(&format!("id = {at}"))).await, live(|row| row.0 == at), "id = {at}");
            assert_eq!(lake.rows(&sql(&format!("id < {at}"))).await, live(|row| row.0 < at), "id < {at}");
            assert_eq!(lake.rows(&sql(&format!("id >= {at}"))).await, live(|row| row.0 >= at), "id >= {at}");
            assert_eq!(lake.rows(&sql(&format!("NOT id <= {at}"))).await, live(|row| row.0 > at), "NOT id <= {at}");
            let name = row(at).2;
            assert_eq!(lake.rows(&sql(&format!("name = '{name}'"))).await, live(|row| row.2 == name), "{name}");
            let mixed = format!("id > {at} AND (bucket = 2 OR bucket IS NULL) AND name <> '{name}'");
            let wanted = live(|row| row.0 > at && (row.1 == Some(2) || row.1.is_none()) && row.2 != name);
            assert_eq!(lake.rows(&sql(&mixed)).await, wanted, "{mixed}");
        }
        assert_eq!(lake.rows("SELECT id FROM '/t' WHERE bucket IS NULL ORDER BY id").await, live(|row| row.1.is_none()));
        assert_eq!(lake.rows("SELECT id FROM '/t' WHERE bucket IS NOT NULL ORDER BY id").await, live(|row| row.1.is_some()));
        assert_eq!(lake.rows("SELECT id FROM '/t' WHERE bucket IN (0, 7) ORDER BY id").await, live(|row| matches!(row.1, Some(0 | 7))));
        assert_eq!(lake.rows("SELECT id FROM '/t' WHERE name LIKE 'n12%' ORDER BY id").await, live(|row| row.2.starts_with("n12")));
    });
}

#[test]
fn dv_pushdown_limits_count_live_rows_and_a_scan_may_be_run_again() {
    runtime().block_on(async {
        let lake = lake().await;
        for limit in [1, 7, 700, 5_000] {
            let rows = lake.rows(&format!("SELECT id FROM '/t' LIMIT {limit}")).await;
            assert_eq!(rows, live(|_| true).into_iter().take(limit).collect::<Vec<_>>(), "{limit}");
        }
        // Below a filter rows come in no order, but no more and no others than there are.
        let after = live(|row| row.0 > 3_900);
        let left = lake.rows(&format!("SELECT id FROM '/t' WHERE id > 3900 LIMIT 50 OFFSET {}", after.len() - 5)).await;
        assert!(left.len() == 5 && left.iter().all(|id| after.contains(id)), "{left:?}");
        // The same table read twice in one statement, and an operator that reads its input again and again.
        let twice = "SELECT count(*) FROM (SELECT id FROM '/t' WHERE id < 1500 UNION ALL SELECT id FROM '/t' WHERE id < 1500)";
        assert_eq!(lake.rows(twice).await, [(2 * live(|row| row.0 < 1_500).len()).to_string()]);
        let nested = "SELECT count(*) FROM '/t' a, '/t' b WHERE a.id < 20 AND b.id < 20 AND a.id <> b.id";
        let few = live(|row| row.0 < 20).len();
        assert_eq!(lake.rows(nested).await, [(few * (few - 1)).to_string()]);
    });
}

#[test]
fn explain_tells_row_groups_and_rows_that_statistics_filters_and_indexes_leave_out() {
    runtime().block_on(async {
        let lake = lake().await;
        let inside = async |filter: &str| lake.explain(&format!("SELECT id FROM '/t' WHERE {filter}")).await.scans[0].inside;
        let by_statistics = inside("id >= 2000 AND id < 2100").await;
        assert_eq!((by_statistics.row_groups.row_groups, by_statistics.by_statistics.row_groups), (4, 3));
        // One page of 100 rows is left of the row group, a third of them deleted.
        let left = live(|row| (2_000..2_100).contains(&row.0)).len() as u64;
        assert_eq!(by_statistics.rows, left);
        assert_eq!(by_statistics.rows_by_page_index, live(|row| (2_000..3_000).contains(&row.0)).len() as u64 - left);
        // No row has this name, though it lies between the bounds of every row group.
        let by_bloom_filter = inside("name = 'n2000x'").await;
        assert_eq!((by_bloom_filter.by_bloom_filter.row_groups, by_bloom_filter.rows), (4, 0));
        // Every row of these pages is deleted or does not match.
        let by_pages = inside("id >= 1200 AND id < 1400").await;
        assert_eq!((by_pages.by_page_index.row_groups, by_pages.rows), (1, 0));
        let nothing = inside("id >= 0").await;
        assert_eq!(nothing.rows, live(|_| true).len() as u64);
        let bytes = nothing.row_groups.bytes;
        assert!(bytes > 8 * 4_000 && by_statistics.by_statistics.bytes * 4 > bytes * 2, "{bytes}");
    });
}

#[test]
fn damaged_indexes_prove_nothing_and_cost_no_row() {
    runtime().block_on(async {
        let lake = Lake::new();
        lake.create("/t", &COLUMNS, &["deletionVectors"]).await;
        let mut bytes = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch().schema(), Some(properties())).unwrap();
        writer.write(&batch()).unwrap();
        let metadata = writer.close().unwrap();
        for group in metadata.row_groups() {
            for column in group.columns() {
                for (at, length) in [
                    (column.bloom_filter_offset(), column.bloom_filter_length()),
                    (column.column_index_offset(), column.column_index_length()),
                    (column.offset_index_offset(), column.offset_index_length()),
                ] {
                    let Some((at, length)) = at.zip(length) else { continue };
                    let start = usize::try_from(at).unwrap();
                    bytes[start..start + usize::try_from(length).unwrap()].fill(0xff);
                }
            }
        }
        let add = lake.stored("/t", "a.parquet", bytes, &json!({"numRecords": ROWS})).await;
        lake.commit("/t", 1, &[add]).await;
        assert_eq!(lake.rows("SELECT count(*) FROM '/t' WHERE id >= 2050 AND id < 2060").await, ["10"]);
        let name = row(77).2;
        assert_eq!(lake.rows(&format!("SELECT id FROM '/t' WHERE name = '{name}'")).await, ["77"]);
    });
}

#[test]
fn a_limit_opens_no_more_files_than_it_needs() {
    runtime().block_on(async {
        let lake = Lake::new();
        lake.create("/t", &COLUMNS, &["deletionVectors"]).await;
        let mut adds: Vec<Json> = Vec::new();
        for number in 0..50 {
            adds.push(lake.file("/t", &format!("{number}.parquet"), &batch(), properties(), &json!({"numRecords": ROWS})).await);
        }
        lake.commit("/t", 1, &adds).await;
        let before = lake.count.snapshot().gets;
        assert_eq!(lake.rows("SELECT id FROM '/t' LIMIT 3").await.len(), 3);
        let gets = lake.count.snapshot().gets - before;
        // The log's two commits, and one data file in one piece.
        assert!(gets <= 5, "{gets} reads");
        let explained = lake.explain("SELECT id FROM '/t' LIMIT 3").await;
        assert_eq!((explained.scans[0].read.files, explained.scans[0].skipped.enough), (1, true));
        let all = lake.explain("SELECT id FROM '/t'").await;
        assert_eq!((all.scans[0].read.files, all.scans[0].inside.row_groups.row_groups), (50, 200));
    });
}

#[test]
fn explain_tells_files_left_out_by_partition_and_by_statistics_apart() {
    runtime().block_on(async {
        let lake = Lake::new();
        let mut head = crate::support::lake::head(&COLUMNS, &[], &json!({}));
        head[1]["metaData"]["partitionColumns"] = json!(["bucket"]);
        lake.commit("/t", 0, &head).await;
        let mut adds = Vec::new();
        for number in 0..4 {
            let stats = json!({"numRecords": ROWS, "minValues": {"id": number * 10}, "maxValues": {"id": number * 10 + 9}});
            let mut add = lake.file("/t", &format!("{number}.parquet"), &batch(), properties(), &stats).await;
            add["add"]["partitionValues"] = json!({"bucket": (number % 2).to_string()});
            adds.push(add);
        }
        lake.commit("/t", 1, &adds).await;
        let explained = lake.explain("SELECT name FROM '/t' WHERE bucket = 1 AND id > 20").await;
        let scan = &explained.scans[0];
        let skipped = &scan.skipped;
        assert_eq!((scan.read.files, skipped.by_partition.files, skipped.by_statistics.files), (1, 2, 1));
        let named: Vec<String> = skipped.named.iter().map(|(file, why)| format!("{} {why:?}", file.path())).collect();
        assert!(named.contains(&"t/1.parquet Statistics".to_string()) && named.contains(&"t/0.parquet Partition".to_string()), "{named:?}");
        assert!(explained.plan.contains("ScanFiles: files=1"), "{}", explained.plan);
        assert_eq!(scan.columns, ["id", "bucket", "name"]);
    });
}
