//! `d402 key`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use d402_objects::Ed25519Id;
use d402_rails::simulated::BuyerAccount;

use super::{Failure, Output};
use crate::keys;

/// Keys are files of 64 hex digits, mode 0600.
#[derive(Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Makes a new key; an existing file is never touched.
    New {
        /// File.
        file: PathBuf,
    },
    /// Shows a key's public names.
    Show {
        /// File.
        file: PathBuf,
    },
}

pub(super) fn run(args: &KeyArgs, output: Output) -> Result<(), Failure> {
    let key = match &args.command {
        KeyCommand::New { file } => keys::create(file)?,
        KeyCommand::Show { file } => keys::load(file)?,
    };
    let name = Ed25519Id::from(&key);
    let account = BuyerAccount::new(key).address();
    output.field("key", name);
    output.field("account", format!("{account} (d402:simulated)"));
    output.document(&serde_json::json!({ "key": name, "account": account }));
    Ok(())
}
