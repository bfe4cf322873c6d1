//! Whole envelopes: every kind, and every way an envelope can be wrong without its payload's
//! own rules having a part in it.

use d402_objects::{
    AnySigned, Bid, Cid, Document, Ed25519Id, LeaseAccept, NamespaceProof, Signed, SignerId, Value,
    canonical, preimage,
    signature::{eip191_sign, evm_address},
    strict,
};
use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};

use crate::samples::{self, evm_key, forge, key};

/// An envelope and the verdict on it; what was verified when it is taken.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvelopeCase {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) accept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signer: Option<SignerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cid: Option<Cid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preimage: Option<String>,
}

/// The expected verdict is written by hand and held against the decoder.
fn case(name: &str, input: impl Into<Vec<u8>>, accept: bool) -> EnvelopeCase {
    let input = String::from_utf8(input.into()).unwrap();
    let object = AnySigned::parse(input.as_bytes());
    assert_eq!(object.is_ok(), accept, "{name}: {object:?}");
    let mut case = EnvelopeCase {
        name: name.to_owned(),
        input,
        accept,
        kind: None,
        signer: None,
        cid: None,
        preimage: None,
    };
    if let Ok(object) = object {
        let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
        let network = value["payload"]["network"].as_str().map(samples::t);
        let kind = object.kind().name();
        case.kind = Some(kind.to_owned());
        case.signer = Some(object.signer());
        case.cid = Some(object.cid());
        let digest = object.cid().as_bytes();
        case.preimage = Some(hex::encode(preimage(
            kind,
            1,
            network.as_ref(),
            &object.signer(),
            &digest,
        )));
    }
    case
}

pub(crate) fn cases() -> Vec<EnvelopeCase> {
    let mut cases: Vec<EnvelopeCase> = samples::all()
        .iter()
        .map(|object| case(object.kind().name(), object.as_bytes(), true))
        .collect();
    cases.extend(spellings());
    cases.extend(closed_envelope());
    cases.extend(bindings());
    cases.extend(signers());
    cases.extend(json_traps());
    cases.extend(wallets());
    cases.extend(shapes());
    cases
}

/// Every kind without one of its required fields, rightly signed.
fn shapes() -> Vec<EnvelopeCase> {
    samples::all()
        .iter()
        .map(|object| {
            let value = strict::parse_value(object.as_bytes(), usize::MAX).unwrap();
            let mut payload = value["payload"].clone();
            let signer = value["signer"].clone();
            let fields = payload.as_object_mut().unwrap();
            let field = fields
                .iter()
                .find(|(name, value)| {
                    !matches!(name.as_str(), "objectVersion" | "network") && **value != signer
                })
                .map(|(name, _)| name.clone())
                .unwrap();
            fields.remove(&field);
            let seed = (1..=7u8)
                .find(|seed| signer == samples::id(*seed).to_string())
                .unwrap();
            let network = payload["network"].as_str().map(samples::t);
            let kind = object.kind().name();
            case(
                &format!("{kind} without {field}"),
                forge(&payload, kind, 1, network.as_ref(), &key(seed)),
                false,
            )
        })
        .collect()
}

fn bid() -> Vec<u8> {
    Signed::sign(samples::bid(), &key(samples::WORKER))
        .unwrap()
        .to_bytes()
}

fn bid_value() -> Value {
    serde_json::from_slice(&bid()).unwrap()
}

fn bid_payload() -> Value {
    bid_value()["payload"].clone()
}

/// A bid envelope over any payload, rightly signed by its worker.
fn signed_bid(payload: &Value) -> Vec<u8> {
    let network = samples::network();
    forge(payload, Bid::KIND, 1, Some(&network), &key(samples::WORKER))
}

/// `bytes` with one text replaced, which must occur.
fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

fn spellings() -> Vec<EnvelopeCase> {
    let pretty = serde_json::to_vec_pretty(&bid_value()).unwrap();
    let mut later = bid_payload();
    later["zz"] = serde_json::json!({"\u{ff5e}": 1, "\u{1f600}": 2, "": [null, true, "\u{7f}\""]});
    let deep = |levels: usize| {
        let mut payload = bid_payload();
        payload["zz"] = (1..levels).fold(Value::Array(Vec::new()), |inner, _| {
            Value::Array(vec![inner])
        });
        signed_bid(&payload)
    };
    let accept = Signed::sign(samples::lease_accept(), &key(samples::WORKER))
        .unwrap()
        .to_bytes();
    let padded = |total: usize| {
        let mut bytes = vec![b' '; total - accept.len()];
        bytes.extend_from_slice(&accept);
        bytes
    };
    let max = LeaseAccept::MAX_BYTES;
    let mut no_buyer = samples::task_intent();
    no_buyer.buyer = None;
    let by_gateway = Signed::sign(no_buyer, &key(samples::GATEWAY)).unwrap();
    vec![
        case("indented", pretty, true),
        case(
            "escapes spelled out",
            replaced(bid(), "\"seq\"", "\"\\u0073eq\""),
            true,
        ),
        case("unknown payload fields", signed_bid(&later), true),
        case("32 levels", deep(30), true),
        case("33 levels", deep(31), false),
        case("as large as its kind may be", padded(max), true),
        case(
            "one byte larger than its kind may be",
            padded(max + 1),
            false,
        ),
        case(
            "intent without buyer, signed by the gateway",
            by_gateway.as_bytes(),
            true,
        ),
        case(
            "manifest with 1.50 for 1.5 in its schema",
            replaced(manifest(), "\"maximum\":1.5", "\"maximum\":1.50"),
            true,
        ),
        case(
            "manifest with 20000.0 for 20000 in its schema",
            replaced(manifest(), "\"maximum\":20000", "\"maximum\":2.0e4"),
            true,
        ),
        case(
            "manifest with a float outside its schemas",
            replaced(manifest(), "\"decisionTimeS\":60", "\"decisionTimeS\":60.0"),
            false,
        ),
    ]
}

fn manifest() -> Vec<u8> {
    Signed::sign(samples::manifest(), &key(samples::AUTHOR))
        .unwrap()
        .to_bytes()
}

fn closed_envelope() -> Vec<EnvelopeCase> {
    let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut value = bid_value();
        change(value.as_object_mut().unwrap());
        canonical::to_bytes(&value)
    };
    let mut cases = vec![
        case(
            "extra envelope field",
            with(&|e| {
                e.insert("note".into(), Value::Null);
            }),
            false,
        ),
        case("a list", [b"[".as_slice(), &bid(), b"]"].concat(), false),
        case("a text", b"\"d402.bid\"".as_slice(), false),
        case(
            "payload is a list",
            with(&|e| {
                e.insert("payload".into(), Value::Array(Vec::new()));
            }),
            false,
        ),
        case(
            "signer is null",
            with(&|e| {
                e.insert("signer".into(), Value::Null);
            }),
            false,
        ),
        case(
            "kind without its prefix",
            with(&|e| {
                e.insert("payloadType".into(), "bid".into());
            }),
            false,
        ),
        case(
            "kind in capitals",
            with(&|e| {
                e.insert("payloadType".into(), "d402.Bid".into());
            }),
            false,
        ),
        case(
            "kind nobody knows",
            with(&|e| {
                e.insert("payloadType".into(), "d402.ask".into());
            }),
            false,
        ),
        case(
            "a receipt in an envelope",
            with(&|e| {
                e.insert("payloadType".into(), "d402.settlementReceipt".into());
            }),
            false,
        ),
    ];
    for field in ["payload", "payloadType", "signer", "signature"] {
        cases.push(case(
            &format!("no {field}"),
            with(&|e| {
                e.remove(field);
            }),
            false,
        ));
        cases.push(case(
            &format!("another field for {field}"),
            with(&|e| {
                e.remove(field);
                e.insert("note".into(), "x".into());
            }),
            false,
        ));
    }
    cases
}

fn bindings() -> Vec<EnvelopeCase> {
    let worker = key(samples::WORKER);
    let network = samples::network();
    let base = samples::t("eip155:8453");
    let payload = bid_payload();
    let mut both = serde_json::to_value(samples::claim_commit()).unwrap();
    both["atMs"] = samples::NOW.into();
    let accept = forge(&both, "leaseAccept", 1, Some(&network), &worker);
    let version = |version: Value, signed: u16| {
        let mut payload = bid_payload();
        payload["objectVersion"] = version;
        forge(&payload, Bid::KIND, signed, Some(&network), &worker)
    };
    let mut unversioned = bid_payload();
    unversioned.as_object_mut().unwrap().remove("objectVersion");
    let ack = serde_json::to_value(samples::bid_ack()).unwrap();
    let gateway = key(samples::GATEWAY);
    vec![
        case(
            "fields of two kinds, signed as the one it says",
            accept.clone(),
            true,
        ),
        case(
            "fields of two kinds, signed as the other",
            replaced(accept, "d402.leaseAccept", "d402.claimCommit"),
            false,
        ),
        case(
            "signed for another network",
            forge(&payload, Bid::KIND, 1, Some(&base), &worker),
            false,
        ),
        case(
            "signed for no network",
            forge(&payload, Bid::KIND, 1, None, &worker),
            false,
        ),
        case(
            "no network, signed for one",
            forge(&ack, "bidAck", 1, Some(&network), &gateway),
            false,
        ),
        case(
            "moved to another network",
            replaced(
                bid(),
                "\"network\":\"d402:simulated\",\"nodeId\"",
                "\"network\":\"eip155:8453\",\"nodeId\"",
            ),
            false,
        ),
        case(
            "signed as version 2",
            forge(&payload, Bid::KIND, 2, Some(&network), &worker),
            false,
        ),
        case(
            "signed as version 0",
            forge(&payload, Bid::KIND, 0, Some(&network), &worker),
            false,
        ),
        case("objectVersion 2", version(2.into(), 2), false),
        case("objectVersion 0", version(0.into(), 0), false),
        case("objectVersion 65537", version(65_537.into(), 1), false),
        case("objectVersion -1", version((-1).into(), 1), false),
        case("objectVersion is a text", version("1".into(), 1), false),
        case("objectVersion is null", version(Value::Null, 1), false),
        case(
            "no objectVersion",
            forge(&unversioned, Bid::KIND, 1, Some(&network), &worker),
            false,
        ),
        case(
            "objectVersion 1.0",
            replaced(bid(), "\"objectVersion\":1", "\"objectVersion\":1.0"),
            false,
        ),
        case(
            "another price",
            replaced(bid(), "\"price\":\"900\"", "\"price\":\"901\""),
            false,
        ),
    ]
}

fn signers() -> Vec<EnvelopeCase> {
    let network = samples::network();
    let worker = Ed25519Id::from(&key(samples::WORKER)).to_string();
    let other = Ed25519Id::from(&key(samples::GATEWAY)).to_string();
    let signature = bid_value()["signature"].as_str().unwrap().to_owned();
    let respelled = |spelling: String| replaced(bid(), &signature, &spelling);
    let intent = serde_json::to_value(samples::task_intent()).unwrap();
    let mut null_buyer = intent.clone();
    null_buyer["buyer"] = Value::Null;
    let mut no_role = bid_payload();
    no_role.as_object_mut().unwrap().remove("worker");
    // A key that signs everything without the strict rule.
    let weak = format!("ed25519:01{}", "00".repeat(31));
    let mut weak_payload = bid_payload();
    weak_payload["worker"] = weak.clone().into();
    let weak_bid = canonical::to_bytes(&serde_json::json!({
        "payload": weak_payload,
        "payloadType": "d402.bid",
        "signer": weak,
        "signature": format!("01{}", "00".repeat(63)),
    }));
    vec![
        case(
            "signed by another key than the role's",
            forge(
                &bid_payload(),
                Bid::KIND,
                1,
                Some(&network),
                &key(samples::GATEWAY),
            ),
            false,
        ),
        case(
            "signer renamed",
            replaced(
                bid(),
                &format!("\"signer\":\"{worker}\""),
                &format!("\"signer\":\"{other}\""),
            ),
            false,
        ),
        case(
            "signer and role renamed",
            String::from_utf8(bid()).unwrap().replace(&worker, &other),
            false,
        ),
        case("no role field", signed_bid(&no_role), false),
        case(
            "signer in capitals",
            replaced(
                bid(),
                &format!("\"signer\":\"{worker}\""),
                &format!("\"signer\":\"ed25519:{}\"", worker[8..].to_uppercase()),
            ),
            false,
        ),
        case(
            "intent of a buyer, signed by the gateway",
            forge(&intent, "taskIntent", 1, None, &key(samples::GATEWAY)),
            false,
        ),
        case(
            "intent whose buyer is null, signed by the gateway",
            forge(&null_buyer, "taskIntent", 1, None, &key(samples::GATEWAY)),
            true,
        ),
        case(
            "signature in capitals",
            respelled(signature.to_uppercase()),
            false,
        ),
        case(
            "signature with 0x",
            respelled(format!("0x{signature}")),
            false,
        ),
        case("signature as base64", respelled("QQ==".to_owned()), false),
        case(
            "signature cut short",
            respelled(signature[..126].to_owned()),
            false,
        ),
        case(
            "signature too long",
            respelled(format!("{signature}00")),
            false,
        ),
        case("no signature bytes", respelled(String::new()), false),
        case(
            "signature of another object",
            respelled(
                Signed::sign(samples::lease_accept(), &key(samples::WORKER))
                    .unwrap()
                    .signature()
                    .to_string(),
            ),
            false,
        ),
        case("signer of small order", weak_bid, false),
        case(
            "settlement key of a validator under another name",
            {
                let mut offer = serde_json::to_value(samples::validator_offer()).unwrap();
                offer["validator"] = other.clone().into();
                forge(&offer, "validatorOffer", 1, None, &key(samples::GATEWAY))
            },
            false,
        ),
        case(
            "evm key of a validator not its own",
            {
                let mut offer = serde_json::to_value(samples::validator_offer()).unwrap();
                let stranger = evm_address(evm_key(0x4d).verifying_key());
                offer["settlementKey"]["evm"] = stranger.to_string().into();
                offer["crossSignatures"]["settlementSignsEnvelope"] = d402_objects::cross_sign(
                    &key(samples::SETTLEMENT),
                    &samples::id(samples::VALIDATOR),
                    Some(stranger),
                )
                .to_string()
                .into();
                forge(&offer, "validatorOffer", 1, None, &key(samples::VALIDATOR))
            },
            false,
        ),
    ]
}

/// Texts that a lenient JSON parser reads as the object that was signed.
fn json_traps() -> Vec<EnvelopeCase> {
    let signed_over = |value: Value| {
        let mut payload = bid_payload();
        payload["zz"] = value;
        signed_bid(&payload)
    };
    let one = || signed_over(1.into());
    vec![
        case(
            "a key twice, the last one signed",
            replaced(one(), "\"zz\":1", "\"zz\":2,\"zz\":1"),
            false,
        ),
        case(
            "a key twice, the first one signed",
            replaced(one(), "\"zz\":1", "\"zz\":1,\"zz\":2"),
            false,
        ),
        case(
            "a key twice, escaped",
            replaced(one(), "\"zz\":1", "\"zz\":1,\"\\u007az\":1"),
            false,
        ),
        case(
            "payload twice",
            replaced(bid(), "{\"payload\":", "{\"payload\":{},\"payload\":"),
            false,
        ),
        case(
            "payloadType twice",
            replaced(
                bid(),
                ",\"payloadType\":",
                ",\"payloadType\":\"d402.lease\",\"payloadType\":",
            ),
            false,
        ),
        case(
            "an integer that rounds to the signed one",
            replaced(
                signed_over(9_007_199_254_740_992u64.into()),
                "9007199254740992",
                "9007199254740993",
            ),
            false,
        ),
        case(
            "2^53, signed as such",
            signed_over(9_007_199_254_740_992u64.into()),
            false,
        ),
        case(
            "2^53 - 1, signed as such",
            signed_over(9_007_199_254_740_991u64.into()),
            true,
        ),
        case(
            "negative zero for the signed zero",
            replaced(signed_over(0.into()), "\"zz\":0", "\"zz\":-0"),
            false,
        ),
        case(
            "1.0 for the signed 1",
            replaced(one(), "\"zz\":1", "\"zz\":1.0"),
            false,
        ),
        case(
            "1e0 for the signed 1",
            replaced(one(), "\"zz\":1", "\"zz\":1e0"),
            false,
        ),
        case("0.5, signed as such", signed_over(0.5.into()), false),
        case(
            "a lone surrogate for the signed U+FFFD",
            replaced(signed_over("\u{fffd}".into()), "\u{fffd}", "\\ud800"),
            false,
        ),
        case(
            "U+FFFD, signed as such",
            signed_over("\u{fffd}".into()),
            true,
        ),
        case(
            "a byte-order mark",
            format!("\u{feff}{}", String::from_utf8(bid()).unwrap()),
            false,
        ),
        case(
            "bytes after the document",
            [bid(), b"x".to_vec()].concat(),
            false,
        ),
        case(
            "a newline after the document",
            [bid(), b"\n".to_vec()].concat(),
            true,
        ),
        case(
            "a comment",
            replaced(bid(), "{\"payload\"", "/**/{\"payload\""),
            false,
        ),
        case(
            "an amount with a leading zero",
            signed_bid(&with_price("0900")),
            false,
        ),
        case(
            "an amount as a number",
            signed_bid(&with_price_value(900.into())),
            false,
        ),
    ]
}

fn with_price(price: &str) -> Value {
    with_price_value(price.into())
}

fn with_price_value(price: Value) -> Value {
    let mut payload = bid_payload();
    payload["price"] = price;
    payload
}

/// Namespace proofs by wallet, and wallets where none may sign.
fn wallets() -> Vec<EnvelopeCase> {
    let wallet = evm_key(0x33);
    let signer = SignerId::Eip191(evm_address(wallet.verifying_key()));
    let proof = samples::namespace_proof(signer);
    let good = Signed::<NamespaceProof>::sign_eip191(proof.clone(), &wallet).unwrap();
    let text = good.signature().to_string();
    let respelled = |spelling: String| replaced(good.to_bytes(), &text, &spelling);
    let bytes: [u8; 65] = good.signature().to_array().unwrap();
    let parsed = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
    let high =
        k256::ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes())
            .unwrap();
    let other_v = |v: u8| format!("{}{v:02x}", &text[..128]);
    // An Ed25519 signature under a wallet's name.
    let digest = canonical::digest(&serde_json::to_value(&proof).unwrap());
    let message = preimage(NamespaceProof::KIND, 1, None, &signer, &digest);
    let ed25519 = hex::encode(key(1).sign(&message).to_bytes());
    let mut wallet_bid = bid_payload();
    wallet_bid["worker"] = signer.to_string().into();
    let network = samples::network();
    let bid_message = preimage(
        Bid::KIND,
        1,
        Some(&network),
        &signer,
        &canonical::digest(&wallet_bid),
    );
    let wallet_bid = canonical::to_bytes(&serde_json::json!({
        "payload": wallet_bid,
        "payloadType": "d402.bid",
        "signer": signer.to_string(),
        "signature": hex::encode(eip191_sign(&wallet, &bid_message)),
    }));
    vec![
        case("namespace proof by wallet", good.as_bytes(), true),
        case(
            "wallet signature with high S",
            respelled(format!(
                "{}{:02x}",
                hex::encode(high.to_bytes()),
                bytes[64] ^ 27 ^ 28
            )),
            false,
        ),
        case(
            "wallet signature with v 0 or 1",
            respelled(other_v(bytes[64] - 27)),
            false,
        ),
        case(
            "wallet signature with the other v",
            respelled(other_v(bytes[64] ^ 27 ^ 28)),
            false,
        ),
        case(
            "wallet signature without v",
            respelled(text[..128].to_owned()),
            false,
        ),
        case(
            "wallet signature of zeros",
            respelled("00".repeat(64) + "1b"),
            false,
        ),
        case(
            "ed25519 signature under a wallet's name",
            respelled(ed25519),
            false,
        ),
        case(
            "wallet signature of another wallet",
            {
                let other = Signed::<NamespaceProof>::sign_eip191(
                    samples::namespace_proof(SignerId::Eip191(evm_address(
                        evm_key(0x34).verifying_key(),
                    ))),
                    &evm_key(0x34),
                )
                .unwrap();
                respelled(other.signature().to_string())
            },
            false,
        ),
        case("wallet under a bid", wallet_bid, false),
        case(
            "wallet address in mixed case",
            {
                let address = signer.to_string();
                let mixed = format!("eip191:0x{}", address[9..].to_uppercase());
                String::from_utf8(good.to_bytes())
                    .unwrap()
                    .replace(&address, &mixed)
            },
            false,
        ),
    ]
}
