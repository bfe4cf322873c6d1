//! Which key pays, for the commands that spend.

use std::path::PathBuf;

use clap::Args;
use d402_rails::evm::EvmKey;
use d402_rails::simulated::BuyerAccount;

use super::Failure;
use crate::buyer::Wallet;
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
    /// Chain of the Base rails.
    #[arg(long, default_value = "eip155:84532", value_parser = ["eip155:84532", "eip155:8453"])]
    network: String,
}

impl WalletArgs {
    /// The wallet of a rail.
    pub(super) fn open(&self, rail: &str) -> Result<Wallet, Failure> {
        if rail == "simulated" {
            let key = keys::load_or_create(&self.key)?;
            return Ok(Wallet::Simulated(BuyerAccount::new(key)));
        }
        Ok(Wallet::Evm {
            key: self.evm()?,
            network: self.network.clone(),
        })
    }

    /// The key of the Base rails.
    pub(super) fn evm(&self) -> Result<EvmKey, Failure> {
        let (Some(keystore), Some(password)) = (&self.keystore, &self.password_file) else {
            return Err("this rail needs --keystore and --password-file".into());
        };
        Ok(EvmKey::open(keystore, password)?)
    }
}
