//! `d402 verify FILE`: offline, from the bundle alone; with `--rpc` held against the chain as well.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use d402_evm::primitives::B256;
use d402_settlement::market::Bundle;
use owo_colors::OwoColorize as _;

use super::onchain::{ChainArgs, Confirmed};
use super::onchain_direct::PaidStraight;
use super::{Failure, Output};

/// Exits 0 when every link holds, 1 with the first broken link otherwise.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Bundle file.
    file: PathBuf,
    #[command(flatten)]
    chain: ChainArgs,
    /// Transaction that paid a direct task; its bundle cannot name it.
    #[arg(long, requires = "rpc")]
    transaction: Option<B256>,
}

pub(super) async fn run(args: VerifyArgs, output: Output) -> Result<ExitCode, Failure> {
    let bytes = std::fs::read(&args.file)?;
    match Bundle::verify(&bytes) {
        Ok(proof) => {
            let asked = !args.chain.rpc.is_empty();
            let confirmed = if asked && !proof.direct {
                Some(args.chain.confirm(&proof).await?)
            } else {
                None
            };
            let straight = if asked && proof.direct {
                let chain = &args.chain;
                Some(chain.confirm_straight(&proof, args.transaction).await?)
            } else {
                None
            };
            let shown = args.file.display();
            output.line(format!("{} {shown}", "verified".green().bold()));
            for link in &proof.links {
                output.line(format!("  {link}"));
            }
            if let Some(on) = &confirmed {
                output.line(format!("  chain: budget covered at {}", on.funded_at));
                output.line(format!(
                    "  chain: receipt executed in {}, {} payouts, {} refunded, seen from block {}",
                    on.transaction, on.payouts, on.refunded, on.height
                ));
            }
            if let Some(on) = &straight {
                output.line(format!(
                    "  chain: {} paid the worker the amount in {:#x}, seen from block {}; the chain does not say for which task",
                    on.payer, on.transaction, on.height
                ));
            }
            output.document(&serde_json::json!({
                "verified": true,
                "direct": proof.direct,
                "taskId": proof.task_id,
                "receiptCid": proof.receipt_cid,
                "outcome": proof.outcome,
                "signers": proof.signers,
                "proved": proof.links.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "chain": seen(confirmed.as_ref(), straight.as_ref()),
            }));
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            output.document(
                &serde_json::json!({ "verified": false, "brokenLink": broken.to_string() }),
            );
            output.failure(&broken);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What the chain said, for programs.
fn seen(confirmed: Option<&Confirmed>, straight: Option<&PaidStraight>) -> serde_json::Value {
    match (confirmed, straight) {
        (Some(on), _) => serde_json::json!({
            "fundedAt": on.funded_at,
            "transaction": on.transaction,
            "height": on.height,
            "refunded": on.refunded.to_string(),
        }),
        (None, Some(on)) => serde_json::json!({
            "transaction": format!("{:#x}", on.transaction),
            "payer": format!("{:#x}", on.payer),
        }),
        (None, None) => serde_json::Value::Null,
    }
}
