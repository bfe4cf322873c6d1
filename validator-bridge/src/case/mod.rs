//! One task as this validator sees it.
//!
//! A case grows only: evidence that was admitted stays, and everything in it is on disk before an answer
//! leaves. What a peer asks is one method each, in its own file: `commit`, `reveal`, `proposal`, `signing`,
//! `release`.

mod commit;
mod open;
mod proposal;
mod release;
mod reveal;
mod signing;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use d402_objects::{Caip2, Cid, Ed25519Id, SignatureBytes, Signed, SignedReceipt, UnixMs};
use d402_settlement::UnixSeconds;
use d402_settlement::market::{
    Decided, DepositFact, Dossier, Evidence, EvidenceObject, Facts, NotAdmitted, SignatureBook,
    Slot,
};
use d402_wire::{NodeAddress, Refusal, Request};

use crate::Misbehaviour;
use crate::chain::ChainView;
use crate::journal::{CaseStore, SignJournal};
use crate::keys::Keys;

pub use commit::CommitPapers;
pub use proposal::Proposal;
pub use reveal::{RevealPapers, Revealed};
pub use signing::Allowed;

/// Most nodes told about receipts of a task without being a validator, a worker or the gateway of it.
const MAX_WATCHERS: usize = 4;
/// Most nodes of its gateway; the newest ones, because an instance that died leaves its place behind.
const MAX_GATEWAY_NODES: usize = 4;
/// Clocks further apart than this mean that either cannot be trusted (threat #35), ms.
const MAX_DRIFT_MS: u64 = 60_000;

/// What a case works with.
#[derive(Clone)]
pub struct Tools {
    /// The keys.
    pub keys: Arc<Keys>,
    /// Sign-once rules.
    pub journal: Arc<dyn SignJournal>,
    /// What survives a restart.
    pub store: Arc<dyn CaseStore>,
    /// Own look at every chain this validator is paid on.
    pub chains: BTreeMap<Caip2, Arc<dyn ChainView>>,
    /// For demo and tests.
    pub misbehaviour: Misbehaviour,
}

impl Tools {
    /// The chain a task is paid on. Without an own look at it nothing is judged or signed.
    fn chain_of(&self, dossier: &Dossier) -> Result<Arc<dyn ChainView>, Refusal> {
        let chain = self.chains.get(dossier.network()).cloned();
        chain.ok_or(Refusal::NotMyRole)
    }
}

/// A message the case wants sent, best effort.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Receiver.
    pub to: NodeAddress,
    /// The message.
    pub request: Request,
}

/// One task.
pub struct Case {
    tools: Tools,
    chain: Arc<dyn ChainView>,
    dossier: Dossier,
    evidence: Evidence,
    /// Set once the chain showed the budget in time; never unlearned.
    funded: bool,
    /// Nodes of the gateway, each by its key's word.
    gateway_nodes: Vec<NodeAddress>,
    /// Other nodes that gave us the task: workers the gateway tried to hide it from, or anybody.
    watchers: Vec<NodeAddress>,
    /// Evidence that is held and could not be stored: to be stored before it is answered for.
    unstored: BTreeSet<Cid>,
    /// Nodes workers wrote from, by worker key.
    workers: BTreeMap<Ed25519Id, NodeAddress>,
    /// Claims being judged or judged by us.
    judged: BTreeSet<Cid>,
    /// Decisions we answered ready for, by digest.
    agreed: BTreeMap<[u8; 32], Decided>,
    /// Valid settlement signatures seen so far.
    signed: SignatureBook,
}

impl Case {
    /// A new case; see [`Case::open`](Case::open) for the checks before it.
    fn new(tools: Tools, chain: Arc<dyn ChainView>, dossier: Dossier) -> Self {
        let evidence = Evidence::new(&dossier);
        Self {
            tools,
            chain,
            dossier,
            evidence,
            funded: false,
            gateway_nodes: Vec::new(),
            watchers: Vec::new(),
            unstored: BTreeSet::new(),
            workers: BTreeMap::new(),
            judged: BTreeSet::new(),
            agreed: BTreeMap::new(),
            signed: SignatureBook::default(),
        }
    }

    /// The task.
    #[must_use]
    pub fn dossier(&self) -> &Dossier {
        &self.dossier
    }

    /// Its evidence.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Carriers of settlements with the signatures this validator has seen.
    pub fn signed_receipts(&self) -> impl Iterator<Item = &SignedReceipt> {
        self.signed.receipts()
    }

    /// Remembers who gave us the task. With the word of the gateway's key for this very node it is the
    /// gateway: whoever came before cannot keep it from hearing verdicts.
    pub fn watch(&mut self, from: &str, gateway: Option<&SignatureBytes>) {
        let node = || NodeAddress {
            node_id: from.to_owned(),
            addresses: Vec::new(),
        };
        let known = |nodes: &[NodeAddress]| nodes.iter().any(|w| w.node_id == from);
        if known(&self.gateway_nodes) {
            return;
        }
        if gateway.is_some_and(|signature| self.is_gateway(from, signature)) {
            self.watchers.retain(|watcher| watcher.node_id != from);
            if self.gateway_nodes.len() >= MAX_GATEWAY_NODES {
                self.gateway_nodes.remove(0);
            }
            self.gateway_nodes.push(node());
        } else if !known(&self.watchers) && self.watchers.len() < MAX_WATCHERS {
            self.watchers.push(node());
        }
    }

    fn is_gateway(&self, from: &str, signature: &SignatureBytes) -> bool {
        let message = d402_wire::watch_message(&self.dossier.task_id(), from);
        signature.to_array().is_ok_and(|signature| {
            let gateway = self.dossier.intent().gateway;
            gateway.verify(&message, &signature).is_ok()
        })
    }

    fn me(&self) -> Ed25519Id {
        self.tools.keys.validator()
    }

    /// The other validators' nodes.
    fn peers(&self) -> Vec<NodeAddress> {
        let me = self.me();
        self.dossier
            .parts()
            .offers
            .iter()
            .map(Signed::payload)
            .filter(|offer| offer.validator != me)
            .map(|offer| NodeAddress {
                node_id: offer.node_id.to_string(),
                addresses: offer.addresses.iter().map(ToString::to_string).collect(),
            })
            .collect()
    }

    /// Everybody a judgement concerns: validators, the gateway, watchers and the claim's worker.
    fn concerned(&self, worker: &Ed25519Id) -> Vec<NodeAddress> {
        let mut all = self.peers();
        all.extend(self.gateway_nodes.iter().cloned());
        all.extend(self.watchers.iter().cloned());
        all.extend(self.workers.get(worker).cloned());
        all
    }

    /// Admits an object and stores it. What was known before is fine.
    async fn admit(&mut self, object: EvidenceObject) -> Result<(), Refusal> {
        let cid = object.cid();
        let held = self.evidence.contains(&cid);
        if held && !self.unstored.contains(&cid) {
            return Ok(());
        }
        let bytes = d402_objects::canonical::to_bytes(&object.to_value());
        if !held {
            self.evidence
                .insert(object)
                .map_err(|fault| refusal_of(&fault))?;
        }
        self.store(cid, &bytes).await
    }

    /// Stores evidence that was admitted. Until that succeeds the object is not answered for.
    async fn store(&mut self, cid: Cid, bytes: &[u8]) -> Result<(), Refusal> {
        let task_id = self.dossier.task_id();
        match self.tools.store.put_object(task_id, cid, bytes).await {
            Ok(()) => {
                self.unstored.remove(&cid);
                Ok(())
            }
            Err(error) => {
                self.unstored.insert(cid);
                tracing::error!(task = %task_id, object = %cid, %error, "evidence is not stored");
                Err(Refusal::Busy)
            }
        }
    }

    /// What this validator knows from outside the evidence. `Busy` when the chain does not answer: a lease
    /// or a settlement is never judged on a guess.
    async fn facts(&mut self, now_ms: u64) -> Result<Facts, Refusal> {
        let paid_elsewhere = match self.tools.journal.paid_under(self.dossier.task_id()).await {
            Ok(terms) => terms.is_some_and(|terms| terms != self.dossier.terms_hash()),
            Err(error) => {
                tracing::error!(%error, "journal does not answer");
                return Err(Refusal::Busy);
            }
        };
        let deposit = self.deposit(now_ms).await?;
        Ok(Facts {
            now_ms: UnixMs::default().saturating_add_ms(now_ms),
            deposit,
            paid_elsewhere,
        })
    }

    async fn deposit(&mut self, now_ms: u64) -> Result<DepositFact, Refusal> {
        // Paid straight, nothing is ever deposited: the chosen worker bears the risk (design §5).
        if self.funded || self.dossier.direct().is_some() {
            return Ok(DepositFact::OnTime);
        }
        let deposits = self.chain.deposits(&self.dossier).await.map_err(|error| {
            tracing::warn!(task = %self.dossier.task_id(), %error, "deposit is not known");
            Refusal::Busy
        })?;
        let budget = self.dossier.payment().budget.get();
        let fund_by_ms = self.dossier.times().fund_by_ms.get();
        let mut held = 0u128;
        for deposit in &deposits {
            held = held.saturating_add(deposit.units);
            if held >= budget {
                self.funded = deposit.at_ms < fund_by_ms;
                return Ok(if self.funded {
                    DepositFact::OnTime
                } else {
                    DepositFact::Late
                });
            }
        }
        // Something came, less than the budget, and the time for the rest is over: same exit as late.
        Ok(if held > 0 && now_ms >= fund_by_ms {
            DepositFact::Late
        } else {
            DepositFact::None
        })
    }

    /// Chain time, when it is close enough to our own.
    async fn chain_now(&self, now_ms: u64) -> Result<UnixSeconds, Refusal> {
        let chain_ms = self.chain.now_ms().await.map_err(|_| Refusal::Busy)?;
        if chain_ms.abs_diff(now_ms) > MAX_DRIFT_MS {
            tracing::error!(
                chain_ms,
                now_ms,
                "chain clock and own clock disagree, not signing"
            );
            return Err(Refusal::Busy);
        }
        Ok(UnixSeconds(
            i64::try_from(chain_ms.checked_div(1_000).unwrap_or(0)).unwrap_or(i64::MAX),
        ))
    }
}

/// Before a refund may follow, no signature any more (spec §3.1), seconds.
const LAST_MINUTE_S: i64 = 60;

impl Case {
    /// Whether the time for settlement signatures is over: at `settleBy`, or with `onSilence` MAJORITY a
    /// minute before `refundAfter` (spec §3.1, §4.2).
    fn signing_is_over(&self, chain_now: UnixSeconds) -> bool {
        let times = self.dossier.times();
        match self.dossier.intent().on_silence {
            d402_objects::OnSilence::Refund => chain_now >= times.settle_by_s,
            d402_objects::OnSilence::Majority => {
                chain_now
                    >= times
                        .refund_after_s
                        .saturating_add(LAST_MINUTE_S.saturating_neg())
            }
        }
    }
}

/// What a peer is told about an object that was not admitted.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; every other fault means that the object is not of these terms"
)]
fn refusal_of(fault: &NotAdmitted) -> Refusal {
    match fault {
        NotAdmitted::SlotTaken(Slot::LeaseSet) => Refusal::OtherLeaseSet,
        NotAdmitted::SlotTaken(Slot::Commit) => Refusal::LeaseVoid,
        NotAdmitted::TooLate { .. } => Refusal::Closed,
        _ => Refusal::TermsMismatch,
    }
}
