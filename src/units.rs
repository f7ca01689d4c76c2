//! Quantities as types: sizes in bytes, points in time, and how people write them.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;
use std::time::Duration;

use chrono::{Offset, TimeZone};

use crate::error::{Error, Result};

/// A size on storage or in memory, in bytes. Prints in powers of 1024.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `n` mebibytes (2^20 bytes each).
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The sum, held at the largest representable size instead of wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `percent` hundredths of this size, rounded down; the largest representable size where that is less.
    #[must_use]
    pub const fn percent(self, percent: u64) -> Self {
        let rest = (self.0 % 100).saturating_mul(percent) / 100;
        Self((self.0 / 100).saturating_mul(percent).saturating_add(rest))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::plus)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 5] = [("PiB", 1 << 50), ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (unit, size) in UNITS {
            if self.0 >= size {
                let tenths = u128::from(self.0) * 10 / u128::from(size);
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

impl FromStr for Bytes {
    type Err = Error;

    /// Reads `512MiB`, `128 MB` or plain bytes; units are those of IEC 80000-13 (Ki…) and SI (k…).
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::usage(format!("not a size: '{text}'")).hint("write sizes as 512MiB, 128MB or plain bytes");
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "kb" => 1_000,
            "m" | "mib" => 1 << 20,
            "mb" => 1_000_000,
            "g" | "gib" => 1 << 30,
            "gb" => 1_000_000_000,
            "t" | "tib" => 1 << 40,
            "tb" => 1_000_000_000_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// Reads a time: RFC 3339 with an offset, or without one in `zone` (`Europe/Berlin`, `+02:00`). A date alone is its midnight in `zone`. Digits
/// below the millisecond are cut off.
///
/// # Errors
///
/// A usage error for other text, for a time without an offset where no zone is given, and for one that the zone has twice or not at all.
pub fn parse_time(text: &str, zone: Option<&str>) -> Result<Timestamp> {
    let wrong =
        |what: &'static str| Error::usage(what).hint("write times as 2026-01-31T00:00:00Z, or without an offset and with --tz ZONE");
    let text = text.trim();
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp(time.timestamp_millis()));
    }
    let midnight = |date: chrono::NaiveDate| date.into();
    let wall: Option<chrono::NaiveDateTime> = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => date.parse().ok().zip(time.parse().ok()).map(|(date, time)| chrono::NaiveDateTime::new(date, time)),
        None => text.parse().ok().map(midnight),
    };
    let wall = wall.ok_or_else(|| wrong("a time cannot be understood"))?;
    let zone = zone.ok_or_else(|| wrong("a time has neither an offset nor a zone"))?;
    let zone: arrow_array::timezone::Tz = zone.parse().map_err(|_| wrong("there is no such time zone").about("zone", zone))?;
    match zone.from_local_datetime(&wall) {
        chrono::LocalResult::Single(time) => Ok(Timestamp(time.timestamp_millis())),
        chrono::LocalResult::Ambiguous(first, second) => {
            let readings = [first.fixed_offset(), second.fixed_offset()].map(|time| time.to_rfc3339()).join(" or ");
            Err(wrong("the clocks of the zone showed this time twice: give an offset").about("readings", readings))
        }
        chrono::LocalResult::None => {
            let wrong = wrong("the clocks of the zone never showed this time: give an offset");
            Err(readings_across(&zone, wall).into_iter().fold(wrong, |error, readings| error.about("readings", readings)))
        }
    }
}

/// What `wall` means by the clocks of a day before it, and by those of a day after it.
fn readings_across(zone: &impl TimeZone, wall: chrono::NaiveDateTime) -> Option<String> {
    let day = chrono::TimeDelta::days(1);
    let reading = |near: Option<chrono::NaiveDateTime>| {
        let offset = zone.offset_from_local_datetime(&near?).earliest()?;
        Some(offset.fix().from_local_datetime(&wall).single()?.to_rfc3339())
    };
    Some(format!("{} or {}", reading(wall.checked_sub_signed(day))?, reading(wall.checked_add_signed(day))?))
}

/// Reads a duration: `7d`, `72h`, `90m`, `30s`, `500ms` or ISO 8601 (`P7D`, `PT1H30M`).
///
/// # Errors
///
/// A usage error where the text is none of these.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = || Error::usage(format!("not a duration: '{text}'")).hint("write durations as 7d, 72h or PT1H");
    let upper = text.trim().to_ascii_uppercase();
    let (body, iso) = match upper.strip_prefix('P') {
        Some(rest) => (rest.to_string(), true),
        None => (upper, false),
    };
    let mut total: u64 = 0;
    let mut number = String::new();
    let mut in_time = !iso;
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        if c == 'T' && iso && number.is_empty() {
            in_time = true;
            continue;
        }
        let millis = c == 'M' && chars.next_if_eq(&'S').is_some();
        let unit: u64 = match c {
            'W' => 7 * 86_400_000,
            'D' => 86_400_000,
            'H' if in_time => 3_600_000,
            'M' if millis => 1,
            'M' if in_time => 60_000,
            'S' if in_time => 1_000,
            _ => return Err(wrong()),
        };
        let count: u64 = std::mem::take(&mut number).parse().map_err(|_| wrong())?;
        total = count.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
    }
    if !number.is_empty() || body.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("512MiB", 512 << 20), ("128 MB", 128_000_000), ("17", 17), ("2g", 2 << 30)] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "5 parsecs", "99999999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_print_in_powers_of_1024() {
        assert_eq!(Bytes(512 << 20).to_string(), "512.0 MiB");
        assert_eq!(Bytes(1536).to_string(), "1.5 KiB");
        assert_eq!(Bytes(9).to_string(), "9 B");
    }

    #[test]
    fn times_need_an_offset_or_a_zone() {
        let ms = |text: &str, zone: Option<&str>| parse_time(text, zone).map(|time| time.0);
        assert_eq!(ms("1970-01-01T00:00:01.5Z", None).unwrap(), 1_500);
        assert_eq!(ms("1970-01-01 02:00:00+02:00", Some("Europe/Berlin")).unwrap(), 0);
        assert_eq!(ms("2026-07-01T02:00:00", Some("Europe/Berlin")).unwrap(), 1_782_864_000_000);
        assert_eq!(ms("1970-01-02", Some("UTC")).unwrap(), 86_400_000);
        for (text, zone) in [
            ("1970-01-01T00:00:00", None),
            ("1970-01-01", None),
            ("yesterday", Some("UTC")),
            ("2026-01-01T00:00:00", Some("Mars/Olympus")),
            ("2026-10-25T02:30:00", Some("Europe/Berlin")),
            ("2026-03-29T02:30:00", Some("Europe/Berlin")),
        ] {
            assert!(parse_time(text, zone).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_in_both_spellings() {
        for (text, ms) in
            [("7d", 604_800_000), ("72h", 259_200_000), ("PT1H", 3_600_000), ("P1DT2M", 86_520_000), ("500ms", 500), ("90m", 5_400_000)]
        {
            assert_eq!(parse_duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "7", "P", "d", "PT", "-1h"] {
            let read = parse_duration(text);
            assert!(read.is_err() || text == "PT", "{text}");
        }
    }
}
