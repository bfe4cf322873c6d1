//! Tells what happens while it happens.

use std::collections::BTreeSet;

use d402_settlement::market::Proof;
use owo_colors::OwoColorize as _;
use serde_json::Value;

use super::market::Market;
use super::report::Sold;
use crate::buyer::Stage;
use crate::cli::Output;

/// The story of one purchase.
pub(super) struct Narrator<'a> {
    title: &'static str,
    market: &'a Market,
    output: Output,
    told: BTreeSet<String>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(title: &'static str, market: &'a Market, output: Output) -> Self {
        output.heading(format!("Buying {title}"));
        Self {
            title,
            market,
            output,
            told: BTreeSet::new(),
        }
    }

    /// Each fact once.
    fn once(&mut self, fact: String) {
        if self.told.insert(fact.clone()) {
            self.output
                .line(format!("  {} {fact}", format!("[{}]", self.title).dimmed()));
        }
    }

    pub(super) fn tell(&mut self, stage: &Stage<'_>) {
        match stage {
            Stage::Offered(challenge) => self.once(format!(
                "402: pay {} to {}, {} of {} validators, address recomputed",
                challenge.payment().budget,
                short(&challenge.quote().pay_to.to_string()),
                challenge.set().m(),
                challenge.set().n(),
            )),
            Stage::Paying { .. } => self.once("paying".to_owned()),
            Stage::Accepted { task_id } => {
                self.once(format!("task {}", short(&task_id.to_hex32().to_string())))
            }
            Stage::Looked(task) => self.look(task),
        }
    }

    fn look(&mut self, task: &Value) {
        for bid in items(task, "bids") {
            self.once(format!(
                "bid of {} by {}",
                text(bid, "price"),
                self.worker_of(task, bid)
            ));
        }
        for lease in items(task, "leases") {
            let who = self.market.name_of(text(lease, "payee"));
            self.once(format!(
                "lease {} for {who}: {}",
                lease.get("attempt").unwrap_or(&Value::Null),
                text(lease, "state")
            ));
        }
        for claim in items(task, "claims") {
            let count = |name: &str| claim.get(name).and_then(Value::as_u64).unwrap_or(0);
            let (accepts, rejects) = (count("accepts"), count("rejects"));
            if accepts.saturating_add(rejects) > 0 {
                let who = self.claimant(task, claim);
                self.once(format!(
                    "claim of {who}: {accepts} accept, {rejects} reject"
                ));
            }
        }
        let phase = text(task, "phase");
        if matches!(phase, "proposing" | "signing" | "settling") {
            self.once(format!("validators: {phase}"));
        }
        for payout in items(task, "payouts") {
            let who = self.market.name_of(text(payout, "payee"));
            self.once(format!(
                "paid {} to {who} ({})",
                text(payout, "units"),
                text(payout, "role")
            ));
        }
        if text(task, "status") != "pending" {
            self.once(format!("refund of {}", text(task, "refundUnits")));
        }
    }

    /// Name of a worker key: by the payee of its lease, else the key's beginning.
    fn worker_of(&self, task: &Value, item: &Value) -> String {
        let worker = text(item, "worker");
        items(task, "leases")
            .find(|lease| text(lease, "worker") == worker)
            .map_or_else(
                || short(worker.trim_start_matches("ed25519:")),
                |lease| self.market.name_of(text(lease, "payee")),
            )
    }

    fn claimant(&self, task: &Value, claim: &Value) -> String {
        self.worker_of(task, claim)
    }

    pub(super) fn end(&mut self, sold: &Sold, proof: Option<&Proof>) {
        let proved = match proof {
            Some(proof) => format!(
                "bundle verified offline: {} links, signed by {:?}",
                proof.links.len(),
                proof.signers
            ),
            None => "no receipt".to_owned(),
        };
        self.once(format!(
            "{} in {} ms; {proved}",
            sold.status.bold(),
            sold.ms
        ));
    }
}

fn items<'v>(task: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    task.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn short(text: &str) -> String {
    text.chars().take(12).collect()
}
