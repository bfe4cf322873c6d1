//! The suite every rail runs, over HTTP and a file.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use d402_core::ports::{Rail as _, RailError};
use d402_objects::{Amount, Hex32, SignedReceipt};
use d402_wire::simchain::{Fault, Payment, Rpc};
use serde_json::json;

use super::stage::{
    START, Served, StillClock, Validators, account, mint, payment, terms, validator_row, worker_row,
};
use crate::conformance::{Accident, Harness, Story, Verdict, rail_conformance};
use crate::simulated::server::Options;
use crate::simulated::{SimClient, SimulatedRail, VaultTerms, asset};

struct Simulated<'a> {
    rail: &'a SimulatedRail,
    client: SimClient,
    validators: Validators,
    stories: Mutex<Vec<VaultTerms>>,
    numbers: AtomicU64,
}

impl Simulated<'_> {
    fn fresh(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    fn terms_of(&self, story: &Story) -> VaultTerms {
        self.stories.lock().unwrap()[story.index]
    }

    async fn funded_buyer(&self, units: u64) -> u64 {
        let buyer = self.fresh();
        self.client
            .execute(&mint(account(buyer), units))
            .await
            .unwrap();
        buyer
    }
}

fn payload(payment: &Payment) -> serde_json::Value {
    json!({ "payment": payment })
}

#[async_trait]
impl Harness for Simulated<'_> {
    async fn story(&self, budget: u64) -> Story {
        let (now, _) = self.client.clock().await.unwrap();
        let terms = terms(&self.validators.set, budget, now, self.fresh());
        self.rail.learn_set(&self.validators.set);
        let (first, second, poor) = (
            self.funded_buyer(3 * budget).await,
            self.funded_buyer(budget).await,
            self.fresh(),
        );
        let (worker, validator) = (account(self.fresh()), account(self.fresh()));
        let valid_before = now + 60;
        let pay = |buyer, units, until| payment(&terms, buyer, units, (buyer, until));
        let good = pay(first, budget, valid_before);
        let mut forged = good.clone();
        forged.signature = pay(first, budget, valid_before + 1).signature;
        let mut stories = self.stories.lock().unwrap();
        stories.push(terms);
        Story {
            terms: terms.terms().encode().to_vec(),
            budget,
            payload: payload(&good),
            second_payload: payload(&pay(second, budget, valid_before)),
            poor_payload: payload(&pay(poor, budget, valid_before)),
            small_payload: payload(&pay(first, budget - 1, valid_before)),
            forged_payload: payload(&forged),
            long_payload: payload(&pay(first, budget, now + 121)),
            valid_before,
            fund_by: terms.terms().issued_at.0 + 120,
            refund_after: terms.terms().refund_after.0,
            refund_to: Hex32::from_bytes(terms.terms().refund_to.0).to_string(),
            worker: worker.to_string(),
            validator: validator.to_string(),
            index: stories.len() - 1,
        }
    }

    fn receipt(&self, story: &Story, verdict: Verdict, missing: usize) -> SignedReceipt {
        let mut rows = match verdict {
            Verdict::Paid { worker, validator } => vec![
                worker_row(story.worker.parse().unwrap(), worker),
                validator_row(story.validator.parse().unwrap(), validator),
            ],
            Verdict::Rejected => Vec::new(),
        };
        rows.sort_by_key(|row| row.payee);
        self.validators
            .receipt(&self.terms_of(story), &rows, missing)
    }

    async fn units(&self, _story: &Story, account: &str) -> u128 {
        self.client
            .balance(account.parse().unwrap(), asset())
            .await
            .unwrap()
            .get()
    }

    async fn advance_to(&self, unix_s: i64) {
        let (now, _) = self.client.clock().await.unwrap();
        let seconds = u64::try_from(unix_s - now).unwrap_or(0);
        self.client
            .call(&Rpc::AdvanceClock { seconds })
            .await
            .unwrap();
    }

    async fn arm(&self, accident: Accident) {
        let fault = match accident {
            Accident::LostAnswer => Fault::LostAnswer,
            Accident::LostRequest => Fault::LostRequest,
            Accident::LyingSuccess => Fault::LyingSuccess,
            Accident::LateDeposit => Fault::LateDeposit,
            Accident::DoubleDeposit => Fault::DoubleDeposit,
            Accident::ShortDeposit => Fault::ShortDeposit,
        };
        self.client
            .call(&Rpc::SetFault { fault, times: 1 })
            .await
            .unwrap();
    }

    async fn set_payable(&self, account: &str, payable: bool) {
        let account = account.parse().unwrap();
        self.client
            .call(&Rpc::SetUnpayable {
                account,
                unpayable: !payable,
            })
            .await
            .unwrap();
    }

    async fn send(&self, story: &Story, units: u64) {
        let stranger = self.funded_buyer(units).await;
        let (now, _) = self.client.clock().await.unwrap();
        let payment = payment(&self.terms_of(story), stranger, units, (stranger, now + 60));
        self.client
            .execute(&Rpc::Pay {
                payment,
                terms: None,
            })
            .await
            .unwrap();
    }

    async fn claim_credit(&self, story: &Story, account: &str) {
        let terms_hash = self.terms_of(story).hash();
        let payee = account.parse().unwrap();
        self.client
            .execute(&Rpc::ClaimCredit { terms_hash, payee })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_simulated_rail_does_what_every_rail_must() {
    let folder = tempfile::tempdir().unwrap();
    let clock = StillClock::at(START);
    let served = Served::start(folder.path().join("chain.db"), Options::TEST, clock).await;
    let rail = SimulatedRail::new(served.client.clone());
    let harness = Simulated {
        rail: &rail,
        client: served.client.clone(),
        validators: Validators::new(3, 4),
        stories: Mutex::default(),
        numbers: AtomicU64::new(0),
    };
    rail_conformance(&rail, &harness).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_dead_chain_is_unknown_to_every_question_and_never_zero() {
    let rail = SimulatedRail::new(SimClient::new("http://127.0.0.1:1").unwrap());
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 10_000, START, 0);
    let bytes = terms.terms().encode();
    let payment = payment(&terms, 1, 10_000, (1, START + 60));
    let id = crate::simulated::payment::payment_id(&payment).unwrap();
    assert!(matches!(
        rail.verify(&payload(&payment), &bytes).await,
        Err(RailError::Unknown)
    ));
    assert!(matches!(
        rail.submit(&rail.sweep_body(&bytes)).await,
        Err(RailError::Unknown)
    ));
    assert!(matches!(
        rail.deposit(&bytes, id).await,
        Err(RailError::Unknown)
    ));
    assert!(matches!(rail.vault(&bytes).await, Err(RailError::Unknown)));
    assert!(matches!(rail.chain_now_ms().await, Err(RailError::Unknown)));
}

#[tokio::test]
async fn a_rail_that_forgot_the_payment_still_finds_it_impossible_at_last() {
    let folder = tempfile::tempdir().unwrap();
    let clock = StillClock::at(START);
    let served = Served::start(folder.path().join("chain.db"), Options::TEST, clock.clone()).await;
    let validators = Validators::new(3, 4);
    let terms = terms(&validators.set, 10_000, START, 0);
    let id = crate::simulated::payment::payment_id(&payment(&terms, 1, 10_000, (1, START + 60)))
        .unwrap();
    let rail = SimulatedRail::new(served.client.clone());
    let bytes = terms.terms().encode();
    clock.set(START + 239);
    assert_eq!(
        rail.deposit(&bytes, id).await.unwrap(),
        d402_core::ports::Deposit::Pending
    );
    clock.set(START + 240);
    assert_eq!(
        rail.deposit(&bytes, id).await.unwrap(),
        d402_core::ports::Deposit::Impossible
    );
    served.stop().await;
}

#[tokio::test]
async fn dust_from_strangers_cannot_hide_a_payment_or_make_it_late() {
    let folder = tempfile::tempdir().unwrap();
    let clock = StillClock::at(START);
    let served = Served::start(folder.path().join("chain.db"), Options::TEST, clock.clone()).await;
    let validators = Validators::new(3, 4);
    let client = &served.client;
    client.execute(&validators.publish()).await.unwrap();
    let terms = terms(&validators.set, 10_000, START, 0);
    client.execute(&mint(account(1), 10_000)).await.unwrap();
    client.execute(&mint(account(2), 200)).await.unwrap();
    let dust = |nonce| Rpc::Pay {
        payment: payment(&terms, 2, 1, (nonce, START + 600)),
        terms: None,
    };
    for nonce in 0..70 {
        client.execute(&dust(nonce)).await.unwrap();
    }
    clock.set(START + 10);
    let paid = payment(&terms, 1, 10_000, (1_000, START + 60));
    client
        .execute(&Rpc::Pay {
            payment: paid.clone(),
            terms: Some(terms.to_hex()),
        })
        .await
        .unwrap();
    clock.set(START + 130);
    for nonce in 100..170 {
        client.execute(&dust(nonce)).await.unwrap();
    }
    let rail = SimulatedRail::new(client.clone());
    let id = crate::simulated::payment::payment_id(&paid).unwrap();
    let deposit = rail.deposit(&terms.terms().encode(), id).await.unwrap();
    let at_ms = u64::try_from((START + 10) * 1000).unwrap();
    assert_eq!(
        deposit,
        d402_core::ports::Deposit::Funded {
            amount: Amount::from(10_140u64),
            at_ms
        }
    );
    served.stop().await;
}
