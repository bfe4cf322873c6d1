//! Whole lives of vaults, command by command: what changes, what moves, what is refused.

use d402_settlement::ledger::{
    Command, Effects, RentFlow, Unpayable, VaultAccount, VaultState, apply,
};
use d402_settlement::{Key32, Settlement, Terms};
use serde_json::{Value, json};

use crate::json::{dec, domain, fault, hex, payouts, rows, signatures};
use crate::scene::{
    BUYER, CREATOR, CREDITS_UNTIL, DOMAIN, ISSUED, JUDGE, MINT, REFUND_AFTER, SETTLE_BY, Scene,
    WORKER, WORKER_2, at, judge, key, paid, rejected, sign, units, worker,
};

/// One scenario: a scene whose commands are written down as they run.
struct Tale {
    scene: Scene,
    steps: Vec<Value>,
}

impl Tale {
    fn new(m: u8, n: u8, change: impl FnOnce(&mut Terms)) -> Self {
        Self {
            scene: Scene::with(m, n, change),
            steps: Vec::new(),
        }
    }

    fn tell(&mut self, now: i64, what: Value, command: &Command<'_>) -> bool {
        let outcome = apply(&self.scene.state, command, at(now));
        let mut step = json!({ "now": dec(now), "command": what });
        let done = outcome.is_ok();
        match outcome {
            Ok((state, effects)) => {
                self.scene.state = state;
                step["state"] = state_of(&state);
                step["effects"] = effects_of(&effects);
            }
            Err(refused) => step["refusal"] = fault(&refused),
        }
        self.steps.push(step);
        done
    }

    fn open(&mut self, amount: u64, now: i64) {
        let (terms, set) = (self.scene.terms, self.scene.set);
        let what = json!({ "kind": "open", "amount": dec(amount), "mintAllowed": true, "setPublished": true });
        let amount = units(amount);
        self.tell(
            now,
            what,
            &Command::Open {
                terms: &terms,
                amount,
                mint_allowed: true,
                set: Some(&set),
            },
        );
    }

    fn deposit(&mut self, amount: u64, now: i64) {
        let what = json!({ "kind": "deposit", "amount": dec(amount) });
        self.tell(
            now,
            what,
            &Command::Deposit {
                amount: units(amount),
            },
        );
    }

    /// Signed by the given set indexes, with some payees unpayable.
    fn settle(&mut self, receipt: &Settlement, signers: &[u8], frozen: &[Key32], now: i64) {
        let digest = self.scene.digest(receipt);
        let approvals = self.scene.approve(receipt, signers);
        let unpayable = Unpayable::among(frozen.iter().copied(), |_| false).expect("few payees");
        let what = json!({
            "kind": "settle",
            "receiptCid": hex(receipt.receipt_cid),
            "outcome": dec(receipt.outcome.as_u8()),
            "rows": rows(receipt.rows.as_slice()),
            "digest": hex(digest),
            "signatures": signatures(&sign(&self.scene.keys, digest, signers)),
            "unpayable": frozen.iter().map(hex).collect::<Value>(),
        });
        let command = Command::Settle {
            settlement: receipt,
            approvals: &approvals,
            unpayable: &unpayable,
        };
        self.tell(now, what, &command);
    }

    fn sweep(&mut self, payable: bool, now: i64) {
        let terms = self.scene.terms;
        let what = json!({ "kind": "sweep", "payable": payable });
        self.tell(
            now,
            what,
            &Command::Sweep {
                terms: &terms,
                payable,
            },
        );
    }

    fn sweep_to(&mut self, signer: Key32, to: Key32, now: i64) {
        let terms = self.scene.terms;
        let what =
            json!({ "kind": "sweepTo", "signer": hex(signer), "to": hex(to), "payable": true });
        self.tell(
            now,
            what,
            &Command::SweepTo {
                terms: &terms,
                signer,
                to,
                payable: true,
            },
        );
    }

    fn claim(&mut self, payee: Key32, payable: bool, now: i64) {
        let what = json!({ "kind": "claimCredit", "payee": hex(payee), "payable": payable });
        self.tell(now, what, &Command::ClaimCredit { payee, payable });
    }

    fn claim_to(&mut self, payee: Key32, signer: Key32, to: Key32, now: i64) {
        let what = json!({
            "kind": "claimCreditTo", "payee": hex(payee), "signer": hex(signer), "to": hex(to), "payable": true,
        });
        self.tell(
            now,
            what,
            &Command::ClaimCreditTo {
                payee,
                signer,
                to,
                payable: true,
            },
        );
    }

    fn lapse(&mut self, now: i64) {
        self.tell(
            now,
            json!({ "kind": "lapseCredits" }),
            &Command::LapseCredits,
        );
    }

    fn close(&mut self, now: i64) {
        self.tell(now, json!({ "kind": "close" }), &Command::Close);
    }

    fn close_unfunded(&mut self, now: i64) {
        let terms = self.scene.terms;
        self.tell(
            now,
            json!({ "kind": "closeUnfunded" }),
            &Command::CloseUnfunded { terms: &terms },
        );
    }

    fn written(self, name: &str) -> Value {
        let site = self.scene.state.site;
        json!({
            "name": name,
            "domain": domain(&DOMAIN),
            "terms": hex(self.scene.terms.encode()),
            "termsHash": hex(site.terms_hash),
            "vault": hex(site.vault),
            "bump": dec(site.bump),
            "m": dec(self.scene.set.m()),
            "keys": self.scene.set.keys().iter().map(hex).collect::<Value>(),
            "steps": self.steps,
        })
    }
}

fn state_of(state: &VaultState) -> Value {
    let status = match &state.account {
        VaultAccount::Absent => "absent",
        VaultAccount::Open(_) => "open",
        VaultAccount::Settled(_) => "settled",
    };
    json!({
        "status": status,
        "account": hex(state.encode_account().expect("64-bit amounts").as_slice()),
        "tokens": state.tokens.map_or(Value::Null, dec),
    })
}

fn effects_of(effects: &Effects) -> Value {
    let transfers: Value = effects
        .transfers
        .iter()
        .map(|t| json!({ "to": hex(t.to), "amount": dec(t.amount), "kind": format!("{:?}", t.kind) }))
        .collect();
    let rent: Value = effects
        .rent
        .iter()
        .map(|note| {
            let flow = match note.flow {
                RentFlow::FromCaller => json!("fromCaller"),
                RentFlow::ToCaller => json!("toCaller"),
                RentFlow::To(key) => hex(key),
            };
            json!({ "account": format!("{:?}", note.account), "lamports": dec(note.lamports), "flow": flow })
        })
        .collect();
    json!({
        "deposited": dec(effects.deposited),
        "transfers": transfers,
        "credits": payouts(&effects.credits),
        "rent": rent,
        "termsPublished": effects.terms_published,
        "lapsed": dec(effects.lapsed),
    })
}

fn usual() -> Settlement {
    paid(&[worker(WORKER, 5_000), judge(WORKER_2, 300)])
}

fn plain() -> Value {
    let mut tale = Tale::new(3, 4, |_| {});
    tale.open(10_000, ISSUED);
    tale.settle(&usual(), &[0, 1], &[], ISSUED + 30);
    tale.settle(&usual(), &[0, 1, 3], &[], ISSUED + 30);
    tale.settle(&usual(), &[0, 1, 3], &[], ISSUED + 31);
    tale.close(REFUND_AFTER - 1);
    tale.close(REFUND_AFTER);
    tale.written("open, settle, close")
}

fn replay() -> Value {
    let mut tale = Tale::new(3, 4, |_| {});
    tale.open(10_000, ISSUED);
    tale.settle(&usual(), &[0, 1, 2], &[], ISSUED + 30);
    tale.close(ISSUED + 31);
    tale.deposit(10_000, ISSUED + 32);
    tale.open(0, ISSUED + 33);
    tale.settle(&usual(), &[0, 1, 2], &[], ISSUED + 34);
    tale.sweep(true, ISSUED + 35);
    tale.close(REFUND_AFTER);
    tale.deposit(10_000, REFUND_AFTER + 1);
    tale.open(0, REFUND_AFTER + 1);
    tale.settle(&usual(), &[0, 1, 2], &[], REFUND_AFTER + 1);
    tale.sweep(true, REFUND_AFTER + 2);
    tale.written("rent recovery does not replay the receipt")
}

fn credits() -> Value {
    let mut tale = Tale::new(3, 4, |_| {});
    tale.open(10_000, ISSUED);
    tale.settle(&usual(), &[1, 2, 3], &[WORKER, CREATOR, BUYER], ISSUED + 30);
    tale.sweep(false, ISSUED + 31);
    tale.sweep(true, ISSUED + 31);
    tale.sweep(true, ISSUED + 32);
    tale.claim(WORKER, false, ISSUED + 33);
    tale.claim(WORKER_2, true, ISSUED + 33);
    tale.claim_to(WORKER, BUYER, key(0x77), ISSUED + 33);
    tale.claim_to(WORKER, WORKER, key(0x77), ISSUED + 33);
    tale.claim(WORKER, true, ISSUED + 34);
    tale.close(REFUND_AFTER);
    tale.claim(CREATOR, true, CREDITS_UNTIL);
    tale.lapse(CREDITS_UNTIL - 1);
    tale.lapse(CREDITS_UNTIL);
    tale.sweep(true, CREDITS_UNTIL);
    tale.close(CREDITS_UNTIL);
    tale.written("credits: claimed, claimed elsewhere, lapsed")
}

fn refunds() -> Vec<Value> {
    let mut silent = Tale::new(3, 4, |_| {});
    silent.open(10_000, ISSUED);
    silent.sweep(true, REFUND_AFTER - 1);
    silent.settle(&usual(), &[0, 1, 2], &[], REFUND_AFTER);
    silent.sweep_to(WORKER, key(0x77), REFUND_AFTER);
    silent.sweep_to(BUYER, key(0x77), REFUND_AFTER);
    silent.close(REFUND_AFTER);

    let mut early = Tale::new(3, 4, |_| {});
    early.open(10_000, ISSUED);
    early.settle(
        &rejected(&[judge(JUDGE, 600)]),
        &[0, 1, 2],
        &[],
        ISSUED + 30,
    );
    early.deposit(7, ISSUED + 40);
    early.sweep(true, ISSUED + 40);

    let mut never = Tale::new(3, 4, |terms| terms.refund_after = at(i64::MAX));
    never.deposit(10_000, ISSUED);
    never.open(0, ISSUED);
    never.sweep(true, ISSUED);
    vec![
        silent.written("silence refunds"),
        early.written("a rejection refunds early and pays the validators"),
        never.written("terms that can never settle are swept at once"),
    ]
}

fn edges() -> Vec<Value> {
    let mut majority = Tale::new(5, 5, |terms| terms.on_silence = 1);
    majority.open(10_000, ISSUED);
    majority.settle(&usual(), &[0, 2, 4], &[], SETTLE_BY - 1);
    majority.settle(&usual(), &[0, 2, 4], &[], SETTLE_BY);

    let mut unfunded = Tale::new(3, 4, |_| {});
    unfunded.open(0, ISSUED);
    unfunded.open(0, ISSUED + 1);
    unfunded.close_unfunded(ISSUED + 119);
    unfunded.close_unfunded(ISSUED + 120);
    unfunded.open(10_000, SETTLE_BY);
    unfunded.open(0, REFUND_AFTER);

    let mut short = Tale::new(3, 4, |_| {});
    short.open(5_000, ISSUED);
    short.settle(&usual(), &[0, 1, 2], &[], ISSUED + 30);
    short.deposit(400, ISSUED + 31);
    short.settle(&usual(), &[0, 1, 2], &[], ISSUED + 32);

    let mut bad = Tale::new(3, 4, |_| {});
    bad.open(10_000, ISSUED);
    let vault = bad.scene.state.site.vault;
    for payee in [vault, MINT, DOMAIN.program] {
        bad.settle(&paid(&[worker(payee, 100)]), &[0, 1, 2], &[], ISSUED + 30);
    }
    bad.settle(
        &paid(&[worker(WORKER, 9_900)]),
        &[0, 1, 2],
        &[],
        ISSUED + 30,
    );
    bad.settle(&paid(&[judge(WORKER, 100)]), &[0, 1, 2], &[], ISSUED + 30);

    let mut crowd = Tale::new(3, 4, |_| {});
    crowd.open(10_000, ISSUED);
    let sixteen: Vec<_> = (1..=16).map(|i| worker(key(0x80 + i), 500)).collect();
    let everybody: Vec<Key32> = sixteen.iter().map(|row| row.payee).collect();
    crowd.settle(&paid(&sixteen), &[0, 1, 2], &everybody, ISSUED + 30);
    vec![
        majority.written("a majority is enough from settleBy on"),
        unfunded.written("unfunded, closed, and opened again in time"),
        short.written("underfunded, topped up, settled"),
        bad.written("receipts that cannot be executed"),
        crowd.written("sixteen credits, and the caller tops the rent up"),
    ]
}

pub fn vectors() -> Value {
    let mut scenarios = vec![plain(), replay(), credits()];
    scenarios.extend(refunds());
    scenarios.extend(edges());
    json!({ "spec": "3.1 vault", "scenarios": scenarios })
}
