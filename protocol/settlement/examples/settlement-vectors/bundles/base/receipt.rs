//! What is signed since: leases, the receipt and the signatures under it.

use d402_objects::{Address, Value, lease_set_root, signature};
use d402_settlement::evm::EvmAccount;
use d402_settlement::market::testkit::{TaskSpec, TaskStory, evm_key};
use d402_settlement::market::{BASE_NETWORK, LEDGER};
use serde_json::json;

use super::super::resigned::signed;
use super::{OnChain, account, address, upper};
use crate::base_scene::{high_s, sign};

/// Signatures that are not the one spelling of the signer's over this digest.
pub(super) fn signatures(base: &mut OnChain<'_>, story: &TaskStory) {
    let validator = &base.scene.actors.validators[0].clone();
    let digest = base.digest(&story.decided.settlement);
    let good = sign(&validator.evm, &digest);
    let with = |v: u8| {
        let mut changed = good;
        changed[64] = v;
        changed.to_vec()
    };
    let mut high_old_v = high_s(&good);
    high_old_v[64] = good[64];
    let other = TaskStory::honest(TaskSpec::single(1, 1).on(BASE_NETWORK));
    let mainnet = other.scene.dossier.codec();
    let terms_hash = &base.scene.dossier.quote().terms_hash;
    let settlement = &story.decided.settlement;
    let simulated = d402_settlement::Codec::Solana(d402_settlement::Domain::SIMULATED);
    let on_mainnet = mainnet.settlement_digest(terms_hash, settlement);
    let on_solana = simulated.settlement_digest(terms_hash, settlement);
    let ed25519 = validator.sign_settlement(&simulated, &digest);
    let (bad, long) = ("Receipt.Signature", "Receipt.SignatureLength");
    let cases = [
        ("by the Ed25519 key", long, ed25519.as_slice().to_vec()),
        ("without v", long, good[..64].to_vec()),
        ("of 66 bytes", long, [good.as_slice(), &[0]].concat()),
        ("with v 0 or 1", bad, with(good[64] - 27)),
        ("with v 29", bad, with(29)),
        ("with the other v", bad, with(good[64] ^ 27 ^ 28)),
        ("with a high s", bad, high_s(&good).to_vec()),
        ("with a high s and the old v", bad, high_old_v.to_vec()),
        ("of zeros", bad, vec![0; 65]),
        ("of ones", bad, [vec![0xFF; 64], vec![27]].concat()),
        (
            "by another EVM key",
            bad,
            sign(&evm_key("settlement", 1), &digest).to_vec(),
        ),
        (
            "over the text a wallet shows",
            bad,
            signature::eip191_sign(&validator.evm, &digest).to_vec(),
        ),
        (
            "over the digest of mainnet",
            bad,
            sign(&validator.evm, &on_mainnet).to_vec(),
        ),
        (
            "over the digest of Solana",
            bad,
            sign(&validator.evm, &on_solana).to_vec(),
        ),
    ];
    for (name, link, signature) in cases {
        base.edited(&format!("a signature {name}"), link, |b| {
            b["signedReceipt"]["signatures"][0]["signature"] = Value::from(hex::encode(signature));
        });
    }
}

/// Rows and the verifier as the receipt spells them.
pub(super) fn rows(base: &mut OnChain<'_>) {
    let dossier = base.scene.dossier.clone();
    let escrow = dossier.quote().pay_to_address().expect("an escrow");
    let forbidden = [
        ("the escrow", escrow),
        ("the asset", dossier.asset().clone()),
        ("the ledger", account(LEDGER)),
        ("nobody", account(EvmAccount::ZERO)),
    ];
    for (name, payee) in forbidden {
        base.edited(
            &format!("a row pays {name}"),
            "Receipt.ForbiddenPayee",
            |b| {
                b["signedReceipt"]["receipt"]["rows"][0]["payee"] = json!(payee);
            },
        );
    }
    let good = base.bundle["signedReceipt"]["receipt"]["rows"][0]["payee"].clone();
    let good = address(good.as_str().expect("a payee"));
    let word = |good: &Address| address(good.as_str().replace("0x", &"0".repeat(24)));
    for (name, payee) in [("upper case", upper(&good)), ("a word", word(&good))] {
        base.edited(&format!("a payee in {name}"), "Receipt.BadPayee", |b| {
            b["signedReceipt"]["receipt"]["rows"][0]["payee"] = json!(payee);
        });
    }
    let ledger = account(LEDGER);
    for (name, verifier) in [("upper case", upper(&ledger)), ("a word", word(&ledger))] {
        base.edited(
            &format!("the verifier in {name}"),
            "Receipt.OtherVerifier",
            |b| {
                b["signedReceipt"]["receipt"]["verifier"] = json!(verifier);
            },
        );
    }
}

/// Leases whose other fields are right, so that only the rule under test refuses them.
pub(super) fn leases(base: &mut OnChain<'_>, story: &TaskStory) {
    let gateway = base.scene.actors.gateway.clone();
    let lease = story.leases[0].payload().clone();
    let dossier = base.scene.dossier.clone();
    let escrow = dossier.quote().pay_to_address().expect("an escrow");
    let good = &lease.payout.address;
    let payouts = [
        ("in upper case", upper(good)),
        ("to the escrow", escrow),
        ("to the ledger", account(LEDGER)),
        ("to the asset", dossier.asset().clone()),
        ("to refundTo", dossier.payment().refund_to.clone()),
    ];
    for (name, payout) in payouts {
        base.edited(&format!("a lease pays {name}"), "Evidence.LeaseSet", |b| {
            let mut other = lease.clone();
            other.payout.address = payout;
            b["leases"][0] = signed(other, &gateway);
        });
    }
    let judge = &base.scene.actors.validators[0].settlement.clone();
    base.edited(
        "a validator works under its Ed25519 settlement key",
        "Evidence.LeaseSet",
        |b| {
            let mut other = lease.clone();
            other.worker = judge.into();
            other.lease_set_root = lease_set_root(&[(other.worker, other.price)]);
            b["leases"][0] = signed(other, &gateway);
        },
    );
    // What the refusals above are measured against: this lease is in order, but nobody accepted it.
    base.edited(
        "a lease pays another account of the worker",
        "Evidence.UnknownLease",
        |b| {
            let mut other = lease.clone();
            other.payout.address = account(EvmAccount([0x77; 20]));
            b["leases"][0] = signed(other, &gateway);
        },
    );
}
