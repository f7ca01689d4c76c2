//! A list of files that somebody else made, instead of a listing: S3 Inventory as CSV, Parquet or ORC, Azure's blob inventory, or plain CSV or JSON
//! lines of key, size and time.
//!
//! Such a list is old by the time it is read: every orphan in it is looked at on storage before it is deleted.

mod columns;
mod lines;
mod rows;

use serde::Deserialize;
use serde_json::Value as Json;

use self::columns::{Columns, Row};
use self::lines::Lines;
use self::rows::Rows;
use super::plan::Listed;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::FileFormat;
use crate::store::Store;
use crate::units::Bytes;

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
    /// What parts are encoded as; `None` for text.
    format: Option<FileFormat>,
    open: Option<Part>,
}

/// A part being read.
#[derive(Debug)]
enum Part {
    Text(Box<Text>),
    Rows(Rows),
}

/// Lines being read.
#[derive(Debug)]
struct Text {
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
        let format;
        if file.name() == MANIFEST {
            let manifest: Manifest = serde_json::from_slice(&store.get(file).await?)
                .map_err(|e| Error::usage("the manifest of an inventory cannot be understood").about("file", file).because(e))?;
            format = match manifest.file_format.to_ascii_lowercase().as_str() {
                "csv" => None,
                "parquet" => Some(FileFormat::Parquet),
                "orc" => Some(FileFormat::Orc),
                _ => return Err(unsupported(&manifest.file_format, file)),
            };
            let bucket = manifest.destination_bucket.rsplit(':').next().unwrap_or_default();
            let place = |part: &File| Location::parse(&format!("s3://{bucket}/{}", part.key));
            parts = manifest.files.iter().map(place).collect::<Result<_>>()?;
            // Files that name their columns themselves are described in a language of their own.
            if format.is_none() {
                let names: Vec<String> = manifest.file_schema.split(',').map(|name| name.trim().to_string()).collect();
                schema = Some(Columns::named(&names).ok_or_else(|| lacking(file))?);
            }
        } else {
            format = match file.name().rsplit_once('.').map(|(_, ending)| ending) {
                Some("parquet") => Some(FileFormat::Parquet),
                Some("orc") => Some(FileFormat::Orc),
                Some("avro") => return Err(unsupported("avro", file)),
                _ => None,
            };
        }
        Ok(Self { store, home: home.clone(), parts: parts.into_iter(), schema, format, open: None })
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
                self.open = Some(match self.format {
                    Some(format) => Part::Rows(Rows::open(self.store, &place, format)),
                    None => {
                        let lines = Lines::open(self.store, &place).await?;
                        Part::Text(Box::new(Text { lines, columns: self.schema.clone(), is_json: false }))
                    }
                });
                continue;
            };
            let rows = match part {
                Part::Rows(rows) => rows.next().await?,
                Part::Text(text) => match text.lines.next(self.store).await? {
                    Some(lines) => Some(text.read(&lines)?),
                    None => None,
                },
            };
            let Some(rows) = rows else {
                self.open = None;
                continue;
            };
            let mut files = Vec::with_capacity(rows.len());
            for row in rows {
                files.extend(listed(row, &self.home)?);
            }
            if !files.is_empty() {
                return Ok(Some(files));
            }
        }
    }
}

impl Text {
    fn read(&mut self, text: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
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
            rows.push(row);
        }
        Ok(rows)
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
    let size = Bytes(row.size.and_then(|text| text.parse().ok()).unwrap_or(0));
    Ok(Some(Listed { location, size, modified: row.modified }))
}

fn unsupported(format: &str, file: &Location) -> Error {
    Error::unsupported(format!("inventories in {format} are not in this version"))
        .about("file", file)
        .hint("have the inventory written as CSV, Parquet or ORC, or turn it into CSV or JSON lines of key, size and last_modified")
}

fn lacking(file: &Location) -> Error {
    Error::usage("an inventory lacks a column for keys or one for times")
        .about("file", file)
        .hint("name its columns in a first line: key,size,last_modified; JSON lines have members of these names")
}

#[cfg(test)]
mod tests;
