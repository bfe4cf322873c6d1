//! Everybody a gateway talks to, played by the testkit: what they send and how they answer, as bytes of the
//! wire, so that decoding them stays the gateway's own work.

use d402_objects::{
    Amount, Bid, Cid, Hex32, Inventory, Lease, Manifest, Nonce16, Signed, UnixMs, Verdict,
};
use d402_rails::simulated::{BuyerAccount, PaymentOrder};
use d402_settlement::market::testkit::{Actors, Scene, TaskSpec, funded_at, key};
use d402_settlement::market::{Decided, Dossier, DossierParts, Evidence, EvidenceObject, decide};
use d402_wire::{Blob, RawEnvelope, Request, Response};
use serde_json::{Value, json};

/// Validators of every set, and how many of them must sign.
pub(super) const VALIDATORS: usize = 4;
const THRESHOLD: u8 = 3;
/// The capability sold: a shipped one, so that a 402 carries what a real one carries.
pub(super) const CAPABILITY: &str = "json.transform@1";

/// The actors and the objects that all tasks share.
pub(super) struct Cast {
    pub(super) actors: Actors,
    spec: TaskSpec,
    parts: DossierParts,
    bid: Bid,
    buyer: BuyerAccount,
}

/// A task that a buyer ordered: the parts of its dossier and the signed payment.
pub(super) struct Ordered {
    pub(super) parts: DossierParts,
    pub(super) dossier: Dossier,
    pub(super) payment: Value,
}

/// What the other actors send in one task, encoded.
pub(super) struct Answers {
    /// Worker: lease taken.
    pub(super) accept: Vec<u8>,
    /// Validators, unasked: their verdicts.
    pub(super) notices: Vec<Vec<u8>>,
    /// By validator.
    pub(super) inventories: Vec<Vec<u8>>,
    /// By validator.
    pub(super) ready: Vec<Vec<u8>>,
    /// By validator.
    pub(super) signatures: Vec<Vec<u8>>,
    /// Worker: the output.
    pub(super) output: Vec<u8>,
}

impl Cast {
    /// The cast of tasks with this much time between issue and deadline.
    pub(super) fn new(window_ms: u64) -> Self {
        let mut spec = TaskSpec::single(THRESHOLD, u8::try_from(VALIDATORS).unwrap());
        spec.window_ms = window_ms;
        spec.buyer_signs = false;
        spec.input = input(0).to_string().into_bytes();
        spec.manifest = manifest();
        spec.model = spec.manifest.validation_models[0];
        let actors = Actors::new(VALIDATORS);
        let parts = Scene::parts(&spec, &actors);
        let scene = Scene {
            dossier: Dossier::check(parts.clone()).unwrap(),
            actors: actors.clone(),
            spec: spec.clone(),
        };
        Self {
            bid: scene.bid(0).payload().clone(),
            actors,
            spec,
            parts,
            buyer: BuyerAccount::new(key("buyer", 0)),
        }
    }

    /// Manifest, registration and offers, as a directory holds them.
    pub(super) fn listing(&self) -> &DossierParts {
        &self.parts
    }

    /// Who pays.
    pub(super) fn buyer(&self) -> &BuyerAccount {
        &self.buyer
    }

    /// Task number `seed`, paid with its own nonce.
    pub(super) fn order(&self, seed: u64, issued_at_ms: u64) -> Ordered {
        let mut intent = self.parts.intent.payload().clone();
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&seed.to_le_bytes());
        intent.nonce = Nonce16::from_bytes(nonce);
        intent.issued_at_ms = UnixMs::new(issued_at_ms).unwrap();
        intent.deadline_ms = UnixMs::new(issued_at_ms + self.spec.window_ms).unwrap();
        intent.payment[0].salt = named("salt", seed);
        let parts = DossierParts {
            intent: Signed::sign(intent, &self.actors.gateway).unwrap(),
            ..self.parts.clone()
        };
        let dossier = Dossier::check(parts.clone()).unwrap();
        let payment = self.pay(
            dossier.pay_to().0.into(),
            dossier.payment().budget,
            named("nonce", seed),
            issued_at_ms,
        );
        Ordered {
            parts,
            dossier,
            payment,
        }
    }

    /// The payload of a payment header.
    pub(super) fn pay(&self, to: Hex32, budget: Amount, nonce: Hex32, now_ms: u64) -> Value {
        let payment = self.buyer.pay(&PaymentOrder {
            pay_to: to,
            asset: d402_rails::simulated::asset(),
            units: u64::try_from(budget.get()).unwrap(),
            nonce,
            valid_before: i64::try_from(now_ms / 1_000 + 60).unwrap(),
        });
        json!({ "payment": payment })
    }

    /// The testkit's view of a task.
    pub(super) fn scene(&self, dossier: Dossier) -> Scene {
        let mut spec = self.spec.clone();
        spec.issued_at_ms = dossier.intent().issued_at_ms.get();
        spec.window_ms = dossier.intent().deadline_ms.get() - spec.issued_at_ms;
        Scene {
            spec,
            actors: self.actors.clone(),
            dossier,
        }
    }

    /// The one worker's bid, as it sends it.
    pub(super) fn bid(&self, task_id: Cid, terms_hash: Hex32, valid_until_ms: u64) -> Vec<u8> {
        let mut bid = self.bid.clone();
        bid.task_id = task_id;
        bid.terms_hash = terms_hash;
        bid.valid_until_ms = UnixMs::new(valid_until_ms).unwrap();
        let bid = Signed::sign(bid, &self.actors.workers[0].key).unwrap();
        encoded(&Request::PlaceBid {
            bid: RawEnvelope::of(&bid),
        })
    }

    /// What everybody says once this lease is out, when everybody is honest.
    pub(super) fn answers(&self, scene: &Scene, lease: &Signed<Lease>) -> Answers {
        let output = &scene.spec.input;
        let claim = scene.claim(lease, output);
        let commit = scene.commit(lease, &claim);
        let accept = scene.accept(lease);
        let verdicts: Vec<_> = (0..VALIDATORS)
            .map(|v| scene.verdict(v, &claim, Verdict::Accept))
            .collect();
        let mut objects: Vec<EvidenceObject> = vec![
            lease.clone().into(),
            accept.clone().into(),
            commit.clone().into(),
        ];
        objects.extend((0..VALIDATORS).map(|v| scene.ack(v, lease, &commit, 1).into()));
        objects.push(claim.clone().into());
        objects.extend(verdicts.iter().cloned().map(EvidenceObject::from));
        let mut evidence = Evidence::new(&scene.dossier);
        let refused = evidence.insert_all(objects.clone());
        assert!(refused.is_empty(), "{refused:?}");
        let decided = decide(&evidence, &funded_at(scene.at(6_000)))
            .decided()
            .expect("a decision");
        let raw: Vec<RawEnvelope> = objects.iter().map(RawEnvelope::from).collect();
        let notice = |v: usize| Request::ReceiptNotice {
            receipt: RawEnvelope::of(&verdicts[v]),
            claim: RawEnvelope::of(&claim),
        };
        Answers {
            accept: encoded(&Response::Object {
                object: RawEnvelope::of(&accept),
            }),
            notices: (0..VALIDATORS).map(|v| encoded(&notice(v))).collect(),
            inventories: (0..VALIDATORS)
                .map(|v| inventory(scene, v, &objects, &raw))
                .collect(),
            ready: (0..VALIDATORS).map(|v| ready(scene, v, &decided)).collect(),
            signatures: (0..VALIDATORS)
                .map(|v| {
                    encoded(&Response::Signature {
                        signature: scene.settlement_signature(v, &decided.digest),
                    })
                })
                .collect(),
            output: encoded(&Response::Content {
                blob: Blob::of(output),
            }),
        }
    }
}

fn inventory(scene: &Scene, v: usize, objects: &[EvidenceObject], raw: &[RawEnvelope]) -> Vec<u8> {
    let of = |kind: fn(&EvidenceObject) -> bool| {
        let wanted = objects.iter().filter(|object| kind(object));
        wanted.map(EvidenceObject::cid).collect()
    };
    let payload = Inventory {
        object_version: 1,
        validator: scene.actors.validators[v].id(),
        network: scene.dossier.network().clone(),
        task_id: scene.dossier.task_id(),
        terms_hash: scene.dossier.terms_hash(),
        acks: of(|o| matches!(o, EvidenceObject::Ack(_))),
        commits: of(|o| matches!(o, EvidenceObject::Commit(_))),
        claims: of(|o| matches!(o, EvidenceObject::Claim(_))),
        receipts: of(|o| matches!(o, EvidenceObject::Receipt(_))),
        leases: of(|o| matches!(o, EvidenceObject::Lease(_))),
        deposit_late: false,
        at_ms: scene.at(6_000),
        seq: 1,
    };
    let inventory = Signed::sign(payload, &scene.actors.validators[v].key).unwrap();
    encoded(&Response::Inventory {
        inventory: RawEnvelope::of(&inventory),
        objects: raw.to_vec(),
    })
}

fn ready(scene: &Scene, v: usize, decided: &Decided) -> Vec<u8> {
    // An honest market needs one proposal, so its round is the first.
    encoded(&Response::Object {
        object: RawEnvelope::of(&scene.ready(v, decided, 1)),
    })
}

/// What the buyers want done.
pub(super) fn input(seed: u64) -> Value {
    crate::jq(seed)
}

fn manifest() -> Manifest {
    let listed = d402_capabilities::capability(CAPABILITY).expect("a shipped capability");
    let mut manifest: Value = serde_json::from_str(listed.manifest_template()).expect("JSON");
    manifest["author"] = json!(d402_objects::Ed25519Id::from(&key("author", 0)));
    serde_json::from_value(manifest).expect("a manifest")
}

fn named(what: &str, seed: u64) -> Hex32 {
    Cid::of(format!("bench {what} {seed}").as_bytes()).to_hex32()
}

fn encoded<T: serde::Serialize>(message: &T) -> Vec<u8> {
    d402_wire::encode(message).unwrap()
}
