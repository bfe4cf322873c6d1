//! What the chain says of a payment straight to a worker.

use std::sync::Arc;

use d402_core::ports::{DirectState, Rail, Settled};
use d402_core::{Command, Phase, Task};
use d402_objects::{Amount, Hex32, SignedReceipt};
use d402_wire::simchain::{PaidKind, PaidRow};

/// A settlement once the transfer is there, an end once it never can be; nothing while either is open.
pub(super) async fn payment_seen(task: &Arc<Task>, rail: &dyn Rail) -> Option<Command> {
    let Phase::Settling { receipt } = task.phase() else {
        return None;
    };
    let Some(direct) = rail.direct() else {
        tracing::error!(task = %task.task_id(), "the rail has no direct payments any more");
        return None;
    };
    match direct.payment(task.payment().body.as_bytes()).await {
        Ok(DirectState::Open { .. }) => None,
        Ok(DirectState::Paid {
            transaction,
            height,
            at_ms: _,
        }) => Some(Command::SettledSeen {
            settled: settled(task, receipt, (transaction, height)),
        }),
        Ok(DirectState::Impossible { why }) => Some(Command::PaymentImpossible { why }),
        Err(error) => {
            tracing::warn!(task = %task.task_id(), %error, "payment is not known");
            None
        }
    }
}

/// One transfer of the whole amount to the worker, by the receipt that released it.
fn settled(task: &Task, receipt: &SignedReceipt, (transaction, height): (String, u64)) -> Settled {
    let dossier = task.dossier();
    Settled {
        receipt_cid: receipt.receipt_cid(),
        transaction,
        height,
        paid: vec![PaidRow {
            payee: Hex32::from_bytes(dossier.pay_to().0),
            amount: dossier.payment().budget,
            kind: PaidKind::Worker,
            credited: false,
        }],
        refunded: Amount::ZERO,
    }
}
