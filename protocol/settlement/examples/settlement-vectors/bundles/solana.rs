//! Bundles of tasks paid on Solana: the tale of the simulated rail in the spelling of the chain, and what only
//! that spelling and the choice of the cluster can get wrong.

use d402_objects::{Hex32, Value};
use d402_settlement::market::testkit::{TaskSpec, TaskStory};
use d402_settlement::market::{
    BASE_SEPOLIA_NETWORK, SIMULATED_NETWORK, SOLANA, SOLANA_DEVNET, SOLANA_DEVNET_NETWORK,
    SOLANA_NETWORK,
};
use serde_json::json;

use super::Tale;
use super::on_chain::{OnChain, address};

const SMALL: &str = "single, 1 of 1";

pub fn vectors() -> Value {
    let mut tale = Tale::of(SOLANA_DEVNET_NETWORK);
    super::honest(&mut tale);
    let mainnet = TaskStory::honest(TaskSpec::single(1, 1).on(SOLANA_NETWORK));
    tale.base("mainnet", mainnet.bundle().as_bytes());
    let mut large = tale.spec(TaskSpec::single(1, 1));
    large.budget = 100_000_001;
    let large = TaskStory::honest(large);
    tale.base("above 100 USD", large.bundle().as_bytes());
    let story = TaskStory::honest(tale.spec(TaskSpec::single(1, 1)));
    let small = tale.base(SMALL, story.bundle().as_bytes());
    super::receipts(&mut tale, (SMALL, &small), &story);
    let mut solana = OnChain {
        tale: &mut tale,
        scene: story.scene.clone(),
        name: SMALL,
        bundle: small,
    };
    networks(&mut solana);
    spellings(&mut solana);
    let programs = [SOLANA, SOLANA_DEVNET].map(|domain| {
        json!({
            "genesis": Hex32::from_bytes(domain.genesis).to_string(),
            "program": Hex32::from_bytes(domain.program.0).to_string(),
        })
    });
    json!({
        "spec": "2.2, 5",
        "domains": programs,
        "bases": tale.bases,
        "cases": tale.cases,
    })
}

fn networks(solana: &mut OnChain<'_>) {
    let testnet = "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z";
    for unknown in [testnet, "solana:devnet"] {
        let name = format!("paid on {unknown}");
        solana.drafted(&name, "Dossier.UnknownNetwork", |d| {
            d.payment().network = unknown.parse().expect("a network");
        });
    }
    for other in [SOLANA_NETWORK, SIMULATED_NETWORK, BASE_SEPOLIA_NETWORK] {
        let name = format!("paid on {other}, where no offer stands");
        solana.drafted(&name, "Dossier.Offer", |d| {
            d.payment().network = other.parse().expect("a network");
        });
        let name = format!("the file says {other}");
        solana.edited(&name, "OtherNetwork", |b| b["network"] = Value::from(other));
    }
}

/// One account, one spelling: base58 of 32 bytes.
fn spellings(solana: &mut OnChain<'_>) {
    let good = solana.scene.dossier.payment().refund_to.clone();
    let text = good.as_str().to_owned();
    let key = solana.scene.dossier.codec().account(&good).expect("good");
    let spellings = [
        ("hex", Hex32::from_bytes(key.0).to_string()),
        ("base58 with a leading one", format!("1{text}")),
        ("base58 of 31 bytes", "1".repeat(31)),
        ("base58 of 33 bytes", "1".repeat(33)),
        ("base58 above 32 bytes", "z".repeat(44)),
        ("base58 with a zero", format!("0{}", &text[1..])),
        ("base58 with a capital o", format!("O{}", &text[1..])),
        ("base58 with a small l", format!("l{}", &text[1..])),
    ];
    for (name, spelling) in spellings {
        solana.drafted(&format!("refundTo in {name}"), "Dossier.BadAddress", |d| {
            d.payment().refund_to = address(spelling);
        });
    }
    solana.drafted(
        "refundTo is nobody",
        "Dossier.NotSettleable.NoRefundTo",
        |d| {
            d.payment().refund_to = address("1".repeat(32));
        },
    );
    solana.edited(
        "the verifier of another cluster",
        "Receipt.OtherVerifier",
        |b| {
            b["signedReceipt"]["receipt"]["verifier"] =
                Value::from("HSyPcHf1jxE8iYyxsJeMrWNXDncbrLNWbJLn5DhK9Tay");
        },
    );
}
