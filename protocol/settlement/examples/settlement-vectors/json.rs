//! How values are written: integers as decimal strings, bytes as lower-case hex, keys sorted.

use std::fmt::{Debug, Display};

use d402_settlement::{Bounded, Domain, Payout, Row, Terms};
use serde_json::{Map, Value, json};

pub fn text(value: Value) -> String {
    let mut text = serde_json::to_string_pretty(&sorted(value)).expect("a value prints");
    text.push('\n');
    text
}

/// Whatever features other crates switch on in serde_json, keys come out in byte order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let sorted: Map<String, Value> = entries
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            Value::Object(sorted)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

pub fn dec(number: impl Display) -> Value {
    Value::String(number.to_string())
}

pub fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode(bytes))
}

/// `Plan(OverBudget { .. })` is written as `Plan.OverBudget`.
pub fn fault(fault: &impl Debug) -> Value {
    let text = format!("{fault:?}");
    let mut names = text
        .split(['(', ' ', '{', ')'])
        .filter(|part| !part.is_empty());
    let first = names.next().expect("a variant has a name").to_string();
    let nested = matches!(first.as_str(), "Plan" | "NotSettleable");
    let name = match names.next() {
        Some(inner) if nested => format!("{first}.{inner}"),
        Some(_) | None => first,
    };
    Value::String(name)
}

pub fn domain(domain: &Domain) -> Value {
    json!({ "genesis": hex(domain.genesis), "program": hex(domain.program) })
}

pub fn terms(terms: &Terms) -> Value {
    json!({
        "version": dec(terms.version),
        "onSilence": dec(terms.on_silence),
        "commissionBps": dec(terms.commission_bps.0),
        "gatewayFeeBps": dec(terms.gateway_fee_bps.0),
        "reserved": dec(terms.reserved),
        "budget": dec(terms.budget),
        "validatorFeeCap": dec(terms.validator_fee_cap),
        "issuedAt": dec(terms.issued_at.0),
        "settleBy": dec(terms.settle_by.0),
        "refundAfter": dec(terms.refund_after.0),
        "taskId": hex(terms.task_id),
        "mint": hex(terms.mint),
        "refundTo": hex(terms.refund_to),
        "validatorSet": hex(terms.validator_set),
        "commissionPayee": hex(terms.commission_payee),
        "gatewayFeePayee": hex(terms.gateway_fee_payee),
        "rentTo": hex(terms.rent_to),
        "salt": hex(terms.salt),
    })
}

pub fn rows(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "payee": hex(row.payee),
                "role": dec(row.role.as_u8()),
                "amount": dec(row.amount),
            })
        })
        .collect()
}

pub fn payouts<const N: usize>(payouts: &Bounded<Payout, N>) -> Value {
    payouts
        .iter()
        .map(|payout| {
            json!({
                "to": hex(payout.to),
                "role": format!("{:?}", payout.role),
                "amount": dec(payout.amount),
            })
        })
        .collect()
}

pub fn signatures(signatures: &[(u8, [u8; 64])]) -> Value {
    signatures
        .iter()
        .map(|(index, signature)| json!({ "setIndex": dec(index), "signature": hex(signature) }))
        .collect()
}
