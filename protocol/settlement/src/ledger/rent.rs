//! Lamports that keep accounts alive. All of it goes to `rentTo` in the end, whoever paid it (#20).

use super::codec::{OPEN_LEN, TOMBSTONE_LEN};

/// Rent-exempt balance of the open vault's state.
pub const RENT_OPEN: u64 = rent_lamports(OPEN_LEN);
/// Rent-exempt balance of a tombstone without credits.
pub const RENT_TOMBSTONE: u64 = rent_lamports(TOMBSTONE_LEN);
/// Rent-exempt balance of a token account (165 bytes).
pub const RENT_ATA: u64 = rent_lamports(165);

/// Rent-exempt balance of an account with `len` bytes of data: 6,960 lamports for each of them and for
/// 128 bytes of bookkeeping.
#[must_use]
pub const fn rent_lamports(len: usize) -> u64 {
    // usize is at most 64 bits on every target we build for.
    (len as u64).saturating_add(128).saturating_mul(6_960)
}

// The numbers of spec §2.2.
const _: () = assert!(RENT_OPEN == 2_784_000 && RENT_ATA == 2_039_280);
const _: () = assert!(RENT_TOMBSTONE == 1_475_520);
