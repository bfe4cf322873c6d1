//! Who may read results and evidence (threat #54): the buyer by token, a validator of the task by its key,
//! everybody after the end of a task that is published.

use axum::http::{HeaderMap, header};
use d402_core::Task;
use d402_objects::{Cid, Ed25519Id, Hex32, SignatureBytes};
use subtle::ConstantTimeEq;

use super::secrets::access_hash;

/// Header with the validator's envelope key.
pub const KEY_HEADER: &str = "x-d402-key";
/// Header with the time of signing, unix ms.
pub const TIMESTAMP_HEADER: &str = "x-d402-timestamp";
/// Header with the hex signature over [`evidence_access_message`].
pub const SIGNATURE_HEADER: &str = "x-d402-signature";
/// How far a signed request may be from the gateway's clock, ms.
const WINDOW_MS: u64 = 60_000;
/// Begins with 0xFF like every pre-image of spec §2.1 that is not an envelope's.
const TAG: &[u8] = b"\xffd402evidence-access\x01";

/// The bytes a validator signs to read a content of a task: tag, gateway, task, content, time.
#[must_use]
pub fn evidence_access_message(
    gateway: &Ed25519Id,
    task_id: &Cid,
    cid: &Cid,
    at_ms: u64,
) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(TAG);
    message.extend_from_slice(&gateway.as_bytes());
    message.extend_from_slice(&task_id.as_bytes());
    message.extend_from_slice(&cid.as_bytes());
    message.extend_from_slice(&at_ms.to_le_bytes());
    message
}

/// Whether the request may read the result: by token, or because the task is over and published.
pub(super) fn is_open(headers: &HeaderMap, task: &Task) -> bool {
    let intent = task.dossier().intent();
    (intent.publish && task.ending().is_some()) || shows_token(headers, &intent.access_hash)
}

fn shows_token(headers: &HeaderMap, want: &Hex32) -> bool {
    let Some(token) = bearer(headers) else {
        return false;
    };
    access_hash(token).as_bytes().ct_eq(&want.as_bytes()).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a validator of the task signed this request.
pub(super) fn is_validator(headers: &HeaderMap, task: &Task, cid: &Cid, now_ms: u64) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(key), Some(at), Some(signature)) = (
        text(KEY_HEADER),
        text(TIMESTAMP_HEADER),
        text(SIGNATURE_HEADER),
    ) else {
        return false;
    };
    let (Ok(key), Ok(at_ms), Ok(signature)) = (
        key.parse::<Ed25519Id>(),
        at.parse::<u64>(),
        signature.parse::<SignatureBytes>(),
    ) else {
        return false;
    };
    let Ok(signature) = signature.to_array() else {
        return false;
    };
    let dossier = task.dossier();
    let message = evidence_access_message(&dossier.intent().gateway, &task.task_id(), cid, at_ms);
    at_ms.abs_diff(now_ms) <= WINDOW_MS
        && dossier.is_validator_key(&key)
        && key.verify(&message, &signature).is_ok()
}
