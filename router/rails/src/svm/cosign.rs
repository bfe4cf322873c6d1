//! Payments by x402 `exact` into a vault that is open: verified, signed as fee payer, written down, broadcast.
//!
//! Our signature is the last that is missing, so nobody but us can broadcast first, and what we broadcast is in
//! the book before. A payment is signed at most once: its message hash and its signature are unique there, for
//! ever and not for two minutes (payments-standards §4 row 12).

use d402_core::ports::{PaymentFault, RailError, VerifiedPayment};
use d402_objects::Hex32;
use d402_svm::instructions::Place;
use d402_svm::transaction::{encode, signed};
use d402_svm::{Level, Status};

use super::book::Entry;
use super::exact::{
    ExactFault, ExactPayment, FeeCaps, Received, Requirements, inspect, resolve, verify,
};
use super::outcome::{self, not_sent, refused};
use super::sender::SendError;
use super::vault::{BLOCKHASH_LIFE, VaultRail, unknown};
use crate::svm::body::{MoneyBody, intent_key};

impl VaultRail {
    /// What a payment into this vault must be.
    fn required(&self, place: &Place) -> Requirements {
        Requirements {
            mint: place.mint,
            token_program: place.token_program,
            destination: place.tokens,
            amount: place.terms.budget,
            fee_payer: self.sender.payer(),
            memo: None,
            caps: FeeCaps::DEFAULT,
        }
    }

    /// Whether a payload is one this gateway is to sign as fee payer.
    pub(super) fn is_exact(&self, received: &Received) -> bool {
        received.fee_payer() == Some(self.sender.payer())
    }

    /// Checks a payment by every rule of the scheme, without any effect.
    pub(super) async fn verify_exact(
        &self,
        received: &Received,
        (place, terms): (&Place, &[u8]),
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        // Fees are paid for those only to whom the 402 said so: into vaults this gateway lent the rent of.
        if place.rent_to() != self.sender.payer() {
            return Ok(Err(fault(&ExactFault::FeePayer)));
        }
        let required = self.required(place);
        let known = self.cosigned(received.message_hash()).await?;
        let payment = match known {
            // It may be on the chain already, where no trial run succeeds again.
            Some(_) => inspect(received, &self.tables(received).await?, &required),
            None => {
                let verified = verify(self.chain.as_ref(), received, &required).await;
                verified.map_err(unknown)?
            }
        };
        let payment = match payment {
            Ok(payment) => payment,
            Err(why) => return Ok(Err(fault(&why))),
        };
        let body = MoneyBody::PayExact {
            terms: terms.to_vec(),
            transaction: received.raw().to_vec(),
        };
        Ok(Ok(VerifiedPayment {
            payment_id: payment.message_hash,
            payer: payment.payer.to_string(),
            body: body.encode().map_err(|_| refused("BodyForm"))?,
        }))
    }

    async fn tables(&self, received: &Received) -> Result<super::exact::Tables, RailError> {
        let named = received.tables().map_err(|_| refused("BodyForm"))?;
        resolve(self.chain.as_ref(), &named).await.map_err(unknown)
    }

    /// What was signed for a payment, if anything was.
    pub(super) async fn cosigned(&self, message: Hex32) -> Result<Option<Entry>, RailError> {
        let found = self.sender.book().await.find(intent(message)).await;
        found.map_err(|error| not_sent(&error.into()))
    }

    /// Brings a payment onto the chain: the same bytes, however often it is asked for.
    pub(super) async fn submit_exact(&self, place: &Place, raw: &[u8]) -> Result<(), RailError> {
        let received = Received::decode(raw.to_vec()).map_err(|_| refused("BodyForm"))?;
        let known = self.cosigned(received.message_hash()).await?;
        let entry = match known {
            Some(entry) => entry,
            None => self.cosign(place, &received).await?,
        };
        self.seen(entry.message, Some(entry.signature)).await?;
        // Before the status: what is in no final block by then, and is asked for afterwards, can be in none.
        let last = self.chain.options().finality.last();
        let (height, _) = self.chain.block_heights(last).await.map_err(unknown)?;
        let status = self.chain.status(&entry.signature).await.map_err(unknown)?;
        match status.filter(Status::is_confirmed) {
            Some(status) if status.succeeded() => return self.opened_is_paid(place).await,
            Some(_) => return Err(refused(outcome::FAILED)),
            None if height > entry.last_valid => return Err(refused(outcome::EXPIRED)),
            None => {}
        }
        let sent = self.sender.broadcast(&entry.raw).await;
        sent.map_err(|error| not_sent(&error))?;
        match self.sender.wait(&entry.signature).await {
            // Not before: whoever takes his money away in between still holds his place under the caps.
            Ok(_) => self.opened_is_paid(place).await,
            Err(SendError::Failed(fault)) => {
                tracing::info!(?fault, "payment failed on chain");
                Err(refused(outcome::FAILED))
            }
            Err(error) => Err(not_sent(&error)),
        }
    }

    /// Signs a payment and writes it down; nothing is sent. What the body says is checked again: it comes back
    /// out of a database, and this is the last look before our key signs.
    async fn cosign(&self, place: &Place, received: &Received) -> Result<Entry, RailError> {
        let required = self.required(place);
        let tables = self.tables(received).await?;
        let payment = inspect(received, &tables, &required).map_err(|why| {
            tracing::error!(%why, "payment in the outbox is not one to sign");
            refused("PaymentRules")
        })?;
        let recent = self.chain.is_blockhash_valid(&payment.blockhash).await;
        if !recent.map_err(unknown)? {
            // Never signed, so it can never be executed.
            return Err(refused(outcome::EXPIRED));
        }
        let heights = self.chain.block_heights(Level::Confirmed).await;
        let (_, highest) = heights.map_err(unknown)?;
        // The client's blockhash is no younger than the highest block.
        let last_valid = highest.saturating_add(BLOCKHASH_LIFE);
        let entry = self.entry(&payment, received, last_valid)?;
        let written = self.sender.write_down(entry).await;
        written.map_err(|error| not_sent(&error))
    }

    fn entry(
        &self,
        payment: &ExactPayment,
        received: &Received,
        last_valid: u64,
    ) -> Result<Entry, RailError> {
        let ours = self.sender.key().sign(received.message());
        let theirs = received.signature_of_payer();
        let theirs = theirs.ok_or_else(|| refused("BodyForm"))?;
        let transaction = signed(received.versioned().clone(), vec![ours, theirs]);
        Ok(Entry {
            message: payment.message_hash,
            intent: intent(payment.message_hash),
            attempt: 0,
            signature: ours,
            raw: encode(&transaction),
            last_valid,
            lamports: payment.fee_lamports,
            signed_ms: self.sender.now_ms(),
        })
    }
}

fn intent(message: Hex32) -> Hex32 {
    intent_key(&message.as_bytes(), "exact", 0)
}

fn fault(why: &ExactFault) -> PaymentFault {
    if let ExactFault::Funds { got, needed } = why {
        return PaymentFault::Funds {
            got: *got,
            needed: *needed,
        };
    }
    PaymentFault::Scheme {
        reason: why.reason(),
    }
}
