//! Which key pays, for the commands that spend.

use std::path::PathBuf;

use clap::Args;
use d402_rails::evm::EvmKey;
use d402_rails::simulated::BuyerAccount;
use d402_rails::svm::SolanaKey;
use d402_settlement::market::{BASE_SEPOLIA_NETWORK, SOLANA_DEVNET_NETWORK};

use super::Failure;
use super::onchain::ChainArgs;
use crate::buyer::{SolanaWallet, Wallet};
use crate::keys;

/// A key of this machine.
#[derive(Args)]
pub(super) struct WalletArgs {
    /// Key file of the simulated rail; made when there is none.
    #[arg(long, env = "D402_KEY", default_value = ".d402/buyer.key")]
    key: PathBuf,
    /// Keystore (version 3) of the Base rails.
    #[arg(long, env = "D402_KEYSTORE")]
    keystore: Option<PathBuf>,
    /// File with the keystore's password.
    #[arg(long, env = "D402_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// Key file of the Solana rails, as the Solana tools write it.
    #[arg(long, env = "D402_SOLANA_KEY")]
    keypair: Option<PathBuf>,
    /// Chain, by its CAIP-2 name; the test network of the rail otherwise.
    #[arg(long, value_parser = [
        "eip155:84532", "eip155:8453",
        "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
    ])]
    network: Option<String>,
}

impl WalletArgs {
    /// The wallet of a rail.
    pub(super) fn open(&self, rail: &str, chain: &ChainArgs) -> Result<Wallet, Failure> {
        if rail == "simulated" {
            let key = keys::load_or_create(&self.key)?;
            return Ok(Wallet::Simulated(BuyerAccount::new(key)));
        }
        let given = |else_network: &str| {
            let network = self.network.as_deref();
            network.unwrap_or(else_network).to_owned()
        };
        if rail.starts_with("solana-") {
            let network = given(SOLANA_DEVNET_NETWORK);
            if chain.rpc.is_empty() {
                return Err("this rail needs --rpc: the buyer's own provider".into());
            }
            let cluster = chain.cluster(&network.parse()?)?;
            let wallet = SolanaWallet::new(self.solana()?, network, cluster);
            return Ok(Wallet::Solana(wallet));
        }
        Ok(Wallet::Evm {
            key: self.evm()?,
            network: given(BASE_SEPOLIA_NETWORK),
        })
    }

    /// The key of the Solana rails.
    pub(super) fn solana(&self) -> Result<SolanaKey, Failure> {
        let file = self.keypair.as_ref();
        let file = file.ok_or("this rail needs --keypair")?;
        Ok(SolanaKey::open(file)?)
    }

    /// The key of the Base rails.
    pub(super) fn evm(&self) -> Result<EvmKey, Failure> {
        let (Some(keystore), Some(password)) = (&self.keystore, &self.password_file) else {
            return Err("this rail needs --keystore and --password-file".into());
        };
        Ok(EvmKey::open(keystore, password)?)
    }
}
