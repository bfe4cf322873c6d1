//! `d402 buy`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use d402_core::ports::Clock as _;
use d402_objects::{Amount, Ed25519Id, Hex32, Mode, OnSilence};
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::onchain::ChainArgs;
use super::wallet::WalletArgs;
use super::{Failure, Output};
use crate::buyer::{GatewayClient, Purchase, Receipt, Stage, Wallet, Wishes, buy};
use crate::clock::SystemClock;

/// Checks terms and address before it pays, and the bundle after.
#[derive(Args)]
pub(super) struct BuyArgs {
    /// Page to turn into Markdown; short for `--capability web.page_to_markdown@1 --input '{"url": …}'`.
    url: Option<String>,
    /// Capability.
    #[arg(long, default_value = "web.page_to_markdown@1")]
    capability: String,
    /// Input document, JSON.
    #[arg(long, conflicts_with = "url")]
    input: Option<String>,
    /// Gateway origin.
    #[arg(long, env = "D402_GATEWAY", default_value = "http://127.0.0.1:7401")]
    gateway: String,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    chain: ChainArgs,
    /// `single`, `race` or `quorum`.
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// Leases at the same time.
    #[arg(long)]
    fanout: Option<u8>,
    /// Equal results needed in quorum mode.
    #[arg(long)]
    quorum: Option<u8>,
    /// Most to pay, base units (1000000 = 1 USD).
    #[arg(long, default_value = "100000")]
    max_budget: Amount,
    /// Budget to ask for; the gateway's price otherwise.
    #[arg(long)]
    budget: Option<Amount>,
    /// Time for the work, ms.
    #[arg(long)]
    deadline_ms: Option<u64>,
    /// Trusted validator; may be repeated. The gateway's set otherwise.
    #[arg(long)]
    validator: Vec<Ed25519Id>,
    /// Smallest validator set.
    #[arg(long, default_value_t = 3)]
    min_validators: u8,
    /// Smallest threshold.
    #[arg(long, default_value_t = 2)]
    min_threshold: u8,
    /// Most gateway fee, bps.
    #[arg(long, default_value_t = 500)]
    max_gateway_fee_bps: u16,
    /// Most creator commission, bps.
    #[arg(long, default_value_t = 2000)]
    max_commission_bps: u16,
    /// Account the rest returns to; the key's own otherwise.
    #[arg(long)]
    refund_to: Option<String>,
    /// Rail to pay on.
    #[arg(long, default_value = "simulated", value_parser = ["simulated", "base-escrow", "solana-vault"])]
    rail: String,
    /// Folder for payment and bundle.
    #[arg(long, default_value = ".d402/purchases")]
    keep: PathBuf,
    /// How long to wait for the end, s.
    #[arg(long, default_value_t = 120)]
    patience: u64,
}

fn mode(text: &str) -> Result<Mode, String> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| "single, race or quorum".to_owned())
}

pub(super) async fn run(args: BuyArgs, output: Output) -> Result<ExitCode, Failure> {
    let wallet = args.wallet.open(&args.rail, &args.chain)?;
    let token = random_token()?;
    let wishes = wishes(&args, &wallet, &token)?;
    let gateway = GatewayClient::new(&args.gateway)?;
    let purchase = Purchase {
        gateway: &gateway,
        wallet: &wallet,
        wishes: &wishes,
        token: &token,
        keep: &args.keep,
        now_ms: SystemClock.now_ms(),
        patience: Duration::from_secs(args.patience),
    };
    let mut phase = String::new();
    let receipt = buy(&purchase, |stage| show(output, &stage, &mut phase)).await?;
    print(output, &receipt, &token);
    let accepted = receipt.task.get("status").and_then(Value::as_str) == Some("accepted");
    Ok(if accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn wishes(args: &BuyArgs, wallet: &Wallet, token: &str) -> Result<Wishes, Failure> {
    let input = match (&args.input, &args.url) {
        (Some(text), _) => d402_objects::strict::parse_value(text.as_bytes(), 1024 * 1024)?,
        (None, Some(url)) => json!({ "url": url }),
        (None, None) => return Err("nothing to buy: give a URL or --input".into()),
    };
    Ok(Wishes {
        capability_id: args.capability.clone(),
        input,
        mode: args.mode,
        fanout: args.fanout,
        quorum: args.quorum,
        max_budget: args.max_budget,
        budget: args.budget,
        deadline_ms: args.deadline_ms,
        refund_to: args.refund_to.clone().unwrap_or_else(|| wallet.account()),
        network: wallet.network().to_owned(),
        validators: args.validator.clone(),
        min_set: (args.min_validators, args.min_threshold),
        max_gateway_fee_bps: args.max_gateway_fee_bps,
        max_commission_bps: args.max_commission_bps,
        on_silence: OnSilence::Refund,
        access_hash: token_hash(token),
    })
}

/// A fresh access token.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_token() -> Result<String, Failure> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| "the system gave no random bytes")?;
    Ok(hex::encode(bytes))
}

/// The hash of a token, as the intent carries it.
#[must_use]
pub fn token_hash(token: &str) -> Hex32 {
    Hex32::from_bytes(Sha256::digest(token.as_bytes()).into())
}

fn show(output: Output, stage: &Stage<'_>, phase: &mut String) {
    match stage {
        Stage::Offered(challenge) => {
            output.heading("402: an offer that adds up");
            output.field("budget", challenge.payment().budget);
            if let Some(pay_to) = challenge.quote().pay_to_address() {
                output.field("pay to", pay_to);
            }
            output.field(
                "validators",
                format!("{} of {}", challenge.set().m(), challenge.set().n()),
            );
        }
        Stage::Paying { saved } => output.field("payment saved", saved.display()),
        Stage::Accepted { task_id } => output.field("task", task_id),
        Stage::Looked(task) => {
            let now = task
                .get("phase")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if now != phase {
                output.field("phase", now);
                now.clone_into(phase);
            }
        }
    }
}

fn print(output: Output, receipt: &Receipt, token: &str) {
    let status = receipt
        .task
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let coloured = if status == "accepted" {
        status.green().to_string()
    } else {
        status.yellow().to_string()
    };
    output.heading(format!("task {coloured}"));
    if let Some(path) = &receipt.bundle {
        output.field("bundle", path.display());
        output.field("verified", "offline, every link");
    }
    output.field("token", token);
    if let Some(result) = &receipt.result {
        match result.get("markdown").and_then(Value::as_str) {
            Some(markdown) => output.line(format!("\n{markdown}")),
            None => output.line(format!(
                "\n{}",
                serde_json::to_string_pretty(result).unwrap_or_default()
            )),
        }
    }
    output.document(&json!({
        "taskId": receipt.task_id,
        "status": status,
        "task": receipt.task,
        "result": receipt.result,
        "bundle": receipt.bundle,
        "token": token,
    }));
}
