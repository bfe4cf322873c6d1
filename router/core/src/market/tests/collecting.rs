//! Rows of `Collecting`.

use d402_objects::Signed;
use d402_settlement::market::testkit::TaskSpec;

use super::transitions::{name, world_of};
use super::world::{Plot, Worker, World};
use crate::market::{PhaseName, Refused};
use crate::{Command, Effect};

/// Every claim is judged; nobody has shown an inventory yet.
pub(super) fn collecting() -> World {
    let mut world = world_of(&[Worker::Honest(50), Worker::Honest(50)]);
    world.run_to(PhaseName::Collecting);
    world
}

#[test]
fn inventories_of_all_validators_lead_to_a_proposal_to_all() {
    let mut world = collecting();
    for v in 0..3 {
        let inventory = world.inventory_of(v);
        assert!(world.apply(inventory).unwrap().is_empty());
    }
    let inventory = world.inventory_of(3);
    let effects = world.apply(inventory).unwrap();
    assert_eq!(name(&world), PhaseName::Proposing);
    let to = effects
        .iter()
        .filter(|e| matches!(e, Effect::Propose { round: 1, .. }));
    assert_eq!(to.count(), 4);
}

#[test]
fn an_inventory_counts_once_per_collection_and_only_from_a_validator_of_the_task() {
    let mut world = collecting();
    let inventory = world.inventory_of(0);
    world.apply(inventory.clone()).unwrap();
    assert_eq!(
        world.apply(inventory.clone()).unwrap_err(),
        Refused::Duplicate
    );
    let Command::InventorySeen { inventory, objects } = inventory else {
        unreachable!()
    };
    let mut other = inventory.payload().clone();
    other.validator = world.scene.actors.workers[0].id();
    let other = Signed::sign(other, &world.scene.actors.workers[0].key).unwrap();
    let stranger = world.apply(Command::InventorySeen {
        inventory: other,
        objects: objects.clone(),
    });
    assert_eq!(stranger.unwrap_err(), Refused::Stranger);
    let mut other = inventory.payload().clone();
    other.task_id = d402_objects::Cid::of(b"other");
    let other = Signed::sign(other, &world.scene.actors.validators[0].key).unwrap();
    let foreign = world.apply(Command::InventorySeen {
        inventory: other,
        objects,
    });
    assert_eq!(foreign.unwrap_err(), Refused::OtherTask);
}

#[test]
fn what_is_not_evidence_of_the_task_is_dropped_and_the_rest_counts() {
    let mut world = collecting();
    let Command::InventorySeen {
        inventory,
        mut objects,
    } = world.inventory_of(0)
    else {
        unreachable!()
    };
    let junk = d402_wire::RawEnvelope(
        serde_json::json!({"payloadType": "d402.lease", "payload": {"a": 1}}),
    );
    objects.insert(0, junk);
    world
        .apply(Command::InventorySeen { inventory, objects })
        .unwrap();
    assert_eq!(world.task.evidence().claims().count(), 1);
}

#[test]
fn q_inventories_are_enough_after_a_short_wait() {
    let mut world = collecting();
    let since = world.now;
    for v in 0..3 {
        let inventory = world.inventory_of(v);
        world.apply(inventory).unwrap();
    }
    assert_eq!(world.task.wake_at_ms(), Some(since + 600));
    world.now = since + 600;
    world.apply(Command::Tick).unwrap();
    assert_eq!(name(&world), PhaseName::Proposing);
}

#[test]
fn a_collection_without_q_inventories_is_given_up_for_a_growing_pause() {
    let mut world = collecting();
    let mut pauses = Vec::new();
    for _ in 0..4 {
        assert_eq!(world.task.wake_at_ms(), Some(world.now + 4_000));
        world.now += 4_000;
        world.apply(Command::Tick).unwrap();
        assert_eq!(name(&world), PhaseName::Working);
        let wake = world.task.wake_at_ms().unwrap();
        pauses.push(wake - world.now);
        world.now = wake;
        world.apply(Command::Tick).unwrap();
        assert_eq!(name(&world), PhaseName::Collecting);
    }
    assert_eq!(pauses, [300, 600, 1_200, 2_400]);
}

#[test]
fn an_inconclusive_collection_is_repeated_and_at_the_latest_when_the_rules_allow_more() {
    let mut world = World::new(Plot::new(
        TaskSpec::quorum(3, 4),
        &[Worker::Honest(50), Worker::Honest(50), Worker::Gone],
    ));
    let times = *world.scene.dossier.times();
    world.run();
    let proposed = world
        .phases
        .iter()
        .filter(|p| **p == PhaseName::Proposing)
        .count();
    assert_eq!(proposed, 1, "nothing is proposed that is not decided");
    let from = times.decide_at_ms.get() + 1_000;
    assert!((from..from + 1_000).contains(&world.now));
}

#[test]
fn after_the_last_moment_to_sign_nothing_is_collected_any_more() {
    let mut world = collecting();
    world.now = world.scene.dossier.times().settle_by_s.0.cast_unsigned() * 1_000;
    world.apply(Command::Tick).unwrap();
    assert_eq!(name(&world), PhaseName::Working);
    let refund_after = world.scene.dossier.times().refund_after_s.0.cast_unsigned() * 1_000;
    assert_eq!(world.task.wake_at_ms(), Some(refund_after));
}
