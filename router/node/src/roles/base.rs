//! A gateway's chain: providers, key, nonce book, rail.

use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::Rail;
use d402_evm::primitives::Address;
use d402_evm::{Chain, ChainOptions, Finality};
use d402_gateway::http::Asset;
use d402_objects::{Amount, Caip2};
use d402_rails::evm::book::NonceBook;
use d402_rails::evm::{
    BaseDirectRail, Caps, EscrowRail, EscrowRailOptions, EvmKey, Sequencer, TokenDomain,
};
use d402_settlement::Codec;
use d402_settlement::evm::EvmDomain;
use d402_settlement::market::{BASE_NETWORK, chain_of};

use super::start::{Context, NodeError};
use crate::config::{ConfigError, GatewayRail, setting};

/// How often transactions that are not final are looked after.
const TEND_EVERY: Duration = Duration::from_secs(15);
/// $0.10: ten times what paying and settling cost on Base (threat #61).
const MIN_BUDGET: u64 = 100_000;
/// $10: up to here two blocks on top are enough (threat #36).
const MAX_BUDGET: u64 = 10_000_000;

/// Opens a rail of the configuration and keeps its transactions alive.
pub(super) async fn open(
    context: &mut Context,
    section: &GatewayRail,
) -> Result<(Arc<dyn Rail>, Asset), NodeError> {
    let invalid = |field, got: &str| ConfigError::Setting {
        field,
        got: got.to_owned(),
    };
    let direct = match section.name.as_str() {
        "base-escrow" => false,
        "base-direct" => true,
        other => return Err(invalid("gateway.rail.name", other).into()),
    };
    let domain = domain(&section.network)
        .ok_or_else(|| invalid("gateway.rail.network", &section.network))?;
    if section.development && section.network == BASE_NETWORK {
        return Err(invalid("gateway.rail.development", "true").into());
    }
    let asset: Address = setting("gateway.rail.asset", &section.asset)?;
    let chain = Arc::new(chain(section, domain)?);
    let sequencer = sender(context, section, &chain).await?;
    let token = TokenDomain {
        asset,
        name: section.asset_name.clone(),
        version: section.asset_version.clone(),
        chain_id: domain.chain_id,
    };
    let network = section.network.clone();
    let rail: Arc<dyn Rail> = if direct {
        Arc::new(BaseDirectRail::new(network, token, chain, sequencer))
    } else {
        let options = EscrowRailOptions {
            network,
            token,
            ledger: Address::from(domain.ledger.0),
        };
        Arc::new(EscrowRail::new(options, chain, sequencer))
    };
    let least = section.min_budget.unwrap_or(Amount::from(MIN_BUDGET));
    let most = section.max_budget.unwrap_or(Amount::from(MAX_BUDGET));
    let asset = Asset {
        address: setting("gateway.rail.asset", &section.asset)?,
        name: section.asset_name.clone(),
        version: Some(section.asset_version.clone()),
        decimals: 6,
        budgets: least..=most,
    };
    Ok((rail, asset))
}

/// The chain and ledger behind a network's name.
pub(crate) fn domain(network: &str) -> Option<EvmDomain> {
    let network: Caip2 = network.parse().ok()?;
    match chain_of(&network)?.codec {
        Codec::Evm(domain) => Some(domain),
        Codec::Solana(_) => None,
    }
}

fn chain(section: &GatewayRail, domain: EvmDomain) -> Result<Chain, ConfigError> {
    let mut options = ChainOptions::base(domain.chain_id);
    if section.development {
        options.finality = Finality::DEVELOPMENT;
    }
    let urls: Vec<String> = std::iter::once(&section.rpc)
        .chain(section.second_rpc.as_ref())
        .cloned()
        .collect();
    Chain::new(&urls, options).map_err(|_| ConfigError::Setting {
        field: "gateway.rail.rpc",
        // The URL may hold an access key.
        got: "not an http(s) address".to_owned(),
    })
}

/// The one sender of this key on this chain: rails with the same key share it, or their nonces would collide.
async fn sender(
    context: &mut Context,
    section: &GatewayRail,
    chain: &Arc<Chain>,
) -> Result<Arc<Sequencer>, NodeError> {
    let evm =
        |what, source: Box<dyn std::error::Error + Send + Sync>| NodeError::Base { what, source };
    let key = EvmKey::open(&section.keystore, &section.password_file)
        .map_err(|e| evm("gateway.rail.keystore", Box::new(e)))?;
    let name = (chain.options().chain_id, key.address());
    if let Some(sender) = context.senders.get(&name) {
        return Ok(Arc::clone(sender));
    }
    let file = format!("nonces-{}-{:#x}.sqlite", name.0, name.1);
    let book = NonceBook::open(&context.config.state_dir.join(file), key.address())
        .await
        .map_err(|e| evm("nonce book", Box::new(e)))?;
    let mut caps = Caps::BASE;
    if let Some(gwei) = section.max_fee_gwei {
        caps.max_fee = u128::from(gwei).saturating_mul(1_000_000_000);
    }
    let clock = Arc::clone(&context.clock);
    let sender = Arc::new(Sequencer::new(Arc::clone(chain), (key, book), caps, clock));
    context.senders.insert(name, Arc::clone(&sender));
    tend(context, Arc::clone(&sender));
    Ok(sender)
}

/// What fell out of a block or a pool goes out again, whether or not a task still asks for it.
fn tend(context: &mut Context, sender: Arc<Sequencer>) {
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        let mut interval = tokio::time::interval(TEND_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = interval.tick() => if let Err(error) = sender.tend().await {
                    tracing::warn!(%error, "transactions are not looked after");
                }
            }
        }
    });
}
