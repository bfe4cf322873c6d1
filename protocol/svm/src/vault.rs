//! What a vault received, holds and paid.
//!
//! State and balance are the accounts of one slot. The first moment the budget was covered is rebuilt from the
//! token balances after each transaction of the vault's token account, whoever sent it (threat #37); what was paid
//! is the program's own event.

use std::time::Duration;

use d402_rpc::{CallError as RpcError, Silence};
use d402_settlement::ledger::{VaultAccount, VaultSite, VaultState};
use d402_settlement::{Units, UnixSeconds};
use futures::future::try_join_all;
use solana_address::Address;
use solana_signature::Signature;

use crate::address::key;
use crate::chain::{Chain, Level, program};
use crate::events::{Payment, VaultSettled};
use crate::instructions::Place;
use crate::token::TokenAccount;
use crate::wire::{Account, Entry, Executed};

/// Transactions asked for at the same time.
const TOGETHER: usize = 8;

/// How long a provider may take to file what it has executed, try by try.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
];

/// Which vault.
pub type VaultQuery = Place;

/// A vault at one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultView {
    /// The slot.
    pub slot: u64,
    /// State account and balance, as the ledger has them.
    pub state: VaultState,
    /// Base units held.
    pub balance: u64,
    /// Base units that were there when the budget was first covered; else those that are there.
    pub received: u64,
    /// Chain time at which the budget was first covered, unix seconds.
    pub covered_at: Option<u64>,
    /// The executed receipt.
    pub settled: Option<SettledView>,
}

/// An executed receipt, from the program's own event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledView {
    /// CID digest of the receipt.
    pub receipt_cid: [u8; 32],
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Transaction.
    pub signature: Signature,
    /// Slot.
    pub slot: u64,
    /// Chain time, unix seconds.
    pub at: u64,
    /// Who got what.
    pub paid: Vec<PaidRow>,
    /// Returned to refundTo in the same transaction.
    pub refunded: u64,
}

/// A payout as the program announced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidRow {
    /// Payee's wallet.
    pub payee: Address,
    /// 0 worker, 1 validator, 2 creator, 3 gateway.
    pub role: u8,
    /// Base units.
    pub amount: u64,
    /// Whether it became a credit because the payee could not be paid.
    pub credited: bool,
}

impl VaultView {
    /// Reads a vault at the highest slot of this level. Providers know accounts a moment before their history,
    /// so what is not there yet is asked for a few times.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn read(chain: &Chain, place: &Place, level: Level) -> Result<Self, RpcError> {
        let lags = RpcError::unknown(Silence::NoBlock);
        for pause in PAUSES {
            match Self::read_once(chain, place, level).await {
                Err(error) if error == lags => tokio::time::sleep(pause).await,
                answer => return answer,
            }
        }
        Self::read_once(chain, place, level).await
    }

    async fn read_once(chain: &Chain, place: &Place, level: Level) -> Result<Self, RpcError> {
        let mut view = Self::now(chain, place, level).await?;
        let budget = place.terms.budget;
        let mut before = None;
        if view.may_be_settled(chain, place).await? {
            let found = settlement(chain, place, (level, view.slot)).await?;
            // The tombstone says that there is one.
            if found.is_none() && matches!(view.state.account, VaultAccount::Settled(_)) {
                return Err(RpcError::unknown(Silence::NoBlock));
            }
            before = found.as_ref().map(|settled| settled.signature);
            view.settled = found;
        }
        if before.is_none() && view.balance < budget {
            return Ok(view);
        }
        let mut history = chain.history(&place.tokens, level, view.slot).await?;
        history.retain(|entry| entry.err.is_none());
        if let Some(settled) = before {
            let at = history.iter().position(|entry| entry.signature == settled);
            history.truncate(at.ok_or(RpcError::unknown(Silence::NoBlock))?);
        }
        if let Some((received, at)) = covered(chain, place, &history, level).await? {
            (view.received, view.covered_at) = (received, Some(at));
        } else if before.is_none() {
            // The balance is there, its history is not yet.
            return Err(RpcError::unknown(Silence::NoBlock));
        }
        Ok(view)
    }

    /// State and balance alone: one question.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn now(chain: &Chain, place: &Place, level: Level) -> Result<Self, RpcError> {
        let wanted = [place.vault, place.tokens];
        let accounts = chain.accounts(&wanted, level, None).await?;
        let tokens = accounts.get(1).and_then(|account| held(place, account));
        let state = state(place, accounts.get(0), tokens)?;
        let balance = tokens.unwrap_or(0);
        Ok(Self {
            slot: accounts.slot,
            state,
            balance,
            received: balance,
            covered_at: None,
            settled: None,
        })
    }

    /// Whether a receipt may have been executed: the tombstone says so until `refundAfter`, nobody after it.
    async fn may_be_settled(&self, chain: &Chain, place: &Place) -> Result<bool, RpcError> {
        Ok(match self.state.account {
            VaultAccount::Settled(_) => true,
            VaultAccount::Open(_) => false,
            VaultAccount::Absent => UnixSeconds(chain.now().await?) >= place.terms.refund_after,
        })
    }
}

/// Units in the vault's token account; an account that is none holds none.
fn held(place: &Place, account: &Account) -> Option<u64> {
    let tokens = TokenAccount::read(account)?;
    let is_ours = account.owner == place.token_program
        && tokens.mint == place.mint
        && tokens.owner == place.vault;
    is_ours.then_some(tokens.amount)
}

/// The state account; lamports somebody sent to the address are no state (#72).
fn state(
    place: &Place,
    account: Option<&Account>,
    tokens: Option<u64>,
) -> Result<VaultState, RpcError> {
    let malformed = RpcError::unknown(Silence::Malformed);
    let site = VaultSite {
        domain: place.domain,
        terms_hash: place.terms_hash,
        vault: key(&place.vault),
        bump: place.bump,
    };
    let data = account.map_or(&[][..], |account| account.data.as_slice());
    let is_ours = account.is_none_or(|account| account.owner == program(&place.domain));
    if !data.is_empty() && !is_ours {
        return Err(malformed);
    }
    VaultState::decode_account(site, data, tokens.map(Units::from_u64)).map_err(|_| malformed)
}

/// The first transaction after which the budget was there: units then, and chain time. Between the first deposit
/// and the settlement the balance only grows, so halving finds it, however much dust a stranger sends.
async fn covered(
    chain: &Chain,
    place: &Place,
    history: &[Entry],
    level: Level,
) -> Result<Option<(u64, u64)>, RpcError> {
    let (mut low, mut high) = (0, history.len());
    let mut found = None;
    while low < high {
        let middle = low.midpoint(high);
        let Some(entry) = history.get(middle) else {
            break;
        };
        let executed = executed(chain, entry, level).await?;
        let units = units_after(&executed, place);
        if units >= place.terms.budget {
            found = Some((units, time_of(&executed)?));
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Ok(found)
}

fn units_after(executed: &Executed, place: &Place) -> u64 {
    let ours = |balance: &&crate::wire::TokenBalance| {
        balance.account == place.tokens && balance.mint == place.mint
    };
    executed.tokens.iter().find(ours).map_or(0, |b| b.amount)
}

/// The vault's settlement among the transactions that name it.
async fn settlement(
    chain: &Chain,
    place: &Place,
    (level, slot): (Level, u64),
) -> Result<Option<SettledView>, RpcError> {
    let mut history = chain.history(&place.vault, level, slot).await?;
    history.retain(|entry| entry.err.is_none());
    let most = chain.options().looked_at;
    for some in history.chunks(TOGETHER).take(most.div_ceil(TOGETHER)) {
        let asked = some.iter().map(|entry| executed(chain, entry, level));
        for executed in try_join_all(asked).await? {
            let event = VaultSettled::find(&place.domain, &place.vault, &executed);
            let Some(event) = event else { continue };
            if event.terms_hash != place.terms_hash.0 {
                return Err(RpcError::unknown(Silence::Malformed));
            }
            return view_of(&event, &executed).map(Some);
        }
    }
    if history.len() > most {
        return Err(RpcError::unknown(Silence::TooMuch));
    }
    Ok(None)
}

fn view_of(event: &VaultSettled, executed: &Executed) -> Result<SettledView, RpcError> {
    let row = |payment: &Payment, credited| PaidRow {
        payee: payment.to,
        role: payment.kind,
        amount: payment.amount,
        credited,
    };
    let is_refund = |payment: &&Payment| payment.kind == 4;
    let paid = event.paid.iter().filter(|payment| !is_refund(payment));
    let mut rows: Vec<PaidRow> = paid.map(|payment| row(payment, false)).collect();
    rows.extend(event.credits.iter().map(|payment| row(payment, true)));
    let refunds = event.paid.iter().filter(is_refund);
    let signature = executed.transaction.signatures.first();
    Ok(SettledView {
        receipt_cid: event.receipt_cid,
        outcome: event.outcome,
        signature: *signature.ok_or(RpcError::unknown(Silence::Malformed))?,
        slot: executed.slot,
        at: time_of(executed)?,
        paid: rows,
        refunded: refunds
            .map(|refund| refund.amount)
            .fold(0, u64::saturating_add),
    })
}

async fn executed(chain: &Chain, entry: &Entry, level: Level) -> Result<Executed, RpcError> {
    chain
        .transaction(&entry.signature, level)
        .await?
        .ok_or(RpcError::unknown(Silence::NoBlock))
}

fn time_of(executed: &Executed) -> Result<u64, RpcError> {
    executed
        .block_time
        .and_then(|time| u64::try_from(time).ok())
        .ok_or(RpcError::unknown(Silence::NoBlock))
}
