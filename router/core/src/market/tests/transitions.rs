//! Rows of the table up to the validators' verdicts: money, bids, leases, receipts. One test per row.

use d402_objects::{Amount, Bid, Cid, Hex32, Signed, Verdict};
use d402_settlement::market::testkit::TaskSpec;

use super::world::{Money, Plot, Worker, World};
use crate::market::refused::BidFault;
use crate::market::{
    BID_WINDOW_MS, Ending, MAX_BIDS, MAX_BIDS_TAKEN, PhaseName, Refused, SlotState,
};
use crate::ports::Settled;
use crate::{Command, Effect};

use Worker::{Absent, Gone, Honest, Mute, Wrong};

const HONEST: Worker = Honest(50);

pub(super) fn world_of(workers: &[Worker]) -> World {
    World::new(Plot::new(TaskSpec::single(3, 4), workers))
}

/// A task whose deposit is not known yet.
fn unpaid() -> World {
    let mut plot = Plot::new(TaskSpec::single(3, 4), &[HONEST, HONEST]);
    plot.money = Money::Unknown;
    World::new(plot)
}

pub(super) fn settled_by(receipt_cid: Cid) -> Settled {
    Settled {
        receipt_cid,
        transaction: "theirs".to_owned(),
        height: 1,
        paid: Vec::new(),
        refunded: Amount::default(),
    }
}

pub(super) fn name(world: &World) -> PhaseName {
    world.task.phase().name()
}

fn funded(world: &mut World) -> Vec<Effect> {
    let at_ms = world.now;
    world.apply(Command::DepositFunded { at_ms }).unwrap()
}

fn opened(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|e| matches!(e, Effect::OpenTask { .. }))
        .count()
}

#[test]
fn a_deposit_before_fund_by_opens_the_bidding() {
    let mut world = unpaid();
    let fund_by = world.scene.dossier.times().fund_by_ms.get();
    let effects = world
        .apply(Command::DepositFunded { at_ms: fund_by - 1 })
        .unwrap();
    assert_eq!(name(&world), PhaseName::Bidding);
    assert_eq!(opened(&effects), 4);
    assert!(
        matches!(effects[4], Effect::Announce { bid_until_ms } if bid_until_ms == world.now + BID_WINDOW_MS)
    );
}

#[test]
fn a_deposit_exactly_at_fund_by_is_late_and_validators_are_asked_for_a_rejection() {
    let mut world = unpaid();
    let at_ms = world.scene.dossier.times().fund_by_ms.get();
    let effects = world.apply(Command::DepositFunded { at_ms }).unwrap();
    assert_eq!(name(&world), PhaseName::Collecting);
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::NotifyNoMoreLeases { .. }))
    );
    assert_eq!(
        effects
            .iter()
            .filter(|e| matches!(e, Effect::AskInventory { .. }))
            .count(),
        4
    );
    assert!(!effects.iter().any(|e| matches!(e, Effect::Announce { .. })));
}

#[test]
fn a_deposit_of_a_task_already_settled_leases_nothing() {
    let mut world = unpaid();
    world
        .apply(Command::SettledSeen {
            settled: settled_by(Cid::of(b"theirs")),
        })
        .unwrap();
    assert_eq!(name(&world), PhaseName::AwaitingDeposit);
    funded(&mut world);
    assert_eq!(name(&world), PhaseName::Collecting);
}

#[test]
fn a_short_deposit_counts_from_fund_by_on() {
    let mut world = unpaid();
    let fund_by = world.scene.dossier.times().fund_by_ms.get();
    world.now = fund_by - 1;
    assert_eq!(
        world.apply(Command::DepositShort).unwrap_err(),
        Refused::NothingDue
    );
    world.now = fund_by;
    world.apply(Command::DepositShort).unwrap();
    assert_eq!(name(&world), PhaseName::Collecting);
}

#[test]
fn an_impossible_payment_ends_the_task() {
    let mut world = unpaid();
    let effects = world.apply(Command::DepositImpossible).unwrap();
    assert!(matches!(effects[..], [Effect::Finish]));
    assert!(matches!(world.task.ending(), Some(Ending::Unfunded)));
}

#[test]
fn the_deposit_is_looked_for_again_after_growing_pauses() {
    let mut world = unpaid();
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let wake = world.task.wake_at_ms().unwrap();
        pauses.push(wake - world.now);
        world.now = wake;
        let effects = world.apply(Command::Tick).unwrap();
        assert!(matches!(effects[..], [Effect::WatchDeposit]));
    }
    assert_eq!(pauses, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
}

#[test]
fn bids_of_other_tasks_over_budget_expired_or_for_a_forbidden_wallet_are_refused() {
    let mut world = world_of(&[HONEST]);
    world.run_to(PhaseName::Bidding);
    let key = &world.scene.actors.workers[0].key.clone();
    let good = world.bid(0).payload().clone();
    let max = world.task.max_price();
    // 100,000 budget less 10,000 fee cap, of which 2 % is the gateway's.
    assert_eq!(max.get(), 90_000 * 10_000 / 10_200);
    let now = d402_objects::UnixMs::new(world.now).unwrap();
    let changed = |change: &dyn Fn(&mut Bid)| {
        let mut bid = good.clone();
        change(&mut bid);
        Command::BidPlaced {
            bid: Signed::sign(bid, key).unwrap(),
            penalty: 0,
            distinct_subnet: false,
        }
    };
    let refund_to = world.scene.dossier.payment().refund_to.clone();
    let cases: [(Command, Refused); 5] = [
        (
            changed(&|b| b.task_id = Cid::of(b"other")),
            Refused::OtherTask,
        ),
        (
            changed(&|b| b.terms_hash = Hex32::from_bytes([1; 32])),
            Refused::OtherTask,
        ),
        (
            changed(&|b| b.price = Amount::new(max.get() + 1).unwrap()),
            Refused::Bid(BidFault::Price),
        ),
        (
            changed(&|b| b.valid_until_ms = now),
            Refused::Bid(BidFault::Expired),
        ),
        (
            changed(&|b| b.payout.address = refund_to.clone()),
            Refused::Bid(BidFault::Payout),
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(world.apply(command).unwrap_err(), expected);
    }
    world
        .apply(changed(&|b| b.price = max))
        .expect("the highest price that fits is taken");
}

#[test]
fn a_quorum_bid_must_fit_the_budget_with_all_its_rivals() {
    let world = World::new(Plot::new(TaskSpec::quorum(3, 4), &[]));
    assert_eq!(world.task.max_price().get(), 90_000 * 10_000 / 10_200 / 3);
}

#[test]
fn a_worker_has_one_bid_and_only_a_newer_one_replaces_it() {
    let mut world = world_of(&[Absent]);
    world.run_to(PhaseName::Bidding);
    let first = world.bid(0);
    world
        .apply(Command::BidPlaced {
            bid: first.clone(),
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap();
    let again = world.apply(Command::BidPlaced {
        bid: first.clone(),
        penalty: 0,
        distinct_subnet: false,
    });
    assert_eq!(again.unwrap_err(), Refused::Duplicate);
    let mut newer = first.payload().clone();
    newer.seq += 1;
    let newer = Signed::sign(newer, &world.scene.actors.workers[0].key).unwrap();
    world
        .apply(Command::BidPlaced {
            bid: newer.clone(),
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap();
    assert_eq!(
        world.task.bids().map(Signed::cid).collect::<Vec<_>>(),
        [newer.cid()]
    );
}

#[test]
fn bids_are_bounded_and_a_better_one_takes_the_place_of_the_worst() {
    let mut world = world_of(&[Absent]);
    world.run_to(PhaseName::Bidding);
    let template = world.bid(0).payload().clone();
    let bid_of = |index: usize, price: u64| {
        let key = d402_settlement::market::testkit::key("crowd", index);
        let mut bid = template.clone();
        bid.worker = (&key).into();
        bid.payout.address = d402_settlement::market::testkit::wallet("crowd", index);
        bid.price = price.into();
        Command::BidPlaced {
            bid: Signed::sign(bid, &key).unwrap(),
            penalty: 0,
            distinct_subnet: false,
        }
    };
    for index in 0..MAX_BIDS {
        world.apply(bid_of(index, 1_000)).unwrap();
    }
    assert_eq!(
        world.apply(bid_of(900, 1_001)).unwrap_err(),
        Refused::TooManyBids
    );
    let mut index = 1_000;
    while world.apply(bid_of(index, 2_000 - index as u64)).is_ok() {
        index += 1;
    }
    assert_eq!(
        index - 1_000 + MAX_BIDS,
        MAX_BIDS_TAKEN,
        "what bids add to a journal is bounded"
    );
    assert_eq!(world.task.bids().count(), MAX_BIDS);
}

#[test]
fn the_end_of_the_window_leases_the_cheapest_bidder() {
    let mut world = world_of(&[HONEST, HONEST]);
    world.run_to(PhaseName::Bidding);
    while name(&world) == PhaseName::Bidding {
        world.step();
    }
    assert_eq!(name(&world), PhaseName::Working);
    assert_eq!(world.leases.len(), 1);
    assert_eq!(world.leases[0].worker, world.scene.actors.workers[0].id());
}

#[test]
fn a_penalised_worker_bids_behind_the_others() {
    let mut world = world_of(&[Absent, Absent]);
    world.run_to(PhaseName::Bidding);
    for (worker, penalty) in [(0, 1_000), (1, 0)] {
        let bid = world.bid(worker);
        world
            .apply(Command::BidPlaced {
                bid,
                penalty,
                distinct_subnet: false,
            })
            .unwrap();
    }
    world.run_to(PhaseName::Working);
    assert_eq!(world.leases[0].worker, world.scene.actors.workers[1].id());
}

#[test]
fn one_wallet_gets_one_lease_of_a_set() {
    let mut world = World::new(Plot::new(TaskSpec::race(3, 4), &[Absent]));
    world.run_to(PhaseName::Bidding);
    let mut twin = world.bid(1).payload().clone();
    twin.payout = world.scene.payout(0);
    let twin = Signed::sign(twin, &world.scene.actors.workers[1].key).unwrap();
    for bid in [world.bid(0), twin] {
        world
            .apply(Command::BidPlaced {
                bid,
                penalty: 0,
                distinct_subnet: false,
            })
            .unwrap();
    }
    world.run_to(PhaseName::Working);
    assert_eq!(world.leases.len(), 1);
}

/// The bid of a worker whose node says it is at this address.
fn bid_from(world: &World, worker: usize, address: &str) -> Command {
    let mut bid = world.bid(worker).payload().clone();
    bid.addresses = vec![address.parse().unwrap()];
    Command::BidPlaced {
        bid: Signed::sign(bid, &world.scene.actors.workers[worker].key).unwrap(),
        penalty: 0,
        distinct_subnet: true,
    }
}

fn leases_of_bids_from(addresses: [&str; 3]) -> usize {
    let mut spec = TaskSpec::race(3, 4);
    spec.fanout = 3;
    let mut world = World::new(Plot::new(spec, &[Absent, Absent, Absent]));
    world.run_to(PhaseName::Bidding);
    for (worker, address) in addresses.into_iter().enumerate() {
        let bid = bid_from(&world, worker, address);
        world.apply(bid).unwrap();
    }
    world.run_to(PhaseName::Working);
    world.leases.len()
}

#[test]
fn threat_31_one_network_gets_one_lease_of_a_set_where_the_policy_wants_it() {
    let apart = [
        "/ip4/1.2.3.4/tcp/1",
        "/ip4/1.2.4.4/tcp/1",
        "/ip6/2600:1:2::1/tcp/1",
    ];
    assert_eq!(leases_of_bids_from(apart), 3);
    let twins = [
        "/ip4/1.2.3.4/tcp/1",
        "/ip4/1.2.3.200/tcp/9",
        "/ip4/5.6.7.8/tcp/1",
    ];
    assert_eq!(leases_of_bids_from(twins), 2);
    let hidden = [
        "/ip4/10.0.0.1/tcp/1",
        "/ip4/192.168.0.1/tcp/1",
        "/dns4/x.example/tcp/1",
    ];
    assert_eq!(leases_of_bids_from(hidden), 1, "no address is no way out");
}

#[test]
fn a_window_that_ended_while_no_gateway_ran_is_opened_again_by_the_one_that_takes_over() {
    let mut world = world_of(&[Absent]);
    world.run_to(PhaseName::Bidding);
    // The gateway died; a tick it had leased is another instance's only after a while.
    world.now = world.task.wake_at_ms().unwrap() + 9_000;
    let effects = world.apply(Command::Tick).unwrap();
    assert!(matches!(effects[..], [Effect::Announce { bid_until_ms }] if bid_until_ms > world.now));
    let bid = world.bid(0);
    world
        .apply(Command::BidPlaced {
            bid,
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap();
    world.run_to(PhaseName::Working);
    assert_eq!(world.leases.len(), 1);
}

#[test]
fn a_window_without_enough_bids_opens_a_longer_one_and_announces_again() {
    let mut world = world_of(&[Absent]);
    world.run_to(PhaseName::Bidding);
    world.now = world.task.wake_at_ms().unwrap();
    let effects = world.apply(Command::Tick).unwrap();
    assert!(
        matches!(effects[..], [Effect::Announce { bid_until_ms }] if bid_until_ms == world.now + 2 * BID_WINDOW_MS)
    );
    assert_eq!(name(&world), PhaseName::Bidding);
}

#[test]
fn bidding_ends_without_leases_when_none_could_be_worked_any_more() {
    let mut world = world_of(&[Absent]);
    world.run_to(PhaseName::Working);
    assert!(world.now < world.scene.dossier.times().commit_by_ms.get());
    assert!(
        world
            .task
            .resume(world.now)
            .iter()
            .any(|e| matches!(e, Effect::NotifyNoMoreLeases { .. }))
    );
}

#[test]
fn a_lease_is_taken_once_and_by_its_own_worker() {
    let mut world = world_of(&[Mute, Mute]);
    world.run_to(PhaseName::Working);
    let lease = world.leases[0].clone();
    let accept = world.accept(&lease);
    let mut stranger = accept.payload().clone();
    stranger.worker = world.scene.actors.workers[1].id();
    let stranger = Signed::sign(stranger, &world.scene.actors.workers[1].key).unwrap();
    assert_eq!(
        world
            .apply(Command::LeaseAccepted { accept: stranger })
            .unwrap_err(),
        Refused::Stranger
    );
    world
        .apply(Command::LeaseAccepted {
            accept: accept.clone(),
        })
        .unwrap();
    assert_eq!(
        world.task.lease_sets()[0].slots[0].state,
        SlotState::Accepted
    );
    assert_eq!(
        world.apply(Command::LeaseAccepted { accept }).unwrap_err(),
        Refused::NoSuchLease
    );
}

#[test]
fn a_declined_lease_goes_to_the_next_bidder() {
    let mut world = world_of(&[Mute, Mute]);
    world.run_to(PhaseName::Working);
    let lease_cid = world.task.lease_sets()[0].slots[0].cid;
    world.apply(Command::LeaseDeclined { lease_cid }).unwrap();
    assert_eq!(world.leases.len(), 2);
    assert_eq!(world.leases[1].attempt, 2);
    assert_eq!(world.leases[1].worker, world.scene.actors.workers[1].id());
    assert_eq!(
        world
            .apply(Command::LeaseDeclined { lease_cid })
            .unwrap_err(),
        Refused::NoSuchLease
    );
}

#[test]
fn a_returned_lease_goes_to_the_next_bidder_once() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    world.step();
    let lease_cid = world.task.lease_sets()[0].slots[0].cid;
    assert_eq!(
        world.task.lease_sets()[0].slots[0].state,
        SlotState::Accepted
    );
    world.apply(Command::LeaseReturned { lease_cid }).unwrap();
    assert_eq!(world.leases.len(), 2);
    assert_eq!(
        world
            .apply(Command::LeaseReturned { lease_cid })
            .unwrap_err(),
        Refused::NoSuchLease
    );
}

#[test]
fn an_offer_without_an_answer_counts_as_declined() {
    let mut world = world_of(&[Mute, Mute]);
    world.run_to(PhaseName::Working);
    let since = world.task.lease_sets()[0].since_ms;
    assert_eq!(world.task.wake_at_ms(), Some(since + 1_500));
    world.now = since + 1_500;
    world.apply(Command::Tick).unwrap();
    assert_eq!(
        world.task.lease_sets()[0].slots[0].state,
        SlotState::Declined
    );
    assert_eq!(world.leases.len(), 2);
}

#[test]
fn the_leases_of_single_share_the_time_that_is_left() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    let commit_by = world.scene.dossier.times().commit_by_ms.get();
    let since = world.task.lease_sets()[0].since_ms;
    world.step();
    assert_eq!(
        world.leases[0].expires_at_ms.get(),
        since + (commit_by - since) / 2
    );
    world.now = world.leases[0].expires_at_ms.get() - 1;
    assert_eq!(world.apply(Command::Tick).unwrap_err(), Refused::NothingDue);
    world.now += 1;
    world.apply(Command::Tick).unwrap();
    assert_eq!(world.leases[1].expires_at_ms.get(), commit_by);
}

fn judged(world: &World, validator: usize, verdict: Verdict) -> Command {
    let lease = Signed::sign(world.leases[0].clone(), &world.scene.actors.gateway).unwrap();
    let claim = world.scene.claim(&lease, b"anything");
    Command::ReceiptSeen {
        receipt: world.scene.verdict(validator, &claim, verdict),
        claim,
    }
}

#[test]
fn a_receipt_counts_once_per_validator_and_a_lease_has_at_most_two_claims() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    let receipt = judged(&world, 0, Verdict::Accept);
    world.apply(receipt.clone()).unwrap();
    assert_eq!(world.apply(receipt).unwrap_err(), Refused::Duplicate);
    let changed_mind = judged(&world, 0, Verdict::Reject);
    assert_eq!(world.apply(changed_mind).unwrap_err(), Refused::Duplicate);
    let lease = Signed::sign(world.leases[0].clone(), &world.scene.actors.gateway).unwrap();
    for (output, known) in [(&b"two"[..], true), (b"three", false)] {
        let claim = world.scene.claim(&lease, output);
        let receipt = world.scene.verdict(1, &claim, Verdict::Accept);
        assert_eq!(
            world.apply(Command::ReceiptSeen { receipt, claim }).is_ok(),
            known
        );
    }
}

#[test]
fn a_receipt_for_no_lease_of_this_task_or_by_a_stranger_is_refused() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    let foreign = world.scene.lease_set(1, &[5]).remove(0);
    let claim = world.scene.claim(&foreign, b"anything");
    let receipt = world.scene.verdict(0, &claim, Verdict::Accept);
    assert_eq!(
        world
            .apply(Command::ReceiptSeen { receipt, claim })
            .unwrap_err(),
        Refused::NoSuchLease
    );
    let Command::ReceiptSeen { receipt, claim } = judged(&world, 0, Verdict::Accept) else {
        unreachable!()
    };
    let mut payload = receipt.payload().clone();
    payload.validator = world.scene.actors.workers[0].id();
    let receipt = Signed::sign(payload, &world.scene.actors.workers[0].key).unwrap();
    assert_eq!(
        world
            .apply(Command::ReceiptSeen { receipt, claim })
            .unwrap_err(),
        Refused::Stranger
    );
}

#[test]
fn all_accepts_start_collecting_at_once_and_m_of_them_after_the_stragglers_time() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    world.step();
    for validator in 0..3 {
        let receipt = judged(&world, validator, Verdict::Accept);
        world.apply(receipt).unwrap();
    }
    let mut late = world.clone();
    assert_eq!(late.task.wake_at_ms(), Some(late.now + 2_000));
    late.now += 2_000;
    late.apply(Command::Tick).unwrap();
    assert_eq!(name(&late), PhaseName::Collecting);
    let receipt = judged(&world, 3, Verdict::Reject);
    world.apply(receipt).unwrap();
    assert_eq!(name(&world), PhaseName::Collecting);
}

#[test]
fn m_rejects_lease_the_next_bidder_and_are_reported() {
    let mut world = world_of(&[Gone, Gone]);
    world.run_to(PhaseName::Working);
    world.step();
    for validator in 0..3 {
        assert_eq!(world.leases.len(), 1);
        let receipt = judged(&world, validator, Verdict::Reject);
        world.apply(receipt).unwrap();
    }
    assert_eq!(world.leases.len(), 2);
    assert_eq!(world.reports.len(), 1);
}

#[test]
fn a_failed_attempt_without_other_bids_is_announced_again_after_growing_pauses() {
    let mut world = world_of(&[Worker::Declines]);
    world.run_to(PhaseName::Working);
    world.plot.workers.clear();
    let lease_cid = world.task.lease_sets()[0].slots[0].cid;
    let effects = world.apply(Command::LeaseDeclined { lease_cid }).unwrap();
    let mut announced = vec![effects];
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let wake = world.task.wake_at_ms().unwrap();
        pauses.push(wake - world.now);
        world.now = wake;
        announced.push(world.apply(Command::Tick).unwrap());
    }
    assert!(
        announced
            .iter()
            .all(|e| matches!(e[..], [Effect::Announce { .. }]))
    );
    assert_eq!(pauses, [800, 1_600, 3_200]);
    let commit_by = world.scene.dossier.times().commit_by_ms.get();
    while name(&world) == PhaseName::Working && world.now < commit_by {
        world.now = world.task.wake_at_ms().unwrap();
        world.apply(Command::Tick).unwrap();
    }
    assert!(world.journal.len() < 20);
}

#[test]
fn a_worker_with_an_accepted_claim_keeps_its_lease_whatever_else_it_claimed() {
    let mut world = world_of(&[Wrong, HONEST]);
    world.run_to(PhaseName::Working);
    let lease = Signed::sign(world.leases[0].clone(), &world.scene.actors.gateway).unwrap();
    let (bad, good) = (
        world.scene.claim(&lease, b"bad"),
        world.scene.claim(&lease, b"good"),
    );
    for validator in 0..3 {
        let receipt = world.scene.verdict(validator, &good, Verdict::Accept);
        world
            .apply(Command::ReceiptSeen {
                receipt,
                claim: good.clone(),
            })
            .unwrap();
    }
    for validator in 0..3 {
        let receipt = world.scene.verdict(validator, &bad, Verdict::Reject);
        world
            .apply(Command::ReceiptSeen {
                receipt,
                claim: bad.clone(),
            })
            .unwrap();
    }
    assert_eq!(world.leases.len(), 1);
}

#[test]
fn the_last_moment_for_a_lease_is_told_to_validators_once() {
    let mut world = World::new(Plot::new(TaskSpec::race(3, 4), &[Gone, Gone]));
    world.run_to(PhaseName::Working);
    world.step();
    world.step();
    let commit_by = world.scene.dossier.times().commit_by_ms.get();
    assert_eq!(world.task.wake_at_ms(), Some(commit_by - 500));
    world.now = commit_by - 500;
    let effects = world.apply(Command::Tick).unwrap();
    assert!(matches!(effects[..], [Effect::NotifyNoMoreLeases { .. }]));
    let deadline = world.scene.dossier.times().deadline_ms.get();
    assert_eq!(
        world.task.wake_at_ms(),
        Some(deadline),
        "the leases expire; no busy loop until then"
    );
    let bid = world.bid(2);
    let refused = world
        .apply(Command::BidPlaced {
            bid,
            penalty: 0,
            distinct_subnet: false,
        })
        .unwrap_err();
    assert_eq!(
        refused,
        Refused::Phase {
            phase: PhaseName::Working
        }
    );
}
