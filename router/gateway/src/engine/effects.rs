//! One effect, one action. What comes back is handed in as a command.

use d402_core::ports::Topic;
use d402_core::standing;
use d402_core::{Command, Effect, Task};
use d402_objects::{Cid, ReputationEvent, ReputationKind};
use d402_wire::RawEnvelope;
use std::sync::Arc;

use super::money::Wanted;
use super::{Engine, Watch, lock};

impl Engine {
    pub(super) async fn execute(&self, task_id: Cid, effect: Effect) {
        let Ok(Some(task)) = self.known(task_id).await else {
            return;
        };
        match effect {
            Effect::WatchDeposit => {
                self.watched(task_id, Watch::Deposit, self.watch_deposit(&task))
                    .await
            }
            Effect::PlanSettle { .. } | Effect::PlanSweep => {}
            Effect::WatchVault => {
                self.watched(task_id, Watch::Vault, self.watch_vault(&task))
                    .await
            }
            Effect::FetchOutput {
                cid,
                bytes,
                holders,
                receipt,
            } => {
                let wanted = Wanted {
                    cid,
                    bytes,
                    holders,
                    receipt: *receipt,
                };
                let fetch = self.fetch_output(&task, wanted);
                self.watched(task_id, Watch::Output, fetch).await;
            }
            Effect::Announce { bid_until_ms } => self.announce(&task, bid_until_ms).await,
            Effect::OfferLease { to, lease, set } => self.offer_lease(&task, to, *lease, set).await,
            Effect::OpenTask { set_index } => self.open_task(&task, set_index).await,
            Effect::NotifyNoMoreLeases { notice } => {
                self.notify_no_more_leases(&task, notice).await
            }
            Effect::AskInventory { set_index } => self.ask_inventory(&task, set_index).await,
            Effect::Propose {
                set_index,
                round,
                receipt,
                inputs,
                objects,
            } => {
                let request = d402_wire::Request::Propose {
                    task_id,
                    round,
                    receipt,
                    inputs,
                    objects,
                };
                self.propose(&task, set_index, round, request).await;
            }
            Effect::AskSignature { set_index, ready } => {
                self.ask_signature(&task, set_index, &ready).await
            }
            Effect::Report { event } => self.report(event).await,
            Effect::Finish => self.finished(&task).await,
        }
    }

    /// Runs one watcher of a kind per task at a time.
    async fn watched(&self, task_id: Cid, watch: Watch, work: impl Future<Output = ()>) {
        if !lock(&self.shared.watchers).insert((task_id, watch)) {
            return;
        }
        work.await;
        lock(&self.shared.watchers).remove(&(task_id, watch));
    }

    async fn announce(&self, task: &Arc<Task>, bid_until_ms: u64) {
        let local = self.shared.ports.network.local();
        let (Ok(node_id), Ok(addresses)) = (
            local.node_id.parse(),
            local.addresses.iter().take(8).map(|a| a.parse()).collect(),
        ) else {
            tracing::error!(?local, "own node address does not fit an announcement");
            return;
        };
        let announcement = match self.sign(task.announcement(node_id, addresses, bid_until_ms)) {
            Ok(announcement) => announcement,
            Err(error) => {
                tracing::error!(%error, "task cannot be announced");
                return;
            }
        };
        let object = RawEnvelope::of(&announcement);
        if let Err(error) = self
            .shared
            .ports
            .network
            .publish(Topic::TaskAnnouncements, &object)
            .await
        {
            tracing::warn!(%error, "announcement is not published");
        }
    }

    async fn report(&self, event: ReputationEvent) {
        let points = match event.kind {
            ReputationKind::ClaimRejected => standing::CLAIM_REJECTED,
            ReputationKind::LeaseExpired => standing::LEASE_EXPIRED,
            ReputationKind::Equivocation => standing::CLAIM_REJECTED,
            ReputationKind::Settled
            | ReputationKind::VerdictDissent
            | ReputationKind::ValidatorSilent => 0,
        };
        if points > 0 {
            lock(&self.shared.standings).penalise(event.subject, points, self.now_ms());
        }
        match self.sign(event) {
            Ok(event) => {
                let object = RawEnvelope::of(&event);
                if let Err(error) = self
                    .shared
                    .ports
                    .network
                    .publish(Topic::Reputation, &object)
                    .await
                {
                    tracing::debug!(%error, "reputation event is not published");
                }
            }
            Err(error) => tracing::error!(%error, "reputation event is not valid"),
        }
    }

    /// The end of a task: its signed receipt goes out as gossip. Bundle and proof are built when asked for.
    async fn finished(&self, task: &Arc<Task>) {
        use d402_core::market::Ending;
        let receipt = match task.ending() {
            Some(
                Ending::Paid { receipt, .. }
                | Ending::Rejected { receipt, .. }
                | Ending::NotCharged {
                    receipt: Some(receipt),
                }
                | Ending::Uncollected { receipt, .. },
            ) => receipt,
            Some(
                Ending::SettledElsewhere { .. }
                | Ending::Refunded { .. }
                | Ending::Unfunded
                | Ending::NotCharged { receipt: None },
            )
            | None => return,
        };
        let object = RawEnvelope::from(&receipt.to_value());
        if let Err(error) = self
            .shared
            .ports
            .network
            .publish(Topic::Receipts, &object)
            .await
        {
            tracing::debug!(%error, "receipt is not published");
        }
    }

    pub(super) fn back(&self, task: &Task, command: Command) {
        self.hand_in(task.task_id(), command);
    }
}
