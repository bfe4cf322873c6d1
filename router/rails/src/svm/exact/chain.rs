//! The rules that need the chain: recent blockhash, the payer's account, a trial run.

use async_trait::async_trait;
use d402_objects::Amount;
use d402_svm::token::TokenAccount;
use d402_svm::transaction::Table;
use d402_svm::{Address, Chain, Hash, Level, RpcError};
use futures::future::try_join3;

use super::{ExactFault, ExactPayment, Received, Requirements, Tables, inspect::inspect};

/// What the checks ask the chain, at commitment `confirmed`. An error is silence, never an answer.
#[async_trait]
pub trait ExactReader: Send + Sync {
    /// An account of the lookup table program; `None` when it is no active table.
    async fn lookup_table(&self, address: Address) -> Result<Option<Table>, RpcError>;
    /// A token account of this program; `None` when it is not there or something else.
    async fn token_account(
        &self,
        address: Address,
        token_program: Address,
    ) -> Result<Option<TokenAccount>, RpcError>;
    /// Whether transactions with this blockhash are taken.
    async fn is_recent(&self, blockhash: Hash) -> Result<bool, RpcError>;
    /// Runs the transaction without our signature and without any effect: whether no instruction fails.
    async fn simulate(&self, raw: &[u8]) -> Result<bool, RpcError>;
}

#[async_trait]
impl ExactReader for Chain {
    async fn lookup_table(&self, address: Address) -> Result<Option<Table>, RpcError> {
        let found = self.accounts(&[address], Level::Confirmed, None).await?;
        Ok(found
            .get(0)
            .and_then(|account| Table::read(address, account)))
    }

    async fn token_account(
        &self,
        address: Address,
        token_program: Address,
    ) -> Result<Option<TokenAccount>, RpcError> {
        let found = self.accounts(&[address], Level::Confirmed, None).await?;
        let account = found
            .get(0)
            .filter(|account| account.owner == token_program);
        Ok(account.and_then(TokenAccount::read))
    }

    async fn is_recent(&self, blockhash: Hash) -> Result<bool, RpcError> {
        self.is_blockhash_valid(&blockhash).await
    }

    async fn simulate(&self, raw: &[u8]) -> Result<bool, RpcError> {
        Ok(Chain::simulate(self, raw, false).await?.err.is_none())
    }
}

/// Checks a payment by every rule. Nothing is changed anywhere.
///
/// # Errors
/// [`RpcError`] when the chain did not say; the same may be asked again.
pub async fn verify(
    reader: &dyn ExactReader,
    received: &Received,
    required: &Requirements,
) -> Result<Result<ExactPayment, ExactFault>, RpcError> {
    let payment = match received.tables() {
        Ok(named) => inspect(received, &resolve(reader, &named).await?, required),
        Err(fault) => Err(fault),
    };
    let payment = match payment {
        Ok(payment) => payment,
        Err(fault) => return Ok(Err(fault)),
    };
    let (recent, source, succeeds) = try_join3(
        reader.is_recent(payment.blockhash),
        reader.token_account(payment.source, payment.token_program),
        reader.simulate(received.raw()),
    )
    .await?;
    if !recent {
        return Ok(Err(ExactFault::Blockhash));
    }
    if let Err(fault) = check_source(source, &payment) {
        return Ok(Err(fault));
    }
    Ok(if succeeds {
        Ok(payment)
    } else {
        Err(ExactFault::Simulation)
    })
}

/// The tables that are there; one that is not is missed where it is needed.
///
/// # Errors
/// [`RpcError`].
pub async fn resolve(reader: &dyn ExactReader, named: &[Address]) -> Result<Tables, RpcError> {
    let mut tables = Tables::new();
    for address in named {
        if let Some(table) = reader.lookup_table(*address).await? {
            tables.insert(*address, table);
        }
    }
    Ok(tables)
}

fn check_source(source: Option<TokenAccount>, payment: &ExactPayment) -> Result<(), ExactFault> {
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
