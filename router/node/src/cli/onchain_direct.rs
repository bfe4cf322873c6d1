//! A verified bundle of a direct payment, held against the transfer that is said to have paid for it.

use d402_evm::primitives::{Address, B256, U256};
use d402_evm::transfer::authorized_payer;
use d402_objects::Outcome;
use d402_settlement::Codec;
use d402_settlement::evm::EvmTerms;
use d402_settlement::market::{Proof, chain_of};

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
        let worker = proof.pay_to.as_str().parse();
        let worker: Address = worker.map_err(|_| NotOnChain::Address)?;
        let last = chain.head(chain.options().finality.last()).await?;
        let amount = U256::from(proof.plan.owed.get());
        let payer = authorized_payer(&chain, &last, transaction, (asset, worker, amount)).await?;
        Ok(PaidStraight {
            transaction,
            payer: payer.ok_or(NotOnChain::Payouts)?,
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
