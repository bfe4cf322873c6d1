//! What rows pay, and why some cannot be paid.

use d402_settlement::{Bps, Key32, MoneyRules, Outcome, Row, Rows, Units, plan_payouts};
use serde_json::{Value, json};

use crate::json::hex;
use crate::json::{dec, fault, payouts, rows};
use crate::scene::{CREATOR, GATEWAY, JUDGE, WORKER, WORKER_2, judge, key, units, worker};

struct Case {
    name: &'static str,
    rules: MoneyRules,
    outcome: Outcome,
    rows: Vec<Row>,
    balance: u64,
}

fn rules(commission: u16, fee: u16, budget: u64, cap: u64) -> MoneyRules {
    MoneyRules {
        commission_bps: Bps(commission),
        gateway_fee_bps: Bps(fee),
        budget: units(budget),
        validator_fee_cap: units(cap),
        commission_payee: if commission == 0 {
            Key32::ZERO
        } else {
            CREATOR
        },
        gateway_fee_payee: if fee == 0 { Key32::ZERO } else { GATEWAY },
    }
}

fn written() -> Vec<Case> {
    let usual = rules(1_000, 200, 10_000, 1_000);
    let largest = rules(2_000, 2_000, u64::MAX, u64::MAX / 2);
    let paid = |name, rules, rows, balance| Case {
        name,
        rules,
        outcome: Outcome::Paid,
        rows,
        balance,
    };
    let rejected = |name, rows, balance| Case {
        name,
        rules: usual,
        outcome: Outcome::Rejected,
        rows,
        balance,
    };
    vec![
        paid(
            "first vector",
            usual,
            vec![worker(WORKER, 5_000), judge(WORKER_2, 300)],
            10_000,
        ),
        paid(
            "dust stays with worker and residual",
            usual,
            vec![worker(WORKER, 99), worker(WORKER_2, 9)],
            10_000,
        ),
        paid("one unit", usual, vec![worker(WORKER, 1)], 1),
        paid(
            "exactly the budget",
            usual,
            vec![worker(WORKER, 9_804)],
            10_000,
        ),
        paid(
            "one over the budget",
            usual,
            vec![worker(WORKER, 9_805)],
            u64::MAX,
        ),
        paid(
            "one short of the balance",
            usual,
            vec![worker(WORKER, 9_804)],
            9_999,
        ),
        paid(
            "over budget and underfunded",
            usual,
            vec![worker(WORKER, 10_000)],
            5,
        ),
        paid(
            "validators at their cap",
            usual,
            vec![worker(WORKER, 100), judge(JUDGE, 1_000)],
            10_000,
        ),
        paid(
            "validators over their cap",
            usual,
            vec![worker(WORKER, 100), judge(JUDGE, 1_001)],
            10_000,
        ),
        paid("no worker", usual, vec![judge(JUDGE, 10)], 10_000),
        paid("no rows", usual, vec![], 10_000),
        rejected("nobody is paid", vec![], 10_000),
        rejected("nothing is there", vec![], 0),
        rejected("validators only", vec![judge(JUDGE, 600)], 10_000),
        rejected("a worker in a rejection", vec![worker(WORKER, 1)], 10_000),
        paid(
            "no commission, no fee",
            rules(0, 0, 10_000, 0),
            vec![worker(WORKER, 10_000)],
            10_000,
        ),
        paid(
            "largest amounts",
            largest,
            vec![worker(WORKER, u64::MAX / 3), judge(JUDGE, u64::MAX / 4)],
            u64::MAX,
        ),
        paid(
            "sum above 64 bits",
            largest,
            vec![worker(WORKER, u64::MAX), worker(WORKER_2, u64::MAX)],
            u64::MAX,
        ),
        paid(
            "surplus goes back",
            usual,
            vec![worker(WORKER, 100)],
            1_000_000,
        ),
    ]
}

/// Sixty cases from a fixed generator, for roundings nobody thought of.
fn generated() -> Vec<Case> {
    let mut state = 402u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..60)
        .map(|_| {
            let rules = rules(
                (next() % 2_001) as u16,
                (next() % 2_001) as u16,
                1 + next() % 60_000,
                next() % 20_000,
            );
            let rows: Vec<Row> = (1..=(1 + next() % 6) as u8)
                .map(|i| {
                    let amount = 1 + next() % 12_000;
                    if next() % 4 == 0 {
                        judge(key(i), amount)
                    } else {
                        worker(key(i), amount)
                    }
                })
                .collect();
            let outcome = if next() % 8 == 0 {
                Outcome::Rejected
            } else {
                Outcome::Paid
            };
            let balance = next() % 70_000;
            Case {
                name: "generated",
                rules,
                outcome,
                rows,
                balance,
            }
        })
        .collect()
}

fn vector(case: &Case) -> Value {
    let checked = Rows::new(&case.rows).expect("valid rows");
    let mut vector = json!({
        "name": case.name,
        "commissionBps": dec(case.rules.commission_bps.0),
        "gatewayFeeBps": dec(case.rules.gateway_fee_bps.0),
        "budget": dec(case.rules.budget),
        "validatorFeeCap": dec(case.rules.validator_fee_cap),
        "commissionPayee": hex(case.rules.commission_payee),
        "gatewayFeePayee": hex(case.rules.gateway_fee_payee),
        "balance": dec(case.balance),
        "outcome": dec(case.outcome.as_u8()),
        "rows": rows(&case.rows),
    });
    let balance: Units = units(case.balance);
    match plan_payouts(&case.rules, &checked, case.outcome, balance) {
        Ok(plan) => {
            vector["plan"] = json!({
                "payouts": payouts(&plan.payouts),
                "workerTotal": dec(plan.worker_total),
                "validatorTotal": dec(plan.validator_total),
                "commission": dec(plan.commission),
                "gatewayFee": dec(plan.gateway_fee),
                "owed": dec(plan.owed),
                "residual": dec(plan.residual),
            });
        }
        Err(refused) => vector["refusal"] = fault(&refused),
    }
    vector
}

pub fn vectors() -> Value {
    let cases: Vec<Value> = written().iter().chain(&generated()).map(vector).collect();
    json!({ "spec": "2.4 arithmetic", "cases": cases })
}
