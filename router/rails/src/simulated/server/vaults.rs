//! What can be asked of a vault. Each function loads the ledger's state, lets [`apply`] decide, and
//! carries out its effects; no rule about vaults is written here (threat #73).
//!
//! A request whose effect has happened is answered with the transaction of that time: the same set, the
//! same terms while they are open, the same receipt, and claims, lapses, sweeps and closings of which
//! nothing is left to do.

use d402_objects::{Amount, Hex32};
use d402_settlement::ledger::{
    Command, Effects, Refusal as LedgerRefusal, VaultAccount, VaultSite, VaultState, apply,
};
use d402_settlement::{Domain, Key32, Terms, Units, UnixSeconds, ValidatorSet};
use d402_wire::simchain::{EventBody, SettledView};

use super::books::{Block, Movement};
use super::error::{AccountRule, ChainError, Stop};
use super::execute::Executed;
use super::refusal::refused;
use super::vault_books::site_of;
use crate::simulated::VaultTerms;

/// What a vault's record says, without its money.
pub(super) struct Record {
    /// Terms are stored and no receipt was executed.
    pub(super) open: bool,
    /// The receipt that was.
    pub(super) settled: Option<SettledView>,
    /// Credits not paid yet.
    pub(super) credits: Vec<(Hex32, Amount)>,
}

/// A vault inside one request.
pub(super) struct Vault {
    pub(super) terms: Terms,
    pub(super) state: VaultState,
}

impl Vault {
    pub(super) async fn load(block: &mut Block<'_>, terms: &VaultTerms) -> Result<Self, Stop> {
        let site =
            VaultSite::of(&Domain::SIMULATED, terms.terms()).ok_or(AccountRule::TermsForm)?;
        Ok(Self {
            terms: *terms.terms(),
            state: block.vault(site, terms.terms().mint).await?,
        })
    }

    /// The vault of terms that were stored once.
    async fn stored(block: &mut Block<'_>, terms_hash: Hex32) -> Result<Self, Stop> {
        let terms = block
            .stored_terms(terms_hash)
            .await?
            .ok_or_else(|| refused(LedgerRefusal::NotSettled))?;
        let site = site_of(terms_hash)?;
        Ok(Self {
            terms,
            state: block.vault(site, terms.mint).await?,
        })
    }

    fn hash(&self) -> Hex32 {
        self.state.site.terms_hash.0.into()
    }

    /// Makes the ledger's effects true: events, transfers, state.
    pub(super) async fn carry_out(
        &self,
        block: &mut Block<'_>,
        next: &VaultState,
        effects: &Effects,
    ) -> Result<(), Stop> {
        if effects.terms_published {
            let terms = hex::encode(self.terms.encode());
            block.store_terms(self.hash(), &self.terms).await?;
            block
                .event(&EventBody::Opened {
                    terms_hash: self.hash(),
                    terms,
                })
                .await?;
        }
        for transfer in &effects.transfers {
            let movement = Movement {
                from: self.state.site.vault.0.into(),
                to: transfer.to.0.into(),
                asset: self.terms.mint.0.into(),
                units: narrow(transfer.amount)?,
            };
            block.transfer(movement).await?;
        }
        for credit in &effects.credits {
            let amount = Amount::from(narrow(credit.amount)?);
            block
                .event(&EventBody::Credited {
                    terms_hash: self.hash(),
                    payee: credit.to.0.into(),
                    amount,
                })
                .await?;
        }
        block.store_vault(next, self.terms.mint).await
    }
}

/// `publish_set`: permissionless, immutable.
pub(super) async fn publish_set(
    block: &mut Block<'_>,
    threshold: u8,
    keys: &[Hex32],
) -> Result<Executed, Stop> {
    let members: Vec<Key32> = keys.iter().map(|key| Key32(key.as_bytes())).collect();
    let set = ValidatorSet::new(threshold, &members).map_err(|_| AccountRule::SetForm)?;
    let effect = format!("set:{}", set.hash());
    if let Some(stamp) = block.effect(&effect).await? {
        return Ok(Executed::Before(stamp));
    }
    block.store_set(&set).await?;
    let set_hash = set.hash().0.into();
    block
        .event(&EventBody::SetPublished {
            set_hash,
            threshold,
            keys: keys.to_vec(),
        })
        .await?;
    block.remember(&effect).await?;
    Ok(Executed::New)
}

/// `open` without money.
pub(super) async fn open(block: &mut Block<'_>, terms: &str) -> Result<Executed, Stop> {
    let terms = terms_of(terms)?;
    let opened = open_with(block, &terms, 0).await?;
    if !opened && let Some(stamp) = block.effect(&format!("open:{}", terms.hash())).await? {
        return Ok(Executed::Before(stamp));
    }
    Ok(Executed::New)
}

/// `open` for units that arrive in the same transaction; the caller moves them.
pub(super) async fn open_for_money(
    block: &mut Block<'_>,
    terms: &VaultTerms,
    units: u64,
) -> Result<(), Stop> {
    open_with(block, terms, units).await.map(|_| ())
}

/// Opens; says whether the terms were not open before.
async fn open_with(block: &mut Block<'_>, terms: &VaultTerms, units: u64) -> Result<bool, Stop> {
    let vault = Vault::load(block, terms).await?;
    let set = block.validator_set(terms.terms().validator_set.0).await?;
    let command = Command::Open {
        terms: terms.terms(),
        amount: Units::from_u64(units),
        mint_allowed: true,
        set: set.as_ref(),
    };
    let (next, effects) = apply(&vault.state, &command, now(block)).map_err(refused)?;
    // The money is not here yet: what is stored now is the state before it arrives.
    let before_money = VaultState {
        tokens: Some(vault.state.balance()),
        ..next
    };
    vault.carry_out(block, &before_money, &effects).await?;
    if effects.terms_published {
        block.remember(&format!("open:{}", terms.hash())).await?;
    }
    Ok(effects.terms_published)
}

/// `sweep`: everything but credits to refundTo.
pub(super) async fn sweep(block: &mut Block<'_>, terms: &str) -> Result<Executed, Stop> {
    let terms = terms_of(terms)?;
    let vault = Vault::load(block, &terms).await?;
    let payable = block.payable(terms.terms().refund_to.0.into()).await?;
    let command = Command::Sweep {
        terms: terms.terms(),
        payable,
    };
    let effect = format!("sweep:{}", terms.hash());
    let (next, effects) = match apply(&vault.state, &command, now(block)) {
        Ok(decided) => decided,
        Err(refusal) => return done_before(block, &effect, refusal).await,
    };
    let mut swept = 0u64;
    for transfer in &effects.transfers {
        swept = swept
            .checked_add(narrow(transfer.amount)?)
            .ok_or(AccountRule::OutOfRange)?;
    }
    block
        .event(&EventBody::Swept {
            terms_hash: terms.hash(),
            amount: Amount::from(swept),
        })
        .await?;
    vault.carry_out(block, &next, &effects).await?;
    block.remember(&effect).await?;
    Ok(Executed::New)
}

/// `claim_credit` to the payee's own account.
pub(super) async fn claim_credit(
    block: &mut Block<'_>,
    terms_hash: Hex32,
    payee: Hex32,
) -> Result<Executed, Stop> {
    let vault = Vault::stored(block, terms_hash).await?;
    let payable = block.payable(payee).await?;
    let command = Command::ClaimCredit {
        payee: Key32(payee.as_bytes()),
        payable,
    };
    let effect = format!("claim:{terms_hash}:{payee}");
    let (next, effects) = match apply(&vault.state, &command, now(block)) {
        Ok(decided) => decided,
        Err(refusal) => return done_before(block, &effect, refusal).await,
    };
    for transfer in &effects.transfers {
        let amount = Amount::from(narrow(transfer.amount)?);
        block
            .event(&EventBody::CreditPaid {
                terms_hash,
                payee,
                amount,
            })
            .await?;
    }
    vault.carry_out(block, &next, &effects).await?;
    block.remember(&effect).await?;
    Ok(Executed::New)
}

/// `lapse_credits`.
pub(super) async fn lapse_credits(
    block: &mut Block<'_>,
    terms_hash: Hex32,
) -> Result<Executed, Stop> {
    let vault = Vault::stored(block, terms_hash).await?;
    let effect = format!("lapse:{terms_hash}");
    let (next, effects) = match apply(&vault.state, &Command::LapseCredits, now(block)) {
        Ok(decided) => decided,
        Err(refusal) => return done_before(block, &effect, refusal).await,
    };
    let amount = Amount::from(narrow(effects.lapsed)?);
    block
        .event(&EventBody::CreditsLapsed { terms_hash, amount })
        .await?;
    vault.carry_out(block, &next, &effects).await?;
    block.remember(&effect).await?;
    Ok(Executed::New)
}

/// `close`, or `close_unfunded` while receipts may still come.
pub(super) async fn close(block: &mut Block<'_>, terms: &str) -> Result<Executed, Stop> {
    let terms = terms_of(terms)?;
    let vault = Vault::load(block, &terms).await?;
    let early = match &vault.state.account {
        VaultAccount::Open(open) => now(block) < open.refund_after,
        VaultAccount::Absent | VaultAccount::Settled(_) => false,
    };
    let command = if early {
        Command::CloseUnfunded {
            terms: terms.terms(),
        }
    } else {
        Command::Close
    };
    let effect = format!("close:{}", terms.hash());
    let (next, effects) = match apply(&vault.state, &command, now(block)) {
        Ok(decided) => decided,
        Err(refusal) => return done_before(block, &effect, refusal).await,
    };
    block
        .event(&EventBody::Closed {
            terms_hash: terms.hash(),
        })
        .await?;
    vault.carry_out(block, &next, &effects).await?;
    block.remember(&effect).await?;
    Ok(Executed::New)
}

/// What anybody can see of a vault's record.
pub(super) async fn record(
    block: &mut Block<'_>,
    terms_hash: Hex32,
    pay_to: Hex32,
) -> Result<Record, Stop> {
    let site = site_of(terms_hash)?;
    if Hex32::from_bytes(site.vault.0) != pay_to {
        return Err(AccountRule::AddressMismatch.into());
    }
    let settled = block.settled_view(terms_hash).await?;
    // The record is read without money: no asset is asked for here.
    let state = block.vault(site, Key32::ZERO).await?;
    let mut credits = Vec::new();
    let open = match &state.account {
        VaultAccount::Absent => false,
        VaultAccount::Open(_) => true,
        VaultAccount::Settled(tombstone) => {
            for credit in tombstone
                .credits
                .iter()
                .filter(|credit| !credit.amount.is_zero())
            {
                credits.push((credit.to.0.into(), Amount::from(narrow(credit.amount)?)));
            }
            false
        }
    };
    Ok(Record {
        open,
        settled,
        credits,
    })
}

/// A refusal because nothing is left to do is success when it was done before.
async fn done_before(
    block: &mut Block<'_>,
    effect: &str,
    refusal: LedgerRefusal,
) -> Result<Executed, Stop> {
    let nothing_left = matches!(
        refusal,
        LedgerRefusal::NothingToSweep
            | LedgerRefusal::NoCredit { .. }
            | LedgerRefusal::NoCredits
            | LedgerRefusal::NothingToClose
    );
    if nothing_left && let Some(stamp) = block.effect(effect).await? {
        return Ok(Executed::Before(stamp));
    }
    Err(refused(refusal))
}

pub(super) fn now(block: &Block<'_>) -> UnixSeconds {
    UnixSeconds(block.stamp.at)
}

pub(super) fn terms_of(text: &str) -> Result<VaultTerms, AccountRule> {
    VaultTerms::from_hex(text).ok_or(AccountRule::TermsForm)
}

/// The ledger never moves more than a vault holds, which has 64 bits.
pub(super) fn narrow(units: Units) -> Result<u64, ChainError> {
    units.to_u64().ok_or(ChainError::Broken {
        what: "the ledger moved more than 64 bits",
    })
}
