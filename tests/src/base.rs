//! A market on a Base chain of this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use d402_node::buyer::{GatewayClient, Wallet, Wishes};
use d402_node::config::{GatewayRail, NodeConfig, Role, ValidatorRail, WorkerDirect};
use d402_node::{cli, keys};
use d402_objects::{Amount, Bps, Commission, Ed25519Id, Hex32, Mode, OnSilence, SigningKey};
use d402_rails::evm::EvmKey;
use d402_rails::evm::devnet::{Devnet, DevnetOptions, USDC};
use d402_settlement::market::{BASE_SEPOLIA_NETWORK, LEDGER};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::base_shop::{DIRECT_PRICE, straight_worker};
use crate::gate::Gate;
use crate::processes::Node;
use crate::{eventually, jq, now_ms};

/// How long until the gateway knows everybody, on a busy machine.
const SELLS: Duration = Duration::from_secs(90);
/// Password of the tests' keystores.
const PASSWORD: &str = "test";

/// A running market; everything is ended when it is dropped, clients before the chain.
pub struct BaseMarket {
    gateway: Node,
    others: Vec<Node>,
    origins: Vec<String>,
    /// Who buys.
    pub buyer: Arc<Wallet>,
    /// The gateway's way to the chain.
    pub gate: Gate,
    /// The chain.
    pub devnet: Devnet,
    home: Option<tempfile::TempDir>,
}

fn key(label: &str) -> EvmKey {
    let seed = Sha256::digest(format!("d402 base test account of {label}"));
    EvmKey::from_secret(&seed.into()).expect("a key")
}

fn account(label: &str) -> String {
    format!("{:#x}", key(label).address())
}

impl BaseMarket {
    /// One gateway, four validators, two workers, a buyer with ten dollars.
    pub async fn start() -> Self {
        Self::with(false).await
    }

    /// The same, and workers are paid straight: nobody else has a share.
    pub async fn direct() -> Self {
        Self::with(true).await
    }

    async fn with(direct: bool) -> Self {
        let options = DevnetOptions {
            block_time: Some(1),
        };
        let devnet = Devnet::start(options).await.expect("a development chain");
        let gate = Gate::start(devnet.url()).await;
        let home = tempfile::Builder::new()
            .prefix("d402-base-")
            .tempdir()
            .expect("a temporary folder");
        let state = home.path();
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        config.import = vec![sign_capabilities(state, direct)];
        let mut bootstrap = Node::start("bootstrap", config);
        let address = bootstrap.ready().await["addresses"][0].clone();
        let address = address.as_str().expect("an address").to_owned();
        let mut others = Vec::new();
        for index in 0..4 {
            others.push(validator(state, &address, devnet.url(), (index, direct)));
        }
        for (index, price) in ["5000", "6000"].into_iter().enumerate() {
            others.push(worker(state, &address, (index, price, direct)));
        }
        let mut gateway = gateway(state, &address, (&devnet, &gate), direct).await;
        for node in &mut others {
            node.ready().await;
        }
        let origin = gateway.ready().await["http"].clone();
        let origins = vec![origin.as_str().expect("an origin").to_owned()];
        let buyer = key("buyer");
        let purse = devnet.give(buyer.address(), 10_000_000).await;
        purse.expect("money");
        others.push(bootstrap);
        let market = Self {
            gateway,
            others,
            origins,
            buyer: Arc::new(Wallet::Evm {
                key: buyer,
                network: BASE_SEPOLIA_NETWORK.to_owned(),
            }),
            gate,
            devnet,
            home: Some(home),
        };
        market.sells().await;
        market
    }

    /// Where the gateway is.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// SIGKILL to the gateway.
    pub fn kill_gateway(&mut self) {
        self.gateway.kill();
    }

    /// Starts the killed gateway on the same state and port, and waits until it is up.
    pub async fn restart_gateway(&mut self) {
        self.gateway.spawn();
        self.gateway.ready().await;
    }

    /// SIGKILL to the gateway, and its return on the same state.
    pub async fn gateway_dies_and_returns(&mut self) {
        self.kill_gateway();
        self.restart_gateway().await;
    }

    /// A chain on which nothing happened.
    pub async fn empty_chain() -> Devnet {
        let options = DevnetOptions { block_time: None };
        Devnet::start(options).await.expect("a development chain")
    }

    /// The same task, paid straight to the first worker.
    pub async fn straight_wishes(&self, seed: u64) -> Wishes {
        let worker = straight_worker(&self.origins[0], &self.straight_account()).await;
        Wishes {
            worker: Some(worker.parse().expect("a key")),
            budget: None,
            max_gateway_fee_bps: 0,
            max_commission_bps: 0,
            ..self.wishes(seed, 30_000)
        }
    }

    /// Where the first worker is paid.
    #[must_use]
    pub fn straight_account(&self) -> String {
        account("worker-0")
    }

    /// A single-mode jq task.
    #[must_use]
    pub fn wishes(&self, seed: u64, deadline_ms: u64) -> Wishes {
        let budget = Amount::from(12_000_u64);
        Wishes {
            capability_id: "json.transform@1".to_owned(),
            input: jq(seed),
            mode: Some(Mode::Single),
            fanout: Some(1),
            quorum: Some(1),
            max_budget: budget,
            budget: Some(budget),
            deadline_ms: Some(deadline_ms),
            refund_to: self.buyer.account(),
            network: BASE_SEPOLIA_NETWORK.to_owned(),
            worker: None,
            validators: Vec::new(),
            min_set: (4, 3),
            max_gateway_fee_bps: 500,
            max_commission_bps: 2_000,
            on_silence: OnSilence::Refund,
            access_hash: Hex32::from_bytes([0; 32]),
        }
    }

    /// Units of an account.
    pub async fn units(&self, account: &str) -> u128 {
        let address = account.parse().expect("an address");
        self.devnet.units(address).await.expect("the chain answers")
    }

    /// Everybody money can go to: buyer, workers, validators, creator, gateway.
    #[must_use]
    pub fn everybody(&self) -> Vec<String> {
        let labels = ["worker-0", "worker-1", "creator", "gateway"];
        let validators = (0..4).map(|index| account(&format!("validator-{index}")));
        let mut all: Vec<String> = labels.map(account).into();
        all.extend(validators);
        all.push(self.buyer.account());
        all
    }

    /// How many transfers of the token an account ever received.
    pub async fn transfers_to(&self, account: &str) -> usize {
        let topic = format!("0x{:0>64}", account.trim_start_matches("0x"));
        let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        let usdc = format!("{USDC:#x}");
        self.logs(&usdc, json!([transfer, null, topic])).await.len()
    }

    /// How often these terms were settled, and how often something was swept.
    pub async fn ends_of(&self, terms_hash: Hex32) -> (usize, usize) {
        // Settled(bytes32,bytes32,uint8,uint256,uint256[]) and Swept(bytes32,address,address,uint256)
        let settled = "0xa5d0f9487be171c560d3c2905a7813147ad963ea3b48cb3642da9b62caf7cb2e";
        let swept = "0xb54a956efa2885f605a691ebaa631db09ff8be97e46f62d97806ce1e88940e29";
        let ledger = format!("0x{}", hex::encode(LEDGER.0));
        let terms = format!("0x{}", hex::encode(terms_hash.as_bytes()));
        let mut counts = [0; 2];
        for (event, count) in [settled, swept].into_iter().zip(&mut counts) {
            *count = self.logs(&ledger, json!([event, terms])).await.len();
        }
        (counts[0], counts[1])
    }

    async fn logs(&self, address: &str, topics: Value) -> Vec<Value> {
        let filter = json!([{
            "fromBlock": "0x0", "toBlock": "latest", "address": address, "topics": topics,
        }]);
        let logs = self.devnet.ask("eth_getLogs", filter).await;
        let logs = logs.expect("the chain answers");
        logs.as_array().cloned().unwrap_or_default()
    }

    /// Writes a keystore with gas money; keystore and password file.
    pub async fn keystore(&self, folder: &Path) -> (String, String) {
        let (store, password) = (folder.join("anybody.json"), folder.join("password"));
        std::fs::write(&password, PASSWORD).expect("a file");
        let seed = Sha256::digest(b"d402 base test account of anybody").into();
        let key = EvmKey::create(&seed, &store, PASSWORD).expect("a keystore");
        self.devnet
            .give_gas(key.address())
            .await
            .expect("gas money");
        (store.display().to_string(), password.display().to_string())
    }

    async fn sells(&self) {
        let client = GatewayClient::new(&self.origins[0]).expect("an origin");
        let all = d402_capabilities::capabilities().len();
        let known = |answer: &Value, name: &str| answer[name].as_array().map_or(0, Vec::len);
        eventually("the gateway can sell", SELLS, || async {
            let answer = client.get_json("/capabilities", None).await.ok()?;
            let enough =
                known(&answer, "capabilities") >= all && known(&answer, "validatorOffers") >= 4;
            enough.then_some(())
        })
        .await;
    }
}

impl Drop for BaseMarket {
    fn drop(&mut self) {
        self.others.clear();
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("logs of all nodes: {}", home.keep().display());
        }
    }
}

fn config(state: &Path, address: &str, (label, role): (&str, Role)) -> NodeConfig {
    let mut config = NodeConfig::at(state.join(label));
    config.bootstrap = vec![address.to_owned()];
    config.roles = vec![role];
    config
}

fn validator(state: &Path, address: &str, rpc: &str, (index, direct): (u32, bool)) -> Node {
    let label = format!("validator-{index}");
    let mut config = config(state, address, (&label, Role::Validator));
    config.validator.rails.push(ValidatorRail {
        network: BASE_SEPOLIA_NETWORK.to_owned(),
        rpc: rpc.to_owned(),
        second_rpc: None,
        development: true,
        payout: account(&label),
        fee: if direct { "0" } else { "300" }.to_owned(),
        asset: Some(format!("{USDC:#x}")),
    });
    Node::start(&label, config)
}

fn worker(state: &Path, address: &str, (index, price, direct): (usize, &str, bool)) -> Node {
    let label = format!("worker-{index}");
    let mut config = config(state, address, (&label, Role::Worker));
    let sold = d402_capabilities::capabilities().iter();
    config.worker.prices = sold
        .map(|c| (c.manifest().capability_id().to_owned(), price.to_owned()))
        .collect();
    config.worker.payouts = [(BASE_SEPOLIA_NETWORK.to_owned(), account(&label))].into();
    if direct {
        config.worker.direct.push(WorkerDirect {
            network: BASE_SEPOLIA_NETWORK.to_owned(),
            asset: format!("{USDC:#x}"),
            price: DIRECT_PRICE.into(),
        });
    }
    config.worker.max_running = Some(16);
    Node::start(&label, config)
}

async fn gateway(
    state: &Path,
    address: &str,
    (devnet, gate): (&Devnet, &Gate),
    direct: bool,
) -> Node {
    let mut config = config(state, address, ("gateway", Role::Gateway));
    std::fs::create_dir_all(&config.state_dir).expect("a folder");
    let keystore = config.state_dir.join("gas.json");
    let password_file = config.state_dir.join("gas.password");
    std::fs::write(&password_file, PASSWORD).expect("a file");
    let seed = Sha256::digest(b"d402 base test gas").into();
    let gas = EvmKey::create(&seed, &keystore, PASSWORD).expect("a keystore");
    devnet.give_gas(gas.address()).await.expect("gas money");
    // Fixed ports: a restarted gateway is found where it was.
    config.listen = vec![format!("/ip4/127.0.0.1/tcp/{}", free_port())];
    config.gateway.http = Some(([127, 0, 0, 1], free_port()).into());
    let escrow = GatewayRail {
        name: "base-escrow".to_owned(),
        network: BASE_SEPOLIA_NETWORK.to_owned(),
        rpc: gate.url.clone(),
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
    };
    if direct {
        // The same key pays the gas of both.
        config.gateway.rails.push(GatewayRail {
            name: "base-direct".to_owned(),
            ..escrow.clone()
        });
    }
    config.gateway.rails.push(escrow);
    config.gateway.policy = serde_json::from_value(json!({
        "gateway-fee-bps": if direct { 0 } else { 200 },
        "gateway-fee-payees": { BASE_SEPOLIA_NETWORK: account("gateway") },
        "validator-set-size": 4,
        "validator-threshold": 3,
    }))
    .expect("a policy");
    Node::start("gateway", config)
}

/// The creator signs every built-in manifest and registers it with a commission of 10 %.
fn sign_capabilities(state: &Path, direct: bool) -> std::path::PathBuf {
    let key: SigningKey = keys::create(&state.join("creator.key")).expect("a key can be made");
    let mut objects = Vec::new();
    for listed in d402_capabilities::capabilities() {
        let template = listed.manifest_template().as_bytes();
        let manifest = cli::manifest_of(template, Ed25519Id::from(&key)).expect("a manifest");
        let network = BASE_SEPOLIA_NETWORK.parse().expect("a network");
        let wallet = account("creator").parse().expect("an address");
        let commission = Commission {
            bps: Bps::new(if direct { 0 } else { 1_000 }).expect("within bounds"),
            wallets: [(network, wallet)].into(),
        };
        let namespace = "d402.test".parse().expect("a namespace");
        let (manifest, registration) =
            cli::register(&key, manifest, namespace, commission, now_ms()).expect("a registration");
        objects.extend([manifest.to_value(), registration.to_value()]);
    }
    let path = state.join("capabilities.json");
    cli::write_json(&path, &Value::Array(objects)).expect("a file can be written");
    path
}

/// A port nobody listens on right now.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
        .port()
}
