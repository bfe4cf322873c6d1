//! A chain of this machine: anvil with the token and the ledger in its first block. For the demo and the
//! tests; nothing here is used by a gateway.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256, address};
use alloy::sol_types::SolCall as _;
use d402_evm::abi::Token;
use d402_evm::{Block, Rpc, RpcError, RpcLimits, TransactionReceipt};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Names the anvil program; `cargo xtask` sets it.
pub const ANVIL: &str = "D402_ANVIL";
/// Names the file with the first block; `cargo xtask` sets it.
pub const GENESIS: &str = "D402_ANVIL_GENESIS";
/// USDC of Base Sepolia, where the first block has a test token of the same shape.
pub const USDC: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
/// Base Sepolia.
pub const CHAIN_ID: u64 = 84_532;
/// The account that holds the token in the first block; anvil signs for it.
pub const WHALE: Address = address!("0x90F79bf6EB2c4f870365E785982E1f101E93b906");
/// How long anvil may take to answer.
const START: Duration = Duration::from_secs(20);

/// Why there is no development chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// The environment does not name anvil or its first block.
    #[error("{0} is not set; run this through cargo xtask or cargo demo")]
    Unset(&'static str),
    /// The program does not start.
    #[error("anvil does not start")]
    Start(#[source] std::io::Error),
    /// It ended, or never answered.
    #[error("anvil does not answer")]
    Silent,
    /// It answered with an error.
    #[error("anvil")]
    Rpc(#[from] RpcError),
    /// A transaction of the set-up reverted.
    #[error("transaction of the development chain reverted")]
    Reverted,
}

/// How the chain runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct DevnetOptions {
    /// A block at least this often, seconds, so that the chain's clock goes on; else a block per transaction
    /// alone.
    pub block_time: Option<u64>,
}

/// A running chain; it ends with this value.
#[derive(Debug)]
pub struct Devnet {
    _child: Child,
    url: String,
    rpc: Rpc,
}

impl Devnet {
    /// Starts the chain that the environment names.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn start(options: DevnetOptions) -> Result<Self, DevnetError> {
        let named = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .ok_or(DevnetError::Unset(name))
        };
        let (anvil, genesis) = (named(ANVIL)?, named(GENESIS)?);
        let port = free_port().map_err(DevnetError::Start)?;
        let mut command = Command::new(anvil);
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--chain-id",
                &CHAIN_ID.to_string(),
                "--optimism",
                "--silent",
            ])
            // A first block of the year 1970 would pull the chain's clock along with it.
            .args(["--timestamp", &unix_seconds().to_string()])
            .arg("--init")
            .arg(genesis)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(seconds) = options.block_time {
            // A block per transaction as well: nobody here wants to wait.
            command.args(["--mixed-mining", "--block-time", &seconds.to_string()]);
        }
        let mut child = command.spawn().map_err(DevnetError::Start)?;
        let url = format!("http://127.0.0.1:{port}");
        let rpc = Rpc::new(&url, RpcLimits::default())?;
        wait_until_up(&rpc, &mut child).await?;
        let devnet = Self {
            _child: child,
            url,
            rpc,
        };
        // Views of the first block do not see its clock.
        devnet.mine(1).await?;
        Ok(devnet)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Any question.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn ask(&self, method: &'static str, params: Value) -> Result<Value, DevnetError> {
        Ok(self.rpc.once(method, &params).await?)
    }

    /// Adds blocks.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn mine(&self, blocks: u64) -> Result<(), DevnetError> {
        self.ask("anvil_mine", json!([U64::from(blocks)])).await?;
        Ok(())
    }

    /// Newest block.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn head(&self) -> Result<Block, DevnetError> {
        Ok(self
            .rpc
            .read("eth_getBlockByNumber", &json!(["latest", false]))
            .await?)
    }

    /// Adds a block with this timestamp; never before the newest one's.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn advance_to(&self, unix_s: u64) -> Result<(), DevnetError> {
        if self.head().await?.timestamp.to::<u64>() >= unix_s {
            return Ok(());
        }
        self.ask("evm_setNextBlockTimestamp", json!([U64::from(unix_s)]))
            .await?;
        self.mine(1).await
    }

    /// Gives an account gas money.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn give_gas(&self, to: Address) -> Result<(), DevnetError> {
        let ether = U256::from(10_u64.pow(18));
        self.ask("anvil_setBalance", json!([to, ether])).await?;
        Ok(())
    }

    /// Gives an account units of the token.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn give(&self, to: Address, units: u64) -> Result<(), DevnetError> {
        let value = U256::from(units);
        let call = Token::transferCall { to, value };
        self.send(WHALE, USDC, call.abi_encode().into()).await?;
        Ok(())
    }

    /// Units of the token an account holds.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn units(&self, account: Address) -> Result<u128, DevnetError> {
        let input = Bytes::from(Token::balanceOfCall { account }.abi_encode());
        let answer: U256 = self
            .rpc
            .read("eth_call", &json!([{"to": USDC, "data": input}, "latest"]))
            .await?;
        Ok(answer.saturating_to())
    }

    /// A transaction of an account anvil signs for, in a block when this returns.
    ///
    /// # Errors
    /// [`DevnetError::Reverted`] when it had no effect.
    pub async fn send(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<TransactionReceipt, DevnetError> {
        let call = json!([{"from": from, "to": to, "data": data}]);
        let hash: B256 = self.rpc.once("eth_sendTransaction", &call).await?;
        let asked = tokio::time::Instant::now();
        loop {
            let receipt: Option<TransactionReceipt> = self
                .rpc
                .read("eth_getTransactionReceipt", &json!([hash]))
                .await?;
            match receipt {
                Some(receipt) if receipt.status.is_zero() => return Err(DevnetError::Reverted),
                Some(receipt) => return Ok(receipt),
                None if asked.elapsed() > START => return Err(DevnetError::Silent),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

async fn wait_until_up(rpc: &Rpc, child: &mut Child) -> Result<(), DevnetError> {
    let waiting = async {
        loop {
            if rpc.once::<U64>("eth_chainId", &json!([])).await.is_ok() {
                return Ok(());
            }
            if child.try_wait().map_err(DevnetError::Start)?.is_some() {
                return Err(DevnetError::Silent);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(START, waiting)
        .await
        .map_err(|_| DevnetError::Silent)?
}

#[allow(clippy::disallowed_methods, reason = "a new chain starts now")]
fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A port nobody listens on right now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
