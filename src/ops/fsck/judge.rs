//! What follows from what a file says of itself and what the table says of it. Pure.

use std::cmp::Ordering;

use crate::engine::{Contents, Examined};
use crate::error::{Error, Kind};
use crate::model::{ColumnStats, DataFile, DeleteKind, Fault, FileStats, Finding, RowDeletes, Schema, Severity, Type, Value};

/// An error in words: its message and what it is about, save the file, which is the place.
pub fn words(error: &Error) -> String {
    let mut text = error.message().to_string();
    for (key, value) in error.context().iter().filter(|(key, _)| !matches!(*key, "file" | "place")) {
        text.push_str(&format!(" {key}={value}"));
    }
    text
}

/// What is wrong with the data file `file` of a table with `schema`. `deletes` are its deletes, if they could be read; `live_rows` says that the
/// statistics in `found` are of the rows that these leave.
pub fn data_file(file: &DataFile, schema: &Schema, found: &Examined, deletes: Option<&RowDeletes>, live_rows: bool) -> Vec<Finding> {
    let mut judge = Judge { file, findings: Vec::new() };
    if found.size != file.size {
        judge.add(Fault::SizeWrong, format!("the metadata says {} bytes, storage has {}", file.size.0, found.size.0));
    }
    match &found.contents {
        Ok(contents) => judge.contents(schema, contents, deletes, live_rows),
        Err(error) if error.kind() == Kind::Unsupported => judge.add(Fault::NotExamined, words(error)),
        Err(error) => judge.add(Fault::FileUnreadable, words(error)),
    }
    judge.findings
}

struct Judge<'a> {
    file: &'a DataFile,
    findings: Vec<Finding>,
}

impl Judge<'_> {
    fn add(&mut self, fault: Fault, what: impl Into<String>) {
        self.findings.push(Finding::new(fault, &self.file.location, what));
    }

    fn contents(&mut self, schema: &Schema, contents: &Contents, deletes: Option<&RowDeletes>, live_rows: bool) {
        if let Some(said) = self.file.rows.filter(|said| *said != contents.rows) {
            self.add(Fault::CountWrong, format!("the metadata says {said} rows, the file holds {}", contents.rows));
        }
        if let Some(RowDeletes::Positions(positions)) = deletes
            && positions.max().is_some_and(|last| last >= contents.rows)
        {
            let vector = self.file.deletes.iter().any(|delete| delete.kind == DeleteKind::Vector);
            let finding =
                Finding::new(Fault::PositionsBeyondFile, &self.file.location, "deletes name positions behind the file's last row");
            self.findings.push(if vector { finding.with(Severity::Error) } else { finding });
        }
        if let Some(error) = &contents.mismatch {
            self.add(Fault::SchemaMismatch, words(error));
        }
        if let Some(error) = &contents.not_compared {
            self.add(Fault::NotExamined, words(error));
        }
        // Statistics may be of the stored rows or of the live ones: with deletes, only bounds over live rows tell anything.
        let undeleted = self.file.deletes.is_empty();
        if undeleted {
            self.nulls(schema, contents);
        }
        let declared = self.file.stats.as_deref();
        if let Some(declared) = declared.filter(|_| undeleted || live_rows) {
            self.bounds(schema, declared, &contents.stats);
        }
    }

    fn bounds(&mut self, schema: &Schema, declared: &FileStats, actual: &FileStats) {
        for (id, said) in &declared.columns {
            let Some(seen) = actual.columns.get(id).filter(|seen| seen.exact) else { continue };
            let beyond = |bound: &Option<Value>, value: &Option<Value>, wrong| match (bound, value) {
                // A NaN bound says nothing.
                (Some(bound), Some(value)) => !bound.is_nan() && bound.compare(value) == Some(wrong),
                _ => false,
            };
            let low = beyond(&said.lower, &seen.lower, Ordering::Greater);
            let high = beyond(&said.upper, &seen.upper, Ordering::Less);
            let which = match (low, high) {
                (true, true) => "lower and the upper bound leave",
                (true, false) => "lower bound leaves",
                (false, true) => "upper bound leaves",
                (false, false) => continue,
            };
            self.add(Fault::BoundsWrong, format!("column {}: the {which} out values of the file", name(schema, *id)));
        }
    }

    /// Counts of columns at the top: below structs writers count in several ways.
    fn nulls(&mut self, schema: &Schema, contents: &Contents) {
        for field in schema.fields.iter().filter(|field| matches!(field.ty, Type::Primitive(_))) {
            let Some(seen) = contents.stats.columns.get(&field.id) else { continue };
            if field.required && seen.null_count.is_some_and(|nulls| nulls > 0) {
                self.add(Fault::RequiredNull, format!("column {} is required and has nulls", field.name));
            }
            let Some(said) = self.file.stats.as_deref().and_then(|stats| stats.columns.get(&field.id)) else { continue };
            for (fault, what, said, seen) in
                [(Fault::NullCountWrong, "nulls", nulls(said), nulls(seen)), (Fault::NanCountWrong, "NaNs", said.nan_count, seen.nan_count)]
            {
                let (Some(said), Some(seen)) = (said, seen) else { continue };
                if said == seen {
                    continue;
                }
                let text = format!("column {}: the metadata says {said} {what}, the file has {seen}", field.name);
                let finding = Finding::new(fault, &self.file.location, text);
                // Readers skip files by "none" and "all"; other counts only mislead planners.
                let misleads = said == 0 || said == contents.rows;
                self.findings.push(if misleads { finding } else { finding.with(Severity::Warning) });
            }
        }
    }
}

const fn nulls(stats: &ColumnStats) -> Option<u64> {
    stats.null_count
}

fn name(schema: &Schema, id: i32) -> String {
    schema.field_by_id(id).map_or_else(|| format!("with id {id}"), |field| field.name.clone())
}

/// What mends a finding of a table that users call `table`: a command where there is one.
pub fn mend(fault: Fault, table: &str) -> String {
    let compact = |options: &str| format!("otf compact {}{options}", quoted(table));
    match fault {
        Fault::TableUnreadable | Fault::MetadataGap => "restore the named file from a backup".into(),
        Fault::FileMissing | Fault::FileUnreadable | Fault::SizeWrong => {
            "restore the file from a backup, or go back to a version without it; its rows are lost otherwise".into()
        }
        Fault::SchemaMismatch | Fault::RequiredNull => {
            "write the file's rows again with the table's schema, by the engine that wrote it".into()
        }
        Fault::CountWrong => "find out which is true: restore the file, or write its rows again by the engine that wrote it".into(),
        Fault::BoundsWrong | Fault::NullCountWrong | Fault::NanCountWrong => compact(" --rewrite-all --path encode"),
        Fault::DuplicateReference => {
            "remove one reference by the engine that added it: compacting would make the duplicates permanent".into()
        }
        Fault::DeletesWrong => "restore the delete file from a backup; without it deleted rows come back".into(),
        Fault::PositionsBeyondFile => compact(" --delete-file-threshold 1"),
        // Deletes are dropped by a commit that moves files.
        Fault::DeletesDangling => compact(" --rewrite-all --remove-dangling-deletes"),
        Fault::RefBroken => "set the ref to a snapshot that exists, by the engine or catalog that owns it".into(),
        Fault::HistoryBroken => "restore an older metadata file, or have the writer that made it set it right".into(),
        Fault::VersionUnreadable => "expire the versions that cannot be read; the newest one does not need them".into(),
        Fault::ManifestMissing | Fault::ManifestUnreadable => "restore the file from a backup, or go back to an older version".into(),
        Fault::ManifestCountWrong | Fault::ManifestBoundsWrong | Fault::SummaryWrong => compact(" --rewrite-all"),
        Fault::StatisticsMissing => "compute the statistics again, by the engine that wrote them".into(),
        Fault::HintStale => "the next commit of the table corrects it".into(),
        Fault::LogGap => "restore the commits from a backup if older versions are needed; the newest one does not need them".into(),
        Fault::CheckpointUnreadable | Fault::CheckpointIncomplete | Fault::CheckpointWrong => {
            "move the checkpoint's files away as long as the commits before it are there; the next checkpoint replaces it".into()
        }
        Fault::ChecksumWrong => "move the .crc file away: it is optional, and the next commit of its writer makes a new one".into(),
        Fault::NotExamined => "check it with an engine that understands it".into(),
    }
}

/// `table` as a shell takes it for one word.
fn quoted(table: &str) -> String {
    let plain = !table.is_empty() && table.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:=@%+,".contains(c));
    if plain { table.to_string() } else { format!("'{}'", table.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::model::{DeleteRef, Field, FileFormat, Primitive};
    use crate::units::Bytes;

    fn schema() -> Schema {
        let ty = Type::Primitive(Primitive::Double);
        Schema { fields: vec![Field { id: 1, name: "x".into(), physical: "x".into(), required: false, ty, initial_default: None }] }
    }

    fn stats(lower: f64, upper: f64, nulls: u64, nans: u64) -> FileStats {
        let column = ColumnStats {
            null_count: Some(nulls),
            nan_count: Some(nans),
            lower: Some(Value::Double(lower)),
            upper: Some(Value::Double(upper)),
            exact: true,
            ..ColumnStats::default()
        };
        FileStats { columns: [(1, column)].into() }
    }

    fn file(declared: FileStats, deletes: &[DeleteKind]) -> DataFile {
        DataFile {
            rows: Some(10),
            deletes: deletes.iter().map(|kind| DeleteRef { kind: *kind, key: "d".into(), rows: None }).collect(),
            stats: Some(Box::new(declared)),
            ..DataFile::bare(Location::parse("/t/f").unwrap(), FileFormat::Parquet, Bytes(9))
        }
    }

    fn found(contents: Contents) -> Examined {
        Examined { size: Bytes(9), contents: Ok(contents) }
    }

    fn codes(file: &DataFile, examined: &Examined, live_rows: bool) -> Vec<String> {
        let findings = data_file(file, &schema(), examined, None, live_rows);
        findings.iter().map(|f| format!("{} {}", f.severity.as_str(), f.fault.code())).collect()
    }

    #[test]
    fn bounds_must_hold_every_value_and_may_be_wider() {
        let of = |lower, upper| {
            codes(
                &file(stats(lower, upper, 0, 0), &[]),
                &found(Contents { rows: 10, stats: stats(1.0, 5.0, 0, 0), ..Contents::default() }),
                false,
            )
        };
        assert!(of(1.0, 5.0).is_empty() && of(-9.0, 9.0).is_empty() && of(f64::NAN, 9.0).is_empty());
        assert_eq!(of(1.5, 5.0), ["error bounds-wrong"]);
        assert_eq!(of(1.0, 4.5), ["error bounds-wrong"]);
    }

    #[test]
    fn bounds_of_stored_rows_say_nothing_of_live_ones() {
        let examined = found(Contents { rows: 10, stats: stats(1.0, 5.0, 3, 0), ..Contents::default() });
        let deleted = file(stats(2.0, 3.0, 0, 0), &[DeleteKind::Vector]);
        assert!(codes(&deleted, &examined, false).is_empty());
        assert_eq!(codes(&deleted, &examined, true), ["error bounds-wrong"]);
    }

    #[test]
    fn counts_that_files_are_skipped_by_are_errors() {
        let of = |said: u64, nans: u64| {
            let examined = found(Contents { rows: 10, stats: stats(0.0, 1.0, 4, 2), ..Contents::default() });
            codes(&file(stats(0.0, 1.0, said, nans), &[]), &examined, true)
        };
        assert!(of(4, 2).is_empty());
        assert_eq!(of(0, 2), ["error null-count-wrong"]);
        assert_eq!(of(10, 2), ["error null-count-wrong"]);
        assert_eq!(of(5, 2), ["warning null-count-wrong"]);
        assert_eq!(of(4, 0), ["error nan-count-wrong"]);
        assert_eq!(of(4, 1), ["warning nan-count-wrong"]);
    }

    #[test]
    fn what_this_build_cannot_read_is_no_damage() {
        let examined = Examined { size: Bytes(9), contents: Err(Error::unsupported("ORC data files are not read yet")) };
        assert_eq!(codes(&file(FileStats::default(), &[]), &examined, false), ["note not-examined"]);
        let contents = Contents { rows: 10, not_compared: Some(Error::unsupported("variants")), ..Contents::default() };
        assert_eq!(codes(&file(FileStats::default(), &[]), &found(contents), false), ["note not-examined"]);
    }

    #[test]
    fn errors_are_told_without_the_file_they_are_about() {
        let error = Error::corrupt("not a Parquet file").about("file", "/t/f").about("length", 3);
        assert_eq!(words(&error), "not a Parquet file length=3");
    }

    #[test]
    fn every_finding_has_something_that_mends_it() {
        assert!(Fault::ALL.iter().all(|fault| !mend(*fault, "t").is_empty()));
        assert_eq!(mend(Fault::DeletesDangling, "./it's"), r"otf compact './it'\''s' --rewrite-all --remove-dangling-deletes");
    }
}
