//! Solana.
//!
//! | module | what it is |
//! |---|---|
//! | [`exact`] | the checks of x402's scheme `exact`, before this gateway's key signs as fee payer |

pub mod exact;
