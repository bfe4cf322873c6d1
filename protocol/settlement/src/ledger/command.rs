//! What can be asked of a vault. Anybody may send any command; what a command needs beyond that (a
//! signature of the payee or of `refundTo`) is a field that the caller must have verified.

use crate::approvals::Approvals;
use crate::arithmetic::MAX_PAYOUTS;
use crate::bounded::{Bounded, Full};
use crate::ids::Key32;
use crate::quantity::Units;
use crate::receipt::Settlement;
use crate::set::ValidatorSet;
use crate::terms::Terms;

/// One request. "Payable" is the pure predicate of #17 over the payee's canonical token account, or
/// over the account named in `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Puts the terms on chain; idempotent while Open.
    Open {
        /// Must hash to the vault's terms hash.
        terms: &'a Terms,
        /// Paid in by the caller in the same step; may be zero.
        amount: Units,
        /// The mint has only extensions that cannot take or freeze money silently (#59).
        mint_allowed: bool,
        /// The published validator set, if the account exists.
        set: Option<&'a ValidatorSet>,
    },
    /// A plain token transfer to the vault, by anyone, at any time. The ledger cannot refuse it.
    Deposit {
        /// Above zero.
        amount: Units,
    },
    /// Executes a receipt.
    Settle {
        /// What was decided.
        settlement: &'a Settlement,
        /// Who signed it.
        approvals: &'a Approvals,
        /// Which of [`OpenVault::parties`](super::OpenVault::parties) cannot be paid now.
        unpayable: &'a Unpayable,
    },
    /// Pays a credit to the payee's canonical account.
    ClaimCredit {
        /// Whose credits; all of them are paid.
        payee: Key32,
        /// The canonical account can be paid now.
        payable: bool,
    },
    /// Pays a credit anywhere, by the payee's signature.
    ClaimCreditTo {
        /// Whose credits; all of them are paid.
        payee: Key32,
        /// Who signed this command.
        signer: Key32,
        /// Where the money goes.
        to: Key32,
        /// That account can be paid now.
        payable: bool,
    },
    /// Gives credits nobody claimed in time back to the residual.
    LapseCredits,
    /// Refunds everything that is not a credit to the canonical account of `refundTo`.
    Sweep {
        /// Must hash to the vault's terms hash.
        terms: &'a Terms,
        /// The canonical account can be paid now.
        payable: bool,
    },
    /// The same, anywhere, by the signature of `refundTo`.
    SweepTo {
        /// Must hash to the vault's terms hash.
        terms: &'a Terms,
        /// Who signed this command.
        signer: Key32,
        /// Where the money goes.
        to: Key32,
        /// That account can be paid now.
        payable: bool,
    },
    /// Refunds another token that was sent here by mistake.
    SweepOther {
        /// Must hash to the vault's terms hash.
        terms: &'a Terms,
        /// The other token.
        mint: Key32,
        /// How much of it is here.
        balance: Units,
        /// The canonical account of `refundTo` for that token can be paid now.
        payable: bool,
    },
    /// Gives the rent of a vault back into which nobody paid.
    CloseUnfunded {
        /// Must hash to the vault's terms hash.
        terms: &'a Terms,
    },
    /// Gives the rent of a finished vault back.
    Close,
}

/// Payees that cannot be paid at this moment; everybody else can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpayable(Bounded<Key32, { MAX_PAYOUTS + 1 }>);

impl Unpayable {
    /// Everybody can be paid.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Asks `payable` about every party and keeps those for whom the answer is no.
    ///
    /// # Errors
    /// [`Full`] for more parties than one settlement can have.
    pub fn among(
        parties: impl IntoIterator<Item = Key32>,
        mut payable: impl FnMut(&Key32) -> bool,
    ) -> Result<Self, Full> {
        let mut unpayable = Bounded::new();
        for party in parties {
            if !payable(&party) {
                unpayable.push(party)?;
            }
        }
        Ok(Self(unpayable))
    }

    /// True when this payee cannot be paid.
    #[must_use]
    pub fn contains(&self, payee: &Key32) -> bool {
        self.0.as_slice().contains(payee)
    }
}
