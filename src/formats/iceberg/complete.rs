//! What a manifest list must say of a manifest that an old writer said less of.

use super::manifest::Status;
use super::manifest_list::ManifestFile;
use super::scan::Scan;
use crate::error::{Error, Result};

/// `manifest` with everything a new list must say of it; `snapshot` is one that has it. It is read only where something is missing.
///
/// # Errors
///
/// Those of reading the manifest.
pub(super) async fn complete(scan: &Scan, manifest: &ManifestFile, snapshot: i64) -> Result<ManifestFile> {
    let counted = manifest.files.iter().chain(&manifest.rows).all(Option::is_some);
    let known = manifest.spec_id.is_some() && manifest.added_snapshot.is_some() && manifest.length > 0;
    if known && (counted || scan.metadata.format_version == 1) {
        return Ok(manifest.clone());
    }
    let size = scan.store.head(&scan.metadata.place(&manifest.path)?).await?.size;
    let reader = scan.open(manifest).await?;
    let mut out = ManifestFile { spec_id: Some(reader.spec_id), length: signed(size)?, ..manifest.clone() };
    let (mut files, mut rows) = ([0i64; 3], [0i64; 3]);
    for entry in reader {
        let entry = entry?;
        let at = match entry.status {
            Status::Added => 0,
            Status::Existing => 1,
            Status::Deleted => 2,
        };
        if let (Some(files), Some(rows)) = (files.get_mut(at), rows.get_mut(at)) {
            *files += 1;
            *rows = rows.saturating_add(signed(entry.records)?);
        }
        out.added_snapshot = out.added_snapshot.or(entry.snapshot);
    }
    out.added_snapshot = out.added_snapshot.or(Some(snapshot));
    out.files = files.map(Some);
    out.rows = rows.map(Some);
    Ok(out)
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::corrupt("a size is out of range"))
}
