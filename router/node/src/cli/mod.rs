//! The command line. Every command prints for people, or with `--json` one JSON document for programs;
//! errors go to stderr with their causes, and a non-zero exit code.

mod buy;
mod capability;
mod gateway_flags;
mod key;
mod node;
mod onchain;
mod onchain_direct;
mod output;
mod recover;
mod task;
mod verify;
mod wallet;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use buy::{random_token, token_hash};
pub use capability::{manifest_of, register, write_json};
pub use output::Output;

/// A market for verifiable work: buy it, sell it, judge it.
#[derive(Parser)]
#[command(name = "d402", version, about, propagate_version = true)]
pub struct Cli {
    /// One JSON document on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a node with any mix of roles.
    Node(node::NodeArgs),
    /// Buys one task from a gateway and checks the receipt.
    Buy(buy::BuyArgs),
    /// Shows a task of a gateway.
    Task(task::TaskArgs),
    /// Checks a bundle offline, and with --rpc against the chain.
    Verify(verify::VerifyArgs),
    /// Gets a saved purchase's money back from the chain, without any gateway.
    Recover(recover::RecoverArgs),
    /// Writes, checks and signs capability manifests.
    Capability(capability::CapabilityArgs),
    /// Makes and shows keys.
    Key(key::KeyArgs),
    /// Starts a whole market on this machine and buys from it.
    Demo(crate::demo::DemoArgs),
    /// Prints shell completions.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Runs one executor request from stdin; called by workers.
    #[command(hide = true)]
    Exec,
}

/// What a command failed with: any error of ours; only its text and causes matter here.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Parses, runs, reports.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    init_tracing(&cli.command);
    let output = Output { json: cli.json };
    match run(cli.command, output) {
        Ok(code) => code,
        Err(error) => {
            output.failure(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// What is logged when `RUST_LOG` says nothing: a node says what it does, a command only what went wrong.
fn default_filter(command: &Command) -> &'static str {
    match command {
        Command::Node(_) => "warn,d402=info",
        Command::Buy(_)
        | Command::Task(_)
        | Command::Verify(_)
        | Command::Recover(_)
        | Command::Capability(_)
        | Command::Key(_)
        | Command::Demo(_)
        | Command::Completions { .. }
        | Command::Exec => "warn",
    }
}

fn init_tracing(command: &Command) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default_filter(command)));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

fn run(command: Command, output: Output) -> Result<ExitCode, Failure> {
    let done = |result: Result<(), Failure>| result.map(|()| ExitCode::SUCCESS);
    match command {
        Command::Exec => done(
            d402_capabilities::run_exec(std::io::stdin(), std::io::stdout()).map_err(Into::into),
        ),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "d402", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(args) => block_on(verify::run(args, output))?,
        Command::Recover(args) => block_on(recover::run(args, output))?,
        Command::Key(args) => done(key::run(&args, output)),
        Command::Capability(args) => done(block_on(capability::run(args, output))?),
        Command::Node(args) => done(block_on(node::run(args, output))?),
        Command::Buy(args) => block_on(buy::run(args, output))?,
        Command::Task(args) => done(block_on(task::run(args, output))?),
        Command::Demo(args) => block_on(crate::demo::run(args, output))?,
    }
}

fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    Ok(tokio::runtime::Runtime::new()?.block_on(future))
}
