//! The demo's money: units of the simulated chain, or of a token on a Base chain or a Solana cluster of this
//! machine.

mod solana;

use std::path::Path;

use d402_evm::primitives::Address;
use d402_objects::{Amount, Cid};
use d402_rails::evm::EvmKey;
use d402_rails::evm::devnet::{Devnet, DevnetOptions, USDC};
use d402_rails::simulated::{BuyerAccount, SimClient};
use d402_settlement::market::{
    BASE_SEPOLIA_NETWORK, SIMULATED_NETWORK, SOLANA_DEVNET_NETWORK, simulated_asset,
};
use d402_wire::simchain::Rpc;
use solana::Cluster;

use crate::buyer::Wallet;
use crate::cli::Failure;
use crate::config::{GatewayRail, NodeConfig, ValidatorRail};
use crate::keys;

/// Password of the demo's keystores: they hold money of a chain that ends with the demo.
const PASSWORD: &str = "demo";

/// A way to pay in the demo.
pub(super) enum Money {
    /// Units of the simulated chain.
    Simulated {
        /// Its RPC.
        rpc: String,
    },
    /// USDC of a development chain.
    Base {
        /// The chain; it ends with this value.
        devnet: Box<Devnet>,
    },
    /// USDC of a cluster of one node.
    Solana(Cluster),
}

impl Money {
    /// Starts a Base chain.
    pub(super) async fn base() -> Result<Self, Failure> {
        let options = DevnetOptions {
            block_time: Some(1),
        };
        let devnet = Devnet::start(options).await?;
        Ok(Self::Base {
            devnet: Box::new(devnet),
        })
    }

    /// Starts a Solana cluster.
    pub(super) async fn solana() -> Result<Self, Failure> {
        Ok(Self::Solana(Cluster::start().await?))
    }

    pub(super) const fn network(&self) -> &'static str {
        match self {
            Self::Simulated { .. } => SIMULATED_NETWORK,
            Self::Base { .. } => BASE_SEPOLIA_NETWORK,
            Self::Solana(_) => SOLANA_DEVNET_NETWORK,
        }
    }

    fn asset(&self) -> String {
        match self {
            Self::Simulated { .. } => simulated_asset().to_string(),
            Self::Base { .. } => format!("{USDC:#x}"),
            Self::Solana(_) => solana::asset(),
        }
    }

    /// A payout account that nobody needs a key for in the demo.
    pub(super) fn account(&self, label: &str) -> Result<String, Failure> {
        let seed = seed(label);
        Ok(match self {
            Self::Simulated { .. } => BuyerAccount::from_seed(&seed).address().to_string(),
            Self::Base { .. } => format!("{:#x}", EvmKey::from_secret(&seed)?.address()),
            Self::Solana(_) => solana::account(&seed),
        })
    }

    /// A buyer with units.
    pub(super) async fn buyer(&self, state: &Path, units: u64) -> Result<Wallet, Failure> {
        match self {
            Self::Simulated { rpc } => {
                let key = keys::load_or_create(&state.join("buyer.key"))?;
                let account = BuyerAccount::new(key);
                let mint = Rpc::Mint {
                    to: account.address(),
                    asset: simulated_asset(),
                    amount: Amount::from(units),
                };
                SimClient::new(rpc)?.execute(&mint).await?;
                Ok(Wallet::Simulated(account))
            }
            Self::Base { devnet } => {
                let key = EvmKey::from_secret(&seed("buyer"))?;
                devnet.give(key.address(), units).await?;
                Ok(Wallet::Evm {
                    key,
                    network: self.network().to_owned(),
                })
            }
            Self::Solana(cluster) => cluster.buyer(&seed("buyer"), units).await,
        }
    }

    /// Makes accounts able to take money, where that takes something.
    pub(super) async fn make_payable(&self, accounts: &[(String, String)]) -> Result<(), Failure> {
        match self {
            Self::Simulated { .. } | Self::Base { .. } => Ok(()),
            Self::Solana(cluster) => cluster.make_payable(accounts).await,
        }
    }

    /// What every node of this market is told about its chain.
    pub(super) fn tell_node(&self, config: &mut NodeConfig) {
        if let Self::Simulated { rpc } = self {
            config.simulated_rpc = Some(rpc.clone());
        }
    }

    /// How a validator is paid.
    pub(super) fn tell_validator(
        &self,
        config: &mut NodeConfig,
        label: &str,
        fee: &str,
    ) -> Result<(), Failure> {
        let payout = self.account(label)?;
        let rpc = match self {
            Self::Simulated { .. } => {
                config.validator.payout = Some(payout);
                config.validator.fee = Some(fee.to_owned());
                return Ok(());
            }
            Self::Base { devnet } => devnet.url(),
            Self::Solana(cluster) => cluster.url(),
        };
        config.validator.rails.push(ValidatorRail {
            network: self.network().to_owned(),
            rpc: rpc.to_owned(),
            second_rpc: None,
            development: true,
            payout,
            fee: fee.to_owned(),
            asset: Some(self.asset()),
        });
        Ok(())
    }

    /// How the gateway sells; it gets a key with gas money.
    pub(super) async fn tell_gateway(&self, config: &mut NodeConfig) -> Result<(), Failure> {
        let devnet = match self {
            Self::Simulated { .. } => return Ok(()),
            Self::Base { devnet } => devnet,
            Self::Solana(cluster) => return cluster.tell_gateway(config).await,
        };
        std::fs::create_dir_all(&config.state_dir)?;
        let keystore = config.state_dir.join("gas.json");
        let password_file = config.state_dir.join("gas.password");
        std::fs::write(&password_file, PASSWORD)?;
        let key = EvmKey::create(&seed("gas of the gateway"), &keystore, PASSWORD)?;
        devnet.give_gas(key.address()).await?;
        config.gateway.rails.push(GatewayRail {
            name: "base-escrow".to_owned(),
            network: self.network().to_owned(),
            rpc: devnet.url().to_owned(),
            second_rpc: None,
            keystore,
            password_file,
            asset: self.asset(),
            asset_name: "USDC".to_owned(),
            asset_version: "2".to_owned(),
            min_budget: Some(Amount::from(1_000_u64)),
            max_budget: None,
            max_fee_gwei: None,
            development: true,
        });
        Ok(())
    }

    /// Units of accounts, where there are books to look into; the simulated chain has its events for that.
    pub(super) async fn balances(
        &self,
        accounts: &[(String, String)],
    ) -> Result<Vec<(String, u128)>, Failure> {
        let mut balances = Vec::new();
        for (name, account) in accounts {
            let units = match self {
                Self::Simulated { .. } => continue,
                Self::Base { devnet } => devnet.units(account.parse::<Address>()?).await?,
                Self::Solana(cluster) => cluster.units(account).await?,
            };
            balances.push((name.clone(), units));
        }
        Ok(balances)
    }
}

fn seed(label: &str) -> [u8; 32] {
    Cid::of(format!("d402 demo account of {label}").as_bytes()).as_bytes()
}
