//! The same ledger on an EVM chain: one escrow per task, with no record before it settles (spec §3.1, ADR 0016).
//!
//! The Rust twin of the contract: a differential test drives both with one command sequence and compares
//! balances, credits and refusals. What differs from Solana: not settled means open, so `settle` and `sweep`
//! carry the terms; no rent, nothing is ever closed; the mark of a settlement is code at the escrow's address,
//! which a sweep leaves too; credits lapse inside the first sweep that may take them; a contract's caller is
//! its own proof, so the `To` commands name the caller. Money is counted in 64 bits as in the market: wider
//! terms are refused as [`BaseRefusal::TooWide`] here and belong in the contract's own tests.

use super::command::Unpayable;
use super::credits::{self, Target};
use super::effects::{Effects, TransferKind};
use super::refusal::Refusal;
use super::settle::settle_open;
use super::state::{OpenVault, Tombstone, VaultAccount, VaultSite, VaultState};
use super::sweep::credits_of;
use crate::approvals::Approvals;
use crate::bounded::Bounded;
use crate::domain::Domain;
use crate::evm::{EvmAccount, EvmDomain, EvmTerms, TermsFault, escrow_address};
use crate::ids::Key32;
use crate::quantity::{Units, UnixSeconds};
use crate::receipt::Settlement;
use crate::terms::Terms;

/// The money at one escrow address, as seen by one ledger on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escrow {
    domain: EvmDomain,
    asset: EvmAccount,
    state: VaultState,
}

/// One request; anybody may send any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseCommand<'a> {
    /// Moves the payer's money and publishes the terms.
    Pay {
        /// Must hash to the escrow.
        terms: &'a EvmTerms,
        /// Above zero.
        amount: Units,
    },
    /// A plain transfer, which no contract can refuse.
    Deposit {
        /// Above zero.
        amount: Units,
    },
    /// Executes a receipt.
    Settle {
        /// Must hash to the escrow.
        terms: &'a EvmTerms,
        /// What was decided.
        settlement: &'a Settlement,
        /// Who signed it: of [`EvmSigners::check`](crate::evm::EvmSigners::check).
        approvals: &'a Approvals,
        /// Who cannot be paid now.
        unpayable: &'a Unpayable,
    },
    /// Pays all credits of a payee; `to` elsewhere when the payee itself calls.
    Claim {
        /// Whose credits.
        payee: EvmAccount,
        /// Who calls, and where to: `claimCreditTo`.
        to: Option<(EvmAccount, EvmAccount)>,
        /// The receiving account can be paid now.
        payable: bool,
    },
    /// The refund, and whatever else lies there.
    Sweep {
        /// Must hash to the escrow.
        terms: &'a EvmTerms,
        /// Another token or ether and how much of it is here; `None` for the asset.
        other: Option<Units>,
        /// Who calls, and where to: `sweepTo`.
        to: Option<(EvmAccount, EvmAccount)>,
        /// The receiving account can be paid now.
        payable: bool,
    },
}

/// Why the escrow refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseRefusal {
    /// A guard of the ledger, with the meaning it has on Solana.
    #[error(transparent)]
    Ledger(#[from] Refusal),
    /// Money or time above 64 bits.
    #[error("the terms are wider than the market's")]
    TooWide(#[source] TermsFault),
}

impl Escrow {
    /// The escrow of these terms before anything happened there.
    #[must_use]
    pub fn of(domain: &EvmDomain, terms: &EvmTerms) -> Self {
        let terms_hash = terms.hash(&domain.ledger);
        let site = VaultSite {
            // The shared rules ask the site for the verifier only; the hash above is the EVM's.
            domain: Domain {
                genesis: [0; 32],
                program: domain.ledger.to_key(),
            },
            terms_hash,
            vault: escrow_address(&domain.ledger, &terms_hash).to_key(),
            bump: 0,
        };
        Self {
            domain: *domain,
            asset: terms.asset,
            state: VaultState::absent(site),
        }
    }

    /// Where the money lies.
    #[must_use]
    pub fn address(&self) -> Key32 {
        self.state.site.vault
    }

    /// How much of the asset is there, credits included.
    #[must_use]
    pub fn balance(&self) -> Units {
        self.state.balance()
    }

    /// Σ credits.
    #[must_use]
    pub fn credits(&self) -> Units {
        credits_of(&self.state)
    }

    /// What a payee may claim.
    #[must_use]
    pub fn credit_of(&self, payee: &EvmAccount) -> Units {
        let VaultAccount::Settled(tombstone) = &self.state.account else {
            return Units::ZERO;
        };
        tombstone
            .credits
            .iter()
            .filter(|credit| credit.to == payee.to_key())
            .fold(Units::ZERO, |sum, credit| {
                sum.checked_add(credit.amount).unwrap_or(Units::MAX)
            })
    }

    /// Whether there is code at the address: no receipt executes any more.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        match &self.state.account {
            VaultAccount::Settled(_) => true,
            VaultAccount::Absent | VaultAccount::Open(_) => false,
        }
    }

    /// Runs one command.
    ///
    /// # Errors
    /// The first guard that does not hold; nothing has changed then.
    pub fn apply(
        &self,
        command: &BaseCommand<'_>,
        now: UnixSeconds,
    ) -> Result<(Self, Effects), BaseRefusal> {
        let (state, mut effects) = match *command {
            BaseCommand::Pay { terms, amount } => self.pay(terms, amount, now)?,
            BaseCommand::Deposit { amount } => super::open::deposit(&self.state, amount)?,
            BaseCommand::Settle {
                terms,
                settlement,
                approvals,
                unpayable,
            } => self.settle(terms, settlement, (approvals, unpayable), now)?,
            BaseCommand::Claim { payee, to, payable } => {
                let target = self.target(payee, to, payable)?;
                credits::claim(&self.state, payee.to_key(), target, now)?
            }
            BaseCommand::Sweep {
                terms,
                other,
                to,
                payable,
            } => self.sweep(terms, other, (to, payable), now)?,
        };
        effects.rent = Bounded::new();
        let next = Self { state, ..*self };
        Ok((next, effects))
    }

    fn pay(
        &self,
        terms: &EvmTerms,
        amount: Units,
        now: UnixSeconds,
    ) -> Result<(VaultState, Effects), BaseRefusal> {
        let market = self.settleable(terms, now)?;
        if now >= market.settle_by {
            let until = market.settle_by;
            return Err(Refusal::TooLate { now, until }.into());
        }
        let (state, mut effects) = super::open::deposit(&self.state, amount)?;
        effects.terms_published = true;
        Ok((state, effects))
    }

    fn settle(
        &self,
        terms: &EvmTerms,
        settlement: &Settlement,
        (approvals, unpayable): (&Approvals, &Unpayable),
        now: UnixSeconds,
    ) -> Result<(VaultState, Effects), BaseRefusal> {
        let market = self.settleable(terms, now)?;
        if now >= market.refund_after {
            let until = market.refund_after;
            return Err(Refusal::TooLate { now, until }.into());
        }
        let open = OpenVault::of(&market).ok_or(Refusal::Broken)?;
        let digest = self
            .domain
            .settlement_digest(&self.state.site.terms_hash, settlement);
        let signed = (settlement, digest, approvals);
        let settled = settle_open(&self.state, &open, signed, unpayable, now)?;
        Ok(settled)
    }

    /// The guards `pay` and `settle` share.
    fn settleable(&self, terms: &EvmTerms, now: UnixSeconds) -> Result<Terms, BaseRefusal> {
        self.expect_terms(terms)?;
        if self.is_marked() {
            return Err(Refusal::AlreadySettled.into());
        }
        terms
            .settleable(&self.domain, now)
            .map_err(Refusal::NotSettleable)?;
        terms.to_market().map_err(BaseRefusal::TooWide)
    }

    fn sweep(
        &self,
        terms: &EvmTerms,
        other: Option<Units>,
        (to, payable): (Option<(EvmAccount, EvmAccount)>, bool),
        now: UnixSeconds,
    ) -> Result<(VaultState, Effects), BaseRefusal> {
        self.expect_terms(terms)?;
        let refund_after = UnixSeconds(i64::try_from(terms.refund_after).unwrap_or(i64::MAX));
        let may_settle = terms.settleable(&self.domain, now).is_ok();
        if !self.is_marked() && now < refund_after && may_settle {
            let from = refund_after;
            return Err(Refusal::TooEarly { now, from }.into());
        }
        let mut effects = Effects::default();
        let mut state = self.state;
        if other.is_none() && !self.credits().is_zero() {
            match credits::lapse(&state, now) {
                Ok((next, lapsed)) => (state, effects) = (next, lapsed),
                Err(Refusal::TooEarly { .. }) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        let reserved = credits_of(&state);
        let amount = match other {
            Some(amount) => amount,
            None => state
                .balance()
                .checked_sub(reserved)
                .ok_or(Refusal::Broken)?,
        };
        if amount.is_zero() {
            return Err(Refusal::NothingToSweep.into());
        }
        let target = self.target(terms.refund_to, to, payable)?;
        target.expect_payable()?;
        effects
            .pay(target.to, amount, TransferKind::Refund)
            .map_err(Refusal::from)?;
        if other.is_none() {
            state.tokens = Some(reserved);
        }
        if !self.is_marked() {
            state.account = VaultAccount::Settled(Tombstone {
                refund_after,
                rent_to: Key32::ZERO,
                credits: Bounded::new(),
            });
        }
        Ok((state, effects))
    }

    /// `owner`'s own account, or any that may be paid when `owner` calls itself.
    fn target(
        &self,
        owner: EvmAccount,
        to: Option<(EvmAccount, EvmAccount)>,
        payable: bool,
    ) -> Result<Target, Refusal> {
        let Some((caller, to)) = to else {
            return Ok(credits::canonical(owner.to_key(), payable));
        };
        if to == self.asset {
            return Err(Refusal::BadPayee { payee: to.to_key() });
        }
        let elsewhere = (to.to_key(), payable);
        credits::signed(&self.state, owner.to_key(), caller.to_key(), elsewhere)
    }

    fn expect_terms(&self, terms: &EvmTerms) -> Result<(), Refusal> {
        if terms.hash(&self.domain.ledger) == self.state.site.terms_hash {
            Ok(())
        } else {
            Err(Refusal::WrongTerms)
        }
    }
}
