//! One task from admission to its end.
//!
//! Invariants (docs/invariants.md): a refused command changes nothing; every phase but `Final` has a timed
//! exit ([`Task::wake_at_ms`] is never `None` before it); there is one terminal phase and nothing leaves it;
//! nothing here pays anybody: the only ways money leaves are a receipt that m validators signed and the
//! sweep to refundTo after `refundAfter`; a direct payment leaves the buyer by such a receipt alone.

mod bidding;
mod collecting;
mod deadlines;
mod direct;
mod funding;
mod leasing;
mod phase;
mod refused;
mod reporting;
mod settling;
mod signing;
mod subnets;
mod task;
mod working;

#[cfg(test)]
mod tests;

pub use bidding::{BID_WINDOW_MS, MAX_BID_WINDOW_MS, MAX_BIDS, MAX_BIDS_TAKEN};
pub use collecting::Opened;
pub use leasing::{LeaseSet, Slot, SlotState};
pub use phase::{Ending, Phase, PhaseName};
pub use refused::Refused;
pub use task::{PaymentFacts, Task};
