//! The suite every rail runs, against the local node, through a provider that misbehaves on demand.

use std::sync::Mutex;

use async_trait::async_trait;
use d402_objects::SignedReceipt;
use d402_settlement::{Role, Terms};
use d402_svm::address::{SYSTEM, TOKEN, address, token_account};
use d402_svm::{AccountMeta, Address, Instruction, Level};

use super::proxy::Trick;
use super::stage::{Stage, payload, place, row, transfer};
use crate::conformance::{Accident, Harness, Story, Verdict, rail_conformance};
use crate::svm::devnet::USDC;

/// By the suite's reckoning payments are void this long after `issuedAt`; the moment only names the event.
const LIFE_S: i64 = 160;

struct Solana {
    stage: Stage,
    /// Terms of every story.
    stories: Mutex<Vec<Terms>>,
}

impl Solana {
    fn terms_of(&self, story: &Story) -> Terms {
        self.stories.lock().unwrap()[story.index]
    }

    /// The newest story is the one the next accident is for.
    fn newest(&self) -> Terms {
        *self.stories.lock().unwrap().last().unwrap()
    }
}

fn wallet(text: &str) -> Address {
    text.parse().unwrap()
}

/// `AdvanceNonceAccount`: a transaction that begins with it never expires.
fn advance_nonce(authority: Address) -> Instruction {
    Instruction {
        program_id: SYSTEM,
        accounts: vec![
            AccountMeta::new(Address::new_from_array([5; 32]), false),
            AccountMeta::new_readonly(Address::new_from_array([6; 32]), false),
            AccountMeta::new_readonly(authority, true),
        ],
        data: vec![4, 0, 0, 0],
    }
}

#[async_trait]
impl Harness for Solana {
    async fn story(&self, budget: u64) -> Story {
        let stage = &self.stage;
        let terms = stage.terms(budget, &stage.validators.set).await;
        let (worker, validator) = (stage.wallet().await, stage.wallet().await);
        let first = stage.buyer(3 * budget).await;
        let second = stage.buyer(budget).await;
        let poor = stage.node.rich().await;
        let who = first.address();
        let source = token_account(&who, &USDC, &TOKEN).unwrap().0;
        let open = place(&terms).open_funded(who, (source, who), budget);
        let good = stage.opening(&terms, &first, budget).await;
        let small = stage.opening(&terms, &first, budget - 1).await;
        let mut forged = good.clone();
        forged.signatures = small.signatures.clone();
        let long = stage.transaction(&first, &[advance_nonce(who), open]).await;
        let second = stage.opening(&terms, &second, budget).await;
        let poor = stage.opening(&terms, &poor, budget).await;
        let mut stories = self.stories.lock().unwrap();
        stories.push(terms);
        Story {
            terms: terms.encode().to_vec(),
            budget,
            payload: payload(&good),
            second_payload: payload(&second),
            poor_payload: payload(&poor),
            small_payload: payload(&small),
            forged_payload: payload(&forged),
            long_payload: payload(&long),
            valid_before: terms.issued_at.0 + LIFE_S,
            fund_by: terms.issued_at.0 + 120,
            refund_after: terms.refund_after.0,
            refund_to: address(&terms.refund_to).to_string(),
            worker: worker.to_string(),
            validator: validator.to_string(),
            index: stories.len() - 1,
        }
    }

    fn receipt(&self, story: &Story, verdict: Verdict, missing: usize) -> SignedReceipt {
        let mut rows = match verdict {
            Verdict::Paid { worker, validator } => vec![
                row(&wallet(&story.worker), Role::Worker, worker),
                row(&wallet(&story.validator), Role::Validator, validator),
            ],
            Verdict::Rejected => Vec::new(),
        };
        rows.sort_by_key(|row| row.payee);
        let terms = self.terms_of(story);
        self.stage.validators.receipt(&terms, &rows, missing)
    }

    async fn units(&self, _story: &Story, account: &str) -> u128 {
        let units = self.stage.node.devnet.units(&wallet(account)).await;
        u128::from(units.unwrap())
    }

    /// A payment here is void by block height, not by the clock.
    async fn advance_to(&self, unix_s: i64) {
        let end = self.newest().issued_at.0 + LIFE_S;
        if unix_s == end {
            self.stage.outlive_blockhashes().await;
        } else if unix_s != end - 1 {
            self.stage.node.devnet.advance_to(unix_s).await.unwrap();
        }
    }

    async fn arm(&self, accident: Accident) {
        let terms = self.newest();
        let vault = place(&terms).vault;
        self.stage.proxy.arm(match accident {
            Accident::LostAnswer => Trick::LoseAnswer,
            Accident::LostRequest => Trick::LoseRequest,
            Accident::LyingSuccess => Trick::Lie,
            Accident::LateDeposit => Trick::DelayUntil(terms.issued_at.0 + 120),
            Accident::DoubleDeposit => Trick::Double(vault, terms.budget),
            Accident::ShortDeposit => Trick::Instead(vault, terms.budget - 1),
        });
    }

    /// Freezes a wallet's account, or thaws it.
    async fn set_payable(&self, account: &str, payable: bool) {
        let devnet = &self.stage.node.devnet;
        let at = token_account(&wallet(account), &USDC, &TOKEN).unwrap().0;
        let asked = [at];
        let found = devnet
            .chain()
            .accounts(&asked, Level::Confirmed, None)
            .await;
        let mut tokens = found.unwrap().get(0).unwrap().clone();
        tokens.data[108] = if payable { 1 } else { 2 };
        let put = devnet.put(&at, &TOKEN, tokens.lamports, &tokens.data).await;
        put.unwrap();
    }

    async fn send(&self, story: &Story, units: u64) {
        let vault = place(&self.terms_of(story)).vault;
        transfer(&self.stage.node, &vault, units).await;
    }

    async fn claim_credit(&self, story: &Story, account: &str) {
        let claim = place(&self.terms_of(story)).claim_credit(wallet(account));
        let anybody = self.stage.node.rich().await;
        // A second claim of the same credit is refused, and that is fine here.
        let _claimed = self.stage.node.send(&anybody, &[claim.unwrap()]).await;
    }
}

#[tokio::test]
async fn the_vault_rail_does_what_every_rail_must() {
    let harness = Solana {
        stage: Stage::start().await,
        stories: Mutex::default(),
    };
    rail_conformance(&*harness.stage.rail, &harness)
        .await
        .unwrap();
}
