//! The rules that need the chain: recent blockhash, the payer's account, a trial run.

use async_trait::async_trait;
use d402_objects::Amount;
use futures::future::try_join3;
use solana_address::Address;
use solana_hash::Hash;

use super::{
    ExactFault, ExactPayment, LookupTable, Received, Requirements, Tables, inspect::inspect,
};

/// The chain did not say. Never an answer by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain gave no answer")]
pub struct Unanswered;

/// A token account as far as a payment needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAccount {
    /// The token.
    pub mint: Address,
    /// Who may move it; not a delegate.
    pub owner: Address,
    /// Units.
    pub amount: u64,
}

/// How a trial run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// No instruction failed.
    pub succeeded: bool,
    /// Lamports of the fee payer before and after, where the node says so.
    pub fee_payer: Option<(u64, u64)>,
}

/// What the checks ask the chain, at commitment `confirmed`.
#[async_trait]
pub trait ExactReader: Send + Sync {
    /// An account of the lookup table program; `None` when it is no active table.
    async fn lookup_table(&self, address: Address) -> Result<Option<LookupTable>, Unanswered>;
    /// A token account of this program; `None` when it is not there or something else.
    async fn token_account(
        &self,
        address: Address,
        token_program: Address,
    ) -> Result<Option<SourceAccount>, Unanswered>;
    /// Whether transactions with this blockhash are taken.
    async fn is_recent(&self, blockhash: Hash) -> Result<bool, Unanswered>;
    /// Runs the transaction without our signature and without any effect.
    async fn simulate(&self, raw: &[u8], fee_payer: Address) -> Result<Simulated, Unanswered>;
}

/// Checks a payment by every rule. Nothing is changed anywhere.
///
/// # Errors
/// [`Unanswered`] when the chain did not say; the answer may be asked for again.
pub async fn verify(
    reader: &dyn ExactReader,
    received: &Received,
    required: &Requirements,
) -> Result<Result<ExactPayment, ExactFault>, Unanswered> {
    let tables = match received.tables() {
        Ok(named) => match resolve(reader, &named).await? {
            Some(tables) => tables,
            None => return Ok(Err(ExactFault::LookupTable)),
        },
        Err(fault) => return Ok(Err(fault)),
    };
    let payment = match inspect(received, &tables, required) {
        Ok(payment) => payment,
        Err(fault) => return Ok(Err(fault)),
    };
    let (recent, source, simulated) = try_join3(
        reader.is_recent(payment.blockhash),
        reader.token_account(payment.source, payment.token_program),
        reader.simulate(received.raw(), required.fee_payer),
    )
    .await?;
    if !recent {
        return Ok(Err(ExactFault::Blockhash));
    }
    Ok(check_source(source, &payment)
        .and_then(|()| check_run(simulated, &payment))
        .map(|()| payment))
}

async fn resolve(
    reader: &dyn ExactReader,
    named: &[Address],
) -> Result<Option<Tables>, Unanswered> {
    let mut tables = Tables::new();
    for address in named {
        match reader.lookup_table(*address).await? {
            Some(table) => tables.insert(*address, table),
            None => return Ok(None),
        };
    }
    Ok(Some(tables))
}

fn check_source(source: Option<SourceAccount>, payment: &ExactPayment) -> Result<(), ExactFault> {
    let source = source.ok_or(ExactFault::Source)?;
    // A delegate could sign too, and its allowance be taken back before the broadcast.
    if source.owner != payment.payer || source.mint != payment.mint {
        return Err(ExactFault::Source);
    }
    if source.amount < payment.amount {
        return Err(ExactFault::Funds {
            got: Amount::from(source.amount),
            needed: Amount::from(payment.amount),
        });
    }
    Ok(())
}

/// The fee payer's balance is the second line: the rules before it leave nothing that could move it.
fn check_run(simulated: Simulated, payment: &ExactPayment) -> Result<(), ExactFault> {
    let fair = simulated
        .fee_payer
        .is_none_or(|(before, after)| before.saturating_sub(after) <= payment.fee_lamports);
    if simulated.succeeded && fair {
        Ok(())
    } else {
        Err(ExactFault::Simulation)
    }
}
