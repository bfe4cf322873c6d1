//! When what counts, and how a cluster is read.

use d402_rpc::RpcLimits;
use d402_settlement::Domain;

/// How sure the cluster must be before something is believed. `processed` is one node's opinion, and not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Two thirds of the stake voted for it.
    Confirmed,
    /// Cannot be undone.
    Finalized,
}

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }
}

/// From which amount on which level counts (threat #36), in base units of a 6-decimals dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Up to here [`Level::Confirmed`] is enough: $10. Above it, [`Level::Finalized`].
    pub small: u128,
    /// A development cluster of one node: whatever it confirms is final. Never true for a public network.
    pub development: bool,
}

impl Finality {
    /// Threat #36: `confirmed` up to $10, `finalized` above.
    pub const SOLANA: Self = Self {
        small: 10_000_000,
        development: false,
    };
    /// For a node on this machine.
    pub const DEVELOPMENT: Self = Self {
        development: true,
        ..Self::SOLANA
    };

    /// The level at which a deposit of this size is believed.
    #[must_use]
    pub const fn level(&self, units: u128) -> Level {
        if self.development || units <= self.small {
            Level::Confirmed
        } else {
            Level::Finalized
        }
    }

    /// The level of facts that must never be undone (threat #71).
    #[must_use]
    pub const fn last(&self) -> Level {
        if self.development {
            Level::Confirmed
        } else {
            Level::Finalized
        }
    }
}

/// What a cluster is and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct ChainOptions {
    /// Genesis hash and program; a provider of another cluster is never believed (#44).
    pub domain: Domain,
    /// When what counts.
    pub finality: Finality,
    /// Most pages of one history.
    pub pages: u32,
    /// Most transactions looked at for one answer.
    pub looked_at: usize,
    /// Times and sizes.
    pub limits: RpcLimits,
}

impl ChainOptions {
    /// A public cluster.
    #[must_use]
    pub fn solana(domain: Domain) -> Self {
        Self {
            domain,
            finality: Finality::SOLANA,
            pages: 10,
            looked_at: 512,
            limits: RpcLimits::default(),
        }
    }
}
