//! `d402 verify FILE`: offline, from the bundle alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use d402_settlement::market::Bundle;
use owo_colors::OwoColorize as _;

use super::{Failure, Output};

/// Exits 0 when every link holds, 1 with the first broken link otherwise.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// Bundle file.
    file: PathBuf,
}

pub(super) fn run(args: &VerifyArgs, output: Output) -> Result<ExitCode, Failure> {
    let bytes = std::fs::read(&args.file)?;
    match Bundle::verify(&bytes) {
        Ok(proof) => {
            output.line(format!(
                "{} {}",
                "verified".green().bold(),
                args.file.display()
            ));
            for link in &proof.links {
                output.line(format!("  {link}"));
            }
            output.document(&serde_json::json!({
                "verified": true,
                "taskId": proof.task_id,
                "receiptCid": proof.receipt_cid,
                "outcome": proof.outcome,
                "signers": proof.signers,
                "proved": proof.links.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
