//! Random numbers that are the same on every machine.

use sha2::{Digest, Sha256};

/// Numbers that follow from a name, the same on every machine.
pub(super) struct Dice {
    seed: [u8; 32],
}

impl Dice {
    pub(super) fn of(name: &str) -> Self {
        Self {
            seed: Sha256::digest(name).into(),
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.seed = Sha256::digest(self.seed).into();
        u64::from_be_bytes(self.seed[..8].try_into().unwrap())
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.next();
        self.seed[..N].try_into().unwrap()
    }
}
