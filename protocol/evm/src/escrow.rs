//! What an escrow received, holds and paid, at one block.
//!
//! The first moment the budget was covered is rebuilt from the token's `Transfer` events, whoever sent them
//! (threat #37); what is there now is the token's own balance. Both belong to one block, which is asked for
//! again at the end: a chain that changed in between is unknown.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};

use d402_settlement::evm::{EVM_TERMS_LEN, EvmAccount, EvmTerms, escrow_address};

use crate::abi::{Ledger, Multicall3, Row, Token};
use crate::chain::{Chain, Head, Level, LogFilter};
use crate::rpc::{RpcError, Silence};
use crate::wire::Log;

/// Terms may be issued this far ahead of the chain's clock (spec §3), so money may come that much earlier.
const EARLY_S: u64 = 900;

/// Which escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowQuery {
    /// Hash of its terms.
    pub terms_hash: B256,
    /// Its address.
    pub escrow: Address,
    /// The ledger that settles it.
    pub ledger: Address,
    /// The token of the terms.
    pub asset: Address,
    /// Base units that must be there.
    pub budget: u128,
    /// When the terms were made, unix seconds: nobody can have paid much earlier.
    pub issued_at: u64,
    /// Whom the ledger pays besides the rows.
    pub shares: Shares,
}

/// Payees the ledger computes from terms and rows (M3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Creator's share of every worker row, taken out of it.
    pub commission_bps: u16,
    /// Creator.
    pub commission_payee: Address,
    /// Gateway's share of the worker total, on top of it.
    pub gateway_fee_bps: u16,
    /// Gateway.
    pub gateway_fee_payee: Address,
    /// Gets the rest.
    pub refund_to: Address,
}

/// An escrow at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscrowView {
    /// The block.
    pub head: Head,
    /// Base units held.
    pub balance: u128,
    /// Base units that came until the budget was covered, or until the block.
    pub received: u128,
    /// Chain time at which the budget was first covered, unix seconds.
    pub covered_at: Option<u64>,
    /// Whether the escrow account has code: settled, or swept after its time.
    pub closed: bool,
    /// The executed receipt.
    pub settled: Option<SettledView>,
}

/// An executed receipt, from the ledger's own events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledView {
    /// CID digest of the receipt.
    pub receipt_cid: B256,
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Transaction.
    pub transaction: B256,
    /// Height.
    pub height: u64,
    /// Position of the event in its block.
    pub log_index: u64,
    /// Chain time, unix seconds.
    pub at: u64,
    /// Who got what.
    pub paid: Vec<PaidRow>,
    /// Returned to refundTo in the same transaction.
    pub refunded: u128,
}

/// A payout as the ledger announced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidRow {
    /// Payee.
    pub payee: Address,
    /// 0 worker, 1 validator, 2 creator, 3 gateway.
    pub role: u8,
    /// Base units.
    pub amount: u128,
    /// Whether it became a credit because the token refused the payee.
    pub credited: bool,
}

impl EscrowQuery {
    /// The escrow of encoded terms; `None` when these bytes are no terms of an EVM chain.
    #[must_use]
    pub fn of_terms(bytes: &[u8], ledger: Address) -> Option<Self> {
        let fixed = <&[u8; EVM_TERMS_LEN]>::try_from(bytes).ok()?;
        let terms = EvmTerms::decode(fixed).ok()?;
        let home = EvmAccount(ledger.into_array());
        let hash = terms.hash(&home);
        Some(Self {
            terms_hash: B256::from(*hash.as_bytes()),
            escrow: Address::from(escrow_address(&home, &hash).0),
            ledger,
            asset: Address::from(terms.asset.0),
            budget: terms.budget.get(),
            issued_at: terms.issued_at,
            shares: Shares {
                commission_bps: terms.commission_bps.0,
                commission_payee: Address::from(terms.commission_payee.0),
                gateway_fee_bps: terms.gateway_fee_bps.0,
                gateway_fee_payee: Address::from(terms.gateway_fee_payee.0),
                refund_to: Address::from(terms.refund_to.0),
            },
        })
    }
}

impl EscrowView {
    /// Reads an escrow at the highest block of this level.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn read(chain: &Chain, query: &EscrowQuery, level: Level) -> Result<Self, RpcError> {
        let head = chain.head(level).await?;
        let view = Self::at(chain, query, head).await?;
        chain.confirm(&head).await?;
        Ok(view)
    }

    async fn at(chain: &Chain, query: &EscrowQuery, head: Head) -> Result<Self, RpcError> {
        let balance = balance_of(chain, query.asset, query.escrow, &head).await?;
        let closed = !chain.code(query.escrow, &head).await?.is_empty();
        let mut view = Self {
            head,
            balance,
            received: 0,
            covered_at: None,
            closed,
            settled: None,
        };
        let start = query.issued_at.saturating_sub(EARLY_S);
        let first = chain.block_before(start, &head).await?;
        let mut ranges = Ranges::new(chain, first, head.number);
        while let Some(range) = ranges.next_range()? {
            if view.covered_at.is_none() {
                view.add_deposits(chain, query, range).await?;
            }
            if closed && view.settled.is_none() {
                view.settled = settlement_in(chain, query, range).await?;
            }
            if view.covered_at.is_some() && (!closed || view.settled.is_some()) {
                break;
            }
        }
        Ok(view)
    }

    async fn add_deposits(
        &mut self,
        chain: &Chain,
        query: &EscrowQuery,
        range: (u64, u64),
    ) -> Result<(), RpcError> {
        let filter = LogFilter {
            addresses: vec![query.asset],
            topics: vec![
                Some(vec![Token::Transfer::SIGNATURE_HASH]),
                None,
                Some(vec![query.escrow.into_word()]),
            ],
        };
        let mut logs = chain.logs(range, &filter).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        for log in logs {
            // A token that announces transfers in another shape announces none.
            let Ok(transfer) =
                Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data)
            else {
                continue;
            };
            if transfer.to != query.escrow || log.address != query.asset {
                return Err(RpcError::unknown(Silence::Malformed));
            }
            self.received = self.received.saturating_add(units(transfer.value));
            if self.received >= query.budget && self.covered_at.is_none() {
                self.covered_at = Some(time_of(chain, &log).await?);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Units of a token at a block.
///
/// # Errors
/// [`RpcError`].
pub async fn balance_of(
    chain: &Chain,
    asset: Address,
    of: Address,
    at: &Head,
) -> Result<u128, RpcError> {
    let call = Token::balanceOfCall { account: of };
    let answer = chain.call(asset, &call.abi_encode().into(), at).await?;
    Token::balanceOfCall::abi_decode_returns(&answer)
        .map(units)
        .map_err(|_| RpcError::unknown(Silence::Malformed))
}

/// Chain time of a log's block, which must still be that block.
async fn time_of(chain: &Chain, log: &Log) -> Result<u64, RpcError> {
    let block = chain.block(log.block_number.to()).await?;
    if block.hash == log.block_hash {
        Ok(block.timestamp)
    } else {
        Err(RpcError::unknown(Silence::Reorganised))
    }
}

/// More units than 128 bits can say are as good as the most that they can.
pub(crate) fn units(value: U256) -> u128 {
    value.saturating_to()
}

/// The blocks between two heights, in questions a provider answers.
struct Ranges {
    next: u64,
    last: u64,
    step: u64,
    left: u32,
}

impl Ranges {
    fn new(chain: &Chain, first: u64, last: u64) -> Self {
        let options = chain.options();
        Self {
            next: first,
            last,
            step: options.log_range.max(1),
            left: options.log_questions,
        }
    }

    fn next_range(&mut self) -> Result<Option<(u64, u64)>, RpcError> {
        if self.next > self.last {
            return Ok(None);
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(RpcError::unknown(Silence::TooMuch))?;
        let from = self.next;
        let to = from
            .saturating_add(self.step.saturating_sub(1))
            .min(self.last);
        self.next = to.saturating_add(1);
        Ok(Some((from, to)))
    }
}

/// The ledger's `Settled` event of these terms in a range of blocks.
async fn settlement_in(
    chain: &Chain,
    query: &EscrowQuery,
    range: (u64, u64),
) -> Result<Option<SettledView>, RpcError> {
    let filter = LogFilter {
        addresses: vec![query.ledger],
        topics: vec![
            Some(vec![Ledger::Settled::SIGNATURE_HASH]),
            Some(vec![query.terms_hash]),
        ],
    };
    let logs = chain.logs(range, &filter).await?;
    let Some(log) = logs.first() else {
        return Ok(None);
    };
    let malformed = RpcError::unknown(Silence::Malformed);
    // A receipt executes once in the life of its terms (M2e); two events are no answer of our ledger.
    if logs.len() != 1 || log.address != query.ledger {
        return Err(malformed);
    }
    let event = Ledger::Settled::decode_raw_log(log.topics.iter().copied(), &log.data)
        .map_err(|_| malformed.clone())?;
    if event.termsHash != query.terms_hash {
        return Err(malformed);
    }
    let rows = rows_of(chain, log, event.receiptCid).await?;
    let (paid, refunded) = payouts(&event, &query.shares, rows.as_deref()).ok_or(malformed)?;
    Ok(Some(SettledView {
        receipt_cid: event.receiptCid,
        outcome: event.outcome,
        transaction: log.transaction_hash,
        height: log.block_number.to(),
        log_index: log.log_index.to(),
        at: time_of(chain, log).await?,
        paid,
        refunded,
    }))
}

/// Who is paid behind the rows: creator, gateway, refundTo, each only when it gets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Computed {
    Creator,
    Gateway,
    Refund,
}

/// The event's list, `payee << 96 | amount` each; bit i of `unpaid` marks what the token refused. `None` when
/// the list is not one these terms and rows give.
fn payouts(
    event: &Ledger::Settled,
    shares: &Shares,
    rows: Option<&[Row]>,
) -> Option<(Vec<PaidRow>, u128)> {
    let listed: Vec<(Address, u128)> = event.payouts.iter().map(|p| unpack(*p)).collect();
    let (count, computed) = match rows {
        Some(rows) => (rows.len(), computed(shares, rows)?),
        None => guessed(shares, &listed),
    };
    let behind = listed.get(count..)?;
    let mut paid = Vec::with_capacity(listed.len());
    for (place, (payee, amount)) in listed.iter().enumerate().take(count) {
        let role = rows
            .and_then(|rows| rows.get(place))
            .map_or(0, |row| row.role);
        paid.push(row_of((*payee, *amount), role, event.unpaid.bit(place)));
    }
    let mut refunded = 0;
    for (place, (entry, who)) in (count..).zip(behind.iter().zip(&computed)) {
        let refused = event.unpaid.bit(place);
        match who {
            Computed::Creator => paid.push(row_of(*entry, 2, refused)),
            Computed::Gateway => paid.push(row_of(*entry, 3, refused)),
            Computed::Refund if !refused => refunded = entry.1,
            Computed::Refund => {}
        }
    }
    paid.retain(|row| row.amount > 0);
    let at_most_the_refund_is_missing = behind.len() == computed.len()
        || (behind.len().checked_add(1) == Some(computed.len())
            && computed.last() == Some(&Computed::Refund));
    at_most_the_refund_is_missing.then_some((paid, refunded))
}

const fn row_of((payee, amount): (Address, u128), role: u8, credited: bool) -> PaidRow {
    PaidRow {
        payee,
        role,
        amount,
        credited,
    }
}

/// Spec §2.4: the commission is rounded down per worker row, the fee over their sum.
fn computed(shares: &Shares, rows: &[Row]) -> Option<Vec<Computed>> {
    let (mut commission, mut total) = (0_u128, 0_u128);
    for row in rows.iter().filter(|row| row.role == 0) {
        let amount: u128 = row.amount.to();
        commission = commission.checked_add(share(amount, shares.commission_bps)?)?;
        total = total.checked_add(amount)?;
    }
    let mut who = Vec::with_capacity(3);
    if commission > 0 {
        who.push(Computed::Creator);
    }
    if share(total, shares.gateway_fee_bps)? > 0 {
        who.push(Computed::Gateway);
    }
    who.push(Computed::Refund);
    Some(who)
}

fn share(amount: u128, bps: u16) -> Option<u128> {
    amount.checked_mul(u128::from(bps))?.checked_div(10_000)
}

/// Without the rows: the last payees as far as they are the terms' own.
fn guessed(shares: &Shares, listed: &[(Address, u128)]) -> (usize, Vec<Computed>) {
    let mut count = listed.len();
    let mut who = Vec::with_capacity(3);
    let order = [
        (shares.refund_to, Computed::Refund),
        (shares.gateway_fee_payee, Computed::Gateway),
        (shares.commission_payee, Computed::Creator),
    ];
    for (payee, computed) in order {
        let last = count.checked_sub(1).and_then(|place| listed.get(place));
        if !payee.is_zero() && last.is_some_and(|(found, _)| *found == payee) {
            count = count.saturating_sub(1);
            who.insert(0, computed);
        }
    }
    (count, who)
}

fn unpack(packed: U256) -> (Address, u128) {
    let bytes = packed.to_be_bytes::<32>();
    let (payee, amount) = bytes.split_at(20);
    let mut units = [0; 16];
    for (slot, byte) in units.iter_mut().skip(4).zip(amount) {
        *slot = *byte;
    }
    (Address::from_slice(payee), u128::from_be_bytes(units))
}

/// The receipt's rows with their roles, which only the transaction says: the event has payees and amounts.
/// `None` when the settlement was called from inside another contract; its rows are then shown as workers'.
async fn rows_of(
    chain: &Chain,
    log: &Log,
    receipt_cid: B256,
) -> Result<Option<Vec<Row>>, RpcError> {
    let input = chain
        .input_of(log.transaction_hash)
        .await?
        .unwrap_or_default();
    let fits = |call: &Ledger::settleCall| call.receipt.receiptCid == receipt_cid;
    let direct = Ledger::settleCall::abi_decode(&input).ok().filter(fits);
    let batched = || {
        let batch = Multicall3::aggregate3Call::abi_decode(&input).ok()?;
        batch.calls.iter().find_map(|call| {
            Ledger::settleCall::abi_decode(&call.callData)
                .ok()
                .filter(fits)
        })
    };
    Ok(direct.or_else(batched).map(|call| call.receipt.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(payee: u8, amount: u128) -> U256 {
        (U256::from_be_slice(Address::repeat_byte(payee).as_slice()) << 96) | U256::from(amount)
    }

    fn settled(unpaid: u64, payouts: Vec<U256>) -> Ledger::Settled {
        Ledger::Settled {
            termsHash: B256::ZERO,
            receiptCid: B256::ZERO,
            outcome: 1,
            unpaid: U256::from(unpaid),
            payouts,
        }
    }

    const SHARES: Shares = Shares {
        commission_bps: 1_000,
        commission_payee: Address::repeat_byte(3),
        gateway_fee_bps: 200,
        gateway_fee_payee: Address::repeat_byte(4),
        refund_to: Address::repeat_byte(5),
    };

    fn row(payee: u8, role: u8, amount: u64) -> Row {
        Row {
            payee: Address::repeat_byte(payee),
            role,
            amount: alloy::primitives::Uint::from(amount),
        }
    }

    fn seen(paid: &[PaidRow]) -> Vec<(u8, u8, u128, bool)> {
        paid.iter()
            .map(|row| (row.payee.0[0], row.role, row.amount, row.credited))
            .collect()
    }

    #[test]
    fn rows_creator_gateway_and_refund_are_told_apart() {
        let list = vec![
            packed(1, 90),
            packed(2, 5),
            packed(3, 10),
            packed(4, 2),
            packed(5, 18),
        ];
        let event = settled(0b1, list);
        let rows = [row(1, 0, 100), row(2, 1, 5)];
        let (paid, refunded) = payouts(&event, &SHARES, Some(&rows)).unwrap();
        let want = [
            (1, 0, 90, true),
            (2, 1, 5, false),
            (3, 2, 10, false),
            (4, 3, 2, false),
        ];
        assert_eq!((seen(&paid), refunded), (want.to_vec(), 18));
        let (paid, refunded) = payouts(&event, &SHARES, None).unwrap();
        assert_eq!(paid.len(), 4, "the same payees without the transaction");
        assert_eq!(refunded, 18);
    }

    #[test]
    fn a_share_of_zero_is_not_in_the_list_and_shifts_nobody() {
        // 9 units: no commission (0.9) and no fee (0.18).
        let rows = [row(1, 0, 9)];
        let event = settled(0, vec![packed(1, 9), packed(5, 3)]);
        let (paid, refunded) = payouts(&event, &SHARES, Some(&rows)).unwrap();
        assert_eq!((seen(&paid), refunded), (vec![(1, 0, 9, false)], 3));
        let event = settled(0, vec![packed(1, 9)]);
        assert_eq!(payouts(&event, &SHARES, Some(&rows)).unwrap().1, 0);
    }

    #[test]
    fn a_refund_the_token_refused_was_not_refunded() {
        let event = settled(0b1, vec![packed(5, 18)]);
        assert_eq!(payouts(&event, &SHARES, Some(&[])), Some((Vec::new(), 0)));
    }

    #[test]
    fn a_list_that_rows_and_terms_do_not_give_is_no_settlement() {
        let rows = [row(1, 0, 100)];
        let event = settled(0, vec![packed(1, 90), packed(3, 10)]);
        assert_eq!(payouts(&event, &SHARES, Some(&rows)), None);
        assert_eq!(payouts(&settled(0, Vec::new()), &SHARES, Some(&rows)), None);
    }
}
