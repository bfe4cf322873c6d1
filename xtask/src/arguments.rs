//! The command line: what can be asked for, and which module answers.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    api, bench, demo,
    failure::Failure,
    metadata::Metadata,
    postgres::{self, Cluster, URL_VARIABLE},
    process::Call,
    setup,
    steps::{self, Context},
    tidy,
    vectors::{self, Mode},
    workspace::Workspace,
};

const COMMAND_LIMIT: Duration = Duration::from_secs(6 * 60 * 60);

/// Builds, tests and shows the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing and print what was found
    Setup,
    /// Set up what is missing and pass every test
    Test(Choice),
    /// The test command the way a build server runs it: fixed lockfiles, every failure shown
    Ci {
        /// Check security advisories instead; fetches their database from the network
        #[arg(long)]
        advisories: bool,
    },
    /// Hold the house rules against the clone
    Tidy,
    /// Compare the golden vectors with what the code writes, and see that both languages read them
    Vectors {
        /// Write them instead
        #[arg(long)]
        write: bool,
    },
    /// Write the interface description of the Solana program
    Idl,
    /// Run a benchmark: market, base
    Bench {
        name: String,
        /// Passed on to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
    /// Build the programs and run `d402 demo` with these flags
    #[command(disable_help_flag = true)]
    Demo {
        /// Passed on to `d402 demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
    /// Run the property-based API tester against a gateway that is already running
    Api {
        /// Where the gateway listens, such as http://127.0.0.1:4020
        url: String,
    },
    /// Run a command with a private PostgreSQL cluster in D402_TEST_POSTGRES_URL
    Postgres {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// The process that owns a private cluster
    #[command(hide = true)]
    PostgresGuard,
}

#[derive(clap::Args)]
struct Choice {
    /// Run only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these steps out
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    skip: Vec<String>,
    /// Print the steps and stop
    #[arg(long)]
    list: bool,
}

/// Reads the command line and carries it out.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match Arguments::parse().command {
        Command::Setup => setup::run(Workspace::find()?).map(done),
        Command::Test(choice) => test(&choice).map(done),
        Command::Ci { advisories } => ci(advisories).map(done),
        Command::Tidy => {
            let workspace = Workspace::find()?;
            tidy::run(&workspace, &Metadata::read(&workspace)?).map(done)
        }
        Command::Vectors { write } => {
            let mode = if write { Mode::Write } else { Mode::Check };
            vectors::run(&Workspace::find()?, mode).map(done)
        }
        Command::Idl => steps::write_idl(&Context::new(Workspace::find()?)?).map(done),
        Command::Bench { name, flags } => bench::run(&Workspace::find()?, &name, &flags).map(done),
        Command::Demo { flags } => demo::run(&Workspace::find()?, &flags),
        Command::Api { url } => api::run(&Context::new(Workspace::find()?)?, &url, None).map(done),
        Command::Postgres { command } => with_cluster(&command),
        Command::PostgresGuard => postgres::guard().map(done),
    }
}

fn test(choice: &Choice) -> Result<(), Failure> {
    if choice.list {
        for step in steps::STEPS {
            println!("{:<12}{}", step.name, step.about);
        }
        return Ok(());
    }
    steps::run(Workspace::find()?, &choice.only, &choice.skip)
}

fn ci(advisories: bool) -> Result<(), Failure> {
    let workspace = Workspace::find()?.into_ci();
    if advisories {
        return steps::advisories(&Context::new(workspace)?);
    }
    steps::run(workspace, &[], &[])
}

/// Runs a command beside a cluster of its own and ends with the command's exit code.
fn with_cluster(command: &[OsString]) -> Result<ExitCode, Failure> {
    let cluster = Cluster::start()?;
    let (program, args) = command.split_first().ok_or(Failure::NoSteps)?;
    let status = Call::new(program, COMMAND_LIMIT)
        .args(args)
        .env(URL_VARIABLE, cluster.url())
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
