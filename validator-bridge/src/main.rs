//! `d402-validator`: the bridge process, and the executor it spawns.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use d402_validator_bridge::{Bridge, BridgeConfig};

#[derive(Parser)]
#[command(
    version,
    about = "Judges claims and co-signs settlements; holds the validator's keys"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the bridge until the process is stopped.
    Run {
        /// TOML configuration, see docs/runbooks/validator.md.
        #[arg(long)]
        config: PathBuf,
        /// End when stdin ends: a front that starts the bridge passes a pipe, so that no bridge outlives it.
        #[arg(long)]
        until_stdin_ends: bool,
    },
    /// Prints the validator's public keys, making them when there are none.
    Keys {
        /// TOML configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Runs one executor request from stdin; called by the bridge itself.
    #[command(hide = true)]
    Exec,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Exec => {
            d402_capabilities::run_exec(std::io::stdin(), std::io::stdout()).map_err(Box::from)
        }
        Command::Run {
            config,
            until_stdin_ends,
        } => run(&config, until_stdin_ends),
        Command::Keys { config } => keys(&config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(config: &std::path::Path, until_stdin_ends: bool) -> Result<(), Failure> {
    let config = BridgeConfig::read(config)?;
    if config.misbehaviour != d402_validator_bridge::Misbehaviour::None {
        tracing::error!(misbehaviour = ?config.misbehaviour, "THIS VALIDATOR IS TOLD TO MISBEHAVE");
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        let bridge = Bridge::open(config).await?;
        tokio::select! {
            served = bridge.serve() => Ok(served?),
            _stop = tokio::signal::ctrl_c() => Ok(()),
            () = stdin_ended(), if until_stdin_ends => Ok(()),
        }
    })
}

/// Nothing is read from stdin; its end is the news. A thread of its own, because a blocked read must not keep
/// the runtime from ending.
async fn stdin_ended() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _end_or_error = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(end);
    });
    let _closed = ended.await;
}

fn keys(config: &std::path::Path) -> Result<(), Failure> {
    let config = BridgeConfig::read(config)?;
    let keys = d402_validator_bridge::keys::Keys::load_or_create(&config.state_dir.join("keys"))?;
    println!("envelope    {}", keys.validator());
    println!("settlement  {}", keys.settlement());
    println!("evm         {}", keys.evm());
    Ok(())
}

/// The error and its causes, one line each.
fn report(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprintln!("  because: {inner}");
        cause = inner.source();
    }
}
