//! What the ledger paid: its `Settled` event, taken apart.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};

use crate::abi::{Ledger, Multicall3, Row};
use crate::chain::{Chain, LogFilter};
use crate::escrow::{EscrowQuery, Shares, time_of};
use crate::rpc::{RpcError, Silence};
use crate::wire::Log;

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

/// The ledger's `Settled` event of these terms in a range of blocks.
pub(crate) async fn settlement_in(
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
    #![allow(clippy::arithmetic_side_effects, reason = "small numbers chosen here")]
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
