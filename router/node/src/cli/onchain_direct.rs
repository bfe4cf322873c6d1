//! A verified bundle of a direct payment, held against the transfer that is said to have paid for it.

use d402_evm::abi::Token;
use d402_evm::chain::LogFilter;
use d402_evm::primitives::{Address, B256, U256};
use d402_evm::{Chain, Log};
use d402_objects::Outcome;
use d402_settlement::Codec;
use d402_settlement::evm::EvmTerms;
use d402_settlement::market::Proof;
use d402_settlement::market::chain_of;

use super::onchain::{ChainArgs, NotOnChain};

/// The transfer, as the chain has it. No field of it names the task: that this worker was paid this amount by one
/// authorization is all it says, and the same transfer could be shown for another task of that worker and price.
#[derive(Debug)]
pub(super) struct PaidStraight {
    pub(super) transaction: B256,
    pub(super) payer: Address,
    pub(super) height: u64,
}

impl ChainArgs {
    /// Finds the authorized transfer of the bundle's amount to its worker in a final transaction.
    ///
    /// # Errors
    /// [`NotOnChain`], first difference.
    pub(super) async fn confirm_straight(
        &self,
        proof: &Proof,
        transaction: Option<B256>,
    ) -> Result<PaidStraight, NotOnChain> {
        if proof.outcome != Outcome::Paid {
            return Err(NotOnChain::NothingToPay);
        }
        let transaction = transaction.ok_or(NotOnChain::WhichTransaction)?;
        let (chain, _domain) = self.open(&proof.network)?;
        let asset = asset_of(proof).ok_or(NotOnChain::Address)?;
        let worker: Address = proof
            .pay_to
            .as_str()
            .parse()
            .map_err(|_| NotOnChain::Address)?;
        let last = chain.head(chain.options().finality.last()).await?;
        let receipt = chain
            .receipt(transaction)
            .await?
            .ok_or(NotOnChain::NotSettled)?;
        let height: u64 = receipt.block_number.to();
        if height > last.number {
            return Err(NotOnChain::NotSettled);
        }
        let logs = logs_of(&chain, height, (asset, transaction)).await?;
        let moved = logs.iter().find_map(|log| {
            let to = log.topics.get(2).map(|topic| Address::from_word(*topic));
            let event = decoded(log)?;
            let same = to == Some(worker) && event == U256::from(proof.plan.owed.get());
            let from = log.topics.get(1).map(|topic| Address::from_word(*topic))?;
            same.then_some(from)
        });
        let payer = moved.ok_or(NotOnChain::Payouts)?;
        let authorized = logs.iter().any(|log| {
            log.topics.first() == Some(&Token::AuthorizationUsed::SIGNATURE_HASH)
                && log.topics.get(1) == Some(&payer.into_word())
        });
        if !authorized {
            return Err(NotOnChain::Payouts);
        }
        chain.confirm(&last).await?;
        Ok(PaidStraight {
            transaction,
            payer,
            height: last.number,
        })
    }
}

/// The token the terms name.
fn asset_of(proof: &Proof) -> Option<Address> {
    let Codec::Evm(_) = chain_of(&proof.network)?.codec else {
        return None;
    };
    let terms = EvmTerms::decode((&*proof.terms).try_into().ok()?).ok()?;
    Some(Address::from(terms.asset.0))
}

/// The token's events of one transaction.
async fn logs_of(
    chain: &Chain,
    height: u64,
    (asset, transaction): (Address, B256),
) -> Result<Vec<Log>, NotOnChain> {
    let filter = LogFilter {
        addresses: vec![asset],
        topics: Vec::new(),
    };
    let mut logs = chain.logs((height, height), &filter).await?;
    logs.retain(|log| log.transaction_hash == transaction);
    Ok(logs)
}

/// Amount of a `Transfer`.
fn decoded(log: &Log) -> Option<U256> {
    if log.topics.first() != Some(&Token::Transfer::SIGNATURE_HASH) {
        return None;
    }
    Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data)
        .ok()
        .map(|moved| moved.value)
}
