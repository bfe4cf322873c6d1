//! Who is paid: told tasks and drawn ones, each asked before `decideAt`, after the deadline, and at `decideAt`.

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
const OK: bool = true;
const BAD: bool = false;

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

const QUORUM: Mode = Mode::Quorum { agree: 2 };

fn told() -> Vec<Task> {
    let mut tasks = Vec::new();
    singles(&mut tasks);
    races(&mut tasks);
    quorums(&mut tasks);
    money(&mut tasks);
    tasks
}

fn singles(tasks: &mut Vec<Task>) {
    let task = Task::new("single: nothing happened", Mode::Single, 3, 4);
    tasks.push(task);

    let mut task = Task::new("single: accepted", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2, 3]));
    tasks.push(task);

    let mut task = Task::new("single: judged rejected", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    task.deliver(lease, 1, 1, (BAD, &[1, 2, 3]));
    tasks.push(task);

    let mut task = Task::new("single: one ack too few", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2]));
    task.inputs.acks.pop();
    tasks.push(task);

    let mut task = Task::new("single: two commits void the lease", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2]));
    task.commit(lease, 99);
    tasks.push(task);

    let mut task = Task::new("single: a validator judged both ways", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    let claim = task.deliver(lease, 1, 1, (OK, &[0, 1, 2]));
    task.judge(claim, BAD, &[2]);
    tasks.push(task);

    for (name, judged) in [
        ("is open", None),
        ("was rejected", Some(BAD)),
        ("was accepted too", Some(OK)),
    ] {
        let mut task = Task::new(
            format!("single: second attempt done, the first {name}"),
            Mode::Single,
            3,
            4,
        );
        let (second, first) = (task.lease(2, 2, 1), task.lease(1, 1, 1));
        task.deliver(second, 1, 1, (OK, &[0, 1, 2]));
        let open = task.deliver(first, 1, 2, (OK, &[]));
        task.acks(first, first, &[(0, 1), (1, 1), (3, 1)]);
        if let Some(verdict) = judged {
            task.judge(open, verdict, &[1, 2, 3]);
        }
        tasks.push(task);
    }

    let mut task = Task::new("single: two claims open one commit", Mode::Single, 3, 4);
    let lease = task.lease(1, 1, 1);
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2]));
    let again = task.claim(lease, lease, 2);
    task.judge(again, OK, &[0, 1, 2]);
    tasks.push(task);

    let mut task = Task::new(
        "single: an ack of rank 0 and a stranger's",
        Mode::Single,
        3,
        4,
    );
    let lease = task.lease(1, 1, 1);
    let claim = task.deliver(lease, 1, 1, (OK, &[0, 1]));
    task.acks(lease, lease, &[(2, 0), (4, 1)]);
    task.judge(claim, OK, &[2]);
    tasks.push(task);

    let mut task = Task::new(
        "single: rejected, but a commit was seen that nobody judged",
        Mode::Single,
        3,
        4,
    );
    let (first, second) = (task.lease(1, 1, 1), task.lease(2, 2, 1));
    task.deliver(first, 1, 1, (BAD, &[0, 1, 2]));
    task.acks(second, second, &[(3, 1)]);
    tasks.push(task);
}

fn races(tasks: &mut Vec<Task>) {
    let ranks: [(&str, [&[u8]; 2]); 6] = [
        ("clear", [&[1, 1, 1, 2], &[2, 2, 2, 1]]),
        ("even, the hash decides", [&[1, 1, 2, 2], &[2, 2, 1, 1]]),
        ("one vote more", [&[1, 2, 2, 0], &[2, 1, 1, 0]]),
        (
            "an equivocator does not vote",
            [&[1, 1, 1, 2], &[1, 2, 2, 1]],
        ),
        (
            "certified by an equivocator",
            [&[1, 1, 1, 0], &[2, 2, 1, 0]],
        ),
        ("too few acks of the first", [&[1, 1, 0, 0], &[2, 2, 1, 1]]),
    ];
    for (name, ranks) in ranks {
        for judged in [OK, BAD] {
            let told = if judged { "accepted" } else { "rejected" };
            let mut task = Task::new(format!("race: {name}, the first {told}"), Mode::Race, 3, 4);
            let leases = [task.lease(1, 1, 2), task.lease(1, 1, 2)];
            for (lease, ranks) in leases.into_iter().zip(ranks) {
                let verdict = judged || lease == 1;
                task.deliver(lease, 1, lease, (verdict, &[]));
                for (validator, rank) in (0..).zip(ranks).filter(|(_, rank)| **rank > 0) {
                    task.acks(lease, lease, &[(validator, *rank)]);
                }
                task.judge(lease, verdict, &[0, 1, 2, 3]);
            }
            tasks.push(task);
        }
    }
    // Validator 2 would decide, but it acked a third lease first as well; the hash decides, both ways.
    for salt in 0..6 {
        let name = format!("race: the casting vote is an equivocator's, hash {salt}");
        let mut task = Task::new(name, Mode::Race, 2, 3);
        let leases = [
            task.lease(1, 1, 3),
            task.lease(1, 1, 3),
            task.lease(1, 1, 3),
        ];
        for (lease, ranks) in leases.into_iter().zip([[1, 2, 1], [2, 1, 2]]) {
            task.deliver(lease, 1, lease, (OK, &[]));
            task.acks(lease, lease, &[(0, ranks[0]), (1, ranks[1]), (2, ranks[2])]);
            task.judge(lease, OK, &[0, 1, 2]);
        }
        task.acks(leases[2], leases[2], &[(2, 1)]);
        task.inputs.claims[0].salt = bytes("salt of", salt);
        tasks.push(task);
    }

    let mut task = Task::new(
        "race: two sets of one attempt, both with two of three",
        Mode::Race,
        2,
        3,
    );
    let leases = [task.lease(1, 1, 1), task.lease(1, 2, 1)];
    task.deliver(leases[0], 1, 1, (OK, &[0, 2]));
    task.deliver(leases[1], 1, 1, (OK, &[1, 2]));
    tasks.push(task);

    let mut task = Task::new("race: q first ranks of 2-of-3 are three", Mode::Race, 2, 3);
    let leases = [task.lease(1, 1, 2), task.lease(1, 1, 2)];
    task.deliver(leases[0], 1, 1, (OK, &[0, 1, 2]));
    task.deliver(leases[1], 2, 1, (OK, &[0, 1]));
    tasks.push(task);

    let mut task = Task::new("race: a second attempt does not exist", Mode::Race, 1, 1);
    let lease = task.lease(2, 1, 1);
    task.deliver(lease, 1, 1, (OK, &[0]));
    tasks.push(task);
}

fn quorums(tasks: &mut Vec<Task>) {
    let stories: [(&str, &[usize]); 6] = [
        ("all agree", &[1, 1, 1]),
        ("one dissents", &[1, 2, 1]),
        ("one is missing", &[1, 0, 1]),
        ("nobody agrees", &[1, 2, 3]),
        ("two groups of two", &[1, 2, 1, 2]),
        ("three against two", &[1, 2, 1, 2, 2]),
    ];
    for (name, digests) in stories {
        for validators in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            let mut task = Task::new(format!("quorum: {name}"), QUORUM, 3, 4);
            let count = digests.len() as u8;
            let leases: Vec<usize> = digests.iter().map(|_| task.lease(1, 1, count)).collect();
            for (lease, digest) in leases
                .into_iter()
                .zip(digests)
                .filter(|(_, digest)| **digest > 0)
            {
                task.deliver(lease, lease as u8 + 1, *digest, (OK, &validators[..3]));
            }
            tasks.push(task);
        }
    }
    let mut task = Task::new(
        "quorum: agreement of three wanted, two agree",
        Mode::Quorum { agree: 3 },
        3,
        4,
    );
    let leases: Vec<usize> = (0..3).map(|_| task.lease(1, 1, 3)).collect();
    for (lease, digest) in leases.into_iter().zip([1, 1, 2]) {
        task.deliver(lease, lease as u8 + 1, digest, (OK, &[0, 1, 2, 3]));
    }
    tasks.push(task);
}

fn money(tasks: &mut Vec<Task>) {
    for cap in [0, 9, 10, 20, 21, 32, 33, 1_000] {
        let mut task = Task::new(
            format!("money: validator fee cap {cap}"),
            Mode::Single,
            3,
            5,
        );
        task.cap = cap;
        let lease = task.lease(1, 1, 1);
        task.deliver(lease, 1, 1, (OK, &[4, 2, 1, 0]));
        tasks.push(task);
    }
    let mut task = Task::new(
        "money: a free validator, a shared payee, and the worker's own",
        Mode::Single,
        4,
        5,
    );
    let lease = task.lease(1, 1, 1);
    task.validators[0].fee = Units::ZERO;
    task.validators[2].payee = task.validators[1].payee;
    task.validators[3].payee = task.inputs.leases[lease].payee;
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2, 3]));
    tasks.push(task);

    let mut task = Task::new(
        "money: a cheap validator behind one that was dropped",
        Mode::Single,
        3,
        4,
    );
    let lease = task.lease(1, 1, 1);
    task.cap = 25;
    for (validator, fee) in task.validators.iter_mut().zip([10, 20, 1]) {
        validator.fee = Units::from_u64(fee);
    }
    task.deliver(lease, 1, 1, (OK, &[0, 1, 2]));
    tasks.push(task);

    let mut task = Task::new("money: other judges behind each winner", QUORUM, 3, 5);
    let leases = [task.lease(1, 1, 2), task.lease(1, 1, 2)];
    task.deliver(leases[0], 1, 1, (OK, &[0, 1, 2]));
    task.deliver(leases[1], 2, 1, (OK, &[2, 3, 4]));
    tasks.push(task);

    let mut task = Task::new("money: workers with one payee", QUORUM, 1, 1);
    let leases = [task.lease(1, 1, 2), task.lease(1, 1, 2)];
    task.inputs.leases[1].payee = task.inputs.leases[0].payee;
    task.deliver(leases[0], 1, 1, (OK, &[0]));
    task.deliver(leases[1], 2, 1, (OK, &[0]));
    tasks.push(task);
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
    let cases: Vec<Value> = told()
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
