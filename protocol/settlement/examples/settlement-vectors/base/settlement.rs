//! Settlement digests, single signature verdicts, and whole sets of signatures.

use d402_settlement::evm::{
    DOMAIN_TYPE, EvmAccount, EvmSigners, ROW_TYPE, SETTLEMENT_TYPE, SignerKind, recover,
};
use d402_settlement::{Codec, ReceiptCid, Row, Settlement};
use serde_json::{Value, json};

use super::terms::reference;
use super::{domain, domains, hex0x};
use crate::base_scene::{
    JUDGE, SEPOLIA, WORKER, WORKER_2, account, account_of, evm_key, high_s, judge, paid, rejected,
    sign, validators, worker,
};
use crate::json::{dec, fault};

fn receipts() -> Vec<Settlement> {
    let sixteen: Vec<Row> = (1..=16)
        .map(|i| {
            if i % 2 == 0 {
                worker(account(i), u64::MAX)
            } else {
                judge(account(i), 1)
            }
        })
        .collect();
    vec![
        paid(&[worker(WORKER, 5_000), judge(WORKER_2, 300)]),
        paid(&[worker(WORKER, 5_000)]),
        rejected(&[]),
        rejected(&[judge(JUDGE, 600)]),
        paid(&sixteen),
        Settlement {
            receipt_cid: ReceiptCid([0xFF; 32]),
            ..paid(&[worker(WORKER, 1)])
        },
    ]
}

fn digests() -> Vec<Value> {
    let mut cases = Vec::new();
    for place in domains() {
        let hash = reference().hash(&place.ledger);
        for receipt in receipts() {
            let rows: Value = receipt
                .rows
                .as_slice()
                .iter()
                .map(|row| {
                    json!({
                        "payee": EvmAccount::from_key(&row.payee).unwrap().to_string(),
                        "role": dec(row.role.as_u8()),
                        "amount": dec(row.amount),
                    })
                })
                .collect();
            cases.push(json!({
                "domain": domain(&place),
                "termsHash": hex0x(hash),
                "receiptCid": hex0x(receipt.receipt_cid),
                "outcome": dec(receipt.outcome.as_u8()),
                "rows": rows,
                "digest": hex0x(place.settlement_digest(&hash, &receipt)),
            }));
        }
    }
    cases
}

fn reference_digest() -> [u8; 32] {
    let hash = reference().hash(&SEPOLIA.ledger);
    SEPOLIA.settlement_digest(&hash, &receipts()[0])
}

/// r ‖ s with v folded into the top bit of s: EIP-2098, which the ledger does not read.
fn compact(signature: &[u8; 65]) -> Vec<u8> {
    let mut bytes = signature[..64].to_vec();
    bytes[32] |= (signature[64] - 27) << 7;
    bytes
}

fn signatures() -> Vec<Value> {
    let digest = reference_digest();
    let key = evm_key(0);
    let good = sign(&key, &digest);
    let with = |change: fn(&mut [u8; 65])| {
        let mut bytes = good;
        change(&mut bytes);
        bytes.to_vec()
    };
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut s_is_order = good;
    s_is_order[32..64].copy_from_slice(&hex::decode(order).unwrap());
    let mut high_old_v = high_s(&good);
    high_old_v[64] = good[64];
    let cases: Vec<(&str, Vec<u8>, EvmAccount)> = vec![
        ("good", good.to_vec(), account_of(&key)),
        ("of another account", good.to_vec(), account_of(&evm_key(1))),
        ("for the zero address", good.to_vec(), EvmAccount::ZERO),
        ("high s", high_s(&good).to_vec(), account_of(&key)),
        ("high s, old v", high_old_v.to_vec(), account_of(&key)),
        ("v 0", with(|s| s[64] = 0), account_of(&key)),
        ("v 1", with(|s| s[64] = 1), account_of(&key)),
        (
            "v 0 or 1, as it would fit",
            with(|s| s[64] -= 27),
            account_of(&key),
        ),
        ("v 26", with(|s| s[64] = 26), account_of(&key)),
        ("v 29", with(|s| s[64] = 29), account_of(&key)),
        ("the other v", with(|s| s[64] ^= 27 ^ 28), account_of(&key)),
        ("EIP-2098", compact(&good), account_of(&key)),
        ("64 bytes", good[..64].to_vec(), account_of(&key)),
        (
            "66 bytes",
            [good.as_slice(), &[0]].concat(),
            account_of(&key),
        ),
        ("none", Vec::new(), account_of(&key)),
        ("zeros", vec![0; 65], account_of(&key)),
        (
            "zeros for the zero address",
            with(|s| *s = [0; 65]),
            EvmAccount::ZERO,
        ),
        ("r is zero", with(|s| s[..32].fill(0)), account_of(&key)),
        ("s is zero", with(|s| s[32..64].fill(0)), account_of(&key)),
        ("s is the order", s_is_order.to_vec(), account_of(&key)),
        ("all ones", with(|s| s[..64].fill(0xFF)), account_of(&key)),
        ("r flipped", with(|s| s[5] ^= 1), account_of(&key)),
        (
            "over another digest",
            sign(&key, &[7; 32]).to_vec(),
            account_of(&key),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, signature, signer)| {
            let codec = Codec::Evm(SEPOLIA);
            let valid = codec.verifies(&signer.to_key(), &digest, &signature);
            let recovered = <&[u8; 65]>::try_from(signature.as_slice())
                .ok()
                .and_then(|bytes| recover(&digest, bytes));
            json!({
                "name": name,
                "digest": hex0x(digest),
                "signature": hex0x(&signature),
                "key": signer.to_string(),
                "recovered": recovered.map(|account| account.to_string()),
                "valid": valid,
            })
        })
        .collect()
}

fn approvals() -> Vec<Value> {
    let (set, keys) = validators(3, 4, 0);
    let digest = reference_digest();
    let good = |signers: &[usize]| -> Vec<(u8, Vec<u8>)> {
        signers
            .iter()
            .map(|i| (*i as u8, sign(&keys[*i], &digest).to_vec()))
            .collect()
    };
    let mut flipped = good(&[0, 1, 2]);
    flipped[1].1[40] ^= 1;
    let mut swapped = good(&[0, 1, 2]);
    (swapped[0].1, swapped[1].1) = (swapped[1].1.clone(), swapped[0].1.clone());
    let mut members: Vec<(EvmAccount, SignerKind)> = set
        .set()
        .keys()
        .iter()
        .map(|key| (EvmAccount::from_key(key).unwrap(), SignerKind::Ecdsa))
        .collect();
    members[1].1 = SignerKind::Contract;
    let mixed = EvmSigners::new(3, &members).unwrap();
    let stranger = vec![(0, sign(&evm_key(99), &digest).to_vec())];
    [
        ("all four", set, good(&[0, 1, 2, 3])),
        ("three", set, good(&[0, 2, 3])),
        (
            "one is fewer than m, which the ledger decides",
            set,
            good(&[2]),
        ),
        ("none", set, Vec::new()),
        (
            "the same signer twice",
            set,
            [good(&[1]), good(&[1])].concat(),
        ),
        ("descending", set, good(&[2, 1])),
        (
            "index outside the set",
            set,
            vec![(4, good(&[0])[0].1.clone())],
        ),
        (
            "more than n",
            set,
            [good(&[0, 1, 2, 3]), good(&[3])].concat(),
        ),
        ("one bad among good", set, flipped),
        ("two members swapped", set, swapped),
        ("a stranger", set, stranger),
        ("without the contract", mixed, good(&[0, 2, 3])),
        (
            "a contract, which no offline check can ask",
            mixed,
            good(&[0, 1, 2]),
        ),
    ]
    .iter()
    .map(|(name, set, signatures)| approval(name, set, digest, signatures))
    .collect()
}

fn approval(name: &str, set: &EvmSigners, digest: [u8; 32], signatures: &[(u8, Vec<u8>)]) -> Value {
    let members: Value = (0..set.set().n())
        .map(|i| {
            let key = EvmAccount::from_key(&set.set().key(i).unwrap()).unwrap();
            json!({ "key": key.to_string(), "kind": dec(set.kind(i).unwrap().as_u8()) })
        })
        .collect();
    let listed: Value = signatures
        .iter()
        .map(|(index, signature)| json!({ "setIndex": dec(index), "signature": hex0x(signature) }))
        .collect();
    let mut case = json!({
        "name": name,
        "m": dec(set.set().m()),
        "members": members,
        "digest": hex0x(digest),
        "signatures": listed,
    });
    let given: Vec<(u8, &[u8])> = signatures.iter().map(|(i, s)| (*i, s.as_slice())).collect();
    match set.check(digest, &given) {
        Ok(approvals) => case["count"] = dec(approvals.count()),
        Err(refused) => case["fault"] = fault(&refused),
    }
    case
}

pub(super) fn vectors() -> Value {
    json!({
        "spec": "2.3 settlement digest, signatures",
        "types": { "domain": DOMAIN_TYPE, "row": ROW_TYPE, "settlement": SETTLEMENT_TYPE },
        "digests": digests(),
        "signatures": signatures(),
        "approvals": approvals(),
    })
}
