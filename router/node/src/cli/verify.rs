//! `d402 verify FILE`: offline, from the bundle alone; with `--rpc` held against the chain as well.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use d402_settlement::market::Bundle;
use owo_colors::OwoColorize as _;

use super::onchain::ChainArgs;
use super::{Failure, Output};

/// Exits 0 when every link holds, 1 with the first broken link otherwise.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Bundle file.
    file: PathBuf,
    #[command(flatten)]
    chain: ChainArgs,
}

pub(super) async fn run(args: VerifyArgs, output: Output) -> Result<ExitCode, Failure> {
    let bytes = std::fs::read(&args.file)?;
    match Bundle::verify(&bytes) {
        Ok(proof) => {
            let confirmed = if args.chain.rpc.is_empty() {
                None
            } else {
                Some(args.chain.confirm(&proof).await?)
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
            output.document(&serde_json::json!({
                "verified": true,
                "taskId": proof.task_id,
                "receiptCid": proof.receipt_cid,
                "outcome": proof.outcome,
                "signers": proof.signers,
                "proved": proof.links.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "chain": confirmed.map(|on| serde_json::json!({
                    "fundedAt": on.funded_at,
                    "transaction": on.transaction,
                    "height": on.height,
                    "refunded": on.refunded.to_string(),
                })),
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
