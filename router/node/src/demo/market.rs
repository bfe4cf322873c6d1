//! The demo's market: who takes part, at which price, and how all of them are started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use d402_objects::{Bps, Commission, Ed25519Id, SigningKey};
use serde_json::{Value, json};

use super::money::Money;
use super::pages::Pages;
use super::processes::{Processes, START, free_port};
use crate::buyer::Wallet;
use crate::cli::{Failure, Output};
use crate::config::{NodeConfig, Role};
use crate::keys;

/// Units given to the buyer: ten dollars.
const PURSE: u64 = 10_000_000;
/// Creator's share of worker pay.
const COMMISSION_BPS: u16 = 1_000;
/// What every validator asks per task.
const VALIDATOR_FEE: &str = "300";

/// A worker or validator of the demo.
pub(super) struct Actor {
    /// What people call it.
    pub(super) label: &'static str,
    /// Where it is paid.
    pub(super) payee: String,
    /// Whether it is told to lie.
    pub(super) lies: bool,
}

/// A running market.
pub(super) struct Market {
    processes: Processes,
    /// Workers, cheapest first.
    pub(super) workers: Vec<Actor>,
    /// Validators.
    pub(super) validators: Vec<Actor>,
    /// Creator's payout account.
    pub(super) creator: String,
    /// Gateway's fee account.
    pub(super) gateway_payee: String,
    /// Gateway origin.
    pub(super) gateway: String,
    /// Who buys.
    pub(super) buyer: Wallet,
    /// What is paid with.
    pub(super) money: Money,
    /// Where bundles are kept.
    pub(super) bundles: PathBuf,
}

struct WorkerPlan {
    label: &'static str,
    price: &'static str,
    behaviour: &'static str,
}

/// The liar undercuts everybody, so that it gets the first lease; the slow one is second.
const WORKERS: [WorkerPlan; 4] = [
    WorkerPlan {
        label: "worker-liar",
        price: "5000",
        behaviour: "lie",
    },
    WorkerPlan {
        label: "worker-slow",
        price: "6000",
        behaviour: "slow:1500",
    },
    WorkerPlan {
        label: "worker-ann",
        price: "7000",
        behaviour: "honest",
    },
    WorkerPlan {
        label: "worker-bob",
        price: "8000",
        behaviour: "honest",
    },
];

const VALIDATORS: [(&str, &str); 4] = [
    ("validator-one", "none"),
    ("validator-two", "none"),
    ("validator-three", "none"),
    ("validator-liar", "inverts-verdicts"),
];

impl Market {
    /// Starts everything and waits until the gateway can sell.
    pub(super) async fn start(
        state: &Path,
        pages: &Pages,
        url: Option<&str>,
        (rail, output): (&str, Output),
    ) -> Result<Self, Failure> {
        let mut hosts = vec![pages.host()];
        hosts.extend(url.and_then(host_of));
        let mut processes = Processes::default();
        let money = match rail {
            "simulated" => {
                let rpc = start_simchain(&mut processes, state, output).await?;
                Money::Simulated { rpc }
            }
            "solana-vault" => Money::solana().await?,
            _ => Money::base().await?,
        };
        let mut market = Self::plan(state, money, processes).await?;
        let import = market.sign_capabilities(state)?;
        let bootstrap = market.start_bootstrap(state, &import, output).await?;
        let base = |market: &Self, label: &str| {
            let mut config = NodeConfig::at(state.join(label));
            config.bootstrap = vec![bootstrap.clone()];
            market.money.tell_node(&mut config);
            config
        };
        let mut waiting = Vec::new();
        for (label, misbehaviour) in VALIDATORS {
            let config = market.validator(base(&market, label), label, misbehaviour, &hosts)?;
            waiting.push((label, market.processes.spawn(label, config)?));
        }
        for plan in WORKERS {
            let config = market.worker(base(&market, plan.label), &plan, &hosts)?;
            waiting.push((plan.label, market.processes.spawn(plan.label, config)?));
        }
        let mut config = base(&market, "gateway");
        config.roles = vec![Role::Gateway];
        config.gateway.http = Some(([127, 0, 0, 1], free_port()?).into());
        config.gateway.policy = market.policy()?;
        market.money.tell_gateway(&mut config).await?;
        waiting.push(("gateway", market.processes.spawn("gateway", config)?));
        market.wait_for(waiting, output).await?;
        market.wait_until_it_sells().await?;
        Ok(market)
    }

    async fn plan(state: &Path, money: Money, processes: Processes) -> Result<Self, Failure> {
        let actor = |label: &'static str, lies| -> Result<Actor, Failure> {
            Ok(Actor {
                label,
                payee: money.account(label)?,
                lies,
            })
        };
        let workers = WORKERS.iter().map(|w| actor(w.label, w.behaviour == "lie"));
        let validators = VALIDATORS
            .iter()
            .map(|(label, m)| actor(label, *m != "none"));
        let market = Self {
            workers: workers.collect::<Result<_, _>>()?,
            validators: validators.collect::<Result<_, _>>()?,
            creator: money.account("creator")?,
            gateway_payee: money.account("gateway")?,
            gateway: String::new(),
            buyer: money.buyer(state, PURSE).await?,
            bundles: state.join("bundles"),
            processes,
            money,
        };
        market.money.make_payable(&market.accounts()).await?;
        Ok(market)
    }

    fn validator(
        &self,
        mut config: NodeConfig,
        label: &str,
        misbehaviour: &str,
        hosts: &[String],
    ) -> Result<NodeConfig, Failure> {
        config.roles = vec![Role::Validator];
        config.validator.misbehaviour = Some(misbehaviour.to_owned());
        config.validator.allow_hosts = hosts.to_vec();
        self.money
            .tell_validator(&mut config, label, VALIDATOR_FEE)?;
        Ok(config)
    }

    fn worker(
        &self,
        mut config: NodeConfig,
        plan: &WorkerPlan,
        hosts: &[String],
    ) -> Result<NodeConfig, Failure> {
        config.roles = vec![Role::Worker];
        let sold = d402_capabilities::capabilities().iter();
        config.worker.prices = sold
            .map(|c| {
                let capability = c.manifest().capability_id().to_owned();
                (capability, plan.price.to_owned())
            })
            .collect();
        let payout = self.money.account(plan.label)?;
        config.worker.payouts = [(self.money.network().to_owned(), payout)].into();
        config.worker.allow_hosts = hosts.to_vec();
        config.worker.behaviour = Some(plan.behaviour.to_owned());
        Ok(config)
    }

    async fn wait_for(
        &mut self,
        waiting: Vec<(&str, PathBuf)>,
        output: Output,
    ) -> Result<(), Failure> {
        for (label, ready_file) in waiting {
            let ready = self.processes.wait_ready(label, &ready_file).await?;
            let node = ready.get("nodeId").and_then(Value::as_str);
            output.field(label, node.unwrap_or_default());
            if let Some(http) = ready.get("http").and_then(Value::as_str) {
                http.clone_into(&mut self.gateway);
            }
        }
        Ok(())
    }

    async fn start_bootstrap(
        &mut self,
        state: &Path,
        import: &Path,
        output: Output,
    ) -> Result<String, Failure> {
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        config.import = vec![import.to_owned()];
        let ready_file = self.processes.spawn("bootstrap", config)?;
        let ready = self.processes.wait_ready("bootstrap", &ready_file).await?;
        let address = ready
            .pointer("/addresses/0")
            .and_then(Value::as_str)
            .ok_or("bootstrap node has no address")?;
        output.field("bootstrap", address);
        Ok(address.to_owned())
    }

    /// The creator signs every built-in manifest and registers it with a commission.
    fn sign_capabilities(&self, state: &Path) -> Result<PathBuf, Failure> {
        let key: SigningKey = keys::load_or_create(&state.join("creator.key"))?;
        let now_ms = d402_core::ports::Clock::now_ms(&crate::clock::SystemClock);
        let mut objects = Vec::new();
        for listed in d402_capabilities::capabilities() {
            let manifest = crate::cli::manifest_of(
                listed.manifest_template().as_bytes(),
                Ed25519Id::from(&key),
            )?;
            let commission = Commission {
                bps: Bps::new(COMMISSION_BPS)?,
                wallets: [(self.money.network().parse()?, self.creator.parse()?)].into(),
            };
            let (manifest, registration) =
                crate::cli::register(&key, manifest, "d402.demo".parse()?, commission, now_ms)?;
            objects.push(manifest.to_value());
            objects.push(registration.to_value());
        }
        let path = state.join("capabilities.json");
        crate::cli::write_json(&path, &Value::Array(objects))?;
        Ok(path)
    }

    fn policy(&self) -> Result<d402_gateway::http::Policy, Failure> {
        Ok(serde_json::from_value(json!({
            "gateway-fee-bps": 200,
            "gateway-fee-payees": { self.money.network(): self.gateway_payee },
            "validator-set-size": 4,
            "validator-threshold": 3,
            // The whole demo is on loopback.
            "distinct-subnets": false,
        }))?)
    }

    /// The gateway knows all capabilities and enough validators.
    async fn wait_until_it_sells(&self) -> Result<(), Failure> {
        let client = crate::buyer::GatewayClient::new(&self.gateway)?;
        let all = d402_capabilities::capabilities().len();
        let waiting = async {
            loop {
                let known = client
                    .get_json("/capabilities", None)
                    .await
                    .unwrap_or(Value::Null);
                let sold = known
                    .get("capabilities")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                let judges = known
                    .get("validatorOffers")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                if sold >= all && judges >= VALIDATORS.len() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let known = tokio::time::timeout(START, waiting).await;
        known.map_err(|_| "the gateway did not learn of capabilities and validators in time".into())
    }

    /// Everybody whose money the demo moves: the buyer first.
    pub(super) fn accounts(&self) -> Vec<(String, String)> {
        let mut accounts = vec![("buyer".to_owned(), self.buyer.account())];
        for actor in self.workers.iter().chain(&self.validators) {
            accounts.push((actor.label.to_owned(), actor.payee.clone()));
        }
        accounts.push(("creator".to_owned(), self.creator.clone()));
        accounts.push(("gateway".to_owned(), self.gateway_payee.clone()));
        accounts
    }

    /// Asks every process to leave, and ends those that do not.
    pub(super) async fn stop(&mut self) {
        self.processes.stop().await;
    }

    /// Who owns a payout account.
    pub(super) fn name_of(&self, payee: &str) -> String {
        let known = self
            .accounts()
            .into_iter()
            .find(|(_, account)| account == payee);
        known.map_or_else(|| payee.chars().take(12).collect(), |(name, _)| name)
    }
}

async fn start_simchain(
    processes: &mut Processes,
    state: &Path,
    output: Output,
) -> Result<String, Failure> {
    let mut config = NodeConfig::at(state.join("simchain"));
    config.roles = vec![Role::Simchain];
    config.simchain.listen = Some(([127, 0, 0, 1], free_port()?).into());
    config.simchain.faucet = true;
    let ready_file = processes.spawn("simchain", config)?;
    let ready = processes.wait_ready("simchain", &ready_file).await?;
    let rpc = ready.get("simulatedRpc").and_then(Value::as_str);
    let rpc = rpc.unwrap_or_default().to_owned();
    output.field("simchain", &rpc);
    Ok(rpc)
}

/// `host:port` of a URL, for the allow list of this run.
fn host_of(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.to_owned()).filter(|a| !a.is_empty())
}
