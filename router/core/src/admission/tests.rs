//! What the catalogue lets in, and which validators a policy chooses.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a wrong expectation should stop the test where it is"
)]

mod base;

use d402_objects::{
    Amount, DeprecationRecord, Ed25519Id, Hex32, Manifest, NamespaceProof, Nonce16, Registration,
    Signed, SigningKey, UnixMs, ValidatorOffer,
};
use d402_settlement::market::DossierParts;
use d402_settlement::market::testkit::{Actors, Scene, TaskSpec, key, wallet};

use super::{
    Catalogue, Draw, NoPayment, NotAccepted, NotAdmitted, Policy, RailOffer, TaskRequest, admit,
};

const NOW_MS: u64 = 1_795_000_000_000;

fn actors() -> Actors {
    Actors::new(6)
}

fn parts() -> DossierParts {
    Scene::parts(&TaskSpec::single(4, 6), &actors())
}

fn catalogue(parts: &DossierParts) -> Catalogue {
    Catalogue::new(
        std::slice::from_ref(&parts.manifest),
        vec![parts.registration.clone()],
        NOW_MS,
    )
    .with_offers(parts.offers.clone(), NOW_MS)
}

fn rail() -> RailOffer {
    let payment = &parts().intent.payload().payment[0].clone();
    RailOffer {
        direct: false,
        rent_to: None,
        rail: payment.rail.clone(),
        network: payment.network.clone(),
        asset: payment.asset.clone(),
        budgets: Amount::ZERO..=Amount::MAX,
    }
}

fn request() -> TaskRequest {
    serde_json::from_value(serde_json::json!({
        "capabilityId": "test.echo@1",
        "input": {"text": "hello"},
        "refundTo": {"d402:simulated": wallet("refund", 0)},
    }))
    .unwrap()
}

fn draw() -> Draw {
    Draw {
        gateway: (&actors().gateway).into(),
        now_ms: NOW_MS,
        nonce: Nonce16::from_bytes([1; 16]),
        salt: [2; 32],
        access_hash: Hex32::from_bytes([3; 32]),
    }
}

fn admitted(
    request: &TaskRequest,
    policy: &Policy,
    catalogue: &Catalogue,
) -> Result<super::Admission, NotAdmitted> {
    admit(request, policy, catalogue, &[rail()], &draw())
}

fn resigned<T: d402_objects::Payload>(
    object: &Signed<T>,
    by: &SigningKey,
    change: impl FnOnce(&mut T),
) -> Signed<T> {
    let mut payload = object.payload().clone();
    change(&mut payload);
    Signed::sign(payload, by).unwrap()
}

#[test]
fn admission_is_a_function_of_its_arguments() {
    let parts = parts();
    let (one, two) = (
        admitted(&request(), &Policy::default(), &catalogue(&parts)).unwrap(),
        admitted(&request(), &Policy::default(), &catalogue(&parts)).unwrap(),
    );
    assert_eq!(one.intent, two.intent);
    assert_eq!(one.task_id, d402_objects::cid_of(&one.intent).unwrap());
    assert_eq!(one.rails[0].quote.pay_to, two.rails[0].quote.pay_to);
    assert_eq!(one.intent.payment[0].refund_to, wallet("refund", 0));
    assert_eq!(one.intent.access_hash, Hex32::from_bytes([3; 32]));
}

#[test]
fn a_registration_by_another_than_the_author_lists_nothing() {
    let parts = parts();
    let stranger = key("stranger", 0);
    let theirs = resigned(&parts.registration, &stranger, |r: &mut Registration| {
        r.author = (&stranger).into()
    });
    let listed = Catalogue::new(
        std::slice::from_ref(&parts.manifest),
        vec![theirs.clone()],
        NOW_MS,
    );
    assert!(listed.listing(&parts.manifest.cid()).is_none());
    let both = Catalogue::new(
        std::slice::from_ref(&parts.manifest),
        vec![parts.registration.clone(), theirs],
        NOW_MS,
    );
    assert_eq!(
        both.listing(&parts.manifest.cid())
            .unwrap()
            .registration
            .cid(),
        parts.registration.cid()
    );
}

#[test]
fn an_expired_registration_lists_nothing_and_the_highest_seq_wins() {
    let parts = parts();
    let author = actors().author;
    let until = |ms| {
        resigned(&parts.registration, &author, |r: &mut Registration| {
            r.valid_until_ms = UnixMs::new(ms).unwrap();
            r.seq = 2;
        })
    };
    let list = |registrations| {
        let listed = Catalogue::new(std::slice::from_ref(&parts.manifest), registrations, NOW_MS);
        listed
            .listing(&parts.manifest.cid())
            .map(|l| l.registration.cid())
    };
    assert_eq!(list(vec![until(NOW_MS)]), None, "half-open");
    let newer = until(NOW_MS + 1);
    assert_eq!(
        list(vec![newer.clone(), parts.registration.clone()]),
        Some(newer.cid())
    );
}

#[test]
fn only_the_author_deprecates() {
    let parts = parts();
    let record = |by: &SigningKey| {
        let record = DeprecationRecord {
            object_version: 1,
            author: by.into(),
            manifest_cid: parts.manifest.cid(),
            reason: "old".parse().unwrap(),
            successor: None,
            seq: 1,
            at_ms: UnixMs::new(NOW_MS).unwrap(),
        };
        Signed::sign(record, by).unwrap()
    };
    let stranger = catalogue(&parts).with_deprecations(vec![record(&key("stranger", 0))]);
    assert!(admitted(&request(), &Policy::default(), &stranger).is_ok());
    let withdrawn = catalogue(&parts).with_deprecations(vec![record(&actors().author)]);
    let refusal = admitted(&request(), &Policy::default(), &withdrawn).unwrap_err();
    assert!(matches!(
        refusal,
        NotAdmitted::NotAccepted(NotAccepted::Deprecated { successor: None })
    ));
    let tolerant = Policy {
        refuse_deprecated: false,
        ..Policy::default()
    };
    assert!(admitted(&request(), &tolerant, &withdrawn).is_ok());
}

#[test]
fn a_namespace_is_proven_by_one_wallet_that_names_the_author() {
    let parts = parts();
    let proof = |wallet: &SigningKey, author: Ed25519Id, valid_until_ms: u64| {
        let proof = NamespaceProof {
            object_version: 1,
            namespace: "test".parse().unwrap(),
            wallet: Ed25519Id::from(wallet).into(),
            author,
            seq: 1,
            valid_until_ms: UnixMs::new(valid_until_ms).unwrap(),
        };
        Signed::sign(proof, wallet).unwrap()
    };
    let (owner, rival) = (key("owner", 0), key("owner", 1));
    let author = Ed25519Id::from(&actors().author);
    let strict = Policy {
        namespace_proof_required: true,
        ..Policy::default()
    };
    let sold = |proofs: &[Signed<NamespaceProof>]| {
        admitted(
            &request(),
            &strict,
            &catalogue(&parts).with_namespace_proofs(proofs, NOW_MS),
        )
        .is_ok()
    };
    let good = proof(&owner, author, NOW_MS + 1);
    assert!(sold(std::slice::from_ref(&good)));
    assert!(!sold(&[]));
    assert!(!sold(&[proof(&owner, author, NOW_MS)]), "expired");
    assert!(
        !sold(&[proof(&owner, (&rival).into(), NOW_MS + 1)]),
        "names another author"
    );
    assert!(
        !sold(&[good, proof(&rival, (&rival).into(), NOW_MS + 1)]),
        "two wallets claim it"
    );
}

#[test]
fn of_each_validator_the_newest_live_offer_counts() {
    let parts = parts();
    let actors = actors();
    let by_seq = |seq: u64, expires: u64| {
        resigned(
            &parts.offers[0],
            &actors.validators[0].key,
            |o: &mut ValidatorOffer| {
                o.seq = seq;
                o.expires_at_ms = UnixMs::new(expires).unwrap();
            },
        )
    };
    let newer = by_seq(2, NOW_MS + 1);
    let offers = vec![newer.clone(), parts.offers[0].clone()];
    let listed = Catalogue::default().with_offers(offers, NOW_MS);
    assert_eq!(
        listed.offers().map(Signed::cid).collect::<Vec<_>>(),
        [newer.cid()]
    );
    assert_eq!(
        Catalogue::default()
            .with_offers(vec![by_seq(3, NOW_MS)], NOW_MS)
            .offers()
            .count(),
        0
    );
}

#[test]
fn trusted_validators_are_chosen_in_their_order_and_nobody_else() {
    let parts = parts();
    let ids: Vec<Ed25519Id> = actors().validators.iter().map(|v| v.id()).collect();
    let trusted = vec![ids[4], ids[1], ids[3]];
    let policy = Policy {
        trusted_validators: trusted.clone(),
        validator_set_size: 3,
        validator_threshold: 2,
        ..Policy::default()
    };
    let admission = admitted(&request(), &policy, &catalogue(&parts)).unwrap();
    let chosen: Vec<Ed25519Id> = admission
        .offers
        .iter()
        .map(|o| o.payload().validator)
        .collect();
    assert_eq!(chosen, trusted);
    let more = Policy {
        validator_set_size: 4,
        ..policy
    };
    let refusal = admitted(&request(), &more, &catalogue(&parts)).unwrap_err();
    assert!(matches!(
        refusal,
        NotAdmitted::TooFewValidators { got: 3, want: 4 }
    ));
}

#[test]
fn one_wallet_under_two_names_is_one_validator() {
    let parts = parts();
    let actors = actors();
    let first = parts.offers[0].payload().payouts.clone();
    let twin = resigned(
        &parts.offers[1],
        &actors.validators[1].key,
        |o: &mut ValidatorOffer| o.payouts = first,
    );
    let mut offers = parts.offers.clone();
    offers[1] = twin;
    let listed = Catalogue::new(
        std::slice::from_ref(&parts.manifest),
        vec![parts.registration.clone()],
        NOW_MS,
    )
    .with_offers(offers, NOW_MS);
    let policy = |validator_set_size| Policy {
        validator_set_size,
        validator_threshold: 4,
        ..Policy::default()
    };
    assert!(admitted(&request(), &policy(5), &listed).is_ok());
    let refusal = admitted(&request(), &policy(6), &listed).unwrap_err();
    assert!(matches!(
        refusal,
        NotAdmitted::TooFewValidators { got: 5, want: 6 }
    ));
}

#[test]
fn a_network_is_offered_only_when_everybody_can_be_paid_on_it() {
    let parts = parts();
    let mut without = request();
    without.refund_to.clear();
    let refusal = admitted(&without, &Policy::default(), &catalogue(&parts)).unwrap_err();
    assert!(
        matches!(refusal, NotAdmitted::NoRail { rails } if rails[0].1 == NoPayment::NoRefundTo)
    );
    let no_wallet = resigned(
        &parts.registration,
        &actors().author,
        |r: &mut Registration| r.commission.wallets.clear(),
    );
    let manifests: &[Signed<Manifest>] = std::slice::from_ref(&parts.manifest);
    let listed = Catalogue::new(manifests, vec![no_wallet], NOW_MS)
        .with_offers(parts.offers.clone(), NOW_MS);
    let refusal = admitted(&request(), &Policy::default(), &listed).unwrap_err();
    assert!(
        matches!(refusal, NotAdmitted::NoRail { rails } if rails[0].1 == NoPayment::NoCreatorWallet)
    );
    let poor = Policy {
        default_budget: 3_999.into(),
        ..Policy::default()
    };
    let refusal = admitted(&request(), &poor, &catalogue(&parts)).unwrap_err();
    let fees = 2_000.into();
    assert!(
        matches!(refusal, NotAdmitted::NoRail { rails } if rails[0].1 == NoPayment::FeesTooHigh { fees })
    );
}

#[test]
fn the_fee_is_taken_where_there_is_somebody_to_take_it() {
    let parts = parts();
    let mut policy = Policy {
        gateway_fee_bps: d402_objects::Bps::new(200).unwrap(),
        ..Policy::default()
    };
    let without = admitted(&request(), &policy, &catalogue(&parts)).unwrap();
    assert_eq!(without.intent.payment[0].gateway_fee_bps.get(), 0);
    policy
        .gateway_fee_payees
        .insert(rail().network, wallet("gateway", 0));
    let with = admitted(&request(), &policy, &catalogue(&parts)).unwrap();
    assert_eq!(with.intent.payment[0].gateway_fee_bps.get(), 200);
    assert_eq!(
        with.intent.payment[0].gateway_fee_payee,
        Some(wallet("gateway", 0))
    );
}

#[test]
fn a_policy_is_read_as_it_is_written() {
    let policy = Policy {
        validator_set_size: 7,
        ..Policy::default()
    };
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(written["validator-set-size"], 7);
    assert_eq!(serde_json::from_value::<Policy>(written).unwrap(), policy);
    assert_eq!(
        serde_json::from_str::<Policy>("{}").unwrap(),
        Policy::default()
    );
    assert!(serde_json::from_str::<Policy>(r#"{"surprise":1}"#).is_err());
}
