//! Money effects and what the chain says of them.
//!
//! A row is submitted with its stored bytes, again and again, until the chain shows its effect or the
//! impossibility of it. An unknown answer is never read as failure.

use std::sync::Arc;
use std::time::Duration;

use d402_core::market::PhaseName;
use d402_core::ports::{Deposit, Rail, RailError, VaultState};
use d402_core::{Command, Task};
use d402_objects::{Amount, Cid, SignedReceipt};
use d402_wire::{NodeAddress, Request, Response};

use super::Engine;

/// First pause between two looks at the chain; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(60);
/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// A watcher ends after this many looks; the task's timer starts another.
const MAX_LOOKS: u32 = 40;
/// Rounds over all holders of an output.
const FETCH_ROUNDS: u32 = 4;

/// An output to fetch: what it is, who may have it, and the proof that it may be had.
pub(super) struct Wanted {
    pub(super) cid: Cid,
    pub(super) bytes: u64,
    pub(super) holders: Vec<NodeAddress>,
    pub(super) receipt: SignedReceipt,
}

/// What a watcher looks for.
#[derive(Clone, Copy)]
enum Look {
    Deposit,
    Vault {
        /// Balance before, for the amount a sweep returned.
        held: Option<Amount>,
    },
    /// A payment straight to the worker.
    Payment,
}

impl Engine {
    /// Submits what is planned and looks until the deposit is there, short or impossible.
    pub(super) async fn watch_deposit(&self, task: &Arc<Task>) {
        let Some(rail) = self.rail(task.dossier()) else {
            return;
        };
        self.look(task, rail, Look::Deposit).await;
    }

    /// Submits settlement or sweep and looks until the vault shows it; of a direct task, the payment.
    pub(super) async fn watch_vault(&self, task: &Arc<Task>) {
        let Some(rail) = self.rail(task.dossier()) else {
            return;
        };
        if task.is_direct() {
            return self.look(task, rail, Look::Payment).await;
        }
        let held = match rail.vault(task.dossier().terms_bytes()).await {
            Ok(VaultState::Open { balance }) => Some(balance),
            Ok(VaultState::Settled(_)) | Err(_) => None,
        };
        self.look(task, rail, Look::Vault { held }).await;
    }

    /// Looks with growing pauses while the task stays in its phase, until there is a command.
    async fn look(&self, task: &Arc<Task>, rail: Arc<dyn Rail>, look: Look) {
        let (task_id, phase) = (task.task_id(), task.phase().name());
        let mut pause = MIN_PAUSE;
        for _ in 0..MAX_LOOKS {
            match self.known(task_id).await {
                Ok(Some(task)) if task.phase().name() == phase => {}
                Ok(_) | Err(_) => return,
            }
            self.submit_money(task_id, rail.as_ref()).await;
            let seen = match look {
                Look::Deposit => self.deposit_seen(task, rail.as_ref()).await,
                Look::Vault { held } => vault_seen(task, rail.as_ref(), held).await,
                Look::Payment => super::direct::payment_seen(task, rail.as_ref()).await,
            };
            if let Some(command) = seen {
                let _refused = self.submit(task_id, command).await;
                return;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    }

    async fn deposit_seen(&self, task: &Arc<Task>, rail: &dyn Rail) -> Option<Command> {
        let terms = task.dossier().terms_bytes();
        let fund_by_ms = task.dossier().times().fund_by_ms.get();
        match rail.deposit(terms, task.payment().payment_id).await {
            Ok(Deposit::Funded { at_ms, .. }) => Some(Command::DepositFunded { at_ms }),
            Ok(Deposit::Impossible) => Some(Command::DepositImpossible),
            Ok(Deposit::Short { .. }) if self.now_ms() >= fund_by_ms => Some(Command::DepositShort),
            Ok(Deposit::Short { .. } | Deposit::Pending) => None,
            Err(error) => {
                tracing::warn!(task = %task.task_id(), %error, "deposit is not known");
                None
            }
        }
    }

    /// Sends every unfinished money effect of a task with exactly its stored bytes.
    async fn submit_money(&self, task_id: Cid, rail: &dyn Rail) {
        let store = &self.shared.ports.store;
        let rows = match store.money(task_id).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%task_id, %error, "money effects are not known");
                return;
            }
        };
        for row in rows {
            let marked = match rail.submit(&row.body).await {
                Ok(()) => store.money_submitted(&row.key).await,
                // Final for these bytes; whether the effect came from somebody else the vault will show.
                Err(RailError::Refused { rule }) => {
                    tracing::warn!(%task_id, key = %row.key, rule, "chain refuses a money effect");
                    store.money_final(&row.key, "refused").await
                }
                Err(error) => {
                    tracing::debug!(%task_id, key = %row.key, %error, "money effect not confirmed");
                    Ok(())
                }
            };
            if let Err(error) = marked {
                tracing::warn!(%task_id, %error, "money effect is not marked; it will be sent again");
            }
        }
    }

    /// Asks holder after holder for an output, against the signed receipt.
    pub(super) async fn fetch_output(&self, task: &Arc<Task>, wanted: Wanted) {
        let Wanted {
            cid,
            bytes,
            holders,
            receipt,
        } = wanted;
        let task_id = task.task_id();
        for round in 0..FETCH_ROUNDS {
            for holder in &holders {
                let request = Request::GetOutput {
                    task_id,
                    cid,
                    receipt: receipt.clone(),
                };
                let Ok(Response::Content { blob }) =
                    self.shared.ports.network.request(holder, request).await
                else {
                    continue;
                };
                let Ok(content) = blob.verified() else {
                    continue;
                };
                if blob.cid != cid || u64::try_from(content.len()) != Ok(bytes) {
                    continue;
                }
                match self.shared.ports.blobs.put(&content).await {
                    Ok(_) => {
                        let _refused = self.submit(task_id, Command::OutputStored { cid }).await;
                        return;
                    }
                    Err(error) => tracing::warn!(%task_id, %error, "output is not stored"),
                }
            }
            tokio::time::sleep(MIN_PAUSE.saturating_mul(4_u32.saturating_pow(round))).await;
        }
        tracing::warn!(%task_id, %cid, "nobody gave the output yet");
    }
}

async fn vault_seen(task: &Arc<Task>, rail: &dyn Rail, held: Option<Amount>) -> Option<Command> {
    let refunding = task.phase().name() == PhaseName::Refunding;
    match rail.vault(task.dossier().terms_bytes()).await {
        Ok(VaultState::Settled(settled)) => Some(Command::SettledSeen { settled }),
        Ok(VaultState::Open { balance }) if refunding && balance.is_zero() => {
            Some(swept(task, held))
        }
        Ok(VaultState::Open { .. }) => None,
        Err(error) => {
            tracing::warn!(task = %task.task_id(), %error, "vault is not known");
            None
        }
    }
}

/// The vault is empty after a sweep; what it held before was returned.
fn swept(task: &Task, held: Option<Amount>) -> Command {
    Command::SweptSeen {
        transaction: format!("sweep:{}", task.dossier().terms_hash()),
        refunded: held.unwrap_or_default(),
    }
}
