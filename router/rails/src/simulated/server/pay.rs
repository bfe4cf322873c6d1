//! A signed payment: a plain transfer to any address, with terms the twin of `open(terms, amount)`.
//!
//! Order of the checks: form and signature, terms against payment, seen before, nonce, window, ledger's
//! guard for the terms, receiver, funds. A payment seen before is answered with its transaction and moves
//! nothing, whoever sends it again and in whatever company (threat #37).
//!
//! With terms the request is all or nothing: when the ledger refuses to open them for money (never
//! settleable, settled, past `settleBy`, set unknown) the payment does not happen either and the buyer
//! keeps its money. A buyer who wants the plain transfer sends the payment without terms.

use d402_objects::Hex32;
use d402_wire::simchain::{Fault, Payment};

use super::books::{Block, Movement, PaidBy};
use super::error::{AccountRule, Stop};
use super::execute::Executed;
use super::vaults;
use crate::simulated::VaultTerms;
use crate::simulated::payment::{self, CheckedPayment, PaymentForm};

/// What `fundBy` adds to `issuedAt` at most (settlement spec 3.1), and the second that the terms' `issuedAt`
/// rounds away: a late deposit arrives at or after `fundBy`.
const FUND_BY_S: i64 = 121;

/// Executes a payment, or says when it was executed.
pub(super) async fn pay(
    block: &mut Block<'_>,
    payment: &Payment,
    terms: Option<&str>,
    fault: Option<Fault>,
) -> Result<Executed, Stop> {
    let payment = payment::check(payment).map_err(|form| match form {
        PaymentForm::Amount => AccountRule::PaymentAmount,
        PaymentForm::Signature => AccountRule::PaymentSignature,
    })?;
    let terms = terms
        .map(|text| VaultTerms::from_hex(text).ok_or(AccountRule::TermsForm))
        .transpose()?;
    if let Some(terms) = &terms {
        matches_terms(payment.payment(), terms)?;
    }
    if let Some((_, stamp)) = block.payment(payment.id()).await? {
        return Ok(Executed::Before(stamp));
    }
    let message = payment.payment();
    if block.nonce_used(message.from, message.nonce).await? {
        return Err(AccountRule::NonceUsed.into());
    }
    if !payment.valid_at(block.stamp.at) {
        return Err(AccountRule::PaymentExpired.into());
    }
    if fault == Some(Fault::LateDeposit) {
        delay(block, terms.as_ref());
    }
    if let Some(terms) = &terms {
        vaults::open_for_money(block, terms, payment.units()).await?;
    }
    let arrived = move_units(block, &payment, fault).await?;
    block
        .store_payment(PaidBy {
            id: payment.id(),
            payer: message.from,
            nonce: message.nonce,
            units: arrived,
        })
        .await?;
    Ok(Executed::New)
}

fn matches_terms(payment: &Payment, terms: &VaultTerms) -> Result<(), AccountRule> {
    if payment.pay_to != terms.address() {
        return Err(AccountRule::PayToMismatch);
    }
    if payment.asset != Hex32::from_bytes(terms.terms().mint.0) {
        return Err(AccountRule::AssetMismatch);
    }
    Ok(())
}

/// Stamps the transfer with a time at which it is late, yet still before `settleBy`. The chain's clock stays
/// where it is: validators whose own clock disagrees with the chain's sign nothing, and this fault is about
/// one transfer.
fn delay(block: &mut Block<'_>, terms: Option<&VaultTerms>) {
    let late = terms.map_or_else(
        || block.stamp.at.saturating_add(FUND_BY_S),
        |terms| {
            let latest = terms.terms().settle_by.0.saturating_sub(1);
            terms
                .terms()
                .issued_at
                .0
                .saturating_add(FUND_BY_S)
                .min(latest)
        },
    );
    block.stamp.at = block.stamp.at.max(late);
}

/// Moves what arrives, once, twice or one unit short; says how much it was.
async fn move_units(
    block: &mut Block<'_>,
    payment: &CheckedPayment,
    fault: Option<Fault>,
) -> Result<u64, Stop> {
    let message = payment.payment();
    if !block.payable(message.pay_to).await? {
        return Err(AccountRule::Unpayable.into());
    }
    let short = fault == Some(Fault::ShortDeposit) && payment.units() > 1;
    let units = if short {
        payment.units().saturating_sub(1)
    } else {
        payment.units()
    };
    let movement = Movement {
        from: message.from,
        to: message.pay_to,
        asset: message.asset,
        units,
    };
    block.transfer(movement).await?;
    let twice = fault == Some(Fault::DoubleDeposit)
        && block.balance(message.from, message.asset).await? >= units;
    if !twice {
        return Ok(units);
    }
    block.transfer(movement).await?;
    units
        .checked_mul(2)
        .ok_or_else(|| AccountRule::OutOfRange.into())
}
