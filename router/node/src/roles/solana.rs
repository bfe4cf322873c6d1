//! A gateway's Solana cluster: providers, key, transaction book, rail.

use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::Rail;
use d402_gateway::http::Asset;
use d402_objects::{Amount, Caip2};
use d402_rails::svm::book::TransactionBook;
use d402_rails::svm::opening::{OpeningBook, OpeningCaps};
use d402_rails::svm::{Caps, Finalizer, Sender, SolanaKey, VaultRail, VaultRailOptions};
use d402_settlement::market::{SOLANA_NETWORK, chain_of};
use d402_settlement::{Codec, Domain};
use d402_svm::{Address, Chain, ChainOptions, Finality};

use super::start::{Context, NodeError};
use crate::config::{ConfigError, SolanaRail, setting};

/// $0.05: ten times what settling and closing cost the gateway (threats #61, #68).
const MIN_BUDGET: u64 = 50_000;
/// $10: up to here `confirmed` is enough (threat #36).
const MAX_BUDGET: u64 = 10_000_000;
/// How often vaults are looked at that nothing more can happen to.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// Opens a rail of the configuration.
pub(super) async fn open(
    context: &mut Context,
    section: &SolanaRail,
) -> Result<(Arc<dyn Rail>, Asset), NodeError> {
    let chain = Arc::new(chain(section)?);
    let mint: Address = setting("gateway.solana.asset", &section.asset)?;
    let table = section.lookup_table.as_deref();
    let options = VaultRailOptions {
        network: section.network.clone(),
        mint,
        table: table
            .map(|table| setting("gateway.solana.lookup-table", table))
            .transpose()?,
    };
    let sender = sender(context, section, &chain).await?;
    let least = section.min_budget.unwrap_or(Amount::from(MIN_BUDGET));
    let most = section.max_budget.unwrap_or(Amount::from(MAX_BUDGET));
    let asset = Asset {
        // In its one spelling, whatever the file says.
        address: setting("gateway.solana.asset", &mint.to_string())?,
        name: section.asset_name.clone(),
        version: None,
        decimals: 6,
        budgets: least..=most,
    };
    let mut rail = VaultRail::new(options, chain, sender);
    if section.open_vaults {
        let file = format!("openings-{}.sqlite", rail.sender().payer());
        let book = OpeningBook::open(&context.config.state_dir.join(file), OpeningCaps::DEFAULT)
            .await
            .map_err(|e| NodeError::Base {
                what: "book of opened vaults",
                source: Box::new(e),
            })?;
        rail = rail.with_openings(book);
    }
    let rail = Arc::new(rail);
    tidy(context, Finalizer::new(Arc::clone(&rail)));
    Ok((rail, asset))
}

/// What is left on the chain goes back to who paid it, whether or not a task still asks for it.
fn tidy(context: &mut Context, finalizer: Finalizer) {
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        let mut interval = tokio::time::interval(TIDY_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = interval.tick() => if let Err(error) = finalizer.tidy().await {
                    tracing::warn!(%error, "vaults are not tidied up");
                }
            }
        }
    });
}

/// Genesis hash and program behind a network's name; the simulated rail is no cluster.
pub(crate) fn domain(network: &str) -> Option<Domain> {
    let network: Caip2 = network.parse().ok()?;
    match chain_of(&network)?.codec {
        Codec::Solana(domain) if domain != Domain::SIMULATED => Some(domain),
        Codec::Solana(_) | Codec::Evm(_) => None,
    }
}

/// A cluster by its name; `None` for a network that is none, and for mainnet as a development cluster.
pub(crate) fn options(network: &str, development: bool) -> Option<ChainOptions> {
    let mut options = ChainOptions::solana(domain(network)?);
    if development {
        if network == SOLANA_NETWORK {
            return None;
        }
        options.finality = Finality::DEVELOPMENT;
    }
    Some(options)
}

fn chain(section: &SolanaRail) -> Result<Chain, ConfigError> {
    let invalid = |field, got: &str| ConfigError::Setting {
        field,
        got: got.to_owned(),
    };
    let options = options(&section.network, section.development)
        .ok_or_else(|| invalid("gateway.solana.network", &section.network))?;
    let urls: Vec<String> = std::iter::once(&section.rpc)
        .chain(section.second_rpc.as_ref())
        .cloned()
        .collect();
    // The URL may hold an access key.
    Chain::new(&urls, options).map_err(|_| invalid("gateway.solana.rpc", "not an http(s) address"))
}

async fn sender(
    context: &Context,
    section: &SolanaRail,
    chain: &Arc<Chain>,
) -> Result<Sender, NodeError> {
    let failed =
        |what, source: Box<dyn std::error::Error + Send + Sync>| NodeError::Base { what, source };
    let key =
        SolanaKey::open(&section.key).map_err(|e| failed("gateway.solana.key", Box::new(e)))?;
    let file = format!("transactions-{}.sqlite", key.address());
    let book = TransactionBook::open(&context.config.state_dir.join(file))
        .await
        .map_err(|e| failed("transaction book", Box::new(e)))?;
    let mut caps = Caps::SOLANA;
    if let Some(lamports) = section.daily_lamports {
        caps.daily_lamports = lamports;
    }
    let clock = Arc::clone(&context.clock);
    Ok(Sender::new(Arc::clone(chain), (key, book), caps, clock))
}

#[cfg(test)]
mod tests {
    use d402_settlement::market::{
        BASE_SEPOLIA_NETWORK, SIMULATED_NETWORK, SOLANA_DEVNET, SOLANA_DEVNET_NETWORK,
    };

    use super::*;

    #[test]
    fn only_clusters_are_clusters_and_mainnet_is_never_this_machines() {
        assert_eq!(domain(SOLANA_DEVNET_NETWORK), Some(SOLANA_DEVNET));
        for network in [
            SIMULATED_NETWORK,
            BASE_SEPOLIA_NETWORK,
            "solana:devnet",
            "solana",
        ] {
            assert_eq!(domain(network), None, "{network}");
            assert!(options(network, false).is_none(), "{network}");
        }
        assert!(options(SOLANA_DEVNET_NETWORK, true).is_some());
        assert!(options(SOLANA_NETWORK, false).is_some());
        assert!(options(SOLANA_NETWORK, true).is_none());
    }
}
