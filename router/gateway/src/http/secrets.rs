//! The gateway's root secret and what is derived from it: challenge keys and access tokens.
//!
//! Every use has its own HKDF label, so that nothing derived for one can stand in for another (threat #55).
//! Two key ids live while one replaces the other.

use d402_objects::{Hex32, Nonce16};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const CHALLENGE_LABEL: &[u8] = b"d402/x402-challenge";
const TOKEN_LABEL: &[u8] = b"d402/access-token";
/// Most key ids that are honoured at a time.
const MAX_KIDS: usize = 2;

type HmacSha256 = Hmac<Sha256>;

/// Keys of the challenges, newest first, and of the access tokens.
pub(crate) struct Secrets {
    challenge: Vec<(String, HmacSha256)>,
    token: HmacSha256,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Keys for the first two ids; the first one signs.
    pub(crate) fn new(root: &[u8; 32], kids: &[String]) -> Self {
        Self {
            challenge: kids
                .iter()
                .take(MAX_KIDS)
                .map(|kid| (kid.clone(), derive(root, CHALLENGE_LABEL, kid.as_bytes())))
                .collect(),
            token: derive(root, TOKEN_LABEL, b""),
        }
    }

    /// The id new challenges are made with.
    pub(crate) fn kid(&self) -> &str {
        self.challenge.first().map_or("", |(kid, _)| kid)
    }

    /// MAC of a challenge under the newest id.
    pub(crate) fn mac(&self, text: &[u8]) -> Option<Hex32> {
        let (_, key) = self.challenge.first()?;
        let mut mac = key.clone();
        mac.update(text);
        Some(Hex32::from_bytes(mac.finalize().into_bytes().into()))
    }

    /// Whether the MAC is ours, in constant time; false for an id that is not honoured any more.
    pub(crate) fn verifies(&self, kid: &str, text: &[u8], got: &Hex32) -> bool {
        let Some((_, key)) = self.challenge.iter().find(|(known, _)| known == kid) else {
            return false;
        };
        let mut mac = key.clone();
        mac.update(text);
        mac.verify_slice(&got.as_bytes()).is_ok()
    }

    /// The access token of an intent whose buyer brought none. Nothing is stored: the same nonce gives it again.
    pub(crate) fn token(&self, nonce: &Nonce16) -> String {
        let mut mac = self.token.clone();
        mac.update(&nonce.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

/// What an intent's `accessHash` must be for a token: SHA-256 of its text.
pub(crate) fn access_hash(token: &str) -> Hex32 {
    Hex32::from_bytes(Sha256::digest(token.as_bytes()).into())
}

fn derive(root: &[u8; 32], label: &[u8], kid: &[u8]) -> HmacSha256 {
    // One block of SHA-256: what HMAC takes without hashing or padding it.
    let mut key = [0u8; 64];
    let hkdf = Hkdf::<Sha256>::new(None, root);
    // HKDF fails above 255 blocks of output only.
    let _always_fits = hkdf.expand_multi_info(&[label, &[0], kid], &mut key);
    HmacSha256::new(&key.into())
}
