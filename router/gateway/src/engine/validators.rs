//! What the gateway asks validators.

use std::sync::Arc;
use std::time::Duration;

use d402_core::{Command, Task};
use d402_objects::{NoMoreLeases, Ready, Signed};
use d402_wire::{RawDossier, RawEnvelope, Refusal, Request, Response};
use ed25519_dalek::Signer as _;

use super::{Engine, lock};

/// Tries to give a validator the task.
const OPEN_TRIES: u32 = 4;
/// Pause between them.
const OPEN_PAUSE: Duration = Duration::from_millis(400);

impl Engine {
    /// One request to a validator; on `UnknownTask` the task is given first.
    async fn ask(&self, task: &Arc<Task>, set_index: u8, request: Request) -> Option<Response> {
        let to = task.validator_address(set_index)?;
        let network = &self.shared.ports.network;
        let answer = network.request(&to, request.clone()).await;
        match answer {
            Ok(Response::Refused {
                reason: Refusal::UnknownTask,
            }) => {
                network.request(&to, self.opening(task)).await.ok()?;
                network.request(&to, request).await.ok()
            }
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(task = %task.task_id(), set_index, %error, "validator does not answer");
                None
            }
        }
    }

    /// The task for a validator, with the word of the gateway's key that this node is its own.
    fn opening(&self, task: &Task) -> Request {
        let node = self.shared.ports.network.local().node_id;
        let message = d402_wire::watch_message(&task.task_id(), &node);
        Request::OpenTask {
            dossier: Box::new(RawDossier::of(task.dossier())),
            gateway: Some(self.shared.config.key.sign(&message).to_bytes().into()),
        }
    }

    pub(super) async fn open_task(&self, task: &Arc<Task>, set_index: u8) {
        let Some(to) = task.validator_address(set_index) else {
            return;
        };
        for _ in 0..OPEN_TRIES {
            match self
                .shared
                .ports
                .network
                .request(&to, self.opening(task))
                .await
            {
                Ok(Response::Accepted) => return,
                Ok(other) => {
                    tracing::warn!(task = %task.task_id(), set_index, ?other, "validator does not take the task");
                    return;
                }
                Err(error) => {
                    tracing::debug!(task = %task.task_id(), set_index, %error, "validator not reached")
                }
            }
            tokio::time::sleep(OPEN_PAUSE).await;
        }
    }

    pub(super) async fn notify_no_more_leases(&self, task: &Arc<Task>, notice: NoMoreLeases) {
        let Ok(notice) = self.sign(notice) else {
            return;
        };
        let request = Request::NoMoreLeases {
            notice: RawEnvelope::of(&notice),
        };
        let mut asked = tokio::task::JoinSet::new();
        for index in 0..task.dossier().set().n() {
            let (engine, task, request) = (self.clone(), Arc::clone(task), request.clone());
            asked.spawn(async move { engine.ask(&task, index, request).await });
        }
        while asked.join_next().await.is_some() {}
    }

    pub(super) async fn ask_inventory(&self, task: &Arc<Task>, set_index: u8) {
        let answer = self
            .ask(
                task,
                set_index,
                Request::GetInventory {
                    task_id: task.task_id(),
                },
            )
            .await;
        let Some(Response::Inventory { inventory, objects }) = answer else {
            tracing::debug!(task = %task.task_id(), set_index, ?answer, "no inventory");
            return;
        };
        if let Ok(inventory) = inventory.open() {
            let Ok(Some(cell)) = self.cell(task.task_id()).await else {
                return;
            };
            // One after the other: what one inventory brings, the next repeats.
            let objects = task.read_inventory(&objects, &mut lock(&cell.opened));
            self.back(task, Command::InventorySeen { inventory, objects });
        }
    }

    pub(super) async fn propose(
        &self,
        task: &Arc<Task>,
        set_index: u8,
        round: u32,
        request: Request,
    ) {
        let command = match self.ask(task, set_index, request).await {
            Some(Response::Object { object }) => match object.open() {
                Ok(ready) => Command::ReadySeen { ready },
                Err(_) => Command::ProposalRefused { set_index, round },
            },
            Some(Response::Missing { cids }) => Command::MissingSeen {
                set_index,
                round,
                cids,
            },
            Some(other) => {
                tracing::info!(task = %task.task_id(), set_index, ?other, "proposal refused");
                Command::ProposalRefused { set_index, round }
            }
            None => return,
        };
        self.back(task, command);
    }

    pub(super) async fn ask_signature(
        &self,
        task: &Arc<Task>,
        set_index: u8,
        ready: &[Signed<Ready>],
    ) {
        let ready = ready.iter().map(RawEnvelope::of).collect();
        match self
            .ask(
                task,
                set_index,
                Request::Sign {
                    task_id: task.task_id(),
                    ready,
                },
            )
            .await
        {
            Some(Response::Signature { signature }) => {
                self.back(task, Command::SignatureSeen { signature })
            }
            Some(other) => {
                tracing::info!(task = %task.task_id(), set_index, ?other, "settlement not signed")
            }
            None => {}
        }
    }
}
