//! A list with a fixed capacity and no heap, so that the same ledger runs inside a Solana program.
//!
//! Not a general container: items are small `Copy` values, it only grows, and the unused tail always
//! holds default values, so that equality of two lists is equality of their items.

use core::fmt;

/// At most `N` items, in the order they were pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bounded<T, const N: usize> {
    items: [T; N],
    len: usize,
}

/// The list already holds as many items as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list already holds its {capacity} items")]
pub struct Full {
    /// How many items fit.
    pub capacity: usize,
}

impl<T: Copy + Default, const N: usize> Bounded<T, N> {
    /// The empty list.
    #[must_use]
    pub fn new() -> Self {
        Self {
            items: [T::default(); N],
            len: 0,
        }
    }

    /// Appends one item.
    ///
    /// # Errors
    /// [`Full`] when `N` items are already there; the list is then unchanged.
    pub fn push(&mut self, item: T) -> Result<(), Full> {
        let slot = self.items.get_mut(self.len).ok_or(Full { capacity: N })?;
        *slot = item;
        self.len = self.len.saturating_add(1);
        Ok(())
    }
}

impl<T: Copy, const N: usize> Bounded<T, N> {
    /// Appends all of `items`.
    ///
    /// # Errors
    /// [`Full`] when they do not all fit; the list is then unchanged.
    pub fn extend_from_slice(&mut self, items: &[T]) -> Result<(), Full> {
        let full = Full { capacity: N };
        let end = self.len.checked_add(items.len()).ok_or(full)?;
        let slots = self.items.get_mut(self.len..end).ok_or(full)?;
        slots.copy_from_slice(items);
        self.len = end;
        Ok(())
    }
}

impl<T, const N: usize> Bounded<T, N> {
    /// The items, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }

    /// The items, in order, to be changed in place.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or(&mut [])
    }

    /// The items, in order.
    pub fn iter(&self) -> core::slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Copy + Default, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Bounded<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Bounded<T, N> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_refuses_and_stays_as_it_was() {
        let mut list = Bounded::<u8, 2>::new();
        assert!(list.is_empty());
        assert_eq!((list.push(7), list.push(8)), (Ok(()), Ok(())));
        let before = list;
        assert_eq!(list.push(9), Err(Full { capacity: 2 }));
        assert_eq!(list, before);
        assert_eq!(list.as_slice(), [7, 8]);
        assert_eq!(list.extend_from_slice(&[9]), Err(Full { capacity: 2 }));
        assert_eq!(list, before);
        let mut list = Bounded::<u8, 3>::new();
        assert_eq!(list.extend_from_slice(&[1, 2]), Ok(()));
        assert_eq!(list.extend_from_slice(&[3, 4]), Err(Full { capacity: 3 }));
        assert_eq!(list.extend_from_slice(&[3]), Ok(()));
        assert_eq!(list.as_slice(), [1, 2, 3]);
    }
}
