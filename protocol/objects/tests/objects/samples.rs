//! One valid object of every kind, from fixed keys: the seed of vectors, properties and fuzzing.

use std::collections::BTreeMap;

use d402_objects::{
    Address, Amount, AnySigned, Bid, BidAck, BlobRef, Bps, Caip2, Cid, ClaimCommit, Commission,
    CommitAck, CrossSignatures, DeprecationRecord, Determinism, Ed25519Id, Evidence, Fee, Finality,
    Hex32, IndexedSignature, Inventory, Lease, LeaseAccept, Manifest, Mode, NamespaceProof,
    NetworkPermission, NoMoreLeases, NodeOffer, Nonce16, OnSilence, Outcome, PaidKind, PaidRow,
    Payload, PaymentOption, Payout, Performance, Permissions, Price, ProviderRecord, Ready,
    ReceiptRow, Registration, ReputationEvent, ReputationKind, ResultClaim, RowRole, SettlementKey,
    SettlementProof, SettlementReceipt, Signed, SignedReceipt, SignerId, SigningKey, Similarity,
    TaskAnnouncement, TaskIntent, UnixMs, ValidationModel, ValidationPolicy, ValidationReceipt,
    ValidatorOffer, Value, Verdict, cross_sign, cross_sign_evm, evidence_root, lease_set_root,
    signature::evm_address,
};
use d402_objects::{canonical, preimage};
use ed25519_dalek::Signer;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn id(seed: u8) -> Ed25519Id {
    Ed25519Id::from(&key(seed))
}

pub(crate) fn evm_key(seed: u8) -> k256::ecdsa::SigningKey {
    k256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()
}

pub(crate) const AUTHOR: u8 = 1;
pub(crate) const GATEWAY: u8 = 2;
pub(crate) const BUYER: u8 = 3;
pub(crate) const WORKER: u8 = 4;
pub(crate) const VALIDATOR: u8 = 5;
pub(crate) const SETTLEMENT: u8 = 6;
pub(crate) const EVM: u8 = 7;

/// Parses any of the text types.
pub(crate) fn t<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn cid(seed: u8) -> Cid {
    Cid::of(&[seed])
}

pub(crate) fn hex32(seed: u8) -> Hex32 {
    Hex32::from_bytes([seed; 32])
}

pub(crate) fn ms(value: u64) -> UnixMs {
    UnixMs::new(value).unwrap()
}

pub(crate) const NOW: u64 = 1_795_000_000_000;

pub(crate) fn network() -> Caip2 {
    t("d402:simulated")
}

pub(crate) fn address(seed: u8) -> Address {
    t(&hex::encode([seed; 32]))
}

fn payout() -> Payout {
    Payout {
        network: network(),
        address: address(0x44),
    }
}

fn wallets() -> BTreeMap<Caip2, Address> {
    BTreeMap::from([
        (network(), address(0x44)),
        (
            t("eip155:8453"),
            t("0x4444444444444444444444444444444444444444"),
        ),
    ])
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        object_version: 1,
        author: id(AUTHOR),
        id: t("web.page_to_markdown"),
        version: t("1"),
        capability_id: t("web.page_to_markdown@1"),
        description: t("A page as Markdown, with títle and “quotes”."),
        input_schema: serde_json::json!({
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {"type": "string", "format": "uri"},
                "zoom": {"type": "number", "maximum": 1.5, "multipleOf": 0.25},
                "timeoutMs": {"type": "integer", "maximum": 20000}
            }
        }),
        output_schema: serde_json::json!({"type": "object", "required": ["markdown"]}),
        determinism: Determinism::Scored,
        permissions: Permissions {
            network: NetworkPermission {
                hosts: vec![t("*")],
            },
            browser: false,
            cpu_ms: 5_000,
            memory_bytes: 268_435_456,
            timeout_ms: 20_000,
            output_bytes: 1_048_576,
        },
        evidence: vec![t("snapshot")],
        validation_models: vec![ValidationModel::Scored, ValidationModel::CanonicalQuorum],
        decision_time_s: 60,
        pricing_units: t("page"),
        performance: Performance {
            p50_ms: Some(800),
            p99_ms: None,
        },
        tags: vec![t("web"), t("markdown")],
        similarity: Some(Similarity {
            name: t("shingle5"),
            threshold_bps: Bps::new(9_000).unwrap(),
        }),
        implementation_cid: None,
    }
}

pub(crate) fn registration() -> Registration {
    Registration {
        object_version: 1,
        author: id(AUTHOR),
        manifest_cid: cid(1),
        capability_id: t("web.page_to_markdown@1"),
        namespace: t("example.web"),
        commission: Commission {
            bps: Bps::new(500).unwrap(),
            wallets: wallets(),
        },
        seq: 1,
        valid_from_ms: ms(NOW),
        valid_until_ms: ms(NOW + 1_000),
    }
}

pub(crate) fn namespace_proof(wallet: SignerId) -> NamespaceProof {
    NamespaceProof {
        object_version: 1,
        namespace: t("example.web"),
        wallet,
        author: id(AUTHOR),
        seq: 1,
        valid_until_ms: ms(NOW),
    }
}

pub(crate) fn provider_record() -> ProviderRecord {
    ProviderRecord {
        object_version: 1,
        provider: id(WORKER),
        manifest_cid: cid(1),
        node_id: t("12D3KooWWorker"),
        addresses: vec![t("/ip4/127.0.0.1/tcp/4001")],
        seq: 1,
        expires_at_ms: ms(NOW),
    }
}

pub(crate) fn node_offer() -> NodeOffer {
    NodeOffer {
        object_version: 1,
        worker: id(WORKER),
        node_id: t("12D3KooWWorker"),
        addresses: vec![t("/ip4/127.0.0.1/tcp/4001")],
        manifest_cids: vec![cid(1), cid(2)],
        prices: vec![Price {
            network: network(),
            asset: address(0xaa),
            price: Amount::from(1_000),
        }],
        capacity: 4,
        payouts: wallets(),
        trust: vec![cid(9)],
        seq: 7,
        expires_at_ms: ms(NOW),
    }
}

pub(crate) fn validator_offer() -> ValidatorOffer {
    let evm = evm_address(evm_key(EVM).verifying_key());
    ValidatorOffer {
        object_version: 1,
        validator: id(VALIDATOR),
        node_id: t("12D3KooWValidator"),
        addresses: vec![t("/ip4/127.0.0.1/tcp/4002")],
        families: vec![t("web.page_to_markdown@1")],
        models: vec![ValidationModel::Scored, ValidationModel::Exact],
        fees: vec![Fee {
            network: network(),
            asset: address(0xaa),
            fee: Amount::from(10),
        }],
        settlement_key: SettlementKey {
            ed25519: id(SETTLEMENT),
            evm: Some(evm),
        },
        cross_signatures: CrossSignatures {
            settlement_signs_envelope: cross_sign(&key(SETTLEMENT), &id(VALIDATOR), Some(evm)),
            evm_signs_settlement: Some(cross_sign_evm(
                &evm_key(EVM),
                &id(VALIDATOR),
                id(SETTLEMENT),
            )),
        },
        payouts: wallets(),
        seq: 1,
        expires_at_ms: ms(NOW),
    }
}

pub(crate) fn task_intent() -> TaskIntent {
    TaskIntent {
        object_version: 1,
        nonce: Nonce16::from_bytes([0x0f; 16]),
        issued_at_ms: ms(NOW),
        deadline_ms: ms(NOW + 15_000),
        max_attempts: 3,
        gateway: id(GATEWAY),
        buyer: Some(id(BUYER)),
        manifest_cid: cid(1),
        registration_cid: cid(2),
        input: BlobRef {
            cid: cid(3),
            bytes: 42,
            media_type: t("application/json"),
        },
        mode: Mode::Quorum,
        fanout: 3,
        quorum: 2,
        validation: ValidationPolicy {
            model: ValidationModel::CanonicalQuorum,
            offer_cids: vec![cid(10), cid(11), cid(12), cid(13)],
            threshold: 3,
        },
        payment: vec![PaymentOption {
            rail: t("simulated"),
            network: network(),
            asset: address(0xaa),
            budget: Amount::from(10_000),
            direct: None,
            refund_to: address(0xbb),
            rent_to: None,
            validator_set: hex32(0xcc),
            gateway_fee_bps: Bps::new(100).unwrap(),
            gateway_fee_payee: Some(address(0xdd)),
            validator_fee_cap: Amount::from(100),
            salt: hex32(0xee),
        }],
        on_silence: OnSilence::Refund,
        access_hash: hex32(0x11),
        publish: false,
    }
}

pub(crate) fn task_announcement() -> TaskAnnouncement {
    TaskAnnouncement {
        object_version: 1,
        task_id: cid(20),
        terms_hash: hex32(1),
        gateway: id(GATEWAY),
        node_id: t("12D3KooWGateway"),
        addresses: vec![t("/ip4/127.0.0.1/udp/4003/quic-v1")],
        manifest_cid: cid(1),
        capability_id: t("web.page_to_markdown@1"),
        mode: Mode::Single,
        fanout: 1,
        network: network(),
        asset: address(0xaa),
        max_price: Amount::from(9_000),
        worker: None,
        bid_until_ms: ms(NOW + 500),
        deadline_ms: ms(NOW + 15_000),
        expires_at_ms: ms(NOW + 1_000),
    }
}

pub(crate) fn bid() -> Bid {
    Bid {
        object_version: 1,
        worker: id(WORKER),
        task_id: cid(20),
        terms_hash: hex32(1),
        network: network(),
        price: Amount::from(900),
        payout: payout(),
        valid_until_ms: ms(NOW + 5_000),
        seq: 1,
        node_id: t("12D3KooWWorker"),
        addresses: vec![t("/ip4/127.0.0.1/tcp/4001")],
    }
}

pub(crate) fn bid_ack() -> BidAck {
    BidAck {
        object_version: 1,
        gateway: id(GATEWAY),
        task_id: cid(20),
        bid_cid: cid(21),
        at_ms: ms(NOW),
    }
}

pub(crate) fn lease() -> Lease {
    Lease {
        object_version: 1,
        gateway: id(GATEWAY),
        network: network(),
        task_id: cid(20),
        terms_hash: hex32(1),
        worker: id(WORKER),
        bid_cid: cid(21),
        price: Amount::from(900),
        payout: payout(),
        attempt: 1,
        lease_index: 0,
        lease_count: 1,
        lease_set_root: lease_set_root(&[(id(WORKER), Amount::from(900))]),
        start_ms: ms(NOW),
        expires_at_ms: ms(NOW + 8_000),
        voucher_cid: None,
    }
}

pub(crate) fn lease_accept() -> LeaseAccept {
    LeaseAccept {
        object_version: 1,
        worker: id(WORKER),
        network: network(),
        task_id: cid(20),
        lease_cid: cid(22),
        at_ms: ms(NOW),
    }
}

pub(crate) fn claim_commit() -> ClaimCommit {
    ClaimCommit {
        object_version: 1,
        worker: id(WORKER),
        network: network(),
        task_id: cid(20),
        lease_cid: cid(22),
        commit: hex32(0x55),
    }
}

pub(crate) fn commit_ack() -> CommitAck {
    CommitAck {
        object_version: 1,
        validator: id(VALIDATOR),
        network: network(),
        task_id: cid(20),
        attempt: 1,
        lease_cid: cid(22),
        commit: hex32(0x55),
        rank: 1,
        at_ms: ms(NOW),
    }
}

pub(crate) fn evidence() -> Vec<Evidence> {
    vec![
        Evidence {
            name: t("snapshot"),
            cid: cid(30),
            bytes: 1_234,
            media_type: t("text/html"),
        },
        Evidence {
            name: t("log"),
            cid: cid(31),
            bytes: 56,
            media_type: t("text/plain; charset=utf-8"),
        },
    ]
}

pub(crate) fn result_claim() -> ResultClaim {
    ResultClaim {
        object_version: 1,
        worker: id(WORKER),
        network: network(),
        task_id: cid(20),
        terms_hash: hex32(1),
        lease_cid: cid(22),
        salt: hex32(0x66),
        output: BlobRef {
            cid: cid(32),
            bytes: 999,
            media_type: t("application/json"),
        },
        evidence: evidence(),
        evidence_root: evidence_root(&evidence()),
        canonical_digest: cid(33),
        units: Amount::from(1),
        runtime_digest: cid(34),
    }
}

pub(crate) fn validation_receipt() -> ValidationReceipt {
    ValidationReceipt {
        object_version: 1,
        validator: id(VALIDATOR),
        network: network(),
        task_id: cid(20),
        terms_hash: hex32(1),
        claim_cid: cid(35),
        verdict: Verdict::Accept,
        score_bps: Bps::new(9_800).unwrap(),
        model: ValidationModel::Scored,
        reasons: vec![t("similarity 9800 ≥ 9000")],
        transcript_digest: cid(36),
        salt: hex32(0x77),
        at_ms: ms(NOW),
    }
}

pub(crate) fn no_more_leases() -> NoMoreLeases {
    NoMoreLeases {
        object_version: 1,
        gateway: id(GATEWAY),
        network: network(),
        task_id: cid(20),
        at_ms: ms(NOW),
    }
}

pub(crate) fn inventory() -> Inventory {
    Inventory {
        object_version: 1,
        validator: id(VALIDATOR),
        network: network(),
        task_id: cid(20),
        terms_hash: hex32(1),
        acks: vec![cid(40), cid(41)],
        commits: vec![cid(42)],
        claims: vec![cid(43)],
        receipts: vec![cid(44)],
        leases: vec![cid(22)],
        deposit_late: false,
        at_ms: ms(NOW),
        seq: 1,
    }
}

pub(crate) fn ready() -> Ready {
    Ready {
        object_version: 1,
        validator: id(VALIDATOR),
        network: network(),
        task_id: cid(20),
        terms_hash: hex32(1),
        round: 1,
        digest: hex32(0x88),
        inputs_root: hex32(0x99),
        receipt_cid: cid(50),
    }
}

pub(crate) fn settlement_proof() -> SettlementProof {
    SettlementProof {
        object_version: 1,
        observer: id(GATEWAY),
        receipt_cid: cid(50),
        network: network(),
        transaction: address(0x12),
        block_or_slot: 77,
        log_index: Some(3),
        finality: Finality::Finalized,
        paid: vec![PaidRow {
            payee: address(0x44),
            amount: Amount::from(855),
            kind: PaidKind::Worker,
        }],
        residual: Amount::from(9_100),
        at_ms: ms(NOW),
    }
}

pub(crate) fn reputation_event() -> ReputationEvent {
    ReputationEvent {
        object_version: 1,
        observer: id(GATEWAY),
        subject: id(WORKER),
        kind: ReputationKind::ClaimRejected,
        task_id: cid(20),
        evidence_cid: cid(44),
        at_ms: ms(NOW),
    }
}

pub(crate) fn deprecation_record() -> DeprecationRecord {
    DeprecationRecord {
        object_version: 1,
        author: id(AUTHOR),
        manifest_cid: cid(1),
        reason: t("Superseded."),
        successor: Some(cid(2)),
        seq: 2,
        at_ms: ms(NOW),
    }
}

pub(crate) fn settlement_receipt() -> SettlementReceipt {
    SettlementReceipt {
        object_version: 1,
        terms_hash: hex32(1),
        network: network(),
        verifier: address(0),
        task_id: cid(20),
        outcome: Outcome::Paid,
        rows: vec![
            ReceiptRow {
                payee: address(0x44),
                role: RowRole::Worker,
                amount: Amount::from(900),
            },
            ReceiptRow {
                payee: address(0x45),
                role: RowRole::Validator,
                amount: Amount::from(10),
            },
        ],
        commission: Amount::from(45),
        gateway_fee: Amount::from(9),
        claim_cids: vec![cid(35)],
        validation_receipt_cids: vec![cid(44)],
        lease_set_roots: vec![hex32(0x22)],
    }
}

pub(crate) fn signed_receipt() -> SignedReceipt {
    let signature = |set_index: u8| IndexedSignature {
        set_index,
        signature: [set_index; 64].into(),
    };
    SignedReceipt::new(settlement_receipt(), vec![signature(0), signature(2)]).unwrap()
}

fn sign<T: Payload>(payload: T, seed: u8) -> AnySigned
where
    AnySigned: From<Signed<T>>,
{
    assert_eq!(payload.object_version(), T::VERSION);
    Signed::sign(payload, &key(seed)).unwrap().into()
}

/// One of each kind.
pub(crate) fn all() -> Vec<AnySigned> {
    vec![
        sign(manifest(), AUTHOR),
        sign(registration(), AUTHOR),
        sign(namespace_proof(id(BUYER).into()), BUYER),
        sign(provider_record(), WORKER),
        sign(node_offer(), WORKER),
        sign(validator_offer(), VALIDATOR),
        sign(task_intent(), BUYER),
        sign(task_announcement(), GATEWAY),
        sign(bid(), WORKER),
        sign(bid_ack(), GATEWAY),
        sign(lease(), GATEWAY),
        sign(lease_accept(), WORKER),
        sign(claim_commit(), WORKER),
        sign(commit_ack(), VALIDATOR),
        sign(result_claim(), WORKER),
        sign(validation_receipt(), VALIDATOR),
        sign(no_more_leases(), GATEWAY),
        sign(inventory(), VALIDATOR),
        sign(ready(), VALIDATOR),
        sign(settlement_proof(), GATEWAY),
        sign(reputation_event(), GATEWAY),
        sign(deprecation_record(), AUTHOR),
    ]
}

fn envelope_text(payload: &Value, kind: &str, signer: &str, signature: &str) -> Vec<u8> {
    canonical::to_bytes(&serde_json::json!({
        "payload": payload, "payloadType": kind, "signer": signer, "signature": signature,
    }))
}

/// Signs the pre-image of `payload` as if it were of this kind, version and network.
pub(crate) fn forge(
    payload: &Value,
    kind: &str,
    version: u16,
    network: Option<&Caip2>,
    key: &SigningKey,
) -> Vec<u8> {
    let signer = Ed25519Id::from(key);
    let digest = canonical::digest(payload);
    let message = preimage(kind, version, network, &signer.into(), &digest);
    envelope_text(
        payload,
        &format!("d402.{kind}"),
        &signer.to_string(),
        &hex::encode(key.sign(&message).to_bytes()),
    )
}
