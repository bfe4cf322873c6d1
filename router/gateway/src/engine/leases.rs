//! Lease offers to workers.

use std::sync::Arc;

use d402_core::{Command, Task};
use d402_objects::{Lease, LeaseAccept, Signed, cid_of};
use d402_settlement::market::EvidenceObject;
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
        let signed = set.into_iter().map(|lease| self.sign(lease));
        let Ok(set) = signed.collect::<Result<Vec<Signed<Lease>>, _>>() else {
            tracing::error!(task = %task.task_id(), "lease is not a valid object");
            return;
        };
        let Some(lease) = set.iter().find(|lease| lease.cid() == lease_cid) else {
            tracing::error!(task = %task.task_id(), "lease is not of its set");
            return;
        };
        let (lease, lease_set) = (
            RawEnvelope::of(lease),
            set.iter().map(RawEnvelope::of).collect(),
        );
        // Validators will show it again.
        self.note(task.task_id(), set.into_iter().map(EvidenceObject::from));
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
            Ok(Response::Object { object }) => match object.open::<LeaseAccept>() {
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
