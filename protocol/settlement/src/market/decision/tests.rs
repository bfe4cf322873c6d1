//! Who is paid, with honest and hostile actors.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeSet;

use d402_objects::{Amount, Hex32, Lease, Mode, ResultClaim, RowRole, Signed, Verdict};
use proptest::prelude::*;

use super::*;
use crate::derive::Undecided;
use crate::market::testkit::{Scene, TaskSpec, TaskStory, funded_at};
use crate::market::{EvidenceObject, check_receipt};

fn paid_workers(decided: &Decided) -> Vec<String> {
    let rows = decided.receipt.rows.iter();
    rows.filter(|row| row.role == RowRole::Worker)
        .map(|row| row.payee.to_string())
        .collect()
}

fn payee(lease: &Signed<Lease>) -> String {
    lease.payload().payout.address.to_string()
}

fn before(scene: &Scene) -> Facts {
    funded_at(scene.at(6_000))
}

fn after(scene: &Scene) -> Facts {
    funded_at(scene.dossier.times().decide_at_ms)
}

fn evidence_of(scene: &Scene, objects: &[EvidenceObject]) -> Evidence {
    let mut evidence = Evidence::new(&scene.dossier);
    let refused = evidence.insert_all(objects.to_vec());
    assert!(refused.is_empty(), "{refused:?}");
    evidence
}

#[test]
fn an_honest_task_pays_the_right_workers_at_once_and_later_alike() {
    for (mode, winners) in [(Mode::Single, 1), (Mode::Race, 1), (Mode::Quorum, 3)] {
        let story = TaskStory::of(mode);
        let expected: BTreeSet<String> = story.leases.iter().take(winners).map(payee).collect();
        let paid: BTreeSet<String> = paid_workers(&story.decided).into_iter().collect();
        assert_eq!(paid, expected, "{mode:?}");
        let slow = decide(&story.evidence, &after(&story.scene))
            .decided()
            .unwrap();
        assert_eq!(
            (slow.receipt_cid, slow.digest),
            (story.decided.receipt_cid, story.decided.digest)
        );
        assert_eq!(
            (story.decided.basis, slow.basis),
            (Basis::Fast, Basis::Slow)
        );
        assert_eq!(story.decided.inputs, story.evidence.cids());
        assert_eq!(
            story.decided.inputs_root,
            inputs_root(&story.decided.inputs)
        );
        check_receipt(
            &story.scene.dossier,
            &story.decided.receipt,
            story.decided.receipt_cid,
        )
        .unwrap();
    }
}

#[test]
fn commission_and_fee_in_the_receipt_are_those_of_the_chain() {
    let story = TaskStory::of(Mode::Quorum);
    assert_eq!(story.decided.receipt.commission, Amount::from(3_000));
    assert_eq!(story.decided.receipt.gateway_fee, Amount::from(600));
    assert_eq!(story.decided.receipt.rows.len(), 6);
}

#[test]
fn threat_66_a_worker_is_paid_its_lease_price_whatever_units_it_claims() {
    let scene = Scene::new(TaskSpec::single(1, 1));
    let lease = scene.lease_set(1, &[0]).remove(0);
    let mut payload = scene.claim_payload(&lease, b"out");
    payload.units = Amount::MAX;
    let claim = Signed::sign(payload, scene.worker_of(&lease)).unwrap();
    let commit = scene.commit(&lease, &claim);
    let evidence = evidence_of(
        &scene,
        &[
            lease.clone().into(),
            scene.accept(&lease).into(),
            commit.clone().into(),
            scene.ack(0, &lease, &commit, 1).into(),
            claim.clone().into(),
            scene.verdict(0, &claim, Verdict::Accept).into(),
        ],
    );
    let decided = decide(&evidence, &before(&scene)).decided().unwrap();
    let worker = decided
        .receipt
        .rows
        .iter()
        .find(|row| row.role == RowRole::Worker)
        .unwrap();
    assert_eq!(worker.amount, lease.payload().price);
}

#[test]
fn without_a_deposit_nothing_is_decided_and_a_late_one_is_rejected_without_rows() {
    let story = TaskStory::of(Mode::Single);
    let mut facts = after(&story.scene);
    facts.deposit = DepositFact::None;
    let none = decide(&story.evidence, &facts);
    assert_eq!(
        none,
        Decision::Undecided {
            why: Pending::NotFunded,
            not_before_ms: None
        }
    );
    facts.deposit = DepositFact::Late;
    let late = decide(&story.evidence, &facts).decided().unwrap();
    assert_eq!(late.basis, Basis::DepositLate);
    assert!(late.receipt.rows.is_empty() && late.inputs.is_empty());
}

#[test]
fn threat_10_a_task_paid_on_another_rail_is_rejected_here_without_rows() {
    let story = TaskStory::of(Mode::Quorum);
    let facts = Facts {
        paid_elsewhere: true,
        ..before(&story.scene)
    };
    let decided = decide(&story.evidence, &facts).decided().unwrap();
    assert_eq!(decided.basis, Basis::PaidElsewhere);
    assert_eq!(decided.receipt.outcome, d402_objects::Outcome::Rejected);
    assert!(decided.receipt.rows.is_empty() && decided.receipt.claim_cids.is_empty());
}

#[test]
fn a_lease_its_worker_did_not_accept_earns_nothing() {
    let story = TaskStory::of(Mode::Single);
    let without: Vec<_> = story
        .objects
        .iter()
        .filter(|object| !matches!(object, EvidenceObject::LeaseAccept(_)))
        .cloned()
        .collect();
    let evidence = evidence_of(&story.scene, &without);
    assert!(decide(&evidence, &before(&story.scene)).decided().is_none());
    let slow = decide(&evidence, &after(&story.scene)).decided().unwrap();
    assert!(paid_workers(&slow).is_empty());
}

#[test]
fn undecided_says_when_to_look_again() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let evidence = Evidence::new(&scene.dossier);
    let times = *scene.dossier.times();
    let open = |next| Decision::Undecided {
        why: Pending::Open(Undecided::NothingAccepted),
        not_before_ms: Some(next),
    };
    assert_eq!(decide(&evidence, &before(&scene)), open(times.deadline_ms));
    let story = TaskStory::of(Mode::Single);
    let no_verdicts: Vec<_> = story
        .objects
        .iter()
        .filter(|object| !matches!(object, EvidenceObject::Receipt(_)))
        .cloned()
        .collect();
    let evidence = evidence_of(&story.scene, &no_verdicts);
    let at_deadline = funded_at(times.deadline_ms);
    assert_eq!(decide(&evidence, &at_deadline), open(times.decide_at_ms));
}

#[test]
fn nothing_seen_by_the_deadline_is_rejected_at_once() {
    let scene = Scene::new(TaskSpec::race(3, 4));
    let evidence = Evidence::new(&scene.dossier);
    let deadline = scene.dossier.times().deadline_ms;
    assert!(
        decide(&evidence, &funded_at(deadline.saturating_sub_ms(1)))
            .decided()
            .is_none()
    );
    let decided = decide(&evidence, &funded_at(deadline)).decided().unwrap();
    assert_eq!(decided.receipt.outcome, d402_objects::Outcome::Rejected);
    assert!(
        decided.receipt.rows.is_empty(),
        "no claim, no validator rows (threat #25)"
    );
}

/// All of an attempt's leases judged rejected by all validators.
fn rejected_attempt(scene: &Scene, attempt: u8, workers: &[usize]) -> Vec<EvidenceObject> {
    let leases = scene.lease_set(attempt, workers);
    let mut objects: Vec<EvidenceObject> = leases.iter().cloned().map(Into::into).collect();
    for (index, lease) in leases.iter().enumerate() {
        let claim = scene.claim(lease, format!("bad {attempt} {index}").as_bytes());
        let commit = scene.commit(lease, &claim);
        objects.push(scene.accept(lease).into());
        objects.push(commit.clone().into());
        for v in 0..usize::from(scene.spec.n) {
            objects.push(scene.ack(v, lease, &commit, index as u8 + 1).into());
            objects.push(scene.verdict(v, &claim, Verdict::Reject).into());
        }
        objects.push(claim.into());
    }
    objects
}

#[test]
fn a_task_with_every_possible_lease_judged_rejected_does_not_wait_for_the_deadline() {
    for spec in [TaskSpec::race(3, 4), TaskSpec::quorum(3, 4)] {
        let scene = Scene::new(spec);
        let workers: Vec<usize> = (0..usize::from(scene.spec.fanout)).collect();
        let evidence = evidence_of(&scene, &rejected_attempt(&scene, 1, &workers));
        let decided = decide(&evidence, &before(&scene)).decided().unwrap();
        assert_eq!(decided.basis, Basis::Fast);
        assert!(paid_workers(&decided).is_empty());
        assert_eq!(decided.receipt.rows.len(), 3, "those who judged are paid");
    }
    // Single: only once the last attempt is spent.
    let scene = Scene::new(TaskSpec::single(3, 4));
    let first = rejected_attempt(&scene, 1, &[0]);
    let second = rejected_attempt(&scene, 2, &[1]);
    assert!(
        decide(&evidence_of(&scene, &first), &before(&scene))
            .decided()
            .is_none()
    );
    assert!(
        decide(&evidence_of(&scene, &second), &before(&scene))
            .decided()
            .is_none()
    );
    let both = [first.clone(), second.clone()].concat();
    assert!(
        decide(&evidence_of(&scene, &both), &before(&scene))
            .decided()
            .is_some()
    );
    // A lease nobody committed under may still be worked on.
    let scene = Scene::new(TaskSpec::race(3, 4));
    let one_open: Vec<_> = rejected_attempt(&scene, 1, &[0, 1])
        .into_iter()
        .filter(|object| !is_about_second(object, &scene))
        .collect();
    assert!(
        decide(&evidence_of(&scene, &one_open), &before(&scene))
            .decided()
            .is_none()
    );
}

fn is_about_second(object: &EvidenceObject, scene: &Scene) -> bool {
    let lease = scene.lease_set(1, &[0, 1])[1].cid();
    let claim = scene
        .claim(&scene.lease_set(1, &[0, 1])[1], b"bad 1 1")
        .cid();
    match object {
        EvidenceObject::Commit(o) => o.payload().lease_cid == lease,
        EvidenceObject::Ack(o) => o.payload().lease_cid == lease,
        EvidenceObject::Claim(o) => o.payload().lease_cid == lease,
        EvidenceObject::Receipt(o) => o.payload().claim_cid == claim,
        EvidenceObject::Lease(_)
        | EvidenceObject::LeaseAccept(_)
        | EvidenceObject::NoMoreLeases(_) => false,
    }
}

#[test]
fn the_gateways_word_alone_rejects_nothing() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let evidence = evidence_of(&scene, &[scene.no_more_leases().into()]);
    assert!(decide(&evidence, &before(&scene)).decided().is_none());
    let decided = decide(&evidence, &after(&scene)).decided().unwrap();
    assert!(decided.inputs.is_empty(), "and is no input either");
}

#[test]
fn threat_33_of_two_backed_lease_sets_of_one_attempt_only_the_better_backed_is_paid() {
    // 2-of-3: the shared validator is hostile and acks under both sets.
    let mut spec = TaskSpec::quorum(2, 3);
    spec.price = 29_000;
    let scene = Scene::new(spec);
    let (first, second) = (scene.lease_set(1, &[0, 1]), scene.lease_set(1, &[2, 3]));
    let mut objects = Vec::new();
    for (leases, ackers) in [(&first, [0, 1, 2].as_slice()), (&second, [2, 1].as_slice())] {
        objects.extend(leases.iter().cloned().map(EvidenceObject::from));
        for (index, lease) in leases.iter().enumerate() {
            let claim = scene.claim(lease, b"same");
            let commit = scene.commit(lease, &claim);
            objects.push(scene.accept(lease).into());
            objects.push(commit.clone().into());
            objects.push(claim.clone().into());
            let rank = index as u8 + 1;
            objects.extend(
                ackers
                    .iter()
                    .map(|v| scene.ack(*v, lease, &commit, rank).into()),
            );
            objects.extend((0..3).map(|v| scene.verdict(v, &claim, Verdict::Accept).into()));
        }
    }
    let evidence = evidence_of(&scene, &objects);
    let decided = decide(&evidence, &after(&scene)).decided().unwrap();
    let paid: BTreeSet<String> = paid_workers(&decided).into_iter().collect();
    assert_eq!(paid, first.iter().map(payee).collect());
}

#[test]
fn two_verdicts_of_one_validator_on_one_claim_count_for_neither() {
    let story = TaskStory::honest(TaskSpec::single(2, 3));
    let claim = &story.claims[0];
    let keep: Vec<EvidenceObject> = story
        .objects
        .iter()
        .filter(|object| match object {
            EvidenceObject::Receipt(r) => {
                r.payload().validator != story.scene.actors.validators[2].id()
            }
            EvidenceObject::Lease(_)
            | EvidenceObject::LeaseAccept(_)
            | EvidenceObject::Commit(_)
            | EvidenceObject::Ack(_)
            | EvidenceObject::Claim(_)
            | EvidenceObject::NoMoreLeases(_) => true,
        })
        .cloned()
        .collect();
    let mut evidence = evidence_of(&story.scene, &keep);
    assert!(decide(&evidence, &before(&story.scene)).decided().is_some());
    evidence
        .insert(story.scene.verdict(1, claim, Verdict::Reject))
        .unwrap();
    assert!(decide(&evidence, &before(&story.scene)).decided().is_none());
    assert_eq!(evidence.verdict_count(&claim.cid(), Verdict::Accept), 1);
    assert_eq!(evidence.verdict_count(&claim.cid(), Verdict::Reject), 0);
}

#[test]
fn threat_13_a_proposal_that_leaves_out_what_a_validator_acked_or_judged_is_refused() {
    let story = TaskStory::of(Mode::Race);
    let scene = &story.scene;
    let validator = scene.actors.validators[0].id();
    let own = &story.evidence;
    let full = check_proposal(own, own, &validator, &before(scene)).unwrap();
    assert_eq!(full, story.decided);
    // The gateway forwards only its own worker's claim: nothing of the winner's lease.
    let (winner, claim) = (story.leases[0].cid(), story.claims[0].cid());
    let censored: Vec<_> = story
        .objects
        .iter()
        .filter(|object| match object {
            EvidenceObject::Lease(_) | EvidenceObject::NoMoreLeases(_) => true,
            EvidenceObject::LeaseAccept(o) => o.payload().lease_cid != winner,
            EvidenceObject::Commit(o) => o.payload().lease_cid != winner,
            EvidenceObject::Ack(o) => o.payload().lease_cid != winner,
            EvidenceObject::Claim(o) => o.cid() != claim,
            EvidenceObject::Receipt(o) => o.payload().claim_cid != claim,
        })
        .cloned()
        .collect();
    let proposal = evidence_of(scene, &censored);
    let rival = decide(&proposal, &after(scene)).decided().unwrap();
    assert_eq!(
        paid_workers(&rival),
        vec![payee(&story.leases[1])],
        "the attack would work"
    );
    for v in 0..4 {
        let validator = scene.actors.validators[v].id();
        let refused = check_proposal(own, &proposal, &validator, &after(scene)).unwrap_err();
        let ProposalRefusal::Omits(omitted) = refused else {
            panic!("{refused}")
        };
        let ack = own.ack_by(&validator, &winner).unwrap().cid();
        let accept = own.accept_of(&winner).unwrap().cid();
        assert!(omitted.contains(&ack) && omitted.contains(&accept));
        assert_eq!(omitted.len(), 3, "and its verdict");
    }
}

#[test]
fn threat_13_leaving_out_only_the_accept_is_seen_too() {
    let story = TaskStory::of(Mode::Single);
    let accept = story
        .evidence
        .accept_of(&story.leases[0].cid())
        .unwrap()
        .cid();
    let inputs: Vec<_> = story
        .evidence
        .cids()
        .into_iter()
        .filter(|cid| *cid != accept)
        .collect();
    let proposal = story.evidence.subset(&inputs).unwrap();
    let validator = story.scene.actors.validators[2].id();
    let refused = check_proposal(&story.evidence, &proposal, &validator, &after(&story.scene));
    assert_eq!(refused, Err(ProposalRefusal::Omits(vec![accept])));
}

#[test]
fn an_early_rejection_waits_for_commits_the_validator_knows_from_others() {
    let story = TaskStory::of(Mode::Single);
    let scene = &story.scene;
    // Validator 3 acked and judged nothing, but holds validator 0's ack.
    let own: Vec<_> = story
        .objects
        .iter()
        .filter(|object| match object {
            EvidenceObject::Ack(o) => o.payload().validator == scene.actors.validators[0].id(),
            EvidenceObject::Receipt(_) | EvidenceObject::Claim(_) => false,
            EvidenceObject::Lease(_)
            | EvidenceObject::LeaseAccept(_)
            | EvidenceObject::Commit(_)
            | EvidenceObject::NoMoreLeases(_) => true,
        })
        .cloned()
        .collect();
    let own = evidence_of(scene, &own);
    let proposal = Evidence::new(&scene.dossier);
    let validator = scene.actors.validators[3].id();
    let at_deadline = funded_at(scene.dossier.times().deadline_ms);
    let refused = check_proposal(&own, &proposal, &validator, &at_deadline).unwrap_err();
    assert_eq!(
        refused,
        ProposalRefusal::OpenCommits(vec![story.leases[0].cid()])
    );
    let nothing = Evidence::new(&scene.dossier);
    assert!(check_proposal(&nothing, &proposal, &validator, &at_deadline).is_ok());
    let early = check_proposal(&nothing, &proposal, &validator, &before(scene));
    assert!(matches!(early, Err(ProposalRefusal::Undecided(_))));
}

#[test]
fn a_contradicted_lease_is_nobodys_loss() {
    let story = TaskStory::of(Mode::Race);
    let scene = &story.scene;
    let mut objects = story.objects.clone();
    objects.push(
        scene
            .commit_to(&story.leases[0], Hex32::from_bytes([5; 32]))
            .into(),
    );
    let void = evidence_of(scene, &objects);
    let decided = decide(&void, &after(scene)).decided().unwrap();
    assert_eq!(paid_workers(&decided), vec![payee(&story.leases[1])]);
    // The gateway may then leave its acks out.
    let validator = scene.actors.validators[1].id();
    let lease = story.leases[0].cid();
    let without: Vec<_> = objects
        .into_iter()
        .filter(
            |object| !matches!(object, EvidenceObject::Ack(o) if o.payload().lease_cid == lease),
        )
        .collect();
    let proposal = evidence_of(scene, &without);
    assert_eq!(void.omits(&validator, &proposal), Vec::new());
    assert_eq!(story.evidence.omits(&validator, &proposal), Vec::new());
}

/// What up to n − m hostile validators (the last ones) may add to honest, complete evidence.
#[derive(Clone, Debug)]
enum Lie {
    /// A second ack of a lease with another rank.
    SecondRank { lease: usize, rank: u8 },
    /// The opposite verdict beside the first.
    BothVerdicts { claim: usize },
    /// Nothing at all: takes away everything the validator said.
    Silence,
    /// The opposite verdict instead of the honest one.
    Inverted,
    /// Acks in the reverse order.
    ReversedRanks,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        (0usize..3, 1u8..4).prop_map(|(lease, rank)| Lie::SecondRank { lease, rank }),
        (0usize..3).prop_map(|claim| Lie::BothVerdicts { claim }),
        Just(Lie::Silence),
        Just(Lie::Inverted),
        Just(Lie::ReversedRanks),
    ]
}

/// What validator `liar` says about the lease and the claim at one place.
fn statements(story: &TaskStory, liar: usize, lie: &Lie, at: usize) -> Vec<EvidenceObject> {
    let count = story.leases.len();
    let (honest, opposite) = match story.decided.receipt.outcome {
        d402_objects::Outcome::Paid => (Verdict::Accept, Verdict::Reject),
        d402_objects::Outcome::Rejected => (Verdict::Reject, Verdict::Accept),
    };
    let ack = |rank: usize| {
        let (lease, commit) = (&story.leases[at], &story.commits[at]);
        EvidenceObject::from(story.scene.ack(liar, lease, commit, rank as u8))
    };
    let verdict = |v| EvidenceObject::from(story.scene.verdict(liar, &story.claims[at], v));
    match lie {
        Lie::Silence => Vec::new(),
        Lie::SecondRank { lease, rank } if lease % count == at => {
            vec![
                ack(at + 1),
                ack(usize::from(*rank - 1) % count + 1),
                verdict(honest),
            ]
        }
        Lie::BothVerdicts { claim } if claim % count == at => {
            vec![ack(at + 1), verdict(honest), verdict(opposite)]
        }
        Lie::SecondRank { .. } | Lie::BothVerdicts { .. } => vec![ack(at + 1), verdict(honest)],
        Lie::Inverted => vec![ack(at + 1), verdict(opposite)],
        Lie::ReversedRanks => vec![ack(count - at), verdict(honest)],
    }
}

/// The objects after validator `liar` said something else than the truth.
fn with_lie(
    story: &TaskStory,
    mut objects: Vec<EvidenceObject>,
    liar: usize,
    lie: &Lie,
) -> Vec<EvidenceObject> {
    let id = story.scene.actors.validators[liar].id();
    objects.retain(|object| match object {
        EvidenceObject::Ack(o) => o.payload().validator != id,
        EvidenceObject::Receipt(o) => o.payload().validator != id,
        EvidenceObject::Lease(_)
        | EvidenceObject::LeaseAccept(_)
        | EvidenceObject::Commit(_)
        | EvidenceObject::Claim(_)
        | EvidenceObject::NoMoreLeases(_) => true,
    });
    objects.extend((0..story.leases.len()).flat_map(|at| statements(story, liar, lie, at)));
    objects
}

/// Whether m validators that did not contradict themselves accepted, and m acked.
fn deserves_pay(story: &TaskStory, evidence: &Evidence, claim: &Signed<ResultClaim>) -> bool {
    let m = usize::from(story.scene.spec.m);
    let lease = claim.payload().lease_cid;
    let ackers: BTreeSet<_> = evidence
        .acks()
        .map(Signed::payload)
        .filter(|ack| ack.lease_cid == lease)
        .map(|ack| ack.validator)
        .collect();
    evidence.verdict_count(&claim.cid(), Verdict::Accept) >= m && ackers.len() >= m
}

fn stories() -> impl Strategy<Value = TaskStory> {
    let specs = [
        TaskSpec::single(3, 4),
        TaskSpec::race(3, 4),
        TaskSpec::quorum(3, 4),
        TaskSpec::race(5, 7),
    ];
    let stories: Vec<TaskStory> = specs.into_iter().map(TaskStory::honest).collect();
    proptest::sample::select(stories)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_insertion_never_changes_the_decision(
        story in stories(), picks in proptest::collection::vec(any::<prop::sample::Index>(), 80),
    ) {
        // A random order in which everything still follows what it names: shuffle, then insert what fits
        // until nothing is left.
        let mut rest = story.objects.clone();
        for pick in &picks {
            let at = pick.index(rest.len());
            let object = rest.remove(at);
            rest.push(object);
        }
        let mut evidence = Evidence::new(&story.scene.dossier);
        evidence.insert_leases(story.leases.clone()).unwrap();
        for _ in 0..4 {
            rest.retain(|object| evidence.insert(object.clone()).is_err());
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(evidence.cids(), story.evidence.cids());
        for facts in [before(&story.scene), after(&story.scene)] {
            prop_assert_eq!(decide(&evidence, &facts), decide(&story.evidence, &facts));
        }
    }

    #[test]
    fn a_minoritys_lies_never_change_who_is_paid_and_pay_nobody_undeserving(
        story in stories(), first in lie(), second in lie(),
    ) {
        let scene = &story.scene;
        let n = usize::from(scene.spec.n);
        let hostile = n - usize::from(scene.spec.m);
        let mut objects = with_lie(&story, story.objects.clone(), n - 1, &first);
        if hostile > 1 {
            objects = with_lie(&story, objects, n - 2, &second);
        }
        // An extra ack may repeat one that is there: the same object, or a taken slot.
        let mut evidence = Evidence::new(&scene.dossier);
        evidence.insert_all(objects);
        let slow = decide(&evidence, &after(scene)).decided().unwrap();
        prop_assert_eq!(paid_workers(&slow), paid_workers(&story.decided));
        if let Some(fast) = decide(&evidence, &before(scene)).decided() {
            prop_assert_eq!(paid_workers(&fast), paid_workers(&story.decided));
        }
        for decided in [Some(slow), decide(&evidence, &before(scene)).decided()].into_iter().flatten() {
            for (claim, lease) in story.claims.iter().zip(&story.leases) {
                if paid_workers(&decided).contains(&payee(lease)) {
                    prop_assert!(deserves_pay(&story, &evidence, claim));
                }
            }
        }
    }

    #[test]
    fn a_minority_never_gets_rejected_work_paid(first in lie(), second in lie(), race in any::<bool>()) {
        let spec = if race { TaskSpec::race(5, 7) } else { TaskSpec::quorum(5, 7) };
        let story = TaskStory::judged(spec, Verdict::Reject);
        let objects = with_lie(&story, story.objects.clone(), 6, &first);
        let objects = with_lie(&story, objects, 5, &second);
        let mut evidence = Evidence::new(&story.scene.dossier);
        evidence.insert_all(objects);
        for facts in [before(&story.scene), after(&story.scene)] {
            if let Some(decided) = decide(&evidence, &facts).decided() {
                prop_assert!(paid_workers(&decided).is_empty());
                prop_assert_eq!(decided.receipt.outcome, d402_objects::Outcome::Rejected);
            }
        }
    }

    #[test]
    fn any_part_of_the_evidence_pays_only_who_deserves_it(
        story in stories(), keep in proptest::collection::vec(any::<bool>(), 80),
    ) {
        let objects: Vec<_> = story
            .objects
            .iter()
            .zip(keep.iter().cycle())
            .filter(|(object, keep)| **keep || matches!(object, EvidenceObject::Lease(_)))
            .map(|(object, _)| object.clone())
            .collect();
        let mut evidence = Evidence::new(&story.scene.dossier);
        evidence.insert_all(objects);
        let decided = decide(&evidence, &after(&story.scene)).decided().unwrap();
        for (claim, lease) in story.claims.iter().zip(&story.leases) {
            if paid_workers(&decided).contains(&payee(lease)) {
                prop_assert!(deserves_pay(&story, &evidence, claim));
                prop_assert!(evidence.accept_of(&lease.cid()).is_some());
            }
        }
        check_receipt(&story.scene.dossier, &decided.receipt, decided.receipt_cid).unwrap();
    }
}
