//! Bundles of tasks paid on Base: the tale of the simulated rail, and what only an EVM chain can get wrong.
//!
//! Each of the latter is written with the link it must break at, and the generator stops where it does not.

mod parts;
mod receipt;

use d402_objects::{Address, OnSilence, Value};
use d402_settlement::evm::EvmAccount;
use d402_settlement::market::testkit::{TaskSpec, TaskStory};
use d402_settlement::market::{BASE_NETWORK, BASE_SEPOLIA_NETWORK, LEDGER};
use serde_json::json;

use super::Tale;
use super::on_chain::{OnChain, address};

const SMALL: &str = "single, 1 of 1";

pub fn vectors() -> Value {
    let mut tale = Tale::of(BASE_SEPOLIA_NETWORK);
    super::honest(&mut tale);
    let story = TaskStory::honest(tale.spec(TaskSpec::single(1, 1)));
    let small = tale.base(SMALL, story.bundle().as_bytes());
    super::resigned::resigned(&mut tale, (SMALL, &small), &story);
    super::receipts(&mut tale, (SMALL, &small), &story);
    super::evidence(&mut tale);
    elsewhere(&mut tale);
    let mut base = OnChain {
        tale: &mut tale,
        scene: story.scene.clone(),
        name: SMALL,
        bundle: small,
    };
    parts::networks(&mut base);
    parts::spellings(&mut base);
    parts::payees(&mut base);
    parts::order(&mut base);
    parts::offers(&mut base);
    receipt::signatures(&mut base, &story);
    receipt::rows(&mut base);
    receipt::leases(&mut base, &story);
    parts::twins(&mut tale);
    json!({
        "spec": "2.3, 5",
        "ledger": LEDGER.to_string(),
        "bases": tale.bases,
        "cases": tale.cases,
    })
}

/// Tasks the simulated tale has no need of: another chain, the other grace, a majority.
fn elsewhere(tale: &mut Tale) {
    let mainnet = TaskStory::honest(TaskSpec::single(1, 1).on(BASE_NETWORK));
    tale.base("mainnet", mainnet.bundle().as_bytes());
    let mut large = tale.spec(TaskSpec::single(1, 1));
    large.budget = 100_000_001;
    let large = TaskStory::honest(large);
    tale.base("above 100 USD", large.bundle().as_bytes());
    let mut spec = tale.spec(TaskSpec::single(4, 4));
    spec.on_silence = OnSilence::Majority;
    let mut story = TaskStory::honest(spec);
    let three = story
        .scene
        .settlement_signatures(&[0, 1, 2], &story.decided.digest);
    story.signed_receipt = story.decided.signed(three).expect("signed");
    let bundle = tale.base("a majority of 4", story.bundle().as_bytes());
    let mut base = OnChain {
        tale,
        scene: story.scene,
        name: "a majority of 4",
        bundle,
    };
    base.edited("half is no majority", "Receipt.TooFewSignatures", |b| {
        super::list(&mut b["signedReceipt"], "signatures").pop();
    });
}

fn account(account: EvmAccount) -> Address {
    address(account.to_string())
}

fn upper(good: &Address) -> Address {
    address(good.as_str().to_uppercase().replace("0X", "0x"))
}
