//! Submitting the money effects of the escrow rail, and finding out what a refusal means.

use alloy::primitives::{Address, B256, Bytes, U256};
use d402_core::ports::RailError;
use d402_evm::Level;
use d402_objects::SignedReceipt;
use d402_settlement::evm::{EvmAccount, EvmSigners};

use super::authorization::SignedAuthorization;
use super::body::{Call, MoneyBody, ReceiptBody, SetBody, intent_key};
use super::escrow::{EscrowRail, LAST_VALID_S, Place, unknown};
use super::outcome::{self, Verdict, not_sent, refused, retry};
use super::sequencer::SendError;

/// Most sweeps of one escrow by one body.
const MAX_SWEEPS: u32 = 64;

impl EscrowRail {
    /// Whether this very authorization moved money into the escrow, whoever submitted it (threat #37): both
    /// events, in one transaction that was executed.
    pub(super) async fn came_here(
        &self,
        place: &Place,
        payment: &SignedAuthorization,
    ) -> Result<bool, RailError> {
        let given = &payment.authorization;
        let head = self.chain.now().await.map_err(unknown)?;
        let since = place.terms.issued_at.saturating_sub(LAST_VALID_S);
        let trail = self.trail(given.from, given.nonce);
        let to = (place.query.escrow, given.value);
        match trail.used(since, &head).await? {
            Some(used) => trail.moved(&used, to).await,
            None => Ok(false),
        }
    }

    pub(super) async fn submit_payment(
        &self,
        place: &Place,
        (body, payment): (&[u8], &SignedAuthorization),
        call: Call,
    ) -> Result<(), RailError> {
        self.note(payment);
        let key = intent_key(body, 0);
        let error = match self.sequencer.bring(key, call.target, &call.input).await {
            Ok(_) => return Ok(()),
            Err(SendError::Reverted { data }) => data,
            Err(error) => return Err(not_sent(&error)),
        };
        let given = &payment.authorization;
        let head = self.chain.now().await.map_err(unknown)?;
        if self.trail(given.from, given.nonce).is_spent(&head).await? {
            return if self.came_here(place, payment).await? {
                Ok(())
            } else {
                Err(refused(outcome::SPENT))
            };
        }
        let now = self.chain.now().await.map_err(unknown)?;
        if U256::from(now.timestamp) >= given.valid_before {
            return Err(refused(outcome::EXPIRED));
        }
        Err(match outcome::judge(&error, false) {
            Verdict::Never(rule) => RailError::Refused { rule },
            Verdict::NotNow(rule) => retry(rule),
            // Batched with the making of a wallet, the ledger's reason is wrapped: time decides.
            Verdict::PaymentRefused => retry("PaymentRefused"),
            Verdict::AlreadySettled => refused("AlreadySettled"),
            Verdict::NothingToSweep => retry("Reverted"),
        })
    }

    pub(super) async fn submit_settlement(
        &self,
        place: &Place,
        (body, receipt_cid): (&[u8], B256),
        call: Call,
    ) -> Result<(), RailError> {
        let key = intent_key(body, 0);
        let data = match self.sequencer.bring(key, call.target, &call.input).await {
            Ok(_) => return Ok(()),
            Err(SendError::Reverted { data }) => data,
            Err(error) => return Err(not_sent(&error)),
        };
        Err(match outcome::judge(&data, place.terms.on_silence == 1) {
            // A payee may have been faster with the same receipt (threat #12).
            Verdict::AlreadySettled => {
                let view = self.view(place, Level::Latest).await?;
                match view.settled {
                    Some(settled) if settled.receipt_cid == receipt_cid => return Ok(()),
                    Some(_) => refused("AlreadySettled"),
                    None => refused("Swept"),
                }
            }
            Verdict::NotNow(rule) => retry(rule),
            Verdict::Never(rule) => RailError::Refused { rule },
            Verdict::NothingToSweep | Verdict::PaymentRefused => RailError::Unknown,
        })
    }

    /// A sweep may be wanted again whenever something came afterwards, so every executed one is followed by
    /// an intent of its own.
    pub(super) async fn submit_sweep(&self, body: &[u8], call: Call) -> Result<(), RailError> {
        for round in 0..MAX_SWEEPS {
            let key = intent_key(body, round);
            if self
                .sequencer
                .is_executed(key)
                .await
                .map_err(|e| not_sent(&e))?
            {
                continue;
            }
            let data = match self.sequencer.bring(key, call.target, &call.input).await {
                Ok(_) => return Ok(()),
                Err(SendError::Reverted { data }) => data,
                Err(error) => return Err(not_sent(&error)),
            };
            return match outcome::judge(&data, false) {
                Verdict::NothingToSweep => Ok(()),
                Verdict::NotNow(rule) => Err(retry(rule)),
                Verdict::Never(rule) => Err(RailError::Refused { rule }),
                Verdict::AlreadySettled | Verdict::PaymentRefused => Err(RailError::Unknown),
            };
        }
        Err(retry("SweptTooOften"))
    }
}

/// A receipt as the ledger takes it, with the set and the signatures.
pub(super) fn settlement(
    place: &Place,
    receipt: &SignedReceipt,
    set: &EvmSigners,
) -> Result<MoneyBody, RailError> {
    let decided = receipt.receipt();
    if decided.terms_hash.as_bytes() != place.query.terms_hash.0 {
        return Err(refused("ReceiptOfOtherTerms"));
    }
    let mut rows = Vec::with_capacity(decided.rows.len());
    for row in &decided.rows {
        let payee = row
            .payee
            .as_str()
            .parse()
            .map_err(|_| refused("PayeeForm"))?;
        let role = match row.role {
            d402_objects::RowRole::Worker => 0,
            d402_objects::RowRole::Validator => 1,
        };
        rows.push((payee, role, row.amount));
    }
    let members = set.set().keys().iter().zip(0_u8..).map(|(key, index)| {
        let kind = set.kind(index).map_or(0, |kind| kind.as_u8());
        let account = EvmAccount::from_key(key).unwrap_or(EvmAccount::ZERO);
        (Address::from(account.0), kind)
    });
    Ok(MoneyBody::Settle {
        terms: place.bytes.clone(),
        receipt: ReceiptBody {
            receipt_cid: B256::from(receipt.receipt_cid().to_hex32().as_bytes()),
            outcome: match decided.outcome {
                d402_objects::Outcome::Paid => 1,
                d402_objects::Outcome::Rejected => 2,
            },
            rows,
        },
        set: SetBody {
            m: set.set().m(),
            members: members.collect(),
        },
        signatures: receipt
            .signatures()
            .iter()
            .map(|s| (s.set_index, Bytes::copy_from_slice(s.signature.as_slice())))
            .collect(),
    })
}
