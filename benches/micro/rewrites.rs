//! Files into files: 20 files of TPC-H lineitem become one.

use std::fs::File;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use otf::engine::parquet::{ParquetRewriter, Settings};
use otf::engine::{RewritePath, RewriteTask, Rewriter};
use otf::model::{Codec, DataFile, Field, FieldMatching, FileFormat, OutputSpec, Primitive, RowDeletes, Schema, Tolerated, Type};
use otf::units::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::LineItemArrow;

use crate::places::Place;

const FILES: i32 = 20;

fn fields() -> Vec<Field> {
    let (long, int, text, date) = (Primitive::Long, Primitive::Int, Primitive::String, Primitive::Date);
    let money = Primitive::Decimal(15, 2);
    let columns = [
        ("l_orderkey", long),
        ("l_partkey", long),
        ("l_suppkey", long),
        ("l_linenumber", int),
        ("l_quantity", money),
        ("l_extendedprice", money),
        ("l_discount", money),
        ("l_tax", money),
        ("l_returnflag", text),
        ("l_linestatus", text),
        ("l_shipdate", date),
        ("l_commitdate", date),
        ("l_receiptdate", date),
        ("l_shipinstruct", text),
        ("l_shipmode", text),
        ("l_comment", text),
    ];
    let field = |(id, (name, ty)): (i32, (&str, Primitive))| Field {
        id,
        name: name.into(),
        physical: name.into(),
        required: false,
        ty: Type::Primitive(ty),
        initial_default: None,
    };
    (1..).zip(columns).map(field).collect()
}

/// Writes the inputs: 120,000 rows in all.
fn inputs(place: &Place) -> Vec<(DataFile, RowDeletes)> {
    let write = |part| {
        let name = format!("in-{part}.parquet");
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(place.path(&name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, LineItemArrow::schema_ref(), Some(properties)).unwrap();
        LineItemArrow::new(LineItemGenerator::new(0.02, part, FILES)).for_each(|batch| writer.write(&batch.unwrap()).unwrap());
        writer.close().unwrap();
        let location = place.location(&name);
        let size = Bytes(std::fs::metadata(place.path(&name)).unwrap().len());
        let file = DataFile::bare(location, FileFormat::Parquet, size);
        (file, RowDeletes::None)
    };
    (1..=FILES).map(write).collect()
}

fn output(place: &Place, codec: Codec) -> OutputSpec {
    OutputSpec {
        directory: place.location("out"),
        partition: Arc::default(),
        routing: None,
        schema: Schema { fields: fields() },
        field_ids: false,
        tolerated: Tolerated { int96: true, shredded: false },
        calendars: false,
        matching: FieldMatching::PhysicalNames,
        row_ids: None,
        codec,
        target_file_size: Bytes::mib(128),
        row_group_size: Bytes::mib(128),
        page_size: Bytes::mib(1),
        dictionary_size: Bytes::mib(1),
        bloom_filters: Vec::new(),
        metadata: Vec::new(),
    }
}

fn rewrite(bencher: Bencher<'_, '_>, path: RewritePath, codec: Codec) {
    let place = Place::new();
    let inputs = inputs(&place);
    let settings = Settings { memory: Bytes::mib(512), threads: 2, runtime: place.runtime.handle().clone() };
    let rewriter = ParquetRewriter::new(place.store.clone(), settings).unwrap();
    let bytes: u64 = inputs.iter().map(|(file, _)| file.size.0).sum();
    bencher
        .counter(BytesCount::new(bytes))
        .with_inputs(|| RewriteTask { inputs: inputs.clone(), output: output(&place, codec), name_stem: "new".into(), path })
        .bench_values(|task| {
            let done = place.runtime.block_on(rewriter.rewrite(task)).unwrap();
            assert_eq!(done.files.len(), 1);
            done
        });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn copy(bencher: Bencher<'_, '_>) {
    rewrite(bencher, RewritePath::Copy, Codec::Snappy);
}

#[divan::bench(args = ["snappy", "zstd:1", "zstd:3"], sample_count = 10, sample_size = 1)]
fn encode(bencher: Bencher<'_, '_>, codec: &str) {
    let codec = match codec {
        "zstd:1" => Codec::Zstd(1),
        "zstd:3" => Codec::Zstd(3),
        _ => Codec::Snappy,
    };
    rewrite(bencher, RewritePath::Encode, codec);
}
