//! A local Solana node: JSON-RPC and websocket on loopback, offline, with the genesis hash of devnet, so that
//! CAIP-2 names and programs built for devnet fit. For tests, the demo and developers; never for money.
//!
//! Prints one line of JSON when it answers and ends when its standard input closes, so that a test which is
//! killed leaves no node behind. Airdrops, time travel and account writes go through its RPC
//! (`requestAirdrop`, `surfnet_timeTravel`, `surfnet_setAccount`, …).

mod arguments;
mod node;

use std::process::ExitCode;

use arguments::{Arguments, USAGE};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let given = std::env::args().skip(1).collect::<Vec<_>>();
    if given.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match serve(&given).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("solnode: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(given: &[String]) -> Result<(), String> {
    let mut ended = signal(SignalKind::terminate()).map_err(|e| format!("signals: {e}"))?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|e| format!("signals: {e}"))?;
    let node = node::Node::start(Arguments::read(given)?).await?;
    println!("{}", node.told());
    let stopped = node.stopped();
    tokio::select! {
        () = input_closed() => Ok(()),
        _ = ended.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        reason = stopped => Err(format!("the node stopped: {reason}")),
    }
}

async fn input_closed() {
    let mut input = tokio::io::stdin();
    let mut ignored = [0_u8; 256];
    while matches!(input.read(&mut ignored).await, Ok(count) if count > 0) {}
}
