//! The suite every rail runs, against anvil, through a provider that misbehaves on demand.

use std::sync::Mutex;

use alloy::primitives::Address;
use alloy::sol_types::SolCall as _;
use async_trait::async_trait;
use d402_evm::abi::Ledger;
use d402_objects::SignedReceipt;
use d402_settlement::evm::EvmTerms;
use d402_settlement::{Role, Row, Units};

use super::proxy::Trick;
use super::stage::{Stage, account, authorize, escrow_of, ledger, payload, text};
use crate::conformance::{Accident, Harness, Story, Verdict, rail_conformance};
use crate::evm::body;
use crate::evm::devnet::{USDC, WHALE};

struct Base {
    stage: Stage,
    /// Terms of every story, and who pays it.
    stories: Mutex<Vec<(EvmTerms, Address)>>,
}

impl Base {
    fn terms_of(&self, story: &Story) -> EvmTerms {
        self.stories.lock().unwrap()[story.index].0
    }

    /// The newest story is the one the next accident is for.
    fn newest(&self) -> (EvmTerms, Address) {
        *self.stories.lock().unwrap().last().unwrap()
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn row(payee: &str, role: Role, amount: u64) -> Row {
    Row {
        payee: account(address(payee)).to_key(),
        role,
        amount: Units::from_u64(amount),
    }
}

#[async_trait]
impl Harness for Base {
    async fn story(&self, budget: u64) -> Story {
        let stage = &self.stage;
        let terms = stage.terms(budget).await;
        let (first, second) = (stage.buyer(3 * budget).await, stage.buyer(budget).await);
        let poor = super::stage::key(stage.fresh());
        let (worker, validator) = (stage.stranger(), stage.stranger());
        let now = stage.now().await;
        let valid_before = now + 100;
        let escrow = escrow_of(&terms);
        let pay = |buyer, units, until| authorize(buyer, escrow, units, (stage.fresh(), until));
        let good = pay(&first, budget, valid_before);
        let mut forged = good.clone();
        forged.signature = pay(&first, budget, valid_before).signature;
        let mut stories = self.stories.lock().unwrap();
        stories.push((terms, first.address()));
        Story {
            terms: terms.encode().to_vec(),
            budget,
            payload: payload(&good),
            second_payload: payload(&pay(&second, budget, valid_before)),
            poor_payload: payload(&pay(&poor, budget, valid_before)),
            small_payload: payload(&pay(&first, budget - 1, valid_before)),
            forged_payload: payload(&forged),
            long_payload: payload(&pay(&first, budget, now + 240)),
            valid_before: valid_before as i64,
            fund_by: terms.issued_at as i64 + 120,
            refund_after: terms.refund_after as i64,
            refund_to: text(terms.refund_to),
            worker: format!("{worker:#x}"),
            validator: format!("{validator:#x}"),
            index: stories.len() - 1,
        }
    }

    fn receipt(&self, story: &Story, verdict: Verdict, missing: usize) -> SignedReceipt {
        let mut rows = match verdict {
            Verdict::Paid { worker, validator } => vec![
                row(&story.worker, Role::Worker, worker),
                row(&story.validator, Role::Validator, validator),
            ],
            Verdict::Rejected => Vec::new(),
        };
        rows.sort_by_key(|row| row.payee);
        let terms = self.terms_of(story);
        self.stage.validators.receipt(&terms, &rows, missing)
    }

    async fn units(&self, _story: &Story, account: &str) -> u128 {
        self.stage.devnet.units(address(account)).await.unwrap()
    }

    async fn advance_to(&self, unix_s: i64) {
        self.stage.devnet.advance_to(unix_s as u64).await.unwrap();
    }

    async fn arm(&self, accident: Accident) {
        let (terms, payer) = self.newest();
        let (escrow, budget) = (escrow_of(&terms), terms.budget.get() as u64);
        self.stage.proxy.arm(match accident {
            Accident::LostAnswer => Trick::LoseAnswer,
            Accident::LostRequest => Trick::LoseRequest,
            Accident::LyingSuccess => Trick::Lie,
            Accident::LateDeposit => Trick::DelayUntil(terms.issued_at + 120),
            Accident::DoubleDeposit => Trick::Double(escrow, budget),
            Accident::ShortDeposit => Trick::Instead {
                to: escrow,
                units: budget - 1,
                payer,
            },
        });
    }

    async fn set_payable(&self, account: &str, payable: bool) {
        self.stage.set_blocked(address(account), !payable).await;
    }

    async fn send(&self, story: &Story, units: u64) {
        let escrow = escrow_of(&self.terms_of(story));
        self.stage.devnet.give(escrow, units).await.unwrap();
    }

    async fn claim_credit(&self, story: &Story, account: &str) {
        let call = Ledger::claimCreditCall {
            terms: body::terms(&story.terms).unwrap(),
            payee: address(account),
        };
        // A second claim of the same credit reverts, and that is fine here.
        let _claimed = self
            .stage
            .devnet
            .send(WHALE, ledger(), call.abi_encode().into())
            .await;
    }
}

#[tokio::test]
async fn the_escrow_rail_does_what_every_rail_must() {
    let harness = Base {
        stage: Stage::start().await,
        stories: Mutex::default(),
    };
    assert!(
        harness.stage.devnet.units(WHALE).await.unwrap() > 0,
        "{USDC}"
    );
    rail_conformance(&harness.stage.rail, &harness)
        .await
        .unwrap();
}
