//! A hostile gateway's offers: what the buyer refuses to pay, and by which name.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken expectation here is a failed test"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use d402_objects::{Amount, Bps, Ed25519Id, Hex32, Mode, OnSilence, TaskIntent, UnixMs, cid_of};
use d402_settlement::market::testkit::{Actors, Scene, TaskSpec};
use d402_settlement::market::{DossierParts, Quote, SIMULATED_NETWORK, TaskParts};
use serde_json::{Value, json};

use super::challenge::ChallengeError;
use super::wishes::Refusal;
use super::{Challenge, Wishes};

fn spec() -> TaskSpec {
    let mut spec = TaskSpec::race(3, 4);
    spec.buyer_signs = false;
    spec
}

/// A 402: its header's JSON and its body.
struct Offer {
    required: Value,
    body: Value,
    parts: DossierParts,
}

impl Offer {
    fn honest() -> Self {
        Self::of(&spec(), |_| {})
    }

    /// What a gateway that computes honestly answers about a changed intent.
    fn of(spec: &TaskSpec, change: impl FnOnce(&mut TaskIntent)) -> Self {
        let parts = Scene::parts(spec, &Actors::new(usize::from(spec.n)));
        let mut intent = parts.intent.payload().clone();
        change(&mut intent);
        let quote = Quote::of(
            &TaskParts {
                intent: &intent,
                task_id: cid_of(&intent).unwrap(),
                manifest: &parts.manifest,
                registration: &parts.registration,
                offers: &parts.offers,
            },
            0,
        )
        .unwrap();
        let payment = &intent.payment[0];
        let entry = json!({
            "scheme": "exact",
            "network": payment.network,
            "amount": payment.budget,
            "asset": payment.asset,
            "payTo": quote.pay_to_address().unwrap(),
            "extra": {"d402": {
                "intent": intent,
                "paymentIndex": 0,
                "terms": URL_SAFE_NO_PAD.encode(quote.terms.encode()),
            }},
        });
        let offers: Vec<Value> = parts.offers.iter().map(|o| o.to_value()).collect();
        Self {
            required: json!({"x402Version": 2, "accepts": [entry]}),
            body: json!({
                "manifest": parts.manifest.to_value(),
                "registration": parts.registration.to_value(),
                "offers": offers,
            }),
            parts,
        }
    }

    /// The same 402 with one value of its entry replaced, as on the way or by a careless gateway.
    fn with(mut self, place: &str, value: Value) -> Self {
        let place = format!("/accepts/0{place}");
        *self.required.pointer_mut(&place).unwrap() = value;
        self
    }

    fn read(&self) -> Result<Challenge, ChallengeError> {
        let header = STANDARD.encode(self.required.to_string());
        Challenge::read(&header, self.body.to_string().as_bytes(), SIMULATED_NETWORK)
    }

    fn entry(&self, place: &str) -> Value {
        let place = format!("/accepts/0{place}");
        self.required.pointer(&place).unwrap().clone()
    }
}

/// What the buyer of the honest offer wants.
fn wishes() -> Wishes {
    let offer = Offer::honest();
    let intent = offer.parts.intent.payload();
    let payment = &intent.payment[0];
    Wishes {
        capability_id: offer.parts.manifest.payload().capability_id.to_string(),
        input: serde_json::from_slice(&offer.parts.input).unwrap(),
        mode: Some(intent.mode),
        fanout: Some(intent.fanout),
        quorum: Some(intent.quorum),
        max_budget: payment.budget,
        budget: Some(payment.budget),
        deadline_ms: Some(intent.deadline_ms.since(intent.issued_at_ms)),
        refund_to: payment.refund_to.as_str().parse().unwrap(),
        network: SIMULATED_NETWORK.to_owned(),
        worker: None,
        validators: Vec::new(),
        min_set: (4, 3),
        max_gateway_fee_bps: 200,
        max_commission_bps: 1_000,
        on_silence: intent.on_silence,
        access_hash: intent.access_hash,
    }
}

/// The refusal of an offer whose intent a gateway changed and whose terms it recomputed.
fn refusal(change: impl FnOnce(&mut TaskIntent)) -> Option<Refusal> {
    refusal_of(&spec(), change)
}

fn refusal_of(spec: &TaskSpec, change: impl FnOnce(&mut TaskIntent)) -> Option<Refusal> {
    let challenge = Offer::of(spec, change).read().unwrap();
    wishes().check(&challenge).err()
}

#[test]
fn the_offer_that_was_asked_for_is_taken() {
    assert_eq!(refusal(|_| {}), None);
}

#[test]
fn threat_4_an_offer_that_returns_the_rest_to_somebody_else_is_refused() {
    let thief = "ab".repeat(32);
    let got = refusal(|intent| intent.payment[0].refund_to = thief.parse().unwrap());
    assert_eq!(got, Some(Refusal::RefundTo { got: thief }));
}

#[test]
fn an_offer_above_the_buyers_limit_is_refused_and_one_at_it_is_taken() {
    let mut wishes = wishes();
    let asked = wishes.max_budget;
    let challenge = Offer::honest().read().unwrap();
    wishes.max_budget = Amount::new(asked.get() - 1).unwrap();
    let refused = wishes.check(&challenge).unwrap_err();
    let max = wishes.max_budget;
    assert_eq!(refused, Refusal::Budget { got: asked, max });
}

#[test]
fn fees_above_the_buyers_limits_are_refused_by_name() {
    let mut spec = spec();
    spec.gateway_fee_bps = 201;
    let fee = |what, got, max| Some(Refusal::Fee { what, got, max });
    assert_eq!(refusal_of(&spec, |_| {}), fee("gateway fee", 201, 200));
    let mut spec = self::spec();
    spec.commission_bps = 1_001;
    let want = fee("creator commission", 1_001, 1_000);
    assert_eq!(refusal_of(&spec, |_| {}), want);
    let none = refusal(|intent| {
        intent.payment[0].gateway_fee_bps = Bps::ZERO;
        intent.payment[0].gateway_fee_payee = None;
    });
    assert_eq!(none, None, "a lower fee is welcome");
}

#[test]
fn a_smaller_set_a_lower_threshold_and_strangers_in_the_set_are_refused() {
    for (m, n) in [(2, 3), (3, 3)] {
        let mut spec = TaskSpec::race(m, n);
        spec.buyer_signs = false;
        assert_eq!(
            refusal_of(&spec, |_| {}),
            Some(Refusal::Validators),
            "{m} of {n}"
        );
    }
    let challenge = Offer::honest().read().unwrap();
    let mut wishes = wishes();
    let offered: Vec<Ed25519Id> = challenge
        .offers()
        .iter()
        .map(|offer| offer.payload().validator)
        .collect();
    wishes.validators = offered.clone();
    assert_eq!(wishes.check(&challenge), Ok(()));
    wishes.validators = offered[1..].to_vec();
    assert_eq!(wishes.check(&challenge), Err(Refusal::Validators));
    wishes.validators = Vec::new();
    wishes.min_set = (4, 4);
    assert_eq!(wishes.check(&challenge), Err(Refusal::Validators));
}

#[test]
fn a_later_deadline_than_asked_for_is_refused_beyond_the_slack_of_the_way() {
    let later = |by: u64| {
        refusal(|intent| intent.deadline_ms = UnixMs::new(intent.deadline_ms.get() + by).unwrap())
    };
    assert_eq!(later(5_000), None);
    let (got, max) = (35_001, 35_000);
    assert_eq!(later(5_001), Some(Refusal::Deadline { got, max }));
}

#[test]
fn another_capability_input_mode_fanout_or_quorum_is_refused() {
    let challenge = Offer::honest().read().unwrap();
    let check = |change: &dyn Fn(&mut Wishes)| {
        let mut wishes = wishes();
        change(&mut wishes);
        wishes.check(&challenge).err()
    };
    let other = check(&|w| w.capability_id = "other.thing@1".to_owned());
    assert!(
        matches!(other, Some(Refusal::Capability { .. })),
        "{other:?}"
    );
    assert_eq!(
        check(&|w| w.input = json!({"text": "bye"})),
        Some(Refusal::Input)
    );
    assert_eq!(check(&|w| w.mode = Some(Mode::Single)), Some(Refusal::Mode));
    assert_eq!(check(&|w| w.fanout = Some(3)), Some(Refusal::Mode));
    assert_eq!(check(&|w| w.quorum = Some(2)), Some(Refusal::Mode));
    let open = check(&|w| (w.mode, w.fanout, w.quorum) = (None, None, None));
    assert_eq!(
        open, None,
        "what the buyer leaves open is the gateway's choice"
    );
}

#[test]
fn another_meaning_of_silence_and_other_readers_of_the_result_are_refused() {
    let silence = refusal(|intent| intent.on_silence = OnSilence::Majority);
    assert_eq!(silence, Some(Refusal::OnSilence));
    let reader = refusal(|intent| intent.access_hash = Hex32::from_bytes([7; 32]));
    assert_eq!(reader, Some(Refusal::Access));
    let everybody = refusal(|intent| intent.publish = true);
    assert_eq!(everybody, Some(Refusal::Access));
}

#[test]
fn threat_4_an_entry_that_is_not_that_of_its_own_terms_is_refused() {
    let pay_to = Offer::honest().with("/payTo", json!("cd".repeat(32)));
    assert!(matches!(
        pay_to.read(),
        Err(ChallengeError::PayTo { got, .. }) if got == "cd".repeat(32)
    ));
    // The intent of one offer under the address of another: what it says is not what is paid.
    let honest = Offer::honest();
    let thief = "ab".repeat(32);
    let stolen = Offer::of(&spec(), |i| i.payment[0].refund_to = thief.parse().unwrap())
        .with("/payTo", honest.entry("/payTo"));
    assert!(matches!(stolen.read(), Err(ChallengeError::PayTo { .. })));
    let other_terms = Offer::of(&spec().seeded(5), |_| {}).entry("/extra/d402/terms");
    for (place, value, name) in [
        ("/amount", json!("100001"), "amount"),
        ("/amount", json!(""), "amount"),
        ("/asset", json!("cd".repeat(32)), "asset"),
        ("/extra/d402/terms", other_terms, "terms"),
        ("/extra/d402/terms", json!("!"), "terms"),
    ] {
        let read = Offer::honest().with(place, value).read();
        assert!(
            matches!(read, Err(ChallengeError::Mismatch(got)) if got == name),
            "{place}: {read:?}"
        );
    }
}

#[test]
fn objects_that_are_not_those_of_the_intent_give_no_terms() {
    let mut swapped = Offer::honest();
    let other = Offer::of(&spec().seeded(3), |_| {});
    for (name, change) in [
        ("offers", json!([])),
        ("registration", json!({})),
        ("manifest", Value::Null),
    ] {
        let kept = std::mem::replace(&mut swapped.body[name], change);
        assert!(swapped.read().is_err(), "{name}");
        swapped.body[name] = kept;
    }
    swapped.read().unwrap();
    let mut fewer = Offer::honest();
    fewer.body["offers"].as_array_mut().unwrap().pop();
    assert!(matches!(fewer.read(), Err(ChallengeError::Terms(_))));
    let elsewhere = Challenge::read(
        &STANDARD.encode(other.required.to_string()),
        other.body.to_string().as_bytes(),
        "eip155:8453",
    );
    assert!(matches!(elsewhere, Err(ChallengeError::NoRail(_))));
    assert!(Challenge::read("!", b"{}", SIMULATED_NETWORK).is_err());
}
