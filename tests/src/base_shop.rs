//! A market on loopback that is paid on Base: a development chain, validators, workers, one gateway.

use std::path::{Path, PathBuf};
use std::time::Duration;

use d402_node::buyer::{GatewayClient, Wallet};
use d402_node::config::{GatewayRail, NodeConfig, Role, ValidatorRail, WorkerDirect};
use d402_objects::Amount;
use d402_rails::evm::EvmKey;
use d402_rails::evm::devnet::{Devnet, DevnetOptions, USDC};
use d402_settlement::market::BASE_SEPOLIA_NETWORK;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::eventually;
use crate::market::{free_port, sign_capabilities};
use crate::processes::Node;

/// How long until the gateway knows everybody, on a busy machine.
const SELLS: Duration = Duration::from_secs(90);
/// What every validator asks per task, base units.
const FEE: &str = "300";
/// What a worker asks.
const PRICE: &str = "5000";
/// What a worker that is paid straight gets.
pub const DIRECT_PRICE: u64 = 7_000;
/// A budget every task may have.
const BUDGET: u64 = 100_000;
const PASSWORD: &str = "test";
const VALIDATORS: [&str; 4] = ["validator-0", "validator-1", "validator-2", "validator-3"];

/// A market to start.
#[derive(Clone, Copy, Debug)]
pub struct BasePlan {
    /// What the buyer gets, base units.
    pub purse: u64,
    /// How many workers. The last of several lies when they are paid straight.
    pub workers: usize,
    /// Workers are paid straight: nobody else has a share.
    pub direct: bool,
}

/// A running market; everything is ended when it is dropped, the chain last.
pub struct BaseShop {
    gateway: Node,
    nodes: Vec<Node>,
    /// Origin of the gateway.
    pub origin: String,
    /// Who buys: secret key.
    pub secret: [u8; 32],
    /// The chain.
    pub devnet: Devnet,
    home: Option<tempfile::TempDir>,
}

/// Account of a label: `worker-0`, `validator-3`, `creator`, `gateway`, `buyer`.
#[must_use]
pub fn evm_account_of(label: &str) -> String {
    format!("{:#x}", key_of(label).address())
}

/// Body of a request for a task that every honest worker can do; `seed` makes inputs differ.
#[must_use]
pub fn base_task(budget: u64, seed: u64) -> Value {
    json!({
        "capabilityId": "json.transform@1",
        "input": crate::jq(seed),
        "mode": "single",
        "budget": budget.to_string(),
        "deadlineMs": 60_000,
        "refundTo": { BASE_SEPOLIA_NETWORK: evm_account_of("buyer") },
    })
}

/// Key of the worker with this account, once the gateway knows its offer of everything there is to sell.
pub(crate) async fn straight_worker(origin: &str, account: &str) -> String {
    let client = GatewayClient::new(origin).expect("an origin");
    let all = d402_capabilities::capabilities().len();
    eventually("the gateway knows the worker's offer", SELLS, || async {
        let answer = client.get_json("/capabilities", None).await.ok()?;
        let offers = answer["nodeOffers"].as_array()?.clone();
        let own = |offer: &&Value| {
            let payload = &offer["payload"];
            let sells = payload["manifestCids"].as_array().map_or(0, Vec::len);
            payload["payouts"][BASE_SEPOLIA_NETWORK].as_str() == Some(account) && sells >= all
        };
        let offer = offers.iter().find(own)?;
        offer["payload"]["worker"].as_str().map(str::to_owned)
    })
    .await
}

fn secret_of(label: &str) -> [u8; 32] {
    Sha256::digest(format!("d402 test account of {label}")).into()
}

fn key_of(label: &str) -> EvmKey {
    EvmKey::from_secret(&secret_of(label)).expect("a key")
}

impl BaseShop {
    /// Starts everything and waits until the gateway can sell.
    pub async fn start(
        BasePlan {
            purse,
            workers,
            direct,
        }: BasePlan,
    ) -> Self {
        let options = DevnetOptions {
            block_time: Some(1),
        };
        let devnet = Devnet::start(options).await.expect("a development chain");
        let home = tempfile::Builder::new()
            .prefix("d402-base-")
            .tempdir()
            .expect("a temporary folder");
        let state = home.path();
        let commission = (BASE_SEPOLIA_NETWORK, evm_account_of("creator"));
        let bps = if direct { 0 } else { 1_000 };
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        config.import = vec![sign_capabilities(state, commission, bps)];
        let mut bootstrap = Node::start("bootstrap", config);
        let address = bootstrap.ready().await["addresses"][0].clone();
        let plan = Plan {
            state,
            bootstrap: address.as_str().expect("an address").to_owned(),
            rpc: devnet.url(),
            direct,
        };
        let mut nodes: Vec<Node> = VALIDATORS.iter().map(|l| plan.validator(l)).collect();
        nodes.extend((0..workers).map(|index| {
            let lies = direct && index > 0 && index + 1 == workers;
            plan.worker(&format!("worker-{index}"), lies)
        }));
        devnet
            .give_gas(key_of("gas").address())
            .await
            .expect("gas money");
        let mut gateway = plan.gateway();
        for node in &mut nodes {
            node.ready().await;
        }
        let origin = gateway.ready().await["http"].clone();
        nodes.push(bootstrap);
        let buyer = key_of("buyer").address();
        devnet.give(buyer, purse).await.expect("money");
        let market = Self {
            gateway,
            nodes,
            origin: origin.as_str().expect("an origin").to_owned(),
            secret: secret_of("buyer"),
            devnet,
            home: Some(home),
        };
        market.sells().await;
        if direct {
            market.worker("worker-0").await;
        }
        market
    }

    /// Key of a worker that lets itself be paid straight, once the gateway knows its offer.
    pub async fn worker(&self, label: &str) -> String {
        straight_worker(&self.origin, &evm_account_of(label)).await
    }

    /// The buyer as our own client has it.
    #[must_use]
    pub fn wallet(&self) -> Wallet {
        Wallet::Evm {
            key: key_of("buyer"),
            network: BASE_SEPOLIA_NETWORK.to_owned(),
        }
    }

    /// Process id of the gateway.
    #[must_use]
    pub fn gateway_pid(&self) -> u32 {
        self.gateway.pid()
    }

    /// Units an account holds.
    pub async fn units(&self, account: &str) -> u128 {
        let address = account.parse().expect("an account");
        self.devnet.units(address).await.expect("a balance")
    }

    /// The gateway's validators as members of a set, from their signed offers beside a 402.
    pub async fn members(&self) -> Vec<Value> {
        let answer = reqwest::Client::new()
            .post(format!("{}/tasks", self.origin))
            .json(&base_task(BUDGET, 0))
            .send()
            .await
            .expect("an answer");
        let offer: Value = answer.json().await.expect("JSON");
        let offers = offer["offers"].as_array().expect("offers of validators");
        let keys = offers.iter().map(|o| &o["payload"]["settlementKey"]["evm"]);
        keys.map(|key| json!({"key": key, "kind": 0})).collect()
    }

    async fn sells(&self) {
        let client = GatewayClient::new(&self.origin).expect("an origin");
        let all = d402_capabilities::capabilities().len();
        let known = |answer: &Value, name: &str| answer[name].as_array().map_or(0, Vec::len);
        eventually("the gateway can sell", SELLS, || async {
            let answer = client.get_json("/capabilities", None).await.ok()?;
            let enough = known(&answer, "capabilities") >= all
                && known(&answer, "validatorOffers") >= VALIDATORS.len();
            enough.then_some(())
        })
        .await;
    }
}

impl Drop for BaseShop {
    fn drop(&mut self) {
        self.gateway.kill();
        self.nodes.clear();
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("logs of all nodes: {}", home.keep().display());
        }
    }
}

/// What all nodes but the first have in common.
struct Plan<'a> {
    state: &'a Path,
    bootstrap: String,
    rpc: &'a str,
    direct: bool,
}

impl Plan<'_> {
    fn config(&self, label: &str, role: Role) -> NodeConfig {
        let mut config = NodeConfig::at(self.state.join(label));
        config.bootstrap = vec![self.bootstrap.clone()];
        config.roles = vec![role];
        config
    }

    fn validator(&self, label: &str) -> Node {
        let mut config = self.config(label, Role::Validator);
        config.validator.rails.push(ValidatorRail {
            network: BASE_SEPOLIA_NETWORK.to_owned(),
            rpc: self.rpc.to_owned(),
            second_rpc: None,
            development: true,
            payout: evm_account_of(label),
            fee: if self.direct { "0" } else { FEE }.to_owned(),
            asset: Some(format!("{USDC:#x}")),
        });
        Node::start(label, config)
    }

    fn worker(&self, label: &str, lies: bool) -> Node {
        let mut config = self.config(label, Role::Worker);
        let sold = d402_capabilities::capabilities().iter();
        config.worker.prices = sold
            .map(|c| {
                let capability = c.manifest().capability_id().to_owned();
                (capability, PRICE.to_owned())
            })
            .collect();
        config.worker.payouts = [(BASE_SEPOLIA_NETWORK.to_owned(), evm_account_of(label))].into();
        if self.direct {
            config.worker.direct.push(WorkerDirect {
                network: BASE_SEPOLIA_NETWORK.to_owned(),
                asset: format!("{USDC:#x}"),
                price: DIRECT_PRICE.into(),
            });
        }
        config.worker.behaviour = lies.then(|| "lie".to_owned());
        Node::start(label, config)
    }

    fn gateway(&self) -> Node {
        let mut config = self.config("gateway", Role::Gateway);
        config.gateway.http = Some(([127, 0, 0, 1], free_port()).into());
        config.gateway.policy = serde_json::from_value(json!({
            "gateway-fee-bps": if self.direct { 0 } else { 200 },
            "gateway-fee-payees": { BASE_SEPOLIA_NETWORK: evm_account_of("gateway") },
            "validator-set-size": 4,
            "validator-threshold": 3,
        }))
        .expect("a policy");
        let escrow = self.rail(&config.state_dir);
        if self.direct {
            // The same key pays the gas of both.
            config.gateway.rails.push(GatewayRail {
                name: "base-direct".to_owned(),
                ..escrow.clone()
            });
        }
        config.gateway.rails.push(escrow);
        Node::start("gateway", config)
    }

    fn rail(&self, state: &Path) -> GatewayRail {
        std::fs::create_dir_all(state).expect("a folder can be made");
        let file = |name: &str| -> PathBuf { state.join(name) };
        let (keystore, password_file) = (file("gas.json"), file("gas.password"));
        std::fs::write(&password_file, PASSWORD).expect("a file can be written");
        EvmKey::create(&secret_of("gas"), &keystore, PASSWORD).expect("a keystore");
        GatewayRail {
            name: "base-escrow".to_owned(),
            network: BASE_SEPOLIA_NETWORK.to_owned(),
            rpc: self.rpc.to_owned(),
            second_rpc: None,
            keystore,
            password_file,
            asset: format!("{USDC:#x}"),
            asset_name: "USDC".to_owned(),
            asset_version: "2".to_owned(),
            min_budget: Some(Amount::from(1_000_u64)),
            max_budget: None,
            max_fee_gwei: None,
            development: true,
        }
    }
}
