//! What was found out about keys and signatures lately, so that it is not worked out twice.
//!
//! A market shows the same objects again and again: every inventory repeats the acks and verdicts of the others,
//! every task has the same manifest, registration and offers. Whether a signature is valid is a pure function of
//! key, message and signature, so remembering the answer changes nothing but the time it takes. Only what was
//! found valid is kept, under a hash of *all* bytes it depends on; forgetting is always harmless.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A bounded memory in two generations: what is used survives, what is not is forgotten with its generation.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    generations: Mutex<Generations<K, V>>,
    /// Most entries of one generation.
    most: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Copy + Eq + Hash, V: Copy> Recent<K, V> {
    /// Holds at most twice `most` entries.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
            }),
            most,
        }
    }

    /// What is remembered under `key`, else what `find` gives, which is remembered unless it is an error.
    ///
    /// # Errors
    /// Those of `find`.
    pub(crate) fn get_or<E>(&self, key: K, find: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(value) = self.with(|generations, most| generations.get(&key, most)) {
            return Ok(value);
        }
        // Without the lock: this is the slow part, and doing it twice at a time is harmless.
        let value = find()?;
        self.with(|generations, most| generations.put(key, value, most));
        Ok(value)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Generations<K, V>, usize) -> R) -> R {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut generations, self.most)
    }
}

impl<K: Copy + Eq + Hash, V: Copy> Generations<K, V> {
    fn get(&mut self, key: &K, most: usize) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(*value);
        }
        let value = self.old.remove(key)?;
        self.put(*key, value, most);
        Some(value)
    }

    fn put(&mut self, key: K, value: V, most: usize) {
        if self.young.len() >= most {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    const MOST: usize = 8;

    fn len(recent: &Recent<u32, u32>) -> usize {
        recent.with(|generations, _| generations.young.len() + generations.old.len())
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let recent = Recent::new(MOST);
        for key in 0..1_000 {
            assert_eq!(recent.get_or(key, || Ok::<_, ()>(key + 1)), Ok(key + 1));
            assert!(len(&recent) <= 2 * MOST);
        }
        assert_eq!(len(&recent), 2 * MOST);
    }

    #[test]
    fn what_is_used_survives_and_the_rest_is_found_again() {
        let recent = Recent::new(MOST);
        let never = || -> Result<u32, ()> { panic!("it was remembered") };
        recent.get_or(7, || Ok::<_, ()>(70)).unwrap();
        recent.get_or(8, || Ok::<_, ()>(80)).unwrap();
        for key in 100..1_000 {
            recent.get_or(key, || Ok::<_, ()>(0)).unwrap();
            assert_eq!(recent.get_or(7, never), Ok(70));
        }
        assert_eq!(recent.get_or(8, || Ok::<_, ()>(81)), Ok(81));
    }

    #[test]
    fn an_error_is_never_remembered() {
        let recent = Recent::new(MOST);
        assert_eq!(recent.get_or(1, || Err("no")), Err("no"));
        assert_eq!(len(&recent), 0);
        assert_eq!(recent.get_or(1, || Ok::<_, &str>(5)), Ok(5));
    }
}
