//! The candidates of one partition, and how they are packed into groups.
//!
//! There may be millions, and a plan holds no file twice: candidates are kept in pieces, each of which goes when its files have moved into bins.

use crate::location::Location;
use crate::model::DataFile;
use crate::units::Bytes;

/// Files of a piece.
const PIECE: usize = 4096;

/// Files that are to be rewritten if their group is worth it; all are of one partition.
#[derive(Debug, Default)]
pub struct Candidates {
    /// All but the last are full.
    pieces: Vec<Vec<DataFile>>,
}

impl Candidates {
    /// Adds a file.
    pub fn push(&mut self, file: DataFile) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(file),
            _ => self.pieces.push(vec![file]),
        }
    }

    /// The files, in the order in which they were added.
    pub fn into_files(self) -> impl Iterator<Item = DataFile> {
        self.pieces.into_iter().flatten()
    }

    /// Neighbours in bins of at most `capacity` bytes; a file above it has a bin of its own. Files with row ids are in the order of their ids, the
    /// rest in the order of their names, whatever order metadata lists them in.
    pub(super) fn into_bins(self, capacity: Bytes) -> Vec<Vec<DataFile>> {
        let mut order: Vec<(usize, &DataFile)> = self.pieces.iter().flatten().enumerate().collect();
        order.sort_unstable_by_key(|(_, file)| rank(file));
        let (mut lengths, mut bin_of): (Vec<usize>, Vec<usize>) = (Vec::new(), vec![0; order.len()]);
        let mut filled = Bytes(0);
        for (at, file) in order {
            match lengths.last_mut() {
                Some(length) if filled.plus(file.size) <= capacity => {
                    filled = filled.plus(file.size);
                    *length += 1;
                }
                _ => {
                    filled = file.size;
                    lengths.push(1);
                }
            }
            if let Some(bin) = bin_of.get_mut(at) {
                *bin = lengths.len() - 1;
            }
        }
        let mut bins: Vec<Vec<DataFile>> = lengths.into_iter().map(Vec::with_capacity).collect();
        for (file, bin) in self.into_files().zip(bin_of) {
            if let Some(bin) = bins.get_mut(bin) {
                bin.push(file);
            }
        }
        for bin in &mut bins {
            bin.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)));
        }
        bins
    }
}

impl FromIterator<DataFile> for Candidates {
    fn from_iter<T: IntoIterator<Item = DataFile>>(files: T) -> Self {
        let mut candidates = Self::default();
        files.into_iter().for_each(|file| candidates.push(file));
        candidates
    }
}

/// What candidates are ordered by.
fn rank(file: &DataFile) -> (Option<i64>, &Location) {
    (file.lineage.as_ref().and_then(|lineage| lineage.first_row_id), &file.location)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileFormat, Lineage};

    fn file(name: usize, size: u64) -> DataFile {
        DataFile::bare(Location::parse(&format!("/t/{name:06}")).unwrap(), FileFormat::Parquet, Bytes(size))
    }

    fn names(bins: &[Vec<DataFile>]) -> Vec<Vec<&str>> {
        bins.iter().map(|bin| bin.iter().map(|file| file.path().rsplit('/').next().unwrap()).collect()).collect()
    }

    #[test]
    fn neighbours_by_name_share_bins_whatever_order_they_come_in() {
        let bins =
            [file(3, 40), file(1, 50), file(2, 50), file(5, 300), file(4, 60)].into_iter().collect::<Candidates>().into_bins(Bytes(100));
        assert_eq!(names(&bins), [vec!["000001", "000002"], vec!["000003", "000004"], vec!["000005"]]);
        assert!(Candidates::default().into_bins(Bytes(100)).is_empty());
    }

    #[test]
    fn files_with_row_ids_are_in_the_order_of_their_ids() {
        let with = |name, first_row_id| DataFile { lineage: Some(Box::new(Lineage { first_row_id, sequence: 1 })), ..file(name, 1) };
        let files = [with(1, Some(20)), with(2, Some(10)), with(4, None), with(3, None)];
        assert_eq!(names(&files.into_iter().collect::<Candidates>().into_bins(Bytes(100))), [["000003", "000004", "000002", "000001"]]);
    }

    #[test]
    fn more_files_than_a_piece_holds_are_all_there_once_and_in_order() {
        let count = 3 * PIECE + 5;
        // 7919 is prime: every name once, in no order.
        let bins = (0..count).map(|n| file(n * 7919 % count, 1)).collect::<Candidates>().into_bins(Bytes(5000));
        assert_eq!(bins.iter().map(Vec::len).collect::<Vec<_>>(), [5000, 5000, count - 10_000]);
        let wanted: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
        assert!(names(&bins).concat() == wanted, "each once and in order");
        assert!(bins.iter().all(|bin| bin.capacity() == bin.len()));
    }
}
