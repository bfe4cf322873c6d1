//! One test per rule of a dossier.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)]

use d402_objects::{
    Address, Bps, Cid, Hex32, Mode, Payload, Signed, SigningKey, TaskIntent, UnixMs,
    ValidationModel, ValidatorOffer, cid_of,
};

use super::*;
use crate::market::testkit::{Actors, Scene, TaskSpec, key, wallet};
use crate::market::{BASE_NETWORK, SIMULATED_NETWORK, set_hash_of};
use crate::{NotSettleable, SetFault, UnixSeconds};

fn resign<T: Payload>(
    object: &Signed<T>,
    key: &SigningKey,
    change: impl FnOnce(&mut T),
) -> Signed<T> {
    let mut payload = object.payload().clone();
    change(&mut payload);
    Signed::sign(payload, key).unwrap()
}

fn parts() -> (DossierParts, Actors) {
    let spec = TaskSpec::single(3, 4);
    let actors = Actors::new(4);
    (Scene::parts(&spec, &actors), actors)
}

fn with_intent(change: impl FnOnce(&mut TaskIntent)) -> Result<Dossier, DossierError> {
    let (mut parts, actors) = parts();
    parts.intent = resign(&parts.intent, &actors.buyer, change);
    Dossier::check(parts)
}

/// Changes one offer and lets the intent name it.
fn with_offer(
    place: usize,
    change: impl FnOnce(&mut ValidatorOffer),
) -> Result<Dossier, DossierError> {
    let (mut parts, actors) = parts();
    let key = &actors.validators[place].key;
    parts.offers[place] = resign(&parts.offers[place], key, change);
    name_offers(&mut parts, &actors);
    Dossier::check(parts)
}

fn name_offers(parts: &mut DossierParts, actors: &Actors) {
    let cids: Vec<Cid> = parts.offers.iter().map(Signed::cid).collect();
    parts.intent = resign(&parts.intent, &actors.buyer, |intent| {
        intent.validation.offer_cids = cids
    });
}

#[test]
fn the_same_objects_give_the_same_terms_before_and_after_signing() {
    let (parts, _) = parts();
    let unsigned = parts.intent.payload().clone();
    let quote = Quote::of(
        &TaskParts {
            intent: &unsigned,
            task_id: cid_of(&unsigned).unwrap(),
            manifest: &parts.manifest,
            registration: &parts.registration,
            offers: &parts.offers,
        },
        0,
    )
    .unwrap();
    let dossier = Dossier::check(parts).unwrap();
    assert_eq!(&quote, dossier.quote());
    assert_eq!(
        crate::Terms::decode(&quote.terms.encode()),
        *dossier.terms()
    );
}

#[test]
fn deadlines_follow_spec_3_1() {
    let dossier = Scene::new(TaskSpec::single(3, 4)).dossier;
    let issued = 1_795_000_000_000;
    let times = dossier.times();
    assert_eq!(times.fund_by_ms.get(), issued + 25_000);
    assert_eq!(times.commit_by_ms.get(), issued + 26_000);
    assert_eq!(times.reveal_from_ms.get(), issued + 28_000);
    assert_eq!(times.deadline_ms.get(), issued + 30_000);
    assert_eq!(times.settle_by_s, UnixSeconds(1_795_000_090));
    assert_eq!(times.decide_at_ms.get(), issued + 70_000);
    assert_eq!(times.refund_after_s, UnixSeconds(1_795_000_990));
    let lease_end = UnixMs::new(issued + 5_000).unwrap();
    assert_eq!(times.commit_closes(lease_end), lease_end);
    assert_eq!(times.commit_closes(times.deadline_ms), times.commit_by_ms);
    let mut large = TaskSpec::single(3, 4);
    large.budget = 100_000_001;
    let times = *Scene::new(large).dossier.times();
    assert_eq!(times.refund_after_s, UnixSeconds(1_795_000_090 + 7_200));
}

#[test]
fn members_are_in_set_order_whatever_order_the_offers_have() {
    let scene = Scene::new(TaskSpec::single(4, 7));
    let keys: Vec<_> = scene
        .dossier
        .members()
        .iter()
        .map(|m| m.settlement_key)
        .collect();
    assert_eq!(keys, scene.dossier.set().keys());
    for (place, validator) in scene.actors.validators.iter().enumerate() {
        let index = scene.set_index(place);
        let offer = scene.dossier.offer_by_set_index(index).unwrap();
        assert_eq!(offer.payload().validator, validator.id());
    }
    let places: Vec<_> = scene
        .dossier
        .members()
        .iter()
        .map(|m| m.offer_index)
        .collect();
    assert_ne!(
        places,
        (0..7).collect::<Vec<_>>(),
        "the test would prove nothing"
    );
}

#[test]
fn objects_the_intent_does_not_name_are_refused() {
    let (good, actors) = parts();
    let mut p = good.clone();
    p.manifest = resign(&p.manifest, &actors.author, |m| m.decision_time_s += 1);
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::OtherManifest { .. })
    ));
    let mut p = good.clone();
    p.registration = resign(&p.registration, &actors.author, |r| r.seq += 1);
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::OtherRegistration { .. })
    ));
    let mut p = good.clone();
    p.offers.pop();
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::OfferCount { got: 3, want: 4 })
    ));
    let mut p = good.clone();
    p.offers.swap(0, 1);
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::OtherOffer { index: 0, .. })
    ));
    let mut p = good.clone();
    p.input.push(b' ');
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::OtherInput { .. })
    ));
    let mut p = good.clone();
    p.payment_index = 1;
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::NoSuchPayment { index: 1, count: 1 })
    ));
    assert!(Dossier::check(good).is_ok());
}

#[test]
fn threat_24_only_the_manifests_author_may_register_it() {
    let (mut p, actors) = parts();
    let copycat = key("copycat", 0);
    p.registration = resign(&p.registration, &copycat, |r| r.author = (&copycat).into());
    let cid = p.registration.cid();
    p.intent = resign(&p.intent, &actors.buyer, |intent| {
        intent.registration_cid = cid
    });
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::ForeignRegistration { .. })
    ));
}

#[test]
fn threat_24_a_commission_without_a_wallet_on_the_network_is_not_offered() {
    let (mut p, actors) = parts();
    p.registration = resign(&p.registration, &actors.author, |r| {
        r.commission.wallets.clear()
    });
    let cid = p.registration.cid();
    p.intent = resign(&p.intent, &actors.buyer, |intent| {
        intent.registration_cid = cid
    });
    assert_eq!(
        Dossier::check(p.clone()).unwrap_err(),
        DossierError::NoCommissionWallet
    );
    p.registration = resign(&p.registration, &actors.author, |r| {
        r.commission.bps = Bps::ZERO
    });
    let cid = p.registration.cid();
    p.intent = resign(&p.intent, &actors.buyer, |intent| {
        intent.registration_cid = cid
    });
    let dossier = Dossier::check(p).unwrap();
    assert!(dossier.terms().commission_payee.is_zero());
}

#[test]
fn a_registration_counts_from_its_first_moment_to_before_its_last() {
    let at = UnixMs::new(1_795_000_000_000).unwrap();
    let later = at.saturating_add_ms(1);
    for (from, until, ok) in [
        (at, later, true),
        (later, UnixMs::MAX, false),
        (UnixMs::default(), at, false),
    ] {
        let (mut p, actors) = parts();
        p.registration = resign(&p.registration, &actors.author, |r| {
            (r.valid_from_ms, r.valid_until_ms) = (from, until);
        });
        let cid = p.registration.cid();
        p.intent = resign(&p.intent, &actors.buyer, |intent| {
            intent.registration_cid = cid
        });
        match Dossier::check(p) {
            Ok(_) => assert!(ok),
            Err(DossierError::RegistrationNotValid { .. }) => assert!(!ok),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn the_model_must_be_allowed_by_manifest_and_every_validator() {
    let model = with_intent(|intent| intent.validation.model = ValidationModel::SchemaEvidence);
    assert_eq!(model.unwrap_err(), DossierError::ModelNotAccepted);
    let offer = with_offer(1, |offer| offer.models = vec![ValidationModel::Scored]);
    assert!(matches!(
        offer,
        Err(DossierError::Offer {
            source: OfferFault::Model,
            ..
        })
    ));
    let offer = with_offer(1, |offer| {
        offer.families = vec!["test.other@1".parse().unwrap()]
    });
    assert!(matches!(
        offer,
        Err(DossierError::Offer {
            source: OfferFault::Family,
            ..
        })
    ));
}

#[test]
fn every_offer_is_alive_names_a_fee_and_a_payout_here() {
    let issued = UnixMs::new(1_795_000_000_000).unwrap();
    let expired = with_offer(2, |offer| offer.expires_at_ms = issued);
    assert!(matches!(
        expired,
        Err(DossierError::Offer {
            source: OfferFault::Expired { .. },
            ..
        })
    ));
    assert!(with_offer(2, |offer| offer.expires_at_ms = issued.saturating_add_ms(1)).is_ok());
    let no_fee = with_offer(2, |offer| offer.fees[0].asset = wallet("other asset", 0));
    assert!(matches!(
        no_fee,
        Err(DossierError::Offer {
            source: OfferFault::NoFee,
            ..
        })
    ));
    let elsewhere = with_offer(2, |offer| {
        offer.payouts = [("eip155:8453".parse().unwrap(), wallet("validator", 2))].into();
    });
    assert!(matches!(
        elsewhere,
        Err(DossierError::Offer {
            source: OfferFault::NoPayout,
            ..
        })
    ));
    let odd = with_offer(2, |offer| {
        offer.payouts = [(SIMULATED_NETWORK.parse().unwrap(), "0xABC".parse().unwrap())].into();
    });
    assert_eq!(
        odd.unwrap_err(),
        DossierError::BadAddress {
            what: Party::Validator
        }
    );
}

#[test]
fn threat_50_the_set_is_that_of_the_named_offers_and_no_key_or_wallet_is_in_it_twice() {
    let mallory = with_intent(|intent| {
        intent.payment[0].validator_set = Hex32::from_bytes([7; 32]);
    });
    assert_eq!(mallory.unwrap_err(), DossierError::OtherSet);

    // One settlement key under two names would sign twice.
    let (mut p, mut actors) = parts();
    actors.validators[1].settlement = actors.validators[0].settlement.clone();
    p.offers[1] = actors.validators[1].offer(&TaskSpec::single(3, 4), 1);
    name_offers(&mut p, &actors);
    assert!(matches!(
        Dossier::check(p),
        Err(DossierError::Set(SetFault::NotAscending { .. }))
    ));

    // An envelope key of one that is the settlement key of another.
    let (mut p, mut actors) = parts();
    actors.validators[1].settlement = actors.validators[0].key.clone();
    p.offers[1] = actors.validators[1].offer(&TaskSpec::single(3, 4), 1);
    name_offers(&mut p, &actors);
    let reused = Dossier::check(p);
    assert!(matches!(
        reused,
        Err(DossierError::Offer {
            source: OfferFault::KeyReused,
            ..
        })
    ));

    // One validator that offers twice with two settlement keys.
    let (mut p, mut actors) = parts();
    actors.validators[1].key = actors.validators[0].key.clone();
    p.offers[1] = actors.validators[1].offer(&TaskSpec::single(3, 4), 1);
    name_offers(&mut p, &actors);
    let twice = Dossier::check(p);
    assert!(matches!(
        twice,
        Err(DossierError::Offer {
            source: OfferFault::EnvelopeKeyTwice,
            ..
        })
    ));

    let payout = with_offer(1, |offer| {
        offer.payouts = [(SIMULATED_NETWORK.parse().unwrap(), wallet("validator", 0))].into();
    });
    assert!(matches!(
        payout,
        Err(DossierError::Offer {
            source: OfferFault::PayoutTwice,
            ..
        })
    ));
}

#[test]
fn the_set_hash_an_intent_needs_is_known_before_it_is_written() {
    let scene = Scene::new(TaskSpec::race(3, 5));
    let hash = set_hash_of(scene.dossier.network(), 3, &scene.dossier.parts().offers).unwrap();
    assert_eq!(hash, scene.dossier.set().hash());
    let other = set_hash_of(
        &"eip155:1".parse().unwrap(),
        3,
        &scene.dossier.parts().offers,
    );
    assert!(matches!(other, Err(DossierError::UnknownNetwork(_))));
    let weak = set_hash_of(scene.dossier.network(), 2, &scene.dossier.parts().offers);
    assert!(matches!(
        weak,
        Err(DossierError::Set(SetFault::Threshold { m: 2, n: 5 }))
    ));
}

#[test]
fn threat_58_nobody_is_paid_at_the_asset_or_the_zero_account() {
    let (p, _) = parts();
    let asset = p.intent.payload().payment[0].asset.clone();
    let zero = Address::new("0".repeat(64)).unwrap();
    for bad in [&asset, &zero] {
        let bad = bad.clone();
        let validator = with_offer(0, |offer| {
            offer.payouts = [(SIMULATED_NETWORK.parse().unwrap(), bad.clone())].into();
        });
        assert_eq!(
            validator.unwrap_err(),
            DossierError::ForbiddenParty {
                what: Party::Validator
            }
        );
    }
    let gateway = with_intent(|intent| intent.payment[0].gateway_fee_payee = Some(asset.clone()));
    assert_eq!(
        gateway.unwrap_err(),
        DossierError::ForbiddenParty {
            what: Party::GatewayFeePayee
        }
    );
    let (mut p, actors) = parts();
    p.registration = resign(&p.registration, &actors.author, |r| {
        r.commission.wallets = [(SIMULATED_NETWORK.parse().unwrap(), asset.clone())].into();
    });
    let cid = p.registration.cid();
    p.intent = resign(&p.intent, &actors.buyer, |intent| {
        intent.registration_cid = cid
    });
    assert_eq!(
        Dossier::check(p).unwrap_err(),
        DossierError::ForbiddenParty {
            what: Party::Creator
        }
    );
    let refund = with_intent(|intent| intent.payment[0].refund_to = asset);
    assert_eq!(
        refund.unwrap_err(),
        DossierError::NotSettleable(NotSettleable::RefundToForbidden)
    );
    let refund = with_intent(|intent| intent.payment[0].refund_to = zero);
    assert_eq!(
        refund.unwrap_err(),
        DossierError::NotSettleable(NotSettleable::NoRefundTo)
    );
}

#[test]
fn a_task_whose_receipt_might_not_fit_the_chain_is_refused() {
    let mut spec = TaskSpec::quorum(7, 9);
    (spec.fanout, spec.quorum, spec.budget) = (8, 5, 1_000_000);
    let parts = Scene::parts(&spec, &Actors::new(9));
    let refused = Dossier::check(parts).unwrap_err();
    assert_eq!(refused, DossierError::TooManyRows { rows: 17, max: 16 });
    spec.n = 8;
    assert!(Dossier::check(Scene::parts(&spec, &Actors::new(8))).is_ok());
    // Validators that work for nothing have no rows.
    (spec.n, spec.validator_fee) = (9, 0);
    assert!(Dossier::check(Scene::parts(&spec, &Actors::new(9))).is_ok());
    let mut spec = TaskSpec::single(16, 16);
    spec.mode = Mode::Single;
    let refused = Dossier::check(Scene::parts(&spec, &Actors::new(16))).unwrap_err();
    assert_eq!(refused, DossierError::TooManyRows { rows: 17, max: 16 });
    spec.m = 15;
    assert!(Dossier::check(Scene::parts(&spec, &Actors::new(16))).is_ok());
}

#[test]
fn unknown_networks_and_odd_amounts_are_refused() {
    let network = with_intent(|intent| {
        intent.payment[0].network = "eip155:1".parse().unwrap();
    });
    assert!(matches!(network, Err(DossierError::UnknownNetwork(_))));
    let large: d402_objects::Amount = "18446744073709551616".parse().unwrap();
    let budget = with_intent(|intent| intent.payment[0].budget = large);
    assert_eq!(budget.unwrap_err(), DossierError::AmountTooLarge(large));
    let refund = with_intent(|intent| {
        intent.payment[0].refund_to = wallet("refund", 0).as_str().to_uppercase().parse().unwrap();
    });
    assert_eq!(
        refund.unwrap_err(),
        DossierError::BadAddress {
            what: Party::RefundTo
        }
    );
}

/// The parts of a Base task, changed before the intent is signed again.
fn on_base(change: impl FnOnce(&mut TaskIntent)) -> Result<Dossier, DossierError> {
    let spec = TaskSpec::single(3, 4).on(BASE_NETWORK);
    let actors = Actors::on(&spec.network, 4);
    let mut parts = Scene::parts(&spec, &actors);
    parts.intent = resign(&parts.intent, &actors.buyer, change);
    Dossier::check(parts)
}

#[test]
fn a_base_task_has_evm_terms_signers_and_grace() {
    let dossier = on_base(|_| {}).unwrap();
    assert_eq!(dossier.terms_bytes().len(), crate::evm::EVM_TERMS_LEN);
    let words = dossier.terms_bytes().try_into().unwrap();
    let on_chain = crate::evm::EvmTerms::decode(words).unwrap();
    assert_eq!(on_chain.chain_id, crate::evm::chain_word(8_453));
    assert!(dossier.terms().rent_to.is_zero());
    let times = dossier.times();
    assert_eq!(times.refund_after_s.0 - times.settle_by_s.0, 1_800);
    let large = on_base(|intent| intent.payment[0].budget = 100_000_001u64.into()).unwrap();
    let times = large.times();
    assert_eq!(times.refund_after_s.0 - times.settle_by_s.0, 13 * 3_600);
    for member in dossier.members() {
        let offer = dossier.parts().offers[member.offer_index].payload();
        let evm = crate::evm::EvmAccount(offer.settlement_key.evm.unwrap().as_bytes());
        assert_eq!(member.settlement_key, evm.to_key());
        // Neither of its other keys may work on the task it judges.
        assert!(dossier.is_validator_key(&offer.settlement_key.ed25519));
    }
}

#[test]
fn threat_50_an_offer_without_an_evm_key_is_in_no_set_on_base() {
    let spec = TaskSpec::single(3, 4).on(BASE_NETWORK);
    let actors = Actors::on(&spec.network, 4);
    let mut parts = Scene::parts(&spec, &actors);
    let validator = &actors.validators[1];
    parts.offers[1] = resign(&parts.offers[1], &validator.key, |offer| {
        offer.settlement_key.evm = None;
        offer.cross_signatures = d402_objects::CrossSignatures {
            settlement_signs_envelope: d402_objects::cross_sign(
                &validator.settlement,
                &validator.id(),
                None,
            ),
            evm_signs_settlement: None,
        };
    });
    name_offers(&mut parts, &actors);
    let no_key = DossierError::Offer {
        validator: validator.id(),
        source: OfferFault::NoEvmKey,
    };
    let set = set_hash_of(&spec.network, 3, &parts.offers);
    assert_eq!(set.unwrap_err(), no_key);
    assert_eq!(Dossier::check(parts).unwrap_err(), no_key);
}

#[test]
fn accounts_of_base_have_one_spelling() {
    let good = Scene::new(TaskSpec::single(3, 4).on(BASE_NETWORK)).dossier;
    let spelled = good.payment().refund_to.as_str().to_owned();
    let bare = spelled.trim_start_matches("0x");
    for bad in [
        format!("0x{}", bare.to_uppercase()),
        format!("0X{bare}"),
        bare.to_owned(),
        format!("0x{}{bare}", "0".repeat(24)),
        format!("{}{bare}", "0".repeat(24)),
        format!("0x{}", &bare[2..]),
    ] {
        let refused = on_base(|intent| intent.payment[0].refund_to = bad.parse().unwrap());
        let what = Party::RefundTo;
        assert_eq!(
            refused.unwrap_err(),
            DossierError::BadAddress { what },
            "{bad}"
        );
    }
}

#[test]
fn a_rent_target_is_refused_where_nobody_pays_rent() {
    let refused = on_base(|intent| {
        intent.payment[0].rent_to = Some(intent.payment[0].refund_to.clone());
    });
    let field = "rentTo";
    let fault = crate::evm::TermsFault::NoSuchField { field };
    assert_eq!(refused.unwrap_err(), DossierError::Terms(fault));
}

#[test]
fn threat_58_the_ledger_and_the_asset_are_paid_by_nobody_on_base() {
    let ledger: Address = crate::market::LEDGER.to_string().parse().unwrap();
    let what = Party::GatewayFeePayee;
    for ledger_or_asset in [Some(ledger), None] {
        let refused = on_base(|intent| {
            let payment = &mut intent.payment[0];
            let payee = ledger_or_asset.unwrap_or(payment.asset.clone());
            payment.gateway_fee_payee = Some(payee);
        });
        assert_eq!(refused.unwrap_err(), DossierError::ForbiddenParty { what });
    }
    let refused = on_base(|intent| intent.payment[0].refund_to = intent.payment[0].asset.clone());
    let rule = NotSettleable::RefundToForbidden;
    assert_eq!(refused.unwrap_err(), DossierError::NotSettleable(rule));
}
