//! What to bid on, and for how much.

use std::collections::BTreeMap;

use d402_objects::{
    Address, Amount, Bid, Caip2, CapabilityId, Ed25519Id, Multiaddr, NodeId, Payout, Price,
    TaskAnnouncement, UnixMs,
};
use d402_wire::NodeAddress;

/// A bid is good for this long, ms: through the window, the lease and its first retries.
const BID_VALID_MS: u64 = 60_000;
/// Least time a task must leave for work, ms.
const MIN_WORK_MS: u64 = 1_500;

/// What this worker sells and on which conditions.
#[derive(Clone, Debug)]
pub struct BidPolicy {
    /// Price per task in base units, by capability.
    pub prices: BTreeMap<CapabilityId, Amount>,
    /// Payout wallet per network.
    pub payouts: BTreeMap<Caip2, Address>,
    /// Gateways to work for; empty = any.
    pub gateways: Vec<Ed25519Id>,
    /// Least price where it is paid straight, per network and token; it takes no direct task on any other. The
    /// worker bears the risk that the buyer's money is gone before its work is judged.
    pub direct: Vec<Price>,
    /// Leases run at the same time; further announcements are let pass.
    pub max_running: usize,
}

/// Why an announcement is let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Not a capability this worker sells.
    NotSold,
    /// The buyer chose another worker.
    NotChosen,
    /// Paid straight, which this worker does not take there.
    NotDirect,
    /// Not a gateway it works for.
    Gateway,
    /// No payout wallet on that network.
    NoWallet,
    /// Pays less than the price.
    TooCheap,
    /// The bid window is over, or too little time is left.
    TooLate,
    /// Enough to do already.
    Busy,
    /// A field does not fit an object.
    Malformed,
}

impl BidPolicy {
    /// What it takes at least where it is paid straight; `None` where it does not let itself be.
    #[must_use]
    pub fn direct_price(&self, network: &Caip2, asset: &Address) -> Option<Amount> {
        let there = |price: &&Price| price.network == *network && price.asset == *asset;
        self.direct.iter().find(there).map(|price| price.price)
    }

    /// A bid for the announced task.
    ///
    /// # Errors
    /// [`Pass`] says why not.
    pub fn bid(
        &self,
        worker: Ed25519Id,
        local: &NodeAddress,
        task: &TaskAnnouncement,
        now_ms: u64,
    ) -> Result<Bid, Pass> {
        let own = *self.prices.get(&task.capability_id).ok_or(Pass::NotSold)?;
        let price = match task.worker {
            None => own,
            Some(chosen) if chosen != worker => return Err(Pass::NotChosen),
            // The whole payment or nothing: it was made out before.
            Some(_) => {
                let least = self
                    .direct_price(&task.network, &task.asset)
                    .ok_or(Pass::NotDirect)?;
                task.max_price.max(least)
            }
        };
        if !self.gateways.is_empty() && !self.gateways.contains(&task.gateway) {
            return Err(Pass::Gateway);
        }
        let address = self
            .payouts
            .get(&task.network)
            .ok_or(Pass::NoWallet)?
            .clone();
        if price > task.max_price {
            return Err(Pass::TooCheap);
        }
        let time_left = task.deadline_ms.get().saturating_sub(now_ms);
        if now_ms >= task.bid_until_ms.get() || time_left < MIN_WORK_MS {
            return Err(Pass::TooLate);
        }
        let valid_until = now_ms
            .saturating_add(BID_VALID_MS)
            .min(task.deadline_ms.get());
        Ok(Bid {
            object_version: 1,
            worker,
            task_id: task.task_id,
            terms_hash: task.terms_hash,
            network: task.network.clone(),
            price,
            payout: Payout {
                network: task.network.clone(),
                address,
            },
            valid_until_ms: UnixMs::new(valid_until).map_err(|_| Pass::Malformed)?,
            seq: now_ms,
            node_id: local
                .node_id
                .parse::<NodeId>()
                .map_err(|_| Pass::Malformed)?,
            addresses: local
                .addresses
                .iter()
                .take(8)
                .map(|a| a.parse::<Multiaddr>())
                .collect::<Result<_, _>>()
                .map_err(|_| Pass::Malformed)?,
        })
    }
}
