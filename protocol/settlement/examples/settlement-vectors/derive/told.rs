//! The told tasks: one for each rule.

use d402_settlement::Units;
use d402_settlement::derive::Mode;

use super::{Task, bytes};

const OK: bool = true;
const BAD: bool = false;
const QUORUM: Mode = Mode::Quorum { agree: 2 };

pub(super) fn told() -> Vec<Task> {
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
