//! `d402 demo`: a whole market on this machine, as separate processes, and a buyer who buys from it.

mod market;
mod money;
mod narrator;
mod pages;
mod processes;
mod report;
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use d402_core::ports::Clock as _;

use crate::cli::{Failure, Output};
use crate::clock::SystemClock;

/// Starts a simulated chain, a bootstrap node, four validators (one lies), four workers (one lies, one is
/// slow) and a gateway on loopback, buys from it, checks every receipt, and shows who was paid.
#[derive(Args)]
pub struct DemoArgs {
    /// Buy this page instead of the shopping list. Its host must be reachable and, if it is a private
    /// address, is allowed for this run.
    #[arg(long)]
    url: Option<String>,
    /// Rail to pay on.
    #[arg(long, default_value = "simulated", value_parser = ["simulated", "base-escrow", "solana-vault"])]
    rail: String,
    /// Folder for node states, logs and bundles; a fresh one under `.cache/demo` otherwise.
    #[arg(long)]
    state: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// When a node does not start, a purchase fails, or a bundle does not verify.
pub async fn run(args: DemoArgs, output: Output) -> Result<ExitCode, Failure> {
    let now_ms = SystemClock.now_ms();
    let state = args
        .state
        .unwrap_or_else(|| PathBuf::from(format!(".cache/demo/run-{now_ms}")));
    std::fs::create_dir_all(&state)?;
    let state = std::fs::canonicalize(state)?;
    let pages = pages::serve().await?;
    output.heading("Starting the market");
    let told = (args.rail.as_str(), output);
    let mut market = market::Market::start(&state, &pages, args.url.as_deref(), told).await?;
    let accounts = market.accounts();
    let before = market.money.balances(&accounts).await?;
    let outcome = shop::go_shopping(&market, &pages, args.url.as_deref(), output).await;
    market.stop().await;
    let sold = match outcome {
        Ok(sold) => sold,
        Err(error) => {
            output.line(format!("logs of all nodes: {}", state.display()));
            return Err(error);
        }
    };
    let after = market.money.balances(&accounts).await?;
    let books = report::Books::of(&accounts, before, after, &sold)?;
    report::print(&sold, &market, (&args.rail, &books), output);
    Ok(if sold.iter().all(report::Sold::is_as_expected) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
