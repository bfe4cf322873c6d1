//! Which request does what. No rule lives here: payments are in `pay`, receipts in `settle`,
//! everything else about vaults in `vaults`.

use d402_objects::{Amount, Hex32};
use d402_wire::simchain::{Fault, PaymentState, Rpc, RpcAnswer, VaultView};

use super::Options;
use super::books::{Block, Stamp, unsigned};
use super::error::{AccountRule, ChainError, Stop};
use super::{pay, settle, vaults};

/// What a request came to.
#[derive(Debug)]
pub(super) enum Executed {
    /// It took effect now, under the block's stamp.
    New,
    /// Its effect happened before, under this stamp; nothing changed.
    Before(Stamp),
    /// It only asked.
    View(RpcAnswer),
}

/// Executes one request inside its savepoint.
pub(super) async fn execute(
    block: &mut Block<'_>,
    rpc: &Rpc,
    options: Options,
    fault: Option<Fault>,
) -> Result<Executed, Stop> {
    match rpc {
        Rpc::Mint { .. } if !options.allow_faucet => Err(AccountRule::NoFaucet.into()),
        Rpc::Mint { to, asset, amount } => mint(block, *to, *asset, units(*amount)?).await,
        Rpc::Balance { account, asset } => {
            let amount = Amount::from(block.balance(*account, *asset).await?);
            Ok(Executed::View(RpcAnswer::Balance { amount }))
        }
        Rpc::PublishSet { threshold, keys } => vaults::publish_set(block, *threshold, keys).await,
        Rpc::Open { terms } => vaults::open(block, terms).await,
        Rpc::Pay { payment, terms } => pay::pay(block, payment, terms.as_deref(), fault).await,
        Rpc::PaymentStatus {
            payment_id,
            valid_before,
        } => payment_status(block, *payment_id, *valid_before).await,
        Rpc::Settle { .. } => settle::settle(block, rpc).await,
        Rpc::Sweep { terms } => vaults::sweep(block, terms).await,
        Rpc::ClaimCredit { terms_hash, payee } => {
            vaults::claim_credit(block, *terms_hash, *payee).await
        }
        Rpc::LapseCredits { terms_hash } => vaults::lapse_credits(block, *terms_hash).await,
        Rpc::Close { terms } => vaults::close(block, terms).await,
        Rpc::Vault {
            terms_hash,
            pay_to,
            asset,
        } => view(block, *terms_hash, *pay_to, *asset).await,
        Rpc::Events { from } => Ok(Executed::View(RpcAnswer::Events {
            events: block.events(*from).await?,
        })),
        Rpc::Clock | Rpc::AdvanceClock { .. } | Rpc::SetUnpayable { .. } | Rpc::SetFault { .. } => {
            Err(ChainError::Broken {
                what: "a switch reached the books",
            }
            .into())
        }
    }
}

async fn mint(
    block: &mut Block<'_>,
    to: Hex32,
    asset: Hex32,
    units: u64,
) -> Result<Executed, Stop> {
    if !block.payable(to).await? {
        return Err(AccountRule::Unpayable.into());
    }
    block.mint(to, asset, units).await?;
    Ok(Executed::New)
}

async fn payment_status(
    block: &mut Block<'_>,
    id: Hex32,
    valid_before: Option<i64>,
) -> Result<Executed, Stop> {
    let state = match block.payment(id).await? {
        Some((paid, stamp)) => PaymentState::Executed {
            transaction: stamp.transaction,
            amount: Amount::from(paid.units),
            at: stamp.at,
            height: unsigned(stamp.height)?,
        },
        // Not executed in this snapshot, and the clock of this snapshot is past the only window it had.
        None if valid_before.is_some_and(|end| block.stamp.at >= end) => PaymentState::Impossible,
        None => PaymentState::Unseen,
    };
    Ok(Executed::View(RpcAnswer::Payment(state)))
}

async fn view(
    block: &mut Block<'_>,
    terms_hash: Hex32,
    pay_to: Hex32,
    asset: Hex32,
) -> Result<Executed, Stop> {
    let record = vaults::record(block, terms_hash, pay_to).await?;
    Ok(Executed::View(RpcAnswer::Vault(VaultView {
        open: record.open,
        settled: record.settled,
        balance: Amount::from(block.balance(pay_to, asset).await?),
        credits: record.credits,
        deposits: block.deposits(pay_to, asset).await?,
    })))
}

/// Amounts of this chain have 64 bits.
pub(super) fn units(amount: Amount) -> Result<u64, Stop> {
    u64::try_from(amount.get()).map_err(|_| AccountRule::OutOfRange.into())
}
