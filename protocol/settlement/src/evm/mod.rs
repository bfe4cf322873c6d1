//! The bytes of Base: terms, validator sets and settlements under EIP-712 (spec §2.3), escrow addresses, and
//! the one ECDSA rule (#51).
//!
//! Nothing here shares an encoding, a hash or a curve with the Solana side, so no signature of one can be
//! replayed on the other (M7a). The market talks to both through [`Codec`](crate::Codec).

mod account;
mod ecdsa;
mod escrow;
mod settlement;
mod signers;
mod terms;
mod word;

pub use account::EvmAccount;
pub use ecdsa::{EVM_SIGNATURE_LEN, recover};
pub use escrow::{account_implementation, escrow_address};
pub use settlement::{ROW_TYPE, SETTLEMENT_TYPE};
pub(crate) use signers::signed_by;
pub use signers::{EvmSigners, SET_TYPE, SignerKind, SignersFault};
pub use terms::{EVM_TERMS_LEN, EvmTerms, TERMS_TYPE, TermsFault};
pub use word::{Word, chain_word};

use crate::ids::TermsHash;
use crate::receipt::Settlement;
use word::keccak;

/// The EIP-712 domain type.
pub const DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
/// `name` of the EIP-712 domain.
pub const DOMAIN_NAME: &str = "d402 TaskEscrow";
/// `version` of the EIP-712 domain.
pub const DOMAIN_VERSION: &str = "1";

/// One EVM chain and the ledger contract on it. A signature for one domain means nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvmDomain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract that makes the escrow accounts and verifies receipts.
    pub ledger: EvmAccount,
}

impl EvmDomain {
    /// The 32 bytes the signers of a settlement sign: an EIP-712 digest for the chain on which it executes.
    ///
    /// A payee that is no EVM account gives a digest no contract can compute.
    #[must_use]
    pub fn settlement_digest(&self, terms_hash: &TermsHash, settlement: &Settlement) -> [u8; 32] {
        let structure = settlement::struct_hash(terms_hash, settlement);
        typed_digest(&chain_word(self.chain_id), &self.ledger, &structure)
    }
}

/// `keccak256(0x1901 ‖ domainSeparator ‖ structHash)`.
fn typed_digest(chain_id: &Word, ledger: &EvmAccount, structure: &Word) -> Word {
    let separator = keccak(&[
        &keccak(&[DOMAIN_TYPE.as_bytes()]),
        &keccak(&[DOMAIN_NAME.as_bytes()]),
        &keccak(&[DOMAIN_VERSION.as_bytes()]),
        chain_id,
        &ledger.word(),
    ]);
    keccak(&[&[0x19, 0x01], &separator, structure])
}
