//! What a vault remembers.

use crate::arithmetic::{MAX_PAYOUTS, Payout};
use crate::bounded::Bounded;
use crate::domain::Domain;
use crate::ids::{Key32, SetHash, TermsHash};
use crate::quantity::{Bps, Units, UnixSeconds};
use crate::receipt::Rows;
use crate::terms::{OnSilence, Terms};

/// The most credits one settlement can leave: every payout of it.
pub const MAX_CREDITS: usize = MAX_PAYOUTS;
/// How long after `refund_after` a credit may be claimed: 180 days.
pub const CREDIT_LIFE_S: i64 = 180 * 86_400;
/// How long after `issued_at` an unfunded vault must be left alone.
pub const UNFUNDED_S: i64 = 120;

/// Where a vault is: fixed from the moment the terms exist, whether or not anything is there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VaultSite {
    /// The cluster and the program.
    pub domain: Domain,
    /// The terms.
    pub terms_hash: TermsHash,
    /// The vault's address: what the buyer pays to.
    pub vault: Key32,
    /// The bump the address was found with.
    pub bump: u8,
}

impl VaultSite {
    /// The site of these terms. `None` as for [`vault_address`](crate::vault_address): never in practice.
    #[cfg(feature = "pda")]
    #[must_use]
    pub fn of(domain: &Domain, terms: &Terms) -> Option<Self> {
        let terms_hash = terms.hash(domain);
        let (vault, bump) = crate::address::vault_address(&terms_hash, &domain.program)?;
        Some(Self {
            domain: *domain,
            terms_hash,
            vault,
            bump,
        })
    }

    /// Accounts that could never spend what they were paid: zero, the vault itself, the token, and
    /// the program (#58).
    #[must_use]
    pub fn forbids(&self, payee: &Key32, mint: &Key32) -> bool {
        payee.is_zero() || payee == &self.vault || payee == mint || payee == &self.domain.program
    }
}

/// One vault as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultState {
    /// Where it is.
    pub site: VaultSite,
    /// The state account.
    pub account: VaultAccount,
    /// Balance of the vault's token account; `None` while that account does not exist.
    pub tokens: Option<Units>,
}

impl VaultState {
    /// Before anything has happened at this address, and again after everything is closed.
    #[must_use]
    pub const fn absent(site: VaultSite) -> Self {
        Self {
            site,
            account: VaultAccount::Absent,
            tokens: None,
        }
    }

    /// What lies in the vault.
    #[must_use]
    pub fn balance(&self) -> Units {
        self.tokens.unwrap_or(Units::ZERO)
    }
}

/// The state account, in its three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "no heap here, and the program holds exactly one"
)]
pub enum VaultAccount {
    /// No account.
    Absent,
    /// Terms are on chain and settleable; nothing was paid out yet.
    Open(OpenVault),
    /// One receipt was executed. What stays is the mark that says so, and unpaid credits.
    Settled(Tombstone),
}

/// The part of the terms that `settle` and `close` need, so that a settlement need not carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields of `Terms`, see there")]
pub struct OpenVault {
    pub on_silence: OnSilence,
    pub commission_bps: Bps,
    pub gateway_fee_bps: Bps,
    pub budget: u64,
    pub validator_fee_cap: u64,
    pub settle_by: UnixSeconds,
    pub refund_after: UnixSeconds,
    pub mint: Key32,
    pub refund_to: Key32,
    pub validator_set: SetHash,
    pub commission_payee: Key32,
    pub gateway_fee_payee: Key32,
    pub rent_to: Key32,
}

impl OpenVault {
    /// Takes what must be remembered out of settleable terms. `None` for an `on_silence` this version
    /// does not know, which `settleable` has refused before.
    pub(super) fn of(terms: &Terms) -> Option<Self> {
        Some(Self {
            on_silence: OnSilence::from_u8(terms.on_silence)?,
            commission_bps: terms.commission_bps,
            gateway_fee_bps: terms.gateway_fee_bps,
            budget: terms.budget,
            validator_fee_cap: terms.validator_fee_cap,
            settle_by: terms.settle_by,
            refund_after: terms.refund_after,
            mint: terms.mint,
            refund_to: terms.refund_to,
            validator_set: terms.validator_set,
            commission_payee: terms.commission_payee,
            gateway_fee_payee: terms.gateway_fee_payee,
            rent_to: terms.rent_to,
        })
    }

    /// Everybody a settlement with these rows may pay: rows, creator, gateway, refund target. The
    /// accounts whose payability the caller has to find out.
    pub fn parties<'a>(&'a self, rows: &'a Rows) -> impl Iterator<Item = Key32> + 'a {
        let fixed = [
            self.commission_payee,
            self.gateway_fee_payee,
            self.refund_to,
        ];
        let rows = rows.as_slice().iter().map(|row| row.payee);
        rows.chain(fixed.into_iter().filter(|key| !key.is_zero()))
    }
}

/// What is left of a settled vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// First second at which it may be closed.
    pub refund_after: UnixSeconds,
    /// Who gets its rent.
    pub rent_to: Key32,
    /// Payouts that could not be paid. A claimed or lapsed one stays with amount zero, so that the
    /// account keeps its size and its rent until it is closed.
    pub credits: Bounded<Payout, MAX_CREDITS>,
}

impl Tombstone {
    /// Σ credits. Never above the balance (M1b), hence never above 64 bits.
    #[must_use]
    pub fn credit_total(&self) -> Units {
        self.credits.iter().fold(Units::ZERO, |sum, credit| {
            sum.checked_add(credit.amount).unwrap_or(Units::MAX)
        })
    }

    /// First second at which credits lapse instead of being claimed.
    #[must_use]
    pub const fn credits_until(&self) -> UnixSeconds {
        self.refund_after.saturating_add(CREDIT_LIFE_S)
    }
}
