//! Numbers that follow from a name, the same on every machine.

use sha2::{Digest, Sha256};

pub struct Dice {
    seed: [u8; 32],
}

impl Dice {
    pub fn of(name: &str) -> Self {
        Self {
            seed: Sha256::digest(name).into(),
        }
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.seed = Sha256::digest(self.seed).into();
        u64::from_be_bytes(self.seed[..8].try_into().unwrap()) % end
    }

    pub fn word(&mut self) -> [u8; 32] {
        self.seed = Sha256::digest(self.seed).into();
        Sha256::digest(self.seed).into()
    }
}
