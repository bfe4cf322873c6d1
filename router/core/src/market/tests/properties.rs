//! Properties over arbitrary commands, times, crashes and casts.

use d402_objects::{Cid, IndexedSignature, Signed, Verdict};
use d402_settlement::market::Decided;
use d402_settlement::market::testkit::TaskSpec;
use proptest::prelude::*;

use super::transitions::settled_by;
use super::world::{Judge, Money, Plot, Worker, World};
use crate::market::{Ending, Phase, PhaseName};
use crate::{Command, Task};

/// A task that takes more wake-ups than this to end alone is stuck.
const MAX_WAKE_UPS: usize = 400;

fn workers() -> impl Strategy<Value = Vec<Worker>> {
    let worker = prop_oneof![
        4 => (20u64..3_000).prop_map(Worker::Honest),
        1 => (8_000u64..40_000).prop_map(Worker::Honest),
        2 => Just(Worker::Wrong),
        1 => Just(Worker::Gone),
        1 => Just(Worker::Mute),
        1 => Just(Worker::Declines),
        1 => Just(Worker::Returns),
        1 => Just(Worker::Absent),
    ];
    proptest::collection::vec(worker, 0..5)
}

fn specs() -> impl Strategy<Value = TaskSpec> {
    (0usize..6).prop_map(|which| match which {
        0 => TaskSpec::single(1, 1),
        1 => TaskSpec::race(1, 1),
        2 => TaskSpec::quorum(1, 1),
        3 => TaskSpec::single(3, 4),
        4 => TaskSpec::race(3, 4),
        _ => TaskSpec::quorum(3, 4),
    })
}

fn judge() -> impl Strategy<Value = Judge> {
    prop_oneof![
        4 => Just(Judge::Honest),
        1 => Just(Judge::Silent),
        1 => Just(Judge::Liar),
        1 => Just(Judge::Refuses),
        1 => Just(Judge::NeverSigns),
    ]
}

fn money() -> impl Strategy<Value = Money> {
    prop_oneof![
        8 => (100u64..24_000).prop_map(Money::At),
        1 => (24_900u64..26_000).prop_map(Money::At),
        1 => Just(Money::Short),
        1 => Just(Money::Impossible),
        1 => Just(Money::Unknown),
    ]
}

prop_compose! {
    fn plots()(
        spec in specs(),
        workers in workers(),
        judges in proptest::collection::vec(judge(), 4),
        money in money(),
        flags in proptest::collection::vec(prop::bool::weighted(0.12), 4),
        deaf in 0u64..40_000,
    ) -> Plot {
        let n = usize::from(spec.n);
        let mut plot = Plot::new(spec, &workers).judged_by(&judges[..n]);
        plot.money = money;
        plot.payee_settles = flags[0];
        plot.chain_refuses = flags[1];
        plot.output_lost = flags[2];
        plot.deaf_until = if flags[3] { deaf } else { 0 };
        plot
    }
}

/// A command as numbers, turned into one that is at least sometimes about the task at hand.
type Seed = (u8, u8, u8, u64);

fn seeds(most: usize) -> impl Strategy<Value = Vec<Seed>> {
    let jump = prop_oneof![6 => 0u64..400, 3 => 400u64..8_000, 1 => 8_000u64..400_000];
    proptest::collection::vec((0u8..20, 0u8..8, 0u8..8, jump), 1..most)
}

fn decided_of(task: &Task) -> Option<Decided> {
    match task.phase() {
        Phase::Proposing { decided, .. } | Phase::Signing { decided, .. } => {
            Some((**decided).clone())
        }
        Phase::AwaitingDeposit
        | Phase::Bidding { .. }
        | Phase::Working
        | Phase::Collecting { .. }
        | Phase::Settling { .. }
        | Phase::Refunding
        | Phase::Final(_) => None,
    }
}

fn any_lease(world: &World, which: u8) -> Signed<d402_objects::Lease> {
    let lease = match world
        .leases
        .get(usize::from(which) % (world.leases.len() + 1))
    {
        Some(lease) => lease.clone(),
        None => world
            .scene
            .lease_payloads(1, &[usize::from(which) % 8])
            .remove(0),
    };
    Signed::sign(lease, &world.scene.actors.gateway).unwrap()
}

fn command(world: &World, (kind, a, b, _): Seed) -> Command {
    let v = usize::from(a) % usize::from(world.scene.spec.n);
    let round = world
        .phases
        .iter()
        .filter(|p| **p == PhaseName::Proposing)
        .count() as u32
        + u32::from(b == 7);
    let lease = any_lease(world, b);
    match kind {
        0 => Command::DepositFunded {
            at_ms: world.now + u64::from(b) * 5_000,
        },
        1 => [Command::DepositShort, Command::DepositImpossible][usize::from(b == 7)].clone(),
        2 => Command::BidPlaced {
            bid: world.bid(usize::from(a)),
            penalty: u32::from(b),
            distinct_subnet: b % 2 == 1,
        },
        3 => Command::LeaseAccepted {
            accept: world.scene.accept(&lease),
        },
        4 => Command::LeaseDeclined {
            lease_cid: lease.cid(),
        },
        5 => Command::LeaseReturned {
            lease_cid: lease.cid(),
        },
        6..=9 => {
            let claim = world.scene.claim(&lease, &[a / 4]);
            let verdict = if kind < 8 {
                Verdict::Accept
            } else {
                Verdict::Reject
            };
            Command::ReceiptSeen {
                receipt: world.scene.verdict(v, &claim, verdict),
                claim,
            }
        }
        _ => answer(world, (kind, a, b), v, round),
    }
}

/// What validators, the chain and the clock say.
fn answer(world: &World, (kind, a, b): (u8, u8, u8), v: usize, round: u32) -> Command {
    match kind {
        10 => world.inventory_of(v),
        11 => match decided_of(&world.task) {
            Some(decided) => Command::ReadySeen {
                ready: world.scene.ready(v, &decided, round),
            },
            None => world.inventory_of(v),
        },
        12 => Command::MissingSeen {
            set_index: a,
            round,
            cids: world.task.evidence().cids(),
        },
        13 => Command::ProposalRefused {
            set_index: a,
            round,
        },
        14 => {
            let digest = decided_of(&world.task).map_or([b; 32], |d| d.digest);
            let signature: IndexedSignature = world.scene.settlement_signature(v, &digest);
            Command::SignatureSeen { signature }
        }
        15 => {
            let ours = if let Phase::Settling { receipt } = world.task.phase() {
                receipt.receipt_cid()
            } else {
                Cid::of(b"ours")
            };
            Command::SettledSeen {
                settled: settled_by(if b < 4 { ours } else { Cid::of(b"theirs") }),
            }
        }
        16 => Command::SweptSeen {
            transaction: String::new(),
            refunded: 1.into(),
        },
        17 => Command::OutputStored {
            cid: Cid::of(if b < 4 {
                &world.scene.spec.input
            } else {
                b"other"
            }),
        },
        _ => Command::Tick,
    }
}

/// Only wake-ups, and the chain's word that a swept vault is empty: the task must end.
fn ends_alone(task: &mut Task, mut now: u64) -> Result<(), TestCaseError> {
    for _ in 0..MAX_WAKE_UPS {
        let Some(wake) = task.wake_at_ms() else {
            prop_assert!(task.ending().is_some(), "only the end has no timed exit");
            return Ok(());
        };
        now = now.max(wake);
        prop_assert!(
            task.apply(Command::Tick, now).is_ok(),
            "a due tick is taken in {:?}",
            task.phase().name()
        );
        if task.phase().name() == PhaseName::Refunding {
            let swept = Command::SweptSeen {
                transaction: String::new(),
                refunded: 0.into(),
            };
            prop_assert!(task.apply(swept, now).is_ok());
        }
    }
    Err(TestCaseError::fail(format!(
        "stuck in {:?}",
        task.phase().name()
    )))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// Whatever is thrown at a task, at any time: a refused command changes nothing, the end is the end,
    /// every state has a timed exit, and the journal gives the live task.
    #[test]
    fn any_commands_keep_the_machine_whole(
        plot in plots(),
        calm in 0usize..45,
        hostile in seeds(30),
    ) {
        let mut world = World::new(plot);
        for _ in 0..calm {
            if world.task.ending().is_none() {
                world.step();
            }
        }
        for seed in hostile {
            world.now += seed.3;
            let command = command(&world, seed);
            let ended = world.task.ending().is_some();
            // `World::apply` checks that a refused command changes nothing.
            let outcome = world.apply(command.clone());
            prop_assert!(outcome.is_err() || !ended, "nothing leaves the end");
            prop_assert_eq!(world.task.wake_at_ms().is_none(), world.task.ending().is_some());
            if seed.1 % 2 == 0 {
                let _said_twice = world.apply(command);
            }
        }
        let mut replayed = world.replayed();
        prop_assert_eq!(format!("{replayed:?}"), format!("{:?}", world.task));
        let (live, again) = (world.task.resume(world.now), replayed.resume(world.now));
        prop_assert_eq!(format!("{live:?}"), format!("{again:?}"));
        ends_alone(&mut replayed, world.now)?;
    }

    /// Any cast, any fault, and a gateway that dies whenever it likes: the task ends, the money adds up, who
    /// is named in a Paid receipt is paid and nobody else (checked in `World::ending`).
    #[test]
    fn any_cast_ends_with_the_money_accounted_for(
        plot in plots(),
        crashes in proptest::collection::vec(0usize..60, 0..3),
    ) {
        let mut world = World::new(plot);
        let mut step = 0;
        while world.task.ending().is_none() {
            if crashes.contains(&step) {
                world.crash();
            }
            world.step();
            step += 1;
        }
        let liars = world.plot.judges.iter().filter(|j| **j == Judge::Liar).count();
        let hostile_majority = liars >= usize::from(world.scene.spec.m);
        if let Ending::Paid { .. } = world.ending()
            && !hostile_majority
        {
            for worker in world.paid_workers() {
                let behaved = world.plot.workers.get(worker);
                prop_assert!(matches!(behaved, Some(Worker::Honest(_))), "{behaved:?} was paid");
            }
        }
        prop_assert!(world.journal.len() < 700, "{} records", world.journal.len());
        let replayed = world.replayed();
        prop_assert_eq!(format!("{replayed:?}"), format!("{:?}", world.task));
    }

    /// With every validator honest and the chain answering, a crash changes neither who is paid nor how it ends.
    #[test]
    fn a_crash_changes_no_ending(
        spec in specs(),
        workers in workers(),
        at in 0usize..40,
    ) {
        let mut calm = World::new(Plot::new(spec, &workers));
        let mut crashed = calm.clone();
        calm.run();
        for _ in 0..at {
            if crashed.task.ending().is_none() {
                crashed.step();
            }
        }
        crashed.crash();
        crashed.run();
        prop_assert_eq!(std::mem::discriminant(calm.ending()), std::mem::discriminant(crashed.ending()));
        if matches!(calm.ending(), Ending::Paid { .. }) {
            prop_assert!(!crashed.paid_workers().is_empty());
        }
    }
}
