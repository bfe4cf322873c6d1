//! A checked task and everything its actors may sign in it, honest or not.

use d402_objects::{
    Amount, Bid, BlobRef, Bps, Cid, ClaimCommit, Commission, CommitAck, DirectPayee, Ed25519Id,
    Hex32, IndexedSignature, Lease, LeaseAccept, NoMoreLeases, Nonce16, PaymentOption, Payout,
    Ready, Registration, ResultClaim, Signed, SigningKey, TaskIntent, UnixMs, ValidationPolicy,
    ValidationReceipt, ValidatorOffer, Verdict, evidence_root, lease_set_root,
};

use super::actors::{asset, digest};
use super::{Actors, TaskSpec, wallet_on};
use crate::Codec;
use crate::market::evidence::claim_opens;
use crate::market::{Decided, Dossier, DossierParts, chain_of, set_hash_of};

/// A task, its actors and its dossier.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it was built from.
    pub spec: TaskSpec,
    /// Who is in it.
    pub actors: Actors,
    /// The checked task.
    pub dossier: Dossier,
}

impl Scene {
    /// Builds and checks the dossier of a spec.
    #[must_use]
    pub fn new(spec: TaskSpec) -> Self {
        let actors = Actors::on(&spec.network, usize::from(spec.n));
        let dossier = Dossier::check(Self::parts(&spec, &actors)).unwrap();
        Self {
            spec,
            actors,
            dossier,
        }
    }

    /// The parts of a spec's dossier, not checked.
    #[must_use]
    pub fn parts(spec: &TaskSpec, actors: &Actors) -> DossierParts {
        let manifest = actors.manifest(&spec.manifest);
        let registration =
            Signed::sign(registration(spec, manifest.cid()), &actors.author).unwrap();
        let offers: Vec<_> = actors
            .validators
            .iter()
            .enumerate()
            .map(|(i, v)| v.offer(spec, i))
            .collect();
        let intent = intent(spec, actors, [manifest.cid(), registration.cid()], &offers);
        let signer = if spec.buyer_signs {
            &actors.buyer
        } else {
            &actors.gateway
        };
        DossierParts {
            intent: Signed::sign(intent, signer).unwrap(),
            manifest,
            registration,
            offers,
            input: spec.input.clone(),
            payment_index: 0,
        }
    }

    /// A moment of the task: milliseconds after the intent was issued.
    #[must_use]
    pub fn at(&self, after_issue_ms: u64) -> UnixMs {
        UnixMs::new(self.spec.issued_at_ms + after_issue_ms).unwrap()
    }

    /// Set index of the validator at this place in [`Actors::validators`].
    #[must_use]
    pub fn set_index(&self, validator: usize) -> u8 {
        self.dossier
            .set_index_of(&self.actors.validators[validator].id())
            .unwrap()
    }

    /// A worker's bid at the spec's price.
    #[must_use]
    pub fn bid(&self, worker: usize) -> Signed<Bid> {
        let actor = &self.actors.workers[worker];
        let bid = Bid {
            object_version: 1,
            worker: actor.id(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            network: self.dossier.network().clone(),
            price: self.spec.price.into(),
            payout: self.payout(worker),
            valid_until_ms: self.at(self.spec.window_ms),
            seq: 1,
            node_id: format!("worker-{worker}").parse().unwrap(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9001".parse().unwrap()],
        };
        Signed::sign(bid, &actor.key).unwrap()
    }

    /// Where a worker is paid.
    #[must_use]
    pub fn payout(&self, worker: usize) -> Payout {
        Payout {
            network: self.dossier.network().clone(),
            address: self.actors.workers[worker].payout.clone(),
        }
    }

    /// The lease set of an attempt for these workers, at the spec's price, until the deadline.
    #[must_use]
    pub fn lease_set(&self, attempt: u8, workers: &[usize]) -> Vec<Signed<Lease>> {
        self.lease_payloads(attempt, workers)
            .into_iter()
            .map(|lease| Signed::sign(lease, &self.actors.gateway).unwrap())
            .collect()
    }

    /// The payloads of [`Scene::lease_set`], to be changed before signing.
    #[must_use]
    pub fn lease_payloads(&self, attempt: u8, workers: &[usize]) -> Vec<Lease> {
        let price = Amount::from(self.spec.price);
        let pairs: Vec<(Ed25519Id, Amount)> = workers
            .iter()
            .map(|w| (self.actors.workers[*w].id(), price))
            .collect();
        let root = lease_set_root(&pairs);
        workers
            .iter()
            .enumerate()
            .map(|(index, worker)| Lease {
                object_version: 1,
                gateway: (&self.actors.gateway).into(),
                network: self.dossier.network().clone(),
                task_id: self.dossier.task_id(),
                terms_hash: self.dossier.terms_hash(),
                worker: self.actors.workers[*worker].id(),
                bid_cid: self.bid(*worker).cid(),
                price,
                payout: self.payout(*worker),
                attempt,
                lease_index: index as u8,
                lease_count: workers.len() as u8,
                lease_set_root: root,
                start_ms: self.at(1_000),
                expires_at_ms: self.dossier.intent().deadline_ms,
                voucher_cid: None,
            })
            .collect()
    }

    /// The holder of a lease.
    #[must_use]
    pub fn worker_of(&self, lease: &Signed<Lease>) -> &SigningKey {
        let id = lease.payload().worker;
        &self
            .actors
            .workers
            .iter()
            .find(|worker| worker.id() == id)
            .unwrap()
            .key
    }

    /// The worker takes the lease.
    #[must_use]
    pub fn accept(&self, lease: &Signed<Lease>) -> Signed<LeaseAccept> {
        let accept = LeaseAccept {
            object_version: 1,
            worker: lease.payload().worker,
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            lease_cid: lease.cid(),
            at_ms: self.at(1_100),
        };
        Signed::sign(accept, self.worker_of(lease)).unwrap()
    }

    /// A claim with this output; its canonical digest is the output's CID.
    #[must_use]
    pub fn claim(&self, lease: &Signed<Lease>, output: &[u8]) -> Signed<ResultClaim> {
        Signed::sign(self.claim_payload(lease, output), self.worker_of(lease)).unwrap()
    }

    /// The payload of [`Scene::claim`], to be changed before signing.
    #[must_use]
    pub fn claim_payload(&self, lease: &Signed<Lease>, output: &[u8]) -> ResultClaim {
        let evidence = Vec::new();
        ResultClaim {
            object_version: 1,
            worker: lease.payload().worker,
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            lease_cid: lease.cid(),
            salt: digest(&format!("salt {}", lease.cid())),
            output: BlobRef {
                cid: Cid::of(output),
                bytes: output.len() as u64,
                media_type: "application/json".parse().unwrap(),
            },
            evidence_root: evidence_root(&evidence),
            evidence,
            canonical_digest: Cid::of(output),
            units: Amount::from(1),
            runtime_digest: Cid::of(b"testkit runtime"),
        }
    }

    /// The commit that seals a claim.
    #[must_use]
    pub fn commit(
        &self,
        lease: &Signed<Lease>,
        claim: &Signed<ResultClaim>,
    ) -> Signed<ClaimCommit> {
        self.commit_to(lease, claim_opens(self.spec.mode, claim))
    }

    /// A commit to any value.
    #[must_use]
    pub fn commit_to(&self, lease: &Signed<Lease>, value: Hex32) -> Signed<ClaimCommit> {
        let commit = ClaimCommit {
            object_version: 1,
            worker: lease.payload().worker,
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            lease_cid: lease.cid(),
            commit: value,
        };
        Signed::sign(commit, self.worker_of(lease)).unwrap()
    }

    /// A validator's ack of a commit.
    #[must_use]
    pub fn ack(
        &self,
        validator: usize,
        lease: &Signed<Lease>,
        commit: &Signed<ClaimCommit>,
        rank: u8,
    ) -> Signed<CommitAck> {
        let actor = &self.actors.validators[validator];
        let ack = CommitAck {
            object_version: 1,
            validator: actor.id(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            attempt: lease.payload().attempt,
            lease_cid: lease.cid(),
            commit: commit.payload().commit,
            rank,
            at_ms: self.at(3_000),
        };
        Signed::sign(ack, &actor.key).unwrap()
    }

    /// A validator's verdict on a claim.
    #[must_use]
    pub fn verdict(
        &self,
        validator: usize,
        claim: &Signed<ResultClaim>,
        verdict: Verdict,
    ) -> Signed<ValidationReceipt> {
        let actor = &self.actors.validators[validator];
        let receipt = ValidationReceipt {
            object_version: 1,
            validator: actor.id(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            claim_cid: claim.cid(),
            verdict,
            score_bps: match verdict {
                Verdict::Accept => Bps::MAX,
                Verdict::Reject => Bps::ZERO,
            },
            model: self.spec.model,
            reasons: Vec::new(),
            transcript_digest: Cid::of(format!("transcript {validator}").as_bytes()),
            salt: digest(&format!("verdict salt {validator} {}", claim.cid())),
            at_ms: self.at(5_000),
        };
        Signed::sign(receipt, &actor.key).unwrap()
    }

    /// The gateway leases no more.
    #[must_use]
    pub fn no_more_leases(&self) -> Signed<NoMoreLeases> {
        let notice = NoMoreLeases {
            object_version: 1,
            gateway: (&self.actors.gateway).into(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            at_ms: self.at(6_000),
        };
        Signed::sign(notice, &self.actors.gateway).unwrap()
    }

    /// A validator is ready to sign a decision.
    #[must_use]
    pub fn ready(&self, validator: usize, decided: &Decided, round: u32) -> Signed<Ready> {
        let actor = &self.actors.validators[validator];
        let ready = Ready {
            object_version: 1,
            validator: actor.id(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            round,
            digest: Hex32::from_bytes(decided.digest),
            inputs_root: decided.inputs_root,
            receipt_cid: decided.receipt_cid,
        };
        Signed::sign(ready, &actor.key).unwrap()
    }

    /// A validator's settlement signature over a digest.
    #[must_use]
    pub fn settlement_signature(&self, validator: usize, digest: &[u8; 32]) -> IndexedSignature {
        let actor = &self.actors.validators[validator];
        IndexedSignature {
            set_index: self.set_index(validator),
            signature: actor.sign_settlement(self.dossier.codec(), digest),
        }
    }

    /// Settlement signatures of these validators, ascending by set index.
    #[must_use]
    pub fn settlement_signatures(
        &self,
        validators: &[usize],
        digest: &[u8; 32],
    ) -> Vec<IndexedSignature> {
        let mut signatures: Vec<_> = validators
            .iter()
            .map(|v| self.settlement_signature(*v, digest))
            .collect();
        signatures.sort_by_key(|signature| signature.set_index);
        signatures
    }
}

fn registration(spec: &TaskSpec, manifest_cid: Cid) -> Registration {
    Registration {
        object_version: 1,
        author: spec.manifest.author,
        manifest_cid,
        capability_id: spec.manifest.capability_id.clone(),
        namespace: "test".parse().unwrap(),
        commission: Commission {
            bps: Bps::new(spec.commission_bps).unwrap(),
            wallets: [(spec.network.clone(), wallet_on(&spec.network, "creator", 0))].into(),
        },
        seq: 1,
        valid_from_ms: UnixMs::new(0).unwrap(),
        valid_until_ms: UnixMs::MAX,
    }
}

fn intent(
    spec: &TaskSpec,
    actors: &Actors,
    [manifest_cid, registration_cid]: [Cid; 2],
    offers: &[Signed<ValidatorOffer>],
) -> TaskIntent {
    let network = spec.network.clone();
    let set_hash = set_hash_of(&network, spec.m, offers).unwrap();
    let rail = match chain_of(&network).unwrap().codec {
        Codec::Solana(_) => "simulated",
        Codec::Evm(_) => "base-escrow",
    };
    let mut nonce = [0u8; 16];
    nonce[..8].copy_from_slice(&spec.seed.to_le_bytes());
    TaskIntent {
        object_version: 1,
        nonce: Nonce16::from_bytes(nonce),
        issued_at_ms: UnixMs::new(spec.issued_at_ms).unwrap(),
        deadline_ms: UnixMs::new(spec.issued_at_ms + spec.window_ms).unwrap(),
        max_attempts: spec.max_attempts,
        gateway: (&actors.gateway).into(),
        buyer: spec.buyer_signs.then(|| (&actors.buyer).into()),
        manifest_cid,
        registration_cid,
        input: BlobRef {
            cid: Cid::of(&spec.input),
            bytes: spec.input.len() as u64,
            media_type: "application/json".parse().unwrap(),
        },
        mode: spec.mode,
        fanout: spec.fanout,
        quorum: spec.quorum,
        validation: ValidationPolicy {
            model: spec.model,
            offer_cids: offers.iter().map(Signed::cid).collect(),
            threshold: spec.m,
        },
        payment: vec![PaymentOption {
            rail: rail.parse().unwrap(),
            asset: asset(&network),
            budget: spec.budget.into(),
            direct: spec.direct.then(|| DirectPayee {
                worker: actors.workers[0].id(),
                pay_to: actors.workers[0].payout.clone(),
            }),
            refund_to: wallet_on(&network, "refund", 0),
            rent_to: None,
            validator_set: Hex32::from_bytes(set_hash.0),
            gateway_fee_bps: Bps::new(spec.gateway_fee_bps).unwrap(),
            gateway_fee_payee: (spec.gateway_fee_bps > 0)
                .then(|| wallet_on(&network, "gateway", 0)),
            validator_fee_cap: spec.validator_fee_cap.into(),
            salt: digest(&format!("task salt {}", spec.seed)),
            network,
        }],
        on_silence: spec.on_silence,
        access_hash: digest("access token"),
        publish: false,
    }
}
