//! Who may use how much memory.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, Result};
use crate::model::{DataFile, FileFormat};
use crate::units::Bytes;

/// Hands out the memory of all rewrites together, so that any number of them may be asked for at once.
#[derive(Debug)]
pub(super) struct Admission {
    kib: Semaphore,
    total: u32,
}

impl Admission {
    /// Hands out `memory`.
    pub(super) fn new(memory: Bytes) -> Self {
        let total = u32::try_from(memory.0 >> 10).unwrap_or(u32::MAX).clamp(1, Self::MOST);
        Self { kib: Semaphore::new(total as usize), total }
    }

    /// The semaphore's own limit is far above any machine's memory in KiB on 64-bit machines, but not on 32-bit ones.
    const MOST: u32 = u32::MAX >> 3;

    /// Waits until `need` is free. One that needs more than there is gets everything, so that at least one always runs.
    pub(super) async fn admit(&self, need: Bytes) -> Result<SemaphorePermit<'_>> {
        let kib = u32::try_from(need.0 >> 10).unwrap_or(u32::MAX).clamp(1, self.total);
        self.kib.acquire_many(kib).await.map_err(|e| Error::bug("memory is no longer handed out").because(e))
    }
}

/// How the memory of one rewrite is divided.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Budget {
    /// Bytes of an input held at once.
    pub(in crate::engine) window: u64,
    /// Bytes of a decoded batch.
    pub(in crate::engine) batch: u64,
    /// Encoded bytes of the row group being written.
    pub(in crate::engine) row_group: u64,
    /// The largest stripe of an ORC file or block of an Avro file that may be read.
    pub(in crate::engine) unit: u64,
    /// What such stripes and blocks may take in fact, as files bound them.
    units: u64,
    /// Files that may be open for writing at the same time.
    pub(super) files: u64,
    /// What each of them may take besides its row group: parts being filled and on their way to storage.
    per_file: u64,
}

impl Budget {
    /// Decoded batches that may exist at the same time: one being decoded, two on their way through the encoders.
    pub(super) const BATCHES: u64 = 3;

    /// Divides `memory` for files with row groups of `row_group` bytes.
    pub(in crate::engine) fn new(memory: Bytes, row_group: Bytes) -> Self {
        Self {
            window: (memory.0 / 16).clamp(4 << 20, 16 << 20),
            batch: (memory.0 / 64).clamp(1 << 20, 8 << 20),
            row_group: row_group.0.min(memory.0 / 2).max(4 << 20),
            unit: (memory.0 / 4).max(8 << 20),
            units: 0,
            files: 1,
            per_file: 24 << 20,
        }
    }

    /// The same for a rewrite that writes the files of many partitions side by side: they share a third of `memory`. Parts are small where
    /// storage is `local`.
    pub(super) fn of_many_files(self, memory: Bytes, local: bool) -> Self {
        let per_file: u64 = if local { 4 << 20 } else { 24 << 20 };
        Self { files: (memory.0 / 3 / per_file).clamp(2, 256), per_file, ..self }
    }

    /// The same for reading `files`. A stripe or block has to be held as a whole, and once more while it is unpacked.
    pub(super) fn with_inputs<'f>(self, files: impl Iterator<Item = &'f DataFile>) -> Self {
        let largest = files.filter(|file| file.format != FileFormat::Parquet).map(|file| file.size.0).max().unwrap_or(0);
        Self { units: largest.min(self.unit).saturating_mul(2), ..self }
    }

    /// What a rewrite may use at its worst: windows of this input and the next, batches, the row group with its dictionaries and open pages, parts on their way to storage.
    pub(super) fn need(&self) -> Bytes {
        let row_group = self.row_group.saturating_add(self.row_group / 4);
        Bytes(
            (self.window * 2)
                .saturating_add(self.batch * (Self::BATCHES + 1))
                .saturating_add(row_group)
                .saturating_add(self.units)
                .saturating_add(self.files.saturating_mul(self.per_file)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rewrite_larger_than_memory_runs_alone() {
        let admission = Admission::new(Bytes::mib(64));
        let all = admission.admit(Bytes::mib(500)).await.unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, admission.admit(Bytes::mib(1))).await;
        assert!(waiting.is_err());
        drop(all);
        let first = admission.admit(Bytes::mib(40)).await.unwrap();
        let second = admission.admit(Bytes::mib(24)).await.unwrap();
        drop((first, second));
    }

    #[test]
    fn row_groups_shrink_with_memory_and_two_rewrites_fit_half_a_gibibyte() {
        let budget = Budget::new(Bytes::mib(512), Bytes::mib(128));
        assert_eq!(budget.row_group, 128 << 20);
        assert!(budget.need() <= Bytes::mib(256), "{}", budget.need());
        assert_eq!(Budget::new(Bytes::mib(64), Bytes::mib(128)).row_group, 32 << 20);
        let many = |local| Budget::new(Bytes::mib(512), Bytes::mib(128)).of_many_files(Bytes::mib(512), local);
        assert_eq!((many(true).files, many(false).files), (42, 7));
        assert!(many(true).need() <= Bytes::mib(512), "{}", many(true).need());
    }
}
