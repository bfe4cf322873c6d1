//! What was sold, who was paid, and the last line for programs.

use std::path::PathBuf;

use comfy_table::Table;
use serde::Serialize;
use serde_json::{Value, json};

use super::market::Market;
use crate::buyer::Receipt;
use crate::cli::{Failure, Output};

/// One purchase, as the demo's JSON has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sold {
    #[serde(skip)]
    title: &'static str,
    #[serde(skip)]
    works: bool,
    task_id: String,
    capability_id: String,
    mode: String,
    pub(super) status: String,
    budget_units: String,
    payouts: Vec<Payout>,
    refund_units: String,
    receipt: Option<PathBuf>,
    pub(super) ms: u64,
}

/// One payout.
#[derive(Debug, Serialize)]
struct Payout {
    payee: String,
    units: String,
    role: String,
}

impl Sold {
    /// Reads the gateway's view and checks that the sums add up.
    pub(super) fn of(
        title: &'static str,
        works: bool,
        receipt: &Receipt,
        budget: u64,
        ms: u64,
    ) -> Result<Self, Failure> {
        let task = &receipt.task;
        let text = |name: &str| {
            task.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let payouts: Vec<Payout> = task
            .get("payouts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|p| {
                let text = |name: &str| {
                    p.get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned()
                };
                Payout {
                    payee: text("payee"),
                    units: text("units"),
                    role: text("role"),
                }
            })
            .collect();
        let sold = Self {
            title,
            works,
            task_id: receipt.task_id.to_string(),
            capability_id: text("capabilityId"),
            mode: text("mode"),
            status: text("status"),
            budget_units: budget.to_string(),
            payouts,
            refund_units: text("refundUnits"),
            receipt: receipt.bundle.clone(),
            ms,
        };
        sold.check_sums(budget)?;
        Ok(sold)
    }

    fn check_sums(&self, budget: u64) -> Result<(), Failure> {
        let mut sum: u64 = self.refund_units.parse()?;
        for payout in &self.payouts {
            sum = sum
                .checked_add(payout.units.parse()?)
                .ok_or("payouts overflow")?;
        }
        if sum != budget {
            return Err(format!(
                "{}: payouts and refund are {sum}, the budget was {budget}",
                self.title
            )
            .into());
        }
        Ok(())
    }

    /// What should work worked, what should fail failed, and both have a receipt that verified.
    pub(super) fn is_as_expected(&self) -> bool {
        let expected = if self.works { "accepted" } else { "rejected" };
        self.status == expected && self.receipt.is_some()
    }
}

/// Balances of everybody before and after, where the chain has books to look into.
#[derive(Debug)]
pub(super) struct Books(Vec<Balance>);

#[derive(Debug)]
struct Balance {
    name: String,
    before: String,
    after: String,
}

impl Books {
    /// Compares what moved with what the tasks say moved.
    pub(super) fn of(
        accounts: &[(String, String)],
        before: Vec<(String, u128)>,
        after: Vec<(String, u128)>,
        sold: &[Sold],
    ) -> Result<Self, Failure> {
        let mut balances = Vec::with_capacity(before.len());
        for ((name, had), (_, has)) in before.into_iter().zip(after) {
            let account = accounts.iter().find(|(n, _)| *n == name);
            let account = account.map(|(_, account)| account.as_str());
            let (paid, got) = moved(&name, account.unwrap_or_default(), sold)?;
            let expected = had.checked_add(got).and_then(|sum| sum.checked_sub(paid));
            if expected != Some(has) {
                return Err(
                    format!("{name} had {had}, paid {paid}, got {got} and has {has}").into(),
                );
            }
            balances.push(Balance {
                name,
                before: had.to_string(),
                after: has.to_string(),
            });
        }
        Ok(Self(balances))
    }
}

/// What an account paid and got, as the tasks tell it.
fn moved(name: &str, account: &str, sold: &[Sold]) -> Result<(u128, u128), Failure> {
    let (mut paid, mut got) = (0_u128, 0_u128);
    let add = |sum: u128, text: &str| -> Result<u128, Failure> {
        Ok(sum.checked_add(text.parse()?).ok_or("sum overflows")?)
    };
    for task in sold {
        if name == "buyer" {
            paid = add(paid, &task.budget_units)?;
            got = add(got, &task.refund_units)?;
        }
        for payout in task.payouts.iter().filter(|p| p.payee == account) {
            got = add(got, &payout.units)?;
        }
    }
    Ok((paid, got))
}

/// Tables for people, one line of JSON for programs: the same object on every rail.
pub(super) fn print(sold: &[Sold], market: &Market, (rail, books): (&str, &Books), output: Output) {
    output.heading("Who was paid");
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["task", "mode", "status", "paid", "refund", "ms"]);
    for item in sold {
        let paid: Vec<String> = item
            .payouts
            .iter()
            .map(|p| format!("{} {} ({})", p.units, market.name_of(&p.payee), p.role))
            .collect();
        table.add_row([
            item.title.to_owned(),
            item.mode.clone(),
            item.status.clone(),
            paid.join("\n"),
            item.refund_units.clone(),
            item.ms.to_string(),
        ]);
    }
    output.line(table);
    let lies = |actors: &[super::market::Actor]| -> Vec<String> {
        actors
            .iter()
            .filter(|a| a.lies)
            .map(|a| a.payee.clone())
            .collect()
    };
    if !books.0.is_empty() {
        output.heading("Balances on the chain, before and after");
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["account", "before", "after"]);
        for balance in &books.0 {
            table.add_row([&balance.name, &balance.before, &balance.after]);
        }
        output.line(table);
    }
    output.line(format!("bundles: {}", market.bundles.display()));
    output.document(&json!({
        "rail": rail,
        "tasks": sold,
        "dishonest": { "workers": lies(&market.workers), "validators": lies(&market.validators) },
    }));
}

/// Orders to totals by customer.
pub(super) fn jq_input() -> Value {
    json!({
        "program": "group_by(.customer) | map({customer: .[0].customer, total: (map(.units) | add)})",
        "data": [
            { "customer": "ada", "units": 3 },
            { "customer": "grace", "units": 5 },
            { "customer": "ada", "units": 4 },
        ],
    })
}

/// An Ed25519 signature: the second test of RFC 8032.
pub(super) fn proof_input() -> Value {
    json!({
        "kind": "ed25519",
        "publicKey": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "message": "72",
        "signature": "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
            085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    })
}
