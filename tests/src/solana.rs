//! A market on a Solana cluster of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use d402_node::buyer::{GatewayClient, SolanaWallet, Wallet, Wishes};
use d402_node::config::{NodeConfig, Role, SolanaRail, ValidatorRail};
use d402_node::{cli, keys};
use d402_objects::{Amount, Bps, Commission, Ed25519Id, Hex32, Mode, OnSilence, SigningKey};
use d402_rails::svm::SolanaKey;
use d402_rails::svm::devnet::{Devnet, DevnetOptions, USDC};
use d402_settlement::market::{SOLANA_DEVNET, SOLANA_DEVNET_NETWORK};
use d402_svm::{Address, Chain, ChainOptions, Finality};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::processes::Node;
use crate::{eventually, jq, now_ms};

/// How long until the gateway knows everybody, on a busy machine.
const SELLS: Duration = Duration::from_secs(90);

/// A running market on a running cluster.
pub struct SolanaMarket {
    gateway: Node,
    others: Vec<Node>,
    origins: Vec<String>,
    /// Who buys.
    pub buyer: Wallet,
    /// The cluster.
    pub devnet: Devnet,
    home: Option<tempfile::TempDir>,
}

fn seed(label: &str) -> [u8; 32] {
    Sha256::digest(format!("d402 solana test account of {label}")).into()
}

fn account(label: &str) -> String {
    SolanaKey::from_secret(&seed(label)).address().to_string()
}

/// A key file of the Solana tools.
fn key_file(folder: &Path, label: &str) -> PathBuf {
    let pair = [
        seed(label),
        SolanaKey::from_secret(&seed(label)).address().to_bytes(),
    ]
    .concat();
    let path = folder.join(format!("{label}.json"));
    let text = serde_json::to_vec(&pair).expect("JSON");
    std::fs::write(&path, text).expect("a file can be written");
    path
}

impl SolanaMarket {
    /// One gateway, four validators, a buyer with ten dollars, and so many workers.
    pub async fn start(workers: usize) -> Self {
        let devnet = Devnet::start(DevnetOptions::default()).await;
        let devnet = devnet.expect("a development cluster");
        let home = tempfile::Builder::new()
            .prefix("d402-solana-")
            .tempdir()
            .expect("a temporary folder");
        let state = home.path();
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        config.import = vec![sign_capabilities(state)];
        let mut bootstrap = Node::start("bootstrap", config);
        let address = bootstrap.ready().await["addresses"][0].clone();
        let address = address.as_str().expect("an address").to_owned();
        let mut paid = vec!["creator".to_owned(), "gateway".to_owned()];
        let mut others = Vec::new();
        for index in 0..4 {
            let label = format!("validator-{index}");
            others.push(validator(state, &address, devnet.url(), &label));
            paid.push(label);
        }
        for index in 0..workers {
            let label = format!("worker-{index}");
            others.push(worker(state, &address, &label));
            paid.push(label);
        }
        for label in &paid {
            let wallet: Address = account(label).parse().expect("an address");
            let opened = devnet.open_tokens(&wallet).await;
            opened.expect("a token account");
        }
        let mut gateway = gateway(state, &address, &devnet).await;
        for node in &mut others {
            node.ready().await;
        }
        let origin = gateway.ready().await["http"].clone();
        let origins = vec![origin.as_str().expect("an origin").to_owned()];
        let buyer = buyer(&devnet).await;
        others.push(bootstrap);
        let market = Self {
            gateway,
            others,
            origins,
            buyer,
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

    /// The buyer's secret key.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        seed("buyer")
    }

    /// Process of the gateway.
    #[must_use]
    pub fn gateway_pid(&self) -> u32 {
        self.gateway.pid()
    }

    /// Secret of the key that pays fees.
    #[must_use]
    pub fn fees_secret() -> [u8; 32] {
        seed("fees")
    }

    /// A wallet by what it does in the market: `worker-0`, `gateway`, `creator`.
    #[must_use]
    pub fn wallet(role: &str) -> String {
        account(role)
    }

    /// Lamports of the key that pays fees and lends rent.
    pub async fn lamports(&self) -> u64 {
        let fees: Address = account("fees").parse().expect("an address");
        let lamports = self.devnet.chain().lamports(&fees).await;
        lamports.expect("the chain answers")
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

    /// A cluster on which nothing happened.
    pub async fn empty_chain() -> Devnet {
        let devnet = Devnet::start(DevnetOptions::default()).await;
        devnet.expect("a development cluster")
    }

    /// A single-mode jq task.
    #[must_use]
    pub fn wishes(&self, seed: u64, deadline_ms: u64) -> Wishes {
        let budget = Amount::from(12_000_u64);
        Wishes {
            worker: None,
            capability_id: "json.transform@1".to_owned(),
            input: jq(seed),
            mode: Some(Mode::Single),
            fanout: Some(1),
            quorum: Some(1),
            max_budget: budget,
            budget: Some(budget),
            deadline_ms: Some(deadline_ms),
            refund_to: self.buyer.account(),
            network: SOLANA_DEVNET_NETWORK.to_owned(),
            validators: Vec::new(),
            min_set: (4, 3),
            max_gateway_fee_bps: 500,
            max_commission_bps: 2_000,
            on_silence: OnSilence::Refund,
            access_hash: Hex32::from_bytes([0; 32]),
        }
    }

    /// Units of a wallet, in its canonical account.
    pub async fn units(&self, account: &str) -> u64 {
        let wallet = account.parse().expect("an address");
        self.devnet.units(&wallet).await.expect("the chain answers")
    }

    /// Units of the buyer.
    pub async fn purse(&self) -> u64 {
        self.units(&self.buyer.account()).await
    }

    /// The key file of somebody who has lamports and nothing to do with anything.
    pub async fn stranger(&self, folder: &Path) -> String {
        let stranger: Address = account("stranger").parse().expect("an address");
        let given = self.devnet.give_gas(&stranger).await;
        given.expect("lamports");
        key_file(folder, "stranger").display().to_string()
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

impl Drop for SolanaMarket {
    fn drop(&mut self) {
        self.others.clear();
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("logs of all nodes: {}", home.keep().display());
        }
    }
}

async fn buyer(devnet: &Devnet) -> Wallet {
    let key = SolanaKey::from_secret(&seed("buyer"));
    devnet.give_gas(&key.address()).await.expect("lamports");
    let purse = devnet.give(&key.address(), 10_000_000).await;
    purse.expect("money");
    let mut options = ChainOptions::solana(SOLANA_DEVNET);
    options.finality = Finality::DEVELOPMENT;
    let chain = Chain::new(&[devnet.url().to_owned()], options).expect("a URL");
    let network = SOLANA_DEVNET_NETWORK.to_owned();
    Wallet::Solana(SolanaWallet::new(key, network, chain))
}

fn config(state: &Path, address: &str, (label, role): (&str, Role)) -> NodeConfig {
    let mut config = NodeConfig::at(state.join(label));
    config.bootstrap = vec![address.to_owned()];
    config.roles = vec![role];
    config
}

fn validator(state: &Path, address: &str, rpc: &str, label: &str) -> Node {
    let mut config = config(state, address, (label, Role::Validator));
    config.validator.rails.push(ValidatorRail {
        network: SOLANA_DEVNET_NETWORK.to_owned(),
        rpc: rpc.to_owned(),
        second_rpc: None,
        development: true,
        payout: account(label),
        fee: "300".to_owned(),
        asset: Some(USDC.to_string()),
    });
    Node::start(label, config)
}

fn worker(state: &Path, address: &str, label: &str) -> Node {
    let mut config = config(state, address, (label, Role::Worker));
    let sold = d402_capabilities::capabilities().iter();
    config.worker.prices = sold
        .map(|c| (c.manifest().capability_id().to_owned(), "5000".to_owned()))
        .collect();
    config.worker.payouts = [(SOLANA_DEVNET_NETWORK.to_owned(), account(label))].into();
    config.worker.max_running = Some(16);
    Node::start(label, config)
}

async fn gateway(state: &Path, address: &str, devnet: &Devnet) -> Node {
    let mut config = config(state, address, ("gateway", Role::Gateway));
    std::fs::create_dir_all(&config.state_dir).expect("a folder");
    let fees: Address = account("fees").parse().expect("an address");
    devnet.give_gas(&fees).await.expect("lamports");
    // Fixed ports: a restarted gateway is found where it was.
    config.listen = vec![format!("/ip4/127.0.0.1/tcp/{}", free_port())];
    config.gateway.http = Some(([127, 0, 0, 1], free_port()).into());
    config.gateway.solana.push(SolanaRail {
        network: SOLANA_DEVNET_NETWORK.to_owned(),
        rpc: devnet.url().to_owned(),
        second_rpc: None,
        key: key_file(&config.state_dir, "fees"),
        asset: USDC.to_string(),
        asset_name: "USDC".to_owned(),
        lookup_table: None,
        min_budget: Some(Amount::from(1_000_u64)),
        max_budget: None,
        daily_lamports: None,
        open_vaults: true,
        development: true,
    });
    config.gateway.policy = serde_json::from_value(json!({
        "gateway-fee-bps": 200,
        "gateway-fee-payees": { SOLANA_DEVNET_NETWORK: account("gateway") },
        "validator-set-size": 4,
        "validator-threshold": 3,
    }))
    .expect("a policy");
    Node::start("gateway", config)
}

/// The creator signs every built-in manifest and registers it with a commission of 10 %.
fn sign_capabilities(state: &Path) -> PathBuf {
    let key: SigningKey = keys::create(&state.join("creator.key")).expect("a key can be made");
    let mut objects = Vec::new();
    for listed in d402_capabilities::capabilities() {
        let template = listed.manifest_template().as_bytes();
        let manifest = cli::manifest_of(template, Ed25519Id::from(&key)).expect("a manifest");
        let network = SOLANA_DEVNET_NETWORK.parse().expect("a network");
        let wallet = account("creator").parse().expect("an address");
        let commission = Commission {
            bps: Bps::new(1_000).expect("within bounds"),
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
