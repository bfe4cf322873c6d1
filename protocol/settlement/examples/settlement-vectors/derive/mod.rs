//! Who is paid: told tasks and drawn ones, each asked before `decideAt`, after the deadline, and at `decideAt`.

mod told;

use d402_settlement::derive::{
    Ack, Circumstances, Claim, Commit, Derived, Inputs, Lease, Mode, Path, Receipt, Rules,
    ValidatorTerms, derive,
};
use d402_settlement::{Key32, Units};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::json::{dec, fault, hex, rows};

/// Drawn tasks, beside the told ones.
const DRAWN: usize = 42;
const SETS: [(u8, u8); 6] = [(1, 1), (2, 3), (3, 4), (3, 5), (4, 5), (5, 7)];

struct Task {
    name: String,
    mode: Mode,
    m: u8,
    validators: Vec<ValidatorTerms>,
    cap: u64,
    inputs: Inputs,
}

fn bytes(kind: &str, number: usize) -> [u8; 32] {
    Sha256::digest(format!("{kind} {number}")).into()
}

impl Task {
    fn new(name: impl Into<String>, mode: Mode, m: u8, n: u8) -> Self {
        let terms = |v: u8| ValidatorTerms {
            payee: Key32(bytes("validator", v.into())),
            fee: Units::from_u64(10 + u64::from(v)),
        };
        Self {
            name: name.into(),
            mode,
            m,
            validators: (0..n).map(terms).collect(),
            cap: 1_000,
            inputs: Inputs::default(),
        }
    }

    fn lease(&mut self, attempt: u8, set: u8, lease_count: u8) -> usize {
        let index = self.inputs.leases.len();
        self.inputs.leases.push(Lease {
            attempt,
            set_root: bytes("set", set.into()),
            lease_count,
            worker: bytes("worker", index),
            payee: Key32(bytes("payee", index)),
            price: Units::from_u64(1_000 + index as u64),
        });
        index
    }

    fn commit(&mut self, lease: usize, commit: usize) {
        let commit = bytes("commit", commit);
        self.inputs.commits.push(Commit { lease, commit });
    }

    fn acks(&mut self, lease: usize, commit: usize, acks: &[(u8, u8)]) {
        let commit = bytes("commit", commit);
        self.inputs
            .acks
            .extend(acks.iter().map(|(validator, rank)| Ack {
                validator: *validator,
                lease,
                commit,
                rank: *rank,
            }));
    }

    fn claim(&mut self, lease: usize, commit: usize, digest: usize) -> usize {
        let index = self.inputs.claims.len();
        self.inputs.claims.push(Claim {
            cid: bytes("claim", index),
            lease,
            commit: bytes("commit", commit),
            salt: bytes("salt", index),
            canonical_digest: bytes("digest", digest),
        });
        index
    }

    fn judge(&mut self, claim: usize, accept: bool, validators: &[u8]) {
        for validator in validators {
            let cid = bytes("receipt", self.inputs.receipts.len());
            self.inputs.receipts.push(Receipt {
                validator: *validator,
                claim,
                accept,
                cid,
            });
        }
    }

    /// Commit, acks with one rank, reveal and verdict of the same validators.
    fn deliver(
        &mut self,
        lease: usize,
        rank: u8,
        digest: usize,
        (accept, validators): (bool, &[u8]),
    ) -> usize {
        self.commit(lease, lease);
        let acks: Vec<(u8, u8)> = validators.iter().map(|v| (*v, rank)).collect();
        self.acks(lease, lease, &acks);
        let claim = self.claim(lease, lease, digest);
        self.judge(claim, accept, validators);
        claim
    }
}

/// A stream of numbers that follows from a seed.
struct Dice([u8; 32], usize);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        if self.1 == 16 {
            self.0 = Sha256::digest(self.0).into();
            self.1 = 0;
        }
        let pair = [self.0[2 * self.1], self.0[2 * self.1 + 1]];
        self.1 += 1;
        usize::from(u16::from_le_bytes(pair)) % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Mostly honest, so that things get decided; the last validator signs anything.
fn drawn(number: usize) -> Task {
    let mut dice = Dice(bytes("dice", number), 0);
    let (m, n) = SETS[dice.below(SETS.len())];
    let mode = match number % 3 {
        0 => Mode::Single,
        1 => Mode::Race,
        _ => Mode::Quorum {
            agree: 1 + dice.below(3) as u8,
        },
    };
    let mut task = Task::new(format!("drawn {number}"), mode, m, n);
    task.cap = 20 + dice.below(80) as u64;
    let count = 1 + dice.below(4);
    for at in 0..count {
        let attempt = if mode == Mode::Single {
            at as u8 + 1
        } else {
            1
        };
        let set = if dice.chance(15) { 9 } else { attempt };
        let leases = if mode == Mode::Single { 1 } else { count as u8 };
        task.lease(attempt, set, leases);
    }
    for lease in 0..count {
        task.commit(lease, lease);
        if dice.chance(8) {
            task.commit(lease, 100 + lease);
        }
        if dice.chance(85) {
            let digest = dice.below(2);
            task.claim(lease, lease, digest);
        }
    }
    for validator in 0..n {
        let mut ranks = [1u8; 5];
        let start = dice.below(count);
        for lease in (0..count).map(|at| (at + start) % count) {
            let of = usize::from(task.inputs.leases[lease].attempt);
            if dice.chance(85) {
                task.acks(lease, lease, &[(validator, ranks[of])]);
                ranks[of] += 1;
            }
        }
        for claim in 0..task.inputs.claims.len() {
            if dice.chance(85) {
                let verdict = dice.chance(85);
                task.judge(claim, verdict, &[validator]);
            }
        }
    }
    for _ in 0..dice.below(4) {
        let (lease, rank) = (dice.below(count), dice.below(4) as u8);
        task.acks(lease, lease, &[(n - 1, rank)]);
        let claims = task.inputs.claims.len();
        if claims > 0 {
            let (claim, verdict) = (dice.below(claims), dice.chance(50));
            task.judge(claim, verdict, &[n - 1]);
        }
    }
    task
}

fn inputs(inputs: &Inputs) -> Value {
    let leases = inputs.leases.iter().map(|lease| {
        json!({
            "attempt": dec(lease.attempt),
            "setRoot": hex(lease.set_root),
            "leaseCount": dec(lease.lease_count),
            "worker": hex(lease.worker),
            "payee": hex(lease.payee),
            "price": dec(lease.price),
        })
    });
    let commits = inputs
        .commits
        .iter()
        .map(|commit| json!({ "lease": dec(commit.lease), "commit": hex(commit.commit) }));
    let acks = inputs.acks.iter().map(|ack| {
        json!({
            "validator": dec(ack.validator),
            "lease": dec(ack.lease),
            "commit": hex(ack.commit),
            "rank": dec(ack.rank),
        })
    });
    let claims = inputs.claims.iter().map(|claim| {
        json!({
            "cid": hex(claim.cid),
            "lease": dec(claim.lease),
            "commit": hex(claim.commit),
            "salt": hex(claim.salt),
            "canonicalDigest": hex(claim.canonical_digest),
        })
    });
    let receipts = inputs.receipts.iter().map(|receipt| {
        json!({
            "validator": dec(receipt.validator),
            "claim": dec(receipt.claim),
            "accept": receipt.accept,
            "cid": hex(receipt.cid),
        })
    });
    json!({
        "leases": leases.collect::<Value>(),
        "commits": commits.collect::<Value>(),
        "acks": acks.collect::<Value>(),
        "claims": claims.collect::<Value>(),
        "receipts": receipts.collect::<Value>(),
    })
}

fn indexes(list: &[usize]) -> Value {
    list.iter().map(dec).collect()
}

fn outcome(derived: &Derived) -> Value {
    match derived {
        Derived::Undecided(why) => json!({ "undecided": fault(why) }),
        Derived::Paid {
            winners,
            receipts,
            rows: paid,
        } => json!({ "paid": {
            "winners": indexes(winners), "receipts": indexes(receipts), "rows": rows(paid),
        }}),
        Derived::Rejected {
            judged,
            receipts,
            rows: paid,
        } => json!({ "rejected": {
            "judged": indexes(judged), "receipts": indexes(receipts), "rows": rows(paid),
        }}),
    }
}

fn case(task: &Task) -> Value {
    let rules = Rules {
        mode: task.mode,
        m: task.m,
        validators: &task.validators,
        validator_fee_cap: Units::from_u64(task.cap),
        terms_hash: bytes("terms", 0),
    };
    let fast = Circumstances {
        path: Path::Fast,
        deposit_late: false,
        paid_elsewhere: false,
        deadline_passed: false,
        no_lease_follows: false,
    };
    let asked = [
        ("early", fast),
        (
            "deadlinePassed",
            Circumstances {
                deadline_passed: true,
                ..fast
            },
        ),
        (
            "noLeaseFollows",
            Circumstances {
                no_lease_follows: true,
                ..fast
            },
        ),
        (
            "over",
            Circumstances {
                deadline_passed: true,
                no_lease_follows: true,
                ..fast
            },
        ),
        (
            "decideAt",
            Circumstances {
                path: Path::Slow,
                ..fast
            },
        ),
        (
            "depositLate",
            Circumstances {
                deposit_late: true,
                ..fast
            },
        ),
        (
            "paidElsewhere",
            Circumstances {
                paid_elsewhere: true,
                path: Path::Slow,
                ..fast
            },
        ),
    ];
    let answers: serde_json::Map<String, Value> = asked
        .into_iter()
        .map(|(name, circumstances)| {
            (
                name.to_owned(),
                outcome(&derive(&rules, &task.inputs, circumstances)),
            )
        })
        .collect();
    let (mode, agree) = match task.mode {
        Mode::Single => ("single", 1),
        Mode::Race => ("race", 1),
        Mode::Quorum { agree } => ("quorum", agree),
    };
    let validators = task
        .validators
        .iter()
        .map(|v| json!({ "payee": hex(v.payee), "fee": dec(v.fee) }));
    json!({
        "name": task.name,
        "mode": mode,
        "agree": dec(agree),
        "m": dec(task.m),
        "validators": validators.collect::<Value>(),
        "validatorFeeCap": dec(task.cap),
        "termsHash": hex(rules.terms_hash),
        "inputs": inputs(&task.inputs),
        "answers": answers,
    })
}

pub fn vectors() -> Value {
    let cases: Vec<Value> = told::told()
        .iter()
        .map(case)
        .chain((0..DRAWN).map(|number| case(&drawn(number))))
        .collect();
    let text = Value::from(cases.clone()).to_string();
    for reason in [
        "NothingAccepted",
        "LowerAttemptOpen",
        "NoClearWinner",
        "NotUnanimous",
    ] {
        assert!(text.contains(reason), "no case leaves {reason}");
    }
    json!({ "spec": "5.1-5.7, 4.4", "tag": "d402/race/v1", "cases": cases })
}
