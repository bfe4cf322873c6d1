//! The chain of the test world: one vault, run by the ledger both chains run.

use d402_objects::{Amount, SignedReceipt};
use d402_settlement::ledger::{
    Command, Effects, TransferKind, Unpayable, VaultAccount, VaultSite, VaultState, apply,
};
use d402_settlement::market::{Dossier, check_signatures};
use d402_settlement::{Domain, Units, UnixSeconds};
use d402_wire::simchain::{PaidKind, PaidRow};

use crate::ports::Settled;

#[derive(Clone, Debug)]
pub(super) struct Chain {
    state: VaultState,
    pub(super) settled: Option<Settled>,
    pub(super) swept: Option<u64>,
}

impl Chain {
    pub(super) fn new(dossier: &Dossier) -> Self {
        let site = VaultSite::of(&Domain::SIMULATED, dossier.terms()).unwrap();
        Self {
            state: VaultState::absent(site),
            settled: None,
            swept: None,
        }
    }

    fn run(&mut self, command: &Command<'_>, now_ms: u64) -> Option<Effects> {
        let now = UnixSeconds(i64::try_from(now_ms / 1_000).unwrap());
        let (next, effects) = apply(&self.state, command, now).ok()?;
        self.state = next;
        Some(effects)
    }

    pub(super) fn pay(&mut self, dossier: &Dossier, amount: u64, now_ms: u64) {
        let open = Command::Open {
            terms: dossier.terms(),
            amount: Units::from_u64(0),
            mint_allowed: true,
            set: Some(dossier.set()),
        };
        let _opened = self.run(&open, now_ms).expect("the vault opens");
        let _paid = self
            .run(
                &Command::Deposit {
                    amount: Units::from_u64(amount),
                },
                now_ms,
            )
            .expect("money arrives");
    }

    pub(super) fn settle(&mut self, dossier: &Dossier, receipt: &SignedReceipt, now_ms: u64) {
        let now = UnixSeconds(i64::try_from(now_ms / 1_000).unwrap());
        let Ok(checked) = check_signatures(dossier, receipt, now) else {
            return;
        };
        let settle = Command::Settle {
            settlement: &checked.settlement,
            approvals: &checked.approvals,
            unpayable: &Unpayable::none(),
        };
        let Some(effects) = self.run(&settle, now_ms) else {
            return;
        };
        let mut paid = Vec::new();
        let mut refunded = 0;
        for transfer in &effects.transfers {
            let kind = match transfer.kind {
                TransferKind::Worker => PaidKind::Worker,
                TransferKind::Validator => PaidKind::Validator,
                TransferKind::Creator => PaidKind::Creator,
                TransferKind::Gateway => PaidKind::Gateway,
                TransferKind::Refund | TransferKind::Credit => {
                    refunded += transfer.amount.get();
                    continue;
                }
            };
            let amount = Amount::new(transfer.amount.get()).unwrap();
            let payee = d402_objects::Hex32::from_bytes(transfer.to.0);
            paid.push(PaidRow {
                payee,
                amount,
                kind,
                credited: false,
            });
        }
        self.settled = Some(Settled {
            receipt_cid: receipt.receipt_cid(),
            transaction: "settle".to_owned(),
            height: 1,
            paid,
            refunded: Amount::new(refunded).unwrap(),
        });
    }

    pub(super) fn sweep(&mut self, dossier: &Dossier, now_ms: u64) {
        let held = self.state.balance().get();
        let sweep = Command::Sweep {
            terms: dossier.terms(),
            payable: true,
        };
        if self.run(&sweep, now_ms).is_some() {
            self.swept = Some(u64::try_from(held).unwrap());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.balance().get() == 0
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state.account, VaultAccount::Settled(_))
    }
}
