//! `d402 recover FILE`: the refund of a saved purchase, from the chain alone. No gateway is asked.

mod solana;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use d402_core::ports::{Rail as _, RailError};
use d402_evm::primitives::Address;
use d402_evm::{EscrowQuery, EscrowView, Level};
use d402_objects::Caip2;
use d402_rails::evm::book::NonceBook;
use d402_rails::evm::{Caps, EscrowRail, EscrowRailOptions, Sequencer, TokenDomain};
use d402_settlement::Codec;
use serde_json::{Value, json};

use super::onchain::{ChainArgs, codec};
use super::wallet::WalletArgs;
use super::{Failure, Output};
use crate::clock::SystemClock;

/// Largest saved file, bytes.
const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Exit code for "not yet".
const LATER: u8 = 3;

/// Sends everything that lies at the address of a saved 402 or payment back to its refundTo, once its time has
/// come. Anybody may; the key only pays the gas or the fee.
#[derive(Args)]
pub(super) struct RecoverArgs {
    /// A file `d402 buy` saved, a decoded PAYMENT-REQUIRED header, or one of its `accepts` entries.
    file: PathBuf,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Where the key's nonces or transactions are kept.
    #[arg(long, default_value = ".d402")]
    state: PathBuf,
}

/// What a saved file says about one escrow; nothing of it is believed that the terms do not give.
struct Saved {
    network: Caip2,
    terms: Vec<u8>,
    pay_to: String,
}

impl Saved {
    fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let value = d402_objects::strict::parse_value(bytes, MAX_FILE_BYTES)?;
        let places = ["/payment/accepted", "/accepted", "/accepts/0", ""];
        let entry = places
            .iter()
            .filter_map(|place| value.pointer(place))
            .find(|entry| entry.pointer("/extra/d402/terms").is_some())
            .ok_or("the file holds no 402 of a d402 gateway")?;
        let text = |place: &str| entry.pointer(place).and_then(Value::as_str);
        Ok(Self {
            network: text("/network")
                .ok_or("the 402 names no network")?
                .parse()?,
            terms: URL_SAFE_NO_PAD.decode(text("/extra/d402/terms").unwrap_or_default())?,
            pay_to: text("/payTo").unwrap_or_default().to_owned(),
        })
    }
}

pub(super) async fn run(args: RecoverArgs, output: Output) -> Result<ExitCode, Failure> {
    let saved = Saved::read(&std::fs::read(&args.file)?)?;
    match codec(&saved.network)? {
        Codec::Evm(_) => recover_base(args, saved, output).await,
        Codec::Solana(_) => solana::recover(&args, &saved, output).await,
    }
}

async fn recover_base(
    args: RecoverArgs,
    saved: Saved,
    output: Output,
) -> Result<ExitCode, Failure> {
    let (chain, domain) = args.chain.open(&saved.network)?;
    let chain = Arc::new(chain);
    let ledger = Address::from(domain.ledger.0);
    let query = EscrowQuery::of_terms(&saved.terms, ledger).ok_or("the 402's terms are damaged")?;
    if saved.pay_to.parse() != Ok(query.escrow) {
        return Err("the 402 asked for payment to an address its own terms do not give".into());
    }
    output.heading("recover");
    output.field("escrow", format!("{:#x}", query.escrow));
    output.field("refund to", format!("{:#x}", query.shares.refund_to));
    let before = EscrowView::read(&chain, &query, Level::Latest).await?;
    output.field("holds", before.balance);
    let rail = rail(&args, &saved, (Arc::clone(&chain), &query)).await?;
    let swept = rail.submit(&rail.sweep_body(&saved.terms)).await;
    match swept {
        Ok(()) => {}
        Err(RailError::Retry { rule }) if rule == "TooEarly" => {
            let from = refund_after(&saved.terms);
            output.line(format!("not yet: the refund opens at {from} (chain time)"));
            output.document(&json!({ "refunded": "0", "opensAt": from }));
            return Ok(ExitCode::from(LATER));
        }
        Err(error) => return Err(error.into()),
    }
    let after = EscrowView::read(&chain, &query, Level::Latest).await?;
    let refunded = before.balance.saturating_sub(after.balance);
    output.field("refunded", refunded);
    output.document(&json!({
        "refunded": refunded.to_string(),
        "refundTo": format!("{:#x}", query.shares.refund_to),
        "left": after.balance.to_string(),
        "settled": after.settled.is_some(),
    }));
    Ok(ExitCode::SUCCESS)
}

async fn rail(
    args: &RecoverArgs,
    saved: &Saved,
    (chain, query): (Arc<d402_evm::Chain>, &EscrowQuery),
) -> Result<EscrowRail, Failure> {
    let key = args.wallet.evm()?;
    std::fs::create_dir_all(&args.state)?;
    let chain_id = chain.options().chain_id;
    let file = format!("nonces-{chain_id}-{:#x}.sqlite", key.address());
    let book = NonceBook::open(&args.state.join(file), key.address()).await?;
    let clock = Arc::new(SystemClock);
    let sequencer = Sequencer::new(Arc::clone(&chain), (key, book), Caps::BASE, clock);
    let options = EscrowRailOptions {
        network: saved.network.to_string(),
        // A sweep signs nothing for the token, so its EIP-712 names do not matter.
        token: TokenDomain {
            asset: query.asset,
            name: String::new(),
            version: String::new(),
            chain_id,
        },
        ledger: query.ledger,
    };
    Ok(EscrowRail::new(options, chain, sequencer))
}

fn refund_after(terms: &[u8]) -> u64 {
    <&[u8; d402_settlement::evm::EVM_TERMS_LEN]>::try_from(terms)
        .ok()
        .and_then(|bytes| d402_settlement::evm::EvmTerms::decode(bytes).ok())
        .map_or(0, |terms| terms.refund_after)
}
