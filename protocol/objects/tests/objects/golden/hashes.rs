//! Cases of the hashes: CIDs, claim commits, lease sets.

use d402_objects::{
    Amount, AnySigned, Cid, Ed25519Id, Evidence, Hex32, SealedClaim, canonical, claim_commit,
    evidence_root, lease_set_root, strict,
};
use serde::{Deserialize, Serialize};

use crate::samples::{self, cid, hex32, id};

/// A payload in some spelling, and its CID.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CidCase {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) cid: Cid,
}

/// A sealed claim and its commit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CommitCase {
    pub(crate) name: String,
    pub(crate) task_id: Cid,
    pub(crate) lease_cid: Cid,
    pub(crate) worker: Ed25519Id,
    pub(crate) output_cid: Cid,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) evidence_root: Hex32,
    pub(crate) salt: Hex32,
    pub(crate) commit: Hex32,
}

/// One lease of a set.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetMember {
    pub(crate) worker: Ed25519Id,
    pub(crate) price: Amount,
}

/// A lease set and its root.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LeaseSetCase {
    pub(crate) name: String,
    pub(crate) leases: Vec<SetMember>,
    pub(crate) root: Hex32,
}

fn payload_text(object: &AnySigned) -> String {
    let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
    String::from_utf8(canonical::to_bytes(&value["payload"])).unwrap()
}

fn cid_case(name: &str, input: String) -> CidCase {
    let value = strict::parse_value(input.as_bytes(), usize::MAX).unwrap();
    CidCase {
        name: name.to_owned(),
        cid: Cid::from_digest(canonical::digest(&value)),
        input,
    }
}

pub(crate) fn cids() -> Vec<CidCase> {
    let mut cases: Vec<CidCase> = samples::all()
        .iter()
        .map(|object| {
            let case = cid_case(object.kind().name(), payload_text(object));
            assert_eq!(case.cid, object.cid());
            case
        })
        .collect();
    let receipt = serde_json::to_value(samples::settlement_receipt()).unwrap();
    cases.push(cid_case("settlementReceipt", receipt.to_string()));
    let pretty = serde_json::to_string_pretty(&samples::task_intent()).unwrap();
    cases.push(cid_case(
        "taskIntent, indented and in declaration order",
        pretty,
    ));
    let mut later = serde_json::to_value(samples::bid()).unwrap();
    later["zz"] = serde_json::json!({"\u{ff5e}": 1, "\u{1f600}": 2, "a": [null, "\u{7f}"]});
    cases.push(cid_case("bid with unknown fields", later.to_string()));
    cases
}

pub(crate) fn commits() -> Vec<CommitCase> {
    [
        ("two pieces of evidence", 1u8, samples::evidence()),
        ("no evidence", 2, Vec::new()),
        (
            "one piece of evidence",
            3,
            samples::evidence()[..1].to_vec(),
        ),
        (
            "evidence in the other order",
            4,
            samples::evidence().into_iter().rev().collect(),
        ),
    ]
    .into_iter()
    .map(|(name, seed, evidence)| {
        let sealed = SealedClaim {
            task_id: cid(seed),
            lease_cid: cid(seed + 1),
            worker: id(seed),
            output_cid: cid(seed + 2),
            evidence_root: evidence_root(&evidence),
            salt: hex32(seed),
        };
        CommitCase {
            name: name.to_owned(),
            task_id: sealed.task_id,
            lease_cid: sealed.lease_cid,
            worker: sealed.worker,
            output_cid: sealed.output_cid,
            evidence,
            evidence_root: sealed.evidence_root,
            salt: sealed.salt,
            commit: claim_commit(&sealed),
        }
    })
    .collect()
}

pub(crate) fn lease_sets() -> Vec<LeaseSetCase> {
    let sets = [
        ("one lease", vec![(id(1), Amount::from(900))]),
        (
            "three leases, unsorted",
            vec![
                (id(3), Amount::from(1)),
                (id(1), Amount::from(2)),
                (id(2), Amount::from(3)),
            ],
        ),
        (
            "the largest price",
            vec![(id(1), Amount::MAX), (id(2), Amount::from(1))],
        ),
        (
            "eight leases",
            (10..18)
                .map(|seed| (id(seed), Amount::from(u64::from(seed))))
                .collect(),
        ),
    ];
    sets.into_iter()
        .map(|(name, leases)| LeaseSetCase {
            name: name.to_owned(),
            root: lease_set_root(&leases),
            leases: leases
                .into_iter()
                .map(|(worker, price)| SetMember { worker, price })
                .collect(),
        })
        .collect()
}
