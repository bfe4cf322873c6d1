//! Failure edges: each ends, and nobody is paid who should not be.

use d402_objects::{OnSilence, ReputationKind};
use d402_settlement::market::testkit::TaskSpec;

use super::world::{Judge, Money, Plot, Worker, World};
use crate::market::{Ending, PhaseName};

use Worker::{Absent, Declines, Gone, Honest, Mute, Returns, Wrong};

const HONEST: Worker = Honest(50);

fn single(workers: &[Worker]) -> Plot {
    Plot::new(TaskSpec::single(3, 4), workers)
}

fn is_rejected(world: &World) -> bool {
    matches!(world.ending(), Ending::Rejected { .. })
}

fn is_paid_to(world: &World, workers: &[usize]) -> bool {
    matches!(world.ending(), Ending::Paid { .. }) && world.paid_workers() == workers
}

fn deadline(world: &World) -> u64 {
    world.scene.dossier.times().deadline_ms.get()
}

#[test]
fn without_bids_the_money_goes_back_right_after_the_deadline() {
    for spec in [
        TaskSpec::single(3, 4),
        TaskSpec::race(3, 4),
        TaskSpec::quorum(3, 4),
    ] {
        let world = Plot::new(spec, &[Absent, Absent]).run();
        assert!(is_rejected(&world));
        assert!(world.leases.is_empty());
        assert!((deadline(&world)..deadline(&world) + 3_000).contains(&world.now));
        assert!(
            world.journal.len() < 60,
            "windows grow while nobody bids: {}",
            world.journal.len()
        );
    }
}

#[test]
fn fewer_bidders_than_the_quorum_needs_lease_nothing() {
    let world = Plot::new(TaskSpec::quorum(3, 4), &[HONEST, Absent, Absent]).run();
    assert!(is_rejected(&world) && world.leases.is_empty());
}

#[test]
fn a_wrong_output_is_not_paid_and_the_next_bidder_gets_the_task() {
    let world = single(&[Wrong, HONEST]).run();
    assert!(is_paid_to(&world, &[1]));
    assert!(world.now < world.at(3_000));
}

#[test]
fn when_every_attempt_is_rejected_the_money_goes_back_before_the_deadline() {
    let world = single(&[Wrong, Wrong]).run();
    assert!(is_rejected(&world));
    assert!(
        world.now < world.at(3_000),
        "validators rejected all attempts: nothing to wait for"
    );
    assert_eq!(world.leases.len(), 2);
}

#[test]
fn when_every_claim_of_a_race_or_quorum_is_rejected_the_money_goes_back_before_the_deadline() {
    let quorum = Plot::new(TaskSpec::quorum(3, 4), &[Wrong, Wrong, Wrong]).run();
    assert!(is_rejected(&quorum));
    assert!(quorum.now < quorum.at(3_000));
    // The second racer may only reveal from commitBy + 2 s on.
    let race = Plot::new(TaskSpec::race(3, 4), &[Wrong, Wrong]).run();
    assert!(is_rejected(&race));
    assert!(race.now < deadline(&race));
}

#[test]
fn when_bids_run_out_the_money_goes_back_right_after_the_deadline() {
    for only in [Wrong, Returns, Declines, Mute, Gone] {
        let world = single(&[only]).run();
        assert!(is_rejected(&world), "{only:?}");
        assert!(world.now < deadline(&world) + 3_000, "{only:?}");
    }
}

#[test]
fn a_worker_that_is_gone_loses_its_lease_to_the_next_bidder_and_is_reported() {
    let world = single(&[Gone, HONEST]).run();
    assert!(is_paid_to(&world, &[1]));
    let expired = world
        .reports
        .iter()
        .filter(|r| r.kind == ReputationKind::LeaseExpired);
    assert_eq!(expired.count(), 1);
}

#[test]
fn a_worker_that_does_not_take_its_lease_is_passed_over() {
    for (first, within) in [(Mute, 4_000), (Declines, 2_000), (Returns, 2_000)] {
        let world = single(&[first, HONEST]).run();
        assert!(is_paid_to(&world, &[1]), "{first:?}");
        assert!(world.now < world.at(within), "{first:?}");
    }
}

#[test]
fn a_slow_worker_that_delivers_before_its_lease_ends_is_paid() {
    let world = single(&[Honest(10_000), HONEST]).run();
    assert!(is_paid_to(&world, &[0]));
}

#[test]
fn a_claim_after_the_lease_ended_is_late_and_not_paid() {
    let world = single(&[Honest(20_000), HONEST]).run();
    assert!(is_paid_to(&world, &[1]));
}

#[test]
fn a_race_whose_workers_are_all_slow_is_rejected_after_the_deadline_without_a_busy_loop() {
    let world = Plot::new(TaskSpec::race(3, 4), &[Honest(40_000), Honest(40_000)]).run();
    assert!(is_rejected(&world));
    assert!(world.journal.len() < 60, "{}", world.journal.len());
}

#[test]
fn split_validators_lead_to_the_next_bidder_and_then_to_a_decision() {
    let judges = [Judge::Liar, Judge::Liar, Judge::Honest, Judge::Honest];
    let world = single(&[HONEST, HONEST]).judged_by(&judges).run();
    assert_eq!(world.leases.len(), 2, "a split claim is no reason to wait");
    assert!(is_rejected(&world), "nobody reached m accepts");
    assert!(world.now >= world.scene.dossier.times().decide_at_ms.get());
}

#[test]
fn too_many_silent_validators_end_in_the_refund_at_refund_after() {
    let judges = [Judge::Silent, Judge::Silent, Judge::Honest, Judge::Honest];
    for spec in [
        TaskSpec::single(3, 4),
        TaskSpec::race(3, 4),
        TaskSpec::quorum(3, 4),
    ] {
        let world = Plot::new(spec, &[HONEST, HONEST, HONEST])
            .judged_by(&judges)
            .run();
        assert!(matches!(world.ending(), Ending::Refunded { .. }));
        let refund_after = world.scene.dossier.times().refund_after_s.0.cast_unsigned() * 1_000;
        assert!((refund_after..refund_after + 60_000).contains(&world.now));
        assert!(world.journal.len() < 150, "{}", world.journal.len());
    }
}

#[test]
fn validators_that_refuse_every_proposal_are_asked_a_bounded_number_of_times() {
    let judges = [Judge::Refuses, Judge::Refuses, Judge::Honest, Judge::Honest];
    let world = single(&[HONEST]).judged_by(&judges).run();
    assert!(matches!(world.ending(), Ending::Refunded { .. }));
    assert!(
        world
            .phases
            .iter()
            .filter(|p| **p == PhaseName::Proposing)
            .count()
            < 40
    );
    assert!(world.journal.len() < 500, "{}", world.journal.len());
}

#[test]
fn validators_that_never_sign_end_in_the_refund() {
    let judges = [
        Judge::NeverSigns,
        Judge::NeverSigns,
        Judge::Honest,
        Judge::Honest,
    ];
    let world = single(&[HONEST]).judged_by(&judges).run();
    assert!(matches!(world.ending(), Ending::Refunded { .. }));
}

#[test]
fn with_on_silence_majority_fewer_signatures_pay_from_settle_by_on() {
    let mut spec = TaskSpec::single(4, 5);
    spec.on_silence = OnSilence::Majority;
    let judges = [
        Judge::NeverSigns,
        Judge::NeverSigns,
        Judge::Honest,
        Judge::Honest,
        Judge::Honest,
    ];
    let world = Plot::new(spec, &[HONEST]).judged_by(&judges).run();
    assert!(is_paid_to(&world, &[0]));
    assert!(world.now >= world.scene.dossier.times().settle_by_s.0.cast_unsigned() * 1_000);
}

#[test]
fn a_late_deposit_is_rejected_and_nothing_is_leased() {
    let mut plot = single(&[HONEST]);
    plot.money = Money::At(25_000);
    let world = plot.run();
    assert!(is_rejected(&world) && world.leases.is_empty());
    assert!(world.now < world.at(26_000));
}

#[test]
fn a_late_deposit_that_validators_are_slow_to_see_is_asked_for_again_before_the_deadline() {
    let judges = [Judge::Refuses, Judge::Refuses, Judge::Honest, Judge::Honest];
    let mut plot = single(&[HONEST]).judged_by(&judges);
    plot.spec.window_ms = 600_000;
    plot.money = Money::At(120_000);
    let mut world = World::new(plot);
    let rounds = |world: &World| {
        world
            .phases
            .iter()
            .filter(|p| **p == PhaseName::Proposing)
            .count()
    };
    while rounds(&world) < 4 {
        world.step();
    }
    assert!(world.now < world.at(130_000));
}

#[test]
fn a_short_deposit_is_asked_back_and_refunded_whatever_validators_can_do() {
    let mut plot = single(&[HONEST]);
    plot.money = Money::Short;
    let world = plot.run();
    assert!(is_rejected(&world) && world.leases.is_empty());
}

#[test]
fn a_payment_that_can_never_work_ends_at_once() {
    let mut plot = single(&[HONEST]);
    plot.money = Money::Impossible;
    let world = plot.run();
    assert!(matches!(world.ending(), Ending::Unfunded));
}

#[test]
fn a_deposit_nobody_ever_learns_about_is_swept_at_refund_after() {
    let mut plot = single(&[HONEST]);
    plot.money = Money::Unknown;
    let world = plot.run();
    assert!(matches!(world.ending(), Ending::Refunded { .. }));
    assert!(world.journal.len() < 60);
}

#[test]
fn a_deposit_in_time_that_is_seen_too_late_to_lease_is_rejected_after_the_deadline() {
    let mut plot = single(&[HONEST]);
    plot.deaf_until = 25_900;
    let world = plot.run();
    assert!(is_rejected(&world) && world.leases.is_empty());
}

#[test]
fn a_lost_settlement_answer_is_looked_for_until_the_chain_shows_it() {
    let mut world = World::new(single(&[HONEST]));
    world.run_to(PhaseName::Signing);
    world.plot.deaf_until = 60_000;
    world.run();
    assert!(is_paid_to(&world, &[0]));
    assert!(world.now >= world.at(60_000));
}

#[test]
fn a_task_that_a_payee_settled_ends_without_a_receipt_of_the_gateways_own() {
    let mut plot = single(&[HONEST]);
    plot.payee_settles = true;
    let world = plot.run();
    assert!(matches!(world.ending(), Ending::SettledElsewhere { .. }));
    assert_eq!(world.paid_workers(), [0]);
    let sign_until = world.scene.dossier.times().settle_by_s.0.cast_unsigned() * 1_000;
    assert!(
        world.now <= sign_until,
        "nobody signs after settleBy: no reason to wait for the refund"
    );
}

#[test]
fn a_chain_that_takes_no_settlement_refunds_at_refund_after() {
    let mut plot = single(&[HONEST]);
    plot.chain_refuses = true;
    let world = plot.run();
    assert!(matches!(world.ending(), Ending::Refunded { .. }));
}

#[test]
fn a_settlement_found_while_refunding_ends_the_task_as_paid() {
    let mut plot = single(&[HONEST]);
    plot.deaf_until = 1_000_000;
    let mut world = World::new(plot);
    world.plot.deaf_until = 0;
    let at_ms = world.at(200);
    world
        .apply(crate::Command::DepositFunded { at_ms })
        .unwrap();
    world.run_to(PhaseName::Settling);
    world.plot.deaf_until = 1_000_000;
    world.run_to(PhaseName::Refunding);
    world.run();
    assert!(is_paid_to(&world, &[0]));
}

#[test]
fn an_output_nobody_gives_does_not_keep_the_task_open_beyond_refund_after() {
    let mut plot = single(&[HONEST]);
    plot.output_lost = true;
    let world = plot.run();
    assert!(matches!(
        world.ending(),
        Ending::Paid {
            output_stored: false,
            ..
        }
    ));
    assert!(world.journal.len() < 80, "{}", world.journal.len());
}

#[test]
fn a_bidder_that_comes_late_still_gets_the_task() {
    let mut world = World::new(single(&[Absent, HONEST]));
    world.plot.workers[1] = Absent;
    while world.now < world.at(10_000) {
        world.step();
    }
    world.plot.workers[1] = HONEST;
    let bid = world.bid(1);
    let asked = world.now;
    world
        .apply(crate::Command::BidPlaced {
            bid,
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap();
    world.run();
    assert!(is_paid_to(&world, &[1]));
    assert!(
        world.now < asked + 2_000,
        "a long window shrinks once the bids suffice"
    );
}

#[test]
fn a_bid_after_a_failed_attempt_is_leased_at_once() {
    let mut world = World::new(single(&[Wrong, Absent]));
    while !world
        .reports
        .iter()
        .any(|r| r.kind == ReputationKind::ClaimRejected)
    {
        world.step();
    }
    assert_eq!(world.task.phase().name(), PhaseName::Working);
    world.plot.workers[1] = HONEST;
    let bid = world.bid(1);
    world
        .apply(crate::Command::BidPlaced {
            bid,
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap();
    assert_eq!(world.leases.len(), 2);
    world.run();
    assert!(is_paid_to(&world, &[1]));
}
