//! The candidates of one partition, and how they are packed into groups.
//!
//! There may be millions, and a plan holds no file twice: candidates are kept in pieces, put in order where they are, and moved into one bin after the
//! other; each bin takes the room of the pieces that the one before it emptied.

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
    pub(super) fn into_bins(mut self, capacity: Bytes) -> Vec<Vec<DataFile>> {
        self.sort();
        let mut lengths: Vec<usize> = Vec::new();
        let mut filled = Bytes(0);
        for file in self.pieces.iter().flatten() {
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
        }
        let mut files = self.into_files();
        let bin = |length| {
            // Flattened pieces do not tell how many files come.
            let mut bin = Vec::with_capacity(length);
            bin.extend(files.by_ref().take(length));
            bin
        };
        lengths.into_iter().map(bin).collect()
    }

    /// Puts the files in order where they are.
    fn sort(&mut self) {
        let count = self.pieces.iter().map(Vec::len).sum();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_unstable_by(|a, b| self.get(*a).map(rank).cmp(&self.get(*b).map(rank)));
        for start in 0..count {
            let mut at = start;
            // Each cycle of files that take each other's places, once.
            while let Some(from) = order.get_mut(at).map(|from| std::mem::replace(from, at)).filter(|from| *from != start) {
                self.swap(at, from);
                at = from;
            }
        }
    }

    fn get(&self, at: usize) -> Option<&DataFile> {
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a / PIECE == b / PIECE {
            if let Some(piece) = self.pieces.get_mut(a / PIECE) {
                piece.swap(a % PIECE, b % PIECE);
            }
        } else if let Ok([one, other]) = self.pieces.get_disjoint_mut([a / PIECE, b / PIECE])
            && let (Some(one), Some(other)) = (one.get_mut(a % PIECE), other.get_mut(b % PIECE))
        {
            std::mem::swap(one, other);
        }
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
        let scattered = |n: usize| n * 7919 % count;
        let orders: [&dyn Fn(usize) -> usize; 4] = [&scattered, &|n| n, &|n| count - 1 - n, &|n| (n + 1) % count];
        for order in orders {
            let bins = (0..count).map(|n| file(order(n), 1)).collect::<Candidates>().into_bins(Bytes(5000));
            assert_eq!(bins.iter().map(Vec::len).collect::<Vec<_>>(), [5000, 5000, count - 10_000]);
            let wanted: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
            assert!(names(&bins).concat() == wanted, "each once and in order");
            assert!(bins.iter().all(|bin| bin.capacity() == bin.len()));
        }
    }
}
