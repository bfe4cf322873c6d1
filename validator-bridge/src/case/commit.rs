//! Commits and acks (spec §5.2–5.3).

use d402_objects::{ClaimCommit, CommitAck, Lease, LeaseAccept, Signed, UnixMs};
use d402_settlement::market::{DepositFact, EvidenceObject};
use d402_wire::{NodeAddress, RawEnvelope, Refusal, Request};

use super::{Case, Outgoing, refusal_of};
use crate::journal::{AckRecord, AckVerdict};

/// A worker's commit with the papers that allow it.
#[derive(Debug)]
pub struct CommitPapers {
    /// The worker's lease.
    pub lease: Signed<Lease>,
    /// Its acceptance.
    pub accept: Signed<LeaseAccept>,
    /// The whole set.
    pub set: Vec<Signed<Lease>>,
    /// The commit.
    pub commit: Signed<ClaimCommit>,
}

impl CommitPapers {
    /// Verifies the envelopes.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(
        lease: RawEnvelope,
        accept: RawEnvelope,
        set: Vec<RawEnvelope>,
        commit: RawEnvelope,
    ) -> Result<Self, Refusal> {
        let bad = |_| Refusal::Malformed;
        Ok(Self {
            lease: lease.open().map_err(bad)?,
            accept: accept.open().map_err(bad)?,
            set: set
                .iter()
                .map(RawEnvelope::open)
                .collect::<Result<_, _>>()
                .map_err(bad)?,
            commit: commit.open().map_err(bad)?,
        })
    }
}

impl Case {
    /// Acks a commit: journaled first, then signed, then told to the other validators and leased workers.
    /// The same commit again gives the same ack.
    ///
    /// # Errors
    /// The refusal the worker is told.
    pub async fn commit(
        &mut self,
        papers: CommitPapers,
        from: &str,
        now_ms: u64,
    ) -> Result<(Signed<CommitAck>, Vec<Outgoing>), Refusal> {
        let lease_cid = papers.lease.cid();
        let lease = papers.lease.payload().clone();
        if papers.commit.payload().lease_cid != lease_cid
            || papers.accept.payload().lease_cid != lease_cid
        {
            return Err(Refusal::Malformed);
        }
        if let Some(ack) = self.evidence.ack_by(&self.me(), &lease_cid).cloned()
            && ack.payload().commit == papers.commit.payload().commit
        {
            return Ok((ack, Vec::new()));
        }
        if now_ms
            >= self
                .dossier
                .times()
                .commit_closes(lease.expires_at_ms)
                .get()
        {
            return Err(Refusal::Closed);
        }
        if self.facts(now_ms).await?.deposit != DepositFact::OnTime {
            return Err(Refusal::NotFunded);
        }
        self.admit_set(papers.set).await?;
        self.admit(EvidenceObject::LeaseAccept(papers.accept))
            .await?;
        // A second, different commit is kept as the proof that voids the lease, and not acked.
        self.admit(EvidenceObject::Commit(papers.commit.clone()))
            .await?;
        if self.evidence.is_contradicted(&lease_cid) {
            return Err(Refusal::LeaseVoid);
        }
        self.workers.insert(
            lease.worker,
            NodeAddress {
                node_id: from.to_owned(),
                addresses: Vec::new(),
            },
        );
        let ack = self.sign_ack(&lease, &papers.commit, now_ms).await?;
        self.admit(EvidenceObject::Ack(ack.clone())).await?;
        let mut notices = self.ack_notices(&ack, &papers.commit);
        notices.extend(self.earlier_acks_for(&lease));
        Ok((ack, notices))
    }

    /// Acks this validator gave to the other leases of the set before it knew where this worker is: without
    /// them the last worker of a quorum could not show the strong certificates of all leases.
    fn earlier_acks_for(&self, lease: &Lease) -> Vec<Outgoing> {
        let Some(to) = self.workers.get(&lease.worker) else {
            return Vec::new();
        };
        let me = self.me();
        self.set_of(lease)
            .into_iter()
            .filter(|other| other.payload().worker != lease.worker)
            .filter_map(|other| self.evidence.ack_by(&me, &other.cid()))
            .filter_map(|ack| {
                let commit = self.evidence.commits().find(|c| {
                    c.payload().lease_cid == ack.payload().lease_cid
                        && c.payload().commit == ack.payload().commit
                })?;
                Some(Outgoing {
                    to: to.clone(),
                    request: self.ack_notice(ack, commit, lease),
                })
            })
            .collect()
    }

    /// The leases of a lease's set.
    fn set_of(&self, lease: &Lease) -> Vec<&Signed<Lease>> {
        self.evidence
            .lease_sets()
            .filter(|s| s.root() == lease.lease_set_root && s.attempt() == lease.attempt)
            .flat_map(|s| s.leases())
            .collect()
    }

    fn ack_notice(
        &self,
        ack: &Signed<CommitAck>,
        commit: &Signed<ClaimCommit>,
        lease: &Lease,
    ) -> Request {
        Request::AckNotice {
            ack: RawEnvelope::of(ack),
            commit: RawEnvelope::of(commit),
            lease_set: self
                .set_of(lease)
                .into_iter()
                .map(RawEnvelope::of)
                .collect(),
        }
    }

    async fn sign_ack(
        &self,
        lease: &Lease,
        commit: &Signed<ClaimCommit>,
        now_ms: u64,
    ) -> Result<Signed<CommitAck>, Refusal> {
        let record = AckRecord {
            task_id: self.dossier.task_id(),
            attempt: lease.attempt,
            set_root: lease.lease_set_root,
            lease_cid: commit.payload().lease_cid,
            commit: commit.payload().commit,
            at_ms: now_ms,
        };
        let (rank, at_ms) = match self.tools.journal.ack(&record).await {
            Ok(AckVerdict::Sign { rank, at_ms }) => (rank, at_ms),
            Ok(AckVerdict::OtherSet { .. }) => return Err(Refusal::OtherLeaseSet),
            Ok(AckVerdict::OtherCommit { .. }) => return Err(Refusal::LeaseVoid),
            Err(error) => {
                tracing::error!(%error, "journal does not answer, nothing is acked");
                return Err(Refusal::Busy);
            }
        };
        let ack = CommitAck {
            object_version: 1,
            validator: self.me(),
            network: lease.network.clone(),
            task_id: lease.task_id,
            attempt: lease.attempt,
            lease_cid: commit.payload().lease_cid,
            commit: commit.payload().commit,
            rank,
            at_ms: UnixMs::default().saturating_add_ms(at_ms),
        };
        self.tools.keys.sign(ack).map_err(|_| Refusal::Malformed)
    }

    /// Another validator's ack, or one that came with a reveal.
    ///
    /// # Errors
    /// The refusal the sender is told.
    pub async fn ack_noticed(
        &mut self,
        ack: Signed<CommitAck>,
        commit: Signed<ClaimCommit>,
        set: Vec<Signed<Lease>>,
    ) -> Result<(), Refusal> {
        if self.evidence.lease(&ack.payload().lease_cid).is_none() {
            self.admit_set(set).await?;
        }
        self.admit_commit_if_new(commit).await?;
        self.admit(EvidenceObject::Ack(ack)).await
    }

    /// A commit whose value is known under another envelope adds nothing.
    pub(super) async fn admit_commit_if_new(
        &mut self,
        commit: Signed<ClaimCommit>,
    ) -> Result<(), Refusal> {
        let known = self
            .evidence
            .commit_values(&commit.payload().lease_cid)
            .contains(&commit.payload().commit);
        if known {
            Ok(())
        } else {
            self.admit(EvidenceObject::Commit(commit)).await
        }
    }

    async fn admit_set(&mut self, set: Vec<Signed<Lease>>) -> Result<(), Refusal> {
        let objects: Vec<_> = set.iter().map(|l| (l.cid(), l.to_bytes())).collect();
        let held = objects.iter().all(|(cid, _)| self.evidence.contains(cid));
        if !held {
            self.evidence.insert_leases(set).map_err(|fault| {
                tracing::info!(task = %self.dossier.task_id(), %fault, "lease set refused");
                refusal_of(&fault)
            })?;
        }
        for (cid, bytes) in objects {
            if held && !self.unstored.contains(&cid) {
                continue;
            }
            self.store(cid, &bytes).await?;
        }
        Ok(())
    }

    /// The other validators and the leased workers known so far.
    fn ack_notices(&self, ack: &Signed<CommitAck>, commit: &Signed<ClaimCommit>) -> Vec<Outgoing> {
        let Some(lease) = self
            .evidence
            .lease(&ack.payload().lease_cid)
            .map(Signed::payload)
        else {
            return Vec::new();
        };
        let request = self.ack_notice(ack, commit, lease);
        let set = self.set_of(lease);
        let workers = set
            .iter()
            .filter_map(|l| self.workers.get(&l.payload().worker).cloned());
        self.peers()
            .into_iter()
            .chain(workers)
            .map(|to| Outgoing {
                to,
                request: request.clone(),
            })
            .collect()
    }
}
