//! Who pays: a key of the simulated chain, of an EVM chain, or of Solana.

mod solana;

use alloy_types::{Address, B256, U256};
use d402_evm::primitives as alloy_types;
use d402_objects::Hex32;
use d402_rails::evm::{Authorization, EvmKey, SignedAuthorization, TokenDomain};
use d402_rails::simulated::{BuyerAccount, PaymentOrder};
use d402_settlement::Codec;
use d402_settlement::market::SIMULATED_NETWORK;
use serde_json::{Value, json};

pub use solana::SolanaWallet;

use super::{BuyError, Challenge};

/// Longest validity of a payment, s: what gateways accept at most.
const MAX_WINDOW_S: u64 = 120;

/// A key that pays.
#[derive(Debug)]
pub enum Wallet {
    /// An account of the simulated chain.
    Simulated(BuyerAccount),
    /// An account of an EVM chain.
    Evm {
        /// The key.
        key: EvmKey,
        /// CAIP-2 name of the chain.
        network: String,
    },
    /// An account of a Solana cluster.
    Solana(SolanaWallet),
}

impl Wallet {
    /// Its account, as the network spells it.
    #[must_use]
    pub fn account(&self) -> String {
        match self {
            Self::Simulated(account) => account.address().to_string(),
            Self::Evm { key, .. } => format!("{:#x}", key.address()),
            Self::Solana(wallet) => wallet.address().to_string(),
        }
    }

    /// The network it pays on.
    #[must_use]
    pub fn network(&self) -> &str {
        match self {
            Self::Simulated(_) => SIMULATED_NETWORK,
            Self::Evm { network, .. } => network,
            Self::Solana(wallet) => wallet.network(),
        }
    }

    /// Payload of a payment of exactly what a checked 402 asks for. Nothing is sent; on Solana a blockhash is
    /// asked for.
    ///
    /// # Errors
    /// [`BuyError::Malformed`] for an offer of another network, or one that does not say how its token is
    /// signed for; [`BuyError::Chain`] without an answer of the cluster.
    pub async fn pay(&self, challenge: &Challenge, now_ms: u64) -> Result<Value, BuyError> {
        let mut nonce = [0u8; 32];
        getrandom::fill(&mut nonce).map_err(|_| BuyError::Malformed("randomness"))?;
        let window = challenge.max_timeout_s().min(MAX_WINDOW_S);
        let valid_before = now_ms
            .checked_div(1_000)
            .unwrap_or(0)
            .saturating_add(window);
        match self {
            Self::Simulated(account) => simulated(account, challenge, (nonce, valid_before)),
            Self::Evm { key, .. } => base(key, challenge, (nonce, valid_before)),
            Self::Solana(wallet) => wallet.pay(challenge).await,
        }
    }
}

fn simulated(
    account: &BuyerAccount,
    challenge: &Challenge,
    (nonce, valid_before): ([u8; 32], u64),
) -> Result<Value, BuyError> {
    let asset: Hex32 = challenge
        .payment()
        .asset
        .as_str()
        .parse()
        .map_err(|_| BuyError::Malformed("asset"))?;
    let units = u64::try_from(challenge.payment().budget.get())
        .map_err(|_| BuyError::Malformed("amount"))?;
    let payment = account.pay(&PaymentOrder {
        pay_to: Hex32::from_bytes(*challenge.quote().pay_to.as_bytes()),
        asset,
        units,
        nonce: Hex32::from_bytes(nonce),
        valid_before: i64::try_from(valid_before).unwrap_or(i64::MAX),
    });
    Ok(json!({ "payment": payment }))
}

/// An EIP-3009 authorization. A token name or version the token does not have gives a signature that is worth
/// nothing, so the gateway's word for them is good enough.
fn base(
    key: &EvmKey,
    challenge: &Challenge,
    (nonce, valid_before): ([u8; 32], u64),
) -> Result<Value, BuyError> {
    let Codec::Evm(domain) = challenge.quote().codec else {
        return Err(BuyError::Malformed("network"));
    };
    let extra = |field: &'static str| {
        let place = format!("/extra/{field}");
        let value = challenge.accepted().pointer(&place);
        value
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or(BuyError::Malformed(field))
    };
    let address = |text: Option<String>, what| {
        text.and_then(|text| text.parse::<Address>().ok())
            .ok_or(BuyError::Malformed(what))
    };
    let pay_to = challenge.quote().pay_to_address().map(|a| a.to_string());
    let token = TokenDomain {
        asset: address(Some(challenge.payment().asset.to_string()), "asset")?,
        name: extra("name")?,
        version: extra("version")?,
        chain_id: domain.chain_id,
    };
    let authorization = Authorization {
        from: key.address(),
        to: address(pay_to, "payTo")?,
        value: U256::from(challenge.payment().budget.get()),
        valid_after: U256::ZERO,
        valid_before: U256::from(valid_before),
        nonce: B256::from(nonce),
    };
    let signature = key
        .sign(&token.digest(&authorization))
        .map_err(|_| BuyError::Malformed("signature"))?;
    Ok(json!(SignedAuthorization {
        authorization,
        signature,
    }))
}
