//! `d402 capability`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use d402_core::ports::Clock as _;
use d402_objects::{
    Bps, Cid, Commission, DeprecationRecord, Ed25519Id, Manifest, Namespace, Registration, Signed,
    SigningKey, Text, UnixMs,
};
use serde_json::{Value, json};

use super::{Failure, Output};
use crate::buyer::GatewayClient;
use crate::clock::SystemClock;
use crate::keys;

/// How long a registration is valid, ms: a year.
const VALID_MS: u64 = 365 * 24 * 3_600_000;

/// A capability is a manifest; its author signs it, registers it under a namespace, and may deprecate it.
#[derive(Args)]
pub(super) struct CapabilityArgs {
    #[command(subcommand)]
    command: CapabilityCommand,
}

#[derive(Subcommand)]
enum CapabilityCommand {
    /// Prints a manifest to start from: that of a built-in capability.
    Template {
        /// Capability id, e.g. `json.transform@1`.
        #[arg(long)]
        id: String,
    },
    /// Checks a manifest file.
    Validate {
        /// Manifest (unsigned JSON).
        #[arg(long)]
        file: PathBuf,
    },
    /// Signs manifest and registration into one file for `d402 node --import`.
    Register {
        /// Manifest (unsigned JSON).
        #[arg(long)]
        file: PathBuf,
        /// Author's key.
        #[arg(long)]
        key: PathBuf,
        /// Namespace.
        #[arg(long)]
        namespace: Namespace,
        /// Commission of accepted worker pay, bps, at most 2000.
        #[arg(long, default_value_t = 0)]
        creator_commission_bps: u16,
        /// Commission wallet, `<caip2>=<address>`; may be repeated.
        #[arg(long)]
        creator_wallet: Vec<String>,
        /// Where to write it; `<id>.registration.json` beside the manifest otherwise.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Signs a deprecation record.
    Deprecate {
        /// Manifest CID.
        #[arg(long)]
        manifest_cid: Cid,
        /// Author's key.
        #[arg(long)]
        key: PathBuf,
        /// Why.
        #[arg(long)]
        reason: Text,
        /// Manifest that replaces it.
        #[arg(long)]
        successor: Option<Cid>,
        /// Where to write it.
        #[arg(long)]
        out: PathBuf,
    },
    /// Lists what a gateway sells.
    List {
        /// Gateway origin.
        #[arg(long, env = "D402_GATEWAY", default_value = "http://127.0.0.1:7401")]
        gateway: String,
    },
}

pub(super) async fn run(args: CapabilityArgs, output: Output) -> Result<(), Failure> {
    match args.command {
        CapabilityCommand::Template { id } => template(&id),
        CapabilityCommand::Validate { file } => {
            let manifest = read_manifest(&file, None)?;
            output.line(format!("{} is valid", manifest.capability_id));
            output.document(&json!({ "valid": true, "capabilityId": manifest.capability_id }));
            Ok(())
        }
        CapabilityCommand::Register {
            file,
            key,
            namespace,
            creator_commission_bps,
            creator_wallet,
            out,
        } => {
            let key = keys::load_or_create(&key)?;
            let manifest = read_manifest(&file, Some(Ed25519Id::from(&key)))?;
            let commission = commission(creator_commission_bps, &creator_wallet)?;
            let (manifest, registration) =
                register(&key, manifest, namespace, commission, SystemClock.now_ms())?;
            let name = format!("{}.registration.json", manifest.payload().capability_id);
            let out = out.unwrap_or_else(|| file.with_file_name(name));
            write_json(&out, &json!([manifest.to_value(), registration.to_value()]))?;
            output.field("manifest", manifest.cid());
            output.field("registration", registration.cid());
            output.field("written to", out.display());
            output.document(&json!({ "manifestCid": manifest.cid(), "registrationCid": registration.cid(), "file": out }));
            Ok(())
        }
        CapabilityCommand::Deprecate {
            manifest_cid,
            key,
            reason,
            successor,
            out,
        } => {
            let key = keys::load(&key)?;
            let now_ms = SystemClock.now_ms();
            let record = DeprecationRecord {
                object_version: 1,
                author: Ed25519Id::from(&key),
                manifest_cid,
                reason,
                successor,
                seq: now_ms,
                at_ms: UnixMs::new(now_ms)?,
            };
            let record = Signed::sign(record, &key)?;
            write_json(&out, &record.to_value())?;
            output.field("deprecation", record.cid());
            output.document(&json!({ "deprecationCid": record.cid(), "file": out }));
            Ok(())
        }
        CapabilityCommand::List { gateway } => list(&gateway, output).await,
    }
}

fn template(id: &str) -> Result<(), Failure> {
    let listed = d402_capabilities::capability(id).ok_or_else(|| {
        let known: Vec<&str> = d402_capabilities::capabilities()
            .iter()
            .map(|c| c.manifest().capability_id())
            .collect();
        format!(
            "no built-in capability {id}; there are {}",
            known.join(", ")
        )
    })?;
    println!("{}", listed.manifest_template().trim());
    Ok(())
}

fn read_manifest(file: &Path, author: Option<Ed25519Id>) -> Result<Manifest, Failure> {
    let bytes = std::fs::read(file)?;
    let placeholder = Ed25519Id::from_bytes([0x11; 32]);
    manifest_of(&bytes, author.unwrap_or(placeholder))
}

/// A manifest from its template and its author.
///
/// # Errors
/// When it is not strict JSON or breaks a rule of manifests.
pub fn manifest_of(template: &[u8], author: Ed25519Id) -> Result<Manifest, Failure> {
    let mut value = d402_objects::strict::parse_value(template, 256 * 1024)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("author".to_owned(), Value::String(author.to_string()));
    }
    let (manifest, _) =
        d402_objects::parse_payload::<Manifest>(&d402_objects::canonical::to_bytes(&value))?;
    Ok(manifest)
}

fn commission(bps: u16, wallets: &[String]) -> Result<Commission, Failure> {
    let wallets = wallets
        .iter()
        .map(|pair| {
            let (network, address) = pair
                .split_once('=')
                .ok_or("wallet is not <caip2>=<address>")?;
            Ok::<_, Failure>((network.parse()?, address.parse()?))
        })
        .collect::<Result<_, _>>()?;
    Ok(Commission {
        bps: Bps::new(bps)?,
        wallets,
    })
}

/// Signs a manifest and its registration.
///
/// # Errors
/// When either breaks a rule of its kind.
pub fn register(
    key: &SigningKey,
    manifest: Manifest,
    namespace: Namespace,
    commission: Commission,
    now_ms: u64,
) -> Result<(Signed<Manifest>, Signed<Registration>), Failure> {
    let manifest = Signed::sign(manifest, key)?;
    let registration = Registration {
        object_version: 1,
        author: Ed25519Id::from(key),
        manifest_cid: manifest.cid(),
        capability_id: manifest.payload().capability_id.clone(),
        namespace,
        commission,
        seq: now_ms,
        valid_from_ms: UnixMs::new(now_ms.saturating_sub(60_000))?,
        valid_until_ms: UnixMs::new(now_ms.saturating_add(VALID_MS))?,
    };
    Ok((manifest, Signed::sign(registration, key)?))
}

/// Writes JSON to a file.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &Value) -> Result<(), Failure> {
    Ok(std::fs::write(path, serde_json::to_vec(value)?)?)
}

async fn list(gateway: &str, output: Output) -> Result<(), Failure> {
    let answer = GatewayClient::new(gateway)?
        .get_json("/capabilities", None)
        .await?;
    output.document(&answer);
    let items = answer
        .get("capabilities")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for item in items {
        let text = |name: &str| {
            item.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        output.line(format!(
            "{:<28} {}",
            text("capabilityId"),
            text("manifestCid")
        ));
    }
    Ok(())
}
