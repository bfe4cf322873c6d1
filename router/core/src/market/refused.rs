//! Why a command changed nothing. Declaration order is check order.

use super::PhaseName;

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The task does not take this command in its phase.
    #[error("not taken in phase {}", phase.as_str())]
    Phase {
        /// Where the task stands.
        phase: PhaseName,
    },
    /// The object is about another task or other terms.
    #[error("object belongs to another task")]
    OtherTask,
    /// The object's signer has no part in this task.
    #[error("signer has no part in this task")]
    Stranger,
    /// The bid cannot be taken at all: price, wallet, expiry or network.
    #[error("bid is not acceptable: {0}")]
    Bid(BidFault),
    /// The bound on bids is reached and this one is not better.
    #[error("too many bids")]
    TooManyBids,
    /// No such lease, or its slot was answered already.
    #[error("no open lease of that CID")]
    NoSuchLease,
    /// An answer to an older proposal.
    #[error("answer to round {got}, now at {current}")]
    StaleRound {
        /// Round of the answer.
        got: u32,
        /// Round now.
        current: u32,
    },
    /// A ready answer or signature for other bytes than proposed.
    #[error("answer is for another digest")]
    OtherDigest,
    /// Signature does not verify under the set's key.
    #[error("settlement signature does not verify")]
    BadSignature,
    /// The same thing again.
    #[error("already known")]
    Duplicate,
    /// Nothing is due.
    #[error("nothing is due")]
    NothingDue,
}

/// What is wrong with a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BidFault {
    /// Priced on another network than the one paid on.
    #[error("other network")]
    Network,
    /// Zero, or over what the budget leaves in the worst case.
    #[error("price does not fit the budget")]
    Price,
    /// Lapsed.
    #[error("expired")]
    Expired,
    /// Payout wallet is malformed, forbidden (threat #58) or another party's.
    #[error("payout wallet is not usable")]
    Payout,
    /// Node address is missing or too long.
    #[error("node address is not usable")]
    Address,
}
