//! What the metadata of a version comes to: how much a reader opens and a commit writes (Iceberg configuration, "Table behavior properties").

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::manifest_list::ManifestFile;
use super::metadata::Metadata;
use super::table::IcebergVersion;
use crate::error::{Kind, Result};
use crate::model::{Bookkeeping, Fault, Finding};
use crate::units::Bytes;

/// `commit.manifest.target-size-bytes`, where the table does not set it.
const MANIFEST_SIZE: u64 = 8 << 20;

/// Counts manifests and metadata files of `version`. Manifests are not opened.
///
/// # Errors
///
/// Those of reading the manifest list; `Unavailable` if storage did not answer.
pub(super) async fn of(version: &IcebergVersion) -> Result<Bookkeeping> {
    let metadata = &version.scan.metadata;
    let manifests = version.scan.manifests().await?;
    let size = |manifest: &ManifestFile| u64::try_from(manifest.length).unwrap_or(0);
    let text = |key: &str| metadata.properties.get(key).map(|text| text.trim());
    let cleaned = text("write.metadata.delete-after-commit.enabled").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    Ok(Bookkeeping {
        manifests: Some(manifests.len() as u64),
        manifest_bytes: Some(manifests.iter().map(|manifest| Bytes(size(manifest))).sum()),
        manifests_needed: Some(needed(&manifests, target(text("commit.manifest.target-size-bytes")))),
        metadata_bytes: version.scan.store.head(&metadata.file).await.ok().map(|meta| Bytes(meta.size)),
        metadata_files: Some(listed(metadata)),
        metadata_cleaned: Some(cleaned),
        stale_hint: stale_hint(version).await?,
        ..Bookkeeping::default()
    })
}

fn target(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).filter(|size| *size > 0).unwrap_or(MANIFEST_SIZE)
}

/// How many manifests of `target` bytes hold what these do: entries of one spec and kind go together.
fn needed(manifests: &[ManifestFile], target: u64) -> u64 {
    let mut sizes: BTreeMap<(Option<i32>, &str), u64> = BTreeMap::new();
    for manifest in manifests {
        let size = sizes.entry((manifest.spec_id, manifest.content.as_str())).or_default();
        *size = size.saturating_add(u64::try_from(manifest.length).unwrap_or(0));
    }
    sizes.values().map(|size| size.div_ceil(target).max(1)).sum()
}

/// The metadata files that the document names, and itself.
fn listed(metadata: &Metadata) -> u64 {
    metadata.doc.get("metadata-log").and_then(Json::as_array).map_or(0, |log| log.len() as u64).saturating_add(1)
}

/// What is wrong with the version hint. Damage elsewhere is what `fsck` looks for.
async fn stale_hint(version: &IcebergVersion) -> Result<Option<String>> {
    let mut stale = None;
    let mut take = |finding: Finding| {
        if finding.fault == Fault::HintStale {
            stale = Some(finding.what);
        }
    };
    match version.pointer.check(&mut take).await {
        Err(error) if error.kind() == Kind::Unavailable => Err(error),
        _ => Ok(stale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::iceberg::manifest_list::Content;

    fn manifest(spec_id: i32, content: Content, length: i64) -> ManifestFile {
        ManifestFile { spec_id: Some(spec_id), content, length, ..ManifestFile::inline("/m") }
    }

    #[test]
    fn manifests_of_one_spec_and_kind_could_be_one_up_to_the_target_size() {
        let many = vec![manifest(0, Content::Data, 40); 10];
        assert_eq!(needed(&many, 100), 4);
        let mixed = [manifest(0, Content::Data, 1), manifest(1, Content::Data, 1), manifest(0, Content::Deletes, 1)];
        assert_eq!(needed(&mixed, 100), 3);
        assert_eq!(needed(&[], 100), 0);
        // Lengths that nobody says, or that are nonsense, still make a manifest.
        assert_eq!(needed(&[manifest(0, Content::Data, -5), manifest(0, Content::Data, 0)], 100), 1);
    }

    #[test]
    fn a_target_size_that_is_none_is_the_default() {
        assert_eq!(
            [target(None), target(Some("x")), target(Some("0")), target(Some("1024"))],
            [MANIFEST_SIZE, MANIFEST_SIZE, MANIFEST_SIZE, 1024]
        );
    }
}
