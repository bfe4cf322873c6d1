//! A Solana of this machine: one node with devnet's genesis hash, the program, and a test dollar. For the demo
//! and the tests; nothing here is used by a gateway.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use d402_settlement::market::SOLANA_DEVNET;
use d402_svm::address::{TOKEN, token_account};
use d402_svm::token::TokenAccount;
use d402_svm::{Address, Chain, ChainOptions, Finality, Level, RpcError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Names the node (`tools/solnode`); `cargo xtask` sets it.
pub const NODE: &str = "D402_SOLNODE";
/// Names the program, built for devnet; `cargo xtask` sets it.
pub const PROGRAM: &str = "D402_TASK_VAULT_DEVNET_SO";
/// USDC of Solana's devnet, where the node gets a test token of the same shape.
pub const USDC: Address = Address::from_str_const("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");
/// Who could mint it: nobody has the key.
const MINTER: Address = Address::new_from_array([0xd4; 32]);
/// What an account needs so that nobody takes rent from it.
const TOKEN_RENT: u64 = 2_039_280;
const MINT_RENT: u64 = 1_461_600;
/// How long the node may take to answer.
const START: Duration = Duration::from_secs(30);
/// How long one of its answers may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Why there is no development chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// The environment does not name the node or the program.
    #[error("{0} is not set; run this through cargo xtask or cargo demo")]
    Unset(&'static str),
    /// The program does not start.
    #[error("the local node does not start")]
    Start(#[source] std::io::Error),
    /// It ended, or never answered.
    #[error("the local node does not answer")]
    Silent,
    /// A question of the client failed.
    #[error("local node")]
    Rpc(#[from] RpcError),
    /// The node refused a request of the set-up.
    #[error("the local node refuses {method}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// Its words.
        message: String,
    },
}

/// How the node runs.
#[derive(Clone, Copy, Debug)]
pub struct DevnetOptions {
    /// Length of a slot, ms. Shorter than a real one, so that tests need not wait for confirmations.
    pub slot_ms: u64,
}

impl Default for DevnetOptions {
    fn default() -> Self {
        Self { slot_ms: 50 }
    }
}

/// A running node; it ends with this value.
#[derive(Debug)]
pub struct Devnet {
    _child: Child,
    // The node ends when this closes, also when this process is killed.
    _input: Option<ChildStdin>,
    url: String,
    ws: String,
    chain: Chain,
    http: reqwest::Client,
}

impl Devnet {
    /// Starts the node that the environment names.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn start(options: DevnetOptions) -> Result<Self, DevnetError> {
        let named = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .ok_or(DevnetError::Unset(name))
        };
        let (node, program) = (named(NODE)?, named(PROGRAM)?);
        let id = Address::new_from_array(SOLANA_DEVNET.program.0);
        let mut child = Command::new(node)
            .args(["--slot-ms", &options.slot_ms.to_string(), "--program"])
            .arg(format!("{id}={}", program.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(DevnetError::Start)?;
        let input = child.stdin.take();
        let told = tokio::time::timeout(START, told(&mut child))
            .await
            .map_err(|_| DevnetError::Silent)??;
        let text = |name| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let url = text("rpc").ok_or(DevnetError::Silent)?;
        let ws = text("ws").ok_or(DevnetError::Silent)?;
        let mut known = ChainOptions::solana(SOLANA_DEVNET);
        known.finality = Finality::DEVELOPMENT;
        let devnet = Self {
            _child: child,
            _input: input,
            chain: Chain::new(std::slice::from_ref(&url), known)?,
            url,
            ws,
            http: reqwest::Client::builder()
                .timeout(ANSWER)
                .no_proxy()
                .build()
                .map_err(|_| DevnetError::Silent)?,
        };
        devnet.put(&USDC, &TOKEN, MINT_RENT, &mint()).await?;
        Ok(devnet)
    }

    /// Where it answers JSON-RPC.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it takes subscriptions.
    #[must_use]
    pub fn ws(&self) -> &str {
        &self.ws
    }

    /// The chain as a gateway sees it.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Any request.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] in the node's words.
    pub async fn ask(&self, method: &'static str, params: Value) -> Result<Value, DevnetError> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let silent = |_| DevnetError::Silent;
        let answer = self.http.post(&self.url).json(&request).send().await;
        let answer: Value = answer.map_err(silent)?.json().await.map_err(silent)?;
        if let Some(error) = answer.get("error") {
            let message = error.get("message").and_then(Value::as_str);
            let message = message.unwrap_or("no words").to_owned();
            return Err(DevnetError::Refused { method, message });
        }
        Ok(answer.get("result").cloned().unwrap_or(Value::Null))
    }

    /// Chain time, unix seconds.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn now(&self) -> Result<i64, DevnetError> {
        Ok(self.chain.now().await?)
    }

    /// Moves the clock forward to this time, if it is not there yet. Blockhashes do not expire by this.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn advance_to(&self, unix_s: i64) -> Result<(), DevnetError> {
        if self.now().await? >= unix_s {
            return Ok(());
        }
        let ms = unix_s.saturating_mul(1_000);
        self.ask("surfnet_timeTravel", json!([{"absoluteTimestamp": ms}]))
            .await?;
        let waiting = async {
            while self.now().await? < unix_s {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START, waiting)
            .await
            .map_err(|_| DevnetError::Silent)?
    }

    /// Gives an account ten SOL for fees and rent.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn give_gas(&self, to: &Address) -> Result<(), DevnetError> {
        let given = json!({"lamports": 10_000_000_000_u64});
        self.ask("surfnet_setAccount", json!([to.to_string(), given]))
            .await?;
        Ok(())
    }

    /// Makes a wallet's canonical token account where there is none: without it the wallet cannot be paid (#21).
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn open_tokens(&self, wallet: &Address) -> Result<Address, DevnetError> {
        let (account, _) = token_account(wallet, &USDC, &TOKEN).ok_or(DevnetError::Silent)?;
        if self.account(&account).await?.is_none() {
            self.put(&account, &TOKEN, TOKEN_RENT, &tokens(wallet, 0))
                .await?;
        }
        Ok(account)
    }

    /// Gives a wallet units of the token.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn give(&self, wallet: &Address, units: u64) -> Result<(), DevnetError> {
        let account = self.open_tokens(wallet).await?;
        let units = self.units(wallet).await?.saturating_add(units);
        self.put(&account, &TOKEN, TOKEN_RENT, &tokens(wallet, units))
            .await
    }

    /// Units of the token in a wallet's canonical account.
    ///
    /// # Errors
    /// [`DevnetError::Rpc`].
    pub async fn units(&self, wallet: &Address) -> Result<u64, DevnetError> {
        let (account, _) = token_account(wallet, &USDC, &TOKEN).ok_or(DevnetError::Silent)?;
        let account = self.account(&account).await?;
        Ok(account.map_or(0, |tokens| tokens.amount))
    }

    async fn account(&self, address: &Address) -> Result<Option<TokenAccount>, DevnetError> {
        let asked = [*address];
        let accounts = self.chain.accounts(&asked, Level::Confirmed, None).await?;
        Ok(accounts.get(0).and_then(TokenAccount::read))
    }

    /// Writes an account as it is, whoever owns it.
    ///
    /// # Errors
    /// [`DevnetError`].
    pub async fn put(
        &self,
        address: &Address,
        owner: &Address,
        lamports: u64,
        data: &[u8],
    ) -> Result<(), DevnetError> {
        let account = json!({
            "lamports": lamports, "owner": owner.to_string(), "data": hex::encode(data),
            "executable": false,
        });
        self.ask("surfnet_setAccount", json!([address.to_string(), account]))
            .await?;
        Ok(())
    }
}

/// The one line the node prints once it answers.
async fn told(child: &mut Child) -> Result<Value, DevnetError> {
    let output = child.stdout.take().ok_or(DevnetError::Silent)?;
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .await
        .map_err(DevnetError::Start)?;
    serde_json::from_str(&line).map_err(|_| DevnetError::Silent)
}

/// A mint of 6 decimals: authority, supply, decimals, initialised, no freeze authority.
fn mint() -> Vec<u8> {
    let mut data = vec![1, 0, 0, 0];
    data.extend(MINTER.to_bytes());
    data.extend(u64::MAX.to_le_bytes());
    data.extend([6, 1]);
    data.resize(82, 0);
    data
}

/// A token account: mint, owner, amount, no delegate, initialised.
fn tokens(wallet: &Address, units: u64) -> Vec<u8> {
    let mut data = Vec::with_capacity(165);
    data.extend(USDC.to_bytes());
    data.extend(wallet.to_bytes());
    data.extend(units.to_le_bytes());
    data.resize(108, 0);
    data.push(1);
    data.resize(165, 0);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_of_this_machine_is_devnet_with_the_program_a_dollar_and_a_clock_to_move() {
        let devnet = Devnet::start(DevnetOptions::default()).await.unwrap();
        let genesis = devnet.ask("getGenesisHash", json!([])).await.unwrap();
        assert_eq!(genesis, "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG");
        // Answered only by a provider of the cluster it was made for (#44).
        let program = Address::new_from_array(SOLANA_DEVNET.program.0);
        let wallet = Address::new_from_array([7; 32]);
        let wanted = [program, USDC];
        let accounts = devnet
            .chain()
            .accounts(&wanted, Level::Confirmed, None)
            .await
            .unwrap();
        assert!(accounts.get(0).is_some(), "no program");
        let mint = accounts.get(1).and_then(d402_svm::token::Mint::read);
        assert!(mint.is_some_and(|mint| mint.decimals == 6 && mint.is_allowed));
        assert_eq!(devnet.units(&wallet).await.unwrap(), 0);
        devnet.give(&wallet, 40).await.unwrap();
        devnet.give(&wallet, 2).await.unwrap();
        assert_eq!(devnet.units(&wallet).await.unwrap(), 42);
        devnet.give_gas(&wallet).await.unwrap();
        assert_eq!(
            devnet.chain().lamports(&wallet).await.unwrap(),
            10_000_000_000
        );
        let later = devnet.now().await.unwrap().saturating_add(100_000);
        devnet.advance_to(later).await.unwrap();
        let now = devnet.now().await.unwrap();
        assert!(
            (later..later.saturating_add(60)).contains(&now),
            "{now} is not {later}"
        );
    }
}
