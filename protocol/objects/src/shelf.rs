//! Objects that many hold at a time, held once.
//!
//! Ten thousand open tasks name the same few manifests, registrations and offers. Whoever opens an envelope whose
//! text is equal, to the last byte, to that of an object somebody still holds gets that object. The shelf itself
//! keeps nothing alive.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use sha2::{Digest, Sha256};

/// Most objects that are found again; beyond it new ones are not shared.
const MOST: usize = 4_096;

type Anything = dyn Any + Send + Sync;

static SHELF: LazyLock<Shelf> = LazyLock::new(|| Shelf::new(MOST));

/// What is held at this moment, by kind and text.
pub(crate) struct Shelf {
    places: Mutex<HashMap<[u8; 32], Weak<Anything>>>,
    most: usize,
}

impl Shelf {
    /// The one of this process.
    pub(crate) fn global() -> &'static Self {
        &SHELF
    }

    fn new(most: usize) -> Self {
        Self {
            places: Mutex::new(HashMap::new()),
            most,
        }
    }

    /// The object of this kind and text that somebody holds, else the one that `open` gives.
    ///
    /// # Errors
    /// Those of `open`; nothing is kept then.
    pub(crate) fn find_or<T: Send + Sync + 'static, E>(
        &self,
        kind: &str,
        text: &str,
        open: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let name = name(kind, text);
        if let Some(held) = self.held(&name).and_then(|held| held.downcast().ok()) {
            return Ok(held);
        }
        let opened = open()?;
        let place: Weak<T> = Arc::downgrade(&opened);
        self.put(name, place);
        Ok(opened)
    }

    fn held(&self, name: &[u8; 32]) -> Option<Arc<Anything>> {
        self.lock().get(name)?.upgrade()
    }

    fn put(&self, name: [u8; 32], place: Weak<Anything>) {
        let mut places = self.lock();
        if places.len() >= self.most {
            places.retain(|_, place| place.strong_count() > 0);
        }
        if places.len() < self.most {
            places.insert(name, place);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Weak<Anything>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No kind has a zero byte, so no other pair has these bytes.
fn name(kind: &str, text: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(text)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(shelf: &Shelf, kind: &str, text: &str) -> Arc<String> {
        let opened = shelf.find_or(kind, text, || Ok::<_, ()>(Arc::new(text.to_owned())));
        opened.unwrap()
    }

    #[test]
    fn equal_texts_are_one_object_while_somebody_holds_it() {
        let shelf = Shelf::new(8);
        let first = open(&shelf, "kind", "text");
        assert!(Arc::ptr_eq(&first, &open(&shelf, "kind", "text")));
        for (kind, text) in [("kind", "texT"), ("kin", "text"), ("kindt", "ext")] {
            assert!(!Arc::ptr_eq(&first, &open(&shelf, kind, text)));
        }
        let weak = Arc::downgrade(&first);
        drop(first);
        assert!(weak.upgrade().is_none(), "the shelf keeps nothing alive");
        assert_eq!(*open(&shelf, "kind", "text"), "text");
    }

    #[test]
    fn an_object_of_another_type_is_never_handed_out() {
        let shelf = Shelf::new(8);
        let text = open(&shelf, "kind", "7");
        let number = shelf.find_or("kind", "7", || Ok::<_, ()>(Arc::new(7_u64)));
        assert_eq!((*number.unwrap(), text.as_str()), (7, "7"));
    }

    #[test]
    fn it_has_a_bound_and_forgets_what_nobody_holds() {
        let shelf = Shelf::new(8);
        for number in 0..100 {
            drop(open(&shelf, "dropped", &number.to_string()));
            assert!(shelf.lock().len() <= 8);
        }
        let held: Vec<_> = (0..100)
            .map(|number| open(&shelf, "held", &number.to_string()))
            .collect();
        assert_eq!((held.len(), shelf.lock().len()), (100, 8));
    }

    #[test]
    fn what_does_not_open_leaves_nothing() {
        let shelf = Shelf::new(8);
        let refused = shelf.find_or("kind", "text", || Err::<Arc<String>, _>("refused"));
        assert_eq!(refused, Err("refused"));
        assert!(shelf.lock().is_empty());
    }
}
