//! The buyer's own `open` with the deposit in it: one transaction makes the vault, stores the terms and pays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_rails::svm::SolanaKey;
use d402_settlement::Codec;
use d402_svm::instructions::{Place, unit_limit, unit_price};
use d402_svm::token::Mint;
use d402_svm::transaction::{assemble, encode, signed};
use d402_svm::{Address, Chain, Level, address};
use serde_json::{Value, json};

use crate::buyer::{BuyError, Challenge};

/// `open_funded` with its token account takes about a third of this.
const UNITS: u32 = 150_000;
/// Micro-lamports per unit: less than a hundredth of a cent.
const PRICE: u64 = 10_000;

/// A key of a Solana cluster, and a way to ask for a blockhash.
#[derive(Debug)]
pub struct SolanaWallet {
    key: SolanaKey,
    network: String,
    // Much larger than other wallets are.
    chain: Box<Chain>,
}

impl SolanaWallet {
    /// A wallet; nothing is asked.
    #[must_use]
    pub fn new(key: SolanaKey, network: String, chain: Chain) -> Self {
        Self {
            key,
            network,
            chain: Box::new(chain),
        }
    }

    /// Its account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// CAIP-2 name of its cluster.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The signed transaction, not sent. The gateway can broadcast it or not, and change nothing in it.
    pub(super) async fn pay(&self, challenge: &Challenge) -> Result<Value, BuyError> {
        let place = self.place(challenge).await?;
        let buyer = self.address();
        let malformed = BuyError::Malformed;
        let (source, _) = place.tokens_of(&buyer).ok_or(malformed("asset"))?;
        let open = place.open_funded(buyer, (source, buyer), place.terms.budget);
        let blockhash = self.chain.latest_blockhash().await?;
        let instructions = [unit_limit(UNITS), unit_price(PRICE), open];
        let message = assemble(&buyer, &instructions, blockhash.hash, None)
            .map_err(|_| malformed("terms"))?;
        let signature = self.key.sign(&message.serialize());
        let transaction = encode(&signed(message, vec![signature]));
        Ok(json!({ "transaction": STANDARD.encode(transaction) }))
    }

    async fn place(&self, challenge: &Challenge) -> Result<Place, BuyError> {
        let malformed = BuyError::Malformed;
        if challenge.quote().codec != Codec::Solana(*self.chain.domain()) {
            return Err(malformed("network"));
        }
        let terms = challenge.quote().terms;
        let mint = [address::address(&terms.mint)];
        let accounts = self.chain.accounts(&mint, Level::Confirmed, None).await?;
        let mint = accounts
            .get(0)
            .and_then(Mint::read)
            .filter(|m| m.is_allowed);
        let mint = mint.ok_or(malformed("asset"))?;
        Place::of(self.chain.domain(), &terms, mint.program).ok_or(malformed("terms"))
    }
}
