//! A lease offer: check everything, accept, start.

use std::sync::{Arc, Mutex};

use d402_objects::{Lease, LeaseAccept, Signed, UnixMs};
use d402_settlement::market::Dossier;
use d402_wire::{NodeAddress, RawDossier, RawEnvelope, Refusal, Response};
use tokio::sync::Notify;

use super::{Case, MAX_CASES, Worker, lock};
use crate::job::Job;
use crate::payday::Payday;

impl Worker {
    /// Checks terms, set and price, signs the acceptance and starts the work.
    pub(super) async fn lease_offered(
        &self,
        dossier: RawDossier,
        lease: RawEnvelope,
        lease_set: Vec<RawEnvelope>,
    ) -> Result<Response, Refusal> {
        let dossier = dossier.check().map_err(|_| Refusal::Malformed)?;
        let lease: Signed<Lease> = lease.open().map_err(|_| Refusal::Malformed)?;
        let set = lease_set
            .iter()
            .map(RawEnvelope::open)
            .collect::<Result<Vec<Signed<Lease>>, _>>()
            .map_err(|_| Refusal::Malformed)?;
        self.check_lease(&dossier, lease.payload())?;
        let task_id = dossier.task_id();
        if let Some(known) = self.case(&task_id) {
            let job = lock(&known.job);
            if job.lease().cid() == lease.cid() {
                return Ok(object(job.accept()));
            }
            if !job.is_over(self.now_ms()) {
                return Err(Refusal::Busy);
            }
        }
        if self.running() >= self.shared.config.policy.max_running {
            return Err(Refusal::Busy);
        }
        let accept = self.accept(&lease).ok_or(Refusal::Malformed)?;
        let job =
            Job::new(&dossier, lease, set, accept.clone()).map_err(|_| Refusal::TermsMismatch)?;
        let gateway = lock(&self.shared.bids)
            .iter()
            .find(|(id, _)| *id == task_id)
            .map(|(_, to)| to.clone());
        let case = Arc::new(Case {
            job: Mutex::new(job),
            payday: Mutex::new(Payday::default()),
            wake: Notify::new(),
            gateway,
        });
        self.remember(task_id, Arc::clone(&case))?;
        let worker = self.clone();
        tokio::spawn(async move { worker.run(case).await });
        Ok(object(&accept))
    }

    /// The lease is what this worker bid: its price and wallet, and still worth starting.
    fn check_lease(&self, dossier: &Dossier, lease: &Lease) -> Result<(), Refusal> {
        let config = &self.shared.config;
        if lease.worker != config.worker() || lease.task_id != dossier.task_id() {
            return Err(Refusal::TermsMismatch);
        }
        let capability = &dossier.manifest().capability_id;
        let own = config.policy.prices.get(capability);
        let price = match dossier.direct() {
            Some(_) => config
                .policy
                .direct_price(dossier.network(), dossier.asset())
                .filter(|_| own.is_some()),
            None => own.copied(),
        };
        let price = price.ok_or(Refusal::Policy)?;
        let wallet = config
            .policy
            .payouts
            .get(&lease.network)
            .ok_or(Refusal::Policy)?;
        if lease.price < price || lease.payout.address != *wallet {
            return Err(Refusal::Policy);
        }
        if !config.policy.gateways.is_empty() && !config.policy.gateways.contains(&lease.gateway) {
            return Err(Refusal::Policy);
        }
        if self.now_ms() >= dossier.times().commit_closes(lease.expires_at_ms).get() {
            return Err(Refusal::Closed);
        }
        Ok(())
    }

    fn accept(&self, lease: &Signed<Lease>) -> Option<Signed<LeaseAccept>> {
        let accept = LeaseAccept {
            object_version: 1,
            worker: lease.payload().worker,
            network: lease.payload().network.clone(),
            task_id: lease.payload().task_id,
            lease_cid: lease.cid(),
            at_ms: UnixMs::default().saturating_add_ms(self.now_ms()),
        };
        Signed::sign(accept, &self.shared.config.key).ok()
    }

    /// Bounded: finished leases whose time is over make room first.
    fn remember(&self, task_id: d402_objects::Cid, case: Arc<Case>) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        let mut cases = lock(&self.shared.cases);
        if cases.len() >= MAX_CASES {
            cases.retain(|_, case| {
                let refund_after = lock(&case.job).dossier().times().refund_after_s.0;
                u64::try_from(refund_after)
                    .unwrap_or(0)
                    .saturating_mul(1_000)
                    > now_ms
            });
        }
        if cases.len() >= MAX_CASES {
            return Err(Refusal::Busy);
        }
        cases.insert(task_id, case);
        Ok(())
    }
}

fn object(accept: &Signed<LeaseAccept>) -> Response {
    Response::Object {
        object: RawEnvelope::of(accept),
    }
}

/// Where a validator of the task is reached.
pub(super) fn validator_address(dossier: &Dossier, set_index: u8) -> Option<NodeAddress> {
    let offer = dossier.offer_by_set_index(set_index)?.payload();
    Some(NodeAddress {
        node_id: offer.node_id.to_string(),
        addresses: offer.addresses.iter().map(ToString::to_string).collect(),
    })
}
