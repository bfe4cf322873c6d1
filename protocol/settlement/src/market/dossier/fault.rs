//! Why signed objects make no task.

use d402_objects::{Amount, Caip2, Cid, Ed25519Id, UnixMs};

use crate::evm::{SignersFault, TermsFault};
use crate::{NotSettleable, SetFault};

/// Why intent, manifest, registration and offers do not give terms. Declaration order is check order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DossierError {
    /// The intent lists fewer ways to pay.
    #[error("payment entry {index} of {count}")]
    NoSuchPayment {
        /// The entry asked for.
        index: u8,
        /// Entries there are.
        count: usize,
    },
    /// No codec for the network.
    #[error("network {0} cannot be settled on by this build")]
    UnknownNetwork(Caip2),
    /// Another manifest than the intent's.
    #[error("manifest is {got}, the intent names {want}")]
    OtherManifest {
        /// CID given.
        got: Cid,
        /// CID named.
        want: Cid,
    },
    /// Another registration than the intent's.
    #[error("registration is {got}, the intent names {want}")]
    OtherRegistration {
        /// CID given.
        got: Cid,
        /// CID named.
        want: Cid,
    },
    /// Another number of offers than the intent's.
    #[error("{got} validator offers, the intent names {want}")]
    OfferCount {
        /// Offers given.
        got: usize,
        /// Offers named.
        want: usize,
    },
    /// Another offer than the intent's, in its order.
    #[error("validator offer {index} is {got}, the intent names {want}")]
    OtherOffer {
        /// Place in the intent's list.
        index: usize,
        /// CID given.
        got: Cid,
        /// CID named.
        want: Cid,
    },
    /// Registered by somebody else than the manifest's author (threat #24).
    #[error("registered by {got}, the manifest's author is {want}")]
    ForeignRegistration {
        /// Who registered.
        got: Ed25519Id,
        /// Who may.
        want: Ed25519Id,
    },
    /// The registration is for another manifest or capability.
    #[error("registration is for another manifest")]
    RegistrationOfOther,
    /// The registration was not valid when the intent was issued.
    #[error("registration is valid from {from} until {until}, the intent was issued at {issued}")]
    RegistrationNotValid {
        /// First moment.
        from: UnixMs,
        /// First moment after.
        until: UnixMs,
        /// `issuedAtMs`.
        issued: UnixMs,
    },
    /// A commission without a wallet on this network (threat #24).
    #[error("the creator names no wallet on this network")]
    NoCommissionWallet,
    /// The manifest does not allow the model.
    #[error("the manifest does not accept this validation model")]
    ModelNotAccepted,
    /// An address is no account of the network.
    #[error("{what} is no account of the network")]
    BadAddress {
        /// Which.
        what: Party,
    },
    /// A validator's offer does not fit the task.
    #[error("offer of validator {validator}")]
    Offer {
        /// Whose offer.
        validator: Ed25519Id,
        /// Why.
        #[source]
        source: OfferFault,
    },
    /// Settlement keys and threshold are no set.
    #[error("no validator set")]
    Set(#[source] SetFault),
    /// A settlement key is no account of the network.
    #[error("no validator set of this network")]
    Signers(#[source] SignersFault),
    /// The intent names another set than its offers give.
    #[error("the intent's validatorSet is not the set of its offers")]
    OtherSet,
    /// The codec carries 64-bit amounts.
    #[error("{0} units do not fit the network's codec")]
    AmountTooLarge(Amount),
    /// A time does not fit the chain's clock.
    #[error("{0} ms do not fit the chain's clock")]
    TimeTooLarge(u64),
    /// The terms have no bytes on the network.
    #[error("terms cannot be written on this network")]
    Terms(#[source] TermsFault),
    /// The chain would never settle these terms.
    #[error("terms can never be settled")]
    NotSettleable(#[source] NotSettleable),
    /// No address follows from the terms.
    #[error("no vault address follows from the terms")]
    NoVaultAddress,
    /// A payee that is the vault, the asset, the program or the zero account (threat #58).
    #[error("{what} may not be paid by this task")]
    ForbiddenParty {
        /// Which.
        what: Party,
    },
    /// Paid straight to a worker, and the creator asks for a share: that needs an escrow (design §5).
    #[error("a direct payment cannot be shared with the creator")]
    DirectSplit,
    /// A receipt could need more rows than the chain takes.
    #[error("up to {rows} rows, the chain takes {max}")]
    TooManyRows {
        /// Rows in the worst case.
        rows: usize,
        /// Rows allowed.
        max: usize,
    },
    /// The input's bytes are not those the intent names.
    #[error("input is {got} of {got_bytes} bytes, the intent names {want} of {want_bytes}")]
    OtherInput {
        /// CID of the bytes given.
        got: Cid,
        /// Their number.
        got_bytes: u64,
        /// CID named.
        want: Cid,
        /// Number named.
        want_bytes: u64,
    },
}

/// Whose address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// `payment.asset`
    Asset,
    /// `payment.refundTo`
    RefundTo,
    /// `payment.rentTo`
    RentTo,
    /// `payment.gatewayFeePayee`
    GatewayFeePayee,
    /// The creator's wallet.
    Creator,
    /// A validator's payout.
    Validator,
    /// The worker that is paid straight.
    Worker,
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Asset => "asset",
            Self::RefundTo => "refundTo",
            Self::RentTo => "rentTo",
            Self::GatewayFeePayee => "gatewayFeePayee",
            Self::Creator => "the creator's wallet",
            Self::Validator => "a validator's payout",
            Self::Worker => "the chosen worker's account",
        })
    }
}

/// Why a validator's offer does not fit a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferFault {
    /// Expired when the intent was issued.
    #[error("expired at {expires}, the intent was issued at {issued}")]
    Expired {
        /// First moment it was void.
        expires: UnixMs,
        /// `issuedAtMs`.
        issued: UnixMs,
    },
    /// The validator does not judge by the intent's model.
    #[error("does not judge by this model")]
    Model,
    /// The validator does not judge this capability.
    #[error("does not judge this capability")]
    Family,
    /// No fee in this asset.
    #[error("names no fee in this asset")]
    NoFee,
    /// The network's settlements are signed by EVM accounts, and the offer names none.
    #[error("names no EVM settlement key")]
    NoEvmKey,
    /// No payout on this network.
    #[error("names no payout on this network")]
    NoPayout,
    /// Another validator of the task has the same envelope key.
    #[error("envelope key is in the set twice")]
    EnvelopeKeyTwice,
    /// One key signs envelopes and settlements of this task (spec §2.1).
    #[error("a settlement key is also an envelope key")]
    KeyReused,
    /// Another validator of the task is paid to the same account.
    #[error("payout is in the set twice")]
    PayoutTwice,
}
