//! Tasks that are paid straight: when the buyer's authorization is used, and when it never is.

use d402_objects::{Amount, Outcome, Signed};
use d402_settlement::market::testkit::TaskSpec;

use super::transitions::{name, settled_by};
use super::world::{Judge, Money, Plot, Worker, World};
use crate::market::refused::BidFault;
use crate::market::{Ending, Phase, PhaseName, Refused};
use crate::ports::Uncollectable;
use crate::{Command, Effect};

const HONEST: Worker = Worker::Honest(50);

fn plot(worker: Worker) -> Plot {
    // Nothing is ever in the vault of these terms, and nothing executes their receipts.
    let mut plot = Plot::new(TaskSpec::direct(3, 4), &[worker]);
    plot.money = Money::Unknown;
    plot.chain_refuses = true;
    plot
}

fn settling() -> World {
    let mut world = World::new(plot(HONEST));
    world.run_to(PhaseName::Settling);
    world
}

fn plans(effects: &[Effect]) -> usize {
    let money = |e: &&Effect| matches!(e, Effect::PlanSettle { .. } | Effect::PlanSweep);
    effects.iter().filter(money).count()
}

fn receipt_cid(world: &World) -> d402_objects::Cid {
    let Phase::Settling { receipt } = world.task.phase() else {
        panic!("{:?}", world.task.phase());
    };
    receipt.receipt_cid()
}

#[test]
fn a_direct_payment_is_planned_by_the_step_that_completes_a_paid_receipt_and_by_no_other() {
    let mut world = World::new(plot(HONEST));
    assert_eq!(name(&world), PhaseName::Bidding, "nothing is deposited");
    while name(&world) != PhaseName::Settling {
        assert_eq!(
            plans(&world.task.resume(world.now)),
            0,
            "{:?}",
            world.phases
        );
        assert_eq!(world.task.payment().body.as_ref(), "payment");
        world.step();
    }
    let effects = world.task.resume(world.now);
    assert!(
        matches!(effects[..], [Effect::PlanSettle { .. }, Effect::WatchVault]),
        "the output is not asked for before the money moved: {effects:?}"
    );
    assert!(!world.task.has_payment());
}

#[test]
fn threat_15_the_result_of_a_direct_task_is_fetched_once_the_payment_is_seen() {
    let mut world = settling();
    let receipt_cid = receipt_cid(&world);
    let mut settled = settled_by(receipt_cid);
    settled.refunded = Amount::ZERO;
    let effects = world.apply(Command::SettledSeen { settled }).unwrap();
    assert!(
        matches!(effects[..], [Effect::FetchOutput { .. }]),
        "{effects:?}"
    );
    assert!(world.task.has_payment());
    world.run();
    let Some(Ending::Paid { output_stored, .. }) = world.task.ending() else {
        panic!("{:?}", world.task.ending());
    };
    assert!(output_stored);
}

#[test]
fn rejected_direct_work_ends_at_once_and_nothing_is_submitted() {
    let mut world = World::new(plot(Worker::Wrong));
    world.run();
    let Some(Ending::NotCharged {
        receipt: Some(receipt),
    }) = world.task.ending()
    else {
        panic!("{:?}", world.task.ending());
    };
    assert_eq!(receipt.receipt().outcome, Outcome::Rejected);
    assert!(receipt.receipt().rows.is_empty());
    assert!(!world.phases.contains(&PhaseName::Settling));
    assert_eq!(world.finished, 1);
}

#[test]
fn silent_validators_of_a_direct_task_end_it_at_settle_by_and_nothing_is_submitted() {
    let silent = [Judge::Silent, Judge::Silent, Judge::Honest, Judge::Honest];
    let mut world = World::new(plot(HONEST).judged_by(&silent));
    let settle_by = world.scene.dossier.times().settle_by_s.0.cast_unsigned() * 1_000;
    world.run();
    let ending = world.task.ending();
    assert!(
        matches!(ending, Some(Ending::NotCharged { receipt: None })),
        "{ending:?}"
    );
    assert_eq!(world.now, settle_by);
    assert!(
        !world.phases.contains(&PhaseName::Refunding),
        "nothing to sweep"
    );
}

#[test]
fn threat_71_a_direct_payment_that_can_never_take_effect_ends_the_task_as_uncollected() {
    for why in [Uncollectable::Spent, Uncollectable::Expired] {
        let mut world = settling();
        let effects = world.apply(Command::PaymentImpossible { why }).unwrap();
        assert!(matches!(effects[..], [Effect::Finish]), "{effects:?}");
        let Some(Ending::Uncollected { why: got, .. }) = world.task.ending() else {
            panic!("{:?}", world.task.ending());
        };
        assert_eq!(*got, why);
        assert_eq!(world.task.output(), None, "no result for no money");
    }
    let why = Uncollectable::Spent;
    let mut early = World::new(plot(HONEST));
    let refused = early.apply(Command::PaymentImpossible { why }).unwrap_err();
    assert_eq!(
        refused,
        Refused::Phase {
            phase: PhaseName::Bidding
        }
    );
    let mut late = settling();
    let settled = settled_by(receipt_cid(&late));
    late.apply(Command::SettledSeen { settled }).unwrap();
    let refused = late.apply(Command::PaymentImpossible { why }).unwrap_err();
    assert_eq!(refused, Refused::Duplicate, "what moved cannot be undone");
    let mut vault = World::new(Plot::new(TaskSpec::single(3, 4), &[HONEST]));
    vault.run_to(PhaseName::Settling);
    assert!(vault.apply(Command::PaymentImpossible { why }).is_err());
}

#[test]
fn an_accepted_direct_payment_is_looked_for_until_the_chain_is_sure_and_never_swept() {
    let mut world = settling();
    let over = world.scene.dossier.times().refund_after_s.0.cast_unsigned() * 1_000;
    while world.now < over + 600_000 {
        world.now = world.task.wake_at_ms().unwrap();
        let effects = world.apply(Command::Tick).unwrap();
        assert!(
            matches!(effects[..], [Effect::PlanSettle { .. }, Effect::WatchVault]),
            "{effects:?}"
        );
    }
    assert_eq!(name(&world), PhaseName::Settling);
}

#[test]
fn only_the_chosen_worker_bids_on_a_direct_task_its_whole_price_to_its_own_account() {
    let mut world = World::new(plot(Worker::Absent));
    let bid = |change: fn(&mut d402_objects::Bid), worker: usize, world: &World| {
        let mut bid = world.scene.bid(worker).payload().clone();
        change(&mut bid);
        Command::BidPlaced {
            bid: Signed::sign(bid, &world.scene.actors.workers[worker].key).unwrap(),
            penalty: 0,
            distinct_subnet: false,
        }
    };
    let other = bid(|_| {}, 1, &world);
    assert_eq!(world.apply(other).unwrap_err(), Refused::Stranger);
    let less = bid(|b| b.price = Amount::from(99_999), 0, &world);
    let price = Refused::Bid(BidFault::Price);
    assert_eq!(world.apply(less).unwrap_err(), price);
    let elsewhere = bid(
        |b| b.payout.address = d402_objects::Address::new("77".repeat(32)).unwrap(),
        0,
        &world,
    );
    let payout = Refused::Bid(BidFault::Payout);
    assert_eq!(world.apply(elsewhere).unwrap_err(), payout);
    let own = bid(|_| {}, 0, &world);
    let effects = world.apply(own).unwrap();
    assert!(
        matches!(effects[..], [Effect::OfferLease { .. }]),
        "no window is waited for: {effects:?}"
    );
    let announced = world
        .task
        .announcement("node".parse().unwrap(), Vec::new(), world.now);
    assert_eq!(announced.worker, Some(world.scene.actors.workers[0].id()));
}

#[test]
fn a_gateway_that_dies_in_any_phase_of_a_direct_task_comes_back_to_the_same() {
    let mut world = World::new(plot(HONEST));
    while name(&world) != PhaseName::Settling {
        let live = format!("{:?}", world.task);
        assert_eq!(format!("{:?}", world.replayed()), live);
        world.crash();
        world.step();
    }
    assert_eq!(world.replayed().payment().body.as_ref(), "payment");
    let settled = settled_by(receipt_cid(&world));
    world.apply(Command::SettledSeen { settled }).unwrap();
    world.crash();
    world.run();
    assert!(matches!(world.task.ending(), Some(Ending::Paid { .. })));
}
