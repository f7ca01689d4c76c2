//! What people write: places, filters, queries, settings, sizes, times.

use otf::location::Location;
use otf::model::{At, Field, Primitive, Schema, Type};
use otf::ops::query::statement::{Request, as_of, read};

use super::tables::sound;
use super::{Target, text};

pub(super) const TARGETS: &[Target] = &[
    (
        "location",
        location,
        &["s3a://b/t/x", "file:///a/../b", "/a//b/./c", "abfss://c@a.dfs.core.windows.net/p", "hdfs://h:8020/x", "C:\\x"],
    ),
    ("reference", reference, &["prod.db.t", "./a b#main", "s3://b/t/metadata/v3.metadata.json", "prod.a.b.c", "hive://x", "t#a/b"]),
    (
        "filter",
        filter,
        &[
            "id >= 3 AND name LIKE 'a%'",
            "NOT (ts < TIMESTAMP '2024-01-31T00:00:00Z' OR d IN (1.5, 2))",
            "\"Name\" IS NOT NULL",
            "s.x BETWEEN -1 AND 0x10",
            "day = DATE '2024-01-31' AND b = X'00ff'",
        ],
    ),
    (
        "query",
        query,
        &[
            "WITH a AS (SELECT * FROM 's3://b/t' VERSION AS OF 3) SELECT a.x, count(*) FROM a JOIN t AS b ON a.id = b.id GROUP BY 1",
            "SELECT * FROM t TIMESTAMP AS OF '2024-01-31 00:00:00' WHERE x IN (SELECT y FROM \"t$files\") ORDER BY 1 LIMIT 3",
            "SHOW COLUMNS FROM 't'; ",
            "EXPLAIN SELECT t.s.x[1]['k'] FROM t FOR SYSTEM_TIME AS OF '2024-01-31' -- c\n",
            "SELECT CASE WHEN a THEN (1 + 2) * -3 END, CAST(x AS DECIMAL(3, 1)) OVER (PARTITION BY y) FROM generate_series(1, 3)",
        ],
    ),
    (
        "config",
        config,
        &[
            "memory = \"1GiB\"\nthreads = 3\n[storage]\na = \"1\"\n[catalog.prod]\ntype = \"sql\"\nuri = \"sqlite://x.db\"\n",
            "output = \"json\"\n[compact]\ntarget_file_size = \"512MiB\"\ncompression = \"zstd:3\"\n",
        ],
    ),
    (
        "options",
        options,
        &[
            "target-file-size-bytes=1000\nmin-file-size-bytes=750\nmax-file-size-bytes=1800\nmin-input-files=2\nmax-file-group-size-bytes=5000\n\
             max-concurrent-file-group-rewrites=3\nmax-files-to-rewrite=7\npartial-progress.enabled=true\npartial-progress.max-commits=4\n",
            "delete-file-threshold=1\ndelete-ratio-threshold=0.2\nrewrite-all=true\nremove-dangling-deletes=true\n\
             use-starting-sequence-number=true\nrewrite-job-order=bytes-desc\noutput-spec-id=3\n",
            "aws_endpoint = http://h:1\nallow_http=true\nregion=x\nmax_retries=3\nretry_timeout=PT1M\n",
        ],
    ),
    ("quantities", quantities, &["512MiB", "128 MB", "17", "7d", "PT1H30M", "P1DT2M", "500ms", "90m", "zstd:22", "brotli:11", "none"]),
    (
        "times",
        times,
        &[
            "2024-01-31T00:00:00Z",
            "2024-10-27 02:30:00",
            "2024-01-31",
            "-262143-01-01",
            "17",
            "main",
            "2024-03-31T02:30:00.123456789+14:00",
        ],
    ),
];

fn location(data: &[u8]) {
    let text = text(data);
    let base = Location::parse("/base/t").unwrap();
    for place in [Location::parse(&text), Location::parse_below(&text, &base), base.join(&text)].into_iter().flatten() {
        // A place that was read is read again from how it is written.
        assert_eq!(Location::parse(&place.to_string()).unwrap(), place);
        assert!(place.is_below(&place) && place.parent().is_none_or(|parent| place.is_below(&parent)));
    }
}

fn reference(data: &[u8]) {
    let text = text(data);
    let (here, catalogs) = (Location::parse("/base/t").unwrap(), ["prod".to_string()].into());
    let table = otf::wiring::reference::branch(&text).map_or(text.as_str(), |(table, _)| table);
    sound(otf::wiring::reference::Reference::read(table, &here, &catalogs));
}

pub(super) const PRIMITIVES: &[Primitive] = &[
    Primitive::Boolean,
    Primitive::Byte,
    Primitive::Int,
    Primitive::Long,
    Primitive::Float,
    Primitive::Double,
    Primitive::Decimal(38, 10),
    Primitive::Date,
    Primitive::Time,
    Primitive::Timestamp,
    Primitive::TimestampTz,
    Primitive::TimestampNs,
    Primitive::String,
    Primitive::Binary,
    Primitive::Uuid,
];

fn filter(data: &[u8]) {
    let column =
        |id: i32, name: &str, ty: Type| Field { id, name: name.into(), physical: name.into(), required: false, ty, initial_default: None };
    let names = ["o", "y", "id", "l", "g", "f", "d", "day", "tm", "ts", "tz", "ns", "name", "b", "u"];
    let mut fields: Vec<Field> = (1..).zip(names).zip(PRIMITIVES).map(|((id, name), ty)| column(id, name, Type::Primitive(*ty))).collect();
    fields.push(column(90, "s", Type::Struct(vec![column(91, "x", Type::Primitive(Primitive::Int))])));
    sound(otf::cli::filter::parse(&text(data), &Schema { fields }));
}

/// A statement that was read is read again from how it is written.
fn query(data: &[u8]) {
    let text = text(data);
    let named = [("t".to_string(), "/d/t".to_string())];
    let request = |sql, as_of| Request { sql, named: &named, as_of, zone: Some("Europe/Berlin") };
    let Some(parsed) = sound(read(&request(&text, Some(At::Ref("main".into()))))) else { return };
    let written = parsed.statement.to_string();
    sound(read(&request(&written, None)));
}

fn config(data: &[u8]) {
    let text = text(data);
    sound(otf::config::Config::read(Some(&text), &[].into()));
    let variables = ["OTF_MEMORY", "OTF_THREADS", "OTF_OUTPUT"].map(|name| (name.to_string(), text.clone()));
    sound(otf::config::Config::read(None, &variables.into()));
}

/// What follows `--option` and `--storage-option`, one a line.
fn options(data: &[u8]) {
    let text = text(data);
    let given: Vec<String> = text.lines().map(str::to_string).collect();
    sound(otf::cli::commands::compact::spark_options(&given));
    let pairs = given.iter().filter_map(|option| sound(otf::cli::options::key_value("--storage-option", option)));
    let settings: otf::store::resolve::Settings = pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect();
    sound(otf::store::resolve::Stores::new(&settings, &[].into()));
}

fn quantities(data: &[u8]) {
    let text = text(data);
    sound(text.parse::<otf::units::Bytes>());
    sound(otf::units::parse_duration(&text));
    sound(text.parse::<otf::config::Compression>());
}

fn times(data: &[u8]) {
    let text = text(data);
    for zone in [None, Some("Europe/Berlin"), Some("America/New_York"), Some("+05:45"), Some(text.as_str())] {
        sound(as_of(&text, zone));
        sound(otf::units::parse_time(&text, zone));
    }
}
