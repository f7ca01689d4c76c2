//! Manifests against their list, and live files against the snapshot's summary.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;

use super::unread;
use crate::error::Result;
use crate::formats::iceberg::manifest::{Entry, FileContent, ManifestReader, Status};
use crate::formats::iceberg::manifest_list::{FieldSummary, ManifestFile};
use crate::formats::iceberg::metadata::SnapshotView;
use crate::formats::iceberg::scan::Scan;
use crate::formats::iceberg::spec::{Interner, Spec};
use crate::formats::iceberg::values;
use crate::location::Location;
use crate::model::{Fault, Finding, FindingSink, Partition, Severity};

/// How many manifests are fetched ahead.
const AHEAD: usize = 4;

/// Sums over live files.
#[derive(Debug, Default)]
struct Totals {
    data_files: u64,
    data_bytes: u64,
    records: u64,
    delete_files: u64,
    delete_bytes: u64,
    /// Bytes of delete files, where of a vector only its own bytes count.
    delete_content: u64,
    position_deletes: u64,
    equality_deletes: u64,
}

/// What the manifests of a snapshot hold.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) manifests: u64,
    totals: Totals,
    /// Whether every manifest could be read.
    whole: bool,
    /// Live delete files with the size that the metadata says.
    pub(super) deletes: HashMap<Location, u64>,
}

/// Reads every manifest of the current snapshot; `None` if not even their list can be read.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn check(scan: &Scan, found: FindingSink<'_>) -> Result<Option<Survey>> {
    let manifests = match scan.manifests().await {
        Ok(manifests) => manifests,
        Err(error) => {
            let list = scan.metadata.current()?.and_then(SnapshotView::manifest_list);
            let place = list.and_then(|path| scan.metadata.place(path).ok()).unwrap_or_else(|| scan.metadata.file.clone());
            found(unread(error, &place)?);
            return Ok(None);
        }
    };
    let mut survey = Survey { whole: true, ..Survey::default() };
    let fetch = |manifest: ManifestFile| async move {
        let place = scan.metadata.place(&manifest.path);
        let bytes = match &place {
            Ok(place) => scan.store.get(place).await,
            Err(_) => Ok(bytes::Bytes::new()),
        };
        (manifest, place, bytes)
    };
    let mut fetched = futures::stream::iter(manifests.iter().cloned()).map(fetch).buffered(AHEAD);
    while let Some((manifest, place, bytes)) = fetched.next().await {
        survey.manifests += 1;
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                found(Finding::new(Fault::NotExamined, &manifest.path, error.message()));
                survey.whole = false;
                continue;
            }
        };
        let read = bytes.and_then(|bytes| {
            let said = u64::try_from(manifest.length).ok();
            if manifest.length > 0 && said != Some(bytes.len() as u64) {
                let what = format!("its list says {} bytes, storage has {}", manifest.length, bytes.len());
                found(Finding::new(Fault::SizeWrong, &place, what));
            }
            let reader = ManifestReader::open(&bytes, &place, &manifest)?;
            survey.manifest(scan, &manifest, &place, reader, found)
        });
        if let Err(error) = read {
            found(unread(error, &place)?);
            survey.whole = false;
        }
    }
    Ok(Some(survey))
}

impl Survey {
    fn manifest(
        &mut self,
        scan: &Scan,
        listed: &ManifestFile,
        place: &Location,
        reader: ManifestReader,
        found: FindingSink<'_>,
    ) -> Result<()> {
        let (spec, columns) = (Arc::clone(scan.metadata.spec(reader.spec_id)?), reader.columns.clone());
        let mut interner = Interner::default();
        let mut bounds = Bounds { spec: &spec, summaries: listed.partitions.as_deref(), last: None, wrong: false };
        let (mut files, mut rows) = ([0u64; 3], [0u64; 3]);
        for entry in reader {
            let entry = entry?;
            let at = match entry.status {
                Status::Added => 0,
                Status::Existing => 1,
                Status::Deleted => 2,
            };
            if let (Some(files), Some(rows)) = (files.get_mut(at), rows.get_mut(at)) {
                *files += 1;
                *rows = rows.saturating_add(entry.records);
            }
            if entry.status != Status::Deleted {
                bounds.check(interner.partition(&spec, columns.tuple(&entry)).map(|(partition, _)| partition)?);
                self.live(scan, &entry)?;
            }
        }
        if bounds.wrong {
            found(Finding::new(Fault::ManifestBoundsWrong, place, "its list's partition bounds leave out files of it"));
        }
        counts(listed, place, files, rows, found);
        Ok(())
    }

    fn live(&mut self, scan: &Scan, entry: &Entry) -> Result<()> {
        let totals = &mut self.totals;
        if entry.content == FileContent::Data {
            totals.data_files += 1;
            totals.data_bytes = totals.data_bytes.saturating_add(entry.size);
            totals.records = totals.records.saturating_add(entry.records);
            return Ok(());
        }
        totals.delete_files += 1;
        totals.delete_bytes = totals.delete_bytes.saturating_add(entry.size);
        totals.delete_content = totals.delete_content.saturating_add(entry.blob.map_or(entry.size, |(_, size)| size));
        let deletes = if entry.content == FileContent::Equality { &mut totals.equality_deletes } else { &mut totals.position_deletes };
        *deletes = deletes.saturating_add(entry.records);
        self.deletes.insert(scan.metadata.place(&entry.path)?, entry.size);
        Ok(())
    }
}

/// Partition bounds of a manifest against its entries.
struct Bounds<'a> {
    spec: &'a Spec,
    summaries: Option<&'a [FieldSummary]>,
    last: Option<Arc<Partition>>,
    wrong: bool,
}

impl Bounds<'_> {
    fn check(&mut self, partition: Arc<Partition>) {
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &partition)) {
            return;
        }
        let fields = partition.fields.iter().zip(&self.spec.fields).zip(self.summaries.unwrap_or_default());
        for ((value, field), summary) in fields {
            let bound = |bytes: &Option<Vec<u8>>| field.ty.and_then(|ty| values::from_bytes(bytes.as_deref()?, ty));
            self.wrong |= match &value.value {
                None => !summary.contains_null,
                Some(value) if value.is_nan() => summary.contains_nan == Some(false),
                Some(value) => {
                    let beyond = |bound: Option<crate::model::Value>, side| bound.is_some_and(|bound| value.compare(&bound) == Some(side));
                    beyond(bound(&summary.lower), Ordering::Less) || beyond(bound(&summary.upper), Ordering::Greater)
                }
            };
        }
        self.last = Some(partition);
    }
}

fn counts(listed: &ManifestFile, place: &Location, files: [u64; 3], rows: [u64; 3], found: FindingSink<'_>) {
    let names = ["added", "existing", "deleted"];
    for (what, said, counted) in [("files", listed.files, files), ("rows", listed.rows, rows)] {
        for ((name, said), counted) in names.into_iter().zip(said).zip(counted) {
            let Some(said) = said.filter(|said| u64::try_from(*said) != Ok(counted)) else { continue };
            let finding = Finding::new(Fault::ManifestCountWrong, place, format!("its list says {said} {name} {what}, it has {counted}"));
            // Readers pass over manifests that are said to have no live file.
            let hides = what == "files" && listed.is_dead() && counted > 0 && name != "deleted";
            found(if hides { finding.with(Severity::Error) } else { finding });
        }
    }
}

/// Holds the summary of the current snapshot against its live files.
pub(super) fn summary(scan: &Scan, snapshot: SnapshotView<'_>, survey: &Survey, found: FindingSink<'_>) {
    if !survey.whole {
        return;
    }
    let totals = &survey.totals;
    let place = &scan.metadata.file;
    let counts: [(&str, &[u64]); 6] = [
        ("total-records", &[totals.records]),
        ("total-data-files", &[totals.data_files]),
        ("total-delete-files", &[totals.delete_files]),
        ("total-position-deletes", &[totals.position_deletes]),
        ("total-equality-deletes", &[totals.equality_deletes]),
        // Writers differ in whether delete files, and all of a file of vectors, count.
        (
            "total-files-size",
            &[
                totals.data_bytes,
                totals.data_bytes.saturating_add(totals.delete_bytes),
                totals.data_bytes.saturating_add(totals.delete_content),
            ],
        ),
    ];
    for (key, counted) in counts {
        let Some(said) = snapshot.count(key).filter(|said| !counted.contains(said)) else { continue };
        let counted = counted.first().copied().unwrap_or_default();
        found(Finding::new(Fault::SummaryWrong, place, format!("the current snapshot's {key} is {said}, its live files have {counted}")));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::formats::iceberg::avro::Datum;
    use crate::model::{Field, Primitive, Type};

    fn wrong(tuple: Datum, summary: &FieldSummary) -> bool {
        let column = Field {
            id: 1,
            name: "d".into(),
            physical: "d".into(),
            required: false,
            ty: Type::Primitive(Primitive::Double),
            initial_default: None,
        };
        let json = serde_json::json!([{"name": "d", "transform": "identity", "source-id": 1, "field-id": 1000}]);
        let spec = Spec::parse(0, Some(&json), &BTreeMap::from([(1, column)])).unwrap();
        let mut bounds = Bounds { spec: &spec, summaries: Some(std::slice::from_ref(summary)), last: None, wrong: false };
        bounds.check(Arc::new(spec.partition(&[tuple]).unwrap()));
        bounds.wrong
    }

    #[test]
    fn partition_bounds_must_hold_every_file() {
        let bytes = |value: f64| Some(value.to_le_bytes().to_vec());
        let summary = FieldSummary { contains_null: false, contains_nan: Some(false), lower: bytes(1.0), upper: bytes(2.0) };
        assert!(!wrong(Datum::Double(1.0), &summary) && !wrong(Datum::Double(2.0), &summary));
        assert!(wrong(Datum::Double(0.5), &summary) && wrong(Datum::Double(2.5), &summary));
        assert!(wrong(Datum::Null, &summary) && wrong(Datum::Double(f64::NAN), &summary));
        let open = FieldSummary { contains_null: true, contains_nan: None, lower: None, upper: None };
        assert!([Datum::Null, Datum::Double(f64::NAN), Datum::Double(9.0)].into_iter().all(|tuple| !wrong(tuple, &open)));
    }
}
