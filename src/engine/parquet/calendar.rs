//! The calendar of dates and times that Spark notes in footers.
//!
//! Spark 2, and later ones where they are asked to, store dates before 1582-10-15 and times before 1900 after the old calendar (and the local times of
//! old zones). The footer says so, and Spark turns such values into the ones that were meant as it reads them; others take them as they are. A
//! rewrite keeps values and note together, so that every reader sees what it saw before. Source of the rules: Spark, `DataSourceUtils`.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::Type as Physical;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};

use crate::error::{Error, Result};
use crate::model::{Field, FileStats, Primitive, Type, Value};

const VERSION: &str = "org.apache.spark.version";
const LEGACY_TIMES: &str = "org.apache.spark.legacyDateTime";
const LEGACY_INT96: &str = "org.apache.spark.legacyINT96";
const ZONE: &str = "org.apache.spark.timeZone";
/// From this version on, Spark says by a note whether values are after the old calendar.
const FIRST_WITH_NOTE: &str = "3.0.0";
/// The same for timestamps of 12 bytes.
const FIRST_WITH_NOTE_OF_INT96: &str = "3.1.0";

/// 1582-10-15 in days since 1970-01-01: dates are the same in both calendars from here on.
const FIRST_SAME_DAY: i32 = -141_427;
/// 1900-01-01T00:00:00Z in microseconds: times are the same from here on, whatever the zone.
const FIRST_SAME_TIME: i64 = -2_208_988_800_000_000;

/// What a footer says of the calendar of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Calendar {
    /// Whether dates and 8-byte times are after the old one.
    is_old: bool,
    /// Whether timestamps of 12 bytes are.
    is_old_int96: bool,
    /// The zone by which old times were local.
    zone: Option<String>,
}

impl Calendar {
    /// What `file` says. Files that no Spark wrote say nothing: theirs is today's.
    pub(super) fn of(file: &FileMetaData) -> Self {
        Self::noted(&notes(file))
    }

    /// What notes in a footer say.
    pub(super) fn noted(notes: &[(String, String)]) -> Self {
        let note = |wanted: &str| notes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        // Versions are compared as Spark does it, as texts.
        let Some(version) = note(VERSION) else { return Self::default() };
        let is_old = version < FIRST_WITH_NOTE || note(LEGACY_TIMES).is_some();
        let is_old_int96 = version < FIRST_WITH_NOTE_OF_INT96 || note(LEGACY_INT96).is_some();
        let zone = note(ZONE).filter(|_| is_old || is_old_int96).map(str::to_string);
        Self { is_old, is_old_int96, zone }
    }

    /// Whether any values are after the old calendar.
    pub(super) const fn is_any_old(&self) -> bool {
        self.is_old || self.is_old_int96
    }

    /// Whether `file` may be copied into one that has this calendar.
    pub(super) fn takes(&self, file: &Self) -> bool {
        self == file || !(self.is_any_old() || file.is_any_old())
    }

    /// Whether values of `metadata` mean the same in a new file of this calendar only if they are the same in both: there all are stored in 8 bytes.
    pub(super) fn wants_same(&self, metadata: &ParquetMetaData) -> bool {
        let file = metadata.file_metadata();
        let theirs = Self::of(file);
        let has_int96 = file.schema_descr().columns().iter().any(|column| column.physical_type() == Physical::INT96);
        let differs = |is_old: bool| is_old != self.is_old || (is_old && theirs.zone != self.zone);
        differs(theirs.is_old) || (has_int96 && differs(theirs.is_old_int96))
    }

    /// Takes bounds away that lie before the calendars' last difference: Spark would compare them with what was meant.
    pub(super) fn loosen(&self, stats: &mut FileStats) {
        if !self.is_any_old() {
            return;
        }
        let is_doubtful = |bound: &Option<Value>| match bound {
            Some(Value::Int(days)) => *days < FIRST_SAME_DAY,
            Some(Value::Long(time)) => *time < FIRST_SAME_TIME,
            _ => false,
        };
        for column in stats.columns.values_mut() {
            if is_doubtful(&column.lower) || is_doubtful(&column.upper) {
                (column.lower, column.upper, column.exact) = (None, None, false);
            }
        }
    }
}

/// Whether columns hold dates or times that the calendars differ in.
pub(super) fn matters(fields: &[Field]) -> bool {
    fields.iter().any(|field| of_type(&field.ty))
}

fn of_type(ty: &Type) -> bool {
    match ty {
        Type::Primitive(primitive) => matches!(primitive, Primitive::Date | Primitive::TimestampTz | Primitive::TimestampTzNs),
        Type::Struct(members) => matters(members),
        Type::List(element) => of_type(&element.ty),
        Type::Map(key, value) => of_type(&key.ty) || of_type(&value.ty),
    }
}

/// The notes of a footer that its calendar follows from.
pub(super) fn notes(file: &FileMetaData) -> Vec<(String, String)> {
    let all = file.key_value_metadata().into_iter().flatten();
    let known: BTreeMap<&str, &str> = all.filter_map(|entry| Some((entry.key.as_str(), entry.value.as_deref()?))).collect();
    let found =
        [VERSION, LEGACY_TIMES, LEGACY_INT96, ZONE].into_iter().filter_map(|key| Some((key.to_string(), (*known.get(key)?).to_string())));
    found.collect()
}

/// Checks that every date and time is the same in both calendars.
///
/// # Errors
///
/// `Unsupported` if one is not.
pub(super) fn check_same(columns: &[ArrayRef]) -> Result<()> {
    if columns.iter().all(is_same) {
        return Ok(());
    }
    let error = Error::unsupported("a file has dates or times of long ago after Spark's old calendar, and others of its group have not");
    Err(error.hint("compact other partitions (--where), or have Spark write the old files again (REORG or UPDATE) after today's calendar"))
}

fn is_same(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Date32 => column.as_primitive::<Date32Type>().iter().flatten().all(|day| day >= FIRST_SAME_DAY),
        // Times without a zone have one calendar.
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            column.as_primitive::<TimestampMicrosecondType>().iter().flatten().all(|time| time >= FIRST_SAME_TIME)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            column.as_primitive::<TimestampNanosecondType>().iter().flatten().all(|time| time / 1_000 >= FIRST_SAME_TIME)
        }
        DataType::Struct(_) => column.as_struct().columns().iter().all(is_same),
        DataType::List(_) => is_same(column.as_list::<i32>().values()),
        DataType::Map(..) => column.as_map().entries().columns().iter().all(is_same),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(notes: &[(&str, &str)]) -> Calendar {
        Calendar::noted(&notes.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect::<Vec<_>>())
    }

    #[test]
    fn versions_and_notes_tell_the_calendar() {
        let told = |notes: &[(&str, &str)]| (of(notes).is_old, of(notes).is_old_int96);
        assert_eq!(told(&[]), (false, false));
        assert_eq!(told(&[(LEGACY_TIMES, "")]), (false, false), "without a version a note says nothing");
        assert_eq!(told(&[(VERSION, "2.4.8")]), (true, true));
        assert_eq!(told(&[(VERSION, "3.0.3")]), (false, true));
        assert_eq!(told(&[(VERSION, "3.5.1")]), (false, false));
        assert_eq!(told(&[(VERSION, "4.1.0"), (LEGACY_TIMES, "")]), (true, false));
        assert_eq!(told(&[(VERSION, "4.1.0"), (LEGACY_INT96, "")]), (false, true));
    }

    #[test]
    fn zones_matter_to_old_times_alone() {
        let zoned = |version| of(&[(VERSION, version), (ZONE, "Europe/Rome")]);
        assert!(!zoned("2.4.8").takes(&of(&[(VERSION, "2.4.8")])));
        assert!(zoned("2.4.8").takes(&zoned("2.4.5")));
        assert!(zoned("3.5.1").takes(&of(&[])));
    }
}
