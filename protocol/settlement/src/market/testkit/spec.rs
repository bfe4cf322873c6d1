//! What a task of a test looks like.

use d402_objects::{
    Caip2, CapabilityId, Determinism, Ed25519Id, Manifest, Mode, NetworkPermission, OnSilence,
    Performance, Permissions, ValidationModel,
};

use super::key;
use crate::market::SIMULATED_NETWORK;

/// A task of a test; change fields before building a [`Scene`](super::Scene) from it.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// Single, race or quorum.
    pub mode: Mode,
    /// Leases of the set.
    pub fanout: u8,
    /// Equal results needed.
    pub quorum: u8,
    /// Threshold.
    pub m: u8,
    /// Validators.
    pub n: u8,
    /// Attempts of single.
    pub max_attempts: u8,
    /// Base units.
    pub budget: u64,
    /// What every worker bids.
    pub price: u64,
    /// What every validator asks.
    pub validator_fee: u64,
    /// Most for all validators.
    pub validator_fee_cap: u64,
    /// Creator's share.
    pub commission_bps: u16,
    /// Gateway's share.
    pub gateway_fee_bps: u16,
    /// What silence means.
    pub on_silence: OnSilence,
    /// When the intent is issued.
    pub issued_at_ms: u64,
    /// Deadline less issue.
    pub window_ms: u64,
    /// Makes equal specs different tasks.
    pub seed: u64,
    /// Input bytes.
    pub input: Vec<u8>,
    /// How claims are judged.
    pub model: ValidationModel,
    /// What is done; its author must be the author of [`Actors`](super::Actors).
    pub manifest: Manifest,
    /// Whether the buyer signs the intent, else the gateway does for it.
    pub buyer_signs: bool,
    /// Where the money lies.
    pub network: Caip2,
    /// Whether the buyer pays the first worker straight.
    pub direct: bool,
}

impl TaskSpec {
    /// One worker, m of n validators.
    #[must_use]
    pub fn single(m: u8, n: u8) -> Self {
        Self {
            mode: Mode::Single,
            fanout: 1,
            quorum: 1,
            m,
            n,
            max_attempts: 2,
            budget: 100_000,
            price: 10_000,
            validator_fee: 500,
            validator_fee_cap: 10_000,
            commission_bps: 1_000,
            gateway_fee_bps: 200,
            on_silence: OnSilence::Refund,
            issued_at_ms: 1_795_000_000_000,
            window_ms: 30_000,
            seed: 0,
            input: br#"{"text":"hello"}"#.to_vec(),
            model: ValidationModel::Exact,
            manifest: echo_manifest(),
            buyer_signs: true,
            network: SIMULATED_NETWORK.parse().unwrap(),
            direct: false,
        }
    }

    /// The first worker is paid straight and whole, once m of n validators accept its work.
    #[must_use]
    pub fn direct(m: u8, n: u8) -> Self {
        Self {
            direct: true,
            max_attempts: 1,
            price: 100_000,
            validator_fee: 0,
            validator_fee_cap: 0,
            commission_bps: 0,
            gateway_fee_bps: 0,
            ..Self::single(m, n)
        }
    }

    /// Two workers race.
    #[must_use]
    pub fn race(m: u8, n: u8) -> Self {
        Self {
            mode: Mode::Race,
            fanout: 2,
            max_attempts: 1,
            ..Self::single(m, n)
        }
    }

    /// Three workers, two must agree.
    #[must_use]
    pub fn quorum(m: u8, n: u8) -> Self {
        Self {
            mode: Mode::Quorum,
            fanout: 3,
            quorum: 2,
            max_attempts: 1,
            ..Self::single(m, n)
        }
    }

    /// The same task paid on another network; its wallets and keys follow.
    #[must_use]
    pub fn on(mut self, network: &str) -> Self {
        self.network = network.parse().unwrap();
        self
    }

    /// The same task with another number in its nonce and salt.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// A capability that returns its input.
#[must_use]
pub fn echo_manifest() -> Manifest {
    let capability_id: CapabilityId = "test.echo@1".parse().unwrap();
    Manifest {
        object_version: 1,
        author: Ed25519Id::from(&key("author", 0)),
        id: capability_id.id().parse().unwrap(),
        version: capability_id.version().parse().unwrap(),
        capability_id,
        description: "Returns its input.".parse().unwrap(),
        input_schema: serde_json::json!({"type": "object"}),
        output_schema: serde_json::json!({"type": "object"}),
        determinism: Determinism::Exact,
        permissions: Permissions {
            network: NetworkPermission { hosts: Vec::new() },
            browser: false,
            cpu_ms: 1_000,
            memory_bytes: 64 * 1024 * 1024,
            timeout_ms: 1_000,
            output_bytes: 1024 * 1024,
        },
        evidence: Vec::new(),
        validation_models: vec![ValidationModel::Exact],
        decision_time_s: 60,
        pricing_units: "call".parse().unwrap(),
        performance: Performance::default(),
        tags: vec!["test".parse().unwrap()],
        similarity: None,
        implementation_cid: None,
    }
}
