//! Opening a vault for a request nobody paid for yet.

use std::net::IpAddr;

use async_trait::async_trait;
use d402_core::ports::{NotOpened, OpenAsk, RailError, VaultOpener};
use d402_objects::{Address, Amount, Hex32};
use d402_svm::Level;
use d402_svm::address::{address, key};
use d402_svm::instructions::Place;
use d402_svm::token::TokenAccount;
use tokio::sync::MutexGuard;

use super::{OpeningBook, OpeningError, Refusal, Requester};
use crate::svm::body::intent_key;
use crate::svm::outcome::{not_sent, refused};
use crate::svm::sender::{Draft, SendError};
use crate::svm::vault::{VaultRail, unknown};

/// `close_unfunded` is possible from this many seconds after `issuedAt` on (spec §3.1).
const UNFUNDED_S: i64 = 120;
/// The chain's clock and ours may differ; too early costs a trial run.
const CLOCK_SLACK_S: i64 = 15;

#[async_trait]
impl VaultOpener for VaultRail {
    fn lender(&self) -> Option<Address> {
        Address::new(self.sender.payer().to_string()).ok()
    }

    async fn open(
        &self,
        ask: &OpenAsk<'_>,
        terms: &[u8],
    ) -> Result<Result<(), NotOpened>, RailError> {
        let place = self.place(terms).await?;
        if place.rent_to() != self.sender.payer() {
            return Err(refused("RentTo"));
        }
        let least = Amount::from(self.openings().await?.caps().least_budget);
        if ask.budget < least {
            return Ok(Err(NotOpened::Budget { least }));
        }
        if !self.holds_the_budget(&place).await? {
            return Ok(Err(NotOpened::NoMoney));
        }
        let requester = Requester {
            refund_to: Hex32::from_bytes(place.terms.refund_to.0),
            subnet: subnet(ask.from),
            now_ms: ask.now_ms,
        };
        if let Err(cap) = self.take_place(&requester, terms).await? {
            return Ok(Err(NotOpened::Cap { cap: name(cap) }));
        }
        self.open_taken(&place).await.map(Ok)
    }
}

impl VaultRail {
    async fn openings(&self) -> Result<MutexGuard<'_, OpeningBook>, RailError> {
        match &self.openings {
            Some(book) => Ok(book.lock().await),
            None => Err(refused("NoOpenings")),
        }
    }

    /// The money would come from there, and must be able to go back (threat #22): a live canonical account.
    async fn holds_the_budget(&self, place: &Place) -> Result<bool, RailError> {
        let refund_to = address(&place.terms.refund_to);
        let Some((tokens, _)) = place.tokens_of(&refund_to) else {
            return Ok(false);
        };
        let found = self.chain.accounts(&[tokens], Level::Confirmed, None).await;
        let found = found.map_err(unknown)?;
        let account = found.get(0).and_then(TokenAccount::read);
        Ok(account.is_some_and(|account| {
            account.is_payable_to(&refund_to, &place.mint) && account.amount >= place.terms.budget
        }))
    }

    /// A place under the caps. Where there is none, the chain is asked once which of the vaults in the way are
    /// gone or paid by now.
    async fn take_place(
        &self,
        requester: &Requester,
        terms: &[u8],
    ) -> Result<Result<(), Refusal>, RailError> {
        let taken = self.openings().await?.take(requester, terms).await;
        match taken.map_err(|error| broken(&error))? {
            Err(Refusal::RefundTo | Refusal::Subnet | Refusal::TooMany) => {}
            taken => return Ok(taken),
        }
        self.look_at_openings().await?;
        let taken = self.openings().await?.take(requester, terms).await;
        taken.map_err(|error| broken(&error))
    }

    /// Strikes out vaults that are paid, and those that can be opened no more and are not there.
    pub(crate) async fn look_at_openings(&self) -> Result<(), RailError> {
        let rows = self.openings().await?.unpaid().await;
        let rows = rows.map_err(|error| broken(&error))?;
        let mut places = Vec::with_capacity(rows.len());
        for terms in rows {
            places.push((self.place(&terms).await?, terms));
        }
        let now = self.chain.now().await.map_err(unknown)?;
        for some in places.chunks(50) {
            let named: Vec<_> = some
                .iter()
                .flat_map(|(place, _)| [place.vault, place.tokens])
                .collect();
            let found = self.chain.accounts(&named, Level::Confirmed, None).await;
            let found = found.map_err(unknown)?;
            for (at, (place, terms)) in some.iter().enumerate() {
                let at = at.saturating_mul(2);
                let tokens = found.get(at.saturating_add(1)).and_then(TokenAccount::read);
                let units = tokens.map_or(0, |tokens| tokens.amount);
                let vault = found.get(at);
                let is_open = vault.is_some_and(|a| key(&a.owner) == place.domain.program);
                let is_over = now > place.terms.issued_at.0.saturating_add(UNFUNDED_S);
                let mut book = self.openings().await?;
                let done = if units >= place.terms.budget {
                    book.paid(terms).await
                } else if !is_open && is_over {
                    book.closed(terms).await
                } else {
                    Ok(())
                };
                done.map_err(|error| broken(&error))?;
            }
        }
        Ok(())
    }

    /// A payment into the vault is confirmed: it is in nobody's way any more, and nothing is left to close there
    /// before `refundAfter`.
    pub(in crate::svm) async fn opened_is_paid(&self, place: &Place) -> Result<(), RailError> {
        let Some(book) = &self.openings else {
            return Ok(());
        };
        let terms = place.terms.encode();
        let done = book.lock().await.paid(&terms).await;
        done.map_err(|error| broken(&error))?;
        let due = Some(place.terms.refund_after.0);
        let postponed = self.sender.book().await.postpone(&terms, due).await;
        postponed.map_err(|error| not_sent(&error.into()))
    }

    /// Opens the vault of a place that is written down, and has it closed if nobody pays.
    async fn open_taken(&self, place: &Place) -> Result<(), RailError> {
        let due = place.terms.issued_at.0.saturating_add(UNFUNDED_S);
        let due = due.saturating_add(CLOCK_SLACK_S);
        let terms = place.terms.encode();
        let watched = self.sender.book().await.watch(&terms, due).await;
        watched.map_err(|error| not_sent(&error.into()))?;
        self.publish(place).await?;
        let draft = Draft {
            instructions: vec![place.open(self.sender.payer())],
            checked_signatures: 0,
            // Lent: the caps of the book bound it, and it comes back.
            rent: 0,
            round: 0,
        };
        let intent = intent_key(&terms, "open", 0);
        match self.sender.bring(intent, &draft, None).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if let SendError::Failed(fault) = &error {
                    tracing::warn!(?fault, "vault cannot be opened");
                }
                Err(not_sent(&error))
            }
        }
    }
}

/// The network a request came from: /24 or /48, as everywhere (threat #31). Requests without an address share one.
fn subnet(from: Option<IpAddr>) -> String {
    match from.map(|from| from.to_canonical()) {
        Some(IpAddr::V4(from)) => {
            let [a, b, c, _] = from.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(from)) => {
            let [a, b, c, ..] = from.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        None => "unknown".to_owned(),
    }
}

const fn name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::RefundTo => "an unpaid vault per refundTo",
        Refusal::Subnet => "an unpaid vault per network",
        Refusal::TooMany => "unpaid vaults",
        Refusal::Day => "lamports per day",
    }
}

fn broken(error: &OpeningError) -> RailError {
    tracing::error!(error = error as &dyn std::error::Error, "openings");
    RailError::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_19_a_network_is_a_24_or_a_48_however_the_address_is_written() {
        let of = |text: &str| subnet(Some(text.parse().unwrap()));
        assert_eq!(of("203.0.113.7"), of("203.0.113.250"));
        assert_ne!(of("203.0.113.7"), of("203.0.114.7"));
        assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.7"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::2"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
