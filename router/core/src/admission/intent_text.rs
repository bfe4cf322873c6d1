//! Canonical JSON (RFC 8785) of an intent, written straight from its fields.
//!
//! Every unpaid request has an intent written, and the general way (a tree of values, sorted, printed) was a fifth
//! of the work on it. Here the members stand in their canonical order already. Every struct is taken apart without
//! `..`, so that a new field does not compile before it is written; that the text equals the general one, byte for
//! byte, is a property test over all intents: a difference would be another task id.

use std::fmt::{Display, Write as _};

use d402_objects::{
    BlobRef, DirectPayee, Mode, OnSilence, PaymentOption, TaskIntent, ValidationModel,
    ValidationPolicy, Value, canonical,
};

/// Bytes an intent with one payment entry needs.
const USUAL_BYTES: usize = 2_048;

/// The canonical text of an intent built here; unknown members it cannot have.
pub(super) fn intent_text(intent: &TaskIntent) -> String {
    let TaskIntent {
        object_version,
        nonce,
        issued_at_ms,
        deadline_ms,
        max_attempts,
        gateway,
        buyer,
        manifest_cid,
        registration_cid,
        input,
        mode,
        fanout,
        quorum,
        validation,
        payment,
        on_silence,
        access_hash,
        publish,
    } = intent;
    let mut text = String::with_capacity(USUAL_BYTES);
    put(&mut text, r#"{"accessHash":""#, access_hash);
    if let Some(buyer) = buyer {
        put(&mut text, r#"","buyer":""#, buyer);
    }
    put(&mut text, r#"","deadlineMs":"#, deadline_ms);
    put(&mut text, r#","fanout":"#, fanout);
    put(&mut text, r#","gateway":""#, gateway);
    put_input(&mut text, input);
    put(&mut text, r#","issuedAtMs":"#, issued_at_ms);
    put(&mut text, r#","manifestCid":""#, manifest_cid);
    put(&mut text, r#"","maxAttempts":"#, max_attempts);
    put(&mut text, r#","mode":""#, mode_name(*mode));
    put(&mut text, r#"","nonce":""#, nonce);
    put(&mut text, r#"","objectVersion":"#, object_version);
    put(&mut text, r#","onSilence":""#, silence_name(*on_silence));
    text.push_str(r#"","payment":["#);
    for (index, entry) in payment.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        put_payment(&mut text, entry);
    }
    put(&mut text, r#"],"publish":"#, publish);
    put(&mut text, r#","quorum":"#, quorum);
    put(&mut text, r#","registrationCid":""#, registration_cid);
    put_validation(&mut text, validation);
    text.push('}');
    text
}

fn put_input(text: &mut String, input: &BlobRef) {
    let BlobRef {
        cid,
        bytes,
        media_type,
    } = input;
    put(text, r#"","input":{"bytes":"#, bytes);
    put(text, r#","cid":""#, cid);
    put(text, r#"","mediaType":"#, quoted(media_type.as_str()));
    text.push('}');
}

fn put_payment(text: &mut String, entry: &PaymentOption) {
    let PaymentOption {
        rail,
        network,
        asset,
        budget,
        direct,
        refund_to,
        rent_to,
        validator_set,
        gateway_fee_bps,
        gateway_fee_payee,
        validator_fee_cap,
        salt,
    } = entry;
    put(text, r#"{"asset":"#, quoted(asset.as_str()));
    put(text, r#","budget":""#, budget);
    text.push('"');
    if let Some(DirectPayee { worker, pay_to }) = direct {
        put(text, r#","direct":{"payTo":"#, quoted(pay_to.as_str()));
        put(text, r#","worker":""#, worker);
        text.push_str(r#""}"#);
    }
    put(text, r#","gatewayFeeBps":"#, gateway_fee_bps.get());
    if let Some(payee) = gateway_fee_payee {
        put(text, r#","gatewayFeePayee":"#, quoted(payee.as_str()));
    }
    put(text, r#","network":"#, quoted(network.as_str()));
    put(text, r#","rail":"#, quoted(rail.as_str()));
    put(text, r#","refundTo":"#, quoted(refund_to.as_str()));
    if let Some(rent_to) = rent_to {
        put(text, r#","rentTo":"#, quoted(rent_to.as_str()));
    }
    put(text, r#","salt":""#, salt);
    put(text, r#"","validatorFeeCap":""#, validator_fee_cap);
    put(text, r#"","validatorSet":""#, validator_set);
    text.push_str(r#""}"#);
}

fn put_validation(text: &mut String, validation: &ValidationPolicy) {
    let ValidationPolicy {
        model,
        offer_cids,
        threshold,
    } = validation;
    put(text, r#"","validation":{"model":""#, model_name(*model));
    text.push_str(r#"","offerCids":["#);
    for (index, cid) in offer_cids.iter().enumerate() {
        put(text, if index > 0 { r#",""# } else { r#"""# }, cid);
        text.push('"');
    }
    put(text, r#"],"threshold":"#, threshold);
    text.push('}');
}

/// What comes before a value, and the value.
fn put(text: &mut String, before: &str, value: impl Display) {
    text.push_str(before);
    // Writing to a String does not fail.
    let _infallible = write!(text, "{value}");
}

/// A JSON string in canonical form, for texts that may hold any character.
fn quoted(text: &str) -> String {
    String::from_utf8(canonical::to_bytes(&Value::from(text))).unwrap_or_default()
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Single => "single",
        Mode::Race => "race",
        Mode::Quorum => "quorum",
    }
}

const fn silence_name(on_silence: OnSilence) -> &'static str {
    match on_silence {
        OnSilence::Refund => "refund",
        OnSilence::Majority => "majority",
    }
}

const fn model_name(model: ValidationModel) -> &'static str {
    match model {
        ValidationModel::Exact => "exact",
        ValidationModel::Scored => "scored",
        ValidationModel::CanonicalQuorum => "canonicalQuorum",
        ValidationModel::SchemaEvidence => "schemaEvidence",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use d402_objects::{Address, Amount, Bps, Cid, Ed25519Id, Hex32, Nonce16, UnixMs};
    use d402_settlement::market::testkit::{Actors, Scene, TaskSpec, key};
    use proptest::prelude::*;

    use super::*;

    fn general(intent: &TaskIntent) -> String {
        let value = serde_json::to_value(intent).unwrap();
        String::from_utf8(canonical::to_bytes(&value)).unwrap()
    }

    fn base() -> TaskIntent {
        static BASE: LazyLock<TaskIntent> = LazyLock::new(|| {
            let spec = TaskSpec::single(3, 4);
            let parts = Scene::parts(&spec, &Actors::new(4));
            parts.intent.payload().clone()
        });
        BASE.clone()
    }

    fn hex() -> impl Strategy<Value = Hex32> {
        any::<[u8; 32]>().prop_map(Hex32::from_bytes)
    }

    fn cid() -> impl Strategy<Value = Cid> {
        any::<[u8; 32]>().prop_map(Cid::from_digest)
    }

    fn id() -> impl Strategy<Value = Ed25519Id> {
        (0..50usize).prop_map(|index| Ed25519Id::from(&key("anybody", index)))
    }

    fn ms() -> impl Strategy<Value = UnixMs> {
        (0..=UnixMs::MAX.get()).prop_map(|ms| UnixMs::new(ms).unwrap())
    }

    fn amount() -> impl Strategy<Value = Amount> {
        (0..=Amount::MAX.get()).prop_map(|units| Amount::new(units).unwrap())
    }

    /// Any text the type takes, also what JSON has to escape.
    fn address() -> impl Strategy<Value = Address> {
        let text = prop_oneof!["[0-9a-f]{64}", "[ -~]{1,64}", "\\PC{1,20}"];
        text.prop_filter_map("no address", |text| Address::new(text).ok())
    }

    fn payment() -> impl Strategy<Value = PaymentOption> {
        let addresses = (
            address(),
            address(),
            proptest::option::of(address()),
            proptest::option::of(address()),
        );
        let direct = proptest::option::of((id(), address()))
            .prop_map(|direct| direct.map(|(worker, pay_to)| DirectPayee { worker, pay_to }));
        let money = (amount(), amount(), 0..=10_000u16);
        (addresses, hex(), hex(), money, direct).prop_map(
            |((asset, refund_to, rent_to, payee), set, salt, money, direct)| PaymentOption {
                asset,
                budget: money.0,
                direct,
                refund_to,
                rent_to,
                validator_set: set,
                gateway_fee_bps: Bps::new(money.2).unwrap(),
                gateway_fee_payee: payee,
                validator_fee_cap: money.1,
                salt,
                ..base().payment[0].clone()
            },
        )
    }

    fn intent() -> impl Strategy<Value = TaskIntent> {
        let ids = (id(), proptest::option::of(id()), cid(), cid(), cid());
        let numbers = (
            any::<[u8; 16]>(),
            ms(),
            ms(),
            any::<[u8; 4]>(),
            any::<u64>(),
        );
        let modes = prop_oneof![Just(Mode::Single), Just(Mode::Race), Just(Mode::Quorum)];
        let silences = prop_oneof![Just(OnSilence::Refund), Just(OnSilence::Majority)];
        let models = prop_oneof![
            Just(ValidationModel::Exact),
            Just(ValidationModel::Scored),
            Just(ValidationModel::CanonicalQuorum),
            Just(ValidationModel::SchemaEvidence),
        ];
        let lists = (
            proptest::collection::vec(payment(), 0..3),
            proptest::collection::vec(cid(), 0..5),
        );
        let rest = (modes, silences, models, hex(), any::<bool>());
        (ids, numbers, lists, rest).prop_map(|(ids, numbers, lists, rest)| {
            let (gateway, buyer, manifest_cid, registration_cid, input_cid) = ids;
            let (nonce, issued_at_ms, deadline_ms, [attempts, fanout, quorum, m], bytes) = numbers;
            let (payment, offer_cids) = lists;
            let (mode, on_silence, model, access_hash, publish) = rest;
            let base = base();
            TaskIntent {
                nonce: Nonce16::from_bytes(nonce),
                issued_at_ms,
                deadline_ms,
                max_attempts: attempts,
                gateway,
                buyer,
                manifest_cid,
                registration_cid,
                input: BlobRef {
                    cid: input_cid,
                    bytes,
                    ..base.input
                },
                mode,
                fanout,
                quorum,
                validation: ValidationPolicy {
                    model,
                    offer_cids,
                    threshold: m,
                },
                payment,
                on_silence,
                access_hash,
                publish,
                object_version: base.object_version,
            }
        })
    }

    #[test]
    fn the_text_of_an_ordinary_intent_is_what_its_cid_is_of() {
        let intent = base();
        let text = intent_text(&intent);
        assert_eq!(text, general(&intent));
        let cid = d402_objects::cid_of(&intent).unwrap();
        assert_eq!(Cid::of(text.as_bytes()), cid);
        assert!(text.len() < USUAL_BYTES);
    }

    proptest! {
        #[test]
        fn the_text_equals_the_general_canonical_form(intent in intent()) {
            prop_assert_eq!(intent_text(&intent), general(&intent));
        }
    }
}
