//! A verified bundle, held against the chain: terms → address → deposit → settlement → payouts.

use clap::Args;
use d402_evm::primitives::Address;
use d402_evm::{Chain, ChainOptions, EscrowQuery, EscrowView, Finality, SettledView};
use d402_objects::{Caip2, Outcome};
use d402_settlement::Codec;
use d402_settlement::evm::{EvmAccount, EvmDomain};
use d402_settlement::market::{BASE_NETWORK, Proof, chain_of};

/// Providers of an EVM chain.
#[derive(Args, Clone)]
pub(super) struct ChainArgs {
    /// RPC of the chain; given twice, the two providers must agree.
    #[arg(long, env = "D402_RPC", value_delimiter = ',', num_args = 1..=2)]
    pub(super) rpc: Vec<String>,
    /// The chain is one of this machine, without final blocks.
    #[arg(long)]
    pub(super) development: bool,
}

/// Why a bundle is not what the chain shows. Declaration order is check order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum NotOnChain {
    /// The network is no EVM chain this build knows.
    #[error("{0} cannot be looked at by RPC")]
    Network(Caip2),
    /// A chain of this machine is no public network.
    #[error("Base is no development chain")]
    Development,
    /// No usable answer.
    #[error("the chain is not known")]
    Unknown(#[from] d402_evm::RpcError),
    /// Terms and address do not fit each other.
    #[error("the terms of the bundle give another address")]
    Address,
    /// The budget never arrived.
    #[error("the escrow received {got}, the budget is {want}")]
    Deposit {
        /// Base units.
        got: u128,
        /// Base units.
        want: u128,
    },
    /// A rejected direct task moves nothing.
    #[error("the work was rejected, so no payment follows from the bundle")]
    NothingToPay,
    /// A direct payment is a transfer like any other: the bundle does not name it.
    #[error("paid straight: name the transaction with --transaction")]
    WhichTransaction,
    /// No receipt was executed, or none that is final.
    #[error("no receipt is executed and final")]
    NotSettled,
    /// Another receipt was executed.
    #[error("the chain executed another receipt")]
    OtherReceipt,
    /// The payouts differ from what the receipt says.
    #[error("the chain paid something else than the receipt says")]
    Payouts,
}

/// What the chain confirms.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) funded_at: u64,
    pub(super) settled: SettledView,
    pub(super) height: u64,
}

impl ChainArgs {
    /// The chain of a network, and its ledger.
    pub(super) fn open(&self, network: &Caip2) -> Result<(Chain, EvmDomain), NotOnChain> {
        let domain = match chain_of(network).map(|chain| chain.codec) {
            Some(Codec::Evm(domain)) => domain,
            Some(Codec::Solana(_)) | None => return Err(NotOnChain::Network(network.clone())),
        };
        let mut options = ChainOptions::base(domain.chain_id);
        if self.development {
            if network.as_str() == BASE_NETWORK {
                return Err(NotOnChain::Development);
            }
            options.finality = Finality::DEVELOPMENT;
        }
        Ok((Chain::new(&self.rpc, options)?, domain))
    }

    /// Holds a verified bundle against the chain.
    ///
    /// # Errors
    /// [`NotOnChain`], first difference.
    pub(super) async fn confirm(&self, proof: &Proof) -> Result<Confirmed, NotOnChain> {
        let (chain, domain) = self.open(&proof.network)?;
        let ledger = Address::from(domain.ledger.0);
        let query = EscrowQuery::of_terms(&proof.terms, ledger).ok_or(NotOnChain::Address)?;
        let same_address = proof.pay_to.as_str().parse() == Ok(query.escrow);
        if query.terms_hash.0 != proof.terms_hash.as_bytes() || !same_address {
            return Err(NotOnChain::Address);
        }
        let last = chain.options().finality.last();
        let view = EscrowView::read(&chain, &query, last).await?;
        let funded_at = view.covered_at.ok_or(NotOnChain::Deposit {
            got: view.received,
            want: query.budget,
        })?;
        let settled = view.settled.ok_or(NotOnChain::NotSettled)?;
        let outcome = match proof.outcome {
            Outcome::Paid => 1,
            Outcome::Rejected => 2,
        };
        if settled.receipt_cid.0 != proof.receipt_cid.to_hex32().as_bytes()
            || settled.outcome != outcome
        {
            return Err(NotOnChain::OtherReceipt);
        }
        if !pays(proof, &settled) {
            return Err(NotOnChain::Payouts);
        }
        Ok(Confirmed {
            funded_at,
            settled,
            height: view.head.number,
        })
    }
}

/// Exactly the payouts the receipt and the terms give, in their order; the rest is refundTo's.
fn pays(proof: &Proof, settled: &SettledView) -> bool {
    let planned = proof.plan.payouts.as_slice().iter().map(|payout| {
        let payee = EvmAccount::from_key(&payout.to).unwrap_or(EvmAccount::ZERO);
        (Address::from(payee.0), payout.amount.get())
    });
    let paid = settled.paid.iter().map(|row| (row.payee, row.amount));
    planned.eq(paid)
}
