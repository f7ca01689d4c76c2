//! How the candidates of one partition are packed into groups.
//!
//! There may be millions, and a plan holds no file twice: candidates are put in order where they are, and moved into one bin after the other; each bin
//! takes the room that the candidates leave.

use crate::location::Location;
use crate::model::{DataFile, Pieces};
use crate::units::Bytes;

/// Neighbours of `candidates` in bins of at most `capacity` bytes; a file above it has a bin of its own. Files with row ids are in the order of their
/// ids, the rest in the order of their names, whatever order metadata lists them in.
pub(super) fn into_bins(mut candidates: Pieces<DataFile>, capacity: Bytes) -> Vec<Pieces<DataFile>> {
    candidates.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)));
    let mut bins: Vec<Pieces<DataFile>> = Vec::new();
    let mut filled = Bytes(0);
    for file in candidates {
        match bins.last_mut() {
            Some(bin) if filled.plus(file.size) <= capacity => {
                filled = filled.plus(file.size);
                bin.push(file);
            }
            _ => {
                filled = file.size;
                bins.push(std::iter::once(file).collect());
            }
        }
    }
    bins
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

    fn names(bins: &[Pieces<DataFile>]) -> Vec<Vec<&str>> {
        bins.iter().map(|bin| bin.iter().map(|file| file.path().rsplit('/').next().unwrap()).collect()).collect()
    }

    #[test]
    fn neighbours_by_name_share_bins_whatever_order_they_come_in() {
        let files = [file(3, 40), file(1, 50), file(2, 50), file(5, 300), file(4, 60)];
        let bins = into_bins(files.into_iter().collect(), Bytes(100));
        assert_eq!(names(&bins), [vec!["000001", "000002"], vec!["000003", "000004"], vec!["000005"]]);
        assert!(into_bins(Pieces::default(), Bytes(100)).is_empty());
    }

    #[test]
    fn files_with_row_ids_are_in_the_order_of_their_ids() {
        let with = |name, first_row_id| DataFile { lineage: Some(Box::new(Lineage { first_row_id, sequence: 1 })), ..file(name, 1) };
        let files = [with(1, Some(20)), with(2, Some(10)), with(4, None), with(3, None)];
        assert_eq!(names(&into_bins(files.into_iter().collect(), Bytes(100))), [["000003", "000004", "000002", "000001"]]);
    }
}
