//! Rows of `Proposing`, `Signing`, `Settling`, `Refunding` and the end.

use d402_objects::{Cid, Hex32, Signed};
use d402_settlement::market::Decided;
use d402_settlement::market::testkit::TaskSpec;

use super::collecting::collecting;
use super::transitions::{name, settled_by, world_of};
use super::world::{Judge, Plot, Worker, World};
use crate::market::{Ending, Phase, PhaseName, Refused};
use crate::{Command, Effect};

const OTHER_DIGEST: [u8; 32] = [9; 32];

fn proposing() -> (World, Decided) {
    let mut world = collecting();
    for v in 0..4 {
        let inventory = world.inventory_of(v);
        world.apply(inventory).unwrap();
    }
    let Phase::Proposing { decided, .. } = world.task.phase() else {
        panic!("no proposal")
    };
    let decided = (**decided).clone();
    (world, decided)
}

fn ready(world: &World, v: usize, decided: &Decided, round: u32) -> Command {
    Command::ReadySeen {
        ready: world.scene.ready(v, decided, round),
    }
}

fn signing() -> (World, Decided) {
    let (mut world, decided) = proposing();
    for v in 0..3 {
        let command = ready(&world, v, &decided, 1);
        world.apply(command).unwrap();
    }
    assert_eq!(name(&world), PhaseName::Signing);
    (world, decided)
}

fn signature(world: &World, v: usize, digest: &[u8; 32]) -> Command {
    Command::SignatureSeen {
        signature: world.scene.settlement_signature(v, digest),
    }
}

fn settling() -> World {
    let mut world = world_of(&[Worker::Honest(50)]);
    world.plot.deaf_until = 1_000_000;
    world.plot.output_lost = true;
    world.run_to(PhaseName::Settling);
    world
}

fn refunding() -> World {
    let mut world = settling();
    world.run_to(PhaseName::Refunding);
    world
}

fn output_of(world: &World) -> Cid {
    Cid::of(&world.scene.spec.input)
}

#[test]
fn q_ready_answers_on_the_proposed_digest_ask_for_signatures() {
    let (mut world, decided) = proposing();
    for v in 0..2 {
        let command = ready(&world, v, &decided, 1);
        assert!(world.apply(command).unwrap().is_empty());
    }
    let command = ready(&world, 0, &decided, 1);
    assert_eq!(world.apply(command).unwrap_err(), Refused::Duplicate);
    let command = ready(&world, 2, &decided, 1);
    let effects = world.apply(command).unwrap();
    assert_eq!(name(&world), PhaseName::Signing);
    let asked = effects
        .iter()
        .filter(|e| matches!(e, Effect::AskSignature { ready, .. } if ready.len() == 3));
    assert_eq!(asked.count(), 4);
}

#[test]
fn ready_answers_of_other_rounds_digests_inputs_or_strangers_do_not_count() {
    let (mut world, decided) = proposing();
    let stale = ready(&world, 0, &decided, 7);
    assert_eq!(
        world.apply(stale).unwrap_err(),
        Refused::StaleRound { got: 7, current: 1 }
    );
    let mut other = decided.clone();
    other.digest = OTHER_DIGEST;
    let command = ready(&world, 0, &other, 1);
    assert_eq!(world.apply(command).unwrap_err(), Refused::OtherDigest);
    let mut other = decided.clone();
    other.inputs_root = Hex32::from_bytes(OTHER_DIGEST);
    let command = ready(&world, 0, &other, 1);
    assert_eq!(world.apply(command).unwrap_err(), Refused::OtherDigest);
    let mut payload = world.scene.ready(0, &decided, 1).payload().clone();
    payload.validator = world.scene.actors.workers[0].id();
    let stranger = Signed::sign(payload, &world.scene.actors.workers[0].key).unwrap();
    assert_eq!(
        world
            .apply(Command::ReadySeen { ready: stranger })
            .unwrap_err(),
        Refused::Stranger
    );
}

#[test]
fn missing_inputs_are_sent_once_per_round() {
    let (mut world, decided) = proposing();
    let missing = |round, set_index| Command::MissingSeen {
        set_index,
        round,
        cids: decided.inputs.clone(),
    };
    let effects = world.apply(missing(1, 2)).unwrap();
    let [
        Effect::Propose {
            set_index: 2,
            round: 1,
            objects,
            ..
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(objects.len(), decided.inputs.len());
    assert_eq!(world.apply(missing(1, 2)).unwrap_err(), Refused::Duplicate);
    assert_eq!(
        world.apply(missing(2, 3)).unwrap_err(),
        Refused::StaleRound { got: 2, current: 1 }
    );
    assert_eq!(world.apply(missing(1, 4)).unwrap_err(), Refused::Stranger);
}

#[test]
fn a_proposal_is_given_up_once_q_cannot_be_reached() {
    let (mut world, _) = proposing();
    let refused = |set_index| Command::ProposalRefused {
        set_index,
        round: 1,
    };
    assert_eq!(world.apply(refused(4)).unwrap_err(), Refused::Stranger);
    world.apply(refused(0)).unwrap();
    assert_eq!(world.apply(refused(0)).unwrap_err(), Refused::Duplicate);
    assert_eq!(name(&world), PhaseName::Proposing);
    world.apply(refused(1)).unwrap();
    assert_eq!(name(&world), PhaseName::Working);
    assert_eq!(world.task.wake_at_ms(), Some(world.now + 300));
}

#[test]
fn a_validator_that_becomes_ready_after_refusing_counts_as_ready() {
    let (mut world, decided) = proposing();
    world
        .apply(Command::ProposalRefused {
            set_index: world.scene.set_index(0),
            round: 1,
        })
        .unwrap();
    let command = ready(&world, 0, &decided, 1);
    world.apply(command).unwrap();
    world
        .apply(Command::ProposalRefused {
            set_index: world.scene.set_index(1),
            round: 1,
        })
        .unwrap();
    assert_eq!(
        name(&world),
        PhaseName::Proposing,
        "three of four can still be ready"
    );
}

#[test]
fn a_proposal_without_q_answers_in_time_is_given_up() {
    let (mut world, _) = proposing();
    assert_eq!(world.task.wake_at_ms(), Some(world.now + 2_000));
    world.now += 2_000;
    world.apply(Command::Tick).unwrap();
    assert_eq!(name(&world), PhaseName::Working);
}

#[test]
fn m_signatures_settle_and_wrong_ones_do_not_count() {
    let (mut world, decided) = signing();
    let bad = signature(&world, 0, &OTHER_DIGEST);
    assert_eq!(world.apply(bad).unwrap_err(), Refused::BadSignature);
    let mut of_nobody = world.scene.settlement_signature(0, &decided.digest);
    of_nobody.set_index = 9;
    assert_eq!(
        world
            .apply(Command::SignatureSeen {
                signature: of_nobody
            })
            .unwrap_err(),
        Refused::BadSignature
    );
    for v in 0..2 {
        let command = signature(&world, v, &decided.digest);
        assert!(world.apply(command).unwrap().is_empty());
    }
    let again = signature(&world, 0, &decided.digest);
    assert_eq!(world.apply(again).unwrap_err(), Refused::Duplicate);
    let command = signature(&world, 2, &decided.digest);
    let effects = world.apply(command).unwrap();
    assert_eq!(name(&world), PhaseName::Settling);
    assert!(matches!(
        effects[..],
        [
            Effect::PlanSettle { .. },
            Effect::WatchVault,
            Effect::FetchOutput { .. }
        ]
    ));
}

#[test]
fn signatures_are_asked_for_again_and_those_that_came_outlive_a_proposal_that_was_given_up() {
    let (mut world, decided) = signing();
    for v in 0..2 {
        let command = signature(&world, v, &decided.digest);
        world.apply(command).unwrap();
    }
    for _ in 0..4 {
        assert_eq!(world.task.wake_at_ms(), Some(world.now + 1_000));
        world.now += 1_000;
        let effects = world.apply(Command::Tick).unwrap();
        assert_eq!(effects.len(), 2, "only those who have not signed are asked");
    }
    world.now += 1_000;
    let effects = world.apply(Command::Tick).unwrap();
    assert!(
        matches!(effects[..], [Effect::WatchVault]),
        "a payee may have settled"
    );
    assert_eq!(name(&world), PhaseName::Working);
    world.now = world.task.wake_at_ms().unwrap();
    world.apply(Command::Tick).unwrap();
    for v in 0..4 {
        let inventory = world.inventory_of(v);
        world.apply(inventory).unwrap();
    }
    for v in 0..3 {
        let command = ready(&world, v, &decided, 2);
        world.apply(command).unwrap();
    }
    let command = signature(&world, 3, &decided.digest);
    world.apply(command).unwrap();
    assert_eq!(
        name(&world),
        PhaseName::Settling,
        "two kept signatures and one new make three"
    );
}

#[test]
fn a_settlement_of_somebody_else_stops_bids_and_leases_and_collects() {
    for phase in [PhaseName::Bidding, PhaseName::Working] {
        let mut world = world_of(&[Worker::Gone, Worker::Gone]);
        world.run_to(phase);
        world
            .apply(Command::SettledSeen {
                settled: settled_by(Cid::of(b"theirs")),
            })
            .unwrap();
        assert_eq!(name(&world), PhaseName::Collecting);
        let again = world.apply(Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        });
        assert_eq!(again.unwrap_err(), Refused::Duplicate);
    }
}

#[test]
fn a_settlement_seen_while_validators_answer_is_noted_and_nothing_is_sent_to_the_chain() {
    let (mut world, decided) = signing();
    let settled = settled_by(decided.receipt_cid);
    assert!(
        world
            .apply(Command::SettledSeen { settled })
            .unwrap()
            .is_empty()
    );
    assert_eq!(name(&world), PhaseName::Signing);
    for v in 0..2 {
        let command = signature(&world, v, &decided.digest);
        world.apply(command).unwrap();
    }
    let command = signature(&world, 2, &decided.digest);
    let effects = world.apply(command).unwrap();
    assert!(
        matches!(effects[..], [Effect::FetchOutput { .. }]),
        "{effects:?}"
    );
    let cid = output_of(&world);
    world.apply(Command::OutputStored { cid }).unwrap();
    assert!(matches!(
        world.task.ending(),
        Some(Ending::Paid {
            output_stored: true,
            ..
        })
    ));
}

#[test]
fn a_settlement_by_another_receipt_ends_the_task_without_waiting_for_the_output() {
    let mut world = settling();
    world
        .apply(Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        })
        .unwrap();
    assert!(matches!(
        world.task.ending(),
        Some(Ending::SettledElsewhere { .. })
    ));
}

#[test]
fn a_task_settled_elsewhere_ends_when_no_validator_signs_any_more() {
    let silent = [Judge::Silent; 4];
    let mut world =
        World::new(Plot::new(TaskSpec::single(3, 4), &[Worker::Gone]).judged_by(&silent));
    world.run_to(PhaseName::Working);
    world
        .apply(Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        })
        .unwrap();
    world.run();
    assert!(matches!(
        world.task.ending(),
        Some(Ending::SettledElsewhere { .. })
    ));
    assert_eq!(
        world.now,
        world.scene.dossier.times().settle_by_s.0.cast_unsigned() * 1_000
    );
}

#[test]
fn a_paid_task_ends_when_the_chain_settled_and_the_output_is_stored_in_any_order() {
    for output_first in [true, false] {
        let mut world = settling();
        let settled = world.chain.settled.clone().unwrap();
        let commands = [
            Command::OutputStored {
                cid: output_of(&world),
            },
            Command::SettledSeen { settled },
        ];
        let order = if output_first { [0, 1] } else { [1, 0] };
        assert!(world.apply(commands[order[0]].clone()).is_ok());
        assert_eq!(name(&world), PhaseName::Settling);
        let again = world.apply(commands[order[0]].clone()).unwrap_err();
        assert_eq!(again, Refused::Duplicate);
        let effects = world.apply(commands[order[1]].clone()).unwrap();
        assert!(matches!(effects.last(), Some(Effect::Finish)));
        assert!(matches!(
            world.ending(),
            Ending::Paid {
                output_stored: true,
                ..
            }
        ));
    }
}

#[test]
fn another_output_than_the_paid_one_is_refused() {
    let mut world = settling();
    let other = world.apply(Command::OutputStored {
        cid: Cid::of(b"other"),
    });
    assert_eq!(other.unwrap_err(), Refused::OtherTask);
}

#[test]
fn settling_repeats_its_effects_after_growing_pauses() {
    let mut world = settling();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let wake = world.task.wake_at_ms().unwrap();
        pauses.push(wake - world.now);
        world.now = wake;
        let effects = world.apply(Command::Tick).unwrap();
        assert!(matches!(
            effects[..2],
            [Effect::PlanSettle { .. }, Effect::WatchVault]
        ));
    }
    assert_eq!(pauses, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
}

#[test]
fn settling_turns_to_the_sweep_at_refund_after_and_not_before() {
    let mut world = settling();
    let refund_after = world.scene.dossier.times().refund_after_s.0.cast_unsigned() * 1_000;
    world.run_to(PhaseName::Refunding);
    assert!(world.now >= refund_after);
}

#[test]
fn every_phase_before_settling_turns_to_the_sweep_exactly_at_refund_after() {
    for phase in [
        PhaseName::AwaitingDeposit,
        PhaseName::Bidding,
        PhaseName::Working,
        PhaseName::Collecting,
        PhaseName::Proposing,
        PhaseName::Signing,
    ] {
        let mut world = world_of(&[Worker::Honest(50)]);
        world.run_to(phase);
        world.now = world.scene.dossier.times().refund_after_s.0.cast_unsigned() * 1_000;
        let effects = world.apply(Command::Tick).unwrap();
        assert_eq!(name(&world), PhaseName::Refunding, "{phase:?}");
        assert!(effects.iter().any(|e| matches!(e, Effect::PlanSweep)));
    }
}

#[test]
fn an_empty_vault_ends_the_refund() {
    let mut world = refunding();
    let swept = Command::SweptSeen {
        transaction: "sweep".to_owned(),
        refunded: 100_000.into(),
    };
    let effects = world.apply(swept).unwrap();
    assert!(matches!(effects[..], [Effect::Finish]));
    assert!(matches!(world.task.ending(), Some(Ending::Refunded { .. })));
}

#[test]
fn a_settlement_found_at_the_sweep_ends_the_task_as_what_it_is() {
    let mut world = refunding();
    let ours = world.chain.settled.clone().unwrap();
    let mut theirs = world.clone();
    world.apply(Command::SettledSeen { settled: ours }).unwrap();
    assert!(matches!(world.task.ending(), Some(Ending::Paid { .. })));
    theirs
        .apply(Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        })
        .unwrap();
    assert!(matches!(
        theirs.task.ending(),
        Some(Ending::SettledElsewhere { .. })
    ));
}

#[test]
fn the_sweep_is_repeated_after_growing_pauses() {
    let mut world = refunding();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let wake = world.task.wake_at_ms().unwrap();
        pauses.push(wake - world.now);
        world.now = wake;
        let effects = world.apply(Command::Tick).unwrap();
        assert!(matches!(
            effects[..],
            [Effect::PlanSweep, Effect::WatchVault]
        ));
    }
    assert_eq!(
        pauses,
        [
            5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000
        ]
    );
}

fn bid_of(world: &World, worker: usize) -> Command {
    Command::BidPlaced {
        bid: world.bid(worker),
        penalty: 0,
        distinct_subnet: false,
    }
}

/// A command of every kind that its phase takes, by the phase that takes it.
fn one_of_each(world: &World) -> Vec<(Command, &'static [PhaseName])> {
    use PhaseName::{
        AwaitingDeposit, Bidding, Collecting, Proposing, Refunding, Settling, Signing, Working,
    };
    let lease = world.scene.lease_set(1, &[0]).remove(0);
    let claim = world.scene.claim(&lease, b"x");
    let decided = proposing().1;
    let lease_cid = lease.cid();
    vec![
        (
            Command::DepositFunded { at_ms: world.now },
            &[AwaitingDeposit],
        ),
        (Command::DepositShort, &[AwaitingDeposit]),
        (Command::DepositImpossible, &[AwaitingDeposit]),
        (bid_of(world, 7), &[Bidding, Working]),
        (
            Command::LeaseAccepted {
                accept: world.scene.accept(&lease),
            },
            &[Working],
        ),
        (Command::LeaseDeclined { lease_cid }, &[Working]),
        (Command::LeaseReturned { lease_cid }, &[Working]),
        (
            Command::ReceiptSeen {
                receipt: world
                    .scene
                    .verdict(0, &claim, d402_objects::Verdict::Accept),
                claim,
            },
            &[Bidding, Working, Collecting, Proposing, Signing, Settling],
        ),
        (world.inventory_of(0), &[Collecting]),
        (ready(world, 0, &decided, 1), &[Proposing]),
        (
            Command::MissingSeen {
                set_index: 0,
                round: 1,
                cids: Vec::new(),
            },
            &[Proposing],
        ),
        (
            Command::ProposalRefused {
                set_index: 0,
                round: 1,
            },
            &[Proposing],
        ),
        (signature(world, 0, &decided.digest), &[Signing]),
        (
            Command::SweptSeen {
                transaction: String::new(),
                refunded: 0.into(),
            },
            &[Refunding],
        ),
        (
            Command::OutputStored {
                cid: output_of(world),
            },
            &[Settling],
        ),
    ]
}

#[test]
fn a_command_is_refused_in_every_phase_that_does_not_take_it_and_everything_at_the_end() {
    for phase in [
        PhaseName::AwaitingDeposit,
        PhaseName::Bidding,
        PhaseName::Working,
        PhaseName::Collecting,
        PhaseName::Proposing,
        PhaseName::Signing,
        PhaseName::Settling,
        PhaseName::Refunding,
        PhaseName::Final,
    ] {
        let mut world = world_of(&[Worker::Honest(50)]);
        if matches!(phase, PhaseName::Settling | PhaseName::Refunding) {
            world = settling();
        }
        if phase == PhaseName::Final {
            world.run();
        } else {
            world.run_to(phase);
        }
        for (command, taken_in) in one_of_each(&world) {
            let refused = world.clone().apply(command.clone()).err();
            let is_phase = refused == Some(Refused::Phase { phase });
            assert_eq!(
                is_phase,
                !taken_in.contains(&phase),
                "{command:?} in {phase:?}: {refused:?}"
            );
        }
        let tick = world.clone().apply(Command::Tick).err();
        let settled = Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        };
        let settled = world.clone().apply(settled).err();
        if phase == PhaseName::Final {
            assert_eq!(tick, Some(Refused::Phase { phase }));
            assert_eq!(settled, Some(Refused::Phase { phase }));
            assert_eq!(world.task.wake_at_ms(), None);
        } else {
            assert_eq!(tick, Some(Refused::NothingDue));
            assert_eq!(settled, None);
        }
    }
}

#[test]
fn a_restart_repeats_what_is_outstanding_in_every_phase() {
    let kinds = |world: &World| -> Vec<String> {
        let effects = world.task.resume(world.now);
        let mut names: Vec<String> = effects
            .iter()
            .map(|e| {
                format!("{e:?}")
                    .chars()
                    .take_while(|c| c.is_alphanumeric())
                    .collect()
            })
            .collect();
        names.dedup();
        names
    };
    let mut world = world_of(&[Worker::Mute]);
    assert_eq!(kinds(&world), ["WatchDeposit"]);
    world.run_to(PhaseName::Bidding);
    assert_eq!(kinds(&world), ["OpenTask", "Announce"]);
    world.run_to(PhaseName::Working);
    assert_eq!(kinds(&world), ["OpenTask", "OfferLease"]);
    world.run_to(PhaseName::Collecting);
    assert_eq!(
        kinds(&world),
        ["OpenTask", "NotifyNoMoreLeases", "AskInventory"]
    );
    let (world, _) = proposing();
    assert_eq!(kinds(&world), ["Propose"]);
    let (world, _) = signing();
    assert_eq!(kinds(&world), ["AskSignature"]);
    assert_eq!(
        kinds(&settling()),
        ["PlanSettle", "WatchVault", "FetchOutput"]
    );
    assert_eq!(kinds(&refunding()), ["PlanSweep", "WatchVault"]);
}
