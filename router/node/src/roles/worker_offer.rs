//! A worker's node offer: what it takes straight, for how much and to which account. Without one no gateway offers
//! a direct payment to it.

use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::{Clock, MarketNetwork};
use d402_objects::{CapabilityId, Cid, Manifest, NodeOffer, Signed, SigningKey, UnixMs};
use d402_wire::RawEnvelope;
use d402_worker::BidPolicy;
use tokio_util::sync::CancellationToken;

use super::start::{Context, port};
use crate::net::DirectoryService;

/// Validity of an offer, ms.
const VALID_MS: u64 = 24 * 3_600_000;
/// An offer is replaced when this much of its time is gone, ms.
const RENEW_MS: u64 = VALID_MS / 2;
/// How often the directory is looked at for capabilities that are new.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Most manifests looked at, and named in an offer.
const MAX_LOOKED_AT: u32 = 512;
const MAX_NAMED: usize = 64;

/// Keeps the offer of a worker that takes direct payments in the directory.
pub(super) fn keep(context: &mut Context, key: SigningKey, policy: BidPolicy) {
    if policy.direct.is_empty() {
        return;
    }
    let publisher = Publisher {
        key,
        policy,
        directory: context.directory.clone(),
        market: port(&context.market),
        clock: Arc::clone(&context.clock),
    };
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        publisher.run(stop).await;
        Ok(())
    });
}

struct Publisher {
    key: SigningKey,
    policy: BidPolicy,
    directory: DirectoryService,
    market: Arc<dyn MarketNetwork>,
    clock: Arc<dyn Clock>,
}

impl Publisher {
    async fn run(self, stop: CancellationToken) {
        let mut named: Vec<Cid> = Vec::new();
        let mut since_ms = 0;
        let mut interval = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            let manifests = self.manifests().await;
            let now_ms = self.clock.now_ms();
            let due = manifests != named || now_ms.saturating_sub(since_ms) >= RENEW_MS;
            if manifests.is_empty() || !due {
                continue;
            }
            if self.publish(manifests.clone(), now_ms).await {
                (named, since_ms) = (manifests, now_ms);
            }
        }
    }

    /// Manifests of what this worker sells, ascending.
    async fn manifests(&self) -> Vec<Cid> {
        let store = self.directory.store();
        let now_ms = self.clock.now_ms();
        let listed = store
            .list("d402.manifest", now_ms, None, MAX_LOOKED_AT)
            .await;
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "directory is not known, no offer");
                return Vec::new();
            }
        };
        let sold = |capability: &CapabilityId| self.policy.prices.contains_key(capability);
        let mut manifests: Vec<Cid> = entries
            .into_iter()
            .filter_map(|entry| entry.object.open::<Manifest>().ok())
            .filter(|manifest| sold(&manifest.payload().capability_id))
            .map(|manifest| manifest.cid())
            .take(MAX_NAMED)
            .collect();
        manifests.sort_unstable();
        manifests
    }

    async fn publish(&self, manifest_cids: Vec<Cid>, now_ms: u64) -> bool {
        let Some(offer) = self.offer(manifest_cids, now_ms) else {
            tracing::error!("the node offer cannot be signed");
            return false;
        };
        match self.directory.publish(RawEnvelope::of(&offer)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "node offer is not published");
                false
            }
        }
    }

    fn offer(&self, manifest_cids: Vec<Cid>, now_ms: u64) -> Option<Signed<NodeOffer>> {
        let local = self.market.local();
        let addresses = local.addresses.iter().take(8).map(|a| a.parse().ok());
        let offer = NodeOffer {
            object_version: 1,
            worker: (&self.key).into(),
            node_id: local.node_id.parse().ok()?,
            addresses: addresses.collect::<Option<_>>()?,
            manifest_cids,
            prices: self.policy.direct.clone(),
            capacity: u32::try_from(self.policy.max_running).unwrap_or(u32::MAX),
            payouts: self.policy.payouts.clone(),
            trust: Vec::new(),
            seq: now_ms,
            expires_at_ms: UnixMs::default().saturating_add_ms(now_ms.saturating_add(VALID_MS)),
        };
        Signed::sign(offer, &self.key).ok()
    }
}
