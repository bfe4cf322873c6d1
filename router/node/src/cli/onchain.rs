//! A verified bundle, held against the chain: terms → address → deposit → settlement → payouts.

mod solana;

pub(super) use solana::place as vault_of;

use clap::Args;
use d402_evm::primitives::Address;
use d402_evm::{Chain, ChainOptions, EscrowQuery, EscrowView, Finality, SettledView};
use d402_objects::{Caip2, Outcome};
use d402_settlement::Codec;
use d402_settlement::evm::{EvmAccount, EvmDomain};
use d402_settlement::market::{BASE_NETWORK, Proof, SOLANA_NETWORK, chain_of};

use crate::roles::cluster_options;

/// Providers of a chain.
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
    /// The network is no chain this build can look at.
    #[error("{0} cannot be looked at by RPC")]
    Network(Caip2),
    /// A chain of this machine is no public network.
    #[error("a public network is no development chain")]
    Development,
    /// No usable answer.
    #[error("the chain is not known")]
    Unknown(#[from] d402_evm::RpcError),
    /// No usable answer of a Solana cluster.
    #[error("the cluster is not known")]
    Cluster(#[from] d402_svm::RpcError),
    /// The bundle's token is none a vault can hold.
    #[error("the token of the bundle is none that a vault can hold")]
    Mint,
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
    /// Chain time at which the budget was covered, unix seconds.
    pub(super) funded_at: u64,
    /// The transaction that executed the receipt, as its chain spells it.
    pub(super) transaction: String,
    /// Payouts of it.
    pub(super) payouts: usize,
    /// Base units returned in it.
    pub(super) refunded: u128,
    /// Block or slot of the look.
    pub(super) height: u64,
}

impl ChainArgs {
    /// The chain of a network, and its ledger.
    pub(super) fn open(&self, network: &Caip2) -> Result<(Chain, EvmDomain), NotOnChain> {
        let domain = match codec(network)? {
            Codec::Evm(domain) => domain,
            Codec::Solana(_) => return Err(NotOnChain::Network(network.clone())),
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
        match codec(&proof.network)? {
            Codec::Evm(_) => self.confirm_base(proof).await,
            Codec::Solana(_) => solana::confirm(&self.cluster(&proof.network)?, proof).await,
        }
    }

    /// The cluster of a network.
    pub(super) fn cluster(&self, network: &Caip2) -> Result<d402_svm::Chain, NotOnChain> {
        if self.development && network.as_str() == SOLANA_NETWORK {
            return Err(NotOnChain::Development);
        }
        let options = cluster_options(network.as_str(), self.development)
            .ok_or_else(|| NotOnChain::Network(network.clone()))?;
        Ok(d402_svm::Chain::new(&self.rpc, options)?)
    }

    async fn confirm_base(&self, proof: &Proof) -> Result<Confirmed, NotOnChain> {
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
            transaction: format!("{:#x}", settled.transaction),
            payouts: settled.paid.len(),
            refunded: settled.refunded,
            height: view.head.number,
        })
    }
}

/// The chain of a network, or none to look at.
pub(super) fn codec(network: &Caip2) -> Result<Codec, NotOnChain> {
    let chain = chain_of(network).ok_or_else(|| NotOnChain::Network(network.clone()))?;
    Ok(chain.codec)
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
