//! A Solana cluster through the validator's own providers.

use async_trait::async_trait;
use d402_objects::Caip2;
use d402_settlement::market::{Dossier, SOLANA_NETWORK, chain_of};
use d402_settlement::{Codec, Domain};
use d402_svm::instructions::Place;
use d402_svm::token::Mint;
use d402_svm::{Address, Chain, ChainOptions, Finality, Level, VaultView, address};
use tokio::sync::OnceCell;

use super::{ChainError, ChainView, Deposit};
use crate::config::RailConfig;

/// A cluster. Vaults of one mint only, the one of the validator's own offer.
#[derive(Debug)]
pub(super) struct SolanaChain {
    chain: Chain,
    /// Who owns a mint: for ever, so it is asked once. With the mint it is of.
    token_program: OnceCell<(Address, Address)>,
}

impl SolanaChain {
    pub(super) fn new(rail: &RailConfig) -> Result<Self, ChainError> {
        let no_client = || ChainError::NoClient {
            network: rail.network.clone(),
        };
        let network: Caip2 = rail.network.parse().map_err(|_| no_client())?;
        let domain = match chain_of(&network).map(|chain| chain.codec) {
            Some(Codec::Solana(domain)) if domain != Domain::SIMULATED => domain,
            _ => return Err(no_client()),
        };
        let mut options = ChainOptions::solana(domain);
        if rail.development {
            // One provider's word would be final for real money.
            if rail.network == SOLANA_NETWORK {
                return Err(no_client());
            }
            options.finality = Finality::DEVELOPMENT;
        }
        let urls: Vec<String> = [Some(&rail.rpc), rail.second_rpc.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        Ok(Self {
            chain: Chain::new(&urls, options)?,
            token_program: OnceCell::new(),
        })
    }

    async fn place(&self, dossier: &Dossier) -> Result<Place, ChainError> {
        let terms = dossier.terms();
        let mint = address::address(&terms.mint);
        let token_program = match self.token_program.get() {
            Some((known, program)) if *known == mint => *program,
            Some(_) | None => self.ask_for_program(mint).await?,
        };
        Place::of(self.chain.domain(), terms, token_program).ok_or(ChainError::Malformed)
    }

    async fn ask_for_program(&self, mint: Address) -> Result<Address, ChainError> {
        let accounts = self.chain.accounts(&[mint], Level::Confirmed, None).await?;
        let read = accounts.get(0).and_then(Mint::read);
        // A mint the program refuses (#59) never gets a deposit into a vault.
        let program = read.filter(|mint| mint.is_allowed);
        let program = program.ok_or(ChainError::Malformed)?.program;
        // Somebody else may have been faster, with the same answer.
        let _ = self.token_program.set((mint, program));
        Ok(program)
    }
}

#[async_trait]
impl ChainView for SolanaChain {
    async fn now_ms(&self) -> Result<u64, ChainError> {
        let now = u64::try_from(self.chain.now().await?).map_err(|_| ChainError::Malformed)?;
        Ok(now.saturating_mul(1_000))
    }

    /// One entry: the sum, when it covered the budget (threat #36) or else when it was looked at.
    async fn deposits(&self, dossier: &Dossier) -> Result<Vec<Deposit>, ChainError> {
        let place = self.place(dossier).await?;
        let finality = &self.chain.options().finality;
        let level = finality.level(u128::from(place.terms.budget));
        let view = VaultView::read(&self.chain, &place, level).await?;
        if view.covered_at.is_none() && level != Level::Confirmed {
            let newest = VaultView::now(&self.chain, &place, Level::Confirmed).await?;
            if newest.balance >= place.terms.budget {
                // Neither short nor there: said to be late now, it could never be on time again.
                return Err(ChainError::NotSure);
            }
        }
        let at_ms = match view.covered_at {
            Some(at) => at.saturating_mul(1_000),
            None => self.now_ms().await?,
        };
        Ok(vec![Deposit {
            at_ms,
            units: u128::from(view.received),
        }])
    }
}

#[cfg(test)]
mod tests {
    use d402_settlement::market::{SIMULATED_NETWORK, SOLANA_DEVNET_NETWORK};

    use super::*;

    fn opened(network: &str, development: bool) -> Result<SolanaChain, ChainError> {
        SolanaChain::new(&RailConfig {
            network: network.to_owned(),
            rpc: "http://127.0.0.1:1".to_owned(),
            second_rpc: None,
            development,
            payout: String::new(),
            fee: "1".to_owned(),
            asset: None,
        })
    }

    #[test]
    fn a_cluster_that_is_not_known_is_not_judged_for() {
        for network in ["solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", SIMULATED_NETWORK] {
            assert!(matches!(
                opened(network, false),
                Err(ChainError::NoClient { .. })
            ));
        }
        assert!(opened(SOLANA_DEVNET_NETWORK, true).is_ok());
        assert!(opened(SOLANA_NETWORK, false).is_ok());
    }

    #[test]
    fn threat_36_mainnet_is_never_a_development_cluster() {
        assert!(matches!(
            opened(SOLANA_NETWORK, true),
            Err(ChainError::NoClient { .. })
        ));
    }
}
