//! What the chain itself says happened: the books every test is judged by.

use std::collections::BTreeMap;

use d402_objects::{Amount, Hex32};
use d402_rails::simulated::{SimClient, asset};
use d402_wire::simchain::{EventBody, Fault, Rpc};

/// The simulated chain of a market.
#[derive(Clone)]
pub struct Chain {
    client: SimClient,
}

/// Everything that ever happened on the chain, added up.
#[derive(Clone, Debug, Default)]
pub struct Books {
    settled: BTreeMap<Hex32, u32>,
    swept: BTreeMap<Hex32, u32>,
    transfers: Vec<(Hex32, Hex32, u128)>,
}

impl Chain {
    pub(crate) fn new(rpc: &str) -> Self {
        Self {
            client: SimClient::new(rpc).expect("an RPC address"),
        }
    }

    /// Gives units to an account.
    pub async fn mint(&self, to: Hex32, units: u64) {
        let amount = Amount::from(units);
        let asset = asset();
        self.execute(&Rpc::Mint { to, asset, amount }).await;
    }

    /// Units of an account.
    pub async fn balance(&self, account: Hex32) -> u128 {
        self.client
            .balance(account, asset())
            .await
            .expect("the chain answers")
            .get()
    }

    /// Arms a fault for the next `times` requests it fits; 0 disarms it.
    pub async fn arm(&self, fault: Fault, times: u32) {
        self.execute(&Rpc::SetFault { fault, times }).await;
    }

    /// Executes a request that must work.
    pub async fn execute(&self, rpc: &Rpc) {
        let done = self.client.call(rpc).await;
        done.unwrap_or_else(|error| panic!("the chain refuses {rpc:?}: {error}"));
    }

    /// The whole history.
    pub async fn books(&self) -> Books {
        let mut books = Books::default();
        let mut from = 0;
        loop {
            let events = self.client.events(from).await.expect("the chain answers");
            let Some(last) = events.last() else {
                return books;
            };
            from = last.seq + 1;
            for event in events {
                books.enter(event.body);
            }
        }
    }
}

impl Books {
    fn enter(&mut self, body: EventBody) {
        match body {
            EventBody::Settled { terms_hash, .. } => {
                *self.settled.entry(terms_hash).or_default() += 1
            }
            EventBody::Swept { terms_hash, .. } => *self.swept.entry(terms_hash).or_default() += 1,
            EventBody::Transferred {
                from,
                to,
                asset: of,
                amount,
            } => {
                assert_eq!(of, asset(), "the market prices in one asset");
                self.transfers.push((from, to, amount.get()));
            }
            EventBody::Minted { .. }
            | EventBody::Opened { .. }
            | EventBody::Credited { .. }
            | EventBody::CreditPaid { .. }
            | EventBody::CreditsLapsed { .. }
            | EventBody::SetPublished { .. }
            | EventBody::Closed { .. } => {}
        }
    }

    /// How often a receipt was executed for these terms.
    #[must_use]
    pub fn settlements(&self, terms_hash: Hex32) -> u32 {
        self.settled.get(&terms_hash).copied().unwrap_or_default()
    }

    /// How often a vault was swept.
    #[must_use]
    pub fn sweeps(&self, terms_hash: Hex32) -> u32 {
        self.swept.get(&terms_hash).copied().unwrap_or_default()
    }

    /// Transfers from one account to another, in order.
    #[must_use]
    pub fn paid(&self, from: Hex32, to: Hex32) -> Vec<u128> {
        let between = self
            .transfers
            .iter()
            .filter(|(f, t, _)| *f == from && *t == to);
        between.map(|(_, _, units)| *units).collect()
    }

    /// What came into an account, and what left it.
    #[must_use]
    pub fn turnover(&self, account: Hex32) -> (u128, u128) {
        let sum = |pick: fn(&(Hex32, Hex32, u128)) -> Hex32| {
            let rows = self.transfers.iter().filter(|row| pick(row) == account);
            rows.map(|(_, _, units)| units).sum()
        };
        (sum(|row| row.1), sum(|row| row.0))
    }
}
