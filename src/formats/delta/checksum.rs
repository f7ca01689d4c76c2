//! Version checksums (protocol, "Version Checksum File"), held against the replayed log.

use super::actions::{Metadata, Protocol};
use super::check::{same_metadata, same_protocol};
use super::log;
use super::version::DeltaVersion;
use crate::error::Result;
use crate::model::{Fault, Finding, FindingSink};

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    table_size_bytes: Option<i64>,
    num_files: Option<i64>,
    #[serde(rename = "numDeletedRecordsOpt")]
    deleted_records: Option<i64>,
    #[serde(rename = "numDeletionVectorsOpt")]
    vectors: Option<i64>,
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
}

/// Checks the checksum of `version`, if there is one; returns how many files were read.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn check(version: &DeltaVersion, found: FindingSink<'_>) -> Result<u64> {
    let state = version.state();
    let file = log::checksum_file(version.root(), state.version);
    let Some(bytes) = version.store().get_if_exists(&file).await? else { return Ok(0) };
    let Ok(checksum) = serde_json::from_slice::<Checksum>(&bytes) else {
        found(Finding::new(Fault::ChecksumWrong, &file, "it cannot be understood"));
        return Ok(1);
    };
    let (mut size, mut vectors, mut deleted) = (0u64, 0u64, 0u64);
    for add in state.files.iter() {
        size = size.saturating_add(add.size);
        if let Some(vector) = add.vector() {
            vectors += 1;
            deleted = deleted.saturating_add(vector.cardinality);
        }
    }
    let counts = [
        ("bytes", checksum.table_size_bytes, size),
        ("files", checksum.num_files, state.files.len() as u64),
        ("deleted rows", checksum.deleted_records, deleted),
        ("deletion vectors", checksum.vectors, vectors),
    ];
    for (what, said, counted) in counts {
        if let Some(said) = said.filter(|said| u64::try_from(*said) != Ok(counted)) {
            found(Finding::new(Fault::ChecksumWrong, &file, format!("it says {said} {what}, the log has {counted}")));
        }
    }
    if checksum.protocol.is_some_and(|protocol| !same_protocol(&protocol, &state.protocol)) {
        found(Finding::new(Fault::ChecksumWrong, &file, "its protocol is not that of the log"));
    }
    if checksum.metadata.is_some_and(|metadata| !same_metadata(&metadata, &state.metadata)) {
        found(Finding::new(Fault::ChecksumWrong, &file, "its schema or properties are not those of the log"));
    }
    Ok(1)
}
