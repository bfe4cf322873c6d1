//! Rows of `Collecting`.

use d402_objects::Signed;
use d402_settlement::market::EvidenceObject;
use d402_settlement::market::testkit::{Scene, TaskSpec};
use d402_wire::RawEnvelope;

use super::super::collecting::MAX_OPENED;
use super::transitions::{name, world_of};
use super::world::{Plot, Worker, World};
use crate::market::{Opened, PhaseName, Refused};
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
    let mut sent: Vec<RawEnvelope> = objects.iter().map(RawEnvelope::from).collect();
    let junk = serde_json::json!({"payloadType": "d402.lease", "payload": {"a": 1}});
    sent.insert(0, (&junk).into());
    // Of the right shape, and signed by nobody.
    let mut forged = objects[0].to_value();
    forged["payload"]["leaseIndex"] = serde_json::json!(1);
    sent.insert(1, (&forged).into());
    assert_eq!(
        world.task.read_inventory(&sent, &mut Opened::default()),
        objects
    );
    // Signed, and of no concern here.
    let mut spec = TaskSpec::single(3, 4);
    spec.issued_at_ms += 1;
    let other = Scene::new(spec);
    objects.push(other.accept(&other.lease_set(1, &[0])[0]).into());
    world
        .apply(Command::InventorySeen { inventory, objects })
        .unwrap();
    assert_eq!(world.task.evidence().claims().count(), 1);
}

/// The attack on a memory of opened envelopes: one that was opened, with one thing changed.
#[test]
fn an_opened_envelope_vouches_for_no_other_text() {
    let world = collecting();
    let objects = objects_of(&world.inventory_of(0)).to_vec();
    let sent: Vec<RawEnvelope> = objects.iter().map(RawEnvelope::from).collect();
    let mut opened = Opened::default();
    assert_eq!(world.task.read_inventory(&sent, &mut opened), objects);
    assert_eq!(world.task.read_inventory(&sent, &mut opened), objects);
    for object in &objects {
        let envelope = object.to_value();
        let mut unsigned = envelope.clone();
        unsigned["signature"] = serde_json::json!("00".repeat(64));
        let mut changed = envelope.clone();
        changed["payload"]["taskId"] = serde_json::json!(d402_objects::Cid::of(b"other"));
        let mut resigned = envelope;
        resigned["signer"] = serde_json::json!(world.scene.actors.workers[1].id());
        let sent: Vec<RawEnvelope> = [unsigned, changed, resigned]
            .iter()
            .map(RawEnvelope::from)
            .collect();
        assert_eq!(world.task.read_inventory(&sent, &mut opened), []);
    }
}

#[test]
fn opened_envelopes_are_remembered_up_to_a_bound() {
    let world = collecting();
    let objects = objects_of(&world.inventory_of(0)).to_vec();
    let mut opened = Opened::default();
    for _ in 0..MAX_OPENED {
        opened.note(objects[0].clone());
        opened.note(objects[1].clone());
    }
    assert_eq!(opened.len(), 2);
    for at_ms in 0..200 {
        let mut spec = TaskSpec::single(3, 4);
        spec.issued_at_ms += at_ms;
        let other = Scene::new(spec);
        opened.note(other.no_more_leases());
        assert!(opened.len() <= MAX_OPENED);
    }
    assert_eq!(opened.len(), MAX_OPENED);
}

fn objects_of(command: &Command) -> &[EvidenceObject] {
    let Command::InventorySeen { objects, .. } = command else {
        unreachable!()
    };
    objects
}

#[test]
fn a_trimmed_inventory_repeats_nothing_and_leads_to_the_same_task() {
    let mut world = collecting();
    let first = world.inventory_of(0);
    assert_eq!(objects_of(&world.task.trimmed(&first)), objects_of(&first));
    world.apply(first.clone()).unwrap();
    let mut second = world.inventory_of(1);
    let Command::InventorySeen { objects, .. } = &mut second else {
        unreachable!()
    };
    // Something the first did not show.
    let ack = world.scene.lease_set(2, &[1]).remove(0);
    objects.push(ack.into());
    let trimmed = world.task.trimmed(&second);
    assert_eq!(
        objects_of(&trimmed),
        &objects_of(&second)[objects_of(&second).len() - 1..]
    );
    let mut whole = world.task.clone();
    let now = world.now;
    let effects = world.task.apply(trimmed, now).map(|e| e.len());
    assert_eq!(whole.apply(second, now).map(|e| e.len()), effects);
    assert_eq!(whole.evidence().cids(), world.task.evidence().cids());
    assert_eq!(whole.wake_at_ms(), world.task.wake_at_ms());
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
