//! What a worker is told.

use d402_capabilities::Sandbox;
use d402_objects::{Ed25519Id, SigningKey};

use crate::{Behaviour, BidPolicy};

/// Configuration of one worker.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Envelope key: signs bids, accepts, commits and claims. Not the payout wallet, not the node identity.
    pub key: SigningKey,
    /// What to bid on.
    pub policy: BidPolicy,
    /// Where executors run.
    pub sandbox: Sandbox,
    /// For demo and tests; honest otherwise.
    pub behaviour: Behaviour,
}

impl WorkerConfig {
    /// The worker's name: its envelope key.
    #[must_use]
    pub fn worker(&self) -> Ed25519Id {
        Ed25519Id::from(&self.key)
    }
}
