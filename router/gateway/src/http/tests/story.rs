//! Plays a funded task to its end: the testkit's workers and validators answer as a network would.

use std::time::Duration;

use d402_core::ports::{BlobStore, Settled};
use d402_core::{Command, Phase, PhaseName, Task};
use d402_objects::{Amount, Cid, Hex32, Inventory, Lease, ResultClaim, Signed, Verdict};
use d402_settlement::market::testkit::Scene;
use d402_settlement::market::{Decided, EvidenceObject};
use d402_wire::simchain::{PaidKind, PaidRow};
use std::sync::Arc;

use super::world::World;

/// What every worker delivers.
pub(super) const OUTPUT: &[u8] = br#"{"text":"hello"}"#;

/// A played task.
pub(super) struct Played {
    pub(super) scene: Scene,
    pub(super) task: Arc<Task>,
    pub(super) claim: Signed<ResultClaim>,
}

async fn reach(world: &World, task_id: Cid, phase: PhaseName) -> Arc<Task> {
    let task = world
        .engine
        .wait_for(task_id, Duration::from_secs(10), |task| {
            task.phase().name() == phase
        })
        .await
        .unwrap();
    assert_eq!(task.phase().name(), phase);
    task
}

async fn submit(world: &World, task_id: Cid, command: Command) {
    // What comes after the last needed answer is refused, as it would be.
    let _too_late = world.engine.submit(task_id, command).await;
}

/// Every validator gives this verdict.
pub(super) async fn play(world: &World, task_id: Cid, verdict: Verdict) -> Played {
    let (scene, lease) = take_lease(world, task_id).await;
    let (claim, objects) = deliver(&scene, &lease, verdict);
    for validator in 0..4 {
        let receipt = scene.verdict(validator, &claim, verdict);
        submit(
            world,
            task_id,
            Command::ReceiptSeen {
                receipt,
                claim: claim.clone(),
            },
        )
        .await;
    }
    if verdict == Verdict::Reject {
        // Nobody else bids; the rest of the time passes.
        let decide_at = scene.dossier.times().decide_at_ms.get();
        let now = d402_core::ports::Clock::now_ms(world.clock.as_ref());
        world.clock.advance(decide_at - now + 1);
    }
    reach(world, task_id, PhaseName::Collecting).await;
    for validator in 0..4 {
        let inventory = inventory(&scene, validator, &objects);
        let objects = objects.clone();
        submit(
            world,
            task_id,
            Command::InventorySeen { inventory, objects },
        )
        .await;
    }
    let decided = agree(world, &scene).await;
    submit(
        world,
        task_id,
        Command::SettledSeen {
            settled: settled(&scene, &decided),
        },
    )
    .await;
    if verdict == Verdict::Accept {
        let cid = BlobStore::put(world.blobs.as_ref(), OUTPUT).await.unwrap();
        submit(world, task_id, Command::OutputStored { cid }).await;
    }
    let task = reach(world, task_id, PhaseName::Final).await;
    Played { scene, task, claim }
}

/// One worker bids and takes its lease.
async fn take_lease(world: &World, task_id: Cid) -> (Scene, Signed<Lease>) {
    let task = reach(world, task_id, PhaseName::Bidding).await;
    let scene = Scene {
        spec: world.spec.clone(),
        actors: world.actors.clone(),
        dossier: task.dossier().clone(),
    };
    let bid = Command::BidPlaced {
        bid: scene.bid(0),
        penalty: 0,
        distinct_subnet: false,
    };
    world.engine.submit(task_id, bid).await.unwrap();
    world.clock.advance(500);
    let task = reach(world, task_id, PhaseName::Working).await;
    let lease = task.lease_sets()[0].slots[0].lease.clone();
    let lease = Signed::sign(lease, &world.actors.gateway).unwrap();
    let accept = Command::LeaseAccepted {
        accept: scene.accept(&lease),
    };
    world.engine.submit(task_id, accept).await.unwrap();
    (scene, lease)
}

/// The claim, and all that is signed around it.
fn deliver(
    scene: &Scene,
    lease: &Signed<Lease>,
    verdict: Verdict,
) -> (Signed<ResultClaim>, Vec<EvidenceObject>) {
    let claim = scene.claim(lease, OUTPUT);
    let commit = scene.commit(lease, &claim);
    let mut objects: Vec<EvidenceObject> = vec![
        lease.clone().into(),
        scene.accept(lease).into(),
        commit.clone().into(),
    ];
    objects.extend((0..4).map(|v| scene.ack(v, lease, &commit, 1).into()));
    objects.push(claim.clone().into());
    objects.extend((0..4).map(|v| scene.verdict(v, &claim, verdict).into()));
    (claim, objects)
}

/// All validators are ready for the proposal and three sign it.
async fn agree(world: &World, scene: &Scene) -> Decided {
    let task_id = scene.dossier.task_id();
    let task = reach(world, task_id, PhaseName::Proposing).await;
    let Phase::Proposing { decided, .. } = task.phase() else {
        panic!("not proposing")
    };
    for validator in 0..4 {
        let ready = scene.ready(validator, decided, task.round());
        submit(world, task_id, Command::ReadySeen { ready }).await;
    }
    reach(world, task_id, PhaseName::Signing).await;
    for validator in 0..3 {
        let signature = scene.settlement_signature(validator, &decided.digest);
        submit(world, task_id, Command::SignatureSeen { signature }).await;
    }
    reach(world, task_id, PhaseName::Settling).await;
    (**decided).clone()
}

fn inventory(scene: &Scene, validator: usize, objects: &[EvidenceObject]) -> Signed<Inventory> {
    let actor = &scene.actors.validators[validator];
    let of = |kind: fn(&EvidenceObject) -> bool| {
        objects
            .iter()
            .filter(|o| kind(o))
            .map(EvidenceObject::cid)
            .collect()
    };
    let payload = Inventory {
        object_version: 1,
        validator: actor.id(),
        network: scene.dossier.network().clone(),
        task_id: scene.dossier.task_id(),
        terms_hash: scene.dossier.terms_hash(),
        acks: of(|o| matches!(o, EvidenceObject::Ack(_))),
        commits: of(|o| matches!(o, EvidenceObject::Commit(_))),
        claims: of(|o| matches!(o, EvidenceObject::Claim(_))),
        receipts: of(|o| matches!(o, EvidenceObject::Receipt(_))),
        leases: of(|o| matches!(o, EvidenceObject::Lease(_))),
        deposit_late: false,
        at_ms: scene.at(6_000),
        seq: 1,
    };
    Signed::sign(payload, &actor.key).unwrap()
}

/// What the chain would say.
fn settled(scene: &Scene, decided: &Decided) -> Settled {
    let paid: Vec<PaidRow> = decided
        .receipt
        .rows
        .iter()
        .map(|row| PaidRow {
            payee: row.payee.as_str().parse().unwrap(),
            amount: row.amount,
            kind: match row.role {
                d402_objects::RowRole::Worker => PaidKind::Worker,
                d402_objects::RowRole::Validator => PaidKind::Validator,
            },
            credited: false,
        })
        .collect();
    let out = paid.iter().fold(Amount::ZERO, |sum, row| {
        sum.checked_add(row.amount).unwrap()
    });
    Settled {
        receipt_cid: decided.receipt_cid,
        transaction: Hex32::from_bytes([5; 32]).to_string(),
        height: 12,
        paid,
        refunded: scene.dossier.payment().budget.checked_sub(out).unwrap(),
    }
}
