//! Repeatable chance: the seed is printed, and `D402_TEST_SEED` repeats a run.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Seeded by `D402_TEST_SEED`, else by the system; says which.
    #[must_use]
    pub fn seeded(test: &str) -> Self {
        let seed = std::env::var("D402_TEST_SEED")
            .ok()
            .map_or_else(fresh, |text| {
                text.parse().expect("D402_TEST_SEED is a number")
            });
        eprintln!("{test}: D402_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number in `from..to`.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        from + (mixed ^ (mixed >> 31)) % (to - from)
    }
}

fn fresh() -> u64 {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    u64::from_le_bytes(bytes)
}
