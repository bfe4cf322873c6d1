//! The simulated rail without its process: the same bodies, the same ledger, in memory.
//!
//! The chain is not what is measured, so it costs as little as it can: payments and settlements are kept as
//! they come, what a settlement pays follows from the ledger at once, and the signatures it checks are checked
//! in [`Purse::audit`], after the clock was stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use d402_core::ports::{
    Clock, Deposit, PaymentFault, Rail, RailError, Settled, VaultState, VerifiedPayment,
};
use d402_objects::{Amount, Cid, Hex32, SignedReceipt};
use d402_rails::simulated::body::{self, MoneyBody};
use d402_rails::simulated::payment::check;
use d402_rails::simulated::{NETWORK, SimClient, SimulatedRail, VaultTerms};
use d402_settlement::ledger::{
    Command, TransferKind, Unpayable, VaultSite, VaultState as Ledger, apply,
};
use d402_settlement::{
    Approvals, Domain, Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, StrictEd25519,
    TERMS_LEN, Units, UnixSeconds, ValidatorSet, plan, settlement_digest,
};
use d402_wire::simchain::{PaidKind, PaidRow, Payment, Rpc, SettleRow};
use serde_json::Value;

/// A chain that holds nothing but the vaults of one benchmark.
pub(super) struct Purse {
    clock: Arc<dyn Clock>,
    /// Makes settle and sweep bodies; never sends anything.
    bodies: SimulatedRail,
    set: Mutex<Option<ValidatorSet>>,
    vaults: Mutex<HashMap<Hex32, Vault>>,
}

struct Vault {
    terms: VaultTerms,
    ledger: Ledger,
    paid_in: u64,
    payment_id: Hex32,
    settle: Option<Rpc>,
    settled: Option<Settled>,
}

/// What the books say once everything is over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    /// Vaults that were paid into.
    pub(super) funded: u64,
    /// Vaults whose receipt was executed, with enough valid signatures.
    pub(super) settled: u64,
    /// Units that came in.
    pub(super) paid_in: u128,
    /// Units that went out, refunds included.
    pub(super) paid_out: u128,
}

impl Purse {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let nowhere = SimClient::new("http://127.0.0.1:9").expect("an address");
        Arc::new(Self {
            clock,
            bodies: SimulatedRail::new(nowhere),
            set: Mutex::new(None),
            vaults: Mutex::new(HashMap::new()),
        })
    }

    /// Executes every settlement again with its signatures checked, and adds up all money.
    pub(super) fn audit(&self) -> Audit {
        let set = self.set.lock().unwrap().expect("a set");
        let mut audit = Audit::default();
        for vault in self.vaults.lock().unwrap().values() {
            audit.funded += 1;
            audit.paid_in += u128::from(vault.paid_in);
            let (Some(settle), Some(settled)) = (&vault.settle, &vault.settled) else {
                continue;
            };
            let again = execute(&vault.terms, &vault.ledger, settle, Some(&set), self.now());
            assert_eq!(&again, settled, "the chain told something else");
            audit.settled += 1;
            let out = settled.paid.iter().map(|row| row.amount.get());
            audit.paid_out += out.sum::<u128>() + settled.refunded.get();
        }
        audit
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(i64::try_from(self.clock.now_ms() / 1_000).unwrap())
    }

    fn receive(&self, payment: &Payment, terms: &str) {
        let terms = VaultTerms::from_hex(terms).expect("terms");
        let payment = check(payment).expect("a payment");
        let mut vaults = self.vaults.lock().unwrap();
        vaults.entry(terms.hash()).or_insert_with(|| {
            let site = VaultSite::of(&Domain::SIMULATED, terms.terms()).expect("a vault");
            let set = *self.set.lock().unwrap();
            let open = Command::Open {
                terms: terms.terms(),
                amount: Units::from_u64(payment.units()),
                mint_allowed: true,
                set: set.as_ref(),
            };
            let (ledger, _) = apply(&Ledger::absent(site), &open, self.now()).expect("opens");
            Vault {
                terms,
                ledger,
                paid_in: payment.units(),
                payment_id: payment.id(),
                settle: None,
                settled: None,
            }
        });
    }

    fn execute(&self, rpc: &Rpc) {
        let Rpc::Settle { terms, .. } = rpc else {
            return;
        };
        let hash = VaultTerms::from_hex(terms).expect("terms").hash();
        let mut vaults = self.vaults.lock().unwrap();
        let vault = vaults.get_mut(&hash).expect("a funded vault");
        if vault.settled.is_none() {
            let settled = execute(&vault.terms, &vault.ledger, rpc, None, self.now());
            vault.settled = Some(settled);
            vault.settle = Some(rpc.clone());
        }
    }
}

/// What a settlement pays. With a set its signatures are checked and the ledger decides; without one the rows
/// are split as the ledger will split them.
fn execute(
    terms: &VaultTerms,
    ledger: &Ledger,
    rpc: &Rpc,
    set: Option<&ValidatorSet>,
    now: UnixSeconds,
) -> Settled {
    let Rpc::Settle {
        receipt_cid,
        outcome,
        rows,
        signatures,
        ..
    } = rpc
    else {
        panic!("no settlement");
    };
    let settlement = Settlement {
        receipt_cid: ReceiptCid(receipt_cid.as_bytes()),
        outcome: Outcome::from_u8(*outcome).expect("an outcome"),
        rows: rows_of(rows),
    };
    let transfers: Vec<(Key32, Units, TransferKind)> = match set {
        Some(set) => {
            let digest = settlement_digest(&Domain::SIMULATED, &terms.terms_hash(), &settlement);
            let signatures: Vec<_> = signatures.iter().map(|(i, s)| (*i, bytes64(s))).collect();
            let approvals = Approvals::check(set, digest, &signatures, &StrictEd25519);
            let command = Command::Settle {
                settlement: &settlement,
                approvals: &approvals.expect("valid signatures"),
                unpayable: &Unpayable::none(),
            };
            let (_, effects) = apply(ledger, &command, now).expect("settles");
            assert!(effects.credits.is_empty(), "everybody can be paid");
            effects
                .transfers
                .iter()
                .map(|t| (t.to, t.amount, t.kind))
                .collect()
        }
        None => split(terms, ledger, &settlement),
    };
    let mut settled = Settled {
        receipt_cid: Cid::from_digest(receipt_cid.as_bytes()),
        transaction: receipt_cid.to_string(),
        height: 1,
        paid: Vec::new(),
        refunded: Amount::ZERO,
    };
    for (to, amount, kind) in transfers {
        let amount = Amount::from(amount.to_u64().expect("small"));
        let kind = match kind {
            TransferKind::Worker => PaidKind::Worker,
            TransferKind::Validator => PaidKind::Validator,
            TransferKind::Creator => PaidKind::Creator,
            TransferKind::Gateway => PaidKind::Gateway,
            TransferKind::Refund | TransferKind::Credit => {
                settled.refunded = settled.refunded.checked_add(amount).expect("small");
                continue;
            }
        };
        settled.paid.push(PaidRow {
            payee: to.0.into(),
            amount,
            kind,
            credited: false,
        });
    }
    settled
}

/// What the ledger will pay, by the arithmetic it uses, in its order.
fn split(
    terms: &VaultTerms,
    ledger: &Ledger,
    settlement: &Settlement,
) -> Vec<(Key32, Units, TransferKind)> {
    let balance = ledger.balance();
    let plan = plan(terms.terms(), &settlement.rows, settlement.outcome, balance);
    let plan = plan.expect("an affordable receipt");
    let payouts = plan.payouts.iter().filter(|p| !p.amount.is_zero());
    let mut transfers: Vec<_> = payouts
        .map(|p| (p.to, p.amount, TransferKind::from(p.role)))
        .collect();
    let rest = balance
        .checked_sub(plan.owed)
        .expect("an affordable receipt");
    transfers.push((terms.terms().refund_to, rest, TransferKind::Refund));
    transfers
}

fn rows_of(rows: &[SettleRow]) -> Rows {
    let rows: Vec<Row> = rows
        .iter()
        .map(|row| Row {
            payee: Key32(row.payee.as_bytes()),
            role: Role::from_u8(row.role).expect("a role"),
            amount: Units::from_u64(u64::try_from(row.amount.get()).expect("small")),
        })
        .collect();
    Rows::new(&rows).expect("rows of a receipt")
}

fn bytes64(hex: &str) -> [u8; 64] {
    let mut bytes = [0; 64];
    hex::decode_to_slice(hex, &mut bytes).expect("a signature");
    bytes
}

fn terms_of(bytes: &[u8]) -> VaultTerms {
    let bytes: &[u8; TERMS_LEN] = bytes.try_into().expect("terms");
    VaultTerms::decode(bytes).expect("terms")
}

#[async_trait]
impl Rail for Purse {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn network(&self) -> &str {
        NETWORK
    }

    fn learn_set(&self, set: &ValidatorSet) {
        self.bodies.learn_set(set);
        *self.set.lock().unwrap() = Some(*set);
    }

    fn payment_id(&self, payload: &Value) -> Option<Hex32> {
        self.bodies.payment_id(payload)
    }

    async fn verify(
        &self,
        payload: &Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let payment: Payment =
            serde_json::from_value(payload["payment"].clone()).expect("a payment");
        let Ok(payment) = check(&payment) else {
            return Ok(Err(PaymentFault::Signature));
        };
        let pay = Rpc::Pay {
            payment: payment.payment().clone(),
            terms: Some(terms_of(terms).to_hex()),
        };
        Ok(Ok(VerifiedPayment {
            payment_id: payment.id(),
            payer: payment.payment().from.to_string(),
            body: body::encode(&[pay]).expect("a body"),
        }))
    }

    async fn submit(&self, body: &[u8]) -> Result<(), RailError> {
        for step in MoneyBody::decode(body).expect("a body").steps() {
            if let Rpc::Pay { payment, terms } = &step.rpc {
                self.receive(payment, terms.as_deref().expect("terms"));
            }
            self.execute(&step.rpc);
        }
        Ok(())
    }

    fn settle_body(&self, terms: &[u8], receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        self.bodies.settle_body(terms, receipt)
    }

    fn sweep_body(&self, terms: &[u8]) -> Vec<u8> {
        self.bodies.sweep_body(terms)
    }

    async fn deposit(&self, terms: &[u8], payment_id: Hex32) -> Result<Deposit, RailError> {
        let vaults = self.vaults.lock().unwrap();
        Ok(match vaults.get(&terms_of(terms).hash()) {
            Some(vault) if vault.payment_id == payment_id => Deposit::Funded {
                amount: vault.paid_in.into(),
                at_ms: self.clock.now_ms(),
            },
            Some(_) | None => Deposit::Pending,
        })
    }

    async fn vault(&self, terms: &[u8]) -> Result<VaultState, RailError> {
        let vaults = self.vaults.lock().unwrap();
        let vault = vaults.get(&terms_of(terms).hash());
        Ok(match vault {
            Some(Vault {
                settled: Some(settled),
                ..
            }) => VaultState::Settled(settled.clone()),
            Some(vault) => VaultState::Open {
                balance: vault.paid_in.into(),
            },
            None => VaultState::Open {
                balance: Amount::ZERO,
            },
        })
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        Ok(self.clock.now_ms())
    }
}
