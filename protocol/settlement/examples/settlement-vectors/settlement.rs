//! Settlement digests, row faults, single signature verdicts, and whole sets of signatures.

use d402_settlement::{
    Approvals, Domain, Key32, ReceiptCid, Row, Rows, Settlement, StrictEd25519, TermsHash, Units,
    ValidatorSet, settlement_digest,
};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::ed25519_cases;
use crate::json::{self, dec, domain, fault, hex, rows};
use crate::scene::{
    DOMAIN, JUDGE, WORKER, WORKER_2, judge, key, paid, rejected, sign, validators, worker,
};
use crate::terms::reference;

fn receipts() -> Vec<Settlement> {
    let sixteen: Vec<Row> = (1..=16)
        .map(|i| {
            if i % 2 == 0 {
                worker(key(i), u64::MAX)
            } else {
                judge(key(i), 1)
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

fn digest(domain_of: &Domain, hash: &TermsHash, receipt: &Settlement) -> Value {
    json!({
        "domain": domain(domain_of),
        "termsHash": hex(hash),
        "receiptCid": hex(receipt.receipt_cid),
        "outcome": dec(receipt.outcome.as_u8()),
        "rows": rows(receipt.rows.as_slice()),
        "digest": hex(settlement_digest(domain_of, hash, receipt)),
    })
}

fn row_faults() -> Vec<Value> {
    let above = Row {
        amount: Units::new(1 << 64).expect("fits"),
        ..worker(key(1), 1)
    };
    let many: Vec<Row> = (1..=17).map(|i| worker(key(i), 1)).collect();
    [
        vec![worker(Key32::ZERO, 1)],
        vec![worker(key(1), 1), judge(key(1), 1)],
        vec![worker(key(2), 1), worker(key(1), 1)],
        vec![worker(key(1), 0)],
        vec![above],
        many,
    ]
    .iter()
    .map(|bad| {
        let refused = Rows::new(bad).expect_err("a fault");
        json!({ "rows": rows(bad), "fault": fault(&refused) })
    })
    .collect()
}

fn signatures() -> Vec<Value> {
    ed25519_cases::cases()
        .iter()
        .map(|case| {
            json!({
                "name": case.name,
                "key": hex(case.key),
                "message": hex(case.message),
                "signature": hex(case.signature),
                "valid": case.valid,
            })
        })
        .collect()
}

fn approvals() -> Vec<Value> {
    let (set, keys) = validators(3, 4);
    let receipt = paid(&[worker(WORKER, 5_000), judge(WORKER_2, 300)]);
    let digest = settlement_digest(&DOMAIN, &reference().hash(&DOMAIN), &receipt);
    let good = |signers: &[u8]| sign(&keys, digest, signers);
    let mut flipped = good(&[0, 1, 2]);
    flipped[1].1[63] ^= 1;
    let mut swapped = good(&[0, 1]);
    (swapped[0].1, swapped[1].1) = (swapped[1].1, swapped[0].1);
    let stranger = sign(&[SigningKey::from_bytes(&[99; 32])], digest, &[0]);
    let other = sign(&keys, [7; 32], &[0, 1, 2]);
    [
        ("all four", good(&[0, 1, 2, 3])),
        ("three", good(&[0, 2, 3])),
        ("one is fewer than m, which the ledger decides", good(&[2])),
        ("none", Vec::new()),
        ("the same signer twice", [good(&[1]), good(&[1])].concat()),
        ("descending", good(&[2, 1])),
        ("index outside the set", vec![(4, good(&[0])[0].1)]),
        ("more than n", [good(&[0, 1, 2, 3]), good(&[3])].concat()),
        ("one bad among good", flipped),
        ("two members swapped", swapped),
        ("a stranger", stranger),
        ("another digest", other),
    ]
    .iter()
    .map(|(name, signatures)| approval(name, &set, digest, signatures))
    .collect()
}

fn approval(
    name: &str,
    set: &ValidatorSet,
    digest: [u8; 32],
    signatures: &[(u8, [u8; 64])],
) -> Value {
    let checked = Approvals::check(set, digest, signatures, &StrictEd25519);
    let mut case = json!({
        "name": name,
        "m": dec(set.m()),
        "keys": set.keys().iter().map(hex).collect::<Value>(),
        "digest": hex(digest),
        "signatures": json::signatures(signatures),
    });
    match checked {
        Ok(approvals) => case["count"] = dec(approvals.count()),
        Err(refused) => case["fault"] = fault(&refused),
    }
    case
}

pub fn vectors() -> Value {
    let mut digests = Vec::new();
    for domain_of in [DOMAIN, Domain::SIMULATED] {
        for receipt in receipts() {
            digests.push(digest(&domain_of, &reference().hash(&domain_of), &receipt));
        }
    }
    json!({
        "spec": "2.2 settlement digest",
        "tag": "d402/settle/solana/v1",
        "digests": digests,
        "rowFaults": row_faults(),
        "signatures": signatures(),
        "approvals": approvals(),
    })
}
