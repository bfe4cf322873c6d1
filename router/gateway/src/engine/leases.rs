//! Lease offers to workers.

use std::sync::Arc;

use d402_core::{Command, Task};
use d402_objects::{Lease, Signed, cid_of};
use d402_wire::{NodeAddress, RawDossier, RawEnvelope, Request, Response};

use super::Engine;

impl Engine {
    pub(super) async fn offer_lease(
        &self,
        task: &Arc<Task>,
        to: NodeAddress,
        lease: Lease,
        set: Vec<Lease>,
    ) {
        let Ok(lease_cid) = cid_of(&lease) else {
            return;
        };
        let signed = |lease: Lease| self.sign(lease).map(|l| RawEnvelope(l.to_value()));
        let (Ok(lease), Ok(lease_set)) = (signed(lease), set.into_iter().map(signed).collect())
        else {
            tracing::error!(task = %task.task_id(), "lease is not a valid object");
            return;
        };
        let dossier = Box::new(RawDossier::of(task.dossier()));
        let answer = self
            .shared
            .ports
            .network
            .request(
                &to,
                Request::OfferLease {
                    dossier,
                    lease,
                    lease_set,
                },
            )
            .await;
        let command = match answer {
            Ok(Response::Object { object }) => match Signed::from_value(object.0) {
                Ok(accept) => Command::LeaseAccepted { accept },
                Err(_) => Command::LeaseDeclined { lease_cid },
            },
            Ok(other) => {
                tracing::debug!(task = %task.task_id(), ?other, "lease not taken");
                Command::LeaseDeclined { lease_cid }
            }
            // It may have taken the lease and its answer got lost: the accept window decides.
            Err(error) => {
                tracing::debug!(task = %task.task_id(), %error, "lease offer not answered");
                return;
            }
        };
        self.back(task, command);
    }
}
