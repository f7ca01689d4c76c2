//! Version checksum files (protocol, "Version Checksum File"): what a version holds in sum, for others to check their replay against.
//!
//! They are written after our commits where the table has them. No state is taken from one: the log decides.

use serde_json::{Map, Value as Json, json};

use super::actions::{Metadata, Protocol};
use super::entry::to_json;
use super::replay::State;
use super::{commit_info, log};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;

/// Writes the file of `state` unless it is there, if the version before has one.
///
/// # Errors
///
/// Those of storage. Nothing depends on them.
pub(super) async fn write(store: &Store, root: &Location, state: &State) -> Result<()> {
    let Some(before) = state.version.checked_sub(1) else { return Ok(()) };
    if before < 0 || store.get_if_exists(&log::checksum_file(root, before)).await?.is_none() {
        return Ok(());
    }
    store.put_if_absent(&log::checksum_file(root, state.version), text(state)?.into()).await.map(|_| ())
}

fn text(state: &State) -> Result<String> {
    let mut out = Map::new();
    let info = state.commit_info.as_ref();
    if let Some(id) = info.and_then(|info| info.txn_id.as_ref()) {
        out.insert("txnId".into(), json!(id));
    }
    let bytes = state.files.iter().try_fold(0_u64, |sum, add| sum.checked_add(add.size));
    out.insert("tableSizeBytes".into(), json!(bytes.ok_or_else(|| Error::corrupt("the files are larger than a number can say"))?));
    out.insert("numFiles".into(), json!(state.files.len()));
    out.insert("numMetadata".into(), json!(1));
    out.insert("numProtocol".into(), json!(1));
    if commit_info::has_commit_times(state) {
        out.insert("inCommitTimestampOpt".into(), json!(info.and_then(|info| info.in_commit_timestamp)));
    }
    out.insert("metadata".into(), Json::Object(metadata(&state.metadata)?));
    out.insert("protocol".into(), Json::Object(protocol(&state.protocol)));
    Ok(Json::Object(out).to_string())
}

/// The members of the table's metadata.
///
/// # Errors
///
/// `Bug` if JSON cannot hold them.
pub(super) fn metadata(metadata: &Metadata) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    out.insert("id".into(), json!(metadata.id));
    for (key, text) in [("name", &metadata.name), ("description", &metadata.description)] {
        if let Some(text) = text {
            out.insert(key.into(), json!(text));
        }
    }
    out.insert("format".into(), json!({"provider": metadata.format.provider, "options": to_json(&metadata.format.options)?}));
    out.insert("schemaString".into(), json!(metadata.schema_string));
    out.insert("partitionColumns".into(), json!(metadata.partition_columns));
    out.insert("configuration".into(), to_json(&metadata.configuration)?);
    if let Some(time) = metadata.created_time {
        out.insert("createdTime".into(), json!(time));
    }
    Ok(out)
}

/// The members of the protocol.
pub(super) fn protocol(protocol: &Protocol) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("minReaderVersion".into(), json!(protocol.min_reader_version));
    out.insert("minWriterVersion".into(), json!(protocol.min_writer_version));
    for (key, features) in [("readerFeatures", &protocol.reader_features), ("writerFeatures", &protocol.writer_features)] {
        if let Some(features) = features {
            out.insert(key.into(), json!(features));
        }
    }
    out
}
