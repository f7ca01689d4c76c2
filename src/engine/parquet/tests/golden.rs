//! Files that other engines wrote. Runs where `OTF_GOLDEN` names a folder of them.

use std::path::PathBuf;

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::basic::Type as Physical;

use super::*;
use crate::error::Kind;

fn parquet_files(folder: &FsPath, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            parquet_files(&entry, found);
        } else if name.ends_with(".parquet") && !name.starts_with('.') && std::fs::metadata(&entry).unwrap().len() < 32 << 20 {
            found.push(entry);
        }
    }
}

/// A table's column as the file has it; `None` for types that tables do not have.
fn modelled(field: &ArrowField, next: &mut i32) -> Option<Field> {
    *next += 1;
    let id = *next;
    let ty = match field.data_type() {
        DataType::Boolean => Primitive::Boolean,
        DataType::Int8 => Primitive::Byte,
        DataType::Int16 => Primitive::Short,
        DataType::Int32 => Primitive::Int,
        DataType::Int64 => Primitive::Long,
        DataType::Float32 => Primitive::Float,
        DataType::Float64 => Primitive::Double,
        DataType::Decimal128(p, s) => Primitive::Decimal(*p, *s),
        DataType::Date32 => Primitive::Date,
        DataType::Time64(TimeUnit::Microsecond) => Primitive::Time,
        DataType::Timestamp(_, Some(_)) => Primitive::TimestampTz,
        DataType::Timestamp(_, None) => Primitive::Timestamp,
        DataType::Utf8 => Primitive::String,
        DataType::Binary => Primitive::Binary,
        DataType::FixedSizeBinary(n) => Primitive::Fixed(u32::try_from(*n).unwrap()),
        DataType::Struct(members) => {
            let members: Option<Vec<Field>> = members.iter().map(|m| modelled(m, next)).collect();
            return Some(Field { required: !field.is_nullable(), ..super::field(id, field.name(), Type::Struct(members?)) });
        }
        DataType::List(item) => {
            let item = modelled(item, next)?;
            return Some(Field { required: !field.is_nullable(), ..super::field(id, field.name(), Type::List(Box::new(item))) });
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let (key, value) = (modelled(&pair[0], next)?, modelled(&pair[1], next)?);
            let ty = Type::Map(Box::new(required(key)), Box::new(value));
            return Some(Field { required: !field.is_nullable(), ..super::field(id, field.name(), ty) });
        }
        _ => return None,
    };
    Some(Field { required: !field.is_nullable(), ..leaf(id, field.name(), ty) })
}

/// The type to read a file's column as: legacy timestamps of distant years do not fit nanoseconds.
fn micros(ty: &DataType) -> DataType {
    let item = |field: &ArrowField| Arc::new(field.clone().with_data_type(micros(field.data_type())));
    match ty {
        DataType::Timestamp(TimeUnit::Nanosecond, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Struct(members) => DataType::Struct(members.iter().map(|m| item(m)).collect()),
        DataType::List(element) => DataType::List(item(element)),
        DataType::Map(entries, sorted) => DataType::Map(item(entries), *sorted),
        other => other.clone(),
    }
}

fn rows_of(path: &FsPath) -> std::result::Result<RecordBatch, String> {
    let open = || std::fs::File::open(path).unwrap();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let mut builder = ParquetRecordBatchReaderBuilder::try_new_with_options(open(), options).map_err(|e| e.to_string())?;
    if builder.parquet_schema().columns().iter().any(|column| column.physical_type() == Physical::INT96) {
        let read_as = |f: &Arc<ArrowField>| f.as_ref().clone().with_data_type(micros(f.data_type()));
        let schema = ArrowSchema::new(builder.schema().fields().iter().map(read_as).collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        builder = ParquetRecordBatchReaderBuilder::try_new_with_options(open(), options).map_err(|e| e.to_string())?;
    }
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|e| e.to_string())?;
    let batches: Vec<RecordBatch> = reader.collect::<std::result::Result<_, _>>().map_err(|e| e.to_string())?;
    arrow_select::concat::concat_batches(&schema, &batches).map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "the folder is named by the environment")]
async fn files_of_other_engines_keep_their_rows_or_are_refused_clearly() {
    let Ok(folder) = std::env::var("OTF_GOLDEN") else { return };
    let mut files = Vec::new();
    for format in ["delta", "iceberg", "hive"] {
        parquet_files(&FsPath::new(&folder).join(format), &mut files);
    }
    let (mut same, mut refused, mut differ) = (0, Vec::new(), Vec::new());
    for path in files {
        let bench = Bench::new();
        let before = match rows_of(&path) {
            Ok(rows) => rows,
            Err(why) => {
                let output = bench.output(vec![leaf(1, "any", Primitive::Long)]);
                let ours = bench.rewrite(vec![(data_file(&path), RowDeletes::None)], output, RewritePath::Encode).await;
                refused.push((path, format!("not read by the library: {why}; ours: {:?}", ours.map(|done| done.files.len()))));
                continue;
            }
        };
        let mut next = 0;
        let fields: Vec<Field> = before.schema().fields().iter().filter_map(|f| modelled(f, &mut next)).collect();
        let whole = fields.len() == before.num_columns();
        for route in [RewritePath::Encode, RewritePath::Copy] {
            let output = OutputSpec { field_ids: false, ..bench.output(fields.clone()) };
            match bench.rewrite(vec![(data_file(&path), RowDeletes::None)], output, route).await {
                Ok(done) if done.files.is_empty() => assert_eq!(before.num_rows(), 0),
                Ok(done) => {
                    let after = rows_of(FsPath::new(&local(&done.files[0].location))).unwrap();
                    assert_eq!(after.num_rows(), before.num_rows());
                    let plain = |b: &RecordBatch, i| arrow_cast::cast(b.column(i), &DataType::Utf8).ok();
                    let equal = |i: usize| after.column(i) == before.column(i) || plain(&after, i) == plain(&before, i);
                    if whole && !(0..after.num_columns()).all(equal) { differ.push((path.clone(), route)) } else { same += 1 }
                }
                Err(error) => {
                    assert!(matches!(error.kind(), Kind::Unsupported | Kind::Corrupt), "{}: {error:?}", path.display());
                    if route == RewritePath::Encode {
                        refused.push((path.clone(), format!("{error:?}")));
                    }
                }
            }
        }
    }
    println!("{same} rewrites keep their rows; refused:");
    refused.iter().for_each(|(path, why)| println!("  {} {why}", path.display()));
    differ.iter().for_each(|(path, route)| println!("  differs: {} {route:?}", path.display()));
    assert!(same > 0 && differ.is_empty());
}
