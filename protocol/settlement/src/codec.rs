//! One market decision, settled on any chain: the choice between the two sets of bytes (ADR 0016).
//!
//! The market computes [`Terms`], a [`ValidatorSet`] and a [`Settlement`] without asking where the money lies.
//! What they are called there, which bytes are hashed and signed, and where the buyer pays, is this value's
//! answer.

use core::ops::Deref;

use crate::approvals::{ApprovalFault, Approvals, Verifier as _};
use crate::ed25519::StrictEd25519;
use crate::evm::{
    EVM_TERMS_LEN, EvmAccount, EvmDomain, EvmSigners, EvmTerms, SignersFault, TermsFault,
    chain_word, escrow_address,
};
use crate::ids::{Key32, SetHash, TermsHash};
use crate::quantity::UnixSeconds;
use crate::receipt::{Settlement, settlement_digest};
use crate::set::ValidatorSet;
use crate::terms::{NotSettleable, TERMS_LEN, Terms, settleable};
use crate::{Domain, vault_address};

/// The bytes of one network, and the chain and verifier they are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Little-endian layouts, SHA-256, Ed25519 (spec §2.2); the simulated rail runs it too (#73).
    Solana(Domain),
    /// ABI words, EIP-712, ECDSA (spec §2.3).
    Evm(EvmDomain),
}

/// Terms in the bytes of their network: 304 on Solana, 544 on an EVM chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedTerms {
    bytes: [u8; EVM_TERMS_LEN],
    len: usize,
}

impl EncodedTerms {
    fn new(encoded: &[u8]) -> Self {
        let mut bytes = [0; EVM_TERMS_LEN];
        for (slot, byte) in bytes.iter_mut().zip(encoded) {
            *slot = *byte;
        }
        Self {
            bytes,
            len: encoded.len().min(EVM_TERMS_LEN),
        }
    }
}

impl Deref for EncodedTerms {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl AsRef<[u8]> for EncodedTerms {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Codec {
    /// The same bytes bound to another verifier. A direct payment is executed by its token and judged by no
    /// contract of ours: bound to the token, its receipt is worth nothing at any vault or escrow (M7).
    /// Unchanged for an account the network does not have.
    #[must_use]
    pub fn bound_to(self, verifier: &Key32) -> Self {
        match self {
            Self::Solana(domain) => Self::Solana(Domain {
                program: *verifier,
                ..domain
            }),
            Self::Evm(domain) => Self::Evm(EvmDomain {
                ledger: EvmAccount::from_key(verifier).unwrap_or(domain.ledger),
                ..domain
            }),
        }
    }

    /// The account that verifies receipts and holds no money of its own: the program or the ledger.
    #[must_use]
    pub fn verifier(&self) -> Key32 {
        match self {
            Self::Solana(domain) => domain.program,
            Self::Evm(domain) => domain.ledger.to_key(),
        }
    }

    /// Whether accounts of the network have this form. On Solana any 32 bytes do.
    #[must_use]
    pub fn is_account(&self, key: &Key32) -> bool {
        match self {
            Self::Solana(_) => true,
            Self::Evm(_) => EvmAccount::from_key(key).is_some(),
        }
    }

    /// The terms as the network writes them.
    ///
    /// # Errors
    /// [`TermsFault`] for a value the network's terms cannot carry; never on Solana.
    pub fn encode_terms(&self, terms: &Terms) -> Result<EncodedTerms, TermsFault> {
        match self {
            Self::Solana(_) => Ok(EncodedTerms::new(&terms.encode())),
            Self::Evm(domain) => {
                EvmTerms::of(terms, domain.chain_id).map(|terms| EncodedTerms::new(&terms.encode()))
            }
        }
    }

    /// Inverse of [`Codec::encode_terms`].
    ///
    /// # Errors
    /// [`TermsFault`] for anything else than the bytes of some terms of this network.
    pub fn decode_terms(&self, bytes: &[u8]) -> Result<Terms, TermsFault> {
        match self {
            Self::Solana(_) => exactly::<TERMS_LEN>(bytes).map(Terms::decode),
            Self::Evm(domain) => {
                let terms = EvmTerms::decode(exactly(bytes)?)?;
                if terms.chain_id != chain_word(domain.chain_id) {
                    return Err(TermsFault::OtherChain);
                }
                terms.to_market()
            }
        }
    }

    /// The name of the terms on the network.
    ///
    /// # Errors
    /// As [`Codec::encode_terms`].
    pub fn terms_hash(&self, terms: &Terms) -> Result<TermsHash, TermsFault> {
        match self {
            Self::Solana(domain) => Ok(terms.hash(domain)),
            Self::Evm(domain) => {
                EvmTerms::of(terms, domain.chain_id).map(|terms| terms.hash(&domain.ledger))
            }
        }
    }

    /// Where the buyer pays: the vault or escrow of these terms. `None` as for
    /// [`vault_address`](crate::vault_address): never in practice.
    #[must_use]
    pub fn pay_to(&self, terms_hash: &TermsHash) -> Option<Key32> {
        match self {
            Self::Solana(domain) => {
                vault_address(terms_hash, &domain.program).map(|(vault, _bump)| vault)
            }
            Self::Evm(domain) => Some(escrow_address(&domain.ledger, terms_hash).to_key()),
        }
    }

    /// The name of a validator set on the network; on an EVM chain all its members sign by ECDSA.
    ///
    /// # Errors
    /// [`SignersFault::NotAnAccount`] for a key that is no account of the network.
    pub fn set_hash(&self, set: &ValidatorSet) -> Result<SetHash, SignersFault> {
        match self {
            Self::Solana(_) => Ok(set.hash()),
            Self::Evm(_) => EvmSigners::ecdsa(set).map(|signers| signers.hash()),
        }
    }

    /// May the network ever settle these terms (spec §3)?
    ///
    /// # Errors
    /// The first broken rule. Terms with no bytes on the network are refused by [`Codec::encode_terms`]
    /// before; here they are refused as [`NotSettleable::OtherChain`].
    pub fn settleable(&self, terms: &Terms, now: UnixSeconds) -> Result<(), NotSettleable> {
        match self {
            Self::Solana(domain) => settleable(terms, domain, now),
            Self::Evm(domain) => EvmTerms::of(terms, domain.chain_id)
                .map_err(|_| NotSettleable::OtherChain)?
                .settleable(domain, now),
        }
    }

    /// The 32 bytes every validator signs.
    #[must_use]
    pub fn settlement_digest(&self, terms_hash: &TermsHash, settlement: &Settlement) -> [u8; 32] {
        match self {
            Self::Solana(domain) => settlement_digest(domain, terms_hash, settlement),
            Self::Evm(domain) => domain.settlement_digest(terms_hash, settlement),
        }
    }

    /// How long a settlement signature is: 64 bytes of Ed25519 or 65 of ECDSA.
    #[must_use]
    pub const fn signature_len(&self) -> usize {
        match self {
            Self::Solana(_) => 64,
            Self::Evm(_) => crate::evm::EVM_SIGNATURE_LEN,
        }
    }

    /// Whether `key` signed the digest, by the network's one rule.
    #[must_use]
    pub fn verifies(&self, key: &Key32, digest: &[u8; 32], signature: &[u8]) -> bool {
        match self {
            Self::Solana(_) => signature
                .try_into()
                .is_ok_and(|signature| StrictEd25519.verify(key, digest, signature)),
            Self::Evm(_) => crate::evm::signed_by(key, digest, signature),
        }
    }

    /// Checks signatures over a settlement digest by the rules of [`Approvals::check`]. On an EVM chain every
    /// member of the set signs by ECDSA.
    ///
    /// # Errors
    /// The first fault; a signature of another length is one that does not verify.
    pub fn approvals(
        &self,
        set: &ValidatorSet,
        digest: [u8; 32],
        signatures: &[(u8, &[u8])],
    ) -> Result<Approvals, ApprovalFault> {
        match self {
            Self::Solana(_) => Approvals::collect(
                set,
                set.hash(),
                digest,
                signatures,
                |index, key, signature| {
                    if self.verifies(key, &digest, signature) {
                        Ok(())
                    } else {
                        Err(ApprovalFault::BadSignature { index })
                    }
                },
            ),
            Self::Evm(_) => EvmSigners::ecdsa(set)
                .map_err(|_| ApprovalFault::BadSignature { index: 0 })?
                .check(digest, signatures),
        }
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], TermsFault> {
    bytes.try_into().map_err(|_| TermsFault::Length {
        got: bytes.len(),
        want: N,
    })
}
