//! The same on Solana: the vault's history and the program's own event.

use d402_objects::Outcome;
use d402_settlement::market::Proof;
use d402_settlement::{TERMS_LEN, Terms};
use d402_svm::instructions::Place;
use d402_svm::token::Mint;
use d402_svm::vault::SettledView;
use d402_svm::{Chain, Level, VaultView, address};

use super::{Confirmed, NotOnChain};

/// Holds a verified bundle against its cluster.
///
/// # Errors
/// [`NotOnChain`], first difference.
pub(super) async fn confirm(chain: &Chain, proof: &Proof) -> Result<Confirmed, NotOnChain> {
    let place = place(chain, &proof.terms).await?;
    let same_address = proof.pay_to.as_str() == place.vault.to_string();
    if place.terms_hash.0 != proof.terms_hash.as_bytes() || !same_address {
        return Err(NotOnChain::Address);
    }
    let view = VaultView::read(chain, &place, chain.options().finality.last()).await?;
    let funded_at = view.covered_at.ok_or(NotOnChain::Deposit {
        got: u128::from(view.received),
        want: u128::from(place.terms.budget),
    })?;
    let settled = view.settled.ok_or(NotOnChain::NotSettled)?;
    let outcome = match proof.outcome {
        Outcome::Paid => 1,
        Outcome::Rejected => 2,
    };
    if settled.receipt_cid != proof.receipt_cid.to_hex32().as_bytes() || settled.outcome != outcome
    {
        return Err(NotOnChain::OtherReceipt);
    }
    if !pays(proof, &settled) {
        return Err(NotOnChain::Payouts);
    }
    Ok(Confirmed {
        funded_at,
        transaction: settled.signature.to_string(),
        payouts: settled.paid.len(),
        refunded: u128::from(settled.refunded),
        height: view.slot,
    })
}

/// The vault of terms; their token decides under which program it is.
///
/// # Errors
/// [`NotOnChain::Mint`] for a token no vault can hold.
pub(in crate::cli) async fn place(chain: &Chain, terms: &[u8]) -> Result<Place, NotOnChain> {
    let bytes: &[u8; TERMS_LEN] = terms.try_into().map_err(|_| NotOnChain::Address)?;
    let terms = Terms::decode(bytes);
    let mint = [address::address(&terms.mint)];
    let accounts = chain.accounts(&mint, Level::Confirmed, None).await?;
    let mint = accounts
        .get(0)
        .and_then(Mint::read)
        .ok_or(NotOnChain::Mint)?;
    Place::of(chain.domain(), &terms, mint.program).ok_or(NotOnChain::Mint)
}

/// Exactly the payouts the receipt and the terms give. A payee that could not be paid then has a credit, which the
/// program lists after the others.
fn pays(proof: &Proof, settled: &SettledView) -> bool {
    let planned = proof.plan.payouts.as_slice().iter();
    let mut planned: Vec<_> = planned
        .map(|payout| (address::address(&payout.to), payout.amount.get()))
        .collect();
    let paid = settled.paid.iter();
    let mut paid: Vec<_> = paid
        .map(|row| (row.payee, u128::from(row.amount)))
        .collect();
    planned.sort_unstable();
    paid.sort_unstable();
    planned == paid
}
