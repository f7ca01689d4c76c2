//! Opens every live data file, a few at a time, and holds it against the metadata.

use futures::StreamExt;
use futures::stream::BoxStream;

use super::duplicates::Duplicates;
use super::tally::Tally;
use super::{Checked, Options, is_damage, judge, place_of};
use crate::engine::{Depth, Examined, Inspector};
use crate::error::{Error, Kind, Result};
use crate::formats::{OutputWishes, TableVersion};
use crate::model::{Codec, DataFile, DeleteKind, Fault, Finding, OutputSpec, RowDeletes};
use crate::units::Bytes;

/// Files whose deletes are read together: delete files may be shared.
const BATCH: usize = 64;
/// Batches on their way at the same time.
const BATCHES: usize = 2;
/// Files of a batch that are open at the same time.
const OPEN: usize = 16;
/// A damaged listing is given up after so many errors.
const MOST_ERRORS: usize = 1000;

/// Checks the data files of `version`.
///
/// # Errors
///
/// `Unavailable` or `Refused` if storage did not answer.
pub(super) async fn check(version: &dyn TableVersion, inspector: &dyn Inspector, options: &Options, tally: &mut Tally) -> Result<Checked> {
    let look = Look { version, inspector, deep: options.deep };
    let mut duplicates = Duplicates::new(options.memory.0 / 4);
    let mut checked = Checked::default();
    let mut errors = 0;
    {
        let batches = version.files(true).chunks(BATCH).map(|files| {
            let again: Vec<Finding> = files.iter().flatten().filter_map(|file| repeated(file, &mut duplicates)).collect();
            look.batch(files, again)
        });
        let mut batches = batches.buffered(BATCHES);
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            checked.files += batch.checked.files;
            checked.bytes = checked.bytes.plus(batch.checked.bytes);
            checked.rows = checked.rows.saturating_add(batch.checked.rows);
            batch.findings.into_iter().for_each(|finding| tally.add(finding));
            for error in batch.unlisted {
                errors += 1;
                unlisted(error, version, tally)?;
            }
            if errors > MOST_ERRORS {
                break;
            }
        }
    }
    while duplicates.next_share() {
        let mut files: BoxStream<'_, Result<DataFile>> = version.files(false);
        while let Some(file) = files.next().await {
            file.ok().and_then(|file| repeated(&file, &mut duplicates)).into_iter().for_each(|finding| tally.add(finding));
        }
    }
    Ok(checked)
}

fn repeated(file: &DataFile, duplicates: &mut Duplicates) -> Option<Finding> {
    let again = duplicates.again(&file.location);
    again.then(|| Finding::new(Fault::DuplicateReference, &file.location, "the data file is live more than once: its rows count twice"))
}

/// A file that the metadata does not let us know. What the format's own check has told already is not told again.
fn unlisted(error: Error, version: &dyn TableVersion, tally: &mut Tally) -> Result<()> {
    let place = place_of(&error, &version.snapshot().location);
    match error.kind() {
        kind if is_damage(kind) => {
            if !tally.has(&place) {
                tally.add(Finding::new(Fault::ManifestUnreadable, place, judge::words(&error)));
            }
        }
        Kind::Unsupported => tally.add(Finding::new(Fault::NotExamined, place, judge::words(&error))),
        _ => return Err(error),
    }
    Ok(())
}

/// What came of a batch.
#[derive(Default)]
struct Batch {
    findings: Vec<Finding>,
    unlisted: Vec<Error>,
    checked: Checked,
}

/// The deletes of a file, if they were read.
type Deletes = Option<RowDeletes>;

struct Look<'a> {
    version: &'a dyn TableVersion,
    inspector: &'a dyn Inspector,
    deep: bool,
}

impl Look<'_> {
    async fn batch(&self, listed: Vec<Result<DataFile>>, findings: Vec<Finding>) -> Result<Batch> {
        let mut batch = Batch { findings, ..Batch::default() };
        let mut files = Vec::with_capacity(listed.len());
        for file in listed {
            match file {
                Ok(file) => files.push(file),
                Err(error) => batch.unlisted.push(error),
            }
        }
        let deletes = self.deletes(&files, &mut batch.findings).await?;
        let looks: Vec<_> = files.iter().zip(&deletes).map(|(file, deletes)| self.file(file, deletes)).collect();
        let mut looks = futures::stream::iter(looks).buffered(OPEN);
        while let Some(look) = looks.next().await {
            let (findings, checked) = look?;
            batch.findings.extend(findings);
            batch.checked.files += checked.files;
            batch.checked.bytes = batch.checked.bytes.plus(checked.bytes);
            batch.checked.rows = batch.checked.rows.saturating_add(checked.rows);
        }
        Ok(batch)
    }

    /// The deletes of `files`, where they are needed: vectors belong to one file and are always read, files of positions were checked by the
    /// format as a whole.
    async fn deletes(&self, files: &[DataFile], findings: &mut Vec<Finding>) -> Result<Vec<Deletes>> {
        let needed = |file: &DataFile| !file.deletes.is_empty() && (self.deep || file.deletes.iter().any(|d| d.kind == DeleteKind::Vector));
        let wanted: Vec<DataFile> = files.iter().filter(|file| needed(file)).cloned().collect();
        let mut read: Vec<Deletes> = match self.version.row_deletes(&wanted).await {
            Ok(deletes) => deletes.into_iter().map(Some).collect(),
            Err(error) if is_damage(error.kind()) || error.kind() == Kind::Unsupported => self.one_by_one(&wanted, findings).await?,
            Err(error) => return Err(error),
        };
        read.reverse();
        let deletes =
            files.iter().map(|file| if needed(file) { read.pop().flatten() } else { file.deletes.is_empty().then_some(RowDeletes::None) });
        Ok(deletes.collect())
    }

    /// Reads the deletes of each file by itself, so that damage is told of the file it belongs to.
    async fn one_by_one(&self, files: &[DataFile], findings: &mut Vec<Finding>) -> Result<Vec<Deletes>> {
        let mut read = Vec::with_capacity(files.len());
        for file in files {
            match self.version.row_deletes(std::slice::from_ref(file)).await {
                Ok(deletes) => read.push(deletes.into_iter().next()),
                Err(error) if is_damage(error.kind()) => {
                    findings.push(Finding::new(Fault::DeletesWrong, &file.location, judge::words(&error)));
                    read.push(None);
                }
                Err(error) if error.kind() == Kind::Unsupported => {
                    findings.push(Finding::new(Fault::NotExamined, &file.location, judge::words(&error)));
                    read.push(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    async fn file(&self, file: &DataFile, deletes: &Deletes) -> Result<(Vec<Finding>, Checked)> {
        let mut findings = Vec::new();
        let output = match self.output(file) {
            Ok(output) => Some(output),
            Err(error) => {
                findings.push(Finding::new(Fault::NotExamined, &self.version.snapshot().location, judge::words(&error)));
                None
            }
        };
        let depth = match deletes {
            Some(deletes) if self.deep => Depth::Rows(deletes),
            _ => Depth::Footer,
        };
        match self.inspector.examine(file, output.as_ref(), depth).await {
            Ok(examined) => {
                let rows = examined.contents.as_ref().map_or(0, |contents| contents.rows);
                let checked = Checked { files: 1, bytes: examined.size, rows, metadata_files: 0 };
                findings.extend(self.judge(file, &examined, deletes, matches!(depth, Depth::Rows(_))));
                Ok((findings, checked))
            }
            Err(error) if is_damage(error.kind()) => {
                findings.push(Finding::new(Fault::FileMissing, &file.location, "a live data file is not there"));
                Ok((findings, Checked::default()))
            }
            Err(error) => Err(error),
        }
    }

    fn judge(&self, file: &DataFile, examined: &Examined, deletes: &Deletes, live_rows: bool) -> Vec<Finding> {
        judge::data_file(file, &self.version.snapshot().schema, examined, deletes.as_ref(), live_rows)
    }

    /// How the table's columns are recognised in `file`. What new files would look like besides does not matter here.
    fn output(&self, file: &DataFile) -> Result<OutputSpec> {
        let wishes = OutputWishes { target_file_size: Some(Bytes::mib(512)), codec: Some(Codec::Uncompressed), ..OutputWishes::default() };
        self.version.output(&file.partition, &wishes)
    }
}
