//! A list of files that somebody else made, instead of a listing: S3 Inventory as CSV, or plain CSV or JSON lines of key, size and time.
//!
//! Such a list is old by the time it is read: every orphan in it is looked at on storage before it is deleted.

mod columns;
mod lines;

use serde::Deserialize;
use serde_json::Value as Json;

use self::columns::{Columns, Row};
use self::lines::Lines;
use super::plan::Listed;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;
use crate::units::{Bytes, parse_time};

/// What S3 names the file that leads to the parts of an inventory.
const MANIFEST: &str = "manifest.json";

/// The parts of an inventory, in their order.
#[derive(Debug)]
pub(super) struct Inventory<'a> {
    store: &'a Store,
    /// The storage that keys without one are on.
    home: Location,
    parts: std::vec::IntoIter<Location>,
    /// Names of columns, where a manifest says them.
    schema: Option<Columns>,
    open: Option<Part>,
}

/// A part being read.
#[derive(Debug)]
struct Part {
    lines: Lines,
    columns: Option<Columns>,
    is_json: bool,
}

/// What S3 Inventory says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    destination_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    key: String,
}

impl<'a> Inventory<'a> {
    /// Opens `file`; keys without a storage of their own are on that of `home`.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Unsupported` for a format that is not understood; `Usage` for a file that is no inventory.
    pub(super) async fn open(store: &'a Store, file: &Location, home: &Location) -> Result<Self> {
        let (mut parts, mut schema) = (vec![file.clone()], None);
        if file.name() == MANIFEST {
            let manifest: Manifest = serde_json::from_slice(&store.get(file).await?)
                .map_err(|e| Error::usage("the manifest of an inventory cannot be understood").about("file", file).because(e))?;
            if !manifest.file_format.eq_ignore_ascii_case("csv") {
                return Err(unsupported(&manifest.file_format, file));
            }
            let bucket = manifest.destination_bucket.rsplit(':').next().unwrap_or_default();
            let place = |part: &File| Location::parse(&format!("s3://{bucket}/{}", part.key));
            parts = manifest.files.iter().map(place).collect::<Result<_>>()?;
            let names: Vec<String> = manifest.file_schema.split(',').map(|name| name.trim().to_string()).collect();
            schema = Some(Columns::named(&names).ok_or_else(|| lacking(file))?);
        }
        if let Some(ending) = ["parquet", "orc", "avro"].into_iter().find(|ending| file.name().ends_with(&format!(".{ending}"))) {
            return Err(unsupported(ending, file));
        }
        Ok(Self { store, home: home.clone(), parts: parts.into_iter(), schema, open: None })
    }

    /// The next files; `None` at the end. Rows of other buckets and of deleted objects are passed over.
    ///
    /// # Errors
    ///
    /// `Usage` for a row that cannot be understood, with its number; `Unavailable` if storage did not answer.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Listed>>> {
        loop {
            let Some(part) = &mut self.open else {
                let Some(place) = self.parts.next() else { return Ok(None) };
                let lines = Lines::open(self.store, &place).await?;
                self.open = Some(Part { lines, columns: self.schema.clone(), is_json: false });
                continue;
            };
            let Some(text) = part.lines.next(self.store).await? else {
                self.open = None;
                continue;
            };
            let files = part.read(&text, &self.home)?;
            if !files.is_empty() {
                return Ok(Some(files));
            }
        }
    }
}

impl Part {
    fn read(&mut self, text: &str, home: &Location) -> Result<Vec<Listed>> {
        let mut files = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let row = if self.is_json || (self.columns.is_none() && line.trim_start().starts_with('{')) {
                self.is_json = true;
                let object: Json = serde_json::from_str(line).map_err(|e| self.lines.wrong().because(e))?;
                Row::of_object(&object).ok_or_else(|| lacking(self.lines.place()))?
            } else {
                let fields = columns::fields(line).ok_or_else(|| self.lines.wrong())?;
                match &self.columns {
                    Some(columns) => columns.row(&fields).ok_or_else(|| self.lines.wrong())?,
                    None => {
                        let (columns, is_header) = Columns::guess(&fields).ok_or_else(|| lacking(self.lines.place()))?;
                        let row = columns.row(&fields);
                        self.columns = Some(columns);
                        match row {
                            Some(row) if !is_header => row,
                            _ => continue,
                        }
                    }
                }
            };
            files.extend(listed(row, home)?);
        }
        Ok(files)
    }
}

/// The file of a row; `None` if it is not on this storage, or no longer there.
fn listed(row: Row, home: &Location) -> Result<Option<Listed>> {
    if row.is_gone || row.bucket.as_ref().is_some_and(|bucket| bucket != home.authority()) {
        return Ok(None);
    }
    let has_home = row.key.contains("://") || row.key.starts_with("file:") || (home.scheme() == "file" && row.key.starts_with('/'));
    let location = if has_home {
        Location::parse(&row.key)?
    } else {
        Location::parse(&format!("{}://{}/{}", home.scheme(), home.authority(), row.key))?
    };
    // A time that cannot be understood is one that is not known.
    let modified = row.modified.and_then(|text| parse_time(&text, Some("UTC")).ok());
    Ok(Some(Listed { location, size: Bytes(row.size.and_then(|text| text.parse().ok()).unwrap_or(0)), modified }))
}

fn unsupported(format: &str, file: &Location) -> Error {
    Error::unsupported(format!("inventories in {format} are not in this version"))
        .about("file", file)
        .hint("have the inventory written as CSV, or turn it into CSV or JSON lines of key, size and last_modified")
}

fn lacking(file: &Location) -> Error {
    Error::usage("an inventory lacks a column for keys or one for times")
        .about("file", file)
        .hint("name its columns in a first line: key,size,last_modified; JSON lines have members of these names")
}

#[cfg(test)]
mod tests;
