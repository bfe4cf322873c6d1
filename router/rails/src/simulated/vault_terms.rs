//! Terms with the hash and the address that follow from them on this network.

use d402_objects::Hex32;
use d402_settlement::{Domain, TERMS_LEN, Terms, TermsHash, vault_address};

/// Terms, their hash and their vault's address under [`Domain::SIMULATED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultTerms {
    terms: Terms,
    hash: TermsHash,
    address: Hex32,
}

impl VaultTerms {
    /// Names these terms. `None` when they have no address, which happens with a probability of 2^-256.
    #[must_use]
    pub fn new(terms: Terms) -> Option<Self> {
        let hash = terms.hash(&Domain::SIMULATED);
        let (address, _bump) = vault_address(&hash, &Domain::SIMULATED.program)?;
        Some(Self {
            terms,
            hash,
            address: Hex32::from_bytes(address.0),
        })
    }

    /// Reads the 304 bytes; any of them are terms, settleable or not.
    #[must_use]
    pub fn decode(bytes: &[u8; TERMS_LEN]) -> Option<Self> {
        Self::new(Terms::decode(bytes))
    }

    /// Reads the wire form: 608 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; TERMS_LEN];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Self::decode(&bytes)
    }

    /// The wire form.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.terms.encode())
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Their hash, as the ledger types it.
    #[must_use]
    pub const fn terms_hash(&self) -> TermsHash {
        self.hash
    }

    /// Their hash, as objects and wire write it.
    #[must_use]
    pub const fn hash(&self) -> Hex32 {
        Hex32::from_bytes(self.hash.0)
    }

    /// Where the buyer pays.
    #[must_use]
    pub const fn address(&self) -> Hex32 {
        self.address
    }
}
