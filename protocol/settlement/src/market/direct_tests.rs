//! What a direct payment may be, and what its decision is worth.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a wrong expectation should stop the test where it is"
)]

use d402_objects::{
    Address, Amount, Bps, Lease, Mode, OnSilence, ReceiptRow, RowRole, Signed, TaskIntent,
    lease_set_root,
};

use super::testkit::{Actors, Scene, TaskSpec, TaskStory};
use super::{
    BASE_NETWORK, Dossier, DossierError, DossierParts, Evidence, EvidenceObject, ReceiptFault,
    SIMULATED_NETWORK, chain_of, check_receipt,
};

type Change = fn(&mut TaskIntent);

/// A direct task with a changed intent; `Err` is the object's own rule.
fn changed(
    network: &str,
    change: impl FnOnce(&mut TaskIntent),
) -> Result<Result<Dossier, DossierError>, d402_objects::ObjectError> {
    let spec = TaskSpec::direct(3, 4).on(network);
    let actors = Actors::on(&spec.network, 4);
    let parts = Scene::parts(&spec, &actors);
    let mut intent = parts.intent.payload().clone();
    change(&mut intent);
    let intent = Signed::sign(intent, &actors.buyer)?;
    Ok(Dossier::check(DossierParts { intent, ..parts }))
}

#[test]
fn pay_to_of_a_direct_task_is_the_workers_account_on_every_network() {
    for network in [SIMULATED_NETWORK, BASE_NETWORK] {
        let scene = Scene::new(TaskSpec::direct(3, 4).on(network));
        let worker = &scene.actors.workers[0];
        let quote = scene.dossier.quote();
        assert_eq!(quote.pay_to_address().as_ref(), Some(&worker.payout));
        assert_eq!(scene.dossier.direct().unwrap().worker, worker.id());
        let vault = Scene::new(TaskSpec::single(3, 4).on(network));
        assert_eq!(vault.dossier.direct(), None);
    }
}

#[test]
fn threat_m7_a_direct_receipt_is_bound_to_the_token_and_worth_nothing_at_the_ledger() {
    for network in [SIMULATED_NETWORK, BASE_NETWORK] {
        let story = TaskStory::honest(TaskSpec::direct(3, 4).on(network));
        let dossier = &story.scene.dossier;
        let ledger = chain_of(&network.parse().unwrap()).unwrap().codec;
        let asset = dossier.codec().account(dossier.asset()).unwrap();
        assert_eq!(dossier.codec().verifier(), asset);
        assert_eq!(&story.decided.receipt.verifier, dossier.asset());
        let terms = dossier.terms();
        let there = ledger.terms_hash(terms).unwrap();
        assert_ne!(there, dossier.quote().terms_hash, "other terms");
        for terms_hash in [there, dossier.quote().terms_hash] {
            let digest = ledger.settlement_digest(&terms_hash, &story.decided.settlement);
            assert_ne!(digest, story.decided.digest, "another message");
            for entry in story.signed_receipt.signatures() {
                let key = dossier.set().key(entry.set_index).unwrap();
                let bytes = entry.signature.as_slice();
                assert!(dossier.codec().verifies(&key, &story.decided.digest, bytes));
                assert!(!ledger.verifies(&key, &digest, bytes));
            }
        }
    }
}

#[test]
fn threat_39_a_direct_entry_never_stands_beside_another_kind_or_another_worker() {
    let beside = changed(SIMULATED_NETWORK, |intent| {
        let mut vault = intent.payment[0].clone();
        vault.direct = None;
        vault.rail = "vault".parse().unwrap();
        intent.payment.push(vault);
    });
    assert!(beside.is_err(), "{beside:?}");
    let other = changed(SIMULATED_NETWORK, |intent| {
        let mut entry = intent.payment[0].clone();
        entry.rail = "other".parse().unwrap();
        entry.direct.as_mut().unwrap().worker = intent.gateway;
        intent.payment.push(entry);
    });
    assert!(other.is_err(), "{other:?}");
}

#[test]
fn a_direct_payment_is_single_short_whole_and_refuses_on_silence() {
    let rules: [(&str, Change); 5] = [
        ("mode", |i| {
            (i.mode, i.fanout, i.max_attempts) = (Mode::Race, 2, 1);
        }),
        ("deadline", |i| {
            i.deadline_ms = i.issued_at_ms.saturating_add_ms(30_001);
        }),
        ("silence", |i| i.on_silence = OnSilence::Majority),
        ("gateway fee", |i| {
            i.payment[0].gateway_fee_bps = Bps::new(1).unwrap();
            i.payment[0].gateway_fee_payee = Some(i.payment[0].refund_to.clone());
        }),
        ("validator fee", |i| {
            i.payment[0].validator_fee_cap = Amount::from(1);
        }),
    ];
    for (what, change) in rules {
        let got = changed(SIMULATED_NETWORK, change);
        assert!(got.is_err(), "{what}: {got:?}");
    }
    assert!(changed(SIMULATED_NETWORK, |_| {}).unwrap().is_ok());
    let mut spec = TaskSpec::direct(3, 4);
    spec.commission_bps = 1_000;
    let parts = Scene::parts(&spec, &Actors::new(4));
    assert_eq!(
        Dossier::check(parts).unwrap_err(),
        DossierError::DirectSplit,
        "a creator commission forces escrow"
    );
}

#[test]
fn a_direct_payment_to_the_buyer_a_validator_or_the_token_is_no_task() {
    let scene = Scene::new(TaskSpec::direct(3, 4));
    let refund = scene.dossier.payment().refund_to.clone();
    let validator = scene.actors.validators[1].payout.clone();
    let token = scene.dossier.asset().clone();
    for account in [refund, validator, token] {
        let got = changed(SIMULATED_NETWORK, |intent| {
            intent.payment[0].direct.as_mut().unwrap().pay_to = account.clone();
        });
        let got = got.unwrap().unwrap_err();
        assert!(matches!(got, DossierError::ForbiddenParty { .. }), "{got}");
    }
}

/// Whether validators would take a lease of the direct task, changed and signed by the gateway.
fn leased(change: impl FnOnce(&mut Lease)) -> bool {
    let scene = Scene::new(TaskSpec::direct(3, 4));
    let mut lease = scene.lease_payloads(1, &[0]).remove(0);
    change(&mut lease);
    lease.lease_set_root = lease_set_root(&[(lease.worker, lease.price)]);
    let lease = Signed::sign(lease, &scene.actors.gateway).unwrap();
    let mut evidence = Evidence::new(&scene.dossier);
    evidence
        .insert_all(vec![EvidenceObject::from(lease)])
        .is_empty()
}

#[test]
fn a_lease_of_a_direct_task_is_the_payment_or_no_evidence() {
    let scene = Scene::new(TaskSpec::direct(3, 4));
    let other = &scene.actors.workers[1];
    assert!(leased(|_| {}));
    assert!(!leased(|lease| lease.price = Amount::from(99_999)));
    assert!(!leased(|lease| lease.payout.address = other.payout.clone()));
    assert!(!leased(|lease| lease.worker = other.id()));
}

#[test]
fn a_receipt_of_a_direct_task_pays_the_whole_amount_to_its_worker_or_nothing() {
    let story = TaskStory::honest(TaskSpec::direct(3, 4));
    let dossier = &story.scene.dossier;
    let receipt = &story.decided.receipt;
    assert!(check_receipt(dossier, receipt, story.decided.receipt_cid).is_ok());
    assert_eq!(receipt.rows.len(), 1);
    let row = |payee: &Address, amount: u64, role| ReceiptRow {
        payee: payee.clone(),
        role,
        amount: amount.into(),
    };
    let (own, other) = (
        &receipt.rows[0].payee,
        &story.scene.actors.workers[1].payout,
    );
    let forged = [
        row(own, 99_999, RowRole::Worker),
        row(other, 100_000, RowRole::Worker),
    ];
    for row in forged {
        let mut receipt = receipt.clone();
        receipt.rows = vec![row];
        let got = check_receipt(dossier, &receipt, story.decided.receipt_cid);
        assert_eq!(got, Err(ReceiptFault::NotThePayment));
    }
}
