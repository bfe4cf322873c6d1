//! The demo's Solana: a node of this machine, token accounts for everybody.

use d402_objects::Amount;
use d402_rails::svm::SolanaKey;
use d402_rails::svm::devnet::{Devnet, DevnetOptions, USDC};
use d402_settlement::market::SOLANA_DEVNET_NETWORK;
use d402_svm::{Address, Chain};

use crate::buyer::{SolanaWallet, Wallet};
use crate::cli::Failure;
use crate::config::{NodeConfig, SolanaRail};
use crate::roles::cluster_options;

/// A cluster of one node; it ends with this value.
pub(in crate::demo) struct Cluster(Box<Devnet>);

impl Cluster {
    pub(super) async fn start() -> Result<Self, Failure> {
        let devnet = Devnet::start(DevnetOptions::default()).await?;
        Ok(Self(Box::new(devnet)))
    }

    pub(super) fn url(&self) -> &str {
        self.0.url()
    }

    pub(super) async fn buyer(&self, seed: &[u8; 32], units: u64) -> Result<Wallet, Failure> {
        let key = SolanaKey::from_secret(seed);
        self.0.give_gas(&key.address()).await?;
        self.0.give(&key.address(), units).await?;
        let options = cluster_options(SOLANA_DEVNET_NETWORK, true).ok_or("no such cluster")?;
        let chain = Chain::new(&[self.url().to_owned()], options)?;
        let network = SOLANA_DEVNET_NETWORK.to_owned();
        Ok(Wallet::Solana(SolanaWallet::new(key, network, chain)))
    }

    /// Nobody makes a payee's token account for it (threat #21).
    pub(super) async fn make_payable(&self, accounts: &[(String, String)]) -> Result<(), Failure> {
        for (_, account) in accounts {
            self.0.open_tokens(&account.parse::<Address>()?).await?;
        }
        Ok(())
    }

    pub(super) async fn tell_gateway(&self, config: &mut NodeConfig) -> Result<(), Failure> {
        std::fs::create_dir_all(&config.state_dir)?;
        let file = config.state_dir.join("fees.json");
        let seed = super::seed("fees of the gateway");
        let key = SolanaKey::from_secret(&seed);
        let pair = [seed, key.address().to_bytes()].concat();
        std::fs::write(&file, serde_json::to_vec(&pair)?)?;
        self.0.give_gas(&key.address()).await?;
        config.gateway.solana.push(SolanaRail {
            network: SOLANA_DEVNET_NETWORK.to_owned(),
            rpc: self.url().to_owned(),
            second_rpc: None,
            key: file,
            asset: asset(),
            asset_name: "USDC".to_owned(),
            lookup_table: None,
            min_budget: Some(Amount::from(1_000_u64)),
            max_budget: None,
            daily_lamports: None,
            open_vaults: false,
            development: true,
        });
        Ok(())
    }

    pub(super) async fn units(&self, account: &str) -> Result<u128, Failure> {
        Ok(u128::from(
            self.0.units(&account.parse::<Address>()?).await?,
        ))
    }
}

/// The token.
pub(super) fn asset() -> String {
    USDC.to_string()
}

/// A wallet that nobody needs a key for.
pub(super) fn account(seed: &[u8; 32]) -> String {
    SolanaKey::from_secret(seed).address().to_string()
}
