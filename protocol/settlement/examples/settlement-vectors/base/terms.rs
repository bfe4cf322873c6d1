//! Terms on Base: fields, words, hashes, when they may settle; and bytes that are none.

use d402_settlement::evm::{EVM_TERMS_LEN, EvmAccount, EvmTerms, TERMS_TYPE, chain_word};
use d402_settlement::{Bps, SetHash, TermsHash, Units};
use serde_json::{Value, json};

use super::{domain, domains, hex0x};
use crate::base_scene::{ISSUED, MAINNET, REFUND_AFTER, SEPOLIA, SETTLE_BY, at, base_terms, units};
use crate::json::{dec, fault};

pub(super) fn reference() -> EvmTerms {
    base_terms(SetHash([4; 32]))
}

fn changed(change: impl FnOnce(&mut EvmTerms)) -> EvmTerms {
    let mut terms = reference();
    change(&mut terms);
    terms
}

const DAY: u64 = 86_400;

fn named() -> Vec<(&'static str, EvmTerms)> {
    let mut cases = money();
    cases.extend(times());
    cases.extend(parties());
    cases
}

fn money() -> Vec<(&'static str, EvmTerms)> {
    let max = Units::MAX;
    let half = Units::new(Units::MAX.get() / 2).unwrap();
    vec![
        ("reference", reference()),
        ("majority on silence", changed(|t| t.on_silence = 1)),
        ("version 0", changed(|t| t.version = 0)),
        ("version 2", changed(|t| t.version = 2)),
        ("onSilence 2", changed(|t| t.on_silence = 2)),
        (
            "no commission",
            changed(|t| (t.commission_bps, t.commission_payee) = (Bps(0), EvmAccount::ZERO)),
        ),
        (
            "no gateway fee",
            changed(|t| (t.gateway_fee_bps, t.gateway_fee_payee) = (Bps(0), EvmAccount::ZERO)),
        ),
        (
            "commission 2000 bps",
            changed(|t| t.commission_bps = Bps(2_000)),
        ),
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
            changed(|t| t.commission_payee = EvmAccount::ZERO),
        ),
        (
            "gateway fee payee without fee",
            changed(|t| t.gateway_fee_bps = Bps(0)),
        ),
        (
            "no budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (Units::ZERO, Units::ZERO)),
        ),
        (
            "largest budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (max, half)),
        ),
        (
            "largest budget, cap one above half",
            changed(|t| {
                let above = Units::new(half.get() + 1).unwrap();
                (t.budget, t.validator_fee_cap) = (max, above);
            }),
        ),
        (
            "cap above half",
            changed(|t| t.validator_fee_cap = units(5_001)),
        ),
        (
            "cap above half of an odd budget",
            changed(|t| (t.budget, t.validator_fee_cap) = (units(3), units(2))),
        ),
    ]
}

fn times() -> Vec<(&'static str, EvmTerms)> {
    vec![
        (
            "issued a day ahead",
            changed(|t| {
                t.issued_at += DAY;
                t.settle_by += DAY;
                t.refund_after += DAY;
            }),
        ),
        (
            "settleBy is issuedAt",
            changed(|t| t.settle_by = t.issued_at),
        ),
        (
            "grace of ten minutes",
            changed(|t| t.refund_after = t.settle_by + 600),
        ),
        (
            "grace one second short",
            changed(|t| t.refund_after = t.settle_by + 599),
        ),
        (
            "lives exactly thirty days",
            changed(|t| t.refund_after = t.issued_at + 30 * DAY),
        ),
        (
            "lives one second too long",
            changed(|t| t.refund_after = t.issued_at + 30 * DAY + 1),
        ),
        (
            "settleBy at the end of time",
            changed(|t| (t.settle_by, t.refund_after) = (u64::MAX, u64::MAX)),
        ),
        (
            "settleBy after 2^63",
            changed(|t| (t.settle_by, t.refund_after) = (1 << 63, (1 << 63) + 600)),
        ),
        ("never refunds", changed(|t| t.refund_after = u64::MAX)),
        (
            "issued at the end of time",
            changed(|t| {
                (t.issued_at, t.settle_by, t.refund_after) =
                    (u64::MAX - 1_000, u64::MAX - 700, u64::MAX)
            }),
        ),
    ]
}

fn parties() -> Vec<(&'static str, EvmTerms)> {
    vec![
        (
            "of Base",
            changed(|t| t.chain_id = chain_word(MAINNET.chain_id)),
        ),
        ("of chain 0", changed(|t| t.chain_id = chain_word(0))),
        ("of chain 2^256 - 1", changed(|t| t.chain_id = [0xFF; 32])),
        (
            "chain id with a bit above 64",
            changed(|t| t.chain_id[23] = 1),
        ),
        ("no asset", changed(|t| t.asset = EvmAccount::ZERO)),
        ("no refundTo", changed(|t| t.refund_to = EvmAccount::ZERO)),
        (
            "no validator set",
            changed(|t| t.validator_set = SetHash::ZERO),
        ),
        ("refundTo is the asset", changed(|t| t.refund_to = t.asset)),
        (
            "refundTo is the ledger",
            changed(|t| t.refund_to = SEPOLIA.ledger),
        ),
        ("all zeros", EvmTerms::decode(&[0; EVM_TERMS_LEN]).unwrap()),
    ]
}

fn fields(terms: &EvmTerms) -> Value {
    json!({
        "version": dec(terms.version),
        "onSilence": dec(terms.on_silence),
        "commissionBps": dec(terms.commission_bps.0),
        "gatewayFeeBps": dec(terms.gateway_fee_bps.0),
        "budget": dec(terms.budget),
        "validatorFeeCap": dec(terms.validator_fee_cap),
        "issuedAt": dec(terms.issued_at),
        "settleBy": dec(terms.settle_by),
        "refundAfter": dec(terms.refund_after),
        "chainId": hex0x(terms.chain_id),
        "taskId": hex0x(terms.task_id),
        "asset": terms.asset.to_string(),
        "refundTo": terms.refund_to.to_string(),
        "validatorSet": hex0x(terms.validator_set),
        "commissionPayee": terms.commission_payee.to_string(),
        "gatewayFeePayee": terms.gateway_fee_payee.to_string(),
        "salt": hex0x(terms.salt),
    })
}

/// One bit above every field's width, and the lengths around the right one.
fn refused() -> Vec<Value> {
    let good = reference().encode();
    let dirty_at = [
        30, 30, 29, 29, 19, 19, 23, 23, 23, 32, 32, 11, 11, 32, 11, 11, 32,
    ];
    let mut cases = Vec::new();
    for (word, at) in dirty_at.into_iter().enumerate().filter(|(_, at)| *at < 32) {
        for at in [0, at] {
            let mut bytes = good;
            bytes[word * 32 + at] |= 1;
            let fault_of = EvmTerms::decode(&bytes).expect_err("a dirty word");
            cases.push(
                json!({ "bytes": hex0x(bytes), "fault": fault(&fault_of), "word": dec(word) }),
            );
        }
    }
    cases
}

pub(super) fn vectors() -> Value {
    let moments = [ISSUED - 601, ISSUED - 600, ISSUED, SETTLE_BY, REFUND_AFTER];
    let cases: Vec<Value> = named()
        .iter()
        .map(|(name, terms)| {
            let hashes: Value = domains()
                .iter()
                .map(|d| d.ledger)
                .collect::<std::collections::BTreeSet<_>>()
                .iter()
                .map(|ledger| {
                    let hash: TermsHash = terms.hash(ledger);
                    json!({ "ledger": ledger.to_string(), "termsHash": hex0x(hash) })
                })
                .collect();
            let verdicts: Value = moments
                .iter()
                .map(|now| {
                    let refusal = terms.settleable(&SEPOLIA, at(*now)).err();
                    let refusal = refusal.as_ref().map_or(Value::Null, fault);
                    json!({ "now": dec(now), "refusal": refusal })
                })
                .collect();
            json!({
                "name": name,
                "fields": fields(terms),
                "bytes": hex0x(terms.encode()),
                "hashes": hashes,
                "settleable": verdicts,
            })
        })
        .collect();
    json!({
        "spec": "2.3 terms, 3 settleable",
        "type": TERMS_TYPE,
        "settleableDomain": domain(&SEPOLIA),
        "cases": cases,
        "refused": refused(),
    })
}
