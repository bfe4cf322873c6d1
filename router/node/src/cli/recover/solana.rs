//! The same on Solana: one `sweep` of the vault.

use std::process::ExitCode;
use std::sync::Arc;

use d402_core::ports::{Rail as _, RailError};
use d402_rails::svm::book::TransactionBook;
use d402_rails::svm::{Caps, Sender, VaultRail, VaultRailOptions};
use d402_settlement::ledger::VaultAccount;
use d402_svm::{Address, Chain, Level, VaultView};
use serde_json::json;

use super::{LATER, RecoverArgs, Saved};
use crate::cli::onchain::vault_of;
use crate::cli::{Failure, Output};
use crate::clock::SystemClock;

pub(super) async fn recover(
    args: &RecoverArgs,
    saved: &Saved,
    output: Output,
) -> Result<ExitCode, Failure> {
    let chain = Arc::new(args.chain.cluster(&saved.network)?);
    let place = vault_of(&chain, &saved.terms).await?;
    if saved.pay_to.parse() != Ok(place.vault) {
        return Err("the 402 asked for payment to an address its own terms do not give".into());
    }
    let refund_to = Address::new_from_array(place.terms.refund_to.0);
    output.heading("recover");
    output.field("vault", place.vault);
    output.field("refund to", refund_to);
    let before = VaultView::now(&chain, &place, Level::Confirmed).await?;
    output.field("holds", before.balance);
    let rail = rail(args, saved, (Arc::clone(&chain), place.mint)).await?;
    match rail.submit(&rail.sweep_body(&saved.terms)).await {
        Ok(()) => {}
        Err(RailError::Retry { rule }) if rule == "TooEarly" => {
            let from = place.terms.refund_after.0;
            output.line(format!("not yet: the refund opens at {from} (chain time)"));
            output.document(&json!({ "refunded": "0", "opensAt": from }));
            return Ok(ExitCode::from(LATER));
        }
        Err(error) => return Err(error.into()),
    }
    let after = VaultView::now(&chain, &place, Level::Confirmed).await?;
    let refunded = before.balance.saturating_sub(after.balance);
    output.field("refunded", refunded);
    output.document(&json!({
        "refunded": refunded.to_string(),
        "refundTo": refund_to.to_string(),
        "left": after.balance.to_string(),
        "settled": matches!(before.state.account, VaultAccount::Settled(_)),
    }));
    Ok(ExitCode::SUCCESS)
}

async fn rail(
    args: &RecoverArgs,
    saved: &Saved,
    (chain, mint): (Arc<Chain>, Address),
) -> Result<VaultRail, Failure> {
    let key = args.wallet.solana()?;
    std::fs::create_dir_all(&args.state)?;
    let file = format!("transactions-{}.sqlite", key.address());
    let book = TransactionBook::open(&args.state.join(file)).await?;
    let clock = Arc::new(SystemClock);
    let sender = Sender::new(Arc::clone(&chain), (key, book), Caps::SOLANA, clock);
    let options = VaultRailOptions {
        network: saved.network.to_string(),
        mint,
        table: None,
    };
    Ok(VaultRail::new(options, chain, sender))
}
