//! What finished tasks left on the chain goes back to who paid it: leftovers to `refundTo`, rent to `rentTo`.
//!
//! Every step is open to anybody, and the program decides; this only does not forget. Vaults come from the book,
//! from `refundAfter` on, so a gateway that was away for a month finds its work when it is back.

use std::sync::Arc;

use d402_core::ports::RailError;
use d402_objects::Hex32;
use d402_settlement::ledger::{CREDIT_LIFE_S, Tombstone, VaultAccount};
use d402_svm::address::address;
use d402_svm::instructions::Place;
use d402_svm::settling::fits;
use d402_svm::{Address, Instruction, Level, VaultView};
use sha2::{Digest as _, Sha256};

use super::body::intent_key;
use super::outcome::not_sent;
use super::sender::{Draft, SendError};
use super::vault::{VaultRail, unknown};

/// Most vaults of one round.
const MAX_VAULTS: u32 = 64;
/// How soon a vault is looked at again that could not be emptied.
const AGAIN_S: i64 = 3_600;
/// How soon one with credits is.
const CREDITS_AGAIN_S: i64 = 86_400;

/// Tidies up the vaults of one rail.
#[derive(Clone, Debug)]
pub struct Finalizer {
    rail: Arc<VaultRail>,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Vaults of which nothing is left.
    pub gone: usize,
    /// Vaults to be looked at again.
    pub left: usize,
}

/// A vault that is to be closed.
struct Closing {
    terms: Vec<u8>,
    place: Place,
    instruction: Instruction,
}

impl Finalizer {
    /// Over a rail, whose sender pays the fees.
    #[must_use]
    pub const fn new(rail: Arc<VaultRail>) -> Self {
        Self { rail }
    }

    /// Looks at every vault that is due, once.
    ///
    /// # Errors
    /// [`RailError::Unknown`] when the chain or the book does not answer; the next round goes on.
    pub async fn tidy(&self) -> Result<Tidied, RailError> {
        let now = self.rail.chain.now().await.map_err(unknown)?;
        let due = self.rail.sender.book().await.due(now, MAX_VAULTS).await;
        let mut tidied = Tidied::default();
        let mut closing = Vec::new();
        for terms in due.map_err(|error| not_sent(&error.into()))? {
            match self.look_at(terms, now).await {
                Ok(Next::Close(one)) => closing.push(*one),
                Ok(Next::Gone(terms)) => {
                    self.postpone(&terms, None).await?;
                    tidied.gone = tidied.gone.saturating_add(1);
                }
                Ok(Next::Later(terms, at)) => {
                    self.postpone(&terms, Some(at)).await?;
                    tidied.left = tidied.left.saturating_add(1);
                }
                // One vault nobody can read must not keep the others' rent.
                Err((terms, error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "vault is left");
                    let again = now.saturating_add(AGAIN_S);
                    self.postpone(&terms, Some(again)).await?;
                    tidied.left = tidied.left.saturating_add(1);
                }
            }
        }
        for batch in self.batches(&closing) {
            self.close(batch, now, &mut tidied).await?;
        }
        Ok(tidied)
    }

    async fn look_at(&self, terms: Vec<u8>, now: i64) -> Result<Next, (Vec<u8>, RailError)> {
        let place = match self.rail.place(&terms).await {
            Ok(place) => place,
            Err(error) => return Err((terms, error)),
        };
        Ok(match self.prepare(&place, now).await {
            Err(error) => return Err((terms, error)),
            Ok(Left::Nothing) => Next::Gone(terms),
            Ok(Left::Until(at)) => Next::Later(terms, at),
            Ok(Left::State(instruction)) => Next::Close(Box::new(Closing {
                terms,
                place,
                instruction,
            })),
        })
    }

    /// Moves the tokens and closes their account, and the approvals; says what is left.
    async fn prepare(&self, place: &Place, now: i64) -> Result<Left, RailError> {
        let rail = &self.rail;
        let mut view = self.now(place).await?;
        self.close_approvals(place).await?;
        if let VaultAccount::Settled(tombstone) = &view.state.account
            && !tombstone.credits.is_empty()
        {
            let tombstone = *tombstone;
            self.release_credits(place, &tombstone, now).await?;
            view = self.now(place).await?;
        }
        // An open vault nobody paid into: tokens and state in one go.
        if let (VaultAccount::Open(_), 0) = (&view.state.account, view.balance) {
            self.try_one(place, "close unfunded", place.close_unfunded(), now)
                .await?;
            view = self.now(place).await?;
        } else if view.state.tokens.is_some() {
            let sweep = place.sweep(rail.sender.payer());
            let sweep = sweep.ok_or(RailError::Unknown)?;
            self.try_one(place, "sweep", sweep, now).await?;
            view = self.now(place).await?;
        }
        Ok(match &view.state.account {
            VaultAccount::Settled(tombstone) if !tombstone.credits.is_empty() => {
                Left::Until(now.saturating_add(CREDITS_AGAIN_S))
            }
            VaultAccount::Settled(_) => Left::State(place.close(false)),
            VaultAccount::Open(_) if view.balance == 0 => Left::State(place.close(true)),
            VaultAccount::Absent if view.state.tokens.is_none() => Left::Nothing,
            VaultAccount::Open(_) | VaultAccount::Absent => {
                Left::Until(now.saturating_add(AGAIN_S))
            }
        })
    }

    async fn now(&self, place: &Place) -> Result<VaultView, RailError> {
        VaultView::now(&self.rail.chain, place, Level::Confirmed)
            .await
            .map_err(unknown)
    }

    /// Pays what has become payable; after 180 days gives the rest back to the residual (spec §3.1).
    async fn release_credits(
        &self,
        place: &Place,
        tombstone: &Tombstone,
        now: i64,
    ) -> Result<(), RailError> {
        let end = tombstone.refund_after.0.saturating_add(CREDIT_LIFE_S);
        if now >= end {
            return self
                .try_one(place, "lapse", place.lapse_credits(), now)
                .await;
        }
        let mut payees: Vec<Address> = tombstone.credits.iter().map(|c| address(&c.to)).collect();
        payees.dedup();
        for payee in payees {
            if let Some(claim) = place.claim_credit(payee) {
                self.try_one(place, &format!("claim {payee}"), claim, now)
                    .await?;
            }
        }
        Ok(())
    }

    async fn close_approvals(&self, place: &Place) -> Result<(), RailError> {
        let terms = place.terms.encode();
        let digests = self.rail.sender.book().await.approvals(&terms).await;
        let payer = self.rail.sender.payer();
        for digest in digests.map_err(|error| not_sent(&error.into()))? {
            if let Some(close) = place.close_approval(&digest, payer) {
                let step = format!("close approval {}", hex::encode(digest));
                self.try_one(place, &step, close, 0).await?;
            }
        }
        Ok(())
    }

    /// Sends one instruction; that the program refuses it is its answer, and no failure.
    async fn try_one(
        &self,
        place: &Place,
        step: &str,
        instruction: Instruction,
        now: i64,
    ) -> Result<(), RailError> {
        // Wanted again after the next deposit, so every round of the clock is an intent of its own.
        let round = u32::try_from(now.rem_euclid(1 << 20)).unwrap_or(0);
        let key = intent_key(&place.terms.encode(), step, round);
        self.send(key, vec![instruction]).await.map(|_| ())
    }

    /// Whether it had its effect.
    async fn send(&self, key: Hex32, instructions: Vec<Instruction>) -> Result<bool, RailError> {
        let draft = Draft {
            instructions,
            checked_signatures: 0,
            rent: 0,
            round: 0,
        };
        match self.rail.sender.bring(key, &draft, None).await {
            Ok(_) => Ok(true),
            Err(SendError::Failed(fault)) => {
                tracing::debug!(?fault, "not tidied up");
                Ok(false)
            }
            Err(error) => Err(not_sent(&error)),
        }
    }

    /// As many closes in each transaction as fit: about ten.
    fn batches<'a>(&self, closing: &'a [Closing]) -> Vec<&'a [Closing]> {
        let payer = self.rail.sender.payer();
        let mut batches = Vec::new();
        let mut rest = closing;
        while !rest.is_empty() {
            let count = (1..=rest.len()).rev().find(|count| {
                let some = rest.iter().take(*count);
                let instructions: Vec<_> = some.map(|one| one.instruction.clone()).collect();
                fits(&payer, &instructions, None)
            });
            let (batch, next) = rest.split_at(count.unwrap_or(1));
            batches.push(batch);
            rest = next;
        }
        batches
    }

    /// Closes a batch; where one of them cannot be closed, each alone.
    async fn close(
        &self,
        batch: &[Closing],
        now: i64,
        tidied: &mut Tidied,
    ) -> Result<(), RailError> {
        let mut name = Sha256::new();
        for one in batch {
            name.update(one.place.terms_hash.0);
        }
        let name: [u8; 32] = name.finalize().into();
        let round = u32::try_from(now.rem_euclid(1 << 20)).unwrap_or(0);
        let all = batch.iter().map(|one| one.instruction.clone()).collect();
        let closed = self.send(intent_key(&name, "close", round), all).await?;
        for one in batch {
            if !closed && batch.len() > 1 {
                self.try_one(&one.place, "close alone", one.instruction.clone(), now)
                    .await?;
            }
            let view = self.now(&one.place).await?;
            let is_gone =
                matches!(view.state.account, VaultAccount::Absent) && view.state.tokens.is_none();
            if is_gone {
                self.postpone(&one.terms, None).await?;
                tidied.gone = tidied.gone.saturating_add(1);
            } else {
                self.postpone(&one.terms, Some(now.saturating_add(AGAIN_S)))
                    .await?;
                tidied.left = tidied.left.saturating_add(1);
            }
        }
        Ok(())
    }

    async fn postpone(&self, terms: &[u8], to: Option<i64>) -> Result<(), RailError> {
        let moved = self.rail.sender.book().await.postpone(terms, to).await;
        moved.map_err(|error| not_sent(&error.into()))
    }
}

/// What is left of a vault.
enum Left {
    /// Nothing.
    Nothing,
    /// Something nobody can move before then.
    Until(i64),
    /// Only its state account, closed by this.
    State(Instruction),
}

/// What comes next for a vault.
enum Next {
    /// Forget it.
    Gone(Vec<u8>),
    /// Look again then.
    Later(Vec<u8>, i64),
    /// Close it, with others.
    Close(Box<Closing>),
}
