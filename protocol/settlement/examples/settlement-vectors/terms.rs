//! Terms: fields, bytes, hash under several domains, and when they may settle.

use d402_settlement::{Bps, Domain, Key32, SetHash, Terms, settleable};
use serde_json::{Value, json};

use crate::json::{dec, domain, fault, hex, terms};
use crate::scene::{DOMAIN, ISSUED, REFUND_AFTER, SETTLE_BY, at, base_terms};

/// The terms of the reference encoder.
pub fn reference() -> Terms {
    base_terms(SetHash([4; 32]))
}

fn changed(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = reference();
    change(&mut terms);
    terms
}

fn named() -> Vec<(&'static str, Terms)> {
    let day_ahead = at(ISSUED + 86_400);
    vec![
        ("reference", reference()),
        ("majority on silence", changed(|t| t.on_silence = 1)),
        (
            "no commission",
            changed(|t| (t.commission_bps, t.commission_payee) = (Bps(0), Key32::ZERO)),
        ),
        (
            "no gateway fee",
            changed(|t| (t.gateway_fee_bps, t.gateway_fee_payee) = (Bps(0), Key32::ZERO)),
        ),
        (
            "largest budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (u64::MAX, u64::MAX / 2)),
        ),
        (
            "smallest budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (1, 0)),
        ),
        ("version 0", changed(|t| t.version = 0)),
        ("version 2", changed(|t| t.version = 2)),
        ("reserved set", changed(|t| t.reserved = 0x0100)),
        ("onSilence 2", changed(|t| t.on_silence = 2)),
        (
            "commission 2001 bps",
            changed(|t| t.commission_bps = Bps(2_001)),
        ),
        (
            "gateway fee 65535 bps",
            changed(|t| t.gateway_fee_bps = Bps(u16::MAX)),
        ),
        (
            "commission without payee",
            changed(|t| t.commission_payee = Key32::ZERO),
        ),
        (
            "commission payee without commission",
            changed(|t| t.commission_bps = Bps(0)),
        ),
        (
            "gateway fee without payee",
            changed(|t| t.gateway_fee_payee = Key32::ZERO),
        ),
        (
            "gateway fee payee without fee",
            changed(|t| t.gateway_fee_bps = Bps(0)),
        ),
        (
            "no budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (0, 0)),
        ),
        ("cap above half", changed(|t| t.validator_fee_cap = 5_001)),
        (
            "cap above half of an odd budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (3, 2)),
        ),
        ("issued before the epoch", changed(|t| t.issued_at = at(-1))),
        (
            "issued at the beginning of time",
            changed(|t| t.issued_at = at(i64::MIN)),
        ),
        ("issued a day ahead", changed(|t| t.issued_at = day_ahead)),
        (
            "settleBy is issuedAt",
            changed(|t| t.settle_by = t.issued_at),
        ),
        (
            "grace one second short",
            changed(|t| t.refund_after = at(t.settle_by.0 + 599)),
        ),
        (
            "settleBy at the end of time",
            changed(|t| (t.settle_by, t.refund_after) = (at(i64::MAX), at(i64::MAX))),
        ),
        (
            "lives one second too long",
            changed(|t| t.refund_after = at(t.issued_at.0 + 30 * 86_400 + 1)),
        ),
        (
            "lives exactly thirty days",
            changed(|t| t.refund_after = at(t.issued_at.0 + 30 * 86_400)),
        ),
        ("never refunds", changed(|t| t.refund_after = at(i64::MAX))),
        ("no mint", changed(|t| t.mint = Key32::ZERO)),
        ("no refundTo", changed(|t| t.refund_to = Key32::ZERO)),
        (
            "no validator set",
            changed(|t| t.validator_set = SetHash::ZERO),
        ),
        ("refundTo is the mint", changed(|t| t.refund_to = t.mint)),
        (
            "refundTo is the program",
            changed(|t| t.refund_to = DOMAIN.program),
        ),
        ("all zeros", Terms::decode(&[0; 304])),
        ("all ones", Terms::decode(&[0xFF; 304])),
    ]
}

pub fn vectors() -> Value {
    let other_cluster = Domain {
        genesis: [0xEF; 32],
        ..DOMAIN
    };
    let moments = [ISSUED - 601, ISSUED - 600, ISSUED, SETTLE_BY, REFUND_AFTER];
    let cases: Vec<Value> = named()
        .iter()
        .map(|(name, value)| {
            let hashes: Value = [DOMAIN, other_cluster, Domain::SIMULATED]
                .iter()
                .map(|d| json!({ "domain": domain(d), "termsHash": hex(value.hash(d)) }))
                .collect();
            let verdicts: Value = moments
                .iter()
                .map(|now| {
                    let refusal = settleable(value, &DOMAIN, at(*now)).err();
                    let refusal = refusal.as_ref().map_or(Value::Null, fault);
                    json!({ "now": dec(now), "refusal": refusal })
                })
                .collect();
            json!({
                "name": name,
                "fields": terms(value),
                "bytes": hex(value.encode()),
                "hashes": hashes,
                "settleable": verdicts,
            })
        })
        .collect();
    json!({
        "spec": "2.2 terms, 3 settleable",
        "tag": "d402/terms/solana/v1",
        "settleableDomain": domain(&DOMAIN),
        "cases": cases,
    })
}
