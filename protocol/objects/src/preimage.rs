//! The bytes an envelope's signature covers (spec §2.1). Nobody else builds them.
//!
//! `0xFF "d402env" 0x01 ‖ lp(payloadType) ‖ u16 version ‖ lp(network or "d402") ‖ lp(signer) ‖
//! sha256(JCS(payload))`, with `lp` = u16 little-endian length + bytes. The first byte is never
//! that of a Solana transaction message, and the whole is never 32 bytes long, so no envelope
//! signature is also one over a transaction or a settlement digest (M7).

use crate::{Caip2, SignerId};

const MAGIC: [u8; 9] = *b"\xffd402env\x01";
/// The network of objects that name none.
pub const NO_NETWORK: &str = "d402";
/// What precedes the kind in `payloadType`.
pub const TYPE_PREFIX: &str = "d402.";

/// The envelope pre-image. `kind` is without its `d402.` prefix.
#[must_use]
pub fn preimage(
    kind: &str,
    version: u16,
    network: Option<&Caip2>,
    signer: &SignerId,
    payload_digest: &[u8; 32],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    out.extend_from_slice(&MAGIC);
    length_prefixed(&mut out, &[TYPE_PREFIX, kind]);
    out.extend_from_slice(&version.to_le_bytes());
    length_prefixed(&mut out, &[network.map_or(NO_NETWORK, Caip2::as_str)]);
    length_prefixed(&mut out, &[&signer.to_string()]);
    out.extend_from_slice(payload_digest);
    out
}

/// Appends the parts as one text with its length. Every text here is bounded far below 2^16 by
/// its type, so the length never saturates.
pub(crate) fn length_prefixed(out: &mut Vec<u8>, parts: &[&str]) {
    let total: usize = parts
        .iter()
        .fold(0, |sum, part| usize::saturating_add(sum, part.len()));
    out.extend_from_slice(&u16::try_from(total).unwrap_or(u16::MAX).to_le_bytes());
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// `text` as ASCII padded with zeros to 32 bytes (spec §2.2).
#[must_use]
pub fn tag(text: &'static str) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (to, from) in out.iter_mut().zip(text.as_bytes()) {
        *to = *from;
    }
    out
}
