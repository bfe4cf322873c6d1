//! Solana.
//!
//! | module | what it is |
//! |---|---|
//! | [`exact`] | the checks of x402's scheme `exact`, before this gateway's key signs as fee payer |
//! | [`opening`] | vaults the gateway opens for requests nobody paid for yet |

pub mod exact;
pub mod opening;
