//! Vaults that the gateway opens for requests nobody paid for yet: the one 402 with a side effect (threat #19).
//!
//! A stock client can pay into a token account that exists, and cannot make one. So somebody else has to make it
//! first, at his own cost, for a stranger. What a stranger can cost the gateway is bounded three times: by who
//! asks (one unpaid vault per `refundTo` and per network of addresses), by how many there are at all, and by
//! what a day may cost. The rent is lent, not spent: a vault nobody paid into is closed and gives it back.
//!
//! | module | what it is |
//! |---|---|
//! | [`book`] | which vaults were opened for whom, durable, with the caps |
//! | `open` | [`d402_core::ports::VaultOpener`] of the vault rail |

pub mod book;
mod open;

pub use book::{OpeningBook, OpeningCaps, OpeningError, Refusal, Requester};
