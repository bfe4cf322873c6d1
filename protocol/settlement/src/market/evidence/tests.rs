//! One test per rule of admission.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)]

use d402_objects::{
    Address, Amount, Cid, Hex32, Lease, Mode, Payload, Signed, SigningKey, ValidationModel,
    Verdict, lease_set_root,
};

use super::*;
use crate::market::testkit::{Scene, TaskSpec, TaskStory, key, wallet};

fn resign<T: Payload>(
    object: &Signed<T>,
    key: &SigningKey,
    change: impl FnOnce(&mut T),
) -> Signed<T> {
    let mut payload = object.payload().clone();
    change(&mut payload);
    Signed::sign(payload, key).unwrap()
}

/// Signs changed leases of a set; `reroot` recomputes the root over the change.
fn set_with(
    scene: &Scene,
    workers: &[usize],
    reroot: bool,
    change: impl Fn(usize, &mut Lease),
) -> Result<LeaseSet, LeaseFault> {
    let mut leases = scene.lease_payloads(1, workers);
    leases
        .iter_mut()
        .enumerate()
        .for_each(|(index, lease)| change(index, lease));
    if reroot {
        let pairs: Vec<_> = leases.iter().map(|l| (l.worker, l.price)).collect();
        leases
            .iter_mut()
            .for_each(|lease| lease.lease_set_root = lease_set_root(&pairs));
    }
    let key = if leases[0].gateway == (&scene.actors.gateway).into() {
        scene.actors.gateway.clone()
    } else {
        key("other gateway", 0)
    };
    let signed = leases
        .into_iter()
        .map(|lease| Signed::sign(lease, &key).unwrap())
        .collect();
    LeaseSet::check(&scene.dossier, signed)
}

#[test]
fn an_honest_set_of_every_mode_is_admitted() {
    for mode in [Mode::Single, Mode::Race, Mode::Quorum] {
        let story = TaskStory::of(mode);
        assert_eq!(story.evidence.lease_sets().count(), 1);
        assert_eq!(
            story.evidence.leases().count(),
            usize::from(story.scene.spec.fanout)
        );
    }
}

#[test]
fn threat_34_only_the_intents_gateway_leases() {
    let scene = Scene::new(TaskSpec::race(3, 4));
    let other = key("other gateway", 0);
    let refused = set_with(&scene, &[0, 1], true, |_, lease| {
        lease.gateway = (&other).into()
    });
    assert!(matches!(refused, Err(LeaseFault::WrongGateway { .. })));
    let story = TaskStory::of(Mode::Race);
    let mut evidence = story.evidence.clone();
    let notice = resign(&story.scene.no_more_leases(), &other, |n| {
        n.gateway = (&other).into()
    });
    assert!(matches!(
        evidence.insert(notice),
        Err(NotAdmitted::WrongGateway { .. })
    ));
}

#[test]
fn threat_33_a_set_never_costs_more_than_the_budget_in_its_modes_worst_case() {
    // cost = work + 2 % fee + 10,000 validator cap
    for (mode_spec, highest) in [
        (TaskSpec::single(3, 4), 88_236),
        (TaskSpec::race(3, 4), 88_236),
        (TaskSpec::quorum(3, 4), 29_412),
    ] {
        let workers: Vec<usize> = (0..usize::from(mode_spec.fanout)).collect();
        let mut spec = mode_spec;
        spec.price = highest;
        let scene = Scene::new(spec.clone());
        let leases = scene.lease_set(1, &workers);
        let prices = vec![Amount::from(highest); workers.len()];
        assert!(worst_case_cost(&scene.dossier, &prices).unwrap() <= 100_000);
        assert!(
            LeaseSet::check(&scene.dossier, leases).is_ok(),
            "{:?}",
            spec.mode
        );
        spec.price += 1;
        let scene = Scene::new(spec);
        let refused = LeaseSet::check(&scene.dossier, scene.lease_set(1, &workers));
        assert!(matches!(
            refused,
            Err(LeaseFault::OverBudget {
                budget: 100_000,
                ..
            })
        ));
    }
}

#[test]
fn threat_33_a_race_is_judged_by_its_dearest_lease() {
    let scene = Scene::new(TaskSpec::race(3, 4));
    let dear = set_with(&scene, &[0, 1], true, |index, lease| {
        lease.price = if index == 0 { 1.into() } else { 88_237.into() };
    });
    assert!(matches!(dear, Err(LeaseFault::OverBudget { .. })));
}

#[test]
fn threat_33_the_root_commits_to_every_worker_and_price() {
    let scene = Scene::new(TaskSpec::race(3, 4));
    assert!(set_with(&scene, &[0, 1], false, |_, _| {}).is_ok());
    let price = set_with(&scene, &[0, 1], false, |index, lease| {
        lease.price = if index == 0 { 9.into() } else { lease.price };
    });
    assert_eq!(price.unwrap_err(), LeaseFault::WrongRoot);
    let mut leases = scene.lease_set(1, &[0, 1]);
    leases.pop();
    let part = LeaseSet::check(&scene.dossier, leases);
    assert_eq!(
        part.unwrap_err(),
        LeaseFault::Incomplete { have: 1, want: 2 }
    );
    let mut mixed = scene.lease_set(1, &[0, 1]);
    mixed[1] = scene.lease_set(1, &[0, 2])[1].clone();
    assert_eq!(
        LeaseSet::check(&scene.dossier, mixed).unwrap_err(),
        LeaseFault::Mixed
    );
    assert_eq!(
        LeaseSet::check(&scene.dossier, Vec::new()).unwrap_err(),
        LeaseFault::Empty
    );
}

#[test]
fn threat_33_race_and_quorum_lease_once_and_single_at_most_max_attempts_times() {
    for (spec, last) in [
        (TaskSpec::single(3, 4), 2),
        (TaskSpec::race(3, 4), 1),
        (TaskSpec::quorum(3, 4), 1),
    ] {
        let workers: Vec<usize> = (0..usize::from(spec.fanout)).collect();
        let scene = Scene::new(spec);
        for attempt in 1..=3 {
            let set = LeaseSet::check(&scene.dossier, scene.lease_set(attempt, &workers));
            if attempt <= last {
                assert_eq!(set.unwrap().attempt(), attempt);
            } else {
                assert_eq!(
                    set.unwrap_err(),
                    LeaseFault::AttemptOverMax {
                        got: attempt,
                        max: last
                    }
                );
            }
        }
    }
}

#[test]
fn the_number_of_leases_fits_the_mode() {
    let cases: [(TaskSpec, &[usize], bool); 8] = [
        (TaskSpec::single(3, 4), &[0], true),
        (TaskSpec::single(3, 4), &[0, 1], false),
        (TaskSpec::race(3, 4), &[0], true),
        (TaskSpec::race(3, 4), &[0, 1, 2], false),
        (TaskSpec::quorum(3, 4), &[0], false),
        (TaskSpec::quorum(3, 4), &[0, 1], true),
        (TaskSpec::quorum(3, 4), &[0, 1, 2], true),
        (TaskSpec::quorum(3, 4), &[0, 1, 2, 3], false),
    ];
    for (spec, workers, fits) in cases {
        let scene = Scene::new(spec);
        let set = LeaseSet::check(&scene.dossier, scene.lease_set(1, workers));
        match set {
            Ok(_) => assert!(fits),
            Err(LeaseFault::WrongCount { .. }) => assert!(!fits),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn threat_31_one_worker_or_one_wallet_holds_one_lease_of_a_set() {
    let scene = Scene::new(TaskSpec::quorum(3, 4));
    let worker = scene.actors.workers[0].id();
    let twice = set_with(&scene, &[0, 1, 2], true, |_, lease| lease.worker = worker);
    assert_eq!(twice.unwrap_err(), LeaseFault::WorkerTwice { worker });
    let payout = scene.payout(0);
    let shared = set_with(&scene, &[0, 1, 2], true, |_, lease| {
        lease.payout = payout.clone()
    });
    assert_eq!(
        shared.unwrap_err(),
        LeaseFault::PayoutTwice { lease_index: 1 }
    );
}

#[test]
fn a_validator_does_not_judge_its_own_work() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    for key in [
        &scene.actors.validators[1].key,
        &scene.actors.validators[1].settlement,
    ] {
        let worker = key.into();
        let refused = set_with(&scene, &[0], true, |_, lease| lease.worker = worker);
        assert_eq!(
            refused.unwrap_err(),
            LeaseFault::WorkerIsValidator { worker }
        );
    }
}

#[test]
fn threat_58_a_worker_is_not_paid_at_an_account_with_another_part_in_the_task() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let asset = scene.dossier.asset().clone();
    let forbidden: [Address; 7] = [
        scene.dossier.address_of(&crate::Key32::ZERO).unwrap(),
        scene.dossier.address_of(&scene.dossier.pay_to()).unwrap(),
        asset,
        wallet("refund", 0),
        wallet("creator", 0),
        wallet("gateway", 0),
        wallet("validator", 3),
    ];
    for address in forbidden {
        let refused = set_with(&scene, &[0], false, |_, lease| {
            lease.payout.address = address.clone()
        });
        assert_eq!(
            refused.unwrap_err(),
            LeaseFault::ForbiddenPayout { lease_index: 0 },
            "{address}"
        );
    }
    let odd = set_with(&scene, &[0], false, |_, lease| {
        lease.payout.address = "not-an-account".parse().unwrap();
    });
    assert_eq!(odd.unwrap_err(), LeaseFault::BadPayout { lease_index: 0 });
}

#[test]
fn a_lease_is_of_this_task_and_within_its_time() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let other = Scene::new(TaskSpec::single(3, 4).seeded(1));
    let task = set_with(&scene, &[0], false, |_, l| {
        l.task_id = other.dossier.task_id()
    });
    assert!(matches!(task, Err(LeaseFault::OtherTask { .. })));
    let terms = set_with(&scene, &[0], false, |_, l| {
        l.terms_hash = other.dossier.terms_hash()
    });
    assert!(matches!(terms, Err(LeaseFault::OtherTerms { .. })));
    let early = set_with(&scene, &[0], false, |_, l| {
        l.start_ms = scene.dossier.intent().issued_at_ms.saturating_sub_ms(1);
    });
    assert!(matches!(early, Err(LeaseFault::OutsideTask { .. })));
    let late = set_with(&scene, &[0], false, |_, l| {
        l.expires_at_ms = scene.at(30_001)
    });
    assert!(matches!(late, Err(LeaseFault::OutsideTask { .. })));
    let network = set_with(&scene, &[0], false, |_, l| {
        l.network = "d402:other".parse().unwrap();
        l.payout.network = "d402:other".parse().unwrap();
    });
    assert_eq!(network.unwrap_err(), LeaseFault::OtherNetwork);
}

#[test]
fn a_lease_of_a_larger_set_does_not_enter_alone() {
    let scene = Scene::new(TaskSpec::race(3, 4));
    let mut evidence = Evidence::new(&scene.dossier);
    let leases = scene.lease_set(1, &[0, 1]);
    let alone = evidence.insert(leases[0].clone());
    assert!(matches!(
        alone,
        Err(NotAdmitted::LeaseSet(LeaseFault::Incomplete { .. }))
    ));
    assert_eq!(evidence.insert_leases(leases.clone()), Ok(Admitted::New));
    assert_eq!(evidence.insert_leases(leases.clone()), Ok(Admitted::Known));
    assert_eq!(evidence.insert(leases[0].clone()), Ok(Admitted::Known));
    // The gateway's other leases under the same root: another payout, the same worker and price.
    let mut changed = scene.lease_payloads(1, &[0, 1]);
    changed[0].payout.address = wallet("second", 0);
    let changed: Vec<_> = changed
        .into_iter()
        .map(|l| Signed::sign(l, &scene.actors.gateway).unwrap())
        .collect();
    let refused = evidence.insert_leases(changed);
    assert_eq!(refused, Err(NotAdmitted::SlotTaken(Slot::LeaseSet)));
}

#[test]
fn objects_must_name_what_is_there() {
    let story = TaskStory::of(Mode::Race);
    let scene = &story.scene;
    let mut evidence = Evidence::new(&scene.dossier);
    let (lease, commit, claim) = (&story.leases[0], &story.commits[0], &story.claims[0]);
    let unknown = Err(NotAdmitted::UnknownLease(lease.cid()));
    assert_eq!(evidence.insert(scene.accept(lease)), unknown);
    assert_eq!(evidence.insert(commit.clone()), unknown);
    assert_eq!(evidence.insert(scene.ack(0, lease, commit, 1)), unknown);
    assert_eq!(evidence.insert(claim.clone()), unknown);
    let unknown = Err(NotAdmitted::UnknownClaim(claim.cid()));
    assert_eq!(
        evidence.insert(scene.verdict(0, claim, Verdict::Accept)),
        unknown
    );
    evidence.insert_leases(story.leases.clone()).unwrap();
    // A hostile validator alone cannot make a commit appear.
    let value = commit.payload().commit;
    let unknown = Err(NotAdmitted::UnknownCommit {
        lease: lease.cid(),
        commit: value,
    });
    assert_eq!(evidence.insert(scene.ack(0, lease, commit, 1)), unknown);
    assert_eq!(evidence.insert(claim.clone()), unknown);
    assert!(
        evidence
            .cids()
            .iter()
            .all(|cid| story.leases.iter().any(|l| l.cid() == *cid))
    );
}

#[test]
fn objects_of_another_task_terms_network_or_person_are_refused() {
    let story = TaskStory::of(Mode::Race);
    let other = TaskStory::honest(TaskSpec::race(3, 4).seeded(1));
    for object in &other.objects {
        let refused = story.evidence.clone().insert_all(vec![object.clone()]);
        assert_eq!(refused.len(), 1, "{object:?}");
    }
    let scene = &story.scene;
    let mut evidence = story.evidence.clone();
    let (lease, commit, claim) = (&story.leases[0], &story.commits[0], &story.claims[0]);
    let thief = &scene.actors.workers[1].key;
    let wrong_worker = |result: Result<Admitted, NotAdmitted>| {
        assert!(
            matches!(result, Err(NotAdmitted::WrongWorker { .. })),
            "{result:?}"
        );
    };
    wrong_worker(evidence.insert(resign(&scene.accept(lease), thief, |o| {
        o.worker = thief.into()
    })));
    wrong_worker(evidence.insert(resign(commit, thief, |o| o.worker = thief.into())));
    wrong_worker(evidence.insert(resign(claim, thief, |o| o.worker = thief.into())));
    let stranger = key("stranger", 0);
    let ack = resign(&scene.ack(0, lease, commit, 1), &stranger, |o| {
        o.validator = (&stranger).into()
    });
    assert!(matches!(
        evidence.insert(ack),
        Err(NotAdmitted::UnknownValidator { .. })
    ));
    let verdict = scene.verdict(0, claim, Verdict::Accept);
    let verdict = resign(&verdict, &stranger, |o| o.validator = (&stranger).into());
    assert!(matches!(
        evidence.insert(verdict),
        Err(NotAdmitted::UnknownValidator { .. })
    ));
    let worker = scene.worker_of(lease);
    let terms = resign(claim, worker, |o| o.terms_hash = Hex32::from_bytes([1; 32]));
    assert!(matches!(
        evidence.insert(terms),
        Err(NotAdmitted::OtherTerms { .. })
    ));
    let network = resign(commit, worker, |o| {
        o.network = "d402:other".parse().unwrap()
    });
    assert_eq!(evidence.insert(network), Err(NotAdmitted::OtherNetwork));
    let validator = &scene.actors.validators[0].key;
    let model = resign(&scene.verdict(0, claim, Verdict::Reject), validator, |o| {
        o.model = ValidationModel::Scored;
    });
    assert_eq!(evidence.insert(model), Err(NotAdmitted::WrongModel));
    assert_eq!(evidence.cids(), story.evidence.cids());
}

#[test]
fn an_ack_names_its_leases_attempt_a_possible_rank_and_a_time_before_the_close() {
    let story = TaskStory::of(Mode::Race);
    let scene = &story.scene;
    let (lease, commit) = (&story.leases[0], &story.commits[0]);
    let mut evidence = Evidence::new(&scene.dossier);
    evidence.insert_leases(story.leases.clone()).unwrap();
    evidence.insert(commit.clone()).unwrap();
    let key = &scene.actors.validators[0].key;
    let ack = scene.ack(0, lease, commit, 1);
    let attempt = resign(&ack, key, |o| o.attempt = 2);
    assert_eq!(
        evidence.insert(attempt),
        Err(NotAdmitted::WrongAttempt { got: 2, want: 1 })
    );
    let rank = resign(&ack, key, |o| o.rank = 3);
    assert_eq!(
        evidence.insert(rank),
        Err(NotAdmitted::RankOverMax { got: 3, max: 2 })
    );
    let closed = scene.dossier.times().commit_by_ms;
    let late = resign(&ack, key, |o| o.at_ms = closed);
    assert_eq!(
        evidence.insert(late),
        Err(NotAdmitted::TooLate { at: closed, closed })
    );
    let last = resign(&ack, key, |o| o.at_ms = closed.saturating_sub_ms(1));
    assert_eq!(evidence.insert(last), Ok(Admitted::New));
}

#[test]
fn an_accept_after_the_lease_ended_is_void() {
    let story = TaskStory::of(Mode::Single);
    let lease = &story.leases[0];
    let mut evidence = Evidence::new(&story.scene.dossier);
    evidence.insert(lease.clone()).unwrap();
    let end = lease.payload().expires_at_ms;
    let late = resign(
        &story.scene.accept(lease),
        story.scene.worker_of(lease),
        |o| o.at_ms = end,
    );
    assert_eq!(
        evidence.insert(late),
        Err(NotAdmitted::TooLate {
            at: end,
            closed: end
        })
    );
}

#[test]
fn a_claim_opens_its_commit_and_stays_within_the_manifests_output() {
    for mode in [Mode::Single, Mode::Race] {
        let story = TaskStory::of(mode);
        let scene = &story.scene;
        let lease = &story.leases[0];
        let mut evidence = story.evidence.clone();
        let worker = scene.worker_of(lease);
        let salt = resign(&story.claims[0], worker, |c| {
            c.salt = Hex32::from_bytes([9; 32])
        });
        assert!(matches!(
            evidence.insert(salt),
            Err(NotAdmitted::UnknownCommit { .. })
        ));
        let output = scene.claim(lease, b"another output");
        assert!(matches!(
            evidence.insert(output),
            Err(NotAdmitted::UnknownCommit { .. })
        ));
        let large = resign(&story.claims[0], worker, |c| {
            c.output.bytes = 1024 * 1024 + 1
        });
        assert!(matches!(
            evidence.insert(large),
            Err(NotAdmitted::OutputTooLarge { .. })
        ));
    }
}

#[test]
fn threat_56_a_claim_with_more_evidence_than_a_validator_fetches_is_refused() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let lease = scene.lease_set(1, &[0]).remove(0);
    let with_pieces = |sizes: &[u64]| {
        let mut payload = scene.claim_payload(&lease, b"out");
        payload.evidence = sizes
            .iter()
            .enumerate()
            .map(|(index, bytes)| d402_objects::Evidence {
                name: format!("piece-{index}").parse().unwrap(),
                cid: Cid::of(b"piece"),
                bytes: *bytes,
                media_type: "text/html".parse().unwrap(),
            })
            .collect();
        payload.evidence_root = d402_objects::evidence_root(&payload.evidence);
        let claim = Signed::sign(payload, scene.worker_of(&lease)).unwrap();
        let mut evidence = Evidence::new(&scene.dossier);
        evidence.insert(lease.clone()).unwrap();
        evidence.insert(scene.commit(&lease, &claim)).unwrap();
        evidence.insert(claim)
    };
    let one = MAX_EVIDENCE_BYTES;
    assert_eq!(with_pieces(&[one; 4]), Ok(Admitted::New));
    let large = NotAdmitted::EvidenceTooLarge {
        got: one + 1,
        max: one,
    };
    assert_eq!(with_pieces(&[one + 1]), Err(large));
    let got = MAX_CLAIM_BYTES + 1;
    let many = NotAdmitted::EvidenceTooLarge {
        got,
        max: MAX_CLAIM_BYTES,
    };
    assert_eq!(with_pieces(&[one, one, one, one, 1]), Err(many));
}

#[test]
fn a_hostile_signer_fills_only_its_own_slots() {
    let story = TaskStory::of(Mode::Race);
    let scene = &story.scene;
    let (lease, commit, claim) = (&story.leases[0], &story.commits[0], &story.claims[0]);
    let mut evidence = story.evidence.clone();
    let taken = |slot| Err(NotAdmitted::SlotTaken(slot));
    let accept = resign(&scene.accept(lease), scene.worker_of(lease), |o| {
        o.at_ms = scene.at(1_200)
    });
    assert_eq!(evidence.insert(accept), taken(Slot::LeaseAccept));
    let values: Vec<_> = (1..=3u8)
        .map(|b| scene.commit_to(lease, Hex32::from_bytes([b; 32])))
        .collect();
    assert_eq!(evidence.insert(values[0].clone()), Ok(Admitted::New));
    assert_eq!(evidence.insert(values[1].clone()), taken(Slot::Commit));
    let key = &scene.actors.validators[0].key;
    let again = resign(&scene.ack(0, lease, commit, 1), key, |o| {
        o.at_ms = scene.at(3_001)
    });
    assert_eq!(evidence.insert(again), taken(Slot::Ack));
    assert_eq!(
        evidence.insert(scene.ack(0, lease, commit, 2)),
        Ok(Admitted::New)
    );
    assert_eq!(
        evidence.insert(scene.ack(0, lease, &values[0], 1)),
        taken(Slot::Ack)
    );
    let variant = |units: u64| {
        resign(claim, scene.worker_of(lease), |c| {
            c.units = Amount::from(units)
        })
    };
    assert_eq!(evidence.insert(variant(2)), Ok(Admitted::New));
    assert_eq!(evidence.insert(variant(3)), taken(Slot::Claim));
    let both = scene.verdict(0, claim, Verdict::Reject);
    assert_eq!(evidence.insert(both.clone()), Ok(Admitted::New));
    let more = resign(&both, key, |o| o.at_ms = scene.at(9_999));
    assert_eq!(evidence.insert(more), taken(Slot::Receipt));
    assert_eq!(evidence.insert(scene.no_more_leases()), Ok(Admitted::New));
    let notice = resign(&scene.no_more_leases(), &scene.actors.gateway, |n| {
        n.at_ms = scene.at(7_000)
    });
    assert_eq!(evidence.insert(notice), taken(Slot::NoMoreLeases));
    // And none of it keeps a proposal from being read: what a validator holds plays no part there.
    let inputs = story.evidence.cids();
    assert_eq!(
        evidence.assemble(&inputs, Vec::new()).unwrap().cids(),
        inputs
    );
}

#[test]
fn a_proposal_is_assembled_from_exactly_its_inputs() {
    let story = TaskStory::of(Mode::Quorum);
    let inputs = story.evidence.cids();
    let empty = Evidence::new(&story.scene.dossier);
    let Err(AssembleError::Missing(missing)) = empty.subset(&inputs) else {
        panic!()
    };
    assert_eq!(missing, inputs);
    assert_eq!(empty.missing(&inputs), inputs);
    let assembled = empty.assemble(&inputs, story.objects.clone()).unwrap();
    assert_eq!(assembled.cids(), inputs);
    let (first, rest) = inputs.split_first().unwrap();
    let extra = empty.assemble(rest, story.objects.clone());
    assert!(matches!(extra, Err(AssembleError::NotAnInput(cid)) if cid == *first));
    let twice = [inputs.clone(), vec![*first]].concat();
    let twice = story.evidence.subset(&twice);
    assert!(matches!(twice, Err(AssembleError::Repeated(cid)) if cid == *first));
    // Without the leases nothing else stands.
    let leases: Vec<Cid> = story.leases.iter().map(Signed::cid).collect();
    let dangling: Vec<Cid> = inputs
        .into_iter()
        .filter(|cid| !leases.contains(cid))
        .collect();
    let dangling = story.evidence.subset(&dangling);
    assert!(matches!(dangling, Err(AssembleError::NotAdmitted { .. })));
}

#[test]
fn envelopes_are_read_by_their_kind_and_other_kinds_are_refused() {
    let story = TaskStory::of(Mode::Race);
    for object in &story.objects {
        assert_eq!(
            &EvidenceObject::from_value(object.to_value()).unwrap(),
            object
        );
        assert_eq!(story.evidence.get(&object.cid()).as_ref(), Some(object));
    }
    let intent = story.scene.dossier.parts().intent.to_value();
    assert!(EvidenceObject::from_value(intent).is_err());
    assert!(
        EvidenceObject::from_value(serde_json::json!({"payloadType": "d402.nothing"})).is_err()
    );
    assert!(EvidenceObject::from_value(serde_json::json!(1)).is_err());
}

#[test]
fn ranks_roots_and_certificates_can_be_read_off() {
    let story = TaskStory::of(Mode::Race);
    let validator = story.scene.actors.validators[0].id();
    assert_eq!(story.evidence.acked_leases(&validator, 1).len(), 2);
    assert_eq!(story.evidence.acked_leases(&validator, 2).len(), 0);
    assert_eq!(story.evidence.acked_roots(&validator, 1).len(), 1);
    let (lease, commit) = (&story.leases[1], story.commits[1].payload().commit);
    assert_eq!(story.evidence.certificate(&lease.cid(), &commit).len(), 4);
    assert_eq!(
        story
            .evidence
            .ack_by(&validator, &lease.cid())
            .unwrap()
            .payload()
            .rank,
        2
    );
    let lists = story.evidence.inventory();
    assert_eq!(
        (lists.acks.len(), lists.commits.len(), lists.claims.len()),
        (8, 2, 2)
    );
    assert_eq!((lists.receipts.len(), lists.leases.len()), (8, 4));
}
