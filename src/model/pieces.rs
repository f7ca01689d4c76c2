//! Lists of what a table may have millions of.

use std::cmp::Ordering;

/// Items of a piece.
const PIECE: usize = 1024;

/// A list that grows piece by piece: what it holds is not moved for want of room, and one that is emptied while another is filled leaves it its
/// room, since all pieces are of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Pieces<T> {
    /// Each but the last has [`PIECE`] items, and none is empty.
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Pieces<T> {
    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(item),
            last => {
                // Short lists take no more room than they need.
                let mut piece = Vec::with_capacity(if last.is_some() { PIECE } else { 1 });
                piece.push(item);
                self.pieces.push(piece);
            }
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Item `at`, counted from zero.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    /// The items in their order.
    pub fn iter(&self) -> std::iter::Flatten<std::slice::Iter<'_, Vec<T>>> {
        self.pieces.iter().flatten()
    }

    /// Leaves the first `count` items.
    pub fn truncate(&mut self, count: usize) {
        self.pieces.truncate(count.div_ceil(PIECE));
        if self.len() > count
            && let Some(last) = self.pieces.last_mut()
        {
            last.truncate((count - 1) % PIECE + 1);
        }
    }

    /// Exchanges items `a` and `b`; nothing if there is no such item.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a / PIECE == b / PIECE {
            if let Some(piece) = self.pieces.get_mut(a / PIECE).filter(|piece| a.max(b) % PIECE < piece.len()) {
                piece.swap(a % PIECE, b % PIECE);
            }
        } else if let Ok([one, other]) = self.pieces.get_disjoint_mut([a / PIECE, b / PIECE])
            && let (Some(one), Some(other)) = (one.get_mut(a % PIECE), other.get_mut(b % PIECE))
        {
            std::mem::swap(one, other);
        }
    }

    /// Puts the items in the order of `compare`, where they are; equal ones in any.
    pub fn sort_unstable_by(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by(|a, b| self.get(*a).zip(self.get(*b)).map_or(Ordering::Equal, |(a, b)| compare(a, b)));
        for start in 0..order.len() {
            let mut at = start;
            // Each cycle of items that take each other's places, once.
            while let Some(from) = order.get_mut(at).map(|from| std::mem::replace(from, at)).filter(|from| *from != start) {
                self.swap(at, from);
                at = from;
            }
        }
    }
}

impl<T> IntoIterator for Pieces<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Vec<T>>>;

    /// The items in their order; each piece is given back once the next one begins.
    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter().flatten()
    }
}

impl<'a, T> IntoIterator for &'a Pieces<T> {
    type Item = &'a T;
    type IntoIter = std::iter::Flatten<std::slice::Iter<'a, Vec<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> FromIterator<T> for Pieces<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut pieces = Self::default();
        items.into_iter().for_each(|item| pieces.push(item));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_in_their_order_however_many_there_are() {
        for count in [0, 1, 5, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5] {
            let list: Pieces<usize> = (0..count).collect();
            assert_eq!((list.len(), list.is_empty()), (count, count == 0));
            assert!(list.iter().copied().eq(0..count) && list.clone().into_iter().eq(0..count));
            assert!((0..count).all(|at| list.get(at) == Some(&at)) && list.get(count).is_none());
            for left in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, count, count + 1] {
                let mut cut = list.clone();
                cut.truncate(left);
                assert_eq!(cut.len(), left.min(count), "{left} of {count}");
                assert!(cut.into_iter().eq(0..left.min(count)));
            }
        }
    }

    #[test]
    fn a_short_list_takes_little_room_and_a_long_one_pieces_of_one_size() {
        let short: Pieces<u64> = std::iter::once(1).collect();
        assert_eq!(short.pieces[0].capacity(), 1);
        let long: Pieces<u64> = (0..3 * PIECE as u64).collect();
        assert!(long.pieces.iter().all(|piece| piece.capacity() == PIECE));
    }

    #[test]
    fn items_are_sorted_where_they_are() {
        let count = 3 * PIECE + 5;
        // 7919 is prime: every number once, in no order.
        let orders: [&dyn Fn(usize) -> usize; 4] = [&|n| n * 7919 % count, &|n| n, &|n| count - 1 - n, &|n| (n + 1) % count];
        for order in orders {
            let mut list: Pieces<usize> = (0..count).map(order).collect();
            list.sort_unstable_by(usize::cmp);
            assert!(list.into_iter().eq(0..count));
        }
    }
}
