//! Data files, read and written again by the engine.

use std::sync::Arc;

use bytes::Bytes;
use otf::catalog;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::engine::scan::{FileScan, FileScanner, Filter, Scanner};
use otf::engine::{RewritePath, RewriteTask, Rewriter};
use otf::formats::{OutputWishes, Table};
use otf::model::predicate::{Comparison, Predicate};
use otf::model::{DataFile, FileFormat, OutputSpec, ReadSpec, RowDeletes, Value};
use otf::store::Store;
use otf::units::Bytes as Size;
use std::cell::OnceCell;
use tokio::runtime::Handle;

use super::Target;
use super::tables::{MEMORY, fixture, read_rows, sound, with_store};

pub(super) const TARGETS: &[Target] = &[
    (
        "data_parquet",
        data_parquet,
        &[
            "@iceberg_v3_dv/data/00000-99-da03f485-5f31-4f65-88a1-6caeda85e155-0-00001.parquet",
            "@iceberg_v2_posdeletes/data/00000-96-3cb1d000-941a-4a4f-bddb-60d0c5f3eb5b-00001-deletes.parquet",
            "@delta_plain/part-00000-0a52a548-0747-4459-bea5-e1d176f925fd-c000.snappy.parquet",
            "@delta_mapping_name/bR/part-00000-c0cfe003-b156-425b-b99f-c2f505a61b19-c000.snappy.parquet",
        ],
    ),
    (
        "data_parquet_rewritten",
        data_parquet_rewritten,
        &[
            "@iceberg_v3_dv/data/00000-99-da03f485-5f31-4f65-88a1-6caeda85e155-0-00001.parquet",
            "@delta_plain/part-00000-0a52a548-0747-4459-bea5-e1d176f925fd-c000.snappy.parquet",
        ],
    ),
    (
        "data_orc",
        data_orc,
        &[
            "@iceberg_v2_orc/data/00000-4-929898f9-64a9-431e-8d75-8348885c3d5f-0-00001.orc",
            "@iceberg_v2_orc/data/00000-0-ec3836cc-3c63-413a-942f-0c0ee907ef75-0-00001.orc",
            "@iceberg_v2_eqdeletes/data/deletes-orc.orc",
        ],
    ),
    (
        "data_avro",
        data_avro,
        &[
            "@iceberg_v2_avro/data/00000-11-aeea0dbb-331f-4cdc-abf8-5537e80f35a6-0-00001.avro",
            "@iceberg_v2_avro/data/00000-7-d3706986-f268-466e-892a-9755c98add88-0-00001.avro",
            "@iceberg_v2_avro/data/00001-8-d3706986-f268-466e-892a-9755c98add88-0-00001.avro",
        ],
    ),
];

/// How the rows of a fixture's table, which has a column of every kind, are read and written.
fn with_rules(use_them: impl FnOnce(&ReadSpec, &OutputSpec)) {
    thread_local! {
        static RULES: OnceCell<(ReadSpec, OutputSpec)> = const { OnceCell::new() };
    }
    RULES.with(|known| {
        if known.get().is_none() {
            let objects = fixture("iceberg_v2_orc", &["metadata", "data"]);
            with_store("/tmp/otf-fixtures/0000000000000000/db/iceberg_v2_orc", objects, async |store, root| {
                let version = catalog::path_table(&store, root).load().await.unwrap();
                let rules = (version.reading().unwrap(), version.output(&Arc::default(), &OutputWishes::default()).unwrap());
                known.set(rules).unwrap();
            });
        }
        let (reading, output) = known.get().unwrap();
        use_them(reading, output);
    });
}

fn with_file<W: AsyncFnOnce(Store, DataFile)>(data: &[u8], format: FileFormat, work: W) {
    let (name, size) = (format!("f.{}", format.as_str().to_lowercase()), data.len());
    with_store("/t", vec![(name.clone(), Bytes::copy_from_slice(data))], async |store, root| {
        work(store, DataFile::bare(root.child(&name), format, Size(size as u64))).await;
    });
}

fn scanned(data: &[u8], format: FileFormat) {
    with_rules(|reading, _| {
        let schema = Arc::new(reading.schema.clone());
        let predicates = vec![
            Predicate::Compare(1, Comparison::AtLeast, Value::Long(3)),
            Predicate::Not(Box::new(Predicate::Compare(2, Comparison::Equal, Value::String("c".into())))),
        ];
        let filter = Filter::new(predicates, &schema);
        with_file(data, format, async |store, file| {
            let scan = |filter| FileScan {
                file: file.clone(),
                deletes: RowDeletes::None,
                schema: Arc::clone(&schema),
                matching: reading.matching.clone(),
                constants: Vec::new(),
                filter,
            };
            read_rows(&store, scan(None)).await;
            if format == FileFormat::Parquet {
                read_rows(&store, scan(filter.clone())).await;
                sound(FileScanner::new(store, MEMORY, Handle::current()).preview(scan(filter)).await);
            }
        });
    });
}

fn data_parquet(data: &[u8]) {
    scanned(data, FileFormat::Parquet);
}

fn data_orc(data: &[u8]) {
    scanned(data, FileFormat::Orc);
}

fn data_avro(data: &[u8]) {
    scanned(data, FileFormat::Avro);
}

/// Copied as bytes where that is possible, and encoded anew.
fn data_parquet_rewritten(data: &[u8]) {
    with_rules(|_, output| {
        with_file(data, FileFormat::Parquet, async |store, file| {
            let settings = Settings { memory: Size(64 << 20), threads: 1, runtime: Handle::current() };
            let rewriter = ParquetRewriter::new(store, settings).unwrap();
            sound(rewriter.stored_rows(&file).await);
            for path in [RewritePath::Copy, RewritePath::Encode] {
                let output = OutputSpec { directory: file.location.parent().unwrap(), ..output.clone() };
                let inputs = vec![(file.clone(), RowDeletes::None)];
                sound(rewriter.rewrite(RewriteTask { inputs, output, name_stem: "n".into(), path }).await);
            }
        });
    });
}
