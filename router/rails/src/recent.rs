//! A bounded memory of values by key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use d402_objects::Hex32;

/// Most values remembered.
const REMEMBERED: usize = 16_384;

/// The last values by key; the oldest key is forgotten first. Forgetting must be harmless to the owner.
#[derive(Debug)]
pub(crate) struct Recent<T>(Mutex<Values<T>>);

#[derive(Debug)]
struct Values<T> {
    by_key: BTreeMap<Hex32, T>,
    order: VecDeque<Hex32>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(Values {
            by_key: BTreeMap::new(),
            order: VecDeque::new(),
        }))
    }
}

impl<T: Copy> Recent<T> {
    /// Remembers a value.
    pub(crate) fn remember(&self, key: Hex32, value: T) {
        let Ok(mut values) = self.0.lock() else {
            return;
        };
        if values.by_key.insert(key, value).is_none() {
            values.order.push_back(key);
        }
        if values.order.len() > REMEMBERED
            && let Some(oldest) = values.order.pop_front()
        {
            values.by_key.remove(&oldest);
        }
    }

    /// The value, unless it was forgotten.
    pub(crate) fn recall(&self, key: Hex32) -> Option<T> {
        self.0.lock().ok()?.by_key.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_and_never_grows_beyond_its_bound() {
        let recent = Recent::default();
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Hex32::from_bytes(bytes)
        };
        for number in 0..=REMEMBERED {
            recent.remember(key(number), number);
            recent.remember(key(number), number);
        }
        assert_eq!(recent.recall(key(0)), None);
        assert_eq!(recent.recall(key(1)), Some(1));
        assert_eq!(recent.recall(key(REMEMBERED)), Some(REMEMBERED));
        let values = recent.0.lock().unwrap();
        assert_eq!(
            (values.by_key.len(), values.order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}
