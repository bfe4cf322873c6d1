//! Properties of every kind of envelope.

use std::sync::LazyLock;

use d402_objects::{
    AnySigned, Bid, Document, Ed25519Id, LeaseAccept, Manifest, ObjectError, ObjectKind, Payload,
    Signed, SignedReceipt, SigningKey, TaskIntent, Value, canonical, cid_of, parse_payload,
    peek_kind, preimage, strict,
};
use proptest::prelude::*;

use crate::samples::{self, forge};

static ALL: LazyLock<Vec<AnySigned>> = LazyLock::new(samples::all);

#[test]
fn the_samples_hold_one_object_of_every_kind() {
    let kinds: Vec<ObjectKind> = ALL.iter().map(AnySigned::kind).collect();
    assert_eq!(kinds, ObjectKind::ALL);
}

#[test]
fn every_kind_reads_back_as_itself() {
    for object in ALL.iter() {
        let again = AnySigned::parse(object.as_bytes()).unwrap();
        assert_eq!(&again, object);
        let text = serde_json::to_string(object).unwrap();
        assert_eq!(&serde_json::from_str::<AnySigned>(&text).unwrap(), object);
        assert_eq!(again.as_bytes(), object.as_bytes());
        assert_eq!(again.cid(), object.cid());
        assert_eq!(peek_kind(object.as_bytes()).unwrap(), object.kind());
        let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        assert_eq!(canonical::to_bytes(&value), object.as_bytes());
        assert_eq!(
            canonical::digest(&value["payload"]),
            object.cid().as_bytes(),
            "the CID is the hash of the canonical payload",
        );
    }
}

#[test]
fn objects_inside_serde_documents_are_verified() {
    let bid = Signed::sign(samples::bid(), &samples::key(samples::WORKER)).unwrap();
    let text = serde_json::to_string(&vec![bid.clone()]).unwrap();
    let again: Vec<Signed<Bid>> = serde_json::from_str(&text).unwrap();
    assert_eq!(again, vec![bid.clone()]);
    let forged = text.replace("\"price\":\"900\"", "\"price\":\"901\"");
    assert_ne!(text, forged);
    assert!(serde_json::from_str::<Vec<Signed<Bid>>>(&forged).is_err());
    let doubled = text.replace("\"seq\":1", "\"seq\":1,\"seq\":1");
    assert_ne!(text, doubled);
    assert!(serde_json::from_str::<Vec<Signed<Bid>>>(&doubled).is_err());
    // Enums make serde buffer the document; the rules hold there too.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(tag = "type")]
    enum Message {
        Bid { bid: Signed<Bid> },
    }
    let text = serde_json::to_string(&Message::Bid { bid: bid.clone() }).unwrap();
    let Message::Bid { bid: again } = serde_json::from_str(&text).unwrap();
    assert_eq!(again, bid);
    let doubled = text.replace("\"seq\":1", "\"seq\":1,\"seq\":1");
    assert!(serde_json::from_str::<Message>(&doubled).is_err());
}

#[test]
fn unknown_payload_fields_are_kept_and_hashed() {
    let key = samples::key(samples::WORKER);
    let mut payload = serde_json::to_value(samples::bid()).unwrap();
    payload["later"] = serde_json::json!({"ÿ": [1, null, "x"]});
    let bytes = forge(&payload, "bid", 1, Some(&samples::network()), &key);
    let bid = Signed::<Bid>::parse(&bytes).unwrap();
    assert_eq!(bid.as_bytes(), bytes);
    assert_eq!(bid.to_value()["payload"], payload);
    assert_eq!(bid.payload(), &samples::bid());
    assert_ne!(bid.cid(), cid_of(&samples::bid()).unwrap());
    let (_, unsigned) = parse_payload::<Bid>(&canonical::to_bytes(&payload)).unwrap();
    assert_eq!(bid.cid(), unsigned);
}

#[test]
fn an_intent_has_one_cid_signed_or_not() {
    let intent = samples::task_intent();
    let unsigned = cid_of(&intent).unwrap();
    let signed = Signed::sign(intent.clone(), &samples::key(samples::BUYER)).unwrap();
    assert_eq!(signed.cid(), unsigned);
    let (again, cid) = parse_payload::<TaskIntent>(signed.payload_bytes()).unwrap();
    assert_eq!((again, cid), (intent, unsigned));
}

#[test]
fn only_the_key_of_the_role_can_sign() {
    let wrong = samples::key(samples::GATEWAY);
    assert!(matches!(
        Signed::sign(samples::bid(), &wrong),
        Err(ObjectError::WrongSigner { kind: "bid" })
    ));
    // The gateway signs for the buyer only when no buyer is named.
    let mut intent = samples::task_intent();
    assert!(Signed::sign(intent.clone(), &wrong).is_err());
    intent.buyer = None;
    assert!(Signed::sign(intent, &wrong).is_ok());
    let payload = serde_json::to_value(samples::bid()).unwrap();
    let bytes = forge(&payload, "bid", 1, Some(&samples::network()), &wrong);
    assert!(matches!(
        Signed::<Bid>::parse(&bytes),
        Err(ObjectError::WrongSigner { kind: "bid" })
    ));
}

#[test]
fn no_object_verifies_as_another_kind() {
    for object in ALL.iter() {
        let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        for other in ObjectKind::ALL.iter().filter(|k| **k != object.kind()) {
            let mut renamed = value.clone();
            renamed["payloadType"] = format!("d402.{}", other.name()).into();
            assert!(
                AnySigned::parse(&canonical::to_bytes(&renamed)).is_err(),
                "{:?} as {other:?}",
                object.kind(),
            );
        }
    }
}

/// Two kinds with the same fields: only the kind in the pre-image tells them apart.
#[test]
fn a_signature_for_one_kind_is_none_for_a_kind_with_the_same_fields() {
    let key = samples::key(samples::WORKER);
    let mut payload = serde_json::to_value(samples::claim_commit()).unwrap();
    payload["atMs"] = samples::NOW.into();
    let network = samples::network();
    let honest = forge(&payload, "leaseAccept", 1, Some(&network), &key);
    assert!(AnySigned::parse(&honest).is_ok());
    let forged = forge(&payload, "claimCommit", 1, Some(&network), &key);
    assert!(AnySigned::parse(&forged).is_ok());
    let swap = String::from_utf8(honest)
        .unwrap()
        .replace("d402.leaseAccept", "d402.claimCommit");
    assert!(matches!(
        AnySigned::parse(swap.as_bytes()),
        Err(ObjectError::Signature { .. })
    ));
}

#[test]
fn a_reader_of_one_kind_takes_no_other() {
    for object in ALL.iter() {
        let as_bid = Signed::<Bid>::parse(object.as_bytes());
        if object.kind() == ObjectKind::Bid {
            assert!(as_bid.is_ok());
        } else if object.kind() == ObjectKind::Manifest {
            // Its schema holds a float, which a reader of bids does not even decode.
            assert!(matches!(as_bid, Err(ObjectError::Strict(_))));
        } else {
            assert!(matches!(
                as_bid,
                Err(ObjectError::WrongKind { want: "bid" })
            ));
        }
    }
    // Also when fields and signature are those of the kind that is read.
    let key = samples::key(samples::WORKER);
    let payload = serde_json::to_value(samples::lease_accept()).unwrap();
    let bytes = forge(&payload, "leaseAccept", 1, Some(&samples::network()), &key);
    let renamed = String::from_utf8(bytes)
        .unwrap()
        .replace("d402.leaseAccept", "d402.claimCommit");
    assert!(matches!(
        Signed::<LeaseAccept>::parse(renamed.as_bytes()),
        Err(ObjectError::WrongKind {
            want: "leaseAccept"
        })
    ));
}

#[test]
fn an_object_too_large_is_neither_signed_nor_taken_from_a_larger_document() {
    let too_large = |got: Result<_, ObjectError>| {
        matches!(
            got,
            Err(ObjectError::Strict(strict::StrictError::TooLarge { .. }))
        )
    };
    let mut manifest = samples::manifest();
    manifest.input_schema["title"] = "x".repeat(Manifest::MAX_BYTES).into();
    let key = samples::key(samples::AUTHOR);
    assert!(too_large(Signed::sign(manifest, &key).map(|_| ())));
    let mut payload = serde_json::to_value(samples::bid()).unwrap();
    payload["later"] = "x".repeat(Bid::MAX_BYTES).into();
    let key = samples::key(samples::WORKER);
    let bytes = forge(&payload, "bid", 1, Some(&samples::network()), &key);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(too_large(
        Signed::<Bid>::from_value(value.clone()).map(|_| ())
    ));
    assert!(too_large(AnySigned::from_value(value).map(|_| ())));
    assert!(too_large(AnySigned::parse(&bytes).map(|_| ())));
}

#[test]
fn no_object_verifies_under_another_version_or_network() {
    let key = samples::key(samples::WORKER);
    let payload = serde_json::to_value(samples::bid()).unwrap();
    let network = samples::network();
    assert!(AnySigned::parse(&forge(&payload, "bid", 1, Some(&network), &key)).is_ok());
    let refused = |bytes: &[u8]| {
        assert!(matches!(
            AnySigned::parse(bytes),
            Err(ObjectError::Signature { .. })
        ));
    };
    refused(&forge(&payload, "bid", 0, Some(&network), &key));
    refused(&forge(&payload, "bid", 2, Some(&network), &key));
    refused(&forge(&payload, "bid", 1, None, &key));
    refused(&forge(
        &payload,
        "bid",
        1,
        Some(&samples::t("eip155:1")),
        &key,
    ));
    // An object without a network is bound to none, not to any.
    let payload = serde_json::to_value(samples::bid_ack()).unwrap();
    let key = samples::key(samples::GATEWAY);
    assert!(AnySigned::parse(&forge(&payload, "bidAck", 1, None, &key)).is_ok());
    refused(&forge(&payload, "bidAck", 1, Some(&network), &key));
}

#[test]
fn a_newer_version_is_unsupported_and_an_older_one_invalid() {
    for object in ALL.iter() {
        let mut value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        value["payload"]["objectVersion"] = 2.into();
        assert!(matches!(
            AnySigned::parse(&canonical::to_bytes(&value)),
            Err(ObjectError::Unsupported {
                got: 2,
                known: 1,
                ..
            })
        ));
        value["payload"]["objectVersion"] = 0.into();
        assert!(matches!(
            AnySigned::parse(&canonical::to_bytes(&value)),
            Err(ObjectError::Invalid { .. })
        ));
    }
}

#[test]
fn the_envelope_is_closed() {
    for object in ALL.iter() {
        let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        let mut extra = value.clone();
        extra["note"] = Value::Null;
        assert!(matches!(
            AnySigned::parse(&canonical::to_bytes(&extra)),
            Err(ObjectError::ExtraField { got: 5, want: 4 })
        ));
        for field in ["payload", "payloadType", "signer", "signature"] {
            let mut lacking = value.clone();
            lacking.as_object_mut().unwrap().remove(field);
            assert!(AnySigned::parse(&canonical::to_bytes(&lacking)).is_err());
            // Four fields, one of them a stranger.
            lacking["note"] = Value::Null;
            assert!(AnySigned::parse(&canonical::to_bytes(&lacking)).is_err());
        }
    }
}

#[test]
fn an_envelope_above_its_size_is_refused_before_parsing() {
    let bid = ALL
        .iter()
        .find(|object| object.kind() == ObjectKind::Bid)
        .unwrap();
    let padded = |total: usize| {
        let mut bytes = vec![b' '; total - bid.as_bytes().len()];
        bytes.extend_from_slice(bid.as_bytes());
        bytes
    };
    let max = <Bid as Document>::MAX_BYTES;
    assert!(Signed::<Bid>::parse(&padded(max)).is_ok());
    let too_large = strict::StrictError::TooLarge { got: max + 1, max };
    assert!(matches!(
        Signed::<Bid>::parse(&padded(max + 1)),
        Err(ObjectError::Strict(fault)) if fault == too_large
    ));
    // Size comes first: the same refusal for bytes that are no JSON at all.
    assert!(matches!(
        Signed::<Bid>::parse(&vec![0xff; max + 1]),
        Err(ObjectError::Strict(fault)) if fault == too_large
    ));
}

#[test]
fn floats_stand_only_in_the_schemas_of_a_manifest() {
    let key = samples::key(samples::AUTHOR);
    let mut payload = serde_json::to_value(samples::manifest()).unwrap();
    assert!(AnySigned::parse(&forge(&payload, "manifest", 1, None, &key)).is_ok());
    payload["later"] = 1.5.into();
    assert!(matches!(
        AnySigned::parse(&forge(&payload, "manifest", 1, None, &key)),
        Err(ObjectError::Strict(strict::StrictError::Float))
    ));
    let mut payload = serde_json::to_value(samples::deprecation_record()).unwrap();
    payload["inputSchema"] = 1.5.into();
    assert!(matches!(
        AnySigned::parse(&forge(&payload, "deprecationRecord", 1, None, &key)),
        Err(ObjectError::Strict(strict::StrictError::Float))
    ));
}

#[test]
fn every_pre_image_starts_with_ff_and_is_longer_than_a_digest() {
    for object in ALL.iter() {
        let message = preimage(
            object.kind().name(),
            1,
            None,
            &object.signer(),
            &object.cid().as_bytes(),
        );
        assert_eq!(message[..9], *b"\xffd402env\x01");
        assert!(message.len() > 64);
    }
}

#[test]
fn a_receipt_carrier_reads_back_as_itself_and_is_closed() {
    let carrier = samples::signed_receipt();
    let again = SignedReceipt::parse(carrier.as_bytes()).unwrap();
    assert_eq!(again, carrier);
    assert_eq!(
        carrier.receipt_cid(),
        cid_of(&samples::settlement_receipt()).unwrap()
    );
    let value = carrier.to_value();
    assert_eq!(canonical::to_bytes(&value), carrier.as_bytes());
    let mut extra = value.clone();
    extra["transaction"] = "x".into();
    assert!(SignedReceipt::parse(&canonical::to_bytes(&extra)).is_err());
    let mut extra = value.clone();
    extra["signatures"][0]["note"] = "x".into();
    assert!(SignedReceipt::parse(&canonical::to_bytes(&extra)).is_err());
    let mut swapped = value.clone();
    swapped["signatures"].as_array_mut().unwrap().swap(0, 1);
    assert!(SignedReceipt::parse(&canonical::to_bytes(&swapped)).is_err());
    let mut twice = value;
    twice["signatures"][1]["setIndex"] = 0.into();
    assert!(SignedReceipt::parse(&canonical::to_bytes(&twice)).is_err());
}

#[test]
fn new_signatures_keep_unknown_receipt_fields() {
    let mut value = samples::signed_receipt().to_value();
    value["receipt"]["later"] = 1.into();
    let carrier = SignedReceipt::from_value(value.clone()).unwrap();
    let bare = carrier.with_signatures(Vec::new()).unwrap();
    assert_eq!(bare.receipt_cid(), carrier.receipt_cid());
    assert_eq!(bare.to_value()["receipt"], value["receipt"]);
    assert_ne!(
        carrier.receipt_cid(),
        samples::signed_receipt().receipt_cid()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Flipping any bit of an envelope breaks the signature, the CID or the parse.
    #[test]
    fn no_flipped_bit_goes_unnoticed(which in 0usize..22, place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let object = &ALL[which];
        let mut bytes = object.as_bytes().to_vec();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(AnySigned::parse(&bytes).is_err(), "{:?} byte {at} bit {bit}", object.kind());
    }

    /// parse ∘ print is the identity on every strict value.
    #[test]
    fn printing_and_parsing_is_the_identity(value in json()) {
        let printed = canonical::to_bytes(&value);
        let parsed = strict::parse_value(&printed, usize::MAX).unwrap();
        prop_assert_eq!(canonical::to_bytes(&parsed), printed);
        prop_assert_eq!(&parsed, &value);
    }

    /// However it is spaced and ordered, an object has one CID.
    #[test]
    fn spelling_does_not_change_the_object(which in 0usize..22) {
        let object = &ALL[which];
        let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        let again = AnySigned::parse(&pretty).unwrap();
        prop_assert_eq!(&again, object);
    }

    /// Any bid signs, reads back, and refuses another key.
    #[test]
    fn any_bid_reads_back(price in 1u64.., seq in 0u64..(1 << 53), worker in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let key = SigningKey::from_bytes(&worker);
        let mut bid = samples::bid();
        bid.worker = Ed25519Id::from(&key);
        bid.price = price.into();
        bid.seq = seq;
        let signed = Signed::sign(bid.clone(), &key).unwrap();
        let again = Signed::<Bid>::parse(signed.as_bytes()).unwrap();
        prop_assert_eq!(again.payload(), &bid);
        prop_assert_eq!(signed.payload().signer_field(), signed.signer());
        if other != worker {
            prop_assert!(Signed::sign(bid, &SigningKey::from_bytes(&other)).is_err());
        }
    }
}

/// Every single bit of one envelope, not a sample of them.
#[test]
fn every_flipped_bit_of_one_envelope_is_refused() {
    let object = Signed::sign(samples::lease_accept(), &samples::key(samples::WORKER)).unwrap();
    let bytes = object.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(AnySigned::parse(&flipped).is_err(), "byte {at} bit {bit}");
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    const SAFE: i64 = (1 << 53) - 1;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-SAFE..=SAFE).prop_map(Value::from),
        (-1.0e15..1.0e15f64)
            .prop_filter("integers have one spelling", |f| f.fract() != 0.0)
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
