//! Which validators a policy chooses where settlements are signed by EVM keys.

use d402_objects::signature::evm_address;
use d402_objects::{CrossSignatures, ValidatorOffer, cross_sign, cross_sign_evm};
use d402_settlement::market::BASE_NETWORK;
use d402_settlement::market::testkit::{Actors, Scene, TaskSpec};

use super::super::{Admission, NotAdmitted, Policy, admit};
use super::{actors, catalogue, draw, rail, request, resigned};

/// Admits a task of Base from six offers, some of them changed and signed again by their validators, for a set
/// of this size.
fn admitted_on_base(
    set_size: u8,
    change: impl Fn(usize, &Actors, &mut ValidatorOffer),
) -> Result<Admission, NotAdmitted> {
    let spec = TaskSpec::single(4, 6).on(BASE_NETWORK);
    let actors = Actors::on(&spec.network, 6);
    let mut parts = Scene::parts(&spec, &actors);
    for (at, offer) in parts.offers.iter_mut().enumerate() {
        *offer = resigned(offer, &actors.validators[at].key, |o| {
            change(at, &actors, o);
        });
    }
    let payment = &parts.intent.payload().payment[0];
    let mut offered = rail();
    offered.rail = payment.rail.clone();
    offered.network = payment.network.clone();
    offered.asset = payment.asset.clone();
    let mut request = request();
    request.refund_to = [(payment.network.clone(), payment.refund_to.clone())].into();
    let policy = Policy {
        validator_set_size: set_size,
        validator_threshold: 4,
        ..Policy::default()
    };
    admit(&request, &policy, &catalogue(&parts), &[offered], &draw())
}

#[test]
fn threat_50_a_validator_without_an_evm_key_is_not_chosen_for_base() {
    let keyless = |at: usize, actors: &Actors, offer: &mut ValidatorOffer| {
        if at == 2 {
            let validator = &actors.validators[at];
            offer.settlement_key.evm = None;
            offer.cross_signatures = CrossSignatures {
                settlement_signs_envelope: cross_sign(&validator.settlement, &validator.id(), None),
                evm_signs_settlement: None,
            };
        }
    };
    let admission = admitted_on_base(5, keyless).unwrap();
    let without = actors().validators[2].id();
    let mut chosen = admission.offers.iter().map(|o| o.payload().validator);
    assert!(chosen.all(|validator| validator != without));
    let refusal = admitted_on_base(6, keyless).unwrap_err();
    let short = matches!(refusal, NotAdmitted::TooFewValidators { got: 5, want: 6 });
    assert!(short, "{refusal:?}");
    assert!(admitted_on_base(6, |_, _, _| {}).is_ok());
}

#[test]
fn one_evm_key_under_two_names_is_one_validator() {
    let twins = |at: usize, actors: &Actors, offer: &mut ValidatorOffer| {
        if at == 1 {
            let (validator, key) = (&actors.validators[at], &actors.validators[0].evm);
            let evm = Some(evm_address(key.verifying_key()));
            let (id, settlement) = (validator.id(), (&validator.settlement).into());
            offer.settlement_key.evm = evm;
            offer.cross_signatures = CrossSignatures {
                settlement_signs_envelope: cross_sign(&validator.settlement, &id, evm),
                evm_signs_settlement: Some(cross_sign_evm(key, &id, settlement)),
            };
        }
    };
    assert!(admitted_on_base(5, twins).is_ok());
    let refusal = admitted_on_base(6, twins).unwrap_err();
    let short = matches!(refusal, NotAdmitted::TooFewValidators { got: 5, want: 6 });
    assert!(short, "{refusal:?}");
}
